//! Who a request comes from, once that is established.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use arc_swap::ArcSwapOption;
use cachegate_policy::Rights;
use cachegate_storage::{TokenKind, TokenRecord};
use cachegate_types::{OrganizationId, Principal, Resource, Restriction, Timestamp, TokenId, WorkspaceId};

/// A credential that was believed. Only [`Gate::authenticate`](crate::Gate::authenticate) makes one.
#[derive(Clone, Debug)]
pub struct Authentication {
    pub(crate) session: Arc<Session>,
}

/// How a principal was established.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// There was no credential.
    NoCredential,
    /// The secret of an opaque token.
    OpaqueToken,
    /// The signature of a JWT that this gate issued.
    IssuedJwt,
    /// The signature of a platform's own JWT, which an anchor vouches for.
    Workload,
}

impl Method {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCredential => "no-credential",
            Self::OpaqueToken => "opaque-token",
            Self::IssuedJwt => "issued-jwt",
            Self::Workload => "workload",
        }
    }
}

impl Authentication {
    /// Who.
    pub fn principal(&self) -> &Principal {
        &self.session.principal
    }

    /// How.
    pub fn method(&self) -> Method {
        self.session.method
    }

    /// The token, unless there was none.
    pub fn token_id(&self) -> Option<TokenId> {
        self.session.record.as_ref().map(|record| record.id)
    }

    /// The token's kind, unless there was none.
    pub fn token_kind(&self) -> Option<TokenKind> {
        self.session.record.as_ref().map(|record| record.kind)
    }

    /// Until when; `None`: until it is revoked. That second is already too late.
    pub fn until(&self) -> Option<Timestamp> {
        self.session.until
    }

    /// What cuts it.
    pub fn restrictions(&self) -> &[Restriction] {
        self.session.record.as_ref().map_or(&[], |record| &record.restrictions)
    }

    /// The workspace that the token was made for, or that was named beside it; where neither is, the request has to
    /// name one.
    pub fn workspace(&self) -> Option<WorkspaceId> {
        self.session.named_workspace.or(self.session.record.as_ref().and_then(|record| record.workspace))
    }

    /// The organization that the token was made for.
    pub fn organization(&self) -> Option<OrganizationId> {
        self.session.record.as_ref().and_then(|record| record.organization)
    }
}

/// What is remembered of a verified credential.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) principal: Principal,
    pub(crate) method: Method,
    pub(crate) record: Option<Arc<TokenRecord>>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) named_workspace: Option<WorkspaceId>,
    /// The gate that established it. Another one's generations mean nothing to this one.
    pub(crate) gate: [u8; 16],
    /// When the first token of its line was issued: its own moment, or its eldest ancestor's.
    pub(crate) rooted_at: Timestamp,
    /// The hour of its last use that was noted; shared with what was remembered of the credential before.
    pub(crate) noted: Arc<AtomicI64>,
    /// The generation of held facts under which the record and its ancestors were last found alive.
    pub(crate) generation: u64,
    /// The rights in the place that was asked about last.
    pub(crate) rights: ArcSwapOption<HeldRights>,
}

/// Compiled rights, and when they were compiled.
#[derive(Debug)]
pub(crate) struct HeldRights {
    pub(crate) place: PlaceId,
    pub(crate) generation: u64,
    pub(crate) rights: Rights,
}

/// A place by id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum PlaceId {
    Organization(OrganizationId),
    Workspace(WorkspaceId),
}

impl From<PlaceId> for Resource {
    fn from(place: PlaceId) -> Self {
        match place {
            PlaceId::Organization(id) => Self::Organization(id),
            PlaceId::Workspace(id) => Self::Workspace(id),
        }
    }
}

impl Session {
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}
