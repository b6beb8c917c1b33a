//! Whatever a client sends gets an answer, and who belongs is who was said to.

use std::collections::{BTreeMap, BTreeSet};

use cachegate_directory::ScimRequest;
use cachegate_testkit::block_on;
use serde_json::{Map, Value, json};

use super::{World, id_of, now};

/// A generator that anyone can repeat (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or(0)
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

const WORDS: [&str; 34] = [
    "userName",
    "username",
    "externalId",
    "active",
    "emails",
    "name",
    "name.familyName",
    "members",
    "displayName",
    "id",
    "meta",
    "schemas",
    "groups",
    "title",
    "value",
    "type",
    "primary",
    "Operations",
    "op",
    "path",
    "filter",
    "add",
    "Replace",
    "remove",
    "True",
    "false",
    "work",
    "emails[type eq \"work\"].value",
    "members[value eq \"x\"]",
    "urn:ietf:params:scim:schemas:core:2.0:User:userName",
    "urn:x:y",
    "[",
    "\u{202e}\u{1F600}",
    "",
];

const FILTER: [&str; 22] = [
    "userName",
    "emails",
    "[",
    "]",
    "(",
    ")",
    "eq",
    "ne",
    "co",
    "pr",
    "gt",
    "and",
    "or",
    "not",
    "\"x\"",
    "true",
    "null",
    "1",
    ".",
    "type",
    "urn:ietf:params:scim:schemas:core:2.0:User:",
    "\\",
];

fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth > 3 { 5 } else { 8 }) {
        0 => Value::Null,
        1 => (random.below(2) == 0).into(),
        2 => random.below(1000).into(),
        3 | 4 => (*random.pick(&WORDS)).into(),
        5 => (0..random.below(4)).map(|_| value(random, depth + 1)).collect::<Vec<_>>().into(),
        _ => {
            let mut object = Map::new();
            for _ in 0..random.below(5) {
                let (name, value) = ((*random.pick(&WORDS)).to_owned(), value(random, depth + 1));
                object.insert(name, value);
            }
            Value::Object(object)
        }
    }
}

fn body(random: &mut Random, ids: &[String]) -> Vec<u8> {
    let operation = |random: &mut Random| {
        let paths = [
            "active",
            "emails[type eq \"work\"].value",
            "members",
            "name.givenName",
            "userName",
            "externalId",
        ];
        json!({
            "op": *random.pick(&["add", "Replace", "remove", "x"]),
            "path": *random.pick(&paths),
            "value": match random.below(3) {
                0 => value(random, 1),
                1 => (random.below(2) == 0).into(),
                _ => (*random.pick(&["True", "False", "ada", "x@acme.example"])).into(),
            },
        })
    };
    match random.below(14) {
        0 => (0..random.below(40)).map(|_| random.next().to_le_bytes()[0]).collect(),
        1 => value(random, 0).to_string().into_bytes(),
        2..=5 => {
            let name = format!("user-{}", random.below(40));
            let mut user = json!({"userName": name, "active": *random.pick(&["True", "false"])});
            if random.below(2) == 0
                && let (Value::Object(more), Value::Object(user)) = (value(random, 0), &mut user)
            {
                user.extend(more);
            }
            user.to_string().into_bytes()
        }
        6 | 7 => {
            let member = random.pick(ids).rsplit('/').next();
            json!({"displayName": *random.pick(&WORDS), "members": [{"value": member}]}).to_string().into()
        }
        8 => {
            let mut text = value(random, 0).to_string().into_bytes();
            text.truncate(random.below(text.len().max(1)));
            text
        }
        _ => {
            let operations: Vec<_> = (0..random.below(4)).map(|_| operation(random)).collect();
            json!({"Operations": operations}).to_string().into_bytes()
        }
    }
}

#[test]
fn ten_thousand_generated_requests_get_a_typed_answer_each() {
    block_on(async {
        let world = World::new().await;
        let mut random = Random(6);
        let mut ids = vec!["/Users/nobody".to_owned()];
        for name in ["a", "b"] {
            ids.push(format!("/Users/{}", world.user(name, name).await));
        }
        let mut seen = BTreeMap::<u16, u32>::new();
        for round in 0..10_000 {
            // Few enough of them that each round is quick.
            if ids.len() > 12 {
                for path in ids.drain(1..) {
                    world.send("DELETE", &path, &Value::Null).await;
                }
            }
            let of =
                *random.pick(&["/Users", "/Groups", "/users", "/Schemas", "/ResourceTypes", "/Me", "", "//"]);
            let path = match random.below(8) {
                0 => of.to_owned(),
                1 => format!("{of}/{}", random.pick(&WORDS)),
                2 | 3 => (*random.pick(&["/Users", "/Groups"])).to_owned(),
                _ => random.pick(&ids).clone(),
            };
            let filter: Vec<_> = (0..random.below(6)).map(|_| *random.pick(&FILTER)).collect();
            let query = match random.below(4) {
                0 => format!("filter={}", filter.join("+")),
                1 => format!("startIndex={}&count={}", random.pick(&WORDS), random.below(300)),
                2 => format!("attributes={}&excludedAttributes={}", random.pick(&WORDS), random.pick(&WORDS)),
                _ => String::new(),
            };
            let collections = ["GET", "POST", "POST", "POST", "PUT", "OPTIONS"];
            let resources = ["GET", "PUT", "PUT", "PATCH", "PATCH", "PATCH", "DELETE", "POST"];
            let is_collection = path.matches('/').count() < 2;
            let method = *if is_collection { random.pick(&collections) } else { random.pick(&resources) };
            let body = body(&mut random, &ids);
            let tag = *random.pick(&WORDS);
            let tag = (random.below(20) == 0).then_some(tag);
            let request = ScimRequest {
                method,
                path: &path,
                query: &query,
                if_match: tag,
                if_none_match: tag,
                body: &body,
            };
            let answer = world.scim.answer(&world.who, &request, now()).await;
            *seen.entry(answer.status).or_default() += 1;
            let told = || format!("{round}: {method} {path}?{query} {}", String::from_utf8_lossy(&body));
            assert!(
                [200, 201, 204, 304, 400, 404, 405, 409, 412, 501].contains(&answer.status),
                "{answer:?} {}",
                told()
            );
            if answer.status >= 400 {
                super::wrong(&answer);
            }
            match (method, answer.status) {
                (_, 201) => ids.push(format!("{path}/{}", id_of(&answer))),
                ("DELETE", 204) => ids.retain(|id| *id != path),
                _ => {}
            }
        }
        for status in [200, 201, 204, 400, 404, 405, 409, 412] {
            assert!(seen.get(&status).is_some_and(|count| *count > 5), "hardly any {status}: {seen:?}");
        }
    });
}

/// What a directory said of one user.
#[derive(Clone, Debug)]
struct Said {
    id: String,
    active: bool,
}

#[test]
fn whoever_was_said_to_belong_is_a_member_and_nobody_else() {
    block_on(async {
        for seed in 0..20 {
            let world = World::new().await;
            let by_hand = world.members().await;
            let mut random = Random(seed);
            let mut model = BTreeMap::<usize, Said>::new();
            let mut groups = BTreeMap::<String, BTreeSet<usize>>::new();
            for _ in 0..60 {
                let person = random.below(6);
                let external = format!("e{person}");
                let active = random.below(2) == 0;
                let known = model.get(&person).cloned();
                match (random.below(8), known) {
                    (0 | 1, None) => {
                        let body = json!({"userName": external, "externalId": external, "active": active});
                        let answer = world.send("POST", "/Users", &body).await;
                        model.insert(person, Said { id: id_of(&answer), active });
                    }
                    (2, Some(said)) => {
                        let body = json!({"userName": external, "externalId": external, "active": active});
                        let answer = world.send("PUT", &format!("/Users/{}", said.id), &body).await;
                        assert_eq!(answer.status, 200);
                        model.insert(person, Said { active, ..said });
                    }
                    (3 | 4, Some(said)) => {
                        assert_eq!(world.activate(&said.id, active).await.status, 200);
                        model.insert(person, Said { active, ..said });
                    }
                    (5, Some(said)) => {
                        let gone = world.send("DELETE", &format!("/Users/{}", said.id), &Value::Null).await;
                        assert_eq!(gone.status, 204);
                        model.remove(&person);
                        for group in groups.values_mut() {
                            group.remove(&person);
                        }
                    }
                    (6, Some(said)) if groups.len() < 2 => {
                        let name = format!("g{}", random.next());
                        let body = json!({"displayName": name, "members": [{"value": said.id}]});
                        let made = world.send("POST", "/Groups", &body).await;
                        groups.insert(id_of(&made), BTreeSet::from([person]));
                    }
                    (7, Some(said)) => {
                        let Some((id, group)) = groups.iter_mut().next() else { continue };
                        let operation = if group.remove(&person) {
                            json!({"op": "remove", "path": format!("members[value eq \"{}\"]", said.id)})
                        } else {
                            group.insert(person);
                            json!({"op": "add", "path": "members", "value": [{"value": said.id}]})
                        };
                        let answer = world.patch(&format!("/Groups/{id}"), json!([operation])).await;
                        assert_eq!(answer.status, 204);
                    }
                    _ => continue,
                }
                let mut expected = by_hand.clone();
                for (person, _) in model.iter().filter(|(_, said)| said.active) {
                    expected.insert(world.person(&format!("e{person}")).await);
                }
                assert_eq!(world.members().await, expected, "seed {seed}");
                let mut lists = Vec::new();
                for group in groups.values() {
                    let mut list = Vec::new();
                    for person in
                        group.iter().filter(|person| model.get(person).is_some_and(|said| said.active))
                    {
                        list.push(world.person(&format!("e{person}")).await);
                    }
                    list.sort();
                    lists.push(list);
                }
                lists.sort();
                let kept = cachegate_storage::Members::groups(&*world.store, world.scene.organization).await;
                let mut kept: Vec<_> = kept.expect("groups").into_iter().map(|group| group.members).collect();
                kept.sort();
                assert_eq!(kept, lists, "seed {seed}");
            }
        }
    });
}
