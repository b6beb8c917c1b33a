//! Ten thousand generated requests: each answered as described, none with a fault of the server's.

use std::cell::RefCell;
use std::collections::BTreeMap;

use axum::body::Body;
use cachegate_testkit::{Scene, block_on};
use cachegate_types::{AccessLevel, ActionSet, Lane, Role};
use http::Request;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::client::Client;
use crate::schema::{document, resolved};

/// How a part of a request is made from what the description says of it.
#[derive(Clone, Copy, Debug)]
enum Quality {
    Good,
    Odd,
    Junk,
}

fn qualities() -> impl Strategy<Value = Quality> {
    prop_oneof![6 => Just(Quality::Good), 1 => Just(Quality::Odd), 1 => Just(Quality::Junk)]
}

fn junk() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[\\x00-\\x1f<>&\"'\\\\]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{0,8}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Chooses, from numbers that the strategy drew.
struct Chooser<'a> {
    numbers: std::iter::Cycle<std::slice::Iter<'a, u16>>,
}

impl Chooser<'_> {
    fn below(&mut self, limit: usize) -> usize {
        usize::from(*self.numbers.next().expect("numbers")) % limit.max(1)
    }

    fn one<'b, T>(&mut self, of: &'b [T]) -> &'b T {
        let index = self.below(of.len());
        &of[index]
    }
}

/// What the scene has, by the name that parameters and members have for it; and ids of anything.
struct Known {
    named: Vec<(&'static str, String)>,
}

impl Known {
    /// Mostly the thing of this name, else any.
    fn id(&self, name: &str, choose: &mut Chooser<'_>) -> String {
        match self.named.iter().find(|(known, _)| *known == name) {
            Some((_, id)) if choose.below(5) != 0 => id.clone(),
            Some(_) | None => choose.one(&self.named).1.clone(),
        }
    }
}

/// A value that fits the schema.
fn fitting(document: &Value, name: &str, schema: &Value, known: &Known, choose: &mut Chooser<'_>) -> Value {
    let schema = resolved(document, schema);
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return choose.one(values).clone();
    }
    if let Some(arms) = schema.get("oneOf").and_then(Value::as_array) {
        let arm = choose.one(arms).clone();
        return fitting(document, name, &arm, known, choose);
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => choose.one(kinds).as_str().expect("a type").to_owned(),
        kind => kind.as_str().expect("a type").to_owned(),
    };
    match kind.as_str() {
        "null" => Value::Null,
        "boolean" => (choose.below(2) == 0).into(),
        "integer" => {
            let ends =
                [schema["minimum"].as_i64().unwrap_or(0), 60, schema["maximum"].as_i64().unwrap_or(i64::MAX)];
            json!(choose.one(&ends))
        }
        "string" if schema["format"] == "uuid" => known.id(name, choose).into(),
        "string" => (*choose.one(&["main", "a", "1.*", "web", "pull/1", "<b>", ""])).into(),
        "array" if schema["minItems"] == 7 => resolved(document, &schema["items"])["enum"].clone(),
        "array" => {
            let length = usize::from(schema.get("minItems").is_some()) + choose.below(3);
            (0..length).map(|_| fitting(document, name, &schema["items"], known, choose)).collect()
        }
        "object" => {
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let mut members = serde_json::Map::new();
            for (name, rule) in schema["properties"].as_object().into_iter().flatten() {
                if required.contains(&json!(name)) || choose.below(2) == 0 {
                    members.insert(name.clone(), fitting(document, name, rule, known, choose));
                }
            }
            members.into()
        }
        other => panic!("the type `{other}` is not known to the tests"),
    }
}

/// The value with something else somewhere in it.
fn spoiled(mut value: Value, junk: &Value, choose: &mut Chooser<'_>) -> Value {
    match &mut value {
        Value::Object(members) if choose.below(4) == 0 || members.is_empty() => {
            members.insert("extra".to_owned(), junk.clone());
        }
        Value::Object(members) => {
            let names: Vec<_> = members.keys().cloned().collect();
            let name = choose.one(&names);
            match choose.below(2) {
                0 => drop(members.remove(name)),
                _ => drop(members.insert(name.clone(), junk.clone())),
            }
        }
        other => *other = junk.clone(),
    }
    value
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |done, byte| match byte {
        b'a'..=b'z' | b'0'..=b'9' | b'-' => done + &char::from(byte).to_string(),
        byte => format!("{done}%{byte:02X}"),
    })
}

#[test]
fn no_request_is_answered_with_a_fault_of_the_servers() {
    answered(500);
}

#[test]
#[ignore = "long: ten thousand requests"]
fn none_of_ten_thousand_requests_is_answered_with_a_fault_of_the_servers() {
    let seen = answered(10_000);
    // It is no test of refusals alone.
    for status in [200, 201, 204, 400, 401, 403, 404, 409, 422] {
        assert!(seen.contains_key(&status), "no {status} among {seen:?}");
    }
}

/// Sends so many requests, and counts the answers by their status.
fn answered(requests: u32) -> BTreeMap<u16, u32> {
    let scene = block_on(Scene::new());
    let api = Client::of(&scene);
    let document = document();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            operations.push((path.clone(), method.to_uppercase(), operation.clone()));
        }
    }
    let ci = block_on(scene.ci(AccessLevel::ReadWrite, Lane::main()));
    let (user, member) = block_on(scene.person(Role::Member, ActionSet::ALL));
    let places = format!("/organizations/{}/groups", scene.organization);
    let group = api.post(&scene.administrator, &places, &json!({"name": "core", "members": []}));
    let window = json!({"type": "window", "workspace": scene.workspace, "from": 1, "to": 2});
    let mark = api.post(&scene.administrator, "/distrust", &json!({"scope": window}));
    let scope = json!({"type": "workspace", "workspace": scene.workspace});
    let lock = api.post(&scene.administrator, "/locks", &json!({"scope": scope, "actions": ["publish"]}));
    block_on(crate::matrix::release(&scene));
    let ask = json!({"action": "write", "organization": scene.organization});
    let asked = api.post(&ci.token, "/explain", &ask);
    let id = |answer: &crate::client::Answer| answer.body["id"].as_str().expect("an id").to_owned();
    let known = Known {
        named: vec![
            ("organization", scene.organization.to_string()),
            ("workspace", scene.workspace.to_string()),
            ("user", user.to_string()),
            ("token", ci.record.id.to_string()),
            ("group", id(&group)),
            ("mark", id(&mark)),
            ("lock", id(&lock)),
            ("decision", id(&asked)),
            ("version", "1.0.0".to_owned()),
            ("nothing", "01890a5d-ac96-774b-bcce-b302099a8057".to_owned()),
        ],
    };
    let bearer = |token: &str| format!("Bearer {token}");
    let credentials = [
        bearer(scene.administrator.expose_secret()),
        bearer(member.expose_secret()),
        bearer(ci.token.expose_secret()),
        "Bearer x".to_owned(),
        String::new(),
    ];
    let seen = RefCell::new(BTreeMap::<u16, u32>::new());
    let strategy = (
        prop::collection::vec(any::<u16>(), 24),
        prop_oneof![8 => Just(0_usize), 1 => 1..5_usize],
        qualities(),
        qualities(),
        qualities(),
        junk(),
    );
    let mut runner =
        TestRunner::new(ProptestConfig { cases: requests, failure_persistence: None, ..Default::default() });
    let run = runner.run(&strategy, |(numbers, credential, in_path, in_query, in_body, junk)| {
        let mut choose = Chooser { numbers: numbers.iter().cycle() };
        let (template, method, operation) = choose.one(&operations).clone();
        let text = junk.to_string();
        let segments: Vec<String> = template
            .split('/')
            .map(|part| match (part.starts_with('{'), in_path) {
                (false, _) => part.to_owned(),
                (true, Quality::Good) => known.id(part.trim_matches(['{', '}']), &mut choose),
                (true, Quality::Odd) => known.id("nothing", &mut choose).to_uppercase(),
                (true, Quality::Junk) => escaped(&text),
            })
            .collect();
        let mut pairs = Vec::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "query" && choose.below(4) == 0 {
                let value = match in_query {
                    Quality::Good => {
                        let name = parameter["name"].as_str().expect("a name");
                        fitting(&document, name, &parameter["schema"], &known, &mut choose)
                    }
                    Quality::Odd => (*choose.one(&["", "0", "-1", "%", "100", "x"])).into(),
                    Quality::Junk => escaped(&text).into(),
                };
                let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
                pairs.push(format!(
                    "{}={}",
                    parameter["name"].as_str().expect("a name"),
                    value.replace(['<', '>'], "")
                ));
            }
        }
        let mut request = Request::builder().method(method.as_str());
        let url = format!("/api/v1{}?{}", segments.join("/"), pairs.join("&"));
        let Ok(uri) = url.parse::<http::Uri>() else { return Ok(()) };
        request = request.uri(uri);
        if !credentials[credential].is_empty() {
            request = request.header("authorization", &credentials[credential]);
        }
        if choose.below(4) == 0 {
            request = request.header("idempotency-key", format!("k{}", choose.below(9)));
        }
        let mut body = Vec::new();
        if let Some(described) = operation.get("requestBody") {
            request = request.header("content-type", "application/json");
            let schema = &described["content"]["application/json"]["schema"];
            let good = fitting(&document, "", schema, &known, &mut choose);
            // A lock on managing would end the test there.
            let good: Value = match template.as_str() {
                "/locks" => {
                    serde_json::from_str(&good.to_string().replace("administer", "publish")).expect("JSON")
                }
                _ => good,
            };
            body = match in_body {
                Quality::Good => good.to_string().into_bytes(),
                Quality::Odd => spoiled(good, &junk, &mut choose).to_string().into_bytes(),
                Quality::Junk => text.into_bytes(),
            };
        }
        let told = format!("{method} {url} {}", String::from_utf8_lossy(&body));
        let answer = api.send(request.body(Body::from(body)).expect("a request"));
        prop_assert!(answer.status < 500, "{told}: {}", answer.text);
        *seen.borrow_mut().entry(answer.status).or_default() += 1;
        Ok(())
    });
    run.unwrap_or_else(|fault| panic!("{fault}"));
    seen.into_inner()
}
