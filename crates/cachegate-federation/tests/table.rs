//! The claim sets of all platforms against the reviewed table.

#![expect(clippy::expect_used, clippy::panic, reason = "a broken table fails the test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use cachegate_federation::{Fact, Issuer};
use cachegate_federation::{FactValue, Knowledge, Refusal, TrustDomain, Verified};
use cachegate_types::Lane;
use common::{AUDIENCE, Case, PLATFORMS, anchor_for, cases, issuer, keys, now, verify, verify_token};

/// What a row of the table says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    issuer: Option<String>,
    audience: Option<String>,
    refused: Option<String>,
    trigger: String,
    lane: String,
    writes: String,
    facts: BTreeMap<String, String>,
}

/// The rows by platform and variant.
fn table() -> BTreeMap<(String, String), Row> {
    let mut rows = BTreeMap::<(String, String), Row>::new();
    let (mut platform, mut defaults, mut at) = (String::new(), Row::default(), None);
    for line in include_str!("table.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            (platform, defaults, at) = (name.to_owned(), Row::default(), None);
            continue;
        }
        if let Some(rest) = line.strip_prefix("-- ") {
            let (variant, rest) = rest.split_once(" [").expect("a reason in brackets");
            let (_, from) = rest.rsplit_once(']').expect("a reason in brackets");
            let row = match from.strip_prefix(" = ") {
                None => defaults.clone(),
                Some(other) => rows.get(&(platform.clone(), other.to_owned())).expect("a row above").clone(),
            };
            let key = (platform.clone(), variant.to_owned());
            assert!(rows.insert(key.clone(), row).is_none(), "twice: {key:?}");
            at = Some(key);
            continue;
        }
        let row = match &at {
            Some(key) => rows.get_mut(key).expect("the row just begun"),
            None => &mut defaults,
        };
        let (word, value) = line.split_once(' ').expect("a word and a value");
        let value = value.to_owned();
        match word {
            "issuer" => row.issuer = Some(value),
            "audience" => row.audience = Some(value),
            "refused" => row.refused = Some(value),
            "trigger" => row.trigger = value,
            "lane" => row.lane = value,
            "writes" => row.writes = value,
            "-" => drop(row.facts.remove(&value).expect("a fact that is there")),
            fact => {
                let fact: Fact = fact.parse().unwrap_or_else(|_| panic!("no fact: {line}"));
                row.facts.insert(fact.to_string(), value);
            }
        }
    }
    rows
}

fn found(result: &Result<Verified, Refusal>) -> Row {
    let verified = match result {
        Ok(verified) => verified,
        Err(refusal) => {
            return Row { refused: Some(format!("{} {}", refusal.step(), refusal.code())), ..Row::default() };
        }
    };
    let facts = &verified.facts;
    let own = [Fact::Anchor, Fact::Platform, Fact::TriggerClass];
    let written = facts.iter().filter(|(fact, _)| !own.contains(fact)).map(|(fact, knowledge)| {
        let text = match knowledge {
            Knowledge::Known(value) => match &*value {
                FactValue::Set(set) => {
                    format!("[{}]", set.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", "))
                }
                value => value.to_string(),
            },
            Knowledge::Incomplete => "?".to_owned(),
            Knowledge::Absent => panic!("listed and absent: {fact}"),
        };
        (fact.to_string(), text)
    });
    let shared = [Lane::release(), Lane::main(), Lane::dev()].map(|lane| facts.may_write(&lane));
    Row {
        refused: None,
        trigger: facts.trigger().to_string(),
        lane: facts.lane().map_or_else(|| "none".to_owned(), ToString::to_string),
        writes: match shared {
            [true, true, true] => "all".to_owned(),
            [false, false, true] => "dev".to_owned(),
            [false, false, false] => "none".to_owned(),
            other => format!("{other:?}"),
        },
        facts: written.collect(),
        ..Row::default()
    }
}

fn run(case: &Case, row: &Row) -> Result<Verified, Refusal> {
    if case.platform == "azure-devops" {
        // There is no such anchor; the most that could be hoped for is one of Entra's.
        let issuer =
            Issuer::from("https://login.microsoftonline.com/be2ef3dc-7428-4bc2-b79f-771b9a8c60be/v2.0");
        return verify_token(anchor_for("entra-id", issuer, AUDIENCE), &case.token(), &keys(case), now());
    }
    let issuer = match &row.issuer {
        Some(domain) if case.platform == "spiffe-jwt-svid" => {
            Issuer::TrustDomain(TrustDomain { trust_domain: domain.clone() })
        }
        Some(issuer) => Issuer::Exact(issuer.clone()),
        None => issuer(&case.platform),
    };
    let audience = row.audience.as_deref().unwrap_or(AUDIENCE);
    verify(anchor_for(&case.platform, issuer, audience), case, now())
}

#[test]
fn every_claim_set_gives_exactly_the_tables_row() {
    let mut rows = table();
    let mut wrong = Vec::new();
    for case in PLATFORMS.iter().flat_map(|platform| cases(platform)) {
        let key = (case.platform.clone(), case.variant.clone());
        let row = rows.remove(&key).unwrap_or_else(|| panic!("no row: {key:?}"));
        let found = found(&run(&case, &row));
        let expected = match &row.refused {
            Some(_) => Row { refused: row.refused.clone(), ..Row::default() },
            None => Row { issuer: None, audience: None, ..row },
        };
        if found != expected {
            wrong.push(format!("{key:?}\n{}", difference(&expected, &found)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows.is_empty(), "rows without a claim set: {:?}", rows.keys());
}

#[test]
fn the_table_covers_every_fact_that_a_platform_says_it_gives() {
    let mut given = BTreeMap::<String, BTreeSet<String>>::new();
    for ((platform, _), row) in table() {
        given.entry(platform).or_default().extend(row.facts.into_keys());
    }
    for platform in cachegate_federation::Platform::ALL {
        let never: Vec<_> = platform
            .facts()
            .iter()
            .map(|spec| spec.fact)
            .filter(|fact| ![Fact::Anchor, Fact::Platform, Fact::TriggerClass].contains(fact))
            .filter(|fact| !given.get(platform.as_str()).is_some_and(|facts| facts.contains(fact.as_str())))
            .map(|fact| fact.to_string())
            .collect();
        let elsewhere: &[&str] = match platform.as_str() {
            // In no claim set of these platforms.
            "google-compute-engine" => &["token.id", "user.id", "client.id"],
            "buildkite" | "circleci" | "bitbucket-pipelines" => &["token.id"],
            _ => &[],
        };
        assert_eq!(never, elsewhere, "{platform}");
    }
}

#[test]
fn no_claim_of_a_set_is_unknown() {
    let rows = table();
    for case in PLATFORMS.iter().flat_map(|platform| cases(platform)) {
        let row = &rows[&(case.platform.clone(), case.variant.clone())];
        if let Ok(verified) = run(&case, row) {
            assert_eq!(verified.unknown_claims, [""; 0], "{} {}", case.platform, case.variant);
        }
    }
}

fn difference(expected: &Row, found: &Row) -> String {
    let lines = |row: &Row| {
        let mut lines: Vec<String> =
            row.facts.iter().map(|(fact, value)| format!("{fact} {value}")).collect();
        lines.extend([
            format!("trigger {}", row.trigger),
            format!("lane {}", row.lane),
            format!("writes {}", row.writes),
            format!("refused {:?}", row.refused),
        ]);
        lines
    };
    let (expected, found) = (lines(expected), lines(found));
    let minus = expected.iter().filter(|line| !found.contains(line)).map(|line| format!("  - {line}\n"));
    let plus = found.iter().filter(|line| !expected.contains(line)).map(|line| format!("  + {line}\n"));
    minus.chain(plus).collect()
}
