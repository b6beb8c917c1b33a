//! `signature`: a bare signature under one key, for vectors that sign bytes and not tokens.

use cachegate_jwt::{JwsError, VerifyingKey};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::request::Refusal;
use crate::words::{Algorithms, lossy, unb64};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct In<'a> {
    message: String,
    signature: String,
    #[serde(borrow)]
    jwk: &'a RawValue,
    #[serde(default)]
    algs: Algorithms,
}

#[derive(Serialize)]
pub(super) struct Out {
    kid: String,
    alg: &'static str,
}

pub(super) fn signature(In { message, signature, jwk, algs }: In<'_>) -> Result<Out, Refusal> {
    let allowed = algs.read()?;
    let key = VerifyingKey::from_jwk_for(jwk.get(), &allowed)?;
    if !allowed.contains(&key.algorithm()) {
        return Err(JwsError::AlgorithmNotAllowed { algorithm: key.algorithm() }.into());
    }
    if !key.verifies(&unb64("message", &message)?, &unb64("signature", &signature)?) {
        return Err(JwsError::BadSignature.into());
    }
    Ok(Out { kid: lossy(key.kid()), alg: key.algorithm().as_str() })
}
