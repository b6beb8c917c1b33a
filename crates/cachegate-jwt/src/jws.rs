//! Compact JWS (RFC 7515, section 7.1): taken apart strictly, verified before it is read.

use std::fmt;

use crate::claims::Claims;
use crate::json::{self, Limits, Object, Value};
use crate::{Algorithm, JwsError, KeyId, KeySet, Part, VerifyingKey, base64url};

/// The longest header that is read, encoded. Real ones have 50 to 150 bytes; a `kid` may have 256.
const MAX_HEADER: usize = 1024;

/// The longest signature, decoded: RSA with the largest modulus that is taken.
const MAX_SIGNATURE: usize = VerifyingKey::MAX_RSA_BITS / 8;

/// A token that has the shape of a JWS and of which nothing is believed.
///
/// Its header chooses a key and nothing more: the algorithm is the key's.
#[derive(Clone)]
pub struct UnverifiedJws<'a> {
    parts: Parts<'a>,
    header: UnverifiedHeader,
}

/// What a header says, before anything is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnverifiedHeader {
    /// `alg`.
    pub algorithm: Algorithm,
    /// `kid`.
    pub kid: Option<KeyId>,
    /// `typ`, as written.
    pub typ: Option<String>,
}

/// A payload whose signature was right, and nothing more: who issued it, for whom and until when is not checked
/// yet. [`VerifiedJws::check`] does that.
#[derive(Clone)]
pub struct VerifiedJws {
    payload: Vec<u8>,
    key: VerifyingKey,
    typ: Option<String>,
}

impl<'a> UnverifiedJws<'a> {
    /// The longest token that is looked at, in bytes.
    pub const MAX_LENGTH: usize = 16 * 1024;

    /// Takes a token apart and reads its header.
    ///
    /// # Errors
    ///
    /// [`JwsError`] for everything that is not exactly three parts of canonical base64url with a header that asks
    /// for a signature and nothing else.
    pub fn parse(token: &'a str) -> Result<Self, JwsError> {
        let parts = Parts::split(token)?;
        let header = UnverifiedHeader::read(parts.header)?;
        Ok(Self { parts, header })
    }

    /// What the header says, unverified.
    pub fn unverified_header(&self) -> &UnverifiedHeader {
        &self.header
    }

    /// `iss`, unverified: a key into a closed table of configured issuers, and nothing else.
    ///
    /// # Errors
    ///
    /// [`JwsError`] when the payload is no strict JSON object, or `iss` is missing or no text.
    pub fn unverified_issuer(&self) -> Result<String, JwsError> {
        self.unverified_text("iss")
    }

    /// `sub`, unverified: where there is no `iss`, as in SPIFFE, its trust domain is the key into the table.
    ///
    /// # Errors
    ///
    /// [`JwsError`] when the payload is no strict JSON object, or `sub` is missing or no text.
    pub fn unverified_subject(&self) -> Result<String, JwsError> {
        self.unverified_text("sub")
    }

    /// What the signature is made over: by its digest a token can be named and revoked that has no `jti`. The
    /// signature itself names nothing, since an ECDSA signature has a second spelling.
    pub fn signing_input(&self) -> &'a str {
        self.parts.signing_input
    }

    /// Verifies with the key that the header names, or where it names none, with the only key that fits.
    ///
    /// Header, key and `allowed` must agree on one algorithm.
    ///
    /// # Errors
    ///
    /// [`JwsError::UnknownKey`] when no key or more than one fits: the one refusal after which fetching the
    /// issuer's keys anew may help. Otherwise as [`UnverifiedJws::verify_with`].
    pub fn verify(&self, keys: &KeySet, allowed: &[Algorithm]) -> Result<VerifiedJws, JwsError> {
        let key = match &self.header.kid {
            Some(kid) => keys.get(kid.as_bytes()),
            None => keys.only(self.header.algorithm),
        };
        let key = key.ok_or_else(|| JwsError::UnknownKey { kid: self.header.kid.clone() })?;
        self.verify_with(key, allowed)
    }

    /// Verifies with this key, whatever name the header gives.
    ///
    /// # Errors
    ///
    /// [`JwsError::AlgorithmMismatch`], [`JwsError::AlgorithmNotAllowed`], [`JwsError::BadSignature`], or
    /// [`JwsError::NotCanonicalBase64`].
    pub fn verify_with(&self, key: &VerifyingKey, allowed: &[Algorithm]) -> Result<VerifiedJws, JwsError> {
        let (header, algorithm) = (self.header.algorithm, key.algorithm());
        if header != algorithm {
            return Err(JwsError::AlgorithmMismatch { header, key: algorithm });
        }
        if !allowed.contains(&algorithm) {
            return Err(JwsError::AlgorithmNotAllowed { algorithm });
        }
        self.parts.check_signature(key)?;
        let payload = base64url::decode(self.parts.payload)
            .ok_or(JwsError::NotCanonicalBase64 { part: Part::Payload })?;
        Ok(VerifiedJws { payload, key: key.clone(), typ: self.header.typ.clone() })
    }

    fn unverified_text(&self, claim: &'static str) -> Result<String, JwsError> {
        let payload = base64url::decode(self.parts.payload)
            .ok_or(JwsError::NotCanonicalBase64 { part: Part::Payload })?;
        match payload_object(&payload)?.get(claim) {
            None => Err(JwsError::ClaimMissing { claim }),
            Some(Value::Text(text)) => Ok(text.to_cow().into_owned()),
            Some(_) => Err(JwsError::ClaimIllTyped { claim }),
        }
    }
}

/// Nothing of the token itself.
impl fmt::Debug for UnverifiedJws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnverifiedJws({}, {} bytes)", self.header.algorithm, self.parts.signing_input.len())
    }
}

impl VerifiedJws {
    /// The signed bytes. They need not be claims.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The key that the signature is of.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The header's `typ`, as written.
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// The claims, read strictly: one JSON object, no member twice, limited in depth and number. Who issued them,
    /// for whom and until when is not checked.
    ///
    /// # Errors
    ///
    /// [`JwsError`] when the payload is anything else.
    pub fn claims(&self) -> Result<Claims<'_>, JwsError> {
        payload_object(&self.payload).map(Claims::new)
    }
}

/// Nothing of the payload.
impl fmt::Debug for VerifiedJws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedJws({:?}, {} bytes)", self.key, self.payload.len())
    }
}

impl UnverifiedHeader {
    pub(crate) fn read(encoded: &str) -> Result<Self, JwsError> {
        if encoded.len() > MAX_HEADER {
            return Err(JwsError::TooLarge { length: encoded.len(), limit: MAX_HEADER });
        }
        let mut buffer = [0; MAX_HEADER];
        let bytes = base64url::decode_into(encoded, &mut buffer)
            .ok_or(JwsError::NotCanonicalBase64 { part: Part::Header })?;
        let object =
            json::object(bytes, Limits::TOKEN).map_err(|error| JwsError::json(Part::Header, error))?;
        let (mut algorithm, mut kid, mut typ) = (None, None, None);
        for (name, value) in object.members() {
            let text =
                |member| value.as_text().map(json::Text::to_cow).ok_or(JwsError::HeaderIllTyped { member });
            match &*name.to_cow() {
                "alg" => algorithm = Some(text("alg")?.parse().map_err(|_| JwsError::UnsupportedAlgorithm)?),
                "kid" => {
                    let text = text("kid")?;
                    let length = text.len();
                    kid = Some(KeyId::new(text.as_bytes()).map_err(|_| JwsError::KeyIdLength { length })?);
                }
                "typ" => typ = Some(text("typ")?.into_owned()),
                // Thumbprints of certificates, which point nowhere. Unused, but not of any type either.
                "x5t" => drop(text("x5t")?),
                "x5t#S256" => drop(text("x5t#S256")?),
                "crit" => return Err(JwsError::CriticalHeader),
                name => {
                    let known = |list: &[&'static str]| list.iter().find(|member| **member == name).copied();
                    if let Some(member) = known(&["jku", "jwk", "x5u", "x5c"]) {
                        return Err(JwsError::EmbeddedKey { member });
                    }
                    // RFC 7797; RFC 7516, section 4.1; RFC 7518, section 4; nested tokens (RFC 7519, section 5.2).
                    if let Some(member) =
                        known(&["b64", "zip", "enc", "cty", "epk", "apu", "apv", "iv", "tag", "p2s", "p2c"])
                    {
                        return Err(JwsError::UnsupportedHeader { member });
                    }
                    // RFC 7515, section 4: what is not understood and not in `crit` is ignored.
                }
            }
        }
        let algorithm = algorithm.ok_or(JwsError::HeaderMissing { member: "alg" })?;
        Ok(Self { algorithm, kid, typ })
    }
}

/// The three parts of a token, cut but not decoded.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) header: &'a str,
    pub(crate) payload: &'a str,
    signature: &'a str,
    signing_input: &'a str,
}

impl<'a> Parts<'a> {
    pub(crate) fn split(token: &'a str) -> Result<Self, JwsError> {
        let limit = UnverifiedJws::MAX_LENGTH;
        if token.len() > limit {
            return Err(JwsError::TooLarge { length: token.len(), limit });
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JwsError::NotThreeParts)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::NotThreeParts)?;
        if header.is_empty() || payload.is_empty() || signature.is_empty() || payload.contains('.') {
            return Err(JwsError::NotThreeParts);
        }
        Ok(Self { header, payload, signature, signing_input })
    }

    pub(crate) fn check_signature(&self, key: &VerifyingKey) -> Result<(), JwsError> {
        let mut buffer = [0; MAX_SIGNATURE + 3];
        // Longer than any key signs: wrong, whatever it is made of.
        if self.signature.len() > (MAX_SIGNATURE * 4).div_ceil(3) {
            return Err(JwsError::BadSignature);
        }
        let signature = base64url::decode_into(self.signature, &mut buffer)
            .ok_or(JwsError::NotCanonicalBase64 { part: Part::Signature })?;
        if key.verifies(self.signing_input.as_bytes(), signature) {
            Ok(())
        } else {
            Err(JwsError::BadSignature)
        }
    }
}

pub(crate) fn payload_object(payload: &[u8]) -> Result<Object<'_>, JwsError> {
    json::object(payload, Limits::TOKEN).map_err(|error| JwsError::json(Part::Payload, error))
}
