//! What is shown: tables for people, JSON for scripts, a spinner where somebody waits.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use cachegate_types::Timestamp;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use crate::failure::{Failed, Status};

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const RED: Style = AnsiColor::Red.on_default().bold();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();

/// Text in a style. Where the stream is no terminal, or `NO_COLOR` is set, the style is taken out on the way.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// To standard output. A token that was just made and could not be handed over must not look as if it had been.
pub(crate) fn print(text: &str) -> Result<(), Failed> {
    let mut out = anstream::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).or_else(|error| match error.kind() {
        // `gatectl ... | head`: the reader has enough.
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failed::new(
            Status::Refused,
            "stdout",
            format!("standard output could not be written: {error}"),
            "give it somewhere to go",
        )),
    })
}

/// To standard error, beside the result.
pub(crate) fn note(text: &str) {
    // Where nobody can read it, nobody misses it.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// A document for scripts, on standard output.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failed> {
    let value = serde_json::to_value(value).map_err(|error| {
        Failed::new(Status::Refused, "json", format!("the result is no JSON: {error}"), "leave `--json` out")
    })?;
    print(&format!("{:#}\n", in_order(value)))
}

/// The same with the members of each object in the order of their names, whichever order the build keeps.
pub(crate) fn in_order(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> =
                members.into_iter().map(|(name, value)| (name, in_order(value))).collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(in_order).collect()),
        other => other,
    }
}

/// A text of somebody else, as it may go to a terminal.
pub(crate) fn harmless(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// The same, for a text of several lines.
pub(crate) fn harmless_lines(text: &str) -> String {
    text.lines().map(harmless).collect::<Vec<_>>().join("\n")
}

/// A moment, to the minute, in UTC.
pub(crate) fn moment(at: Timestamp) -> String {
    let at = OffsetDateTime::from(at);
    let date = at.date();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        at.hour(),
        at.minute()
    )
}

/// How long it is until then, about: `in 3 days`, `12 minutes ago`.
pub(crate) fn from_now(at: Timestamp, now: Timestamp) -> String {
    if at > now { format!("in {}", span(at.since(now))) } else { format!("{} ago", span(now.since(at))) }
}

/// A span in its largest unit, rounded down.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// So many of these: `1 file`, `2 files`.
pub(crate) fn count(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Columns as wide as what is in them; the head stands out.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain(head.get(column).map(|name| name.len())).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells: Vec<String> =
            cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
        cells.join("  ").trim_end().to_owned()
    };
    let mut text = format!("{}\n", styled(BOLD, &line(&mut head.iter().copied())));
    for row in rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
        text.push('\n');
    }
    text
}

/// Names and values below one another.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default() + 1;
    let line = |(name, value): &(&str, String)| {
        format!("{} {value}\n", styled(BOLD, &format!("{:<width$}", format!("{name}:"))))
    };
    pairs.iter().map(line).collect()
}

/// A spinner on standard error while something is waited for; nothing where that is no terminal.
pub(crate) fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, target());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A bar on standard error over so many steps; nothing where that is no terminal.
pub(crate) fn bar(steps: usize, what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(u64::try_from(steps).ok(), target());
    if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len}") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}

fn target() -> ProgressDrawTarget {
    if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}
