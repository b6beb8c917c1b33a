//! GitHub as a directory.

mod app;
mod deliveries;
mod faults;
mod mutations;
mod octokit;
mod orders;
mod pulls;

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use cachegate_directory::{
    Delivery, DeliveryError, Github, GithubBuilder, GithubOrganization, GithubToken, PullError, Pulled,
    Received, Stores,
};
use cachegate_fetch::{Fetch, FetchError, Request, Response};
use cachegate_storage::{Accounts as _, Members as _, MemoryStorage};
use cachegate_testkit::{GithubStandIn, NOW, Scene};
use cachegate_types::{ActionSet, Description, Epoch, OrganizationId, Role, SecretText, Timestamp, UserId};

/// The organization at GitHub.
const THERE: u64 = 38_302_899;

/// A scene whose organization follows a stand-in.
pub(crate) struct World {
    pub(crate) scene: Scene,
    pub(crate) store: Arc<MemoryStorage>,
    pub(crate) there: GithubStandIn,
    pub(crate) github: Github,
}

impl World {
    /// Nobody is there yet; lists come in pages of two.
    pub(crate) async fn new() -> Self {
        let store = Arc::new(MemoryStorage::new(Epoch(1)));
        let scene = Scene::over(store.clone(), cachegate::Degraded::Refuse).await;
        let there = GithubStandIn::new(THERE, 2);
        let github = follow(&scene, &store, Arc::new(there.clone()));
        Self { scene, store, there, github }
    }

    /// These people are there, and here.
    pub(crate) async fn with(people: &[u64]) -> Self {
        let world = Self::new().await;
        for person in people {
            world.there.join(*person, &format!("p{person}"));
        }
        world.pull().await.expect("a pull");
        world
    }

    pub(crate) async fn pull(&self) -> Result<Pulled, PullError> {
        self.github.pull(self.scene.organization, now()).await
    }

    /// Receives a delivery, signed as it should be.
    pub(crate) async fn deliver(&self, id: &str, event: &str, body: &str) -> Result<Received, DeliveryError> {
        let signature = GithubStandIn::signature(GithubStandIn::SECRET, body.as_bytes());
        let delivery =
            Delivery { event: Some(event), id: Some(id), signature: Some(&signature), body: body.as_bytes() };
        self.github.receive(&delivery, now()).await
    }

    /// The person has left there, and the webhook says so.
    pub(crate) async fn left(&self, person: u64, delivery: &str) -> Result<Received, DeliveryError> {
        self.there.leave(person);
        self.deliver(delivery, "organization", &self.there.member_payload("member_removed", person)).await
    }

    /// The members here, by their ids there.
    pub(crate) async fn members(&self) -> BTreeSet<u64> {
        self.members_of(self.scene.organization).await
    }

    async fn members_of(&self, organization: OrganizationId) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        for place in self.store.members(organization, None, 1000).await.expect("members") {
            let accounts = self.store.accounts_of(place.member.user).await.expect("accounts");
            found.extend(accounts.iter().map(|account| account.subject.parse::<u64>().expect("an id")));
        }
        found
    }

    /// Who this is here.
    pub(crate) async fn user(&self, person: u64) -> UserId {
        self.known(person).await.expect("known")
    }

    pub(crate) async fn known(&self, person: u64) -> Option<UserId> {
        let account = self.store.account("https://github.com", &person.to_string()).await.expect("accounts");
        account.map(|account| account.user)
    }

    /// A personal token of this person.
    pub(crate) async fn token(&self, person: u64) -> SecretText {
        let owner = self.user(person).await;
        self.scene.personal(owner, ActionSet::ALL, cachegate::PersonalForm::Opaque).await.token
    }

    /// The groups here: their names, and who is in them, by their ids there.
    pub(crate) async fn groups(&self) -> Vec<(String, BTreeSet<u64>)> {
        let mut groups = Vec::new();
        for group in self.store.groups(self.scene.organization).await.expect("groups") {
            let mut members = BTreeSet::new();
            for user in group.members {
                let accounts = self.store.accounts_of(user).await.expect("accounts");
                members.extend(accounts.iter().map(|account| account.subject.parse::<u64>().expect("an id")));
            }
            groups.push((group.name.to_string(), members));
        }
        groups.sort();
        groups
    }

    /// Somebody whom an administrator made a member here, by an account at GitHub.
    pub(crate) async fn invite(&self, person: u64, role: Role) -> UserId {
        let stores = stores(&self.store);
        let people = cachegate_directory::People::new(&stores, "https://github.com");
        let act = cachegate::Source::By(cachegate::Authority::Operator).act(now());
        let user = people.person(&person.to_string(), &Description::default(), &act, now()).await;
        let user = user.expect("a person");
        let operator = cachegate::Authority::Operator;
        let made = self.scene.gate.set_member(&operator, self.scene.organization, user, role, now()).await;
        made.expect("a member");
        user
    }
}

pub(crate) fn now() -> Timestamp {
    NOW.into()
}

pub(crate) fn stores(store: &Arc<MemoryStorage>) -> Stores {
    Stores { storage: store.clone(), accounts: store.clone(), directories: store.clone() }
}

/// The scene's organization follows the one at GitHub.
pub(crate) fn follow(scene: &Scene, store: &Arc<MemoryStorage>, fetch: Arc<dyn Fetch>) -> Github {
    builder(scene, store, fetch)
        .organization(organization(scene.organization, THERE))
        .build()
        .expect("GitHub")
}

pub(crate) fn builder(scene: &Scene, store: &Arc<MemoryStorage>, fetch: Arc<dyn Fetch>) -> GithubBuilder {
    GithubBuilder::new("github".parse().expect("a name"), scene.gate.clone(), stores(store), fetch)
}

pub(crate) fn organization(here: OrganizationId, there: u64) -> GithubOrganization {
    GithubOrganization {
        organization: here,
        github: there,
        secrets: vec![SecretText::new(GithubStandIn::SECRET.to_owned())],
        token: GithubToken::Plain(SecretText::new(GithubStandIn::TOKEN.to_owned())),
    }
}

/// The same, over the scene's storage, which fails on demand.
pub(crate) fn follow_faulty(world: &World) -> Github {
    let stores = Stores { storage: world.scene.storage.clone(), ..stores(&world.store) };
    let name = "github".parse().expect("a name");
    GithubBuilder::new(name, world.scene.gate.clone(), stores, Arc::new(world.there.clone()))
        .organization(organization(world.scene.organization, THERE))
        .build()
        .expect("GitHub")
}

/// Asks the stand-in, and hands each answer over only when it is told to: what happens meanwhile is not in it.
#[derive(Clone, Debug)]
pub(crate) struct Slowly {
    there: GithubStandIn,
    handed_over: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

impl Slowly {
    pub(crate) fn new(there: &GithubStandIn) -> Self {
        Self { there: there.clone(), handed_over: Arc::default(), asked: Arc::default() }
    }

    /// One more answer is handed over.
    pub(crate) fn hand_over(&self) {
        self.handed_over.fetch_add(1, Ordering::SeqCst);
    }

    /// Every answer is.
    pub(crate) fn hand_all_over(&self) {
        self.handed_over.store(usize::MAX / 2, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Fetch for Slowly {
    async fn fetch(&self, request: &Request) -> Result<Response, FetchError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.there.fetch(request).await;
        // Whoever hands over asks again by themselves.
        poll_fn(|_| {
            if self.handed_over.load(Ordering::SeqCst) > number { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        answer
    }
}
