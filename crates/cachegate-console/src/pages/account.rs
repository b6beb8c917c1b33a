//! The account of who is signed in: personal tokens, where they are signed in, by which logins.

use askama::Template;
use cachegate_storage::TokenKind;
use cachegate_types::{Principal, UserId};

use super::done;
use super::tokens::{self, Place, Rows, offers, rows};
use crate::app::{Answered, Call, Failure};
use crate::words;

/// What the forms of the page do.
pub(crate) const ACTS: &[&str] = tokens::ACTS;

#[derive(Template)]
#[template(path = "account.html")]
struct Account<'a> {
    call: &'a Call,
    id: String,
    done: Option<&'static str>,
    new: Vec<(&'static str, String)>,
    all: bool,
    personal: Rows,
    browsers: Rows,
    sessions: Rows,
    /// `None` where the server keeps none.
    logins: Option<Vec<Login>>,
    this: String,
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
    let logins = match &call.app.accounts {
        None => None,
        Some(accounts) => {
            let found = accounts.accounts_of(user).await.map_err(|_| Failure::unavailable())?;
            let login = |account: &cachegate_storage::AccountRecord| Login {
                issuer: words::shown(&account.issuer),
                subject: words::shown(&account.subject),
                since: words::moment(account.linked_at),
            };
            Some(found.iter().map(login).collect())
        }
    };
    let main = Account {
        call,
        id: user.to_string(),
        done: done(call),
        new: offers(&place),
        all: call.value("show") == "all",
        personal: rows(call, &place, TokenKind::Personal, "Personal tokens").await?,
        browsers: rows(call, &place, TokenKind::Browser, "Browsers").await?,
        sessions: rows(call, &place, TokenKind::Session, "Terminals and jobs").await?,
        logins,
        this: call.session().to_string(),
    };
    call.page("Your account", None, &main)
}

pub(crate) async fn act(call: &Call, act: &str) -> Answered {
    tokens::serve(call, &Place::Personal(user(call)?), Some(act)).await
}

fn user(call: &Call) -> Result<UserId, Failure> {
    match call.who().principal() {
        Principal::User(user) => Ok(*user),
        Principal::Anonymous | Principal::Ci(_) | Principal::Device(_) | Principal::Workload { .. } => {
            Err(Failure::missing())
        }
    }
}
