//! The account of who is signed in: personal tokens, where they are signed in, by which logins.

use askama::Template;
use cachegate::ManageError;
use cachegate_storage::{TokenKind, TokenRecord};
use cachegate_types::{Principal, TokenId, UserId};

use super::tokens::{self, Place, Rows, offers, rows, terminals};
use super::{Confirm, ROWS, Step, beside, done};
use crate::app::{Answered, Call, Failure, see};
use crate::fields::address;
use crate::words;

/// What the forms of the page do: those of tokens, and ending many.
pub(crate) const ACTS: &[&str] = &["create", "preview", "rotate", "revoke", "count-end", "end"];

/// The most rows of each of the lists.
const ROWS_EACH: usize = ROWS / 4;

/// The most that one form ends.
const AT_ONCE: usize = 1000;

/// What can be ended all at once.
const ENDED: [(&str, &str, &[TokenKind]); 3] = [
    ("browsers", "Other browsers", &[TokenKind::Browser]),
    ("terminals", "Logins in a terminal, and sessions", &[TokenKind::Refresh, TokenKind::Session]),
    ("personal", "Personal tokens", &[TokenKind::Personal]),
];

#[derive(Template)]
#[template(path = "account.html")]
struct Account<'a> {
    call: &'a Call,
    id: String,
    done: Option<&'static str>,
    problem: Option<String>,
    confirm: Option<Confirm>,
    new: Vec<(&'static str, String)>,
    all: bool,
    personal: Rows,
    browsers: Rows,
    terminals: Rows,
    sessions: Rows,
    ended: Vec<(&'static str, &'static str, bool)>,
    /// `None` where the server keeps none.
    logins: Option<Vec<Login>>,
}

/// A login at a provider.
struct Login {
    issuer: String,
    subject: String,
    since: String,
}

pub(crate) async fn show(call: &Call) -> Answered {
    let user = user(call)?;
    let place = Place::Personal(user);
    if call.query.get("token").is_some() || call.query.get("new").is_some() {
        return tokens::serve(call, &place, None).await;
    }
    page(call, user, Step::Show, None).await
}

async fn page(call: &Call, user: UserId, step: Step, problem: Option<String>) -> Answered {
    let place = Place::Personal(user);
    let logins = match &call.app.accounts {
        None => None,
        Some(accounts) => {
            let found = accounts.accounts_of(user).await.map_err(|_| Failure::unavailable())?;
            let login = |account: &cachegate_storage::AccountRecord| Login {
                issuer: words::shown(&account.issuer),
                subject: words::shown(&account.subject),
                since: words::moment(account.linked_at),
            };
            Some(found.iter().take(ROWS_EACH).map(login).collect())
        }
    };
    let main = Account {
        call,
        id: user.to_string(),
        done: done(call),
        problem,
        confirm: match step {
            Step::Ask(confirm) => Some(confirm),
            Step::Show | Step::Done(_) => None,
        },
        new: offers(&place),
        all: call.value("show") == "all",
        personal: rows(call, &place, TokenKind::Personal, "Personal tokens", ROWS_EACH).await?,
        browsers: rows(call, &place, TokenKind::Browser, "Browsers", ROWS_EACH).await?,
        terminals: terminals(call, &place, ROWS_EACH).await?,
        sessions: rows(call, &place, TokenKind::Session, "Sessions", ROWS_EACH).await?,
        ended: ENDED.iter().map(|(what, label, _)| (*what, *label, is_chosen(call, what))).collect(),
        logins,
    };
    let title = "Your account";
    if main.problem.is_some() { call.again(title, None, &main) } else { call.page(title, None, &main) }
}

pub(crate) async fn act(call: &Call, act: &str) -> Answered {
    let user = user(call)?;
    let step = match act {
        "count-end" => count(call, user).await.map(Step::Ask),
        "end" => end(call, user).await.map(Step::Done),
        act => return tokens::serve(call, &Place::Personal(user), Some(act)).await,
    };
    match step {
        Ok(Step::Done(done)) => see(&address("/account", &[("done", done)])),
        Ok(step) => page(call, user, step, None).await,
        Err(failure) => page(call, user, Step::Show, Some(beside(failure)?)).await,
    }
}

fn is_chosen(call: &Call, what: &str) -> bool {
    call.form.all("what").any(|one| one == what)
}

/// The live tokens of the person that a form ends, but for this browser's own.
async fn chosen(call: &Call, user: UserId, kinds: &[TokenKind]) -> Result<Vec<TokenId>, Failure> {
    let mut found = Vec::new();
    for kind in kinds {
        let filter = Place::Personal(user).filter(*kind, Some(call.now));
        let mut after = None;
        loop {
            let page = call.gate().tokens(&call.by(), &filter, after, AT_ONCE, call.now).await?;
            after = page.last().map(|last| last.id).filter(|_| page.len() == AT_ONCE);
            let counts = |record: &TokenRecord| {
                record.superseded.is_none_or(|superseded| superseded.overlap_until > call.now)
            };
            found.extend(page.iter().filter(|record| counts(record)).map(|record| record.id));
            if found.len() > AT_ONCE || after.is_none() {
                break;
            }
        }
    }
    found.retain(|id| *id != call.session());
    found.truncate(AT_ONCE);
    Ok(found)
}

async fn count(call: &Call, user: UserId) -> Result<Confirm, Failure> {
    let came_from = came_from(call).await?;
    let (mut effects, mut fields) = (Vec::new(), Vec::new());
    for (what, label, kinds) in ENDED.iter().filter(|(what, ..)| is_chosen(call, what)) {
        let found = chosen(call, user, kinds).await?;
        let most = if found.len() == AT_ONCE { ", as many as are ended at once" } else { "" };
        effects.push(format!("{label}: {}{most}.", found.len()));
        if found.iter().any(|id| came_from.contains(id)) {
            effects.push("You signed in here by one of them: this browser is signed out too.".to_owned());
        }
        fields.push(("what", (*what).to_owned()));
    }
    if fields.is_empty() {
        return Err(Failure::form("Choose what to end."));
    }
    effects.push("Whatever uses them is refused within seconds. It cannot be undone.".to_owned());
    let title = "End all of these?".to_owned();
    Ok(Confirm { title, effects, act: "end", label: "End them all", fields })
}

async fn end(call: &Call, user: UserId) -> Result<&'static str, Failure> {
    let kinds = ENDED.iter().filter(|(what, ..)| is_chosen(call, what)).flat_map(|(.., kinds)| *kinds);
    let kinds: Vec<TokenKind> = kinds.copied().collect();
    if kinds.is_empty() {
        return Err(Failure::form("Choose what to end."));
    }
    let mut found = chosen(call, user, &kinds).await?;
    // What this browser's own session came from goes last: nothing could be ended after it.
    let came_from = came_from(call).await?;
    found.sort_by_key(|id| came_from.contains(id));
    let mut left = 0;
    for id in found {
        let reason = "ended with all others".parse().unwrap_or_default();
        match call.gate().revoke(&call.by(), id, reason, call.now).await {
            Ok(_) => {}
            Err(ManageError::MoreThanHeld { .. }) => left += 1,
            Err(error) => return Err(error.into()),
        }
    }
    match left {
        0 => Ok("ended"),
        left => Err(Failure::form(format!(
            "{left} of them go on: what you signed in here by may do less than they. The others are ended."
        ))),
    }
}

/// What this browser's session came from.
async fn came_from(call: &Call) -> Result<Vec<TokenId>, Failure> {
    Ok(call.gate().token(&call.by(), call.session(), call.now).await?.record.ancestors)
}

fn user(call: &Call) -> Result<UserId, Failure> {
    match call.who().principal() {
        Principal::User(user) => Ok(*user),
        Principal::Anonymous | Principal::Ci(_) | Principal::Device(_) | Principal::Workload { .. } => {
            Err(Failure::missing())
        }
    }
}
