//! An issuer of identity tokens, as a CI platform is one, whose private key everybody knows.

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cachegate_fetch::Response;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPairComponents, PublicKeyComponents};
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

use crate::{FetchFaults, NOW};

/// The RSA key that RFC 7515 prints in appendix A.2.
const PARTS: [&str; 7] = [
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
    "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
    "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
    "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
    "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
    "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U",
];

/// What GitHub Actions says of a push to the trunk of `lumen-labs/beacon` (456789, of owner 123456), at [`crate::NOW`].
pub fn github_push_claims(audience: &str) -> Value {
    let workflow = "lumen-labs/beacon/.github/workflows/ci.yml@refs/heads/main";
    json!({
        "aud": audience, "iat": NOW, "nbf": NOW - 600, "exp": NOW + 300, "jti": "1",
        "sub": "repo:lumen-labs/beacon:ref:refs/heads/main",
        "sha": "938406d7b1f85ca53c188f1096cc16864d6fb980",
        "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true",
        "repository": "lumen-labs/beacon", "repository_id": "456789",
        "repository_owner": "lumen-labs", "repository_owner_id": "123456",
        "repository_visibility": "private", "run_id": "16789012345", "run_number": "412",
        "run_attempt": "1", "actor": "mira", "actor_id": "9876543", "workflow": "CI",
        "head_ref": "", "base_ref": "", "workflow_ref": workflow, "job_workflow_ref": workflow,
        "workflow_sha": "938406d7b1f85ca53c188f1096cc16864d6fb980",
        "job_workflow_sha": "938406d7b1f85ca53c188f1096cc16864d6fb980",
        "runner_environment": "github-hosted", "event_name": "push",
    })
}

/// Signs claims with RS256, and publishes its key where discovery looks for it.
pub struct TestIssuer {
    url: String,
    kid: Mutex<String>,
    key: RsaKeyPair,
}

impl std::fmt::Debug for TestIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestIssuer").field("url", &self.url).finish_non_exhaustive()
    }
}

impl TestIssuer {
    /// The issuer of this URL; its key is called `k1`.
    pub fn new(url: &str) -> Self {
        let [n, d, p, q, dp, dq, q_inv] = PARTS.map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url"));
        let components = KeyPairComponents {
            public_key: PublicKeyComponents { n, e: vec![1, 0, 1] },
            d,
            p,
            q,
            dP: dp,
            dQ: dq,
            qInv: q_inv,
        };
        let key = RsaKeyPair::from_components(&components).expect("a key");
        Self { url: url.to_owned(), kid: Mutex::new("k1".to_owned()), key }
    }

    /// Calls its key so from now on: what a rotation looks like from outside.
    pub fn rename_key(&self, kid: &str) {
        kid.clone_into(&mut self.kid.lock().expect("nobody panicked"));
    }

    fn kid(&self) -> String {
        self.kid.lock().expect("nobody panicked").clone()
    }

    /// A compact JWS over these claims, with `iss` set to this issuer where they have none.
    pub fn sign(&self, claims: &Value) -> String {
        let mut claims = claims.clone();
        if let Some(claims) = claims.as_object_mut() {
            claims.entry("iss").or_insert_with(|| self.url.clone().into());
        }
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": self.kid() });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature)
            .expect("signs");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Its key set (RFC 7517).
    pub fn key_set(&self) -> Value {
        let [n, ..] = PARTS;
        json!({ "keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid(), "n": n, "e": "AQAB",
        }] })
    }

    /// Publishes its discovery document and its key set.
    pub fn publish(&self, pages: &FetchFaults) {
        let keys = format!("{}/jwks", self.url);
        let document = json!({ "issuer": self.url, "jwks_uri": keys });
        let well_known = format!("{}/.well-known/openid-configuration", self.url);
        pages.put(&well_known, Response::new(200, document.to_string()));
        pages.put(&keys, Response::new(200, self.key_set().to_string()));
    }
}
