//! Reading the audit from either end.

#![expect(clippy::expect_used, reason = "a step that fails is a failed test")]

use cachegate::{AuditFilter, AuditFrom, Authority, ManageError, Page};
use cachegate_storage::{Act, AuditEntry, AuditRecord, acts, chain_digest};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{OrganizationId, Principal, Timestamp};
use proptest::prelude::*;

const OPERATOR: Authority<'_> = Authority::Operator;

async fn read(
    scene: &Scene,
    place: Option<OrganizationId>,
    filter: &AuditFilter,
    from: AuditFrom,
    limit: usize,
) -> Result<Page<AuditRecord, u64>, ManageError> {
    scene.gate.audit(&OPERATOR, place, filter, from, limit, NOW.into()).await
}

/// Everything that the filter takes, page by page.
async fn all(
    scene: &Scene,
    place: Option<OrganizationId>,
    filter: &AuditFilter,
    first: AuditFrom,
    limit: usize,
) -> Result<Vec<AuditRecord>, ManageError> {
    let (mut found, mut from) = (Vec::new(), first);
    loop {
        let page = read(scene, place, filter, from, limit).await?;
        assert!(page.items.len() <= limit, "a page is no longer than asked for");
        found.extend(page.items);
        from = match (page.next, from) {
            (None, _) => return Ok(found),
            (Some(next), AuditFrom::After(last)) => {
                assert!(next > last, "each page goes on");
                AuditFrom::After(next)
            }
            (Some(next), AuditFrom::Before(last)) => {
                assert!(next < last, "each page goes on");
                AuditFrom::Before(next)
            }
        };
    }
}

/// An organization's act of this code at this second.
fn entry(organization: OrganizationId, code: &str, at: u32) -> AuditEntry {
    AuditEntry {
        act: Act { by: Principal::Anonymous, token: None, at: Timestamp::from(at) },
        code: code.into(),
        target: format!("{organization}/{at}").into(),
        detail: "an act".parse().expect("a description"),
    }
}

/// A scene whose audit ends with these acts: whether each is the scene's organization's, whether it is a lock.
fn scene_with(audit: &[(bool, bool)]) -> (Scene, OrganizationId) {
    block_on(async {
        let scene = Scene::new().await;
        let other = OrganizationId::from_bytes([9; 16]);
        let entries: Vec<AuditEntry> = audit
            .iter()
            .zip(1000..)
            .map(|((ours, lock), at)| {
                let code = if *lock { acts::LOCK_SET } else { acts::TOKEN_ISSUED };
                entry(if *ours { scene.organization } else { other }, code, at)
            })
            .collect();
        scene.storage.append_audit(&entries).await.expect("appended");
        (scene, other)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn both_orders_give_the_same_records(
        audit in prop::collection::vec(any::<(bool, bool)>(), 0..120),
        limit in 1_usize..40,
        locks in any::<bool>(),
        since in prop::option::of(990_u32..1130),
        until in prop::option::of(990_u32..1130),
    ) {
        let (scene, other) = scene_with(&audit);
        let filter = AuditFilter {
            code: locks.then(|| acts::LOCK_SET.to_owned()),
            since: since.map(Timestamp::from),
            until: until.map(Timestamp::from),
            ..AuditFilter::default()
        };
        block_on(async {
            for place in [None, Some(scene.organization), Some(other)] {
                let oldest = all(&scene, place, &filter, AuditFrom::OLDEST, limit).await.expect("read");
                let mut newest = all(&scene, place, &filter, AuditFrom::NEWEST, limit).await.expect("read");
                newest.reverse();
                assert_eq!(newest, oldest);
                let taken = |(index, (ours, lock)): (usize, &(bool, bool))| {
                    let at = 1000 + u32::try_from(index).expect("a number");
                    place.is_none_or(|place| (place == scene.organization) == *ours)
                        && (*lock || !locks)
                        && since.is_none_or(|since| at >= since)
                        && until.is_none_or(|until| at <= until)
                };
                let expected = audit.iter().enumerate().filter(|one| taken(*one)).count();
                let ours = oldest.iter().filter(|record| &*record.entry.detail.to_string() == "an act").count();
                assert_eq!(ours, expected);
            }
        });
    }
}

#[test]
fn an_audit_longer_than_one_look_is_read_whole_from_either_end() {
    // A thousand records are looked through for one page: at, below and above that.
    for length in [999, 1000, 1001, 2050] {
        let (scene, other) = scene_with(&[]);
        block_on(async {
            let before = scene.gate.verify_audit(&OPERATOR, NOW.into()).await.expect("whole").number;
            let missing = length - usize::try_from(before).expect("a number");
            let entries: Vec<_> = (0..missing)
                .zip(0..)
                .map(|(_, at)| entry(scene.organization, acts::TOKEN_ISSUED, at))
                .collect();
            scene.storage.append_audit(&entries).await.expect("appended");
            let none = AuditFilter::default();
            let oldest = all(&scene, None, &none, AuditFrom::OLDEST, 100).await.expect("read");
            let mut newest = all(&scene, None, &none, AuditFrom::NEWEST, 100).await.expect("read");
            newest.reverse();
            assert_eq!((newest.len(), &newest), (length, &oldest));
            // Where nothing concerns the reader, a page is short and goes on, from either end.
            for from in [AuditFrom::OLDEST, AuditFrom::NEWEST] {
                let page = read(&scene, Some(other), &none, from, 100).await.expect("read");
                assert_eq!((page.items.len(), page.next.is_some()), (0, length >= 1000));
            }
        });
    }
}

#[test]
fn a_tampered_record_is_found_from_either_end() {
    let (scene, _) = scene_with(&[(true, false); 40]);
    let everything = AuditFilter::default();
    let last = block_on(scene.gate.verify_audit(&OPERATOR, NOW.into())).expect("whole").number;
    let digest_before = {
        let records = block_on(scene.storage.audit(0, usize::MAX)).expect("read");
        move |number: u64| match number {
            1 => [0; 32],
            number => records[usize::try_from(number - 2).expect("a number")].digest,
        }
    };
    let broken = |from| {
        let told = block_on(all(&scene, None, &everything, from, 7)).map(drop);
        matches!(told, Err(ManageError::Unavailable(reason)) if reason.code() == "store_corrupt")
    };
    let ends = [AuditFrom::OLDEST, AuditFrom::NEWEST];
    assert!(!ends.into_iter().any(&broken), "an untouched audit is read");
    for number in 1..=last {
        scene.faults.tamper(move |record| {
            if record.number == number {
                record.entry.target = "another".into();
            }
            true
        });
        assert!(ends.into_iter().all(&broken), "record {number} was changed");
        // The first record taken out is a beginning that is missing; the last one is only found by who knows the end.
        scene.faults.tamper(move |record| record.number != number);
        assert!(number == last || ends.into_iter().all(&broken), "record {number} was taken out");
        let digest_before = digest_before.clone();
        scene.faults.tamper(move |record| {
            if record.number == number {
                record.entry.target = "another".into();
                record.digest = chain_digest(&digest_before(number), number, &record.entry);
            }
            true
        });
        assert!(
            number == last || ends.into_iter().all(&broken),
            "record {number} was changed with its digest"
        );
        if number < last {
            // A page that begins right behind it, too: the record that it goes on from is read again.
            let told = block_on(read(&scene, None, &everything, AuditFrom::Before(number + 1), 3));
            assert!(matches!(told, Err(ManageError::Unavailable(_))), "record {number}: {told:?}");
        }
    }
    scene.faults.mend();
    assert!(!ends.into_iter().any(&broken));
}

#[test]
fn a_page_begins_where_it_is_told_to() {
    let (scene, _) = scene_with(&[(true, false); 5]);
    block_on(async {
        let none = AuditFilter::default();
        let last = scene.gate.verify_audit(&OPERATOR, NOW.into()).await.expect("whole").number;
        let numbers = async |from, limit| -> Vec<u64> {
            let page = read(&scene, None, &none, from, limit).await.expect("read");
            page.items.iter().map(|record| record.number).collect()
        };
        assert_eq!(numbers(AuditFrom::NEWEST, 2).await, [last, last - 1]);
        assert_eq!(numbers(AuditFrom::Before(last), 2).await, [last - 1, last - 2]);
        assert_eq!(numbers(AuditFrom::Before(3), 9).await, [2, 1]);
        for nothing in
            [AuditFrom::Before(1), AuditFrom::Before(0), AuditFrom::After(last), AuditFrom::After(last + 9)]
        {
            assert_eq!(numbers(nothing, 9).await, [0; 0], "{nothing:?}");
        }
        assert_eq!(numbers(AuditFrom::Before(last + 9), 1).await, [last], "nothing lies beyond the end");
    });
}
