//! The platforms' claim sets, signed as the platforms sign them.
//!
//! The RSA key is the one that RFC 7515 prints: known to everyone and good for nothing else. The keys on curves are
//! made afresh in each run.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken fixture fails the test"
)]

use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cachegate_federation::{
    Anchor, AnchorBuilder, Federation, Issuer, Keys, Platform, Refusal, TrustDomain, Verified,
};
use cachegate_jwt::{KeySet, UnverifiedJws};
use cachegate_types::{Name, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Map, Value, json};

pub(crate) const NOW: u32 = 1_790_000_000;
pub(crate) const AUDIENCE: &str = "https://cache.example.com";

/// RFC 7515, appendix A.2.
const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
/// RFC 7515, appendix A.2.
const RSA_D: &str = "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ";
/// RFC 7515, appendix A.2.
const RSA_P: &str = "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc";
/// RFC 7515, appendix A.2.
const RSA_Q: &str = "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc";
/// RFC 7515, appendix A.2.
const RSA_DP: &str = "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0";
/// RFC 7515, appendix A.2.
const RSA_DQ: &str = "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU";
/// RFC 7515, appendix A.2.
const RSA_QI: &str = "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U";

pub(crate) fn now() -> Timestamp {
    Timestamp::from(NOW)
}

pub(crate) fn later(seconds: u32) -> Timestamp {
    Timestamp::from(NOW + seconds)
}

/// A platform's base set or one of its variants.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) platform: String,
    pub(crate) variant: String,
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
}

impl Case {
    /// The set with one claim set to another value.
    pub(crate) fn with(mut self, claim: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(claim.to_owned(), value.into());
        self
    }

    pub(crate) fn without(mut self, claim: &str) -> Self {
        self.claims.remove(claim).expect("a claim that is there");
        self
    }

    pub(crate) fn with_header(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.header.insert(member.to_owned(), value.into());
        self
    }

    /// The set with another value below a claim.
    pub(crate) fn with_pointer(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        let mut root = Value::Object(std::mem::take(&mut self.claims));
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        let parent = root.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
        parent.insert(name.replace("~1", "/"), value.into());
        let Value::Object(claims) = root else { panic!("an object") };
        self.claims = claims;
        self
    }

    pub(crate) fn payload(&self) -> String {
        Value::Object(self.claims.clone()).to_string()
    }

    pub(crate) fn token(&self) -> String {
        sign(&self.header, &self.payload())
    }

    pub(crate) fn platform(&self) -> Platform {
        self.platform.parse().expect("a platform")
    }
}

/// Every set of a platform, the base first.
pub(crate) fn cases(platform: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/claims/{platform}.json"));
    let file: Value = serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON");
    let object = |value: &Value| value.as_object().expect("an object").clone();
    let base = Case {
        platform: platform.to_owned(),
        variant: "base".to_owned(),
        header: object(&file["header"]),
        claims: object(&file["claims"]),
    };
    let mut all = vec![base.clone()];
    for variant in file["variants"].as_array().expect("variants") {
        let mut case = base.clone();
        case.variant = variant["name"].as_str().expect("a name").to_owned();
        for member in variant.as_object().expect("an object").keys() {
            assert!(
                ["name", "set", "unset", "unset_pointer", "header"].contains(&member.as_str()),
                "{member}"
            );
        }
        for claim in variant["unset"].as_array().into_iter().flatten() {
            case.claims.remove(claim.as_str().expect("a name")).expect("a claim that is there");
        }
        for pointer in variant["unset_pointer"].as_array().into_iter().flatten() {
            let (parent, name) = pointer.as_str().and_then(|text| text.rsplit_once('/')).expect("a pointer");
            let mut root = Value::Object(case.claims.clone());
            root.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object").remove(name);
            case.claims = object(&root);
        }
        for (to, from) in [(&mut case.claims, &variant["set"]), (&mut case.header, &variant["header"])] {
            to.extend(from.as_object().cloned().unwrap_or_default());
        }
        all.push(case);
    }
    all
}

pub(crate) fn case(platform: &str, variant: &str) -> Case {
    cases(platform).into_iter().find(|case| case.variant == variant).expect("a variant")
}

pub(crate) fn base(platform: &str) -> Case {
    case(platform, "base")
}

pub(crate) const PLATFORMS: [&str; 13] = [
    "github-actions",
    "gitlab-ci",
    "semaphore",
    "buildkite",
    "aws-sts",
    "google-compute-engine",
    "entra-id",
    "okta",
    "circleci",
    "kubernetes",
    "bitbucket-pipelines",
    "spiffe-jwt-svid",
    "azure-devops",
];

struct Signers {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
}

static SIGNERS: LazyLock<Signers> = LazyLock::new(|| {
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
    let rsa = RsaKeyPair::from_components(&ring::rsa::KeyPairComponents {
        public_key: ring::rsa::PublicKeyComponents { n: part(RSA_N), e: vec![1, 0, 1] },
        d: part(RSA_D),
        p: part(RSA_P),
        q: part(RSA_Q),
        dP: part(RSA_DP),
        dQ: part(RSA_DQ),
        qInv: part(RSA_QI),
    });
    let curve = |algorithm: &'static EcdsaSigningAlgorithm| {
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).expect("a key");
        EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &SystemRandom::new()).expect("a key")
    };
    Signers {
        rsa: rsa.expect("a key"),
        p256: curve(&ECDSA_P256_SHA256_FIXED_SIGNING),
        p384: curve(&ECDSA_P384_SHA384_FIXED_SIGNING),
    }
});

/// A JWS over this header and these bytes, by the key of the header's algorithm.
pub(crate) fn sign(header: &Map<String, Value>, payload: &str) -> String {
    sign_text(&Value::Object(header.clone()).to_string(), payload, header["alg"].as_str().unwrap_or_default())
}

pub(crate) fn sign_text(header: &str, payload: &str, algorithm: &str) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let random = SystemRandom::new();
    let signature = match algorithm {
        "ES256" => SIGNERS.p256.sign(&random, input.as_bytes()).expect("signs").as_ref().to_vec(),
        "ES384" => SIGNERS.p384.sign(&random, input.as_bytes()).expect("signs").as_ref().to_vec(),
        _ => {
            let mut signature = vec![0; SIGNERS.rsa.public().modulus_len()];
            SIGNERS.rsa.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature).expect("signs");
            signature
        }
    };
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The key set in which `kid` is the key of `algorithm`, as JSON.
pub(crate) fn jwks(kid: &str, algorithm: &str) -> Value {
    let point = |pair: &EcdsaKeyPair, curve: &str| {
        let bytes = pair.public_key().as_ref();
        let (x, y) = bytes[1..].split_at((bytes.len() - 1) / 2);
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({ "kty": "EC", "crv": curve, "kid": kid, "x": part(x), "y": part(y) })
    };
    let key = match algorithm {
        "ES256" => point(&SIGNERS.p256, "P-256"),
        "ES384" => point(&SIGNERS.p384, "P-384"),
        _ => json!({ "kty": "RSA", "kid": kid, "n": RSA_N, "e": "AQAB", "alg": "RS256", "use": "sig" }),
    };
    json!({ "keys": [key] })
}

/// The key set of the platform that signed this set.
pub(crate) fn keys(case: &Case) -> KeySet {
    let text = |member: &str| case.header[member].as_str().expect("a text");
    KeySet::from_jwks(jwks(text("kid"), text("alg")).to_string().as_bytes()).expect("a key set")
}

/// The issuer of a platform's base set.
pub(crate) fn issuer(platform: &str) -> Issuer {
    if platform == "spiffe-jwt-svid" {
        return Issuer::TrustDomain(TrustDomain { trust_domain: "prod.example.com".to_owned() });
    }
    Issuer::Exact(base(platform).claims["iss"].as_str().expect("a text").to_owned())
}

/// An anchor that takes a platform's base set, called as the platform.
pub(crate) fn anchor(platform: &str) -> AnchorBuilder {
    let audience = match platform {
        "entra-id" => "32e07959-e26b-4d9d-9886-9b1aad1e215b",
        _ => AUDIENCE,
    };
    anchor_for(platform, issuer(platform), audience)
}

pub(crate) fn anchor_for(platform: &str, issuer: Issuer, audience: &str) -> AnchorBuilder {
    let header = base(platform).header;
    let text = |member: &str| header[member].as_str().expect("a text");
    AnchorBuilder::new(
        platform.parse::<Name>().expect("a name"),
        platform.parse::<Platform>().expect("a platform"),
        issuer,
        [audience],
    )
    .keys(Keys::Inline(jwks(text("kid"), text("alg"))))
}

/// What a gate with this one anchor says to the set.
pub(crate) fn verify(anchor: AnchorBuilder, case: &Case, now: Timestamp) -> Result<Verified, Refusal> {
    verify_token(anchor, &case.token(), &keys(case), now)
}

pub(crate) fn verify_token(
    anchor: AnchorBuilder,
    token: &str,
    keys: &KeySet,
    now: Timestamp,
) -> Result<Verified, Refusal> {
    let federation = Federation::new([anchor.build().expect("an anchor")]).expect("a table");
    let token = UnverifiedJws::parse(token)?;
    let anchor: &Anchor = federation.anchor_for(&token, None)?;
    anchor.verify(&token, keys, now)
}

/// The set at its platform's own anchor.
pub(crate) fn verify_here(case: &Case) -> Result<Verified, Refusal> {
    verify(anchor(&case.platform), case, now())
}
