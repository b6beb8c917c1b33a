//! A resource as it is kept and as it is shown, and what a client asks of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use cachegate_storage::{DirectoryKind, DirectoryRecord, StoreError};
use cachegate_types::{Description, Name, Timestamp};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Found;
use super::error::ScimError;
use super::schema::{LONGEST_PAGE, ResourceType};

/// What a directory told of a user or a group.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) document: Map<String, Value>,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
}

impl Told {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let (created, modified) = (self.created.as_unix_seconds(), self.modified.as_unix_seconds());
        json!({"created": created, "modified": modified, "told": self.document}).to_string().into_bytes()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, ScimError> {
        let corrupt =
            || StoreError::Corrupt { what: "directory record", detail: "no user and no group".to_owned() };
        let Ok(Value::Object(mut kept)) = serde_json::from_slice(bytes) else { return Err(corrupt().into()) };
        let moment = |name: &str| kept.get(name).and_then(Value::as_i64).map(Timestamp::from_unix_seconds);
        let (Some(Ok(created)), Some(Ok(modified))) = (moment("created"), moment("modified")) else {
            return Err(corrupt().into());
        };
        match kept.remove("told") {
            Some(Value::Object(document)) => Ok(Self { document, created, modified }),
            Some(_) | None => Err(corrupt().into()),
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<Arc<str>> {
        self.document.get(name).and_then(Value::as_str).map(Arc::from)
    }

    /// What people call them.
    pub(super) fn display(&self) -> Description {
        let formatted = self.document.get("name").and_then(|name| name.get("formatted"));
        let names = [self.document.get("displayName"), formatted, self.document.get("userName")];
        let mut names = names.into_iter().flatten().filter_map(Value::as_str);
        names.find_map(|name| name.parse().ok()).unwrap_or_default()
    }

    /// The ids of a group's members.
    pub(super) fn members(&self) -> BTreeSet<String> {
        let members = self.document.get("members").and_then(Value::as_array).map(Vec::as_slice);
        let ids = members.unwrap_or_default().iter().filter_map(|member| member.get("value")?.as_str());
        ids.map(str::to_owned).collect()
    }

    pub(super) fn lists(&self, id: &str) -> bool {
        let members = self.document.get("members").and_then(Value::as_array);
        members.is_some_and(|members| members.iter().any(|member| member["value"] == id))
    }

    /// Takes a user off a group.
    pub(super) fn forget(&mut self, id: &str) {
        if let Some(Value::Array(members)) = self.document.get_mut("members") {
            members.retain(|member| member["value"] != id);
        }
        self.only_ids();
    }

    /// Keeps of members what they are, and nothing that can be told from it.
    pub(super) fn only_ids(&mut self) {
        let ids = self.members();
        if ids.is_empty() {
            self.document.remove("members");
        } else {
            let members: Vec<_> = ids.into_iter().map(|id| json!({"value": id})).collect();
            self.document.insert("members".to_owned(), members.into());
        }
    }

    /// What the organization's group can be called, best first.
    pub(super) fn group_names(&self, id: &str) -> impl Iterator<Item = Name> {
        let shown = self.text("displayName").unwrap_or_default().to_lowercase();
        let plain = |one: char| if one.is_ascii_lowercase() || one.is_ascii_digit() { one } else { '-' };
        let mut name: String = shown.chars().map(plain).collect();
        while let Some(start) = name.find("--") {
            name.remove(start);
        }
        let name: String = name.trim_matches('-').chars().take(48).collect();
        let name = name.trim_end_matches('-');
        let tail: String = id.chars().filter(|one| *one != '-').collect();
        let tail = tail.get(tail.len().saturating_sub(12)..).unwrap_or_default();
        let (short, long) = (name.to_owned(), format!("{name}-{tail}"));
        let whole = format!("group-{}", id.to_lowercase());
        [short, long, whole].into_iter().filter_map(|name| name.parse().ok())
    }

    /// What tells this state of the resource from another.
    pub(super) fn etag(&self, record: &DirectoryRecord, active: bool) -> String {
        let away = if active { "" } else { "-inactive" };
        format!("W/\"{}{away}\"", record.version)
    }

    /// The resource as clients see it.
    pub(super) fn shown(
        &self,
        kind: &ResourceType,
        record: &DirectoryRecord,
        active: bool,
        groups: &[Found],
        base: &str,
    ) -> Value {
        let mut shown = self.document.clone();
        let mut put = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
        put("schemas", json!([kind.schema]));
        put("id", (*record.id).into());
        put(
            "meta",
            json!({
                "resourceType": kind.name,
                "created": written(self.created),
                "lastModified": written(self.modified),
                "location": format!("{base}/{}/{}", kind.endpoint, record.id),
                "version": self.etag(record, active),
            }),
        );
        match record.target.kind() {
            DirectoryKind::Person => {
                put("active", active.into());
                let listing = groups.iter().filter(|group| group.told.lists(&record.id));
                let listing: Vec<_> = listing
                    .map(|group| {
                        json!({
                            "value": *group.record.id,
                            "$ref": format!("{base}/Groups/{}", group.record.id),
                            "display": group.told.text("displayName").as_deref(),
                        })
                    })
                    .collect();
                if !listing.is_empty() {
                    put("groups", listing.into());
                }
            }
            DirectoryKind::Group => {
                let members: Vec<_> = self
                    .members()
                    .into_iter()
                    .map(|id| json!({"value": id, "$ref": format!("{base}/Users/{id}"), "type": "User"}))
                    .collect();
                if !members.is_empty() {
                    put("members", members.into());
                }
            }
        }
        Value::Object(shown)
    }
}

fn written(at: Timestamp) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(at.as_unix_seconds());
    moment.ok().and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default()
}

/// What a client asks of a list, and of what is shown.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) filter: Option<String>,
    /// From 1.
    pub(super) start: usize,
    pub(super) count: usize,
    attributes: Vec<String>,
    excluded: Vec<String>,
}

impl Query {
    const fn new() -> Self {
        Self { filter: None, start: 1, count: LONGEST_PAGE, attributes: Vec::new(), excluded: Vec::new() }
    }

    /// Of an address. Parameters that are unknown say nothing.
    pub(super) fn of_url(text: &str) -> Result<Self, ScimError> {
        let mut query = Self::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(value) = decoded(&value.replace('+', " ")) else {
                return Err(ScimError::Syntax { what: "the query is no text" });
            };
            query.set(name, &value)?;
        }
        Ok(query)
    }

    /// Of the body of a search (RFC 7644, section 3.4.3).
    pub(super) fn of_body(body: &Map<String, Value>) -> Result<Self, ScimError> {
        let mut query = Self::new();
        for (name, value) in body {
            match value {
                Value::String(text) => query.set(name, text)?,
                Value::Number(number) => query.set(name, &number.to_string())?,
                Value::Array(values) => {
                    let names: Vec<_> = values.iter().filter_map(Value::as_str).collect();
                    query.set(name, &names.join(","))?;
                }
                Value::Null | Value::Bool(_) | Value::Object(_) => {}
            }
        }
        Ok(query)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), ScimError> {
        let names = || value.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        // What is below the least means the least (RFC 7644, section 3.4.2.4).
        let number = || match value.parse::<i64>() {
            Ok(number) => Ok(usize::try_from(number.max(0)).unwrap_or(usize::MAX)),
            Err(_) => Err(ScimError::Value { attribute: "startIndex, count", what: "it is a whole number" }),
        };
        match name {
            "filter" => self.filter = Some(value.to_owned()).filter(|filter| !filter.is_empty()),
            "startIndex" => self.start = number()?.max(1),
            "count" => self.count = number()?,
            "attributes" => self.attributes = names().collect(),
            "excludedAttributes" => self.excluded = names().collect(),
            _ => {}
        }
        Ok(())
    }
}

/// What of a resource is shown (RFC 7644, section 3.9).
#[derive(Clone, Debug)]
pub(super) struct Projection {
    only: Option<Vec<(String, Option<String>)>>,
    not: Vec<(String, Option<String>)>,
}

impl Projection {
    pub(super) fn new(query: &Query, kind: &ResourceType) -> Self {
        let named = |names: &[String]| -> Vec<(String, Option<String>)> {
            let known = names.iter().filter_map(|name| {
                let head =
                    name.get(..kind.schema.len()).filter(|head| head.eq_ignore_ascii_case(kind.schema));
                let bare = match head {
                    Some(head) => name.get(head.len()..)?.strip_prefix(':')?,
                    None => name,
                };
                let (attribute, sub) = match bare.split_once('.') {
                    Some((attribute, sub)) => (attribute, Some(sub)),
                    None => (bare, None),
                };
                let attribute = kind.attribute(attribute)?;
                let sub = match sub {
                    Some(sub) => Some(attribute.sub(sub)?.name.to_owned()),
                    None => None,
                };
                Some((attribute.name.to_owned(), sub))
            });
            known.collect()
        };
        let only = (!query.attributes.is_empty()).then(|| named(&query.attributes));
        Self { only, not: named(&query.excluded) }
    }

    /// Whether the client asked for nothing in particular.
    pub(super) const fn is_default(&self) -> bool {
        self.only.is_none() && self.not.is_empty()
    }

    /// What is shown of this. `id` and `schemas` always are.
    pub(super) fn of(&self, shown: Value) -> Value {
        let Value::Object(shown) = shown else { return shown };
        let always = |name: &str| matches!(name, "id" | "schemas");
        let mut kept = Map::new();
        for (name, value) in shown {
            if always(&name) {
                kept.insert(name, value);
                continue;
            }
            let mut value = value;
            if let Some(only) = &self.only {
                let named: Vec<_> = only.iter().filter(|(attribute, _)| *attribute == name).collect();
                if named.is_empty() {
                    continue;
                }
                if named.iter().all(|(_, sub)| sub.is_some()) {
                    let is_named = |key: &str| named.iter().any(|(_, sub)| sub.as_deref() == Some(key));
                    each(&mut value, &|object| object.retain(|key, _| is_named(key)));
                }
            }
            if self.not.iter().any(|(attribute, sub)| *attribute == name && sub.is_none()) {
                continue;
            }
            let is_not = |key: &str| {
                self.not.iter().any(|(attribute, sub)| *attribute == name && sub.as_deref() == Some(key))
            };
            each(&mut value, &|object| object.retain(|key, _| !is_not(key)));
            kept.insert(name, value);
        }
        Value::Object(kept)
    }
}

fn each(value: &mut Value, change: &dyn Fn(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => change(object),
        Value::Array(values) => values.iter_mut().for_each(|value| each(value, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A part of an address without its escapes (RFC 3986, section 2.1); `None` where it is no text.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        let digits =
            std::str::from_utf8(digits).ok().filter(|two| two.bytes().all(|one| one.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}
