//! What GitHub's API says of an organization: who is in it, and in its teams.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cachegate_fetch::{Fetch, Limits, Method, Request, Response, Url};
use cachegate_types::{SecretText, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::app::GithubToken;
use super::error::PullError;

/// So many are on one page: the most that GitHub gives.
const PAGE: usize = 100;

/// So many pages of one list are read: a hundred thousand members, or teams.
const MAX_PAGES: usize = 1000;

/// Ten seconds and a megabyte: what a page of a hundred needs, with room to spare.
const LIMITS: Limits = Limits { time: Duration::from_secs(10), body: 1024 * 1024 };

/// How long to wait where GitHub asks for a wait and does not say how long ("at least one minute").
const WAIT: Duration = Duration::from_secs(60);

/// The longest wait that GitHub is believed to ask for: its limits are by the hour.
const LONGEST_WAIT: Duration = Duration::from_secs(2 * 60 * 60);

/// Who is in an organization and in its teams, by numeric ids, as one complete pull read it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Snapshot {
    /// Each member, and what people call them.
    pub(super) members: BTreeMap<u64, String>,
    /// Each team.
    pub(super) teams: BTreeMap<u64, Team>,
}

/// A team, as one complete pull read it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Team {
    pub(super) slug: String,
    /// Those of its child teams included.
    pub(super) members: BTreeSet<u64>,
}

/// GitHub's API, as one organization's token sees it.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) fetch: Arc<dyn Fetch>,
    /// `https://api.github.com`, or `https://github.example/api/v3`.
    pub(super) base: Arc<str>,
    pub(super) token: GithubToken,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("base", &self.base).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Person {
    id: u64,
    login: String,
}

/// A token that GitHub made for an App.
#[derive(Deserialize)]
struct Made {
    token: String,
}

#[derive(Deserialize)]
struct ListedTeam {
    id: u64,
    slug: String,
}

impl Api {
    /// Reads all of it, or nothing.
    ///
    /// By the organization's id, as GitHub's own links from page to page do: between two questions a name can be given
    /// up and taken by others. The teams come first: they are listed to nobody who may not read members, while the list
    /// of members is quietly cut down to those who show themselves to everybody.
    pub(super) async fn read(&self, organization: u64, now: Timestamp) -> Result<Snapshot, PullError> {
        let token = &self.token(now).await?;
        let place = format!("organizations/{organization}");
        let teams: Vec<ListedTeam> = self.list(token, &format!("{place}/teams"), "teams", now).await?;
        let people: Vec<Person> = self.list(token, &format!("{place}/members"), "members", now).await?;
        // There is always an owner.
        if people.is_empty() {
            return Err(PullError::Garbage { what: "members" });
        }
        let mut snapshot = Snapshot::default();
        for person in people {
            snapshot.members.insert(known(person.id, "members")?, person.login);
        }
        for team in teams {
            let id = known(team.id, "teams")?;
            let path = format!("{place}/team/{id}/members");
            let people: Vec<Person> = self.list(token, &path, "a team's members", now).await?;
            let members = people.iter().map(|person| known(person.id, "a team's members"));
            let members = members.collect::<Result<_, _>>()?;
            snapshot.teams.insert(id, Team { slug: team.slug, members });
        }
        Ok(snapshot)
    }

    /// Every page of a list. The addresses of pages are our own: of GitHub's links it matters alone whether there is a
    /// next one, and which is the last.
    async fn list<T: DeserializeOwned>(
        &self,
        token: &SecretText,
        path: &str,
        what: &'static str,
        now: Timestamp,
    ) -> Result<Vec<T>, PullError> {
        let mut items = Vec::new();
        let mut last = 0;
        for page in 1..=MAX_PAGES {
            let url = self.url(&format!("{path}?per_page={PAGE}&page={page}"), what)?;
            let answer = self.ask(Request::get(url), token, what, now).await?;
            let garbage = PullError::Garbage { what };
            let Ok(found) = serde_json::from_slice::<Vec<T>>(answer.body()) else { return Err(garbage) };
            let count = found.len();
            items.extend(found);
            let links = Links::of(&answer);
            last = links.last.unwrap_or(0).max(last);
            let more = links.next || count >= PAGE;
            if more && count > 0 {
                continue;
            }
            // It ended earlier than it was announced to: half of a list is no list.
            let is_missing = count == 0 && page <= last;
            if links.next || page < last || is_missing {
                return Err(garbage);
            }
            return Ok(items);
        }
        Err(PullError::TooMany { what })
    }

    /// What the API is asked with during one pull.
    async fn token(&self, now: Timestamp) -> Result<SecretText, PullError> {
        let app = match &self.token {
            GithubToken::Plain(token) => return Ok(token.clone()),
            GithubToken::App(app) => app,
        };
        let what = "a token";
        let url = self.url(&format!("app/installations/{}/access_tokens", app.installation), what)?;
        // No more than is needed, whatever else the App may do.
        let body = SecretText::new(r#"{"permissions":{"members":"read"}}"#.to_owned());
        let request = Request::post(url, "application/json", body);
        let answer = self.ask(request, &app.jwt(now)?, what, now).await?;
        let made: Made = serde_json::from_slice(answer.body()).map_err(|_| PullError::Garbage { what })?;
        Ok(SecretText::new(made.token))
    }

    fn url(&self, path: &str, what: &'static str) -> Result<Url, PullError> {
        let url = Url::dangerous_parse_with_loopback_http(&format!("{}/{path}", self.base));
        url.map_err(|_| PullError::Garbage { what })
    }

    async fn ask(
        &self,
        request: Request,
        token: &SecretText,
        what: &'static str,
        now: Timestamp,
    ) -> Result<Response, PullError> {
        let header = |text: &str| SecretText::new(text.to_owned());
        let request = request
            .with_header("accept", header("application/vnd.github+json"))
            .with_header("authorization", SecretText::new(format!("Bearer {}", token.expose_secret())))
            .with_header("user-agent", header("cachegate"))
            .with_header("x-github-api-version", header("2022-11-28"))
            .with_limits(LIMITS);
        let wanted = match request.method() {
            Method::Get => 200,
            Method::Post => 201,
        };
        let answer = self.fetch.fetch(&request).await.map_err(|source| PullError::Unreachable { source })?;
        match answer.status() {
            status if status == wanted => Ok(answer),
            status => match wait(&answer, now) {
                Some(until) => Err(PullError::Limited { until }),
                None => Err(PullError::Status { status, what }),
            },
        }
    }
}

fn known(id: u64, what: &'static str) -> Result<u64, PullError> {
    if id == 0 { Err(PullError::Garbage { what }) } else { Ok(id) }
}

/// Until when GitHub asks not to be asked: `Retry-After`, or the reset of a limit that is used up.
fn wait(answer: &Response, now: Timestamp) -> Option<Timestamp> {
    if !matches!(answer.status(), 403 | 429 | 503) {
        return None;
    }
    let number = |name| answer.header(name).and_then(|text| text.trim().parse::<u32>().ok());
    let after = match (number("retry-after"), number("x-ratelimit-remaining"), number("x-ratelimit-reset")) {
        (Some(seconds), _, _) => i64::from(seconds),
        (None, Some(0), Some(reset)) => i64::from(reset) - now.as_unix_seconds(),
        (None, _, _) if answer.status() == 429 => 0,
        (None, _, _) => return None,
    };
    let after = u64::try_from(after).unwrap_or(0).clamp(1, LONGEST_WAIT.as_secs());
    let after = if answer.header("retry-after").is_none() { after.max(WAIT.as_secs()) } else { after };
    let at = i64::try_from(after).ok().and_then(|after| now.as_unix_seconds().checked_add(after))?;
    Some(Timestamp::from_unix_seconds(at).unwrap_or(Timestamp::MAX))
}

/// What a page says of the others (RFC 8288).
#[derive(Default)]
struct Links {
    next: bool,
    last: Option<usize>,
}

impl Links {
    fn of(answer: &Response) -> Self {
        let mut links = Self::default();
        for link in answer.header("link").unwrap_or_default().split(',') {
            let Some((target, parameters)) = link.split_once('>') else { continue };
            let is = |relation: &str| {
                parameters.split(';').any(|parameter| {
                    let value = parameter.trim().strip_prefix("rel=");
                    value.is_some_and(|value| value.trim_matches('"') == relation)
                })
            };
            links.next |= is("next");
            if is("last") {
                let query = target.split_once('?').map_or("", |(_, query)| query);
                let page = query.split('&').find_map(|pair| pair.strip_prefix("page="));
                links.last = page.and_then(|page| page.parse().ok());
            }
        }
        links
    }
}
