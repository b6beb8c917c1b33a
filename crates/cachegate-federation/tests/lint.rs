//! What the linter finds, one document for each code, and the texts.

#![expect(clippy::expect_used, reason = "a broken document fails the test")]

use std::collections::BTreeSet;

use cachegate_federation::{
    AnchorBuilder, AudienceMode, Federation, Keys, Mode, Platform, RulesDocument, Severity, Status, lint,
};
use std::time::Duration;

fn anchor(id: &str, platform: Platform, issuer: &str) -> AnchorBuilder {
    let id = id.parse::<cachegate_types::Name>().expect("a name");
    AnchorBuilder::new(id, platform, issuer, ["https://cache.example"]).keys(Keys::Discovery)
}

fn github() -> AnchorBuilder {
    anchor("github", Platform::GithubActions, "https://token.actions.githubusercontent.com")
}

fn federation() -> Federation {
    let anchors = [
        github(),
        anchor("gitlab", Platform::GitlabCi, "https://gitlab.com"),
        anchor("kite", Platform::Buildkite, "https://agent.buildkite.com"),
        anchor(
            "entra",
            Platform::EntraId,
            "https://login.microsoftonline.com/5c7d0f4e-0a8e-4a57-a1ce-4b8e31d2f001/v2.0",
        )
        .max_lifetime(Duration::from_secs(3600)),
        anchor("off", Platform::Okta, "https://lumen.okta.example").status(Status::Disabled),
    ];
    Federation::new(anchors.map(|anchor| anchor.build().expect("an anchor"))).expect("a table")
}

/// A rule in TOML's inline form, with the organization and GitHub's pin where nothing else is said.
fn rules(rules: &[&str]) -> RulesDocument {
    let mut text = String::new();
    for (at, rule) in rules.iter().enumerate() {
        text += "[[rules]]\norganization = \"0190a5d0-ac96-774b-bcce-b302099a8057\"\n";
        if !rule.contains("name = \"r") {
            text += &format!("name = \"r{at}\"\n");
        }
        if !rule.contains("anchor =") {
            text += "anchor = \"github\"\n";
        }
        if !rule.contains("pins =") {
            text += "pins = [{ fact = \"repo.id\", is = \"456789\" }]\n";
        }
        text += rule;
        text += "\n";
    }
    toml::from_str(&text).expect("a document")
}

const READ: &str = "grant = { level = \"read-only\" }";
const MAIN: &str = "grant = { level = \"read-write\", lane = \"main\" }";

/// Every finding of a rule: its code, and documents that have it.
fn table() -> Vec<(&'static str, Vec<String>)> {
    let one = |code, rule: &str| (code, vec![rule.to_owned()]);
    let when = |code, condition: &str| (code, vec![format!("when = [{condition}]\n{READ}")]);
    vec![
        one("rule_pin_missing", &format!("pins = []\n{READ}")),
        one("rule_lane_missing", "grant = { level = \"read-write\" }"),
        one("unknown_anchor", &format!("anchor = \"nobody\"\n{READ}")),
        ("rule_tie", vec![READ.to_owned(), MAIN.to_owned()]),
        ("duplicate_rule", vec![format!("name = \"r\"\n{READ}"), format!("name = \"r\"\n{MAIN}")]),
        when("caller_conditions_only", "{ fact = \"environment\", equals = \"prod\" }"),
        when("caller_conditions_only", "{ claim = \"workflow\", equals = \"CI\" }"),
        one(
            "display_condition",
            &format!(
                "anchor = \"entra\"\npins = []\nwhen = [{{ claim = \"preferred_username\", equals = \"a@lumen.example\" }}]\n{READ}"
            ),
        ),
        when("name_without_id", "{ fact = \"owner.name\", equals = \"lumen-labs\" }"),
        one(
            "write_without_trigger",
            &format!("when = [{{ ref = {{ kind = \"branch\", name = \"main\" }} }}]\n{MAIN}"),
        ),
        when("wildcard_repository", "{ fact = \"repo.name\", segments = \"lumen-labs/*\" }"),
        when(
            "wildcard_repository",
            "{ fact = \"workflow.path\", segments = \"lumen-labs/*/.github/workflows/ci.yml\" }",
        ),
        when("subject_pattern", "{ claim = \"sub\", segments = \"repo:lumen-labs/beacon:**\" }"),
        when("subject_condition", "{ claim = \"sub\", equals = \"repo:lumen-labs/beacon:pull_request\" }"),
        when("ref_without_kind", "{ fact = \"ref.name\", equals = \"main\" }"),
        when("unprotected_environment", "{ fact = \"environment\", equals = \"prod\" }"),
        one(
            "unprotected_environment",
            &format!(
                "anchor = \"gitlab\"\nwhen = [{{ fact = \"environment\", equals = \"prod\" }}, {{ fact = \"event\", equals = \"push\" }}]\n{READ}"
            ),
        ),
        (
            "unreachable_rule",
            vec![format!(
                "when = [{{ fact = \"event\", equals = \"push\" }}, {{ fact = \"event\", none_of = [\"push\"] }}]\n{READ}"
            )],
        ),
        one(
            "unreachable_rule",
            &format!("when = [{{ fact = \"trigger.class\", equals = \"outsider\" }}]\n{MAIN}"),
        ),
        one("unreachable_rule", &format!("anchor = \"off\"\npins = []\n{READ}")),
        (
            "shadowed_rule",
            vec![
                format!("when = [{{ fact = \"event\", equals = \"push\" }}]\n{READ}"),
                "effect = \"deny\"\nwhen = [{ fact = \"event\", one_of = [\"push\", \"schedule\"] }]"
                    .to_owned(),
            ],
        ),
        (
            "narrower_gives_less",
            vec![
                "grant = { level = \"read-write\", lane = \"verified\" }".to_owned(),
                format!("when = [{{ fact = \"event\", equals = \"schedule\" }}]\n{READ}"),
            ],
        ),
        one("grants_nothing", "grant = { level = \"none\" }"),
        one("base_never_known", "grant = { level = \"read-write\", lane = \"pull\", base = true }"),
        one("reads_as_anonymous", "grant = { level = \"read-write\", lane = \"pull\" }"),
        one(
            "deny_fires_on_silence",
            "anchor = \"kite\"\neffect = \"deny\"\nwhen = [{ fact = \"cluster.id\", equals = \"x\" }]",
        ),
        one(
            "absence_chosen",
            &format!("anchor = \"kite\"\nwhen = [{{ fact = \"cluster.id\", present = false }}]\n{READ}"),
        ),
    ]
}

#[test]
fn every_danger_in_a_rule_is_found() {
    let mut out = BTreeSet::new();
    for (code, document) in table() {
        let document: Vec<&str> = document.iter().map(String::as_str).collect();
        let findings = lint(&federation(), &rules(&document));
        let found = findings.iter().find(|finding| finding.code == code);
        assert!(found.is_some(), "{code}: {findings:?}");
        out.extend(findings.iter().filter(|finding| finding.code == code).map(ToString::to_string));
    }
    insta::assert_snapshot!("rules", out.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn every_danger_in_an_anchor_is_found() {
    let cluster = |id| anchor(id, Platform::Kubernetes, "https://kubernetes.default.svc.cluster.local");
    let audience = |audience| {
        AnchorBuilder::new(
            "foreign".parse().expect("a name"),
            Platform::GitlabCi,
            "https://gitlab.example",
            [audience],
        )
    };
    let mut out = String::new();
    for (code, anchors) in [
        ("long_lifetime", vec![github().max_lifetime(Duration::from_secs(7200))]),
        ("long_lifetime", vec![github().mode(Mode::Direct).max_lifetime(Duration::from_secs(1800))]),
        ("further_audiences", vec![github().mode(Mode::Direct).audience_mode(AudienceMode::Contains)]),
        ("foreign_audience", vec![audience("sts.amazonaws.com")]),
        ("shared_issuer_string", vec![cluster("one"), cluster("two")]),
    ] {
        let anchors = anchors.into_iter().map(|anchor| anchor.build().expect("an anchor"));
        let findings = lint(&Federation::new(anchors).expect("a table"), &RulesDocument::default());
        assert!(findings.iter().any(|finding| finding.code == code), "{code}: {findings:?}");
        for finding in findings {
            out += &format!("{finding}\n");
        }
    }
    insta::assert_snapshot!("anchors", out);
}

#[test]
fn the_audience_that_a_platform_gives_to_whoever_asks_for_none_makes_no_anchor() {
    let anchor = AnchorBuilder::new(
        "github".parse().expect("a name"),
        Platform::GithubActions,
        "https://token.actions.githubusercontent.com",
        ["https://github.com/lumen-labs"],
    );
    assert_eq!(anchor.build().expect_err("refused").code(), "default_audience");
}

#[test]
fn in_careful_rules_nothing_is_found() {
    let careful = rules(&[
        "when = [{ ref = { kind = \"branch\", name = \"main\" } }, { fact = \"trigger.class\", equals = \"trusted\" }]\n\
         grant = { level = \"read-write\", lane = \"main\" }",
        "when = [{ fact = \"trigger.class\", equals = \"outsider\" }]\n\
         grant = { level = \"read-write\", lane = \"verified\", untrusted_reads = \"granted\" }",
        "effect = \"deny\"\nwhen = [{ fact = \"runner.kind\", equals = \"self-hosted\" }]",
        // GitLab's claims tell a fork, so that the base may be asked for.
        "anchor = \"gitlab\"\ngrant = { level = \"read-write\", lane = \"verified\", untrusted_reads = \"granted\", base = true }",
    ]);
    assert_eq!(lint(&federation(), &careful), []);
}

#[test]
fn an_error_comes_first_and_hides_no_other_finding() {
    let document = rules(&[
        &format!("pins = []\n{READ}"),
        MAIN,
        "grant = { level = \"none\", lane = \"branch\" }\nstatus = \"disabled\"",
    ]);
    let findings = lint(&federation(), &document);
    let codes: Vec<_> = findings.iter().map(|finding| (finding.severity, finding.code)).collect();
    assert_eq!(codes, [(Severity::Error, "rule_pin_missing"), (Severity::Warning, "write_without_trigger")]);
}
