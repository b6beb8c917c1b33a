//! Tokens and mass revocations.

use async_trait::async_trait;
use cachegate_storage::{
    Act, ChangeKind, MassRevocation, Preconditions, Revoked, StoreError, Superseded, TokenFilter,
    TokenRecord, Tokens, acts, codec, rules,
};
use cachegate_types::{OrganizationId, Revision, Timestamp, TokenId, UserId};

use crate::SqliteStorage;
use crate::cell::{ToCell, cells, start};
use crate::table::{Cells, LINEAGE, MASSES, TOKENS};
use crate::transaction::{Stored, Transaction, View};

fn token(cells: &mut Cells<'_>) -> Stored<TokenRecord> {
    Ok(TokenRecord {
        id: cells.take()?,
        kind: cells.take()?,
        form: cells.decoded(codec::decode_token_form)?,
        owner: cells.decoded(codec::decode_principal)?,
        organization: cells.take()?,
        workspace: cells.take()?,
        description: cells.take()?,
        grants: cells.decoded(codec::decode_grants)?,
        restrictions: cells.decoded(codec::decode_restrictions)?,
        reads_closures: cells.take()?,
        lane: cells.decoded_option(codec::decode_lane)?,
        base: cells.decoded_option(codec::decode_lane)?,
        floor: cells.take()?,
        run: cells.take()?,
        issued_at: cells.take()?,
        expires_at: cells.take()?,
        created_by: cells.decoded(codec::decode_principal)?,
        ancestors: cells.decoded(codec::decode_token_ids)?,
        family: cells.take()?,
        superseded: match (cells.take()?, cells.take()?) {
            (Some(by), Some(overlap_until)) => Some(Superseded { by, overlap_until }),
            (None, None) => None,
            (None, Some(_)) | (Some(_), None) => {
                return Err(cells.corrupt("a successor and the end of the overlap belong together"));
            }
        },
        revoked: cells.decoded_option(codec::decode_revoked)?,
        last_used: cells.take()?,
    })
}

/// The rules that span several records read them here, within the act's transaction.
impl rules::Known for View<'_> {
    fn token(&self, id: TokenId) -> Stored<Option<TokenRecord>> {
        self.one(&TOKENS, "WHERE id = ?", &cells![id], token)
    }

    fn mass_revocations(&self) -> Stored<Vec<MassRevocation>> {
        let mut expected: u64 = 0;
        let mut found = Vec::new();
        self.each(&MASSES, "ORDER BY number", &[], |cells| {
            expected = expected.saturating_add(1);
            if cells.take::<u64>()? != expected {
                return Err(cells.corrupt(format!("number {expected} is missing")));
            }
            found.push(MassRevocation {
                scope: cells.decoded(codec::decode_mass_scope)?,
                issued_until: cells.take()?,
                revoked: cells.decoded(codec::decode_revoked)?,
            });
            Ok(true)
        })?;
        if self.store()?.masses == expected {
            Ok(found)
        } else {
            Err(MASSES.corrupt(format!("the rows after number {expected} are missing")))
        }
    }

    fn is_member(&self, organization: OrganizationId, user: UserId) -> Stored<bool> {
        Ok(self.member(organization, user)?.is_some())
    }
}

impl View<'_> {
    fn tokens(&self, filter: &TokenFilter, after: Option<TokenId>, limit: usize) -> Stored<Vec<TokenRecord>> {
        let masses = rules::Known::mass_revocations(self)?;
        let mut condition = "WHERE id > ?".to_owned();
        let mut values = vec![start(after)];
        // What an index serves is asked of SQLite, the rest of the rule that all stores share.
        if let Some(workspace) = filter.workspace {
            condition += " AND workspace = ?";
            values.push(workspace.to_cell());
        } else if let Some(owner) = &filter.owner {
            condition += " AND owner = ?";
            values.push(codec::encode_principal(owner).to_cell());
        } else if let Some(organization) = filter.organization {
            condition += " AND organization = ?";
            values.push(organization.to_cell());
        }
        condition += " ORDER BY id";
        let mut found = Vec::new();
        if limit > 0 {
            self.each(&TOKENS, &condition, &values, |cells| {
                let token = token(cells)?;
                if rules::lists(filter, &token, &masses) {
                    found.push(token);
                }
                Ok(found.len() < limit)
            })?;
        }
        Ok(found)
    }

    /// The token, which has to be there.
    fn need_token(&self, id: TokenId) -> Stored<TokenRecord> {
        rules::Known::token(self, id)?.ok_or(StoreError::Missing { what: "token" })
    }

    fn refuse_token(&self, id: TokenId) -> Stored<()> {
        if self.has(&TOKENS, "WHERE id = ?", &cells![id])? {
            Err(StoreError::Exists { what: "token" })
        } else {
            Ok(())
        }
    }
}

impl Transaction<'_> {
    /// Adds a token, or replaces all of it but its lineage.
    fn replace_token(&mut self, record: &TokenRecord) -> Stored<()> {
        self.replace(
            &TOKENS,
            &cells![
                record.id,
                record.kind,
                codec::encode_token_form(&record.form),
                codec::encode_principal(&record.owner),
                record.organization,
                record.workspace,
                record.description,
                codec::encode_grants(&record.grants),
                codec::encode_restrictions(&record.restrictions),
                record.reads_closures,
                record.lane.as_ref().map(codec::encode_lane),
                record.base.as_ref().map(codec::encode_lane),
                record.floor,
                record.run,
                record.issued_at,
                record.expires_at,
                codec::encode_principal(&record.created_by),
                codec::encode_token_ids(&record.ancestors),
                record.family,
                record.superseded.map(|superseded| superseded.by),
                record.superseded.map(|superseded| superseded.overlap_until),
                record.revoked.as_ref().map(codec::encode_revoked),
                record.last_used,
            ],
        )
    }

    pub(crate) fn add_token(&mut self, record: &TokenRecord) -> Stored<()> {
        self.replace_token(record)?;
        for ancestor in &record.ancestors {
            self.add_unless_there(&LINEAGE, &cells![ancestor, record.id])?;
        }
        Ok(())
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
            tx.refuse_token(record.id)?;
            rules::check_insertion(&record, &preconditions, act.at, &**tx)?;
            for used in &preconditions.uses {
                if !tx.use_up(&used.scope, &used.key, used.keep_until)? {
                    return Err(rules::USED_UP);
                }
            }
            tx.add_token(&record)?;
            tx.note(&acts::insert_token(&record, &act))
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
            rules::check_rotation(predecessor, &successor, act.at, &**tx)?;
            tx.refuse_token(successor.id)?;
            let found = tx.need_token(predecessor)?;
            let superseded = Some(Superseded { by: successor.id, overlap_until });
            tx.replace_token(&TokenRecord { superseded, ..found })?;
            tx.add_token(&successor)?;
            tx.commit(&ChangeKind::Token(predecessor), &acts::rotate_token(predecessor, &successor, &act))
        })
        .await
    }

    async fn token(&self, id: TokenId) -> Stored<Option<TokenRecord>> {
        self.look(move |view| rules::Known::token(view, id)).await
    }

    async fn tokens(
        &self,
        filter: &TokenFilter,
        after: Option<TokenId>,
        limit: usize,
    ) -> Stored<Vec<TokenRecord>> {
        let filter = filter.clone();
        self.read(move |view| view.tokens(&filter, after, limit)).await
    }

    async fn revoke_token(&self, id: TokenId, revoked: &Revoked, act: &Act) -> Stored<Revision> {
        let (revoked, act) = (revoked.clone(), act.clone());
        self.act(move |tx| {
            let found = tx.need_token(id)?;
            if found.revoked.is_some() {
                return Ok(tx.revision());
            }
            let entry = acts::revoke_token(&found, &revoked, &act);
            tx.replace_token(&TokenRecord { revoked: Some(revoked), ..found })?;
            tx.commit(&ChangeKind::Token(id), &entry)
        })
        .await
    }

    async fn revoke_many(&self, revocation: &MassRevocation, act: &Act) -> Stored<Revision> {
        let (revocation, act) = (revocation.clone(), act.clone());
        self.act(move |tx| {
            let values = cells![
                tx.next_mass()?,
                codec::encode_mass_scope(&revocation.scope),
                revocation.issued_until,
                codec::encode_revoked(&revocation.revoked),
            ];
            tx.add(&MASSES, &values)?;
            tx.commit(&ChangeKind::Revocations, &acts::revoke_many(&revocation, &act))
        })
        .await
    }

    async fn mass_revocations(&self) -> Stored<Vec<MassRevocation>> {
        self.read(|view| rules::Known::mass_revocations(view)).await
    }

    async fn touch_tokens(&self, uses: &[(TokenId, Timestamp)]) -> Stored<()> {
        let uses = uses.to_vec();
        self.act(move |tx| {
            for (id, moment) in uses {
                let Some(found) = rules::Known::token(&**tx, id)? else { continue };
                if found.last_used < Some(moment) {
                    tx.replace_token(&TokenRecord { last_used: Some(moment), ..found })?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn purge_tokens(&self, before: Timestamp) -> Stored<u64> {
        self.act(move |tx| {
            let condition =
                "WHERE expires_at < ? AND NOT EXISTS (SELECT 1 FROM lineage WHERE ancestor = tokens.id)";
            let expired = tx.all(&TOKENS, condition, &cells![before], |cells| cells.take::<TokenId>())?;
            for id in &expired {
                tx.delete("DELETE FROM lineage WHERE token = ?", &cells![id])?;
                tx.delete("DELETE FROM tokens WHERE id = ?", &cells![id])?;
            }
            Ok(u64::try_from(expired.len()).unwrap_or(u64::MAX))
        })
        .await
    }
}
