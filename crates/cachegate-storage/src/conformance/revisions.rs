//! Revisions and the feed.

use cachegate_types::{Epoch, Revision};

use super::fixtures::{
    act, at, closure, every_act, feed, furnish, group_record, issue, key, organization, race, refused_acts,
    release_record, revoked, token, token_record, trace, untouched, user_record, wait, workspace_record,
};
use super::outcome::equal;
use crate::{ChangeKind, Changes, MassRevocation, MassScope};

cases! {
    /// A feed that is asked where the store is answers that there is nothing.
    async fn a_fresh_feed_is_empty(storage) {
        let start = storage.heartbeat().await?.revision;
        let nothing = Changes::After { changes: Vec::new(), upto: start, more: false };
        equal("the feed", &storage.changes_after(start, 10).await?, &nothing)?;
        equal("the heartbeat", &storage.heartbeat().await?.revision, &start)?;
        equal("the audit", &storage.audit(0, 10).await?.len(), &0)?;
    }

    /// The heartbeat is at the revision that the last act answered.
    async fn the_heartbeat_is_the_newest_revision(storage) {
        furnish(&*storage).await?;
        for members in [&[1][..], &[1, 2], &[]] {
            let revision = storage.put_group(&group_record(1, 1, members)?, &act(1)).await?;
            equal("the heartbeat", &storage.heartbeat().await?.revision, &revision)?;
        }
    }

    /// Each change takes exactly one revision, and no number is passed over.
    async fn each_change_takes_the_next_revision(storage) {
        let start = storage.heartbeat().await?.revision;
        let done = every_act(&*storage).await?;
        let revisions = done.iter().filter_map(|done| done.change.as_ref().map(|(revision, _)| *revision));
        let mut expected = start;
        for revision in revisions {
            expected.number += 1;
            equal("the answered revision", &revision, &expected)?;
        }
        check!(expected.number - start.number >= 15, "the suite lost acts");
        equal("the heartbeat", &storage.heartbeat().await?.revision, &expected)?;
    }

    /// What no node can hold yet takes no revision, and neither does what no node holds.
    async fn what_is_new_takes_no_revision(storage) {
        furnish(&*storage).await?;
        let before = storage.heartbeat().await?.revision;
        storage.create_user(&user_record(9)?, &act(1)).await?;
        let second = workspace_record(9, 1)?;
        storage.create_workspace(&second, &act(1)).await?;
        issue(&*storage, &token_record(1)?).await?;
        storage.publish_release(&release_record(1, 1, "1.0.0")?, &[(closure(1), key(b"a")?)], &act(1)).await?;
        let published = release_record(1, 1, "1.0.0")?;
        storage.yank_release(published.workspace, &published.version, &act(1)).await?;
        storage.put_sealed("k", b"sealed").await?;
        storage.consume("exchange", b"jti", at(100)).await?;
        storage.purge_consumed(at(200)).await?;
        storage.touch_tokens(&[(token(1), at(2))]).await?;
        storage.purge_tokens(at(200)).await?;
        let entry = crate::acts::create_user(&user_record(9)?, &act(1));
        storage.append_audit(&[entry]).await?;
        equal("the heartbeat", &storage.heartbeat().await?.revision, &before)?;
    }

    /// A refused act takes no revision and leaves everything as it was.
    async fn a_refused_act_changes_nothing(storage) {
        furnish(&*storage).await?;
        refused_acts(&*storage).await?;
    }

    /// Each change says what a node must drop.
    async fn the_feed_names_what_changed(storage) {
        let start = storage.heartbeat().await?.revision;
        let done = every_act(&*storage).await?;
        let expected: Vec<_> = done.into_iter().filter_map(|done| done.change).collect();
        equal("the feed", &feed(&*storage, start, 1000).await?, &expected)?;
    }

    /// Changes come in the order of their revisions, one for each number.
    async fn the_feed_is_in_order_without_gaps(storage) {
        furnish(&*storage).await?;
        every_change(&*storage, 20).await?;
        let start = Revision { number: 0, ..storage.heartbeat().await?.revision };
        let numbers: Vec<u64> =
            feed(&*storage, start, 7).await?.iter().map(|(revision, _)| revision.number).collect();
        let upto = storage.heartbeat().await?.revision.number;
        equal("the numbers of the feed", &numbers, &(1..=upto).collect())?;
    }

    /// However small the pages are, every change is on one of them, once.
    async fn the_feed_pages_without_loss(storage) {
        let start = storage.heartbeat().await?.revision;
        furnish(&*storage).await?;
        every_change(&*storage, 6).await?;
        let whole = feed(&*storage, start, 1000).await?;
        for limit in [1, 2, 3, 7, whole.len()] {
            equal("the feed by pages", &feed(&*storage, start, limit).await?, &whole)?;
        }
        for (index, (revision, _)) in whole.iter().enumerate() {
            let rest = feed(&*storage, *revision, 2).await?;
            check!(whole.iter().skip(index + 1).eq(rest.iter()), "the feed after {revision} is {rest:?}");
        }
    }

    /// A limit of nothing still brings a reader on.
    async fn a_limit_of_zero_gives_one_change(storage) {
        let start = storage.heartbeat().await?.revision;
        furnish(&*storage).await?;
        match storage.changes_after(start, 0).await? {
            Changes::After { changes, .. } => equal("the changes", &changes.len(), &1)?,
            other @ Changes::Restart { .. } => check!(false, "found {other:?}"),
        }
    }

    /// Whoever holds a revision that the store has not reached held another store.
    async fn a_revision_ahead_begins_anew(storage) {
        furnish(&*storage).await?;
        let upto = storage.heartbeat().await?.revision;
        for number in [upto.number + 1, upto.number + 1000, u64::MAX] {
            let answer = storage.changes_after(Revision { number, ..upto }, 10).await?;
            equal("the feed after a revision ahead", &answer, &Changes::Restart { upto })?;
        }
    }

    /// Whoever holds a revision of another life of the store begins anew, whatever its number.
    async fn a_revision_of_another_epoch_begins_anew(storage) {
        furnish(&*storage).await?;
        let upto = storage.heartbeat().await?.revision;
        for epoch in [upto.epoch.0.wrapping_add(1), upto.epoch.0.wrapping_sub(1)] {
            for number in [0, upto.number, u64::MAX] {
                let answer = storage.changes_after(Revision { epoch: Epoch(epoch), number }, 10).await?;
                equal("the feed after another epoch", &answer, &Changes::Restart { upto })?;
            }
        }
    }

    /// Changes of many threads take revisions of their own, all of which the feed has.
    async fn racing_changes_take_distinct_revisions(storage) {
        furnish(&*storage).await?;
        let start = storage.heartbeat().await?.revision;
        for number in 0..64 {
            issue(&*storage, &token_record(number)?).await?;
        }
        let leak = revoked(3)?;
        let answers = race(&storage, 8, move |storage, thread| {
            let mine = (0..8_u8).map(|index| thread * 8 + index);
            mine.map(|number| {
                let revision = wait(storage.revoke_token(token(number), &leak, &act(3)))?;
                Ok((revision, ChangeKind::Token(token(number))))
            })
            .collect::<Result<Vec<_>, crate::StoreError>>()
        })?;
        let mut expected = Vec::new();
        for answer in answers {
            let mine = answer?;
            check!(mine.is_sorted_by_key(|(revision, _)| revision.number), "a thread's acts were reordered");
            expected.extend(mine);
        }
        expected.sort_by_key(|(revision, _)| revision.number);
        equal("the feed", &feed(&*storage, start, 5).await?, &expected)?;
        equal("the last number", &storage.heartbeat().await?.revision.number, &(start.number + 64))?;
    }

    /// Waiting may be cut short or never end; the feed tells either way.
    async fn waiting_for_a_change_proves_nothing(storage) {
        furnish(&*storage).await?;
        let start = storage.heartbeat().await?.revision;
        let everything = MassRevocation {
            scope: MassScope::Organization(organization(1)),
            issued_until: None,
            revoked: revoked(1)?,
        };
        let before = trace(&*storage).await?;
        {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            let mut changed = storage.changed();
            let _ = changed.as_mut().poll(&mut context);
        }
        untouched(&*storage, before).await?;
        let revision = storage.revoke_many(&everything, &act(1)).await?;
        equal("the feed", &feed(&*storage, start, 1).await?, &vec![(revision, ChangeKind::Revocations)])?;
    }
}

/// So many changes of several kinds.
async fn every_change(storage: &dyn crate::Storage, count: u8) -> super::Outcome {
    for number in 0..count {
        storage.put_group(&group_record(number % 3, 1, &[number])?, &act(1)).await?;
        issue(storage, &token_record(number)?).await?;
        storage.revoke_token(token(number), &revoked(2)?, &act(2)).await?;
    }
    Ok(())
}
