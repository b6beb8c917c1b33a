use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cachegate_token::{Brand, Credential, CredentialError};

/// The bytes as the value of an `Authorization` header; and cut at line feeds, as the values of the header fields that
/// can carry a credential.
pub fn authorization(data: &[u8]) {
    let brand = Brand::default();
    let alone = Credential::bearer_header(data, &brand);
    match &alone {
        Ok(None) => assert!(is_blank(data), "something became nobody"),
        Ok(Some(credential)) => believe(credential, data),
        Err(error) => tell(error),
    }
    let fields = |names: &[&'static str]| {
        let values = data.split(|byte| *byte == b'\n');
        let fields: Vec<_> = names.iter().copied().zip(values).collect();
        Credential::from_fields(fields, &brand).map(|credential| credential.map(|it| it.cache_digest(b"")))
    };
    let one = fields(&["authorization"]);
    // One field alone reads as its value does, and a field that is there twice is refused, even with one value.
    if !data.contains(&b'\n') {
        let alone = alone.map(|credential| credential.map(|it| it.cache_digest(b"")));
        assert_eq!(one, alone);
    } else {
        let twice = fields(&["Authorization", "AUTHORIZATION"]).map_err(|error| error.code());
        assert_eq!(twice, Err("ambiguous"));
        let _ = fields(&["authorization", "nx-cloud-id", "nx-cloud-personal-access-token"]);
        let _ = fields(&["nx-cloud-id", "nx-cloud-personal-access-token", "accept"]);
    }
}

fn believe(credential: &Credential<'_>, data: &[u8]) {
    let owned = credential.clone().into_owned();
    assert_eq!(owned.cache_digest(b"v"), credential.cache_digest(b"v"));
    assert_ne!(credential.cache_digest(b"v"), credential.cache_digest(b"w"));
    assert_eq!((owned.kind(), owned.public_id()), (credential.kind(), credential.public_id()));
    let text = token(data).expect("a credential is behind `Bearer` or `Basic`");
    let text = String::from_utf8(text).expect("a token is ASCII");
    // However it travelled, it is the same token.
    let brand = Brand::default();
    let parsed = Credential::parse(&text, &brand).expect("a token");
    assert_eq!(parsed.cache_digest(b"v"), credential.cache_digest(b"v"));
    assert!(!format!("{credential:?} {owned:?}").contains(&text), "a token is shown");
}

/// The token that the value carries, read another way.
fn token(data: &[u8]) -> Option<Vec<u8>> {
    let space = data.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = data.split_at(space);
    let start = rest.iter().position(|byte| *byte != b' ')?;
    let rest = &rest[start..];
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(rest.to_vec());
    }
    let decoded = scheme.eq_ignore_ascii_case(b"basic").then(|| BASE64_STANDARD.decode(rest).ok())??;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded[colon + 1..].to_vec())
}

/// A scheme with nothing behind it, or an empty password.
fn is_blank(data: &[u8]) -> bool {
    let scheme = data.trim_ascii_end();
    scheme.eq_ignore_ascii_case(b"bearer")
        || scheme.eq_ignore_ascii_case(b"basic")
        || token(data).is_some_and(|token| token.is_empty())
}

fn tell(error: &CredentialError) {
    assert!(!error.code().is_empty() && !error.to_string().contains('\n'));
}
