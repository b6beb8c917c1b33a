//! What a request carries is one credential, none, or refused with its own code.

use proptest::prelude::*;

use cachegate_token::{Ambiguity, Brand, Credential, CredentialError, OpaqueError, OpaqueKind};
use cachegate_types::WorkspaceId;

use crate::numbers::Numbers;

const WORKSPACE: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const JWT: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln-_A";

fn ci() -> String {
    Numbers(10).text(OpaqueKind::Ci, &Brand::default())
}

fn personal() -> String {
    Numbers(11).text(OpaqueKind::Personal, &Brand::default())
}

/// Standard Base64 with padding, written out here so that the decoder is not checked against its own crate.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0_usize, |word, at| (word << 8) | usize::from(*chunk.get(at).unwrap_or(&0)));
        for at in 0..4 {
            let digit = char::from(ALPHABET[(word >> (18 - 6 * at)) & 63]);
            text.push(if at <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

fn basic(login_and_password: &str) -> String {
    format!("Basic {}", base64(login_and_password.as_bytes()))
}

/// What a credential is, without its secrets: for comparing in tests.
fn outline(credential: &Credential<'_>) -> String {
    match credential {
        Credential::Opaque(token) => format!("opaque {} {}", token.kind(), token.id()),
        Credential::IssuedJwt(text) => format!("issued {}", text.expose_secret()),
        Credential::ForeignJwt(text) => format!("foreign {}", text.expose_secret()),
        Credential::NxCloud { workspace, token } => format!("nx {workspace} {} {}", token.kind(), token.id()),
    }
}

type Outcome = Result<Option<String>, CredentialError>;

fn header(value: impl AsRef<[u8]>) -> Outcome {
    let found = Credential::bearer_header(value.as_ref(), &Brand::default())?;
    Ok(found.as_ref().map(outline))
}

fn fields(fields: &[(&str, &str)]) -> Outcome {
    let fields = fields.iter().map(|(name, value)| (*name, value.as_bytes()));
    let found = Credential::from_fields(fields, &Brand::default())?;
    Ok(found.as_ref().map(outline))
}

fn parse(text: &str) -> Result<String, CredentialError> {
    Credential::parse(text, &Brand::default()).map(|credential| outline(&credential))
}

fn id_of(text: &str) -> String {
    Credential::parse(text, &Brand::default())
        .expect("a credential")
        .public_id()
        .expect("an opaque token's id")
        .to_string()
}

// What is accepted.

#[test]
fn each_form_is_told_by_its_prefix_alone() {
    let brand = Brand::default();
    let issued = format!("cg1_{JWT}");
    for (text, kind, has_id) in
        [(ci(), "opaque", true), (issued, "issued_jwt", false), (JWT.to_owned(), "foreign_jwt", false)]
    {
        let credential = Credential::parse(&text, &brand).expect("a credential");
        assert_eq!((credential.kind(), credential.public_id().is_some()), (kind, has_id));
    }
    assert_eq!(parse(&format!("cg1_{JWT}")), Ok(format!("issued {JWT}")));
    assert_eq!(parse(JWT), Ok(format!("foreign {JWT}")));
}

#[test]
fn a_token_is_the_same_however_it_travels() {
    let brand = Brand::default();
    for text in [ci(), personal(), format!("cg1_{JWT}"), JWT.to_owned()] {
        let expected = parse(&text).expect("a credential");
        let digest = Credential::parse(&text, &brand).expect("a credential").cache_digest(b"v");
        for value in [
            format!("Bearer {text}"),
            format!("bearer {text}"),
            format!("BEARER {text}"),
            format!("Bearer   {text}"),
            basic(&format!("flakehub:{text}")),
            basic(&format!(":{text}")),
            basic(&format!("login with blanks, commas and \u{e9}:{text}")),
            basic(&format!("{}:{text}", "x".repeat(2000))),
            basic(&format!("x:{text}")).replacen("Basic", "bASIC", 1),
        ] {
            assert_eq!(header(&value), Ok(Some(expected.clone())), "{} bytes", value.len());
            let found = Credential::bearer_header(value.as_bytes(), &brand).expect("one").expect("one");
            assert_eq!(found.cache_digest(b"v"), digest);
        }
    }
}

#[test]
fn basic_is_split_at_the_first_colon_and_the_rest_is_the_password() {
    let token = ci();
    assert_eq!(header(basic(&format!("a:{token}"))), parse(&token).map(Some));
    let error = header(basic(&format!("a:b:{token}")));
    assert_eq!(error, Err(CredentialError::UnknownFormat), "`b:` belongs to the password");
    let error = header(basic(&format!("a:{token}:b"))).map_err(|error| error.code());
    assert_eq!(error, Err("malformed"), "`:b` belongs to the password");
}

#[test]
fn nothing_behind_the_scheme_is_no_credential() {
    for value in ["Bearer", "Bearer ", "bearer  ", "Basic", "Basic ", "basic   "] {
        assert_eq!(header(value), Ok(None), "{value:?}");
    }
}

#[test]
fn an_empty_password_is_no_credential_and_matches_nothing() {
    for pair in [":", "login:", "cgc_looks_like_a_token:"] {
        assert_eq!(header(basic(pair)), Ok(None), "{pair}");
    }
}

#[test]
fn no_field_is_no_credential() {
    assert_eq!(fields(&[]), Ok(None));
    let token = format!("Bearer {}", ci());
    for name in
        ["Proxy-Authorization", "Cookie", "X-Authorization", "Authorization2", "Authorizatio", "Host", ""]
    {
        assert_eq!(fields(&[(name, &token)]), Ok(None), "{name}");
    }
}

#[test]
fn field_names_count_in_either_case() {
    let token = format!("Bearer {}", ci());
    let expected = parse(&ci()).map(Some);
    for name in ["authorization", "Authorization", "AUTHORIZATION"] {
        assert_eq!(fields(&[("host", "x"), (name, &token), ("accept", "*/*")]), expected);
    }
}

#[test]
fn nx_clouds_pair_is_one_credential() {
    let token = personal();
    let expected = format!("nx {WORKSPACE} personal {}", id_of(&token));
    assert_eq!(
        fields(&[("Nx-Cloud-Id", WORKSPACE), ("Nx-Cloud-Personal-Access-Token", &token)]),
        Ok(Some(expected.clone()))
    );
    assert_eq!(
        fields(&[("nx-cloud-personal-access-token", &token), ("NX-CLOUD-ID", WORKSPACE)]),
        Ok(Some(expected))
    );
}

#[test]
fn nx_clouds_id_alone_is_public_and_no_credential() {
    for id in [WORKSPACE, "", "5f0c1a2b3c4d5e6f7a8b9c0d"] {
        assert_eq!(fields(&[("Nx-Cloud-Id", id)]), Ok(None));
        assert_eq!(fields(&[("Nx-Cloud-Id", id), ("Nx-Cloud-Personal-Access-Token", "")]), Ok(None));
        // It is no second credential either.
        let token = format!("Bearer {}", ci());
        assert_eq!(fields(&[("Nx-Cloud-Id", id), ("Authorization", &token)]), parse(&ci()).map(Some));
    }
}

#[test]
fn an_empty_place_leaves_the_other_ones_token_the_only_one() {
    let (token, bearer) = (personal(), format!("Bearer {}", ci()));
    assert_eq!(
        fields(&[("Authorization", &bearer), ("Nx-Cloud-Personal-Access-Token", "")]),
        parse(&ci()).map(Some)
    );
    let pair = [("Nx-Cloud-Id", WORKSPACE), ("Nx-Cloud-Personal-Access-Token", token.as_str())];
    let alone = fields(&pair);
    assert_eq!(fields(&[("Authorization", "Bearer "), pair[0], pair[1]]), alone);
}

// A30 and its kin: each alternative by itself, one change from what is accepted, refused with its own code.

macro_rules! refused {
    ($($name:ident: $outcome:expr => $error:pat, $code:literal;)*) => {$(
        #[test]
        fn $name() {
            let error = match $outcome {
                Ok(found) => panic!("accepted as {found:?}"),
                Err(error) => error,
            };
            assert!(matches!(error, $error), "{error:?}");
            assert_eq!(error.code(), $code);
        }
    )*};
}

fn bearer() -> String {
    format!("Bearer {}", ci())
}

refused! {
    a30_the_same_authorization_twice_is_ambiguous:
        fields(&[("Authorization", &bearer()), ("Authorization", &bearer())])
        => CredentialError::Ambiguous(Ambiguity::DoubledField { field: "authorization" }), "ambiguous";
    a30_two_different_authorizations_are_ambiguous:
        fields(&[("Authorization", &bearer()), ("authorization", &format!("Bearer {}", personal()))])
        => CredentialError::Ambiguous(Ambiguity::DoubledField { field: "authorization" }), "ambiguous";
    a30_an_authorization_beside_an_empty_one_is_ambiguous:
        fields(&[("Authorization", &bearer()), ("Authorization", "")])
        => CredentialError::Ambiguous(Ambiguity::DoubledField { .. }), "ambiguous";
    a30_two_authorizations_with_nothing_behind_the_scheme_are_ambiguous:
        fields(&[("Authorization", "Bearer "), ("Authorization", "Bearer ")])
        => CredentialError::Ambiguous(Ambiguity::DoubledField { .. }), "ambiguous";
    a30_bearer_and_basic_of_one_token_are_ambiguous:
        fields(&[("Authorization", &bearer()), ("Authorization", &basic(&format!("x:{}", ci())))])
        => CredentialError::Ambiguous(Ambiguity::DoubledField { .. }), "ambiguous";
    a30_a_list_of_two_bearers_is_ambiguous:
        header(format!("{0}, {0}", bearer())) => CredentialError::Ambiguous(Ambiguity::List), "ambiguous";
    a30_a_list_without_a_blank_is_ambiguous:
        header(format!("{0},{0}", bearer())) => CredentialError::Ambiguous(Ambiguity::List), "ambiguous";
    a30_a_list_of_two_tokens_is_ambiguous:
        header(format!("{},{}", bearer(), personal())) => CredentialError::Ambiguous(Ambiguity::List), "ambiguous";
    a30_a_trailing_comma_is_ambiguous:
        header(format!("{},", bearer())) => CredentialError::Ambiguous(Ambiguity::List), "ambiguous";
    a30_a_leading_comma_is_ambiguous:
        header(format!(", {}", bearer())) => CredentialError::Ambiguous(Ambiguity::List), "ambiguous";
    a30_a_comma_right_behind_the_scheme_is_ambiguous:
        header(format!("Bearer, {}", bearer())) => CredentialError::Ambiguous(Ambiguity::List), "ambiguous";
    a30_a_comma_before_the_token_is_ambiguous:
        header(format!("Bearer ,{}", ci())) => CredentialError::Ambiguous(Ambiguity::List), "ambiguous";
    a30_basic_and_bearer_in_a_list_are_ambiguous:
        header(format!("{}, {}", basic(&format!("x:{}", ci())), bearer()))
        => CredentialError::Ambiguous(Ambiguity::List), "ambiguous";
    a30_bearer_parameters_are_ambiguous:
        header(format!("{}, realm=\"x\"", bearer())) => CredentialError::Ambiguous(Ambiguity::List), "ambiguous";
    a30_a_list_of_jwts_is_ambiguous:
        header(format!("Bearer {JWT},{JWT}")) => CredentialError::Ambiguous(Ambiguity::List), "ambiguous";
    a30_a_list_within_the_password_is_ambiguous:
        header(basic(&format!("x:{},{}", ci(), ci()))) => CredentialError::Ambiguous(Ambiguity::List), "ambiguous";

    a30_no_scheme_but_the_token_is_an_unknown_scheme:
        header(ci()) => CredentialError::UnknownScheme, "unknown_scheme";
    a30_no_scheme_but_a_jwt_is_an_unknown_scheme:
        header(JWT) => CredentialError::UnknownScheme, "unknown_scheme";
    a30_digest_is_an_unknown_scheme:
        header("Digest username=\"x\", realm=\"y\"") => CredentialError::UnknownScheme, "unknown_scheme";
    a30_token_is_an_unknown_scheme:
        header(format!("token {}", ci())) => CredentialError::UnknownScheme, "unknown_scheme";
    a30_a_scheme_that_begins_as_bearer_is_unknown:
        header(format!("Bearers {}", ci())) => CredentialError::UnknownScheme, "unknown_scheme";
    a30_a_scheme_that_bearer_begins_as_is_unknown:
        header(format!("Beare {}", ci())) => CredentialError::UnknownScheme, "unknown_scheme";
    a30_a_colon_behind_the_scheme_is_an_unknown_scheme:
        header(format!("Bearer: {}", ci())) => CredentialError::UnknownScheme, "unknown_scheme";
    a30_a_scheme_in_wide_letters_is_not_visible:
        header(format!("\u{ff22}earer {}", ci())) => CredentialError::InvisibleByte { position: 0 }, "invisible_byte";
    a30_an_empty_header_is_malformed:
        header("") => CredentialError::Malformed, "malformed";
    a30_a_blank_header_is_malformed:
        header(" ") => CredentialError::Malformed, "malformed";
    a30_a_blank_before_the_scheme_is_malformed:
        header(format!(" {}", bearer())) => CredentialError::Malformed, "malformed";

    a30_a_tab_behind_the_scheme_is_not_visible:
        header(format!("Bearer\t{}", ci())) => CredentialError::InvisibleByte { position: 6 }, "invisible_byte";
    a30_a_tab_before_the_token_is_not_visible:
        header(format!("Bearer \t{}", ci())) => CredentialError::InvisibleByte { position: 0 }, "invisible_byte";
    a30_a_blank_behind_the_token_is_not_visible:
        header(format!("{} ", bearer())) => CredentialError::InvisibleByte { position: 75 }, "invisible_byte";
    a30_a_second_word_is_not_visible_as_one_token:
        header(format!("{} x", bearer())) => CredentialError::InvisibleByte { position: 75 }, "invisible_byte";
    a30_a_line_end_behind_the_token_is_not_visible:
        header(format!("{}\n", bearer())) => CredentialError::InvisibleByte { position: 75 }, "invisible_byte";
    a30_a_nul_behind_the_token_is_not_visible:
        header(format!("{}\0", bearer())) => CredentialError::InvisibleByte { position: 75 }, "invisible_byte";
    a30_a_byte_beyond_ascii_is_not_visible:
        header([bearer().as_bytes(), b"\xFF"].concat()) => CredentialError::InvisibleByte { position: 75 }, "invisible_byte";
    a30_a_line_end_behind_the_password_is_not_visible:
        header(basic(&format!("x:{}\n", ci()))) => CredentialError::InvisibleByte { position: 75 }, "invisible_byte";
    a30_quotes_around_the_token_are_an_unknown_format:
        header(format!("Bearer \"{}\"", ci())) => CredentialError::UnknownFormat, "unknown_format";

    a30_basic_without_a_colon_is_malformed:
        header(basic(&ci())) => CredentialError::MalformedBasic, "malformed_basic";
    a30_basic_without_base64_is_malformed:
        header(format!("Basic x:{}", ci())) => CredentialError::MalformedBasic, "malformed_basic";
    a30_basic_without_its_padding_is_malformed:
        header(basic(&format!("x:{}", ci())).trim_end_matches('=')) => CredentialError::MalformedBasic, "malformed_basic";
    a30_basic_with_too_much_padding_is_malformed:
        header(format!("{}=", basic(&format!("x:{}", ci())))) => CredentialError::MalformedBasic, "malformed_basic";
    a30_basic_with_bits_left_over_is_malformed:
        header(loose_bits()) => CredentialError::MalformedBasic, "malformed_basic";
    a30_basic_in_base64url_is_malformed:
        header(basic(&format!("??>:{}", ci())).replace('/', "_").replace('+', "-"))
        => CredentialError::MalformedBasic, "malformed_basic";
    a30_basic_with_a_blank_in_it_is_not_visible:
        header(basic(&format!("x:{}", ci())).replace("Basic eD", "Basic eD ")) => CredentialError::InvisibleByte { position: 2 }, "invisible_byte";
    a30_basic_with_a_token_as_login_and_a_word_as_password_is_an_unknown_format:
        header(basic(&format!("{}:x-oauth-basic", ci()))) => CredentialError::UnknownFormat, "unknown_format";
    a30_a_bearer_header_within_the_password_is_not_visible_as_one_token:
        header(basic(&format!("x:{}", bearer()))) => CredentialError::InvisibleByte { position: 6 }, "invisible_byte";

    a30_a_token_in_both_places_is_ambiguous:
        fields(&[("Authorization", &bearer()), ("Nx-Cloud-Id", WORKSPACE), ("Nx-Cloud-Personal-Access-Token", &personal())])
        => CredentialError::Ambiguous(Ambiguity::TwoCredentials), "ambiguous";
    a30_one_token_in_both_places_is_ambiguous:
        fields(&[
            ("Authorization", &format!("Bearer {}", personal())),
            ("Nx-Cloud-Id", WORKSPACE),
            ("Nx-Cloud-Personal-Access-Token", &personal()),
        ])
        => CredentialError::Ambiguous(Ambiguity::TwoCredentials), "ambiguous";
    a30_nx_clouds_token_twice_is_ambiguous:
        fields(&[
            ("Nx-Cloud-Id", WORKSPACE),
            ("Nx-Cloud-Personal-Access-Token", &personal()),
            ("Nx-Cloud-Personal-Access-Token", &personal()),
        ])
        => CredentialError::Ambiguous(Ambiguity::DoubledField { field: "nx-cloud-personal-access-token" }), "ambiguous";
    a30_nx_clouds_id_twice_is_ambiguous:
        fields(&[("Nx-Cloud-Id", WORKSPACE), ("Nx-Cloud-Id", WORKSPACE), ("Nx-Cloud-Personal-Access-Token", &personal())])
        => CredentialError::Ambiguous(Ambiguity::DoubledField { field: "nx-cloud-id" }), "ambiguous";
    a30_nx_clouds_id_twice_is_ambiguous_even_alone:
        fields(&[("Nx-Cloud-Id", WORKSPACE), ("Nx-Cloud-Id", WORKSPACE)])
        => CredentialError::Ambiguous(Ambiguity::DoubledField { field: "nx-cloud-id" }), "ambiguous";
    a30_a_list_of_nx_clouds_tokens_is_ambiguous:
        fields(&[("Nx-Cloud-Id", WORKSPACE), ("Nx-Cloud-Personal-Access-Token", &format!("{0}, {0}", personal()))])
        => CredentialError::Ambiguous(Ambiguity::List), "ambiguous";
    a30_a_list_of_nx_clouds_ids_is_ambiguous:
        fields(&[("Nx-Cloud-Id", &format!("{WORKSPACE}, {WORKSPACE}")), ("Nx-Cloud-Personal-Access-Token", &personal())])
        => CredentialError::Ambiguous(Ambiguity::List), "ambiguous";
    a30_nx_clouds_token_without_the_id_misses_it:
        fields(&[("Nx-Cloud-Personal-Access-Token", &personal())])
        => CredentialError::MissingWorkspace, "missing_workspace";
    a30_nx_clouds_token_with_an_empty_id_misses_it:
        fields(&[("Nx-Cloud-Id", ""), ("Nx-Cloud-Personal-Access-Token", &personal())])
        => CredentialError::MissingWorkspace, "missing_workspace";
    a30_nx_clouds_id_that_is_none_is_malformed:
        fields(&[("Nx-Cloud-Id", "5f0c1a2b3c4d5e6f7a8b9c0d"), ("Nx-Cloud-Personal-Access-Token", &personal())])
        => CredentialError::MalformedWorkspace, "malformed_workspace";
    a30_nx_clouds_id_in_another_notation_is_malformed:
        fields(&[("Nx-Cloud-Id", &WORKSPACE.replace('-', "")), ("Nx-Cloud-Personal-Access-Token", &personal())])
        => CredentialError::MalformedWorkspace, "malformed_workspace";
    a30_nx_clouds_id_with_a_blank_is_malformed:
        fields(&[("Nx-Cloud-Id", &format!("{WORKSPACE} ")), ("Nx-Cloud-Personal-Access-Token", &personal())])
        => CredentialError::MalformedWorkspace, "malformed_workspace";
    a30_a_ci_token_as_nx_clouds_personal_one_is_of_the_wrong_kind:
        fields(&[("Nx-Cloud-Id", WORKSPACE), ("Nx-Cloud-Personal-Access-Token", &ci())])
        => CredentialError::WrongKind, "wrong_kind";
    a30_a_refresh_token_as_nx_clouds_personal_one_is_of_the_wrong_kind:
        fields(&[("Nx-Cloud-Id", WORKSPACE), ("Nx-Cloud-Personal-Access-Token", &refresh())])
        => CredentialError::WrongKind, "wrong_kind";
    a30_a_jwt_as_nx_clouds_personal_token_is_of_the_wrong_kind:
        fields(&[("Nx-Cloud-Id", WORKSPACE), ("Nx-Cloud-Personal-Access-Token", &format!("cg1_{JWT}"))])
        => CredentialError::WrongKind, "wrong_kind";
    a30_a_foreign_jwt_as_nx_clouds_personal_token_is_of_the_wrong_kind:
        fields(&[("Nx-Cloud-Id", WORKSPACE), ("Nx-Cloud-Personal-Access-Token", JWT)])
        => CredentialError::WrongKind, "wrong_kind";
    a30_nx_clouds_token_behind_a_scheme_is_not_visible_as_one_token:
        fields(&[("Nx-Cloud-Id", WORKSPACE), ("Nx-Cloud-Personal-Access-Token", &format!("Bearer {}", personal()))])
        => CredentialError::InvisibleByte { position: 6 }, "invisible_byte";
    a30_nx_clouds_token_with_a_typo_is_a_bad_checksum:
        fields(&[("Nx-Cloud-Id", WORKSPACE), ("Nx-Cloud-Personal-Access-Token", &typo(&personal()))])
        => CredentialError::Opaque(OpaqueError::BadChecksum), "bad_checksum";
    a30_a_bad_authorization_is_not_healed_by_a_good_pair:
        fields(&[
            ("Authorization", "Digest x"),
            ("Nx-Cloud-Id", WORKSPACE),
            ("Nx-Cloud-Personal-Access-Token", &personal()),
        ])
        => CredentialError::UnknownScheme, "unknown_scheme";
    a30_a_bad_pair_is_not_healed_by_a_good_authorization:
        fields(&[("Authorization", &bearer()), ("Nx-Cloud-Personal-Access-Token", &personal())])
        => CredentialError::MissingWorkspace, "missing_workspace";

    an_unknown_version_behind_the_brand_is_no_foreign_jwt:
        parse(&format!("cg2_{JWT}")) => CredentialError::UnknownVersion, "unknown_version";
    version_nought_is_unknown:
        parse(&format!("cg0_{JWT}")) => CredentialError::UnknownVersion, "unknown_version";
    an_unknown_kind_behind_the_brand_is_refused:
        parse(&ci().replacen("cgc_", "cgd_", 1)) => CredentialError::Opaque(OpaqueError::UnknownKind), "unknown_kind";
    a_kind_in_upper_case_is_unknown:
        parse(&ci().replacen("cgc_", "cgC_", 1)) => CredentialError::Opaque(OpaqueError::UnknownKind), "unknown_kind";
    one_kind_relabelled_as_another_is_a_bad_checksum:
        parse(&ci().replacen("cgc_", "cgp_", 1)) => CredentialError::Opaque(OpaqueError::BadChecksum), "bad_checksum";
    a_brand_in_upper_case_is_an_unknown_format:
        parse(&ci().replacen("cgc_", "CGc_", 1)) => CredentialError::UnknownFormat, "unknown_format";
    a_jwt_behind_an_opaque_prefix_is_malformed:
        parse(&format!("cgp_{JWT}")) => CredentialError::Opaque(OpaqueError::Length { .. }), "malformed";
    an_opaque_token_behind_the_jwt_prefix_is_no_jwt:
        parse(&format!("cg1_{}", ci())) => CredentialError::MalformedJwt, "malformed_jwt";
    a_prefix_with_nothing_behind_it_is_no_jwt:
        parse("cg1_") => CredentialError::MalformedJwt, "malformed_jwt";
    another_products_token_is_an_unknown_format:
        parse("ghp_16C7e42F292c6912E7710c838347Ae178B4a") => CredentialError::UnknownFormat, "unknown_format";
    a_password_that_people_choose_is_an_unknown_format:
        header(basic("admin:hunter2")) => CredentialError::UnknownFormat, "unknown_format";
    an_empty_text_is_an_unknown_format:
        parse("") => CredentialError::UnknownFormat, "unknown_format";
    a_jwt_of_two_parts_is_malformed:
        parse("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0") => CredentialError::MalformedJwt, "malformed_jwt";
    a_jwt_of_four_parts_is_malformed:
        parse(&format!("{JWT}.x")) => CredentialError::MalformedJwt, "malformed_jwt";
    an_encrypted_jwt_of_five_parts_is_malformed:
        parse(&format!("{JWT}.x.y")) => CredentialError::MalformedJwt, "malformed_jwt";
    a_jwt_without_a_signature_is_malformed:
        parse("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.") => CredentialError::MalformedJwt, "malformed_jwt";
    a_jwt_without_a_payload_is_malformed:
        parse("eyJhbGciOiJFZERTQSJ9..c2ln") => CredentialError::MalformedJwt, "malformed_jwt";
    a_jwt_without_a_header_is_malformed:
        parse(".eyJzdWIiOiJ4In0.c2ln") => CredentialError::MalformedJwt, "malformed_jwt";
    a_jwt_with_padding_is_malformed:
        parse(&format!("{JWT}=")) => CredentialError::MalformedJwt, "malformed_jwt";
    a_jwt_in_plain_base64_is_malformed:
        parse(&JWT.replace('-', "+")) => CredentialError::MalformedJwt, "malformed_jwt";
    a_jwt_in_the_json_serialization_is_an_unknown_format:
        parse("{\"payload\":\"eyJ9\"}") => CredentialError::UnknownFormat, "unknown_format";
}

fn refresh() -> String {
    Numbers(12).text(OpaqueKind::Refresh, &Brand::default())
}

/// One secret digit is another one.
fn typo(text: &str) -> String {
    let digit = if &text[50..51] == "x" { "y" } else { "x" };
    format!("{}{digit}{}", &text[..50], &text[51..])
}

/// The last digit before the padding with a bit that belongs to no byte: the second spelling of the same bytes.
fn loose_bits() -> String {
    let value = basic(&format!("x:{}", ci()));
    let digits = value.trim_end_matches('=');
    assert_eq!(value.len() - digits.len(), 1, "two bits belong to no byte");
    let (rest, last) = digits.split_at(digits.len() - 1);
    format!("{rest}{}=", char::from(last.as_bytes()[0] + 1))
}

#[test]
fn a_jwt_is_of_base64url_and_dots_alone_wherever_one_looks() {
    // Long enough for whole blocks of bytes and a rest.
    let jwt = format!("{}.{}.{}", "a".repeat(70), "b".repeat(90), "c".repeat(20));
    for position in 0..jwt.len() {
        for byte in 0..=0x7F_u8 {
            let mut bytes = jwt.clone().into_bytes();
            bytes[position] = byte;
            let changed = String::from_utf8(bytes).expect("ASCII");
            let dots = changed.bytes().filter(|byte| *byte == b'.').count();
            let good = dots == 2 && (byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
            assert_eq!(parse(&changed).is_ok(), good, "byte {byte:#04x} at {position}");
            assert_eq!(parse(&format!("cg1_{changed}")).is_ok(), good, "byte {byte:#04x} at {position}");
        }
    }
}

// Not mine, and mine and wrong.

#[test]
fn only_what_no_verifier_here_knows_is_not_ours() {
    let not_ours = |text: &str| parse(text).map_err(|error| error.is_not_ours()).err();
    for stranger in ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "hunter2", "CGC_x", "cgcc_x", "cg"] {
        assert_eq!(not_ours(stranger), Some(true), "{stranger}");
    }
    let ours =
        [typo(&ci()), ci()[..74].to_owned(), "cgx_x".into(), "cg2_x".into(), "cg1_x".into(), "a.b".into()];
    for wrong in ours {
        assert_eq!(not_ours(&wrong), Some(false), "{wrong}");
    }
}

#[test]
fn every_code_is_stable_and_snake_case() {
    let field = "authorization";
    let all = [
        (CredentialError::TooLarge { length: 1 }, "too_large"),
        (CredentialError::InvisibleByte { position: 1 }, "invisible_byte"),
        (CredentialError::Malformed, "malformed"),
        (CredentialError::UnknownScheme, "unknown_scheme"),
        (CredentialError::Ambiguous(Ambiguity::DoubledField { field }), "ambiguous"),
        (CredentialError::Ambiguous(Ambiguity::List), "ambiguous"),
        (CredentialError::Ambiguous(Ambiguity::TwoCredentials), "ambiguous"),
        (CredentialError::MalformedBasic, "malformed_basic"),
        (CredentialError::MissingWorkspace, "missing_workspace"),
        (CredentialError::MalformedWorkspace, "malformed_workspace"),
        (CredentialError::WrongKind, "wrong_kind"),
        (CredentialError::InUrl, "in_url"),
        (CredentialError::UnknownFormat, "unknown_format"),
        (CredentialError::UnknownVersion, "unknown_version"),
        (CredentialError::MalformedJwt, "malformed_jwt"),
        (OpaqueError::TooLarge { length: 1 }.into(), "too_large"),
        (OpaqueError::NotOurs.into(), "unknown_format"),
        (OpaqueError::UnknownKind.into(), "unknown_kind"),
        (OpaqueError::Length { length: 1, expected: 2 }.into(), "malformed"),
        (OpaqueError::Character { position: 1 }.into(), "malformed"),
        (OpaqueError::BadChecksum.into(), "bad_checksum"),
        (OpaqueError::NotCanonical.into(), "not_canonical"),
    ];
    for (error, code) in all {
        assert_eq!(error.code(), code);
        let message = error.to_string();
        assert!(!message.ends_with('.') && !message.contains('\n') && !message.is_empty(), "{message}");
        assert_eq!(error.is_not_ours(), code == "unknown_format", "{code}");
    }
}

// The key of a cache of verified credentials.

#[test]
fn a22_whatever_differs_has_another_cache_key() {
    let brand = Brand::default();
    let mut numbers = Numbers(13);
    let other_jwt = JWT.replacen("c2ln", "c2lm", 1);
    let mut texts = vec![JWT.to_owned(), other_jwt, format!("cg1_{JWT}")];
    for kind in OpaqueKind::ALL {
        texts.extend((0..50).map(|_| numbers.text(kind, &brand)));
    }
    let token = personal();
    let other_workspace = WORKSPACE.replacen('0', "1", 1);
    let mut keys = Vec::new();
    for verifier in [&b""[..], b"a", b"ab", b"b", b"gate"] {
        for text in &texts {
            keys.push(Credential::parse(text, &brand).expect("a credential").cache_digest(verifier));
        }
        // The same token by itself and in the pair, and the pair for two workspaces.
        keys.push(Credential::parse(&token, &brand).expect("a credential").cache_digest(verifier));
        for workspace in [WORKSPACE, &other_workspace] {
            let pair = [("nx-cloud-id", workspace), ("nx-cloud-personal-access-token", &token)];
            let fields = pair.iter().map(|(name, value)| (*name, value.as_bytes()));
            let credential = Credential::from_fields(fields, &brand).expect("one").expect("one");
            assert!(matches!(&credential, Credential::NxCloud { workspace: id, .. }
                if *id == workspace.parse::<WorkspaceId>().expect("an id")));
            keys.push(credential.cache_digest(verifier));
        }
    }
    let count = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), count);
}

#[test]
fn a_cache_key_follows_its_text_alone() {
    let brand = Brand::default();
    for text in [ci(), format!("cg1_{JWT}"), JWT.to_owned()] {
        let credential = Credential::parse(&text, &brand).expect("a credential");
        let key = credential.cache_digest(b"gate");
        assert_eq!(credential.clone().cache_digest(b"gate"), key);
        assert_eq!(credential.into_owned().cache_digest(b"gate"), key, "owned and borrowed are one");
        assert_eq!(Credential::parse(&text, &brand).expect("a credential").cache_digest(b"gate"), key);
    }
}

#[test]
fn a_cache_key_is_sha_256_of_what_it_says() {
    // `cgcred1`, the verifier's length in eight bytes, the verifier, the form, the text: by Python's hashlib.
    let key = Credential::parse("a.b.c", &Brand::default()).expect("a credential").cache_digest(b"gate");
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "991df196a109d3e7e235ccd3ab6e4159525f398f07caff99698e15a22b3c1b21");
}

// Any bytes.

/// Pieces of which real and broken headers are made.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"Bearer ".to_vec()),
        Just(b"Basic ".to_vec()),
        Just(b"bEARER".to_vec()),
        Just(b"cgc_".to_vec()),
        Just(b"cg1_".to_vec()),
        Just(b", ".to_vec()),
        Just(b".".to_vec()),
        Just(b" ".to_vec()),
        Just(b"\xF0\x9F\x92".to_vec()),
        Just(ci().into_bytes()),
        Just(JWT.as_bytes().to_vec()),
        Just(base64(format!("x:{}", ci()).as_bytes()).into_bytes()),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_panic_and_no_credential_comes_from_nowhere(value in pieces()) {
        if let Ok(Some(credential)) = Credential::bearer_header(&value, &Brand::default()) {
            let text = match &credential {
                Credential::Opaque(token) => token.to_text(&Brand::default()).expose_secret().to_owned(),
                Credential::IssuedJwt(text) | Credential::ForeignJwt(text) => text.expose_secret().to_owned(),
                Credential::NxCloud { .. } => return Err(TestCaseError::fail("from one header")),
            };
            let basic = base64(format!("x:{text}").as_bytes());
            prop_assert!(contains(&value, text.as_bytes()) || contains(&value, basic.as_bytes()));
        }
    }

    #[test]
    fn no_text_panics(text: String, brand in "[a-z]{2,8}") {
        let brand: Brand = brand.parse().expect("a brand");
        for text in [text.clone(), format!("{brand}{text}"), format!("{brand}c_{text}"), format!("{brand}1_{text}")] {
            let _ = Credential::parse(&text, &brand).map(|credential| credential.cache_digest(b"gate"));
        }
    }

    #[test]
    fn any_login_is_ignored(login in "[^:]{0,100}") {
        prop_assert_eq!(header(basic(&format!("{login}:{}", ci()))), parse(&ci()).map(Some));
    }

    #[test]
    fn no_byte_can_be_put_into_a_credential_without_refusal(position in 0_usize..=75, byte: u8) {
        let mut token = ci().into_bytes();
        token.insert(position, byte);
        let value = [b"Bearer ", &token[..]].concat();
        // A blank before the token is what the grammar allows: `Bearer` 1*SP b64token.
        if (position, byte) == (0, b' ') {
            prop_assert!(header(value).is_ok());
        } else {
            prop_assert!(header(value).is_err());
        }
    }

    #[test]
    fn fields_in_any_order_are_the_same_credential(order in Just(vec![0, 1, 2, 3]).prop_shuffle()) {
        let token = personal();
        let all = [
            ("Nx-Cloud-Id", WORKSPACE),
            ("Nx-Cloud-Personal-Access-Token", token.as_str()),
            ("Authorization", "Bearer "),
            ("Host", "x"),
        ];
        let shuffled: Vec<_> = order.into_iter().map(|index: usize| all[index]).collect();
        prop_assert_eq!(fields(&shuffled), fields(&all));
    }
}
