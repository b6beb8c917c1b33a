//! Why a token is refused.

use cachegate_types::Timestamp;

use crate::json::JsonError;
use crate::{Algorithm, KeyId};

/// A part of a token, so that a refusal can say where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// What stands before the first dot.
    Header,
    /// What stands between the dots.
    Payload,
    /// What stands behind the second dot.
    Signature,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}

/// Why a token is refused. It holds names, positions, lengths and times: never the text of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// Longer than is read at all; nothing of it was looked at.
    #[error("a token of {length} bytes is too large: at most {limit} are read")]
    TooLarge {
        /// The length found, in bytes.
        length: usize,
        /// The longest that is read, in bytes.
        limit: usize,
    },
    /// Not three parts between two dots, all of them there.
    #[error("not a compact JWS: expected three parts that are not empty between two dots")]
    NotThreeParts,
    /// Padding, another alphabet, white space, a dangling character or stray trailing bits.
    #[error("the {part} is not canonical base64url without padding")]
    NotCanonicalBase64 {
        /// Where.
        part: Part,
    },
    /// Not one JSON object without anything around it.
    #[error("the {part} is not one JSON object: byte {position}")]
    NotJsonObject {
        /// Where.
        part: Part,
        /// Bytes from the start of the decoded part.
        position: usize,
    },
    /// Not UTF-8, a byte order mark, a NUL, or a lone surrogate.
    #[error("the {part} is not clean UTF-8: byte {position}")]
    NotCleanUtf8 {
        /// Where.
        part: Part,
        /// Bytes from the start of the decoded part.
        position: usize,
    },
    /// One member twice, at some depth, in whatever spelling.
    #[error("a member of the {part} comes twice: byte {position}")]
    DuplicateMember {
        /// Where.
        part: Part,
        /// Bytes from the start of the decoded part.
        position: usize,
    },
    /// A number that 64 bits of floating point do not hold: readers disagree on what it is.
    #[error("a number of the {part} is out of range: byte {position}")]
    NumberOutOfRange {
        /// Where.
        part: Part,
        /// Bytes from the start of the decoded part.
        position: usize,
    },
    /// Deeper, or with more members or elements, than a token needs.
    #[error("the {part} is too deep or has too many members: byte {position}")]
    TooComplex {
        /// Where.
        part: Part,
        /// Bytes from the start of the decoded part.
        position: usize,
    },
    /// A member of the header that must be there is missing.
    #[error("the header has no `{member}`")]
    HeaderMissing {
        /// The member's name.
        member: &'static str,
    },
    /// A member of the header has another type than the standard gives it.
    #[error("the header's `{member}` is ill-typed")]
    HeaderIllTyped {
        /// The member's name.
        member: &'static str,
    },
    /// `none`, HMAC, ES512, or anything else that is not spoken here.
    #[error("unsupported algorithm in the header")]
    UnsupportedAlgorithm,
    /// `crit`: no extension is understood here, so whatever it names must refuse (RFC 7515, section 4.1.11).
    #[error("the header demands extensions (`crit`), and none is understood")]
    CriticalHeader,
    /// `jku`, `x5u`, `x5c` or `jwk`: a token does not bring its own key.
    #[error("the header carries or points to a key (`{member}`)")]
    EmbeddedKey {
        /// The member's name.
        member: &'static str,
    },
    /// `b64`, `zip`, `enc`, `cty` and the like: not a plain signed set of claims.
    #[error("the header asks for more than a signature (`{member}`)")]
    UnsupportedHeader {
        /// The member's name.
        member: &'static str,
    },
    /// `kid` is 1 to 256 bytes.
    #[error("a key id is 1 to 256 bytes long, this one has {length}")]
    KeyIdLength {
        /// The length found, in bytes.
        length: usize,
    },
    /// No key of this name, or without a name none that fits, or several.
    #[error("no single key fits the token")]
    UnknownKey {
        /// The name that the header gives.
        kid: Option<KeyId>,
    },
    /// Header and key disagree.
    #[error("the header says {header}, the key is for {key}")]
    AlgorithmMismatch {
        /// What the header says.
        header: Algorithm,
        /// What the key is for.
        key: Algorithm,
    },
    /// Header and key agree on an algorithm that is not allowed here.
    #[error("{algorithm} is not among the algorithms allowed here")]
    AlgorithmNotAllowed {
        /// What both say.
        algorithm: Algorithm,
    },
    /// The signature is not the key's over these bytes.
    #[error("the signature is wrong")]
    BadSignature,
    /// The signature is right, and the key is revoked.
    #[error("the key `{kid}` is revoked")]
    KeyRevoked {
        /// Its name.
        kid: KeyId,
    },
    /// `typ` is another class of token, or missing.
    #[error("another class of token than is accepted here (`typ`)")]
    WrongType,
    /// A claim that must be there is missing.
    #[error("the claim `{claim}` is missing")]
    ClaimMissing {
        /// Its name.
        claim: &'static str,
    },
    /// A claim has another type than the standard gives it. It is never taken for absent.
    #[error("the claim `{claim}` is ill-typed")]
    ClaimIllTyped {
        /// Its name.
        claim: &'static str,
    },
    /// A claim has the right type and a value that it cannot have: a time outside the years 1970 to 9999, a text
    /// that is empty, overlong or not of its alphabet.
    #[error("the claim `{claim}` has a value that it cannot have")]
    ClaimOutOfRange {
        /// Its name.
        claim: &'static str,
    },
    /// A claim that is not known where only known ones are accepted: what is not understood might restrict.
    #[error("the token carries a claim that is not known")]
    UnknownClaim,
    /// An authorization detail of a type, or with a member, that is not known: what is not understood might restrict.
    #[error("the token carries an authorization detail that is not known")]
    UnknownAuthorizationDetail,
    /// `iss` is another issuer.
    #[error("another issuer than is accepted here")]
    IssuerMismatch,
    /// `aud` does not name us.
    #[error("for another audience")]
    AudienceMismatch,
    /// `aud` names us and others, where it must name us alone.
    #[error("for {count} audiences, where one alone is accepted")]
    AudienceNotSole {
        /// How many it names.
        count: usize,
    },
    /// `exp` has passed.
    #[error("expired at {expires_at}, it is {now}")]
    Expired {
        /// When it expired.
        expires_at: Timestamp,
        /// What time it was.
        now: Timestamp,
    },
    /// `nbf` lies ahead.
    #[error("not valid before {not_before}, it is {now}")]
    NotYetValid {
        /// From when on it is valid.
        not_before: Timestamp,
        /// What time it was.
        now: Timestamp,
    },
    /// `iat` lies ahead.
    #[error("issued at {issued_at}, it is {now}")]
    IssuedInFuture {
        /// When it says that it was issued.
        issued_at: Timestamp,
        /// What time it was.
        now: Timestamp,
    },
    /// `exp` is not after `nbf` and `iat`.
    #[error("the times contradict each other: it ends at {expires_at}, before it begins")]
    TimesContradict {
        /// When it expires.
        expires_at: Timestamp,
    },
    /// Valid for longer than is accepted.
    #[error("valid for {seconds} s, at most {limit} s are accepted")]
    LifetimeTooLong {
        /// How long it says to be valid, in seconds.
        seconds: u64,
        /// The longest accepted, in seconds.
        limit: u64,
    },
}

impl JwsError {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::NotThreeParts => "malformed",
            Self::NotCanonicalBase64 { .. } => "not_canonical_base64",
            Self::NotJsonObject { .. } => "not_json_object",
            Self::NotCleanUtf8 { .. } => "not_clean_utf8",
            Self::DuplicateMember { .. } => "duplicate_member",
            Self::NumberOutOfRange { .. } => "number_out_of_range",
            Self::TooComplex { .. } => "too_complex",
            Self::HeaderMissing { .. } => "header_missing",
            Self::HeaderIllTyped { .. } => "header_ill_typed",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::CriticalHeader => "critical_header",
            Self::EmbeddedKey { .. } => "embedded_key",
            Self::UnsupportedHeader { .. } => "unsupported_header",
            Self::KeyIdLength { .. } => "key_id_length",
            Self::UnknownKey { .. } => "unknown_key",
            Self::AlgorithmMismatch { .. } => "algorithm_mismatch",
            Self::AlgorithmNotAllowed { .. } => "algorithm_not_allowed",
            Self::BadSignature => "bad_signature",
            Self::KeyRevoked { .. } => "key_revoked",
            Self::WrongType => "wrong_type",
            Self::ClaimMissing { .. } => "claim_missing",
            Self::ClaimIllTyped { .. } => "claim_ill_typed",
            Self::ClaimOutOfRange { .. } => "claim_out_of_range",
            Self::UnknownClaim => "unknown_claim",
            Self::UnknownAuthorizationDetail => "unknown_authorization_detail",
            Self::IssuerMismatch => "issuer_mismatch",
            Self::AudienceMismatch => "audience_mismatch",
            Self::AudienceNotSole { .. } => "audience_not_sole",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::IssuedInFuture { .. } => "issued_in_future",
            Self::TimesContradict { .. } => "times_contradict",
            Self::LifetimeTooLong { .. } => "lifetime_too_long",
        }
    }

    pub(crate) fn json(part: Part, error: JsonError) -> Self {
        match error {
            JsonError::Syntax { position } => Self::NotJsonObject { part, position },
            JsonError::Encoding { position } => Self::NotCleanUtf8 { part, position },
            JsonError::Number { position } => Self::NumberOutOfRange { part, position },
            JsonError::Duplicate { position } => Self::DuplicateMember { part, position },
            JsonError::TooLarge { position } => Self::TooComplex { part, position },
        }
    }
}
