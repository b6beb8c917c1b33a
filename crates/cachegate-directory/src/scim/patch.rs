//! PATCH (RFC 7644, section 3.5.2), as the RFC has it and as Entra and Okta send it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::error::ScimError;
use super::filter::{Filter, Path};
use super::schema::{Attribute, Kind, MOST_MEMBERS, ResourceType};

/// The most operations in one request.
const MOST_OPERATIONS: usize = 200;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Remove,
}

type Document = Map<String, Value>;

/// Does the operations of `body` on a document, all or none.
pub(super) fn apply(
    document: &Document,
    body: &Document,
    kind: &ResourceType,
) -> Result<Document, ScimError> {
    let Some(Value::Array(operations)) = member(body, "Operations") else {
        return Err(ScimError::Syntax { what: "`Operations` is a list" });
    };
    if operations.len() > MOST_OPERATIONS {
        return Err(ScimError::TooMany { what: "operations", limit: MOST_OPERATIONS });
    }
    let mut changed = document.clone();
    for operation in operations {
        let Value::Object(operation) = operation else {
            return Err(ScimError::Syntax { what: "an operation is an object" });
        };
        one(&mut changed, operation, kind)?;
    }
    one_primary(&mut changed, kind);
    Ok(changed)
}

/// The member of this name, in whatever case.
fn member<'o>(object: &'o Document, name: &str) -> Option<&'o Value> {
    object
        .get(name)
        .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

fn one(document: &mut Document, operation: &Document, kind: &ResourceType) -> Result<(), ScimError> {
    let verb = match member(operation, "op") {
        // Entra capitalizes it.
        Some(Value::String(verb)) if verb.eq_ignore_ascii_case("add") => Verb::Add,
        Some(Value::String(verb)) if verb.eq_ignore_ascii_case("replace") => Verb::Replace,
        Some(Value::String(verb)) if verb.eq_ignore_ascii_case("remove") => Verb::Remove,
        _ => return Err(ScimError::Syntax { what: "`op` is `add`, `replace` or `remove`" }),
    };
    let value = member(operation, "value");
    match (member(operation, "path"), verb, value) {
        (Some(Value::String(path)), ..) => {
            let path = Path::parse(path, kind)?;
            at(document, &path, verb, value, kind, true)
        }
        (None | Some(Value::Null), Verb::Remove, _) => {
            Err(ScimError::NoTarget { what: "`remove` needs a path" })
        }
        (None | Some(Value::Null), _, Some(Value::Object(values))) => {
            for (name, value) in values {
                // Entra writes paths as names.
                let path = Path::parse(name, kind)?;
                at(document, &path, verb, Some(value), kind, false)?;
            }
            Ok(())
        }
        (None | Some(Value::Null), ..) => {
            Err(ScimError::Syntax { what: "without a path, `value` is an object" })
        }
        (Some(_), ..) => Err(ScimError::Syntax { what: "`path` is a text" }),
    }
}

fn at(
    document: &mut Document,
    path: &Path,
    verb: Verb,
    value: Option<&Value>,
    kind: &ResourceType,
    strict: bool,
) -> Result<(), ScimError> {
    // What is not kept here changes nothing, and keeps nothing else from being done: a departure least of all.
    let Some(attribute) = kind.attribute(&path.attribute) else { return Ok(()) };
    if attribute.read_only {
        return if strict { Err(ScimError::Mutability { attribute: attribute.name }) } else { Ok(()) };
    }
    let sub = match &path.sub {
        None => None,
        Some(sub) => match attribute.sub(sub) {
            Some(sub) => Some(sub),
            None => return Ok(()),
        },
    };
    if verb != Verb::Remove && value.is_none() {
        return Err(ScimError::Syntax { what: "`value` is missing" });
    }
    if path.filter.is_some() && !attribute.many {
        return Err(ScimError::Path { what: "this attribute has one value" });
    }
    let value = value.unwrap_or(&Value::Null);
    if attribute.many {
        let mut values = match document.remove(attribute.name) {
            Some(Value::Array(values)) => values,
            Some(_) | None => Vec::new(),
        };
        change_many(&mut values, attribute, path.filter.as_ref(), sub, verb, value)?;
        let most = if attribute.name == "members" { MOST_MEMBERS } else { 100 };
        if values.len() > most {
            return Err(ScimError::TooMany { what: "values", limit: most });
        }
        if !values.is_empty() {
            document.insert(attribute.name.to_owned(), Value::Array(values));
        }
        return Ok(());
    }
    match sub {
        Some(sub) => {
            let mut object = match document.remove(attribute.name) {
                Some(Value::Object(object)) => object,
                Some(_) | None => Map::new(),
            };
            set(&mut object, sub, verb, value)?;
            if !object.is_empty() {
                document.insert(attribute.name.to_owned(), Value::Object(object));
            }
        }
        None => set(document, attribute, verb, value)?,
    }
    Ok(())
}

/// Sets an attribute with one value.
fn set(object: &mut Document, attribute: &Attribute, verb: Verb, value: &Value) -> Result<(), ScimError> {
    let value = if verb == Verb::Remove { None } else { attribute.read(value)? };
    match (value, object.get_mut(attribute.name)) {
        (None, _) => drop(object.remove(attribute.name)),
        // What is not named of a complex value stays.
        (Some(Value::Object(sent)), Some(Value::Object(held))) => held.extend(sent),
        (Some(value), _) => drop(object.insert(attribute.name.to_owned(), value)),
    }
    Ok(())
}

fn change_many(
    values: &mut Vec<Value>,
    attribute: &'static Attribute,
    filter: Option<&Filter>,
    sub: Option<&'static Attribute>,
    verb: Verb,
    value: &Value,
) -> Result<(), ScimError> {
    let sent = || -> Result<Vec<Value>, ScimError> {
        Ok(match attribute.read(value)? {
            Some(Value::Array(sent)) => sent,
            Some(_) | None => Vec::new(),
        })
    };
    let is_meant = |value: &Value| filter.is_none_or(|filter| filter.takes_value(value, attribute));
    match (filter, sub, verb) {
        (None, None, Verb::Add) => {
            let mut held: BTreeSet<String> = values.iter().map(|value| identity(value, attribute)).collect();
            values.extend(sent()?.into_iter().filter(|value| held.insert(identity(value, attribute))));
        }
        (None, None, Verb::Replace) => {
            let mut held = BTreeSet::new();
            *values = sent()?.into_iter().filter(|value| held.insert(identity(value, attribute))).collect();
        }
        (None, None, Verb::Remove) => {
            // Entra names the values to remove beside the path.
            let named: BTreeSet<String> = sent()?.iter().map(|value| identity(value, attribute)).collect();
            values.retain(|value| !named.is_empty() && !named.contains(&identity(value, attribute)));
        }
        (Some(_), None, Verb::Remove) => values.retain(|value| !is_meant(value)),
        (_, Some(sub), Verb::Remove) => {
            for value in values.iter_mut().filter(|value| is_meant(value)) {
                if let Value::Object(object) = value {
                    object.remove(sub.name);
                }
            }
            values.retain(|value| value.as_object().is_some_and(|object| !object.is_empty()));
        }
        (_, _, Verb::Add | Verb::Replace) => {
            let mut met = false;
            for held in values.iter_mut().filter(|value| is_meant(value)) {
                let Value::Object(held) = held else { continue };
                met = true;
                change_one(held, attribute, sub, value)?;
            }
            if !met {
                values.push(made(attribute, filter, sub, value)?);
            }
            values.retain(|value| value.as_object().is_some_and(|object| !object.is_empty()));
        }
    }
    Ok(())
}

/// What tells one value from another: the user that a member is, all of any other.
fn identity(value: &Value, attribute: &Attribute) -> String {
    match value.get("value") {
        Some(Value::String(id)) if attribute.name == "members" => id.clone(),
        _ => value.to_string(),
    }
}

fn change_one(
    held: &mut Document,
    attribute: &Attribute,
    sub: Option<&Attribute>,
    value: &Value,
) -> Result<(), ScimError> {
    match sub {
        Some(sub) => set(held, sub, Verb::Replace, value),
        None => {
            if let Some(Value::Object(sent)) = attribute.read_one(value)? {
                held.extend(sent);
            }
            Ok(())
        }
    }
}

/// The value that `emails[type eq "work"].value` speaks of, where there was none: Entra adds it so.
fn made(
    attribute: &Attribute,
    filter: Option<&Filter>,
    sub: Option<&Attribute>,
    value: &Value,
) -> Result<Value, ScimError> {
    let mut object = Map::new();
    if let Some(filter) = filter {
        let Some(equalities) = filter.equalities() else {
            return Err(ScimError::NoTarget { what: "no value satisfies the filter" });
        };
        for (name, value) in equalities {
            if let Some(sub) = attribute.sub(name) {
                set(&mut object, sub, Verb::Replace, value)?;
            }
        }
    }
    change_one(&mut object, attribute, sub, value)?;
    Ok(Value::Object(object))
}

/// One value is the primary one at most (RFC 7643, section 2.4): the last that was made so.
fn one_primary(document: &mut Document, kind: &ResourceType) {
    for (name, values) in document.iter_mut() {
        let has_primary = kind.attribute(name).is_some_and(|attribute| match attribute.kind {
            Kind::Complex(_) => attribute.many && attribute.sub("primary").is_some(),
            Kind::Text | Kind::Boolean | Kind::Reference | Kind::Moment => false,
        });
        let Value::Array(values) = values else { continue };
        let mut seen = false;
        for value in values.iter_mut().rev().filter(|_| has_primary) {
            let Value::Object(value) = value else { continue };
            if value.get("primary") == Some(&Value::Bool(true)) {
                if seen {
                    value.insert("primary".to_owned(), false.into());
                }
                seen = true;
            }
        }
    }
}
