//! A request's credential, out of its headers and out of nowhere else.

use http::{HeaderMap, Uri};

use cachegate_token::{Brand, Credential, CredentialError};

/// The one credential among a request's headers; `None` when there is none.
///
/// Read are `Authorization` (`Bearer`, and `Basic` with the token as the password) and Nx Cloud's pair `Nx-Cloud-Id` and
/// `Nx-Cloud-Personal-Access-Token`. Nothing is believed yet, and nothing is copied that can be borrowed.
///
/// # Errors
///
/// Whatever is there and is not exactly one credential: it is refused, and never becomes anonymous.
pub fn credential_from_headers<'a>(
    headers: &'a HeaderMap,
    brand: &Brand,
) -> Result<Option<Credential<'a>>, CredentialError> {
    // Every value of every name, doubled ones included; `HeaderMap::get` would show the first alone.
    Credential::from_fields(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())), brand)
}

/// Refuses a URL that carries a credential: as `user:password@`, as the parameter `access_token` (RFC 6750, section
/// 2.3, which OAuth 2.1 withdraws), or as one of this brand's tokens anywhere in the path or the query.
///
/// None is ever read from a URL, because logs, histories and referrers keep URLs. A refusal tells whoever sent it that
/// the token must be replaced.
///
/// # Errors
///
/// [`CredentialError::InUrl`].
pub fn refuse_credential_in_url(url: &Uri, brand: &Brand) -> Result<(), CredentialError> {
    let userinfo = url.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let parameter = url
        .query()
        .unwrap_or_default()
        .split('&')
        .any(|pair| pair.split('=').next().is_some_and(|name| name.eq_ignore_ascii_case("access_token")));
    let token = |text: &str| {
        matches!(Credential::parse(text, brand), Ok(Credential::Opaque(_) | Credential::IssuedJwt(_)))
    };
    let between = |byte: char| !byte.is_ascii_alphanumeric() && !matches!(byte, '_' | '-' | '.');
    let text = url.path_and_query().map(|text| text.as_str()).unwrap_or_default();
    match userinfo || parameter || text.split(between).any(token) {
        true => Err(CredentialError::InUrl),
        false => Ok(()),
    }
}
