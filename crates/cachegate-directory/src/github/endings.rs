//! What webhooks told of lately: a pull that was on its way meanwhile knows nothing of it.

use cachegate_storage::{Storage, StoreError};
use cachegate_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::webhook::Ended;

/// What ended in each organization.
const SCOPE: &str = "github-endings";

/// So many endings are remembered one by one. A pull that more of them overtook adds nobody.
const REMEMBERED: usize = 256;

/// How often a change is tried again that another node was faster with.
const TRIES: usize = 64;

/// What ended in one organization.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    /// How many endings there were so far.
    count: u64,
    /// The last of them, oldest first.
    recent: Vec<Ended>,
}

impl Kept {
    fn push(&mut self, ended: Ended) {
        self.count += 1;
        self.recent.push(ended);
        let surplus = self.recent.len().saturating_sub(REMEMBERED);
        self.recent.drain(..surplus);
    }

    fn since(&self, count: u64) -> Overtaken {
        let count = usize::try_from(self.count.saturating_sub(count)).unwrap_or(usize::MAX);
        match self.recent.len().checked_sub(count) {
            Some(first) => Overtaken(self.recent.get(first..).unwrap_or_default().to_vec()),
            None => Overtaken(vec![Ended::Everything]),
        }
    }
}

/// What ended while a pull read: it may know nothing of that.
pub(super) struct Overtaken(Vec<Ended>);

impl Overtaken {
    pub(super) fn member(&self, person: u64) -> bool {
        self.0.iter().any(|ended| *ended == Ended::Member(person) || *ended == Ended::Everything)
    }

    pub(super) fn team(&self, team: u64) -> bool {
        self.0.iter().any(|ended| *ended == Ended::Team(team) || *ended == Ended::Everything)
    }

    pub(super) fn team_member(&self, team: u64, person: u64) -> bool {
        let ended = Ended::TeamMember { team, person };
        self.member(person) || self.team(team) || self.0.contains(&ended)
    }
}

/// The endings of one organization.
pub(super) struct Endings<'s> {
    pub(super) storage: &'s dyn Storage,
    pub(super) key: &'s [u8],
}

impl Endings<'_> {
    /// How many there were so far.
    pub(super) async fn count(&self) -> Result<u64, StoreError> {
        Ok(self.read().await?.count)
    }

    /// Those since there were so many.
    pub(super) async fn since(&self, count: u64) -> Result<Overtaken, StoreError> {
        Ok(self.read().await?.since(count))
    }

    /// One more.
    pub(super) async fn push(&self, ended: Ended) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let before = self.storage.pending(SCOPE, self.key).await?;
            let mut kept = decode(before.as_deref())?;
            kept.push(ended);
            let after = serde_json::to_vec(&kept).map_err(|error| corrupt(&error))?;
            let pushed = match &before {
                None => self.storage.put_pending(SCOPE, self.key, &after, Timestamp::MAX).await?,
                Some(before) => self.storage.change_pending(SCOPE, self.key, before, &after).await?,
            };
            if pushed {
                return Ok(());
            }
        }
        Err(StoreError::Unavailable { detail: "too many endings at once".to_owned() })
    }

    async fn read(&self) -> Result<Kept, StoreError> {
        decode(self.storage.pending(SCOPE, self.key).await?.as_deref())
    }
}

fn decode(bytes: Option<&[u8]>) -> Result<Kept, StoreError> {
    bytes.map_or(Ok(Kept::default()), |bytes| serde_json::from_slice(bytes).map_err(|error| corrupt(&error)))
}

fn corrupt(error: &serde_json::Error) -> StoreError {
    StoreError::Corrupt { what: "endings", detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_counted_too_long_ago_to_be_told_apart_is_told_that_everything_ended() {
        let mut kept = Kept::default();
        for person in 1..=300 {
            kept.push(Ended::Member(person));
        }
        assert!(kept.since(299).member(300) && !kept.since(299).member(299));
        assert!(!kept.since(300).member(300), "what ended before the count is known");
        assert!(kept.since(44).member(45) && !kept.since(44).member(301));
        assert!(kept.since(43).member(301), "one more than is remembered");
        assert!(kept.since(43).team_member(1, 301) && kept.since(43).team(1));
    }
}
