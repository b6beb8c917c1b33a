//! Two threads against one, by the wall: a lock costs waiting, which no processor counts.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use cachegate_types::SecretText;

use crate::world::{Door, World};

/// How many tokens are in use at one time.
const HEADERS: u32 = 64;

/// How often each thread asks with each of them in one round.
const TIMES: u32 = 300;

/// How much more two threads get done with tokens that were seen before than one does: the best of so many rounds of
/// each, since whatever else the machine does only makes a round longer.
pub fn two_threads(world: &World, rounds: u32) -> f64 {
    let headers = world.seen(HEADERS);
    let (mut one, mut two) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        world.door.catch_up();
        one = one.min(round(&world.door, &headers, 1));
        two = two.min(round(&world.door, &headers, 2));
    }
    2.0 * one.as_secs_f64() / two.as_secs_f64()
}

/// How long it takes until each of so many threads has asked.
fn round(door: &Door, headers: &[SecretText], threads: usize) -> Duration {
    let barrier = Barrier::new(threads);
    let work = || {
        barrier.wait();
        let start = Instant::now();
        for _ in 0..TIMES {
            assert!(headers.iter().all(|header| door.asks_held(header)), "each is allowed");
        }
        start.elapsed()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).max().unwrap_or_default()
    })
}
