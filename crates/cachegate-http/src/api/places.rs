//! Organizations and workspaces.

use cachegate::{Made, ManageError, WorkspaceView};
use cachegate_policy::{
    LaneOrder, Listed, ListedParty, OpenTo, PersonalLane, ReadOnlyCiWrites, WorkspaceSettings,
};
use cachegate_storage::WorkspaceRecord;
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
    workspace_as_it_is(&call).await
}

async fn workspace_as_it_is(call: &Call) -> Answered {
    let found = seen(call).await?;
    Ok(Answer::ok(shape::workspace(&found)).tagged(shape::etag(&found)))
}

async fn seen(call: &Call) -> Result<WorkspaceView, Problem> {
    Ok(call.gate().workspace(&call.by(), call.id("workspace")?, call.now).await?)
}

/// `PUT /workspaces/{workspace}/settings`.
pub(super) async fn set_settings(call: Call) -> Answered {
    let workspace = call.id("workspace")?;
    let settings = call.read::<Settings>()?.into();
    let expected = expected(&call).await?;
    let (gate, by) = (call.gate(), call.by());
    let changed = gate.set_settings_over(&by, workspace, &settings, expected.as_ref(), call.now);
    changed.await.map_err(|error| conditional(&call, error))?;
    workspace_as_it_is(&call).await
}

/// The workspace that a conditional request is about: what it is when it has the `ETag` that the request names.
async fn expected(call: &Call) -> Result<Option<WorkspaceRecord>, Problem> {
    if call.if_match.is_empty() {
        return Ok(None);
    }
    let found = seen(call).await?;
    match shape::etag(&found) {
        Some(etag) if !call.is_for(&etag) => Err(Problem::CHANGED),
        // Whoever sees no `ETag` may not change it, which the kernel says.
        Some(_) | None => Ok(Some(found.record)),
    }
}

fn conditional(call: &Call, error: ManageError) -> Problem {
    match error {
        ManageError::Changed { .. } if !call.if_match.is_empty() => Problem::CHANGED,
        error => error.into(),
    }
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
    let expected = expected(&call).await?;
    let (gate, by) = (call.gate(), call.by());
    let changed = gate.set_listed_over(&by, workspace, &lines, expected.as_ref(), call.now);
    changed.await.map_err(|error| conditional(&call, error))?;
    workspace_as_it_is(&call).await
}
