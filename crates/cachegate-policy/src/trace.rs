//! Why, at three levels of candour. Made on demand, never on the way of a request.

use std::fmt;
use std::fmt::Write as _;

use cachegate_types::{
    AccessLevel, Action, ActionSet, Grant, GrantSource, Principal, Resource, Restriction, Role,
};

use crate::decision::{held, is_here, is_live, satisfied};
use crate::{Decision, Lock, LockScope, Question, Reason, Rights, decide};

/// Whom an explanation is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Candour {
    /// Anyone: never tells whether a thing exists.
    Public,
    /// The holder of the credential: their own grants, the smallest missing right, and what would give it. Where
    /// they hold nothing, a place that exists reads as one that does not.
    Caller,
    /// Whoever runs the service: everything but secrets.
    Operator,
}

/// A decision with everything that led to it.
#[derive(Clone, Debug)]
pub struct Trace {
    decision: Decision,
    principal: Principal,
    action: Action,
    resource: Resource,
    held: ActionSet,
    // What the credential holds here after every cut: what the caller may be told about.
    usable: ActionSet,
    grants: Vec<(Grant, bool)>,
    restrictions: Vec<(Restriction, bool)>,
    locks: Vec<Lock>,
}

/// Decides again, keeping every step.
pub fn explain(rights: &Rights, locks: &[Lock], question: &Question<'_>) -> Trace {
    // Rights that were gathered for another place tell nothing of this one.
    let usable =
        if is_here(rights, question.resource) { rights.usable(question.now) } else { ActionSet::EMPTY };
    Trace {
        decision: decide(rights, locks, question),
        principal: question.principal.clone(),
        action: question.action,
        resource: question.resource.clone(),
        held: held(rights, question.now),
        usable,
        grants: rights.grants.iter().map(|grant| (grant.clone(), is_live(grant, question.now))).collect(),
        restrictions: rights
            .restrictions
            .iter()
            .map(|restriction| (restriction.clone(), satisfied(restriction, rights, question)))
            .collect(),
        locks: locks.to_vec(),
    }
}

impl Trace {
    /// The decision.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The explanation for this reader: one line for the public and the caller, several for the operator.
    pub fn render(&self, candour: Candour) -> String {
        match candour {
            Candour::Public => self.public().to_owned(),
            Candour::Caller => self.caller(),
            Candour::Operator => self.operator(),
        }
    }

    fn public(&self) -> &'static str {
        match &self.decision {
            Decision::Allow(_) => "allowed",
            Decision::Deny(_) => "not found, or not allowed",
        }
    }

    fn caller(&self) -> String {
        let reason = match &self.decision {
            Decision::Allow(allow) => {
                let by = self.grants.get(allow.grant()).map(|(grant, _)| source_text(&grant.source));
                return format!("{} is allowed by {}", self.action, by.as_deref().unwrap_or("a grant"));
            }
            Decision::Deny(deny) => &deny.reason,
        };
        // Whoever holds nothing here learns nothing of here.
        if self.usable.is_empty() {
            return format!(
                "{}: there is nothing here under this name that {} may use; check the name, or ask an administrator of \
                 the organization for {}",
                self.action,
                credential_text(&self.principal),
                Needed(self.action),
            );
        }
        let action = self.action;
        match reason {
            Reason::UnknownPlace | Reason::NotMember | Reason::NoLane => self.public().to_owned(),
            Reason::Locked { .. } => format!("{action} is locked at present by an administrator"),
            Reason::Restricted { index } => {
                let what =
                    self.restrictions.get(*index).map(|(restriction, _)| restriction_text(restriction));
                format!(
                    "{action} is outside what this token was made for: {}; use a token made for it",
                    what.as_deref().unwrap_or("a restriction"),
                )
            }
            Reason::ActionNotGranted { held, wanted } => format!(
                "{wanted} needs {}, and {} holds {held} here; ask an administrator of the organization for it",
                Needed(*wanted),
                credential_text(&self.principal),
            ),
            Reason::PersonalLevel { level, wanted } => format!(
                "{wanted} needs {}, and this workspace gives personal tokens `{level}`; an administrator can raise the \
                 workspace's personal level",
                Needed(*wanted),
            ),
            Reason::NotApplicable { wanted } => {
                format!("{wanted} is nothing that can be done to {}", self.kind())
            }
            Reason::BelowFloor => {
                format!(
                    "{action}: every lane that {} reads lies below the floor asked for",
                    credential_text(&self.principal)
                )
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self.resource {
            Resource::Organization(_) => "an organization",
            Resource::Workspace(_) => "a workspace",
            Resource::Entry { .. } => "an entry",
            Resource::Release { .. } => "a release",
        }
    }

    fn operator(&self) -> String {
        let mut text = String::new();
        let (verdict, code) = match &self.decision {
            Decision::Allow(_) => ("allow", "granted"),
            Decision::Deny(deny) => ("deny", deny.reason.code()),
        };
        // Writing into a `String` cannot fail.
        let _ = writeln!(
            text,
            "{verdict} {code}: {} wants to {} {}",
            self.principal,
            self.action,
            ResourceText(&self.resource)
        );
        let _ = writeln!(text, "held: {}", self.held);
        for (index, (grant, live)) in self.grants.iter().enumerate() {
            let decided = matches!(&self.decision, Decision::Allow(allow) if allow.grant() == index);
            let _ = writeln!(
                text,
                "grant {index}: {} by {}{}{}",
                grant.actions,
                source_text(&grant.source),
                if *live { "" } else { " (ended)" },
                if decided { " <- decided" } else { "" },
            );
        }
        for (index, (restriction, satisfied)) in self.restrictions.iter().enumerate() {
            let _ = writeln!(
                text,
                "restriction {index}: {}{}",
                restriction_text(restriction),
                if *satisfied { "" } else { " <- not satisfied" },
            );
        }
        match &self.decision {
            Decision::Allow(allow) => {
                let lanes: Vec<_> = allow.read().map(ToString::to_string).collect();
                if !lanes.is_empty() {
                    let _ = writeln!(text, "reads: {}", lanes.join(", "));
                }
                if let Some(lane) = allow.write() {
                    let _ = writeln!(text, "writes: {lane}");
                }
            }
            Decision::Deny(deny) => {
                let _ = writeln!(text, "because: {}", reason_text(&deny.reason, &self.locks));
            }
        }
        text
    }
}

fn credential_text(principal: &Principal) -> &'static str {
    match principal {
        Principal::Anonymous => "a request without a token",
        Principal::User(_) | Principal::Ci(_) | Principal::Device(_) => "this token",
        Principal::Workload { .. } => "this workload",
    }
}

/// What brings the action: the smallest level that holds it, a role, or its own name.
struct Needed(Action);

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(action) = self;
        match (AccessLevel::needed_for(*action), action) {
            (Some(level), _) => write!(f, "`{level}`"),
            (None, Action::Publish) => f.write_str("a grant that names it"),
            (None, Action::Provision) => f.write_str("a directory's own token"),
            (
                None,
                Action::Resolve
                | Action::Read
                | Action::Write
                | Action::Replace
                | Action::Delete
                | Action::Administer,
            ) => write!(f, "the role `{}`", Role::Admin),
        }
    }
}

fn source_text(source: &GrantSource) -> String {
    match source {
        GrantSource::AnonymousLevel => "the workspace's anonymous level".to_owned(),
        GrantSource::Membership => "membership of the organization".to_owned(),
        GrantSource::Role(role) => format!("the role `{role}`"),
        GrantSource::Listed => "the workspace's list".to_owned(),
        GrantSource::Group(group) => format!("group {group}"),
        GrantSource::CiToken(token) => format!("CI token {token}"),
        GrantSource::DeviceToken(token) => format!("device token {token}"),
        GrantSource::Rule(rule) => format!("trust rule {rule}"),
        GrantSource::Session(token) => format!("session {token}"),
    }
}

fn restriction_text(restriction: &Restriction) -> String {
    match restriction {
        Restriction::Actions(actions) => format!("at most {actions}"),
        Restriction::Organization(organization) => format!("only organization {organization}"),
        Restriction::Workspaces(workspaces) => {
            let list: Vec<_> = workspaces.iter().map(ToString::to_string).collect();
            format!("only workspaces [{}]", list.join(", "))
        }
        Restriction::Releases { workspace, requirement } => {
            format!("only releases `{requirement}` of workspace {workspace}")
        }
        Restriction::Closure { workspace, closure } => {
            format!("only closure {closure} of workspace {workspace}")
        }
        Restriction::Until(until) => format!("only before {until}"),
    }
}

fn reason_text(reason: &Reason, locks: &[Lock]) -> String {
    match reason {
        Reason::UnknownPlace => "no such place".to_owned(),
        Reason::Locked { lock } => match locks.iter().find(|held| held.id == *lock) {
            Some(held) => format!("lock {lock} on {} stops {}", scope_text(&held.scope), held.actions),
            None => format!("lock {lock}"),
        },
        Reason::Restricted { index } => format!("restriction {index} is not satisfied"),
        Reason::NotMember => "the person is no member of the organization".to_owned(),
        Reason::ActionNotGranted { held, wanted } => format!("{wanted} is wanted, {held} is held"),
        Reason::PersonalLevel { level, wanted } => {
            format!("{wanted} is wanted, the workspace's personal level is `{level}`")
        }
        Reason::NotApplicable { wanted } => format!("{wanted} means nothing for this kind of resource"),
        Reason::NoLane => "the place has no lane for this credential".to_owned(),
        Reason::BelowFloor => "every readable lane lies below the floor".to_owned(),
    }
}

fn scope_text(scope: &LockScope) -> String {
    match scope {
        LockScope::Everything => "everything".to_owned(),
        LockScope::Organization(organization) => format!("organization {organization}"),
        LockScope::Workspace(workspace) => format!("workspace {workspace}"),
        LockScope::Principal(principal) => principal.to_string(),
        LockScope::Lane(class) => format!("credentials in a lane of class {class}"),
    }
}

struct ResourceText<'a>(&'a Resource);

impl fmt::Display for ResourceText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Resource::Organization(organization) => write!(f, "organization {organization}"),
            Resource::Workspace(workspace) => write!(f, "workspace {workspace}"),
            Resource::Entry { workspace, key, .. } => write!(f, "entry {key} of workspace {workspace}"),
            Resource::Release { workspace, version } => {
                write!(f, "release {version} of workspace {workspace}")
            }
        }
    }
}
