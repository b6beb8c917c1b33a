//! What was done in an organization, by whom.

use askama::Template;
use cachegate::{AuditFilter, AuditFrom, OrganizationView};
use cachegate_storage::acts;
use cachegate_types::{Principal, Timestamp};

use super::{Tabs, View, here, timeline};
use crate::app::{Answered, Call, Failure};
use crate::words;

/// What `order=` says when the page is to begin with what was done first.
const OLDEST: &str = "oldest";

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit<'a> {
    call: &'a Call,
    organization: &'a str,
    problem: Option<&'static str>,
    codes: Vec<(&'static str, bool)>,
    oldest_first: bool,
    rows: Vec<Row>,
    picture: Option<String>,
    next: Option<String>,
}

struct Row {
    number: u64,
    at: String,
    code: String,
    by: String,
    target: String,
    detail: String,
}

pub(super) async fn show(call: &Call, organization: &OrganizationView) -> Answered {
    let (filter, problem) = match filter(call) {
        Ok(filter) => (filter, None),
        Err(problem) => (AuditFilter::default(), Some(problem)),
    };
    let oldest_first = call.value("order") == OLDEST;
    let number = call.query.get("cursor").map(str::parse).transpose().map_err(|_| Failure::missing())?;
    let from = match number {
        None if oldest_first => AuditFrom::OLDEST,
        None => AuditFrom::NEWEST,
        Some(number) if oldest_first => AuditFrom::After(number),
        Some(number) => AuditFrom::Before(number),
    };
    let id = organization.record.id;
    let page = call.gate().audit(&call.by(), Some(id), &filter, from, 100, call.now).await?;
    let moments: Vec<Timestamp> = page.items.iter().map(|record| record.entry.act.at).collect();
    let rows = page.items.iter().map(|record| Row {
        number: record.number,
        at: words::moment(record.entry.act.at),
        code: words::shown(&record.entry.code),
        by: words::principal(&record.entry.act.by),
        target: words::shown(&record.entry.target),
        detail: words::shown(record.entry.detail.as_str()),
    });
    let chosen = call.value("code");
    let main = Audit {
        call,
        organization: organization.record.name.as_str(),
        problem,
        codes: acts::CODES.iter().map(|code| (*code, *code == chosen)).collect(),
        rows: rows.collect(),
        oldest_first,
        picture: timeline::picture(&moments),
        next: page.next.map(|next| {
            let same = ["code", "user", "target", "since", "until", "order"];
            let same = same.map(|name| (name, call.value(name)));
            let cursor = next.to_string();
            here(organization, View::Audit, &[&same[..], &[("cursor", &cursor)]].concat())
        }),
    };
    call.page("Audit", Some(&Tabs::new(organization, View::Audit)), &main)
}

fn filter(call: &Call) -> Result<AuditFilter, &'static str> {
    let text = |name: &str| Some(call.value(name)).filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    let day = |name: &str, time: &str| match text(name) {
        None => Ok(None),
        Some(text) => words::day_at(&text, time).map(Some).ok_or("A day is written as 2026-01-31."),
    };
    let by = match text("user") {
        None => None,
        Some(id) => Some(Principal::User(id.parse().map_err(|_| "A person is named by their id.")?)),
    };
    Ok(AuditFilter {
        code: text("code"),
        by,
        target: text("target"),
        since: day("since", "00:00:00")?,
        until: day("until", "23:59:59")?,
    })
}
