//! Buildkite: asked of its agent.

use cachegate_types::SecretText;

use super::{AmbientProblem, Surroundings, printed};

pub(super) async fn token(
    audience: &str,
    surroundings: &Surroundings<'_>,
) -> Result<SecretText, AmbientProblem> {
    // The ids are in the token only where they are asked for, and every organization has the same issuer: without
    // them no rule can tell one from another.
    let arguments =
        ["oidc", "request-token", "--audience", audience, "--claim", "organization_id,pipeline_id"];
    let advice = "run it in a job, with an agent that knows `--claim`";
    printed("buildkite-agent", &arguments, surroundings, advice).await
}
