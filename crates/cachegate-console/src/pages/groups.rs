//! The groups of an organization, and who is in each.

use askama::Template;
use cachegate::{Made, OrganizationView, WorkspaceView};
use cachegate_policy::ListedParty;
use cachegate_storage::GroupRecord;
use cachegate_types::{GroupId, Name, UserId};

use super::{
    Confirm, ROWS, Step, Tabs, View, among, beside, done, here, member_name, rest, skipped, suggested,
};
use crate::app::{Answered, Call, Failure, see, sentence};
use crate::words;

/// The most people in a group, as the API has it.
const LARGEST: usize = 1000;

/// The most people that one form names.
const AT_ONCE: usize = 100;

#[derive(Template)]
#[template(path = "groups.html")]
struct Groups<'a> {
    call: &'a Call,
    organization: &'a str,
    action: String,
    done: Option<&'static str>,
    problem: Option<String>,
    groups: Vec<Group>,
    next: Option<String>,
    suggested: Vec<(String, String)>,
}

struct Group {
    id: String,
    name: String,
    url: String,
    members: usize,
}

#[derive(Template)]
#[template(path = "group.html")]
struct One<'a> {
    call: &'a Call,
    name: &'a str,
    id: String,
    list: String,
    action: String,
    done: Option<&'static str>,
    problem: Option<String>,
    confirm: Option<Confirm>,
    listed: Vec<String>,
    count: String,
    members: Vec<Member>,
    next: Option<String>,
    suggested: Vec<(String, String)>,
}

struct Member {
    id: String,
    /// `None`: no member of the organization.
    name: Option<String>,
}

pub(super) async fn serve(call: &Call, organization: &OrganizationView, act: Option<&str>) -> Answered {
    let all = call.gate().groups(&call.by(), organization.record.id, call.now).await?;
    match call.query.get("group") {
        Some(id) => {
            let id: GroupId = id.parse().map_err(|_| Failure::missing())?;
            let group = all.into_iter().find(|group| group.id == id).ok_or_else(Failure::missing)?;
            one(call, organization, group, act).await
        }
        None => list(call, organization, &all, act).await,
    }
}

fn url(organization: &OrganizationView, group: GroupId, more: &[(&str, &str)]) -> String {
    let id = group.to_string();
    let query = [&[("group", id.as_str())], more].concat();
    here(organization, View::Groups, &query)
}

async fn list(
    call: &Call,
    organization: &OrganizationView,
    all: &[GroupRecord],
    act: Option<&str>,
) -> Answered {
    let problem = match act {
        None => None,
        Some("create") => match create(call, organization).await {
            Ok(id) => return see(&url(organization, id, &[("done", "created")])),
            Err(failure) => Some(beside(failure)?),
        },
        Some(_) => return Err(Failure::missing()),
    };
    let from = skipped(call);
    let groups = all.iter().skip(from).take(ROWS).map(|group| Group {
        id: group.id.to_string(),
        name: group.name.to_string(),
        url: url(organization, group.id, &[]),
        members: group.members.len(),
    });
    let main = Groups {
        call,
        organization: organization.record.name.as_str(),
        action: here(organization, View::Groups, &[]),
        done: done(call),
        groups: groups.collect(),
        next: rest(from, all.len()).map(|next| here(organization, View::Groups, &[("from", &next)])),
        suggested: suggested(call, organization).await?,
        problem,
    };
    call.answer(main.problem.is_some(), "Groups", &Tabs::new(organization, View::Groups), &main)
}

async fn create(call: &Call, organization: &OrganizationView) -> Result<GroupId, Failure> {
    let (name, members) = (name(call)?, people(call, organization).await?);
    let id = organization.record.id;
    Ok(match call.gate().create_group(&call.by(), id, name, members, None, call.now).await? {
        Made::Now(record) | Made::Before(record) => record.id,
    })
}

fn name(call: &Call) -> Result<Name, Failure> {
    call.value("name").parse().map_err(|error| Failure::form(sentence(&error)))
}

/// The members of the organization whom a form names by their ids.
async fn people(call: &Call, organization: &OrganizationView) -> Result<Vec<UserId>, Failure> {
    let text = call.value("people");
    let ids = text.split(|letter: char| letter.is_whitespace() || letter == ',').filter(|id| !id.is_empty());
    let ids = ids.map(str::parse::<UserId>).take(AT_ONCE + 1).collect::<Result<Vec<_>, _>>();
    let ids = ids.map_err(|error| Failure::form(sentence(&error)))?;
    if ids.len() > AT_ONCE {
        return Err(Failure::form("Name a hundred people at once, and the others after them."));
    }
    for id in &ids {
        if member_name(call, organization, *id).await?.is_none() {
            return Err(Failure::form(format!(
                "{id} is no member of the organization: add them there first."
            )));
        }
    }
    Ok(ids)
}

async fn one(
    call: &Call,
    organization: &OrganizationView,
    group: GroupRecord,
    act: Option<&str>,
) -> Answered {
    let workspaces = call.workspaces(organization).await?;
    let listed = listed(&workspaces, group.id);
    let outcome = match act {
        None => Ok(Step::Show),
        Some("count-remove") => Ok(Step::Ask(removal(&group, &listed))),
        Some(act) => change(call, organization, &group, act).await.map(Step::Done),
    };
    let (mut confirm, mut problem) = (None, None);
    match outcome {
        Ok(Step::Show) => {}
        Ok(Step::Ask(asked)) => confirm = Some(asked),
        Ok(Step::Done(done @ "removed")) => return see(&here(organization, View::Groups, &[("done", done)])),
        Ok(Step::Done(done)) => return see(&url(organization, group.id, &[("done", done)])),
        Err(failure) => problem = Some(beside(failure)?),
    }
    let from = skipped(call);
    let mut members = Vec::new();
    for user in group.members.iter().skip(from).take(ROWS) {
        members.push(Member { id: user.to_string(), name: member_name(call, organization, *user).await? });
    }
    let main = One {
        call,
        name: group.name.as_str(),
        id: group.id.to_string(),
        list: here(organization, View::Groups, &[]),
        action: url(organization, group.id, &[]),
        done: done(call),
        problem,
        confirm,
        listed,
        count: words::people(group.members.len()),
        members,
        next: rest(from, group.members.len()).map(|next| url(organization, group.id, &[("from", &next)])),
        suggested: suggested(call, organization).await?,
    };
    call.answer(main.problem.is_some(), "Group", &Tabs::new(organization, View::Groups), &main)
}

/// The workspaces that list a group, each with what it gets there.
fn listed(workspaces: &[WorkspaceView], group: GroupId) -> Vec<String> {
    let lines = workspaces.iter().flat_map(|one| one.record.listed.iter().map(move |line| (one, line)));
    let lines = lines.filter(|(_, line)| line.party == ListedParty::Group(group));
    lines.map(|(one, line)| format!("{} ({})", one.record.name, line.actions)).collect()
}

fn removal(group: &GroupRecord, listed: &[String]) -> Confirm {
    let effects = vec![
        format!("It has {}. They stay in the organization.", words::people(group.members.len())),
        match listed {
            [] => "No workspace lists it: nobody loses anything.".to_owned(),
            listed => format!(
                "They lose what they get through it in {}. What else they may do stays.",
                among(listed)
            ),
        },
    ];
    Confirm {
        title: format!("Remove the group {}?", group.name),
        effects,
        act: "remove",
        label: "Remove",
        fields: Vec::new(),
    }
}

async fn change(
    call: &Call,
    organization: &OrganizationView,
    group: &GroupRecord,
    act: &str,
) -> Result<&'static str, Failure> {
    let (gate, by) = (call.gate(), call.by());
    let id = organization.record.id;
    let (mut new, mut members, mut told) = (group.name.clone(), group.members.clone(), "saved");
    match act {
        "rename" => new = name(call)?,
        "add" => {
            let people = people(call, organization).await?;
            if people.is_empty() {
                return Err(Failure::form("Name at least one person by their id."));
            }
            members.extend(people);
            members.sort_unstable();
            members.dedup();
            if members.len() > LARGEST {
                return Err(Failure::form(format!("A group has at most {LARGEST} members.")));
            }
            told = "added";
        }
        "take-out" => {
            let user: UserId = call.value("user").parse().map_err(|error| Failure::form(sentence(&error)))?;
            members.retain(|one| *one != user);
            told = "taken-out";
        }
        "remove" => {
            gate.remove_group(&by, id, group.id, call.now).await?;
            return Ok("removed");
        }
        _ => return Err(Failure::missing()),
    }
    gate.set_group(&by, id, group.id, new, members, call.now).await?;
    Ok(told)
}
