//! The people and groups that a workspace lists, each with what it gets.

use askama::Template;
use cachegate::{OrganizationView, WorkspaceView};
use cachegate_policy::{Listed, ListedParty, OpenTo};
use cachegate_storage::GroupRecord;
use cachegate_types::{AccessLevel, Action, ActionSet, GroupId, Resource, UserId};
use ring::digest::{SHA256, digest};

use super::{ROWS, Tabs, View, beside, done, here, here_in, member_name, rest, skipped, suggested};
use crate::app::{Answered, Call, Failure, see, sentence};
use crate::words;

/// The longest list, as the API has it.
const LONGEST: usize = 500;

/// What is given by name, beside a level.
const BY_NAME: [(Action, &str); 4] = [
    (Action::Publish, "publish releases, and withdraw them"),
    (Action::Replace, "overwrite what is stored"),
    (Action::Delete, "delete what is stored"),
    (Action::Administer, "manage the workspace: its tokens, settings and list"),
];

#[derive(Template)]
#[template(path = "listed.html")]
struct List<'a> {
    call: &'a Call,
    name: &'a str,
    action: String,
    settings: String,
    done: Option<&'static str>,
    problem: Option<String>,
    open: &'static str,
    /// What the forms are filled in over.
    seen: String,
    lines: Vec<Line>,
    next: Option<String>,
    /// What a new line gets unless something else is chosen.
    new: Rights,
    groups: Vec<(String, String)>,
    suggested: Vec<(String, String)>,
}

/// Somebody who is listed.
struct Line {
    /// As the forms name it.
    party: String,
    id: String,
    name: String,
    kind: &'static str,
    url: Option<String>,
    may: String,
    rights: Rights,
}

/// What a line gives, to be chosen.
struct Rights {
    levels: Vec<(&'static str, bool)>,
    by_name: Vec<(&'static str, &'static str, bool)>,
}

impl Rights {
    fn of(actions: ActionSet) -> Self {
        let held = actions.level();
        Self {
            levels: AccessLevel::ALL.into_iter().map(|level| (level.as_str(), level == held)).collect(),
            by_name: BY_NAME
                .into_iter()
                .map(|(action, told)| (action.as_str(), told, actions.contains(action)))
                .collect(),
        }
    }
}

pub(super) async fn serve(call: &Call, organization: &OrganizationView, act: Option<&str>) -> Answered {
    let workspace = call.workspace(organization).await?;
    if !workspace.actions.contains(Action::Administer) {
        return Err(Failure::denied(
            "The list of a workspace is for its organization's administrators.".to_owned(),
        ));
    }
    // Whoever administers a workspace alone names people and groups by their ids.
    let whole = call.administers(Resource::Organization(organization.record.id)).await?;
    let problem = match act {
        None => None,
        Some(act) => match change(call, &workspace, act).await {
            Ok(done) => return see(&here_in(organization, &workspace, View::Listed, &[("done", done)])),
            Err(failure) => Some(beside(failure)?),
        },
    };
    let groups = if whole {
        call.gate().groups(&call.by(), organization.record.id, call.now).await?
    } else {
        Vec::new()
    };
    let record = &workspace.record;
    let from = skipped(call);
    let mut lines = Vec::new();
    for one in record.listed.iter().skip(from).take(ROWS) {
        lines.push(line(call, organization, one, whole.then_some(&groups)).await?);
    }
    let unlisted = groups.iter().filter(|group| !lists(&record.listed, ListedParty::Group(group.id)));
    let main = List {
        call,
        name: record.name.as_str(),
        action: here_in(organization, &workspace, View::Listed, &[]),
        settings: here_in(organization, &workspace, View::Workspace, &[]),
        done: done(call),
        problem,
        open: match record.settings.open_to {
            OpenTo::Members => {
                "Every member of the organization gets read-write here already. The list adds to that."
            }
            OpenTo::Listed => words::open_to(OpenTo::Listed),
        },
        seen: seen(&record.listed),
        lines,
        next: rest(from, record.listed.len())
            .map(|next| here_in(organization, &workspace, View::Listed, &[("from", &next)])),
        new: Rights::of(if act == Some("add") { wanted(call) } else { AccessLevel::ReadWrite.actions() }),
        groups: unlisted.take(LONGEST).map(|one| (one.id.to_string(), one.name.to_string())).collect(),
        suggested: if whole { suggested(call, organization).await? } else { Vec::new() },
    };
    let tabs = Tabs::new(organization, View::Listed).in_workspace(&workspace);
    call.answer(main.problem.is_some(), "People and groups", &tabs, &main)
}

/// A line as it is shown; without `groups` to somebody who is not told of the organization's people.
async fn line(
    call: &Call,
    organization: &OrganizationView,
    listed: &Listed,
    groups: Option<&Vec<GroupRecord>>,
) -> Result<Line, Failure> {
    let (kind, id, name, url) = match listed.party {
        ListedParty::User(user) => {
            let name = match groups {
                Some(_) => member_name(call, organization, user).await?,
                None => Some(user.to_string()),
            };
            let name = name.unwrap_or_else(|| "somebody who is no member: gets nothing".to_owned());
            ("person", user.to_string(), name, None)
        }
        ListedParty::Group(group) => {
            let known = groups.and_then(|all| all.iter().find(|one| one.id == group));
            let name = match (known, groups) {
                (Some(known), _) => known.name.to_string(),
                (None, Some(_)) => "a group that is no more".to_owned(),
                (None, None) => group.to_string(),
            };
            let id = group.to_string();
            let url = known.map(|_| here(organization, View::Groups, &[("group", &id)]));
            ("group", id, name, url)
        }
    };
    Ok(Line {
        party: format!("{kind}:{id}"),
        id,
        name,
        kind,
        url,
        may: listed.actions.to_string(),
        rights: Rights::of(listed.actions),
    })
}

fn lists(listed: &[Listed], party: ListedParty) -> bool {
    listed.iter().any(|line| line.party == party)
}

/// The list as one short text, by which a form says what it was filled in over.
fn seen(listed: &[Listed]) -> String {
    let lines = listed.iter().map(|line| match line.party {
        ListedParty::User(user) => format!("person {user} {}\n", line.actions),
        ListedParty::Group(group) => format!("group {group} {}\n", line.actions),
    });
    let digest = digest(&SHA256, lines.collect::<String>().as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn change(call: &Call, workspace: &WorkspaceView, act: &str) -> Result<&'static str, Failure> {
    let record = &workspace.record;
    if call.value("seen") != seen(&record.listed) {
        return Err(Failure::form(
            "Somebody else changed this list meanwhile. Look at it as it is now, and try again.",
        ));
    }
    let party = party(call)?;
    let mut listed = record.listed.clone();
    let told = match act {
        "take-out" => {
            listed.retain(|line| line.party != party);
            "taken-out"
        }
        act => {
            let actions = wanted(call);
            if actions.is_empty() {
                return Err(Failure::form("Choose what they get, or take them out."));
            }
            let line = Listed { party, actions };
            match (act, listed.iter().position(|one| one.party == party)) {
                ("add", Some(_)) => {
                    return Err(Failure::form("They are listed already: change what they get there."));
                }
                ("add", None) if listed.len() >= LONGEST => {
                    return Err(Failure::form(format!(
                        "A workspace lists at most {LONGEST} people and groups."
                    )));
                }
                ("add", None) => listed.push(line),
                (_, Some(place)) => {
                    listed.retain(|one| one.party != party);
                    listed.insert(place.min(listed.len()), line);
                }
                (_, None) => return Err(Failure::form("They are listed no more.")),
            }
            if act == "add" { "added" } else { "saved" }
        }
    };
    call.gate().set_listed_over(&call.by(), record.id, &listed, Some(record), call.now).await?;
    Ok(told)
}

/// Whom a form names.
fn party(call: &Call) -> Result<ListedParty, Failure> {
    let unclear = || Failure::form("Name one person by their id, or choose one group.");
    let named = match call.value("party") {
        "" => (call.value("person"), call.value("group")),
        party => match party.split_once(':') {
            Some(("person", id)) => (id, ""),
            Some(("group", id)) => ("", id),
            _ => return Err(unclear()),
        },
    };
    Ok(match named {
        (user, "") if !user.is_empty() => {
            ListedParty::User(user.parse::<UserId>().map_err(|error| Failure::form(sentence(&error)))?)
        }
        ("", group) if !group.is_empty() => {
            ListedParty::Group(group.parse::<GroupId>().map_err(|error| Failure::form(sentence(&error)))?)
        }
        _ => return Err(unclear()),
    })
}

/// What a form gives.
fn wanted(call: &Call) -> ActionSet {
    let level = call.value("level").parse().unwrap_or(AccessLevel::None);
    let named = |(action, _): &(Action, &str)| call.form.all("actions").any(|name| name == action.as_str());
    let by_name: ActionSet = BY_NAME.iter().filter(|one| named(one)).map(|(action, _)| *action).collect();
    level.actions().union(by_name)
}
