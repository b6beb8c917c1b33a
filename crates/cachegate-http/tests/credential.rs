//! A request's headers hold one credential, none, or are refused; its URL holds none.
#![expect(clippy::expect_used, reason = "a test's helpers may fail as a test does")]

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use proptest::prelude::*;

use cachegate_http::{credential_from_headers, refuse_credential_in_url};
use cachegate_token::{Brand, Credential, CredentialError, OpaqueKind, OpaqueToken};
use cachegate_types::{SecretBytes, TokenId};

const WORKSPACE: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const JWT: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln-_A";

fn token(kind: OpaqueKind, secret: u8) -> String {
    let token = OpaqueToken::new(kind, TokenId::from_bytes([7; 16]), SecretBytes::new([secret; 32]));
    token.to_text(&Brand::default()).expose_secret().to_owned()
}

fn bearer() -> String {
    format!("Bearer {}", token(OpaqueKind::Ci, 1))
}

fn personal() -> String {
    token(OpaqueKind::Personal, 2)
}

type Field<'a> = (&'static str, &'a [u8]);

fn headers(fields: &[Field<'_>]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers
            .append(HeaderName::from_static(name), HeaderValue::from_bytes(value).expect("a header's value"));
    }
    headers
}

/// The form of what is found, or the code of the refusal.
fn outcome(fields: &[Field<'_>]) -> Result<Option<&'static str>, &'static str> {
    match credential_from_headers(&headers(fields), &Brand::default()) {
        Ok(found) => Ok(found.map(|credential| credential.kind())),
        Err(error) => Err(error.code()),
    }
}

#[test]
fn no_header_is_no_credential() {
    assert_eq!(outcome(&[]), Ok(None));
    let token = bearer();
    assert_eq!(outcome(&[("cookie", token.as_bytes()), ("proxy-authorization", token.as_bytes())]), Ok(None));
    assert_eq!(outcome(&[("authorization", b"Bearer")]), Ok(None), "what is left of `Bearer ` on the wire");
    assert_eq!(outcome(&[("authorization", b"Bearer ")]), Ok(None));
    assert_eq!(outcome(&[("nx-cloud-id", WORKSPACE.as_bytes())]), Ok(None));
}

#[test]
fn each_way_to_send_a_token_is_read() {
    assert_eq!(outcome(&[("host", b"cache"), ("authorization", bearer().as_bytes())]), Ok(Some("opaque")));
    let lower = bearer().replacen("Bearer", "bearer", 1);
    assert_eq!(outcome(&[("authorization", lower.as_bytes())]), Ok(Some("opaque")));
    let jwt = format!("Bearer {JWT}");
    assert_eq!(outcome(&[("authorization", jwt.as_bytes())]), Ok(Some("foreign_jwt")));
    let issued = format!("Bearer cg1_{JWT}");
    assert_eq!(outcome(&[("authorization", issued.as_bytes())]), Ok(Some("issued_jwt")));
    // `x:cg1_a.b.c`, as Nix sends it from a netrc.
    assert_eq!(outcome(&[("authorization", b"Basic eDpjZzFfYS5iLmM=")]), Ok(Some("issued_jwt")));
    let token = personal();
    let pair = [("nx-cloud-id", WORKSPACE.as_bytes()), ("nx-cloud-personal-access-token", token.as_bytes())];
    assert_eq!(outcome(&pair), Ok(Some("nx_cloud")));
}

#[test]
fn a30_every_value_of_a_doubled_header_is_seen() {
    let (one, other) = (bearer(), format!("Bearer {}", personal()));
    for (first, second) in
        [(&one, &one), (&one, &other), (&one, &"Bearer ".to_owned()), (&"Bearer ".to_owned(), &one)]
    {
        let fields: &[Field<'_>] =
            &[("authorization", first.as_bytes()), ("host", b"x"), ("authorization", second.as_bytes())];
        assert_eq!(outcome(fields), Err("ambiguous"));
    }
    let token = personal();
    let pair = [("nx-cloud-id", WORKSPACE.as_bytes()), ("nx-cloud-personal-access-token", token.as_bytes())];
    for doubled in pair {
        assert_eq!(outcome(&[pair[0], pair[1], doubled]), Err("ambiguous"), "{}", doubled.0);
    }
}

#[test]
fn a30_a_list_is_ambiguous() {
    let list = format!("{}, {}", bearer(), bearer());
    assert_eq!(outcome(&[("authorization", list.as_bytes())]), Err("ambiguous"));
}

#[test]
fn a30_a_token_in_both_places_is_ambiguous() {
    let (token, bearer) = (personal(), bearer());
    let fields: &[Field<'_>] = &[
        ("authorization", bearer.as_bytes()),
        ("nx-cloud-id", WORKSPACE.as_bytes()),
        ("nx-cloud-personal-access-token", token.as_bytes()),
    ];
    assert_eq!(outcome(fields), Err("ambiguous"));
}

#[test]
fn a30_nx_clouds_token_without_its_id_is_refused() {
    let token = personal();
    assert_eq!(outcome(&[("nx-cloud-personal-access-token", token.as_bytes())]), Err("missing_workspace"));
}

#[test]
fn a27_what_a_header_may_hold_and_a_token_may_not_is_refused() {
    // `HeaderValue` lets tabs and bytes from 0x80 pass.
    for strange in [&b"\t"[..], b"\x80", b"\xFF", "\u{202E}".as_bytes(), "\u{FEFF}".as_bytes()] {
        let value = [bearer().as_bytes(), strange].concat();
        assert_eq!(outcome(&[("authorization", &value)]), Err("invisible_byte"), "{strange:?}");
        let token = [personal().as_bytes(), strange].concat();
        let fields: &[Field<'_>] =
            &[("nx-cloud-id", WORKSPACE.as_bytes()), ("nx-cloud-personal-access-token", &token)];
        assert_eq!(outcome(fields), Err("invisible_byte"), "{strange:?}");
    }
}

#[test]
fn a26_a_header_of_a_megabyte_is_too_large() {
    let value = format!("Bearer {}", "a".repeat(1 << 20));
    assert_eq!(outcome(&[("authorization", value.as_bytes())]), Err("too_large"));
}

// A30: the URL.

fn in_url(url: &str) -> Result<(), CredentialError> {
    refuse_credential_in_url(&url.parse::<Uri>().expect("a URL"), &Brand::default())
}

#[test]
fn a30_userinfo_in_the_url_is_refused() {
    let error = in_url(&format!("http://x:{}@cache/v1/cache/1", token(OpaqueKind::Ci, 1)));
    assert_eq!(error, Err(CredentialError::InUrl));
    assert_eq!(in_url("http://user@cache/"), Err(CredentialError::InUrl));
}

#[test]
fn a30_the_parameter_access_token_is_refused_whatever_it_holds() {
    for url in
        ["/v1/cache/1?access_token=x", "/?a=b&access_token=", "/?ACCESS_TOKEN", "http://h/?access_token=x"]
    {
        assert_eq!(in_url(url), Err(CredentialError::InUrl), "{url}");
    }
}

#[test]
fn a30_a_token_in_the_path_or_the_query_is_refused() {
    for token in [token(OpaqueKind::Ci, 1), personal(), token(OpaqueKind::Refresh, 3), format!("cg1_{JWT}")] {
        for url in [
            format!("/{token}"),
            format!("/a/{token}/b"),
            format!("/?token={token}"),
            format!("/?x&{token}&y"),
        ] {
            assert_eq!(in_url(&url), Err(CredentialError::InUrl));
        }
    }
    assert_eq!(CredentialError::InUrl.code(), "in_url");
}

#[test]
fn an_ordinary_url_passes() {
    for url in [
        "/v1/cache/1234567890123456789",
        "/v8/artifacts/0a1b2c?teamId=team_x&slug=acme",
        "/nar/1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3.nar.xz?hash=abc",
        "/nix-cache-info",
        "/ac/e3b0c442.tar.gz",
        "/cgc_x?my_access_token=x",
        "http://cache:8080/a.b.c",
        "*",
    ] {
        assert_eq!(in_url(url), Ok(()), "{url}");
    }
}

// Any headers.

fn values() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"Bearer ".to_vec()),
        Just(b"Basic ".to_vec()),
        Just(b", ".to_vec()),
        Just(b"cg1_".to_vec()),
        Just(b"eDpjZzFfYS5iLmM=".to_vec()),
        Just(JWT.as_bytes().to_vec()),
        Just(WORKSPACE.as_bytes().to_vec()),
        Just(token(OpaqueKind::Ci, 1).into_bytes()),
        Just(personal().into_bytes()),
        prop::collection::vec(
            any::<u8>().prop_filter("a header's byte", |byte| { HeaderValue::from_bytes(&[*byte]).is_ok() }),
            0..4
        ),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn names() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just("authorization"),
        2 => Just("nx-cloud-id"),
        2 => Just("nx-cloud-personal-access-token"),
        1 => Just("cookie"),
        1 => Just("x-forwarded-authorization"),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_headers_panic_and_no_credential_is_found_that_was_not_sent(
        fields in prop::collection::vec((names(), values()), 0..5),
    ) {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        let headers = headers(&fields);
        let Ok(Some(credential)) = credential_from_headers(&headers, &Brand::default()) else {
            return Ok(());
        };
        let sent = |name: &'static str| {
            let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
            let value = values.next().unwrap_or_default().to_vec();
            (value, values.next().is_none())
        };
        let holds = |value: &[u8], text: &str| value.windows(text.len()).any(|window| window == text.as_bytes());
        match &credential {
            Credential::NxCloud { workspace, token } => {
                let (value, single) = sent("nx-cloud-personal-access-token");
                prop_assert!(single);
                let text = token.to_text(&Brand::default());
                prop_assert_eq!(text.expose_secret().as_bytes(), &value);
                let (value, single) = sent("nx-cloud-id");
                prop_assert!(single);
                prop_assert_eq!(workspace.to_string().into_bytes(), value);
            }
            Credential::Opaque(token) => {
                let (value, single) = sent("authorization");
                prop_assert!(single && holds(&value, token.to_text(&Brand::default()).expose_secret()));
            }
            Credential::IssuedJwt(text) | Credential::ForeignJwt(text) => {
                let (value, single) = sent("authorization");
                let basic = text.expose_secret() == "a.b.c" && holds(&value, "eDpjZzFfYS5iLmM=");
                prop_assert!(single && (basic || holds(&value, text.expose_secret())));
            }
        }
    }

    #[test]
    fn the_map_and_the_fields_say_the_same(value in values()) {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(&value).expect("a header's value"));
        let code = |found: Result<Option<Credential<'_>>, CredentialError>| {
            found.map(|found| found.map(|credential| credential.cache_digest(b"")))
        };
        let brand = Brand::default();
        prop_assert_eq!(
            code(credential_from_headers(&headers, &brand)),
            code(Credential::bearer_header(&value, &brand))
        );
    }

    #[test]
    fn no_url_panics(url in "[!-~]{0,60}") {
        if let Ok(url) = url.parse::<Uri>() {
            let _ = refuse_credential_in_url(&url, &Brand::default());
        }
    }
}
