//! Workspaces: their settings, members, access, audit and locks.

use cachegate::Authority;
use cachegate_testkit::NOW;
use cachegate_types::{AccessLevel, Action, Lane, Role};
use http::StatusCode;

use crate::support::Site;

const SETTINGS: &str = "/acme/settings?editview=workspace&workspace=app";
const GUARDS: &str = "/acme/settings?editview=locks";

/// What the form of the settings says at first, with another anonymous level.
fn settings<'a>(act: &'a str, seen: &'a str, anonymous: &'a str) -> Vec<(&'a str, &'a str)> {
    let lanes = ["release", "main", "dev", "branch", "pull", "own", "anonymous"];
    let places = ["lane-1", "lane-2", "lane-3", "lane-4", "lane-5", "lane-6", "lane-7"];
    let mut fields = vec![
        ("act", act),
        ("seen", seen),
        ("anonymous", anonymous),
        ("personal", "read-write"),
        ("personal-lane", "dev"),
        ("open-to", "members"),
        ("read-only-ci-writes", "refuse"),
    ];
    fields.extend(places.into_iter().zip(lanes));
    fields
}

#[test]
fn settings_are_warned_of_looked_at_and_saved_over_what_was_seen() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let page = owner.get(SETTINGS).await;
        let seen = page.between("name=\"seen\" value=\"", "\"").to_owned();
        let kept = async || {
            site.scene.storage.workspace(site.scene.workspace).await.expect("read").expect("there").settings
        };
        let checked = owner.post(SETTINGS, &settings("check", &seen, "read-write")).await;
        assert!(checked.text.contains("any stranger can store an entry"), "the linter warns");
        assert_eq!(kept().await.anonymous, AccessLevel::None, "looking changes nothing");
        let saved = owner.post(SETTINGS, &settings("save", &seen, "read-only")).await;
        assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
        assert_eq!(kept().await.anonymous, AccessLevel::ReadOnly);
        let late = owner.post(SETTINGS, &settings("save", &seen, "none")).await;
        assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(late.text.contains("Somebody else changed these settings"));
        assert_eq!(kept().await.anonymous, AccessLevel::ReadOnly);
        let twice: Vec<_> = settings("save", &seen, "none")
            .into_iter()
            .map(|(name, value)| (name, if name == "lane-2" { "release" } else { value }))
            .collect();
        let answer = owner.post(SETTINGS, &twice).await;
        assert!(answer.text.contains("named more than once"), "{}", answer.text);
    });
}

#[test]
fn a_workspace_is_made_and_a_wrong_name_is_told_beside_the_form() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let url = "/acme/settings?editview=workspaces";
        let wrong = owner.post(url, &[("act", "create"), ("name", "No Such")]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(wrong.text.contains("role=\"alert\"") && wrong.text.contains("value=\"No Such\""));
        assert_eq!(
            owner.post(url, &[("act", "create"), ("name", "web")]).await.status,
            StatusCode::SEE_OTHER
        );
        assert!(owner.get(url).await.text.contains(">web<"));
        let again = owner.post(url, &[("act", "create"), ("name", "web")]).await;
        assert!(again.text.contains("exists already"));
    });
}

#[test]
fn a_member_is_added_given_another_role_and_removed() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let (gate, operator) = (&site.scene.gate, Authority::Operator);
        let ada =
            gate.create_user(&operator, "Ada".parse().expect("a name"), NOW.into()).await.expect("a user");
        let (url, id) = ("/acme/settings?editview=members", ada.to_string());
        for (role, act) in [("member", "set"), ("admin", "set"), ("", "remove")] {
            let answer = owner.post(url, &[("act", act), ("user", &id), ("role", role)]).await;
            // What a departure did is told at once.
            let wanted = if act == "remove" { StatusCode::OK } else { StatusCode::SEE_OTHER };
            assert_eq!(answer.status, wanted, "{act} {role}");
            let page = owner.get(url).await;
            assert_eq!(page.text.contains(&id), act == "set");
        }
        let (_, admin) = site.member(Role::Admin).await;
        let refused = admin.post(url, &[("act", "set"), ("user", &id), ("role", "owner")]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        assert!(refused.text.contains("only an owner decides who is an owner"));
    });
}

#[test]
fn a_lock_tells_its_effect_before_it_is_set_and_stops_what_it_says() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let ci = site.scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        site.scene.device(cachegate::DeviceAccess::Normal).await;
        let fields = |act| {
            [("act", act), ("place", "app"), ("actions", "write"), ("reason", "an incident"), ("hours", "2")]
        };
        let asked = owner.post(GUARDS, &fields("count-lock")).await;
        for effect in [
            "Stop write in app?",
            "Live CI tokens: 1.",
            "Live device tokens: 1.",
            "administrators included: 1.",
            "value=\"lock\"",
        ] {
            assert!(asked.text.contains(effect), "{effect}");
        }
        assert_eq!(site.scene.code(&ci, Action::Write).await, "allowed", "asking locks nothing");
        assert_eq!(owner.post(GUARDS, &fields("lock")).await.status, StatusCode::SEE_OTHER);
        assert_eq!(site.scene.code(&ci, Action::Write).await, "locked");
        let page = owner.get(GUARDS).await;
        assert!(page.text.contains("an incident") && page.text.contains("write in app"));
        let id = page.between("name=\"id\" value=\"", "\"").to_owned();
        owner.post(GUARDS, &[("act", "lift"), ("id", &id)]).await;
        assert_eq!(site.scene.code(&ci, Action::Write).await, "allowed");
    });
}

#[test]
fn distrust_tells_its_effect_before_it_is_set_and_is_taken_back() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let ci = site.scene.ci(AccessLevel::ReadWrite, Lane::main()).await.record.id.to_string();
        let fields = |act| [("act", act), ("token", ci.as_str()), ("reason", "leaked")];
        let asked = owner.post(GUARDS, &fields("count-distrust")).await;
        assert!(asked.text.contains("7 stored entries become a miss"), "{}", asked.text);
        assert!(site.scene.storage.marks().await.expect("marks").is_empty(), "asking marks nothing");
        assert_eq!(owner.post(GUARDS, &fields("distrust")).await.status, StatusCode::SEE_OTHER);
        assert_eq!(site.scene.storage.marks().await.expect("marks").len(), 1);
        let page = owner.get(GUARDS).await;
        let id = page.between("name=\"id\" value=\"", "\"").to_owned();
        owner.post(GUARDS, &[("act", "trust"), ("id", &id)]).await;
        assert!(site.scene.storage.marks().await.expect("marks").is_empty());
        let days = [
            ("act", "distrust"),
            ("of", "app"),
            ("from", "2023-11-15"),
            ("to", "2023-11-14"),
            ("reason", "x"),
        ];
        let wrong = owner.post(GUARDS, &days).await;
        assert!(wrong.text.contains("first day is not after"));
    });
}

#[test]
fn a_refusal_is_told_by_its_id_and_the_picture_names_who_may() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let ci = site.scene.ci_token(AccessLevel::ReadWrite, "pull/17".parse().expect("a lane")).await;
        let url = "/acme/settings?editview=explain&workspace=app";
        let page = owner.get(url).await;
        assert!(page.text.contains("<svg") && page.text.contains(">pull/17<"), "{}", page.text);
        let refused = site.scene.ask(Some(&ci), Action::Delete, "key").await;
        let cachegate::Verdict::Denied(denied) = refused else { panic!("allowed") };
        let id = denied.id().expect("an id");
        let told = owner.get(&format!("{url}&decision={id}")).await;
        assert!(told.text.contains("id=\"refusal\"") && told.text.contains("delete"));
        let unknown = owner.get(&format!("{url}&decision=01890a5d-ac96-774b-bcce-b302099a8057")).await;
        assert!(unknown.text.contains("No refusal of this id"));
    });
}

#[test]
fn the_audit_begins_with_what_was_just_done_and_goes_on_to_the_beginning() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        for _ in 0..110 {
            site.scene.device(cachegate::DeviceAccess::Normal).await;
        }
        let read = async |order: &str| {
            let (mut url, mut numbers, mut pages) =
                (format!("/acme/settings?editview=audit{order}"), Vec::<u64>::new(), 0);
            loop {
                let page = owner.get(&url).await;
                pages += 1;
                let cells = page.text.split("data-label=\"No.\">").skip(1);
                numbers.extend(cells.filter_map(|cell| cell.split('<').next()?.parse::<u64>().ok()));
                let Some((before, _)) = page.text.split_once("\" rel=\"next\"") else { break };
                let link =
                    before.rsplit('"').next().expect("a link").replace("&#38;", "&").replace("&amp;", "&");
                assert!(link.contains("code=token_issued"), "the filter stays: {link}");
                url = link;
            }
            (numbers, pages)
        };
        let (newest, pages) = read("&code=token_issued").await;
        assert!(pages > 1 && newest.len() >= 110, "{pages} pages, {} records", newest.len());
        assert!(newest.is_sorted_by(|a, b| a > b), "{newest:?}");
        let (mut oldest, _) = read("&code=token_issued&order=oldest").await;
        oldest.reverse();
        assert_eq!(oldest, newest);
    });
}

#[test]
fn the_audit_is_filtered_and_pictured() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        site.scene.device(cachegate::DeviceAccess::Normal).await;
        let url = "/acme/settings?editview=audit";
        let all = owner.get(url).await;
        assert!(all.text.contains("<svg") && all.text.contains("workspace_created"));
        let rows = |text: &str| text.matches("<th scope=\"row\">").count();
        let some = owner.get(&format!("{url}&code=token_issued")).await;
        let (some, all) = (rows(&some.text), rows(&all.text));
        assert!(some > 0 && some < all, "{some} of {all}");
        let later = owner.get(&format!("{url}&since=2030-01-01")).await;
        assert_eq!(rows(&later.text), 0);
        let wrong = owner.get(&format!("{url}&since=yesterday")).await;
        assert!(wrong.text.contains("A day is written as"));
    });
}
