//! Decisions are told of, once each, and what becomes of those that cannot be.
#![expect(clippy::expect_used, clippy::panic, reason = "a step that fails is a failed test")]

use std::sync::Arc;

use cachegate::{Credential, DecisionEvent, DecisionSink, Gate, NotRecorded, Overflow, QueueSink, Request};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{AccessLevel, Action, EntryKey, Lane, Principal, Resource, SecretText};

async fn ask(scene: &Scene, gate: &Gate, text: &SecretText) -> &'static str {
    scene.ask_gate(gate, Some(text), Action::Read, "k", NOW.into()).await.code()
}

async fn with(scene: &Scene, sink: Arc<dyn DecisionSink>) -> Gate {
    Gate::builder(Arc::clone(&scene.storage), Arc::clone(&scene.vault))
        .sink(sink)
        .build(NOW.into())
        .await
        .expect("a gate")
}

#[test]
fn every_decision_is_told_of_exactly_once_with_who_what_and_why() {
    block_on(async {
        let scene = Scene::new().await;
        let token = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        let who = scene.authenticate(&token.token).await;
        let resource = Resource::entry(scene.workspace, EntryKey::new(b"key").expect("a key"));
        scene.recorder.take();
        assert!(scene.ask(Some(&token.token), Action::Read, "key").await.is_allowed());
        assert!(!scene.ask(Some(&token.token), Action::Write, "key").await.is_allowed());
        assert!(scene.ask_held(Some(&token.token), Action::Read, "key", NOW.into()).is_some());
        assert!(
            scene.gate.authorize(&who, &Request::new(Action::Delete, &resource), NOW.into()).await.code()
                == "action_not_granted"
        );
        scene.revoke(token.record.id).await;
        assert!(scene.ask_held(Some(&token.token), Action::Read, "key", NOW.into()).is_none());
        assert!(!scene.ask(Some(&token.token), Action::Read, "key").await.is_allowed());
        let events = scene.recorder.take();
        let told: Vec<_> = events.iter().map(|event| (event.action, event.code)).collect();
        assert_eq!(
            told,
            [
                (Action::Read, "allowed"),
                (Action::Write, "action_not_granted"),
                (Action::Read, "allowed"),
                (Action::Delete, "action_not_granted"),
                (Action::Read, "revoked"),
            ]
        );
        for event in &events[..4] {
            assert_eq!(event.principal, Some(Principal::Ci(scene.workspace)));
            assert_eq!((event.token, &event.resource), (Some(token.record.id), &resource));
            assert_eq!((event.at, event.degraded), (NOW.into(), false));
        }
        assert_eq!(events[4].principal, None, "nobody was established");
    });
}

#[test]
fn a_full_queue_that_drops_loses_the_record_and_not_the_request() {
    block_on(async {
        let scene = Scene::new().await;
        let token = scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await;
        let (sink, receiver) = QueueSink::bounded(2, Overflow::Drop);
        let sink = Arc::new(sink);
        let gate = with(&scene, sink.clone()).await;
        for _ in 0..5 {
            assert_eq!(ask(&scene, &gate, &token).await, "allowed");
        }
        assert_eq!((receiver.try_iter().count(), sink.lost()), (2, 3));
        drop(receiver);
        assert_eq!(ask(&scene, &gate, &token).await, "allowed");
        assert_eq!(sink.lost(), 4);
    });
}

#[test]
fn a_full_queue_that_refuses_allows_nothing_unrecorded() {
    block_on(async {
        let scene = Scene::new().await;
        let token = scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        let (sink, receiver) = QueueSink::bounded(1, Overflow::Refuse);
        let gate = with(&scene, Arc::new(sink)).await;
        assert_eq!(ask(&scene, &gate, &token.token).await, "allowed");
        assert_eq!(ask(&scene, &gate, &token.token).await, "decision_unrecorded");
        let credential = Credential::parse(token.token.expose_secret(), gate.brand()).expect("a credential");
        let resource = Resource::entry(scene.workspace, EntryKey::new(b"k").expect("a key"));
        let request = Request::new(Action::Read, &resource);
        let held = gate.check_held(Some(&credential), &request, NOW.into()).expect("held");
        assert_eq!(held.code(), "decision_unrecorded");
        // A refusal stays the refusal that it is.
        scene.revoke(token.record.id).await;
        gate.catch_up().await.expect("a revision");
        assert_eq!(ask(&scene, &gate, &token.token).await, "revoked");
        assert_eq!(receiver.try_iter().count(), 1);
        let other = scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await;
        assert_eq!(ask(&scene, &gate, &other).await, "allowed", "there is place again");
        drop(receiver);
        assert_eq!(ask(&scene, &gate, &other).await, "decision_unrecorded", "nobody takes them any more");
    });
}

#[derive(Debug)]
struct Panics;

impl DecisionSink for Panics {
    fn record(&self, _: DecisionEvent) -> Result<(), NotRecorded> {
        panic!("the test makes the sink panic")
    }
}

#[test]
fn a_sink_that_panics_refuses() {
    block_on(async {
        let scene = Scene::new().await;
        let token = scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await;
        let gate = with(&scene, Arc::new(Panics)).await;
        assert_eq!(ask(&scene, &gate, &token).await, "internal_fault");
        let credential = Credential::parse(token.expose_secret(), gate.brand()).expect("a credential");
        let resource = Resource::entry(scene.workspace, EntryKey::new(b"k").expect("a key"));
        let held = gate.check_held(Some(&credential), &Request::new(Action::Read, &resource), NOW.into());
        assert!(held.is_none_or(|verdict| verdict.code() == "internal_fault"));
    });
}
