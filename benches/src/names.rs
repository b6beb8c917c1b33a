//! What the operations are called.

pub(crate) const ED25519_VERIFY: &str = "Ed25519 verify";
pub(crate) const ES256_VERIFY: &str = "ES256 verify";
pub(crate) const RS256_VERIFY: &str = "RS256 verify";
pub(crate) const ED25519_SIGN: &str = "Ed25519 sign";
pub(crate) const SHA256_OF_SIGNED: &str = "SHA-256 of the signed token";

pub(crate) const GATE_UNSEEN: &str = "gate: unseen token to decision";
pub(crate) const OWN_CODEC: &str = "codec: our own token to claims";
pub(crate) const EDDSA: &str = "EdDSA, a platform's token to decision";
pub(crate) const ES256: &str = "ES256, a platform's token to decision";
pub(crate) const RS256: &str = "RS256, a platform's token to decision";
pub(crate) const ISSUE: &str = "issue a token";
pub(crate) const SIGNED_WARM: &str = "gate: signed token, seen before, to decision";
pub(crate) const OPAQUE_WARM: &str = "gate: opaque token, seen before, to decision";
pub(crate) const AFTER_CHANGE: &str = "gate: token seen before, after a change elsewhere";
pub(crate) const DECISION: &str = "decision, the tenth of ten grants decides";

pub(crate) const JSONWEBTOKEN_EDDSA: &str = "jsonwebtoken: EdDSA token to claims";
pub(crate) const JSONWEBTOKEN_ES256: &str = "jsonwebtoken: ES256 token to claims";
pub(crate) const JSONWEBTOKEN_RS256: &str = "jsonwebtoken: RS256 token to claims";
pub(crate) const JSONWEBTOKEN_ISSUE: &str = "jsonwebtoken: issue an EdDSA token";
pub(crate) const JSONWEBTOKEN_LONG: &str = "jsonwebtoken: refuse 16 KiB of one letter";
pub(crate) const GATEHOUSE_TEN: &str = "gatehouse: the tenth of ten policies decides";
pub(crate) const GATEHOUSE_ONE: &str = "gatehouse: one policy decides";
#[cfg(feature = "peers")]
pub(crate) const CEDAR_TEN: &str = "cedar: the tenth of ten policies decides";
