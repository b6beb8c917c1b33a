//! Releases: published by name, resolved to the highest version that fits, and read by what they need.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cachegate_policy::{LaneOrder, Reason, WorkspaceSettings};
use cachegate_storage::{Preconditions, ReleaseRecord, StoreError, TokenKind, TokenRecord};
use cachegate_types::{
    Action, ClosureId, Description, EntryKey, GrantSource, Lane, LaneClass, Principal, ReleaseId, Resource,
    Restriction, Scope, Timestamp, Version, VersionRequirement, WorkspaceId,
};

use crate::authenticate::AuthenticateError;
use crate::established::PlaceId;
use crate::gate::Inner;
use crate::guard::guarded;
use crate::issue::{Draft, LOOKING};
use crate::manage::{Authority, ManageError, Page};
use crate::provenance::AtHand;
use crate::verdict::{Allowed, Request, Unavailable, Verdict};
use crate::{Authentication, Gate, IssueError, Issued, Method, NotAdmitted};

/// The longest life of a closure token.
pub const CLOSURE_TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);

/// The most entries that the closures of a release may hold together.
pub const LARGEST_CLOSURE: usize = 65_536;

/// An entry as it is stored: evidence that it may be relied on.
#[derive(Clone, Copy, Debug)]
pub struct StoredEntry<'a> {
    /// The key that it is kept under.
    pub key: &'a EntryKey,
    /// The label that is kept beside it.
    pub label: &'a [u8],
    /// The SHA-256 of its bytes.
    pub digest: &'a [u8; 32],
}

/// What to publish.
#[derive(Clone, Copy, Debug)]
pub struct ReleaseSpec<'a> {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The version; each is published once.
    pub version: &'a Version,
    /// The entry that it names.
    pub entry: StoredEntry<'a>,
    /// What each of its outputs needs; of an output that is not named here nobody obtains a closure token.
    pub outputs: &'a [OutputSpec<'a>],
}

/// One output of a release, and its closure.
#[derive(Clone, Copy, Debug)]
pub struct OutputSpec<'a> {
    /// What it is resolved by: 1 to 256 bytes, no two of a release the same.
    pub name: &'a str,
    /// All entries that it needs, itself included where it is read by them.
    pub closure: &'a [StoredEntry<'a>],
}

impl OutputSpec<'_> {
    /// The longest name, in bytes.
    pub const LONGEST_NAME: usize = 256;
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Whoever asks may not, or the version exists.
    #[error(transparent)]
    Refused(#[from] ManageError),
    /// An entry that it names is none that its publisher may rely on.
    #[error("the entry `{key}` is not admitted: {reason}")]
    NotAdmitted {
        /// Its key.
        key: EntryKey,
        /// Why.
        #[source]
        reason: NotAdmitted,
    },
    /// An entry was written in a lane less trusted than a release may rely on.
    #[error("the entry `{key}` was written in the lane `{lane}`; a release relies on `{least}` and above")]
    LessTrusted {
        /// Its key.
        key: EntryKey,
        /// The lane that it was written in.
        lane: Lane,
        /// The least trusted class that would do.
        least: LaneClass,
    },
    /// The closures are larger than [`LARGEST_CLOSURE`].
    #[error("the closures of a release hold at most {LARGEST_CLOSURE} entries, these {entries}")]
    TooLarge {
        /// How many entries they have.
        entries: usize,
    },
    /// Two outputs have one name, or one has none that can be.
    #[error("each output has a name of its own, of 1 to {longest} bytes", longest = OutputSpec::LONGEST_NAME)]
    OutputName,
}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        Self::Refused(error.into())
    }
}

/// Why nothing was resolved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The credential does not resolve here, or nothing could be decided: any verdict but an allowed one.
    #[error("this is not resolved ({})", .0.code())]
    Refused(Box<Verdict>),
    /// No release satisfies what was asked for and all that bounds the credential. Whether one exists beyond those
    /// bounds is not told.
    #[error("no release satisfies `{asked}` within what this token may resolve")]
    NoRelease {
        /// What was asked for.
        asked: VersionRequirement,
    },
    /// The release was published without the closure of such an output; or it has several, and none was named.
    #[error("the release {version} records no closure under that name: it has {outputs} outputs with one")]
    NoClosure {
        /// The release.
        version: Version,
        /// How many closures it has.
        outputs: usize,
    },
    /// The credential resolves and does not read, and was not made to obtain closure tokens.
    #[error(
        "this token resolves releases and does not read what they need; have one made with `closure = read`"
    )]
    NotAReader,
    /// No closure token was made.
    #[error(transparent)]
    NotIssued(#[from] IssueError),
}

impl From<StoreError> for ResolveError {
    fn from(error: StoreError) -> Self {
        Unavailable::from(error).into()
    }
}

impl From<Unavailable> for ResolveError {
    fn from(error: Unavailable) -> Self {
        Self::Refused(Box::new(Verdict::Unavailable(error)))
    }
}

impl From<AuthenticateError> for ResolveError {
    fn from(error: AuthenticateError) -> Self {
        Self::Refused(Box::new(match error {
            AuthenticateError::NotAuthenticated(reason) => Verdict::NotAuthenticated(reason),
            AuthenticateError::Unavailable(reason) => Verdict::Unavailable(reason),
        }))
    }
}

impl Gate {
    /// Publishes a release: the action `publish`, which no level and no role brings. It names one admitted entry of
    /// the lane `main` or above; its outputs' closures hold admitted entries of the release's lane or above. A release
    /// never changes.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then. A version that exists is [`ManageError::Exists`].
    pub async fn publish_release(
        &self,
        by: &Authority<'_>,
        spec: &ReleaseSpec<'_>,
        now: Timestamp,
    ) -> Result<ReleaseRecord, PublishError> {
        let inner = &*self.inner;
        let ReleaseSpec { workspace, version, entry, outputs } = *spec;
        let release = Resource::Release { workspace, version: version.clone() };
        inner.may(by, Action::Publish, &release, now).await?;
        let entries = outputs.iter().map(|output| output.closure.len()).sum();
        if entries > LARGEST_CLOSURE {
            return Err(PublishError::TooLarge { entries });
        }
        let reach = inner.reach(by, workspace, entry.key, now).await?;
        let lane = inner.relied_on(&reach, &entry, LaneClass::Main).await?;
        let (mut closures, mut keys) = (BTreeMap::new(), Vec::with_capacity(entries));
        // What several outputs need is looked at once.
        let mut seen = BTreeSet::new();
        for output in outputs {
            let closure = ClosureId::new(now, inner.random().ok_or(ManageError::Randomness)?);
            let named = (1..=OutputSpec::LONGEST_NAME).contains(&output.name.len());
            if !named || closures.insert(output.name.into(), closure).is_some() {
                return Err(PublishError::OutputName);
            }
            for needed in output.closure {
                if seen.insert((needed.key, needed.digest, needed.label)) {
                    inner.relied_on(&reach, needed, lane.class()).await?;
                }
                keys.push((closure, needed.key.clone()));
            }
        }
        let id = ReleaseId::new(now, inner.random().ok_or(ManageError::Randomness)?);
        let record = ReleaseRecord {
            id,
            workspace,
            version: version.clone(),
            lane,
            key: entry.key.clone(),
            digest: *entry.digest,
            closures,
            published_at: now,
            yanked_at: None,
        };
        inner.held.storage().publish_release(&record, &keys, &by.act(now)).await?;
        Ok(record)
    }

    /// Withdraws a release, by whoever may `publish`: it stays listed, and nobody resolves it any more.
    ///
    /// # Errors
    ///
    /// [`ManageError`]; `Missing` without the release. Withdrawing again changes nothing.
    pub async fn yank_release(
        &self,
        by: &Authority<'_>,
        workspace: WorkspaceId,
        version: &Version,
        now: Timestamp,
    ) -> Result<(), ManageError> {
        let inner = &*self.inner;
        let release = Resource::Release { workspace, version: version.clone() };
        inner.may(by, Action::Publish, &release, now).await?;
        Ok(inner.held.storage().yank_release(workspace, version, &by.act(now)).await?)
    }

    /// The releases that somebody may resolve, and those of them that were withdrawn, by ascending version: those
    /// after `after`, at most `limit`. Nobody who resolves nothing here learns of any.
    ///
    /// # Errors
    ///
    /// [`ManageError`].
    pub async fn releases(
        &self,
        by: &Authority<'_>,
        workspace: WorkspaceId,
        after: Option<&Version>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page<ReleaseRecord, Version>, ManageError> {
        let inner = &*self.inner;
        inner.alive(by, now).await?;
        let mut found = Vec::new();
        for record in inner.held.storage().releases(workspace).await? {
            if after.is_some_and(|after| record.version <= *after) || found.len() > limit {
                continue;
            }
            let visible = match by {
                Authority::Operator => true,
                Authority::Of(who) => {
                    let release = Resource::Release { workspace, version: record.version.clone() };
                    let request = Request::new(Action::Resolve, &release);
                    inner.decide(&who.session, &request, now).await?.is_allowed()
                }
            };
            if visible {
                found.push(record);
            }
        }
        Ok(Page::cut(found, limit, |record| record.version.clone()))
    }

    /// Resolves a requirement to the highest release that satisfies it, was not withdrawn, and lies within what the
    /// credential may resolve. The version that was found is decided on, never the requirement's text.
    ///
    /// # Errors
    ///
    /// [`ResolveError`].
    pub async fn resolve(
        &self,
        who: &Authentication,
        workspace: WorkspaceId,
        asked: &VersionRequirement,
        now: Timestamp,
    ) -> Result<ReleaseRecord, ResolveError> {
        let work = async {
            self.inner.ensure_fresh(None, now).await?;
            self.inner.still_alive(&who.session, now).await?;
            self.inner.resolve(who, workspace, asked, now).await
        };
        guarded(work).await?
    }

    /// Resolves, and issues a token that reads exactly the closure of one output, which need not be named where the
    /// release has one alone: to a device token that was made with
    /// `closure = read`, and to a credential that reads the release's entry anyway. It lives for `life`, at most
    /// [`CLOSURE_TOKEN_LIFE`] and never longer than the credential, and dies with it.
    ///
    /// # Errors
    ///
    /// [`ResolveError`]; no token was made then.
    pub async fn resolve_closure(
        &self,
        who: &Authentication,
        workspace: WorkspaceId,
        asked: &VersionRequirement,
        output: Option<&str>,
        life: Option<Duration>,
        now: Timestamp,
    ) -> Result<(ReleaseRecord, Issued), ResolveError> {
        let inner = &*self.inner;
        let by = Authority::Of(who);
        // A token is made: what this node merely remembers does not do.
        inner.ensure_newest(now).await?;
        inner.still_alive(&who.session, now).await?;
        let release = inner.resolve(who, workspace, asked, now).await?;
        let draft = inner.draft_closure(who, &release, output, now).await?;
        let description = format!("closure of release {}", release.version);
        let description = description.parse::<Description>().unwrap_or_default();
        let life = life.unwrap_or(CLOSURE_TOKEN_LIFE);
        let issued = inner.issue(&by, draft, description, Some(life), now).await?;
        Ok((release, issued))
    }

    /// The closures that hold an entry: the evidence of [`Resource::Entry`]. [`Gate::entry`] asks only where it
    /// matters.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when the store does not answer.
    pub async fn closures_of(
        &self,
        workspace: WorkspaceId,
        key: &EntryKey,
    ) -> Result<Vec<ClosureId>, Unavailable> {
        Ok(self.inner.held.storage().closures_of(workspace, key).await?)
    }

    /// An entry as a request about it names it, with the evidence that a decision on this credential needs: the
    /// closures that hold it are looked up for a credential that reads a closure, and for no other.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when the store does not answer.
    pub async fn entry(
        &self,
        who: &Authentication,
        workspace: WorkspaceId,
        key: EntryKey,
    ) -> Result<Resource, Unavailable> {
        let by_closure = who.restrictions().iter().any(|one| matches!(one, Restriction::Closure { .. }));
        let closures = if by_closure { self.closures_of(workspace, &key).await? } else { Vec::new() };
        Ok(Resource::Entry { workspace, key, closures })
    }
}

/// Where a publisher looks: nobody vouches for entries that they do not read.
struct Reach {
    workspace: WorkspaceId,
    order: LaneOrder,
    generation: u32,
    lanes: Vec<Lane>,
}

impl Inner {
    async fn reach(
        &self,
        by: &Authority<'_>,
        workspace: WorkspaceId,
        key: &EntryKey,
        now: Timestamp,
    ) -> Result<Reach, ManageError> {
        let found =
            self.held.workspace(workspace).await?.ok_or(ManageError::Missing { what: "workspace" })?;
        let entry = Resource::entry(workspace, key.clone());
        let lanes = match self.allowed(by, Action::Read, &entry, now).await? {
            Some(allowed) => allowed.read_lanes().cloned().collect(),
            // What every reader shares, as far as a release may rely on it.
            None => vec![Lane::release(), Lane::main()],
        };
        let WorkspaceSettings { lanes: order, lane_generation: generation, .. } = found.settings;
        Ok(Reach { workspace, order, generation, lanes })
    }

    /// The lane that the entry was written in, if it is admitted and that lane is one of `least` or above.
    async fn relied_on(
        &self,
        reach: &Reach,
        entry: &StoredEntry<'_>,
        least: LaneClass,
    ) -> Result<Lane, PublishError> {
        let StoredEntry { key, label, digest } = *entry;
        let workspace = Some(reach.workspace);
        let at_hand = AtHand { workspace, lane_generation: reach.generation, key, digest };
        let lane = match self.admit(label, &at_hand, reach.lanes.iter()).await {
            Ok(provenance) => provenance.lane,
            Err(NotAdmitted::Unavailable(reason)) => return Err(ManageError::from(reason).into()),
            Err(reason) => return Err(PublishError::NotAdmitted { key: key.clone(), reason }),
        };
        if reach.order.rank(lane.class()) > reach.order.rank(least) {
            return Err(PublishError::LessTrusted { key: key.clone(), lane, least });
        }
        Ok(lane)
    }

    /// The release that is found, after the decision on it was told of: one decision for one question.
    async fn resolve(
        &self,
        who: &Authentication,
        workspace: WorkspaceId,
        asked: &VersionRequirement,
        now: Timestamp,
    ) -> Result<ReleaseRecord, ResolveError> {
        let fits = |release: &ReleaseRecord| release.yanked_at.is_none() && asked.matches(&release.version);
        let mut releases = self.held.storage().releases(workspace).await?;
        releases.retain(fits);
        for release in releases.iter().rev() {
            let resource = Resource::Release { workspace, version: release.version.clone() };
            let request = Request::new(Action::Resolve, &resource);
            let verdict = self.decide(&who.session, &request, now).await?;
            if verdict.is_allowed() {
                return match self.tell(verdict, Some(&who.session), &request, now) {
                    Verdict::Allowed(_) => Ok(release.clone()),
                    refused => Err(ResolveError::Refused(Box::new(refused))),
                };
            }
        }
        // Nothing was found. The answer depends on what the credential may do here, never on what is there.
        let resource = Resource::Workspace(workspace);
        let request = Request::new(Action::Resolve, &resource);
        let verdict = self.decide(&who.session, &request, now).await?;
        let place = self.rights(&who.session, PlaceId::Workspace(workspace)).await?;
        let locked =
            matches!(&verdict, Verdict::Denied(denied) if matches!(denied.reason(), Reason::Locked { .. }));
        let resolves = place.rights.usable(now).contains(Action::Resolve) && !locked;
        match self.tell(verdict, Some(&who.session), &request, now) {
            refused @ (Verdict::Unavailable(_) | Verdict::NotAuthenticated(_)) => {
                Err(ResolveError::Refused(Box::new(refused)))
            }
            refused @ Verdict::Denied(_) if !resolves => Err(ResolveError::Refused(Box::new(refused))),
            Verdict::Denied(_) | Verdict::Allowed(_) => Err(ResolveError::NoRelease { asked: asked.clone() }),
        }
    }

    /// A token that reads this release's closure, come of the credential that resolved it.
    async fn draft_closure(
        &self,
        who: &Authentication,
        release: &ReleaseRecord,
        output: Option<&str>,
        now: Timestamp,
    ) -> Result<Draft, ResolveError> {
        let source = who.session.record.as_deref().ok_or(IssueError::NotExchanged { kind: "missing" })?;
        if who.method() == Method::Workload {
            // It is stored nowhere, so that nothing could die with it.
            return Err(IssueError::NotExchanged { kind: "presented workload" }.into());
        }
        let outputs = release.closures.len();
        let closure = match output {
            Some(name) => release.closures.get(name),
            None => release.closures.values().next().filter(|_| outputs == 1),
        };
        let missing = || ResolveError::NoClosure { version: release.version.clone(), outputs };
        let closure = *closure.ok_or_else(missing)?;
        if source.ancestors.len() >= TokenRecord::MAX_ANCESTORS {
            return Err(IssueError::Lineage.into());
        }
        let workspace = release.workspace;
        let by_right = source.kind == TokenKind::Device && source.reads_closures;
        let entry = Resource::entry(workspace, release.key.clone());
        let read = self.decide(&who.session, &Request::new(Action::Read, &entry), now).await?;
        let reads_anyway = match &read {
            Verdict::Allowed(allowed) if allowed.read_lanes().any(|lane| *lane == release.lane) => {
                Some(allowed)
            }
            _ => None,
        };
        if !by_right && reads_anyway.is_none() {
            return Err(ResolveError::NotAReader);
        }
        let as_anonymous = reads_anyway
            .and_then(Allowed::grant)
            .filter(|grant| grant.source == GrantSource::AnonymousLevel)
            .map(|grant| grant.scope);
        let is_person = matches!(who.session.principal, Principal::User(_));
        let granted = !is_person && as_anonymous.is_none();
        // What cuts the source cuts this too, but that it resolves alone: the right in its record reads a closure.
        let kept = source.restrictions.iter().filter(|one| !matches!(one, Restriction::Releases { .. }));
        let named = who.session.named_workspace.map(|named| Restriction::Workspaces(vec![named]));
        let own = [Restriction::Closure { workspace, closure }, Restriction::Actions(LOOKING)];
        let found = self.held.workspace(workspace).await?;
        let organization = found.map(|found| found.organization);
        let members = match (&who.session.principal, organization) {
            (Principal::User(user), Some(organization)) => vec![(organization, *user)],
            _ => Vec::new(),
        };
        Ok(Draft {
            organization,
            workspace: Some(workspace),
            grants: granted.then_some((Scope::Workspace(workspace), LOOKING)).into_iter().collect(),
            as_anonymous,
            restrictions: own.into_iter().chain(kept.cloned()).chain(named).collect(),
            lane: source.lane.clone(),
            // The closure's entries are of the release's lane or above; others under their keys are not meant.
            floor: Some(release.lane.class()),
            run: source.run.clone(),
            ancestors: [&[source.id], &*source.ancestors].concat(),
            longest: who.until().map(|until| until.since(now)).into_iter().chain([CLOSURE_TOKEN_LIFE]).min(),
            preconditions: Preconditions { members, ..Preconditions::default() },
            ..Draft::new(TokenKind::Closure, true, source.owner.clone())
        })
    }
}
