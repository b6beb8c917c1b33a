//! Logging in from a terminal (RFC 8628).
#![expect(clippy::expect_used, reason = "a step that fails is a failed test")]

use std::sync::{Arc, Barrier};

use cachegate::{Authority, DeviceLogin, DeviceLoginError, IssueError, LoggedIn, PersonalForm, SessionSpec};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{
    AccessLevel, Action, ActionSet, ClosureId, Lane, Restriction, Role, SecretText, Timestamp,
};

fn later(seconds: u32) -> Timestamp {
    (NOW + seconds).into()
}

async fn begin(scene: &Scene) -> DeviceLogin {
    let client = "gatectl on laptop".parse().expect("a description");
    scene.gate.begin_device_login(client, NOW.into()).await.expect("it waits")
}

async fn decide(
    scene: &Scene,
    by: &SecretText,
    login: &DeviceLogin,
    approved: bool,
) -> Result<(), DeviceLoginError> {
    let who = scene.authenticate(by).await;
    scene.gate.decide_device_login(&Authority::Of(&who), &login.user_code, approved, NOW.into()).await
}

async fn finish(scene: &Scene, login: &DeviceLogin, seconds: u32) -> Result<LoggedIn, DeviceLoginError> {
    scene.gate.finish_device_login(login.device_code.expose_secret(), later(seconds)).await
}

fn code<T>(answer: Result<T, DeviceLoginError>) -> &'static str {
    answer.err().map_or("done", |error| error.code())
}

#[test]
fn a_terminal_is_logged_in_as_whoever_approved_it() {
    block_on(async {
        let scene = Scene::new().await;
        let (_, token) = scene.person(Role::Member, ActionSet::ALL).await;
        let login = begin(&scene).await;
        let shown = scene.gate.waiting_login(&login.user_code, NOW.into()).await.expect("it waits");
        assert_eq!(shown.client.to_string(), "gatectl on laptop");
        decide(&scene, &token, &login, true).await.expect("approved");
        let done = finish(&scene, &login, 5).await.expect("logged in");
        let who = scene.authenticate(&done.session.token).await;
        assert_eq!(who.principal(), scene.authenticate(&token).await.principal());
        assert_eq!(scene.code(&done.session.token, Action::Write).await, "allowed");
        assert_eq!(code(finish(&scene, &login, 6).await), "invalid_grant", "a code is good for one login");
    });
}

#[test]
fn until_somebody_decides_the_terminal_waits_and_asks_every_five_seconds() {
    block_on(async {
        let scene = Scene::new().await;
        let login = begin(&scene).await;
        for (second, expected) in
            [(0, "authorization_pending"), (1, "slow_down"), (5, "slow_down"), (10, "authorization_pending")]
        {
            assert_eq!(code(finish(&scene, &login, second).await), expected, "after {second} s");
        }
        assert_eq!(code(finish(&scene, &login, 15 * 60 - 1).await), "authorization_pending");
        assert_eq!(code(finish(&scene, &login, 15 * 60).await), "expired_token");
    });
}

#[test]
fn the_first_decision_counts() {
    block_on(async {
        let scene = Scene::new().await;
        for first in [true, false] {
            let login = begin(&scene).await;
            decide(&scene, &scene.administrator, &login, first).await.expect("decided");
            assert_eq!(code(decide(&scene, &scene.administrator, &login, !first).await), "invalid_grant");
            let shown = scene.gate.waiting_login(&login.user_code, NOW.into()).await;
            assert_eq!(code(shown), "invalid_grant", "nothing waits for a decision any more");
            let expected = if first { "done" } else { "access_denied" };
            assert_eq!(code(finish(&scene, &login, 5).await), expected);
        }
    });
}

#[test]
fn nobody_decides_too_late() {
    block_on(async {
        let scene = Scene::new().await;
        let login = begin(&scene).await;
        let who = scene.administrator().await;
        let by = Authority::Of(&who);
        let late = scene.gate.decide_device_login(&by, &login.user_code, true, later(15 * 60)).await;
        assert_eq!(code(late), "invalid_grant");
    });
}

#[test]
fn a_login_is_never_more_than_the_credential_that_approved_it() {
    block_on(async {
        let scene = Scene::new().await;
        let (_, reads) = scene.person(Role::Member, ActionSet::of(&[Action::Read])).await;
        let login = begin(&scene).await;
        decide(&scene, &reads, &login, true).await.expect("approved");
        let done = finish(&scene, &login, 5).await.expect("logged in");
        assert_eq!(scene.code(&done.session.token, Action::Read).await, "allowed");
        assert_eq!(scene.code(&done.session.token, Action::Write).await, "restricted");
        let renewed = done.refresh.token;
        let renewed = cachegate::Credential::parse(renewed.expose_secret(), scene.gate.brand());
        let renewed = scene.gate.renew(&renewed.expect("a token"), NOW.into()).await.expect("renewed");
        assert_eq!(scene.code(&renewed.session.token, Action::Write).await, "restricted", "nor later");
    });
}

#[test]
fn an_approval_dies_with_the_credential_that_gave_it() {
    block_on(async {
        let scene = Scene::new().await;
        let (_, token) = scene.person(Role::Member, ActionSet::ALL).await;
        let login = begin(&scene).await;
        decide(&scene, &token, &login, true).await.expect("approved");
        scene.revoke(scene.authenticate(&token).await.token_id().expect("a token")).await;
        assert_eq!(code(finish(&scene, &login, 5).await), "access_denied");
    });
}

#[test]
fn a_machine_approves_nothing() {
    block_on(async {
        let scene = Scene::new().await;
        let machine = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let login = begin(&scene).await;
        assert_eq!(code(decide(&scene, &machine, &login, true).await), "server_error");
        let operator = Authority::Operator;
        let answer = scene.gate.decide_device_login(&operator, &login.user_code, true, NOW.into()).await;
        assert_eq!(code(answer), "server_error");
        assert_eq!(code(finish(&scene, &login, 5).await), "authorization_pending");
    });
}

#[test]
fn a_user_code_is_ten_consonants_that_a_person_types_as_they_like() {
    block_on(async {
        let scene = Scene::new().await;
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let code = begin(&scene).await.user_code;
            assert!(code.len() == 11 && code.as_bytes().get(5) == Some(&b'-'), "{code}");
            assert!(code.bytes().all(|letter| b"BCDFGHJKLMNPQRSTVWXZ-".contains(&letter)), "{code}");
            seen.insert(code);
        }
        assert_eq!(seen.len(), 200);
        let login = begin(&scene).await;
        let plain = login.user_code.replace('-', "");
        for typed in [plain.clone(), plain.to_lowercase(), format!(" {} ", login.user_code.to_lowercase())] {
            scene.gate.waiting_login(&typed, NOW.into()).await.expect("it waits");
        }
        for typed in ["", "BCDFG", "AEIOU-AEIOU", &format!("{plain}B"), &login.user_code.replace('-', "\0")] {
            assert_eq!(code(scene.gate.waiting_login(typed, NOW.into()).await), "invalid_grant", "{typed:?}");
        }
    });
}

#[test]
fn no_code_is_kept() {
    block_on(async {
        let scene = Scene::new().await;
        let login = begin(&scene).await;
        let letters = login.user_code.replace('-', "");
        for (scope, key) in
            [("user-code", letters.as_str()), ("device-code", login.device_code.expose_secret())]
        {
            assert_eq!(scene.storage.pending(scope, key.as_bytes()).await, Ok(None), "{scope}");
        }
        assert!(!format!("{login:?}").contains(login.device_code.expose_secret()));
        assert_eq!(
            code(finish(&scene, &DeviceLogin { device_code: SecretText::new(letters), ..login }, 0).await),
            "invalid_grant"
        );
    });
}

#[test]
fn of_many_that_ask_with_one_code_one_is_logged_in() {
    let scene = Arc::new(block_on(Scene::new()));
    for _ in 0..20 {
        let login = block_on(async {
            let login = begin(&scene).await;
            decide(&scene, &scene.administrator, &login, true).await.expect("approved");
            login
        });
        let start = Arc::new(Barrier::new(8));
        let asking: Vec<_> = (0..8)
            .map(|_| {
                let (scene, start, login) = (Arc::clone(&scene), Arc::clone(&start), login.clone());
                std::thread::spawn(move || {
                    start.wait();
                    code(block_on(finish(&scene, &login, 5)))
                })
            })
            .collect();
        let answers: Vec<_> = asking.into_iter().map(|thread| thread.join().expect("an answer")).collect();
        let winners = answers.iter().filter(|answer| **answer == "done").count();
        assert_eq!(winners, 1, "{answers:?}");
        assert!(answers.iter().all(|answer| ["done", "invalid_grant"].contains(answer)), "{answers:?}");
    }
}

#[test]
fn a_login_that_asks_for_less_gets_no_more_whoever_approves_it() {
    block_on(async {
        let scene = Scene::new().await;
        let asked = [Restriction::Actions(ActionSet::of(&[Action::Read]))];
        let client = "x".parse().expect("a description");
        let login =
            scene.gate.begin_narrowed_device_login(client, &asked, NOW.into()).await.expect("it waits");
        let shown = scene.gate.waiting_login(&login.user_code, NOW.into()).await.expect("it waits");
        assert_eq!(shown.restrictions, asked);
        decide(&scene, &scene.administrator, &login, true).await.expect("approved");
        let done = finish(&scene, &login, 5).await.expect("logged in");
        assert_eq!(scene.code(&done.session.token, Action::Read).await, "allowed");
        assert_ne!(scene.code(&done.session.token, Action::Write).await, "allowed");
        assert!(done.refresh.record.restrictions.contains(&asked[0]), "renewed, it stays cut");
    });
}

#[test]
fn what_stands_for_a_task_and_not_for_its_person_approves_no_login() {
    block_on(async {
        let scene = Scene::new().await;
        let login = begin(&scene).await;
        let personal = scene.personal(scene.owner, ActionSet::ALL, PersonalForm::Opaque).await;
        let who = scene.authenticate(&personal.token).await;
        let exchanged =
            scene.gate.exchange(&who, &SessionSpec::default(), NOW.into()).await.expect("a session");
        let closure = scene.closure_reader(&personal.record, ClosureId::from_bytes([3; 16])).await;
        for token in [&exchanged.token, &closure] {
            let refused = decide(&scene, token, &login, true).await;
            assert!(matches!(refused, Err(DeviceLoginError::Failed(IssueError::NotTheOwner))), "{refused:?}");
        }
        let other = scene.gate.log_in(scene.owner, NOW.into()).await.expect("a login");
        decide(&scene, &other.session.token, &login, true).await.expect("a login's own session does");
    });
}
