//! What a store keeps. Records are plain: rules that span several of them live in the traits' guarantees.

use std::collections::BTreeMap;
use std::sync::Arc;

use cachegate_policy::{Listed, Lock, WorkspaceSettings};
use cachegate_token::TokenDigest;
use cachegate_types::{
    ClosureId, Description, EntryKey, Grant, GroupId, Lane, LaneClass, MarkId, Name, OrganizationId,
    Principal, ReleaseId, Restriction, Revision, Role, Timestamp, TokenId, UserId, Version, WorkspaceId,
};

/// Who acts, and when: what the audit keeps of every change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Who.
    pub by: Principal,
    /// The token that they acted with, where there was one.
    pub token: Option<TokenId>,
    /// When, by the gate that acts.
    pub at: Timestamp,
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationRecord {
    /// Its id.
    pub id: OrganizationId,
    /// Its name, unique among organizations.
    pub name: Name,
    /// The user whose personal organization it is.
    pub personal_of: Option<UserId>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A workspace with its settings and its list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceRecord {
    /// Its id: public, grants nothing.
    pub id: WorkspaceId,
    /// The organization that owns it.
    pub organization: OrganizationId,
    /// Its name, unique in the organization.
    pub name: Name,
    /// What its administrators chose.
    pub settings: WorkspaceSettings,
    /// Whom it lists.
    pub listed: Vec<Listed>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRecord {
    /// Their id.
    pub id: UserId,
    /// What people call them. Identifies nobody.
    pub display: Description,
    /// When they were first seen.
    pub created_at: Timestamp,
}

/// A person's place in one organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberRecord {
    /// The organization.
    pub organization: OrganizationId,
    /// The person.
    pub user: UserId,
    /// The role.
    pub role: Role,
    /// Tokens issued before this moment do not count here; set when somebody who left comes back.
    pub tokens_since: Option<Timestamp>,
}

/// A person's place in one organization, with their groups there: what a node holds of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipRecord {
    /// The place.
    pub member: MemberRecord,
    /// The groups of that organization that list the person, ascending.
    pub groups: Vec<GroupId>,
}

/// A group of people in one organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRecord {
    /// Its id.
    pub id: GroupId,
    /// The organization.
    pub organization: OrganizationId,
    /// Its name, unique in the organization.
    pub name: Name,
    /// Whom it lists, ascending. Somebody who is no member of the organization gets nothing from it.
    pub members: Vec<UserId>,
}

/// The kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenKind {
    /// A workspace's CI access token.
    Ci,
    /// A user's personal access token.
    Personal,
    /// An organization's device token.
    Device,
    /// A session, from a login or an exchange.
    Session,
    /// The right to read one closure.
    Closure,
    /// What a login renews its session with.
    Refresh,
    /// The session of a signed-in browser.
    Browser,
}

impl TokenKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Ci, Self::Personal, Self::Device, Self::Session, Self::Closure, Self::Refresh, Self::Browser];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ci => "ci",
            Self::Personal => "personal",
            Self::Device => "device",
            Self::Session => "session",
            Self::Closure => "closure",
            Self::Refresh => "refresh",
            Self::Browser => "browser",
        }
    }
}

/// How the token looks, and what is kept to recognize it.
#[derive(Clone, Debug)]
pub enum TokenForm {
    /// An opaque text, of which the digest is kept.
    Opaque(TokenDigest),
    /// A JWT, of which nothing is kept but the id of the key that signed it.
    Jwt {
        /// The RFC 7638 thumbprint of the key.
        key: Arc<str>,
    },
}

/// Why and when a token ended before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// When.
    pub at: Timestamp,
    /// Why, for people.
    pub reason: Description,
    /// By whom.
    pub by: Principal,
}

/// A rotated token's successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superseded {
    /// The successor.
    pub by: TokenId,
    /// Until when the predecessor still works.
    pub overlap_until: Timestamp,
}

/// All that is kept of a token.
#[derive(Clone, Debug)]
pub struct TokenRecord {
    /// Its id, in public form part of the token itself.
    pub id: TokenId,
    /// What kind it is.
    pub kind: TokenKind,
    /// How it looks.
    pub form: TokenForm,
    /// Whom it authenticates.
    pub owner: Principal,
    /// The organization that it belongs to; `None` for a personal token, which belongs to its user.
    pub organization: Option<OrganizationId>,
    /// The workspace that it belongs to, where it belongs to one.
    pub workspace: Option<WorkspaceId>,
    /// What people call it.
    pub description: Description,
    /// What it grants by itself; empty where the owner's present rights decide.
    pub grants: Vec<Grant>,
    /// What cuts it.
    pub restrictions: Vec<Restriction>,
    /// Whether it obtains the right to read the closure of a release that it resolves (`closure = read`).
    pub reads_closures: bool,
    /// Its one lane, where it has one of its own.
    pub lane: Option<Lane>,
    /// The base branch's lane, where verified facts named it.
    pub base: Option<Lane>,
    /// Nothing below this class is read.
    pub floor: Option<LaneClass>,
    /// The run of the build that it was issued to, where one is known.
    pub run: Option<Arc<str>>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends; that second is already too late. `None`: when it is revoked.
    pub expires_at: Option<Timestamp>,
    /// Who made it.
    pub created_by: Principal,
    /// The tokens that it came from, nearest first: at most four. It dies with each of them.
    pub ancestors: Vec<TokenId>,
    /// The first token of its line of rotations: itself, if it is the first.
    pub family: TokenId,
    /// Its successor, once rotated.
    pub superseded: Option<Superseded>,
    /// Set once it is revoked.
    pub revoked: Option<Revoked>,
    /// When it was last used, to the hour or so.
    pub last_used: Option<Timestamp>,
}

impl TokenRecord {
    /// The most ancestors that a token may have.
    pub const MAX_ANCESTORS: usize = 4;
}

/// Which tokens to list. Every condition that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenFilter {
    /// Of this organization.
    pub organization: Option<OrganizationId>,
    /// Of this workspace.
    pub workspace: Option<WorkspaceId>,
    /// Authenticating this principal.
    pub owner: Option<Principal>,
    /// Of this kind.
    pub kind: Option<TokenKind>,
    /// Neither revoked, alone or in mass, nor expired at this moment. Ancestors are not looked at.
    pub live_at: Option<Timestamp>,
}

/// What must still hold in the transaction that inserts a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// These users are members of these organizations.
    pub members: Vec<(OrganizationId, UserId)>,
    /// These tokens exist, are not revoked (alone or in mass) and have not expired at the act's time. The new
    /// token's ancestors are always checked; this names others, such as the administrator's own.
    pub live: Vec<TokenId>,
    /// Each of these was used up by nobody. With the insertion they are; without it none is.
    pub uses: Vec<OneUse>,
}

/// What may happen once, such as the exchange of one token of a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneUse {
    /// What kind of thing, and whose: keys of two scopes are never the same.
    pub scope: String,
    /// The thing.
    pub key: Vec<u8>,
    /// Until when it must be remembered that it happened.
    pub keep_until: Timestamp,
}

/// Many tokens revoked by one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MassRevocation {
    /// Which.
    pub scope: MassScope,
    /// Of those, the ones issued at or before this moment; `None`: all, those issued later included.
    pub issued_until: Option<Timestamp>,
    /// When and why.
    pub revoked: Revoked,
}

/// Which tokens a mass revocation takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MassScope {
    /// Every token of the gate.
    Everything,
    /// All of one line of rotations, and all that descend from it.
    Family(TokenId),
    /// All that authenticate one principal.
    Principal(Principal),
    /// All that belong to one organization.
    Organization(OrganizationId),
    /// All that belong to one workspace.
    Workspace(WorkspaceId),
    /// All JWTs that one key signed.
    Key(Arc<str>),
    /// All workloads that one anchor vouches for.
    Anchor(Name),
}

impl MassRevocation {
    /// Whether it takes `token` itself; its ancestors are looked at one by one.
    pub fn takes(&self, token: &TokenRecord) -> bool {
        if self.issued_until.is_some_and(|until| token.issued_at > until) {
            return false;
        }
        match &self.scope {
            MassScope::Everything => true,
            MassScope::Family(family) => token.family == *family,
            MassScope::Principal(principal) => token.owner == *principal,
            MassScope::Organization(organization) => token.organization == Some(*organization),
            MassScope::Workspace(workspace) => token.workspace == Some(*workspace),
            MassScope::Key(key) => match &token.form {
                TokenForm::Jwt { key: signed } => signed == key,
                TokenForm::Opaque(_) => false,
            },
            MassScope::Anchor(anchor) => match &token.owner {
                Principal::Workload { anchor: vouching, .. } => vouching == anchor,
                Principal::Anonymous | Principal::User(_) | Principal::Ci(_) | Principal::Device(_) => false,
            },
        }
    }
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyPurpose {
    /// Signs tokens; its public half is published.
    Signing,
    /// Authenticates provenance labels; nothing of it is published.
    Label,
}

/// What is kept of a key: never its private half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The RFC 7638 thumbprint of a signing key, the hexadecimal id of a label key.
    pub id: Arc<str>,
    /// What it is for.
    pub purpose: KeyPurpose,
    /// The public JWK as JSON (RFC 7517); `None` for a label key.
    pub public: Option<Arc<str>>,
    /// When it was made, and published.
    pub created_at: Timestamp,
    /// Used for new signatures from this moment on, until another one is.
    pub signs_from: Timestamp,
    /// When it stops being used for new signatures.
    pub signs_until: Option<Timestamp>,
    /// When it stops verifying; `None`: it goes on.
    pub verifies_until: Option<Timestamp>,
    /// Set once it is revoked: nothing that it made counts any more.
    pub revoked: Option<Revoked>,
}

/// A document that the storage does not read: anchors, rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesDocument {
    /// Its name.
    pub name: Name,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The revision that it was written at.
    pub revision: Revision,
}

/// A lock with its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockRecord {
    /// The lock as the decision sees it.
    pub lock: Lock,
    /// Why, for people.
    pub reason: Description,
    /// By whom.
    pub by: Principal,
    /// Since when.
    pub at: Timestamp,
}

/// A mark of distrust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkRecord {
    /// Its id.
    pub id: MarkId,
    /// What is distrusted.
    pub scope: MarkScope,
    /// Why, for people.
    pub reason: Description,
    /// By whom.
    pub by: Principal,
    /// Since when.
    pub at: Timestamp,
}

/// Whose entries are distrusted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MarkScope {
    /// What was written with this token or with one that descends from it.
    Token(TokenId),
    /// What this principal wrote.
    Principal(Principal),
    /// What this run of a build wrote.
    Run(Arc<str>),
    /// What was written from the first moment to the second, both included, in one workspace or in all.
    Window {
        /// The workspace; `None`: all.
        workspace: Option<WorkspaceId>,
        /// The first second.
        from: Timestamp,
        /// The last second.
        to: Timestamp,
    },
}

/// A published version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRecord {
    /// Its id.
    pub id: ReleaseId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The version, unique in the workspace.
    pub version: Version,
    /// The lane of the entry that it names.
    pub lane: Lane,
    /// The key of the entry that it names.
    pub key: EntryKey,
    /// The SHA-256 of that entry's bytes.
    pub digest: [u8; 32],
    /// What each of its outputs needs, by the output's name, where that was recorded.
    pub closures: BTreeMap<Box<str>, ClosureId>,
    /// When it was published.
    pub published_at: Timestamp,
    /// When it was withdrawn. It stays listed and is resolved by nobody.
    pub yanked_at: Option<Timestamp>,
}

/// What is to be kept of an act or a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Who, with what, when.
    pub act: Act,
    /// What, as a stable `snake_case` code.
    pub code: Arc<str>,
    /// To what: the id of a record, behind the id of what it belongs to and `/` where there is one; or empty.
    pub target: Arc<str>,
    /// More, as one line for people. Never a secret.
    pub detail: Description,
}

impl AuditEntry {
    /// Whether it was done to the thing of this id, wherever that belongs.
    pub fn is_about(&self, id: &str) -> bool {
        *self.target == *id || self.target.rsplit_once('/').is_some_and(|(_, last)| last == id)
    }
}

/// An entry in its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Counted from 1, without gaps.
    pub number: u64,
    /// The entry.
    pub entry: AuditEntry,
    /// SHA-256 over the previous record's digest (32 zero bytes before the first), the number and the entry.
    pub digest: [u8; 32],
}

/// Where the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The newest committed revision.
    pub revision: Revision,
    /// The store's own wall clock, where it has one: a gate 30 s away from it refuses.
    pub store_time: Option<Timestamp>,
}

/// One committed change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its revision.
    pub revision: Revision,
    /// What a node that holds it must drop.
    pub kind: ChangeKind,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// An organization.
    Organization(OrganizationId),
    /// A workspace: its settings or its list.
    Workspace(WorkspaceId),
    /// What a person is anywhere: memberships, groups.
    User(UserId),
    /// A group: everyone whom it lists or listed.
    Group(GroupId),
    /// A token.
    Token(TokenId),
    /// The mass revocations.
    Revocations,
    /// The keys.
    Keys,
    /// A document.
    Rules(Name),
    /// The locks.
    Locks,
    /// The marks of distrust.
    Marks,
}

/// The answer of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// All changes after the revision asked for, in order, without gaps, up to `upto`.
    After {
        /// The changes; empty when there is none.
        changes: Vec<Change>,
        /// The revision that one holds after applying them.
        upto: Revision,
        /// Whether there are more.
        more: bool,
    },
    /// The revision asked for is not of this life of the store, lies ahead of it, or is too old to be told apart:
    /// drop everything and begin at `upto`.
    Restart {
        /// The newest committed revision.
        upto: Revision,
    },
}
