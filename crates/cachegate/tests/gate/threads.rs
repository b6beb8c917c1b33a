//! What holds while several threads ask and change at once.
#![expect(clippy::expect_used, reason = "a step that fails is a failed test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cachegate::{Authority, Credential, Gate, MemoryVault, Request, TokenSpec};
use cachegate_storage::{MemoryStorage, Storage};
use cachegate_testkit::{NOW, block_on};
use cachegate_types::{
    AccessLevel, Action, Description, EntryKey, Epoch, Lane, Resource, TokenId, WorkspaceId,
};

const OPERATOR: Authority<'_> = Authority::Operator;
const CHECKERS: usize = 4;
const REVOCATIONS: usize = 10_000;

fn gate(storage: &Arc<dyn Storage>) -> (Gate, WorkspaceId) {
    block_on(async {
        let gate = Gate::builder(Arc::clone(storage), Arc::new(MemoryVault::default()))
            .build(NOW.into())
            .await
            .expect("a gate");
        let (acme, app) = ("acme".parse().expect("a name"), "app".parse().expect("a name"));
        let first =
            gate.first_start(&acme, &app, &Description::default(), NOW.into()).await.expect("started");
        (gate, first.workspace)
    })
}

fn token(gate: &Gate, workspace: WorkspaceId) -> (Credential<'static>, TokenId) {
    let spec = TokenSpec::Ci { workspace, level: AccessLevel::ReadWrite, lane: Lane::main() };
    let issued =
        block_on(gate.issue(&OPERATOR, &spec, Description::default(), None, NOW.into())).expect("a token");
    let credential = Credential::parse(issued.token.expose_secret(), gate.brand()).expect("a credential");
    (credential.into_owned(), issued.record.id)
}

#[test]
fn no_check_that_begins_after_a_revocation_returned_allows() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new(Epoch(1)));
    let (gate, workspace) = gate(&storage);
    let tokens: Vec<_> = (0..REVOCATIONS).map(|_| token(&gate, workspace)).collect();
    let resource = Resource::entry(workspace, EntryKey::new(b"k").expect("a key"));
    let (returned, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let [checks, held_answers, allowed, wrong] = std::array::from_fn(|_| AtomicUsize::new(0));
    let check = |index: usize, held: bool| {
        // Whatever was acknowledged before this line must be refused after it.
        let before = returned.load(Ordering::SeqCst);
        let Some((credential, _)) = tokens.get(index) else { return };
        let request = Request::new(Action::Read, &resource);
        let verdict = if held {
            gate.check_held(Some(credential), &request, NOW.into())
        } else {
            Some(block_on(gate.check(Some(credential), &request, NOW.into())))
        };
        checks.fetch_add(1, Ordering::Relaxed);
        if let Some(verdict) = verdict {
            held_answers.fetch_add(usize::from(held), Ordering::Relaxed);
            allowed.fetch_add(usize::from(verdict.is_allowed()), Ordering::Relaxed);
            if verdict.is_allowed() && index < before {
                wrong.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    let start = Instant::now();
    std::thread::scope(|scope| {
        for checker in 0..CHECKERS {
            let (check, returned, done) = (&check, &returned, &done);
            scope.spawn(move || {
                let mut round = checker;
                while !done.load(Ordering::SeqCst) {
                    let at = returned.load(Ordering::SeqCst);
                    // Those that go next are warmed, those that went last are asked for.
                    for index in [at + 1, at, at.saturating_sub(1), at.saturating_sub(2)] {
                        check(index, round % 2 == 0);
                    }
                    round += 1;
                }
            });
        }
        for (index, (_, id)) in tokens.iter().enumerate() {
            if start.elapsed() > Duration::from_secs(20) {
                break;
            }
            block_on(gate.revoke(&OPERATOR, *id, Description::default(), NOW.into())).expect("revoked");
            returned.store(index + 1, Ordering::SeqCst);
            // Now and then until each checker went round, so that none of them only looks on.
            let before = checks.load(Ordering::Relaxed);
            while index % 100 == 0 && checks.load(Ordering::Relaxed) < before + 16 * CHECKERS {
                std::thread::yield_now();
            }
        }
        done.store(true, Ordering::SeqCst);
    });
    let [checks, held_answers, allowed, wrong] =
        [&checks, &held_answers, &allowed, &wrong].map(|count| count.load(Ordering::SeqCst));
    println!(
        "{} revocations, {checks} checks, {held_answers} answered without waiting, {allowed} allowed",
        returned.load(Ordering::SeqCst)
    );
    assert_eq!(wrong, 0);
    assert!(allowed > 0 && held_answers > 0, "the checkers were there");
    assert!(returned.load(Ordering::SeqCst) > 100);
}

#[test]
fn of_racing_rotations_exactly_one_wins() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new(Epoch(1)));
    let (gate, workspace) = gate(&storage);
    for _ in 0..200 {
        let (_, id) = token(&gate, workspace);
        let winners = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let rotated = block_on(gate.rotate(&OPERATOR, id, Duration::ZERO, None, NOW.into()));
                    winners.fetch_add(usize::from(rotated.is_ok()), Ordering::SeqCst);
                });
            }
        });
        assert_eq!(winners.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_revocation_beats_a_rotation_that_races_it() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new(Epoch(1)));
    let (gate, workspace) = gate(&storage);
    let resource = Resource::entry(workspace, EntryKey::new(b"k").expect("a key"));
    let mut won = 0;
    for round in 0..300_u32 {
        let (_, id) = token(&gate, workspace);
        let rotated = std::thread::scope(|scope| {
            let rotating = scope.spawn(|| {
                block_on(gate.rotate(&OPERATOR, id, Duration::from_secs(9), None, NOW.into())).ok()
            });
            // A little later each time, so that each comes first some time.
            let waits = Instant::now();
            while waits.elapsed() < Duration::from_micros(u64::from(round)) {
                std::hint::spin_loop();
            }
            block_on(gate.revoke(&OPERATOR, id, Description::default(), NOW.into())).expect("revoked");
            rotating.join().expect("no panic")
        });
        if let Some(successor) = rotated {
            won += 1;
            let credential =
                Credential::parse(successor.token.expose_secret(), gate.brand()).expect("a credential");
            let request = Request::new(Action::Read, &resource);
            let verdict = block_on(gate.check(Some(&credential), &request, NOW.into()));
            assert_eq!(verdict.code(), "revoked");
        }
    }
    println!("{won} of 300 rotations came first");
}
