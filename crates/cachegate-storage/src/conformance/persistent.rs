//! What a store that outlives its process finds again.

use std::sync::Arc;

use cachegate_types::Role;

use super::PersistentCaseFn;
use super::fixtures::{
    act, at, closure, every_act, feed, furnish, holds_token, issue, key, mass, name, organization,
    release_record, revoked, token, token_record, user, whole_audit, workspace,
};
use super::outcome::{Outcome, Refusal, equal, refused};
use crate::{Changes, MassScope, Preconditions, Storage, Superseded, TokenRecord, verify_chain};

macro_rules! persistent_cases {
    ($($(#[$doc:meta])* async fn $name:ident($open:ident) $body:block)*) => {
        $(
            $(#[$doc])*
            pub async fn $name($open: &dyn Fn() -> Arc<dyn Storage>) -> Outcome {
                $body
                Ok(())
            }
        )*

        pub(super) const PERSISTENT_CASES: &[(&str, PersistentCaseFn)] =
            &[$((stringify!($name), |open| Box::pin($name(open)))),*];
    };
}

persistent_cases! {
    /// The revision and the epoch are what they were, and the next change takes the next number.
    async fn a_reopened_store_keeps_its_revision(open) {
        let before = {
            let storage = open();
            furnish(&*storage).await?;
            storage.heartbeat().await?.revision
        };
        let storage = open();
        equal("the heartbeat", &storage.heartbeat().await?.revision, &before)?;
        let next = storage.set_member(organization(1), user(3), Role::Member, &act(1)).await?;
        equal("the next revision", &(next.epoch, next.number), &(before.epoch, before.number + 1))?;
    }

    /// The feed is what it was, or tells that it does not know.
    async fn a_reopened_store_keeps_its_feed(open) {
        let (start, expected) = {
            let storage = open();
            let start = storage.heartbeat().await?.revision;
            let done = every_act(&*storage).await?;
            (start, done.into_iter().filter_map(|done| done.change).collect::<Vec<_>>())
        };
        let storage = open();
        let upto = storage.heartbeat().await?.revision;
        equal("the heartbeat", &Some(upto), &expected.last().map(|(revision, _)| *revision))?;
        if storage.changes_after(start, 1).await? != (Changes::Restart { upto }) {
            equal("the feed", &feed(&*storage, start, 4).await?, &expected)?;
        }
    }

    /// An acknowledged token is there, and is the one that it was.
    async fn a_reopened_store_keeps_its_tokens(open) {
        {
            let storage = open();
            furnish(&*storage).await?;
            for number in [1, 2] {
                issue(&*storage, &token_record(number)?).await?;
            }
            storage.touch_tokens(&[(token(2), at(5))]).await?;
        }
        let storage = open();
        holds_token(&*storage, &token_record(1)?).await?;
        holds_token(&*storage, &TokenRecord { last_used: Some(at(5)), ..token_record(2)? }).await?;
    }

    /// An acknowledged revocation holds, alone and in mass.
    async fn a_reopened_store_keeps_its_revocations(open) {
        let many = mass(MassScope::Family(token(44)), Some(9))?;
        {
            let storage = open();
            furnish(&*storage).await?;
            issue(&*storage, &token_record(1)?).await?;
            issue(&*storage, &TokenRecord { family: token(44), ..token_record(2)? }).await?;
            storage.revoke_token(token(1), &revoked(2)?, &act(2)).await?;
            storage.revoke_many(&many, &act(2)).await?;
        }
        let storage = open();
        holds_token(&*storage, &TokenRecord { revoked: Some(revoked(2)?), ..token_record(1)? }).await?;
        equal("the mass revocations", &storage.mass_revocations().await?, &vec![many])?;
        for number in [1, 2] {
            let child = TokenRecord { ancestors: vec![token(number)], ..token_record(9)? };
            let answer = storage.insert_token(&child, &Preconditions::default(), &act(3)).await;
            refused("a child of the revoked", answer, Refusal::Precondition)?;
        }
    }

    /// An acknowledged rotation holds, both sides of it.
    async fn a_reopened_store_keeps_its_rotations(open) {
        {
            let storage = open();
            furnish(&*storage).await?;
            issue(&*storage, &token_record(1)?).await?;
            storage.rotate_token(token(1), &token_record(2)?, at(60), &act(2)).await?;
        }
        let storage = open();
        let superseded = Some(Superseded { by: token(2), overlap_until: at(60) });
        holds_token(&*storage, &TokenRecord { superseded, ..token_record(1)? }).await?;
        holds_token(&*storage, &token_record(2)?).await?;
        let answer = storage.rotate_token(token(1), &token_record(3)?, at(60), &act(3)).await;
        refused("a second rotation", answer, Refusal::Precondition)?;
    }

    /// Whoever left is gone, and their former tokens stay dead.
    async fn a_reopened_store_keeps_departures(open) {
        {
            let storage = open();
            furnish(&*storage).await?;
            storage.remove_member(organization(1), user(1), &act(50)).await?;
        }
        let storage = open();
        equal("the memberships", &storage.memberships(user(1)).await?, &Vec::new())?;
        storage.set_member(organization(1), user(1), Role::Member, &act(60)).await?;
        let since = storage.memberships(user(1)).await?.first().and_then(|found| found.member.tokens_since);
        equal("tokens count", &since, &Some(at(51)))?;
    }

    /// What was used up stays used up.
    async fn a_reopened_store_keeps_what_was_used_up(open) {
        equal("the first use", &open().consume("exchange", b"jti", at(100)).await?, &true)?;
        let storage = open();
        equal("a later use", &storage.consume("exchange", b"jti", at(100)).await?, &false)?;
        equal("how many are forgotten", &storage.purge_consumed(at(100)).await?, &1)?;
    }

    /// The chain is what it was, and goes on where it ended.
    async fn a_reopened_store_keeps_its_audit(open) {
        let before = {
            let storage = open();
            every_act(&*storage).await?;
            whole_audit(&*storage).await?
        };
        let storage = open();
        equal("the audit", &storage.audit(0, usize::MAX).await?, &before)?;
        storage.set_listed(workspace(1), &[], None, &act(30)).await?;
        let after = storage.audit(u64::try_from(before.len()).unwrap_or(0), 9).await?;
        equal("the number of new records", &after.len(), &1)?;
        verify_chain(&after, before.last()).map_err(|error| super::Violation::new(error.to_string()))?;
    }

    /// Everything else is what it was.
    async fn a_reopened_store_keeps_everything_else(open) {
        let (revision, places) = {
            let storage = open();
            furnish(&*storage).await?;
            storage.put_sealed("k", b"sealed").await?;
            storage.put_key(&super::fixtures::signing_key("k", 1), &act(1)).await?;
            storage.put_lock(&super::fixtures::lock_record(1)?, &act(1)).await?;
            storage.put_mark(&super::fixtures::mark_record(1)?, &act(1)).await?;
            storage.publish_release(&release_record(1, 1, "1.0.0")?, &[(closure(1), key(b"a")?)], &act(1)).await?;
            storage.put_group(&super::fixtures::group_record(1, 1, &[1])?, &act(1)).await?;
            let revision = storage.put_rules(&name("rules")?, b"{}", None, &act(1)).await?;
            (revision, storage.memberships(user(1)).await?)
        };
        let storage = open();
        equal("the sealed row", &storage.sealed("k").await?, &Some(b"sealed".to_vec()))?;
        equal("the keys", &storage.keys().await?, &vec![super::fixtures::signing_key("k", 1)])?;
        equal("the locks", &storage.locks().await?, &vec![super::fixtures::lock_record(1)?])?;
        equal("the marks", &storage.marks().await?, &vec![super::fixtures::mark_record(1)?])?;
        equal("the releases", &storage.releases(workspace(1)).await?, &vec![release_record(1, 1, "1.0.0")?])?;
        let closures = storage.closures_of(workspace(1), &key(b"a")?).await?;
        equal("the closures", &closures, &vec![closure(1)])?;
        equal("the memberships", &storage.memberships(user(1)).await?, &places)?;
        let found = storage.workspace(workspace(2)).await?;
        equal("a workspace", &found, &Some(super::fixtures::workspace_record(2, 2)?))?;
        let document = storage.rules(&name("rules")?).await?.map(|found| (found.revision, found.bytes));
        equal("the document", &document, &Some((revision, b"{}".to_vec())))?;
    }
}
