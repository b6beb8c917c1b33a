//! Making tokens. Nobody makes one that carries more than they hold.

use std::sync::Arc;
use std::time::Duration;

use cachegate_storage::{Preconditions, StoreError, TokenForm, TokenKind, TokenRecord};
use cachegate_token::{OpaqueKind, OpaqueToken};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, Grant, GrantSource, Lane, LaneClass, OrganizationId,
    Principal, Resource, Restriction, Role, Scope, SecretBytes, SecretText, Timestamp, TokenId, UserId,
    VersionRequirement, WorkspaceId,
};

use crate::gate::Inner;
use crate::manage::{Authority, Made, ManageError, Once, acts_for, place_of_token};
use crate::verdict::Unavailable;
use crate::{Authentication, Gate};

/// The longest life of a device token; it never slides.
pub const DEVICE_TOKEN_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What whoever looks as anonymous requests do may do at most.
pub(crate) const LOOKING: ActionSet = ActionSet::of(&[Action::Resolve, Action::Read]);

/// The longest lives of the kinds of token that may otherwise live until they are revoked: the gate's own, or those that
/// an organization chose ([`Gate::set_longest_lives`]). A device token's is
/// [`DEVICE_TOKEN_LIFE`], whatever is said here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LongestLives {
    /// CI access tokens; `None`: until they are revoked.
    pub ci: Option<Duration>,
    /// Personal access tokens; `None`: until they are revoked.
    pub personal: Option<Duration>,
}

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
        /// Whether it also obtains closure tokens (`closure = read`): the right to read what a release that it
        /// resolved needs. Whoever makes it must be one who may read.
        reads_closures: bool,
    },
    /// Say who belongs to the organization, and nothing else: what a directory that pushes its changes (SCIM) shows.
    Provision,
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
    /// A kind that is not rotated: sessions and what renews them are made anew by a login.
    #[error("a {kind} token is not rotated")]
    NotRotated {
        /// The kind.
        kind: &'static str,
    },
    /// A credential that no session comes from: none at all, a closure token, or what renews a login.
    #[error("a {kind} token is not exchanged for a session")]
    NotExchanged {
        /// The kind.
        kind: &'static str,
    },
    /// A token names at most four that it came from.
    #[error("this session would be the fifth in its line; exchange the first credential anew")]
    Lineage,
    /// Sessions are made for this gate and for the services that it was told of.
    #[error("no service of this name is registered here")]
    UnknownService,
    /// The token it would come from was made before its owner left an organization and came back.
    #[error("this token is of a former time in one of your organizations; log in anew and make one")]
    FormerMember,
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
        let draft = self.inner.draft(by, spec, now).await?;
        self.inner.issue(by, draft, description, life, now).await
    }

    /// The same for a request that may be sent twice: the second time it gives the record of what the first one made.
    ///
    /// # Errors
    ///
    /// [`IssueError`].
    pub async fn issue_once(
        &self,
        by: &Authority<'_>,
        spec: &TokenSpec,
        description: Description,
        life: Option<Duration>,
        once: Option<&Once<'_>>,
        now: Timestamp,
    ) -> Result<Made<Issued, TokenRecord>, IssueError> {
        let inner = &*self.inner;
        let draft = inner.draft(by, spec, now).await?;
        let planned = inner.plan(by, once, now).await?;
        let id = planned.token();
        if planned.again
            && let Some(record) = inner.held.storage().token(id).await?
        {
            return Ok(Made::Before(record));
        }
        let draft = Draft { id: Some(id), ..draft };
        inner.issue(by, draft, description, life, now).await.map(Made::Now)
    }
}

/// A token before it has a secret and a life.
#[derive(Clone)]
pub(crate) struct Draft {
    /// Its id, where that is planned; a new one otherwise.
    pub(crate) id: Option<TokenId>,
    pub(crate) kind: TokenKind,
    pub(crate) jwt: bool,
    pub(crate) owner: Principal,
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) workspace: Option<WorkspaceId>,
    pub(crate) grants: Vec<(Scope, ActionSet)>,
    /// Where it also looks as anonymous requests do.
    pub(crate) as_anonymous: Option<Scope>,
    pub(crate) restrictions: Vec<Restriction>,
    pub(crate) reads_closures: bool,
    pub(crate) lane: Option<Lane>,
    pub(crate) base: Option<Lane>,
    pub(crate) floor: Option<LaneClass>,
    pub(crate) run: Option<Arc<str>>,
    pub(crate) ancestors: Vec<TokenId>,
    /// The line of rotations that it continues; its own otherwise.
    pub(crate) family: Option<TokenId>,
    pub(crate) longest: Option<Duration>,
    /// The service that it is for; this gate otherwise.
    pub(crate) audience: Option<Arc<str>>,
    pub(crate) preconditions: Preconditions,
}

impl Draft {
    /// A token of this kind that authenticates `owner`, and carries nothing yet.
    pub(crate) fn new(kind: TokenKind, jwt: bool, owner: Principal) -> Self {
        Self {
            id: None,
            kind,
            jwt,
            owner,
            organization: None,
            workspace: None,
            grants: Vec::new(),
            as_anonymous: None,
            restrictions: Vec::new(),
            reads_closures: false,
            lane: None,
            base: None,
            floor: None,
            run: None,
            ancestors: Vec::new(),
            family: None,
            // No JWT of ours outlives the key that signed it.
            longest: jwt.then_some(DEVICE_TOKEN_LIFE),
            audience: None,
            preconditions: Preconditions::default(),
        }
    }
}

impl Inner {
    async fn draft(&self, by: &Authority<'_>, spec: &TokenSpec, now: Timestamp) -> Result<Draft, IssueError> {
        match spec {
            TokenSpec::Ci { workspace, level, lane } => {
                self.draft_ci(by, *workspace, *level, lane, now).await
            }
            TokenSpec::Personal { owner, actions, form } => {
                self.draft_personal(by, *owner, *actions, *form, now).await
            }
            TokenSpec::Device { organization, access } => {
                self.draft_device(by, *organization, access, now).await
            }
        }
    }

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
            // A lane with a source is a platform's verified fact, which no shared secret proves.
            LaneClass::Release | LaneClass::Main | LaneClass::Branch | LaneClass::Pull
                if lane.source().is_none() => {}
            // `dev` is the members', `anonymous` is nobody's, and a secret proves no run of `own`.
            LaneClass::Release
            | LaneClass::Main
            | LaneClass::Branch
            | LaneClass::Pull
            | LaneClass::Dev
            | LaneClass::Own
            | LaneClass::Anonymous => {
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
            organization: Some(record.organization),
            workspace: Some(workspace),
            grants: vec![(Scope::Workspace(workspace), level.actions())],
            lane: Some(lane.clone()),
            preconditions,
            ..Draft::new(TokenKind::Ci, false, Principal::Ci(workspace))
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
            Authority::Of(who) if acts_for(who, &Principal::User(owner)) => who,
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
        self.of_the_present_time(who, owner).await?;
        bind_as(who, &mut draft.restrictions);
        draft.preconditions.live.extend(who.token_id());
        Ok(draft)
    }

    /// A token of a former time in an organization stays dead there, and nothing that it makes comes alive there.
    async fn of_the_present_time(&self, who: &Authentication, owner: UserId) -> Result<(), IssueError> {
        let places = self.held.user(owner).await?;
        let former = |since: Timestamp| who.session.rooted_at < since;
        if places.iter().any(|place| place.member.tokens_since.is_some_and(former)) {
            return Err(IssueError::FormerMember);
        }
        Ok(())
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
            DeviceAccess::Provision => (
                None,
                Scope::Organization(organization),
                ActionSet::of(&[Action::Provision]),
                Restriction::Organization(organization),
            ),
            DeviceAccess::ResolveOnly { workspace, requirement, .. } => {
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
        let reads_closures = matches!(access, DeviceAccess::ResolveOnly { reads_closures: true, .. });
        let wanted = actions.union(closure_right(reads_closures));
        let preconditions = self.ceiling(by, &resource, wanted, organization, now).await?;
        Ok(Draft {
            organization: Some(organization),
            workspace,
            grants: vec![(scope, actions)],
            restrictions: vec![restriction],
            reads_closures,
            // Device tokens read `main` and above, and write nothing.
            lane: Some(Lane::main()),
            preconditions,
            ..Draft::new(TokenKind::Device, true, Principal::Device(organization))
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
        // No role brings `provision`: whoever administers an organization whole lets a directory do it.
        let wanted = if wanted.contains(Action::Provision) { Role::Admin.actions() } else { wanted };
        let rights = self.rights(&who.session, crate::gate::place_of(resource)).await?;
        let held = rights.rights.ceiling(now);
        if !held.contains_all(wanted) {
            return Err(IssueError::MoreThanHeld { wanted, held });
        }
        let members = match who.session.principal {
            Principal::User(user) => vec![(organization, user)],
            Principal::Anonymous | Principal::Ci(_) | Principal::Device(_) | Principal::Workload { .. } => {
                vec![]
            }
        };
        Ok(Preconditions { members, live: who.token_id().into_iter().collect(), uses: Vec::new() })
    }

    pub(crate) async fn issue(
        &self,
        by: &Authority<'_>,
        draft: Draft,
        description: Description,
        life: Option<Duration>,
        now: Timestamp,
    ) -> Result<Issued, IssueError> {
        let preconditions = draft.preconditions.clone();
        let issued = self.mint(by, draft, description, life, now).await?;
        self.held.storage().insert_token(&issued.record, &preconditions, &by.act(now)).await?;
        Ok(issued)
    }

    /// A token with its secret and its record, which the store does not have yet.
    pub(crate) async fn mint(
        &self,
        by: &Authority<'_>,
        draft: Draft,
        description: Description,
        life: Option<Duration>,
        now: Timestamp,
    ) -> Result<Issued, IssueError> {
        let no_randomness = IssueError::Encoding { code: "no_randomness" };
        let id = draft.id.or_else(|| self.new_token_id(now)).ok_or(no_randomness)?;
        let cap = match draft.kind {
            TokenKind::Ci => self.longest_lives_for(&draft.owner, draft.organization).await?.ci,
            TokenKind::Personal => self.longest_lives_for(&draft.owner, draft.organization).await?.personal,
            TokenKind::Device
            | TokenKind::Session
            | TokenKind::Closure
            | TokenKind::Refresh
            | TokenKind::Browser => None,
        };
        // The shortest of what was asked for and what is allowed.
        let life = [life, draft.longest, cap].into_iter().flatten().min();
        let expires_at = life.map(|life| now.saturating_add(life));
        let (token, form) = if draft.jwt {
            let expires_at = expires_at.unwrap_or(now.saturating_add(DEVICE_TOKEN_LIFE));
            self.sign(id, &draft, expires_at, now).await?
        } else {
            let kind = match draft.kind {
                TokenKind::Ci => OpaqueKind::Ci,
                TokenKind::Personal => OpaqueKind::Personal,
                TokenKind::Browser => OpaqueKind::Browser,
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
            TokenKind::Session | TokenKind::Closure | TokenKind::Refresh | TokenKind::Browser => {
                GrantSource::Session(id)
            }
        };
        let grant = |source, scope, actions| Grant { source, scope, actions, until: None };
        let own = draft.grants.into_iter().map(|(scope, actions)| grant(source(id), scope, actions));
        let anonymous = draft.as_anonymous.map(|scope| grant(GrantSource::AnonymousLevel, scope, LOOKING));
        let record = TokenRecord {
            id,
            kind: draft.kind,
            form,
            owner: draft.owner,
            organization: draft.organization,
            workspace: draft.workspace,
            description,
            grants: own.chain(anonymous).collect(),
            restrictions: draft.restrictions,
            reads_closures: draft.reads_closures,
            lane: draft.lane,
            base: draft.base,
            floor: draft.floor,
            run: draft.run,
            issued_at: now,
            expires_at,
            created_by: by.principal(),
            ancestors: draft.ancestors,
            family: draft.family.unwrap_or(id),
            superseded: None,
            revoked: None,
            last_used: None,
        };
        Ok(Issued { token, record })
    }

    /// Whether the author may rotate this token, and what then becomes of it.
    async fn draft_successor(
        &self,
        by: &Authority<'_>,
        record: &TokenRecord,
        now: Timestamp,
    ) -> Result<Draft, IssueError> {
        match record.kind {
            TokenKind::Ci | TokenKind::Personal | TokenKind::Device => {}
            TokenKind::Session | TokenKind::Closure | TokenKind::Refresh | TokenKind::Browser => {
                return Err(IssueError::NotRotated { kind: record.kind.as_str() });
            }
        }
        let mut restrictions = record.restrictions.clone();
        if let Authority::Of(who) = by {
            match (&record.owner, record.kind) {
                (Principal::User(owner), TokenKind::Personal) => {
                    let (wanted, held) = (limit_of(&restrictions), limit_of(who.restrictions()));
                    if !held.contains_all(wanted) {
                        return Err(IssueError::MoreThanHeld { wanted, held });
                    }
                    self.of_the_present_time(who, *owner).await?;
                    // What the predecessor is of, its successor would be of the present time.
                    let places = self.held.user(*owner).await?;
                    let root = self.life(record, now).await.map_err(ManageError::from)?.rooted_at;
                    let former = |since: Timestamp| root < since;
                    if places.iter().any(|place| place.member.tokens_since.is_some_and(former)) {
                        return Err(IssueError::FormerMember);
                    }
                    bind_as(who, &mut restrictions);
                }
                _ => {
                    let place = place_of_token(record).ok_or(ManageError::Missing { what: "token" })?;
                    let organization =
                        record.organization.ok_or(ManageError::Missing { what: "organization" })?;
                    let granted =
                        record.grants.iter().fold(ActionSet::EMPTY, |all, grant| all.union(grant.actions));
                    let wanted = granted.union(closure_right(record.reads_closures));
                    self.ceiling(by, &place, wanted, organization, now).await?;
                }
            }
        }
        let jwt = matches!(record.form, TokenForm::Jwt { .. });
        Ok(Draft {
            organization: record.organization,
            workspace: record.workspace,
            grants: record.grants.iter().map(|grant| (grant.scope, grant.actions)).collect(),
            restrictions,
            reads_closures: record.reads_closures,
            lane: record.lane.clone(),
            base: record.base.clone(),
            floor: record.floor,
            run: record.run.clone(),
            ancestors: record.ancestors.clone(),
            family: Some(record.family),
            ..Draft::new(record.kind, jwt, record.owner.clone())
        })
    }
}

impl Gate {
    /// Makes a successor of a token, with the same rights, restrictions and lane, and lets the predecessor live on
    /// for `overlap`: whoever may revoke a token may rotate it, within what they hold. A predecessor that is shown
    /// later raises the alarm of [`Reuse`](crate::Reuse). Without a `life` the successor lives as long as its
    /// predecessor was made for.
    ///
    /// # Errors
    ///
    /// [`IssueError`]; nothing was changed then. Of many racing rotations of one token, one wins.
    pub async fn rotate(
        &self,
        by: &Authority<'_>,
        token: TokenId,
        overlap: Duration,
        life: Option<Duration>,
        now: Timestamp,
    ) -> Result<Issued, IssueError> {
        match self.rotate_once(by, token, overlap, life, None, now).await? {
            Made::Now(issued) => Ok(issued),
            Made::Before(_) => Err(ManageError::Changed { what: "token" }.into()),
        }
    }

    /// The same for a request that may be sent twice: the second time it gives the record of the successor that the
    /// first one made.
    ///
    /// # Errors
    ///
    /// [`IssueError`].
    pub async fn rotate_once(
        &self,
        by: &Authority<'_>,
        token: TokenId,
        overlap: Duration,
        life: Option<Duration>,
        once: Option<&Once<'_>>,
        now: Timestamp,
    ) -> Result<Made<Issued, TokenRecord>, IssueError> {
        let inner = &*self.inner;
        let record = inner.manageable(by, token, now).await?;
        let draft = inner.draft_successor(by, &record, now).await?;
        let planned = inner.plan(by, once, now).await?;
        if planned.again
            && let Some(record) = inner.held.storage().token(planned.token()).await?
        {
            return Ok(Made::Before(record));
        }
        let draft = Draft { id: Some(planned.token()), ..draft };
        let life = life.or_else(|| record.expires_at.map(|end| end.since(record.issued_at)));
        let issued = inner.mint(by, draft, record.description.clone(), life, now).await?;
        let overlap_until = now.saturating_add(overlap);
        let revision =
            inner.held.storage().rotate_token(token, &issued.record, overlap_until, &by.act(now)).await?;
        inner.take_in(revision).await;
        Ok(Made::Now(issued))
    }
}

/// What a token carries beside its grants, if it obtains closure tokens.
fn closure_right(reads_closures: bool) -> ActionSet {
    if reads_closures { ActionSet::of(&[Action::Read]) } else { ActionSet::EMPTY }
}

/// A token that is bound to some place makes none that is bound to fewer.
fn bind_as(maker: &Authentication, restrictions: &mut Vec<Restriction>) {
    for restriction in maker.restrictions() {
        if !matches!(restriction, Restriction::Actions(_)) && !restrictions.contains(restriction) {
            restrictions.push(restriction.clone());
        }
    }
}

/// A personal token of this person.
pub(crate) fn personal(user: UserId, actions: ActionSet, jwt: bool) -> Draft {
    Draft {
        restrictions: vec![Restriction::Actions(actions)],
        ..Draft::new(TokenKind::Personal, jwt, Principal::User(user))
    }
}

/// The actions that these restrictions leave.
pub(crate) fn limit_of(restrictions: &[Restriction]) -> ActionSet {
    restrictions.iter().fold(ActionSet::ALL, |left, restriction| match restriction {
        Restriction::Actions(actions) => left.intersection(*actions),
        Restriction::Organization(_)
        | Restriction::Workspaces(_)
        | Restriction::Releases { .. }
        | Restriction::Closure { .. }
        | Restriction::Until(_) => left,
    })
}
