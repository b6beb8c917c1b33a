//! The workspaces of an organization.

use askama::Template;
use cachegate::OrganizationView;
use cachegate_policy::WorkspaceSettings;
use cachegate_types::{Action, Name, Resource};

use super::{Tabs, View, beside, done, here, here_in};
use crate::app::{Answered, Call, Failure, see, sentence};
use crate::words;

#[derive(Template)]
#[template(path = "workspaces.html")]
struct Workspaces<'a> {
    call: &'a Call,
    organization: &'a str,
    done: Option<&'static str>,
    problem: Option<String>,
    administers: bool,
    action: String,
    workspaces: Vec<Workspace>,
    more: Option<String>,
}

struct Workspace {
    name: String,
    id: String,
    yours: String,
    anonymous: &'static str,
    administers: bool,
    settings: String,
    tokens: String,
    access: String,
}

pub(super) async fn serve(call: &Call, organization: &OrganizationView, act: Option<&str>) -> Answered {
    let problem = match act {
        None => None,
        Some(_) => match create(call, organization).await {
            Ok(()) => return see(&here(organization, View::Workspaces, &[("done", "created")])),
            Err(failure) => Some(beside(failure)?),
        },
    };
    let after = call.query.get("after").and_then(|text| text.parse().ok());
    let id = organization.record.id;
    let page = call.gate().workspaces(&call.by(), id, after, 100, call.now).await?;
    let workspaces = page.items.iter().map(|found| {
        let at = |view| here_in(organization, found, view, &[]);
        Workspace {
            name: found.record.name.to_string(),
            id: found.record.id.to_string(),
            yours: found.actions.to_string(),
            anonymous: words::anonymous(found.record.settings.anonymous),
            administers: found.actions.contains(Action::Administer),
            settings: at(View::Workspace),
            tokens: at(View::CiTokens),
            access: at(View::Explain),
        }
    });
    let wrong = problem.is_some();
    let main = Workspaces {
        call,
        organization: organization.record.name.as_str(),
        done: done(call),
        problem,
        administers: call.administers(Resource::Organization(id)).await?,
        action: here(organization, View::Workspaces, &[]),
        workspaces: workspaces.collect(),
        more: page.next.map(|next| here(organization, View::Workspaces, &[("after", &next.to_string())])),
    };
    let tabs = Tabs::new(organization, View::Workspaces);
    if wrong {
        call.again("Workspaces", Some(&tabs), &main)
    } else {
        call.page("Workspaces", Some(&tabs), &main)
    }
}

async fn create(call: &Call, organization: &OrganizationView) -> Result<(), Failure> {
    let name: Name = call.value("name").parse().map_err(|error| Failure::form(sentence(&error)))?;
    let settings = WorkspaceSettings::default();
    call.gate().create_workspace(&call.by(), organization.record.id, name, settings, call.now).await?;
    Ok(())
}
