//! How long tokens live at most, and ending many at once.

use std::time::Duration;

use cachegate::{Authority, DeviceAccess, LongestLives, PersonalForm};
use cachegate_storage::{TokenFilter, TokenKind};
use cachegate_testkit::NOW;
use cachegate_types::{AccessLevel, Action, ActionSet, Lane, Principal, Role};
use http::StatusCode;

use crate::support::Site;

const LIVES: &str = "/acme/settings?editview=token-lives";
const GUARDS: &str = "/acme/settings?editview=locks";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn the_longest_lives_are_set_and_told_where_a_token_is_made() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let (_, member) = site.member(Role::Member).await;
        let ci = "/acme/settings?editview=ci-tokens&workspace=app&new=ci";
        assert!(owner.get(ci).await.text.contains("Empty: until it is revoked."));
        let seen = owner.get(LIVES).await.between("name=\"seen\" value=\"", "\"").to_owned();
        let fields = |ci, unit| {
            [
                ("act", "save"),
                ("seen", seen.as_str()),
                ("ci", ci),
                ("ci-unit", unit),
                ("personal", "36"),
                ("personal-unit", "hours"),
            ]
        };
        for (number, unit) in
            [("0", "days"), ("3651", "days"), ("x", "days"), ("5", "moons"), ("18446744073709551615", "days")]
        {
            let answer = owner.post(LIVES, &fields(number, unit)).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{number} {unit}");
            assert!(answer.text.contains("A life is a whole number"), "{number} {unit}");
        }
        assert_eq!(owner.post(LIVES, &fields("30", "days")).await.status, StatusCode::SEE_OTHER);
        let kept =
            site.scene.gate.longest_lives(&Authority::Operator, site.scene.organization, NOW.into()).await;
        assert_eq!(kept.expect("lives"), LongestLives { ci: Some(30 * DAY), personal: Some(36 * DAY / 24) });
        let late = owner.post(LIVES, &fields("60", "days")).await;
        assert!(late.text.contains("Somebody else changed this meanwhile"));
        let page = owner.get(LIVES).await;
        assert!(page.text.contains("Now: 30 days at most.") && page.text.contains("Now: 36 hours at most."));
        assert!(owner.get(ci).await.text.contains("30 days at most, which is what an empty field says."));
        // Whoever may not set it is told of it all the same, where they make a token.
        let own = member.get("/account?new=personal").await;
        assert!(own.text.contains("36 hours at most"), "{}", own.text);
        assert_eq!(member.get(LIVES).await.status, StatusCode::NOT_FOUND);
        assert_eq!(member.post(LIVES, &fields("9", "days")).await.status, StatusCode::NOT_FOUND);
        let made = owner
            .post(
                ci,
                &[
                    ("act", "create"),
                    ("new", "ci"),
                    ("description", "x"),
                    ("level", "read-only"),
                    ("lane", "main"),
                ],
            )
            .await;
        assert!(made.text.contains("<dt>Expires</dt><dd>2023-12-14"), "thirty days on");
    });
}

#[test]
fn every_token_of_a_workspace_is_revoked_at_once_after_it_was_counted() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let ci = site.scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let device = site.scene.device(DeviceAccess::Normal).await.token;
        let fields = |act, place| [("act", act), ("place", place), ("reason", "a leak")];
        let asked = owner.post(GUARDS, &fields("count-revoke", "app")).await;
        for told in [
            "of the workspace app that was issued until 2023-11-14 22:13?",
            "Live CI tokens: 1.",
            "Live device tokens: 0.",
        ] {
            assert!(asked.text.contains(told), "{told}: {}", asked.text);
        }
        assert_eq!(site.scene.code(&ci, Action::Read).await, "allowed", "asking revokes nothing");
        let before = [("act", "count-revoke"), ("place", "app"), ("reason", "a leak"), ("day", "2023-11-13")];
        assert!(
            owner.post(GUARDS, &before).await.text.contains("Live CI tokens: 0."),
            "those of that day alone"
        );
        let second = (NOW - 1).to_string();
        let early = [("act", "revoke"), ("place", "app"), ("reason", "a leak"), ("second", &second)];
        assert_eq!(owner.post(GUARDS, &early).await.status, StatusCode::SEE_OTHER);
        assert_eq!(
            site.scene.code(&ci, Action::Read).await,
            "allowed",
            "what was counted is what is revoked"
        );
        assert_eq!(owner.post(GUARDS, &fields("revoke", "app")).await.status, StatusCode::SEE_OTHER);
        assert_eq!(site.scene.code(&ci, Action::Read).await, "revoked");
        assert_eq!(site.scene.code(&device, Action::Read).await, "allowed");
        let asked = owner.post(GUARDS, &fields("count-revoke", "")).await;
        assert!(asked.text.contains("all of acme") && asked.text.contains("Live device tokens: 1."));
        owner.post(GUARDS, &fields("revoke", "")).await;
        assert_eq!(site.scene.code(&device, Action::Read).await, "revoked");
        assert_eq!(owner.get(GUARDS).await.status, StatusCode::OK, "whoever did it goes on");
        for (wrong, why) in [
            (vec![("act", "count-revoke"), ("place", "app")], "Say why"),
            (vec![("act", "count-revoke"), ("place", "web"), ("reason", "x")], "Choose a workspace"),
            (vec![("act", "revoke"), ("reason", "x"), ("day", "yesterday")], "A day is written as"),
        ] {
            let answer = owner.post(GUARDS, &wrong).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{why}");
            assert!(answer.text.contains(why), "{why}");
        }
    });
}

#[test]
fn a_person_ends_their_browsers_terminals_and_tokens_all_at_once() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let gate = &site.scene.gate;
        let (user, token) = site.scene.person(Role::Member, ActionSet::ALL).await;
        let (here, elsewhere) = (site.sign_in(&token).await, site.sign_in(&token).await);
        let (_, other) = site.member(Role::Member).await;
        let login = gate.log_in(user, NOW.into()).await.expect("a login");
        let live = async |kind| {
            let owner = Some(Principal::User(user));
            let filter =
                TokenFilter { owner, kind: Some(kind), live_at: Some(NOW.into()), ..TokenFilter::default() };
            site.scene.storage.tokens(&filter, None, 100).await.expect("tokens").len()
        };
        let page = here.get("/account").await;
        assert!(
            page.text.contains(&login.refresh.record.id.to_string()),
            "a terminal is listed by its login"
        );
        let nothing = here.post("/account", &[("act", "count-end")]).await;
        assert!(nothing.text.contains("Choose what to end."));
        let asked =
            here.post("/account", &[("act", "count-end"), ("what", "browsers"), ("what", "terminals")]).await;
        assert!(
            asked.text.contains("Other browsers: 1.") && asked.text.contains("and sessions: 2."),
            "{}",
            asked.text
        );
        assert_eq!(elsewhere.get("/account").await.status, StatusCode::OK, "asking ends nothing");
        let ended =
            here.post("/account", &[("act", "end"), ("what", "browsers"), ("what", "terminals")]).await;
        assert_eq!(ended.status, StatusCode::SEE_OTHER);
        assert_eq!(elsewhere.get("/account").await.status, StatusCode::SEE_OTHER, "signed out");
        assert_eq!(here.get("/account").await.status, StatusCode::OK);
        assert_eq!((live(TokenKind::Refresh).await, live(TokenKind::Session).await), (0, 0));
        assert_eq!(site.scene.code(&login.session.token, Action::Read).await, "revoked");
        assert_eq!(site.scene.code(&token, Action::Read).await, "allowed", "what was not chosen stays");

        site.scene.personal(user, AccessLevel::ReadOnly.actions(), PersonalForm::Opaque).await;
        let asked = here.post("/account", &[("act", "count-end"), ("what", "personal")]).await;
        assert!(
            asked.text.contains("Personal tokens: 2.")
                && asked.text.contains("this browser is signed out too")
        );
        here.post("/account", &[("act", "end"), ("what", "personal")]).await;
        assert_eq!(
            live(TokenKind::Personal).await,
            0,
            "the one that this browser came from is the last to end"
        );
        assert_eq!(here.get("/account").await.status, StatusCode::SEE_OTHER);
        assert_eq!(other.get("/account").await.status, StatusCode::OK, "nobody else's are ended");
    });
}

#[test]
fn a_terminal_is_ended_for_good_by_the_page_of_its_login() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let gate = &site.scene.gate;
        let (user, token) = site.scene.person(Role::Member, ActionSet::ALL).await;
        let browser = site.sign_in(&token).await;
        let login = gate.log_in(user, NOW.into()).await.expect("a login");
        let secret = login.refresh.token.expose_secret().to_owned();
        let refresh = cachegate::Credential::parse(&secret, gate.brand()).expect("a credential");
        let renewed = gate.renew(&refresh, NOW.into()).await.expect("renewed");
        let (old, new) = (login.refresh.record.id.to_string(), renewed.refresh.record.id.to_string());
        let page = browser.get("/account").await;
        assert!(page.text.contains(&new) && !page.text.contains(&old), "the newest of its line is the login");
        let one = browser.get(&format!("/account?token={new}")).await;
        assert!(
            one.text.contains("login in a terminal") && one.text.contains("value=\"revoke\""),
            "{}",
            one.text
        );
        let ended = browser.post("/account", &[("act", "revoke"), ("token", &new)]).await;
        assert_eq!(ended.status, StatusCode::SEE_OTHER, "{}", ended.text);
        assert_eq!(site.scene.code(&renewed.session.token, Action::Read).await, "revoked");
        let text = renewed.refresh.token.expose_secret().to_owned();
        let refresh = cachegate::Credential::parse(&text, gate.brand()).expect("a credential");
        assert!(gate.renew(&refresh, NOW.into()).await.is_err());
    });
}
