//! How many entries a mark of distrust would make a miss, told before it is set.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cachegate::{Gate, Labelled, Unavailable};
use cachegate_console::{CountEntries, Counted};
use cachegate_storage::MarkScope;
use cachegate_types::WorkspaceId;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::entries::{Entries, Place};
use crate::log::note;

/// How many entries one count looks at: an administrator waits for it, and a label takes some ten microseconds.
const MOST: u64 = 200_000;

/// How long one count takes at most.
const LONGEST: Duration = Duration::from_secs(2);

/// Counts entries by the labels that lie beside them.
#[derive(Debug)]
pub(crate) struct Counting {
    gate: Gate,
    entries: Arc<Entries>,
    most: u64,
    longest: Duration,
    /// One count at a time: others wait for it, and the disk is the builds'.
    one: Arc<Mutex<()>>,
}

impl Counting {
    pub(crate) fn new(gate: Gate, entries: Arc<Entries>) -> Self {
        Self { gate, entries, most: MOST, longest: LONGEST, one: Arc::default() }
    }
}

#[async_trait]
impl CountEntries for Counting {
    async fn distrusted(&self, workspaces: &[WorkspaceId], scope: &MarkScope) -> Option<Counted> {
        let one = Arc::clone(&self.one).lock_owned().await;
        let (gate, entries, workspaces) = (self.gate.clone(), Arc::clone(&self.entries), workspaces.to_vec());
        let (scope, most, longest) = (scope.clone(), self.most, self.longest);
        let runtime = Handle::current();
        let counted = tokio::task::spawn_blocking(move || {
            // Whoever asked may be gone meanwhile: the next count begins when this one has ended all the same.
            let _one = one;
            let until = Instant::now() + longest;
            let foresee = |label: &[u8]| runtime.block_on(gate.foresee_distrust(label, &scope));
            count(&entries, &workspaces, most, foresee, || Instant::now() >= until)
        });
        match counted.await {
            Ok(Ok(counted)) => Some(counted),
            Ok(Err(error)) => {
                note(&format!("the entries of a distrusted writer are not counted: {error}"));
                None
            }
            Err(error) => {
                note(&format!("the entries of a distrusted writer are not counted: {error}"));
                None
            }
        }
    }
}

/// Why nothing was counted.
#[derive(Debug, thiserror::Error)]
enum CountError {
    #[error(transparent)]
    Read(#[from] std::io::Error),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Counts what `foresee` would have refused, looking at no more than `most` entries and no longer than `late` lets it.
fn count(
    entries: &Entries,
    workspaces: &[WorkspaceId],
    most: u64,
    mut foresee: impl FnMut(&[u8]) -> Result<Option<Labelled>, Unavailable>,
    late: impl Fn() -> bool,
) -> Result<Counted, CountError> {
    let (mut found, mut looked) = (0, 0);
    let mut failed = None;
    for workspace in workspaces {
        let ended = entries.labels(*workspace, |place, label| {
            if looked == most || late() {
                return ControlFlow::Break(());
            }
            looked += 1;
            match foresee(label) {
                // A label that lies elsewhere than it was made for is a miss as it is.
                Ok(Some(of)) if of.workspace == *workspace && is_at(entries, &of, place) => found += 1,
                Ok(_) => {}
                Err(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        if ended.is_break() {
            return Ok(Counted::AtLeast(found));
        }
    }
    Ok(Counted::Exactly(found))
}

fn is_at(entries: &Entries, of: &Labelled, place: &Place) -> bool {
    entries.place(of.workspace, &of.lane, of.lane_generation, &of.key) == *place
}

#[cfg(test)]
mod tests {
    use cachegate_types::{EntryKey, Lane};
    use tempfile::TempDir;

    use super::*;

    fn workspace(number: u8) -> WorkspaceId {
        WorkspaceId::from_bytes([number; 16])
    }

    /// What a label of these tests says: the workspace's number and the key.
    fn labelled(label: &[u8]) -> Option<Labelled> {
        let (number, key) = label.split_first()?;
        Some(Labelled {
            workspace: workspace(*number),
            lane: Lane::main(),
            lane_generation: 0,
            key: EntryKey::new(key).ok()?,
        })
    }

    fn kept(entries: &Entries, number: u8, key: &str, generation: u32, label: &[u8]) {
        let labelled = labelled(&[&[number], key.as_bytes()].concat()).expect("a label");
        let place = entries.place(labelled.workspace, &labelled.lane, 0, &labelled.key);
        let body = entries.receive(b"").expect("a file");
        body.keep(&place, generation, label).expect("kept");
    }

    #[test]
    fn a_count_stops_at_its_number_and_at_its_time() {
        let folder = TempDir::new().expect("a folder");
        let entries = Entries::open(folder.path()).expect("entries");
        for key in 0..10 {
            let key = format!("key {key}");
            kept(&entries, 1, &key, 0, &[b"\x01", key.as_bytes()].concat());
        }
        let both = [workspace(2), workspace(1)];
        let count = |most, late: &dyn Fn() -> bool| {
            count(&entries, &both, most, |label| Ok(labelled(label)), late).expect("counted")
        };
        assert_eq!(count(11, &|| false), Counted::Exactly(10));
        assert_eq!(count(10, &|| false), Counted::Exactly(10));
        assert_eq!(count(9, &|| false), Counted::AtLeast(9));
        assert_eq!(count(0, &|| false), Counted::AtLeast(0));
        assert_eq!(count(99, &|| true), Counted::AtLeast(0));
        let asked = std::cell::Cell::new(0);
        let after_three = || {
            asked.set(asked.get() + 1);
            asked.get() > 3
        };
        assert_eq!(count(99, &after_three), Counted::AtLeast(3));
    }

    #[test]
    fn only_the_newest_generation_in_its_own_place_is_counted() {
        let folder = TempDir::new().expect("a folder");
        let entries = Entries::open(folder.path()).expect("entries");
        let counted =
            || count(&entries, &[workspace(1)], 99, |label| Ok(labelled(label)), || false).expect("counted");
        assert_eq!(counted(), Counted::Exactly(0), "no folder yet");
        kept(&entries, 1, "a", 0, b"\x01a");
        assert_eq!(counted(), Counted::Exactly(1));
        kept(&entries, 1, "a", 9, b"\x01a");
        kept(&entries, 1, "a", 10, b"");
        assert_eq!(counted(), Counted::Exactly(0), "the newest has no label, and older ones never come back");
        kept(&entries, 1, "b", 0, b"\x01c");
        kept(&entries, 1, "d", 0, b"\x02d");
        kept(&entries, 2, "e", 0, b"\x02e");
        assert_eq!(counted(), Counted::Exactly(0), "labels of other entries, and another workspace");
        let unknown = |_: &[u8]| Err(Unavailable::Store { detail: "gone".to_owned() });
        assert!(count(&entries, &[workspace(1)], 99, unknown, || false).is_err());
    }
}
