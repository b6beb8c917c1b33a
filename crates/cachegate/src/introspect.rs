//! What others are told of our tokens (RFC 7662), and the end of a token by whoever shows it: its holder gives it up
//! (RFC 7009), or somebody found it in public.

use std::sync::Arc;

use cachegate_jwt::ClaimsCheck;
use cachegate_storage::TokenRecord;
use cachegate_token::Credential;
use cachegate_types::{Action, ActionSet, Description, Principal, Resource, Timestamp};

use crate::authenticate::AuthenticateError;
use crate::gate::Inner;
use crate::issue::limit_of;
use crate::keys::{CLIENT_ID, subject_of};
use crate::manage::{Authority, ManageError, acts_for};
use crate::session::SESSION_LIFE;
use crate::verdict::{NotAuthenticated, Request};
use crate::{Authentication, Gate};

/// In whose name a token is asked about.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Asking<'a> {
    /// Somebody who administers an organization: told of the tokens that they may manage.
    Administrator(&'a Authentication),
    /// The service of this audience, which the embedder has authenticated: told of the tokens that are for it.
    Service(&'a str),
}

/// What is told of a token that counts at present.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Introspection {
    /// Its record.
    pub record: TokenRecord,
    /// `iss`: the gate.
    pub issuer: Arc<str>,
    /// `aud`: the gate, or the service that it is for.
    pub audience: Arc<str>,
    /// `sub`: whom it authenticates.
    pub subject: String,
    /// `client_id`, as its JWTs have it.
    pub client_id: &'static str,
    /// Until when it counts, all that it came from considered; `None`: until it is revoked.
    pub until: Option<Timestamp>,
    /// The actions that its restrictions leave; what its owner may do of them is decided at each use.
    pub actions: ActionSet,
}

/// What became of a token that was shown to be ended.
#[derive(Clone, Debug)]
pub enum Shown {
    /// It counted, and no longer does.
    Revoked(Box<TokenRecord>),
    /// It was one of ours, and had ended before.
    Ended,
    /// It is none of ours, or its secret is wrong.
    Unknown,
}

/// A token whose secret or signature is right; whether it lives is another question.
struct Genuine {
    record: Arc<TokenRecord>,
    audience: Arc<str>,
}

impl Gate {
    /// The name under which it issues tokens.
    pub fn issuer(&self) -> &str {
        &self.inner.issuer
    }

    /// The services that sessions are also made for, by their audiences.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.inner.services.iter().map(|service| &**service)
    }

    /// What is this token (RFC 7662)? `None` where it does not count, is none of ours or none that whoever asks may
    /// know of: these look the same.
    ///
    /// # Errors
    ///
    /// [`ManageError::Denied`] when whoever asks may ask about no token at all.
    pub async fn introspect(
        &self,
        by: Asking<'_>,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Introspection>, ManageError> {
        let inner = &*self.inner;
        inner.ensure_newest(now).await?;
        if let Asking::Administrator(who) = by {
            inner.administers_something(who, now).await?;
        }
        let Ok(genuine) = known(inner.genuine(token, now).await)? else { return Ok(None) };
        let Genuine { record, audience } = genuine;
        let visible = match by {
            Asking::Service(service) => *audience == *service,
            Asking::Administrator(who) => match inner.manageable(&Authority::Of(who), record.id, now).await {
                Ok(_) => true,
                Err(ManageError::Missing { .. }) => false,
                Err(error) => return Err(error),
            },
        };
        let Ok(life) = known(inner.life(&record, now).await)? else { return Ok(None) };
        Ok(visible.then(|| Introspection {
            issuer: inner.issuer.as_str().into(),
            audience,
            subject: subject_of(&record.owner),
            client_id: CLIENT_ID,
            until: life.until,
            actions: limit_of(&record.restrictions),
            record: TokenRecord::clone(&record),
        }))
    }

    /// Its holder ends a token (RFC 7009). The token is the proof: whoever shows it has it. What came of it ends too.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn give_up(&self, token: &str, now: Timestamp) -> Result<Shown, ManageError> {
        let reason = "given up by whoever holds it".parse().unwrap_or_default();
        self.end_shown(token, reason, now).await
    }

    /// Ends a token that was found where everybody can read it, and tells the sink with the code `token_leaked`.
    /// `source` is where, in a word of the reporter's. The embedder has verified who reports; a report that is sent
    /// twice changes nothing more.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn report_leak(&self, token: &str, source: &str, now: Timestamp) -> Result<Shown, ManageError> {
        let plain: String = source.chars().filter(char::is_ascii_graphic).take(64).collect();
        let reason = format!("found in public: {plain}").parse().unwrap_or_default();
        let shown = self.end_shown(token, reason, now).await?;
        if let (Shown::Revoked(record), Some(sink)) = (&shown, &self.inner.sink) {
            // It is revoked and audited already; a sink that cannot take the alarm changes nothing here.
            let _ = sink.record(crate::sink::alarm("token_leaked", record, now));
        }
        Ok(shown)
    }

    async fn end_shown(
        &self,
        token: &str,
        reason: Description,
        now: Timestamp,
    ) -> Result<Shown, ManageError> {
        let inner = &*self.inner;
        inner.ensure_newest(now).await?;
        let ended = |why: &NotAuthenticated| match why {
            NotAuthenticated::Revoked
            | NotAuthenticated::Expired { .. }
            | NotAuthenticated::Superseded { .. } => Shown::Ended,
            _ => Shown::Unknown,
        };
        let genuine = match known(inner.genuine(token, now).await)? {
            Ok(genuine) => genuine,
            Err(why) => return Ok(ended(&why)),
        };
        if let Err(why) = known(inner.life(&genuine.record, now).await)? {
            return Ok(ended(&why));
        }
        self.revoke(&Authority::Operator, genuine.record.id, reason, now).await?;
        Ok(Shown::Revoked(Box::new(TokenRecord::clone(&genuine.record))))
    }
}

/// Parts what is wrong with a token from what is wrong with the store.
fn known<T>(result: Result<T, AuthenticateError>) -> Result<Result<T, NotAuthenticated>, ManageError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(AuthenticateError::NotAuthenticated(reason)) => Ok(Err(reason)),
        Err(AuthenticateError::Unavailable(reason)) => Err(reason.into()),
    }
}

impl Inner {
    /// Whether somebody administers any organization, and shows a credential that may.
    async fn administers_something(&self, who: &Authentication, now: Timestamp) -> Result<(), ManageError> {
        self.still_alive(&who.session, now).await?;
        if let Principal::User(user) = *who.principal()
            && acts_for(who, &Principal::User(user))
        {
            for place in self.held.user(user).await?.iter() {
                let organization = Resource::Organization(place.member.organization);
                let request = Request::new(Action::Administer, &organization);
                if self.decide(&who.session, &request, now).await?.is_allowed() {
                    return Ok(());
                }
            }
        }
        Err(ManageError::Denied {
            explanation: "tokens are told of to whoever administers an organization".to_owned(),
            visible: false,
            decision: None,
        })
    }

    /// The record of a token whose secret or signature is right.
    async fn genuine(&self, token: &str, now: Timestamp) -> Result<Genuine, AuthenticateError> {
        let unknown = NotAuthenticated::Unknown;
        let gate: Arc<str> = self.issuer.as_str().into();
        let (id, audience) = match Credential::parse(token, &self.brand) {
            Ok(Credential::Opaque(token)) => {
                self.verify_opaque(&token).await?;
                (token.id(), gate)
            }
            Ok(Credential::IssuedJwt(jwt)) => {
                let claims = self.verify_jwt(jwt.expose_secret(), &self.own_tokens, now).await?;
                (claims.token_id, claims.audience)
            }
            // Those for services travel without the prefix.
            Ok(Credential::ForeignJwt(jwt)) => {
                let services = self.services.iter().map(|service| &**service);
                let check = ClaimsCheck::access_tokens(&self.issuer, services, SESSION_LIFE);
                let check = check.map_err(|_| unknown.clone())?;
                let claims = self.verify_jwt(jwt.expose_secret(), &check, now).await?;
                (claims.token_id, claims.audience)
            }
            Ok(Credential::NxCloud { .. }) | Err(_) => return Err(unknown.into()),
        };
        let record = self.held.token(id).await?.ok_or(unknown)?;
        Ok(Genuine { record, audience })
    }
}
