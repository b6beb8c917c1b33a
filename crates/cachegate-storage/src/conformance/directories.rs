//! What directories told.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;

use cachegate_types::GroupId;
use futures_executor::block_on;

use super::fixtures::{act, name, organization, user};
use super::outcome::{Outcome, Refusal, Violation, equal, refused};
use crate::{
    Directories, DirectoryId, DirectoryKey, DirectoryKind, DirectoryRecord, DirectoryTarget, Storage, acts,
};

/// A store that keeps what directories told too.
pub trait DirectoryStore: Directories + Storage {}

impl<T: Directories + Storage + ?Sized> DirectoryStore for T {}

/// One case, over a fresh and empty store.
pub type DirectoryCaseFn = fn(Arc<dyn DirectoryStore>) -> Pin<Box<dyn Future<Output = Outcome> + Send>>;

fn directory(text: &str) -> Result<DirectoryId, Violation> {
    Ok(DirectoryId { organization: organization(1), name: name(text)? })
}

/// A user, with an external id and a name of its own.
fn told(name: &str, id: &str, number: u8) -> Result<DirectoryRecord, Violation> {
    Ok(DirectoryRecord {
        directory: directory(name)?,
        id: id.into(),
        external: Some(format!("external-{id}").into()),
        name: Some(format!("name-{id}").into()),
        target: DirectoryTarget::Person(user(number)),
        document: vec![number, 0, 255],
        version: 1,
    })
}

macro_rules! directory_cases {
    ($($(#[$doc:meta])* async fn $name:ident($store:ident) $body:block)*) => {
        $(
            $(#[$doc])*
            pub async fn $name($store: Arc<dyn DirectoryStore>) -> Outcome {
                $body
                Ok(())
            }
        )*

        /// Every case for a store that keeps what directories told, by its name.
        pub const DIRECTORY_CASES: &[(&str, DirectoryCaseFn)] =
            &[$((stringify!($name), |store| Box::pin($name(store)))),*];
    };
}

directory_cases! {
    /// Whoever writes must have read what is there.
    async fn a_directorys_record_needs_the_expected_version(store) {
        let record = told("okta", "a", 1)?;
        refused("an absent one", store.put_record(&record, Some(1), &act(5)).await, Refusal::Precondition)?;
        equal("the first version", &store.put_record(&record, None, &act(5)).await?, &1)?;
        refused("one that is there", store.put_record(&record, None, &act(5)).await, Refusal::Precondition)?;
        let second = DirectoryRecord { document: vec![7], version: 9, ..told("okta", "a", 2)? };
        equal("the second version", &store.put_record(&second, Some(1), &act(6)).await?, &2)?;
        refused("an old one", store.put_record(&record, Some(1), &act(7)).await, Refusal::Precondition)?;
        let found = store.record(&record.directory, DirectoryKind::Person, DirectoryKey::Id("a")).await?;
        equal("the record", &found, &Some(DirectoryRecord { version: 2, ..second }))?;
    }

    /// Of many who change one record at once, one does.
    async fn one_of_many_racing_writers_of_a_record_wins(store) {
        let record = told("okta", "a", 1)?;
        store.put_record(&record, None, &act(5)).await?;
        for round in 1..=4 {
            let answers = thread::scope(|scope| {
                let threads: Vec<_> = (0..8)
                    .map(|_| {
                        let (store, record) = (&store, &record);
                        scope.spawn(move || block_on(store.put_record(record, Some(round), &act(5))))
                    })
                    .collect();
                threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
            });
            let done = answers.iter().filter(|answer| answer.is_ok()).count();
            equal("the answers", &(answers.len(), done), &(8, 1))?;
        }
    }

    /// Absent ones are nobody's.
    async fn external_ids_and_names_are_unique_in_a_directory(store) {
        let first = told("okta", "a", 1)?;
        store.put_record(&first, None, &act(5)).await?;
        let same_external = DirectoryRecord { external: first.external.clone(), ..told("okta", "b", 2)? };
        refused("an external id", store.put_record(&same_external, None, &act(5)).await, Refusal::Exists)?;
        let same_name = DirectoryRecord { name: first.name.clone(), ..told("okta", "b", 2)? };
        refused("a name", store.put_record(&same_name, None, &act(5)).await, Refusal::Exists)?;
        for id in ["c", "d"] {
            let bare = DirectoryRecord { external: None, name: None, ..told("okta", id, 3)? };
            store.put_record(&bare, None, &act(5)).await?;
        }
        let taken = DirectoryRecord { name: first.name.clone(), ..told("okta", "d", 3)? };
        refused("later", store.put_record(&taken, Some(1), &act(5)).await, Refusal::Exists)?;
        store.put_record(&first, Some(1), &act(6)).await?;
    }

    /// Nothing of one is seen in another.
    async fn directories_and_kinds_are_told_apart(store) {
        let user = told("okta", "a", 1)?;
        let group = DirectoryRecord {
            target: DirectoryTarget::Group(GroupId::from_bytes([4; 16])),
            ..told("okta", "a", 1)?
        };
        let other = told("entra", "a", 2)?;
        let elsewhere = DirectoryId { organization: organization(2), ..directory("okta")? };
        let elsewhere = DirectoryRecord { directory: elsewhere, ..told("okta", "a", 3)? };
        let all = [user, group, other, elsewhere];
        for record in &all {
            store.put_record(record, None, &act(5)).await?;
        }
        for record in &all {
            let found = store.records(&record.directory, record.target.kind(), None, 10).await?;
            equal("the records", &found, &vec![record.clone()])?;
        }
    }

    /// And by no other text.
    async fn a_directorys_record_is_found_by_each_of_its_keys(store) {
        let record = told("okta", "a", 1)?;
        store.put_record(&record, None, &act(5)).await?;
        store.put_record(&told("okta", "b", 2)?, None, &act(5)).await?;
        let keys = [
            DirectoryKey::Id("a"),
            DirectoryKey::External("external-a"),
            DirectoryKey::Name("name-a"),
        ];
        for key in keys {
            let found = store.record(&record.directory, DirectoryKind::Person, key).await?;
            equal("the record", &found, &Some(record.clone()))?;
        }
        for key in [DirectoryKey::Id("A"), DirectoryKey::External("a"), DirectoryKey::Name("name-A")] {
            let found = store.record(&record.directory, DirectoryKind::Person, key).await?;
            equal("nothing", &found, &None)?;
        }
    }

    /// Each once, whatever was added in which order.
    async fn a_directorys_records_page_by_ascending_id(store) {
        for (id, number) in [("c", 3), ("a", 1), ("b", 2), ("B", 4)] {
            store.put_record(&told("okta", id, number)?, None, &act(5)).await?;
        }
        let place = directory("okta")?;
        let mut seen: Vec<Arc<str>> = Vec::new();
        loop {
            let after = seen.last().cloned();
            let part = store.records(&place, DirectoryKind::Person, after.as_deref(), 2).await?;
            if part.is_empty() {
                break;
            }
            seen.extend(part.into_iter().map(|record| record.id));
        }
        equal("the ids", &seen, &["B", "a", "b", "c"].map(Arc::from).to_vec())?;
    }

    /// What changed meanwhile stays.
    async fn a_directorys_record_is_removed_as_it_was_read(store) {
        let (record, kind) = (told("okta", "a", 1)?, DirectoryKind::Person);
        let place = &record.directory;
        refused("none", store.remove_record(place, kind, "a", 1, &act(5)).await, Refusal::Missing)?;
        store.put_record(&record, None, &act(5)).await?;
        store.put_record(&record, Some(1), &act(5)).await?;
        refused("an old one", store.remove_record(place, kind, "a", 1, &act(5)).await, Refusal::Precondition)?;
        store.remove_record(place, kind, "a", 2, &act(6)).await?;
        equal("the records", &store.records(place, kind, None, 10).await?, &Vec::new())?;
        equal("anew", &store.put_record(&record, None, &act(7)).await?, &1)?;
    }

    /// What was refused leaves none.
    async fn a_directorys_record_leaves_one_audit_record_each_time(store) {
        let record = told("okta", "a", 1)?;
        store.put_record(&record, None, &act(5)).await?;
        refused("again", store.put_record(&record, None, &act(6)).await, Refusal::Precondition)?;
        store.remove_record(&record.directory, DirectoryKind::Person, "a", 1, &act(7)).await?;
        let found: Vec<_> = store.audit(0, 10).await?.into_iter().map(|record| record.entry).collect();
        let expected = vec![
            acts::put_directory_record(&record, &act(5)),
            acts::remove_directory_record(&record, &act(7)),
        ];
        equal("the audit", &found, &expected)?;
    }
}
