//! Locks and distrust: what stops a class of requests at once, and what makes entries a miss. Each tells its effect before
//! it is confirmed.

use std::time::Duration;

use askama::Template;
use cachegate::{ManageError, OrganizationView, WorkspaceView};
use cachegate_policy::LockScope;
use cachegate_storage::{MarkScope, MassScope, TokenFilter, TokenKind};
use cachegate_types::{Action, ActionSet, Description, Resource, Timestamp, WorkspaceId};

use super::{Confirm, ROWS, Step, Tabs, View, beside, done, here};
use crate::app::{Answered, Call, Counted, Failure, see, sentence};
use crate::words;

/// What the forms of the page do.
pub(super) const ACTS: &[&str] =
    &["count-lock", "lock", "lift", "count-distrust", "distrust", "trust", "count-revoke", "revoke"];

/// How far tokens are counted.
const COUNTED: usize = 10_000;

#[derive(Template)]
#[template(path = "guards.html")]
struct Guards<'a> {
    call: &'a Call,
    organization: &'a str,
    action: String,
    done: Option<&'static str>,
    problem: Option<String>,
    confirm: Option<Confirm>,
    locks: Vec<Guard>,
    marks: Vec<Guard>,
    workspaces: Vec<String>,
    actions: [(&'static str, bool); 4],
}

/// A lock or a mark in force.
struct Guard {
    id: String,
    what: String,
    reason: String,
    by: String,
    since: String,
    until: String,
}

pub(super) async fn serve(call: &Call, organization: &OrganizationView, act: Option<&str>) -> Answered {
    if !call.administers(Resource::Organization(organization.record.id)).await? {
        return Err(Failure::denied(
            "Locks and distrust are for the organization's administrators.".to_owned(),
        ));
    }
    let workspaces = call.workspaces(organization).await?;
    let site = Site { call, organization, workspaces: &workspaces };
    let (mut confirm, mut problem) = (None, None);
    let outcome = match act {
        None => Ok(Step::Show),
        Some("count-lock") => site.count_lock().await.map(Step::Ask),
        Some("count-distrust") => site.count_mark().await.map(Step::Ask),
        Some("count-revoke") => site.count_revocation().await.map(Step::Ask),
        Some(act) => site.act(act).await.map(Step::Done),
    };
    match outcome {
        Ok(Step::Show) => {}
        Ok(Step::Ask(asked)) => confirm = Some(asked),
        Ok(Step::Done(done)) => return see(&here(organization, View::Guards, &[("done", done)])),
        Err(failure) => problem = Some(beside(failure)?),
    }
    let chosen: Vec<&str> = call.form.all("actions").collect();
    let main = Guards {
        call,
        organization: organization.record.name.as_str(),
        action: here(organization, View::Guards, &[]),
        done: done(call),
        problem,
        confirm,
        locks: site.locks().await?,
        marks: site.marks().await?,
        workspaces: workspaces.iter().map(|one| one.record.name.to_string()).collect(),
        actions: [Action::Resolve, Action::Read, Action::Write, Action::Publish].map(|action| {
            let name = action.as_str();
            (name, if chosen.is_empty() { action != Action::Resolve } else { chosen.contains(&name) })
        }),
    };
    call.answer(main.problem.is_some(), "Locks and distrust", &Tabs::new(organization, View::Guards), &main)
}

/// The most locks, and the most marks, that are shown.
const ROWS_EACH: usize = ROWS / 2;

struct Site<'a> {
    call: &'a Call,
    organization: &'a OrganizationView,
    workspaces: &'a [WorkspaceView],
}

impl Site<'_> {
    fn named(&self, name: &str) -> Result<&WorkspaceView, Failure> {
        let found = self.workspaces.iter().find(|one| one.record.name.as_str() == name);
        found.ok_or_else(|| Failure::form("Choose a workspace of this organization."))
    }

    fn name(&self, id: WorkspaceId) -> Option<&str> {
        let found = self.workspaces.iter().find(|one| one.record.id == id);
        found.map(|one| one.record.name.as_str())
    }

    async fn act(&self, act: &str) -> Result<&'static str, Failure> {
        let Call { now, .. } = *self.call;
        let (gate, by) = (self.call.gate(), self.call.by());
        match act {
            "lock" => {
                let (scope, actions, hours) = self.lock()?;
                let until = hours.map(|hours| now.saturating_add(Duration::from_secs(hours * 60 * 60)));
                gate.lock(&by, scope, actions, until, self.reason()?, now).await?;
                Ok("locked")
            }
            "distrust" => {
                gate.distrust(&by, self.mark().await?, self.reason()?, now).await?;
                Ok("distrusted")
            }
            "revoke" => {
                let (scope, until) = self.revocation()?;
                gate.revoke_many(&by, scope, Some(until), self.reason()?, now).await?;
                Ok("many-revoked")
            }
            "lift" => {
                let id = self.call.value("id").parse().map_err(|_| Failure::missing())?;
                gate.lift_lock(&by, id, now).await?;
                Ok("lifted")
            }
            "trust" => {
                let id = self.call.value("id").parse().map_err(|_| Failure::missing())?;
                gate.trust_again(&by, id, now).await?;
                Ok("trusted")
            }
            _ => Err(Failure::missing()),
        }
    }

    fn reason(&self) -> Result<Description, Failure> {
        match self.call.value("reason") {
            "" => Err(Failure::form("Say why, for those who look later.")),
            text => text.parse().map_err(|error| Failure::form(sentence(&error))),
        }
    }

    fn lock(&self) -> Result<(LockScope, ActionSet, Option<u64>), Failure> {
        let scope = match self.call.value("place") {
            "" => LockScope::Organization(self.organization.record.id),
            name => LockScope::Workspace(self.named(name)?.record.id),
        };
        let actions = self.call.form.all("actions").map(str::parse::<Action>);
        let actions: ActionSet =
            actions.collect::<Result<_, _>>().map_err(|error| Failure::form(sentence(&error)))?;
        if actions.is_empty() {
            return Err(Failure::form("Choose at least one action to stop."));
        }
        let hours = match self.call.value("hours") {
            "" => None,
            text => {
                Some(text.parse().ok().filter(|hours| (1..=87_600).contains(hours)).ok_or_else(|| {
                    Failure::form(
                        "A lock ends after a number of hours, from 1 to 87600, or when it is lifted.",
                    )
                })?)
            }
        };
        Ok((scope, actions, hours))
    }

    async fn count_lock(&self) -> Result<Confirm, Failure> {
        let (scope, actions, hours) = self.lock()?;
        let reason = self.reason()?;
        let (place, workspace) = match &scope {
            LockScope::Workspace(id) => (self.name(*id).unwrap_or_default(), Some(*id)),
            _ => (self.organization.record.name.as_str(), None),
        };
        let mut effects = vec![match workspace {
            Some(_) => "1 workspace.".to_owned(),
            None => format!("{} workspaces.", self.workspaces.len()),
        }];
        for (kind, label) in
            [(TokenKind::Ci, "CI"), (TokenKind::Device, "device"), (TokenKind::Session, "session")]
        {
            // An organization's device tokens reach each of its workspaces.
            let within = workspace.filter(|_| kind != TokenKind::Device);
            effects.push(format!("Live {label} tokens: {}.", self.live(within, kind, self.call.now).await?));
        }
        effects
            .push(format!("Members with their tokens, administrators included: {}.", self.members().await?));
        Ok(Confirm {
            title: format!("Stop {actions} in {place}?"),
            effects,
            act: "lock",
            label: "Lock",
            fields: [
                ("place", self.call.value("place").to_owned()),
                ("hours", hours.map(|hours| hours.to_string()).unwrap_or_default()),
                ("reason", reason.to_string()),
            ]
            .into_iter()
            .chain(actions.iter().map(|action| ("actions", action.as_str().to_owned())))
            .collect(),
        })
    }

    /// Which tokens a form revokes: those of a place that were issued until the end of a day, or until now.
    fn revocation(&self) -> Result<(MassScope, Timestamp), Failure> {
        let scope = match self.call.value("place") {
            "" => MassScope::Organization(self.organization.record.id),
            name => MassScope::Workspace(self.named(name)?.record.id),
        };
        // What was counted is what is revoked: the confirmation names the second.
        let until = match (self.call.value("second"), self.call.value("day")) {
            ("", "") => Some(self.call.now),
            ("", day) => words::day_at(day, "23:59:59"),
            (second, _) => second.parse().ok().and_then(|second| Timestamp::from_unix_seconds(second).ok()),
        };
        let until = until.ok_or_else(|| Failure::form("A day is written as 2026-01-31."))?;
        Ok((scope, until.min(self.call.now)))
    }

    async fn count_revocation(&self) -> Result<Confirm, Failure> {
        let (scope, until) = self.revocation()?;
        let reason = self.reason()?;
        let (place, workspace) = match &scope {
            MassScope::Workspace(id) => {
                (format!("the workspace {}", self.name(*id).unwrap_or_default()), Some(*id))
            }
            _ => (format!("all of {}", self.organization.record.name), None),
        };
        let mut effects = Vec::new();
        for (kind, label) in
            [(TokenKind::Ci, "CI"), (TokenKind::Device, "device"), (TokenKind::Session, "session")]
        {
            effects.push(format!("Live {label} tokens: {}.", self.live(workspace, kind, until).await?));
        }
        effects.push(match workspace {
            Some(_) => {
                "Device tokens that are for every workspace stay, and so do personal tokens.".to_owned()
            }
            None => "A directory's own token is among the device tokens. Personal tokens of members stay."
                .to_owned(),
        });
        effects.push("What came from these tokens ends with them. It cannot be undone.".to_owned());
        Ok(Confirm {
            title: format!("Revoke every token of {place} that was issued until {}?", words::moment(until)),
            effects,
            act: "revoke",
            label: "Revoke them all",
            fields: vec![
                ("place", self.call.value("place").to_owned()),
                ("second", until.as_unix_seconds().to_string()),
                ("reason", reason.to_string()),
            ],
        })
    }

    /// How many live tokens of a kind there are that were issued until then.
    async fn live(
        &self,
        workspace: Option<WorkspaceId>,
        kind: TokenKind,
        until: Timestamp,
    ) -> Result<String, Failure> {
        let filter = TokenFilter {
            organization: workspace.is_none().then_some(self.organization.record.id),
            workspace,
            kind: Some(kind),
            live_at: Some(self.call.now),
            ..TokenFilter::default()
        };
        let (mut count, mut after) = (0, None);
        loop {
            let page = self.call.gate().tokens(&self.call.by(), &filter, after, 1000, self.call.now).await?;
            count += page.iter().filter(|record| record.issued_at <= until).count();
            match page.last() {
                Some(last) if page.len() == 1000 && count < COUNTED => after = Some(last.id),
                Some(_) if count >= COUNTED => return Ok(format!("{COUNTED} or more")),
                Some(_) | None => return Ok(count.to_string()),
            }
        }
    }

    async fn members(&self) -> Result<String, Failure> {
        let (mut count, mut after) = (0, None);
        loop {
            let id = self.organization.record.id;
            let page = self.call.gate().members(&self.call.by(), id, after, 1000, self.call.now).await?;
            count += page.items.len();
            match page.next {
                Some(next) if count < COUNTED => after = Some(next),
                Some(_) => return Ok(format!("{COUNTED} or more")),
                None => return Ok(count.to_string()),
            }
        }
    }

    /// Whose entries a form names: a token of this organization, or what was written in a span of days.
    async fn mark(&self) -> Result<MarkScope, Failure> {
        let unclear = || Failure::form("Name a token by its id, or a workspace with a first and a last day.");
        if let Some(id) = self.call.form.get("token") {
            let id = id.parse().map_err(|_| unclear())?;
            let view = self.call.gate().token(&self.call.by(), id, self.call.now).await;
            let view = view.map_err(|error| match error {
                ManageError::Missing { .. } => Failure::form("No token of this organization has this id."),
                error => error.into(),
            })?;
            if view.record.organization != Some(self.organization.record.id) {
                return Err(Failure::form("No token of this organization has this id."));
            }
            return Ok(MarkScope::Token(id));
        }
        let workspace = self.named(self.call.value("of"))?.record.id;
        let from = words::day_at(self.call.value("from"), "00:00:00").ok_or_else(unclear)?;
        let to = words::day_at(self.call.value("to"), "23:59:59").ok_or_else(unclear)?;
        if from > to {
            return Err(Failure::form("The first day is not after the last."));
        }
        Ok(MarkScope::Window { workspace: Some(workspace), from, to })
    }

    async fn count_mark(&self) -> Result<Confirm, Failure> {
        let scope = self.mark().await?;
        let reason = self.reason()?;
        let all: Vec<WorkspaceId> = self.workspaces.iter().map(|one| one.record.id).collect();
        let counted = match &self.call.app.entries {
            Some(entries) => entries.distrusted(&all, &scope).await,
            None => None,
        };
        let mut effects = vec![match counted {
            Some(Counted::Exactly(1)) => "1 stored entry becomes a miss, and is built anew.".to_owned(),
            Some(Counted::Exactly(count)) => {
                format!("{count} stored entries become a miss, and are built anew.")
            }
            Some(Counted::AtLeast(0)) => "Entries that were written so become a miss, and are built anew. There is too \
                                          much to count them: none is in the part that was looked through."
                .to_owned(),
            Some(Counted::AtLeast(count)) => format!(
                "At least {count} stored entries become a miss, and are built anew: there is too much to count them all."
            ),
            None => "Every entry that was written so becomes a miss, and is built anew. This server cannot count them."
                .to_owned(),
        }];
        if let MarkScope::Token(id) = &scope {
            let view = self.call.gate().token(&self.call.by(), *id, self.call.now).await?;
            effects.push(format!(
                "1 token, {}, and what came from it: it is {}.",
                words::named_token(view.record.description.as_str()),
                words::shown(&words::state(&view.state))
            ));
            effects.push("The token itself goes on: revoke it as well if it leaked.".to_owned());
        }
        effects.push("It can be trusted again later, without anything being stored anew.".to_owned());
        let value = |name: &'static str| (name, self.call.value(name).to_owned());
        Ok(Confirm {
            title: format!("Distrust {}?", self.scope(&scope)),
            effects,
            act: "distrust",
            label: "Distrust",
            fields: vec![
                value("token"),
                value("of"),
                value("from"),
                value("to"),
                ("reason", reason.to_string()),
            ],
        })
    }

    fn scope(&self, scope: &MarkScope) -> String {
        match scope {
            MarkScope::Token(id) => format!("what token {id} wrote"),
            MarkScope::Window { workspace, from, to } => {
                let place = workspace.and_then(|id| self.name(id)).unwrap_or("everywhere");
                format!("what was written in {place} from {} to {}", words::day(*from), words::day(*to))
            }
            MarkScope::Principal(who) => format!("what {} wrote", words::principal(who)),
            MarkScope::Run(run) => format!("what run {} wrote", words::shown(run)),
        }
    }

    async fn locks(&self) -> Result<Vec<Guard>, Failure> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.call.gate().locks(&self.call.by(), after, 100, self.call.now).await?;
            for record in page.items {
                let place = match &record.lock.scope {
                    LockScope::Organization(id) if *id == self.organization.record.id => {
                        Some(format!("all of {}", self.organization.record.name))
                    }
                    LockScope::Workspace(id) => self.name(*id).map(ToOwned::to_owned),
                    _ => None,
                };
                let ended = record.lock.until.is_some_and(|until| self.call.now >= until);
                let Some(place) = place.filter(|_| !ended) else { continue };
                all.push(Guard {
                    id: record.lock.id.to_string(),
                    what: format!("{} in {place}", record.lock.actions),
                    reason: words::shown(record.reason.as_str()),
                    by: words::principal(&record.by),
                    since: words::moment(record.at),
                    until: record.lock.until.map_or_else(|| "it is lifted".to_owned(), words::moment),
                });
            }
            match page.next {
                Some(next) if all.len() < ROWS_EACH => after = Some(next),
                Some(_) | None => {
                    all.truncate(ROWS_EACH);
                    return Ok(all);
                }
            }
        }
    }

    async fn marks(&self) -> Result<Vec<Guard>, Failure> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.call.gate().marks(&self.call.by(), after, 100, self.call.now).await?;
            for record in page.items {
                let ours = match &record.scope {
                    MarkScope::Token(id) => {
                        let found = self.call.gate().token(&self.call.by(), *id, self.call.now).await;
                        found.is_ok_and(|view| view.record.organization == Some(self.organization.record.id))
                    }
                    MarkScope::Window { workspace: Some(id), .. } => self.name(*id).is_some(),
                    MarkScope::Window { workspace: None, .. }
                    | MarkScope::Principal(_)
                    | MarkScope::Run(_) => false,
                };
                if ours {
                    all.push(Guard {
                        id: record.id.to_string(),
                        what: self.scope(&record.scope),
                        reason: words::shown(record.reason.as_str()),
                        by: words::principal(&record.by),
                        since: words::moment(record.at),
                        until: String::new(),
                    });
                }
            }
            match page.next {
                Some(next) if all.len() < ROWS_EACH => after = Some(next),
                Some(_) | None => {
                    all.truncate(ROWS_EACH);
                    return Ok(all);
                }
            }
        }
    }
}
