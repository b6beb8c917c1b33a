//! What a delivery does, and which are refused.

use cachegate_directory::{Delivery, GithubConfigError, GithubOrganization, Received};
use cachegate_testkit::{GithubStandIn, block_on};
use cachegate_types::{Action, SecretText};

use super::{THERE, World, builder, now, organization};

/// The code with which a delivery is refused.
async fn refused(world: &World, delivery: &Delivery<'_>) -> &'static str {
    world.github.receive(delivery, now()).await.expect_err("refused").code()
}

/// A delivery that says that the person 7 has left, signed as it should be, and changed like this.
async fn changed(change: impl FnOnce(&mut Delivery<'_>)) -> &'static str {
    let world = World::with(&[7, 8]).await;
    let body = world.there.member_payload("member_removed", 7);
    let signature = GithubStandIn::signature(GithubStandIn::SECRET, body.as_bytes());
    let mut delivery = Delivery {
        event: Some("organization"),
        id: Some("d1"),
        signature: Some(&signature),
        body: body.as_bytes(),
    };
    change(&mut delivery);
    let code = refused(&world, &delivery).await;
    assert_eq!(world.members().await, [7, 8].into(), "nothing changed");
    code
}

#[test]
fn whoever_left_is_refused_with_the_next_request_and_told_why() {
    block_on(async {
        let world = World::with(&[7, 8]).await;
        let token = world.token(7).await;
        assert_eq!(world.scene.code(&token, Action::Read).await, "allowed");
        assert_eq!(world.left(7, "d1").await.expect("received"), Received::Ended);
        assert_eq!(world.scene.code(&token, Action::Read).await, "not_a_member");
        assert_eq!(world.members().await, [8].into());
    });
}

#[test]
fn whoever_left_keeps_their_other_organizations() {
    block_on(async {
        let world = World::with(&[7, 8]).await;
        let token = world.token(7).await;
        let (other, workspace) = world.scene.elsewhere("other").await;
        let (operator, user) = (cachegate::Authority::Operator, world.user(7).await);
        let role = cachegate_types::Role::Member;
        world.scene.gate.set_member(&operator, other, user, role, now()).await.expect("a member");
        world.left(7, "d1").await.expect("received");
        assert_eq!(world.scene.code(&token, Action::Read).await, "not_a_member");
        assert_eq!(world.scene.code_in(workspace, &token, Action::Read, now()).await, "allowed");
    });
}

#[test]
fn a_delivery_that_nobody_signed_is_refused() {
    assert_eq!(block_on(changed(|delivery| delivery.signature = None)), "delivery_unsigned");
}

#[test]
fn a_delivery_with_a_sha_1_signature_alone_is_refused() {
    let sha1 = "sha1=126f2c800419c60137ce748d7672e77b65cf16d6";
    assert_eq!(block_on(changed(|delivery| delivery.signature = Some(sha1))), "delivery_wrong_signature");
}

#[test]
fn a_delivery_that_somebody_else_signed_is_refused() {
    let body = World::new;
    let body = block_on(body()).there.member_payload("member_removed", 7);
    let signature = GithubStandIn::signature("another secret of somebody", body.as_bytes());
    let refused = block_on(changed(|delivery| delivery.signature = Some(&*signature.clone().leak())));
    assert_eq!(refused, "delivery_wrong_signature");
}

#[test]
fn the_signature_of_another_body_is_refused() {
    let other = GithubStandIn::signature(GithubStandIn::SECRET, b"{}").leak();
    assert_eq!(block_on(changed(|delivery| delivery.signature = Some(other))), "delivery_wrong_signature");
}

#[test]
fn a_signature_that_is_cut_or_drawn_out_is_refused() {
    let whole = {
        let body = block_on(World::new()).there.member_payload("member_removed", 7);
        GithubStandIn::signature(GithubStandIn::SECRET, body.as_bytes())
    };
    let digits = whole.strip_prefix("sha256=").expect("its name");
    for wrong in [
        &whole[..whole.len() - 2],
        &format!("{whole}00"),
        digits,
        "sha256=",
        "",
        &whole.replace("sha256", "SHA256"),
    ] {
        let wrong: &'static str = wrong.to_owned().leak();
        assert_eq!(
            block_on(changed(|delivery| delivery.signature = Some(wrong))),
            "delivery_wrong_signature",
            "{wrong}"
        );
    }
}

#[test]
fn a_body_that_is_too_large_is_refused_unread() {
    let body: &'static [u8] = vec![b' '; Delivery::MAX_BODY + 1].leak();
    let signature = GithubStandIn::signature(GithubStandIn::SECRET, body).leak();
    let code = block_on(changed(|delivery| {
        delivery.body = body;
        delivery.signature = Some(signature);
    }));
    assert_eq!(code, "delivery_too_large");
}

#[test]
fn what_is_signed_and_is_not_what_github_sends_is_refused() {
    for (event, body) in [
        ("organization", "null"),
        ("organization", "{"),
        ("organization", r#"{"action":"member_removed"}"#),
        ("organization", r#"{"action":"member_removed","organization":{"id":"38302899"}}"#),
        ("organization", r#"{"action":"member_removed","organization":{"id":38302899}}"#),
        (
            "organization",
            r#"{"action":"member_removed","organization":{"id":38302899},"membership":{"user":{"id":0}}}"#,
        ),
        (
            "organization",
            r#"{"action":"member_removed","organization":{"id":38302899},"membership":{"user":{"id":-7}}}"#,
        ),
        ("organization", r#"{"action":"deleted","organization":{"id":0}}"#),
        ("membership", r#"{"action":"removed","organization":{"id":38302899},"member":{"id":7}}"#),
        ("team", r#"{"action":"deleted","organization":{"id":38302899}}"#),
        ("", "{}"),
        ("organization\n", "{}"),
    ] {
        let signature = GithubStandIn::signature(GithubStandIn::SECRET, body.as_bytes()).leak();
        let code = block_on(changed(|delivery| {
            delivery.event = Some(event);
            delivery.body = body.as_bytes();
            delivery.signature = Some(signature);
        }));
        assert_eq!(code, "delivery_malformed", "{event} {body}");
    }
}

#[test]
fn a_delivery_without_an_id_or_an_event_is_refused() {
    assert_eq!(block_on(changed(|delivery| delivery.id = None)), "delivery_malformed");
    assert_eq!(block_on(changed(|delivery| delivery.id = Some("a b"))), "delivery_malformed");
    assert_eq!(block_on(changed(|delivery| delivery.event = None)), "delivery_malformed");
}

#[test]
fn a_delivery_about_an_organization_that_is_not_configured_is_refused() {
    block_on(async {
        let world = World::with(&[7]).await;
        let other = GithubStandIn::new(THERE + 1, 2);
        let delivered = world.deliver("d1", "organization", &other.member_payload("member_removed", 7)).await;
        assert_eq!(delivered.expect_err("refused").code(), "delivery_other_organization");
        assert_eq!(world.members().await, [7].into());
    });
}

#[test]
fn one_organizations_secret_signs_nothing_of_another_organization() {
    block_on(async {
        let world = World::with(&[7]).await;
        let (elsewhere, _) = world.scene.elsewhere("other").await;
        let own = organization(world.scene.organization, THERE);
        let secrets = vec![SecretText::new("the secret of the other one".to_owned())];
        let other = GithubOrganization { secrets, ..organization(elsewhere, THERE + 1) };
        let fetch = std::sync::Arc::new(world.there.clone());
        let both = builder(&world.scene, &world.store, fetch).organization(own).organization(other).build();
        let both = both.expect("two organizations");
        let body = world.there.member_payload("member_removed", 7);
        let signature = GithubStandIn::signature("the secret of the other one", body.as_bytes());
        let delivery = Delivery {
            event: Some("organization"),
            id: Some("d1"),
            signature: Some(&signature),
            body: body.as_bytes(),
        };
        let refused = both.receive(&delivery, now()).await.expect_err("refused");
        assert_eq!(refused.code(), "delivery_other_organization");
        assert_eq!(world.members().await, [7].into());
    });
}

#[test]
fn while_a_secret_changes_both_count_and_afterwards_the_new_one_alone() {
    block_on(async {
        let world = World::with(&[7, 8]).await;
        let (old, new) = (GithubStandIn::SECRET, "the secret that comes after it");
        let secrets =
            |secrets: &[&str]| secrets.iter().map(|text| SecretText::new((*text).to_owned())).collect();
        let with = |texts: &[&str]| {
            let own = organization(world.scene.organization, THERE);
            let fetch = std::sync::Arc::new(world.there.clone());
            let own = GithubOrganization { secrets: secrets(texts), ..own };
            builder(&world.scene, &world.store, fetch).organization(own).build()
        };
        let body = world.there.team_payload("created", 1);
        let received = async |texts: &[&str], secret| {
            let signature = GithubStandIn::signature(secret, body.as_bytes());
            let signature = Some(&*signature);
            let delivery = Delivery { event: Some("team"), id: Some("d1"), signature, body: body.as_bytes() };
            let received = with(texts).expect("GitHub").receive(&delivery, now()).await;
            received.map_err(|error| error.code())
        };
        for secret in [old, new] {
            assert_eq!(received(&[old, new], secret).await, Ok(Received::Asks));
        }
        assert_eq!(received(&[new], new).await, Ok(Received::Asks));
        assert_eq!(received(&[new], old).await, Err("delivery_wrong_signature"));
        assert!(matches!(with(&[]), Err(GithubConfigError::Secrets { count: 0 })));
        assert!(matches!(with(&[old, old, new]), Err(GithubConfigError::Secrets { count: 3 })));
        assert!(matches!(with(&["hunter2"]), Err(GithubConfigError::ShortSecret { length: 7, least: 16 })));
    });
}

#[test]
fn an_old_delivery_that_is_played_again_does_nothing() {
    block_on(async {
        let world = World::with(&[7, 8]).await;
        world.left(7, "d1").await.expect("received");
        world.there.join(7, "p7");
        world.pull().await.expect("a pull");
        let body = world.there.member_payload("member_removed", 7);
        assert_eq!(world.deliver("d1", "organization", &body).await.expect("taken"), Received::Repeated);
        assert_eq!(world.members().await, [7, 8].into());
        // Under another id, which nobody signed, it is believed, and the next pull undoes it.
        assert_eq!(world.deliver("d2", "organization", &body).await.expect("taken"), Received::Ended);
        world.pull().await.expect("a pull");
        assert_eq!(world.members().await, [7, 8].into());
    });
}

#[test]
fn an_end_that_was_cut_off_is_finished_when_it_is_delivered_again() {
    block_on(async {
        let world = World::with(&[7, 8]).await;
        let body = world.there.member_payload("member_removed", 7);
        let github = super::follow_faulty(&world);
        let signature = GithubStandIn::signature(GithubStandIn::SECRET, body.as_bytes());
        let delivery = Delivery {
            event: Some("organization"),
            id: Some("d1"),
            signature: Some(&signature),
            body: body.as_bytes(),
        };
        // However far it comes: in the end it is done, and the answers before said that it was not.
        let mut ended = false;
        for calls in 0..100 {
            world.scene.faults.cut_after(calls);
            let received = github.receive(&delivery, now()).await;
            world.scene.faults.mend();
            match received {
                Ok(received) => {
                    assert_eq!(received, Received::Ended);
                    ended = true;
                    break;
                }
                Err(error) => assert_eq!(error.code(), "delivery_unavailable"),
            }
        }
        assert!(ended);
        assert_eq!(world.members().await, [8].into());
    });
}

#[test]
fn a_ping_is_answered_and_what_is_of_no_concern_is_taken_and_ignored() {
    block_on(async {
        let world = World::with(&[7]).await;
        let invited = world.there.member_payload("member_invited", 9);
        for (event, body, received) in [
            ("ping", r#"{"zen":"Design for failure.","hook_id":1}"#, Received::Pong),
            ("push", r#"{"ref":"refs/heads/main"}"#, Received::Ignored),
            ("member", r#"{"action":"removed"}"#, Received::Ignored),
            ("organization", &invited, Received::Ignored),
            ("organization", &world.there.member_payload("renamed", 7), Received::Asks),
            ("team", &world.there.team_payload("added_to_repository", 1), Received::Ignored),
        ] {
            assert_eq!(world.deliver("d", event, body).await.expect("taken"), received, "{event}");
        }
        assert_eq!(world.members().await, [7].into());
    });
}

#[test]
fn an_invitation_or_an_addition_lets_nobody_in_before_github_says_so_itself() {
    block_on(async {
        let world = World::with(&[7]).await;
        let added = world.there.member_payload("member_added", 9);
        assert_eq!(world.deliver("d1", "organization", &added).await.expect("taken"), Received::Asks);
        assert_eq!(world.members().await, [7].into(), "GitHub was not asked yet");
        world.pull().await.expect("a pull");
        assert_eq!(world.members().await, [7].into(), "and does not confirm it");
        world.there.join(9, "p9");
        world.pull().await.expect("a pull");
        assert_eq!(world.members().await, [7, 9].into());
    });
}

#[test]
fn leaving_a_team_ends_what_its_group_gives_and_nothing_else() {
    block_on(async {
        let world = World::with(&[7, 8]).await;
        world.there.team(1, "core");
        world.there.join_team(1, 7);
        world.there.join_team(1, 8);
        world.pull().await.expect("a pull");
        assert_eq!(world.groups().await, [("core".to_owned(), [7, 8].into())]);
        world.there.leave_team(1, 7);
        let body = world.there.team_member_payload("removed", 1, 7);
        assert_eq!(world.deliver("d1", "membership", &body).await.expect("taken"), Received::Ended);
        assert_eq!(world.groups().await, [("core".to_owned(), [8].into())]);
        assert_eq!(world.members().await, [7, 8].into());
        let body = world.there.team_payload("deleted", 1);
        assert_eq!(world.deliver("d2", "team", &body).await.expect("taken"), Received::Ended);
        assert_eq!(world.groups().await, []);
    });
}

#[test]
fn when_the_organization_is_deleted_nobody_stays_whom_it_brought() {
    block_on(async {
        let world = World::with(&[7, 8]).await;
        world.invite(5, cachegate_types::Role::Member).await;
        let body = world.there.member_payload("deleted", 7);
        assert_eq!(world.deliver("d1", "organization", &body).await.expect("taken"), Received::Ended);
        assert_eq!(world.members().await, [5].into());
    });
}

#[test]
fn the_last_owner_stays_when_github_says_that_they_left() {
    block_on(async {
        let world = World::with(&[7, 8]).await;
        let operator = cachegate::Authority::Operator;
        let (organization, owner) = (world.scene.organization, world.user(7).await);
        let role = cachegate_types::Role::Owner;
        world.scene.gate.set_member(&operator, organization, owner, role, now()).await.expect("an owner");
        let first = world.scene.owner;
        world.scene.gate.remove_member(&operator, organization, first, now()).await.expect("removed");
        assert_eq!(world.left(7, "d1").await.expect("taken"), Received::LastOwner);
        assert!(world.pull().await.expect("a pull").kept_last_owner);
        assert_eq!(world.members().await, [7, 8].into());
    });
}
