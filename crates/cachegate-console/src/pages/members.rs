//! The members of an organization, with their roles.

use askama::Template;
use cachegate::{Departure, DyingToken, ManageError, OrganizationView, Source};
use cachegate_storage::TokenKind;
use cachegate_types::{Principal, Role, UserId};

use super::{ROWS, Tabs, View, among, beside, done, here, here_in};
use crate::app::{Answered, Call, Failure, see, sentence};
use crate::words;

/// The most tokens of each kind that a departure is told with.
const TOLD: usize = ROWS / 2;

#[derive(Template)]
#[template(path = "members.html")]
struct Members<'a> {
    call: &'a Call,
    organization: &'a str,
    action: String,
    done: Option<&'static str>,
    problem: Option<String>,
    members: Vec<Member>,
    next: Option<String>,
}

struct Member {
    id: String,
    name: String,
    groups: usize,
    you: bool,
    roles: [(&'static str, bool); 3],
}

pub(super) async fn serve(call: &Call, organization: &OrganizationView, act: Option<&str>) -> Answered {
    let outcome = match act {
        None => Ok(None),
        Some("set") => set(call, organization).await.map(|()| None),
        Some(act) => leave(call, organization, act == "remove").await.map(Some),
    };
    let problem = match (outcome, act) {
        (Ok(Some(answered)), _) => return Ok(answered),
        (Ok(None), Some(_)) => return see(&here(organization, View::Members, &[("done", "saved")])),
        (Ok(None), None) => None,
        (Err(failure), _) => Some(beside(failure)?),
    };
    let after = call.query.get("after").and_then(|text| text.parse().ok());
    let id = organization.record.id;
    let page = call.gate().members(&call.by(), id, after, ROWS, call.now).await?;
    let members = page.items.iter().map(|one| {
        let (user, role) = (one.membership.member.user, one.membership.member.role);
        Member {
            id: user.to_string(),
            name: words::shown(one.person.display.as_str()),
            groups: one.membership.groups.len(),
            you: *call.who().principal() == Principal::User(user),
            roles: Role::ALL.map(|one| (one.as_str(), one == role)),
        }
    });
    let main = Members {
        call,
        organization: organization.record.name.as_str(),
        action: here(organization, View::Members, &[]),
        done: done(call),
        problem,
        members: members.collect(),
        next: page.next.map(|next| here(organization, View::Members, &[("after", &next.to_string())])),
    };
    call.answer(main.problem.is_some(), "Members", &Tabs::new(organization, View::Members), &main)
}

async fn set(call: &Call, organization: &OrganizationView) -> Result<(), Failure> {
    let user = user(call)?;
    let role: Role = call.value("role").parse().map_err(|_| Failure::form("Choose a role."))?;
    call.gate().set_member(&call.by(), organization.record.id, user, role, call.now).await?;
    Ok(())
}

fn user(call: &Call) -> Result<UserId, Failure> {
    call.value("user").parse().map_err(|error| Failure::form(sentence(&error)))
}

#[derive(Template)]
#[template(path = "departure.html")]
struct Leaving<'a> {
    call: &'a Call,
    list: String,
    action: String,
    title: String,
    left: bool,
    id: String,
    effects: Vec<String>,
    dying: Vec<Dying>,
    staying: Vec<Staying>,
    /// Whether not all of them are shown.
    cut: bool,
}

/// A token of theirs that the organization refuses from then on.
struct Dying {
    id: String,
    kind: &'static str,
    issued: String,
    expires: String,
    used: String,
}

/// A token of the organization that they made.
struct Staying {
    id: String,
    description: String,
    kind: String,
    owner: String,
    url: Option<String>,
}

/// What it does, or has done, that a member leaves.
async fn leave(call: &Call, organization: &OrganizationView, now: bool) -> Answered {
    let (gate, source, id) = (call.gate(), Source::By(call.by()), organization.record.id);
    let user = user(call)?;
    let departure = if now {
        gate.leave(&source, id, user, call.now).await
    } else {
        gate.departure(&source, id, user, call.now).await
    };
    // Whoever was never seen and whoever is no member are told alike.
    let departure = match departure {
        Ok(departure) if departure.role.is_some() => departure,
        Ok(_) | Err(ManageError::Missing { .. }) => {
            return Err(Failure::form("They are no member of the organization."));
        }
        Err(error) => return Err(error.into()),
    };
    // What an administrator may not do is told before it is asked for.
    if departure.role == Some(Role::Owner) && organization.role != Some(Role::Owner) {
        return Err(Failure::denied("Only an owner decides who is an owner.".to_owned()));
    }
    let name = match departure.person.display.as_str() {
        "" if now => "This person".to_owned(),
        "" => "this person".to_owned(),
        name => words::shown(name),
    };
    let place = organization.record.name.as_str();
    let tabs = Tabs::new(organization, View::Members);
    let main = Leaving {
        call,
        list: here(organization, View::Members, &[]),
        action: here(organization, View::Members, &[]),
        title: if now { format!("{name} has left {place}") } else { format!("Remove {name} from {place}?") },
        left: now,
        id: user.to_string(),
        effects: effects(call, organization, &departure, now).await?,
        dying: departure.dying.iter().take(TOLD).map(dying).collect(),
        staying: staying(call, organization, &departure).await?,
        cut: departure.more || departure.dying.len().max(departure.staying.len()) > TOLD,
    };
    call.page(&main.title, Some(&tabs), &main)
}

async fn effects(
    call: &Call,
    organization: &OrganizationView,
    departure: &Departure,
    left: bool,
) -> Result<Vec<String>, Failure> {
    let more = if departure.more { " or more" } else { "" };
    let (dying, staying) = (departure.dying.len(), departure.staying.len());
    let mut effects = vec![
        format!("Their own tokens that are refused here from then on: {dying}{more}. Elsewhere they go on."),
        format!(
            "Tokens of the organization that they made: {staying}{more}. These stay: rotate or revoke what they may know."
        ),
    ];
    if !departure.groups.is_empty() {
        let all = call.gate().groups(&call.by(), organization.record.id, call.now).await;
        // Whoever removed themselves is told no more of it than how many.
        let names = all.unwrap_or_default().into_iter().filter(|one| departure.groups.contains(&one.id));
        let names: Vec<String> = names.map(|group| group.name.to_string()).collect();
        let told = if names.is_empty() { departure.groups.len().to_string() } else { among(&names) };
        effects.push(format!("Groups that they are taken off: {told}."));
    }
    if left {
        return Ok(effects);
    }
    effects.push("Whoever comes back later begins anew: tokens of now stay refused.".to_owned());
    if *call.who().principal() == Principal::User(departure.person.id) {
        effects.push("This is you: you see nothing of the organization afterwards.".to_owned());
    }
    if departure.role == Some(Role::Owner) && !has_another_owner(call, organization, departure).await? {
        effects
            .push("They are its last owner: only whoever runs the server could make another one.".to_owned());
    }
    Ok(effects)
}

async fn has_another_owner(
    call: &Call,
    organization: &OrganizationView,
    departure: &Departure,
) -> Result<bool, Failure> {
    let mut after = None;
    loop {
        let id = organization.record.id;
        let page = call.gate().members(&call.by(), id, after, 1000, call.now).await?;
        let mut members = page.items.iter().map(|one| &one.membership.member);
        if members.any(|one| one.role == Role::Owner && one.user != departure.person.id) {
            return Ok(true);
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(false),
        }
    }
}

fn dying(token: &DyingToken) -> Dying {
    Dying {
        id: token.id.to_string(),
        kind: words::kind_name(token.kind),
        issued: words::moment(token.issued_at),
        expires: token.expires_at.map_or_else(|| "when revoked".to_owned(), words::moment),
        used: token.last_used.map_or_else(|| "not yet".to_owned(), words::moment),
    }
}

async fn staying(
    call: &Call,
    organization: &OrganizationView,
    departure: &Departure,
) -> Result<Vec<Staying>, Failure> {
    let workspaces = call.workspaces(organization).await.unwrap_or_default();
    let told = departure.staying.iter().take(TOLD).map(|record| {
        let id = record.id.to_string();
        let at = record.workspace.and_then(|id| workspaces.iter().find(|one| one.record.id == id));
        let token = [("token", id.as_str())];
        Staying {
            description: words::named_token(record.description.as_str()),
            kind: format!("{}, {}", record.kind.as_str(), words::kind(record)),
            owner: match (&record.owner, at) {
                (Principal::Ci(_), Some(at)) => format!("workspace {}", at.record.name),
                (Principal::Device(_), _) => format!("organization {}", organization.record.name),
                (other, _) => words::principal(other),
            },
            url: match (record.kind, at) {
                (TokenKind::Device, _) => Some(here(organization, View::DeviceTokens, &token)),
                (TokenKind::Ci, Some(at)) => Some(here_in(organization, at, View::CiTokens, &token)),
                _ => None,
            },
            id,
        }
    });
    Ok(told.collect())
}
