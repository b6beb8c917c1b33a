//! How records look in JSON. Moments are unix seconds, ids and lanes are texts.

use std::time::Duration;

use cachegate::{
    Access, AccessParty, Departure, LongestLives, MemberView, OrganizationView, Refusal, TokenRights,
    TokenState, TokenView, WorkspaceView,
};
use cachegate_policy::{Listed, ListedParty, Lock, LockScope, WorkspaceSettings};
use cachegate_storage::{
    AuditRecord, GroupRecord, LockRecord, MarkRecord, MarkScope, ReleaseRecord, Revoked, TokenForm,
    TokenRecord, WorkspaceRecord,
};
use cachegate_types::{Action, GrantSource, Principal, Resource, Restriction, Role, Timestamp};
use http::HeaderValue;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::problem::Problem;

pub(super) fn principal(principal: &Principal) -> Value {
    match principal {
        Principal::Anonymous => json!({ "kind": "anonymous" }),
        Principal::User(id) => json!({ "kind": "user", "id": id }),
        Principal::Ci(id) => json!({ "kind": "ci", "id": id }),
        Principal::Device(id) => json!({ "kind": "device", "id": id }),
        Principal::Workload { anchor, subject } => {
            json!({ "kind": "workload", "anchor": anchor, "subject": &**subject })
        }
    }
}

/// Who did something. Whoever did it without a credential was the operator, on the server itself.
pub(super) fn author(by: &Principal) -> Value {
    match by {
        Principal::Anonymous => json!({ "kind": "operator" }),
        Principal::User(_) | Principal::Ci(_) | Principal::Device(_) | Principal::Workload { .. } => {
            principal(by)
        }
    }
}

pub(super) fn restriction(restriction: &Restriction) -> Value {
    match restriction {
        Restriction::Actions(actions) => json!({ "type": "actions", "actions": actions }),
        Restriction::Organization(id) => json!({ "type": "organization", "organization": id }),
        Restriction::Workspaces(ids) => json!({ "type": "workspaces", "workspaces": ids }),
        Restriction::Releases { workspace, requirement } => {
            json!({ "type": "releases", "workspace": workspace, "requirement": requirement })
        }
        Restriction::Closure { workspace, closure } => {
            json!({ "type": "closure", "workspace": workspace, "closure": closure })
        }
        Restriction::Until(until) => json!({ "type": "until", "until": until }),
    }
}

fn source(source: &GrantSource) -> Value {
    match source {
        GrantSource::AnonymousLevel => json!({ "type": "anonymous-level" }),
        GrantSource::Membership => json!({ "type": "membership" }),
        GrantSource::Role(role) => json!({ "type": "role", "role": role.as_str() }),
        GrantSource::Listed => json!({ "type": "listed" }),
        GrantSource::Group(id) => json!({ "type": "group", "id": id }),
        GrantSource::CiToken(id) | GrantSource::DeviceToken(id) | GrantSource::Session(id) => {
            json!({ "type": "token", "id": id })
        }
        GrantSource::Rule(id) => json!({ "type": "rule", "id": id }),
    }
}

fn resource(resource: &Resource) -> Value {
    match resource {
        Resource::Organization(id) => json!({ "type": "organization", "organization": id }),
        Resource::Workspace(id) => json!({ "type": "workspace", "workspace": id }),
        Resource::Entry { workspace, key, .. } => {
            json!({ "type": "entry", "workspace": workspace, "key": key.to_string() })
        }
        Resource::Release { workspace, version } => {
            json!({ "type": "release", "workspace": workspace, "version": version })
        }
    }
}

fn revoked(revoked: &Revoked) -> Value {
    json!({ "at": revoked.at, "reason": revoked.reason, "by": author(&revoked.by) })
}

/// A token that was made just now, or was made before and is as alive as then.
pub(super) fn record(record: &TokenRecord, state: &TokenState) -> Value {
    let by_itself = record.revoked.as_ref();
    let revoked_by = match state {
        TokenState::Revoked(by) => by.as_ref().or(by_itself),
        _ => by_itself,
    };
    json!({
        "id": record.id,
        "kind": record.kind.as_str(),
        "form": match record.form { TokenForm::Opaque(_) => "opaque", TokenForm::Jwt { .. } => "jwt" },
        "description": record.description,
        "owner": principal(&record.owner),
        "organization": record.organization,
        "workspace": record.workspace,
        "lane": record.lane,
        "restrictions": record.restrictions.iter().map(restriction).collect::<Vec<_>>(),
        "closure": record.reads_closures.then_some("read"),
        "issued_at": record.issued_at,
        "expires_at": record.expires_at,
        "last_used": record.last_used,
        "created_by": author(&record.created_by),
        "family": record.family,
        "successor": record.superseded.map(|superseded| superseded.by),
        "overlap_until": record.superseded.map(|superseded| superseded.overlap_until),
        "state": state.code(),
        "revoked": revoked_by.map(revoked),
    })
}

/// What a person calls their own tokens is theirs.
pub(super) fn departure(departure: &Departure) -> Value {
    let dying = departure.dying.iter().map(|token| {
        json!({
            "id": token.id,
            "kind": token.kind.as_str(),
            "issued_at": token.issued_at,
            "expires_at": token.expires_at,
            "last_used": token.last_used,
        })
    });
    json!({
        "user": departure.person.id,
        "display": departure.person.display,
        "role": departure.role.map(Role::as_str),
        "groups": departure.groups,
        "dying": dying.collect::<Vec<_>>(),
        "staying": departure.staying.iter().map(|token| record(token, &TokenState::Live)).collect::<Vec<_>>(),
        "more": departure.more,
    })
}

pub(super) fn token(view: &TokenView) -> Value {
    record(&view.record, &view.state)
}

pub(super) fn token_rights(rights: &TokenRights) -> Value {
    let sources =
        rights.sources.iter().map(|(from, actions)| json!({ "source": source(from), "actions": actions }));
    json!({
        "state": rights.state.code(),
        "place": resource(&rights.place),
        "actions": rights.actions,
        "reads": rights.reads,
        "writes": rights.writes,
        "grants": sources.collect::<Vec<_>>(),
        "restrictions": rights.restrictions.iter().map(restriction).collect::<Vec<_>>(),
        "locks": rights.locks,
    })
}

pub(super) fn organization(view: &OrganizationView) -> Value {
    json!({
        "id": view.record.id,
        "name": view.record.name,
        "personal_of": view.record.personal_of,
        "created_at": view.record.created_at,
        "role": view.role.map(|role| role.as_str()),
    })
}

/// Settings and list are for those who administer the workspace.
pub(super) fn workspace(view: &WorkspaceView) -> Value {
    let mut shaped = json!({
        "id": view.record.id,
        "organization": view.record.organization,
        "name": view.record.name,
        "created_at": view.record.created_at,
        "actions": view.actions,
    });
    if let (true, Some(members)) = (view.actions.contains(Action::Administer), shaped.as_object_mut()) {
        members.insert("settings".to_owned(), settings(&view.record.settings));
        members.insert("listed".to_owned(), list(&view.record.listed));
    }
    shaped
}

/// What tells this state of a workspace's settings and list from another, for those who see them.
pub(super) fn etag(view: &WorkspaceView) -> Option<HeaderValue> {
    let WorkspaceView { record, actions } = view;
    let state = json!([settings(&record.settings), list(&record.listed), record.settings.lane_generation]);
    let digest = digest(&SHA256, state.to_string().as_bytes());
    HeaderValue::try_from(format!("\"{}\"", hex(digest.as_ref())))
        .ok()
        .filter(|_| actions.contains(Action::Administer))
}

pub(super) fn made_workspace(record: WorkspaceRecord) -> Value {
    workspace(&WorkspaceView { record, actions: Role::Admin.actions() })
}

pub(super) fn settings(settings: &WorkspaceSettings) -> Value {
    json!({
        "anonymous": settings.anonymous,
        "personal": settings.personal,
        "personal_lane": settings.personal_lane,
        "open_to": settings.open_to,
        "read_only_ci_writes": settings.read_only_ci_writes,
        "lanes": settings.lanes,
    })
}

fn list(listed: &[Listed]) -> Value {
    let lines = listed.iter().map(|line| match line.party {
        ListedParty::User(id) => json!({ "user": id, "actions": line.actions }),
        ListedParty::Group(id) => json!({ "group": id, "actions": line.actions }),
    });
    lines.collect()
}

pub(super) fn member(view: &MemberView) -> Value {
    let member = &view.membership.member;
    json!({
        "user": member.user,
        "display": view.person.display,
        "role": member.role.as_str(),
        "groups": view.membership.groups,
        "tokens_since": member.tokens_since,
    })
}

pub(super) fn group(record: &GroupRecord) -> Value {
    json!({
        "id": record.id,
        "organization": record.organization,
        "name": record.name,
        "members": record.members,
    })
}

pub(super) fn lock(record: &LockRecord) -> Value {
    let Lock { id, scope, actions, until } = &record.lock;
    let scope = match scope {
        LockScope::Everything => json!({ "type": "everything" }),
        LockScope::Organization(id) => json!({ "type": "organization", "organization": id }),
        LockScope::Workspace(id) => json!({ "type": "workspace", "workspace": id }),
        LockScope::Principal(locked) => json!({ "type": "principal", "principal": principal(locked) }),
        LockScope::Lane(class) => json!({ "type": "lane", "class": class }),
    };
    json!({
        "id": id,
        "scope": scope,
        "actions": actions,
        "until": until,
        "reason": record.reason,
        "by": author(&record.by),
        "at": record.at,
    })
}

pub(super) fn mark(record: &MarkRecord) -> Value {
    let scope = match &record.scope {
        MarkScope::Token(id) => json!({ "type": "token", "token": id }),
        MarkScope::Principal(marked) => json!({ "type": "principal", "principal": principal(marked) }),
        MarkScope::Run(run) => json!({ "type": "run", "run": &**run }),
        MarkScope::Window { workspace, from, to } => {
            json!({ "type": "window", "workspace": workspace, "from": from, "to": to })
        }
    };
    json!({
        "id": record.id,
        "scope": scope,
        "reason": record.reason,
        "by": author(&record.by),
        "at": record.at,
    })
}

pub(super) fn audit(record: &AuditRecord) -> Value {
    let entry = &record.entry;
    json!({
        "number": record.number,
        "at": entry.act.at,
        "by": author(&entry.act.by),
        "token": entry.act.token,
        "code": &*entry.code,
        "target": &*entry.target,
        "detail": entry.detail,
        "digest": hex(&record.digest),
    })
}

pub(super) fn release(record: &ReleaseRecord) -> Value {
    json!({
        "id": record.id,
        "workspace": record.workspace,
        "version": record.version,
        "lane": record.lane,
        "key": record.key.to_string(),
        "digest": hex(&record.digest),
        "outputs": record.closures.keys().collect::<Vec<_>>(),
        "published_at": record.published_at,
        "yanked_at": record.yanked_at,
    })
}

pub(super) fn access(access: &Access) -> Value {
    let who = match &access.who {
        AccessParty::Anonymous => json!({ "type": "anonymous" }),
        AccessParty::User(id) => json!({ "type": "user", "id": id }),
        AccessParty::Token(id, kind) => json!({ "type": "token", "id": id, "kind": kind.as_str() }),
    };
    json!({
        "who": who,
        "actions": access.actions,
        "writes": access.writes,
        "sources": access.sources.iter().map(source).collect::<Vec<_>>(),
    })
}

pub(super) fn refusal(refusal: &Refusal) -> Value {
    json!({
        "id": refusal.id,
        "at": refusal.at,
        "principal": principal(&refusal.principal),
        "token": refusal.token,
        "action": refusal.action,
        "resource": resource(&refusal.resource),
        "reason": refusal.reason.as_ref().map(|reason| reason.code()),
        "explanation": refusal.explanation,
    })
}

pub(super) fn lives(LongestLives { ci, personal }: LongestLives) -> Value {
    let seconds = |life: Option<Duration>| life.map(|life| life.as_secs());
    json!({ "ci": seconds(ci), "personal": seconds(personal) })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A span of so many seconds is none: no calendar has its end.
pub(super) const LONGEST_SPAN: u64 = 253_402_300_800;

pub(super) const BEYOND_TIME: &str = "a span is at most 253402300799 seconds";

/// A moment that a body names.
pub(super) fn later(now: Timestamp, seconds: Option<u64>) -> Result<Option<Timestamp>, Problem> {
    match seconds {
        Some(LONGEST_SPAN..) => Err(Problem::body(BEYOND_TIME)),
        seconds => Ok(seconds.map(|seconds| now.saturating_add(Duration::from_secs(seconds)))),
    }
}
