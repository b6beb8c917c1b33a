//! Revisions: numbers that grow with every committed change that a node may already hold.

use std::fmt;

/// One life of a store. A restore or a failover begins another, and what a node holds from an earlier one is void.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// `(epoch, number)`. Two revisions of different epochs have no order, so there is no `Ord`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision {
    /// The life of the store.
    pub epoch: Epoch,
    /// Grows by one with each committed change of that life, without gaps.
    pub number: u64,
}

impl Revision {
    /// Whether a node that holds this revision has seen the change that `other` acknowledged.
    pub fn includes(self, other: Self) -> bool {
        self.epoch == other.epoch && self.number >= other.number
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.epoch.0, self.number)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({self})")
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({:x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_of_another_epoch_includes_nothing() {
        let old = Revision { epoch: Epoch(1), number: 9 };
        assert!(old.includes(Revision { number: 9, ..old }));
        assert!(!old.includes(Revision { number: 10, ..old }));
        assert!(!Revision { epoch: Epoch(2), number: 99 }.includes(old));
    }
}
