//! Releases. Publishing one rests on the labels of stored entries: whoever keeps them offers it.

use cachegate::{Issued, Page, ResolveError, Verdict};
use cachegate_types::{Version, VersionRequirement};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, page};
use super::problem::Problem;
use super::{Answer, Answered, shape, tokens};

/// `GET /workspaces/{workspace}/releases`: those that the caller may resolve, withdrawn ones included.
pub(super) async fn releases(call: Call) -> Answered {
    let workspace = call.id("workspace")?;
    let (limit, after) = call.page::<Version>()?;
    let found = call.gate().releases(&call.by(), workspace, after.as_ref(), limit, call.now).await?;
    Ok(Answer::ok(page(&Page { items: found.items, next: found.next }, shape::release)))
}

/// `POST /workspaces/{workspace}/releases/{version}/yank`.
pub(super) async fn yank(call: Call) -> Answered {
    let (workspace, version): (_, Version) = (call.id("workspace")?, call.id("version")?);
    call.gate().yank_release(&call.by(), workspace, &version, call.now).await?;
    Ok(Answer::done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolve {
    requirement: VersionRequirement,
    /// Whether a token is wanted that reads what the release needs.
    #[serde(default)]
    closure: bool,
    /// Of which output; of the only one, where none is named.
    #[serde(default)]
    output: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// `POST /workspaces/{workspace}/resolve`.
pub(super) async fn resolve(call: Call) -> Answered {
    let workspace = call.id("workspace")?;
    let Resolve { requirement, closure, output, expires_in } = call.read()?;
    let (gate, life) = (call.gate(), tokens::life(expires_in)?);
    let (release, token) = match closure {
        false => (gate.resolve(&call.who, workspace, &requirement, call.now).await?, None),
        true => {
            let output = output.as_deref();
            let made =
                gate.resolve_closure(&call.who, workspace, &requirement, output, life, call.now).await?;
            (made.0, Some(made.1))
        }
    };
    Ok(Answer::ok(json!({ "release": shape::release(&release), "closure": token.as_ref().map(reader) })))
}

/// The token that reads a closure; its plain form is shown here alone.
fn reader(issued: &Issued) -> Value {
    json!({
        "id": issued.record.id,
        "token": issued.token.expose_secret(),
        "expires_at": issued.record.expires_at,
    })
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Refused(verdict) => match *verdict {
                // What is not there and what may not be resolved are the same.
                Verdict::Denied(_) => Self::NOT_FOUND,
                Verdict::NotAuthenticated(reason) => Self::not_authenticated(&reason),
                Verdict::Unavailable(reason) => Self::unavailable(&reason),
                Verdict::Allowed(_) => Self::unavailable(&cachegate::Unavailable::Internal),
            },
            ResolveError::NotIssued(error) => error.into(),
            error => Self::unresolved(&error),
        }
    }
}
