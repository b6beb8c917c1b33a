//! The audit.

use cachegate_types::Principal;

use super::Violation;
use super::fixtures::{
    act, at, audit_from_the_end, every_act, furnish, issue, line, name, race, refused_acts, revoked, token,
    token_record, trace, untouched, user, wait, whole_audit,
};
use super::outcome::equal;
use crate::{AuditEntry, verify_chain};

cases! {
    /// Each act leaves one record, of who did what to what, in the order of the acts.
    async fn every_act_leaves_one_record(storage) {
        let done = every_act(&*storage).await?;
        let expected: Vec<AuditEntry> = done.into_iter().map(|done| done.entry).collect();
        let records = storage.audit(0, usize::MAX).await?;
        let found: Vec<AuditEntry> = records.into_iter().map(|record| record.entry).collect();
        for (found, expected) in found.iter().zip(&expected) {
            equal("a record", found, expected)?;
        }
        equal("the number of records", &found.len(), &expected.len())?;
        for code in crate::acts::CODES {
            check!(found.iter().any(|found| *found.code == **code), "no act of the suite is `{code}`");
        }
    }

    /// An act that was refused leaves no record.
    async fn a_refused_act_leaves_no_record(storage) {
        furnish(&*storage).await?;
        let before = storage.audit(0, usize::MAX).await?.len();
        refused_acts(&*storage).await?;
        // The two acts that were not refused.
        equal("the records", &storage.audit(0, usize::MAX).await?.len(), &(before + 2))?;
    }

    /// What is no act of anybody leaves no record.
    async fn what_is_no_act_leaves_no_record(storage) {
        furnish(&*storage).await?;
        issue(&*storage, &token_record(1)?).await?;
        let before = trace(&*storage).await?;
        storage.put_sealed("k", b"sealed").await?;
        storage.consume("exchange", b"jti", at(9)).await?;
        storage.purge_consumed(at(10)).await?;
        storage.touch_tokens(&[(token(1), at(9))]).await?;
        storage.purge_tokens(at(10)).await?;
        storage.append_audit(&[]).await?;
        untouched(&*storage, before).await?;
    }

    /// The digests make one chain, from the first record to the last.
    async fn the_audit_is_one_chain(storage) {
        every_act(&*storage).await?;
        storage.append_audit(&entries(3)?).await?;
        let records = storage.audit(0, usize::MAX).await?;
        let numbers: Vec<u64> = records.iter().map(|record| record.number).collect();
        let count = u64::try_from(records.len()).unwrap_or(0);
        equal("the numbers", &numbers, &(1..=count).collect())?;
        verify_chain(&records, None).map_err(|error| Violation::new(error.to_string()))?;
    }

    /// Entries are appended in their order, as they are.
    async fn appended_entries_keep_their_order(storage) {
        let all = entries(9)?;
        let (first, rest) = all.split_at(4);
        storage.append_audit(first).await?;
        storage.append_audit(rest).await?;
        let found: Vec<AuditEntry> = whole_audit(&*storage).await?.into_iter().map(|record| record.entry).collect();
        equal("the entries", &found, &all)?;
    }

    /// Pages of the audit follow one another by number, each record once.
    async fn the_audit_pages_by_ascending_number(storage) {
        storage.append_audit(&entries(9)?).await?;
        let whole = whole_audit(&*storage).await?;
        for limit in [1, 2, 9, usize::MAX] {
            let (mut found, mut after) = (Vec::new(), 0);
            loop {
                let page = storage.audit(after, limit).await?;
                check!(page.len() <= limit, "{} records where {limit} were asked for", page.len());
                let Some(last) = page.last() else { break };
                after = last.number;
                found.extend(page);
                check!(found.len() <= whole.len(), "a page repeats records");
            }
            equal("the pages", &found, &whole)?;
        }
        equal("a page of none", &storage.audit(0, 0).await?, &Vec::new())?;
        equal("after the end", &storage.audit(9, 9).await?, &Vec::new())?;
        equal("far after the end", &storage.audit(u64::MAX, 9).await?, &Vec::new())?;
    }

    /// Pages of the audit from its end follow one another backwards by number, each record once.
    async fn the_audit_pages_by_descending_number(storage) {
        equal("the end of nothing", &storage.audit_before(u64::MAX, 9).await?, &Vec::new())?;
        storage.append_audit(&entries(9)?).await?;
        let mut whole = whole_audit(&*storage).await?;
        whole.reverse();
        for limit in [1, 2, 9, usize::MAX] {
            let found = audit_from_the_end(&*storage, limit, whole.len()).await?;
            equal("the pages", &found, &whole)?;
        }
        equal("a page of none", &storage.audit_before(u64::MAX, 0).await?, &Vec::new())?;
        for before in [0, 1] {
            equal("before the beginning", &storage.audit_before(before, 9).await?, &Vec::new())?;
        }
        equal("before what is to come", &storage.audit_before(10, 9).await?, &whole)?;
        equal("long before what is to come", &storage.audit_before(99, 9).await?, &whole)?;
    }

    /// What every act leaves is the same in both directions, and between any two numbers.
    async fn the_audit_is_the_same_from_either_end(storage) {
        every_act(&*storage).await?;
        let whole = whole_audit(&*storage).await?;
        for (index, record) in whole.iter().enumerate() {
            let before = storage.audit_before(record.number, usize::MAX).await?;
            let earlier: Vec<_> = whole.iter().take(index).rev().cloned().collect();
            equal("what is before a record", &before, &earlier)?;
            let near = storage.audit_before(record.number, 2).await?;
            equal("the two before a record", &near, &earlier.into_iter().take(2).collect())?;
        }
    }

    /// Acts of many threads make one chain, and entries appended together stay together.
    async fn racing_acts_make_one_chain(storage) {
        furnish(&*storage).await?;
        for number in 0..16 {
            issue(&*storage, &token_record(number)?).await?;
        }
        let before = whole_audit(&*storage).await?.len();
        let (leak, three) = (revoked(1)?, entries(3)?);
        let answers = race(&storage, 8, move |storage, thread| {
            for number in [thread * 2, thread * 2 + 1] {
                wait(storage.revoke_token(token(number), &leak, &act(2)))?;
                wait(storage.append_audit(&three))?;
            }
            Ok::<_, crate::StoreError>(())
        })?;
        for answer in answers {
            answer?;
        }
        let records = whole_audit(&*storage).await?;
        equal("the number of records", &records.len(), &(before + 16 * 4))?;
        let appended: Vec<(u64, &str)> = records
            .iter()
            .filter(|record| record.entry.code.starts_with("test_"))
            .map(|record| (record.number, &*record.entry.code))
            .collect();
        let together = appended.chunks(3).all(|chunk| {
            matches!(chunk, [(a, "test_0"), (b, "test_1"), (c, "test_2")] if *b == a + 1 && *c == a + 2)
        });
        check!(together, "entries appended together were torn apart: {appended:?}");
    }
}

/// So many different entries.
fn entries(count: u8) -> Result<Vec<AuditEntry>, Violation> {
    (0..count)
        .map(|number| {
            let by = match number % 3 {
                0 => Principal::Anonymous,
                1 => Principal::User(user(number)),
                _ => Principal::Workload { anchor: name("github")?, subject: "a\nb\0é".into() },
            };
            Ok(AuditEntry {
                act: crate::Act {
                    by,
                    token: (number % 2 == 0).then(|| token(number)),
                    at: at(number.into()),
                },
                code: format!("test_{number}").into(),
                target: if number == 0 { "".into() } else { format!("t{number}").into() },
                detail: line(if number == 1 { "" } else { "a – detail" })?,
            })
        })
        .collect()
}
