//! What a pull does, and what happens while it is on its way.

use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use cachegate_directory::{Pulled, Received};
use cachegate_storage::{Audit as _, Members as _};
use cachegate_testkit::block_on;
use cachegate_types::{Action, Role};

use super::{Slowly, World, follow, now};

#[test]
fn afterwards_members_and_groups_are_githubs() {
    block_on(async {
        let world = World::with(&[1, 2, 3, 4, 5]).await;
        world.there.team(70, "core");
        world.there.team(71, "docs");
        for person in [1, 2, 3] {
            world.there.join_team(70, person);
        }
        world.there.leave(5);
        world.there.join(6, "p6");
        let pulled = world.pull().await.expect("a pull");
        assert_eq!((pulled.added, pulled.removed, pulled.groups, pulled.overtaken), (1, 1, 2, 0));
        assert_eq!(world.members().await, [1, 2, 3, 4, 6].into());
        let groups = [("core".to_owned(), [1, 2, 3].into()), ("docs".to_owned(), [].into())];
        assert_eq!(world.groups().await, groups);
        world.there.leave_team(70, 1);
        world.there.leave(2);
        world.there.team(70, "kernel");
        world.there.drop_team(71);
        world.pull().await.expect("a pull");
        assert_eq!(world.groups().await, [("kernel".to_owned(), [3].into())]);
    });
}

#[test]
fn a_pull_that_finds_nothing_new_changes_nothing_and_leaves_no_record() {
    block_on(async {
        let world = World::with(&[1, 2, 3]).await;
        world.there.team(70, "core");
        world.there.join_team(70, 1);
        world.pull().await.expect("a pull");
        let before = world.store.audit(0, 1000).await.expect("the audit").len();
        world.there.asked();
        assert_eq!(world.pull().await.expect("a pull"), Pulled::default());
        assert_eq!(world.store.audit(0, 1000).await.expect("the audit").len(), before);
        let organization = "/organizations/38302899";
        let asked = [
            format!("{organization}/teams?per_page=100&page=1"),
            format!("{organization}/members?per_page=100&page=1"),
            format!("{organization}/members?per_page=100&page=2"),
            format!("{organization}/team/70/members?per_page=100&page=1"),
        ];
        assert_eq!(world.there.asked(), asked, "by ids, and once");
    });
}

#[test]
fn whoever_comes_back_is_in_and_their_old_tokens_stay_dead() {
    block_on(async {
        let world = World::with(&[7, 8]).await;
        let old = world.token(7).await;
        let before = world.user(7).await;
        world.left(7, "d1").await.expect("received");
        world.there.join(7, "p7");
        world.pull().await.expect("a pull");
        assert_eq!(world.members().await, [7, 8].into());
        assert_eq!(world.user(7).await, before, "the same person");
        assert_ne!(world.scene.code(&old, Action::Read).await, "allowed");
    });
}

#[test]
fn whoever_has_signed_in_before_is_the_same_person() {
    block_on(async {
        let world = World::with(&[8]).await;
        let user = world.invite(7, Role::Member).await;
        world.there.join(7, "p7");
        assert_eq!(world.pull().await.expect("a pull").added, 0, "a member already");
        assert_eq!(world.user(7).await, user);
        world.there.leave(7);
        world.pull().await.expect("a pull");
        assert_eq!(world.members().await, [8].into(), "from then on GitHub decides");
    });
}

#[test]
fn a_renamed_account_stays_the_same_person_and_whoever_takes_the_old_name_is_somebody_else() {
    block_on(async {
        let world = World::new().await;
        world.there.join(7, "ada");
        world.pull().await.expect("a pull");
        let (ada, token) = (world.user(7).await, world.token(7).await);
        world.there.join(7, "lovelace");
        world.there.join(8, "ada");
        world.pull().await.expect("a pull");
        assert_eq!(world.user(7).await, ada);
        assert_eq!(world.scene.code(&token, Action::Read).await, "allowed");
        assert_ne!(world.user(8).await, ada);
    });
}

#[test]
fn a_role_that_was_given_here_stays() {
    block_on(async {
        let world = World::with(&[7]).await;
        world.invite(7, Role::Admin).await;
        world.pull().await.expect("a pull");
        let place = world.store.memberships(world.user(7).await).await.expect("places");
        assert_eq!(place.first().expect("a place").member.role, Role::Admin);
    });
}

#[test]
fn whom_an_administrator_invited_and_github_never_listed_stays() {
    block_on(async {
        let world = World::with(&[7]).await;
        world.invite(5, Role::Member).await;
        world.pull().await.expect("a pull");
        assert_eq!(world.members().await, [5, 7].into());
        let body = world.there.member_payload("member_removed", 5);
        assert_eq!(world.deliver("d1", "organization", &body).await.expect("taken"), Received::Ended);
        assert_eq!(world.members().await, [7].into(), "unless GitHub says by name that they left");
    });
}

#[test]
fn a_team_whose_name_is_taken_or_no_name_here_gets_one_by_its_id() {
    block_on(async {
        let world = World::with(&[7]).await;
        let (operator, organization) = (cachegate::Authority::Operator, world.scene.organization);
        let core = "core".parse().expect("a name");
        world
            .scene
            .gate
            .create_group(&operator, organization, core, vec![], None, now())
            .await
            .expect("a group");
        world.there.team(70, "core");
        world.there.team(71, &"long".repeat(30));
        world.pull().await.expect("a pull");
        let names: Vec<_> = world.groups().await.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["core", "github-team-70", "github-team-71"]);
        assert_eq!(world.pull().await.expect("a pull"), Pulled::default());
    });
}

#[test]
fn a_pull_that_asked_before_somebody_left_does_not_bring_them_back() {
    block_on(async {
        let world = World::with(&[7, 8]).await;
        world.there.join(9, "p9");
        world.there.team(70, "core");
        world.there.join_team(70, 8);
        let slowly = Slowly::new(&world.there);
        let github = follow(&world.scene, &world.store, Arc::new(slowly.clone()));
        let mut pull = pin!(github.pull(world.scene.organization, now()));
        // Every answer was given, the last one was not handed over yet: all are in it.
        for _ in 0..4 {
            assert!(pull.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            slowly.hand_over();
        }
        let others: Vec<_> = [(7, "d7"), (9, "d9")].into();
        for (person, delivery) in others {
            world.there.leave(person);
            let body = world.there.member_payload("member_removed", person);
            let signature = cachegate_testkit::GithubStandIn::signature(
                cachegate_testkit::GithubStandIn::SECRET,
                body.as_bytes(),
            );
            let delivery = cachegate_directory::Delivery {
                event: Some("organization"),
                id: Some(delivery),
                signature: Some(&signature),
                body: body.as_bytes(),
            };
            assert_eq!(github.receive(&delivery, now()).await.expect("taken"), Received::Ended);
        }
        slowly.hand_all_over();
        let Poll::Ready(pulled) = pull.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("it waits for nothing more")
        };
        let pulled = pulled.expect("a pull");
        assert_eq!((pulled.added, pulled.overtaken), (0, 2));
        assert_eq!(world.members().await, [8].into());
    });
}

#[test]
fn one_pull_at_a_time() {
    block_on(async {
        let world = World::with(&[7]).await;
        let slowly = Slowly::new(&world.there);
        let github = follow(&world.scene, &world.store, Arc::new(slowly.clone()));
        let mut first = pin!(github.pull(world.scene.organization, now()));
        assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let second = github.pull(world.scene.organization, now()).await;
        assert_eq!(second.expect_err("refused").code(), "pull_busy");
        slowly.hand_all_over();
        first.await.expect("a pull");
    });
}

#[test]
fn whoever_slips_from_page_to_page_while_others_leave_is_not_taken_off() {
    block_on(async {
        let world = World::with(&[1, 2, 3, 4, 5, 6]).await;
        let token = world.token(3).await;
        // Between the first page and the second somebody of the first leaves: the third slips onto it unseen.
        let mut left = false;
        world.there.before(move |there, path| {
            if path.ends_with("/members?per_page=100&page=2") && !left {
                left = true;
                there.leave(1);
            }
            None
        });
        assert_eq!(
            world.pull().await.expect("a pull"),
            Pulled::default(),
            "the first was seen, and so was the third"
        );
        assert_eq!(world.members().await, [1, 2, 3, 4, 5, 6].into());
        let pulled = world.pull().await.expect("a pull");
        assert_eq!((pulled.removed, pulled.added), (1, 0));
        assert_eq!(world.members().await, [2, 3, 4, 5, 6].into());
        assert_eq!(world.scene.code(&token, Action::Read).await, "allowed");
    });
}

#[test]
fn what_a_webhook_missed_a_pull_finds() {
    block_on(async {
        let world = World::with(&[7, 8]).await;
        let token = world.token(7).await;
        world.there.leave(7);
        world.pull().await.expect("a pull");
        assert_eq!(world.scene.code(&token, Action::Read).await, "not_a_member");
    });
}

#[test]
fn a_pull_that_the_store_cuts_off_is_finished_by_the_next() {
    block_on(async {
        for calls in 0..60 {
            let world = World::with(&[1, 2, 3]).await;
            let github = super::follow_faulty(&world);
            world.there.leave(1);
            world.there.join(4, "p4");
            world.there.team(70, "core");
            world.there.join_team(70, 2);
            world.scene.faults.cut_after(calls);
            let cut = github.pull(world.scene.organization, now()).await;
            world.scene.faults.mend();
            if let Err(error) = cut {
                assert_eq!(error.code(), "pull_unavailable", "{calls}");
            }
            github.pull(world.scene.organization, now()).await.expect("a pull");
            assert_eq!(world.members().await, [2, 3, 4].into(), "{calls}");
            assert_eq!(world.groups().await, [("core".to_owned(), [2].into())], "{calls}");
        }
    });
}
