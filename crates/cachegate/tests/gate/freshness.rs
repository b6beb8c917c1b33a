//! How long a gate believes what it holds, and when it asks.
#![expect(clippy::expect_used, reason = "a step that fails is a failed test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cachegate::{Authority, Clock, Credential, Degraded, Gate, MemoryVault, Request, Ticks, Verdict};
use cachegate_storage::{MassScope, MemoryStorage, Storage};
use cachegate_testkit::{ManualClock, NOW, Scene, block_on};
use cachegate_types::{
    AccessLevel, Action, Description, EntryKey, Epoch, Lane, Resource, Revision, SecretText, Timestamp,
};

const OPERATOR: Authority<'_> = Authority::Operator;

fn now() -> Timestamp {
    NOW.into()
}

fn why() -> Description {
    Description::default()
}

async fn revoke(gate: &Gate, token: &Issued) -> Revision {
    gate.revoke(&OPERATOR, token.id, why(), now()).await.expect("revoked")
}

/// A read-write CI token of `main`, by its text and its id.
struct Issued {
    text: SecretText,
    id: cachegate_types::TokenId,
}

async fn ci(scene: &Scene) -> Issued {
    let spec = cachegate::TokenSpec::Ci {
        workspace: scene.workspace,
        level: AccessLevel::ReadWrite,
        lane: Lane::main(),
    };
    let issued = scene.issue(&spec, None).await;
    Issued { text: issued.token, id: issued.record.id }
}

async fn code(scene: &Scene, gate: &Gate, token: &Issued) -> &'static str {
    scene.ask_gate(gate, Some(&token.text), Action::Read, "k", now()).await.code()
}

#[test]
fn a_revoked_token_is_refused_by_the_very_next_request() {
    block_on(async {
        let scene = Scene::new().await;
        let token = ci(&scene).await;
        assert_eq!(code(&scene, &scene.gate, &token).await, "allowed");
        revoke(&scene.gate, &token).await;
        assert_eq!(code(&scene, &scene.gate, &token).await, "revoked");
    });
}

#[test]
fn a_node_is_fresh_for_four_seconds_and_then_asks() {
    block_on(async {
        let scene = Scene::new().await;
        let token = ci(&scene).await;
        let (node, faults, clock) = scene.other_node().await;
        assert_eq!(code(&scene, &node, &token).await, "allowed");
        node.catch_up().await.expect("a revision");
        let held = faults.calls();
        clock.advance(Duration::from_nanos(3_999_999_999));
        assert_eq!(code(&scene, &node, &token).await, "allowed");
        assert_eq!(faults.calls(), held, "what is fresh is not asked for");
        clock.advance(Duration::from_nanos(1));
        assert_eq!(code(&scene, &node, &token).await, "allowed");
        assert_eq!(faults.calls(), held + 1, "one heartbeat proves it again");
    });
}

#[test]
fn another_node_refuses_within_the_bound_though_nothing_tells_it() {
    block_on(async {
        let scene = Scene::new().await;
        let token = ci(&scene).await;
        let (node, _, clock) = scene.other_node().await;
        node.catch_up().await.expect("a revision");
        assert_eq!(code(&scene, &node, &token).await, "allowed");
        revoke(&scene.gate, &token).await;
        clock.advance(Duration::from_secs(4));
        assert_eq!(code(&scene, &node, &token).await, "revoked");
    });
}

#[test]
fn following_the_feed_makes_it_sooner() {
    block_on(async {
        let scene = Scene::new().await;
        let token = ci(&scene).await;
        let (node, _, _) = scene.other_node().await;
        assert_eq!(code(&scene, &node, &token).await, "allowed");
        let revision = revoke(&scene.gate, &token).await;
        assert!(node.catch_up().await.expect("a revision").includes(revision));
        assert_eq!(code(&scene, &node, &token).await, "revoked");
    });
}

#[test]
fn freshness_counts_from_before_the_question_was_sent() {
    block_on(async {
        let scene = Scene::new().await;
        let token = ci(&scene).await;
        let (node, faults, clock) = scene.other_node().await;
        assert_eq!(code(&scene, &node, &token).await, "allowed");
        clock.advance(Duration::from_secs(10));
        // The answer takes three seconds, and a token is revoked after it was read.
        let (slow, gate, id) = (Arc::clone(&clock), scene.gate.clone(), token.id);
        faults.after_next_heartbeat(move || {
            std::thread::spawn(move || block_on(gate.revoke(&OPERATOR, id, why(), now())).map(drop))
                .join()
                .expect("no panic")
                .expect("revoked");
            slow.advance(Duration::from_secs(3));
        });
        node.catch_up().await.expect("a revision");
        clock.advance(Duration::from_millis(999));
        assert_eq!(code(&scene, &node, &token).await, "allowed", "3.999 s after the question");
        clock.advance(Duration::from_millis(1));
        assert_eq!(code(&scene, &node, &token).await, "revoked", "4 s after the question");
    });
}

#[test]
fn a_node_that_cannot_prove_that_it_is_fresh_refuses() {
    block_on(async {
        let scene = Scene::new().await;
        let token = ci(&scene).await;
        assert_eq!(code(&scene, &scene.gate, &token).await, "allowed");
        scene.faults.cut();
        assert_eq!(code(&scene, &scene.gate, &token).await, "allowed", "still proven");
        scene.clock.advance(Duration::from_secs(4));
        assert_eq!(code(&scene, &scene.gate, &token).await, "store_unavailable");
        assert_eq!(scene.ask(None, Action::Read, "k").await.code(), "store_unavailable");
        scene.faults.mend();
        assert_eq!(code(&scene, &scene.gate, &token).await, "allowed");
    });
}

#[test]
fn what_is_not_held_is_unavailable_while_the_store_is_down() {
    block_on(async {
        let scene = Scene::new().await;
        let token = ci(&scene).await;
        scene.faults.cut();
        assert_eq!(code(&scene, &scene.gate, &token).await, "store_unavailable");
    });
}

#[test]
fn degraded_reads_are_marked_and_bounded_and_writes_never_pass() {
    block_on(async {
        let scene = Scene::degraded(Degraded::ServeReads { within: Duration::from_secs(60) }).await;
        let token = ci(&scene).await;
        let stranger = ci(&scene).await;
        assert!(scene.ask(Some(&token.text), Action::Write, "k").await.is_allowed());
        scene.gate.catch_up().await.expect("a revision");
        scene.faults.cut();
        scene.clock.advance(Duration::from_secs(4));
        match scene.ask(Some(&token.text), Action::Read, "k").await {
            Verdict::Allowed(allowed) => assert!(allowed.is_degraded()),
            other => panic!("{other:?}"),
        }
        assert!(scene.recorder.take().last().is_some_and(|event| event.degraded));
        for action in [Action::Write, Action::Replace, Action::Delete, Action::Administer, Action::Publish] {
            assert_eq!(
                scene.ask(Some(&token.text), action, "k").await.code(),
                "store_unavailable",
                "{action}"
            );
        }
        // Who was not known before is not known now.
        assert_eq!(scene.ask(Some(&stranger.text), Action::Read, "k").await.code(), "store_unavailable");
        scene.clock.advance(Duration::from_millis(59_999));
        assert!(scene.ask(Some(&token.text), Action::Read, "k").await.is_allowed());
        scene.clock.advance(Duration::from_millis(1));
        assert_eq!(scene.ask(Some(&token.text), Action::Read, "k").await.code(), "store_unavailable");
    });
}

#[test]
fn degraded_mode_does_not_outlive_an_expiry() {
    block_on(async {
        let scene = Scene::degraded(Degraded::ServeReads { within: Duration::from_secs(600) }).await;
        let spec = cachegate::TokenSpec::Ci {
            workspace: scene.workspace,
            level: AccessLevel::ReadOnly,
            lane: Lane::main(),
        };
        let token = scene.issue(&spec, Some(Duration::from_secs(10))).await.token;
        assert!(scene.ask(Some(&token), Action::Read, "k").await.is_allowed());
        scene.faults.cut();
        scene.clock.advance(Duration::from_secs(4));
        assert!(scene.ask_at(Some(&token), Action::Read, "k", (NOW + 9).into()).await.is_allowed());
        assert_eq!(
            scene.ask_at(Some(&token), Action::Read, "k", (NOW + 10).into()).await.code(),
            "store_unavailable"
        );
    });
}

#[test]
fn a_fresh_node_says_that_it_is_not_degraded() {
    block_on(async {
        let scene = Scene::degraded(Degraded::ServeReads { within: Duration::from_secs(60) }).await;
        let token = ci(&scene).await;
        match scene.ask(Some(&token.text), Action::Read, "k").await {
            Verdict::Allowed(allowed) => assert!(!allowed.is_degraded()),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_clock_thirty_seconds_away_is_tolerated_and_thirty_one_refuse() {
    block_on(async {
        let scene = Scene::new().await;
        let token = ci(&scene).await;
        scene.faults.set_store_time(now());
        scene.gate.catch_up().await.expect("a revision");
        for (moment, expected) in [
            (NOW + 30, "allowed"),
            (NOW - 30, "allowed"),
            (NOW + 31, "clock_skew"),
            (NOW - 31, "clock_skew"),
            (NOW - 3600, "clock_skew"),
        ] {
            let verdict = scene.ask_at(Some(&token.text), Action::Read, "k", moment.into()).await;
            assert_eq!(verdict.code(), expected, "{}", i64::from(moment) - i64::from(NOW));
            let held = scene.ask_held(Some(&token.text), Action::Read, "k", moment.into());
            assert_eq!(held.is_some(), expected == "allowed", "{moment}");
        }
        // The store's clock goes on with ours.
        scene.clock.advance(Duration::from_secs(3));
        assert_eq!(
            scene.ask_at(Some(&token.text), Action::Read, "k", (NOW + 33).into()).await.code(),
            "allowed"
        );
        assert_eq!(
            scene.ask_at(Some(&token.text), Action::Read, "k", (NOW - 28).into()).await.code(),
            "clock_skew"
        );
    });
}

#[test]
fn nothing_is_issued_by_a_clock_that_is_wrong() {
    block_on(async {
        let scene = Scene::new().await;
        scene.faults.set_store_time(now());
        let spec = cachegate::TokenSpec::Ci {
            workspace: scene.workspace,
            level: AccessLevel::ReadOnly,
            lane: Lane::main(),
        };
        let error = scene.gate.issue(&OPERATOR, &spec, why(), None, (NOW + 31).into()).await;
        assert!(error.is_err_and(|error| error.to_string().contains("31s away")));
    });
}

#[test]
fn degraded_mode_does_not_excuse_a_clock_that_is_wrong() {
    block_on(async {
        let scene = Scene::degraded(Degraded::ServeReads { within: Duration::from_secs(600) }).await;
        scene.faults.set_store_time(now());
        scene.gate.catch_up().await.expect("a revision");
        let token = ci(&scene).await;
        assert!(scene.ask(Some(&token.text), Action::Read, "k").await.is_allowed());
        scene.faults.cut();
        scene.clock.advance(Duration::from_secs(5));
        let far = scene.ask_at(Some(&token.text), Action::Read, "k", (NOW - 600).into()).await;
        assert_eq!(far.code(), "store_unavailable");
    });
}

#[test]
fn another_epoch_drops_everything() {
    block_on(async {
        let scene = Scene::new().await;
        let token = ci(&scene).await;
        assert_eq!(code(&scene, &scene.gate, &token).await, "allowed");
        // A restore of a store in which the token was never made; it is as far in numbers.
        let restored = MemoryStorage::new(Epoch(2));
        scene.faults.replace(Arc::new(restored));
        assert_eq!(code(&scene, &scene.gate, &token).await, "allowed", "proven for four seconds");
        scene.clock.advance(Duration::from_secs(4));
        assert_eq!(code(&scene, &scene.gate, &token).await, "unknown_token");
    });
}

#[test]
fn a_lower_number_drops_everything() {
    block_on(async {
        let scene = Scene::new().await;
        let token = ci(&scene).await;
        assert_eq!(code(&scene, &scene.gate, &token).await, "allowed");
        // The same epoch, wrongly: the number alone gives it away.
        scene.faults.replace(Arc::new(MemoryStorage::new(Epoch(1))));
        scene.clock.advance(Duration::from_secs(4));
        assert_eq!(code(&scene, &scene.gate, &token).await, "unknown_token");
    });
}

#[test]
fn whoever_fell_behind_a_bounded_feed_begins_anew() {
    block_on(async {
        let storage = Arc::new(MemoryStorage::new(Epoch(1)).with_history(2));
        let scene = Scene::over(storage, Degraded::Refuse).await;
        let token = ci(&scene).await;
        let (node, _, _) = scene.other_node().await;
        assert_eq!(code(&scene, &node, &token).await, "allowed");
        revoke(&scene.gate, &token).await;
        for _ in 0..5 {
            let other = ci(&scene).await;
            revoke(&scene.gate, &other).await;
        }
        node.catch_up().await.expect("a revision");
        assert_eq!(code(&scene, &node, &token).await, "revoked");
    });
}

#[test]
fn a_feed_that_lags_behind_the_newest_revision_proves_nothing() {
    block_on(async {
        let scene = Scene::new().await;
        let token = ci(&scene).await;
        let (node, faults, clock) = scene.other_node().await;
        assert_eq!(code(&scene, &node, &token).await, "allowed");
        revoke(&scene.gate, &token).await;
        faults.lag();
        clock.advance(Duration::from_secs(4));
        assert_eq!(code(&scene, &node, &token).await, "store_unavailable");
        faults.mend();
        assert_eq!(code(&scene, &node, &token).await, "revoked");
    });
}

#[test]
fn a_poll_under_way_does_not_vouch_for_what_was_revoked_meanwhile() {
    block_on(async {
        let scene = Scene::new().await;
        let token = ci(&scene).await;
        assert_eq!(code(&scene, &scene.gate, &token).await, "allowed");
        // While a poll's answer is on its way, a token is revoked here, and the store fails right afterwards, so that
        // the revocation cannot be taken in.
        let (gate, faults, id) = (scene.gate.clone(), Arc::clone(&scene.faults), token.id);
        scene.faults.after_next_heartbeat(move || {
            // The act's own heartbeat, token, revocation, token; then nothing.
            faults.cut_after(4);
            std::thread::spawn(move || block_on(gate.revoke(&OPERATOR, id, why(), now())).map(drop))
                .join()
                .expect("no panic")
                .expect("acknowledged");
            faults.mend();
        });
        scene.gate.catch_up().await.expect("a revision");
        scene.faults.cut();
        assert_eq!(code(&scene, &scene.gate, &token).await, "store_unavailable");
        assert!(scene.ask_held(Some(&token.text), Action::Read, "k", now()).is_none());
        scene.faults.mend();
        assert_eq!(code(&scene, &scene.gate, &token).await, "revoked");
    });
}

#[test]
fn an_act_that_cannot_be_taken_in_makes_the_gate_ask() {
    block_on(async {
        let scene = Scene::degraded(Degraded::ServeReads { within: Duration::from_secs(60) }).await;
        let token = ci(&scene).await;
        assert_eq!(code(&scene, &scene.gate, &token).await, "allowed");
        scene.faults.cut_after(4);
        revoke(&scene.gate, &token).await;
        // Not even the degraded mode serves what is known to be out of date.
        assert_eq!(code(&scene, &scene.gate, &token).await, "store_unavailable");
        scene.faults.mend();
        assert_eq!(code(&scene, &scene.gate, &token).await, "revoked");
    });
}

#[test]
fn at_least_is_waited_for_or_refused() {
    block_on(async {
        let scene = Scene::new().await;
        let token = ci(&scene).await;
        let (node, faults, _) = scene.other_node().await;
        assert_eq!(code(&scene, &node, &token).await, "allowed");
        let revision = revoke(&scene.gate, &token).await;
        let credential = Credential::parse(token.text.expose_secret(), node.brand()).expect("a credential");
        let resource = Resource::entry(scene.workspace, EntryKey::new(b"k").expect("a key"));
        let request = Request::new(Action::Read, &resource);
        // Without it the node still believes what it has proven.
        assert_eq!(node.check(Some(&credential), &request, now()).await.code(), "allowed");
        let request = request.at_least(revision);
        assert!(node.check_held(Some(&credential), &request, now()).is_none());
        faults.cut();
        assert_eq!(node.check(Some(&credential), &request, now()).await.code(), "store_unavailable");
        faults.mend();
        assert_eq!(node.check(Some(&credential), &request, now()).await.code(), "revoked");
        let never = Revision { number: revision.number + 1, ..revision };
        let request = Request::new(Action::Read, &resource).at_least(never);
        assert_eq!(node.check(Some(&credential), &request, now()).await.code(), "store_unavailable");
    });
}

/// A clock that does something once, when it is read.
#[derive(Debug, Default)]
struct BusyClock {
    inner: ManualClock,
    reads: AtomicU64,
    at: AtomicU64,
    act: std::sync::Mutex<Option<Gate>>,
}

impl Clock for BusyClock {
    fn ticks(&self) -> Ticks {
        let read = self.reads.fetch_add(1, Ordering::SeqCst);
        if read == self.at.load(Ordering::SeqCst)
            && let Some(gate) = self.act.lock().ok().and_then(|mut act| act.take())
        {
            let polled = std::thread::spawn(move || block_on(gate.catch_up()).is_ok()).join();
            assert!(polled.is_ok_and(|polled| polled));
        }
        self.inner.ticks()
    }
}

#[test]
fn a_held_answer_is_as_old_as_its_proof_and_not_older() {
    block_on(async {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new(Epoch(1)));
        let scene = Scene::over(Arc::clone(&storage), Degraded::Refuse).await;
        let token = ci(&scene).await;
        let clock = Arc::new(BusyClock::default());
        let node = Gate::builder(storage, Arc::new(MemoryVault::default()))
            .clock(clock.clone())
            .build(now())
            .await
            .expect("a gate");
        assert_eq!(code(&scene, &node, &token).await, "allowed");
        revoke(&scene.gate, &token).await;
        // Long afterwards: the node is stale, and another thread's poll comes between the steps of a held check,
        // whichever of its looks at the clock that is.
        let credential = Credential::parse(token.text.expose_secret(), node.brand()).expect("a credential");
        let resource = Resource::entry(scene.workspace, EntryKey::new(b"k").expect("a key"));
        let request = Request::new(Action::Read, &resource);
        clock.inner.advance(Duration::from_secs(3600));
        let next = clock.reads.load(Ordering::SeqCst);
        clock.at.store(next, Ordering::SeqCst);
        *clock.act.lock().expect("a lock") = Some(node.clone());
        assert!(
            node.check_held(Some(&credential), &request, now()).is_none_or(|verdict| !verdict.is_allowed())
        );
        assert!(clock.act.lock().expect("a lock").is_none(), "the poll came in between");
    });
}

#[test]
fn a_workspace_that_is_made_later_is_found() {
    block_on(async {
        let scene = Scene::new().await;
        let who = scene.administrator().await;
        let credential =
            Credential::parse(scene.administrator.expose_secret(), scene.gate.brand()).expect("a credential");
        // The id is guessed before the workspace is made: on another store that made it already.
        let elsewhere = Scene::new().await;
        let record = elsewhere.storage.workspace(elsewhere.workspace).await.expect("read").expect("there");
        let resource = Resource::entry(record.id, EntryKey::new(b"k").expect("a key"));
        let request = Request::new(Action::Read, &resource);
        assert_eq!(scene.gate.check(Some(&credential), &request, now()).await.code(), "unknown_place");
        assert_eq!(scene.gate.authorize(&who, &request, now()).await.code(), "unknown_place");
        let record = cachegate_storage::WorkspaceRecord {
            organization: scene.organization,
            name: "later".parse().expect("a name"),
            ..record
        };
        let act =
            cachegate_storage::Act { by: cachegate_types::Principal::Anonymous, token: None, at: now() };
        scene.storage.create_workspace(&record, &act).await.expect("made, without a revision");
        assert_eq!(scene.gate.check(Some(&credential), &request, now()).await.code(), "allowed");
        assert_eq!(scene.gate.authorize(&who, &request, now()).await.code(), "allowed");
    });
}

#[test]
fn a_storage_that_panics_refuses_and_the_panic_stays_inside() {
    block_on(async {
        let scene = Scene::degraded(Degraded::ServeReads { within: Duration::from_secs(60) }).await;
        let token = ci(&scene).await;
        assert_eq!(code(&scene, &scene.gate, &token).await, "allowed");
        let who = scene.authenticate(&token.text).await;
        scene.clock.advance(Duration::from_secs(5));
        scene.faults.panic();
        assert_eq!(code(&scene, &scene.gate, &token).await, "internal_fault");
        let resource = Resource::entry(scene.workspace, EntryKey::new(b"k").expect("a key"));
        let request = Request::new(Action::Read, &resource);
        assert_eq!(scene.gate.authorize(&who, &request, now()).await.code(), "internal_fault");
        assert!(scene.gate.authenticate(None, now()).await.is_err());
        scene.faults.mend();
        assert_eq!(code(&scene, &scene.gate, &token).await, "allowed");
    });
}

#[test]
fn a_mass_revocation_reaches_remembered_sessions() {
    block_on(async {
        let scene = Scene::new().await;
        let token = ci(&scene).await;
        let (node, _, clock) = scene.other_node().await;
        assert_eq!(code(&scene, &node, &token).await, "allowed");
        let scope = MassScope::Workspace(scene.workspace);
        scene.gate.revoke_many(&OPERATOR, scope, Some(now()), why(), now()).await.expect("revoked");
        assert_eq!(code(&scene, &scene.gate, &token).await, "revoked");
        clock.advance(Duration::from_secs(4));
        assert_eq!(code(&scene, &node, &token).await, "revoked");
    });
}
