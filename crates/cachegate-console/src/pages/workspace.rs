//! Later.
use crate::app::{Answered, Call, Failure};
use cachegate::OrganizationView;
pub(super) async fn serve(_call: &Call, _o: &OrganizationView, _act: Option<&str>) -> Answered {
    Err(Failure::missing())
}
