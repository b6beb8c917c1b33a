//! Google Cloud: asked of the machine's metadata server.

use std::time::Duration;

use cachegate_fetch::{Limits, Request, Url};
use cachegate_types::SecretText;

use super::{AmbientProblem, Environment, Surroundings, fetched, percent_encoded};

const IDENTITY: &str =
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity";

/// What Google sets where it runs somebody's container; a whole machine is known by its maker's name.
const MARKS: [&str; 3] = ["K_SERVICE", "CLOUD_RUN_JOB", "GCE_METADATA_HOST"];

pub(super) fn is_here(environment: &Environment) -> bool {
    environment.product.contains("Google") || MARKS.iter().any(|mark| environment.value(mark).is_some())
}

pub(super) async fn token(
    audience: &str,
    surroundings: &Surroundings<'_>,
) -> Result<SecretText, AmbientProblem> {
    let url = format!("{IDENTITY}?audience={}&format=full&licenses=TRUE", percent_encoded(audience));
    let url = Url::dangerous_parse_with_google_metadata_http(&url).map_err(|_| AmbientProblem::Answer)?;
    // One hop away: where it does not answer at once it is not there.
    let request = Request::get(url)
        .with_header("metadata-flavor", SecretText::new("Google".to_owned()))
        .with_limits(Limits { time: Duration::from_secs(2), body: 64 * 1024 });
    let advice = "give the machine a service account";
    let response = fetched(&request, surroundings, advice).await?;
    if response.header("metadata-flavor") != Some("Google") {
        return Err(AmbientProblem::Answer);
    }
    String::from_utf8(response.body().to_vec()).map(SecretText::new).map_err(|_| AmbientProblem::Answer)
}
