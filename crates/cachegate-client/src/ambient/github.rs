//! GitHub Actions: asked of an address that the job is given with a secret of its own.

use cachegate_fetch::{Request, Url};
use cachegate_types::SecretText;
use serde::Deserialize;

use super::{AmbientProblem, Surroundings, fetched, percent_encoded};

const URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const BEARER: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
const ADVICE: &str =
    "give the job `permissions: id-token: write`; a pull request from a fork is never given an identity";

pub(super) async fn token(
    audience: &str,
    surroundings: &Surroundings<'_>,
) -> Result<SecretText, AmbientProblem> {
    #[derive(Deserialize)]
    struct Answer {
        value: String,
    }
    let url = surroundings.environment.secret(URL, ADVICE)?.expose_secret();
    let bearer = surroundings.environment.secret(BEARER, ADVICE)?.expose_secret();
    let join = if url.contains('?') { '&' } else { '?' };
    let url: Url = format!("{url}{join}audience={}", percent_encoded(audience))
        .parse()
        .map_err(|_| AmbientProblem::Address { variable: URL })?;
    let request = Request::get(url)
        .with_header("authorization", SecretText::new(format!("Bearer {bearer}")))
        .with_header("accept", SecretText::new("application/json".to_owned()));
    let response =
        fetched(&request, surroundings, "the job may be over, or its permission taken back").await?;
    let answer: Answer = serde_json::from_slice(response.body()).map_err(|_| AmbientProblem::Answer)?;
    Ok(SecretText::new(answer.value))
}
