//! The traps of each platform, and the spots where other verifiers were seen to be weak: one test for each, named
//! after the trap.

#![expect(clippy::expect_used, reason = "a broken fixture fails the test")]

mod common;

use std::sync::Arc;

use cachegate_federation::{
    Fact, FactClass, FactKind, FactValue, Facts, Federation, Issuer, Keys, Knowledge, Mode, Platform,
    Refusal, TokenKey, TriggerClass, TrustDomain, Verified,
};
use cachegate_jwt::{Algorithm, KeySet, UnverifiedJws};
use cachegate_types::{Lane, Principal};
use common::{
    AUDIENCE, Case, NOW, anchor, anchor_for, base, case, issuer, jwks, keys, later, now, sign_text, verify,
    verify_here, verify_token,
};
use serde_json::{Value, json};

fn facts(case: &Case) -> Facts {
    verify_here(case).expect("taken").facts
}

fn code(result: Result<Verified, Refusal>) -> &'static str {
    result.map_or_else(|refusal| refusal.code(), |_| "taken")
}

fn trigger(case: &Case) -> TriggerClass {
    facts(case).trigger()
}

fn class(platform: Platform, fact: Fact) -> Option<FactClass> {
    platform.fact(fact).map(|spec| spec.class)
}

// GitHub Actions.

#[test]
fn github_an_event_that_outsiders_cause_carries_the_base_repositorys_identity() {
    for event in ["pull_request_target", "workflow_run", "issue_comment"] {
        let facts = facts(&base("github-actions").with("event_name", event));
        assert_eq!(facts.trigger(), TriggerClass::Outsider, "{event}");
        assert_eq!(facts.text(Fact::RefName), Some("main"), "the ref alone looks trusted");
        assert!(!facts.may_write(&Lane::main()) && facts.lane().is_none(), "{event}");
    }
}

#[test]
fn github_an_event_that_is_not_listed_is_unknown() {
    for event in
        ["issues", "discussion", "fork", "watch", "release", "deployment", "merge_group", "Push", "push ", ""]
    {
        assert_eq!(
            trigger(&base("github-actions").with("event_name", event)),
            TriggerClass::Unknown,
            "{event}"
        );
    }
}

#[test]
fn github_a_ref_type_of_branch_is_no_trust_test() {
    let facts = facts(&case("github-actions", "pull-request-same-repo"));
    assert_eq!(facts.claim("ref_type"), Knowledge::Known(std::borrow::Cow::Owned(FactValue::from("branch"))));
    assert_eq!((facts.text(Fact::RefKind), facts.trigger()), (Some("pull"), TriggerClass::Outsider));
}

#[test]
fn github_a_push_with_a_pull_requests_ref_or_branches_is_not_trusted() {
    let github = base("github-actions");
    assert_eq!(trigger(&github.clone().with("ref", "refs/pull/17/merge")), TriggerClass::Outsider);
    assert_eq!(trigger(&github.clone().with("head_ref", "patch-1")), TriggerClass::Unknown);
    assert_eq!(trigger(&github.clone().with("ref_type", "tag")), TriggerClass::Unknown);
    assert_eq!(trigger(&github.with("ref", "main")), TriggerClass::Unknown);
}

#[test]
fn github_the_called_workflow_is_not_the_calling_one() {
    let facts = facts(&case("github-actions", "reusable-workflow"));
    assert_eq!(facts.text(Fact::WorkflowPath), Some("lumen-labs/beacon/.github/workflows/ci.yml"));
    assert_eq!(facts.text(Fact::CalleePath), Some("lumen-labs/build-kit/.github/workflows/build.yml"));
    assert_eq!(facts.text(Fact::CalleeSha), Some("fee6387fad6a700bb71088607c89a6cb6f983ad0"));
}

#[test]
fn github_an_at_sign_in_a_branch_does_not_move_the_workflows_ref() {
    for at in ["refs/heads/evil@refs/heads/main", "refs/heads/main@x"] {
        let workflow = format!("lumen-labs/beacon/.github/workflows/ci.yml@{at}");
        let facts = facts(&base("github-actions").with("workflow_ref", workflow));
        assert_eq!(facts.get(Fact::WorkflowRef), Knowledge::Incomplete, "{at}");
        assert_eq!(facts.get(Fact::WorkflowPath), Knowledge::Incomplete, "{at}");
    }
}

#[test]
fn github_a_display_name_is_no_fact_and_an_environment_is_the_authors_choice() {
    let platform = Platform::GithubActions;
    assert_eq!(platform.claim_class("workflow"), Some(FactClass::Caller));
    assert!(platform.facts().iter().all(|spec| spec.claim != "workflow"));
    assert_eq!(class(platform, Fact::Environment), Some(FactClass::Caller));
    assert_eq!(class(platform, Fact::HeadRef), Some(FactClass::Caller));
}

#[test]
fn github_an_empty_ref_is_absent_and_the_callee_ends_in_the_commit() {
    let facts = facts(&case("github-actions", "deployment-event-empty-ref"));
    assert_eq!(facts.get(Fact::RefFull), Knowledge::Absent);
    assert_eq!(facts.text(Fact::CalleeRef), facts.text(Fact::Commit));
}

#[test]
fn github_no_slug_but_the_exact_one_dedicates_the_issuer() {
    let inc = anchor_for(
        "github-actions",
        "https://token.actions.githubusercontent.com/lumen-inc".into(),
        AUDIENCE,
    );
    let stranger = base("github-actions").with("iss", "https://token.actions.githubusercontent.com/evil-inc");
    assert_eq!(code(verify(inc, &stranger, now())), "unknown_issuer");
    let any = anchor_for("github-actions", "https://token.actions.githubusercontent.com/*".into(), AUDIENCE);
    assert_eq!(any.build().expect_err("refused").code(), "anchor_issuer");
}

#[test]
fn github_a_name_that_was_registered_again_is_another_repository() {
    let (old, new) = (base("github-actions"), case("github-actions", "name-resurrected"));
    assert_eq!(facts(&old).text(Fact::RepoName), facts(&new).text(Fact::RepoName));
    assert_ne!(facts(&old).lane(), facts(&new).lane());
    assert_ne!(verify_here(&old).expect("taken").principal, verify_here(&new).expect("taken").principal);
}

// GitLab CI.

#[test]
fn gitlab_a_forks_merge_request_that_runs_in_the_target_is_an_outsiders() {
    let fork = case("gitlab-ci", "fork-merge-request-in-target");
    assert_eq!(trigger(&fork), TriggerClass::Outsider);
    // Even if it says that it was pushed to a protected main.
    let disguised = fork
        .with("pipeline_source", "push")
        .with("ref_protected", "true")
        .with("ref_path", "refs/heads/main");
    let facts = facts(&disguised);
    assert_eq!((facts.trigger(), facts.boolean(Fact::SameRepo)), (TriggerClass::Outsider, Some(false)));
    assert!(facts.lane().is_none() && !facts.may_write(&Lane::main()));
}

#[test]
fn gitlab_a_token_from_before_the_fix_may_name_the_target() {
    let old = |case: Case| {
        let names = ["job_project_id", "job_project_path", "job_namespace_id", "job_namespace_path"];
        names.into_iter().fold(case, Case::without)
    };
    let merge_request = old(base("gitlab-ci"))
        .with("pipeline_source", "merge_request_event")
        .with("ref_path", "refs/merge-requests/5/head")
        .with("ref_protected", "false");
    let merged = facts(&merge_request);
    assert_eq!(merged.trigger(), TriggerClass::Outsider);
    assert_eq!(merged.get(Fact::RepoId), Knowledge::Incomplete, "source or target: nothing tells");
    assert!(merged.lane().is_none());
    // A push needs the protected ref as well.
    assert_eq!(trigger(&old(base("gitlab-ci"))), TriggerClass::Trusted);
    assert_eq!(trigger(&old(base("gitlab-ci")).with("ref_protected", "false")), TriggerClass::Unknown);
}

#[test]
fn gitlab_a_tag_and_a_branch_of_one_name_are_two_refs() {
    let tag = base("gitlab-ci").with("ref_type", "tag").with("ref_path", "refs/tags/main");
    let facts = facts(&tag);
    assert_eq!((facts.text(Fact::RefKind), facts.text(Fact::RefName)), (Some("tag"), Some("main")));
    assert!(facts.lane().is_none());
    // The claims contradict each other: neither is believed to the point of writing.
    assert_eq!(trigger(&base("gitlab-ci").with("ref_type", "tag")), TriggerClass::Unknown);
    assert_eq!(trigger(&base("gitlab-ci").with("ref", "other")), TriggerClass::Unknown);
}

#[test]
fn gitlab_the_runners_id_is_a_number_and_stays_one() {
    assert_eq!(Platform::GitlabCi.fact(Fact::RunnerId).map(|spec| spec.kind()), Some(FactKind::Integer));
    assert_eq!(Platform::GitlabCi.fact(Fact::JobId).map(|spec| spec.kind()), Some(FactKind::Text));
    let runner = facts(&base("gitlab-ci"));
    assert_eq!(runner.get(Fact::RunnerId), Knowledge::Known(std::borrow::Cow::Owned(FactValue::Integer(1))));
}

#[test]
fn gitlab_the_lifetime_is_the_jobs_timeout_and_is_capped() {
    assert_eq!(code(verify_here(&case("gitlab-ci", "long-job-timeout"))), "lifetime_too_long");
}

#[test]
fn gitlab_another_instance_speaks_for_itself_alone() {
    // A hostile instance can sign any claims, and even call its project 20.
    let hostile = case("gitlab-ci", "self-managed");
    assert_eq!(code(verify_here(&hostile)), "unknown_issuer");
    let own = anchor_for("gitlab-ci", "https://gitlab.example.com".into(), AUDIENCE);
    let mut document = serde_json::to_value(&own).expect("a document");
    document["id"] = json!("own-gitlab");
    let own: cachegate_federation::Anchor = serde_json::from_value(document).expect("an anchor");
    let table = Federation::new([own, anchor("gitlab-ci").build().expect("an anchor")]).expect("a table");
    let there = table.verify(&hostile.token(), |_| Ok(Arc::new(keys(&hostile))), now()).expect("taken");
    let here = verify_here(&base("gitlab-ci")).expect("taken");
    assert_ne!(there.facts.lane(), here.facts.lane());
    assert_ne!(there.principal, here.principal);
}

#[test]
fn gitlab_a_remote_configuration_has_no_file() {
    let facts = facts(&case("gitlab-ci", "remote-ci-config"));
    for fact in [Fact::WorkflowPath, Fact::WorkflowRef, Fact::WorkflowSha] {
        assert_eq!(facts.get(fact), Knowledge::Absent, "{fact}");
    }
}

#[test]
fn gitlab_groups_that_are_left_out_are_unknown() {
    assert_eq!(facts(&base("gitlab-ci").without("groups_direct")).get(Fact::Groups), Knowledge::Incomplete);
}

#[test]
fn names_fold_case_only_where_the_platform_does() {
    assert!(
        Platform::GithubActions.folds_case(Fact::RepoName)
            && Platform::GithubActions.folds_case(Fact::Environment)
    );
    assert!(Platform::GitlabCi.folds_case(Fact::RepoName));
    for platform in Platform::ALL {
        for fact in [Fact::RefName, Fact::RefFull, Fact::RepoId, Fact::TenantId, Fact::Groups] {
            assert!(!platform.folds_case(fact), "{platform} {fact}");
        }
    }
}

// Semaphore.

#[test]
fn semaphore_the_branch_of_a_pull_request_is_its_target() {
    let facts = facts(&case("semaphore", "pull-request-into-main"));
    assert_eq!((facts.text(Fact::BaseRef), facts.text(Fact::RefName)), (Some("main"), Some("123")));
    assert!(!facts.may_write(&Lane::main()));
    // The other spelling that is in use.
    let spelled = case("semaphore", "pull-request-into-main").with("ref_type", "pull_request");
    assert_eq!(trigger(&spelled), TriggerClass::Outsider);
    // Every sign of a pull request counts by itself.
    for (claim, value) in [("pr", "123"), ("pr_branch", "x"), ("ref_type", "pull-request")] {
        assert_eq!(trigger(&base("semaphore").with(claim, value)), TriggerClass::Outsider, "{claim}");
    }
}

#[test]
fn semaphore_two_numbers_of_one_pull_request_name_no_lane() {
    assert!(facts(&case("semaphore", "pull-request-into-main").with("pr", "7")).lane().is_none());
}

#[test]
fn semaphore_a_debug_job_is_a_human_shell() {
    for job in ["debug_job", "project_debug_job"] {
        let facts = facts(&base("semaphore").with("job_type", job));
        assert_eq!(facts.trigger(), TriggerClass::HumanShell, "{job}");
        assert!(facts.lane().is_none() && !facts.may_write(&Lane::dev()), "{job}");
    }
    assert_eq!(trigger(&base("semaphore").with("job_type", "new_kind")), TriggerClass::Unknown);
}

#[test]
fn semaphore_a_truncated_subject_is_no_fact() {
    assert_eq!(Platform::Semaphore.claim_class("sub127"), Some(FactClass::Caller));
    assert!(Platform::Semaphore.facts().iter().all(|spec| spec.claim != "sub127"));
}

#[test]
fn semaphore_a_slug_that_was_registered_again_is_another_organization() {
    let again = base("semaphore").with("org_id", "11111111-4492-4e58-a22f-05984fbfee53");
    assert_eq!(facts(&again).text(Fact::TenantName), facts(&base("semaphore")).text(Fact::TenantName));
    assert_ne!(facts(&again).text(Fact::TenantId), facts(&base("semaphore")).text(Fact::TenantId));
    assert!(
        !anchor("semaphore").build().expect("an anchor").pin_sets().is_empty(),
        "so the id must be pinned"
    );
}

#[test]
fn semaphore_a_claim_that_the_organization_filters_out_denies() {
    for claim in ["org_id", "prj_id"] {
        assert_eq!(code(verify_here(&base("semaphore").without(claim))), "claim_missing", "{claim}");
    }
    assert_eq!(code(verify_here(&base("semaphore").without("org"))), "tenant_mismatch");
}

// Buildkite.

#[test]
fn buildkite_ids_are_there_only_if_asked_for_and_the_flag_is_told() {
    let facts = facts(&case("buildkite", "bare-defaults").with("aud", AUDIENCE));
    assert_eq!(facts.get(Fact::RepoId), Knowledge::Absent);
    assert!(facts.lane().is_none());
    for set in Platform::Buildkite.pin_sets() {
        for fact in set.iter() {
            let ask = Platform::Buildkite.fact(*fact).and_then(|spec| spec.ask).expect("a flag");
            assert!(ask.contains("--claim"), "{fact}: {ask}");
        }
    }
}

#[test]
fn buildkite_whoever_creates_a_build_names_branch_and_commit() {
    for source in ["ui", "api", "trigger_job", "schedule", "new_source"] {
        assert_eq!(
            trigger(&base("buildkite").with("build_source", source)),
            TriggerClass::Unknown,
            "{source}"
        );
    }
    assert_eq!(trigger(&base("buildkite").without("build_source")), TriggerClass::Unknown);
    assert_eq!(class(Platform::Buildkite, Fact::RefName), Some(FactClass::Caller));
}

#[test]
fn buildkite_a_third_partys_branch_is_marked_by_a_colon() {
    let fork = base("buildkite").with("build_branch", "stranger:main");
    assert_eq!(trigger(&fork), TriggerClass::Outsider);
}

#[test]
fn buildkite_a_tag_that_the_subject_names_is_not_a_branch() {
    let hidden = case("buildkite", "tag-build").without("build_tag");
    let facts = facts(&hidden);
    assert_eq!((facts.trigger(), facts.get(Fact::RefName)), (TriggerClass::Unknown, Knowledge::Incomplete));
}

#[test]
fn buildkite_a_token_without_an_id_is_known_by_its_digest() {
    let token = verify_here(&base("buildkite")).expect("taken").token;
    assert!(matches!(token, TokenKey::Digest(_)));
}

#[test]
fn buildkite_agent_tags_are_the_agents_owners_choice() {
    assert_eq!(Platform::Buildkite.claim_class("agent_tag:queue"), Some(FactClass::Caller));
}

#[test]
fn buildkite_a_builds_number_is_a_number_and_a_step_may_have_no_key() {
    assert_eq!(code(verify_here(&base("buildkite").with("step_key", Value::Null))), "taken");
    let facts = facts(&base("buildkite"));
    let number = facts.claim("build_number");
    assert!(matches!(number, Knowledge::Known(value) if matches!(*value, FactValue::Integer(_))));
}

// AWS STS.

#[test]
fn aws_the_account_in_the_arn_is_the_accounts() {
    assert_eq!(code(verify_here(&case("aws-sts", "account-mismatch-attack"))), "subject_disagrees");
    let nowhere = case("aws-sts", "account-mismatch-attack")
        .with_pointer("/https:~1~1sts.amazonaws.com~1/aws_account", Value::Null);
    assert_eq!(code(verify_here(&nowhere)), "claim_ill_typed");
}

#[test]
fn aws_tags_of_a_request_are_the_callers_choice() {
    let pointer = "/https:~1~1sts.amazonaws.com~1/request_tags";
    assert_eq!(Platform::AwsSts.claim_class(pointer), Some(FactClass::Caller));
    assert!(Platform::AwsSts.facts().iter().all(|spec| !spec.claim.contains("tags")));
}

#[test]
fn aws_a_role_is_a_name_that_can_be_given_again() {
    assert_eq!(class(Platform::AwsSts, Fact::Role), Some(FactClass::Name));
    assert_eq!(class(Platform::AwsSts, Fact::AccountId), Some(FactClass::Id));
}

#[test]
fn aws_another_partition_is_another_role() {
    let facts = facts(&case("aws-sts", "govcloud"));
    assert_eq!(facts.text(Fact::Role), Some("arn:aws-us-gov:iam::123456789012:role/CacheWriter"));
    let odd = base("aws-sts").with("sub", "arn:evil:iam::123456789012:role/CacheWriter");
    assert_eq!(trigger(&odd), TriggerClass::Unknown);
}

#[test]
fn aws_a_slash_in_a_claims_name_can_be_pointed_at() {
    let facts = facts(&base("aws-sts"));
    let region = facts.claim("/https:~1~1sts.amazonaws.com~1/source_region");
    assert_eq!(region, Knowledge::Known(std::borrow::Cow::Owned(FactValue::from("us-east-1"))));
    assert_eq!(facts.claim("/https:~1~1sts.amazonaws.com~1/nothing"), Knowledge::Absent);
    assert_eq!(facts.claim("/sub/x"), Knowledge::Incomplete);
}

// Google Compute Engine.

#[test]
fn google_every_sign_in_of_a_person_has_the_same_issuer() {
    let human = case("google-compute-engine", "human-google-user-same-issuer").with("aud", AUDIENCE);
    let facts = facts(&human);
    assert_eq!(
        (facts.trigger(), facts.get(Fact::ServiceAccountId)),
        (TriggerClass::HumanShell, Knowledge::Absent)
    );
    assert!(!facts.may_write(&Lane::main()) && !facts.may_write(&Lane::dev()));
}

#[test]
fn google_an_address_that_is_not_verified_is_nobodys() {
    for verified in [json!(false), Value::Null] {
        let case = base("google-compute-engine").with("email_verified", verified.clone());
        match verify_here(&case) {
            Err(refusal) => assert_eq!(refusal.code(), "claim_ill_typed"),
            Ok(verified) => {
                assert_eq!(verified.facts.get(Fact::ServiceAccountName), Knowledge::Incomplete);
                assert_eq!(verified.facts.trigger(), TriggerClass::Unknown);
            }
        }
    }
}

#[test]
fn google_an_account_made_again_under_its_address_is_another() {
    let again = facts(&case("google-compute-engine", "service-account-recreated-same-email"));
    let first = facts(&base("google-compute-engine"));
    assert_eq!(again.text(Fact::ServiceAccountName), first.text(Fact::ServiceAccountName));
    assert_ne!(again.text(Fact::ServiceAccountId), first.text(Fact::ServiceAccountId));
    assert_eq!(class(Platform::GoogleComputeEngine, Fact::ServiceAccountName), Some(FactClass::Name));
}

#[test]
fn google_a_token_of_no_instance_or_of_the_short_format_names_no_project() {
    for missing in ["google", "email"] {
        let facts = facts(&base("google-compute-engine").without(missing));
        assert!(!facts.may_write(&Lane::main()), "{missing}");
    }
    let token = verify_here(&base("google-compute-engine")).expect("taken").token;
    assert!(matches!(token, TokenKey::Digest(_)), "it has no id of its own");
}

// Microsoft Entra ID.

#[test]
fn entra_too_many_groups_are_not_no_groups() {
    for (name, value) in
        [("_claim_names", json!({})), ("_claim_names", json!("x")), ("hasgroups", json!(true))]
    {
        let facts = facts(&base("entra-id").with(name, value));
        assert_eq!(facts.get(Fact::Groups), Knowledge::Incomplete, "{name}, even beside a list");
    }
    assert_eq!(facts(&base("entra-id").without("groups")).get(Fact::Groups), Knowledge::Incomplete);
}

#[test]
fn entra_a_key_that_is_for_one_tenant_signs_for_no_other() {
    let case = base("entra-id");
    let own = case.claims["tid"].as_str().expect("a tenant");
    let text = |member: &str| case.header[member].as_str().expect("a text");
    let under = |issuer: Value| {
        let mut set = jwks(text("kid"), text("alg"));
        set["keys"][0]["issuer"] = issuer;
        let set = KeySet::from_jwks(set.to_string().as_bytes()).expect("a key set");
        code(verify_token(anchor("entra-id"), &case.token(), &set, now()))
    };
    assert_eq!(under(json!("https://login.microsoftonline.com/{tenantid}/v2.0")), "taken");
    assert_eq!(under(json!(format!("https://login.microsoftonline.com/{own}/v2.0"))), "taken");
    for other in [
        "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
        "https://login.microsoftonline.com/{tenant}/v2.0",
        "https://evil.example/{tenantid}/v2.0",
        "",
    ] {
        assert_eq!(under(json!(other)), "key_issuer_mismatch", "{other}");
    }
    assert_eq!(under(json!(["https://login.microsoftonline.com/{tenantid}/v2.0"])), "unknown_key");
    // Nobody else's keys say so, and what they say is not looked at.
    let github = base("github-actions");
    let text = |member: &str| github.header[member].as_str().expect("a text");
    let mut set = jwks(text("kid"), text("alg"));
    set["keys"][0]["issuer"] = json!("https://elsewhere.example");
    let set = KeySet::from_jwks(set.to_string().as_bytes()).expect("a key set");
    assert_eq!(code(verify_token(anchor("github-actions"), &github.token(), &set, now())), "taken");
}

#[test]
fn entra_what_a_person_is_called_is_for_display() {
    assert_eq!(class(Platform::EntraId, Fact::UserName), Some(FactClass::Display));
    for claim in ["email", "upn", "preferred_username", "unique_name", "name"] {
        assert_eq!(Platform::EntraId.claim_class(claim), Some(FactClass::Display), "{claim}");
    }
}

#[test]
fn entra_without_a_word_nothing_tells_a_person_from_an_application() {
    let unsaid = case("entra-id", "app-only").without("idtyp");
    assert_eq!(
        (trigger(&unsaid), facts(&unsaid).get(Fact::ServiceAccountId)),
        (TriggerClass::Unknown, Knowledge::Absent)
    );
    let both = case("entra-id", "app-only").with("scp", "cache.write");
    assert_eq!(trigger(&both), TriggerClass::Unknown);
}

#[test]
fn entra_a_person_writes_where_people_write() {
    let facts = facts(&base("entra-id"));
    assert!(facts.may_write(&Lane::dev()));
    assert!(!facts.may_write(&Lane::main()) && !facts.may_write(&Lane::release()));
}

// Okta.

#[test]
fn okta_an_access_token_for_okta_itself_is_not_for_us() {
    let org = Issuer::from("https://acme.okta.com");
    let token = case("okta", "org-server-access-token");
    assert_eq!(code(verify(anchor_for("okta", org.clone(), AUDIENCE), &token, now())), "audience_mismatch");
    assert_eq!(
        anchor_for("okta", org, "https://acme.okta.com").build().expect_err("refused").code(),
        "default_audience"
    );
    let typed = base("okta").with_header("typ", "application/okta-internal-at+jwt");
    assert_eq!(code(verify_here(&typed)), "wrong_type");
}

#[test]
fn okta_a_login_is_not_a_user() {
    let renamed = base("okta").with("uid", "00uffffffffffffffff");
    assert_eq!(facts(&renamed).text(Fact::UserName), facts(&base("okta")).text(Fact::UserName));
    assert_ne!(
        verify_here(&renamed).expect("taken").principal,
        verify_here(&base("okta")).expect("taken").principal
    );
    assert_eq!(facts(&base("okta").without("uid")).get(Fact::UserId), Knowledge::Absent);
}

#[test]
fn okta_a_list_as_long_as_the_cap_is_cut() {
    let facts_with =
        |cap: usize| verify(anchor("okta").group_cap(cap), &base("okta"), now()).expect("taken").facts;
    assert_eq!(facts_with(2).get(Fact::Groups), Knowledge::Incomplete);
    assert!(matches!(facts_with(3).get(Fact::Groups), Knowledge::Known(_)));
}

#[test]
fn okta_an_issuer_that_follows_the_host_is_several_issuers() {
    assert_eq!(code(verify_here(&case("okta", "custom-domain-issuer"))), "unknown_issuer");
}

// CircleCI.

#[test]
fn circleci_a_forks_origin_is_not_trusted_even_on_a_branch() {
    let fork =
        case("circleci", "fork-pr-secrets-enabled").with("oidc.circleci.com/vcs-ref", "refs/heads/main");
    assert_eq!(trigger(&fork), TriggerClass::Unknown, "the subject names another origin");
    // With the older subject nothing in the token tells a fork by itself: a rule must hold the origin.
    assert_eq!(Platform::Circleci.write_conditions(), [Fact::RepoName]);
}

#[test]
fn circleci_a_job_rerun_with_a_shell_is_a_persons() {
    assert_eq!(trigger(&case("circleci", "ssh-rerun")), TriggerClass::HumanShell);
    assert_eq!(trigger(&base("circleci").without("oidc.circleci.com/ssh-rerun")), TriggerClass::Unknown);
    let both = case("circleci", "fork-pr-secrets-enabled").with("oidc.circleci.com/ssh-rerun", true);
    assert!(facts(&both).lane().is_none());
}

#[test]
fn circleci_the_root_issuer_is_shared() {
    let root =
        anchor_for("circleci", "https://oidc.circleci.com".into(), AUDIENCE).build().expect("an anchor");
    assert!(!root.pin_sets().is_empty());
    assert!(anchor("circleci").build().expect("an anchor").pin_sets().is_empty());
}

// Kubernetes.

#[test]
fn kubernetes_a_stretched_token_ends_when_it_was_meant_to() {
    let stretched = case("kubernetes", "extended-default-token").with("aud", json!([AUDIENCE]));
    let verified = verify(anchor("kubernetes"), &stretched, later(3636)).expect("taken");
    assert_eq!(verified.expires_at, later(3607));
    assert_eq!(code(verify(anchor("kubernetes"), &stretched, later(3637))), "expired");
    // Without the mark it is what it says: a year.
    let bare = base("kubernetes").with("exp", NOW + 31_536_000);
    assert_eq!(code(verify_here(&bare)), "lifetime_too_long");
    // The mark shortens and never prolongs.
    let prolonged = base("kubernetes").with_pointer("/kubernetes.io/warnafter", NOW + 90_000);
    assert_eq!(verify_here(&prolonged).expect("taken").expires_at, later(3607));
}

#[test]
fn kubernetes_a_legacy_token_has_no_anchor() {
    let legacy = case("kubernetes", "legacy-secret-token");
    assert_eq!(code(verify_here(&legacy)), "unknown_issuer");
    assert_eq!(
        code(verify_here(&legacy.with("iss", base("kubernetes").claims["iss"].clone()))),
        "claim_missing"
    );
}

#[test]
fn kubernetes_two_clusters_of_one_issuer_text_have_keys_of_their_own() {
    let in_cluster = case("kubernetes", "in-cluster-issuer");
    let named = |id: &str, kid: &str| {
        let issuer = Issuer::from("https://kubernetes.default.svc.cluster.local");
        let anchor = anchor_for("kubernetes", issuer, AUDIENCE).keys(Keys::Inline(jwks(kid, "RS256")));
        let mut document = serde_json::to_value(&anchor).expect("a document");
        document["id"] = json!(id);
        serde_json::from_value::<cachegate_federation::Anchor>(document).expect("an anchor")
    };
    let table = Federation::new([named("east", "e"), named("west", "w")]).expect("a table");
    let text = in_cluster.token();
    let token = UnverifiedJws::parse(&text).expect("a token");
    assert_eq!(table.anchor_for(&token, None).expect_err("refused").code(), "anchor_ambiguous");
    let west = table.anchor_for(&token, Some(&"west".parse().expect("a name"))).expect("named");
    assert_eq!(west.id().as_str(), "west");
    let other = table.anchor_for(&token, Some(&"north".parse().expect("a name"))).expect_err("refused");
    assert_eq!(other.code(), "unknown_issuer");
}

#[test]
fn kubernetes_a_subject_that_is_not_the_accounts_is_refused() {
    let other = base("kubernetes").with("sub", "system:serviceaccount:ci:admin");
    assert_eq!(code(verify_here(&other)), "subject_disagrees");
}

// Bitbucket, SPIFFE.

#[test]
fn bitbucket_the_subject_changes_with_every_step_and_the_principal_does_not() {
    let next = base("bitbucket-pipelines")
        .with("sub", "{11111111-aaaa-bbbb-cccc-222222222222}:{44444444-aaaa-bbbb-cccc-444444444444}")
        .with("stepUuid", "{44444444-aaaa-bbbb-cccc-444444444444}");
    let (one, two) =
        (verify_here(&base("bitbucket-pipelines")).expect("taken"), verify_here(&next).expect("taken"));
    assert_ne!(one.subject, two.subject);
    assert_eq!(one.principal, two.principal);
}

#[test]
fn bitbucket_a_branch_is_no_word_on_who_triggered_it() {
    let facts = facts(&base("bitbucket-pipelines"));
    assert_eq!(facts.trigger(), TriggerClass::Unknown);
    assert!(!facts.may_write(&Lane::main()) && facts.may_write(facts.lane().expect("its branch's")));
}

#[test]
fn spiffe_the_trust_domain_chooses_the_bundle() {
    let evil = anchor_for(
        "spiffe-jwt-svid",
        Issuer::TrustDomain(TrustDomain { trust_domain: "evil.example".to_owned() }),
        AUDIENCE,
    );
    // The other domain's anchor does not vouch for this one's ids, whatever `iss` says.
    assert_eq!(code(verify(evil, &case("spiffe-jwt-svid", "with-issuer"), now())), "unknown_issuer");
    for subject in [
        "spiffe://prod.example.com",
        "spiffe://prod.example.com/",
        "spiffe://prod.example.com/a//b",
        "spiffe://prod.example.com/../admin",
        "spiffe://PROD.example.com/a",
        "spiffe://user@prod.example.com/a",
        "spiffe://prod.example.com:443/a",
        "spiffe://prod.example.com/a?b",
        "https://prod.example.com/a",
    ] {
        let code = code(verify_here(&base("spiffe-jwt-svid").with("sub", subject)));
        assert!(matches!(code, "unknown_issuer" | "claim_missing"), "{subject}: {code}");
    }
}

#[test]
fn spiffe_names_no_eddsa() {
    let algorithms = anchor("spiffe-jwt-svid").build().expect("an anchor").algorithms().to_vec();
    assert!(!algorithms.contains(&Algorithm::EdDsa), "{algorithms:?}");
}

#[test]
fn spiffe_a_header_has_three_members_at_most() {
    for member in ["x5t", "nonce"] {
        let refused = verify_here(&base("spiffe-jwt-svid").with_header(member, "x"));
        assert_eq!(code(refused), "unsupported_header", "{member}");
        assert_eq!(code(verify_here(&base("github-actions").with_header(member, "x"))), "taken", "{member}");
    }
}

#[test]
fn spiffe_tokens_are_used_again_by_their_vendors() {
    assert_eq!(anchor("spiffe-jwt-svid").build().expect("an anchor").mode(), Mode::Direct);
    assert_eq!(anchor("github-actions").build().expect("an anchor").mode(), Mode::Exchange);
}

// What other verifiers were seen to do.

#[test]
fn a_missing_expiry_is_never_invented() {
    for platform in ["github-actions", "gitlab-ci", "kubernetes", "spiffe-jwt-svid"] {
        assert_eq!(code(verify_here(&base(platform).without("exp"))), "claim_missing", "{platform}");
    }
}

#[test]
fn a_number_keeps_its_last_digit_and_is_no_text() {
    let pointer = "/google/compute_engine/project_number";
    let project = |number: Value| {
        let facts = facts(&base("google-compute-engine").with_pointer(pointer, number));
        facts.get(Fact::AccountId)
            == Knowledge::Known(std::borrow::Cow::Owned(FactValue::Integer(9_007_199_254_740_993)))
    };
    assert!(project(json!(9_007_199_254_740_993_i64)));
    assert!(!project(json!(9_007_199_254_740_992_i64)), "one less, and another number");
    for other in [json!("9007199254740993"), json!(1.5)] {
        let refused = verify_here(&base("google-compute-engine").with_pointer(pointer, other));
        assert_eq!(code(refused), "claim_ill_typed");
    }
}

#[test]
fn the_audience_is_bound_to_its_issuer() {
    let federation = Federation::new([
        anchor("circleci").build().expect("an anchor"),
        anchor_for("gitlab-ci", issuer("gitlab-ci"), "https://other.example.com").build().expect("an anchor"),
    ])
    .expect("a table");
    let check = |case: &Case| code(federation.verify(&case.token(), |_| Ok(Arc::new(keys(case))), now()));
    assert_eq!(check(&base("circleci")), "taken");
    assert_eq!(check(&base("gitlab-ci")), "audience_mismatch");
    assert_eq!(check(&base("gitlab-ci").with("aud", "https://other.example.com")), "taken");
    assert_eq!(check(&base("circleci").with("aud", "https://other.example.com")), "audience_mismatch");
}

#[test]
fn a_principal_is_made_of_ids_alone() {
    for platform in Platform::ALL {
        let Principal::Workload { subject, .. } =
            verify_here(&base(platform.as_str())).expect("taken").principal
        else {
            unreachable!("a workload");
        };
        for part in subject.split(' ') {
            let (fact, _) = part.split_once('=').expect("composed");
            let class = class(platform, fact.parse().expect("a fact"));
            let aws_role = (platform, fact) == (Platform::AwsSts, "role");
            let spiffe = platform == Platform::SpiffeJwtSvid;
            assert!(class == Some(FactClass::Id) || aws_role || spiffe, "{platform}: {part}");
        }
    }
}

#[test]
fn the_first_failed_step_is_told() {
    // Everything is wrong at once; each repair shows the next step.
    let kid = base("github-actions").header["kid"].clone();
    let good = base("github-actions");
    let step = |header: &str, case: &Case| {
        let token = sign_text(header, &case.payload(), "RS256");
        verify_token(anchor("github-actions"), &token, &keys(&good), now())
            .map_or_else(|refusal| refusal.step().to_string(), |_| "taken".to_owned())
    };
    let worst = good
        .clone()
        .with("iss", "https://evil.example")
        .with("aud", "https://evil.example")
        .with("exp", NOW - 500)
        .with("repository_id", 7);
    let bad_header = format!("{{\"alg\":\"RS256\",\"kid\":{kid},\"typ\":\"x\",\"crit\":[]}}");
    assert_eq!(step(&bad_header, &worst), "header");
    assert_eq!(step("{\"alg\":\"RS256\",\"kid\":\"x\",\"typ\":\"x\"}", &worst), "anchor");
    let known = worst.with("iss", good.claims["iss"].clone());
    assert_eq!(step("{\"alg\":\"RS256\",\"kid\":\"x\",\"typ\":\"x\"}", &known), "key");
    assert_eq!(step(&format!("{{\"alg\":\"RS256\",\"kid\":{kid},\"typ\":\"x\"}}"), &known), "type");
    let header = format!("{{\"alg\":\"RS256\",\"kid\":{kid},\"typ\":\"JWT\"}}");
    assert_eq!(step(&header, &known), "audience");
    let ours = known.with("aud", AUDIENCE);
    assert_eq!(step(&header, &ours), "time");
    let timely = ours.with("exp", NOW + 300);
    assert_eq!(step(&header, &timely), "pins");
    assert_eq!(step(&header, &timely.with("repository_id", "456789")), "taken");
}
