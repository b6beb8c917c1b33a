//! What a workspace's administrators choose.

use cachegate_types::{AccessLevel, Lane, LaneClass};

/// The settings of a workspace. The defaults are the safe end of each choice that has one.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default, rename_all = "snake_case"))]
pub struct WorkspaceSettings {
    /// What a request without a credential may do. Default: nothing.
    pub anonymous: AccessLevel,
    /// What cuts the use of entries and releases by personal tokens; `none` turns them off here. Below read-write
    /// it also takes `replace`, `delete` and `publish`, and never `administer`. Default: read-write.
    pub personal: AccessLevel,
    /// The lane of personal tokens. Default: `dev`.
    pub personal_lane: PersonalLane,
    /// Which members the workspace is open to. Default: all of them.
    pub open_to: OpenTo,
    /// What becomes of a read-only CI token's writes. Default: refused.
    pub read_only_ci_writes: ReadOnlyCiWrites,
    /// The order of trust of the lanes.
    pub lanes: LaneOrder,
    /// Grows when the order changes: what was stored under another order is not read under this one.
    pub lane_generation: u32,
}

impl Default for WorkspaceSettings {
    fn default() -> Self {
        Self {
            anonymous: AccessLevel::None,
            personal: AccessLevel::ReadWrite,
            personal_lane: PersonalLane::Dev,
            open_to: OpenTo::Members,
            read_only_ci_writes: ReadOnlyCiWrites::Refuse,
            lanes: LaneOrder::default(),
            lane_generation: 0,
        }
    }
}

/// The lane that personal tokens write.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum PersonalLane {
    /// `dev`: read by member users, never by CI.
    #[default]
    Dev,
    /// `main`: every member's machine can then mislead every build.
    Main,
}

impl PersonalLane {
    /// The lane.
    pub fn lane(self) -> Lane {
        match self {
            Self::Dev => Lane::dev(),
            Self::Main => Lane::main(),
        }
    }
}

/// Which members of the organization a workspace is open to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum OpenTo {
    /// All of them, read-write.
    #[default]
    Members,
    /// The people and groups that it lists, each with what the list says.
    Listed,
}

/// What becomes of a read-only CI token's writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum ReadOnlyCiWrites {
    /// They are refused, and so are those of sessions that were exchanged for one while the setting was another.
    #[default]
    Refuse,
    /// A session that was exchanged for such a token also writes `own/<session id>`, which nobody else reads. The
    /// bare token, which several jobs share and which proves no run, is still refused.
    OwnLane,
}

/// The lane classes of a workspace, most trusted first: each class exactly once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Vec<LaneClass>", into = "Vec<LaneClass>"))]
pub struct LaneOrder([LaneClass; 7]);

impl LaneOrder {
    /// # Errors
    ///
    /// [`LaneOrderError`] when a class is missing or named twice.
    pub fn new(order: &[LaneClass]) -> Result<Self, LaneOrderError> {
        let times = |class| order.iter().filter(|held| **held == class).count();
        if let Some(class) = LaneClass::ALL.into_iter().find(|class| times(*class) > 1) {
            return Err(LaneOrderError::Repeated { class });
        }
        if let Some(class) = LaneClass::ALL.into_iter().find(|class| times(*class) == 0) {
            return Err(LaneOrderError::Missing { class });
        }
        // Neither missing nor repeated, so there are seven: the copy takes all.
        let mut held = LaneClass::ALL;
        held.iter_mut().zip(order).for_each(|(place, class)| *place = *class);
        Ok(Self(held))
    }

    /// The classes, most trusted first.
    pub fn classes(&self) -> &[LaneClass; 7] {
        &self.0
    }

    /// The place of a class: 0 is the most trusted.
    pub fn rank(&self, class: LaneClass) -> u8 {
        let mut rank = 0;
        for held in self.0 {
            if held == class {
                break;
            }
            rank += 1;
        }
        rank
    }
}

impl Default for LaneOrder {
    fn default() -> Self {
        Self(LaneClass::ALL)
    }
}

impl TryFrom<Vec<LaneClass>> for LaneOrder {
    type Error = LaneOrderError;

    fn try_from(order: Vec<LaneClass>) -> Result<Self, Self::Error> {
        Self::new(&order)
    }
}

impl From<LaneOrder> for Vec<LaneClass> {
    fn from(order: LaneOrder) -> Self {
        order.0.to_vec()
    }
}

/// A list of classes that is no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaneOrderError {
    /// A class is named more than once.
    #[error("a lane order names each of the 7 classes once, `{class}` is named more than once")]
    Repeated {
        /// The class.
        class: LaneClass,
    },
    /// A class is not named.
    #[error("a lane order names each of the 7 classes once, `{class}` is missing")]
    Missing {
        /// The class that is missing.
        class: LaneClass,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_names_each_class_once() {
        let mut order = LaneClass::ALL;
        assert_eq!(LaneOrder::new(&order).map(|order| order.rank(LaneClass::Dev)), Ok(2));
        assert_eq!(LaneOrder::new(&[]), Err(LaneOrderError::Missing { class: LaneClass::Release }));
        assert_eq!(LaneOrder::new(&order[..6]), Err(LaneOrderError::Missing { class: LaneClass::Anonymous }));
        order[1] = LaneClass::Release;
        assert_eq!(LaneOrder::new(&order), Err(LaneOrderError::Repeated { class: LaneClass::Release }));
        let too_many = [&LaneClass::ALL[..], &[LaneClass::Own]].concat();
        assert_eq!(LaneOrder::new(&too_many), Err(LaneOrderError::Repeated { class: LaneClass::Own }));
    }

    #[test]
    fn the_defaults_are_the_safe_ends() {
        let settings = WorkspaceSettings::default();
        assert_eq!(settings.anonymous, AccessLevel::None);
        assert_eq!(settings.personal_lane, PersonalLane::Dev);
        assert_eq!(settings.read_only_ci_writes, ReadOnlyCiWrites::Refuse);
    }
}
