//! What people wrote is text, whatever it looks like.

use cachegate::{Authority, DeviceAccess, PersonalForm, TokenSpec};
use cachegate_testkit::NOW;
use cachegate_types::{AccessLevel, ActionSet, Lane, Role};
use http::{StatusCode, header};

use crate::support::{Site, VIEWS};

const EVIL: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;{{7*7}}";

#[test]
fn every_name_and_description_is_shown_as_text() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let (gate, operator) = (&site.scene.gate, Authority::Operator);
        let evil = || EVIL.parse().expect("a description");
        // A person, tokens of each kind, a lock and a mark, all of this name.
        let person = gate.create_user(&operator, evil(), NOW.into()).await.expect("a user");
        let organization = site.scene.organization;
        gate.set_member(&operator, organization, person, Role::Owner, NOW.into()).await.expect("a member");
        let personal =
            TokenSpec::Personal { owner: person, actions: ActionSet::ALL, form: PersonalForm::Opaque };
        let ci = TokenSpec::Ci {
            workspace: site.scene.workspace,
            level: AccessLevel::ReadWrite,
            lane: Lane::main(),
        };
        let device = TokenSpec::Device { organization, access: DeviceAccess::Normal };
        let mut ids = Vec::new();
        let mut own = None;
        for spec in [&personal, &ci, &device] {
            let issued = gate.issue(&operator, spec, evil(), None, NOW.into()).await.expect("a token");
            ids.push(issued.record.id);
            own.get_or_insert(issued.token);
        }
        let browser = site.sign_in(&own.expect("a personal token")).await;
        let guards = "/acme/settings?editview=locks";
        for (act, more) in
            [("lock", ("actions", "publish")), ("distrust", ("token", ids[1].to_string().as_str()))]
        {
            let answer = browser.post(guards, &[("act", act), ("reason", EVIL), more]).await;
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{act}: {}", answer.text);
        }
        let (groups, listed) =
            ("/acme/settings?editview=groups", "/acme/settings?editview=listed&workspace=app");
        let who = person.to_string();
        let made = browser.post(groups, &[("act", "create"), ("name", "core"), ("people", &who)]).await;
        let group = made.header(header::LOCATION).to_owned();
        let seen = browser.get(listed).await.between("name=\"seen\" value=\"", "\"").to_owned();
        let fields = [("act", "add"), ("seen", &*seen), ("person", &who), ("level", "read-only")];
        assert_eq!(browser.post(listed, &fields).await.status, StatusCode::SEE_OTHER);
        let mut urls = vec!["/".to_owned(), "/account".to_owned(), format!("/account?token={}", ids[0])];
        urls.push(group);
        urls.extend(VIEWS.map(|view| format!("/acme/settings?editview={view}&workspace=app")));
        urls.push(format!("/acme/settings?editview=ci-tokens&workspace=app&token={}", ids[1]));
        urls.push(format!("{guards}&done={}", "%3Cscript%3Ealert(1)%3C/script%3E"));
        urls.push(
            "/acme/settings?editview=explain&workspace=app&decision=%22%3E%3Cscript%3Ealert(1)".to_owned(),
        );
        urls.push(
            "/acme/settings?editview=audit&user=%22%3E%3Cscript%3Ealert(1)&code=%3Cscript%3Ealert(1)"
                .to_owned(),
        );
        let mut told = 0;
        for url in &urls {
            let answer = browser.get(url).await;
            assert_eq!(answer.status, StatusCode::OK, "{url}");
            told += answer.text.matches("&#60;script&#62;alert(1)").count();
            for markup in ["<script>", "<img", "\"'>", "alert(1)</script>", "onerror=alert(2)>"] {
                assert!(!answer.text.contains(markup), "{url} has {markup}");
            }
        }
        assert!(told > 20, "it was shown {told} times");
        let leaving =
            browser.post("/acme/settings?editview=members", &[("act", "count-remove"), ("user", &who)]).await;
        assert!(leaving.text.contains("&#60;script&#62;alert(1)") && !leaving.text.contains("<script>alert"));
        // What a form repeats.
        for (url, field) in [(groups, "name"), (groups, "people"), (listed, "person"), (listed, "group")] {
            for act in ["create", "add"] {
                let answer = browser.post(url, &[("act", act), ("seen", &seen), (field, EVIL)]).await;
                assert!(!answer.text.contains("<script>alert"), "{url} {act} {field}");
            }
        }
        let lives = [("act", "save"), ("seen", "/"), ("ci", EVIL), ("ci-unit", EVIL)];
        let answer = browser.post("/acme/settings?editview=token-lives", &lives).await;
        assert!(answer.text.contains("&#60;script&#62;") && !answer.text.contains("<script>alert"));
        let form = "/acme/settings?editview=device-tokens";
        for fields in [
            [("act", "preview"), ("new", "resolve-only"), ("description", EVIL), ("requirement", EVIL)],
            [
                ("act", "create"),
                ("new", "resolve-only"),
                ("description", "x\u{202e}\u{0}"),
                ("requirement", EVIL),
            ],
        ] {
            let answer = browser.post(form, &fields).await;
            assert!(!answer.text.contains("<script>alert") && !answer.text.contains('\u{202e}'));
            assert!(!answer.text.contains('\u{0}'));
        }
    });
}
