//! Deliveries doubled, dropped and out of order, with pulls between them: whatever the order, the end is GitHub's.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use cachegate_directory::{Delivery, Github, PullError, Pulled, Received};
use cachegate_testkit::{GithubStandIn, block_on};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::{Slowly, World, follow, now};

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Joins(u64),
    Leaves(u64),
    Team(u64),
    NoTeam(u64),
    JoinsTeam(u64, u64),
    LeavesTeam(u64, u64),
    /// One of the deliveries on their way arrives, whichever was sent first, and maybe another time later.
    Arrives {
        which: prop::sample::Index,
        again: bool,
    },
    /// One is lost.
    Lost(prop::sample::Index),
    /// A pull begins, unless one is on its way.
    Pull,
    /// The pull on its way is given one more answer.
    Answer,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (person, team) = (1..6_u64, 70..73_u64);
    let index = || any::<prop::sample::Index>();
    let step = prop_oneof![
        3 => person.clone().prop_map(Step::Joins),
        3 => person.clone().prop_map(Step::Leaves),
        1 => team.clone().prop_map(Step::Team),
        1 => team.clone().prop_map(Step::NoTeam),
        3 => (team.clone(), person.clone()).prop_map(|(team, person)| Step::JoinsTeam(team, person)),
        2 => (team, person).prop_map(|(team, person)| Step::LeavesTeam(team, person)),
        6 => (index(), any::<bool>()).prop_map(|(which, again)| Step::Arrives { which, again }),
        1 => index().prop_map(Step::Lost),
        2 => Just(Step::Pull),
        8 => Just(Step::Answer),
    ];
    prop::collection::vec(step, 1..60)
}

/// A delivery on its way.
#[derive(Clone)]
struct Sent {
    id: String,
    event: &'static str,
    body: String,
    /// Whose membership it says has ended.
    ended: Option<u64>,
}

type Pull = Pin<Box<dyn Future<Output = Result<Pulled, PullError>>>>;

struct Run {
    world: World,
    github: Github,
    slowly: Slowly,
    sent: Vec<Sent>,
    count: usize,
    /// Everybody who was ever in it there.
    ever: BTreeSet<u64>,
    /// Of whom a delivery said that they left, at which step; until a pull that began later has asked.
    ended: BTreeMap<u64, usize>,
    /// The pull on its way, and at which step it began.
    pull: Option<(Pull, usize)>,
}

impl Run {
    async fn new() -> Self {
        let world = World::new().await;
        // An owner who is always there: no organization is without one.
        world.there.join(100, "p100");
        let slowly = Slowly::new(&world.there);
        let github = follow(&world.scene, &world.store, Arc::new(slowly.clone()));
        let ever = [100].into();
        Self { world, github, slowly, sent: vec![], count: 0, ever, ended: BTreeMap::new(), pull: None }
    }

    fn send(&mut self, event: &'static str, body: String, ended: Option<u64>) {
        self.count += 1;
        self.sent.push(Sent { id: format!("d{}", self.count), event, body, ended });
    }

    async fn step(&mut self, number: usize, step: &Step) {
        let there = self.world.there.clone();
        match *step {
            Step::Joins(person) => {
                there.join(person, &format!("p{person}"));
                self.ever.insert(person);
                self.send("organization", there.member_payload("member_added", person), None);
            }
            Step::Leaves(person) => {
                there.leave(person);
                self.send("organization", there.member_payload("member_removed", person), Some(person));
            }
            Step::Team(team) => {
                there.team(team, &format!("t{team}"));
                self.send("team", there.team_payload("created", team), None);
            }
            Step::NoTeam(team) => {
                there.drop_team(team);
                self.send("team", there.team_payload("deleted", team), None);
            }
            Step::JoinsTeam(team, person) => {
                there.join_team(team, person);
                self.send("membership", there.team_member_payload("added", team, person), None);
            }
            Step::LeavesTeam(team, person) => {
                there.leave_team(team, person);
                self.send("membership", there.team_member_payload("removed", team, person), None);
            }
            Step::Arrives { which, again } if !self.sent.is_empty() => {
                let at = which.index(self.sent.len());
                let sent = self.sent.remove(at);
                if again {
                    self.sent.push(sent.clone());
                }
                self.arrive(number, &sent).await;
            }
            Step::Lost(which) if !self.sent.is_empty() => {
                drop(self.sent.remove(which.index(self.sent.len())));
            }
            Step::Arrives { .. } | Step::Lost(_) => {}
            Step::Pull if self.pull.is_none() => {
                let (github, organization) = (self.github.clone(), self.world.scene.organization);
                let pull: Pull = Box::pin(async move { github.pull(organization, now()).await });
                self.pull = Some((pull, number));
                self.go_on();
            }
            Step::Pull => {}
            Step::Answer => {
                self.slowly.hand_over();
                self.go_on();
            }
        }
    }

    async fn arrive(&mut self, number: usize, sent: &Sent) {
        let signature = GithubStandIn::signature(GithubStandIn::SECRET, sent.body.as_bytes());
        let delivery = Delivery {
            event: Some(sent.event),
            id: Some(&sent.id),
            signature: Some(&signature),
            body: sent.body.as_bytes(),
        };
        let received = self.github.receive(&delivery, now()).await.expect("taken");
        if let (Some(person), Received::Ended) = (sent.ended, received) {
            self.ended.insert(person, number);
        }
    }

    fn go_on(&mut self) {
        let Some((mut pull, begun)) = self.pull.take() else { return };
        match pull.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => self.pull = Some((pull, begun)),
            Poll::Ready(done) => {
                // What it was told while the organization changed from page to page may be no list at all.
                match done {
                    Ok(_) => self.ended.retain(|_, ended| *ended > begun),
                    Err(error) => {
                        assert!(matches!(error.code(), "pull_garbage" | "pull_status"), "{error:?}");
                    }
                }
            }
        }
    }

    /// What holds at every moment.
    async fn check(&self) {
        let members = self.world.members().await;
        assert!(members.is_subset(&self.ever), "somebody is in who never was: {members:?}");
        let back = members.iter().find(|person| self.ended.contains_key(person));
        assert_eq!(back, None, "GitHub said that they left, and was not asked since: {members:?}");
    }

    /// Nothing happens any more, and GitHub is asked.
    async fn settle(mut self) {
        self.slowly.hand_all_over();
        self.go_on();
        assert!(self.pull.is_none());
        let pulled = self.github.pull(self.world.scene.organization, now()).await.expect("a pull");
        assert_eq!(pulled.overtaken, 0);
        assert_eq!(self.world.members().await, self.world.there.members());
        // Names that two teams have exchanged are right one pull later.
        let mut groups: Vec<_> = self.world.there.teams().into_values().collect();
        groups.sort();
        assert_eq!(self.world.groups().await, groups);
    }
}

#[test]
fn in_whatever_order_deliveries_and_pulls_come_the_end_is_githubs() {
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[6; 32]));
    let done = runner.run(&steps(), |steps| {
        block_on(async {
            let mut run = Run::new().await;
            for (number, step) in steps.iter().enumerate() {
                run.step(number, step).await;
                run.check().await;
            }
            run.settle().await;
        });
        Ok(())
    });
    done.expect("it holds");
}
