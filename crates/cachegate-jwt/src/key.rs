//! Public keys: parsed and judged once, when they are loaded.

use std::fmt;
use std::sync::Arc;

use crate::backend::{self, Active, Backend, Material};
use crate::json::{self, JsonError, Limits, Object, Value};
use crate::{Algorithm, base64url, edwards};

/// The name of a key: 1 to 256 opaque bytes. Compared whole; never a path, a query or a file name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<[u8]>);

impl KeyId {
    /// The longest name, in bytes.
    pub const MAX_LENGTH: usize = 256;

    /// # Errors
    ///
    /// [`KeyError::KeyId`] when there are no bytes or more than [`KeyId::MAX_LENGTH`].
    pub fn new(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.is_empty() || bytes.len() > Self::MAX_LENGTH {
            Err(KeyError::KeyId)
        } else {
            Ok(Self(bytes.into()))
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Printable ASCII as it is, all else as `\xNN`.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.escape_ascii(), f)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// The SHA-256 thumbprint of a key (RFC 7638): a name that nobody chose. Log it and pin it, where a `kid` may be
/// anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// The digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Base64url without padding, as RFC 7638 writes it.
impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

/// Why a key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not one JSON object, or a member of the wrong type, or a member missing.
    #[error("not a JSON Web Key: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// One member twice.
    #[error("a member of the key comes twice")]
    DuplicateMember,
    /// A name is 1 to 256 bytes.
    #[error("a key id is 1 to 256 bytes long")]
    KeyId,
    /// `kty` or `crv` is none of those spoken here.
    #[error("unsupported key type: expected OKP with Ed25519, EC with P-256 or P-384, or RSA")]
    UnsupportedType,
    /// `oct`: a shared secret proves nothing to a third party and is never loaded.
    #[error("a symmetric key cannot be loaded")]
    Symmetric,
    /// A private key where a public one belongs: whoever published it has lost it.
    #[error("the key carries its private part")]
    Private,
    /// `use` is there and is neither `sig` nor `jwt-svid`.
    #[error("the key is not for signatures: `use` must be absent, `sig` or `jwt-svid`")]
    Use,
    /// `key_ops` is there without `verify`.
    #[error("the key is not for verifying: `key_ops` must be absent or contain `verify`")]
    Operations,
    /// `alg` names an algorithm that is not spoken here.
    #[error("unsupported algorithm in the key")]
    UnsupportedAlgorithm,
    /// `alg` does not go with `kty` and `crv`.
    #[error("the key's algorithm does not go with its type")]
    AlgorithmMismatch,
    /// An RSA key without `alg`: its shape does not tell which of six algorithms it is for.
    #[error("an RSA key must name its algorithm")]
    AlgorithmMissing,
    /// An RSA modulus outside 2048 to 4096 bits, or even.
    #[error("an RSA modulus is odd and 2048 to 4096 bits long, this one has {bits}")]
    Modulus {
        /// The length found, in bits.
        bits: usize,
    },
    /// An RSA exponent that is even, below 3 or above 2^32 - 1.
    #[error("an RSA exponent is odd, at least 3 and below 2^32")]
    Exponent,
    /// Coordinates that are no point of the curve.
    #[error("the point is not on the curve")]
    NotOnCurve,
    /// An Ed25519 key of small order, under which one signature fits every message.
    #[error("the Ed25519 key has small order")]
    SmallOrder,
    /// An Ed25519 key that is not written the one way it should be.
    #[error("the Ed25519 key is not canonical")]
    NotCanonical,
    /// Another key of the set has the same `kid`; neither is taken.
    #[error("two keys of the set share one key id")]
    DuplicateKeyId,
}

impl KeyError {
    /// A stable name in snake case.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed { .. } => "key_malformed",
            Self::DuplicateMember => "duplicate_member",
            Self::KeyId => "key_id_length",
            Self::UnsupportedType => "unsupported_key_type",
            Self::Symmetric => "symmetric_key",
            Self::Private => "private_key",
            Self::Use => "key_use",
            Self::Operations => "key_operations",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::AlgorithmMismatch => "key_algorithm_mismatch",
            Self::AlgorithmMissing => "key_algorithm_missing",
            Self::Modulus { .. } => "rsa_modulus",
            Self::Exponent => "rsa_exponent",
            Self::NotOnCurve => "point_not_on_curve",
            Self::SmallOrder => "small_order_key",
            Self::NotCanonical => "key_not_canonical",
            Self::DuplicateKeyId => "duplicate_key_id",
        }
    }
}

impl From<JsonError> for KeyError {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Syntax { .. } => Self::Malformed { what: "it is not one JSON object" },
            JsonError::Encoding { .. } => Self::Malformed { what: "it is not clean UTF-8" },
            JsonError::Number { .. } => Self::Malformed { what: "a number is out of range" },
            JsonError::TooLarge { .. } => Self::Malformed { what: "it is too large" },
            JsonError::Duplicate { .. } => Self::DuplicateMember,
        }
    }
}

/// A public key that signatures are verified with. One key has one algorithm (RFC 8725, section 3.1).
///
/// It is cheap to clone. It holds nothing secret.
#[derive(Clone)]
pub struct VerifyingKey(Arc<Inner>);

struct Inner {
    id: KeyId,
    algorithm: Algorithm,
    thumbprint: Thumbprint,
    jwk: Box<str>,
    access_header: Box<str>,
    issuer: Option<Box<str>>,
    key: <Active as Backend>::PublicKey,
}

impl VerifyingKey {
    /// The longest RSA modulus, in bits. The largest that a known issuer publishes is 4096; every doubling makes a
    /// refusal four times as dear, and whoever needs more strength has Ed25519 and P-384.
    pub const MAX_RSA_BITS: usize = 4096;

    /// Reads a JSON Web Key (RFC 7517). An RSA key must name its algorithm; see
    /// [`VerifyingKey::from_jwk_for`] for those that do not.
    ///
    /// # Errors
    ///
    /// [`KeyError`] says what is wrong with it.
    pub fn from_jwk(json: &str) -> Result<Self, KeyError> {
        Self::from_jwk_for(json, &[])
    }

    /// Reads a JSON Web Key; an RSA key without `alg` takes the RSA algorithm among `allowed`, if there is exactly
    /// one. Nothing that a token says ever chooses it.
    ///
    /// # Errors
    ///
    /// [`KeyError`] says what is wrong with it.
    pub fn from_jwk_for(json: &str, allowed: &[Algorithm]) -> Result<Self, KeyError> {
        Self::from_object(json::object(json.as_bytes(), Limits::TOKEN)?, allowed)
    }

    /// The key that these 32 bytes are (RFC 8032, section 5.1.5). It is called by its thumbprint.
    ///
    /// # Errors
    ///
    /// [`KeyError::SmallOrder`], [`KeyError::NotCanonical`] and [`KeyError::NotOnCurve`].
    pub fn from_ed25519_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        Self::build(None, Algorithm::EdDsa, Material::Ed25519(bytes))
    }

    /// The uncompressed P-256 point that a private key of ours belongs to.
    pub(crate) fn from_p256_point(point: &[u8]) -> Result<Self, KeyError> {
        Self::build(None, Algorithm::Es256, Material::Point(point))
    }

    /// What the key is called: its `kid`, or where it was published without one, its thumbprint.
    pub fn kid(&self) -> &KeyId {
        &self.0.id
    }

    /// The one algorithm that it verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }

    /// RFC 7638, with SHA-256.
    pub fn thumbprint(&self) -> Thumbprint {
        self.0.thumbprint
    }

    /// The issuer that the key says it is for, where it was published with an `issuer` of its own, as Microsoft does for
    /// tenants that share a set. A template in it is not filled in, and whether it fits is for the caller to check.
    pub fn issuer(&self) -> Option<&str> {
        self.0.issuer.as_deref()
    }

    /// The key as a JSON Web Key, with `kid`, `alg` and `use`.
    pub fn to_jwk(&self) -> &str {
        &self.0.jwk
    }

    /// The encoded header of the access tokens that this key signs: they all begin with these bytes.
    pub(crate) fn access_header(&self) -> &str {
        &self.0.access_header
    }

    /// Whether `signature` is this key's over `message`, in the form that JWS gives a signature (RFC 7518, section 3):
    /// for vectors and protocols that sign bare bytes. A token goes through [`UnverifiedJws`](crate::UnverifiedJws).
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Active::verify(self.0.algorithm, &self.0.key, message, signature)
    }

    pub(crate) fn from_object(object: Object<'_>, allowed: &[Algorithm]) -> Result<Self, KeyError> {
        let jwk = Jwk::read(object)?;
        let id = jwk.kid.as_deref().map(|kid| KeyId::new(kid.as_bytes())).transpose()?;
        // The type first: what is refused for its type is refused under that name, whatever else it says.
        let kind = match (&*jwk.kty, jwk.crv.as_deref()) {
            ("OKP", Some("Ed25519")) => Kind::Ed25519,
            ("EC", Some("P-256")) => Kind::Curve { algorithm: Algorithm::Es256, length: 32 },
            ("EC", Some("P-384")) => Kind::Curve { algorithm: Algorithm::Es384, length: 48 },
            ("RSA", None) => Kind::Rsa,
            ("oct", _) => return Err(KeyError::Symmetric),
            _ => return Err(KeyError::UnsupportedType),
        };
        let declared = match jwk.alg.as_deref() {
            None => None,
            Some(name) => Some(name.parse::<Algorithm>().map_err(|_| KeyError::UnsupportedAlgorithm)?),
        };
        let fixed = |algorithm| match declared {
            Some(declared) if declared != algorithm => Err(KeyError::AlgorithmMismatch),
            _ => Ok(algorithm),
        };
        let mut key = match kind {
            Kind::Ed25519 => {
                let algorithm = fixed(Algorithm::EdDsa)?;
                let x = bytes(jwk.x.as_deref(), "`x` is not base64url")?;
                let x = x
                    .as_slice()
                    .try_into()
                    .map_err(|_| KeyError::Malformed { what: "`x` is not 32 bytes long" })?;
                if jwk.y.is_some() || jwk.n.is_some() || jwk.e.is_some() {
                    return Err(KeyError::Malformed { what: "it has members of another key type" });
                }
                Self::build(id, algorithm, Material::Ed25519(x))
            }
            Kind::Curve { algorithm, length } => {
                let algorithm = fixed(algorithm)?;
                let x = bytes(jwk.x.as_deref(), "`x` is not base64url")?;
                let y = bytes(jwk.y.as_deref(), "`y` is not base64url")?;
                if x.len() != length || y.len() != length {
                    return Err(KeyError::Malformed {
                        what: "a coordinate has another length than the field",
                    });
                }
                if jwk.n.is_some() || jwk.e.is_some() {
                    return Err(KeyError::Malformed { what: "it has members of another key type" });
                }
                Self::build(id, algorithm, Material::Point(&[&[4], &*x, &*y].concat()))
            }
            Kind::Rsa => {
                let algorithm = match declared {
                    Some(declared) if !declared.is_rsa() => return Err(KeyError::AlgorithmMismatch),
                    Some(declared) => declared,
                    None => {
                        let mut candidates = allowed.iter().filter(|algorithm| algorithm.is_rsa());
                        match (candidates.next(), candidates.next()) {
                            (Some(one), None) => *one,
                            _ => return Err(KeyError::AlgorithmMissing),
                        }
                    }
                };
                let modulus = bytes(jwk.n.as_deref(), "`n` is not base64url")?;
                let exponent = bytes(jwk.e.as_deref(), "`e` is not base64url")?;
                if jwk.x.is_some() || jwk.y.is_some() {
                    return Err(KeyError::Malformed { what: "it has members of another key type" });
                }
                Self::build(id, algorithm, Material::Rsa { modulus: &modulus, exponent: &exponent })
            }
        }?;
        // It was just made, and nobody else holds it.
        if let Some(inner) = Arc::get_mut(&mut key.0) {
            inner.issuer = jwk.issuer.map(String::into_boxed_str);
        }
        Ok(key)
    }

    fn build(id: Option<KeyId>, algorithm: Algorithm, material: Material<'_>) -> Result<Self, KeyError> {
        let required = match material {
            Material::Ed25519(bytes) => {
                edwards::check(bytes)?;
                format!(r#""crv":"Ed25519","kty":"OKP","x":"{}""#, base64url::encode(bytes))
            }
            Material::Point(point) => {
                let coordinates = point.get(1..).unwrap_or_default();
                let (x, y) = coordinates.split_at(coordinates.len() / 2);
                let curve = if algorithm == Algorithm::Es256 { "P-256" } else { "P-384" };
                let (x, y) = (base64url::encode(x), base64url::encode(y));
                format!(r#""crv":"{curve}","kty":"EC","x":"{x}","y":"{y}""#)
            }
            Material::Rsa { modulus, exponent } => {
                check_rsa(modulus, exponent)?;
                let (e, n) = (base64url::encode(exponent), base64url::encode(modulus));
                format!(r#""e":"{e}","kty":"RSA","n":"{n}""#)
            }
        };
        let thumbprint = Thumbprint(backend::sha256(format!("{{{required}}}").as_bytes()));
        let id = match id {
            Some(id) => id,
            None => KeyId::new(thumbprint.to_string().as_bytes())?,
        };
        let mut kid = String::new();
        json::write_text(&mut kid, &String::from_utf8_lossy(id.as_bytes()));
        let jwk = format!(r#"{{{required},"kid":{kid},"alg":"{algorithm}","use":"sig"}}"#);
        let header = format!(r#"{{"alg":"{algorithm}","kid":{kid},"typ":"at+jwt"}}"#);
        // The one thing left that a key of the right shape can be refused for.
        let key = Active::public_key(algorithm, material).ok_or(KeyError::NotOnCurve)?;
        Ok(Self(Arc::new(Inner {
            id,
            algorithm,
            thumbprint,
            jwk: jwk.into(),
            access_header: base64url::encode(header.as_bytes()).into(),
            issuer: None,
            key,
        })))
    }
}

/// Two keys are one when algorithm, name and thumbprint agree.
impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        (self.0.algorithm, &self.0.id, self.0.thumbprint)
            == (other.0.algorithm, &other.0.id, other.0.thumbprint)
    }
}

impl Eq for VerifyingKey {}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({} {} {})", self.0.algorithm, self.0.id, self.0.thumbprint)
    }
}

/// A JSON Web Set of these keys, as the path `/.well-known/jwks.json` publishes it (RFC 7517, section 5).
pub fn to_jwks<'a>(keys: impl IntoIterator<Item = &'a VerifyingKey>) -> String {
    let keys: Vec<&str> = keys.into_iter().map(VerifyingKey::to_jwk).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// The types of keys that are spoken, by `kty` and `crv`.
enum Kind {
    Ed25519,
    Curve { algorithm: Algorithm, length: usize },
    Rsa,
}

/// The members of a JSON Web Key that count here.
#[derive(Default)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    issuer: Option<String>,
}

impl Jwk {
    fn read(object: Object<'_>) -> Result<Self, KeyError> {
        let mut jwk = Self::default();
        let mut kty = None;
        let mut private = false;
        for (name, value) in object.members() {
            let name = name.to_cow();
            let slot = match &*name {
                "kty" => &mut kty,
                "crv" => &mut jwk.crv,
                "kid" => &mut jwk.kid,
                "alg" => &mut jwk.alg,
                "x" => &mut jwk.x,
                "y" => &mut jwk.y,
                "n" => &mut jwk.n,
                "e" => &mut jwk.e,
                "issuer" => &mut jwk.issuer,
                "use" => {
                    let text = value.as_text().ok_or(KeyError::Malformed { what: "`use` is not a text" })?;
                    if !text.is("sig") && !text.is("jwt-svid") {
                        return Err(KeyError::Use);
                    }
                    continue;
                }
                "key_ops" => {
                    operations(value)?;
                    continue;
                }
                "d" | "p" | "q" | "dp" | "dq" | "qi" | "oth" => {
                    private = true;
                    continue;
                }
                // Certificates (`x5c`, `x5t`, `x5u`) are never followed; RFC 7517, section 4, lets the rest pass.
                _ => continue,
            };
            let Value::Text(text) = value else {
                return Err(KeyError::Malformed { what: "a member that must be a text is none" });
            };
            *slot = Some(text.to_cow().into_owned());
        }
        jwk.kty = kty.ok_or(KeyError::Malformed { what: "`kty` is missing" })?;
        if private { Err(KeyError::Private) } else { Ok(jwk) }
    }
}

fn operations(value: Value<'_>) -> Result<(), KeyError> {
    let Value::Array(operations) = value else {
        return Err(KeyError::Malformed { what: "`key_ops` is not a list" });
    };
    let mut verifies = false;
    for operation in operations.elements() {
        let Value::Text(operation) = operation else {
            return Err(KeyError::Malformed { what: "`key_ops` lists something else than texts" });
        };
        verifies |= operation.is("verify");
    }
    if verifies { Ok(()) } else { Err(KeyError::Operations) }
}

fn bytes(text: Option<&str>, what: &'static str) -> Result<Vec<u8>, KeyError> {
    text.and_then(base64url::decode).ok_or(KeyError::Malformed { what })
}

fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), KeyError> {
    // RFC 7518, sections 2 and 6.3.1: the minimum number of octets, or one key would have two thumbprints.
    if modulus.first() == Some(&0) || exponent.first() == Some(&0) {
        return Err(KeyError::Malformed { what: "a number begins with a zero byte" });
    }
    let zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = (modulus.len() * 8).saturating_sub(zeros);
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    if !(2048..=VerifyingKey::MAX_RSA_BITS).contains(&bits) || !odd(modulus) {
        return Err(KeyError::Modulus { bits });
    }
    if exponent.len() > 4 || !odd(exponent) || exponent == [1] {
        return Err(KeyError::Exponent);
    }
    Ok(())
}
