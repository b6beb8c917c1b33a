use std::sync::LazyLock;
use std::time::Duration;

use cachegate_jwt::{Algorithm, ClaimsCheck, JwsError, KeySet, UnverifiedJws};
use cachegate_types::Timestamp;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::Value;

use crate::forge::{EC_X, EC_Y, ED_X, JWKS, Signer, signed, unsigned};

/// In 2096: the reference reads the clock itself, and whatever is valid here has not expired for it. What it
/// cannot be asked, `theirs` asks in its place.
const NOW: u32 = 4_000_000_000;

static KEYS: LazyLock<KeySet> = LazyLock::new(|| KeySet::from_jwks(JWKS.as_bytes()).expect("a set"));

static CHECK: LazyLock<ClaimsCheck> =
    LazyLock::new(|| ClaimsCheck::new("iss", ["aud"], Duration::from_secs(3600)).expect("a check"));

static THEIRS: LazyLock<[(DecodingKey, Validation); 2]> = LazyLock::new(|| {
    let ed = DecodingKey::from_ed_components(ED_X).expect("a key");
    let ec = DecodingKey::from_ec_components(EC_X, EC_Y).expect("a key");
    [(ed, jsonwebtoken::Algorithm::EdDSA), (ec, jsonwebtoken::Algorithm::ES256)].map(|(key, algorithm)| {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&["iss"]);
        validation.set_audience(&["aud"]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        (key, validation)
    })
});

/// The bytes as the header, a line feed and the payload of a token whose signature is right: what is accepted here,
/// a strictly configured `jsonwebtoken` over a back-end that shares no code with ours accepts too. The reverse is not
/// expected.
///
/// RSA is left out, for a signature takes a millisecond; the crate's own property tests have it.
pub fn differential(data: &[u8]) {
    let Some(end) = data.iter().position(|byte| *byte == b'\n') else { return };
    let (header, payload) = (&data[..end], &data[end + 1..]);
    // What is refused without a look at the signature is not worth a signature.
    let probe = unsigned(header, payload);
    let Ok(parsed) = UnverifiedJws::parse(&probe) else { return };
    if parsed.unverified_issuer().as_deref() != Ok("iss") {
        return;
    }
    let signer = match parsed.unverified_header().algorithm {
        Algorithm::Es256 => Signer::P256,
        _ => Signer::Ed25519,
    };
    let token = signed(signer, header, payload);
    if ours(&token).is_ok() {
        let theirs = theirs(signer, &token);
        assert!(theirs.is_ok(), "accepted here alone: {theirs:?}");
    }
}

fn ours(token: &str) -> Result<(), JwsError> {
    let verified = UnverifiedJws::parse(token)?.verify(&KEYS, &[Algorithm::EdDsa, Algorithm::Es256])?;
    verified.check(&CHECK, Timestamp::from(NOW)).map(|_| ())
}

fn theirs(signer: Signer, token: &str) -> Result<(), String> {
    let [ed, ec] = &*THEIRS;
    let (key, validation) = if signer == Signer::Ed25519 { ed } else { ec };
    let decoded = jsonwebtoken::decode::<Value>(token, key, validation).map_err(|error| error.to_string())?;
    let (claims, now) = (decoded.claims, u64::from(NOW));
    let time = |name| claims.get(name).map(|value| value.as_u64());
    if time("exp").flatten().is_none_or(|exp| exp + 30 <= now) {
        return Err("exp".into());
    }
    if time("nbf").is_some_and(|nbf| nbf.is_none_or(|nbf| nbf > now + 30)) {
        return Err("nbf".into());
    }
    Ok(())
}
