//! Ten thousand payloads and headers that are not quite what GitHub sends: typed answers, and nobody let in.

use std::cell::Cell;

use cachegate_directory::Delivery;
use cachegate_testkit::{GithubStandIn, block_on};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{World, now};

/// Where something is changed, and how.
type Change = (prop::sample::Index, u8, u8);

/// Changes bytes: written over, taken out, put in, doubled, or everything behind them cut off.
#[expect(clippy::indexing_slicing, reason = "each place is within")]
fn change(bytes: &mut Vec<u8>, changes: &[Change]) {
    // What JSON is made of, and what its readers stumble over.
    const BYTES: &[u8] = b"{}[]\",:0123456789-.eE\\untrfals \n\0\x80\xff";
    for (at, how, byte) in changes {
        let byte = BYTES[usize::from(*byte) % BYTES.len()];
        let at = at.index(bytes.len() + 1);
        match how % 6 {
            0 if at < bytes.len() => bytes[at] = byte,
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.insert(at, byte),
            3 => {
                let rest = bytes[at..].to_vec();
                bytes.extend(rest);
            }
            4 if at > bytes.len() / 2 => bytes.truncate(at),
            _ => {}
        }
    }
}

#[test]
fn ten_thousand_mutated_payloads_get_typed_answers_and_let_nobody_in() {
    const CODES: [&str; 5] = [
        "delivery_unsigned",
        "delivery_wrong_signature",
        "delivery_malformed",
        "delivery_other_organization",
        "delivery_too_large",
    ];
    let world = block_on(World::with(&[7, 8]));
    let whole: Vec<(&str, String)> = vec![
        ("organization", world.there.member_payload("member_removed", 7)),
        ("organization", world.there.member_payload("member_added", 9)),
        ("organization", world.there.member_payload("renamed", 9)),
        ("membership", world.there.team_member_payload("removed", 70, 7)),
        ("membership", world.there.team_member_payload("added", 70, 9)),
        ("team", world.there.team_payload("deleted", 70)),
        ("team", world.there.team_payload("edited", 70)),
    ];
    let changes = || prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 0..6);
    let config = Config { cases: 10_000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]));
    let case = (any::<prop::sample::Index>(), changes(), changes(), changes(), 0..4_u8);
    let (taken, refused) = (Cell::new(0), Cell::new(0));
    let done = runner.run(&case, |(which, in_body, in_event, in_signature, spoilt)| {
        let (event, body) = &whole[which.index(whole.len())];
        let (mut body, mut event) = (body.clone().into_bytes(), event.as_bytes().to_vec());
        change(&mut body, &in_body);
        let mut signature = GithubStandIn::signature(GithubStandIn::SECRET, &body).into_bytes();
        match spoilt {
            0 => change(&mut event, &in_event),
            1 => change(&mut signature, &in_signature),
            _ => {}
        }
        let (event, signature) = (String::from_utf8_lossy(&event), String::from_utf8_lossy(&signature));
        let delivery =
            Delivery { event: Some(&event), id: Some(&event), signature: Some(&signature), body: &body };
        block_on(async {
            match world.github.receive(&delivery, now()).await {
                Ok(_) => taken.set(taken.get() + 1),
                Err(error) => {
                    assert!(CODES.contains(&error.code()), "{error}");
                    refused.set(refused.get() + 1);
                }
            }
            let members = world.members().await;
            assert!(members.is_subset(&[7, 8].into()), "{members:?}");
        });
        Ok(())
    });
    done.expect("it holds");
    let (taken, refused) = (taken.get(), refused.get());
    assert!(taken > 1000 && refused > 1000, "both are tried: {taken} taken, {refused} refused");
}
