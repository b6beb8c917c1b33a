//! How long an organization lets tokens live at most.

use std::time::Duration;

use askama::Template;
use cachegate::{LongestLives, OrganizationView};

use super::{Tabs, View, beside, done, here};
use crate::app::{Answered, Call, Failure, see};
use crate::words;

/// The longest life that a form may say, in seconds: ten years.
const LONGEST: u64 = 3650 * 24 * 60 * 60;

#[derive(Template)]
#[template(path = "lives.html")]
struct Lives<'a> {
    call: &'a Call,
    action: String,
    done: Option<&'static str>,
    problem: Option<String>,
    seen: String,
    kinds: [Kind; 2],
}

/// A kind of token, with how long it lives at most.
struct Kind {
    name: &'static str,
    label: &'static str,
    told: String,
    number: String,
    units: Vec<(&'static str, bool)>,
}

pub(super) async fn serve(call: &Call, organization: &OrganizationView, act: Option<&str>) -> Answered {
    let id = organization.record.id;
    let lives = call.gate().longest_lives(&call.by(), id, call.now).await?;
    let problem = match act {
        None => None,
        Some(_) => match save(call, organization, lives).await {
            Ok(()) => return see(&here(organization, View::Lives, &[("done", "saved")])),
            Err(failure) => Some(beside(failure)?),
        },
    };
    let main = Lives {
        call,
        action: here(organization, View::Lives, &[]),
        done: done(call),
        problem,
        seen: as_text(lives),
        kinds: [
            kind(call, "ci", "CI tokens of its workspaces", lives.ci),
            kind(call, "personal", "Personal tokens of its members", lives.personal),
        ],
    };
    call.answer(main.problem.is_some(), "Token lives", &Tabs::new(organization, View::Lives), &main)
}

/// As it is kept, or as the form says that could not be taken.
fn kind(call: &Call, name: &'static str, label: &'static str, life: Option<Duration>) -> Kind {
    let (number, unit) = match (call.form.get("act"), life.map(words::span)) {
        (Some(_), _) => (call.value(name).to_owned(), call.value(&format!("{name}-unit"))),
        (None, Some((number, unit))) => (number.to_string(), unit),
        (None, None) => (String::new(), ""),
    };
    Kind {
        name,
        label,
        told: match life.map(words::span) {
            Some((number, unit)) => format!("Now: {number} {unit} at most."),
            None => "Now: until they are revoked.".to_owned(),
        },
        number,
        units: words::UNITS.iter().map(|(name, _)| (*name, *name == unit)).collect(),
    }
}

async fn save(call: &Call, organization: &OrganizationView, kept: LongestLives) -> Result<(), Failure> {
    if call.value("seen") != as_text(kept) {
        return Err(Failure::form("Somebody else changed this meanwhile. Open the page anew."));
    }
    let lives = LongestLives { ci: life(call, "ci")?, personal: life(call, "personal")? };
    call.gate().set_longest_lives(&call.by(), organization.record.id, lives, call.now).await?;
    Ok(())
}

fn life(call: &Call, name: &str) -> Result<Option<Duration>, Failure> {
    let unclear =
        || Failure::form("A life is a whole number, of ten years at most; empty is until it is revoked.");
    let number = match call.value(name) {
        "" => return Ok(None),
        text => text.parse::<u64>().map_err(|_| unclear())?,
    };
    let unit = call.value(&format!("{name}-unit"));
    let unit = words::UNITS.into_iter().find(|(known, _)| *known == unit).ok_or_else(unclear)?.1;
    let seconds = number.checked_mul(unit).filter(|seconds| (1..=LONGEST).contains(seconds));
    Ok(Some(Duration::from_secs(seconds.ok_or_else(unclear)?)))
}

/// As one text, by which the form says what it was filled in over.
fn as_text(lives: LongestLives) -> String {
    let one = |life: Option<Duration>| life.map(|life| life.as_secs().to_string()).unwrap_or_default();
    format!("{}/{}", one(lives.ci), one(lives.personal))
}
