//! Whose an account is: by issuer and immutable id, and by nothing else.

use cachegate_storage::Accounts;
use cachegate_testkit::block_on;
use serde_json::json;

use crate::oidc::ada;
use crate::support::{CORP, World};

#[test]
fn account_takeover_by_mail_address() {
    block_on(async {
        let world = World::new().await;
        let victim = world.sign_in(&ada()).await.expect("signed in");
        // Another provider vouches for the same address, "verified" and all.
        let mut claims = ada();
        claims["email_verified"] = json!(true);
        let other = world.sign_in_at("other", &claims).await.expect("signed in");
        assert_ne!(
            other.user, victim.user,
            "the same subject and address at another issuer is somebody else"
        );
        // So is another account with it at the same provider.
        claims["sub"] = json!("00u2mallory");
        let same = world.sign_in(&claims).await.expect("signed in");
        assert_ne!(same.user, victim.user);
        assert!(same.is_new && other.is_new);
    });
}

#[test]
fn account_takeover_by_a_renamed_account() {
    block_on(async {
        let world = World::new().await;
        let victim = world.sign_in(&ada()).await.expect("signed in");
        // The victim gives the name up, the attacker takes it.
        let renamed =
            json!({ "sub": "00u1ada", "preferred_username": "countess@corp.example", "name": "Countess" });
        assert_eq!(world.sign_in(&renamed).await.expect("signed in").user, victim.user);
        let mut squatter = ada();
        squatter["sub"] = json!("00u9mallory");
        assert_ne!(world.sign_in(&squatter).await.expect("signed in").user, victim.user);
    });
}

#[test]
fn subjects_are_compared_byte_for_byte() {
    block_on(async {
        let world = World::new().await;
        let mut users = std::collections::BTreeSet::new();
        let subjects = ["00u1ada", "00U1ADA", "00u1ada ", " 00u1ada", "00u1\u{e0}da", "00u1a\u{300}da"];
        for subject in subjects {
            let mut claims = ada();
            claims["sub"] = json!(subject);
            users.insert(world.sign_in(&claims).await.expect("signed in").user);
        }
        assert_eq!(users.len(), subjects.len());
    });
}

#[test]
fn a_first_login_that_was_cut_off_is_finished_by_the_next() {
    block_on(async {
        // Storage calls of the first login, each of which may be the last that is answered.
        let (mut cut, mut finished) = (0, false);
        while !finished {
            let world = World::new().await;
            let begun = world.begin("corp").await;
            let query = world.corp.authorize(&begun.location, &ada());
            world.scene.faults.cut_after(cut);
            finished = world.finish("corp", &crate::support::cookie(&begun), &query).await.is_ok();
            world.scene.faults.mend();
            let linked = world.store.account(CORP, "00u1ada").await.expect("read");
            let again = world.sign_in(&ada()).await.expect("signed in");
            if let Some(linked) = linked {
                assert_eq!(linked.user, again.user, "after {cut} calls");
            }
            let places = world.scene.storage.memberships(again.user).await.expect("read");
            assert_eq!(places.len(), 1, "after {cut} calls");
            assert_eq!(world.store.accounts_of(again.user).await.expect("read").len(), 1);
            cut += 1;
        }
        assert!(cut > 8, "only {cut} calls were cut");
    });
}
