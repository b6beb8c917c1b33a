//! The account of who is signed in.

use super::tokens::{self, Place};
use crate::app::{Answered, Call, Failure};
use cachegate_types::Principal;

/// What the forms of the page do.
pub(crate) const ACTS: &[&str] = tokens::ACTS;

pub(crate) async fn show(call: &Call) -> Answered {
    let Principal::User(user) = *call.who().principal() else { return Err(Failure::missing()) };
    tokens::serve(call, &Place::Personal(user), None).await
}

pub(crate) async fn act(call: &Call, act: &str) -> Answered {
    let Principal::User(user) = *call.who().principal() else { return Err(Failure::missing()) };
    tokens::serve(call, &Place::Personal(user), Some(act)).await
}
