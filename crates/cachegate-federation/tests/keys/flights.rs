//! One attempt at a time: who starts it, who waits for it, and what becomes of it when they leave.

use std::sync::Barrier;
use std::task::{Context, Poll, Waker};

use cachegate_federation::{AnchorKeys, KeyTimes, KeysError, RefreshError};
use cachegate_testkit::{FetchFault, block_on};

use crate::site::{DISCOVERY, KEYS, START, Site, kid, poll_once, seconds, signer, timed_out};

#[test]
fn keys_may_be_asked_for_from_any_thread() {
    fn crosses<T: Send + Sync>(_: &T) {}
    fn moves<T: Send>(_: &T) {}
    let site = Site::new();
    crosses(&site.keys);
    moves(&site.keys.for_kid(None, START));
    moves(&site.keys.refresh_due(START));
    let _: fn(AnchorKeys, KeyTimes) -> AnchorKeys = AnchorKeys::with_times;
}

#[test]
fn all_who_come_while_the_keys_are_fetched_wait_for_one_attempt() {
    const THREADS: usize = 32;
    let site = Site::new();
    site.fault(DISCOVERY, FetchFault::Hold);
    let barrier = Barrier::new(THREADS + 1);
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    site.ask(site.signer.kid(), START).is_ok()
                })
            })
            .collect();
        barrier.wait();
        while !waiting.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            site.faults.release();
            std::thread::yield_now();
        }
        assert!(waiting.into_iter().all(|thread| thread.join().unwrap()));
    });
    assert_eq!(site.counts(), (1, 1));
}

#[test]
fn good_tokens_do_not_wait_for_an_attempt() {
    let site = Site::held();
    site.fault(KEYS, FetchFault::Hold);
    let name = kid("unknown");
    let mut unknown = Box::pin(site.keys.for_kid(Some(&name), START + seconds(30)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(unknown.as_mut().poll(&mut context).is_pending());
    let good = poll_once(site.keys.for_kid(Some(site.signer.kid()), START + seconds(31)));
    assert!(good.expect("it does not wait").is_ok());
    site.faults.release();
    let Poll::Ready(Err(refused)) = unknown.as_mut().poll(&mut context) else { panic!("it goes on") };
    assert_eq!(refused.code(), "unknown_key");
}

#[test]
fn an_attempt_outlives_the_one_who_began_it() {
    let site = Site::held();
    let next = signer();
    site.publish(&[&site.signer, &next]);
    site.fault(KEYS, FetchFault::Hold);
    // Whoever began it leaves: a client that hangs up.
    assert!(poll_once(site.keys.for_kid(Some(&kid("unknown")), START + seconds(30))).is_none());
    site.faults.release();
    assert!(site.ask(next.kid(), START + seconds(31)).is_ok(), "in the cool-down, by the attempt under way");
    assert_eq!(site.counts(), (1, 2));
}

#[test]
fn an_attempt_that_hangs_against_its_limits_is_overtaken() {
    let site = Site::held();
    site.fault(KEYS, FetchFault::Hold);
    let name = kid("unknown");
    let mut stuck = Box::pin(site.keys.for_kid(Some(&name), START + seconds(30)));
    let mut context = Context::from_waker(Waker::noop());
    assert!(stuck.as_mut().poll(&mut context).is_pending());
    site.faults.mend();
    let next = signer();
    site.publish(&[&next]);
    assert!(site.ask(next.kid(), START + seconds(60)).is_ok());
    // What the one that was overtaken brings late changes nothing.
    site.fault(KEYS, timed_out());
    site.faults.release();
    let Poll::Ready(Err(refused)) = stuck.as_mut().poll(&mut context) else { panic!("it goes on") };
    assert_eq!(refused.code(), "unknown_key");
    assert!(site.ask(next.kid(), START + seconds(61)).is_ok());
}

#[test]
fn who_waits_for_an_overtaken_attempt_without_any_keys_is_refused() {
    let site = Site::new();
    site.fault(DISCOVERY, FetchFault::Hold);
    let mut stuck = Box::pin(site.keys.for_kid(Some(site.signer.kid()), START));
    let mut context = Context::from_waker(Waker::noop());
    assert!(stuck.as_mut().poll(&mut context).is_pending());
    assert!(poll_once(site.keys.for_kid(Some(site.signer.kid()), START + seconds(30))).is_none());
    site.faults.release();
    let Poll::Ready(Err(refused)) = stuck.as_mut().poll(&mut context) else { panic!("it goes on") };
    assert_eq!(refused, KeysError::Unavailable { source: RefreshError::Overtaken });
}

#[test]
fn a_fetch_that_panics_is_a_failed_attempt_and_nothing_more() {
    let site = Site::held();
    site.fault(KEYS, FetchFault::Panic);
    let refused = site.ask(&kid("unknown"), START + seconds(30)).unwrap_err();
    assert_eq!(refused, KeysError::Unavailable { source: RefreshError::Panicked });
    assert!(site.ask(site.signer.kid(), START + seconds(30)).is_ok());
    site.faults.mend();
    assert!(block_on(site.keys.refresh_due(START + seconds(3600))).unwrap());
}

#[test]
fn the_background_and_a_token_share_one_attempt() {
    let site = Site::new();
    site.fault(DISCOVERY, FetchFault::Hold);
    let mut background = Box::pin(site.keys.refresh_due(START));
    let mut context = Context::from_waker(Waker::noop());
    assert!(background.as_mut().poll(&mut context).is_pending());
    let mut token = Box::pin(site.keys.for_kid(None, START));
    assert!(token.as_mut().poll(&mut context).is_pending());
    site.faults.release();
    assert!(matches!(token.as_mut().poll(&mut context), Poll::Ready(Ok(_))));
    assert!(matches!(background.as_mut().poll(&mut context), Poll::Ready(Ok(true))));
    assert_eq!(site.counts(), (1, 1));
}
