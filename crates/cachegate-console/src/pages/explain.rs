//! Who may do what in a workspace, as a table and as a picture; and why a request was refused.

use askama::Template;
use cachegate::{Access, AccessCursor, AccessParty, OrganizationView, WorkspaceView};
use cachegate_policy::LaneView;
use cachegate_storage::TokenKind;
use cachegate_types::{Action, Lane, TokenId, UserId};

use super::map::{self, Line};
use super::{Tabs, View, here_in};
use crate::app::{Answered, Call, Failure};
use crate::words;

/// The most who are in the picture.
const PICTURED: usize = 16;

#[derive(Template)]
#[template(path = "explain.html")]
struct Explain<'a> {
    name: &'a str,
    organization: &'a str,
    actions: Vec<(&'static str, bool)>,
    rows: Vec<Row>,
    next: Option<String>,
    picture: String,
    pictured: usize,
    decision: &'a str,
    refusal: Option<Refused>,
    unknown: bool,
}

struct Row {
    who: String,
    url: Option<String>,
    may: String,
    writes: String,
    by: String,
}

/// A refusal, told afterwards.
struct Refused {
    at: String,
    who: String,
    action: &'static str,
    explanation: String,
    reason: Option<String>,
}

pub(super) async fn show(call: &Call, organization: &OrganizationView) -> Answered {
    let workspace = call.workspace(organization).await?;
    let action = call.query.get("action").map_or(Ok(Action::Read), str::parse);
    let action: Action = action.map_err(|_| Failure::missing())?;
    let after = call.query.get("after").map(|text| cursor(text).ok_or_else(Failure::missing)).transpose()?;
    let id = workspace.record.id;
    let page = call.gate().access(&call.by(), id, action, after, 100, call.now).await?;
    let mut rows = Vec::with_capacity(page.items.len());
    let mut lines = Vec::new();
    for access in &page.items {
        let told = party(call, organization, access).await?;
        if lines.len() < PICTURED {
            lines.push(line(call, &workspace, access, told.0.clone()).await?);
        }
        rows.push(Row {
            who: told.0,
            url: told.1,
            may: access.actions.to_string(),
            writes: access.writes.as_ref().map_or_else(|| "nothing".to_owned(), lane),
            by: access.sources.iter().map(words::source).collect::<Vec<_>>().join(", "),
        });
    }
    let decision = call.query.get("decision").unwrap_or_default();
    let refusal = match decision {
        "" => None,
        text => refusal(call, text).await?,
    };
    let next = page.next.map(|next| {
        let after = cursor_as_text(next);
        here_in(organization, &workspace, View::Explain, &[("action", action.as_str()), ("after", &after)])
    });
    let main = Explain {
        name: workspace.record.name.as_str(),
        organization: organization.record.name.as_str(),
        actions: Action::ALL.into_iter().map(|one| (one.as_str(), one == action)).collect(),
        rows,
        next,
        picture: map::picture(&workspace.record.settings, &lines),
        pictured: lines.len(),
        decision,
        unknown: !decision.is_empty() && refusal.is_none(),
        refusal,
    };
    call.page("Access", Some(&Tabs::new(organization, View::Explain).in_workspace(&workspace)), &main)
}

fn lane(lane: &Lane) -> String {
    words::shown(&lane.to_string())
}

/// Somebody, as people know them, and where there is more of them.
async fn party(
    call: &Call,
    organization: &OrganizationView,
    access: &Access,
) -> Result<(String, Option<String>), Failure> {
    Ok(match access.who {
        AccessParty::Anonymous => ("anyone, without a token".to_owned(), None),
        AccessParty::User(user) => {
            let found = call.gate().member(&call.by(), organization.record.id, user, call.now).await?;
            let name = words::shown(found.person.display.as_str());
            let name = if name.is_empty() { unnamed("member", &user.to_string()) } else { name };
            (format!("{name}, {}", found.membership.member.role), None)
        }
        AccessParty::Token(token, kind) => {
            let found = call.gate().token(&call.by(), token, call.now).await?;
            let name = words::shown(found.record.description.as_str());
            let kind = match kind {
                TokenKind::Ci => "CI token".to_owned(),
                kind => format!("{} token", kind.as_str()),
            };
            let who =
                if name.is_empty() { unnamed(&kind, &token.to_string()) } else { format!("{name}, {kind}") };
            (who, None)
        }
    })
}

/// What nobody named, by the end of its id: the beginnings of ids that were made at one time are the same.
fn unnamed(what: &str, id: &str) -> String {
    format!("{what} …{}", id.rsplit('-').next().unwrap_or(id))
}

/// Who reads and writes which lanes.
async fn line(call: &Call, workspace: &WorkspaceView, access: &Access, who: String) -> Result<Line, Failure> {
    let settings = &workspace.record.settings;
    let view =
        |own: &Lane, member| LaneView::new(settings, own, None, member).lanes().cloned().collect::<Vec<_>>();
    let reads = match access.who {
        _ if !access.actions.contains(Action::Read) => Vec::new(),
        AccessParty::Anonymous => view(&Lane::anonymous(), false),
        AccessParty::User(_) => view(&settings.personal_lane.lane(), true),
        AccessParty::Token(token, _) => {
            let workspace = Some(workspace.record.id);
            call.gate().explain_token(&call.by(), token, workspace, call.now).await?.reads
        }
    };
    Ok(Line { who, reads, writes: access.writes.clone() })
}

async fn refusal(call: &Call, text: &str) -> Result<Option<Refused>, Failure> {
    let Ok(id) = text.parse() else { return Ok(None) };
    match call.gate().refusal(&call.by(), id, call.now).await {
        Ok(found) => Ok(Some(Refused {
            at: words::moment(found.at),
            who: words::principal(&found.principal),
            action: found.action.as_str(),
            explanation: words::shown_lines(&found.explanation),
            reason: found.reason.map(|reason| reason.code().to_owned()),
        })),
        Err(cachegate::ManageError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn cursor(text: &str) -> Option<AccessCursor> {
    let (kind, id) = text.split_once(':')?;
    match (kind, id) {
        ("members", "") => Some(AccessCursor::Members(None)),
        ("members", id) => Some(AccessCursor::Members(Some(id.parse::<UserId>().ok()?))),
        ("tokens", "") => Some(AccessCursor::Tokens(None)),
        ("tokens", id) => Some(AccessCursor::Tokens(Some(id.parse::<TokenId>().ok()?))),
        _ => None,
    }
}

fn cursor_as_text(cursor: AccessCursor) -> String {
    match cursor {
        AccessCursor::Members(id) => format!("members:{}", id.map(|id| id.to_string()).unwrap_or_default()),
        AccessCursor::Tokens(id) => format!("tokens:{}", id.map(|id| id.to_string()).unwrap_or_default()),
    }
}
