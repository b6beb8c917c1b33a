//! Rows to records and back. A row that cannot be read is `Corrupt`, with the table and the column.

use std::str::FromStr;
use std::sync::Arc;

use cachegate_policy::Lock;
use cachegate_storage::{
    AuditRecord, GroupRecord, KeyPurpose, KeyRecord, LockRecord, MarkRecord, MassRevocation, MemberRecord,
    OrganizationRecord, ReleaseRecord, RulesDocument, StoreError, Superseded, TokenKind, TokenRecord,
    UserRecord, WorkspaceRecord, codec,
};
use cachegate_types::{
    ActionSet, ClosureId, Description, EntryKey, Epoch, GroupId, LockId, MarkId, OrganizationId, ReleaseId,
    Revision, Timestamp, TokenId, UserId, WorkspaceId,
};
use rusqlite::types::FromSql;
use rusqlite::{ErrorCode, Row};

type Stored<T> = Result<T, StoreError>;

/// What went wrong between here and SQLite, without any row's content.
pub(crate) fn failed(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::Corrupt { what: "database", detail: "SQLite finds its pages damaged".to_owned() }
        }
        Some(code) => StoreError::Unavailable { detail: format!("SQLite failed: {code:?}") },
        None => StoreError::Unavailable { detail: "the query does not fit the database".to_owned() },
    }
}

/// A row of a table, read column by column.
pub(crate) struct Columns<'r> {
    pub(crate) table: &'static str,
    pub(crate) row: &'r Row<'r>,
}

impl Columns<'_> {
    pub(crate) fn corrupt(&self, column: &str) -> StoreError {
        StoreError::Corrupt { what: self.table, detail: format!("its column `{column}` holds no such value") }
    }

    fn value<T: FromSql>(&self, column: &str) -> Stored<T> {
        self.row.get(column).map_err(|_| self.corrupt(column))
    }

    fn id<T>(&self, column: &str, make: impl Fn([u8; 16]) -> T) -> Stored<T> {
        self.value::<[u8; 16]>(column).map(make)
    }

    fn id_or_none<T>(&self, column: &str, make: impl Fn([u8; 16]) -> T) -> Stored<Option<T>> {
        Ok(self.value::<Option<[u8; 16]>>(column)?.map(make))
    }

    fn time(&self, column: &str) -> Stored<Timestamp> {
        Timestamp::from_unix_seconds(self.value(column)?).map_err(|_| self.corrupt(column))
    }

    fn time_or_none(&self, column: &str) -> Stored<Option<Timestamp>> {
        match self.value::<Option<i64>>(column)? {
            None => Ok(None),
            Some(seconds) => {
                Timestamp::from_unix_seconds(seconds).map(Some).map_err(|_| self.corrupt(column))
            }
        }
    }

    fn text(&self, column: &str) -> Stored<String> {
        self.value(column)
    }

    fn parsed<T: FromStr>(&self, column: &str) -> Stored<T> {
        self.text(column)?.parse().map_err(|_| self.corrupt(column))
    }

    fn bytes<T>(&self, column: &str, decode: impl Fn(&[u8]) -> Stored<T>) -> Stored<T> {
        decode(&self.value::<Vec<u8>>(column)?)
    }

    fn bytes_or_none<T>(&self, column: &str, decode: impl Fn(&[u8]) -> Stored<T>) -> Stored<Option<T>> {
        self.value::<Option<Vec<u8>>>(column)?.as_deref().map(decode).transpose()
    }

    fn number(&self, column: &str) -> Stored<u64> {
        u64::try_from(self.value::<i64>(column)?).map_err(|_| self.corrupt(column))
    }

    pub(crate) fn revision(&self) -> Stored<Revision> {
        let epoch = Epoch(u64::from_be_bytes(self.value::<i64>("epoch")?.to_be_bytes()));
        Ok(Revision { epoch, number: self.number("number")? })
    }

    pub(crate) fn organization(&self) -> Stored<OrganizationRecord> {
        Ok(OrganizationRecord {
            id: self.id("id", OrganizationId::from_bytes)?,
            name: self.parsed("name")?,
            personal_of: self.id_or_none("personal_of", UserId::from_bytes)?,
            created_at: self.time("created_at")?,
        })
    }

    pub(crate) fn workspace(&self) -> Stored<WorkspaceRecord> {
        Ok(WorkspaceRecord {
            id: self.id("id", WorkspaceId::from_bytes)?,
            organization: self.id("organization", OrganizationId::from_bytes)?,
            name: self.parsed("name")?,
            settings: self.bytes("settings", codec::decode_settings)?,
            listed: self.bytes("listed", codec::decode_listed)?,
            created_at: self.time("created_at")?,
        })
    }

    pub(crate) fn user(&self) -> Stored<UserRecord> {
        Ok(UserRecord {
            id: self.id("id", UserId::from_bytes)?,
            display: self.parsed("display")?,
            created_at: self.time("created_at")?,
        })
    }

    pub(crate) fn member(&self) -> Stored<MemberRecord> {
        Ok(MemberRecord {
            organization: self.id("organization", OrganizationId::from_bytes)?,
            user: self.id("user", UserId::from_bytes)?,
            role: self.parsed("role")?,
            tokens_since: self.time_or_none("tokens_since")?,
        })
    }

    pub(crate) fn group_id(&self) -> Stored<GroupId> {
        self.id("group_id", GroupId::from_bytes)
    }

    pub(crate) fn group(&self) -> Stored<GroupRecord> {
        Ok(GroupRecord {
            id: self.id("id", GroupId::from_bytes)?,
            organization: self.id("organization", OrganizationId::from_bytes)?,
            name: self.parsed("name")?,
            members: Vec::new(),
        })
    }

    pub(crate) fn group_member(&self) -> Stored<UserId> {
        self.id("user", UserId::from_bytes)
    }

    pub(crate) fn token(&self) -> Stored<TokenRecord> {
        let superseded = self.id_or_none("superseded_by", TokenId::from_bytes)?;
        let overlap = self.time_or_none("overlap_until")?;
        let superseded = match (superseded, overlap) {
            (Some(by), Some(overlap_until)) => Some(Superseded { by, overlap_until }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(self.corrupt("overlap_until")),
        };
        let kind = self.text("kind")?;
        Ok(TokenRecord {
            id: self.id("id", TokenId::from_bytes)?,
            kind: TokenKind::ALL
                .into_iter()
                .find(|known| known.as_str() == kind)
                .ok_or_else(|| self.corrupt("kind"))?,
            form: self.bytes("form", codec::decode_token_form)?,
            owner: self.bytes("owner", codec::decode_principal)?,
            organization: self.id_or_none("organization", OrganizationId::from_bytes)?,
            workspace: self.id_or_none("workspace", WorkspaceId::from_bytes)?,
            description: self.parsed::<Description>("description")?,
            grants: self.bytes("grants", codec::decode_grants)?,
            restrictions: self.bytes("restrictions", codec::decode_restrictions)?,
            lane: self.bytes_or_none("lane", codec::decode_lane)?,
            base: self.bytes_or_none("base", codec::decode_lane)?,
            floor: match self.value::<Option<String>>("floor")? {
                None => None,
                Some(class) => Some(class.parse().map_err(|_| self.corrupt("floor"))?),
            },
            run: self.value::<Option<String>>("run")?.map(Arc::from),
            issued_at: self.time("issued_at")?,
            expires_at: self.time_or_none("expires_at")?,
            created_by: self.bytes("created_by", codec::decode_principal)?,
            ancestors: self.bytes("ancestors", codec::decode_token_ids)?,
            family: self.id("family", TokenId::from_bytes)?,
            superseded,
            revoked: self.bytes_or_none("revoked", codec::decode_revoked)?,
            last_used: self.time_or_none("last_used")?,
        })
    }

    pub(crate) fn mass_revocation(&self) -> Stored<MassRevocation> {
        Ok(MassRevocation {
            scope: self.bytes("scope", codec::decode_mass_scope)?,
            issued_until: self.time_or_none("issued_until")?,
            revoked: self.bytes("revoked", codec::decode_revoked)?,
        })
    }

    pub(crate) fn key(&self) -> Stored<KeyRecord> {
        Ok(KeyRecord {
            id: self.text("id")?.into(),
            purpose: match self.text("purpose")?.as_str() {
                "signing" => KeyPurpose::Signing,
                "label" => KeyPurpose::Label,
                _ => return Err(self.corrupt("purpose")),
            },
            public: self.value::<Option<String>>("public")?.map(Arc::from),
            created_at: self.time("created_at")?,
            signs_from: self.time("signs_from")?,
            signs_until: self.time_or_none("signs_until")?,
            verifies_until: self.time_or_none("verifies_until")?,
            revoked: self.bytes_or_none("revoked", codec::decode_revoked)?,
        })
    }

    pub(crate) fn rules(&self) -> Stored<RulesDocument> {
        Ok(RulesDocument {
            name: self.parsed("name")?,
            bytes: self.value("bytes")?,
            revision: self.revision()?,
        })
    }

    pub(crate) fn lock(&self) -> Stored<LockRecord> {
        let actions = u8::try_from(self.value::<i64>("actions")?).ok().and_then(ActionSet::from_bits);
        Ok(LockRecord {
            lock: Lock {
                id: self.id("id", LockId::from_bytes)?,
                scope: self.bytes("scope", codec::decode_lock_scope)?,
                actions: actions.ok_or_else(|| self.corrupt("actions"))?,
                until: self.time_or_none("until")?,
            },
            reason: self.parsed("reason")?,
            by: self.bytes("author", codec::decode_principal)?,
            at: self.time("at")?,
        })
    }

    pub(crate) fn mark(&self) -> Stored<MarkRecord> {
        Ok(MarkRecord {
            id: self.id("id", MarkId::from_bytes)?,
            scope: self.bytes("scope", codec::decode_mark_scope)?,
            reason: self.parsed("reason")?,
            by: self.bytes("author", codec::decode_principal)?,
            at: self.time("at")?,
        })
    }

    pub(crate) fn release(&self) -> Stored<ReleaseRecord> {
        Ok(ReleaseRecord {
            id: self.id("id", ReleaseId::from_bytes)?,
            workspace: self.id("workspace", WorkspaceId::from_bytes)?,
            version: self.parsed("version")?,
            lane: self.bytes("lane", codec::decode_lane)?,
            key: EntryKey::new(&self.value::<Vec<u8>>("key")?).map_err(|_| self.corrupt("key"))?,
            digest: self.value("digest")?,
            closure: self.id_or_none("closure", ClosureId::from_bytes)?,
            published_at: self.time("published_at")?,
            yanked_at: self.time_or_none("yanked_at")?,
        })
    }

    pub(crate) fn closure(&self) -> Stored<ClosureId> {
        self.id("closure", ClosureId::from_bytes)
    }

    pub(crate) fn audit(&self) -> Stored<AuditRecord> {
        Ok(AuditRecord {
            number: self.number("number")?,
            entry: self.bytes("entry", codec::decode_audit_entry)?,
            digest: self.value("digest")?,
        })
    }

    pub(crate) fn sealed(&self) -> Stored<Vec<u8>> {
        self.value("bytes")
    }

    pub(crate) fn change(&self) -> Stored<(u64, cachegate_storage::ChangeKind)> {
        Ok((self.number("number")?, self.bytes("kind", codec::decode_change_kind)?))
    }
}
