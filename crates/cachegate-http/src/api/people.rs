//! Members and groups.

use cachegate::{Departure, Made, Page, Source};
use cachegate_directory::{Directory as _, Roster};
use cachegate_types::{GroupId, Name, Role, UserId};
use serde::Deserialize;

use super::call::{Call, page};
use super::problem::Problem;
use super::{Answer, Answered, shape};

/// The most people in a group.
const LARGEST_GROUP: usize = 1000;

/// `GET /organizations/{organization}/members`.
pub(super) async fn members(call: Call) -> Answered {
    let organization = call.id("organization")?;
    let (limit, after) = call.page::<UserId>()?;
    let found = call.gate().members(&call.by(), organization, after, limit, call.now).await?;
    Ok(Answer::ok(page(&found, shape::member)))
}

/// `GET /organizations/{organization}/members/{user}`.
pub(super) async fn member(call: Call) -> Answered {
    let (organization, user) = (call.id("organization")?, call.id("user")?);
    let found = call.gate().member(&call.by(), organization, user, call.now).await?;
    Ok(Answer::ok(shape::member(&found)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    role: RoleName,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RoleName {
    Member,
    Admin,
    Owner,
}

/// `PUT /organizations/{organization}/members/{user}`.
pub(super) async fn set_member(call: Call) -> Answered {
    let (organization, user) = (call.id("organization")?, call.id("user")?);
    let role = match call.read::<Member>()?.role {
        RoleName::Member => Role::Member,
        RoleName::Admin => Role::Admin,
        RoleName::Owner => Role::Owner,
    };
    call.gate().set_member(&call.by(), organization, user, role, call.now).await?;
    Ok(Answer::done())
}

/// `DELETE /organizations/{organization}/members/{user}`.
pub(super) async fn remove_member(call: Call) -> Answered {
    let user = call.id("user")?;
    departed(&roster(&call)?.leave(user, call.now).await?)
}

/// `GET /organizations/{organization}/members/{user}/departure`.
pub(super) async fn departure(call: Call) -> Answered {
    let user = call.id("user")?;
    departed(&roster(&call)?.departure(user, call.now).await?)
}

/// The API says who belongs as every directory does.
fn roster(call: &Call) -> Result<Roster<'_>, Problem> {
    Ok(Roster::new(call.gate(), call.id("organization")?, Source::By(call.by())))
}

/// What the end of a membership does. Whoever is no member is not there.
fn departed(departure: &Departure) -> Answered {
    match departure.role {
        Some(_) => Ok(Answer::ok(shape::departure(departure))),
        None => Err(Problem::NOT_FOUND),
    }
}

/// `GET /organizations/{organization}/groups`.
pub(super) async fn groups(call: Call) -> Answered {
    let organization = call.id("organization")?;
    let (limit, after) = call.page::<GroupId>()?;
    let mut groups = call.gate().groups(&call.by(), organization, call.now).await?;
    groups.retain(|group| after.is_none_or(|after| group.id > after));
    let more = groups.len() > limit;
    groups.truncate(limit);
    let next = groups.last().filter(|_| more).map(|group| group.id);
    Ok(Answer::ok(page(&Page { items: groups, next }, shape::group)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: Name,
    members: Vec<UserId>,
}

fn group(call: &Call) -> Result<Group, Problem> {
    let group: Group = call.read()?;
    match group.members.len() {
        ..=LARGEST_GROUP => Ok(group),
        _ => Err(Problem::body("a group has at most 1000 members")),
    }
}

/// `POST /organizations/{organization}/groups`.
pub(super) async fn create_group(call: Call) -> Answered {
    let organization = call.id("organization")?;
    let Group { name, members } = group(&call)?;
    let mut request = Vec::new();
    let once = call.once("create-group", &mut request);
    let made =
        call.gate().create_group(&call.by(), organization, name, members, once.as_ref(), call.now).await?;
    Ok(match made {
        Made::Now(record) => Answer::created(shape::group(&record)),
        Made::Before(record) => Answer::ok(shape::group(&record)),
    })
}

/// `PUT /organizations/{organization}/groups/{group}`.
pub(super) async fn set_group(call: Call) -> Answered {
    let (organization, id) = (call.id("organization")?, call.id("group")?);
    let Group { name, members } = group(&call)?;
    call.gate().set_group(&call.by(), organization, id, name, members, call.now).await?;
    Ok(Answer::done())
}

/// `DELETE /organizations/{organization}/groups/{group}`.
pub(super) async fn remove_group(call: Call) -> Answered {
    let (organization, id) = (call.id("organization")?, call.id("group")?);
    call.gate().remove_group(&call.by(), organization, id, call.now).await?;
    Ok(Answer::done())
}
