//! GitLab CI: a variable that the job's `id_tokens` names.

use cachegate_types::SecretText;

use super::{AmbientProblem, Surroundings};

/// The variable that our own guide names; one named after the audience is the custom of other tools.
const VARIABLE: &str = "CACHEGATE_ID_TOKEN";

pub(super) fn token(audience: &str, surroundings: &Surroundings<'_>) -> Result<SecretText, AmbientProblem> {
    let named = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' => character.to_ascii_uppercase(),
        _ => '_',
    };
    let by_audience = format!("{}_ID_TOKEN", audience.chars().map(named).collect::<String>());
    let environment = surroundings.environment;
    if let Some(token) = environment.value(VARIABLE).or_else(|| environment.value(&by_audience)) {
        return Ok(token.clone());
    }
    let advice = format!("give the job `id_tokens: {{ {VARIABLE}: {{ aud: \"{audience}\" }} }}`");
    environment.secret(VARIABLE, &advice).cloned()
}
