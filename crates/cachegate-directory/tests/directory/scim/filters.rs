//! Filters, pages, what is shown of a resource, and versions of it.

use cachegate_directory::ScimRequest;
use cachegate_testkit::block_on;
use serde_json::{Value, json};

use super::{World, id_of, now, wrong};

async fn crowd() -> World {
    let world = World::new().await;
    for (name, external, title, kind, mail) in [
        ("ada@acme.example", "00A", "Engineer", "work", "ada@acme.example"),
        ("bob@acme.example", "00b", "Manager", "work", "bob@home.example"),
        ("eve@other.example", "00c", "Engineer", "home", "eve@acme.example"),
    ] {
        let body = json!({
            "userName": name,
            "externalId": external,
            "title": title,
            "emails": [{"type": kind, "value": mail}],
        });
        assert_eq!(world.send("POST", "/Users", &body).await.status, 201);
    }
    let eve = world.get("/Users?filter=externalId%20eq%20%2200c%22").await["Resources"][0]["id"].clone();
    world.activate(eve.as_str().expect("an id"), false).await;
    world
}

fn escaped(filter: &str) -> String {
    filter.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Who a filter takes, by the first letters of their names.
async fn taken(world: &World, filter: &str) -> String {
    let list = world.get(&format!("/Users?filter={}", escaped(filter))).await;
    let resources = list["Resources"].as_array().expect("a list").clone();
    let mut letters: Vec<_> =
        resources.iter().map(|one| one["userName"].as_str().expect("a name")[..1].to_owned()).collect();
    letters.sort();
    letters.concat()
}

#[test]
fn a_filter_takes_whom_it_names() {
    block_on(async {
        let world = crowd().await;
        for (filter, expected) in [
            ("userName eq \"ADA@acme.example\"", "a"),
            ("externalId eq \"00a\"", ""),
            ("externalId eq \"00A\"", "a"),
            ("userName ne \"ada@acme.example\"", "be"),
            ("userName co \"acme\"", "ab"),
            ("userName sw \"E\"", "e"),
            ("userName ew \"other.example\"", "e"),
            ("title pr", "abe"),
            ("displayName pr", ""),
            ("not (title eq \"engineer\")", "b"),
            ("userName gt \"b\"", "be"),
            ("userName ge \"bob@acme.example\" and userName lt \"c\"", "b"),
            ("userName le \"ada@acme.example\"", "a"),
            ("title eq \"Manager\" or title eq \"Engineer\" and active eq true", "ab"),
            ("(title eq \"Manager\" or title eq \"Engineer\") and active eq false", "e"),
            ("emails[type eq \"work\" and value co \"@acme.example\"]", "a"),
            ("emails.type eq \"home\"", "e"),
            ("emails co \"acme\"", "ae"),
            ("urn:ietf:params:scim:schemas:core:2.0:User:userName SW \"a\"", "a"),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq \"x\"", ""),
            ("shoeSize eq 43", ""),
            ("shoeSize ne 43", "abe"),
            ("displayName eq null", "abe"),
            ("meta.created ge \"2023-11-14T22:13:20Z\"", "abe"),
            ("meta.created gt \"2023-11-14T23:13:20+01:00\"", ""),
            ("meta.resourceType eq \"User\"", "abe"),
        ] {
            assert_eq!(taken(&world, filter).await, expected, "{filter}");
        }
    });
}

#[test]
fn a_filter_that_cannot_be_read_is_told_apart_and_bounded() {
    block_on(async {
        let world = crowd().await;
        let deep = format!("{}userName pr{}", "(".repeat(40), ")".repeat(40));
        let wide = ["title pr"; 70].join(" or ");
        let long = format!("userName eq \"{}\"", "x".repeat(3000));
        for filter in [
            "userName",
            "userName eq",
            "eq \"x\"",
            "userName eq x",
            "userName xx \"x\"",
            "(userName pr",
            "userName pr)",
            "emails[type pr",
            "not userName pr",
            "userName eq \"x\" and",
            "userName gt true",
            "userName eq [1]",
            "1name eq \"x\"",
            "userName. eq \"x\"",
            "\u{e9} pr",
            &deep,
            &wide,
            &long,
        ] {
            let answer = world.send("GET", &format!("/Users?filter={}", escaped(filter)), &Value::Null).await;
            assert_eq!((answer.status, wrong(&answer).as_str()), (400, "invalidFilter"), "{filter}");
        }
    });
}

#[test]
fn lists_come_in_pages() {
    block_on(async {
        let world = World::new().await;
        for number in 0..7 {
            world.user(&format!("u{number}"), &format!("e{number}")).await;
        }
        let mut seen = Vec::new();
        for start in [1, 4, 7, 10] {
            let page = world.get(&format!("/Users?startIndex={start}&count=3")).await;
            assert_eq!((&page["totalResults"], &page["startIndex"]), (&json!(7), &json!(start)));
            let resources = page["Resources"].as_array().expect("a list");
            assert_eq!(page["itemsPerPage"], resources.len());
            seen.extend(resources.iter().map(|one| one["userName"].as_str().expect("a name").to_owned()));
        }
        seen.sort();
        assert_eq!(seen, ["u0", "u1", "u2", "u3", "u4", "u5", "u6"], "each once");
        let none = world.get("/Users?count=0").await;
        assert_eq!((&none["totalResults"], &none["Resources"]), (&json!(7), &json!([])));
        assert_eq!(world.get("/Users?startIndex=-5&count=-1").await["itemsPerPage"], 0);
        assert_eq!(world.get("/Users?count=100000").await["itemsPerPage"], 7);
        let body =
            json!({"filter": "userName sw \"u\"", "startIndex": 2, "count": 2, "attributes": ["userName"]});
        let search = world.send("POST", "/Users/.search", &body).await.body.expect("a body");
        assert_eq!((&search["totalResults"], &search["itemsPerPage"]), (&json!(7), &json!(2)));
        assert!(search["Resources"][0].get("externalId").is_none());
        let bad = world.send("GET", "/Users?count=many", &Value::Null).await;
        assert_eq!(wrong(&bad), "invalidValue");
    });
}

#[test]
fn a_client_is_shown_what_it_asks_for() {
    block_on(async {
        let world = crowd().await;
        let id = world.get("/Users?filter=userName%20sw%20%22a%22").await["Resources"][0]["id"].clone();
        let path = format!("/Users/{}", id.as_str().expect("an id"));
        let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        assert_eq!(
            keys(&world.get(&format!("{path}?attributes=USERNAME")).await),
            ["id", "schemas", "userName"]
        );
        let part = world.get(&format!("{path}?attributes=emails.value,meta.version")).await;
        assert_eq!(part["emails"], json!([{"value": "ada@acme.example"}]));
        assert_eq!(keys(&part["meta"]), ["version"]);
        let less = world.get(&format!("{path}?excludedAttributes=emails.type,title,id")).await;
        assert_eq!(less["emails"], json!([{"value": "ada@acme.example"}]));
        assert!(less.get("title").is_none() && less.get("id").is_some());
    });
}

#[test]
fn a_version_that_is_gone_is_not_written_over() {
    block_on(async {
        let world = World::new().await;
        let made = world.send("POST", "/Users", &json!({"userName": "ada", "externalId": "a"})).await;
        let (first, path) = (made.etag.clone().expect("a version"), format!("/Users/{}", id_of(&made)));
        let send = async |method: &str, if_match: Option<&str>, if_none_match: Option<&str>, body: &Value| {
            let body = body.to_string();
            let body = body.as_bytes();
            let request = ScimRequest { method, path: &path, query: "", if_match, if_none_match, body };
            world.scim.answer(&world.who, &request, now()).await
        };
        assert_eq!(send("GET", None, Some(&first), &Value::Null).await.status, 304);
        let body = json!({"userName": "ada", "externalId": "a", "title": "x"});
        let second = send("PUT", Some(&first), None, &body).await.etag.expect("a version");
        assert_ne!(first, second);
        let patch = json!({"Operations": [{"op": "replace", "path": "active", "value": false}]});
        for (method, body) in [("PUT", &body), ("PATCH", &patch), ("DELETE", &Value::Null)] {
            assert_eq!(send(method, Some(&first), None, body).await.status, 412, "{method}");
        }
        assert!(world.members().await.contains(&world.person("a").await));
        assert_eq!(send("GET", None, Some(&first), &Value::Null).await.status, 200);
        assert_eq!(send("PATCH", Some(&format!("{first}, {second}")), None, &patch).await.status, 200);
        let third = send("GET", None, None, &Value::Null).await.etag.expect("a version");
        assert_ne!(third, second, "whether somebody is in is of the state");
        assert_eq!(send("DELETE", Some("*"), None, &Value::Null).await.status, 204);
    });
}

#[test]
fn bad_requests_are_told_what_is_wrong() {
    block_on(async {
        let world = World::new().await;
        let id = world.user("ada", "a").await;
        let (user, group) = (format!("/Users/{id}"), "/Groups");
        let many: Vec<_> = (0..201).map(|_| json!({"op": "add", "path": "title", "value": "x"})).collect();
        for (method, path, body, expected) in [
            ("POST", "/Users", json!([]), "invalidSyntax"),
            ("POST", "/Users", json!({}), "invalidValue"),
            ("POST", "/Users", json!({"userName": ""}), "invalidValue"),
            ("POST", "/Users", json!({"userName": 1}), "invalidValue"),
            ("POST", "/Users", json!({"userName": "x".repeat(1025)}), "invalidValue"),
            ("POST", "/Users", json!({"userName": "a\u{0}b"}), "invalidValue"),
            ("POST", "/Users", json!({"userName": "x", "active": "perhaps"}), "invalidValue"),
            ("POST", "/Users", json!({"userName": "x", "emails": vec!["y"; 101]}), "tooMany"),
            ("PUT", &user, json!({"displayName": "x"}), "invalidValue"),
            ("PATCH", &user, json!({}), "invalidSyntax"),
            ("PATCH", &user, json!({"Operations": [1]}), "invalidSyntax"),
            ("PATCH", &user, json!({"Operations": [{"op": "move"}]}), "invalidSyntax"),
            ("PATCH", &user, json!({"Operations": [{"op": "remove"}]}), "noTarget"),
            ("PATCH", &user, json!({"Operations": [{"op": "add", "path": "title"}]}), "invalidSyntax"),
            (
                "PATCH",
                &user,
                json!({"Operations": [{"op": "add", "path": "title[", "value": "x"}]}),
                "invalidPath",
            ),
            (
                "PATCH",
                &user,
                json!({"Operations": [{"op": "add", "path": "id", "value": "x"}]}),
                "mutability",
            ),
            ("PATCH", &user, json!({"Operations": [{"op": "remove", "path": "userName"}]}), "invalidValue"),
            ("PATCH", &user, json!({"Operations": [{"op": "remove", "path": "active"}]}), "invalidValue"),
            ("PATCH", &user, json!({"Operations": many}), "tooMany"),
            (
                "PATCH",
                &user,
                json!({"Operations": [{"op": "replace", "path": "emails[type ne \"x\"].value", "value": "y"}]}),
                "noTarget",
            ),
            ("POST", group, json!({"displayName": "g", "members": [{"value": "nobody"}]}), "invalidValue"),
            ("POST", group, json!({"members": []}), "invalidValue"),
            ("PUT", "/Users", json!({}), "405"),
            ("PATCH", "/Schemas", json!({}), "405"),
            ("BREW", &user, json!({}), "405"),
            ("GET", "/Me", Value::Null, "501"),
            ("POST", "/Bulk", json!({}), "501"),
            ("GET", "/Users/%FF", Value::Null, "404"),
            ("GET", "/Users/a/b", Value::Null, "404"),
            ("GET", "/Schemas/urn:x", Value::Null, "404"),
        ] {
            let answer = world.send(method, path, &body).await;
            assert_eq!(wrong(&answer), expected, "{method} {path} {body}");
        }
        assert_eq!(world.get("/Users").await["totalResults"], 1, "and nothing was done");
        assert_eq!(world.get("/Groups").await["totalResults"], 0);
        assert!(world.get(&user).await.get("title").is_none());
    });
}
