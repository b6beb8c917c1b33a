//! The Wycheproof vectors, run whole: each verdict of ours is theirs, or the divergence is listed here with its
//! reason. The back-end in use is tested together with the key policy before it.

use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

use crate::{Algorithm, KeyError, VerifyingKey, base64url};

/// How many vectors were run, and those whose verdict is not ours.
#[derive(Default)]
struct Tally {
    run: usize,
    valid: usize,
    diverging: Vec<usize>,
}

impl Tally {
    fn count(&mut self, id: usize, expected: TestResult, accepted: bool) {
        self.run += 1;
        self.valid += usize::from(accepted);
        let agrees = match expected {
            TestResult::Valid => accepted,
            TestResult::Invalid => !accepted,
            // PKCS #1 without the NULL of the digest's parameters: old signers made it, no signer of tokens does.
            TestResult::Acceptable => !accepted,
        };
        if !agrees {
            self.diverging.push(id);
        }
    }

    #[track_caller]
    fn expect(&self, run: usize, diverging: &[usize]) {
        assert_eq!(self.diverging, diverging, "of {} vectors, {} accepted", self.run, self.valid);
        assert_eq!(self.run, run);
        assert!(self.valid > 0, "nothing was accepted: the keys were not read");
    }
}

#[test]
fn ed25519() {
    let mut tally = Tally::default();
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).expect("vectors");
    for group in set.test_groups {
        let bytes = group.key.pk.as_slice().try_into().expect("32 bytes");
        let key = VerifyingKey::from_ed25519_bytes(bytes).expect("a good key");
        for test in group.tests {
            tally.count(test.tc_id, test.result, key.verifies(&test.msg, &test.sig));
        }
    }
    tally.expect(151, &[]);
}

#[test]
fn ecdsa_p256_and_p384() {
    for (name, curve, length, run, diverging) in [
        (ecdsa::TestName::EcdsaSecp256r1Sha256P1363, "P-256", 32, 262, &[][..]),
        (ecdsa::TestName::EcdsaSecp384r1Sha384P1363, "P-384", 48, 280, &[][..]),
    ] {
        let mut tally = Tally::default();
        for group in ecdsa::TestSet::load(name).expect("vectors").test_groups {
            let (x, y) = group.key.key.get(1..).expect("a point").split_at(length);
            let (x, y) = (base64url::encode(x), base64url::encode(y));
            let jwk = format!(r#"{{"kty":"EC","crv":"{curve}","x":"{x}","y":"{y}"}}"#);
            let key = VerifyingKey::from_jwk(&jwk).expect("a good key");
            for test in group.tests {
                tally.count(test.tc_id, test.result, key.verifies(&test.msg, &test.sig));
            }
        }
        tally.expect(run, diverging);
    }
}

fn rsa_key(algorithm: Algorithm, n: &[u8], e: &[u8]) -> Result<VerifyingKey, KeyError> {
    let strip = |bytes: &[u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        base64url::encode(bytes.get(zeros..).unwrap_or_default())
    };
    let (n, e) = (strip(n), strip(e));
    VerifyingKey::from_jwk(&format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}","alg":"{algorithm}"}}"#))
}

#[test]
fn rsa_pkcs1() {
    use rsa_pkcs1_verify::TestName::*;

    for (name, algorithm, run, diverging) in [
        (Rsa2048Sha256, Algorithm::Rs256, 259, &[][..]),
        (Rsa2048Sha384, Algorithm::Rs384, 258, &[]),
        (Rsa2048Sha512, Algorithm::Rs512, 259, &[]),
        (Rsa3072Sha256, Algorithm::Rs256, 259, &[]),
        (Rsa3072Sha384, Algorithm::Rs384, 259, &[]),
        (Rsa3072Sha512, Algorithm::Rs512, 260, &[]),
        (Rsa4096Sha256, Algorithm::Rs256, 258, &[]),
        (Rsa4096Sha384, Algorithm::Rs384, 259, &[]),
        (Rsa4096Sha512, Algorithm::Rs512, 259, &[]),
    ] {
        let mut tally = Tally::default();
        for group in rsa_pkcs1_verify::TestSet::load(name).expect("vectors").test_groups {
            let key = rsa_key(algorithm, &group.key.n, &group.key.e).expect("a good key");
            for test in group.tests {
                tally.count(test.tc_id, test.result, key.verifies(&test.msg, &test.sig));
            }
        }
        tally.expect(run, diverging);
    }
}

#[test]
fn rsa_keys_of_8192_bits_are_refused_whole() {
    use rsa_pkcs1_verify::TestName::*;

    for (name, algorithm) in [
        (Rsa8192Sha256, Algorithm::Rs256),
        (Rsa8192Sha384, Algorithm::Rs384),
        (Rsa8192Sha512, Algorithm::Rs512),
    ] {
        for group in rsa_pkcs1_verify::TestSet::load(name).expect("vectors").test_groups {
            let key = rsa_key(algorithm, &group.key.n, &group.key.e);
            assert_eq!(key, Err(KeyError::Modulus { bits: 8192 }));
        }
    }
}

#[test]
fn rsa_pss() {
    use rsa_pss_verify::TestName::*;

    for (name, algorithm, run, diverging) in [
        (RsaPss2048Sha256Mgf1SaltLen32, Algorithm::Ps256, 108, &[][..]),
        (RsaPss3072Sha256Mgf1SaltLen32, Algorithm::Ps256, 108, &[]),
        (RsaPss4096Sha256Mgf1SaltLen32, Algorithm::Ps256, 108, &[]),
        (RsaPss2048Sha384Mgf1SaltLen48, Algorithm::Ps384, 141, &[]),
        (RsaPss4096Sha384Mgf1SaltLen48, Algorithm::Ps384, 141, &[]),
        (RsaPss4096Sha512Mgf1SaltLen64, Algorithm::Ps512, 179, &[]),
    ] {
        let mut tally = Tally::default();
        for group in rsa_pss_verify::TestSet::load(name).expect("vectors").test_groups {
            let key = rsa_key(algorithm, &group.key.n, &group.key.e).expect("a good key");
            for test in group.tests {
                tally.count(test.tc_id, test.result, key.verifies(&test.msg, &test.sig));
            }
        }
        tally.expect(run, diverging);
    }
}

/// RFC 7518, section 3.5: the salt is as long as the hash, and MGF1 uses the same hash. Whatever was signed
/// otherwise is refused, valid as it may be elsewhere; and what these sets call invalid for having the length that
/// we want is accepted.
#[test]
fn rsa_pss_with_another_salt_or_mask_is_refused() {
    use rsa_pss_verify::TestName::*;

    for (name, algorithm, run, accepted) in [
        (RsaPss2048Sha256Mgf1SaltLen0, Algorithm::Ps256, 103, &[69][..]),
        (RsaPss2048Sha256Mgf1Sha1_20, Algorithm::Ps256, 108, &[]),
        (RsaPss4096Sha512Mgf1SaltLen32, Algorithm::Ps512, 177, &[]),
    ] {
        let mut tally = (0, Vec::new());
        for group in rsa_pss_verify::TestSet::load(name).expect("vectors").test_groups {
            let key = rsa_key(algorithm, &group.key.n, &group.key.e).expect("a good key");
            for test in group.tests {
                tally.0 += 1;
                if key.verifies(&test.msg, &test.sig) {
                    tally.1.push(test.tc_id);
                }
            }
        }
        assert_eq!(tally, (run, accepted.to_vec()), "{name:?}");
    }
}
