//! What a departure does, and what it leaves.

use cachegate::{AuditFilter, AuditFrom, Authority, DeviceAccess, ManageError, Source, TokenSpec};
use cachegate_directory::{Directory as _, DirectoryError, People, Roster, Stores};
use cachegate_storage::{Accounts as _, Audit as _, Members as _};
use cachegate_testkit::block_on;
use cachegate_types::{AccessLevel, Action, ActionSet, Description, Lane, Principal, Role};
use serde_json::{Value, json};

use super::{ISSUER, World, by_hand, id_of, now, wrong};

#[test]
fn removed_while_a_build_runs_the_very_next_request_is_refused_and_other_organizations_stay() {
    block_on(async {
        let world = World::new().await;
        let id = world.user("ada", "a").await;
        let (token, person) = (world.token("a").await, world.person("a").await);
        let (elsewhere, workspace) = world.scene.elsewhere("other").await;
        let gate = &world.scene.gate;
        gate.set_member(&Authority::Operator, elsewhere, person, Role::Member, now())
            .await
            .expect("a member");
        assert_eq!(world.scene.code(&token, Action::Read).await, "allowed");
        world.activate(&id, false).await;
        assert_eq!(world.scene.code(&token, Action::Read).await, "not_a_member");
        let there = world.scene.code_in(workspace, &token, Action::Read, now()).await;
        assert_eq!(there, "allowed", "their other organizations stay");
        world.activate(&id, true).await;
        assert_eq!(world.scene.code(&token, Action::Read).await, "not_a_member", "dead is dead");
        let there = world.scene.code_in(workspace, &token, Action::Read, now()).await;
        assert_eq!(there, "allowed");
    });
}

#[test]
fn deleting_is_a_departure_and_whoever_comes_back_is_the_same_person_with_old_tokens_dead() {
    block_on(async {
        let world = World::new().await;
        let id = world.user("ada", "a").await;
        let (token, person) = (world.token("a").await, world.person("a").await);
        let gone = world.send("DELETE", &format!("/Users/{id}"), &Value::Null).await;
        assert_eq!((gone.status, gone.departures.len()), (204, 1));
        assert_eq!(gone.departures[0].dying.len(), 1);
        assert_eq!(world.scene.code(&token, Action::Read).await, "not_a_member");
        let again = world.user("ada.new@acme.example", "a").await;
        assert_ne!(again, id);
        assert_eq!(world.person("a").await, person, "a rename and a new resource change nobody");
        assert!(world.members().await.contains(&person));
        assert_eq!(world.scene.code(&token, Action::Read).await, "not_a_member");
    });
}

#[test]
fn what_dies_and_what_stays_is_told_before_and_after() {
    block_on(async {
        let world = World::new().await;
        let id = world.user("ada", "a").await;
        let person = world.person("a").await;
        let gate = &world.scene.gate;
        gate.set_member(&Authority::Operator, world.scene.organization, person, Role::Admin, now())
            .await
            .expect("an admin");
        let own = world.scene.personal(person, ActionSet::ALL, Default::default()).await;
        let who = world.scene.authenticate(&own.token).await;
        let spec = TokenSpec::Ci {
            workspace: world.scene.workspace,
            level: AccessLevel::ReadWrite,
            lane: Lane::main(),
        };
        let made = gate.issue(&Authority::Of(&who), &spec, Description::default(), None, now()).await;
        let made = made.expect("a CI token");
        let name = "okta".parse().expect("a name");
        let source = Source::Directory { name: &name, credential: None };
        let roster = Roster::new(gate, world.scene.organization, source);
        let before = roster.departure(person, now()).await.expect("a preview");
        assert!(world.members().await.contains(&person), "looking changes nothing");
        let left = world.activate(&id, false).await;
        for told in [&before, &left.departures[0]] {
            assert_eq!(told.role, Some(Role::Admin));
            assert_eq!(told.dying.iter().map(|token| token.id).collect::<Vec<_>>(), [own.record.id]);
            assert_eq!(told.staying.iter().map(|token| token.id).collect::<Vec<_>>(), [made.record.id]);
            assert_eq!(told.staying[0].owner, Principal::Ci(world.scene.workspace), "who owns it now");
            assert!(!told.more);
        }
        assert_eq!(
            world.scene.code(&made.token, Action::Write).await,
            "allowed",
            "the workspace's token stays"
        );
        let after = roster.departure(person, now()).await.expect("a look");
        assert!(after.role.is_none() && after.dying.is_empty(), "nothing is left to die");
        assert_eq!(after.staying.len(), 1, "what stays can still be looked at");
    });
}

#[test]
fn the_last_owner_is_not_removed_by_what_a_directory_says_and_another_owner_is() {
    block_on(async {
        let world = World::new().await;
        let id = world.user("ada", "a").await;
        let person = world.person("a").await;
        let (gate, organization) = (&world.scene.gate, world.scene.organization);
        gate.set_member(&Authority::Operator, organization, person, Role::Owner, now())
            .await
            .expect("an owner");
        let before = world.members().await;
        let first = world.scene.owner;
        gate.remove_member(&Authority::Operator, organization, first, now()).await.expect("gone");
        let refused = world.activate(&id, false).await;
        assert_eq!((refused.status, refused.departures.len()), (403, 0));
        assert!(refused.body.expect("a body")["detail"].as_str().expect("a text").contains("last owner"));
        assert_eq!(world.get(&format!("/Users/{id}")).await["active"], true, "what is shown is what is");
        let deleted = world.send("DELETE", &format!("/Users/{id}"), &Value::Null).await;
        assert_eq!(deleted.status, 403);
        gate.set_member(&Authority::Operator, organization, first, Role::Owner, now())
            .await
            .expect("an owner");
        assert_eq!(world.members().await, before);
        assert_eq!(world.activate(&id, false).await.status, 200, "an owner leaves as others do");
        assert!(!world.members().await.contains(&person));
        world.activate(&id, true).await;
        let places = world.store.memberships(person).await.expect("places");
        let place = places.iter().find(|place| place.member.organization == organization).expect("a place");
        assert_eq!(place.member.role, Role::Member, "and comes back as a member");
    });
}

#[test]
fn whom_the_directory_never_told_of_it_never_removes() {
    block_on(async {
        let world = World::new().await;
        let (hand, token) = by_hand(&world.scene, Role::Member).await;
        let id = world.user("ada", "a").await;
        world.send("DELETE", &format!("/Users/{id}"), &Value::Null).await;
        assert_eq!(world.get("/Users").await["totalResults"], 0, "nor does it see them");
        assert!(world.members().await.contains(&hand));
        assert_eq!(world.scene.code(&token, Action::Read).await, "allowed");
        let guess = world.send("DELETE", &format!("/Users/{hand}"), &Value::Null).await;
        assert_eq!(guess.status, 404);
    });
}

#[test]
fn provisioned_first_and_signed_in_later_is_one_person_and_so_the_other_way_around() {
    block_on(async {
        let world = World::new().await;
        let stores = Stores {
            storage: world.store.clone(),
            accounts: world.store.clone(),
            directories: world.store.clone(),
        };
        let people = People::new(&stores, ISSUER);
        let act = Source::By(Authority::Operator).act(now());
        // A login finds people as this does: by issuer and subject.
        let signed_in = people.person("b", &Description::default(), &act, now()).await.expect("a person");
        world.user("ada", "a").await;
        world.user("bob", "b").await;
        assert_eq!(world.person("b").await, signed_in);
        assert!(world.members().await.contains(&signed_in));
        let found = people.find("a").await.expect("a store").expect("somebody");
        assert!(world.members().await.contains(&found));
        assert_eq!(world.store.accounts_of(found).await.expect("accounts").len(), 1);
    });
}

#[test]
fn nobody_is_taken_for_another_by_mail_address_or_user_name() {
    block_on(async {
        let world = World::new().await;
        let mail = json!([{"value": "ada@acme.example", "type": "work", "primary": true}]);
        let body =
            |external: &str, name: &str| json!({"userName": name, "externalId": external, "emails": mail});
        world.send("POST", "/Users", &body("a", "ada")).await;
        let token = world.token("a").await;
        world.send("POST", "/Users", &body("b", "ada2")).await;
        assert_ne!(world.person("a").await, world.person("b").await);
        // The name is given to somebody else: another immutable id is another person, and the former one has left.
        let id = world.get("/Users?filter=externalId+eq+%22a%22").await["Resources"][0]["id"].clone();
        let path = format!("/Users/{}", id.as_str().expect("an id"));
        let taken = world.send("PUT", &path, &body("c", "ada")).await;
        assert_eq!((taken.status, taken.departures.len()), (200, 1));
        assert_ne!(world.person("c").await, world.person("a").await);
        assert_eq!(world.scene.code(&token, Action::Read).await, "not_a_member");
        assert!(world.members().await.contains(&world.person("c").await));
    });
}

#[test]
fn one_id_or_name_is_one_users() {
    block_on(async {
        let world = World::new().await;
        world.user("ada", "a").await;
        for body in
            [json!({"userName": "ADA", "externalId": "z"}), json!({"userName": "z", "externalId": "a"})]
        {
            assert_eq!(wrong(&world.send("POST", "/Users", &body).await), "uniqueness");
        }
        assert!(world.store.account(ISSUER, "z").await.expect("a store").is_none(), "and nobody was made");
        assert_eq!(world.get("/Users").await["totalResults"], 1);
    });
}

#[test]
fn the_audit_says_which_token_a_directory_came_with() {
    block_on(async {
        let world = World::new().await;
        let id = world.user("ada", "a").await;
        world.activate(&id, false).await;
        let records = world.store.audit(0, 1000).await.expect("the audit");
        let removed =
            records.iter().find(|record| &*record.entry.code == "member_removed").expect("a record");
        assert_eq!(removed.entry.act.token, world.who.token_id());
        assert_eq!(removed.entry.act.by, Principal::Device(world.scene.organization));
        // The organization's administrators read what its directory told, too.
        let told = AuditFilter { code: Some("directory_set".to_owned()), ..AuditFilter::default() };
        let organization = Some(world.scene.organization);
        let page = world
            .scene
            .gate
            .audit(&Authority::Operator, organization, &told, AuditFrom::OLDEST, 100, now())
            .await;
        assert!(!page.expect("a page").items.is_empty());
    });
}

#[test]
fn a_store_that_fails_locks_nobody_out_who_was_in_and_lets_nobody_in_who_was_out() {
    block_on(async {
        let world = World::new().await;
        let id = world.user("ada", "a").await;
        let away = world.user("bob", "b").await;
        world.activate(&away, false).await;
        let before = world.members().await;
        world.scene.faults.cut();
        for (id, active) in [(&id, false), (&away, true)] {
            assert_eq!(world.activate(id, active).await.status, 503);
        }
        world.scene.faults.mend();
        assert_eq!(world.members().await, before);
        assert_eq!(world.activate(&id, false).await.status, 200, "said again, it is done");
    });
}

#[test]
fn a_directory_without_credential_makes_no_owner() {
    block_on(async {
        let world = World::new().await;
        let (hand, _) = by_hand(&world.scene, Role::Member).await;
        let name = "staff".parse().expect("a name");
        let source = Source::Directory { name: &name, credential: None };
        let roster = Roster::new(&world.scene.gate, world.scene.organization, source);
        let made = roster.join(hand, Role::Owner, now()).await;
        assert!(matches!(made, Err(DirectoryError::Gate(ManageError::Denied { .. }))), "{made:?}");
        assert!(
            !roster.join(hand, Role::Admin, now()).await.expect("joined"),
            "whoever is in keeps their role"
        );
        let places = world.store.memberships(hand).await.expect("places");
        assert_eq!(places[0].member.role, Role::Member);
    });
}

#[test]
fn a_token_of_a_device_that_looks_names_no_members() {
    block_on(async {
        let world = World::new().await;
        let token = world.scene.device(DeviceAccess::Normal).await.token;
        let who = world.scene.authenticate(&token).await;
        let answer = world.send_as(&who, "POST", "/Users", &json!({"userName": "eve"})).await;
        assert_eq!(answer.status, 403);
        assert_eq!(id_of(&world.send("POST", "/Users", &json!({"userName": "eve"})).await).len(), 36);
    });
}
