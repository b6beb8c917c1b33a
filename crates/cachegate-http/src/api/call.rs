//! A request to an operation: its author, its path, its query, its body, read strictly.

use std::str::FromStr;
use std::sync::Arc;

use axum::body::Bytes;
use cachegate::{Authentication, Authority, Gate, Once, Page};
use cachegate_types::Timestamp;
use http::HeaderValue;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Api;
use super::problem::Problem;
use crate::urlencoded::decoded;

/// The most that one page of a list holds.
const LONGEST_PAGE: usize = 100;

/// A request, read and authenticated.
pub(super) struct Call {
    pub(super) api: Arc<Api>,
    pub(super) now: Timestamp,
    pub(super) who: Authentication,
    pub(super) path: Vec<(String, String)>,
    pub(super) query: Query,
    pub(super) body: Bytes,
    pub(super) key: Option<String>,
    pub(super) if_match: Vec<HeaderValue>,
}

impl Call {
    pub(super) fn gate(&self) -> &Gate {
        &self.api.gate
    }

    /// In whose name the kernel is asked: never the operator's.
    pub(super) fn by(&self) -> Authority<'_> {
        Authority::Of(&self.who)
    }

    /// What the path names. What cannot be an id is the id of nothing.
    pub(super) fn id<T: FromStr>(&self, name: &str) -> Result<T, Problem> {
        let found = self.path.iter().find(|(key, _)| key == name);
        found.and_then(|(_, value)| value.parse().ok()).ok_or(Problem::NOT_FOUND)
    }

    /// Whether the request is for whatever state a thing is in, or for this one (RFC 9110, section 13.1.1).
    pub(super) fn is_for(&self, etag: &HeaderValue) -> bool {
        let mut tags = self.if_match.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        self.if_match.is_empty()
            || tags.any(|tag| matches!(tag.trim_ascii(), tag if tag == b"*" || tag == etag.as_bytes()))
    }

    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        // A list of the members' values, without their names, would be read as well.
        if self.body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::body("the body is a JSON object"));
        }
        serde_json::from_slice(&self.body).map_err(|error| Problem::body(without_input(&error)))
    }

    /// What tells this request from another: the path and the body.
    pub(super) fn identity(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (_, value) in &self.path {
            bytes.extend_from_slice(value.as_bytes());
            bytes.push(0);
        }
        bytes.extend_from_slice(&self.body);
        bytes
    }

    pub(super) fn once<'a>(&'a self, operation: &str, request: &'a mut Vec<u8>) -> Option<Once<'a>> {
        *request = [operation.as_bytes(), &[0], &self.identity()].concat();
        self.key.as_deref().map(|key| Once { key, request })
    }

    /// How many items at most, and after which.
    pub(super) fn page<C: FromStr>(&self) -> Result<(usize, Option<C>), Problem> {
        let limit = match self.query.get("limit") {
            None => LONGEST_PAGE,
            Some(text) => match text.parse() {
                Ok(limit @ 1..=LONGEST_PAGE) => limit,
                Ok(_) | Err(_) => return Err(Problem::query("`limit` is a number from 1 to 100")),
            },
        };
        Ok((limit, self.query.parsed("cursor", "is the `next` of an earlier page")?))
    }
}

/// A page of a list.
pub(super) fn page<T, C: ToString>(page: &Page<T, C>, shape: impl Fn(&T) -> Value) -> Value {
    json!({
        "items": page.items.iter().map(shape).collect::<Vec<_>>(),
        "next": page.next.as_ref().map(ToString::to_string),
    })
}

/// The parameters of a query, each at most once and each one that the operation knows.
pub(super) struct Query {
    pairs: Vec<(&'static str, String)>,
}

impl Query {
    pub(super) fn read(text: &str, known: &'static [&'static str]) -> Result<Self, Problem> {
        let mut query = Self { pairs: Vec::new() };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = known.iter().find(|known| **known == name).ok_or_else(|| {
                Problem::query(match known {
                    [] => "this operation takes no query".to_owned(),
                    known => format!("a parameter is unknown; known are: {}", known.join(", ")),
                })
            })?;
            if query.get(name).is_some() {
                return Err(Problem::query(format!("`{name}` stands twice")));
            }
            let value = decoded(value)
                .ok_or_else(|| Problem::query(format!("`{name}` is not written as a query is")))?;
            query.pairs.push((name, value));
        }
        Ok(query)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn parsed<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        let parse = |text: &str| text.parse().map_err(|_| Problem::query(format!("`{name}` {expected}")));
        self.get(name).map(parse).transpose()
    }

    pub(super) fn moment(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        let expected = || Problem::query(format!("`{name}` is a unix second"));
        let moment = |text: &str| {
            let seconds = text.parse().map_err(|_| expected())?;
            Timestamp::from_unix_seconds(seconds).map_err(|_| expected())
        };
        self.get(name).map(moment).transpose()
    }
}

/// The reader's message without what it read: that may be a token in the wrong place.
fn without_input(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let tail = |mark: &str| text.rfind(mark).and_then(|at| text.get(at + mark.len()..));
    let quotes = ["unknown field", "unknown variant", "invalid type", "invalid value", "invalid length"];
    match quotes.into_iter().find(|start| text.starts_with(start)) {
        Some(start) => match tail(", expected") {
            Some(expected) => format!("{start}: expected{expected}"),
            None => format!("{start} at line {}, column {}", error.line(), error.column()),
        },
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_repeats_nothing_of_what_was_read() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Body {
            #[serde(rename = "level")]
            _level: cachegate_types::AccessLevel,
            #[serde(rename = "count")]
            _count: u8,
        }
        let secret = "cgp_secret";
        for text in [
            format!(r#"{{"{secret}":1}}"#),
            format!(r#"{{"{secret}`, expected one of `x":1}}"#),
            format!(r#"{{"level":"{secret}"}}"#),
            format!(r#"{{"count":"{secret}"}}"#),
            format!(r#"{{"count":"{secret}, expected {secret}"}}"#),
            format!(r#""{secret}""#),
            format!(r#"{{"level":"{secret}"#),
            secret.to_owned(),
        ] {
            let error = serde_json::from_str::<Body>(&text).expect_err("no body");
            let told = without_input(&error);
            assert!(!told.contains("secret"), "{text} gave {told}");
        }
    }
}
