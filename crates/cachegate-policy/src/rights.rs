//! What is known of a credential's rights in one place, compiled once and asked often.

use std::sync::Arc;

use cachegate_types::{
    AccessLevel, Action, ActionSet, Grant, GrantSource, GroupId, Lane, LaneClass, OrganizationId,
    Restriction, Role, Scope, Timestamp, UserId, WorkspaceId,
};

use crate::decision::{ON_ENTRIES, ON_RELEASES, held};
use crate::{LaneView, OpenTo, ReadOnlyCiWrites, WorkspaceSettings};

/// A workspace as the decision sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// The organization that owns it.
    pub organization: OrganizationId,
    /// Its settings.
    pub settings: WorkspaceSettings,
}

/// Where rights are asked for.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// An organization itself.
    Organization(OrganizationId),
    /// A workspace and what is in it.
    Workspace(&'a Workspace),
}

/// A person's membership in the organization of the place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Membership {
    /// The role.
    pub role: Role,
    /// The groups of that organization that the person is in.
    pub groups: Vec<GroupId>,
}

/// Whom a workspace lists.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ListedParty {
    /// One person, who must be a member.
    User(UserId),
    /// The members of one group.
    Group(GroupId),
}

/// One line of a workspace's list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Listed {
    /// Who.
    pub party: ListedParty,
    /// What they get.
    pub actions: ActionSet,
}

/// What the records say of a principal towards the place.
#[derive(Clone, Debug)]
pub enum Standing<'a> {
    /// No credential: the workspace's anonymous level decides.
    Anonymous,
    /// A person: membership, role, groups and the workspace's list decide, cut by the personal level.
    User {
        /// Who.
        user: UserId,
        /// Their membership in the place's organization; `None` when they are no member.
        membership: Option<&'a Membership>,
        /// The workspace's list; empty for an organization.
        listed: &'a [Listed],
    },
    /// A machine: what its token's record or its one matching rule granted.
    Granted {
        /// The grants.
        grants: &'a [Grant],
        /// The one lane.
        lane: &'a Lane,
        /// The base branch's lane, where verified facts name it.
        base: Option<&'a Lane>,
        /// Nothing below this class is read.
        floor: Option<LaneClass>,
    },
}

/// Compiled rights in one place. Holds what [`decide`](crate::decide) needs and nothing that a request can change.
#[derive(Clone, Debug)]
pub struct Rights {
    pub(crate) organization: OrganizationId,
    pub(crate) workspace: Option<WorkspaceId>,
    // Only grants that reach the place.
    pub(crate) grants: Vec<Grant>,
    pub(crate) restrictions: Vec<Restriction>,
    pub(crate) view: Option<Arc<LaneView>>,
    // The rank of the least trusted lane that may be read.
    pub(crate) floor: u8,
    pub(crate) order: crate::LaneOrder,
    pub(crate) cut: Cut,
}

/// What cuts the grants beside the token's own restrictions; kept apart so that a refusal can name it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    Nothing,
    NotMember,
    Personal(AccessLevel),
}

impl Cut {
    pub(crate) fn leaves(self) -> ActionSet {
        // Managing is no use of entries: the personal level does not reach it, so that an administrator who turns
        // personal tokens off can turn them on again.
        const MANAGING: ActionSet = ActionSet::of(&[Action::Administer]);
        match self {
            Self::Nothing => ActionSet::ALL,
            Self::NotMember => ActionSet::EMPTY,
            Self::Personal(AccessLevel::ReadWrite) => ActionSet::ALL,
            Self::Personal(level) => level.actions().union(MANAGING),
        }
    }
}

impl Rights {
    /// Compiles what the records say into what the decision asks. Pure; the order of grants, list lines and
    /// restrictions never changes what is allowed.
    pub fn compile(place: &Place<'_>, standing: &Standing<'_>, restrictions: &[Restriction]) -> Self {
        let (organization, workspace, settings) = match place {
            Place::Organization(organization) => (*organization, None, None),
            Place::Workspace(workspace) => {
                (workspace.organization, Some(workspace.id), Some(&workspace.settings))
            }
        };
        let order = settings.map(|settings| settings.lanes).unwrap_or_default();
        let view = |lane: &Lane, base, member| {
            settings.map(|settings| Arc::new(LaneView::new(settings, lane, base, member)))
        };
        let mut rights = Self {
            organization,
            workspace,
            grants: Vec::new(),
            restrictions: restrictions.to_vec(),
            view: None,
            floor: u8::MAX,
            order,
            cut: Cut::Nothing,
        };
        match standing {
            Standing::Anonymous => {
                if let (Some(workspace), Some(settings)) = (workspace, settings) {
                    rights.grants.push(Grant {
                        source: GrantSource::AnonymousLevel,
                        scope: Scope::Workspace(workspace),
                        actions: settings.anonymous.actions(),
                        until: None,
                    });
                }
                rights.view = view(&Lane::anonymous(), None, false);
            }
            Standing::User { membership: None, .. } => rights.cut = Cut::NotMember,
            Standing::User { user, membership: Some(membership), listed } => {
                rights.grants = user_grants(organization, workspace.zip(settings), *user, membership, listed);
                if let Some(settings) = settings {
                    rights.cut = Cut::Personal(settings.personal);
                    rights.view = view(&settings.personal_lane.lane(), None, true);
                }
            }
            Standing::Granted { grants, lane, base, floor } => {
                let reaches = |grant: &&Grant| match grant.scope {
                    Scope::Organization(granted) => granted == organization,
                    Scope::Workspace(granted) => workspace == Some(granted),
                };
                rights.grants = grants.iter().filter(reaches).cloned().collect();
                let is_own = lane.class() == LaneClass::Own;
                for grant in &mut rights.grants {
                    let left = left_of(grant.source, settings, is_own);
                    grant.actions = grant.actions.intersection(left);
                }
                rights.view = view(lane, *base, false);
                if let Some(floor) = floor {
                    rights.floor = order.rank(*floor);
                }
            }
        }
        rights
    }

    /// The same rights, reading nothing below this class.
    #[must_use]
    pub fn down_to(mut self, floor: LaneClass) -> Self {
        self.floor = self.floor.min(self.order.rank(floor));
        self
    }

    /// What the credential may do here after every cut of its own: what [`decide`](crate::decide) allows on the place
    /// itself, on some entry or on some release of it, while no lock stops it.
    ///
    /// Version requirements are not weighed against one another: where two of them leave no version, it says what
    /// each would leave.
    pub fn usable(&self, now: Timestamp) -> ActionSet {
        let reach = self.reach(now);
        let held = held(self, now).intersection(self.cut.leaves()).intersection(reach.actions);
        let mut usable = ActionSet::EMPTY;
        if reach.place {
            usable = held;
        }
        for (reached, meant) in [(reach.entries, ON_ENTRIES), (reach.releases, ON_RELEASES)] {
            // Without a lane at or above the floor nothing can be looked at; changing is not looking.
            let looks = self.view.as_deref().is_some_and(|view| view.down_to(self.floor).next().is_some());
            let meant = if looks { meant } else { meant.intersection(CHANGING) };
            if reached {
                usable = usable.union(held.intersection(meant));
            }
        }
        usable
    }

    /// The most that a token made by this credential for the place may carry: nobody hands on more than they hold.
    ///
    /// That is what its grants give and its own restrictions leave. The workspace's personal level is not in it,
    /// for it cuts the use of entries by personal tokens and not what an administrator may give to a machine. A
    /// credential that is restricted to releases or a closure hands on nothing.
    pub fn ceiling(&self, now: Timestamp) -> ActionSet {
        let reach = self.reach(now);
        if reach.place { held(self, now).intersection(reach.actions) } else { ActionSet::EMPTY }
    }

    /// What the restrictions leave here.
    fn reach(&self, now: Timestamp) -> Reach {
        let inside = self.workspace.is_some();
        let all = Reach { actions: ActionSet::ALL, place: true, entries: inside, releases: inside };
        self.restrictions.iter().fold(all, |left, restriction| {
            let here = |workspace: &WorkspaceId| self.workspace == Some(*workspace);
            let or_nothing = |stays| if stays { left } else { Reach::default() };
            match restriction {
                Restriction::Actions(actions) => {
                    Reach { actions: left.actions.intersection(*actions), ..left }
                }
                Restriction::Organization(organization) => or_nothing(self.organization == *organization),
                Restriction::Workspaces(workspaces) => or_nothing(workspaces.iter().any(here)),
                Restriction::Releases { workspace, .. } => {
                    Reach { place: false, entries: false, releases: left.releases && here(workspace), ..left }
                }
                Restriction::Closure { workspace, .. } => {
                    Reach { place: false, entries: left.entries && here(workspace), releases: false, ..left }
                }
                Restriction::Until(until) => or_nothing(now < *until),
            }
        })
    }

    /// The grants that reach the place, each with what it gives there, in the order in which a decision's index
    /// counts them.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// What the lanes look like from here; `None` for an organization and for somebody who is no member.
    pub fn view(&self) -> Option<&LaneView> {
        self.view.as_deref()
    }
}

/// What a credential's restrictions leave of a place: which actions, and on what.
#[derive(Clone, Copy, Default)]
struct Reach {
    actions: ActionSet,
    place: bool,
    entries: bool,
    releases: bool,
}

/// What leaves something behind in a workspace.
const CHANGING: ActionSet = ActionSet::of(&[
    Action::Write,
    Action::Replace,
    Action::Delete,
    Action::Administer,
    Action::Publish,
    Action::Provision,
]);

/// What the kind of a machine's credential leaves of its grants; `is_own`: its lane is an `own` lane.
///
/// One job's session writes its own lane for as long as the setting says so; a bare CI token, which several jobs
/// share, never does. A device looks or, as a directory's, provisions, whatever its record says. Whoever is to look as anonymous
/// requests do follows the workspace's level as it is now.
fn left_of(source: GrantSource, settings: Option<&WorkspaceSettings>, is_own: bool) -> ActionSet {
    const LOOKING: ActionSet = ActionSet::of(&[Action::Resolve, Action::Read]);
    const NO_LANE_WRITES: ActionSet =
        LOOKING.union(ActionSet::of(&[Action::Administer, Action::Publish, Action::Provision]));
    let own_lane = settings.filter(|_| is_own).map(|settings| settings.read_only_ci_writes);
    match (source, own_lane) {
        (GrantSource::AnonymousLevel, _) => {
            let level = settings.map_or(AccessLevel::None, |settings| settings.anonymous);
            level.actions().intersection(LOOKING)
        }
        (GrantSource::DeviceToken(_), _) => LOOKING.union(ActionSet::of(&[Action::Provision])),
        (GrantSource::CiToken(_), Some(_)) | (GrantSource::Session(_), Some(ReadOnlyCiWrites::Refuse)) => {
            NO_LANE_WRITES
        }
        (GrantSource::CiToken(_), None)
        | (GrantSource::Session(_), None | Some(ReadOnlyCiWrites::OwnLane))
        | (
            GrantSource::Membership
            | GrantSource::Role(_)
            | GrantSource::Listed
            | GrantSource::Group(_)
            | GrantSource::Rule(_),
            _,
        ) => ActionSet::ALL,
    }
}

fn user_grants(
    organization: OrganizationId,
    workspace: Option<(WorkspaceId, &WorkspaceSettings)>,
    user: UserId,
    membership: &Membership,
    listed: &[Listed],
) -> Vec<Grant> {
    let mut grants = Vec::new();
    let role = membership.role;
    if !role.actions().is_empty() {
        grants.push(Grant {
            source: GrantSource::Role(role),
            scope: Scope::Organization(organization),
            actions: role.actions(),
            until: None,
        });
    }
    let Some((workspace, settings)) = workspace else {
        return grants;
    };
    let scope = Scope::Workspace(workspace);
    match settings.open_to {
        OpenTo::Members => grants.push(Grant {
            source: GrantSource::Membership,
            scope,
            actions: AccessLevel::ReadWrite.actions(),
            until: None,
        }),
        OpenTo::Listed => {}
    }
    for line in listed {
        let source = match line.party {
            ListedParty::User(listed) if listed == user => GrantSource::Listed,
            ListedParty::Group(group) if membership.groups.contains(&group) => GrantSource::Group(group),
            ListedParty::User(_) | ListedParty::Group(_) => continue,
        };
        grants.push(Grant { source, scope, actions: line.actions, until: None });
    }
    grants
}
