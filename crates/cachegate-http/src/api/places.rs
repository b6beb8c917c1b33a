//! Organizations and workspaces.

use cachegate::{Made, WorkspaceView};
use cachegate_policy::{
    LaneOrder, Listed, ListedParty, OpenTo, PersonalLane, ReadOnlyCiWrites, WorkspaceSettings,
};
use cachegate_types::{AccessLevel, ActionSet, GroupId, Name, OrganizationId, UserId, WorkspaceId};
use serde::Deserialize;

use super::call::{Call, page};
use super::problem::Problem;
use super::{Answer, Answered, shape};

/// The longest list of a workspace.
const LONGEST_LIST: usize = 500;

/// `GET /organizations`: those that the caller is in.
pub(super) async fn organizations(call: Call) -> Answered {
    let (limit, after) = call.page::<OrganizationId>()?;
    let found = call.gate().organizations(&call.by(), after, limit, call.now).await?;
    Ok(Answer::ok(page(&found, shape::organization)))
}

/// `GET /organizations/{organization}`.
pub(super) async fn organization(call: Call) -> Answered {
    let found = call.gate().organization(&call.by(), call.id("organization")?, call.now).await?;
    Ok(Answer::ok(shape::organization(&found)))
}

/// `GET /organizations/{organization}/workspaces`: those in which the caller may do anything.
pub(super) async fn workspaces(call: Call) -> Answered {
    let organization = call.id("organization")?;
    let (limit, after) = call.page::<WorkspaceId>()?;
    let found = call.gate().workspaces(&call.by(), organization, after, limit, call.now).await?;
    Ok(Answer::ok(page(&found, shape::workspace)))
}

/// Settings as a creation names them: what it leaves out is the safe end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateWorkspace {
    name: Name,
    #[serde(default)]
    settings: Option<Settings>,
}

/// Settings, whole: replacing some of them by leaving the others out is how one is lost.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    anonymous: AccessLevel,
    personal: AccessLevel,
    personal_lane: PersonalLane,
    open_to: OpenTo,
    read_only_ci_writes: ReadOnlyCiWrites,
    lanes: LaneOrder,
}

impl From<Settings> for WorkspaceSettings {
    fn from(settings: Settings) -> Self {
        let Settings { anonymous, personal, personal_lane, open_to, read_only_ci_writes, lanes } = settings;
        // The generation is the store's own.
        Self { anonymous, personal, personal_lane, open_to, read_only_ci_writes, lanes, lane_generation: 0 }
    }
}

/// `POST /organizations/{organization}/workspaces`.
pub(super) async fn create_workspace(call: Call) -> Answered {
    let organization = call.id("organization")?;
    let CreateWorkspace { name, settings } = call.read()?;
    let settings = settings.map(WorkspaceSettings::from).unwrap_or_default();
    let mut request = Vec::new();
    let once = call.once("create-workspace", &mut request);
    let gate = call.gate();
    let made =
        gate.create_workspace_once(&call.by(), organization, name, settings, once.as_ref(), call.now).await?;
    Ok(match made {
        Made::Now(record) => Answer::created(shape::made_workspace(record)),
        Made::Before(record) => Answer::ok(shape::made_workspace(record)),
    })
}

/// `GET /workspaces/{workspace}`.
pub(super) async fn workspace(call: Call) -> Answered {
    let found = seen(&call).await?;
    Ok(Answer::ok(shape::workspace(&found)))
}

async fn seen(call: &Call) -> Result<WorkspaceView, Problem> {
    Ok(call.gate().workspace(&call.by(), call.id("workspace")?, call.now).await?)
}

/// `PUT /workspaces/{workspace}/settings`.
pub(super) async fn set_settings(call: Call) -> Answered {
    let workspace = call.id("workspace")?;
    let settings: Settings = call.read()?;
    call.gate().set_settings(&call.by(), workspace, &settings.into(), call.now).await?;
    Ok(Answer::ok(shape::workspace(&seen(&call).await?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    listed: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    user: Option<UserId>,
    #[serde(default)]
    group: Option<GroupId>,
    actions: ActionSet,
}

/// `PUT /workspaces/{workspace}/listed`.
pub(super) async fn set_listed(call: Call) -> Answered {
    let workspace = call.id("workspace")?;
    let List { listed } = call.read()?;
    if listed.len() > LONGEST_LIST {
        return Err(Problem::body("a workspace lists at most 500 people and groups"));
    }
    let lines = listed.into_iter().map(|line| {
        let party = match (line.user, line.group) {
            (Some(user), None) => ListedParty::User(user),
            (None, Some(group)) => ListedParty::Group(group),
            (Some(_), Some(_)) | (None, None) => {
                return Err(Problem::body("a line names either `user` or `group`"));
            }
        };
        Ok(Listed { party, actions: line.actions })
    });
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    call.gate().set_listed(&call.by(), workspace, &lines, call.now).await?;
    Ok(Answer::ok(shape::workspace(&seen(&call).await?)))
}
