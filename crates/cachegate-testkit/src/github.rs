//! A stand-in for GitHub: what its API tells of one organization, and what its webhooks send.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cachegate_fetch::{Fetch, FetchError, Request, Response};
use ring::hmac;
use serde_json::{Value, json};

/// One organization at GitHub, in the documented shapes of `GET .../teams`, `.../members` and `.../team/{id}/members`.
#[derive(Clone)]
pub struct GithubStandIn {
    id: u64,
    page: usize,
    state: Arc<Mutex<State>>,
}

/// What is done before an answer: it may change the organization, and may answer instead.
type Before = Box<dyn FnMut(&GithubStandIn, &str) -> Option<Result<Response, FetchError>> + Send>;

#[derive(Default)]
struct State {
    members: BTreeMap<u64, String>,
    teams: BTreeMap<u64, Team>,
    asked: Vec<String>,
    before: Option<Before>,
}

#[derive(Clone, Default)]
struct Team {
    slug: String,
    members: BTreeSet<u64>,
}

impl GithubStandIn {
    /// The token that its API takes.
    pub const TOKEN: &str = "ghs_standin";

    /// The secret that its webhooks sign with.
    pub const SECRET: &str = "a secret of the stand-in alone";

    /// An organization without anybody, whose lists come in pages of at most so many.
    pub fn new(id: u64, page: usize) -> Self {
        Self { id, page, state: Arc::default() }
    }

    /// Somebody is a member now, under this name.
    pub fn join(&self, person: u64, login: &str) {
        self.state().members.insert(person, login.to_owned());
    }

    /// Somebody has left, and all teams with it.
    pub fn leave(&self, person: u64) {
        let mut state = self.state();
        state.members.remove(&person);
        for team in state.teams.values_mut() {
            team.members.remove(&person);
        }
    }

    /// There is such a team now, or it has another name.
    pub fn team(&self, team: u64, slug: &str) {
        slug.clone_into(&mut self.state().teams.entry(team).or_default().slug);
    }

    /// There is no such team any more.
    pub fn drop_team(&self, team: u64) {
        self.state().teams.remove(&team);
    }

    /// A member is in the team now, if there is such a team and such a member.
    pub fn join_team(&self, team: u64, person: u64) {
        let mut state = self.state();
        if state.members.contains_key(&person)
            && let Some(team) = state.teams.get_mut(&team)
        {
            team.members.insert(person);
        }
    }

    /// Somebody is no longer in the team.
    pub fn leave_team(&self, team: u64, person: u64) {
        if let Some(team) = self.state().teams.get_mut(&team) {
            team.members.remove(&person);
        }
    }

    /// Who is in it.
    pub fn members(&self) -> BTreeSet<u64> {
        self.state().members.keys().copied().collect()
    }

    /// Its teams: their slugs, and who is in them.
    pub fn teams(&self) -> BTreeMap<u64, (String, BTreeSet<u64>)> {
        let state = self.state();
        let teams = state.teams.iter();
        teams.map(|(id, team)| (*id, (team.slug.clone(), team.members.clone()))).collect()
    }

    /// The paths that were asked for since the last look, in order.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }

    /// Does this before each answer from now on.
    pub fn before(
        &self,
        before: impl FnMut(&Self, &str) -> Option<Result<Response, FetchError>> + Send + 'static,
    ) {
        self.state().before = Some(Box::new(before));
    }

    /// Answers truly again.
    pub fn mend(&self) {
        self.state().before = None;
    }

    /// What its API answers to `GET` of this path with its query.
    ///
    /// # Errors
    ///
    /// What [`GithubStandIn::before`] says.
    pub fn answer(&self, path: &str, authorization: Option<&str>) -> Result<Response, FetchError> {
        self.state().asked.push(path.to_owned());
        // Not held meanwhile: it may change the organization.
        let before = self.state().before.take();
        if let Some(mut before) = before {
            let instead = before(self, path);
            self.state().before.get_or_insert(before);
            if let Some(instead) = instead {
                return instead;
            }
        }
        if authorization != Some(&format!("Bearer {}", Self::TOKEN)) {
            return Ok(Response::new(401, r#"{"message":"Bad credentials"}"#));
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let items =
            path.strip_prefix(&format!("/organizations/{}/", self.id)).and_then(|rest| self.list(rest));
        let Some(items) = items else { return Ok(Response::new(404, r#"{"message":"Not Found"}"#)) };
        let number = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<usize>().ok())
        };
        let size = number("per_page").unwrap_or(30).min(self.page).max(1);
        let (page, last) = (number("page").unwrap_or(1).max(1), items.len().div_ceil(size));
        let shown: Vec<_> = items.into_iter().skip((page - 1) * size).take(size).collect();
        let response = Response::new(200, Value::Array(shown).to_string());
        let link = |page: usize, relation: &str| {
            format!("<https://api.github.com{path}?per_page={size}&page={page}>; rel=\"{relation}\"")
        };
        let links = match page < last {
            true => [link(page + 1, "next"), link(last, "last")].join(", "),
            false if page > 1 => link(1, "first"),
            false => return Ok(response),
        };
        Ok(response.with_header("link", &links))
    }

    fn list(&self, rest: &str) -> Option<Vec<Value>> {
        let state = self.state();
        let person =
            |id: &u64, login: &str| json!({ "login": login, "id": id, "type": "User", "site_admin": false });
        if rest == "members" {
            return Some(state.members.iter().map(|(id, login)| person(id, login)).collect());
        }
        if rest == "teams" {
            let team = |(id, team): (&u64, &Team)| json!({ "id": id, "name": team.slug, "slug": team.slug, "parent": null });
            return Some(state.teams.iter().map(team).collect());
        }
        let team = rest.strip_prefix("team/")?.strip_suffix("/members")?.parse::<u64>().ok()?;
        let members = &state.teams.get(&team)?.members;
        Some(members.iter().map(|id| person(id, state.members.get(id).map_or("", |login| login))).collect())
    }

    /// The payload of an `organization` event about somebody.
    pub fn member_payload(&self, action: &str, person: u64) -> String {
        let user = json!({ "login": format!("p{person}"), "id": person, "type": "User" });
        let membership = json!({ "state": "active", "role": "member", "user": user });
        json!({ "action": action, "membership": membership, "organization": self.organization(), "sender": user })
            .to_string()
    }

    /// The payload of a `membership` event about somebody in a team.
    pub fn team_member_payload(&self, action: &str, team: u64, person: u64) -> String {
        let member = json!({ "login": format!("p{person}"), "id": person, "type": "User" });
        let team = json!({ "name": format!("t{team}"), "id": team, "slug": format!("t{team}") });
        json!({
            "action": action, "scope": "team", "member": member, "team": team, "organization": self.organization(),
        })
        .to_string()
    }

    /// The payload of a `team` event.
    pub fn team_payload(&self, action: &str, team: u64) -> String {
        let team = json!({ "name": format!("t{team}"), "id": team, "slug": format!("t{team}") });
        json!({ "action": action, "team": team, "organization": self.organization() }).to_string()
    }

    fn organization(&self) -> Value {
        json!({ "login": format!("o{}", self.id), "id": self.id })
    }

    /// The `X-Hub-Signature-256` of a body.
    pub fn signature(secret: &str, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let digits =
            hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("sha256={digits}")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for GithubStandIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubStandIn").field("id", &self.id).finish_non_exhaustive()
    }
}

#[async_trait]
impl Fetch for GithubStandIn {
    async fn fetch(&self, request: &Request) -> Result<Response, FetchError> {
        let path = request.url().as_str().strip_prefix("https://api.github.com").unwrap_or_default();
        let authorization = request.headers().iter().find(|(name, _)| *name == "authorization");
        self.answer(path, authorization.map(|(_, value)| value.expose_secret()))
    }
}
