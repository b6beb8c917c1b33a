//! SCIM 2.0 (RFC 7643, RFC 7644) as a function from a request to an answer.
//!
//! A directory's own token says who it is; the resources are what the directory told, and what somebody may do follows
//! from the memberships and groups that they lead to. `active` is never kept: it is whether somebody is a member, now.

mod error;
mod filter;
mod patch;
mod resource;
mod schema;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use cachegate::{Authentication, Departure, Gate, Source};
use cachegate_storage::{
    DirectoryId, DirectoryKey, DirectoryKind, DirectoryRecord, DirectoryTarget, StoreError,
};
use cachegate_types::{GroupId, Role, Timestamp, UserId};
use futures_util::lock::Mutex;
use serde_json::{Map, Value, json};

use crate::{Directory, DirectoryError, People, Roster, Stores};
use error::ScimError;
use filter::{Filter, Name, Operator};
use resource::{Projection, Told};
use schema::{LIST, LONGEST_PAGE, ResourceType, TEAMS, TYPES, USERS};

/// The longest body that is read, in bytes: a group of ten thousand people fits.
pub const LONGEST_SCIM_BODY: usize = 1 << 20;

/// How many records are read at once.
const READ: usize = 1000;

/// A request of a SCIM client.
#[derive(Clone, Copy, Debug)]
pub struct ScimRequest<'a> {
    /// The method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'a str,
    /// The path below the directory's own, as it stands in the address: `/Users/0190…`.
    pub path: &'a str,
    /// The query, as it stands in the address.
    pub query: &'a str,
    /// `If-Match`.
    pub if_match: Option<&'a str>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// The body: at most [`LONGEST_SCIM_BODY`].
    pub body: &'a [u8],
}

/// The answer to a SCIM client, and what it did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScimAnswer {
    /// The status.
    pub status: u16,
    /// The body: `application/scim+json`.
    pub body: Option<Value>,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Location`.
    pub location: Option<String>,
    /// Who left by this request, and what that did.
    pub departures: Vec<Departure>,
}

impl ScimAnswer {
    /// A refusal by whoever mounts it, such as of a request without a credential.
    pub fn refused(status: u16, detail: &str) -> Self {
        Self::new(status, Some(error::body(status, None, detail)))
    }

    fn new(status: u16, body: Option<Value>) -> Self {
        Self { status, body, etag: None, location: None, departures: Vec::new() }
    }
}

impl From<ScimError> for ScimAnswer {
    fn from(error: ScimError) -> Self {
        Self::new(error.status().0, Some(error.body()))
    }
}

/// One directory of one organization, as it speaks SCIM.
pub struct Scim {
    gate: Gate,
    stores: Stores,
    directory: DirectoryId,
    /// Whose `externalId`s these are: the issuer that people sign in by.
    issuer: Option<Arc<str>>,
    /// By what people without an `externalId` are known.
    own_issuer: Arc<str>,
    base: String,
    /// One change at a time: what is read for it holds until it is written.
    turn: Mutex<()>,
}

impl fmt::Debug for Scim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scim").field("directory", &self.directory).finish_non_exhaustive()
    }
}

type Document = Map<String, Value>;

/// A resource, as it is.
struct Found {
    record: DirectoryRecord,
    told: Told,
}

impl Scim {
    /// A directory. `base` is the address that its clients use, without a slash behind it:
    /// `https://cache.example/scim/v2/okta`.
    pub fn new(gate: Gate, stores: Stores, directory: DirectoryId, base: impl Into<String>) -> Self {
        let DirectoryId { organization, name } = &directory;
        let own_issuer = format!("urn:cachegate:directory:{organization}:{name}").into();
        Self { gate, stores, directory, issuer: None, own_issuer, base: base.into(), turn: Mutex::new(()) }
    }

    /// Says by which issuer the directory's people sign in: its `externalId` is the immutable id there, Okta's user id
    /// (`sub`) or Entra's object id (`oid`), so that whoever is provisioned and signs in is one person.
    #[must_use]
    pub fn issuer(self, issuer: &str) -> Self {
        Self { issuer: Some(issuer.into()), ..self }
    }

    /// The directory.
    pub const fn directory(&self) -> &DirectoryId {
        &self.directory
    }

    /// Answers a request of somebody who was authenticated. Everything that a client may send gets an answer.
    pub async fn answer(
        &self,
        who: &Authentication,
        request: &ScimRequest<'_>,
        now: Timestamp,
    ) -> ScimAnswer {
        match self.route(who, request, now).await {
            Ok(answer) => answer,
            Err(error) => error.into(),
        }
    }

    async fn route(
        &self,
        who: &Authentication,
        request: &ScimRequest<'_>,
        now: Timestamp,
    ) -> Result<ScimAnswer, ScimError> {
        self.gate.may_provision(who, self.directory.organization, now).await.map_err(DirectoryError::from)?;
        if request.body.len() > LONGEST_SCIM_BODY {
            return Err(ScimError::TooLarge { limit: LONGEST_SCIM_BODY });
        }
        let call = Call { scim: self, who, request, now };
        let path: Vec<String> = request
            .path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| resource::decoded(part).ok_or(ScimError::NotFound))
            .collect::<Result<_, _>>()?;
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let (kind, rest) = match path.as_slice() {
            ["ServiceProviderConfig"] => return call.look(Some(schema::config(&self.base))),
            ["ResourceTypes"] => return call.look(schema::resource_types(&self.base, None)),
            ["ResourceTypes", name] => return call.look(schema::resource_types(&self.base, Some(name))),
            ["Schemas"] => return call.look(schema::schemas(&self.base, None)),
            ["Schemas", id] => return call.look(schema::schemas(&self.base, Some(id))),
            ["Users", rest @ ..] => (&USERS, rest),
            ["Groups", rest @ ..] => (&TEAMS, rest),
            ["Me" | "Bulk", ..] => return Err(ScimError::NotSupported),
            [".search"] => {
                return match request.method {
                    "POST" => call.list(&TYPES, &resource::Query::of_body(&call.body()?)?).await,
                    _ => Err(ScimError::Method),
                };
            }
            _ => return Err(ScimError::NotFound),
        };
        match (rest, request.method) {
            ([], "GET") => call.list(&[kind], &resource::Query::of_url(request.query)?).await,
            ([".search"], "POST") => call.list(&[kind], &resource::Query::of_body(&call.body()?)?).await,
            ([], "POST") => call.create(kind).await,
            ([".search"], _) | ([], _) => Err(ScimError::Method),
            ([id], "GET") => call.get(kind, id).await,
            ([id], "PUT") => call.replace(kind, id).await,
            ([id], "PATCH") => call.patch(kind, id).await,
            ([id], "DELETE") => call.delete(kind, id).await,
            ([_], _) => Err(ScimError::Method),
            _ => Err(ScimError::NotFound),
        }
    }
}

/// A request to one directory.
struct Call<'a> {
    scim: &'a Scim,
    who: &'a Authentication,
    request: &'a ScimRequest<'a>,
    now: Timestamp,
}

impl Call<'_> {
    fn source(&self) -> Source<'_> {
        Source::Directory { name: &self.scim.directory.name, credential: Some(self.who) }
    }

    fn roster(&self) -> Roster<'_> {
        Roster::new(&self.scim.gate, self.scim.directory.organization, self.source())
    }

    fn look(&self, document: Option<Value>) -> Result<ScimAnswer, ScimError> {
        match self.request.method {
            "GET" => Ok(ScimAnswer::new(200, Some(document.ok_or(ScimError::NotFound)?))),
            _ => Err(ScimError::Method),
        }
    }

    fn body(&self) -> Result<Document, ScimError> {
        match serde_json::from_slice(self.request.body) {
            Ok(Value::Object(body)) => Ok(body),
            Ok(_) => Err(ScimError::Syntax { what: "it is a JSON object" }),
            Err(_) => Err(ScimError::Syntax { what: "it is JSON" }),
        }
    }

    /// What of a resource the client wants to see.
    fn projection(&self, kind: &ResourceType) -> Result<Projection, ScimError> {
        Ok(Projection::new(&resource::Query::of_url(self.request.query)?, kind))
    }

    async fn find(&self, kind: &ResourceType, id: &str) -> Result<Found, ScimError> {
        let key = DirectoryKey::Id(id);
        let record = self.scim.stores.directories.record(&self.scim.directory, kind_of(kind), key).await?;
        Found::read(record.ok_or(ScimError::NotFound)?)
    }

    /// Every record of the kind.
    async fn all(&self, kind: DirectoryKind) -> Result<Vec<Found>, ScimError> {
        let (directory, mut all) = (&self.scim.directory, Vec::new());
        loop {
            let after = all.last().map(|found: &Found| found.record.id.clone());
            let part = self.scim.stores.directories.records(directory, kind, after.as_deref(), READ).await?;
            let last = part.len() < READ;
            for record in part {
                all.push(Found::read(record)?);
            }
            if last {
                return Ok(all);
            }
        }
    }

    /// Everyone who is a member of the organization.
    async fn members(&self) -> Result<BTreeSet<UserId>, ScimError> {
        let (organization, mut members) = (self.scim.directory.organization, BTreeSet::new());
        let mut after = None;
        loop {
            let part = self.scim.stores.storage.members(organization, after, READ).await?;
            members.extend(part.iter().map(|place| place.member.user));
            match part.last() {
                Some(last) if part.len() == READ => after = Some(last.member.user),
                Some(_) | None => return Ok(members),
            }
        }
    }

    async fn is_member(&self, user: UserId) -> Result<bool, ScimError> {
        let places = self.scim.stores.storage.memberships(user).await?;
        Ok(places.iter().any(|place| place.member.organization == self.scim.directory.organization))
    }

    async fn is_active(&self, found: &Found) -> Result<bool, ScimError> {
        match found.record.target {
            DirectoryTarget::Person(user) => self.is_member(user).await,
            DirectoryTarget::Group(_) => Ok(true),
        }
    }

    /// The groups of the directory that list this user.
    async fn listing(&self, id: &str) -> Result<Vec<Found>, ScimError> {
        let mut groups = self.all(DirectoryKind::Group).await?;
        groups.retain(|group| group.told.lists(id));
        Ok(groups)
    }

    /// A resource as the client sees it.
    async fn shown(&self, kind: &ResourceType, found: &Found) -> Result<Value, ScimError> {
        let active = self.is_active(found).await?;
        let groups = match kind_of(kind) {
            DirectoryKind::Person => self.listing(&found.record.id).await?,
            DirectoryKind::Group => Vec::new(),
        };
        Ok(found.told.shown(kind, &found.record, active, &groups, &self.scim.base))
    }

    /// A resource in an answer of its own.
    async fn answer(
        &self,
        status: u16,
        kind: &ResourceType,
        found: &Found,
        departures: Vec<Departure>,
    ) -> Result<ScimAnswer, ScimError> {
        let shown = self.shown(kind, found).await?;
        let text = |place: &str| shown.pointer(place).and_then(Value::as_str).map(str::to_owned);
        let (etag, location) = (text("/meta/version"), text("/meta/location"));
        let is_held = |tags: &str| tags.split(',').any(|tag| Some(tag.trim()) == etag.as_deref());
        if self.request.method == "GET" && self.request.if_none_match.is_some_and(is_held) {
            return Ok(ScimAnswer { etag, ..ScimAnswer::new(304, None) });
        }
        let body = self.projection(kind)?.of(shown);
        Ok(ScimAnswer { etag, location, departures, ..ScimAnswer::new(status, Some(body)) })
    }

    async fn get(&self, kind: &ResourceType, id: &str) -> Result<ScimAnswer, ScimError> {
        let found = self.find(kind, id).await?;
        self.answer(200, kind, &found, Vec::new()).await
    }

    async fn list(&self, kinds: &[&ResourceType], query: &resource::Query) -> Result<ScimAnswer, ScimError> {
        let mut taken = Vec::new();
        for kind in kinds {
            let projection = Projection::new(query, kind);
            let filter = query.filter.as_deref().map(|text| Filter::parse(text, kind)).transpose()?;
            let all = self.candidates(kind, filter.as_ref()).await?;
            let meant = all
                .into_iter()
                .filter(|shown| filter.as_ref().is_none_or(|filter| filter.takes(shown, kind)));
            taken.extend(meant.map(|shown| projection.of(shown)));
        }
        let total = taken.len();
        let start = query.start.max(1);
        let count = query.count.min(LONGEST_PAGE);
        let page: Vec<Value> = taken.into_iter().skip(start - 1).take(count).collect();
        Ok(ScimAnswer::new(
            200,
            Some(json!({
                "schemas": [LIST],
                "totalResults": total,
                "startIndex": start,
                "itemsPerPage": page.len(),
                "Resources": page,
            })),
        ))
    }

    /// The resources that a filter may take, as clients see them.
    async fn candidates(
        &self,
        kind: &ResourceType,
        filter: Option<&Filter>,
    ) -> Result<Vec<Value>, ScimError> {
        let of = kind_of(kind);
        let candidates = match filter.and_then(|filter| key_of(filter, kind)) {
            Some(Key::Id(text)) => self.one(of, DirectoryKey::Id(&text)).await?,
            Some(Key::External(text)) => self.one(of, DirectoryKey::External(&text)).await?,
            Some(Key::Name(text)) => self.one(of, DirectoryKey::Name(&text)).await?,
            None => self.all(of).await?,
        };
        // What there is to tell of many is read once.
        let (members, groups) = match (of, candidates.is_empty()) {
            (DirectoryKind::Person, false) => (self.members().await?, self.all(DirectoryKind::Group).await?),
            (DirectoryKind::Person, true) | (DirectoryKind::Group, _) => (BTreeSet::new(), Vec::new()),
        };
        let shown = candidates.iter().map(|found| {
            let active = match found.record.target {
                DirectoryTarget::Person(user) => members.contains(&user),
                DirectoryTarget::Group(_) => true,
            };
            found.told.shown(kind, &found.record, active, &groups, &self.scim.base)
        });
        Ok(shown.collect())
    }

    async fn one(&self, kind: DirectoryKind, key: DirectoryKey<'_>) -> Result<Vec<Found>, ScimError> {
        let found = self.scim.stores.directories.record(&self.scim.directory, kind, key).await?;
        found.into_iter().map(Found::read).collect()
    }

    async fn create(&self, kind: &ResourceType) -> Result<ScimAnswer, ScimError> {
        let mut told = kind.read(&self.body()?)?;
        told.entry("active").or_insert(true.into());
        kind.complete(&told)?;
        let _turn = self.scim.turn.lock().await;
        let id: Arc<str> = GroupId::new(self.now, crate::people::random()?).to_string().into();
        let told = Told { document: told, created: self.now, modified: self.now };
        let (found, departures) = self.write(kind, id, told, None).await?;
        self.answer(201, kind, &found, departures).await
    }

    async fn replace(&self, kind: &ResourceType, id: &str) -> Result<ScimAnswer, ScimError> {
        let mut document = kind.read(&self.body()?)?;
        let _turn = self.scim.turn.lock().await;
        let before = self.find(kind, id).await?;
        self.if_match(&before).await?;
        // Silence brings nobody back.
        if !document.contains_key("active") {
            document.insert("active".to_owned(), self.is_active(&before).await?.into());
        }
        kind.complete(&document)?;
        let told = Told { document, created: before.told.created, modified: self.now };
        let (found, departures) =
            self.write(kind, Arc::clone(&before.record.id), told, Some(&before)).await?;
        self.answer(200, kind, &found, departures).await
    }

    async fn patch(&self, kind: &ResourceType, id: &str) -> Result<ScimAnswer, ScimError> {
        let body = self.body()?;
        let _turn = self.scim.turn.lock().await;
        let before = self.find(kind, id).await?;
        self.if_match(&before).await?;
        let mut document = before.told.document.clone();
        document.insert("active".to_owned(), self.is_active(&before).await?.into());
        let document = patch::apply(&document, &body, kind)?;
        kind.complete(&document)?;
        let told = Told { document, created: before.told.created, modified: self.now };
        let (found, departures) =
            self.write(kind, Arc::clone(&before.record.id), told, Some(&before)).await?;
        // Nobody who changes a group of thousands wants to read all of it again.
        if kind_of(kind) == DirectoryKind::Group && self.projection(kind)?.is_default() {
            return Ok(ScimAnswer { departures, ..ScimAnswer::new(204, None) });
        }
        self.answer(200, kind, &found, departures).await
    }

    async fn delete(&self, kind: &ResourceType, id: &str) -> Result<ScimAnswer, ScimError> {
        let _turn = self.scim.turn.lock().await;
        let found = self.find(kind, id).await?;
        self.if_match(&found).await?;
        let mut departures = Vec::new();
        match found.record.target {
            DirectoryTarget::Person(user) => {
                departures.extend(self.leave(user).await?);
                for group in self.listing(id).await? {
                    let mut told = group.told.clone();
                    told.forget(id);
                    self.write(&TEAMS, Arc::clone(&group.record.id), told, Some(&group)).await?;
                }
            }
            DirectoryTarget::Group(group) => self.roster().drop_group(group, self.now).await?,
        }
        let (directories, act) = (&self.scim.stores.directories, self.source().act(self.now));
        directories
            .remove_record(&self.scim.directory, kind_of(kind), id, found.record.version, &act)
            .await
            .map_err(changed)?;
        Ok(ScimAnswer { departures, ..ScimAnswer::new(204, None) })
    }

    /// Whether the request is for the state that the resource is in (RFC 7644, section 3.14).
    async fn if_match(&self, found: &Found) -> Result<(), ScimError> {
        let Some(tags) = self.request.if_match else { return Ok(()) };
        let held = found.told.etag(&found.record, self.is_active(found).await?);
        match tags.split(',').map(str::trim).any(|tag| tag == "*" || tag == held) {
            true => Ok(()),
            false => Err(ScimError::Changed),
        }
    }

    async fn leave(&self, user: UserId) -> Result<Option<Departure>, ScimError> {
        if !self.is_member(user).await? {
            return Ok(None);
        }
        Ok(Some(self.roster().leave(user, self.now).await?))
    }

    /// Keeps what was told, and does what follows from it. What takes away comes before what is kept, what gives comes
    /// after it: whatever is cut off between them is said again, and nobody has more meanwhile.
    async fn write(
        &self,
        kind: &ResourceType,
        id: Arc<str>,
        mut told: Told,
        before: Option<&Found>,
    ) -> Result<(Found, Vec<Departure>), ScimError> {
        let active = told.document.remove("active").is_none_or(|active| active == Value::Bool(true));
        match kind_of(kind) {
            DirectoryKind::Person => self.write_user(id, told, active, before).await,
            DirectoryKind::Group => Ok((self.write_group(id, told, before).await?, Vec::new())),
        }
    }

    async fn write_user(
        &self,
        id: Arc<str>,
        told: Told,
        active: bool,
        before: Option<&Found>,
    ) -> Result<(Found, Vec<Departure>), ScimError> {
        let (external, name) = (told.text("externalId"), told.text("userName"));
        let name = name.map(|name| Arc::from(name.to_lowercase()));
        self.unique(&id, external.as_deref(), name.as_deref()).await?;
        let act = self.source().act(self.now);
        // Another immutable id is another person, whatever the resource.
        let (issuer, subject) = match (&self.scim.issuer, &external) {
            (Some(issuer), Some(external)) => (issuer, &**external),
            (_, Some(external)) => (&self.scim.own_issuer, &**external),
            (_, None) => (&self.scim.own_issuer, &*id),
        };
        let people = People::new(&self.scim.stores, issuer);
        let user = people.person(subject, &told.display(), &act, self.now).await?;
        let mut departures = Vec::new();
        let former = before.and_then(|before| match before.record.target {
            DirectoryTarget::Person(former) => Some(former),
            DirectoryTarget::Group(_) => None,
        });
        if let Some(former) = former.filter(|former| *former != user) {
            departures.extend(self.leave(former).await?);
        }
        if !active {
            departures.extend(self.leave(user).await?);
        }
        let record = DirectoryRecord {
            directory: self.scim.directory.clone(),
            id,
            external,
            name,
            target: DirectoryTarget::Person(user),
            document: told.to_bytes(),
            version: 0,
        };
        let found = self.keep(record, told, before).await?;
        if active {
            let joined = self.roster().join(user, Role::Member, self.now).await?;
            if joined || former.is_some_and(|former| former != user) {
                for group in self.listing(&found.record.id).await? {
                    self.keep_group(&group.record, &group.told).await?;
                }
            }
        }
        Ok((found, departures))
    }

    async fn write_group(
        &self,
        id: Arc<str>,
        mut told: Told,
        before: Option<&Found>,
    ) -> Result<Found, ScimError> {
        let held = before.map(|before| before.told.members()).unwrap_or_default();
        for member in told.members().difference(&held) {
            let key = DirectoryKey::Id(member);
            let kind = DirectoryKind::Person;
            if self.scim.stores.directories.record(&self.scim.directory, kind, key).await?.is_none() {
                return Err(ScimError::Value {
                    attribute: "members",
                    what: "a member is no user of this directory",
                });
            }
        }
        told.only_ids();
        let target = match before.map(|before| before.record.target) {
            Some(target) => target,
            None => DirectoryTarget::Group(GroupId::new(self.now, crate::people::random()?)),
        };
        let external = told.text("externalId");
        if let Some(external) = &external {
            let key = DirectoryKey::External(external);
            let other = self.one(DirectoryKind::Group, key).await?;
            if other.iter().any(|other| other.record.id != id) {
                return Err(ScimError::Uniqueness { what: "group" });
            }
        }
        let record = DirectoryRecord {
            directory: self.scim.directory.clone(),
            id,
            external,
            name: None,
            target,
            document: told.to_bytes(),
            version: 0,
        };
        self.keep_group(&record, &told).await?;
        self.keep(record, told, before).await
    }

    async fn keep(
        &self,
        mut record: DirectoryRecord,
        told: Told,
        before: Option<&Found>,
    ) -> Result<Found, ScimError> {
        let expected = before.map(|before| before.record.version);
        let act = self.source().act(self.now);
        let version = self.scim.stores.directories.put_record(&record, expected, &act).await;
        record.version = version.map_err(changed)?;
        Ok(Found { record, told })
    }

    /// Whether no other user of the directory has this id or name.
    async fn unique(&self, id: &str, external: Option<&str>, name: Option<&str>) -> Result<(), ScimError> {
        let keys = [external.map(DirectoryKey::External), name.map(DirectoryKey::Name)];
        for key in keys.into_iter().flatten() {
            let other = self.one(DirectoryKind::Person, key).await?;
            if other.iter().any(|other| *other.record.id != *id) {
                return Err(ScimError::Uniqueness { what: "user" });
            }
        }
        Ok(())
    }

    /// Lists in the organization's group whoever is a member of both.
    async fn keep_group(&self, record: &DirectoryRecord, told: &Told) -> Result<(), ScimError> {
        let DirectoryTarget::Group(group) = record.target else { return Ok(()) };
        let (ids, members) = (told.members(), self.members().await?);
        let mut users = Vec::with_capacity(ids.len());
        for id in &ids {
            for person in self.one(DirectoryKind::Person, DirectoryKey::Id(id)).await? {
                match person.record.target {
                    DirectoryTarget::Person(user) if members.contains(&user) => users.push(user),
                    DirectoryTarget::Person(_) | DirectoryTarget::Group(_) => {}
                }
            }
        }
        for name in told.group_names(&record.id) {
            match self.roster().keep_group(Some(group), name, users.clone(), self.now).await {
                Ok(_) => return Ok(()),
                // The name is another group's.
                Err(DirectoryError::Gate(cachegate::ManageError::Exists { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ScimError::Uniqueness { what: "group" })
    }
}

impl Found {
    fn read(record: DirectoryRecord) -> Result<Self, ScimError> {
        let told = Told::from_bytes(&record.document)?;
        Ok(Self { record, told })
    }
}

const fn kind_of(kind: &ResourceType) -> DirectoryKind {
    match kind.name.as_bytes() {
        b"User" => DirectoryKind::Person,
        _ => DirectoryKind::Group,
    }
}

fn changed(error: StoreError) -> ScimError {
    match error {
        StoreError::Precondition { .. } | StoreError::Missing { .. } => ScimError::Changed,
        StoreError::Exists { .. } => ScimError::Uniqueness { what: "resource" },
        error => error.into(),
    }
}

/// By which key the one resource is found that a filter can take.
enum Key {
    Id(String),
    External(String),
    Name(String),
}

fn key_of(filter: &Filter, kind: &ResourceType) -> Option<Key> {
    let Filter::Compare(Name { attribute, sub: None }, Operator::Equal, Value::String(wanted)) = filter
    else {
        return None;
    };
    match kind.attribute(attribute)?.name {
        "id" => Some(Key::Id(wanted.clone())),
        "externalId" => Some(Key::External(wanted.clone())),
        "userName" => Some(Key::Name(wanted.to_lowercase())),
        _ => None,
    }
}
