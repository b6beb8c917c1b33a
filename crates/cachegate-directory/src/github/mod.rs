//! GitHub as a directory: webhooks that end things at once, and pulls that decide.
//!
//! GitHub sends a delivery once, late, twice, out of order or never, and signs neither its id nor a time. So a delivery
//! is never the truth, only news:
//!
//! - **What ended ends at once**, before the delivery is answered. At worst it was old news, the person had come back
//!   meanwhile, and is locked out until the pull that follows; their tokens stay dead, as those of everyone who left. To
//!   wait and ask first would leave somebody in whom GitHub has let go, for as long as GitHub does not answer.
//! - **What began is only a hint** that GitHub should be asked. A delivery lets nobody in: not an old one, not one that
//!   overtook the removal sent after it, not one whose payload says `pending`.
//! - **A delivery counts once** by its id, where it ended something: the same one played again does not lock out
//!   somebody who came back. It is noted as begun before it is acted on and as done afterwards, so that one that was cut
//!   off is finished when it is sent again. The body says nothing of this: two removals of one person are the same bytes.
//! - **A pull decides**: it reads every page of every list, or it changes nothing. Whoever it lists is in, and whoever it
//!   does not and an earlier pull brought is out. Whoever somebody else put in, and GitHub never listed, stays.
//! - **A pull that asked before something ended does not undo it.** Endings are counted in the store, and noted before
//!   they are acted on. A pull reads the count before its first question, and leaves out whom an ending since then
//!   concerns; the next pull, which asked later, decides. Looking and acting are one step here; between nodes a pull looks
//!   once more after it has acted.
//! - **Somebody slips from page to page while others leave**, and one reading of a list misses them. Where a pull would
//!   take something away it reads everything a second time, and takes away what is missing from both.
//! - **A list may be quietly cut down**: a token that may not read members gets those who show themselves to everybody,
//!   with a status that says that all is well. The teams are read first, which nobody gets without that right.
//!
//! People, teams and organizations are known by their numeric ids, in payloads, in the store and in the addresses that
//! are asked; names are shown, and decide nothing.
//!
//! Not covered: GitHub's API itself answering with what was true a moment ago. The pull after a hint waits some seconds
//! for that, and the next one mends it.

mod api;
mod app;
mod endings;
mod error;
mod pull;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cachegate::{Departure, Gate, ManageError, Source};
use cachegate_fetch::{Fetch, Url};
use cachegate_storage::{
    DirectoryId, DirectoryKey, DirectoryKind, DirectoryRecord, DirectoryTarget, StoreError,
};
use cachegate_types::{GroupId, Name, OrganizationId, SecretText, Timestamp, UserId};
use futures_util::future::{Either, select};
use futures_util::lock::Mutex;

use crate::{Directory as _, DirectoryError, People, Roster, Stores};
use api::Api;
pub use app::{GithubApp, GithubToken};
use endings::Endings;
pub use error::{DeliveryError, GithubConfigError, PullError};
pub use pull::Pulled;
pub use webhook::Delivery;
use webhook::{Change, Ended, Notice, Secrets};

/// One organization here, and the one at GitHub that says who is in it.
#[derive(Clone)]
pub struct GithubOrganization {
    /// The organization here.
    pub organization: OrganizationId,
    /// The numeric id of the organization at GitHub.
    pub github: u64,
    /// What its webhook signs with: one secret, or two while one takes the place of the other.
    pub secrets: Vec<SecretText>,
    /// What GitHub's API is asked with.
    pub token: GithubToken,
}

impl fmt::Debug for GithubOrganization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubOrganization")
            .field("organization", &self.organization)
            .field("github", &self.github)
            .finish_non_exhaustive()
    }
}

/// Composes a [`Github`].
#[must_use]
pub struct GithubBuilder {
    name: Name,
    gate: Gate,
    stores: Stores,
    fetch: Arc<dyn Fetch>,
    web: String,
    api: String,
    organizations: Vec<GithubOrganization>,
    departed: Departed,
}

/// Is told of everyone who left.
type Departed = Box<dyn Fn(&Departure) + Send + Sync>;

impl GithubBuilder {
    /// GitHub as the directory of organizations of this gate, known here by this name. `fetch` asks GitHub.
    pub fn new(name: Name, gate: Gate, stores: Stores, fetch: Arc<dyn Fetch>) -> Self {
        Self {
            name,
            gate,
            stores,
            fetch,
            web: "https://github.com".to_owned(),
            api: "https://api.github.com".to_owned(),
            organizations: Vec::new(),
            departed: Box::new(|_| ()),
        }
    }

    /// Tells `departed` of everyone who left, and of what that did.
    pub fn departed(mut self, departed: impl Fn(&Departure) + Send + Sync + 'static) -> Self {
        self.departed = Box::new(departed);
        self
    }

    /// A server of one's own: its web pages (`https://github.example`) and its API (`https://github.example/api/v3`).
    pub fn server(mut self, web: &str, api: &str) -> Self {
        self.web = web.trim_end_matches('/').to_owned();
        self.api = api.trim_end_matches('/').to_owned();
        self
    }

    /// Another organization.
    pub fn organization(mut self, organization: GithubOrganization) -> Self {
        self.organizations.push(organization);
        self
    }

    /// # Errors
    ///
    /// [`GithubConfigError`].
    pub fn build(self) -> Result<Github, GithubConfigError> {
        let _: Url = Url::dangerous_parse_with_loopback_http(&self.api)?;
        let base: Arc<str> = self.api.into();
        let (mut here, mut there) = (BTreeSet::new(), BTreeSet::new());
        let mut places = Vec::with_capacity(self.organizations.len());
        for GithubOrganization { organization, github, secrets, token } in self.organizations {
            if github == 0 {
                return Err(GithubConfigError::Id);
            }
            if !here.insert(organization) || !there.insert(github) {
                return Err(GithubConfigError::Twice);
            }
            places.push(Place {
                organization,
                github,
                secrets: Secrets::new(&secrets)?,
                api: Api { fetch: Arc::clone(&self.fetch), base: Arc::clone(&base), token },
                key: format!("{} {github} {organization}", self.web).into_bytes(),
                directory: DirectoryId { organization, name: self.name.clone() },
                acting: Mutex::new(()),
                pulling: Mutex::new(()),
            });
        }
        // One hint is enough to look at everything that was hinted at.
        let (hint, hints) = async_channel::bounded(1);
        let inner = Inner {
            gate: self.gate,
            stores: self.stores,
            issuer: self.web.into(),
            places,
            departed: self.departed,
            hint,
            hints,
        };
        Ok(Github { inner: Arc::new(inner) })
    }
}

impl fmt::Debug for GithubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubBuilder").field("organizations", &self.organizations).finish_non_exhaustive()
    }
}

/// GitHub as the directory of organizations here.
#[derive(Clone)]
pub struct Github {
    inner: Arc<Inner>,
}

struct Inner {
    gate: Gate,
    stores: Stores,
    /// As those who sign in by this GitHub are known.
    issuer: Arc<str>,
    places: Vec<Place>,
    departed: Departed,
    hint: async_channel::Sender<()>,
    hints: async_channel::Receiver<()>,
}

/// One organization.
struct Place {
    organization: OrganizationId,
    github: u64,
    secrets: Secrets,
    api: Api,
    /// Of its endings.
    key: Vec<u8>,
    directory: DirectoryId,
    /// Held while something is looked at and then changed, so that nothing comes between.
    acting: Mutex<()>,
    /// Held by a pull.
    pulling: Mutex<()>,
}

/// What a delivery did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Received {
    /// GitHub tried whether the webhook is there.
    Pong,
    /// Nothing that concerns who is in an organization.
    Ignored,
    /// This very delivery was acted on before.
    Repeated,
    /// Somebody or something ended, from the next request on. GitHub will be asked.
    Ended,
    /// The organization's last owner has left at GitHub. They stay: somebody has to be able to name another.
    LastOwner,
    /// Something may have begun: GitHub will be asked.
    Asks,
}

impl Received {
    /// A stable name in snake case.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Pong => "pong",
            Self::Ignored => "ignored",
            Self::Repeated => "repeated",
            Self::Ended => "ended",
            Self::LastOwner => "last_owner",
            Self::Asks => "asks",
        }
    }
}

/// One line that says what came of it.
impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pong => "the webhook reaches this server, and its secret is the right one",
            Self::Ignored => "this concerns nobody's membership",
            Self::Repeated => "this delivery was acted on before",
            Self::Ended => "it has ended here too",
            Self::LastOwner => "the last owner stays until there is another one",
            Self::Asks => "GitHub will be asked",
        })
    }
}

/// The deliveries that were acted on, each with how far.
const DELIVERIES: &str = "github-delivery";
const BEGUN: &[u8] = b"begun";
const DONE: &[u8] = b"done";

/// So many records are read at once.
const PAGE: usize = 256;

/// How long a delivery is remembered. GitHub sends one again on demand, for three days.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long to wait before what was hinted at is looked at: what happens together is told of in many deliveries, and
/// the parts of GitHub that answer may not know at once what the part that sends has told.
const GATHER: Duration = Duration::from_secs(5);

/// How long to wait where GitHub or the store failed.
const AGAIN: Duration = Duration::from_secs(60);

impl Github {
    /// The organizations, in the order of their configuration.
    pub fn organizations(&self) -> impl Iterator<Item = OrganizationId> {
        self.inner.places.iter().map(|place| place.organization)
    }

    /// Takes a delivery of a webhook. What ended has ended when this returns.
    ///
    /// # Errors
    ///
    /// [`DeliveryError`].
    pub async fn receive(&self, delivery: &Delivery<'_>, now: Timestamp) -> Result<Received, DeliveryError> {
        let inner = &*self.inner;
        // Each is asked whether it signed; whose delivery it is, the body says, once it is believed.
        let mut refused = DeliveryError::WrongSignature;
        let mut signed = Vec::new();
        for place in &inner.places {
            match delivery.check(&place.secrets) {
                Ok(()) => signed.push(place),
                Err(error) => refused = error,
            }
        }
        if signed.is_empty() {
            return Err(refused);
        }
        let (id, notice) = delivery.read()?;
        let (github, change) = match notice {
            Notice::Ping => return Ok(Received::Pong),
            Notice::Other => return Ok(Received::Ignored),
            Notice::Of(github, change) => (github, change),
        };
        let place = signed.into_iter().find(|place| place.github == github);
        let place = place.ok_or(DeliveryError::OtherOrganization)?;
        let received = match change {
            Change::Nothing => return Ok(Received::Ignored),
            Change::Asks => Received::Asks,
            Change::Ended(ended) => inner.end_once(place, id, ended, now).await?,
        };
        // Full is as good: whoever takes the hint looks at everything.
        let _ = inner.hint.try_send(());
        Ok(received)
    }

    /// Makes members and groups here what GitHub says that they are.
    ///
    /// # Errors
    ///
    /// [`PullError`]. Where GitHub is at fault nothing was changed; where the store failed a part may have been, and the
    /// next pull goes on.
    pub async fn pull(&self, organization: OrganizationId, now: Timestamp) -> Result<Pulled, PullError> {
        let place = self.inner.places.iter().find(|place| place.organization == organization);
        let place = place.ok_or(PullError::NotConfigured)?;
        self.inner.pull(place, now).await
    }

    /// Pulls every organization every so often, and soon after a delivery has hinted at something; never ends. `pause`
    /// sleeps, and `note` is told of what came of each pull.
    pub async fn follow<P, F>(
        &self,
        every: Duration,
        clock: impl Fn() -> Timestamp,
        mut pause: P,
        mut note: impl FnMut(OrganizationId, Result<Pulled, PullError>),
    ) where
        P: FnMut(Duration) -> F,
        F: Future<Output = ()>,
    {
        // A hint is no reason to ask before GitHub says that it may be asked.
        let mut limited: BTreeMap<u64, Timestamp> = BTreeMap::new();
        loop {
            let mut next = every;
            for place in &self.inner.places {
                let now = clock();
                if let Some(until) = limited.get(&place.github).filter(|until| **until > now) {
                    next = next.min(until.since(now));
                    continue;
                }
                let pulled = self.inner.pull(place, now).await;
                let wait = match &pulled {
                    Ok(pulled) if pulled.overtaken == 0 => every,
                    Ok(_) => GATHER,
                    Err(PullError::Limited { until }) => {
                        limited.insert(place.github, *until);
                        until.since(now)
                    }
                    Err(_) => AGAIN,
                };
                next = next.min(wait.max(GATHER));
                note(place.organization, pulled);
            }
            let hint = pin!(self.inner.hints.recv());
            if let Either::Left(_) = select(hint, pin!(pause(next))).await {
                pause(GATHER.min(every)).await;
            }
        }
    }
}

impl fmt::Debug for Github {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let organizations: Vec<_> = self.organizations().collect();
        f.debug_struct("Github").field("organizations", &organizations).finish_non_exhaustive()
    }
}

impl Place {
    fn source(&self) -> Source<'_> {
        Source::Directory { name: &self.directory.name, credential: None }
    }
}

impl Inner {
    fn endings<'a>(&'a self, place: &'a Place) -> Endings<'a> {
        Endings { storage: &*self.stores.storage, key: &place.key }
    }

    fn people(&self) -> People<'_> {
        People::new(&self.stores, &self.issuer)
    }

    fn roster<'a>(&'a self, place: &'a Place) -> Roster<'a> {
        Roster::new(&self.gate, place.organization, place.source())
    }

    /// Who this is here, if they are known.
    async fn user(&self, person: u64) -> Result<Option<UserId>, DirectoryError> {
        self.people().find(&person.to_string()).await
    }

    /// Acts on a delivery unless it was acted on before. One that was cut off on the way is finished.
    async fn end_once(
        &self,
        place: &Place,
        delivery: &str,
        ended: Ended,
        now: Timestamp,
    ) -> Result<Received, DeliveryError> {
        let storage = &self.stores.storage;
        let key = format!("{} {} {delivery}", self.issuer, place.github).into_bytes();
        let until = now.saturating_add(REMEMBERED);
        let is_new = storage.put_pending(DELIVERIES, &key, BEGUN, until).await?;
        if !is_new && storage.pending(DELIVERIES, &key).await?.as_deref() == Some(DONE) {
            return Ok(Received::Repeated);
        }
        let received = self.end(place, ended, now).await?;
        storage.change_pending(DELIVERIES, &key, BEGUN, DONE).await?;
        Ok(received)
    }

    /// Ends it here. Noted first: a pull that asked before this must not undo it.
    async fn end(&self, place: &Place, ended: Ended, now: Timestamp) -> Result<Received, DirectoryError> {
        let _acting = place.acting.lock().await;
        self.endings(place).push(ended).await?;
        let mut all = true;
        match ended {
            Ended::Member(person) => all = self.dismiss(place, person, now).await?,
            Ended::TeamMember { team, person } => self.take_off(place, team, person, now).await?,
            Ended::Team(team) => {
                if let Some(group) = self.group(place, team).await? {
                    self.drop_team(place, team, group, now).await?;
                }
            }
            Ended::Everything => {
                for person in self.told_people(place).await?.into_keys() {
                    all &= self.dismiss(place, person, now).await?;
                }
                for (team, group) in self.told_teams(place).await? {
                    self.drop_team(place, team, group, now).await?;
                }
            }
        }
        Ok(if all { Received::Ended } else { Received::LastOwner })
    }

    /// Ends a membership; `false`: it is the last owner's, and stays. Forgotten last, so that the next pull finishes what
    /// was cut off.
    async fn dismiss(&self, place: &Place, person: u64, now: Timestamp) -> Result<bool, DirectoryError> {
        if let Some(user) = self.user(person).await? {
            match self.roster(place).leave(user, now).await {
                Ok(departure) if departure.role.is_some() => (self.departed)(&departure),
                Ok(_) | Err(DirectoryError::Gate(ManageError::Missing { .. })) => {}
                Err(DirectoryError::Gate(ManageError::LastOwner)) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.forget(place, DirectoryKind::Person, &person.to_string(), now).await?;
        Ok(true)
    }

    async fn take_off(
        &self,
        place: &Place,
        team: u64,
        person: u64,
        now: Timestamp,
    ) -> Result<(), DirectoryError> {
        let (Some(group), Some(user)) = (self.group(place, team).await?, self.user(person).await?) else {
            return Ok(());
        };
        let groups = self.stores.storage.groups(place.organization).await?;
        let Some(mut record) = groups.into_iter().find(|record| record.id == group) else { return Ok(()) };
        if record.members.contains(&user) {
            record.members.retain(|member| *member != user);
            self.roster(place).keep_group(Some(group), record.name, record.members, now).await?;
        }
        Ok(())
    }

    async fn drop_team(
        &self,
        place: &Place,
        team: u64,
        group: GroupId,
        now: Timestamp,
    ) -> Result<(), DirectoryError> {
        self.roster(place).drop_group(group, now).await?;
        self.forget(place, DirectoryKind::Group, &team.to_string(), now).await
    }

    /// The group of this team.
    async fn group(&self, place: &Place, team: u64) -> Result<Option<GroupId>, DirectoryError> {
        let id = team.to_string();
        let key = DirectoryKey::Id(&id);
        let found = self.stores.directories.record(&place.directory, DirectoryKind::Group, key).await?;
        Ok(found.and_then(|record| match record.target {
            DirectoryTarget::Group(group) => Some(group),
            DirectoryTarget::Person(_) => None,
        }))
    }

    /// Whom a pull has made a member here, or was about to: these GitHub takes off again. Whoever somebody else put in,
    /// and GitHub never listed, is not its business.
    async fn told_people(&self, place: &Place) -> Result<BTreeMap<u64, UserId>, DirectoryError> {
        let told = self.told(place, DirectoryKind::Person).await?;
        let person = |record: DirectoryRecord| match record.target {
            DirectoryTarget::Person(user) => Some((record.id.parse().ok()?, user)),
            DirectoryTarget::Group(_) => None,
        };
        Ok(told.into_iter().filter_map(person).collect())
    }

    async fn told_teams(&self, place: &Place) -> Result<BTreeMap<u64, GroupId>, DirectoryError> {
        let told = self.told(place, DirectoryKind::Group).await?;
        let team = |record: DirectoryRecord| match record.target {
            DirectoryTarget::Group(group) => Some((record.id.parse().ok()?, group)),
            DirectoryTarget::Person(_) => None,
        };
        Ok(told.into_iter().filter_map(team).collect())
    }

    async fn told(&self, place: &Place, kind: DirectoryKind) -> Result<Vec<DirectoryRecord>, DirectoryError> {
        let mut told: Vec<DirectoryRecord> = Vec::new();
        loop {
            let after = told.last().map(|record| &*record.id);
            let page = self.stores.directories.records(&place.directory, kind, after, PAGE).await?;
            let is_last = page.len() < PAGE;
            told.extend(page);
            if is_last {
                return Ok(told);
            }
        }
    }

    async fn remember(
        &self,
        place: &Place,
        id: &str,
        target: DirectoryTarget,
        now: Timestamp,
    ) -> Result<(), DirectoryError> {
        let directories = &self.stores.directories;
        let held = directories.record(&place.directory, target.kind(), DirectoryKey::Id(id)).await?;
        if held.as_ref().is_some_and(|held| held.target == target) {
            return Ok(());
        }
        let record = DirectoryRecord {
            directory: place.directory.clone(),
            id: id.into(),
            external: None,
            name: None,
            target,
            document: Vec::new(),
            version: 0,
        };
        let expected = held.map(|held| held.version);
        directories.put_record(&record, expected, &place.source().act(now)).await?;
        Ok(())
    }

    async fn forget(
        &self,
        place: &Place,
        kind: DirectoryKind,
        id: &str,
        now: Timestamp,
    ) -> Result<(), DirectoryError> {
        let directories = &self.stores.directories;
        let held = directories.record(&place.directory, kind, DirectoryKey::Id(id)).await?;
        let Some(held) = held else { return Ok(()) };
        let act = place.source().act(now);
        match directories.remove_record(&place.directory, kind, id, held.version, &act).await {
            // Another node was first.
            Ok(()) | Err(StoreError::Missing { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
