//! The pages, one module for each.

pub(crate) mod account;
mod audit;
mod explain;
mod groups;
mod guards;
pub(crate) mod home;
mod listed;
mod lives;
mod map;
mod members;
mod rules;
mod setup;
mod timeline;
mod tokens;
mod workspace;
mod workspaces;

use askama::Template;
use cachegate::{ManageError, MemberView, OrganizationView, WorkspaceView};
use cachegate_types::{Role, UserId};

use crate::app::{Answered, Call, Failure};
use crate::fields::address;
use crate::words;

/// The most rows of one page.
pub(crate) const ROWS: usize = 100;

/// The views of an organization's settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum View {
    Workspaces,
    DeviceTokens,
    CiTokens,
    Workspace,
    Listed,
    Members,
    Groups,
    Rules,
    Explain,
    Audit,
    Guards,
    Lives,
}

impl View {
    pub(crate) const ALL: [Self; 12] = [
        Self::Workspaces,
        Self::DeviceTokens,
        Self::CiTokens,
        Self::Workspace,
        Self::Listed,
        Self::Members,
        Self::Groups,
        Self::Rules,
        Self::Explain,
        Self::Audit,
        Self::Guards,
        Self::Lives,
    ];

    /// Its name in `editview=`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Workspaces => "workspaces",
            Self::DeviceTokens => "device-tokens",
            Self::CiTokens => "ci-tokens",
            Self::Workspace => "workspace",
            Self::Listed => "listed",
            Self::Members => "members",
            Self::Groups => "groups",
            Self::Rules => "trust-rules",
            Self::Explain => "explain",
            Self::Audit => "audit",
            Self::Guards => "locks",
            Self::Lives => "token-lives",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.name() == name)
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Workspaces => "Workspaces",
            Self::DeviceTokens => "Device tokens",
            Self::CiTokens => "CI tokens",
            Self::Workspace => "Settings",
            Self::Listed => "People and groups",
            Self::Members => "Members",
            Self::Groups => "Groups",
            Self::Rules => "Trust rules",
            Self::Explain => "Access",
            Self::Audit => "Audit",
            Self::Guards => "Locks and distrust",
            Self::Lives => "Token lives",
        }
    }

    /// Whether it is of one workspace.
    pub(crate) const fn of_workspace(self) -> bool {
        matches!(self, Self::CiTokens | Self::Workspace | Self::Listed | Self::Explain)
    }

    /// What its forms do.
    pub(crate) const fn acts(self) -> &'static [&'static str] {
        match self {
            Self::Workspaces => &["create"],
            Self::DeviceTokens | Self::CiTokens => tokens::ACTS,
            Self::Workspace => &["save", "check"],
            Self::Listed => &["add", "set", "take-out"],
            Self::Members => &["set", "count-remove", "remove"],
            Self::Groups => &["create", "rename", "add", "take-out", "count-remove", "remove"],
            Self::Rules => rules::ACTS,
            Self::Explain | Self::Audit => &[],
            Self::Guards => guards::ACTS,
            Self::Lives => &["save"],
        }
    }
}

/// What every form of the console does, each as the page that takes it, `account` or a name of `editview=`, and its `act`.
/// What is not named here is not done: a test that tries each of these has tried all.
pub fn forms() -> impl Iterator<Item = (&'static str, &'static str)> {
    let views = View::ALL.into_iter().map(|view| (view.name(), view.acts()));
    let all = std::iter::once(("account", account::ACTS)).chain(views);
    all.flat_map(|(page, acts)| acts.iter().map(move |act| (page, *act)))
}

/// Where a page is, and what is beside it.
pub(crate) struct Tabs<'a> {
    organization: &'a OrganizationView,
    workspace: Option<&'a WorkspaceView>,
    view: View,
}

/// A link beside a page.
pub(crate) struct Tab {
    pub(crate) label: &'static str,
    pub(crate) url: String,
    pub(crate) current: bool,
}

impl<'a> Tabs<'a> {
    pub(crate) fn new(organization: &'a OrganizationView, view: View) -> Self {
        Self { organization, workspace: None, view }
    }

    pub(crate) fn in_workspace(self, workspace: &'a WorkspaceView) -> Self {
        Self { workspace: Some(workspace), ..self }
    }

    pub(crate) fn organization(&self) -> &str {
        self.organization.record.name.as_str()
    }

    pub(crate) fn workspace(&self) -> Option<&str> {
        self.workspace.map(|workspace| workspace.record.name.as_str())
    }

    fn tab(&self, view: View) -> Tab {
        let url = match self.workspace.filter(|_| view.of_workspace()) {
            Some(workspace) => here_in(self.organization, workspace, view, &[]),
            None => here(self.organization, view, &[]),
        };
        Tab { label: view.label(), url, current: view == self.view }
    }

    pub(crate) fn of_organization(&self) -> Vec<Tab> {
        // Whoever is a mere member is not led to what is for administrators.
        let leads = |view: &View| *view == View::Workspaces || self.organization.role != Some(Role::Member);
        let views = View::ALL.into_iter().filter(|view| !view.of_workspace() && leads(view));
        views.map(|view| self.tab(view)).collect()
    }

    pub(crate) fn of_workspace(&self) -> Vec<Tab> {
        let views = View::ALL.into_iter().filter(|view| self.workspace.is_some() && view.of_workspace());
        views.map(|view| self.tab(view)).collect()
    }
}

/// The address of an organization's view.
pub(crate) fn here(organization: &OrganizationView, view: View, more: &[(&str, &str)]) -> String {
    let query = [&[("editview", view.name())], more].concat();
    address(&format!("/{}/settings", organization.record.name), &query)
}

/// The address of a workspace's view.
pub(crate) fn here_in(
    organization: &OrganizationView,
    workspace: &WorkspaceView,
    view: View,
    more: &[(&str, &str)],
) -> String {
    let query = [&[("workspace", workspace.record.name.as_str())], more].concat();
    here(organization, view, &query)
}

/// A page that only tells something.
#[derive(Template)]
#[template(path = "told.html")]
pub(crate) struct Told<'a> {
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
}

pub(crate) async fn serve(
    call: &Call,
    organization: &OrganizationView,
    view: View,
    act: Option<&str>,
) -> Answered {
    if act.is_some_and(|act| !view.acts().contains(&act)) {
        return Err(Failure::missing());
    }
    match view {
        View::Workspaces => workspaces::serve(call, organization, act).await,
        View::DeviceTokens => tokens::serve(call, &tokens::Place::Device(organization.clone()), act).await,
        View::CiTokens => {
            let workspace = call.workspace(organization).await?;
            tokens::serve(call, &tokens::Place::Ci(organization.clone(), Box::new(workspace)), act).await
        }
        View::Workspace => workspace::serve(call, organization, act).await,
        View::Listed => listed::serve(call, organization, act).await,
        View::Members => members::serve(call, organization, act).await,
        View::Groups => groups::serve(call, organization, act).await,
        View::Rules => rules::serve(call, organization, act).await,
        View::Explain => explain::show(call, organization).await,
        View::Audit => audit::show(call, organization).await,
        View::Guards => guards::serve(call, organization, act).await,
        View::Lives => lives::serve(call, organization, act).await,
    }
}

impl Call {
    /// A page, `wrong` where it tells why a form cannot be taken as it is.
    pub(crate) fn answer(&self, wrong: bool, title: &str, tabs: &Tabs<'_>, main: &impl Template) -> Answered {
        if wrong { self.again(title, Some(tabs), main) } else { self.page(title, Some(tabs), main) }
    }
}

/// What the last act came to, for the page that follows it: one of these sentences, whatever the address says.
pub(crate) fn done(call: &Call) -> Option<&'static str> {
    Some(match call.query.get("done")? {
        "revoked" => "Revoked. It is refused everywhere within seconds.",
        "created" => "Created.",
        "saved" => "Saved. It counts everywhere within seconds.",
        "added" => "Added. It counts everywhere within seconds.",
        "taken-out" => "Taken out. It counts everywhere within seconds.",
        "removed" => "Removed. It counts everywhere within seconds.",
        "many-revoked" => "Revoked. They are refused everywhere within seconds.",
        "ended" => "Ended. They are refused everywhere within seconds.",
        "locked" => "Locked. What it stops is refused from now on.",
        "lifted" => "Lifted.",
        "distrusted" => "Distrusted. What was written so is a miss from now on.",
        "trusted" => "Trusted again.",
        _ => return None,
    })
}

/// What is asked before something is done.
pub(crate) struct Confirm {
    pub(crate) title: String,
    /// What it would do, a sentence each.
    pub(crate) effects: Vec<String>,
    pub(crate) act: &'static str,
    pub(crate) label: &'static str,
    /// What the form says besides.
    pub(crate) fields: Vec<(&'static str, String)>,
}

/// What a form came to.
pub(crate) enum Step {
    Show,
    Ask(Confirm),
    /// It is done, as [`done`] tells it.
    Done(&'static str),
}

/// What people call a member of the organization; `None` for somebody who is none.
pub(crate) async fn member_name(
    call: &Call,
    organization: &OrganizationView,
    user: UserId,
) -> Result<Option<String>, Failure> {
    match call.gate().member(&call.by(), organization.record.id, user, call.now).await {
        Ok(found) => Ok(Some(words::named(found.person.display.as_str()))),
        Err(ManageError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The first members, to be chosen from where a form asks for a person's id: the id, and what people call them.
pub(crate) async fn suggested(
    call: &Call,
    organization: &OrganizationView,
) -> Result<Vec<(String, String)>, Failure> {
    let page = call.gate().members(&call.by(), organization.record.id, None, ROWS, call.now).await?;
    let one = |member: &MemberView| {
        (member.membership.member.user.to_string(), words::named(member.person.display.as_str()))
    };
    Ok(page.items.iter().map(one).collect())
}

/// How many of a list come before this page of it, as its address says.
pub(crate) fn skipped(call: &Call) -> usize {
    call.query.get("from").and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// What the address of the next page of a list says; `None` where this is its last.
pub(crate) fn rest(skipped: usize, all: usize) -> Option<String> {
    Some(skipped.saturating_add(ROWS)).filter(|next| *next < all).map(|next| next.to_string())
}

/// The first of many, as a list in a sentence.
pub(crate) fn among(all: &[String]) -> String {
    const TOLD: usize = 20;
    let told = all.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    if all.len() > TOLD { format!("{told} and {} more", all.len() - TOLD) } else { told }
}

/// What is told beside a form that could not be taken; every other failure goes on.
pub(crate) fn beside(failure: Failure) -> Result<String, Failure> {
    match failure {
        Failure::Form(text) => Ok(text),
        other => Err(other),
    }
}
