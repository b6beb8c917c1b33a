//! Claims: read strictly, and checked against what a verifier was configured to accept.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cachegate_types::Timestamp;

use crate::json::{Array, Object, Value};
use crate::{JwsError, VerifiedJws};

/// An object of claims. Its members are what the payload says: each name once, each value with its type.
#[derive(Clone, Copy)]
pub struct Claims<'a>(Object<'a>);

/// The value of a claim.
#[derive(Clone, Debug)]
pub enum ClaimValue<'a> {
    /// `null`: a value, not an absence.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number written without fraction and exponent that fits 64 bits.
    Integer(i64),
    /// Any other number, as written.
    Number(&'a str),
    /// A text.
    Text(Cow<'a, str>),
    /// A list.
    List(ClaimList<'a>),
    /// An object.
    Object(Claims<'a>),
}

/// A list within claims.
#[derive(Clone, Copy)]
pub struct ClaimList<'a>(Array<'a>);

impl<'a> Claims<'a> {
    pub(crate) fn new(object: Object<'a>) -> Self {
        Self(object)
    }

    /// The value of a claim; `None` when it is absent.
    pub fn get(self, name: &str) -> Option<ClaimValue<'a>> {
        self.0.get(name).map(ClaimValue::from)
    }

    /// The members in the order in which they are written.
    pub fn iter(self) -> impl Iterator<Item = (Cow<'a, str>, ClaimValue<'a>)> {
        self.0.members().map(|(name, value)| (name.to_cow(), value.into()))
    }

    /// The object as it is written: JSON in which no member comes twice.
    pub fn as_json(self) -> &'a str {
        self.0.as_str()
    }
}

/// The names of the members; claims may be personal.
impl fmt::Debug for Claims<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

impl<'a> ClaimList<'a> {
    /// The elements in order.
    pub fn iter(self) -> impl Iterator<Item = ClaimValue<'a>> {
        self.0.elements().map(ClaimValue::from)
    }
}

/// How many elements there are.
impl fmt::Debug for ClaimList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClaimList({} elements)", self.iter().count())
    }
}

impl<'a> From<Value<'a>> for ClaimValue<'a> {
    fn from(value: Value<'a>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Integer(value) => Self::Integer(value),
            Value::Number(text) => Self::Number(text),
            Value::Text(text) => Self::Text(text.to_cow()),
            Value::Array(array) => Self::List(ClaimList(array)),
            Value::Object(object) => Self::Object(Claims(object)),
        }
    }
}

/// What a verifier accepts: from whom, for whom, for how long, of which class. Whatever could be left open by
/// mistake must be said.
#[derive(Clone, Debug)]
pub struct ClaimsCheck {
    pub(crate) issuer: Option<Arc<str>>,
    pub(crate) audiences: Vec<Arc<str>>,
    types: Vec<Box<str>>,
    missing_type: bool,
    further_audiences: bool,
    issued_at_optional: bool,
    subject_optional: bool,
    leeway: Duration,
    pub(crate) max_lifetime: Duration,
}

/// Why a check cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimsCheckError {
    /// The empty text is nobody.
    #[error("the issuer is empty")]
    EmptyIssuer,
    /// Without an audience every token of the issuer would be accepted, for whomever it was made.
    #[error("no audience is given, or an empty one")]
    EmptyAudience,
    /// No class of token is given, or an empty one.
    #[error("no token type is given, or an empty one")]
    EmptyType,
    /// A leeway is at most [`ClaimsCheck::MAX_LEEWAY`].
    #[error("the leeway is longer than 60 s")]
    Leeway,
    /// A longest lifetime of nothing accepts nothing.
    #[error("the longest lifetime is zero")]
    Lifetime,
}

impl ClaimsCheckError {
    /// A stable name in snake case.
    pub const fn code(self) -> &'static str {
        match self {
            Self::EmptyIssuer => "empty_issuer",
            Self::EmptyAudience => "empty_audience",
            Self::EmptyType => "empty_type",
            Self::Leeway => "leeway_too_long",
            Self::Lifetime => "lifetime_zero",
        }
    }
}

impl ClaimsCheck {
    /// How far the clocks of issuer and verifier may lie apart, unless said otherwise.
    pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(30);
    /// The longest leeway. More would keep expired tokens alive rather than forgive a clock.
    pub const MAX_LEEWAY: Duration = Duration::from_secs(60);
    /// The most audiences that a token may name.
    pub const MAX_AUDIENCES: usize = 16;
    /// The longest `iss`, `sub` and `jti`, in bytes.
    pub const MAX_TEXT: usize = 1024;

    /// Accepts tokens of `issuer` for one of `audiences`, compared byte for byte, of the type `JWT`, valid for at
    /// most `max_lifetime`. A token must name one audience alone.
    ///
    /// # Errors
    ///
    /// [`ClaimsCheckError`] when something is empty: an open door is not built.
    pub fn new<'a>(
        issuer: &str,
        audiences: impl IntoIterator<Item = &'a str>,
        max_lifetime: Duration,
    ) -> Result<Self, ClaimsCheckError> {
        if issuer.is_empty() {
            return Err(ClaimsCheckError::EmptyIssuer);
        }
        Self::without_issuer(audiences, max_lifetime)
            .map(|check| Self { issuer: Some(issuer.into()), ..check })
    }

    /// Accepts access tokens (RFC 9068): as [`ClaimsCheck::new`], of the type `at+jwt`.
    ///
    /// # Errors
    ///
    /// [`ClaimsCheckError`] when something is empty.
    pub fn access_tokens<'a>(
        issuer: &str,
        audiences: impl IntoIterator<Item = &'a str>,
        max_lifetime: Duration,
    ) -> Result<Self, ClaimsCheckError> {
        Self::new(issuer, audiences, max_lifetime)?.with_types(&["at+jwt"])
    }

    /// As [`ClaimsCheck::new`] for tokens that need no `iss`, such as SPIFFE's: the caller must bind the subject's
    /// trust domain to the keys.
    ///
    /// # Errors
    ///
    /// [`ClaimsCheckError`] when something is empty.
    pub fn without_issuer<'a>(
        audiences: impl IntoIterator<Item = &'a str>,
        max_lifetime: Duration,
    ) -> Result<Self, ClaimsCheckError> {
        let audiences: Vec<Arc<str>> = audiences.into_iter().map(Arc::from).collect();
        if audiences.is_empty() || audiences.iter().any(|audience| audience.is_empty()) {
            return Err(ClaimsCheckError::EmptyAudience);
        }
        if max_lifetime.as_secs() == 0 {
            return Err(ClaimsCheckError::Lifetime);
        }
        Ok(Self {
            issuer: None,
            audiences,
            types: vec!["jwt".into()],
            missing_type: false,
            further_audiences: false,
            issued_at_optional: false,
            subject_optional: false,
            leeway: Self::DEFAULT_LEEWAY,
            max_lifetime,
        })
    }

    /// Accepts these types instead of `JWT`. Compared without regard to case and to a leading `application/`
    /// (RFC 7515, section 4.1.9).
    ///
    /// # Errors
    ///
    /// [`ClaimsCheckError::EmptyType`].
    pub fn with_types(mut self, types: &[&str]) -> Result<Self, ClaimsCheckError> {
        self.types = types.iter().map(|typ| plain_type(typ).to_ascii_lowercase().into()).collect();
        if self.types.is_empty() || self.types.iter().any(|typ| typ.is_empty()) {
            return Err(ClaimsCheckError::EmptyType);
        }
        Ok(self)
    }

    /// Accepts a token that names no type: some platforms' do not.
    #[must_use]
    pub fn with_type_optional(mut self) -> Self {
        self.missing_type = true;
        self
    }

    /// Accepts a token that names further audiences beside one of ours: whoever else it is for could present it here.
    #[must_use]
    pub fn with_further_audiences(mut self) -> Self {
        self.further_audiences = true;
        self
    }

    /// Accepts a token without `iat`; its lifetime then counts from `nbf`, or else from now.
    #[must_use]
    pub fn with_issued_at_optional(mut self) -> Self {
        self.issued_at_optional = true;
        self
    }

    /// Accepts a token without `sub`.
    #[must_use]
    pub fn with_subject_optional(mut self) -> Self {
        self.subject_optional = true;
        self
    }

    /// Lets the clocks lie this far apart, in whole seconds.
    ///
    /// # Errors
    ///
    /// [`ClaimsCheckError::Leeway`] beyond [`ClaimsCheck::MAX_LEEWAY`].
    pub fn with_leeway(mut self, leeway: Duration) -> Result<Self, ClaimsCheckError> {
        if leeway > Self::MAX_LEEWAY {
            return Err(ClaimsCheckError::Leeway);
        }
        self.leeway = leeway;
        Ok(self)
    }

    /// How far the clocks may lie apart. A record of single use must outlive `exp` by it.
    pub fn leeway(&self) -> Duration {
        self.leeway
    }

    pub(crate) fn check_type(&self, typ: Option<&str>) -> Result<(), JwsError> {
        let accepted = match typ {
            None => self.missing_type,
            Some(typ) => {
                let typ = plain_type(typ);
                self.types.iter().any(|accepted| accepted.eq_ignore_ascii_case(typ))
            }
        };
        if accepted { Ok(()) } else { Err(JwsError::WrongType) }
    }

    pub(crate) fn check_registered(
        &self,
        claims: &Registered<'_>,
        now: Timestamp,
    ) -> Result<Checked, JwsError> {
        match (claims.iss, &self.issuer) {
            (None, None) => {}
            (None, Some(_)) => return Err(JwsError::ClaimMissing { claim: "iss" }),
            (Some(Value::Text(issuer)), Some(expected)) if !issuer.is(expected) => {
                return Err(JwsError::IssuerMismatch);
            }
            (Some(Value::Text(_)), _) => {}
            (Some(_), _) => return Err(JwsError::ClaimIllTyped { claim: "iss" }),
        }
        let audience = self.check_audience(claims.aud)?;
        let times = self.check_times(claims, now)?;
        Ok(Checked { audience, times })
    }

    /// Which of the accepted audiences the token is for.
    fn check_audience(&self, value: Option<Value<'_>>) -> Result<usize, JwsError> {
        const CLAIM: &str = "aud";
        let accepted = |value: Value<'_>| {
            let text = value.as_text().ok_or(JwsError::ClaimIllTyped { claim: CLAIM })?;
            Ok(self.audiences.iter().position(|audience| text.is(audience)))
        };
        match value {
            None => Err(JwsError::ClaimMissing { claim: CLAIM }),
            Some(Value::Array(list)) => {
                let (mut count, mut found) = (0, None);
                for element in list.elements() {
                    found = found.or(accepted(element)?);
                    count += 1;
                }
                if count > Self::MAX_AUDIENCES {
                    return Err(JwsError::ClaimOutOfRange { claim: CLAIM });
                }
                let found = found.ok_or(JwsError::AudienceMismatch)?;
                if count > 1 && !self.further_audiences {
                    return Err(JwsError::AudienceNotSole { count });
                }
                Ok(found)
            }
            Some(value) => accepted(value)?.ok_or(JwsError::AudienceMismatch),
        }
    }

    fn check_times(&self, claims: &Registered<'_>, now: Timestamp) -> Result<Times, JwsError> {
        let expires_at = moment("exp", claims.exp)?.ok_or(JwsError::ClaimMissing { claim: "exp" })?;
        let issued_at = moment("iat", claims.iat)?;
        let not_before = moment("nbf", claims.nbf)?;
        if issued_at.is_none() && !self.issued_at_optional {
            return Err(JwsError::ClaimMissing { claim: "iat" });
        }
        if not_before.is_some_and(|from| from > expires_at) || issued_at.is_some_and(|from| from > expires_at)
        {
            return Err(JwsError::TimesContradict { expires_at });
        }
        if let Some(issued_at) = issued_at
            && issued_at > now.saturating_add(self.leeway)
        {
            return Err(JwsError::IssuedInFuture { issued_at, now });
        }
        let (seconds, limit) = (
            expires_at.since(issued_at.or(not_before).unwrap_or(now)).as_secs(),
            self.max_lifetime.as_secs(),
        );
        if seconds > limit {
            return Err(JwsError::LifetimeTooLong { seconds, limit });
        }
        if let Some(not_before) = not_before
            && not_before > now.saturating_add(self.leeway)
        {
            return Err(JwsError::NotYetValid { not_before, now });
        }
        if expires_at.saturating_add(self.leeway) <= now {
            return Err(JwsError::Expired { expires_at, now });
        }
        Ok(Times { expires_at, issued_at, not_before })
    }
}

/// Claims that were signed by a key of their issuer, are for us, and are valid now.
///
/// Not checked: whether the token was revoked or used before, and what its subject may do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckedClaims<'a> {
    /// All claims.
    pub claims: Claims<'a>,
    /// `iss`, where the check demands one.
    pub issuer: Option<Arc<str>>,
    /// The audience of ours that the token is for.
    pub audience: Arc<str>,
    /// `sub`.
    pub subject: Option<String>,
    /// `jti`.
    pub token_id: Option<String>,
    /// `exp`; the leeway is not part of it.
    pub expires_at: Timestamp,
    /// `iat`.
    pub issued_at: Option<Timestamp>,
    /// `nbf`.
    pub not_before: Option<Timestamp>,
}

impl VerifiedJws {
    /// Reads the claims and checks type, issuer, audience and times (RFC 7519, section 4.1; RFC 8725, section 3).
    ///
    /// # Errors
    ///
    /// [`JwsError`] says what is wrong. A claim of the wrong type is never taken for absent.
    pub fn check(&self, check: &ClaimsCheck, now: Timestamp) -> Result<CheckedClaims<'_>, JwsError> {
        let claims = self.claims()?;
        check.check_type(self.typ())?;
        let registered = Registered::collect(claims.0, |_, _| Ok(()))?;
        let Checked { audience, times } = check.check_registered(&registered, now)?;
        let subject = text("sub", registered.sub)?.map(Cow::into_owned);
        if subject.is_none() && !check.subject_optional {
            return Err(JwsError::ClaimMissing { claim: "sub" });
        }
        Ok(CheckedClaims {
            claims,
            issuer: check.issuer.clone(),
            audience: check.audiences.get(audience).cloned().ok_or(JwsError::AudienceMismatch)?,
            subject,
            token_id: text("jti", registered.jti)?.map(Cow::into_owned),
            expires_at: times.expires_at,
            issued_at: times.issued_at,
            not_before: times.not_before,
        })
    }
}

/// The registered claims (RFC 7519, section 4.1) as they were found.
#[derive(Clone, Copy, Default)]
pub(crate) struct Registered<'a> {
    pub(crate) iss: Option<Value<'a>>,
    pub(crate) aud: Option<Value<'a>>,
    pub(crate) exp: Option<Value<'a>>,
    pub(crate) nbf: Option<Value<'a>>,
    pub(crate) iat: Option<Value<'a>>,
    pub(crate) sub: Option<Value<'a>>,
    pub(crate) jti: Option<Value<'a>>,
}

impl<'a> Registered<'a> {
    /// One pass over the claims; `other` sees those that are not registered.
    pub(crate) fn collect(
        object: Object<'a>,
        mut other: impl FnMut(&str, Value<'a>) -> Result<(), JwsError>,
    ) -> Result<Self, JwsError> {
        let mut found = Self::default();
        for (name, value) in object.members() {
            match &*name.to_cow() {
                "iss" => found.iss = Some(value),
                "aud" => found.aud = Some(value),
                "exp" => found.exp = Some(value),
                "nbf" => found.nbf = Some(value),
                "iat" => found.iat = Some(value),
                "sub" => found.sub = Some(value),
                "jti" => found.jti = Some(value),
                name => other(name, value)?,
            }
        }
        Ok(found)
    }
}

/// What a check found.
pub(crate) struct Checked {
    /// Its place among the accepted audiences.
    pub(crate) audience: usize,
    pub(crate) times: Times,
}

pub(crate) struct Times {
    pub(crate) expires_at: Timestamp,
    pub(crate) issued_at: Option<Timestamp>,
    pub(crate) not_before: Option<Timestamp>,
}

fn moment(claim: &'static str, value: Option<Value<'_>>) -> Result<Option<Timestamp>, JwsError> {
    match value {
        None => Ok(None),
        Some(Value::Integer(seconds)) => {
            Timestamp::from_unix_seconds(seconds).map(Some).map_err(|_| JwsError::ClaimOutOfRange { claim })
        }
        // An integer that does not fit 64 bits is out of range rather than of another type.
        Some(Value::Number(text)) if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => {
            Err(JwsError::ClaimOutOfRange { claim })
        }
        Some(_) => Err(JwsError::ClaimIllTyped { claim }),
    }
}

/// A text of 1 to [`ClaimsCheck::MAX_TEXT`] bytes.
pub(crate) fn text<'a>(
    claim: &'static str,
    value: Option<Value<'a>>,
) -> Result<Option<Cow<'a, str>>, JwsError> {
    match value {
        None => Ok(None),
        Some(Value::Text(text)) => {
            let text = text.to_cow();
            if text.is_empty() || text.len() > ClaimsCheck::MAX_TEXT {
                return Err(JwsError::ClaimOutOfRange { claim });
            }
            Ok(Some(text))
        }
        Some(_) => Err(JwsError::ClaimIllTyped { claim }),
    }
}

/// A media type without `application/`, which may be left out where no other `/` stands (RFC 7515, section 4.1.9).
fn plain_type(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        _ => typ,
    }
}
