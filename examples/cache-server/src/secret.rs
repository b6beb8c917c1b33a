//! Secrets of the configuration: never in its file itself, which is shown around.

use std::path::Path;

use cachegate_types::SecretText;

/// The secret in the file that `{key}_file` names, or in the variable that `{key}_env` names; `None` where neither is
/// there. An error says what is wrong.
pub(crate) fn secret(
    key: &str,
    file: Option<&Path>,
    variable: Option<&str>,
) -> Result<Option<SecretText>, String> {
    let text = match (file, variable) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(format!("name `{key}_file` or `{key}_env`, not both")),
        (Some(path), None) => std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read `{key}_file` {}: {error}", path.display()))?,
        (None, Some(name)) => std::env::var(name)
            .map_err(|_| format!("the environment variable `{name}` (`{key}_env`) is not set"))?,
    };
    match text.trim() {
        "" => Err(format!("the secret that `{key}_file` or `{key}_env` names is empty")),
        secret => Ok(Some(SecretText::new(secret.to_owned()))),
    }
}
