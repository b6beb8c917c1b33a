//! What a stranger can tell two answers apart by.

use crate::http::Answer;

/// Everything of an answer but the time, and the id by which the refusal can be asked about: each has its own.
pub(crate) fn whole(answer: &Answer) -> (u16, Vec<String>, String) {
    let id = answer.head.lines().find_map(|line| line.strip_prefix("cachegate-decision: ")).unwrap_or("none");
    let head = answer.head.lines().filter(|line| !line.starts_with("date:"));
    (answer.status, head.map(|line| line.replace(id, "ID")).collect(), answer.text().replace(id, "ID"))
}
