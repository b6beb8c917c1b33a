//! One line in, one line out.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

use crate::ops;
use crate::request::{Id, Refusal, Request, Trail};

/// The answer to one line, without its line end. Whatever the line is, there is one.
pub fn answer(line: &[u8]) -> String {
    // Nothing here panics; a caller who waits for a line gets one even if something does.
    catch_unwind(AssertUnwindSafe(|| respond(line))).unwrap_or_else(|_| {
        let refusal = Refusal::new("internal_fault", "the request could not be carried out");
        refused(&Id::None, refusal)
    })
}

fn respond(line: &[u8]) -> String {
    match Request::read(line) {
        Ok(Request { id, op, members }) => match ops::find(&op) {
            Some(op) => op(&id, members),
            None => {
                let names: Vec<_> = ops::names().collect();
                refused(&id, Refusal::bad_request(format!("no such op: there are {}", names.join(", "))))
            }
        },
        Err((id, refusal)) => refused(&id, refusal),
    }
}

/// The line for what an op came to.
pub(crate) fn line<O: Serialize>(id: &Id, outcome: Result<O, Refusal>) -> String {
    #[derive(Serialize)]
    struct Answered<'a, O> {
        id: &'a Id,
        ok: bool,
        #[serde(flatten)]
        body: O,
    }

    match outcome {
        Ok(body) => to_text(&Answered { id, ok: true, body }),
        Err(refusal) => refused(id, refusal),
    }
}

fn refused(id: &Id, refusal: Refusal) -> String {
    #[derive(Serialize)]
    struct Refused<'a> {
        id: &'a Id,
        ok: bool,
        code: &'static str,
        detail: String,
        #[serde(flatten)]
        trail: Option<Box<Trail>>,
    }

    let Refusal { code, detail, trail } = refusal;
    to_text(&Refused { id, ok: false, code, detail, trail })
}

/// What is written here are structs with text for keys: that does not fail.
fn to_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
