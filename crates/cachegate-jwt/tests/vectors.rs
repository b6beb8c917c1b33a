//! The vectors of the RFCs. Those of Wycheproof sign bare messages and run beside the back-end, in the crate's own
//! tests.

mod common;

use cachegate_jwt::{Algorithm, JwsError, UnverifiedJws};
use common::*;

fn verify(token: &str, jwk: &str) -> Result<Vec<u8>, JwsError> {
    let key = verifying_key(jwk);
    UnverifiedJws::parse(token)?.verify_with(&key, &Algorithm::ALL).map(|jws| jws.payload().to_vec())
}

const A_PAYLOAD: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

#[test]
fn rfc_7515_a_2_rs256_verifies() {
    let token = format!(
        "eyJhbGciOiJSUzI1NiJ9.{A_PAYLOAD}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
    assert_eq!(verify(&token, &rsa_jwk(r#","alg":"RS256""#)), Ok(unb64(A_PAYLOAD)));
    // PKCS #1 v1.5 is deterministic: our own signature is the printed one.
    assert_eq!(sign_parts(Algorithm::Rs256, "eyJhbGciOiJSUzI1NiJ9", A_PAYLOAD), token);
}

#[test]
fn rfc_7515_a_3_es256_verifies() {
    let token = format!(
        "eyJhbGciOiJFUzI1NiJ9.{A_PAYLOAD}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    assert_eq!(verify(&token, &ec_jwk("")), Ok(unb64(A_PAYLOAD)));
}

#[test]
fn rfc_7515_a_1_a_4_and_a_5_are_not_spoken() {
    for header in ["eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJFUzUxMiJ9", "eyJhbGciOiJub25lIn0"]
    {
        let parsed = UnverifiedJws::parse(&format!("{header}.{A_PAYLOAD}.AA")).map(|_| ());
        assert_eq!(parsed, Err(JwsError::UnsupportedAlgorithm));
    }
}

#[test]
fn rfc_8037_a_4_and_a_5_eddsa_sign_and_verify() {
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(verify(token, &ed_jwk("")), Ok(b"Example of Ed25519 signing".to_vec()));
    assert_eq!(forge(Algorithm::EdDsa, r#"{"alg":"EdDSA"}"#, "Example of Ed25519 signing"), token);
}

#[test]
fn rfc_7638_and_rfc_8037_thumbprints() {
    let rfc_7638 = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
    assert_eq!(
        verifying_key(rfc_7638).thumbprint().to_string(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
    let key = verifying_key(&ed_jwk(""));
    assert_eq!(key.thumbprint().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_eq!(key.kid().as_bytes(), b"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}
