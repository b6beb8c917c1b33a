//! Where each rule, each family of attack, each trap and each weak spot of other verifiers has its test. A row whose test
//! is gone, or was renamed, fails here.

use std::collections::BTreeMap;
use std::path::Path;

const VERIFICATION: &str = "cachegate-federation/tests/verification.rs";
const TRAPS: &str = "cachegate-federation/tests/traps.rs";
const TOKENS: &str = "cachegate-federation/tests/rule_tokens.rs";
const RULES: &str = "cachegate-federation/src/rule/tests.rs";
const LINT: &str = "cachegate-federation/tests/lint.rs";
const DENIALS: &str = "cachegate-federation/tests/denials.rs";
const TABLE: &str = "cachegate-federation/tests/table.rs";
const HELD: &str = "cachegate-federation/tests/keys/held.rs";
const FLOOD: &str = "cachegate-federation/tests/keys/flood.rs";
const FAULTS: &str = "cachegate-federation/tests/keys/faults.rs";
const FLIGHTS: &str = "cachegate-federation/tests/keys/flights.rs";
const DISCOVERY: &str = "cachegate-federation/tests/keys/discovery.rs";
const REAL: &str = "cachegate-federation/tests/keys_http.rs";
const GATE: &str = "cachegate/tests/gate/workloads.rs";

type Row = (&'static str, &'static [(&'static str, &'static str)]);

/// The ten rules of verification.
const THE_RULES: [Row; 10] = [
    (
        "1 the anchor comes from configuration",
        &[
            (VERIFICATION, "rule_1_an_unverified_issuer_is_a_key_into_a_closed_table"),
            (FLOOD, "a_thousand_unknown_issuers_make_no_fetch"),
        ],
    ),
    (
        "2 keys belong to an anchor",
        &[
            (VERIFICATION, "rule_2_keys_belong_to_one_anchor"),
            (FLOOD, "a_key_of_one_anchor_is_no_key_of_another"),
        ],
    ),
    ("3 the algorithm is the key's", &[(VERIFICATION, "rule_3_the_algorithm_is_the_keys_and_the_anchors")]),
    (
        "4 issuer and audience, exactly",
        &[(VERIFICATION, "rule_4_the_issuer_is_one_text_and_the_audience_is_ours_alone")],
    ),
    ("5 times", &[(VERIFICATION, "rule_5_times_are_numbers_and_within_caps")]),
    (
        "6 shared issuers are pinned",
        &[
            (VERIFICATION, "rule_6_shared_issuers_need_a_pin_and_ids_agree_wherever_they_stand"),
            (RULES, "a_rule_on_a_shared_issuer_cannot_be_built_without_an_immutable_pin"),
        ],
    ),
    (
        "7 what is missing or incomplete denies",
        &[
            (VERIFICATION, "rule_7_missing_null_wrong_typed_doubled_and_incomplete_claims_deny"),
            (RULES, "every_kind_of_condition_is_true_false_or_unknown"),
        ],
    ),
    (
        "8 who triggered it decides writing",
        &[
            (VERIFICATION, "rule_8_who_triggered_it_decides_writing"),
            (RULES, "what_an_outsider_starts_never_gets_a_shared_lane"),
        ],
    ),
    (
        "9 replay",
        &[
            (VERIFICATION, "rule_9_a_token_is_known_by_its_id_or_by_its_signing_input"),
            (GATE, "a_token_is_exchanged_once_whoever_asks"),
            (GATE, "a_refused_exchange_uses_nothing_up"),
        ],
    ),
    (
        "10 fail closed and stay up",
        &[
            (VERIFICATION, "rule_10_an_anchor_that_is_switched_off_refuses_and_one_in_audit_says_so"),
            (HELD, "the_last_good_keys_verify_until_the_hard_age_and_not_a_second_longer"),
            (FLIGHTS, "all_who_come_while_the_keys_are_fetched_wait_for_one_attempt"),
            (DISCOVERY, "a_redirect_of_either_document_is_a_refusal"),
            (DENIALS, "every_denial_names_its_step_and_says_to_each_reader_what_is_theirs"),
        ],
    ),
];

/// The families of attack that a federated token can carry.
const FAMILIES: [Row; 25] = [
    ("A1 algorithms that are none", &[(VERIFICATION, "a1_algorithms_that_are_none")]),
    ("A2 a public key for a secret", &[(VERIFICATION, "a2_a_public_key_is_never_a_shared_secret")]),
    ("A3 key ids", &[(VERIFICATION, "a3_a_key_id_is_opaque")]),
    ("A4 keys in the header", &[(VERIFICATION, "a4_a_token_brings_no_key")]),
    ("A5 extensions", &[(VERIFICATION, "a5_nothing_beside_a_signature_is_asked_for")]),
    ("A6 doubled members", &[(VERIFICATION, "a6_no_member_comes_twice")]),
    ("A7 other serializations", &[(VERIFICATION, "a7_a8_one_shape_and_one_spelling")]),
    ("A8 base64", &[(VERIFICATION, "a7_a8_one_shape_and_one_spelling")]),
    ("A9 signatures that are none", &[(VERIFICATION, "a9_a10_signatures")]),
    (
        "A10 malleable signatures",
        &[
            (VERIFICATION, "a9_a10_signatures"),
            (VERIFICATION, "rule_9_a_token_is_known_by_its_id_or_by_its_signing_input"),
        ],
    ),
    ("A11 Ed25519", &[(VERIFICATION, "a11_an_ed25519_key_of_small_order_or_another_spelling_is_no_key")]),
    ("A12 weak keys", &[(VERIFICATION, "a12_a13_a_weak_key_and_a_name_twice_are_no_keys")]),
    (
        "A13 key sets",
        &[
            (VERIFICATION, "a12_a13_a_weak_key_and_a_name_twice_are_no_keys"),
            (FAULTS, "sets_that_are_too_large_or_not_clean_are_refused_whole"),
            (HELD, "an_unknown_kind_of_key_costs_that_key_alone"),
        ],
    ),
    (
        "A14 unknown keys without end",
        &[
            (FLOOD, "a_hundred_thousand_unknown_keys_in_a_minute_make_two_fetches"),
            (HELD, "an_absent_key_is_not_asked_for_again_for_a_minute"),
            (HELD, "an_unknown_key_asks_the_issuer_once_in_a_cool_down"),
            (FAULTS, "good_tokens_are_served_through_each_of_twelve_faults"),
        ],
    ),
    (
        "A15 requests that an attacker aims",
        &[
            (VERIFICATION, "a15_an_issuer_is_a_plain_https_address"),
            (DISCOVERY, "keys_lie_at_the_issuers_own_host_and_port_over_tls"),
            (DISCOVERY, "the_documents_issuer_is_the_configured_one_byte_for_byte"),
            (DISCOVERY, "a_redirect_of_either_document_is_a_refusal"),
            (FLOOD, "a_thousand_unknown_issuers_make_no_fetch"),
        ],
    ),
    ("A16 times", &[(VERIFICATION, "a16_times_of_another_type_or_range")]),
    ("A17 audiences", &[(VERIFICATION, "a17_audiences_of_another_type_or_spelling")]),
    (
        "A18 issuers",
        &[
            (VERIFICATION, "a18_the_key_of_one_issuer_under_the_name_of_another"),
            (VERIFICATION, "rule_1_an_unverified_issuer_is_a_key_into_a_closed_table"),
        ],
    ),
    ("A19 subjects", &[(VERIFICATION, "a19_one_subject_text_under_two_issuers_is_two_principals")]),
    (
        "A20 classes of token",
        &[
            (VERIFICATION, "a20_another_class_of_token"),
            (GATE, "a_token_of_an_exchange_anchor_is_no_credential"),
        ],
    ),
    ("A21 another tenant", &[(VERIFICATION, "a21_a_right_signature_of_the_wrong_tenant")]),
    (
        "A22 what is remembered",
        &[
            (GATE, "a22_a_remembered_token_lets_in_no_other_signature_and_no_other_audience"),
            (GATE, "a_direct_token_ends_with_itself_its_revocation_its_rule_or_its_anchor"),
        ],
    ),
    ("A23 list and key disagree", &[(VERIFICATION, "a23_a24_header_key_and_list_say_the_same")]),
    ("A24 a key without an algorithm", &[(VERIFICATION, "a23_a24_header_key_and_list_say_the_same")]),
    (
        "A25 replay",
        &[
            (VERIFICATION, "a25_the_record_of_a_use_outlives_the_token"),
            (GATE, "a_token_is_exchanged_once_whoever_asks"),
        ],
    ),
];

/// The traps of each platform, in the order in which they are known.
const OF_PLATFORMS: [Row; 46] = [
    (
        "GitHub a: events that outsiders cause",
        &[
            (TRAPS, "github_an_event_that_outsiders_cause_carries_the_base_repositorys_identity"),
            (TRAPS, "github_an_event_that_is_not_listed_is_unknown"),
        ],
    ),
    (
        "GitHub b: a pull request says branch",
        &[
            (TRAPS, "github_a_ref_type_of_branch_is_no_trust_test"),
            (TRAPS, "github_a_push_with_a_pull_requests_ref_or_branches_is_not_trusted"),
        ],
    ),
    (
        "GitHub c: caller and callee",
        &[
            (TRAPS, "github_the_called_workflow_is_not_the_calling_one"),
            (TRAPS, "github_an_at_sign_in_a_branch_does_not_move_the_workflows_ref"),
        ],
    ),
    (
        "GitHub d: what the author chooses",
        &[
            (TRAPS, "github_a_display_name_is_no_fact_and_an_environment_is_the_authors_choice"),
            (LINT, "every_danger_in_a_rule_is_found"),
        ],
    ),
    ("GitHub e: an empty ref", &[(TRAPS, "github_an_empty_ref_is_absent_and_the_callee_ends_in_the_commit")]),
    (
        "GitHub f: wildcards",
        &[(LINT, "every_danger_in_a_rule_is_found"), (RULES, "a_pattern_that_reaches_too_far_is_refused")],
    ),
    ("GitHub g: enterprise slugs", &[(TRAPS, "github_no_slug_but_the_exact_one_dedicates_the_issuer")]),
    (
        "GitHub: a name registered again",
        &[(TRAPS, "github_a_name_that_was_registered_again_is_another_repository")],
    ),
    (
        "GitLab a: forks in the target",
        &[
            (TRAPS, "gitlab_a_forks_merge_request_that_runs_in_the_target_is_an_outsiders"),
            (TRAPS, "gitlab_a_token_from_before_the_fix_may_name_the_target"),
        ],
    ),
    (
        "GitLab b: tag and branch of one name",
        &[(TRAPS, "gitlab_a_tag_and_a_branch_of_one_name_are_two_refs")],
    ),
    ("GitLab c: the runner's id", &[(TRAPS, "gitlab_the_runners_id_is_a_number_and_stays_one")]),
    ("GitLab d: lifetimes", &[(TRAPS, "gitlab_the_lifetime_is_the_jobs_timeout_and_is_capped")]),
    ("GitLab e: other instances", &[(TRAPS, "gitlab_another_instance_speaks_for_itself_alone")]),
    ("GitLab f: remote configuration", &[(TRAPS, "gitlab_a_remote_configuration_has_no_file")]),
    (
        "GitLab g: the case of paths",
        &[
            (TRAPS, "names_fold_case_only_where_the_platform_does"),
            (RULES, "case_folds_only_where_the_platform_folds_it"),
        ],
    ),
    ("GitLab: groups left out", &[(TRAPS, "gitlab_groups_that_are_left_out_are_unknown")]),
    (
        "Semaphore: the target branch",
        &[
            (TRAPS, "semaphore_the_branch_of_a_pull_request_is_its_target"),
            (TRAPS, "semaphore_two_numbers_of_one_pull_request_name_no_lane"),
        ],
    ),
    ("Semaphore: debug jobs", &[(TRAPS, "semaphore_a_debug_job_is_a_human_shell")]),
    ("Semaphore: the cut subject", &[(TRAPS, "semaphore_a_truncated_subject_is_no_fact")]),
    (
        "Semaphore: a slug registered again",
        &[(TRAPS, "semaphore_a_slug_that_was_registered_again_is_another_organization")],
    ),
    (
        "Semaphore: claims filtered out",
        &[(TRAPS, "semaphore_a_claim_that_the_organization_filters_out_denies")],
    ),
    (
        "Buildkite: ids only on request",
        &[(TRAPS, "buildkite_ids_are_there_only_if_asked_for_and_the_flag_is_told")],
    ),
    ("Buildkite: no id of a token", &[(TRAPS, "buildkite_a_token_without_an_id_is_known_by_its_digest")]),
    (
        "Buildkite: numbers and null",
        &[(TRAPS, "buildkite_a_builds_number_is_a_number_and_a_step_may_have_no_key")],
    ),
    (
        "Buildkite: branch and commit",
        &[
            (TRAPS, "buildkite_whoever_creates_a_build_names_branch_and_commit"),
            (TRAPS, "buildkite_a_third_partys_branch_is_marked_by_a_colon"),
            (TRAPS, "buildkite_a_tag_that_the_subject_names_is_not_a_branch"),
        ],
    ),
    ("Buildkite: agent tags", &[(TRAPS, "buildkite_agent_tags_are_the_agents_owners_choice")]),
    ("AWS: the account thrice", &[(TRAPS, "aws_the_account_in_the_arn_is_the_accounts")]),
    ("AWS: request tags", &[(TRAPS, "aws_tags_of_a_request_are_the_callers_choice")]),
    (
        "AWS: role names and partitions",
        &[
            (TRAPS, "aws_a_role_is_a_name_that_can_be_given_again"),
            (TRAPS, "aws_another_partition_is_another_role"),
        ],
    ),
    ("AWS: a slash in a name", &[(TRAPS, "aws_a_slash_in_a_claims_name_can_be_pointed_at")]),
    ("Google: every human's issuer", &[(TRAPS, "google_every_sign_in_of_a_person_has_the_same_issuer")]),
    (
        "Google: addresses",
        &[
            (TRAPS, "google_an_address_that_is_not_verified_is_nobodys"),
            (TRAPS, "google_an_account_made_again_under_its_address_is_another"),
        ],
    ),
    (
        "Google: other formats, no id",
        &[(TRAPS, "google_a_token_of_no_instance_or_of_the_short_format_names_no_project")],
    ),
    ("Entra: groups overage", &[(TRAPS, "entra_too_many_groups_are_not_no_groups")]),
    ("Entra: display names", &[(TRAPS, "entra_what_a_person_is_called_is_for_display")]),
    (
        "Entra: tenants, consumers, keys",
        &[
            (VERIFICATION, "a21_a_right_signature_of_the_wrong_tenant"),
            (TRAPS, "entra_a_key_that_is_for_one_tenant_signs_for_no_other"),
        ],
    ),
    (
        "Entra: people and applications",
        &[
            (TRAPS, "entra_without_a_word_nothing_tells_a_person_from_an_application"),
            (TRAPS, "entra_a_person_writes_where_people_write"),
        ],
    ),
    ("Okta: the org server's tokens", &[(TRAPS, "okta_an_access_token_for_okta_itself_is_not_for_us")]),
    (
        "Okta: logins, groups, issuers",
        &[
            (TRAPS, "okta_a_login_is_not_a_user"),
            (TRAPS, "okta_a_list_as_long_as_the_cap_is_cut"),
            (TRAPS, "okta_an_issuer_that_follows_the_host_is_several_issuers"),
        ],
    ),
    (
        "CircleCI: forks, shells, the root issuer",
        &[
            (TRAPS, "circleci_a_forks_origin_is_not_trusted_even_on_a_branch"),
            (TRAPS, "circleci_a_job_rerun_with_a_shell_is_a_persons"),
            (TRAPS, "circleci_the_root_issuer_is_shared"),
            (RULES, "circleci_enters_no_shared_lane_without_the_origin_that_tells_a_fork"),
        ],
    ),
    (
        "Kubernetes: stretched and legacy tokens",
        &[
            (TRAPS, "kubernetes_a_stretched_token_ends_when_it_was_meant_to"),
            (TRAPS, "kubernetes_a_legacy_token_has_no_anchor"),
        ],
    ),
    (
        "Kubernetes: one issuer, many clusters",
        &[
            (TRAPS, "kubernetes_two_clusters_of_one_issuer_text_have_keys_of_their_own"),
            (TRAPS, "kubernetes_a_subject_that_is_not_the_accounts_is_refused"),
        ],
    ),
    (
        "Bitbucket: the subject, the branch",
        &[
            (TRAPS, "bitbucket_the_subject_changes_with_every_step_and_the_principal_does_not"),
            (TRAPS, "bitbucket_a_branch_is_no_word_on_who_triggered_it"),
        ],
    ),
    ("Azure DevOps", &[(VERIFICATION, "azure_devops_is_no_platform")]),
    (
        "SPIFFE: bundles and headers",
        &[
            (TRAPS, "spiffe_the_trust_domain_chooses_the_bundle"),
            (TRAPS, "spiffe_a_header_has_three_members_at_most"),
            (TRAPS, "spiffe_names_no_eddsa"),
        ],
    ),
    ("SPIFFE: tokens used again", &[(TRAPS, "spiffe_tokens_are_used_again_by_their_vendors")]),
];

/// Where other verifiers were seen to be weak.
const OF_PEERS: [Row; 25] = [
    ("fetching what a token names", &[(FLOOD, "a_thousand_unknown_issuers_make_no_fetch")]),
    (
        "issuer templates that are not bound to a claim",
        &[(VERIFICATION, "a21_a_right_signature_of_the_wrong_tenant")],
    ),
    ("further audiences", &[(VERIFICATION, "rule_4_the_issuer_is_one_text_and_the_audience_is_ours_alone")]),
    ("one audience for all issuers", &[(TRAPS, "the_audience_is_bound_to_its_issuer")]),
    (
        "names for ids",
        &[
            (TRAPS, "a_principal_is_made_of_ids_alone"),
            (RULES, "a_pin_is_an_immutable_id_that_the_platform_gives"),
        ],
    ),
    (
        "rules without a tenant",
        &[(RULES, "a_rule_on_a_shared_issuer_cannot_be_built_without_an_immutable_pin")],
    ),
    (
        "jobs that outsiders start",
        &[
            (RULES, "what_an_outsider_starts_never_gets_a_shared_lane"),
            (RULES, "a_job_of_unknown_origin_reads_what_anonymous_reads"),
        ],
    ),
    (
        "one place to write for every branch",
        &[(TOKENS, "a_push_to_the_trunk_writes_main_and_the_rest_writes_its_own")],
    ),
    ("caller and callee as one", &[(TRAPS, "github_the_called_workflow_is_not_the_calling_one")]),
    (
        "forks under the target's name",
        &[(TRAPS, "gitlab_a_forks_merge_request_that_runs_in_the_target_is_an_outsiders")],
    ),
    ("claims within claims", &[(TOKENS, "a_claim_is_reached_by_pointer_with_its_type")]),
    (
        "numbers that lose digits or become texts",
        &[(TRAPS, "a_number_keeps_its_last_digit_and_is_no_text"), (RULES, "types_never_mix")],
    ),
    ("groups that were cut", &[(RULES, "a_set_is_asked_for_its_members_and_a_cut_one_tells_nothing")]),
    (
        "exclusions that silence escapes",
        &[
            (RULES, "an_exclusion_is_not_escaped_by_other_letters"),
            (RULES, "a_narrower_rule_that_gives_less_is_not_escaped_by_silence"),
        ],
    ),
    (
        "patterns that cross delimiters or are not anchored",
        &[
            (RULES, "a_pattern_is_of_the_whole_text"),
            (RULES, "a_bar_is_a_letter_of_a_pattern_and_no_choice"),
            (RULES, "a_regular_expression_is_anchored_as_a_whole"),
        ],
    ),
    ("tokens used twice", &[(GATE, "a_token_is_exchanged_once_whoever_asks")]),
    (
        "an expiry that is invented, and none that is capped",
        &[
            (TRAPS, "a_missing_expiry_is_never_invented"),
            (VERIFICATION, "rule_5_times_are_numbers_and_within_caps"),
        ],
    ),
    (
        "keys for ever",
        &[
            (HELD, "the_last_good_keys_verify_until_the_hard_age_and_not_a_second_longer"),
            (HELD, "a_withdrawn_key_verifies_nothing_after_the_next_refresh"),
        ],
    ),
    ("a set lost to one unknown key", &[(HELD, "an_unknown_kind_of_key_costs_that_key_alone")]),
    (
        "no trial of a rule",
        &[
            (RULES, "a_rule_on_trial_grants_nothing_and_denies_nothing"),
            (TOKENS, "an_anchor_on_trial_gives_nothing_and_says_what_it_would"),
        ],
    ),
    ("no lint", &[(LINT, "every_danger_in_a_rule_is_found"), (LINT, "every_danger_in_an_anchor_is_found")]),
    (
        "denials that say nothing, or too much",
        &[
            (DENIALS, "no_denial_is_left_out"),
            (RULES, "no_public_text_shows_what_a_rule_expects"),
            (RULES, "an_unknown_rule_and_one_of_another_identity_look_the_same"),
        ],
    ),
    ("renames that nobody sees", &[(RULES, "a_remembered_name_warns_and_never_decides")]),
    ("claims that nobody knew of", &[(TOKENS, "claims_that_nobody_knew_of_warn")]),
    ("no published sets of claims", &[(TABLE, "every_claim_set_gives_exactly_the_tables_row")]),
];

/// An endpoint that fails in twelve ways, and floods.
const OF_ENDPOINTS: [Row; 2] = [
    (
        "twelve faults",
        &[
            (FAULTS, "good_tokens_are_served_through_each_of_twelve_faults"),
            (FAULTS, "the_keys_that_were_good_are_refused_after_a_day_of_each_fault"),
            (FAULTS, "no_token_is_served_where_the_keys_were_never_good"),
            (REAL, "good_tokens_are_served_through_twelve_faults_of_a_real_endpoint"),
            (REAL, "good_tokens_are_served_for_a_minute_of_each_fault_at_full_times"),
        ],
    ),
    (
        "floods",
        &[
            (FLOOD, "a_hundred_thousand_unknown_keys_in_a_minute_make_two_fetches"),
            (FLOOD, "a_thousand_unknown_issuers_make_no_fetch"),
            (FLOOD, "good_tokens_are_as_quick_in_a_flood"),
        ],
    ),
];

#[test]
fn every_rule_family_trap_and_weak_spot_has_its_test() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of the crates");
    let mut files = BTreeMap::new();
    let rows = THE_RULES.iter().chain(&FAMILIES).chain(&OF_PLATFORMS).chain(&OF_PEERS).chain(&OF_ENDPOINTS);
    for (what, tests) in rows {
        assert!(!tests.is_empty(), "{what}");
        for (file, test) in *tests {
            let source: &String = files
                .entry(file)
                .or_insert_with(|| std::fs::read_to_string(crates.join(file)).expect("a file of tests"));
            let (before, _) = source
                .split_once(&format!("\nfn {test}()"))
                .unwrap_or_else(|| panic!("{what}: no {test} in {file}"));
            let attributes = before.rsplit("\n\n").next().unwrap_or_default();
            assert!(attributes.contains("#[test]"), "{what}: {test} is no test");
        }
    }
}

#[test]
fn no_rule_and_no_family_is_left_out() {
    for (at, (what, _)) in THE_RULES.iter().enumerate() {
        assert!(what.starts_with(&format!("{} ", at + 1)), "{what}");
    }
    for (at, (what, _)) in FAMILIES.iter().enumerate() {
        assert!(what.starts_with(&format!("A{} ", at + 1)), "{what}");
    }
}
