//! Later.
use crate::app::{Answered, Call, Failure};
use cachegate::OrganizationView;
pub(super) async fn show(_call: &Call, _o: &OrganizationView) -> Answered {
    Err(Failure::missing())
}
