//! As much of JSON Schema (2020-12) as the description uses. A keyword that is not known here is a failure, so that
//! none is passed over.

use cachegate_http::api::OPENAPI;
use serde_json::Value;

/// The description.
pub(crate) fn document() -> Value {
    serde_json::from_str(OPENAPI).expect("the description is JSON")
}

/// What `$ref` points at, followed to its end.
pub(crate) fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(pointer) => {
            let target =
                document.pointer(pointer.trim_start_matches('#')).expect("a reference leads somewhere");
            resolved(document, target)
        }
        None => value,
    }
}

/// What is wrong with the value, and where.
pub(crate) fn faults(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let schema = resolved(document, schema).as_object().expect("a schema is an object");
    let mut found = Vec::new();
    for (keyword, rule) in schema {
        let fault = |why: String| format!("{at}: {why}");
        match keyword.as_str() {
            "description" | "format" => {}
            "type" => {
                let names: Vec<&str> = match rule {
                    Value::String(name) => vec![name],
                    rule => rule.as_array().expect("types").iter().filter_map(Value::as_str).collect(),
                };
                if !names.iter().any(|name| is_of(name, value)) {
                    found.push(fault(format!("{value} is no {names:?}")));
                }
            }
            "const" if rule != value => found.push(fault(format!("{value} is not {rule}"))),
            "enum" if !rule.as_array().expect("values").contains(value) => {
                found.push(fault(format!("{value} is none of {rule}")));
            }
            "const" | "enum" => {}
            "oneOf" => {
                let arms = rule.as_array().expect("arms");
                let fits = arms.iter().filter(|arm| faults(document, arm, value, at).is_empty()).count();
                if fits != 1 {
                    found.push(fault(format!("{value} fits {fits} of {} forms", arms.len())));
                }
            }
            "properties" => {
                let members = value.as_object().cloned().unwrap_or_default();
                for (name, rule) in rule.as_object().expect("properties") {
                    if let Some(member) = members.get(name) {
                        found.extend(faults(document, rule, member, &format!("{at}/{name}")));
                    }
                }
            }
            "required" => {
                for name in rule.as_array().expect("names").iter().filter_map(Value::as_str) {
                    if value.get(name).is_none() {
                        found.push(fault(format!("`{name}` is missing")));
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                for name in value.as_object().into_iter().flat_map(|members| members.keys()) {
                    if known.is_none_or(|known| !known.contains_key(name)) {
                        found.push(fault(format!("`{name}` is unknown")));
                    }
                }
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    found.extend(faults(document, rule, item, &format!("{at}/{index}")));
                }
            }
            "minimum" | "maximum" => {
                let (value, limit) = (value.as_i64().unwrap_or(0), rule.as_i64().expect("a number"));
                if (keyword == "minimum" && value < limit) || (keyword == "maximum" && value > limit) {
                    found.push(fault(format!("{value} is beyond {limit}")));
                }
            }
            "uniqueItems" => {
                let items = value.as_array().map_or(&[][..], Vec::as_slice);
                let twice = items.iter().enumerate().find(|(at, item)| items[..*at].contains(item));
                found.extend(twice.map(|(_, item)| fault(format!("{item} stands twice"))));
            }
            "minItems" | "maxItems" | "minLength" | "maxLength" => {
                let length = match value {
                    Value::Array(items) => items.len(),
                    Value::String(text) => text.chars().count(),
                    _ => continue,
                };
                let limit = usize::try_from(rule.as_u64().expect("a number")).expect("a length");
                if (keyword.starts_with("min") && length < limit)
                    || (keyword.starts_with("max") && length > limit)
                {
                    found.push(fault(format!("a length of {length} is beyond {limit}")));
                }
            }
            "pattern" => {
                let allowed =
                    |class: fn(u8) -> bool| value.as_str().is_none_or(|text| text.bytes().all(class));
                let fits = match rule.as_str().expect("a pattern") {
                    "^[a-z0-9_]+$" => {
                        allowed(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
                    }
                    "^[0-9a-f]{64}$" => allowed(|byte| byte.is_ascii_hexdigit()),
                    "^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$" => allowed(|byte| {
                        byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
                    }),
                    other => panic!("the pattern `{other}` is not known to the tests"),
                };
                if !fits {
                    found.push(fault(format!("{value} does not fit {rule}")));
                }
            }
            other => panic!("the keyword `{other}` is not known to the tests"),
        }
    }
    found
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the type `{other}` is not known to the tests"),
    }
}

#[test]
fn a_value_that_is_not_as_described_is_found() {
    let document = document();
    let schema = &document["components"]["schemas"]["Person"];
    let good = serde_json::json!({"id": "0".repeat(36), "display": "Ada"});
    assert_eq!(faults(&document, schema, &good, ""), Vec::<String>::new());
    for (name, value) in
        [("id", serde_json::json!(1)), ("display", "a".repeat(201).into()), ("more", true.into())]
    {
        let mut bad = good.clone();
        bad[name] = value;
        assert!(!faults(&document, schema, &bad, "").is_empty(), "{name}");
    }
    let missing = serde_json::json!({"id": "0".repeat(36)});
    assert_eq!(faults(&document, schema, &missing, ""), [": `display` is missing"]);
}
