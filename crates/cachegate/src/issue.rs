//! Making tokens. Nobody makes one that carries more than they hold.

use std::time::Duration;

use cachegate_storage::{Act, Preconditions, StoreError, TokenForm, TokenKind, TokenRecord};
use cachegate_token::{OpaqueKind, OpaqueToken};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, Grant, GrantSource, Lane, LaneClass, OrganizationId,
    Principal, Resource, Restriction, Scope, SecretBytes, SecretText, Timestamp, TokenId, UserId,
    VersionRequirement, WorkspaceId,
};

use crate::Gate;
use crate::gate::Inner;
use crate::manage::{Authority, ManageError};
use crate::verdict::Unavailable;

/// The longest life of a device token; it never slides.
pub const DEVICE_TOKEN_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What token to make.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TokenSpec {
    /// A workspace's CI access token.
    Ci {
        /// The workspace.
        workspace: WorkspaceId,
        /// `read-only` or `read-write`.
        level: AccessLevel,
        /// Its one lane; a read-write token of the trunk writes `main`.
        lane: Lane,
    },
    /// A personal access token: made by its owner, or by the operator.
    Personal {
        /// The person.
        owner: UserId,
        /// What it may do at most, beside its owner's rights at the moment of use.
        actions: ActionSet,
        /// Whether it is a JWT or opaque.
        form: PersonalForm,
    },
    /// A device token of an organization.
    Device {
        /// The organization.
        organization: OrganizationId,
        /// What it may do.
        access: DeviceAccess,
    },
}

/// How a personal token looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PersonalForm {
    /// Opaque: short, and nothing can be read from it.
    #[default]
    Opaque,
    /// A JWT behind the brand's prefix.
    Jwt,
}

/// What a device token may do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeviceAccess {
    /// Resolve and read all the organization's workspaces.
    Normal,
    /// Resolve one workspace's releases that satisfy a requirement, and nothing else.
    ResolveOnly {
        /// The workspace.
        workspace: WorkspaceId,
        /// What the resolved version must satisfy.
        requirement: VersionRequirement,
    },
}

/// A token that was just made. The plain form is here and nowhere else.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The token itself: shown once.
    pub token: SecretText,
    /// Its record.
    pub record: TokenRecord,
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// Whoever asks may not.
    #[error(transparent)]
    Refused(#[from] ManageError),
    /// The token would carry more than its maker holds.
    #[error(
        "this token would carry {wanted}, and whoever makes it holds {held} here; nobody issues more than they hold"
    )]
    MoreThanHeld {
        /// What the token would carry.
        wanted: ActionSet,
        /// What its maker holds.
        held: ActionSet,
    },
    /// A CI token is read-only or read-write.
    #[error("a CI token is `read-only` or `read-write`, not `{level}`")]
    Level {
        /// The level asked for.
        level: AccessLevel,
    },
    /// A lane that no token is made for.
    #[error("no CI token is made for the lane `{lane}`: name release, main, branch/NAME or pull/NUMBER")]
    Lane {
        /// The lane asked for.
        lane: Lane,
    },
    /// A personal token is made by its owner.
    #[error("a personal token is made by the person whom it belongs to")]
    NotTheOwner,
    /// It would be longer than netrc readers carry, or could not be signed.
    #[error("the token could not be written: {code}")]
    Encoding {
        /// What is wrong.
        code: &'static str,
    },
}

impl From<StoreError> for IssueError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<Unavailable> for IssueError {
    fn from(error: Unavailable) -> Self {
        Self::Refused(error.into())
    }
}

impl Gate {
    /// Makes a token. A life that is longer than the kind allows is cut to what it allows; `None` asks for the
    /// longest.
    ///
    /// # Errors
    ///
    /// [`IssueError`]; nothing was made then.
    pub async fn issue(
        &self,
        by: &Authority<'_>,
        spec: &TokenSpec,
        description: Description,
        life: Option<Duration>,
        now: Timestamp,
    ) -> Result<Issued, IssueError> {
        let inner = &*self.inner;
        inner.ensure_fresh(None, now).await?;
        let draft = match spec {
            TokenSpec::Ci { workspace, level, lane } => {
                inner.draft_ci(by, *workspace, *level, lane, now).await?
            }
            TokenSpec::Personal { owner, actions, form } => {
                inner.draft_personal(by, *owner, *actions, *form, now).await?
            }
            TokenSpec::Device { organization, access } => {
                inner.draft_device(by, *organization, access, now).await?
            }
        };
        inner.issue(by, draft, description, life, now).await
    }
}

/// A token before it has an id, a secret and a life.
pub(crate) struct Draft {
    pub(crate) kind: TokenKind,
    pub(crate) jwt: bool,
    pub(crate) owner: Principal,
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) workspace: Option<WorkspaceId>,
    pub(crate) grants: Vec<(Scope, ActionSet)>,
    pub(crate) restrictions: Vec<Restriction>,
    pub(crate) lane: Option<Lane>,
    pub(crate) longest: Option<Duration>,
    pub(crate) preconditions: Preconditions,
}

impl Inner {
    async fn draft_ci(
        &self,
        by: &Authority<'_>,
        workspace: WorkspaceId,
        level: AccessLevel,
        lane: &Lane,
        now: Timestamp,
    ) -> Result<Draft, IssueError> {
        match level {
            AccessLevel::ReadOnly | AccessLevel::ReadWrite => {}
            AccessLevel::None | AccessLevel::ResolveOnly => return Err(IssueError::Level { level }),
        }
        match lane.class() {
            LaneClass::Release | LaneClass::Main | LaneClass::Branch | LaneClass::Pull => {}
            // `dev` is the members', `anonymous` is nobody's, and a secret proves no run of `own`.
            LaneClass::Dev | LaneClass::Own | LaneClass::Anonymous => {
                return Err(IssueError::Lane { lane: lane.clone() });
            }
        }
        self.may(by, Action::Administer, &Resource::Workspace(workspace), now).await?;
        let record =
            self.held.workspace(workspace).await?.ok_or(ManageError::Missing { what: "workspace" })?;
        let preconditions = self
            .ceiling(by, &Resource::Workspace(workspace), level.actions(), record.organization, now)
            .await?;
        Ok(Draft {
            kind: TokenKind::Ci,
            jwt: false,
            owner: Principal::Ci(workspace),
            organization: Some(record.organization),
            workspace: Some(workspace),
            grants: vec![(Scope::Workspace(workspace), level.actions())],
            restrictions: Vec::new(),
            lane: Some(lane.clone()),
            longest: None,
            preconditions,
        })
    }

    async fn draft_personal(
        &self,
        by: &Authority<'_>,
        owner: UserId,
        actions: ActionSet,
        form: PersonalForm,
        now: Timestamp,
    ) -> Result<Draft, IssueError> {
        self.alive(by, now).await?;
        let mut draft = personal(owner, actions, form == PersonalForm::Jwt);
        let who = match by {
            Authority::Of(who) if who.session.principal == Principal::User(owner) => who,
            Authority::Of(_) => return Err(IssueError::NotTheOwner),
            Authority::Operator => {
                return match self.held.storage().user(owner).await? {
                    Some(_) => Ok(draft),
                    None => Err(ManageError::Missing { what: "user" }.into()),
                };
            }
        };
        let held = limit_of(who.restrictions());
        if !held.contains_all(actions) {
            return Err(IssueError::MoreThanHeld { wanted: actions, held });
        }
        // A token that is bound to some place makes none that is bound to fewer.
        draft.restrictions.extend(
            who.restrictions()
                .iter()
                .filter(|restriction| !matches!(restriction, Restriction::Actions(_)))
                .cloned(),
        );
        draft.preconditions.live.extend(who.token_id());
        Ok(draft)
    }

    async fn draft_device(
        &self,
        by: &Authority<'_>,
        organization: OrganizationId,
        access: &DeviceAccess,
        now: Timestamp,
    ) -> Result<Draft, IssueError> {
        let resource = Resource::Organization(organization);
        self.may(by, Action::Administer, &resource, now).await?;
        if self.held.storage().organization(organization).await?.is_none() {
            return Err(ManageError::Missing { what: "organization" }.into());
        }
        let (workspace, scope, actions, restriction) = match access {
            DeviceAccess::Normal => (
                None,
                Scope::Organization(organization),
                AccessLevel::ReadOnly.actions(),
                Restriction::Organization(organization),
            ),
            DeviceAccess::ResolveOnly { workspace, requirement } => {
                let found = self.held.workspace(*workspace).await?;
                if found.is_none_or(|found| found.organization != organization) {
                    return Err(ManageError::Missing { what: "workspace" }.into());
                }
                (
                    Some(*workspace),
                    Scope::Workspace(*workspace),
                    AccessLevel::ResolveOnly.actions(),
                    Restriction::Releases { workspace: *workspace, requirement: requirement.clone() },
                )
            }
        };
        let preconditions = self.ceiling(by, &resource, actions, organization, now).await?;
        Ok(Draft {
            kind: TokenKind::Device,
            jwt: true,
            owner: Principal::Device(organization),
            organization: Some(organization),
            workspace,
            grants: vec![(scope, actions)],
            restrictions: vec![restriction],
            // Device tokens read `main` and above, and write nothing.
            lane: Some(Lane::main()),
            longest: Some(DEVICE_TOKEN_LIFE),
            preconditions,
        })
    }

    /// What must still hold when the token is inserted, if its maker holds at least what it would carry. The lane
    /// of the maker's own credential does not bound it: the role does.
    async fn ceiling(
        &self,
        by: &Authority<'_>,
        resource: &Resource,
        wanted: ActionSet,
        organization: OrganizationId,
        now: Timestamp,
    ) -> Result<Preconditions, IssueError> {
        let Authority::Of(who) = by else { return Ok(Preconditions::default()) };
        let rights = self.rights(&who.session, crate::gate::place_of(resource)).await?;
        let live = rights.rights.grants().iter().filter(|grant| grant.until.is_none_or(|until| now < until));
        let held = live.fold(ActionSet::EMPTY, |held, grant| held.union(grant.actions));
        let held = held.intersection(limit_of(who.restrictions()));
        if !held.contains_all(wanted) {
            return Err(IssueError::MoreThanHeld { wanted, held });
        }
        let members = match who.session.principal {
            Principal::User(user) => vec![(organization, user)],
            Principal::Anonymous | Principal::Ci(_) | Principal::Device(_) | Principal::Workload { .. } => {
                vec![]
            }
        };
        Ok(Preconditions { members, live: who.token_id().into_iter().collect() })
    }

    pub(crate) async fn issue(
        &self,
        by: &Authority<'_>,
        draft: Draft,
        description: Description,
        life: Option<Duration>,
        now: Timestamp,
    ) -> Result<Issued, IssueError> {
        let id = self.new_token_id(now).ok_or(IssueError::Encoding { code: "no_randomness" })?;
        let life = match (life, draft.longest) {
            (Some(asked), Some(longest)) => Some(asked.min(longest)),
            (asked, longest) => asked.or(longest),
        };
        let expires_at = life.map(|life| now.saturating_add(life));
        let (token, form) = if draft.jwt {
            let expires_at = expires_at.unwrap_or(now.saturating_add(DEVICE_TOKEN_LIFE));
            self.sign(id, &draft, expires_at, now).await?
        } else {
            let kind = match draft.kind {
                TokenKind::Ci => OpaqueKind::Ci,
                TokenKind::Personal => OpaqueKind::Personal,
                TokenKind::Device | TokenKind::Session | TokenKind::Closure | TokenKind::Refresh => {
                    OpaqueKind::Refresh
                }
            };
            let secret = self.random().ok_or(IssueError::Encoding { code: "no_randomness" })?;
            let token = OpaqueToken::new(kind, id, SecretBytes::new(secret));
            (token.to_text(&self.brand), TokenForm::Opaque(self.digester.digest(&token)))
        };
        let expires_at = match &form {
            TokenForm::Opaque(_) => expires_at,
            TokenForm::Jwt { .. } => Some(expires_at.unwrap_or(now.saturating_add(DEVICE_TOKEN_LIFE))),
        };
        let source = |id: TokenId| match draft.kind {
            TokenKind::Device => GrantSource::DeviceToken(id),
            TokenKind::Ci | TokenKind::Personal => GrantSource::CiToken(id),
            TokenKind::Session | TokenKind::Closure | TokenKind::Refresh => GrantSource::Session(id),
        };
        let record = TokenRecord {
            id,
            kind: draft.kind,
            form,
            owner: draft.owner,
            organization: draft.organization,
            workspace: draft.workspace,
            description,
            grants: draft
                .grants
                .into_iter()
                .map(|(scope, actions)| Grant { source: source(id), scope, actions, until: None })
                .collect(),
            restrictions: draft.restrictions,
            lane: draft.lane,
            base: None,
            floor: None,
            run: None,
            issued_at: now,
            expires_at,
            created_by: by.principal(),
            ancestors: Vec::new(),
            family: id,
            superseded: None,
            revoked: None,
            last_used: None,
        };
        let act: Act = by.act(now);
        self.held.storage().insert_token(&record, &draft.preconditions, &act).await?;
        Ok(Issued { token, record })
    }
}

/// A personal token of this person.
pub(crate) fn personal(user: UserId, actions: ActionSet, jwt: bool) -> Draft {
    Draft {
        kind: TokenKind::Personal,
        jwt,
        owner: Principal::User(user),
        organization: None,
        workspace: None,
        grants: Vec::new(),
        restrictions: vec![Restriction::Actions(actions)],
        lane: None,
        longest: None,
        preconditions: Preconditions::default(),
    }
}

/// The actions that these restrictions leave.
fn limit_of(restrictions: &[Restriction]) -> ActionSet {
    restrictions.iter().fold(ActionSet::ALL, |left, restriction| match restriction {
        Restriction::Actions(actions) => left.intersection(*actions),
        Restriction::Organization(_)
        | Restriction::Workspaces(_)
        | Restriction::Releases { .. }
        | Restriction::Closure { .. }
        | Restriction::Until(_) => left,
    })
}
