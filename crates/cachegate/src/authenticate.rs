//! From a parsed credential to who it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwapOption;
use cachegate_jwt::{AccessClaims, ClaimsCheck, JwsError, verify_access_token};
use cachegate_storage::{MassRevocation, MassScope, TokenForm, TokenKind, TokenRecord};
use cachegate_token::{Credential, OpaqueKind, OpaqueToken};
use cachegate_types::{Principal, Timestamp, TokenId, WorkspaceId};

use crate::established::{Authentication, Method, Session};
use crate::gate::{Inner, Reuse};
use crate::held::Globals;
use crate::manage::Authority;
use crate::usage::noted;
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
        let former = self.sessions.get(&digest);
        if let Some(session) = &former
            && session.generation == generation
            && !session.is_expired(now)
        {
            return Ok(Arc::clone(session));
        }
        // The secret or the signature that was right once still is; whether the token lives is asked again.
        let known = former.as_deref().and_then(|session| {
            let record = session.record.as_ref()?;
            if session.method == Method::Workload && !self.held.has_workload(record.id) {
                return None;
            }
            Some((record.id, session.method, session.named_workspace, Some(Arc::clone(&session.noted))))
        });
        let (id, method, named, noted) = match known {
            Some(known) => known,
            None => {
                let (id, method, named) = self.verify(credential, now).await?;
                (id, method, named, None)
            }
        };
        match self.establish(id, method, named, noted, generation, now).await {
            Ok(session) => {
                self.sessions.insert(digest, Arc::clone(&session));
                Ok(session)
            }
            Err(error) => {
                if let AuthenticateError::NotAuthenticated(NotAuthenticated::Superseded { .. }) = error {
                    self.reused(id, now).await;
                }
                Err(error)
            }
        }
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
    ) -> Result<(TokenId, Method, Option<WorkspaceId>), AuthenticateError> {
        self.verifications.fetch_add(1, Ordering::Relaxed);
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
                let claims = self.verify_jwt(text.expose_secret(), &self.own_tokens, now).await?;
                Ok((claims.token_id, Method::IssuedJwt, None))
            }
            #[cfg(feature = "federation")]
            Credential::ForeignJwt(text) => {
                let id = self.admit_workload(text.expose_secret(), now).await?;
                Ok((id, Method::Workload, None))
            }
            #[cfg(not(feature = "federation"))]
            Credential::ForeignJwt(_) => Err(NotAuthenticated::UnknownIssuer.into()),
        }
    }

    pub(crate) async fn verify_opaque(&self, token: &OpaqueToken) -> Result<(), AuthenticateError> {
        let record = self.held.token(token.id()).await?;
        let kind = match token.kind() {
            OpaqueKind::Ci => TokenKind::Ci,
            OpaqueKind::Personal => TokenKind::Personal,
            OpaqueKind::Refresh => TokenKind::Refresh,
            OpaqueKind::Browser => TokenKind::Browser,
        };
        let stored =
            record.as_ref().filter(|record| record.kind == kind).and_then(|record| match &record.form {
                TokenForm::Opaque(digest) => Some(digest),
                TokenForm::Jwt { .. } => None,
            });
        // The same work whether the id is known or not.
        if self.digester.verify(token, stored) { Ok(()) } else { Err(NotAuthenticated::Unknown.into()) }
    }

    /// Shows that a JWT is one of ours, for whom `check` says.
    pub(crate) async fn verify_jwt(
        &self,
        text: &str,
        check: &ClaimsCheck,
        now: Timestamp,
    ) -> Result<AccessClaims, AuthenticateError> {
        let globals = self.held.globals().await?;
        let claims = verify_access_token(text, &globals.access, check, now).map_err(|error| match error {
            JwsError::Expired { expires_at, .. } => NotAuthenticated::Expired { at: expires_at },
            JwsError::KeyRevoked { .. } => NotAuthenticated::Revoked,
            error => NotAuthenticated::Refused { code: error.code() },
        })?;
        // The row decides, and it must be there: the claims only name it.
        let record = self.held.token(claims.token_id).await?.ok_or(NotAuthenticated::Unknown)?;
        let is_its_row = matches!(record.form, TokenForm::Jwt { .. })
            && claims.kind.as_deref() == Some(record.kind.as_str())
            && claims.issued_at == record.issued_at
            && Some(claims.expires_at) == record.expires_at;
        if is_its_row { Ok(claims) } else { Err(NotAuthenticated::Unknown.into()) }
    }

    /// The session that whoever shows this token's secret has: to tell of, and to allow nothing by.
    pub(crate) async fn session_of_record(
        &self,
        record: &TokenRecord,
        now: Timestamp,
    ) -> Result<Arc<Session>, AuthenticateError> {
        self.establish(record.id, Method::OpaqueToken, None, None, self.held.generation(), now).await
    }

    /// Asks whether the token and all its ancestors live; the answer counts for `generation`.
    async fn establish(
        &self,
        id: TokenId,
        method: Method,
        named_workspace: Option<WorkspaceId>,
        noted_before: Option<Arc<AtomicI64>>,
        generation: u64,
        now: Timestamp,
    ) -> Result<Arc<Session>, AuthenticateError> {
        let record = self.held.token(id).await?.ok_or(NotAuthenticated::Unknown)?;
        if matches!(record.kind, TokenKind::Refresh | TokenKind::Browser) {
            // A refresh token renews a session, and a browser's stands in its cookie; neither is a credential for
            // anything else.
            return Err(NotAuthenticated::Refused { code: "wrong_token_kind" }.into());
        }
        self.session_of_live(record, method, named_workspace, noted_before, generation, now).await
    }

    /// The session of this record, if it and all its ancestors live.
    pub(crate) async fn session_of_live(
        &self,
        record: Arc<TokenRecord>,
        method: Method,
        named_workspace: Option<WorkspaceId>,
        noted_before: Option<Arc<AtomicI64>>,
        generation: u64,
        now: Timestamp,
    ) -> Result<Arc<Session>, AuthenticateError> {
        let Life { until, rooted_at } = self.life(&record, now).await?;
        Ok(Arc::new(Session {
            principal: record.owner.clone(),
            method,
            until,
            named_workspace,
            gate: self.verifier,
            rooted_at,
            noted: noted_before.unwrap_or_else(|| Arc::new(noted(record.last_used))),
            generation,
            record: Some(record),
            rights: ArcSwapOption::empty(),
        }))
    }

    /// Until when the token and every ancestor live, if all do now.
    pub(crate) async fn life(&self, record: &TokenRecord, now: Timestamp) -> Result<Life, AuthenticateError> {
        let globals = self.held.globals().await?;
        let mut until = alive(record, &globals, now)?;
        let mut rooted_at = root(record);
        for ancestor in &record.ancestors {
            // An ancestor that is gone from the store cannot vouch for anything.
            let ancestor = self.held.token(*ancestor).await?.ok_or(NotAuthenticated::Revoked)?;
            let ancestor_until = alive(&ancestor, &globals, now)?;
            until = sooner(until, ancestor_until);
            rooted_at = rooted_at.min(root(&ancestor));
        }
        Ok(Life { until, rooted_at })
    }

    /// The alarm of a rotated token that is shown after its overlap: either somebody forgot it, or a thief and its
    /// holder both have a token of this line. It is refused either way.
    async fn reused(&self, id: TokenId, now: Timestamp) {
        let Ok(Some(record)) = self.held.token(id).await else { return };
        // An ancestor's overlap that ended is no alarm.
        if record.superseded.is_none_or(|superseded| now < superseded.overlap_until) {
            return;
        }
        if let Some(sink) = &self.sink {
            // The refusal itself is told of apart from this; a sink that cannot take it changes nothing here.
            let _ = sink.record(crate::sink::alarm("rotated_token_reused", &record, now));
        }
        match self.reuse {
            Reuse::Warn => {}
            Reuse::LockFamily => {
                let reason = "a rotated token was used after its overlap".parse().unwrap_or_default();
                // What the store does not take now is tried again with the next use.
                let _ = self.revoke_family(&Authority::Operator, &record, reason, now).await;
            }
        }
    }
}

/// How long a token lives, and since when its line does.
pub(crate) struct Life {
    pub(crate) until: Option<Timestamp>,
    pub(crate) rooted_at: Timestamp,
}

/// When the line of rotations that the token continues began.
fn root(record: &TokenRecord) -> Timestamp {
    record.issued_at.min(record.family.created_at().unwrap_or(Timestamp::MIN))
}

fn sooner(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn alive(
    record: &TokenRecord,
    globals: &Globals,
    now: Timestamp,
) -> Result<Option<Timestamp>, NotAuthenticated> {
    // A platform's token is known by two ids, its own and that of its bytes: each revokes it.
    let takes = |revocation: &MassRevocation| {
        revocation.takes(record) || revocation.scope == MassScope::Family(record.id)
    };
    if record.revoked.is_some() || globals.revocations.iter().any(takes) {
        return Err(NotAuthenticated::Revoked);
    }
    let mut until = record.expires_at;
    if let TokenForm::Jwt { key } = &record.form {
        let held = globals.keys.iter().find(|held| held.id == *key);
        let revoked = held.is_none_or(|held| held.revoked.is_some());
        let verifies_until = held.and_then(|held| held.verifies_until);
        let retired = verifies_until.filter(|until| now >= *until);
        until = sooner(until, verifies_until);
        match (revoked, retired) {
            (true, _) => return Err(NotAuthenticated::Revoked),
            (false, Some(at)) => return Err(NotAuthenticated::Expired { at }),
            (false, None) => {}
        }
    }
    if let Some(superseded) = &record.superseded {
        if now >= superseded.overlap_until {
            return Err(NotAuthenticated::Superseded { at: superseded.overlap_until });
        }
        until = sooner(until, Some(superseded.overlap_until));
    }
    match record.expires_at {
        Some(at) if now >= at => Err(NotAuthenticated::Expired { at }),
        Some(_) | None => Ok(until),
    }
}

/// What nobody shows: the anonymous session.
pub(crate) fn anonymous(gate: [u8; 16]) -> Arc<Session> {
    Arc::new(Session {
        principal: Principal::Anonymous,
        method: Method::NoCredential,
        record: None,
        until: None,
        named_workspace: None,
        gate,
        rooted_at: Timestamp::MIN,
        noted: Arc::new(noted(None)),
        generation: 0,
        rights: ArcSwapOption::empty(),
    })
}

impl Authentication {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }
}
