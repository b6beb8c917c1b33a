//! Settings as documents.

use cachegate_policy::{LaneOrder, WorkspaceSettings};

use crate::engine;
use crate::generate::{self, Random};

fn refused(json: &str) -> String {
    serde_json::from_str::<WorkspaceSettings>(json).expect_err("to be refused").to_string()
}

#[test]
fn settings_read_back_what_they_wrote() {
    let mut random = Random::new(71);
    for _ in 0..crate::cases(20_000) {
        let settings = engine::settings(&generate::settings(&mut random));
        let json = serde_json::to_string(&settings).expect("a document");
        let read: WorkspaceSettings = serde_json::from_str(&json).expect("settings");
        assert_eq!(read, settings, "{json}");
    }
}

#[test]
fn the_words_of_a_document_are_these() {
    let json = serde_json::to_string_pretty(&WorkspaceSettings::default()).expect("a document");
    let expected = r#"{
  "anonymous": "none",
  "personal": "read-write",
  "personal_lane": "dev",
  "open_to": "members",
  "read_only_ci_writes": "refuse",
  "lanes": [
    "release",
    "main",
    "dev",
    "branch",
    "pull",
    "own",
    "anonymous"
  ],
  "lane_generation": 0
}"#;
    assert_eq!(json, expected);
}

#[test]
fn what_a_document_leaves_out_is_the_default() {
    let read: WorkspaceSettings = serde_json::from_str("{}").expect("settings");
    assert_eq!(read, WorkspaceSettings::default());
}

#[test]
fn an_unknown_key_or_word_is_refused_by_name() {
    assert!(refused(r#"{"anonymus":"none"}"#).contains("unknown field `anonymus`"));
    assert!(refused(r#"{"anonymous":"Read-Only"}"#).contains("unknown access level"));
    assert!(refused(r#"{"personal_lane":"release"}"#).contains("unknown variant `release`"));
    assert!(refused(r#"{"open_to":"everyone"}"#).contains("unknown variant `everyone`"));
    assert!(refused(r#"{"read_only_ci_writes":"main"}"#).contains("unknown variant `main`"));
    assert!(refused(r#"{"lane_generation":-1}"#).contains("invalid value"));
    assert!(
        refused(r#"{"anonymous":"none","anonymous":"read-write"}"#).contains("duplicate field `anonymous`")
    );
}

#[test]
fn an_order_of_lanes_that_repeats_or_leaves_out_a_class_is_refused_by_its_name() {
    let with = |lanes: &str| refused(&format!(r#"{{"lanes":[{lanes}]}}"#));
    assert!(
        with(r#""release","main","main","branch","pull","own","anonymous""#)
            .contains("names each of the 7 classes once, `main` is named more than once")
    );
    assert!(with(r#""release","main""#).contains("`dev` is missing"));
    assert!(with(r#""release","trunk""#).contains("unknown lane class"));
}

#[test]
fn every_order_of_the_seven_classes_is_one() {
    let orders = generate::orders();
    assert_eq!(orders.iter().collect::<std::collections::BTreeSet<_>>().len(), 5_040);
    for order in orders {
        let made = LaneOrder::new(&order).expect("an order");
        assert_eq!(*made.classes(), order);
        for (place, class) in order.into_iter().enumerate() {
            assert_eq!(usize::from(made.rank(class)), place);
        }
    }
}
