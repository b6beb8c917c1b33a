//! The members of an organization, with their roles.

use askama::Template;
use cachegate::OrganizationView;
use cachegate_types::{Principal, Role, UserId};

use super::{Tabs, View, beside, done, here};
use crate::app::{Answered, Call, Failure, see, sentence};
use crate::words;

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
    let problem = match act {
        None => None,
        Some(act) => match change(call, organization, act).await {
            Ok(done) => return see(&here(organization, View::Members, &[("done", done)])),
            Err(failure) => Some(beside(failure)?),
        },
    };
    let after = call.query.get("after").and_then(|text| text.parse().ok());
    let id = organization.record.id;
    let page = call.gate().members(&call.by(), id, after, 100, call.now).await?;
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
    let wrong = problem.is_some();
    let main = Members {
        call,
        organization: organization.record.name.as_str(),
        action: here(organization, View::Members, &[]),
        done: done(call),
        problem,
        members: members.collect(),
        next: page.next.map(|next| here(organization, View::Members, &[("after", &next.to_string())])),
    };
    let tabs = Tabs::new(organization, View::Members);
    if wrong { call.again("Members", Some(&tabs), &main) } else { call.page("Members", Some(&tabs), &main) }
}

async fn change(call: &Call, organization: &OrganizationView, act: &str) -> Result<&'static str, Failure> {
    let id = organization.record.id;
    let user: UserId = call.value("user").parse().map_err(|error| Failure::form(sentence(&error)))?;
    if act == "remove" {
        call.gate().remove_member(&call.by(), id, user, call.now).await?;
        return Ok("removed");
    }
    let role: Role = call.value("role").parse().map_err(|_| Failure::form("Choose a role."))?;
    call.gate().set_member(&call.by(), id, user, role, call.now).await?;
    Ok("saved")
}
