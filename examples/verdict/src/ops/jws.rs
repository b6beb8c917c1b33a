//! `jws`: a compact JWS under a key set. Claims are not looked at.

use cachegate_jwt::{KeySet, UnverifiedJws};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::request::Refusal;
use crate::words::{Algorithms, b64, lossy};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct In<'a> {
    token: String,
    #[serde(borrow)]
    jwks: &'a RawValue,
    #[serde(default)]
    algs: Algorithms,
}

#[derive(Serialize)]
pub(super) struct Out {
    payload: String,
    kid: String,
    alg: &'static str,
    typ: Option<String>,
}

pub(super) fn jws(In { token, jwks, algs }: In<'_>) -> Result<Out, Refusal> {
    let allowed = algs.read()?;
    let keys = KeySet::from_jwks_for(jwks.get().as_bytes(), &allowed)?;
    let verified = UnverifiedJws::parse(&token)?.verify(&keys, &allowed)?;
    Ok(Out {
        payload: b64(verified.payload()),
        kid: lossy(verified.key().kid()),
        alg: verified.key().algorithm().as_str(),
        typ: verified.typ().map(str::to_owned),
    })
}
