//! Releases and closures.

use std::collections::BTreeMap;

use super::fixtures::{
    act, at, closure, closures, furnish, key, release, release_record, trace, untouched, version, workspace,
    workspace_record,
};
use super::outcome::{Refusal, Violation, equal, refused};
use crate::ReleaseRecord;

cases! {
    /// A release is found by its version, whole.
    async fn a_release_reads_back(storage) {
        furnish(&*storage).await?;
        let record = ReleaseRecord {
            version: version("0.1.494976+rev-abc")?,
            key: key(&[0, 1, 255])?,
            ..release_record(1, 1, "1.0.0")?
        };
        equal("an unknown release", &storage.release(record.workspace, &record.version).await?, &None)?;
        storage.publish_release(&record, &[(closure(1), key(b"a")?)], &act(7)).await?;
        let found = storage.release(record.workspace, &record.version).await?;
        equal("the release", &found, &Some(record.clone()))?;
        let other = storage.release(workspace(1), &version("0.1.494976+rev-abd")?).await?;
        equal("of other build metadata", &other, &None)?;
        equal("elsewhere", &storage.release(workspace(2), &record.version).await?, &None)?;
    }

    /// A release that is there is never changed by another publication, and neither is a closure.
    async fn a_release_never_changes(storage) {
        furnish(&*storage).await?;
        let record = release_record(1, 1, "1.0.0")?;
        storage.publish_release(&record, &[(closure(1), key(b"a")?)], &act(1)).await?;
        let before = trace(&*storage).await?;
        let impostors = [
            release_record(2, 1, "1.0.0")?,
            ReleaseRecord { id: release(1), ..release_record(2, 1, "2.0.0")? },
            ReleaseRecord { closures: closures(1), ..release_record(2, 1, "2.0.0")? },
            ReleaseRecord { closures: closures(1), ..release_record(2, 2, "2.0.0")? },
            // Two outputs, and one closure for both.
            ReleaseRecord { closures: [("a".into(), closure(3)), ("b".into(), closure(3))].into(), ..release_record(2, 1, "2.0.0")? },
        ];
        for impostor in impostors {
            let needed = [1, 2, 3].map(|set| Ok((closure(set), key(b"b")?)));
            let needed = needed.into_iter().collect::<Result<Vec<_>, Violation>>()?;
            let answer = storage.publish_release(&impostor, &needed, &act(2)).await;
            refused(&format!("{impostor:?}"), answer, Refusal::Exists)?;
        }
        equal("the releases", &storage.releases(workspace(1)).await?, &vec![record])?;
        equal("the other ones", &storage.releases(workspace(2)).await?, &Vec::new())?;
        for place in [1, 2] {
            let added = storage.closures_of(workspace(place), &key(b"b")?).await?;
            equal("the closures of what an impostor brought", &added, &Vec::new())?;
        }
        untouched(&*storage, before).await?;
    }

    /// A release is published in a workspace that exists.
    async fn a_release_needs_its_workspace(storage) {
        furnish(&*storage).await?;
        let record = release_record(1, 9, "1.0.0")?;
        let answer = storage.publish_release(&record, &[(closure(1), key(b"a")?)], &act(1)).await;
        refused("a release of nowhere", answer, Refusal::Missing)?;
        equal("the releases", &storage.releases(workspace(9)).await?, &Vec::new())?;
        equal("the closures", &storage.closures_of(workspace(9), &key(b"a")?).await?, &Vec::new())?;
    }

    /// A withdrawn release says since when, and is still there.
    async fn a_yanked_release_stays_listed(storage) {
        furnish(&*storage).await?;
        let record = release_record(1, 1, "1.0.0")?;
        storage.publish_release(&record, &[(closure(1), key(b"a")?)], &act(1)).await?;
        storage.yank_release(workspace(1), &record.version, &act(50)).await?;
        let yanked = ReleaseRecord { yanked_at: Some(at(50)), ..record };
        let found = storage.release(workspace(1), &yanked.version).await?;
        equal("the release", &found, &Some(yanked.clone()))?;
        equal("the releases", &storage.releases(workspace(1)).await?, &vec![yanked])?;
    }

    /// Withdrawing what is withdrawn changes nothing, not even since when.
    async fn yanking_again_changes_nothing(storage) {
        furnish(&*storage).await?;
        let record = release_record(1, 1, "1.0.0")?;
        storage.publish_release(&record, &[], &act(1)).await?;
        storage.yank_release(workspace(1), &record.version, &act(50)).await?;
        let before = trace(&*storage).await?;
        storage.yank_release(workspace(1), &record.version, &act(60)).await?;
        let found = storage.release(workspace(1), &record.version).await?;
        equal("since when", &found.and_then(|found| found.yanked_at), &Some(at(50)))?;
        untouched(&*storage, before).await?;
    }

    /// What is not there is not withdrawn.
    async fn yanking_needs_the_release(storage) {
        furnish(&*storage).await?;
        storage.publish_release(&release_record(1, 1, "1.0.0")?, &[], &act(1)).await?;
        for (place, text) in [(1, "1.0.1"), (2, "1.0.0"), (9, "1.0.0")] {
            let answer = storage.yank_release(workspace(place), &version(text)?, &act(1)).await;
            refused("no release", answer, Refusal::Missing)?;
        }
    }

    /// Releases are listed as versions, not as texts, of one workspace alone.
    async fn releases_are_listed_by_ascending_version(storage) {
        furnish(&*storage).await?;
        let ascending = ["0.9.0", "1.0.0-alpha", "1.0.0-alpha.2", "1.0.0-alpha.10", "1.0.0", "1.9.0", "1.10.0"];
        for (text, number) in ascending.iter().rev().zip(1..) {
            let there = ReleaseRecord { closures: BTreeMap::new(), ..release_record(number, 1, text)? };
            storage.publish_release(&there, &[], &act(1)).await?;
            let elsewhere = ReleaseRecord { closures: BTreeMap::new(), ..release_record(100 + number, 2, text)? };
            storage.publish_release(&elsewhere, &[], &act(1)).await?;
        }
        storage.yank_release(workspace(1), &version("1.0.0")?, &act(2)).await?;
        let found = storage.releases(workspace(1)).await?;
        check!(found.iter().all(|found| found.workspace == workspace(1)), "another workspace's: {found:?}");
        let found: Vec<String> = found.iter().map(|found| found.version.to_string()).collect();
        equal("the versions", &found, &ascending.map(str::to_owned).into())?;
    }

    /// The closures that hold a key are listed by ascending id, those of withdrawn releases included.
    async fn closures_are_listed_by_ascending_id(storage) {
        furnish(&*storage).await?;
        let (shared, own) = (key(b"shared")?, key(b"own")?);
        for (number, text) in [(5, "1.0.0"), (3, "2.0.0"), (9, "3.0.0")] {
            let keys = [shared.clone(), key(&[number])?, shared.clone()].map(|key| (closure(number), key));
            storage.publish_release(&release_record(number, 1, text)?, &keys, &act(1)).await?;
        }
        storage.publish_release(&release_record(7, 1, "4.0.0")?, &[(closure(7), own)], &act(1)).await?;
        storage.yank_release(workspace(1), &version("2.0.0")?, &act(1)).await?;
        let found = storage.closures_of(workspace(1), &shared).await?;
        equal("of the shared key", &found, &vec![closure(3), closure(5), closure(9)])?;
        equal("of one's own", &storage.closures_of(workspace(1), &key(&[5])?).await?, &vec![closure(5)])?;
        equal("of no key", &storage.closures_of(workspace(1), &key(b"share")?).await?, &Vec::new())?;
    }

    /// A closure of one workspace opens nothing in another.
    async fn closures_stay_within_their_workspace(storage) {
        furnish(&*storage).await?;
        storage.create_workspace(&workspace_record(3, 1)?, &act(1)).await?;
        let shared = key(b"shared")?;
        for number in [1, 2] {
            let needed = [(closure(number), shared.clone())];
            storage.publish_release(&release_record(number, number, "1.0.0")?, &needed, &act(1)).await?;
        }
        for (place, expected) in [(1, vec![closure(1)]), (2, vec![closure(2)]), (3, vec![]), (9, vec![])] {
            let found = storage.closures_of(workspace(place), &shared).await?;
            equal(&format!("the closures in {place}"), &found, &expected)?;
        }
    }

    /// What one output needs opens nothing of another.
    async fn each_output_has_a_closure_of_its_own(storage) {
        furnish(&*storage).await?;
        let record = ReleaseRecord {
            closures: [("lib".into(), closure(4)), ("bin".into(), closure(2))].into(),
            ..release_record(1, 1, "1.0.0")?
        };
        let (shared, own) = (key(b"shared")?, key(b"own")?);
        let needed = [(closure(4), shared.clone()), (closure(2), own.clone()), (closure(2), shared.clone())];
        storage.publish_release(&record, &needed, &act(1)).await?;
        equal("of both", &storage.closures_of(workspace(1), &shared).await?, &vec![closure(2), closure(4)])?;
        equal("of one", &storage.closures_of(workspace(1), &own).await?, &vec![closure(2)])?;
        equal("the release", &storage.release(workspace(1), &record.version).await?, &Some(record.clone()))?;
        equal("the releases", &storage.releases(workspace(1)).await?, &vec![record])?;
    }

    /// Where no closure was recorded, no key is in one.
    async fn a_release_without_closure_keeps_no_keys(storage) {
        furnish(&*storage).await?;
        let record = ReleaseRecord { closures: BTreeMap::new(), ..release_record(1, 1, "1.0.0")? };
        storage.publish_release(&record, &[(closure(1), key(b"a")?)], &act(1)).await?;
        equal("the closures", &storage.closures_of(workspace(1), &key(b"a")?).await?, &Vec::new())?;
        equal("the release", &storage.releases(workspace(1)).await?, &vec![record])?;
    }
}
