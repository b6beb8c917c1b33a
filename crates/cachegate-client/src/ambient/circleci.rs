//! CircleCI: a variable, or its command-line tool for an audience of one's own.

use cachegate_types::SecretText;
use serde_json::json;

use super::{AmbientProblem, IdentityToken, Platform, Surroundings, printed};

pub(super) async fn token(
    audience: &str,
    surroundings: &Surroundings<'_>,
) -> Result<SecretText, AmbientProblem> {
    let environment = surroundings.environment;
    let advice =
        "a build of a fork has no identity unless the project passes secrets to forks; else use a context";
    let given = match environment.value("CIRCLE_OIDC_TOKEN_V2") {
        Some(given) => given,
        None => environment.secret("CIRCLE_OIDC_TOKEN", advice)?,
    };
    // Its audience is the organization, for every server alike, unless that is what this server wants.
    if IdentityToken::read(Platform::CircleCi, given).is_ok_and(|token| token.is_for(audience).is_ok()) {
        return Ok(given.clone());
    }
    let claims = json!({ "aud": audience }).to_string();
    let advice = "run it inside a job of CircleCI's cloud";
    printed("circleci", &["run", "oidc", "get", "--claims", &claims], surroundings, advice).await
}
