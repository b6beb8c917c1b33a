//! Tokens: device tokens of an organization, CI tokens of a workspace, personal tokens of a person. One list, one form
//! and one page each, alike for the three.

use std::time::Duration;

use askama::Template;
use cachegate::{
    DEVICE_TOKEN_LIFE, DeviceAccess, Issued, Made, Once, OrganizationView, PersonalForm, TokenSpec,
    TokenState, TokenView, WorkspaceView,
};
use cachegate_storage::{ReleaseRecord, TokenFilter, TokenKind};
use cachegate_types::{
    AccessLevel, ActionSet, Description, Lane, Principal, Timestamp, TokenId, UserId, VersionRequirement,
};
use ring::rand::{SecureRandom, SystemRandom};

use super::setup::{Tool, tools};
use super::{ROWS, Tabs, View, beside, done, here, here_in};
use crate::app::{Answered, Call, Failure, see, sentence};
use crate::fields::address;
use crate::words;

/// What the forms of these pages do.
pub(crate) const ACTS: &[&str] = &["create", "preview", "rotate", "revoke"];

/// The most releases that a requirement is shown with.
const SHOWN_RELEASES: usize = 20;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Whose tokens.
pub(crate) enum Place {
    /// An organization's device tokens.
    Device(OrganizationView),
    /// A workspace's CI tokens.
    Ci(OrganizationView, Box<WorkspaceView>),
    /// The personal tokens of who is signed in.
    Personal(UserId),
}

impl Place {
    fn url(&self, more: &[(&str, &str)]) -> String {
        match self {
            Self::Device(organization) => here(organization, View::DeviceTokens, more),
            Self::Ci(organization, workspace) => here_in(organization, workspace, View::CiTokens, more),
            Self::Personal(_) => address("/account", more),
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Device(_) => "Device tokens",
            Self::Ci(..) => "CI tokens",
            Self::Personal(_) => "Personal tokens",
        }
    }

    fn tabs(&self) -> Option<Tabs<'_>> {
        match self {
            Self::Device(organization) => Some(Tabs::new(organization, View::DeviceTokens)),
            Self::Ci(organization, workspace) => {
                Some(Tabs::new(organization, View::CiTokens).in_workspace(workspace))
            }
            Self::Personal(_) => None,
        }
    }

    fn kind(&self) -> TokenKind {
        match self {
            Self::Device(_) => TokenKind::Device,
            Self::Ci(..) => TokenKind::Ci,
            Self::Personal(_) => TokenKind::Personal,
        }
    }

    pub(crate) fn filter(&self, kind: TokenKind, live_at: Option<Timestamp>) -> TokenFilter {
        let kind = Some(kind);
        match self {
            Self::Device(organization) => TokenFilter {
                organization: Some(organization.record.id),
                kind,
                live_at,
                ..TokenFilter::default()
            },
            Self::Ci(_, workspace) => {
                TokenFilter { workspace: Some(workspace.record.id), kind, live_at, ..TokenFilter::default() }
            }
            Self::Personal(user) => {
                TokenFilter { owner: Some(Principal::User(*user)), kind, live_at, ..TokenFilter::default() }
            }
        }
    }

    /// Whether this token is one of these.
    fn holds(&self, view: &TokenView) -> bool {
        let record = &view.record;
        match self {
            Self::Device(organization) => {
                record.kind == TokenKind::Device && record.organization == Some(organization.record.id)
            }
            Self::Ci(_, workspace) => {
                record.kind == TokenKind::Ci && record.workspace == Some(workspace.record.id)
            }
            Self::Personal(user) => record.owner == Principal::User(*user),
        }
    }
}

/// A row of a list.
pub(crate) struct Row {
    id: String,
    description: String,
    kind: String,
    issued: String,
    expires: Option<String>,
    used: Option<String>,
    state: String,
    live: bool,
    /// Whether it is the session of who looks.
    here: bool,
    url: String,
}

impl Row {
    fn of(call: &Call, view: &TokenView, url: String) -> Self {
        let record = &view.record;
        Self {
            id: record.id.to_string(),
            description: words::shown(record.description.as_str()),
            kind: words::kind(record),
            issued: words::moment(record.issued_at),
            expires: record.expires_at.map(words::moment),
            used: record.last_used.map(words::moment),
            state: words::shown(&words::state(&view.state)),
            live: view.state == TokenState::Live,
            here: record.id == call.session(),
            url,
        }
    }
}

/// A list of tokens, to be part of a page.
#[derive(Template)]
#[template(path = "token-rows.html")]
pub(crate) struct Rows {
    caption: &'static str,
    rows: Vec<Row>,
    next: Option<String>,
}

/// The tokens of a place, one page of them.
pub(crate) async fn rows(
    call: &Call,
    place: &Place,
    kind: TokenKind,
    caption: &'static str,
    limit: usize,
) -> Result<Rows, Failure> {
    let all = call.value("show") == "all";
    let cursor = format!("after-{}", kind.as_str());
    let after = call.query.get(&cursor).and_then(|text| text.parse().ok());
    let filter = place.filter(kind, (!all).then_some(call.now));
    let page = call.gate().token_page(&call.by(), &filter, after, limit, call.now).await?;
    let url = |id: TokenId| place.url(&[("token", &id.to_string())]);
    let show = if all { "all" } else { "" };
    Ok(Rows {
        caption,
        rows: page.items.iter().map(|view| Row::of(call, view, url(view.record.id))).collect(),
        next: page.next.map(|next| place.url(&[("show", show), (cursor.as_str(), &next.to_string())])),
    })
}

/// Logins in a terminal: of each line of rotations the newest token.
pub(crate) async fn terminals(call: &Call, place: &Place, limit: usize) -> Result<Rows, Failure> {
    let mut after = call.query.get("after-refresh").and_then(|text| text.parse().ok());
    let filter = place.filter(TokenKind::Refresh, Some(call.now));
    let mut found = Vec::new();
    loop {
        let page = call.gate().tokens(&call.by(), &filter, after, 1000, call.now).await?;
        after = page.last().map(|last| last.id).filter(|_| page.len() == 1000);
        found.extend(page.into_iter().filter(|record| record.superseded.is_none()).map(|record| record.id));
        if found.len() > limit || after.is_none() {
            break;
        }
    }
    let next = found.get(limit - 1).filter(|_| found.len() > limit).map(ToString::to_string);
    found.truncate(limit);
    let mut rows = Vec::with_capacity(found.len());
    for id in found {
        let view = call.gate().token(&call.by(), id, call.now).await?;
        rows.push(Row::of(call, &view, place.url(&[("token", &id.to_string())])));
    }
    let next = next.map(|next| place.url(&[("after-refresh", next.as_str())]));
    Ok(Rows { caption: "Logins in a terminal", rows, next })
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct List<'a> {
    title: &'static str,
    about: &'static str,
    done: Option<&'static str>,
    new: Vec<(&'static str, String)>,
    all: bool,
    other: String,
    rows: &'a Rows,
}

/// A page of these tokens, and what its forms do.
pub(crate) async fn serve(call: &Call, place: &Place, act: Option<&str>) -> Answered {
    match act {
        None => {
            if let Some(id) = call.query.get("token") {
                let view = find(call, place, id).await?;
                return one(call, place, &view, None).await;
            }
            match call.query.get("new") {
                Some(kind) => form(call, place, kind, None).await,
                None => list(call, place).await,
            }
        }
        Some("create") => create(call, place).await,
        Some("preview") => form(call, place, call.value("new"), None).await,
        Some("rotate") => rotate(call, place).await,
        Some("revoke") => revoke(call, place).await,
        Some(_) => Err(Failure::missing()),
    }
}

/// What is made from here: a label, and where its form is.
pub(crate) fn offers(place: &Place) -> Vec<(&'static str, String)> {
    let kinds: &[(&str, &str)] = match place {
        Place::Device(_) => &[("New token", "normal")],
        Place::Ci(..) => &[("New token", "ci")],
        Place::Personal(_) => &[("New personal token", "personal")],
    };
    kinds.iter().map(|(label, kind)| (*label, place.url(&[("new", kind)]))).collect()
}

async fn list(call: &Call, place: &Place) -> Answered {
    let rows = rows(call, place, place.kind(), place.title(), ROWS).await?;
    let all = call.value("show") == "all";
    let main = List {
        title: place.title(),
        about: match place {
            Place::Device(_) => {
                "For devices, runners and servers. Each belongs to the organization, and lives 90 days at most."
            }
            Place::Ci(..) => {
                "For the builds of this workspace. Each writes one lane, and nothing chooses another."
            }
            Place::Personal(_) => "They do what you may do at the moment of use, and no more.",
        },
        done: done(call),
        new: offers(place),
        all,
        other: place.url(&[("show", if all { "" } else { "all" })]),
        rows: &rows,
    };
    call.page(place.title(), place.tabs().as_ref(), &main)
}

/// The token of this id, if it is one of these.
async fn find(call: &Call, place: &Place, id: &str) -> Result<TokenView, Failure> {
    let id = id.parse().map_err(|_| Failure::missing())?;
    let view = call.gate().token(&call.by(), id, call.now).await?;
    if place.holds(&view) { Ok(view) } else { Err(Failure::missing()) }
}

#[derive(Template)]
#[template(path = "token.html")]
struct One<'a> {
    call: &'a Call,
    row: Row,
    title: &'static str,
    list: String,
    action: String,
    created_by: String,
    rights: Option<Rights>,
    rotates: bool,
    successor: Option<String>,
    problem: Option<String>,
    tools: Vec<Tool>,
}

/// What a token may do.
struct Rights {
    actions: String,
    reads: Vec<String>,
    writes: Option<String>,
    locked: bool,
}

async fn one(call: &Call, place: &Place, view: &TokenView, problem: Option<String>) -> Answered {
    let record = &view.record;
    let live = view.state == TokenState::Live;
    // A person's own token is in no place of its own, so that nothing can be said of one.
    let rights = match place {
        Place::Device(_) | Place::Ci(..) if live => {
            let rights = call.gate().explain_token(&call.by(), record.id, None, call.now).await?;
            Some(Rights {
                actions: rights.actions.to_string(),
                reads: rights.reads.iter().map(|lane| words::shown(&lane.to_string())).collect(),
                writes: rights.writes.map(|lane| words::shown(&lane.to_string())),
                locked: !rights.locks.is_empty(),
            })
        }
        Place::Device(_) | Place::Ci(..) | Place::Personal(_) => None,
    };
    let wrong = problem.is_some();
    let main = One {
        call,
        row: Row::of(call, view, place.url(&[("token", &record.id.to_string())])),
        title: place.title(),
        list: place.url(&[]),
        action: place.url(&[]),
        created_by: if record.created_by == *call.who().principal() {
            "you".to_owned()
        } else {
            words::principal(&record.created_by)
        },
        rights,
        rotates: live
            && record.superseded.is_none()
            && matches!(record.kind, TokenKind::Ci | TokenKind::Device | TokenKind::Personal),
        successor: record.superseded.map(|superseded| {
            let until = words::moment(superseded.overlap_until);
            format!("{} replaces it; it still counts until {until}.", superseded.by)
        }),
        problem,
        tools: setup(call, place, "TOKEN").await?,
    };
    let tabs = place.tabs();
    if wrong { call.again("Token", tabs.as_ref(), &main) } else { call.page("Token", tabs.as_ref(), &main) }
}

/// What is pasted into each build tool, for tokens of this place.
async fn setup(call: &Call, place: &Place, token: &str) -> Result<Vec<Tool>, Failure> {
    let Some(base) = call.app.protocols.as_deref() else { return Ok(Vec::new()) };
    Ok(match place {
        Place::Ci(organization, workspace) => {
            tools(base, organization.record.name.as_str(), workspace.record.name.as_str(), token)
        }
        Place::Device(organization) => {
            let found = call.workspaces(organization).await?;
            let workspace = found.first().map_or("WORKSPACE", |found| found.record.name.as_str());
            let all = tools(base, organization.record.name.as_str(), workspace, token);
            all.into_iter().filter(|tool| tool.name == "Nix").collect()
        }
        Place::Personal(_) => tools(base, "ORGANIZATION", "WORKSPACE", token),
    })
}

/// A choice among several.
struct Choice {
    value: String,
    label: String,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "token-new.html")]
struct New<'a> {
    call: &'a Call,
    title: &'static str,
    list: String,
    action: String,
    kind: &'a str,
    /// The other types that there are, with where their forms are.
    kinds: Vec<(&'static str, &'static str, String)>,
    problem: Option<String>,
    description: String,
    days: String,
    longest: String,
    once: String,
    workspaces: Vec<Choice>,
    requirement: String,
    matching: Option<Matching>,
    closure: bool,
    levels: Vec<Choice>,
    lane: String,
    jwt: bool,
}

/// The releases that a requirement matches.
struct Matching {
    problem: Option<String>,
    versions: Vec<String>,
    more: bool,
    highest: Option<String>,
}

async fn form(call: &Call, place: &Place, kind: &str, problem: Option<String>) -> Answered {
    let fits = match place {
        Place::Device(_) => matches!(kind, "normal" | "resolve-only"),
        Place::Ci(..) => kind == "ci",
        Place::Personal(_) => kind == "personal",
    };
    if !fits {
        return Err(Failure::missing());
    }
    // Whoever may not make one is told so before they fill in a form.
    call.gate().token_page(&call.by(), &place.filter(place.kind(), None), None, 1, call.now).await?;
    let longest = match place {
        Place::Device(_) => Some(DEVICE_TOKEN_LIFE),
        Place::Ci(_, workspace) => {
            call.gate().longest_life(&call.by(), Some(workspace.record.id), call.now).await?
        }
        Place::Personal(_) => call.gate().longest_life(&call.by(), None, call.now).await?,
    };
    let mut workspaces = Vec::new();
    let mut matching = None;
    if let (Place::Device(organization), "resolve-only") = (place, kind) {
        let found = call.workspaces(organization).await?;
        let chosen = found.iter().find(|found| found.record.name.as_str() == call.value("project"));
        let chosen = chosen.or(found.first());
        if let Some(chosen) = chosen {
            matching = Some(matching_releases(call, chosen, call.value("requirement")).await?);
        }
        let is_chosen = |one: &WorkspaceView| chosen.is_some_and(|chosen| chosen.record.id == one.record.id);
        workspaces = found
            .iter()
            .map(|one| Choice {
                value: one.record.name.to_string(),
                label: one.record.name.to_string(),
                chosen: is_chosen(one),
            })
            .collect();
    }
    let levels: &[(&str, &str)] = match place {
        Place::Ci(..) => &[
            ("read-write", "read-write: reads its lane and those above, writes its lane"),
            ("read-only", "read-only: reads, and its writes are refused"),
        ],
        Place::Personal(_) => &[
            ("read-write", "read-write: reads and stores"),
            ("read-only", "read-only: reads"),
            ("everything", "everything that you may, managing included"),
        ],
        Place::Device(_) => &[],
    };
    let chosen = Some(call.value("level")).filter(|level| !level.is_empty()).unwrap_or("read-write");
    let once = Some(call.value("once")).filter(|once| !once.is_empty());
    let wrong = problem.is_some();
    let main = New {
        call,
        title: place.title(),
        list: place.url(&[]),
        action: place.url(&[("new", kind)]),
        kind,
        kinds: match place {
            Place::Device(_) => vec![
                ("normal", "Normal", place.url(&[("new", "normal")])),
                ("resolve-only", "Resolve-only", place.url(&[("new", "resolve-only")])),
            ],
            Place::Ci(..) | Place::Personal(_) => Vec::new(),
        },
        problem,
        description: words::shown(call.value("description")),
        days: call.value("days").to_owned(),
        longest: match longest.map(words::span) {
            Some((number, unit)) => format!("{number} {unit} at most, which is what an empty field says."),
            None => "Empty: until it is revoked.".to_owned(),
        },
        once: match once {
            Some(once) => once.to_owned(),
            None => random_text()?,
        },
        workspaces,
        requirement: call.value("requirement").to_owned(),
        matching,
        closure: call.value("closure") == "read",
        levels: levels
            .iter()
            .map(|(value, label)| Choice {
                value: (*value).to_owned(),
                label: (*label).to_owned(),
                chosen: *value == chosen,
            })
            .collect(),
        lane: Some(call.value("lane")).filter(|lane| !lane.is_empty()).unwrap_or("main").to_owned(),
        jwt: call.value("form") == "jwt",
    };
    let tabs = place.tabs();
    if wrong {
        call.again("New token", tabs.as_ref(), &main)
    } else {
        call.page("New token", tabs.as_ref(), &main)
    }
}

async fn matching_releases(
    call: &Call,
    workspace: &WorkspaceView,
    requirement: &str,
) -> Result<Matching, Failure> {
    let none = |problem| Matching { problem, versions: Vec::new(), more: false, highest: None };
    if requirement.is_empty() {
        return Ok(none(None));
    }
    let requirement: VersionRequirement = match requirement.parse() {
        Ok(requirement) => requirement,
        Err(error) => return Ok(none(Some(sentence(&error)))),
    };
    let (mut found, mut after) = (Vec::<ReleaseRecord>::new(), None);
    loop {
        let by = call.by();
        let page = call.gate().releases(&by, workspace.record.id, after.as_ref(), 1000, call.now).await?;
        let fits = |one: &ReleaseRecord| one.yanked_at.is_none() && requirement.matches(&one.version);
        found.extend(page.items.into_iter().filter(fits));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let newest = found.iter().rev().take(SHOWN_RELEASES);
    Ok(Matching {
        problem: None,
        versions: newest.map(|release| release.version.to_string()).collect(),
        more: found.len() > SHOWN_RELEASES,
        highest: found.last().map(|release| release.version.to_string()),
    })
}

/// Sixteen random bytes as text: by it a form that is sent twice is done once.
fn random_text() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Failure::unavailable())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[derive(Template)]
#[template(path = "token-made.html")]
struct Shown<'a> {
    title: &'static str,
    list: String,
    /// The token: here and nowhere else.
    token: &'a str,
    row: Row,
    tools: Vec<Tool>,
}

async fn create(call: &Call, place: &Place) -> Answered {
    let kind = call.value("new");
    match made(call, place, kind).await {
        Ok(Made::Now(issued)) => shown(call, place, &issued).await,
        Ok(Made::Before(id)) => see(&place.url(&[("token", &id.to_string())])),
        Err(failure) => form(call, place, kind, Some(beside(failure)?)).await,
    }
}

async fn shown(call: &Call, place: &Place, issued: &Issued) -> Answered {
    let id = issued.record.id.to_string();
    let view = TokenView { record: issued.record.clone(), state: TokenState::Live };
    let token = issued.token.expose_secret();
    let main = Shown {
        title: place.title(),
        list: place.url(&[]),
        token,
        row: Row::of(call, &view, place.url(&[("token", &id)])),
        tools: setup(call, place, token).await?,
    };
    call.page("Your new token", place.tabs().as_ref(), &main)
}

async fn made(call: &Call, place: &Place, kind: &str) -> Result<Made<Issued, TokenId>, Failure> {
    let description = description(call)?;
    let days = match call.value("days") {
        "" => None,
        text => Some(text.parse::<u32>().ok().filter(|days| (1..=3650).contains(days)).ok_or_else(|| {
            Failure::form("A life is a number of days, from 1 to 3650; leave it empty for the longest.")
        })?),
    };
    let spec = spec(call, place, kind).await?;
    let key = call.value("once");
    let request = [place.url(&[]), kind.to_owned(), description.to_string()].join("\0");
    let once = (!key.is_empty()).then_some(Once { key, request: request.as_bytes() });
    let life = days.map(|days| DAY * days);
    let made = call.gate().issue_once(&call.by(), &spec, description, life, once.as_ref(), call.now).await?;
    Ok(match made {
        Made::Now(issued) => Made::Now(issued),
        Made::Before(record) => Made::Before(record.id),
    })
}

pub(super) fn description(call: &Call) -> Result<Description, Failure> {
    call.value("description").parse().map_err(|error| Failure::form(sentence(&error)))
}

async fn spec(call: &Call, place: &Place, kind: &str) -> Result<TokenSpec, Failure> {
    Ok(match (place, kind) {
        (Place::Device(organization), "normal") => {
            TokenSpec::Device { organization: organization.record.id, access: DeviceAccess::Normal }
        }
        (Place::Device(organization), "resolve-only") => {
            let found = call.workspaces(organization).await?;
            let chosen = found.iter().find(|found| found.record.name.as_str() == call.value("project"));
            let chosen = chosen.ok_or_else(|| Failure::form("Choose a workspace."))?;
            let requirement = match call.value("requirement") {
                "" => return Err(Failure::form("Say which versions: `*` is all of them.")),
                text => text.parse().map_err(|error| Failure::form(sentence(&error)))?,
            };
            let access = DeviceAccess::ResolveOnly {
                workspace: chosen.record.id,
                requirement,
                reads_closures: call.value("closure") == "read",
            };
            TokenSpec::Device { organization: organization.record.id, access }
        }
        (Place::Ci(_, workspace), "ci") => {
            let level = match call.value("level") {
                "read-only" => AccessLevel::ReadOnly,
                "read-write" => AccessLevel::ReadWrite,
                _ => return Err(Failure::form("Choose what it may do.")),
            };
            let lane: Lane = call.value("lane").parse().map_err(|error| Failure::form(sentence(&error)))?;
            TokenSpec::Ci { workspace: workspace.record.id, level, lane }
        }
        (Place::Personal(owner), "personal") => {
            let actions = match call.value("level") {
                "read-only" => AccessLevel::ReadOnly.actions(),
                "read-write" => AccessLevel::ReadWrite.actions(),
                "everything" => {
                    call.who().restrictions().iter().fold(ActionSet::ALL, |left, one| match one {
                        cachegate_types::Restriction::Actions(actions) => left.intersection(*actions),
                        _ => left,
                    })
                }
                _ => return Err(Failure::form("Choose what it may do.")),
            };
            let form = if call.value("form") == "jwt" { PersonalForm::Jwt } else { PersonalForm::Opaque };
            TokenSpec::Personal { owner: *owner, actions, form }
        }
        _ => return Err(Failure::missing()),
    })
}

async fn rotate(call: &Call, place: &Place) -> Answered {
    let view = find(call, place, call.value("token")).await?;
    let hours: Option<u64> = call.value("overlap").parse().ok().filter(|hours| *hours <= 720);
    let rotated = match hours {
        None => Err(Failure::form("The overlap is a number of hours, from 0 to 720.")),
        Some(hours) => {
            let overlap = Duration::from_secs(hours * 60 * 60);
            let id = view.record.id;
            call.gate().rotate(&call.by(), id, overlap, None, call.now).await.map_err(Failure::from)
        }
    };
    match rotated {
        Ok(issued) => shown(call, place, &issued).await,
        Err(failure) => one(call, place, &view, Some(beside(failure)?)).await,
    }
}

async fn revoke(call: &Call, place: &Place) -> Answered {
    let view = find(call, place, call.value("token")).await?;
    let reason = match call.value("reason") {
        "" => Ok("revoked in the console".parse().unwrap_or_default()),
        text => text.parse::<Description>().map_err(|error| Failure::form(sentence(&error))),
    };
    let revoked = match reason {
        Ok(reason) => {
            call.gate().revoke(&call.by(), view.record.id, reason, call.now).await.map_err(Failure::from)
        }
        Err(failure) => Err(failure),
    };
    match revoked {
        Ok(_) => see(&place.url(&[("done", "revoked")])),
        Err(failure) => one(call, place, &view, Some(beside(failure)?)).await,
    }
}
