//! Trust rules: shown, linted as they are written, and tried against a job's token.

use cachegate_testkit::{NOW, TestIssuer, github_push_claims};
use http::StatusCode;

use crate::support::{ORIGIN, Site};

const RULES: &str = "/acme/settings?editview=trust-rules";

const DOCUMENT: &str = r#"
[[rules]]
name = "pushes"
anchor = "github"
organization = "acme"
workspace = "app"
pins = [{ fact = "repo.id", is = "456789" }, { fact = "owner.id", is = "123456" }]
when = [{ ref = { kind = "branch", name = "main" } }, { fact = "event", equals = "push" }, { fact = "trigger.class", equals = "trusted" }]
grant = { level = "read-write", lane = "main" }
"#;

#[test]
fn rules_are_linted_as_they_are_written_and_those_of_others_are_refused() {
    futures_executor::block_on(async {
        let (site, _) = Site::with_workloads().await;
        let (other, _) = site.scene.elsewhere("other").await;
        let owner = site.owner().await;
        let page = owner.get(RULES).await;
        assert!(page.text.contains(">trunk ") && page.text.contains("repo.id"), "{}", page.text);
        let checked = async |rules: &str| owner.post(RULES, &[("act", "check"), ("rules", rules)]).await.text;
        assert!(checked(DOCUMENT).await.contains("1 rule: nothing found."));
        let bound = checked(&DOCUMENT.replace("pins = ", "# pins = ")).await;
        assert!(bound.contains("nothing found"), "the organization's own id is added: {bound}");
        let twin = checked(&DOCUMENT.replace("{ ref = { kind = \"branch\", name = \"main\" } }, ", "")).await;
        assert!(twin.contains("rule_tie"), "the operator's own rule is as specific: {twin}");
        let stranger = checked(&DOCUMENT.replace("123456", "7")).await;
        assert!(stranger.contains("rule_other_tenant"), "{stranger}");
        assert!(checked("[[rules]]\nname = 1").await.contains("Line 2:"));
        for foreign in ["other", &other.to_string(), "nosuch"] {
            let rules = DOCUMENT.replace("\"acme\"", &format!("{foreign:?}"));
            let text = checked(&rules).await;
            assert!(!text.contains("nothing found") && text.contains("class=\"told bad\""), "{foreign}");
        }
    });
}

#[test]
fn a_saved_rule_counts_is_shown_with_names_and_is_not_overwritten_unawares() {
    futures_executor::block_on(async {
        let (site, issuer) = Site::with_workloads().await;
        let owner = site.owner().await;
        let seen = async || owner.get(RULES).await.between("name=\"seen\" value=\"", "\"").to_owned();
        let save = async |seen: &str, rules: &str| {
            owner.post(RULES, &[("act", "save"), ("seen", seen), ("rules", rules)]).await
        };
        let first = seen().await;
        let saved = save(&first, DOCUMENT).await;
        assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
        let page = owner.get(RULES).await.text;
        assert!(
            page.contains("name = &#34;pushes&#34;") || page.contains("name = &quot;pushes&quot;"),
            "{page}"
        );
        assert!(!page.contains(&site.scene.workspace.to_string()), "places are shown by their names");
        let late = save(&first, "").await;
        assert_eq!(late.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(late.text.contains("Somebody else saved other rules meanwhile"), "{}", late.text);
        let refused = save(&seen().await, &DOCUMENT.replace("123456", "7")).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text.contains("Nothing was saved") && refused.text.contains("pins others"));
        let unread = save(&seen().await, "[[rules]]\nname = 1").await;
        assert_eq!(unread.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(
            unread.text.contains("Nothing was saved") && unread.text.contains("Line 2:"),
            "{}",
            unread.text
        );
        let by_name = save(&seen().await, &format!("selection = \"by_name\"\n{DOCUMENT}")).await;
        assert!(by_name.text.contains("leave selection out"), "nothing is dropped in silence");
        let token = issuer.sign(&github_push_claims(ORIGIN));
        let token = cachegate::WorkloadToken::new(&token);
        let exchanged = site.scene.gate.exchange_workload(&token, NOW.into()).await.expect("let in");
        assert_eq!(exchanged.matched.rule_name.as_str(), "pushes");
    });
}

#[test]
fn a_dry_run_shows_each_step_repeats_no_token_and_uses_none_up() {
    futures_executor::block_on(async {
        let (site, issuer) = Site::with_workloads().await;
        let owner = site.owner().await;
        let tried = async |token: &str| {
            let before = site.scene.storage.audit(0, 1000).await.expect("the audit").len();
            let answer = owner.post(RULES, &[("act", "try"), ("rules", DOCUMENT), ("identity", token)]).await;
            assert_eq!(answer.status, StatusCode::OK);
            for part in token.split('.').filter(|part| part.len() > 8) {
                assert!(!answer.text.contains(part), "the token is repeated");
            }
            assert_eq!(site.scene.storage.audit(0, 1000).await.expect("the audit").len(), before);
            answer.text
        };
        let good = issuer.sign(&github_push_claims(ORIGIN));
        for _ in 0..2 {
            let text = tried(&good).await;
            assert!(text.contains("Let in by the rule pushes"), "{text}");
            assert!(text.contains("the lane main") && text.contains("<li class=\"yes\"><b>signature</b>"));
        }
        let mut pull = github_push_claims(ORIGIN);
        pull["event_name"] = "pull_request".into();
        pull["ref"] = "refs/pull/7/merge".into();
        pull["sub"] = "repo:lumen-labs/beacon:pull_request".into();
        let text = tried(&issuer.sign(&pull)).await;
        assert!(text.contains("Refused at the step") && text.contains("<li class=\"no\">"), "{text}");
        let mut late = github_push_claims(ORIGIN);
        late["exp"] = (NOW - 100).into();
        assert!(tried(&issuer.sign(&late)).await.contains("<li class=\"no\"><b>time</b>"));
        let stranger = TestIssuer::new("https://elsewhere.example").sign(&github_push_claims(ORIGIN));
        let text = tried(&stranger).await;
        assert!(text.contains("<li class=\"no\"><b>anchor</b>"), "{text}");
        assert!(tried("no token").await.contains("<li class=\"no\"><b>format</b>"));
        let forged = format!("{}x", good.trim_end_matches(|letter: char| letter.is_alphanumeric()));
        assert!(tried(&forged).await.contains("class=\"no\""));
    });
}
