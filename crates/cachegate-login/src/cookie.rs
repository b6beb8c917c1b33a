//! The cookie that binds an attempt to one browser.

use cachegate_types::SecretText;

use crate::LoginError;
use crate::attempt::ATTEMPT_LIFE;

/// With a prefix that keeps every other host, and every page that came without encryption, from setting it (RFC 6265bis,
/// section 4.1.3.2).
const NAME: &str = "__Host-cachegate-login";

/// On the loopback, where there may be no encryption, browsers refuse the prefix.
const LOOPBACK_NAME: &str = "cachegate-login";

const fn name(https: bool) -> &'static str {
    if https { NAME } else { LOOPBACK_NAME }
}

/// `Lax`: the provider sends the person back from its own pages by a link, and nothing else from elsewhere may carry it.
pub(crate) fn set(value: &SecretText, https: bool) -> SecretText {
    let seconds = ATTEMPT_LIFE.as_secs();
    SecretText::new(line(value.expose_secret(), seconds, https))
}

pub(crate) fn clear(https: bool) -> String {
    line("", 0, https)
}

fn line(value: &str, seconds: u64, https: bool) -> String {
    let secure = if https { "; Secure" } else { "" };
    format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}", name(https))
}

/// The value in the request's `Cookie` headers. Two of the name are refused: one of them was planted.
pub(crate) fn read<'a>(
    headers: impl IntoIterator<Item = &'a str>,
    https: bool,
) -> Result<Option<&'a str>, LoginError> {
    let pairs = headers.into_iter().flat_map(|header| header.split(';'));
    let mut values = pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name(https))
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(LoginError::Malformed { what: "two cookies of one name" }),
        (value, None) => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_out_of_reach_of_scripts_other_hosts_and_other_sites() {
        let line = set(&SecretText::new("abc".to_owned()), true);
        assert_eq!(
            line.expose_secret(),
            "__Host-cachegate-login=abc; Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(clear(false), "cachegate-login=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn a_planted_second_cookie_is_refused() {
        let of = |headers: &[&'static str]| read(headers.iter().copied(), true).map_err(|error| error.code());
        assert_eq!(of(&["a=b; __Host-cachegate-login=x; c=d"]), Ok(Some("x")));
        assert_eq!(of(&["a=b", "__Host-cachegate-login=x"]), Ok(Some("x")));
        assert_eq!(of(&["cachegate-login=x; my__Host-cachegate-login=y"]), Ok(None));
        let twice = ["__Host-cachegate-login=x; __Host-cachegate-login=y"];
        assert_eq!(of(&twice), Err("login_malformed"));
    }
}
