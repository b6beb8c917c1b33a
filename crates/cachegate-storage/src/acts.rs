//! What the audit keeps of each act, for back-ends: one function for each method that changes something.
//!
//! The codes are stable. What changed nothing, such as revoking again what is revoked, leaves no entry.

use std::fmt::Display;

use cachegate_policy::LockScope;
use cachegate_types::{
    Description, GroupId, Name, OrganizationId, Role, TokenId, UserId, Version, WorkspaceId,
};

use crate::{
    AccountRecord, Act, AuditEntry, DirectoryRecord, DirectoryTarget, GroupRecord, KeyRecord, LockRecord,
    MarkRecord, MarkScope, MassRevocation, MassScope, OrganizationRecord, ReleaseRecord, Revoked,
    TokenRecord, UserRecord, WorkspaceRecord,
};

macro_rules! codes {
    ($($name:ident = $code:literal)*) => {
        $(#[doc = concat!("`", $code, "`.")] pub const $name: &str = $code;)*

        /// Every code that an act leaves.
        pub const CODES: &[&str] = &[$($name),*];
    };
}
codes! {
    ORGANIZATION_CREATED = "organization_created"
    WORKSPACE_CREATED = "workspace_created"
    SETTINGS_CHANGED = "settings_changed"
    LIST_CHANGED = "list_changed"
    USER_CREATED = "user_created"
    MEMBER_SET = "member_set"
    MEMBER_REMOVED = "member_removed"
    GROUP_SET = "group_set"
    GROUP_REMOVED = "group_removed"
    TOKEN_ISSUED = "token_issued"
    TOKEN_ROTATED = "token_rotated"
    TOKEN_REVOKED = "token_revoked"
    TOKENS_REVOKED = "tokens_revoked"
    KEY_SET = "key_set"
    RULES_WRITTEN = "rules_written"
    LOCK_SET = "lock_set"
    LOCK_LIFTED = "lock_lifted"
    MARK_SET = "mark_set"
    MARK_LIFTED = "mark_lifted"
    RELEASE_PUBLISHED = "release_published"
    RELEASE_YANKED = "release_yanked"
}

/// Of [`crate::Organizations::create_organization`].
pub fn create_organization(record: &OrganizationRecord, act: &Act) -> AuditEntry {
    entry(act, ORGANIZATION_CREATED, record.id, &record.name)
}

/// Of [`crate::Workspaces::create_workspace`].
pub fn create_workspace(record: &WorkspaceRecord, act: &Act) -> AuditEntry {
    entry(act, WORKSPACE_CREATED, record.id, &record.name)
}

/// Of [`crate::Workspaces::set_settings`].
pub fn set_settings(id: WorkspaceId, act: &Act) -> AuditEntry {
    entry(act, SETTINGS_CHANGED, id, "")
}

/// Of [`crate::Workspaces::set_listed`].
pub fn set_listed(id: WorkspaceId, count: usize, act: &Act) -> AuditEntry {
    entry(act, LIST_CHANGED, id, format!("{count} listed"))
}

/// What [`crate::Accounts::link_account`] leaves: beside [`CODES`], since not every store keeps accounts.
pub const ACCOUNT_LINKED: &str = "account_linked";

/// Of [`crate::Accounts::link_account`].
pub fn link_account(record: &AccountRecord, act: &Act) -> AuditEntry {
    entry(act, ACCOUNT_LINKED, record.user, format!("{} at {}", record.subject, record.issuer))
}

/// What [`crate::Directories::put_record`] leaves: beside [`CODES`], as that of accounts.
pub const DIRECTORY_SET: &str = "directory_set";

/// Of [`crate::Directories::put_record`].
pub fn put_directory_record(record: &DirectoryRecord, act: &Act) -> AuditEntry {
    let (name, kind) = (&record.directory.name, record.target.kind().as_str());
    entry(act, DIRECTORY_SET, directory_target(record), format!("{name} tells of the {kind} {}", record.id))
}

/// What [`crate::Directories::remove_record`] leaves: beside [`CODES`], as that of accounts.
pub const DIRECTORY_REMOVED: &str = "directory_removed";

/// Of [`crate::Directories::remove_record`].
pub fn remove_directory_record(record: &DirectoryRecord, act: &Act) -> AuditEntry {
    let (name, kind) = (&record.directory.name, record.target.kind().as_str());
    entry(
        act,
        DIRECTORY_REMOVED,
        directory_target(record),
        format!("{name} forgets the {kind} {}", record.id),
    )
}

/// Whom or what it is about, behind the directory's organization.
fn directory_target(record: &DirectoryRecord) -> String {
    let organization = record.directory.organization;
    match record.target {
        DirectoryTarget::Person(id) => format!("{organization}/{id}"),
        DirectoryTarget::Group(id) => format!("{organization}/{id}"),
    }
}

/// Of [`crate::Members::create_user`].
pub fn create_user(record: &UserRecord, act: &Act) -> AuditEntry {
    entry(act, USER_CREATED, record.id, &record.display)
}

/// Of [`crate::Members::set_member`].
pub fn set_member(organization: OrganizationId, user: UserId, role: Role, act: &Act) -> AuditEntry {
    entry(act, MEMBER_SET, format!("{organization}/{user}"), role)
}

/// Of [`crate::Members::remove_member`].
pub fn remove_member(organization: OrganizationId, user: UserId, act: &Act) -> AuditEntry {
    entry(act, MEMBER_REMOVED, format!("{organization}/{user}"), "")
}

/// Of [`crate::Members::put_group`].
pub fn put_group(record: &GroupRecord, act: &Act) -> AuditEntry {
    let target = format!("{}/{}", record.organization, record.id);
    entry(act, GROUP_SET, target, format!("{}, {} members", record.name, record.members.len()))
}

/// Of [`crate::Members::remove_group`].
pub fn remove_group(organization: OrganizationId, id: GroupId, act: &Act) -> AuditEntry {
    entry(act, GROUP_REMOVED, format!("{organization}/{id}"), "")
}

/// Of [`crate::Tokens::insert_token`].
pub fn insert_token(record: &TokenRecord, act: &Act) -> AuditEntry {
    entry(
        act,
        TOKEN_ISSUED,
        token_target(record.organization, record.id),
        format!("{}: {}", record.kind.as_str(), record.description),
    )
}

/// Of [`crate::Tokens::rotate_token`].
pub fn rotate_token(predecessor: TokenId, successor: &TokenRecord, act: &Act) -> AuditEntry {
    // A token and its successor belong to the same organization.
    entry(
        act,
        TOKEN_ROTATED,
        token_target(successor.organization, predecessor),
        format!("successor {}", successor.id),
    )
}

/// Of [`crate::Tokens::revoke_token`].
pub fn revoke_token(record: &TokenRecord, revoked: &Revoked, act: &Act) -> AuditEntry {
    entry(act, TOKEN_REVOKED, token_target(record.organization, record.id), &revoked.reason)
}

/// The token, behind its organization where it has one: that is told even when the token is forgotten.
fn token_target(organization: Option<OrganizationId>, id: TokenId) -> String {
    organization.map_or_else(|| id.to_string(), |organization| format!("{organization}/{id}"))
}

/// Of [`crate::Tokens::revoke_many`].
pub fn revoke_many(revocation: &MassRevocation, act: &Act) -> AuditEntry {
    let (kind, target) = match &revocation.scope {
        MassScope::Everything => ("everything", String::new()),
        MassScope::Family(id) => ("family", id.to_string()),
        MassScope::Principal(principal) => ("principal", principal.to_string()),
        MassScope::Organization(id) => ("organization", id.to_string()),
        MassScope::Workspace(id) => ("workspace", id.to_string()),
        MassScope::Key(key) => ("key", key.to_string()),
        MassScope::Anchor(name) => ("anchor", name.to_string()),
    };
    let until = revocation.issued_until.map_or(String::new(), |until| format!(" issued until {until}"));
    entry(act, TOKENS_REVOKED, target, format!("{kind}{until}: {}", revocation.revoked.reason))
}

/// Of [`crate::Keys::put_key`].
pub fn put_key(record: &KeyRecord, act: &Act) -> AuditEntry {
    entry(act, KEY_SET, &record.id, if record.revoked.is_some() { "revoked" } else { "" })
}

/// Of [`crate::Rules::put_rules`].
pub fn put_rules(name: &Name, bytes: &[u8], act: &Act) -> AuditEntry {
    entry(act, RULES_WRITTEN, name, format!("{} bytes", bytes.len()))
}

/// Of [`crate::Locks::put_lock`].
pub fn put_lock(record: &LockRecord, act: &Act) -> AuditEntry {
    entry(act, LOCK_SET, lock_target(record), &record.reason)
}

/// Of [`crate::Locks::lift_lock`].
pub fn lift_lock(record: &LockRecord, act: &Act) -> AuditEntry {
    entry(act, LOCK_LIFTED, lock_target(record), "")
}

/// The lock behind its place: the place is told even when the lock is gone.
fn lock_target(record: &LockRecord) -> String {
    let id = record.lock.id;
    match &record.lock.scope {
        LockScope::Everything => format!("everything/{id}"),
        LockScope::Organization(place) => format!("{place}/{id}"),
        LockScope::Workspace(place) => format!("{place}/{id}"),
        LockScope::Principal(_) => format!("principal/{id}"),
        LockScope::Lane(_) => format!("lane/{id}"),
    }
}

/// Of [`crate::Distrust::put_mark`].
pub fn put_mark(record: &MarkRecord, act: &Act) -> AuditEntry {
    entry(act, MARK_SET, mark_target(record), &record.reason)
}

/// Of [`crate::Distrust::lift_mark`].
pub fn lift_mark(record: &MarkRecord, act: &Act) -> AuditEntry {
    entry(act, MARK_LIFTED, mark_target(record), "")
}

/// The mark behind its place: the place is told even when the mark is gone.
fn mark_target(record: &MarkRecord) -> String {
    let id = record.id;
    match &record.scope {
        MarkScope::Token(token) => format!("{token}/{id}"),
        MarkScope::Principal(_) => format!("principal/{id}"),
        MarkScope::Run(_) => format!("run/{id}"),
        MarkScope::Window { workspace: Some(place), .. } => format!("{place}/{id}"),
        MarkScope::Window { workspace: None, .. } => format!("everything/{id}"),
    }
}

/// Of [`crate::Releases::publish_release`].
pub fn publish_release(record: &ReleaseRecord, act: &Act) -> AuditEntry {
    entry(act, RELEASE_PUBLISHED, format!("{}@{}", record.workspace, record.version), record.id)
}

/// Of [`crate::Releases::yank_release`].
pub fn yank_release(workspace: WorkspaceId, version: &Version, act: &Act) -> AuditEntry {
    entry(act, RELEASE_YANKED, format!("{workspace}@{version}"), "")
}

fn entry(act: &Act, code: &str, target: impl Display, detail: impl Display) -> AuditEntry {
    AuditEntry {
        act: act.clone(),
        code: code.into(),
        target: target.to_string().into(),
        detail: line(&detail.to_string()),
    }
}

/// As much of the text as a description holds.
fn line(text: &str) -> Description {
    let mut end = text.len().min(Description::MAX_LENGTH);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    // Every part comes from a description, a name, an id or a number: none holds a character that one refuses.
    text.get(..end).and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_what_fits_and_cuts_no_character() {
        assert_eq!(line("déjà vu").as_str(), "déjà vu");
        let long = format!("{}é", "a".repeat(Description::MAX_LENGTH - 1));
        assert_eq!(line(&long).as_str(), "a".repeat(Description::MAX_LENGTH - 1));
    }

    #[test]
    fn a_code_stands_for_one_act() {
        for (index, code) in CODES.iter().enumerate() {
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
            assert!(!CODES.iter().skip(index + 1).any(|other| other == code), "{code}");
        }
    }
}
