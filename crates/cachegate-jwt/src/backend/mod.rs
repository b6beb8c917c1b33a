//! The signature operations, behind one small trait, so that the library beneath can be exchanged.
//!
//! What a key may be is decided in `key`, before it arrives here; a back-end only refuses what it cannot use.

use zeroize::Zeroizing;

use crate::Algorithm;

#[cfg(feature = "aws-lc-rs")]
mod aws_lc;
#[cfg(not(feature = "aws-lc-rs"))]
mod ring;

/// The back-end that this build uses.
#[cfg(feature = "aws-lc-rs")]
pub(crate) type Active = aws_lc::AwsLc;
/// The back-end that this build uses.
#[cfg(not(feature = "aws-lc-rs"))]
pub(crate) type Active = ring::Ring;

/// The public half of a key, as the standards write it.
#[derive(Clone, Copy)]
pub(crate) enum Material<'a> {
    /// RFC 8032, section 5.1.2.
    Ed25519(&'a [u8; 32]),
    /// An uncompressed point: SEC 1, section 2.3.3. The algorithm names the curve.
    Point(&'a [u8]),
    /// Modulus and exponent, big-endian, without leading zeros.
    Rsa { modulus: &'a [u8], exponent: &'a [u8] },
}

/// The algorithms that tokens are issued with: no RSA private key is ever held here (RUSTSEC-2023-0071), and ES384
/// costs ten times as much as ES256.
#[derive(Clone, Copy)]
pub(crate) enum Issuing {
    EdDsa,
    Es256,
}

/// Signing and verifying.
pub(crate) trait Backend {
    /// A public key, checked and ready to verify with.
    type PublicKey: Send + Sync;
    /// A key pair, ready to sign with.
    type KeyPair: Send + Sync;

    /// `None` when the material is no key: of another shape than the algorithm wants, or a point off the curve.
    fn public_key(algorithm: Algorithm, material: Material<'_>) -> Option<Self::PublicKey>;

    /// Whether `signature` is the key's over `message`.
    fn verify(algorithm: Algorithm, key: &Self::PublicKey, message: &[u8], signature: &[u8]) -> bool;

    /// A new private key as PKCS #8; `None` when the system gives no randomness.
    fn generate(algorithm: Issuing) -> Option<Zeroizing<Vec<u8>>>;

    /// `None` when the document is no private key of the algorithm.
    fn key_pair(algorithm: Issuing, pkcs8: &[u8]) -> Option<Self::KeyPair>;

    /// The public half: 32 bytes for EdDSA, an uncompressed point for ES256.
    fn public_bytes(key: &Self::KeyPair) -> &[u8];

    /// EdDSA and ES256 signatures are 64 bytes long. `None` when the system gives no randomness.
    fn sign(key: &Self::KeyPair, message: &[u8]) -> Option<[u8; 64]>;
}

/// An Ed25519 private key as PKCS #8 (RFC 8410, section 7): what stands before the 32 bytes.
const ED25519_PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A new Ed25519 private key. Made here rather than by the back-ends, whose documents are not wiped.
fn generate_ed25519() -> Option<Zeroizing<Vec<u8>>> {
    let seed = random::<32>()?;
    let mut document = Zeroizing::new(Vec::with_capacity(48));
    document.extend_from_slice(&ED25519_PKCS8_PREFIX);
    document.extend_from_slice(&*seed);
    Some(document)
}

/// Bytes from the system's generator; `None` when it gives none.
pub(crate) fn random<const N: usize>() -> Option<Zeroizing<[u8; N]>> {
    use ::ring::rand::SecureRandom as _;

    let mut bytes = Zeroizing::new([0; N]);
    ::ring::rand::SystemRandom::new().fill(&mut *bytes).ok()?;
    Some(bytes)
}

/// SHA-256 (FIPS 180-4).
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(::ring::digest::digest(&::ring::digest::SHA256, bytes).as_ref());
    digest
}

#[cfg(test)]
mod wycheproof;
