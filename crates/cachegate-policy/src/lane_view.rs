//! Which lanes a credential reads in a workspace, and which one it writes.

use cachegate_types::{Lane, LaneClass};

use crate::WorkspaceSettings;

/// What one lane lets its holder see: the lane itself, then its base, then the shared lanes above it in the
/// workspace's order. Follows from the lane alone: no grant and no request adds to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LaneView {
    // The own lane first. Each with its rank: 0 is the most trusted.
    lanes: Vec<(u8, Lane)>,
    generation: u32,
}

impl LaneView {
    /// The view from `own`.
    ///
    /// `base` is the lane of the branch that a pull request is against, where the platform's verified facts name
    /// it. It counts for a `pull` lane alone, and only where it is more trusted than that lane and is either a branch
    /// that the same source vouches for or a lane that everyone reads. `member` says whether the reader is a member
    /// user: they alone read `dev` from another lane.
    pub fn new(settings: &WorkspaceSettings, own: &Lane, base: Option<&Lane>, member: bool) -> Self {
        let rank = |lane: &Lane| settings.lanes.rank(lane.class());
        let own_rank = rank(own);
        let mut lanes = vec![(own_rank, own.clone())];
        let above = |lane: &Lane| rank(lane) < own_rank;
        if let Some(base) = base.filter(|base| own.class() == LaneClass::Pull && above(base)) {
            let readable = match base.class() {
                LaneClass::Release | LaneClass::Main => true,
                // Without a source nobody vouches that the two are of one repository.
                LaneClass::Branch => own.source().is_some() && base.source() == own.source(),
                LaneClass::Dev | LaneClass::Pull | LaneClass::Own | LaneClass::Anonymous => false,
            };
            if readable {
                lanes.push((rank(base), base.clone()));
            }
        }
        for class in settings.lanes.classes() {
            let shared = match class {
                LaneClass::Release => Lane::release(),
                LaneClass::Main => Lane::main(),
                LaneClass::Dev if member => Lane::dev(),
                LaneClass::Dev
                | LaneClass::Branch
                | LaneClass::Pull
                | LaneClass::Own
                | LaneClass::Anonymous => continue,
            };
            if above(&shared) && !lanes.iter().any(|(_, held)| *held == shared) {
                lanes.push((rank(&shared), shared));
            }
        }
        Self { lanes, generation: settings.lane_generation }
    }

    /// The one lane that its holder may write, when the holder may write at all.
    pub fn own(&self) -> Option<&Lane> {
        self.lanes.first().map(|(_, lane)| lane)
    }

    /// The lanes to read, in the order in which to look, that are at least as trusted as rank `floor`.
    pub(crate) fn down_to(&self, floor: u8) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().filter(move |(rank, _)| *rank <= floor).map(|(_, lane)| lane)
    }

    /// All lanes to read, in the order in which to look.
    pub fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.down_to(u8::MAX)
    }

    /// The generation of the workspace's lane order that it was made under.
    pub fn generation(&self) -> u32 {
        self.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(own: &str, base: Option<&str>, member: bool) -> Vec<String> {
        let base = base.map(|base| base.parse().expect("a lane"));
        let own = own.parse().expect("a lane");
        LaneView::new(&WorkspaceSettings::default(), &own, base.as_ref(), member)
            .lanes()
            .map(Lane::to_string)
            .collect()
    }

    #[test]
    fn a_reader_sees_its_own_lane_and_the_shared_lanes_above_it() {
        assert_eq!(view("release", None, true), ["release"]);
        assert_eq!(view("main", None, true), ["main", "release"]);
        assert_eq!(view("dev", None, true), ["dev", "release", "main"]);
        assert_eq!(view("pull/17", None, false), ["pull/17", "release", "main"]);
        assert_eq!(view("pull/17", None, true), ["pull/17", "release", "main", "dev"]);
        assert_eq!(view("anonymous", None, false), ["anonymous", "release", "main"]);
    }

    #[test]
    fn a_pull_request_reads_its_base_branch_of_the_same_source_alone() {
        let own = "pull/@github:1/17";
        let with = |base| view(own, Some(base), false);
        assert_eq!(with("branch/@github:1/next"), [own, "branch/@github:1/next", "release", "main"]);
        assert_eq!(with("branch/@github:2/next"), [own, "release", "main"]);
        assert_eq!(with("branch/next"), [own, "release", "main"]);
        assert_eq!(with("pull/@github:1/18"), [own, "release", "main"]);
        assert_eq!(with("main"), [own, "main", "release"]);
        assert_eq!(with("dev"), [own, "release", "main"]);
    }

    #[test]
    fn a_base_that_no_source_vouches_for_is_not_read() {
        assert_eq!(view("pull/17", Some("branch/next"), false), ["pull/17", "release", "main"]);
    }

    #[test]
    fn only_a_pull_request_reads_a_base() {
        assert_eq!(view("own/1", Some("branch/next"), false), ["own/1", "release", "main"]);
        let own = "own/@github:1/1";
        assert_eq!(view(own, Some("branch/@github:1/next"), false), [own, "release", "main"]);
    }
}
