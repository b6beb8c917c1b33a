//! From a parsed credential to who it is.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use cachegate_jwt::{AccessClaims, JwsError, verify_access_token};
use cachegate_storage::{TokenForm, TokenKind, TokenRecord};
use cachegate_token::{Credential, OpaqueKind, OpaqueToken};
use cachegate_types::{Principal, Timestamp, WorkspaceId};

use crate::established::{Authentication, Method, Session};
use crate::gate::Inner;
use crate::held::Globals;
use crate::{NotAuthenticated, Unavailable};

/// Why nobody was established.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticateError {
    /// The credential was not believed.
    #[error(transparent)]
    NotAuthenticated(#[from] NotAuthenticated),
    /// Nothing could be decided.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<cachegate_storage::StoreError> for AuthenticateError {
    fn from(error: cachegate_storage::StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

impl Inner {
    /// The session of this credential, remembered or established now. The facts must be fresh.
    pub(crate) async fn session(
        &self,
        credential: Option<&Credential<'_>>,
        now: Timestamp,
    ) -> Result<Arc<Session>, AuthenticateError> {
        let Some(credential) = credential else { return Ok(Arc::clone(&self.anonymous)) };
        let digest = credential.cache_digest(&self.verifier);
        let generation = self.held.generation();
        if let Some(session) = self.sessions.get(&digest) {
            if session.is_expired(now) {
                return Err(expired(&session, now).into());
            }
            if session.generation == generation {
                return Ok(session);
            }
            // The signature or the secret was right and still is; whether the token lives is asked again.
            if let Some(record) = &session.record {
                let named = session.named_workspace;
                let method = session.method;
                return self.remember(digest, record.id, method, named, generation, now).await;
            }
        }
        let (id, method, named) = self.verify(credential, now).await?;
        self.remember(digest, id, method, named, generation, now).await
    }

    /// The session that is remembered for this credential, if it still holds without asking the store.
    pub(crate) fn session_held(
        &self,
        credential: Option<&Credential<'_>>,
        now: Timestamp,
    ) -> Option<Arc<Session>> {
        let Some(credential) = credential else { return Some(Arc::clone(&self.anonymous)) };
        let session = self.sessions.get(&credential.cache_digest(&self.verifier))?;
        let holds = session.generation == self.held.generation() && !session.is_expired(now);
        holds.then_some(session)
    }

    /// Shows that the secret or the signature is right; says nothing yet of the token's life.
    async fn verify(
        &self,
        credential: &Credential<'_>,
        now: Timestamp,
    ) -> Result<(cachegate_types::TokenId, Method, Option<WorkspaceId>), AuthenticateError> {
        match credential {
            Credential::Opaque(token) => {
                self.verify_opaque(token).await?;
                Ok((token.id(), Method::OpaqueToken, None))
            }
            Credential::NxCloud { workspace, token } => {
                self.verify_opaque(token).await?;
                Ok((token.id(), Method::OpaqueToken, Some(*workspace)))
            }
            Credential::IssuedJwt(text) => {
                let claims = self.verify_jwt(text.expose_secret(), now).await?;
                Ok((claims.token_id, Method::IssuedJwt, None))
            }
            Credential::ForeignJwt(_) => Err(NotAuthenticated::UnknownIssuer.into()),
        }
    }

    async fn verify_opaque(&self, token: &OpaqueToken) -> Result<(), AuthenticateError> {
        let record = self.held.token(token.id()).await?;
        let kind = match token.kind() {
            OpaqueKind::Ci => TokenKind::Ci,
            OpaqueKind::Personal => TokenKind::Personal,
            OpaqueKind::Refresh => TokenKind::Refresh,
        };
        let stored =
            record.as_ref().filter(|record| record.kind == kind).and_then(|record| match &record.form {
                TokenForm::Opaque(digest) => Some(digest),
                TokenForm::Jwt { .. } => None,
            });
        // The same work whether the id is known or not.
        if self.digester.verify(token, stored) { Ok(()) } else { Err(NotAuthenticated::Unknown.into()) }
    }

    async fn verify_jwt(&self, text: &str, now: Timestamp) -> Result<AccessClaims, AuthenticateError> {
        let globals = self.held.globals().await?;
        let claims =
            verify_access_token(text, &globals.access, &self.own_tokens, now).map_err(
                |error| match error {
                    JwsError::Expired { expires_at, .. } => NotAuthenticated::Expired { at: expires_at },
                    JwsError::KeyRevoked { .. } => NotAuthenticated::Revoked,
                    error => NotAuthenticated::Refused { code: error.code() },
                },
            )?;
        // The row decides, and it must be there: the claims only name it.
        match self.held.token(claims.token_id).await?.as_deref().map(|record| &record.form) {
            Some(TokenForm::Jwt { .. }) => Ok(claims),
            Some(TokenForm::Opaque(_)) | None => Err(NotAuthenticated::Unknown.into()),
        }
    }

    /// Asks whether the token and all its ancestors live, and remembers the answer under `generation`.
    async fn remember(
        &self,
        digest: [u8; 32],
        id: cachegate_types::TokenId,
        method: Method,
        named_workspace: Option<WorkspaceId>,
        generation: u64,
        now: Timestamp,
    ) -> Result<Arc<Session>, AuthenticateError> {
        let record = self.held.token(id).await?.ok_or(NotAuthenticated::Unknown)?;
        if record.kind == TokenKind::Refresh {
            // A refresh token renews a session; it is no credential for anything else.
            return Err(NotAuthenticated::Refused { code: "wrong_token_kind" }.into());
        }
        let until = self.alive_until(&record, now).await?;
        let session = Arc::new(Session {
            principal: record.owner.clone(),
            method,
            until,
            named_workspace,
            generation,
            record: Some(record),
            rights: ArcSwapOption::empty(),
        });
        self.sessions.insert(digest, Arc::clone(&session));
        Ok(session)
    }

    /// Until when the token and every ancestor live, if all do now.
    pub(crate) async fn alive_until(
        &self,
        record: &TokenRecord,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, AuthenticateError> {
        let globals = self.held.globals().await?;
        let mut until = alive(record, &globals, now)?;
        for ancestor in &record.ancestors {
            // An ancestor that is gone from the store cannot vouch for anything.
            let ancestor = self.held.token(*ancestor).await?.ok_or(NotAuthenticated::Revoked)?;
            let ancestor_until = alive(&ancestor, &globals, now)?;
            until = match (until, ancestor_until) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        Ok(until)
    }
}

fn alive(
    record: &TokenRecord,
    globals: &Globals,
    now: Timestamp,
) -> Result<Option<Timestamp>, NotAuthenticated> {
    if record.revoked.is_some() || globals.revocations.iter().any(|revocation| revocation.takes(record)) {
        return Err(NotAuthenticated::Revoked);
    }
    if let TokenForm::Jwt { key } = &record.form {
        let held = globals.keys.iter().find(|held| held.id == *key);
        let revoked = held.is_none_or(|held| held.revoked.is_some());
        let retired = held.and_then(|held| held.verifies_until).filter(|until| now >= *until);
        match (revoked, retired) {
            (true, _) => return Err(NotAuthenticated::Revoked),
            (false, Some(at)) => return Err(NotAuthenticated::Expired { at }),
            (false, None) => {}
        }
    }
    let mut until = record.expires_at;
    if let Some(superseded) = &record.superseded {
        if now >= superseded.overlap_until {
            return Err(NotAuthenticated::Superseded { at: superseded.overlap_until });
        }
        until = Some(until.map_or(superseded.overlap_until, |until| until.min(superseded.overlap_until)));
    }
    match record.expires_at {
        Some(at) if now >= at => Err(NotAuthenticated::Expired { at }),
        Some(_) | None => Ok(until),
    }
}

fn expired(session: &Session, now: Timestamp) -> NotAuthenticated {
    let superseded = session.record.as_ref().and_then(|record| record.superseded);
    match superseded {
        Some(superseded) if now >= superseded.overlap_until => {
            NotAuthenticated::Superseded { at: superseded.overlap_until }
        }
        Some(_) | None => NotAuthenticated::Expired { at: session.until.unwrap_or(now) },
    }
}

/// What nobody shows: the anonymous session.
pub(crate) fn anonymous() -> Arc<Session> {
    Arc::new(Session {
        principal: Principal::Anonymous,
        method: Method::NoCredential,
        record: None,
        until: None,
        named_workspace: None,
        generation: 0,
        rights: ArcSwapOption::empty(),
    })
}

impl Authentication {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }
}
