//! The session of a signed-in browser: who it is for, and all that ends it.
#![expect(clippy::expect_used, reason = "a step that fails is a failed test")]

use std::time::Duration;

use cachegate::{
    AuthenticateError, Authentication, Authority, BROWSER_SESSION_IDLE, BROWSER_SESSION_LIFE, Credential,
    Gate, Request,
};
use cachegate_storage::{MassScope, TokenKind};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, Lane, Principal, Resource, Restriction, Role, SecretText,
    Timestamp, UserId,
};

async fn signed_in(scene: &Scene, user: UserId) -> SecretText {
    let begun = scene.gate.begin_browser_session(user, Description::default(), NOW.into()).await;
    begun.expect("a session").token
}

async fn sits_there(
    gate: &Gate,
    token: &SecretText,
    after: Duration,
) -> Result<Authentication, &'static str> {
    let credential = Credential::parse(token.expose_secret(), gate.brand()).expect("a credential");
    let who = gate.browser_session(&credential, Timestamp::from(NOW).saturating_add(after)).await;
    who.map_err(|error| match error {
        AuthenticateError::NotAuthenticated(reason) => reason.code(),
        AuthenticateError::Unavailable(reason) => reason.code(),
    })
}

async fn may_read(scene: &Scene, who: &Authentication) -> &'static str {
    let resource = Resource::Workspace(scene.workspace);
    scene.gate.authorize(who, &Request::new(Action::Read, &resource), NOW.into()).await.code()
}

const NOW_AT_ONCE: Duration = Duration::ZERO;

#[test]
fn a_browser_session_is_its_person_and_no_credential_for_anything_else() {
    block_on(async {
        let scene = Scene::new().await;
        let token = signed_in(&scene, scene.owner).await;
        assert!(token.expose_secret().starts_with("cgb_"));
        let who = sits_there(&scene.gate, &token, NOW_AT_ONCE).await.expect("signed in");
        assert_eq!(
            (who.principal(), who.token_kind()),
            (&Principal::User(scene.owner), Some(TokenKind::Browser))
        );
        assert_eq!(may_read(&scene, &who).await, "allowed");
        // Also not right after it was shown where it belongs: nothing remembers it there.
        assert_eq!(scene.code(&token, Action::Read).await, "wrong_token_kind");
        let credential = Credential::parse(token.expose_secret(), scene.gate.brand()).expect("a credential");
        assert!(scene.gate.renew(&credential, NOW.into()).await.is_err());
        assert!(scene.gate.exchange(&who, &cachegate::SessionSpec::default(), NOW.into()).await.is_err());
    });
}

#[test]
fn no_other_token_is_a_browser_session() {
    block_on(async {
        let scene = Scene::new().await;
        let login = scene.gate.log_in(scene.owner, NOW.into()).await.expect("a login");
        let ci = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        for token in [&scene.administrator, &login.session.token, &login.refresh.token, &ci] {
            assert_eq!(sits_there(&scene.gate, token, NOW_AT_ONCE).await.unwrap_err(), "wrong_token_kind");
        }
        let token = signed_in(&scene, scene.owner).await;
        // The same row under another letter is another text, with another checksum and another digest.
        let as_personal = token.expose_secret().replacen("cgb_", "cgp_", 1);
        assert!(Credential::parse(&as_personal, scene.gate.brand()).is_err());
    });
}

#[test]
fn a_browser_session_ends_in_the_end_and_when_nobody_uses_it() {
    block_on(async {
        let scene = Scene::new().await;
        let (kept, left) = (signed_in(&scene, scene.owner).await, signed_in(&scene, scene.owner).await);
        let (second, idle) = (Duration::from_secs(1), BROWSER_SESSION_IDLE);
        let mut at = Duration::ZERO;
        while at < BROWSER_SESSION_LIFE {
            assert!(sits_there(&scene.gate, &kept, at).await.is_ok(), "used until {at:?}");
            at += idle / 2;
        }
        assert!(sits_there(&scene.gate, &kept, BROWSER_SESSION_LIFE - second).await.is_ok());
        assert_eq!(sits_there(&scene.gate, &kept, BROWSER_SESSION_LIFE).await.unwrap_err(), "expired");
        assert_eq!(sits_there(&scene.gate, &left, idle).await.unwrap_err(), "expired");
        // Another node knows of the use, though nothing told it.
        let shared = signed_in(&scene, scene.owner).await;
        let (other, ..) = scene.other_node().await;
        for hour in 0..6 {
            let gate = if hour % 2 == 0 { &scene.gate } else { &other };
            assert!(sits_there(gate, &shared, Duration::from_secs(hour * 3600)).await.is_ok(), "hour {hour}");
        }
    });
}

#[test]
fn a_revocation_ends_a_browser_session_with_the_next_request() {
    block_on(async {
        let scene = Scene::new().await;
        let reason = Description::default;
        let by = Authority::Operator;
        let one = signed_in(&scene, scene.owner).await;
        let who = sits_there(&scene.gate, &one, NOW_AT_ONCE).await.expect("signed in");
        scene.revoke(who.token_id().expect("an id")).await;
        assert_eq!(sits_there(&scene.gate, &one, NOW_AT_ONCE).await.unwrap_err(), "revoked");
        let two = signed_in(&scene, scene.owner).await;
        let (other, ..) = scene.other_node().await;
        assert!(sits_there(&other, &two, NOW_AT_ONCE).await.is_ok());
        let person = MassScope::Principal(Principal::User(scene.owner));
        scene.gate.revoke_many(&by, person, None, reason(), NOW.into()).await.expect("revoked");
        // The other node's feed was not read since.
        assert_eq!(sits_there(&other, &two, NOW_AT_ONCE).await.unwrap_err(), "revoked");
        scene.faults.cut();
        assert_eq!(sits_there(&scene.gate, &two, NOW_AT_ONCE).await.unwrap_err(), "store_unavailable");
    });
}

#[test]
fn whoever_leaves_an_organization_sees_it_no_longer_though_they_stay_signed_in() {
    block_on(async {
        let scene = Scene::new().await;
        let (user, _) = scene.person(Role::Member, ActionSet::ALL).await;
        let token = signed_in(&scene, user).await;
        let who = sits_there(&scene.gate, &token, NOW_AT_ONCE).await.expect("signed in");
        assert_eq!(may_read(&scene, &who).await, "allowed");
        let by = Authority::Operator;
        scene.gate.remove_member(&by, scene.organization, user, NOW.into()).await.expect("removed");
        let who = sits_there(&scene.gate, &token, NOW_AT_ONCE).await.expect("signed in");
        assert_ne!(may_read(&scene, &who).await, "allowed");
    });
}

#[test]
fn a_browser_session_of_a_personal_token_has_what_the_token_has_and_ends_with_it() {
    block_on(async {
        let scene = Scene::new().await;
        let (_, token) = scene.person(Role::Owner, ActionSet::of(&[Action::Resolve])).await;
        let by = scene.authenticate(&token).await;
        let begun = scene.gate.exchange_for_browser_session(&by, Description::default(), NOW.into()).await;
        let session = begun.expect("a session").token;
        let who = sits_there(&scene.gate, &session, NOW_AT_ONCE).await.expect("signed in");
        assert!(
            matches!(who.restrictions(), [Restriction::Actions(actions)] if *actions == ActionSet::of(&[Action::Resolve]))
        );
        assert_ne!(may_read(&scene, &who).await, "allowed");
        scene.revoke(by.token_id().expect("an id")).await;
        assert_eq!(sits_there(&scene.gate, &session, NOW_AT_ONCE).await.unwrap_err(), "revoked");
        let ci = scene.authenticate(&scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await).await;
        let refused = scene.gate.exchange_for_browser_session(&ci, Description::default(), NOW.into()).await;
        assert_eq!(refused.unwrap_err().to_string(), "a ci token is not exchanged for a session");
    });
}
