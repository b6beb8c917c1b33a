//! Who is this, why was that refused, who may do this, and what was done.

use std::fmt;
use std::str::FromStr;

use cachegate::{AccessCursor, AuditFilter, AuditFrom, Page, Request, Verdict};
use cachegate_types::{
    Action, DecisionId, EntryKey, OrganizationId, Principal, Resource, UserId, Version, WorkspaceId,
};
use serde::Deserialize;
use serde_json::json;

use super::call::{Call, page};
use super::problem::Problem;
use super::{Answer, Answered, shape, tokens};

/// `GET /whoami`.
pub(super) async fn whoami(call: Call) -> Answered {
    let who = &call.who;
    let gate = call.gate();
    let person = gate.person(who, call.now).await?;
    let places = gate.organizations(&call.by(), None, 100, call.now).await?;
    Ok(Answer::ok(json!({
        "principal": shape::principal(who.principal()),
        "person": person.map(|person| json!({ "id": person.id, "display": person.display })),
        "method": who.method().as_str(),
        "token": who.token_id(),
        "kind": who.token_kind().map(|kind| kind.as_str()),
        "expires_at": who.until(),
        "organization": who.organization(),
        "workspace": who.workspace(),
        "restrictions": who.restrictions().iter().map(shape::restriction).collect::<Vec<_>>(),
        "organizations": places.items.iter().map(shape::organization).collect::<Vec<_>>(),
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Explain {
    action: Action,
    #[serde(default)]
    organization: Option<OrganizationId>,
    #[serde(default)]
    workspace: Option<WorkspaceId>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    version: Option<Version>,
}

/// `POST /explain`: may the caller's own credential do this?
pub(super) async fn explain(call: Call) -> Answered {
    let Explain { action, organization, workspace, key, version } = call.read()?;
    let resource = match (organization, workspace, key, version) {
        (Some(id), None, None, None) => Resource::Organization(id),
        (None, Some(id), None, None) => Resource::Workspace(id),
        (None, Some(id), Some(key), None) => {
            let key = EntryKey::new(key.as_bytes()).map_err(|error| Problem::body(error.to_string()))?;
            Resource::entry(id, key)
        }
        (None, Some(workspace), None, Some(version)) => Resource::Release { workspace, version },
        _ => {
            return Err(Problem::body(
                "name an `organization`, or a `workspace`, alone or with a `key` or a `version`",
            ));
        }
    };
    match call.gate().authorize(&call.who, &Request::new(action, &resource), call.now).await {
        Verdict::Allowed(allowed) => Ok(Answer::ok(json!({
            "decision": "allow",
            "reads": allowed.read_lanes().collect::<Vec<_>>(),
            "writes": allowed.write_lane(),
        }))),
        Verdict::Denied(denied) => Ok(Answer::ok(json!({
            "decision": "deny",
            "explanation": denied.explain(cachegate::Candour::Caller),
            "id": denied.id(),
        }))),
        Verdict::NotAuthenticated(reason) => Err(Problem::not_authenticated(&reason)),
        Verdict::Unavailable(reason) => Err(Problem::unavailable(&reason)),
    }
}

/// `GET /decisions/{decision}`: why was it refused?
pub(super) async fn decision(call: Call) -> Answered {
    let id: DecisionId = call.id("decision")?;
    let refusal = call.gate().refusal(&call.by(), id, call.now).await?;
    Ok(Answer::ok(shape::refusal(&refusal)))
}

/// Where a page of `GET /workspaces/{workspace}/access` goes on.
struct Cursor(AccessCursor);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            AccessCursor::Members(None) => f.write_str("members"),
            AccessCursor::Members(Some(id)) => write!(f, "members:{id}"),
            AccessCursor::Tokens(None) => f.write_str("tokens"),
            AccessCursor::Tokens(Some(id)) => write!(f, "tokens:{id}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = cachegate_types::IdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(match text.split_once(':') {
            Some(("members", id)) => AccessCursor::Members(Some(id.parse()?)),
            Some(("tokens", id)) => AccessCursor::Tokens(Some(id.parse()?)),
            None if text == "members" => AccessCursor::Members(None),
            None if text == "tokens" => AccessCursor::Tokens(None),
            Some(_) | None => return text.parse::<UserId>().map(|id| Self(AccessCursor::Members(Some(id)))),
        }))
    }
}

/// `GET /workspaces/{workspace}/access`: who may do this here?
pub(super) async fn access(call: Call) -> Answered {
    let workspace = call.id("workspace")?;
    let (limit, after) = call.page::<Cursor>()?;
    let action = tokens::action(&call)?;
    let after = after.map(|Cursor(after)| after);
    let found = call.gate().access(&call.by(), workspace, action, after, limit, call.now).await?;
    let found = Page { items: found.items, next: found.next.map(Cursor) };
    Ok(Answer::ok(page(&found, shape::access)))
}

/// `GET /organizations/{organization}/audit`: what was done, the newest first unless asked otherwise.
pub(super) async fn audit(call: Call) -> Answered {
    let organization = call.id("organization")?;
    let (limit, after) = call.page::<u32>()?;
    let filter = AuditFilter {
        code: call.query.get("code").map(ToOwned::to_owned),
        by: call.query.parsed("user", "is an id")?.map(Principal::User),
        target: call.query.get("target").map(ToOwned::to_owned),
        since: call.query.moment("since")?,
        until: call.query.moment("until")?,
    };
    let from = match (call.query.get("order"), after) {
        (None | Some("newest"), None) => AuditFrom::NEWEST,
        (None | Some("newest"), Some(number)) => AuditFrom::Before(number.into()),
        (Some("oldest"), None) => AuditFrom::OLDEST,
        (Some("oldest"), Some(number)) => AuditFrom::After(number.into()),
        (Some(_), _) => return Err(Problem::query("`order` is newest or oldest")),
    };
    let found = call.gate().audit(&call.by(), Some(organization), &filter, from, limit, call.now).await?;
    Ok(Answer::ok(page(&found, shape::audit)))
}
