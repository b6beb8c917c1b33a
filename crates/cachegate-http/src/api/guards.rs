//! Locks and marks of distrust.

use cachegate::Made;
use cachegate_policy::LockScope;
use cachegate_storage::MarkScope;
use cachegate_types::{
    ActionSet, Description, LockId, MarkId, OrganizationId, Timestamp, TokenId, WorkspaceId,
};
use serde::Deserialize;

use super::call::{Call, page};
use super::problem::Problem;
use super::{Answer, Answered, shape};

/// `GET /locks`: those of places that the caller administers.
pub(super) async fn locks(call: Call) -> Answered {
    let (limit, after) = call.page::<LockId>()?;
    let found = call.gate().locks(&call.by(), after, limit, call.now).await?;
    Ok(Answer::ok(page(&found, shape::lock)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateLock {
    scope: Place,
    actions: ActionSet,
    /// For how many seconds; until it is lifted, if it is not said.
    #[serde(default, rename = "for")]
    seconds: Option<u64>,
    #[serde(default)]
    reason: Description,
}

/// What an administrator may lock; everything else is the operator's, on the server itself.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Place {
    Organization { organization: OrganizationId },
    Workspace { workspace: WorkspaceId },
}

/// `POST /locks`.
pub(super) async fn lock(call: Call) -> Answered {
    let CreateLock { scope, actions, seconds, reason } = call.read()?;
    if actions.is_empty() {
        return Err(Problem::body("`actions` names at least one action"));
    }
    let scope = match scope {
        Place::Organization { organization } => LockScope::Organization(organization),
        Place::Workspace { workspace } => LockScope::Workspace(workspace),
    };
    let until = shape::later(call.now, seconds)?;
    let mut request = Vec::new();
    let once = call.once("lock", &mut request);
    let gate = call.gate();
    let made = gate.lock_once(&call.by(), scope, actions, until, reason, once.as_ref(), call.now).await?;
    Ok(match made {
        Made::Now(record) => Answer::created(shape::lock(&record)),
        Made::Before(record) => Answer::ok(shape::lock(&record)),
    })
}

/// `DELETE /locks/{lock}`.
pub(super) async fn lift_lock(call: Call) -> Answered {
    call.gate().lift_lock(&call.by(), call.id("lock")?, call.now).await?;
    Ok(Answer::done())
}

/// `GET /distrust`: the marks of places that the caller administers.
pub(super) async fn marks(call: Call) -> Answered {
    let (limit, after) = call.page::<MarkId>()?;
    let found = call.gate().marks(&call.by(), after, limit, call.now).await?;
    Ok(Answer::ok(page(&found, shape::mark)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateMark {
    scope: Writers,
    #[serde(default)]
    reason: Description,
}

/// Whose entries an administrator may distrust; everything else is the operator's, on the server itself.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Writers {
    Token { token: TokenId },
    Window { workspace: WorkspaceId, from: Timestamp, to: Timestamp },
}

/// `POST /distrust`.
pub(super) async fn distrust(call: Call) -> Answered {
    let CreateMark { scope, reason } = call.read()?;
    let scope = match scope {
        Writers::Token { token } => MarkScope::Token(token),
        Writers::Window { from, to, .. } if from > to => {
            return Err(Problem::body("a window's `from` is not after its `to`"));
        }
        Writers::Window { workspace, from, to } => MarkScope::Window { workspace: Some(workspace), from, to },
    };
    let mut request = Vec::new();
    let once = call.once("distrust", &mut request);
    let made = call.gate().distrust_once(&call.by(), scope, reason, once.as_ref(), call.now).await?;
    Ok(match made {
        Made::Now(record) => Answer::created(shape::mark(&record)),
        Made::Before(record) => Answer::ok(shape::mark(&record)),
    })
}

/// `DELETE /distrust/{mark}`.
pub(super) async fn trust_again(call: Call) -> Answered {
    call.gate().trust_again(&call.by(), call.id("mark")?, call.now).await?;
    Ok(Answer::done())
}
