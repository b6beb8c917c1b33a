//! Who somebody was verified to be, at their provider.

use std::collections::BTreeSet;
use std::sync::Arc;

use cachegate_types::{Description, Name};

use crate::LoginError;

/// Who somebody is at their provider, as it was verified. Two logins are of one account where `issuer` and `subject` are
/// the same bytes; nothing else of it decides that.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Identity {
    /// The provider, by its name here.
    pub provider: Name,
    /// The provider, by its issuer.
    pub issuer: Arc<str>,
    /// The id that the provider never gives to anyone else.
    pub subject: Arc<str>,
    /// What people call them. Identifies nobody.
    pub display: Description,
    /// The groups, or at GitHub the organizations, that they are in.
    pub groups: Groups,
}

/// What a provider tells of somebody's groups: at Entra ids of groups, at Okta and others names, at GitHub ids of
/// organizations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Groups {
    /// All of them.
    Known(BTreeSet<Arc<str>>),
    /// There are more than it tells.
    Incomplete,
    /// It tells nothing of groups.
    Absent,
}

/// Whether somebody is in a group. Silence is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Membership {
    /// They are.
    Member,
    /// They are not.
    NotMember,
    /// Nobody knows, which gives what `NotMember` gives and takes what `Member` takes.
    Unknown,
}

impl Groups {
    /// Whether they are in this group.
    pub fn membership(&self, group: &str) -> Membership {
        match self {
            Self::Known(groups) if groups.contains(group) => Membership::Member,
            Self::Known(_) => Membership::NotMember,
            Self::Incomplete | Self::Absent => Membership::Unknown,
        }
    }

    /// Lets in who is known to be in one of `admitted`; nobody is named there: everyone.
    pub(crate) fn admit(&self, admitted: &BTreeSet<String>) -> Result<(), LoginError> {
        if admitted.is_empty() {
            return Ok(());
        }
        let memberships = || admitted.iter().map(|group| self.membership(group));
        if memberships().any(|membership| membership == Membership::Member) {
            Ok(())
        } else if memberships().any(|membership| membership == Membership::Unknown) {
            Err(LoginError::GroupsUnknown)
        } else {
            Err(LoginError::NotAdmitted)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_about_groups_admits_nobody() {
        let admitted = BTreeSet::from(["staff".to_owned()]);
        let of = |groups: &Groups| groups.admit(&admitted).map_err(|error| error.code());
        let known = |names: &[&str]| Groups::Known(names.iter().map(|name| Arc::from(*name)).collect());
        assert_eq!(of(&known(&["guests", "staff"])), Ok(()));
        assert_eq!(of(&known(&["Staff"])), Err("login_not_admitted"));
        assert_eq!(of(&Groups::Incomplete), Err("login_groups_unknown"));
        assert_eq!(of(&Groups::Absent), Err("login_groups_unknown"));
        assert!(Groups::Absent.admit(&BTreeSet::new()).is_ok(), "nothing depends on groups");
    }
}
