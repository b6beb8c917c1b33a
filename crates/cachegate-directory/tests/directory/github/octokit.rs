//! Payloads that others collected from GitHub, signed by software that no one here wrote.

use std::process::{Command, Stdio};

use cachegate_directory::{Delivery, DeliveryError, Received};
use cachegate_testkit::{GithubStandIn, block_on};
use cachegate_types::Action;
use serde_json::Value;

use super::{World, now};

/// The person of the examples of `organization`, the one of `membership`, and their team.
const COMES_AND_GOES: u64 = 39_652_351;
const IN_THE_TEAM: u64 = 21_031_067;
const TEAM: u64 = 3_253_328;

/// A payload with its signature.
struct Example {
    event: String,
    action: String,
    body: String,
    signature: String,
}

fn examples() -> Vec<Example> {
    let folder = std::env::var_os("CACHEGATE_OCTOKIT_WEBHOOKS")
        .expect("CACHEGATE_OCTOKIT_WEBHOOKS names the folder that the packages are installed in");
    let output = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/directory/github/octokit.mjs"))
        .env("CACHEGATE_OCTOKIT_WEBHOOKS", folder)
        .env("SECRET", GithubStandIn::SECRET)
        .stdin(Stdio::null())
        .output()
        .expect("node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        let text = |key: &str| line.get(key).and_then(Value::as_str).expect("a text").to_owned();
        Example {
            event: text("event"),
            action: text("action"),
            body: text("body"),
            signature: text("signature"),
        }
    };
    String::from_utf8(output.stdout).expect("text").lines().map(read).collect()
}

async fn deliver(world: &World, example: &Example, id: &str) -> Result<Received, DeliveryError> {
    let delivery = Delivery {
        event: Some(&example.event),
        id: Some(id),
        signature: Some(&example.signature),
        body: example.body.as_bytes(),
    };
    world.github.receive(&delivery, now()).await
}

fn find<'e>(examples: &'e [Example], event: &str, action: &str) -> &'e Example {
    let found = examples.iter().find(|example| example.event == event && example.action == action);
    found.expect("an example")
}

#[test]
#[ignore = "needs octokit-webhooks: run by cargo xtask test"]
fn every_example_that_octokit_signs_is_taken() {
    let examples = examples();
    assert!(examples.len() > 300, "{}", examples.len());
    block_on(async {
        for (number, example) in examples.iter().enumerate() {
            let world = World::new().await;
            let received = deliver(&world, example, &format!("d{number}")).await;
            let name = format!("{}.{}", example.event, example.action);
            let received = received.expect(&name);
            let expected = match name.as_str() {
                "ping." => Received::Pong,
                "organization.member_removed" | "membership.removed" | "team.deleted" => Received::Ended,
                "organization.member_added"
                | "organization.renamed"
                | "membership.added"
                | "team.created"
                | "team.edited" => Received::Asks,
                _ => Received::Ignored,
            };
            assert_eq!(received, expected, "{name}");
            assert_eq!(world.members().await, [].into(), "{name} lets nobody in");
        }
    });
}

#[test]
#[ignore = "needs octokit-webhooks: run by cargo xtask test"]
fn examples_signed_by_octokit_remove_and_add_again_doubled_reordered_and_dropped() {
    let examples = examples();
    let find = |event, action| find(&examples, event, action);
    block_on(async {
        let world = World::with(&[COMES_AND_GOES, IN_THE_TEAM]).await;
        world.there.team(TEAM, "github");
        world.there.join_team(TEAM, IN_THE_TEAM);
        world.pull().await.expect("a pull");
        let token = world.token(COMES_AND_GOES).await;

        // Removed: at once. The same again: nothing more.
        world.there.leave(COMES_AND_GOES);
        let removed = find("organization", "member_removed");
        assert_eq!(deliver(&world, removed, "d1").await.expect("taken"), Received::Ended);
        assert_eq!(world.scene.code(&token, Action::Read).await, "not_a_member");
        assert_eq!(deliver(&world, removed, "d1").await.expect("taken"), Received::Repeated);

        // Added again, and out of order: what was sent first comes last, and locks out until GitHub is asked.
        world.there.join(COMES_AND_GOES, "hacktocat");
        assert_eq!(
            deliver(&world, find("organization", "member_added"), "d3").await.expect("taken"),
            Received::Asks
        );
        world.pull().await.expect("a pull");
        assert_eq!(world.members().await, world.there.members());
        assert_eq!(deliver(&world, removed, "d2").await.expect("taken"), Received::Ended);
        assert_eq!(world.members().await, [IN_THE_TEAM].into());
        world.pull().await.expect("a pull");
        assert_eq!(world.members().await, world.there.members());
        assert_ne!(world.scene.code(&token, Action::Read).await, "allowed", "old tokens stay dead");

        // The team: off it at once; back, with the delivery lost; and without the team.
        assert_eq!(world.groups().await, [("github".to_owned(), [IN_THE_TEAM].into())]);
        world.there.leave_team(TEAM, IN_THE_TEAM);
        let off = find("membership", "removed");
        assert_eq!(deliver(&world, off, "d4").await.expect("taken"), Received::Ended);
        assert_eq!(world.groups().await, [("github".to_owned(), [].into())]);
        world.there.join_team(TEAM, IN_THE_TEAM);
        world.pull().await.expect("a pull");
        assert_eq!(world.groups().await, [("github".to_owned(), [IN_THE_TEAM].into())]);
        world.there.drop_team(TEAM);
        let dropped = find("team", "deleted");
        assert_eq!(deliver(&world, dropped, "d5").await.expect("taken"), Received::Ended);
        assert_eq!(world.groups().await, []);

        // Removed, and the delivery lost.
        world.there.leave(COMES_AND_GOES);
        world.pull().await.expect("a pull");
        assert_eq!(world.members().await, world.there.members());
    });
}
