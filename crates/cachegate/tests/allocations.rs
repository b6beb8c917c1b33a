//! A credential that was seen before costs no allocation.

use std::hint::black_box;
use std::sync::Arc;

use cachegate::{Credential, Gate, PersonalForm, Request};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{AccessLevel, Action, ActionSet, EntryKey, Lane, Resource, SecretText};

#[test]
fn a_warm_decision_allocates_nothing_from_header_to_answer() {
    block_on(async {
        let scene = Scene::new().await;
        // The scene's own gate tells a recorder of every decision; this one tells nobody.
        let gate = Gate::builder(Arc::clone(&scene.storage), Arc::clone(&scene.vault));
        let gate = gate.clock(scene.clock.clone()).build(NOW.into()).await.expect("a gate");
        let personal = scene.personal(scene.owner, ActionSet::ALL, PersonalForm::Jwt).await.token;
        let tokens: [(&str, SecretText); 3] = [
            ("opaque", scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await),
            ("opaque, of a person", scene.administrator.clone()),
            ("signed", personal),
        ];
        let entry = Resource::entry(scene.workspace, EntryKey::new(b"5f3a").expect("a key"));
        for (what, token) in &tokens {
            let header = format!("Bearer {}", token.expose_secret());
            for action in [Action::Read, Action::Write] {
                let ask = || {
                    let credential =
                        Credential::bearer_header(black_box(header.as_bytes()), gate.brand()).ok().flatten();
                    let request = Request::new(action, &entry);
                    gate.check_held(credential.as_ref(), &request, NOW.into())
                        .map(|verdict| verdict.is_allowed())
                };
                let credential =
                    Credential::bearer_header(header.as_bytes(), gate.brand()).expect("well formed");
                let first = gate.check(credential.as_ref(), &Request::new(action, &entry), NOW.into()).await;
                assert!(first.is_allowed(), "{what}: {}", first.code());
                let mut answer = None;
                let counted = allocation_counter::measure(|| answer = ask());
                assert_eq!((answer, counted.count_total), (Some(true), 0), "{what}, {action}");
            }
        }
        assert!(allocation_counter::measure(|| drop(black_box(Box::new(1)))).count_total > 0);
    });
}
