//! Why a federated token is refused: the first failed step, for three readers.
// A new case must stop the build wherever it matters.
#![warn(clippy::wildcard_enum_match_arm)]

use std::borrow::Cow;
use std::fmt;

use cachegate_jwt::{JwsError, Part};

use crate::{KeysError, Verified};

/// The steps of the check, in their order. What fails first is what is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Three parts of base64url, a payload that is one strict JSON object.
    Format,
    /// Within the limits on length, depth and number.
    Size,
    /// A header that asks for a signature and nothing else.
    Header,
    /// A configured anchor that vouches for this issuer.
    Anchor,
    /// A key of that anchor, for an algorithm that is allowed there.
    Key,
    /// The signature.
    Signature,
    /// The class of the token (`typ`).
    Type,
    /// The issuer, byte for byte, and the tenant that it names.
    Issuer,
    /// The audience.
    Audience,
    /// Expiry, age and lifetime.
    Time,
    /// Used before.
    Replay,
    /// Who it is: the ids, their types, and that they agree wherever they stand.
    Pins,
    /// The other conditions of the rule.
    Conditions,
    /// What the rule would give.
    Grant,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 14] = [
        Self::Format,
        Self::Size,
        Self::Header,
        Self::Anchor,
        Self::Key,
        Self::Signature,
        Self::Type,
        Self::Issuer,
        Self::Audience,
        Self::Time,
        Self::Replay,
        Self::Pins,
        Self::Conditions,
        Self::Grant,
    ];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Format => "format",
            Self::Size => "size",
            Self::Header => "header",
            Self::Anchor => "anchor",
            Self::Key => "key",
            Self::Signature => "signature",
            Self::Type => "type",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Time => "time",
            Self::Replay => "replay",
            Self::Pins => "pins",
            Self::Conditions => "conditions",
            Self::Grant => "grant",
        }
    }

    /// What the step demands, for the operator, where a refusal has nothing closer to say.
    const fn demands(self) -> &'static str {
        match self {
            Self::Format => "three parts of base64url without padding, the second a strict JSON object",
            Self::Size => "at most 16384 bytes, 128 members and a depth of 8",
            Self::Header => {
                "a header that has `alg`, at most `kid` and `typ` beside it, and asks for nothing else"
            }
            Self::Anchor => "an anchor for this issuer",
            Self::Key => "a key of the anchor, for an algorithm that is allowed there",
            Self::Signature => "the signature of the key that the header names, over these very bytes",
            Self::Type => "the class of token that the anchor takes",
            Self::Issuer => "one `iss`, equal byte for byte to the anchor's",
            Self::Audience => "an `aud` that names one of the anchor's audiences alone",
            Self::Time => {
                "`exp` and `iat` in whole seconds, a token that is valid now and no older than is allowed"
            }
            Self::Replay => "a token that was not used before",
            Self::Pins => "ids of their type, the same wherever they stand, and those that the rule pins",
            Self::Conditions => "every condition of the rule to be known true",
            Self::Grant => "a grant that the rule may give to this job",
        }
    }

    /// What the caller can try, where a refusal has nothing closer to say.
    const fn advises(self) -> &'static str {
        match self {
            Self::Format | Self::Header | Self::Signature => {
                "present the token whole, as the platform gave it"
            }
            Self::Size => "leave optional claims out of the token: groups, tags, properties",
            Self::Anchor => "ask whoever runs this service which issuers it takes",
            Self::Key => "try once more: a new key takes a moment to be known",
            Self::Type => "present the platform's identity token, not another kind of token",
            Self::Issuer => "present the token of the issuer that this service was set up for",
            Self::Audience => "request the token for this service's audience alone",
            Self::Time => "request a fresh token right before it is used, and check the clock",
            Self::Replay => "request a fresh token: each one counts once",
            Self::Pins => "present the platform's own token, with the ids that it can carry",
            Self::Conditions => "ask whoever runs this service which jobs its rules let in",
            Self::Grant => "ask whoever runs this service what its rules give to this job",
        }
    }

    /// The step at which the codec's error arises.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the codec may come to have more errors about claims")]
    pub(crate) fn of(error: &JwsError) -> Self {
        match error {
            JwsError::TooLarge { .. } | JwsError::TooComplex { .. } => Self::Size,
            JwsError::NotCanonicalBase64 { part: Part::Header }
            | JwsError::NotJsonObject { part: Part::Header, .. }
            | JwsError::NotCleanUtf8 { part: Part::Header, .. }
            | JwsError::DuplicateMember { part: Part::Header, .. }
            | JwsError::NumberOutOfRange { part: Part::Header, .. }
            | JwsError::HeaderMissing { .. }
            | JwsError::HeaderIllTyped { .. }
            | JwsError::UnsupportedAlgorithm
            | JwsError::CriticalHeader
            | JwsError::EmbeddedKey { .. }
            | JwsError::UnsupportedHeader { .. }
            | JwsError::KeyIdLength { .. } => Self::Header,
            JwsError::NotThreeParts
            | JwsError::NotCanonicalBase64 { .. }
            | JwsError::NotJsonObject { .. }
            | JwsError::NotCleanUtf8 { .. }
            | JwsError::DuplicateMember { .. }
            | JwsError::NumberOutOfRange { .. } => Self::Format,
            JwsError::UnknownKey { .. }
            | JwsError::AlgorithmMismatch { .. }
            | JwsError::AlgorithmNotAllowed { .. }
            | JwsError::KeyRevoked { .. } => Self::Key,
            JwsError::BadSignature => Self::Signature,
            JwsError::WrongType => Self::Type,
            JwsError::IssuerMismatch => Self::Issuer,
            JwsError::AudienceMismatch | JwsError::AudienceNotSole { .. } => Self::Audience,
            JwsError::Expired { .. }
            | JwsError::NotYetValid { .. }
            | JwsError::IssuedInFuture { .. }
            | JwsError::TimesContradict { .. }
            | JwsError::LifetimeTooLong { .. } => Self::Time,
            JwsError::ClaimMissing { claim }
            | JwsError::ClaimIllTyped { claim }
            | JwsError::ClaimOutOfRange { claim } => match *claim {
                "iss" => Self::Issuer,
                "aud" => Self::Audience,
                "exp" | "nbf" | "iat" => Self::Time,
                "jti" => Self::Replay,
                _ => Self::Pins,
            },
            _ => Self::Pins,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a federated token is refused.
///
/// Its text repeats nothing but the caller's own claims; what was expected is for the operator alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    step: Step,
    code: &'static str,
    text: String,
    expected: Cow<'static, str>,
    hint: Cow<'static, str>,
}

impl Refusal {
    /// A refusal at `step`. The text is for anyone: lower case, one line, nothing but the caller's own claims, each
    /// through [`quoted`].
    pub(crate) fn new(step: Step, code: &'static str, text: impl Into<String>) -> Self {
        let (expected, hint) = (step.demands().into(), step.advises().into());
        Self { step, code, text: text.into(), expected, hint }
    }

    /// What was expected, for the operator.
    pub(crate) fn with_expected(mut self, expected: impl Into<Cow<'static, str>>) -> Self {
        self.expected = expected.into();
        self
    }

    /// What the caller can change.
    pub(crate) fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// No anchor is configured at all.
    pub fn no_anchors() -> Self {
        Self::new(Step::Anchor, "unknown_issuer", "no issuer is trusted here")
            .with_expected("an anchor and a rule in the configuration")
    }

    /// The issuer was asked and has no such key.
    pub fn no_key(error: &KeysError) -> Self {
        Self::new(Step::Key, error.code(), "the token's issuer has no key of the name that it gives")
            .with_expected("a key that the issuer publishes, under the name that the token gives")
    }

    /// The rules that the token's own organization saved cannot be loaded as the gate is configured now: what they
    /// would refuse is not known, and so nothing is granted.
    pub fn rules_not_loaded(error: &dyn fmt::Display) -> Self {
        let text = "the trust rules of the organization that this job belongs to cannot be loaded";
        Self::new(Step::Pins, "rules_not_loaded", text)
            .with_expected(format!("rules that can be loaded: {error}"))
            .with_hint("tell an administrator of the organization: its trust rules must be saved anew")
    }

    /// The token was exchanged before.
    pub fn replayed() -> Self {
        Self::new(
            Step::Replay,
            "replayed",
            "this token was exchanged before, and it is good for one exchange",
        )
        .with_hint("request a new identity token for each exchange")
    }

    /// The anchor's tokens are to be exchanged first.
    pub fn exchange_only(verified: &Verified) -> Self {
        Self::new(Step::Grant, "exchange_only", "tokens of this issuer are exchanged for a session first")
            .with_expected(format!("the anchor `{}` with the mode `direct`", verified.anchor))
            .with_hint("exchange it at the token endpoint, and present the session")
    }

    /// The step that failed first.
    pub fn step(&self) -> Step {
        self.step
    }

    /// A stable name in snake case.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What anyone may read: one line that repeats nothing but the caller's own claims.
    pub fn public(&self) -> &str {
        &self.text
    }

    /// What was expected instead, for the operator of the gate.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What the caller can change to be let in.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Whether newer keys of the anchor may change the answer: no other refusal is worth a fetch.
    pub fn is_unknown_key(&self) -> bool {
        self.code == "unknown_key"
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refusal {}

impl From<JwsError> for Refusal {
    fn from(error: JwsError) -> Self {
        Self::new(Step::of(&error), error.code(), error.to_string())
    }
}

/// A caller's text within backticks: what would change how a line reads is escaped, and it is cut at 120 characters.
pub(crate) fn quoted(text: &str) -> String {
    const LIMIT: usize = 120;
    let mut out = String::from("`");
    for (count, character) in text.chars().enumerate() {
        if count == LIMIT {
            out.push('…');
            break;
        }
        if character == '`' || character == '\\' || !character.is_ascii() || character.is_ascii_control() {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out.push('`');
    out
}
