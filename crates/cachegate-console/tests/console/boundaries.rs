//! What is another organization's is not there.

#![expect(clippy::expect_used, reason = "tests")]

use cachegate::{Authority, DeviceAccess, Source, TokenSpec};
use cachegate_testkit::NOW;
use cachegate_types::{AccessLevel, Lane, Role};
use http::StatusCode;

use crate::support::{Browser, Site, VIEWS};

/// The answer without what is the asker's own in each answer.
async fn seen(browser: &Browser<'_>, url: &str) -> (StatusCode, String) {
    let answer = browser.get(url).await;
    (answer.status, answer.text)
}

#[test]
fn every_page_of_another_organization_reads_as_one_that_is_not_there() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let (_, _) = site.scene.elsewhere("other").await;
        let (owner, stranger) = (site.owner().await, site.stranger().await);
        for view in VIEWS {
            let of = |organization: &str, workspace: &str| {
                format!("/{organization}/settings?editview={view}&workspace={workspace}")
            };
            for (browser, foreign) in [(&stranger, of("acme", "app")), (&owner, of("other", "other"))] {
                let unknown = seen(browser, &of("nosuch", "app")).await;
                assert_eq!(unknown.0, StatusCode::NOT_FOUND, "{view}");
                assert_eq!(seen(browser, &foreign).await, unknown, "{foreign}");
            }
            // A workspace of another organization is not among one's own.
            if matches!(view, "ci-tokens" | "workspace" | "listed" | "explain") {
                let unknown = seen(&owner, &of("acme", "nosuch")).await;
                assert_eq!(unknown.0, StatusCode::NOT_FOUND, "{view}");
                assert_eq!(seen(&owner, &of("acme", "other")).await, unknown, "{view}");
            }
        }
    });
}

#[test]
fn every_page_that_is_led_to_is_among_those_that_are_tried() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let page = owner.get("/acme/settings?editview=workspace&workspace=app").await;
        let views = page.text.split("editview=").skip(1).map(|rest| {
            let end = rest.find(['&', '"']).expect("the end of an address");
            rest.get(..end).expect("a view").to_owned()
        });
        let (mut led, mut tried) = (views.collect::<Vec<_>>(), VIEWS.map(ToOwned::to_owned).to_vec());
        led.sort();
        led.dedup();
        tried.sort();
        assert_eq!(led, tried);
    });
}

/// A form that says enough for most of what forms do.
fn filled<'a>(act: &'a str, token: &'a str, person: &'a str) -> [(&'static str, &'a str); 11] {
    [
        ("act", act),
        ("token", token),
        ("new", "normal"),
        ("description", "x"),
        ("reason", "x"),
        ("name", "x"),
        ("user", person),
        ("person", person),
        ("level", "read-only"),
        ("role", "owner"),
        ("seen", "/"),
    ]
}

/// How many records the audit has.
async fn audited(site: &Site) -> usize {
    site.scene.storage.audit(0, 1000).await.expect("the audit").len()
}

#[test]
fn every_form_of_another_organization_does_nothing() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let stranger = site.stranger().await;
        let device = site.scene.device(DeviceAccess::Normal).await.record.id.to_string();
        let owner = site.scene.owner.to_string();
        let before = audited(&site).await;
        for (page, act) in cachegate_console::forms().filter(|(page, _)| *page != "account") {
            let fields = filled(act, &device, &owner);
            let foreign =
                stranger.post(&format!("/acme/settings?editview={page}&workspace=app"), &fields).await;
            let unknown =
                stranger.post(&format!("/nosuch/settings?editview={page}&workspace=app"), &fields).await;
            assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{page} {act}");
            assert_eq!(foreign.text, unknown.text, "{page} {act}");
        }
        assert_eq!(before, audited(&site).await, "nothing was done");
    });
}

#[test]
fn every_form_does_nothing_for_a_member_who_manages_nothing() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let (_, member) = site.member(Role::Member).await;
        let device = site.scene.device(DeviceAccess::Normal).await.record.id.to_string();
        let owner = site.scene.owner.to_string();
        let (gate, operator) = (&site.scene.gate, Authority::Operator);
        let (id, name) = (site.scene.organization, "core".parse().expect("a name"));
        let group = gate.keep_group(&Source::By(operator), id, None, name, Vec::new(), NOW.into()).await;
        let group = group.expect("a group");
        let before = audited(&site).await;
        for (page, act) in cachegate_console::forms().filter(|(page, _)| *page != "account") {
            let url = format!("/acme/settings?editview={page}&workspace=app&group={group}");
            let answer = member.post(&url, &filled(act, &device, &owner)).await;
            let refused = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND];
            assert!(refused.contains(&answer.status), "{page} {act} is {}", answer.status);
        }
        assert_eq!(before, audited(&site).await, "nothing was done");
    });
}

#[test]
fn a_token_is_shown_on_its_own_page_alone() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let (organization, workspace) = site.scene.elsewhere("other").await;
        let owner = site.owner().await;
        let foreign = TokenSpec::Device { organization, access: DeviceAccess::Normal };
        let foreign_ci = TokenSpec::Ci { workspace, level: AccessLevel::ReadOnly, lane: Lane::main() };
        let own = site.scene.device(DeviceAccess::Normal).await.record.id;
        let own_ci = site.scene.ci(AccessLevel::ReadOnly, Lane::main()).await.record.id;
        let mut personal = Vec::new();
        for _ in 0..2 {
            let (user, _) = site.scene.person(Role::Member, AccessLevel::ReadOnly.actions()).await;
            let spec = TokenSpec::Personal {
                owner: user,
                actions: AccessLevel::ReadOnly.actions(),
                form: cachegate::PersonalForm::Opaque,
            };
            personal.push(site.scene.issue(&spec, None).await.record.id);
        }
        let (foreign, foreign_ci) = (
            site.scene.issue(&foreign, None).await.record.id,
            site.scene.issue(&foreign_ci, None).await.record.id,
        );
        let (device, ci) =
            ("/acme/settings?editview=device-tokens", "/acme/settings?editview=ci-tokens&workspace=app");
        for (url, good, wrong) in [
            (device, Some(own), vec![foreign, foreign_ci, own_ci, personal[0]]),
            (ci, Some(own_ci), vec![foreign, foreign_ci, own, personal[0]]),
            ("/account?show=all", None, vec![foreign, foreign_ci, own, own_ci, personal[0], personal[1]]),
        ] {
            if let Some(id) = good {
                assert_eq!(owner.get(&format!("{url}&token={id}")).await.status, StatusCode::OK, "{url}");
            }
            let unknown = seen(&owner, &format!("{url}&token=01890a5d-ac96-774b-bcce-b302099a8057")).await;
            for id in wrong {
                assert_eq!(seen(&owner, &format!("{url}&token={id}")).await, unknown, "{url} {id}");
                for act in ["revoke", "rotate"] {
                    let fields = [("act", act), ("token", &id.to_string()), ("overlap", "1")];
                    assert_eq!(owner.post(url, &fields).await.status, StatusCode::NOT_FOUND, "{url} {act}");
                }
                let view =
                    site.scene.gate.token(&Authority::Operator, id, NOW.into()).await.expect("a token");
                assert_eq!(view.state.code(), "live");
            }
        }
    });
}

#[test]
fn a_member_who_manages_nothing_is_told_so_and_shown_nothing() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        site.scene.device(DeviceAccess::Normal).await;
        let (_, member) = site.member(Role::Member).await;
        for view in VIEWS {
            let answer = member.get(&format!("/acme/settings?editview={view}&workspace=app")).await;
            if view != "workspaces" {
                let refused = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND];
                assert!(refused.contains(&answer.status), "{view} is {}", answer.status);
            }
            assert!(!answer.text.contains("<th scope=\"row\">"), "{view}");
        }
        let list = member.get("/acme/settings").await;
        assert!(list.text.contains(">app<") && !list.text.contains("New workspace"));
        assert!(!list.text.contains("editview=device-tokens"), "nor led there");
    });
}

#[test]
fn whoever_leaves_is_shown_nothing_with_the_next_page() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let (user, admin) = site.member(Role::Admin).await;
        let url = "/acme/settings?editview=device-tokens";
        assert_eq!(admin.get(url).await.status, StatusCode::OK);
        let (gate, operator) = (&site.scene.gate, Authority::Operator);
        gate.remove_member(&operator, site.scene.organization, user, NOW.into()).await.expect("removed");
        assert_eq!(admin.get(url).await.status, StatusCode::NOT_FOUND);
    });
}
