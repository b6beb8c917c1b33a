//! `jwks`: a verdict on each key of a set.

use cachegate_jwt::KeySet;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::request::Refusal;
use crate::words::{Algorithms, lossy};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct In<'a> {
    #[serde(borrow)]
    jwks: &'a RawValue,
    #[serde(default)]
    algs: Algorithms,
}

#[derive(Serialize)]
pub(super) struct Out {
    keys: Vec<Key>,
}

#[derive(Serialize)]
struct Key {
    kid: Option<String>,
    ok: bool,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Verdict {
    Taken { alg: &'static str, thumbprint: String },
    Refused { code: &'static str, detail: String },
}

pub(super) fn jwks(In { jwks, algs }: In<'_>) -> Result<Out, Refusal> {
    let set = KeySet::from_jwks_for(jwks.get().as_bytes(), &algs.read()?)?;
    // The keys that were taken are in the order of their verdicts.
    let mut thumbprints = set.keys().iter().map(|key| key.thumbprint().to_string());
    let keys = set.verdicts().iter().map(|verdict| Key {
        kid: verdict.kid.as_ref().map(lossy),
        ok: verdict.result.is_ok(),
        verdict: match verdict.result {
            Ok(algorithm) => {
                Verdict::Taken { alg: algorithm.as_str(), thumbprint: thumbprints.next().unwrap_or_default() }
            }
            Err(error) => Verdict::Refused { code: error.code(), detail: error.to_string() },
        },
    });
    Ok(Out { keys: keys.collect() })
}
