//! The traits over the tables. Each act is one immediate transaction: everything is checked in it, the audit record
//! is written in it, and the row that counts revisions is written last.

use async_trait::async_trait;
use cachegate_policy::{Listed, WorkspaceSettings};
use cachegate_storage::{
    Act, Audit, AuditEntry, AuditRecord, Change, ChangeKind, Changes, Distrust, GroupRecord, Heartbeat,
    KeyPurpose, KeyRecord, Keys, LockRecord, Locks, MarkRecord, MassRevocation, MemberRecord, Members,
    MembershipRecord, OrganizationRecord, Organizations, Preconditions, ReleaseRecord, Releases, Revisions,
    Revoked, Rules, RulesDocument, SingleUse, StoreError, TokenFilter, TokenRecord, Tokens, UserRecord,
    WorkspaceRecord, Workspaces, acts, chained, codec, rules,
};
use cachegate_types::{
    ClosureId, EntryKey, GroupId, LockId, MarkId, Name, OrganizationId, Revision, Role, Timestamp, TokenId,
    UserId, Version, WorkspaceId,
};
use rusqlite::{Connection, Params, TransactionBehavior, params};

use crate::SqliteStorage;
use crate::row::{Columns, failed};

type Stored<T> = Result<T, StoreError>;

/// Before the first id of any kind.
const FIRST: [u8; 16] = [0; 16];

impl SqliteStorage {
    /// Runs an act: all of it or nothing, and on the disk when it returns.
    async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Tx<'_>) -> Stored<T> + Send + 'static,
    ) -> Stored<T> {
        self.writer
            .run(move |connection| {
                let transaction = connection
                    .transaction_with_behavior(TransactionBehavior::Immediate)
                    .map_err(|error| failed(&error))?;
                let done = act(&Tx(&transaction))?;
                transaction.commit().map_err(|error| failed(&error))?;
                Ok(done)
            })
            .await
    }

    /// Reads one moment's state.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Tx<'_>) -> Stored<T> + Send + 'static,
    ) -> Stored<T> {
        self.reader
            .run(move |connection| {
                let transaction = connection.transaction().map_err(|error| failed(&error))?;
                read(&Tx(&transaction))
            })
            .await
    }
}

/// What runs inside one transaction.
struct Tx<'c>(&'c Connection);

impl Tx<'_> {
    fn all<T>(
        &self,
        table: &'static str,
        sql: &str,
        values: impl Params,
        make: impl Fn(&Columns<'_>) -> Stored<T>,
    ) -> Stored<Vec<T>> {
        let mut found = Vec::new();
        self.each(table, sql, values, |columns| {
            found.push(make(columns)?);
            Ok(true)
        })?;
        Ok(found)
    }

    fn one<T>(
        &self,
        table: &'static str,
        sql: &str,
        values: impl Params,
        make: impl Fn(&Columns<'_>) -> Stored<T>,
    ) -> Stored<Option<T>> {
        let mut found = None;
        self.each(table, sql, values, |columns| {
            found = Some(make(columns)?);
            Ok(false)
        })?;
        Ok(found)
    }

    /// Calls `visit` with each row until it answers `false`.
    fn each(
        &self,
        table: &'static str,
        sql: &str,
        values: impl Params,
        mut visit: impl FnMut(&Columns<'_>) -> Stored<bool>,
    ) -> Stored<()> {
        let mut statement = self.0.prepare_cached(sql).map_err(|error| failed(&error))?;
        let mut rows = statement.query(values).map_err(|error| failed(&error))?;
        while let Some(row) = rows.next().map_err(|error| failed(&error))? {
            if !visit(&Columns { table, row })? {
                break;
            }
        }
        Ok(())
    }

    fn is_there(&self, sql: &str, values: impl Params) -> Stored<bool> {
        Ok(self.one("database", sql, values, |_| Ok(()))?.is_some())
    }

    /// Answers how many rows it changed.
    fn write(&self, sql: &str, values: impl Params) -> Stored<usize> {
        let mut statement = self.0.prepare_cached(sql).map_err(|error| failed(&error))?;
        statement.execute(values).map_err(|error| failed(&error))
    }

    fn revision(&self) -> Stored<Revision> {
        let sql = "SELECT epoch, number FROM revision WHERE id = 1";
        self.one("revision", sql, [], |columns| columns.revision())?.ok_or_else(|| StoreError::Corrupt {
            what: "revision",
            detail: "its one row is missing".to_owned(),
        })
    }

    /// The revision that the next change takes.
    fn next(&self) -> Stored<Revision> {
        let held = self.revision()?;
        let number = held.number.checked_add(1).ok_or(StoreError::Precondition { what: "revision" })?;
        Ok(Revision { number, ..held })
    }

    /// Writes the audit record of an act.
    fn note(&self, entry: AuditEntry) -> Stored<()> {
        let sql = "SELECT number, entry, digest FROM audit ORDER BY number DESC LIMIT 1";
        let last = self.one("audit", sql, [], |columns| columns.audit())?;
        let record = chained(last.as_ref(), entry);
        self.write(
            "INSERT INTO audit (number, entry, digest) VALUES (?1, ?2, ?3)",
            params![signed(record.number)?, codec::encode_audit_entry(&record.entry), record.digest],
        )?;
        Ok(())
    }

    /// Writes the audit record of an act, its change, and last the revision.
    fn commit(&self, kind: &ChangeKind, entry: AuditEntry) -> Stored<Revision> {
        self.note(entry)?;
        let revision = self.next()?;
        let number = signed(revision.number)?;
        self.write(
            "INSERT INTO changes (number, kind) VALUES (?1, ?2)",
            params![number, codec::encode_change_kind(kind)],
        )?;
        self.write("UPDATE revision SET number = ?1 WHERE id = 1", [number])?;
        Ok(revision)
    }

    fn organization_is_there(&self, id: OrganizationId) -> Stored<()> {
        if self.is_there("SELECT 1 FROM organizations WHERE id = ?1", [id.to_bytes()])? {
            Ok(())
        } else {
            missing("organization")
        }
    }

    fn workspace(&self, id: WorkspaceId) -> Stored<Option<WorkspaceRecord>> {
        self.one("workspaces", "SELECT * FROM workspaces WHERE id = ?1", [id.to_bytes()], |columns| {
            columns.workspace()
        })
    }

    fn membership(&self, member: MemberRecord) -> Stored<MembershipRecord> {
        let sql = "SELECT group_id FROM group_members JOIN groups ON groups.id = group_id
                   WHERE user = ?1 AND organization = ?2 ORDER BY group_id";
        let values = [member.user.to_bytes(), member.organization.to_bytes()];
        let groups = self.all("group_members", sql, values, |columns| columns.group_id())?;
        Ok(MembershipRecord { member, groups })
    }

    fn memberships(&self, sql: &str, values: impl Params) -> Stored<Vec<MembershipRecord>> {
        let members = self.all("members", sql, values, |columns| columns.member())?;
        members.into_iter().map(|member| self.membership(member)).collect()
    }

    fn put_token(&self, record: &TokenRecord) -> Stored<()> {
        self.write(
            "INSERT INTO tokens (id, kind, form, owner, organization, workspace, description, grants, restrictions,
                 lane, base, floor, run, issued_at, expires_at, created_by, ancestors, family, superseded_by,
                 overlap_until, revoked, last_used)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
            params![
                record.id.to_bytes(),
                record.kind.as_str(),
                codec::encode_token_form(&record.form),
                codec::encode_principal(&record.owner),
                record.organization.map(OrganizationId::to_bytes),
                record.workspace.map(WorkspaceId::to_bytes),
                record.description.as_str(),
                codec::encode_grants(&record.grants),
                codec::encode_restrictions(&record.restrictions),
                record.lane.as_ref().map(codec::encode_lane),
                record.base.as_ref().map(codec::encode_lane),
                record.floor.map(|class| class.as_str()),
                record.run.as_deref(),
                record.issued_at.as_unix_seconds(),
                record.expires_at.map(Timestamp::as_unix_seconds),
                codec::encode_principal(&record.created_by),
                codec::encode_token_ids(&record.ancestors),
                record.family.to_bytes(),
                record.superseded.map(|superseded| superseded.by.to_bytes()),
                record.superseded.map(|superseded| superseded.overlap_until.as_unix_seconds()),
                record.revoked.as_ref().map(codec::encode_revoked),
                record.last_used.map(Timestamp::as_unix_seconds),
            ],
        )?;
        for ancestor in &record.ancestors {
            self.write(
                "INSERT OR IGNORE INTO token_ancestors (ancestor, token) VALUES (?1, ?2)",
                [ancestor.to_bytes(), record.id.to_bytes()],
            )?;
        }
        Ok(())
    }

    fn token_is_there(&self, id: TokenId) -> Stored<bool> {
        self.is_there("SELECT 1 FROM tokens WHERE id = ?1", [id.to_bytes()])
    }

    fn release(&self, workspace: WorkspaceId, version: &Version) -> Stored<Option<ReleaseRecord>> {
        let sql = "SELECT * FROM releases WHERE workspace = ?1 AND version = ?2";
        self.one("releases", sql, params![workspace.to_bytes(), version.to_string()], |columns| {
            columns.release()
        })
    }
}

/// The rules that span several records read them here, inside the act's transaction.
impl rules::Known for Tx<'_> {
    fn token(&self, id: TokenId) -> Stored<Option<TokenRecord>> {
        self.one("tokens", "SELECT * FROM tokens WHERE id = ?1", [id.to_bytes()], |columns| columns.token())
    }

    fn mass_revocations(&self) -> Stored<Vec<MassRevocation>> {
        let sql = "SELECT * FROM mass_revocations ORDER BY number";
        self.all("mass_revocations", sql, [], |columns| columns.mass_revocation())
    }

    fn is_member(&self, organization: OrganizationId, user: UserId) -> Stored<bool> {
        let sql = "SELECT 1 FROM members WHERE organization = ?1 AND user = ?2";
        self.is_there(sql, [organization.to_bytes(), user.to_bytes()])
    }
}

const fn exists<T>(what: &'static str) -> Stored<T> {
    Err(StoreError::Exists { what })
}

const fn missing<T>(what: &'static str) -> Stored<T> {
    Err(StoreError::Missing { what })
}

/// SQLite's integers are signed.
fn signed(number: u64) -> Stored<i64> {
    i64::try_from(number).map_err(|_| StoreError::Precondition { what: "number" })
}

/// `LIMIT` for a count: more rows than SQLite can count are all rows.
fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[async_trait]
impl Revisions for SqliteStorage {
    async fn heartbeat(&self) -> Stored<Heartbeat> {
        self.read(|tx| Ok(Heartbeat { revision: tx.revision()?, store_time: None })).await
    }

    async fn changes_after(&self, after: Revision, count: usize) -> Stored<Changes> {
        self.read(move |tx| {
            let newest = tx.revision()?;
            if after.epoch != newest.epoch || after.number > newest.number {
                return Ok(Changes::Restart { upto: newest });
            }
            let sql = "SELECT number, kind FROM changes WHERE number > ?1 ORDER BY number LIMIT ?2";
            let found = tx.all("changes", sql, [signed(after.number)?, limit(count.max(1))], |columns| {
                columns.change()
            })?;
            let mut changes = Vec::with_capacity(found.len());
            let mut upto = after;
            for (number, kind) in found {
                if number != upto.number.saturating_add(1) {
                    // Older changes were cleared away: whoever holds what they concern begins anew.
                    return Ok(Changes::Restart { upto: newest });
                }
                upto = Revision { number, ..newest };
                changes.push(Change { revision: upto, kind });
            }
            if changes.is_empty() && upto != newest {
                return Ok(Changes::Restart { upto: newest });
            }
            Ok(Changes::After { changes, upto, more: upto != newest })
        })
        .await
    }
}

#[async_trait]
impl Organizations for SqliteStorage {
    async fn create_organization(&self, record: &OrganizationRecord, act: &Act) -> Stored<()> {
        let (record, act) = (record.clone(), act.clone());
        self.act(move |tx| {
            let taken = "SELECT 1 FROM organizations WHERE id = ?1 OR name = ?2";
            if tx.is_there(taken, params![record.id.to_bytes(), record.name.as_str()])? {
                return exists("organization");
            }
            tx.write(
                "INSERT INTO organizations (id, name, personal_of, created_at) VALUES (?1, ?2, ?3, ?4)",
                params![
                    record.id.to_bytes(),
                    record.name.as_str(),
                    record.personal_of.map(UserId::to_bytes),
                    record.created_at.as_unix_seconds(),
                ],
            )?;
            tx.note(acts::create_organization(&record, &act))
        })
        .await
    }

    async fn organization(&self, id: OrganizationId) -> Stored<Option<OrganizationRecord>> {
        let sql = "SELECT * FROM organizations WHERE id = ?1";
        self.read(move |tx| tx.one("organizations", sql, [id.to_bytes()], |columns| columns.organization()))
            .await
    }

    async fn organization_by_name(&self, name: &Name) -> Stored<Option<OrganizationRecord>> {
        let name = name.clone();
        let sql = "SELECT * FROM organizations WHERE name = ?1";
        self.read(move |tx| tx.one("organizations", sql, [name.as_str()], |columns| columns.organization()))
            .await
    }

    async fn organizations(
        &self,
        after: Option<OrganizationId>,
        count: usize,
    ) -> Stored<Vec<OrganizationRecord>> {
        self.read(move |tx| {
            let sql = "SELECT * FROM organizations WHERE ?1 OR id > ?2 ORDER BY id LIMIT ?3";
            let values =
                params![after.is_none(), after.map_or(FIRST, OrganizationId::to_bytes), limit(count)];
            tx.all("organizations", sql, values, |columns| columns.organization())
        })
        .await
    }
}

#[async_trait]
impl Workspaces for SqliteStorage {
    async fn create_workspace(&self, record: &WorkspaceRecord, act: &Act) -> Stored<()> {
        let (record, act) = (record.clone(), act.clone());
        self.act(move |tx| {
            let (id, organization) = (record.id.to_bytes(), record.organization.to_bytes());
            let taken = "SELECT 1 FROM workspaces WHERE id = ?1 OR (organization = ?2 AND name = ?3)";
            if tx.is_there(taken, params![id, organization, record.name.as_str()])? {
                return exists("workspace");
            }
            tx.organization_is_there(record.organization)?;
            tx.write(
                "INSERT INTO workspaces (id, organization, name, settings, listed, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    id,
                    organization,
                    record.name.as_str(),
                    codec::encode_settings(&record.settings),
                    codec::encode_listed(&record.listed),
                    record.created_at.as_unix_seconds(),
                ],
            )?;
            tx.note(acts::create_workspace(&record, &act))
        })
        .await
    }

    async fn workspace(&self, id: WorkspaceId) -> Stored<Option<WorkspaceRecord>> {
        self.read(move |tx| tx.workspace(id)).await
    }

    async fn workspace_by_name(
        &self,
        organization: OrganizationId,
        name: &Name,
    ) -> Stored<Option<WorkspaceRecord>> {
        let name = name.clone();
        self.read(move |tx| {
            let sql = "SELECT * FROM workspaces WHERE organization = ?1 AND name = ?2";
            tx.one("workspaces", sql, params![organization.to_bytes(), name.as_str()], |columns| {
                columns.workspace()
            })
        })
        .await
    }

    async fn workspaces(
        &self,
        organization: OrganizationId,
        after: Option<WorkspaceId>,
        count: usize,
    ) -> Stored<Vec<WorkspaceRecord>> {
        self.read(move |tx| {
            let sql =
                "SELECT * FROM workspaces WHERE organization = ?1 AND (?2 OR id > ?3) ORDER BY id LIMIT ?4";
            let after_id = after.map_or(FIRST, WorkspaceId::to_bytes);
            let values = params![organization.to_bytes(), after.is_none(), after_id, limit(count)];
            tx.all("workspaces", sql, values, |columns| columns.workspace())
        })
        .await
    }

    async fn set_settings(
        &self,
        id: WorkspaceId,
        settings: &WorkspaceSettings,
        act: &Act,
    ) -> Stored<Revision> {
        let (settings, act) = (settings.clone(), act.clone());
        self.act(move |tx| {
            let Some(found) = tx.workspace(id)? else { return missing("workspace") };
            let kept = codec::encode_settings(&rules::settings_to_keep(&found.settings, &settings)?);
            tx.write("UPDATE workspaces SET settings = ?2 WHERE id = ?1", params![id.to_bytes(), kept])?;
            tx.commit(&ChangeKind::Workspace(id), acts::set_settings(id, &act))
        })
        .await
    }

    async fn set_listed(&self, id: WorkspaceId, listed: &[Listed], act: &Act) -> Stored<Revision> {
        let (form, count, act) = (codec::encode_listed(listed), listed.len(), act.clone());
        self.act(move |tx| {
            let sql = "UPDATE workspaces SET listed = ?2 WHERE id = ?1";
            if tx.write(sql, params![id.to_bytes(), form])? == 0 {
                return missing("workspace");
            }
            tx.commit(&ChangeKind::Workspace(id), acts::set_listed(id, count, &act))
        })
        .await
    }
}

#[async_trait]
impl Members for SqliteStorage {
    async fn create_user(&self, record: &UserRecord, act: &Act) -> Stored<()> {
        let (record, act) = (record.clone(), act.clone());
        self.act(move |tx| {
            let id = record.id.to_bytes();
            if tx.is_there("SELECT 1 FROM users WHERE id = ?1", [id])? {
                return exists("user");
            }
            tx.write(
                "INSERT INTO users (id, display, created_at) VALUES (?1, ?2, ?3)",
                params![id, record.display.as_str(), record.created_at.as_unix_seconds()],
            )?;
            tx.note(acts::create_user(&record, &act))
        })
        .await
    }

    async fn user(&self, id: UserId) -> Stored<Option<UserRecord>> {
        let sql = "SELECT * FROM users WHERE id = ?1";
        self.read(move |tx| tx.one("users", sql, [id.to_bytes()], |columns| columns.user())).await
    }

    async fn set_member(
        &self,
        organization: OrganizationId,
        user: UserId,
        role: Role,
        act: &Act,
    ) -> Stored<Revision> {
        let act = act.clone();
        self.act(move |tx| {
            tx.organization_is_there(organization)?;
            if !tx.is_there("SELECT 1 FROM users WHERE id = ?1", [user.to_bytes()])? {
                return missing("user");
            }
            tx.write(
                "INSERT INTO members (organization, user, role, tokens_since)
                 VALUES (?1, ?2, ?3, (SELECT tokens_since FROM departures WHERE organization = ?1 AND user = ?2))
                 ON CONFLICT (organization, user) DO UPDATE SET role = excluded.role",
                params![organization.to_bytes(), user.to_bytes(), role.as_str()],
            )?;
            tx.commit(&ChangeKind::User(user), acts::set_member(organization, user, role, &act))
        })
        .await
    }

    async fn remove_member(&self, organization: OrganizationId, user: UserId, act: &Act) -> Stored<Revision> {
        let act = act.clone();
        self.act(move |tx| {
            let place = [organization.to_bytes(), user.to_bytes()];
            let sql = "SELECT * FROM members WHERE organization = ?1 AND user = ?2";
            let Some(member) = tx.one("members", sql, place, |columns| columns.member())? else {
                return missing("membership");
            };
            tx.write("DELETE FROM members WHERE organization = ?1 AND user = ?2", place)?;
            let since = rules::tokens_since(member.tokens_since, act.at).as_unix_seconds();
            tx.write(
                "INSERT INTO departures (organization, user, tokens_since) VALUES (?1, ?2, ?3)
                 ON CONFLICT (organization, user) DO UPDATE SET tokens_since = excluded.tokens_since",
                params![organization.to_bytes(), user.to_bytes(), since],
            )?;
            tx.write(
                "DELETE FROM group_members WHERE user = ?2
                 AND group_id IN (SELECT id FROM groups WHERE organization = ?1)",
                place,
            )?;
            tx.commit(&ChangeKind::User(user), acts::remove_member(organization, user, &act))
        })
        .await
    }

    async fn memberships(&self, user: UserId) -> Stored<Vec<MembershipRecord>> {
        let sql = "SELECT * FROM members WHERE user = ?1 ORDER BY organization";
        self.read(move |tx| tx.memberships(sql, [user.to_bytes()])).await
    }

    async fn members(
        &self,
        organization: OrganizationId,
        after: Option<UserId>,
        count: usize,
    ) -> Stored<Vec<MembershipRecord>> {
        self.read(move |tx| {
            let sql =
                "SELECT * FROM members WHERE organization = ?1 AND (?2 OR user > ?3) ORDER BY user LIMIT ?4";
            let after_id = after.map_or(FIRST, UserId::to_bytes);
            tx.memberships(sql, params![organization.to_bytes(), after.is_none(), after_id, limit(count)])
        })
        .await
    }

    async fn put_group(&self, record: &GroupRecord, act: &Act) -> Stored<Revision> {
        let (record, act) = (rules::group_to_keep(record), act.clone());
        self.act(move |tx| {
            let (id, organization) = (record.id.to_bytes(), record.organization.to_bytes());
            let taken = "SELECT 1 FROM groups
                         WHERE (id = ?1 AND organization != ?2) OR (id != ?1 AND organization = ?2 AND name = ?3)";
            if tx.is_there(taken, params![id, organization, record.name.as_str()])? {
                return exists("group");
            }
            tx.organization_is_there(record.organization)?;
            tx.write(
                "INSERT INTO groups (id, organization, name) VALUES (?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET name = excluded.name",
                params![id, organization, record.name.as_str()],
            )?;
            tx.write("DELETE FROM group_members WHERE group_id = ?1", [id])?;
            for member in &record.members {
                let sql = "INSERT INTO group_members (group_id, user) VALUES (?1, ?2)";
                tx.write(sql, [id, member.to_bytes()])?;
            }
            tx.commit(&ChangeKind::Group(record.id), acts::put_group(&record, &act))
        })
        .await
    }

    async fn remove_group(&self, id: GroupId, act: &Act) -> Stored<Revision> {
        let act = act.clone();
        self.act(move |tx| {
            if tx.write("DELETE FROM groups WHERE id = ?1", [id.to_bytes()])? == 0 {
                return missing("group");
            }
            tx.commit(&ChangeKind::Group(id), acts::remove_group(id, &act))
        })
        .await
    }

    async fn groups(&self, organization: OrganizationId) -> Stored<Vec<GroupRecord>> {
        self.read(move |tx| {
            let sql = "SELECT * FROM groups WHERE organization = ?1 ORDER BY id";
            let mut groups = tx.all("groups", sql, [organization.to_bytes()], |columns| columns.group())?;
            for group in &mut groups {
                let sql = "SELECT user FROM group_members WHERE group_id = ?1 ORDER BY user";
                group.members =
                    tx.all("group_members", sql, [group.id.to_bytes()], |columns| columns.group_member())?;
            }
            Ok(groups)
        })
        .await
    }
}

#[async_trait]
impl Tokens for SqliteStorage {
    async fn insert_token(
        &self,
        record: &TokenRecord,
        preconditions: &Preconditions,
        act: &Act,
    ) -> Stored<()> {
        let (record, preconditions, act) = (record.clone(), preconditions.clone(), act.clone());
        self.act(move |tx| {
            if tx.token_is_there(record.id)? {
                return exists("token");
            }
            rules::check_insertion(&record, &preconditions, act.at, tx)?;
            tx.put_token(&record)?;
            tx.note(acts::insert_token(&record, &act))
        })
        .await
    }

    async fn rotate_token(
        &self,
        predecessor: TokenId,
        successor: &TokenRecord,
        overlap_until: Timestamp,
        act: &Act,
    ) -> Stored<Revision> {
        let (successor, act) = (successor.clone(), act.clone());
        self.act(move |tx| {
            rules::check_rotation(predecessor, &successor, act.at, tx)?;
            if tx.token_is_there(successor.id)? {
                return exists("token");
            }
            tx.put_token(&successor)?;
            let changed = tx.write(
                "UPDATE tokens SET superseded_by = ?2, overlap_until = ?3 WHERE id = ?1 AND superseded_by IS NULL",
                params![predecessor.to_bytes(), successor.id.to_bytes(), overlap_until.as_unix_seconds()],
            )?;
            if changed != 1 {
                return Err(StoreError::Precondition { what: "predecessor" });
            }
            tx.commit(&ChangeKind::Token(predecessor), acts::rotate_token(predecessor, &successor, &act))
        })
        .await
    }

    async fn token(&self, id: TokenId) -> Stored<Option<TokenRecord>> {
        self.read(move |tx| rules::Known::token(tx, id)).await
    }

    async fn tokens(
        &self,
        filter: &TokenFilter,
        after: Option<TokenId>,
        count: usize,
    ) -> Stored<Vec<TokenRecord>> {
        let filter = filter.clone();
        self.read(move |tx| {
            let masses = rules::Known::mass_revocations(tx)?;
            let sql = "SELECT * FROM tokens
                       WHERE (?1 IS NULL OR organization = ?1) AND (?2 IS NULL OR workspace = ?2)
                       AND (?3 IS NULL OR owner = ?3) AND (?4 IS NULL OR kind = ?4) AND (?5 OR id > ?6)
                       ORDER BY id";
            let values = params![
                filter.organization.map(OrganizationId::to_bytes),
                filter.workspace.map(WorkspaceId::to_bytes),
                filter.owner.as_ref().map(codec::encode_principal),
                filter.kind.map(|kind| kind.as_str()),
                after.is_none(),
                after.map_or(FIRST, TokenId::to_bytes),
            ];
            let mut found = Vec::new();
            if count > 0 {
                tx.each("tokens", sql, values, |columns| {
                    let token = columns.token()?;
                    if rules::lists(&filter, &token, &masses) {
                        found.push(token);
                    }
                    Ok(found.len() < count)
                })?;
            }
            Ok(found)
        })
        .await
    }

    async fn revoke_token(&self, id: TokenId, revoked: &Revoked, act: &Act) -> Stored<Revision> {
        let (revoked, act) = (revoked.clone(), act.clone());
        self.act(move |tx| {
            let sql = "UPDATE tokens SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL";
            if tx.write(sql, params![id.to_bytes(), codec::encode_revoked(&revoked)])? == 0 {
                return if tx.token_is_there(id)? { tx.revision() } else { missing("token") };
            }
            tx.commit(&ChangeKind::Token(id), acts::revoke_token(id, &revoked, &act))
        })
        .await
    }

    async fn revoke_many(&self, revocation: &MassRevocation, act: &Act) -> Stored<Revision> {
        let (revocation, act) = (revocation.clone(), act.clone());
        self.act(move |tx| {
            tx.write(
                "INSERT INTO mass_revocations (scope, issued_until, revoked) VALUES (?1, ?2, ?3)",
                params![
                    codec::encode_mass_scope(&revocation.scope),
                    revocation.issued_until.map(Timestamp::as_unix_seconds),
                    codec::encode_revoked(&revocation.revoked),
                ],
            )?;
            tx.commit(&ChangeKind::Revocations, acts::revoke_many(&revocation, &act))
        })
        .await
    }

    async fn mass_revocations(&self) -> Stored<Vec<MassRevocation>> {
        self.read(|tx| rules::Known::mass_revocations(tx)).await
    }

    async fn touch_tokens(&self, uses: &[(TokenId, Timestamp)]) -> Stored<()> {
        let uses = uses.to_vec();
        self.act(move |tx| {
            for (id, moment) in uses {
                tx.write(
                    "UPDATE tokens SET last_used = ?2 WHERE id = ?1 AND (last_used IS NULL OR last_used < ?2)",
                    params![id.to_bytes(), moment.as_unix_seconds()],
                )?;
            }
            Ok(())
        })
        .await
    }

    async fn purge_tokens(&self, before: Timestamp) -> Stored<u64> {
        self.act(move |tx| {
            let sql = "DELETE FROM tokens WHERE expires_at < ?1 AND id NOT IN (SELECT ancestor FROM token_ancestors)";
            tx.write(sql, [before.as_unix_seconds()]).map(|count| count as u64)
        })
        .await
    }
}

#[async_trait]
impl Keys for SqliteStorage {
    async fn put_key(&self, record: &KeyRecord, act: &Act) -> Stored<Revision> {
        let (record, act) = (record.clone(), act.clone());
        self.act(move |tx| {
            let stored =
                tx.one("keys", "SELECT * FROM keys WHERE id = ?1", [&*record.id], |columns| columns.key())?;
            let kept = rules::key_to_keep(stored.as_ref(), &record);
            let purpose = match kept.purpose {
                KeyPurpose::Signing => "signing",
                KeyPurpose::Label => "label",
            };
            tx.write(
                "INSERT OR REPLACE INTO keys
                     (id, purpose, public, created_at, signs_from, signs_until, verifies_until, revoked)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    &*kept.id,
                    purpose,
                    kept.public.as_deref(),
                    kept.created_at.as_unix_seconds(),
                    kept.signs_from.as_unix_seconds(),
                    kept.signs_until.map(Timestamp::as_unix_seconds),
                    kept.verifies_until.map(Timestamp::as_unix_seconds),
                    kept.revoked.as_ref().map(codec::encode_revoked),
                ],
            )?;
            tx.commit(&ChangeKind::Keys, acts::put_key(&kept, &act))
        })
        .await
    }

    async fn keys(&self) -> Stored<Vec<KeyRecord>> {
        let sql = "SELECT * FROM keys ORDER BY created_at, id";
        self.read(move |tx| tx.all("keys", sql, [], |columns| columns.key())).await
    }

    async fn put_sealed(&self, id: &str, bytes: &[u8]) -> Stored<()> {
        let (id, bytes) = (id.to_owned(), bytes.to_vec());
        self.act(move |tx| {
            if tx.is_there("SELECT 1 FROM sealed WHERE id = ?1", [&id])? {
                return exists("sealed row");
            }
            tx.write("INSERT INTO sealed (id, bytes) VALUES (?1, ?2)", params![id, bytes])?;
            Ok(())
        })
        .await
    }

    async fn sealed(&self, id: &str) -> Stored<Option<Vec<u8>>> {
        let id = id.to_owned();
        self.read(move |tx| {
            tx.one("sealed", "SELECT bytes FROM sealed WHERE id = ?1", [&id], |columns| columns.sealed())
        })
        .await
    }
}

#[async_trait]
impl Rules for SqliteStorage {
    async fn put_rules(
        &self,
        name: &Name,
        bytes: &[u8],
        expected: Option<Revision>,
        act: &Act,
    ) -> Stored<Revision> {
        let (name, bytes, act) = (name.clone(), bytes.to_vec(), act.clone());
        self.act(move |tx| {
            let sql = "SELECT * FROM rules WHERE name = ?1";
            let held = tx.one("rules", sql, [name.as_str()], |columns| columns.rules())?;
            if held.map(|document| document.revision) != expected {
                return Err(StoreError::Precondition { what: "document" });
            }
            let revision = tx.next()?;
            let epoch = i64::from_be_bytes(revision.epoch.0.to_be_bytes());
            tx.write(
                "INSERT OR REPLACE INTO rules (name, bytes, epoch, number) VALUES (?1, ?2, ?3, ?4)",
                params![name.as_str(), bytes, epoch, signed(revision.number)?],
            )?;
            tx.commit(&ChangeKind::Rules(name.clone()), acts::put_rules(&name, &bytes, &act))
        })
        .await
    }

    async fn rules(&self, name: &Name) -> Stored<Option<RulesDocument>> {
        let name = name.clone();
        let sql = "SELECT * FROM rules WHERE name = ?1";
        self.read(move |tx| tx.one("rules", sql, [name.as_str()], |columns| columns.rules())).await
    }
}

#[async_trait]
impl Locks for SqliteStorage {
    async fn put_lock(&self, record: &LockRecord, act: &Act) -> Stored<Revision> {
        let (record, act) = (record.clone(), act.clone());
        self.act(move |tx| {
            let id = record.lock.id.to_bytes();
            if tx.is_there("SELECT 1 FROM locks WHERE id = ?1", [id])? {
                return exists("lock");
            }
            tx.write(
                "INSERT INTO locks (id, scope, actions, until, reason, author, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    id,
                    codec::encode_lock_scope(&record.lock.scope),
                    record.lock.actions.to_bits(),
                    record.lock.until.map(Timestamp::as_unix_seconds),
                    record.reason.as_str(),
                    codec::encode_principal(&record.by),
                    record.at.as_unix_seconds(),
                ],
            )?;
            tx.commit(&ChangeKind::Locks, acts::put_lock(&record, &act))
        })
        .await
    }

    async fn lift_lock(&self, id: LockId, act: &Act) -> Stored<Revision> {
        let act = act.clone();
        self.act(move |tx| {
            if tx.write("DELETE FROM locks WHERE id = ?1", [id.to_bytes()])? == 0 {
                return missing("lock");
            }
            tx.commit(&ChangeKind::Locks, acts::lift_lock(id, &act))
        })
        .await
    }

    async fn locks(&self) -> Stored<Vec<LockRecord>> {
        self.read(|tx| tx.all("locks", "SELECT * FROM locks ORDER BY id", [], |columns| columns.lock())).await
    }
}

#[async_trait]
impl Distrust for SqliteStorage {
    async fn put_mark(&self, record: &MarkRecord, act: &Act) -> Stored<Revision> {
        let (record, act) = (record.clone(), act.clone());
        self.act(move |tx| {
            let id = record.id.to_bytes();
            if tx.is_there("SELECT 1 FROM marks WHERE id = ?1", [id])? {
                return exists("mark");
            }
            tx.write(
                "INSERT INTO marks (id, scope, reason, author, at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    id,
                    codec::encode_mark_scope(&record.scope),
                    record.reason.as_str(),
                    codec::encode_principal(&record.by),
                    record.at.as_unix_seconds(),
                ],
            )?;
            tx.commit(&ChangeKind::Marks, acts::put_mark(&record, &act))
        })
        .await
    }

    async fn lift_mark(&self, id: MarkId, act: &Act) -> Stored<Revision> {
        let act = act.clone();
        self.act(move |tx| {
            if tx.write("DELETE FROM marks WHERE id = ?1", [id.to_bytes()])? == 0 {
                return missing("mark");
            }
            tx.commit(&ChangeKind::Marks, acts::lift_mark(id, &act))
        })
        .await
    }

    async fn marks(&self) -> Stored<Vec<MarkRecord>> {
        self.read(|tx| tx.all("marks", "SELECT * FROM marks ORDER BY id", [], |columns| columns.mark())).await
    }
}

#[async_trait]
impl SingleUse for SqliteStorage {
    async fn consume(&self, scope: &str, key: &[u8], keep_until: Timestamp) -> Stored<bool> {
        let (scope, key) = (scope.to_owned(), key.to_vec());
        self.act(move |tx| {
            let sql = "INSERT OR IGNORE INTO consumed (scope, key, keep_until) VALUES (?1, ?2, ?3)";
            Ok(tx.write(sql, params![scope, key, keep_until.as_unix_seconds()])? == 1)
        })
        .await
    }

    async fn purge_consumed(&self, now: Timestamp) -> Stored<u64> {
        let sql = "DELETE FROM consumed WHERE keep_until <= ?1";
        self.act(move |tx| tx.write(sql, [now.as_unix_seconds()]).map(|count| count as u64)).await
    }
}

#[async_trait]
impl Releases for SqliteStorage {
    async fn publish_release(&self, record: &ReleaseRecord, closure: &[EntryKey], act: &Act) -> Stored<()> {
        let (record, closure, act) = (record.clone(), closure.to_vec(), act.clone());
        self.act(move |tx| {
            let workspace = record.workspace.to_bytes();
            let taken = "SELECT 1 FROM releases WHERE id = ?1";
            if tx.is_there(taken, [record.id.to_bytes()])?
                || tx.release(record.workspace, &record.version)?.is_some()
            {
                return exists("release");
            }
            let recorded = record.closure.map(ClosureId::to_bytes);
            if let Some(id) = recorded
                && tx.is_there("SELECT 1 FROM releases WHERE closure = ?1", [id])?
            {
                return exists("closure");
            }
            if tx.workspace(record.workspace)?.is_none() {
                return missing("workspace");
            }
            tx.write(
                "INSERT INTO releases
                     (workspace, version, id, lane, key, digest, closure, published_at, yanked_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    workspace,
                    record.version.to_string(),
                    record.id.to_bytes(),
                    codec::encode_lane(&record.lane),
                    record.key.as_bytes(),
                    record.digest,
                    recorded,
                    record.published_at.as_unix_seconds(),
                    record.yanked_at.map(Timestamp::as_unix_seconds),
                ],
            )?;
            if let Some(id) = recorded {
                for key in &closure {
                    let sql =
                        "INSERT OR IGNORE INTO closure_entries (workspace, key, closure) VALUES (?1, ?2, ?3)";
                    tx.write(sql, params![workspace, key.as_bytes(), id])?;
                }
            }
            tx.note(acts::publish_release(&record, &act))
        })
        .await
    }

    async fn yank_release(&self, workspace: WorkspaceId, version: &Version, act: &Act) -> Stored<()> {
        let (version, act) = (version.clone(), act.clone());
        self.act(move |tx| {
            let Some(release) = tx.release(workspace, &version)? else { return missing("release") };
            if release.yanked_at.is_some() {
                return Ok(());
            }
            tx.write(
                "UPDATE releases SET yanked_at = ?3 WHERE workspace = ?1 AND version = ?2",
                params![workspace.to_bytes(), version.to_string(), act.at.as_unix_seconds()],
            )?;
            tx.note(acts::yank_release(workspace, &version, &act))
        })
        .await
    }

    async fn release(&self, workspace: WorkspaceId, version: &Version) -> Stored<Option<ReleaseRecord>> {
        let version = version.clone();
        self.read(move |tx| tx.release(workspace, &version)).await
    }

    async fn releases(&self, workspace: WorkspaceId) -> Stored<Vec<ReleaseRecord>> {
        self.read(move |tx| {
            let sql = "SELECT * FROM releases WHERE workspace = ?1";
            let mut releases =
                tx.all("releases", sql, [workspace.to_bytes()], |columns| columns.release())?;
            // Versions sort by their numbers, which is not how SQLite sorts their texts.
            releases.sort_by(|a, b| a.version.cmp(&b.version));
            Ok(releases)
        })
        .await
    }

    async fn closures_of(&self, workspace: WorkspaceId, key: &EntryKey) -> Stored<Vec<ClosureId>> {
        let key = key.clone();
        self.read(move |tx| {
            let sql =
                "SELECT closure FROM closure_entries WHERE workspace = ?1 AND key = ?2 ORDER BY closure";
            tx.all("closure_entries", sql, params![workspace.to_bytes(), key.as_bytes()], |columns| {
                columns.closure()
            })
        })
        .await
    }
}

#[async_trait]
impl Audit for SqliteStorage {
    async fn append_audit(&self, entries: &[AuditEntry]) -> Stored<()> {
        let entries = entries.to_vec();
        self.act(move |tx| entries.into_iter().try_for_each(|entry| tx.note(entry))).await
    }

    async fn audit(&self, after: u64, count: usize) -> Stored<Vec<AuditRecord>> {
        self.read(move |tx| {
            let Ok(after) = signed(after) else { return Ok(Vec::new()) };
            let sql = "SELECT * FROM audit WHERE number > ?1 ORDER BY number LIMIT ?2";
            tx.all("audit", sql, [after, limit(count)], |columns| columns.audit())
        })
        .await
    }
}
