//! What the cases are made of.

use std::collections::BTreeMap;
use std::sync::{Arc, Barrier};

use cachegate_policy::{Listed, ListedParty, Lock, LockScope, WorkspaceSettings};
use cachegate_token::{DigestScheme, TokenDigest};
use cachegate_types::{
    AccessLevel, ActionSet, ClosureId, Description, EntryKey, Grant, GrantSource, GroupId, Lane, LaneClass,
    LockId, MarkId, Name, OrganizationId, Principal, ReleaseId, Restriction, Revision, Role, Scope,
    Timestamp, TokenId, UserId, Version, WorkspaceId,
};
use futures_executor::block_on;

use super::outcome::{Outcome, Violation, equal};
use crate::{
    Act, AuditEntry, AuditRecord, ChangeKind, Changes, GroupRecord, KeyPurpose, KeyRecord, LockRecord,
    MarkRecord, MarkScope, MassRevocation, MassScope, OrganizationRecord, Preconditions, ReleaseRecord,
    Revoked, Storage, TokenForm, TokenKind, TokenRecord, UserRecord, WorkspaceRecord, acts, codec,
};

/// A moment, in seconds from an arbitrary one.
pub(super) fn at(seconds: u32) -> Timestamp {
    Timestamp::from(1_700_000_000_u32.saturating_add(seconds))
}

macro_rules! ids {
    ($($name:ident, $id:ident, $kind:literal;)*) => {$(
        /// The id number `number`; a higher number is a higher id.
        pub(super) fn $name(number: u8) -> $id {
            let mut bytes = [$kind; 16];
            bytes[15] = number;
            $id::from_bytes(bytes)
        }
    )*};
}
ids! {
    organization, OrganizationId, 1;
    workspace, WorkspaceId, 2;
    user, UserId, 3;
    group, GroupId, 4;
    token, TokenId, 5;
    lock, LockId, 6;
    mark, MarkId, 7;
    release, ReleaseId, 8;
    closure, ClosureId, 9;
}

pub(super) fn name(text: &str) -> Result<Name, Violation> {
    text.parse().map_err(|error| Violation::new(format!("the suite's own name `{text}`: {error}")))
}

pub(super) fn line(text: &str) -> Result<Description, Violation> {
    text.parse().map_err(|error| Violation::new(format!("the suite's own line `{text}`: {error}")))
}

pub(super) fn version(text: &str) -> Result<Version, Violation> {
    text.parse().map_err(|error| Violation::new(format!("the suite's own version `{text}`: {error}")))
}

pub(super) fn key(bytes: &[u8]) -> Result<EntryKey, Violation> {
    EntryKey::new(bytes).map_err(|error| Violation::new(format!("the suite's own key: {error}")))
}

/// What the administrator of all cases does at this second.
pub(super) fn act(seconds: u32) -> Act {
    Act { by: Principal::User(user(250)), token: Some(token(250)), at: at(seconds) }
}

pub(super) fn revoked(seconds: u32) -> Result<Revoked, Violation> {
    Ok(Revoked { at: at(seconds), reason: line("it leaked")?, by: Principal::User(user(250)) })
}

pub(super) fn mass(scope: MassScope, issued_until: Option<u32>) -> Result<MassRevocation, Violation> {
    Ok(MassRevocation { scope, issued_until: issued_until.map(at), revoked: revoked(0)? })
}

pub(super) fn organization_record(number: u8) -> Result<OrganizationRecord, Violation> {
    Ok(OrganizationRecord {
        id: organization(number),
        name: name(&format!("org-{number}"))?,
        personal_of: None,
        created_at: at(0),
    })
}

pub(super) fn workspace_record(number: u8, owner: u8) -> Result<WorkspaceRecord, Violation> {
    Ok(WorkspaceRecord {
        id: workspace(number),
        organization: organization(owner),
        name: name(&format!("ws-{number}"))?,
        settings: WorkspaceSettings { anonymous: AccessLevel::ReadOnly, ..WorkspaceSettings::default() },
        listed: listed(),
        created_at: at(1),
    })
}

pub(super) fn listed() -> Vec<Listed> {
    vec![
        Listed { party: ListedParty::Group(group(1)), actions: AccessLevel::ReadWrite.actions() },
        Listed { party: ListedParty::User(user(2)), actions: AccessLevel::ReadOnly.actions() },
    ]
}

pub(super) fn user_record(number: u8) -> Result<UserRecord, Violation> {
    Ok(UserRecord { id: user(number), display: line(&format!("Zoë {number}"))?, created_at: at(0) })
}

pub(super) fn group_record(number: u8, owner: u8, members: &[u8]) -> Result<GroupRecord, Violation> {
    Ok(GroupRecord {
        id: group(number),
        organization: organization(owner),
        name: name(&format!("group-{number}"))?,
        members: members.iter().map(|member| user(*member)).collect(),
    })
}

/// A CI token of workspace 1 in organization 1, issued at second 0, that ends when it is revoked.
pub(super) fn token_record(number: u8) -> Result<TokenRecord, Violation> {
    Ok(TokenRecord {
        id: token(number),
        kind: TokenKind::Ci,
        form: TokenForm::Opaque(TokenDigest::from_parts(DigestScheme::Sha256, [number; 32])),
        owner: Principal::Ci(workspace(1)),
        organization: Some(organization(1)),
        workspace: Some(workspace(1)),
        description: line(&format!("token {number}"))?,
        grants: vec![Grant {
            source: GrantSource::CiToken(token(number)),
            scope: Scope::Workspace(workspace(1)),
            actions: AccessLevel::ReadWrite.actions(),
            until: None,
        }],
        restrictions: Vec::new(),
        reads_closures: false,
        lane: Some(Lane::main()),
        base: None,
        floor: None,
        run: None,
        issued_at: at(0),
        expires_at: None,
        created_by: Principal::User(user(250)),
        ancestors: Vec::new(),
        family: token(number),
        superseded: None,
        revoked: None,
        last_used: None,
    })
}

/// A token with something in every field.
pub(super) fn full_token_record(number: u8, form: TokenForm) -> Result<TokenRecord, Violation> {
    let pull = Lane::named(LaneClass::Pull, None, b"17\xff/..")
        .map_err(|error| Violation::new(format!("the suite's own lane: {error}")))?;
    let base = Lane::named(LaneClass::Branch, None, b"release/1.x")
        .map_err(|error| Violation::new(format!("the suite's own lane: {error}")))?;
    let requirement = "1.*".parse().map_err(|error| Violation::new(format!("{error}")))?;
    Ok(TokenRecord {
        kind: TokenKind::Session,
        form,
        owner: Principal::Workload { anchor: name("github")?, subject: "repo:acme/app:ref\n\"'é".into() },
        grants: vec![Grant {
            source: GrantSource::Session(token(number)),
            scope: Scope::Organization(organization(1)),
            actions: ActionSet::ALL,
            until: Some(at(900)),
        }],
        restrictions: vec![
            Restriction::Actions(AccessLevel::ReadOnly.actions()),
            Restriction::Workspaces(vec![workspace(1), workspace(2)]),
            Restriction::Releases { workspace: workspace(1), requirement },
            Restriction::Closure { workspace: workspace(1), closure: closure(1) },
            Restriction::Until(at(800)),
        ],
        reads_closures: true,
        lane: Some(pull),
        base: Some(base),
        floor: Some(LaneClass::Main),
        run: Some("run 4711/2".into()),
        issued_at: at(3),
        expires_at: Some(at(900)),
        family: token(200),
        superseded: None,
        last_used: Some(at(4)),
        ..token_record(number)?
    })
}

pub(super) fn signing_key(id: &str, created: u32) -> KeyRecord {
    KeyRecord {
        id: id.into(),
        purpose: KeyPurpose::Signing,
        public: Some(format!("{{\"kty\":\"OKP\",\"kid\":\"{id}\"}}").into()),
        created_at: at(created),
        signs_from: at(created.saturating_add(10)),
        signs_until: Some(at(created.saturating_add(1000))),
        verifies_until: None,
        revoked: None,
    }
}

pub(super) fn lock_record(number: u8) -> Result<LockRecord, Violation> {
    Ok(LockRecord {
        lock: Lock {
            id: lock(number),
            scope: LockScope::Principal(Principal::User(user(number))),
            actions: AccessLevel::ReadOnly.actions(),
            until: Some(at(500)),
        },
        reason: line("an incident")?,
        by: Principal::User(user(250)),
        at: at(1),
    })
}

pub(super) fn mark_record(number: u8) -> Result<MarkRecord, Violation> {
    Ok(MarkRecord {
        id: mark(number),
        scope: MarkScope::Window { workspace: Some(workspace(number)), from: at(1), to: at(9) },
        reason: line("a bad runner")?,
        by: Principal::User(user(250)),
        at: at(10),
    })
}

/// One output with its closure.
pub(super) fn closures(number: u8) -> BTreeMap<Box<str>, ClosureId> {
    BTreeMap::from([("out".into(), closure(number))])
}

pub(super) fn release_record(number: u8, owner: u8, text: &str) -> Result<ReleaseRecord, Violation> {
    Ok(ReleaseRecord {
        id: release(number),
        workspace: workspace(owner),
        version: version(text)?,
        lane: Lane::main(),
        key: key(b"entry\0key")?,
        digest: [number; 32],
        closures: closures(number),
        published_at: at(7),
        yanked_at: None,
    })
}

/// Organizations 1 and 2, their workspaces 1 and 2, and the people 1, 2 and 3, of whom 1 and 2 are members of
/// organization 1.
pub(super) async fn furnish(storage: &dyn Storage) -> Outcome {
    for number in [1, 2] {
        storage.create_organization(&organization_record(number)?, &act(0)).await?;
        storage.create_workspace(&workspace_record(number, number)?, &act(0)).await?;
    }
    for number in [1, 2, 3] {
        storage.create_user(&user_record(number)?, &act(0)).await?;
    }
    for number in [1, 2] {
        storage.set_member(organization(1), user(number), Role::Member, &act(0)).await?;
    }
    Ok(())
}

/// Adds a token without preconditions.
pub(super) async fn issue(storage: &dyn Storage, record: &TokenRecord) -> Outcome {
    Ok(storage.insert_token(record, &Preconditions::default(), &act(1)).await?)
}

/// Fails unless the store holds exactly this token.
pub(super) async fn holds_token(storage: &dyn Storage, expected: &TokenRecord) -> Outcome {
    match storage.token(expected.id).await? {
        Some(found) => same_token(&found, expected),
        None => Err(Violation::new(format!("{:?} is gone", expected.id))),
    }
}

/// The outcome for two tokens that must be equal in all that is kept of them.
pub(super) fn same_token(found: &TokenRecord, expected: &TokenRecord) -> Outcome {
    // A digest shows nothing of itself: its form does.
    let form = |token: &TokenRecord| codec::encode_token_form(&token.form);
    equal("the token", &format!("{found:?}"), &format!("{expected:?}"))?;
    check!(form(found) == form(expected), "another form is kept of {:?}", expected.id);
    Ok(())
}

pub(super) fn ids_of(tokens: &[TokenRecord]) -> Vec<TokenId> {
    tokens.iter().map(|token| token.id).collect()
}

/// How much has happened to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trace {
    revision: Revision,
    records: usize,
}

pub(super) async fn trace(storage: &dyn Storage) -> Result<Trace, Violation> {
    Ok(Trace {
        revision: storage.heartbeat().await?.revision,
        records: storage.audit(0, usize::MAX).await?.len(),
    })
}

/// Fails unless nothing has happened since.
pub(super) async fn untouched(storage: &dyn Storage, before: Trace) -> Outcome {
    equal("revision and audit after what must leave none", &trace(storage).await?, &before)
}

/// Every change after `after`, read with this limit.
pub(super) async fn feed(
    storage: &dyn Storage,
    after: Revision,
    limit: usize,
) -> Result<Vec<(Revision, ChangeKind)>, Violation> {
    let (mut held, mut all) = (after, Vec::new());
    loop {
        match storage.changes_after(held, limit).await? {
            Changes::After { changes, upto, more } => {
                check!(
                    changes.len() <= limit.max(1),
                    "{} changes where {limit} were asked for",
                    changes.len()
                );
                check!(!more || !changes.is_empty(), "more is promised after {upto}, but nothing is given");
                equal(
                    "the revision after a page",
                    &upto,
                    &changes.last().map_or(held, |change| change.revision),
                )?;
                all.extend(changes.into_iter().map(|change| (change.revision, change.kind)));
                held = upto;
                if !more {
                    return Ok(all);
                }
                check!(all.len() < 100_000, "the feed does not end");
            }
            Changes::Restart { upto } => {
                return Err(Violation::new(format!("told to begin anew at {upto} after {held}")));
            }
        }
    }
}

/// The whole audit, its chain verified.
pub(super) async fn whole_audit(storage: &dyn Storage) -> Result<Vec<AuditRecord>, Violation> {
    let records = storage.audit(0, usize::MAX).await?;
    crate::verify_chain(&records, None).map_err(|error| Violation::new(format!("the chain: {error}")))?;
    Ok(records)
}

/// The whole audit from its end, in pages of `limit`; of how many records it is.
pub(super) async fn audit_from_the_end(
    storage: &dyn Storage,
    limit: usize,
    length: usize,
) -> Result<Vec<AuditRecord>, Violation> {
    let (mut found, mut before) = (Vec::new(), u64::MAX);
    loop {
        let page = storage.audit_before(before, limit).await?;
        check!(page.len() <= limit, "{} records where {limit} were asked for", page.len());
        let Some(last) = page.last() else { return Ok(found) };
        before = last.number;
        found.extend(page);
        check!(found.len() <= length, "a page repeats records");
    }
}

/// Calls `task` on as many threads at once, and answers what they answered.
pub(super) fn race<T: Send + 'static>(
    storage: &Arc<dyn Storage>,
    threads: u8,
    task: impl Fn(&dyn Storage, u8) -> T + Send + Sync + 'static,
) -> Result<Vec<T>, Violation> {
    let start = Arc::new(Barrier::new(usize::from(threads)));
    let task = Arc::new(task);
    let running: Vec<_> = (0..threads)
        .map(|number| {
            let (storage, start, task) = (Arc::clone(storage), Arc::clone(&start), Arc::clone(&task));
            std::thread::spawn(move || {
                start.wait();
                task(&*storage, number)
            })
        })
        .collect();
    let ended = running.into_iter().map(|thread| {
        thread.join().map_err(|_| Violation::new("a thread panicked inside the store".to_owned()))
    });
    ended.collect()
}

/// What an act did.
pub(super) struct Done {
    /// Its revision and the change that the feed must tell, where it takes one.
    pub(super) change: Option<(Revision, ChangeKind)>,
    /// What the audit must keep of it.
    pub(super) entry: AuditEntry,
}

/// Does every act there is once, and the furnishing that they need; answers them in order.
pub(super) async fn every_act(storage: &dyn Storage) -> Result<Vec<Done>, Violation> {
    let mut done = Vec::new();
    let mut quiet = |entry| done.push(Done { change: None, entry });
    let act = act(20);
    let (first, second) = (organization_record(1)?, workspace_record(1, 1)?);
    storage.create_organization(&first, &act).await?;
    quiet(acts::create_organization(&first, &act));
    storage.create_workspace(&second, &act).await?;
    quiet(acts::create_workspace(&second, &act));
    let person = user_record(1)?;
    storage.create_user(&person, &act).await?;
    quiet(acts::create_user(&person, &act));
    let (old, new) = (token_record(1)?, token_record(2)?);
    storage.insert_token(&old, &Preconditions::default(), &act).await?;
    quiet(acts::insert_token(&old, &act));
    let published = release_record(1, 1, "1.0.0")?;
    storage.publish_release(&published, &[(closure(1), key(b"a")?)], &act).await?;
    quiet(acts::publish_release(&published, &act));
    storage.yank_release(published.workspace, &published.version, &act).await?;
    quiet(acts::yank_release(published.workspace, &published.version, &act));

    let mut loud = |revision, kind, entry| done.push(Done { change: Some((revision, kind)), entry });
    let revision = storage.set_settings(second.id, &WorkspaceSettings::default(), None, &act).await?;
    loud(revision, ChangeKind::Workspace(second.id), acts::set_settings(second.id, &act));
    let revision = storage.set_listed(second.id, &[], None, &act).await?;
    loud(revision, ChangeKind::Workspace(second.id), acts::set_listed(second.id, 0, &act));
    let revision = storage.set_member(first.id, person.id, Role::Admin, &act).await?;
    loud(revision, ChangeKind::User(person.id), acts::set_member(first.id, person.id, Role::Admin, &act));
    let people = group_record(1, 1, &[1])?;
    let revision = storage.put_group(&people, &act).await?;
    loud(revision, ChangeKind::Group(people.id), acts::put_group(&people, &act));
    let revision = storage.remove_group(people.id, &act).await?;
    loud(revision, ChangeKind::Group(people.id), acts::remove_group(first.id, people.id, &act));
    let revision = storage.remove_member(first.id, person.id, &act).await?;
    loud(revision, ChangeKind::User(person.id), acts::remove_member(first.id, person.id, &act));
    let revision = storage.rotate_token(old.id, &new, at(60), &act).await?;
    loud(revision, ChangeKind::Token(old.id), acts::rotate_token(old.id, &new, &act));
    let leak = revoked(20)?;
    let revision = storage.revoke_token(new.id, &leak, &act).await?;
    loud(revision, ChangeKind::Token(new.id), acts::revoke_token(&new, &leak, &act));
    let many = mass(MassScope::Anchor(name("github")?), Some(20))?;
    let revision = storage.revoke_many(&many, &act).await?;
    loud(revision, ChangeKind::Revocations, acts::revoke_many(&many, &act));
    let signing = signing_key("k1", 0);
    let revision = storage.put_key(&signing, &act).await?;
    loud(revision, ChangeKind::Keys, acts::put_key(&signing, &act));
    let anchors = name("anchors")?;
    let revision = storage.put_rules(&anchors, b"{}", None, &act).await?;
    loud(revision, ChangeKind::Rules(anchors.clone()), acts::put_rules(&anchors, b"{}", &act));
    let locked = lock_record(1)?;
    let revision = storage.put_lock(&locked, &act).await?;
    loud(revision, ChangeKind::Locks, acts::put_lock(&locked, &act));
    let revision = storage.lift_lock(lock(1), &act).await?;
    loud(revision, ChangeKind::Locks, acts::lift_lock(&locked, &act));
    let marked = mark_record(1)?;
    let revision = storage.put_mark(&marked, &act).await?;
    loud(revision, ChangeKind::Marks, acts::put_mark(&marked, &act));
    let revision = storage.lift_mark(mark(1), &act).await?;
    loud(revision, ChangeKind::Marks, acts::lift_mark(&marked, &act));
    Ok(done)
}

/// Tries acts that a store furnished by [`furnish`] must refuse, one for each way to be refused.
pub(super) async fn refused_acts(storage: &dyn Storage) -> Outcome {
    issue(storage, &token_record(1)?).await?;
    storage.revoke_token(token(1), &revoked(5)?, &act(5)).await?;
    let before = trace(storage).await?;
    let child = TokenRecord { ancestors: vec![token(1)], ..token_record(2)? };
    let nobody = Preconditions { members: vec![(organization(1), user(3))], ..Preconditions::default() };
    let answers = [
        storage.create_organization(&organization_record(1)?, &act(6)).await.is_err(),
        storage.create_workspace(&workspace_record(1, 1)?, &act(6)).await.is_err(),
        storage.create_workspace(&workspace_record(9, 9)?, &act(6)).await.is_err(),
        storage.set_settings(workspace(9), &WorkspaceSettings::default(), None, &act(6)).await.is_err(),
        storage.set_listed(workspace(9), &[], None, &act(6)).await.is_err(),
        storage.create_user(&user_record(1)?, &act(6)).await.is_err(),
        storage.set_member(organization(9), user(1), Role::Owner, &act(6)).await.is_err(),
        storage.set_member(organization(1), user(9), Role::Owner, &act(6)).await.is_err(),
        storage.remove_member(organization(1), user(3), &act(6)).await.is_err(),
        storage.put_group(&group_record(1, 9, &[])?, &act(6)).await.is_err(),
        storage.remove_group(group(9), &act(6)).await.is_err(),
        storage.insert_token(&token_record(1)?, &Preconditions::default(), &act(6)).await.is_err(),
        storage.insert_token(&child, &Preconditions::default(), &act(6)).await.is_err(),
        storage.insert_token(&token_record(2)?, &nobody, &act(6)).await.is_err(),
        storage.rotate_token(token(1), &token_record(2)?, at(9), &act(6)).await.is_err(),
        storage.rotate_token(token(9), &token_record(2)?, at(9), &act(6)).await.is_err(),
        storage.revoke_token(token(9), &revoked(6)?, &act(6)).await.is_err(),
        storage.put_rules(&name("x")?, b"", Some(before.revision), &act(6)).await.is_err(),
        storage.lift_lock(lock(9), &act(6)).await.is_err(),
        storage.lift_mark(mark(9), &act(6)).await.is_err(),
        storage.publish_release(&release_record(1, 9, "1.0.0")?, &[], &act(6)).await.is_err(),
        storage.yank_release(workspace(1), &version("1.0.0")?, &act(6)).await.is_err(),
    ];
    for (index, refused) in answers.into_iter().enumerate() {
        check!(refused, "act number {index} of the impossible ones was done");
    }
    check!(storage.token(token(2)).await?.is_none(), "a refused token was kept");
    check!(storage.organization(organization(9)).await?.is_none(), "a refused organization was kept");
    untouched(storage, before).await
}

/// Waits for a future on a thread of a race.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    block_on(future)
}
