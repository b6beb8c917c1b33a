//! The reconciling pull: afterwards members and groups here are what GitHub said.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cachegate::ManageError;
use cachegate_storage::{DirectoryTarget, GroupRecord};
use cachegate_types::{Description, Name, Role, Timestamp, UserId};

use super::api::{Snapshot, Team};
use super::error::PullError;
use super::{Inner, Place};
use crate::{Directory as _, DirectoryError};

/// So many people are looked at before a webhook gets its turn.
const TURN: usize = 64;

/// What a pull changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Pulled {
    /// So many became members.
    pub added: usize,
    /// So many are members no longer.
    pub removed: usize,
    /// So many groups were made, changed or removed.
    pub groups: usize,
    /// So many were left out, because a delivery told of their end while GitHub was asked: the next pull decides.
    pub overtaken: usize,
    /// Whether the last owner has left at GitHub. They stay: somebody has to be able to name another.
    pub kept_last_owner: bool,
}

/// One line for a log.
impl fmt::Display for Pulled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, removed, groups, overtaken, kept_last_owner } = self;
        write!(
            f,
            "{added} came, {removed} left, {groups} groups changed, {overtaken} left to the next pull"
        )?;
        if *kept_last_owner { f.write_str(", the last owner stays") } else { Ok(()) }
    }
}

/// What GitHub said: once, and where that would take something away, a second time.
struct Said {
    first: Snapshot,
    second: Option<Snapshot>,
}

impl Said {
    /// What it said last: who is in by this may come in.
    fn latest(&self) -> &Snapshot {
        self.second.as_ref().unwrap_or(&self.first)
    }

    /// Who was in by either may stay in: somebody who leaves moves others from page to page while pages are read.
    fn ever_member(&self, person: u64) -> bool {
        self.both().any(|said| said.members.contains_key(&person))
    }

    fn ever_team(&self, team: u64) -> bool {
        self.both().any(|said| said.teams.contains_key(&team))
    }

    fn ever_in_team(&self, team: u64, person: u64) -> bool {
        self.both().any(|said| said.teams.get(&team).is_some_and(|team| team.members.contains(&person)))
    }

    fn both(&self) -> impl Iterator<Item = &Snapshot> {
        std::iter::once(&self.first).chain(&self.second)
    }
}

/// A pull on its way.
struct Pull<'a> {
    inner: &'a Inner,
    place: &'a Place,
    now: Timestamp,
    said: Said,
    /// How many endings there were before GitHub was asked: of later ones its answers may know nothing.
    begun: u64,
    /// Who the listed people are here.
    people: BTreeMap<u64, UserId>,
    pulled: Pulled,
}

impl Inner {
    pub(super) async fn pull(&self, place: &Place, now: Timestamp) -> Result<Pulled, PullError> {
        let Some(_pulling) = place.pulling.try_lock() else { return Err(PullError::Busy) };
        let begun = self.endings(place).count().await?;
        let first = place.api.read(place.github, now).await?;
        let mut people = BTreeMap::new();
        for person in first.members.keys() {
            if let Some(user) = self.user(*person).await? {
                people.insert(*person, user);
            }
        }
        let second = match self.takes_away(place, &first, &people).await? {
            true => Some(place.api.read(place.github, now).await?),
            false => None,
        };
        let said = Said { first, second };
        let mut pull = Pull { inner: self, place, now, said, begun, people, pulled: Pulled::default() };
        pull.remove().await?;
        pull.add().await?;
        pull.groups().await?;
        Ok(pull.pulled)
    }

    /// Whether somebody would lose something by this.
    async fn takes_away(
        &self,
        place: &Place,
        said: &Snapshot,
        people: &BTreeMap<u64, UserId>,
    ) -> Result<bool, DirectoryError> {
        if self.told_people(place).await?.keys().any(|person| !said.members.contains_key(person)) {
            return Ok(true);
        }
        let groups = self.stores.storage.groups(place.organization).await?;
        Ok(self.told_teams(place).await?.iter().any(|(team, group)| {
            let Some(said) = said.teams.get(team) else { return true };
            let users: BTreeSet<_> = said.members.iter().filter_map(|person| people.get(person)).collect();
            let record = groups.iter().find(|record| record.id == *group);
            record.is_some_and(|record| record.members.iter().any(|user| !users.contains(user)))
        }))
    }
}

impl Pull<'_> {
    /// Ends what is by neither answer.
    async fn remove(&mut self) -> Result<(), DirectoryError> {
        let (inner, place) = (self.inner, self.place);
        let _acting = place.acting.lock().await;
        for person in inner.told_people(place).await?.into_keys() {
            if self.said.ever_member(person) {
                continue;
            }
            match inner.dismiss(place, person, self.now).await? {
                true => self.pulled.removed += 1,
                false => self.pulled.kept_last_owner = true,
            }
        }
        for (team, group) in inner.told_teams(place).await? {
            if !self.said.ever_team(team) {
                inner.drop_team(place, team, group, self.now).await?;
                self.pulled.groups += 1;
            }
        }
        Ok(())
    }

    /// Makes everybody a member whom GitHub lists, whoever was known here or not.
    async fn add(&mut self) -> Result<(), DirectoryError> {
        let listed: Vec<_> =
            self.said.latest().members.iter().map(|(id, login)| (*id, login.clone())).collect();
        for turn in listed.chunks(TURN) {
            let _acting = self.place.acting.lock().await;
            let overtaken = self.inner.endings(self.place).since(self.begun).await?;
            let mut came = Vec::new();
            for (person, login) in turn {
                if overtaken.member(*person) {
                    self.pulled.overtaken += 1;
                } else if self.come(*person, login).await? {
                    came.push(*person);
                }
            }
            // Another node may have been told of an end meanwhile.
            let overtaken = self.inner.endings(self.place).since(self.begun).await?;
            for person in came.into_iter().filter(|person| overtaken.member(*person)) {
                self.inner.dismiss(self.place, person, self.now).await?;
                self.pulled.overtaken += 1;
            }
        }
        Ok(())
    }

    /// Whether they were none before.
    async fn come(&mut self, person: u64, login: &str) -> Result<bool, DirectoryError> {
        let (inner, place) = (self.inner, self.place);
        let subject = person.to_string();
        // A name that can be given up and registered by someone else: shown, and nothing more.
        let display: Description = login.parse().unwrap_or_default();
        let act = place.source().act(self.now);
        let user = inner.people().person(&subject, &display, &act, self.now).await?;
        self.people.insert(person, user);
        // Remembered first: whoever is in and not remembered would never be taken off again.
        inner.remember(place, &subject, DirectoryTarget::Person(user), self.now).await?;
        let came = inner.roster(place).join(user, Role::Member, self.now).await?;
        self.pulled.added += usize::from(came);
        Ok(came)
    }

    async fn groups(&mut self) -> Result<(), DirectoryError> {
        let teams: Vec<_> = self.said.latest().teams.iter().map(|(id, team)| (*id, team.clone())).collect();
        for (id, team) in teams {
            let _acting = self.place.acting.lock().await;
            self.group(id, &team).await?;
        }
        Ok(())
    }

    /// Makes a team's group what the team is.
    async fn group(&mut self, id: u64, team: &Team) -> Result<(), DirectoryError> {
        let (inner, place) = (self.inner, self.place);
        let overtaken = inner.endings(place).since(self.begun).await?;
        if overtaken.team(id) {
            self.pulled.overtaken += 1;
            return Ok(());
        }
        let groups = inner.stores.storage.groups(place.organization).await?;
        let group = inner.group(place, id).await?;
        let record = group.and_then(|group| groups.iter().find(|record| record.id == group));
        let held: BTreeSet<UserId> =
            record.map(|record| record.members.iter().copied().collect()).unwrap_or_default();
        let mut members: Vec<UserId> = Vec::with_capacity(team.members.len());
        for (person, user) in &self.people {
            if overtaken.team_member(id, *person) {
                continue;
            }
            let stays = held.contains(user) && self.said.ever_in_team(id, *person);
            if stays || team.members.contains(person) {
                members.push(*user);
            }
        }
        members.sort_unstable();
        let name = name(id, &team.slug, &groups, record)?;
        if record.is_some_and(|record| record.members == members && record.name == name) {
            return Ok(());
        }
        let group = inner.roster(place).keep_group(group, name, members, self.now).await?;
        inner.remember(place, &id.to_string(), DirectoryTarget::Group(group), self.now).await?;
        self.pulled.groups += 1;
        // Another node may have been told of an end meanwhile.
        let overtaken = inner.endings(place).since(self.begun).await?;
        if overtaken.team(id) {
            inner.drop_team(place, id, group, self.now).await?;
        }
        let ended: Vec<_> =
            team.members.iter().filter(|person| overtaken.team_member(id, **person)).collect();
        for person in ended {
            inner.take_off(place, id, *person, self.now).await?;
        }
        Ok(())
    }
}

/// The team's slug, where it is a name here and no other group's.
fn name(
    team: u64,
    slug: &str,
    groups: &[GroupRecord],
    own: Option<&GroupRecord>,
) -> Result<Name, DirectoryError> {
    let is_free = |name: &Name| {
        groups.iter().all(|group| group.name != *name || own.is_some_and(|own| own.id == group.id))
    };
    if let Some(name) = slug.parse().ok().filter(is_free) {
        return Ok(name);
    }
    let missing = |_| DirectoryError::from(ManageError::Missing { what: "name" });
    format!("github-team-{team}").parse().map_err(missing)
}
