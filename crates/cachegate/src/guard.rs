//! A panic anywhere below refuses the request: it neither crosses the gate nor allows anything.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::Unavailable;

/// Runs `work`; a panic in it, or in a storage, vault, sink or clock that it calls, becomes
/// [`Unavailable::Internal`].
///
/// Nothing held is left half changed by it: what is dropped is dropped before anything else is done.
pub(crate) async fn guarded<T>(work: impl Future<Output = T>) -> Result<T, Unavailable> {
    let mut work = pin!(work);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
        Err(_) => Poll::Ready(Err(Unavailable::Internal)),
    })
    .await
}

/// The same for what does not wait.
pub(crate) fn guarded_now<T>(work: impl FnOnce() -> T) -> Result<T, Unavailable> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Unavailable::Internal)
}
