//! Tokens from birth to revocation.

use std::time::Duration;

use cachegate::{DeviceAccess, Issued, LongestLives, Made, PersonalForm, TokenSpec, TokenState};
use cachegate_storage::{MassScope, TokenFilter, TokenKind, TokenRecord};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, Lane, OrganizationId, Principal, Timestamp, TokenId,
    VersionRequirement, WorkspaceId,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, page};
use super::problem::Problem;
use super::shape::{BEYOND_TIME, LONGEST_SPAN};
use super::{Answer, Answered, shape};

/// The longest time for which a rotated token lives on beside its successor.
const LONGEST_OVERLAP: u64 = 30 * 24 * 60 * 60;

/// `GET /tokens`: the caller's own, or those of an organization or a workspace.
pub(super) async fn list(call: Call) -> Answered {
    let (limit, after) = call.page::<TokenId>()?;
    let organization: Option<OrganizationId> = call.query.parsed("organization", "is an id")?;
    let workspace: Option<WorkspaceId> = call.query.parsed("workspace", "is an id")?;
    let kind = match call.query.get("kind") {
        None => None,
        Some(text) => match TokenKind::ALL.into_iter().find(|kind| kind.as_str() == text) {
            Some(kind) => Some(kind),
            None => {
                return Err(Problem::query("`kind` is ci, personal, device, session, closure or refresh"));
            }
        },
    };
    let live_at = match call.query.get("state") {
        None | Some("all") => None,
        Some("live") => Some(call.now),
        Some(_) => return Err(Problem::query("`state` is `all` or `live`")),
    };
    let own = organization.is_none() && workspace.is_none();
    let owner = own.then(|| call.who.principal().clone());
    if owner.is_some() && !matches!(owner, Some(Principal::User(_))) {
        return Err(Problem::NOT_FOUND);
    }
    let filter = TokenFilter { organization, workspace, owner, kind, live_at };
    let tokens = call.gate().token_page(&call.by(), &filter, after, limit, call.now).await?;
    Ok(Answer::ok(page(&tokens, shape::token)))
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Create {
    Ci {
        workspace: WorkspaceId,
        level: AccessLevel,
        #[serde(default)]
        lane: Option<Lane>,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        expires_in: Option<u64>,
    },
    Personal {
        #[serde(default)]
        actions: Option<ActionSet>,
        #[serde(default)]
        form: Form,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        expires_in: Option<u64>,
    },
    Device {
        organization: OrganizationId,
        access: Access,
        #[serde(default)]
        description: Description,
        #[serde(default)]
        expires_in: Option<u64>,
    },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    #[default]
    Opaque,
    Jwt,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
enum Access {
    Normal {},
    Provision {},
    ResolveOnly {
        workspace: WorkspaceId,
        requirement: VersionRequirement,
        /// Whether it also obtains what reads a resolved release's closure.
        #[serde(default)]
        closure: Option<Closure>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Closure {
    Read,
}

/// How long tokens live at most, in seconds; null: until they are revoked. Whole, as settings are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lives {
    #[serde(deserialize_with = "Option::deserialize")]
    ci: Option<u64>,
    #[serde(deserialize_with = "Option::deserialize")]
    personal: Option<u64>,
}

/// `GET /organizations/{organization}/longest-lives`.
pub(super) async fn longest_lives(call: Call) -> Answered {
    longest_lives_as_they_are(&call).await
}

async fn longest_lives_as_they_are(call: &Call) -> Answered {
    let lives = call.gate().longest_lives(&call.by(), call.id("organization")?, call.now).await?;
    Ok(Answer::ok(shape::lives(lives)))
}

/// `PUT /organizations/{organization}/longest-lives`.
pub(super) async fn set_longest_lives(call: Call) -> Answered {
    let organization = call.id("organization")?;
    let Lives { ci, personal } = call.read()?;
    let lives = LongestLives { ci: life(ci)?, personal: life(personal)? };
    call.gate().set_longest_lives(&call.by(), organization, lives, call.now).await?;
    longest_lives_as_they_are(&call).await
}

/// `POST /tokens`.
pub(super) async fn create(call: Call) -> Answered {
    let (spec, description, expires_in) = match call.read()? {
        Create::Ci { workspace, level, lane, description, expires_in } => {
            let lane = lane.unwrap_or_else(Lane::main);
            (TokenSpec::Ci { workspace, level, lane }, description, expires_in)
        }
        Create::Personal { actions, form, description, expires_in } => {
            let Principal::User(owner) = *call.who.principal() else { return Err(Problem::NOT_A_PERSON) };
            // What manages, overwrites or publishes is asked for by name.
            let actions = actions.unwrap_or(AccessLevel::ReadWrite.actions());
            let form = match form {
                Form::Opaque => PersonalForm::Opaque,
                Form::Jwt => PersonalForm::Jwt,
            };
            (TokenSpec::Personal { owner, actions, form }, description, expires_in)
        }
        Create::Device { organization, access, description, expires_in } => {
            let access = match access {
                Access::Normal {} => DeviceAccess::Normal,
                Access::Provision {} => DeviceAccess::Provision,
                Access::ResolveOnly { workspace, requirement, closure } => {
                    let reads_closures = matches!(closure, Some(Closure::Read));
                    DeviceAccess::ResolveOnly { workspace, requirement, reads_closures }
                }
            };
            (TokenSpec::Device { organization, access }, description, expires_in)
        }
    };
    let life = life(expires_in)?;
    let mut request = Vec::new();
    let once = call.once("create", &mut request);
    let made = call.gate().issue_once(&call.by(), &spec, description, life, once.as_ref(), call.now).await?;
    shown(&call, &made).await
}

/// What was just made with its plain form, once; what was made before without it.
async fn shown(call: &Call, made: &Made<Issued, TokenRecord>) -> Answered {
    match made {
        Made::Now(issued) => {
            let mut body = json!({ "record": shape::record(&issued.record, &TokenState::Live) });
            if let Some(members) = body.as_object_mut() {
                let token = issued.token.expose_secret().to_owned();
                members.insert("token".to_owned(), Value::String(token));
            }
            Ok(Answer::created(body))
        }
        Made::Before(record) => {
            let view = call.gate().token(&call.by(), record.id, call.now).await?;
            Ok(Answer::ok(json!({ "record": shape::token(&view) })))
        }
    }
}

pub(super) fn life(seconds: Option<u64>) -> Result<Option<Duration>, Problem> {
    match seconds {
        Some(0) => Err(Problem::body("a life is at least one second")),
        Some(LONGEST_SPAN..) => Err(Problem::body(BEYOND_TIME)),
        seconds => Ok(seconds.map(Duration::from_secs)),
    }
}

/// `GET /tokens/{token}`.
pub(super) async fn inspect(call: Call) -> Answered {
    let view = call.gate().token(&call.by(), call.id("token")?, call.now).await?;
    Ok(Answer::ok(shape::token(&view)))
}

/// `GET /tokens/{token}/rights`: what may it do?
pub(super) async fn rights(call: Call) -> Answered {
    let workspace = call.query.parsed("workspace", "is an id")?;
    let rights = call.gate().explain_token(&call.by(), call.id("token")?, workspace, call.now).await?;
    Ok(Answer::ok(shape::token_rights(&rights)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    overlap: u64,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// `POST /tokens/{token}/rotate`.
pub(super) async fn rotate(call: Call) -> Answered {
    let token = call.id("token")?;
    let Rotate { overlap, expires_in } = call.read()?;
    if overlap > LONGEST_OVERLAP {
        return Err(Problem::body("`overlap` is at most 2592000 seconds, thirty days"));
    }
    let (overlap, life) = (Duration::from_secs(overlap), life(expires_in)?);
    let mut request = Vec::new();
    let once = call.once("rotate", &mut request);
    let made = call.gate().rotate_once(&call.by(), token, overlap, life, once.as_ref(), call.now).await?;
    shown(&call, &made).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revoke {
    #[serde(default)]
    reason: Description,
    /// Whether the whole line of rotations goes.
    #[serde(default)]
    line: bool,
}

/// `POST /tokens/{token}/revoke`.
pub(super) async fn revoke(call: Call) -> Answered {
    let token = call.id("token")?;
    let Revoke { reason, line } = call.read()?;
    match line {
        true => call.gate().revoke_line(&call.by(), token, reason, call.now).await?,
        false => call.gate().revoke(&call.by(), token, reason, call.now).await?,
    };
    Ok(Answer::done())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeMany {
    #[serde(default)]
    reason: Description,
    /// Those issued until this moment; until now, if it is not said.
    #[serde(default)]
    issued_until: Option<Timestamp>,
}

/// `POST /organizations/{organization}/revoke-tokens`.
pub(super) async fn revoke_organization(call: Call) -> Answered {
    let scope = MassScope::Organization(call.id("organization")?);
    revoke_many(call, scope).await
}

/// `POST /workspaces/{workspace}/revoke-tokens`.
pub(super) async fn revoke_workspace(call: Call) -> Answered {
    let scope = MassScope::Workspace(call.id("workspace")?);
    revoke_many(call, scope).await
}

async fn revoke_many(call: Call, scope: MassScope) -> Answered {
    let RevokeMany { reason, issued_until } = call.read()?;
    call.gate().revoke_many(&call.by(), scope, issued_until, reason, call.now).await?;
    Ok(Answer::done())
}

/// The action that a query names; `write` if it names none.
pub(super) fn action(call: &Call) -> Result<Action, Problem> {
    let expected = "is resolve, read, write, replace, delete, administer or publish";
    Ok(call.query.parsed("action", expected)?.unwrap_or(Action::Write))
}
