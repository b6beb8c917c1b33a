//! Semaphore: a variable that every job has.

use cachegate_types::SecretText;

use super::{AmbientProblem, Surroundings};

pub(super) fn token(surroundings: &Surroundings<'_>) -> Result<SecretText, AmbientProblem> {
    let advice = "turn on OpenID Connect for the organization, and look whether this job may use it";
    surroundings.environment.secret("SEMAPHORE_OIDC_TOKEN", advice).cloned()
}
