//! Amazon Web Services: asked of STS, by Amazon's command-line tool and whatever credentials it finds.

use cachegate_types::SecretText;
use serde::Deserialize;

use super::{AmbientProblem, Environment, Surroundings, printed};

/// What Amazon sets where it runs somebody's code. Keys and profiles are on many a laptop too, and say nothing.
const MARKS: [&str; 6] = [
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_EXECUTION_ENV",
    "CODEBUILD_BUILD_ARN",
];

pub(super) fn is_here(environment: &Environment) -> bool {
    environment.product.contains("Amazon EC2") || MARKS.iter().any(|mark| environment.value(mark).is_some())
}

pub(super) async fn token(
    audience: &str,
    surroundings: &Surroundings<'_>,
) -> Result<SecretText, AmbientProblem> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(rename = "WebIdentityToken")]
        token: String,
    }
    let arguments = [
        "sts",
        "get-web-identity-token",
        "--audience",
        audience,
        "--signing-algorithm",
        "ES384",
        "--output",
        "json",
    ];
    let advice = "let the account's administrator turn on outbound identity federation, and the role call \
                  `sts:GetWebIdentityToken`, in a region's own endpoint";
    let printed = printed("aws", &arguments, surroundings, advice).await?;
    let answer: Answer = serde_json::from_str(printed.expose_secret()).map_err(|_| AmbientProblem::Answer)?;
    Ok(SecretText::new(answer.token))
}
