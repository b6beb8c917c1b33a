//! A `Fetch` that answers what it is told, fails on demand, and remembers what it was asked.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use async_trait::async_trait;
use cachegate_fetch::{Fetch, FetchError, Request, Response, Url};

/// What a [`FaultyFetch`] does instead of answering.
#[derive(Clone, Debug)]
pub enum FetchFault {
    /// Fails so.
    Fail(FetchError),
    /// Answers this.
    Answer(Response),
    /// Breaks off in the middle of the body, and says nothing of it.
    Truncate,
    /// Waits for [`FetchFaults::release`], and then does what it is told by then.
    Hold,
    /// Panics.
    Panic,
}

/// The documents of a [`FaultyFetch`], and what it does wrong at present.
#[derive(Debug, Default)]
pub struct FetchFaults {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pages: BTreeMap<String, Response>,
    faults: BTreeMap<String, FetchFault>,
    fetched: Vec<String>,
    releases: u64,
    held: Vec<Waker>,
}

impl FetchFaults {
    /// Answers so where nothing is wrong. An address without an answer is answered with 404.
    pub fn put(&self, url: &str, response: Response) {
        self.state().pages.insert(url.to_owned(), response);
    }

    /// Does this instead of answering for the address from now on.
    pub fn set(&self, url: &str, fault: FetchFault) {
        self.state().faults.insert(url.to_owned(), fault);
    }

    /// Answers again. What is held stays held.
    pub fn mend(&self) {
        self.state().faults.clear();
    }

    /// Whatever is held goes on, and does what it is told by now.
    pub fn release(&self) {
        let mut state = self.state();
        state.releases += 1;
        for waker in state.held.drain(..) {
            waker.wake();
        }
    }

    /// The addresses that were asked for, in order.
    pub fn fetched(&self) -> Vec<String> {
        self.state().fetched.clone()
    }

    /// How often the address was asked for.
    pub fn count(&self, url: &str) -> usize {
        self.state().fetched.iter().filter(|fetched| *fetched == url).count()
    }

    /// What happens at the address; `None`: it is held, unless it was released since.
    fn answer(&self, url: &Url, begun: u64, waker: &Waker) -> Option<Result<Response, FetchError>> {
        let mut state = self.state();
        let page = state.pages.get(url.as_str()).cloned().unwrap_or_else(|| Response::new(404, ""));
        let fault = state.faults.get(url.as_str()).cloned();
        assert!(!matches!(fault, Some(FetchFault::Panic)), "the test makes the fetch panic");
        match fault {
            None | Some(FetchFault::Panic) => Some(Ok(page)),
            Some(FetchFault::Fail(error)) => Some(Err(error)),
            Some(FetchFault::Answer(response)) => Some(Ok(response)),
            Some(FetchFault::Truncate) => {
                let half = page.body().get(..page.body().len() / 2).unwrap_or_default();
                Some(Ok(Response::new(page.status(), half)))
            }
            Some(FetchFault::Hold) if state.releases > begun => Some(Ok(page)),
            Some(FetchFault::Hold) => {
                state.held.push(waker.clone());
                None
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers with the documents of its [`FetchFaults`], unless they say otherwise.
#[derive(Clone, Debug)]
pub struct FaultyFetch {
    faults: Arc<FetchFaults>,
}

impl FaultyFetch {
    /// A fetch without documents, and the switch of its faults.
    pub fn new() -> (Self, Arc<FetchFaults>) {
        let faults = Arc::new(FetchFaults::default());
        (Self { faults: Arc::clone(&faults) }, faults)
    }
}

#[async_trait]
impl Fetch for FaultyFetch {
    async fn fetch(&self, request: &Request) -> Result<Response, FetchError> {
        let begun = {
            let mut state = self.faults.state();
            state.fetched.push(request.url().as_str().to_owned());
            state.releases
        };
        poll_fn(|context| match self.faults.answer(request.url(), begun, context.waker()) {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        })
        .await
    }
}
