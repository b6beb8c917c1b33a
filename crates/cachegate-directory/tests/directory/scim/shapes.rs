//! The requests that Okta and Entra document, in their order, with what each of them does otherwise than the RFC.

use cachegate_storage::Members as _;
use cachegate_testkit::block_on;
use cachegate_types::Action;
use serde_json::{Value, json};

use super::{World, id_of};

/// Okta's "SCIM 2.0 protocol reference": look, create, read, replace, deactivate, reactivate. It never deletes a user.
#[test]
fn okta_provisions_replaces_deactivates_and_reactivates() {
    block_on(async {
        let world = World::new().await;
        let look = "/Users?filter=userName%20eq%20%22ada%40acme.example%22&startIndex=1&count=100";
        let nobody = world.get(look).await;
        assert_eq!((&nobody["totalResults"], &nobody["Resources"]), (&json!(0), &json!([])));
        let profile = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "ada@acme.example",
            "name": {"givenName": "Ada", "familyName": "Lovelace"},
            "emails": [{"primary": true, "value": "ada@acme.example", "type": "work"}],
            "displayName": "Ada Lovelace",
            "locale": "en-US",
            "externalId": "00u1ada",
            "groups": [],
            "password": "1mz050nq",
            "active": true
        });
        let made = world.send("POST", "/Users", &profile).await;
        assert_eq!(made.status, 201);
        let id = id_of(&made);
        let body = made.body.expect("a body");
        assert_eq!(body["active"], true);
        assert!(body.get("password").is_none(), "nobody signs in with one here");
        assert_eq!(made.location, Some(format!("https://cache.example/scim/v2/okta/Users/{id}")));
        let token = world.token("00u1ada").await;
        assert_eq!(world.scene.code(&token, Action::Read).await, "allowed");
        assert_eq!(world.get(look).await["totalResults"], 1);

        let mut married = world.get(&format!("/Users/{id}")).await;
        married["name"]["familyName"] = "King".into();
        married["userName"] = "ada.king@acme.example".into();
        let replaced = world.send("PUT", &format!("/Users/{id}"), &married).await;
        assert_eq!(replaced.status, 200);
        assert_eq!(replaced.body.expect("a body")["name"]["familyName"], "King");
        assert_eq!(world.scene.code(&token, Action::Read).await, "allowed", "a rename is no departure");

        let away = world.activate(&id, false).await;
        assert_eq!((away.status, away.departures.len()), (200, 1));
        assert_eq!(away.body.expect("a body")["active"], false);
        assert_eq!(world.scene.code(&token, Action::Read).await, "not_a_member");
        let back = world.activate(&id, true).await;
        assert_eq!(back.body.expect("a body")["active"], true);
        assert_eq!(world.scene.code(&token, Action::Read).await, "not_a_member", "old tokens stay dead");
    });
}

#[test]
fn okta_pushes_a_group() {
    block_on(async {
        let world = World::new().await;
        let (ada, bob) = (world.user("ada", "00u1ada").await, world.user("bob", "00u2bob").await);
        let made = world
            .send(
                "POST",
                "/Groups",
                &json!({
                    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                    "displayName": "Build Engineers",
                    "members": [{"value": ada, "display": "ada"}]
                }),
            )
            .await;
        assert_eq!(made.status, 201, "{made:?}");
        let path = format!("/Groups/{}", id_of(&made));
        let listed = async || {
            let groups = world.store.groups(world.scene.organization).await.expect("groups");
            assert_eq!(groups.len(), 1);
            (groups[0].name.to_string(), groups[0].members.clone())
        };
        let (one, two) = (world.person("00u1ada").await, world.person("00u2bob").await);
        assert_eq!(listed().await, ("build-engineers".to_owned(), vec![one]));
        let add = json!([{"op": "add", "path": "members", "value": [{"value": bob, "display": "bob"}]}]);
        assert_eq!(world.patch(&path, add.clone()).await.status, 204);
        assert_eq!(world.patch(&path, add).await.status, 204, "twice is once");
        let mut both = vec![one, two];
        both.sort();
        assert_eq!(listed().await.1, both);
        let rename = json!([{"op": "replace", "value": {"id": id_of(&made), "displayName": "Builders"}}]);
        assert_eq!(world.patch(&path, rename).await.status, 204);
        assert_eq!(listed().await, ("builders".to_owned(), both));
        let remove = json!([{"op": "remove", "path": format!("members[value eq \"{ada}\"]")}]);
        assert_eq!(world.patch(&path, remove).await.status, 204);
        assert_eq!(listed().await.1, vec![two]);
        assert_eq!(world.get(&format!("/Users/{bob}")).await["groups"][0]["display"], "Builders");
        let whole = json!([{"op": "replace", "path": "members", "value": [{"value": ada}]}]);
        assert_eq!(world.patch(&path, whole).await.status, 204);
        assert_eq!(listed().await.1, vec![one]);
        // Who is away is in no group, and back in it once they are back.
        world.activate(&ada, false).await;
        assert_eq!(listed().await.1, vec![]);
        world.activate(&ada, true).await;
        assert_eq!(listed().await.1, vec![one]);
        assert_eq!(world.send("DELETE", &path, &Value::Null).await.status, 204);
        assert!(world.store.groups(world.scene.organization).await.expect("groups").is_empty());
        assert_eq!(world.send("DELETE", &path, &Value::Null).await.status, 404);
    });
}

/// Microsoft's "Develop a SCIM endpoint for user provisioning": its verbs are capitalized, its booleans are texts, its
/// paths name what is not there yet.
#[test]
fn entra_provisions_updates_disables_and_deletes() {
    block_on(async {
        let world = World::new().await;
        let object = "5b1d0f5c-0000-4b1e-9b3a-2f7f6ef0a001";
        let nobody = world.get(&format!("/Users?filter=externalId+eq+%22{object}%22")).await;
        assert_eq!(nobody["totalResults"], 0);
        let made = world
            .send(
                "POST",
                "/Users",
                &json!({
                    "schemas": [
                        "urn:ietf:params:scim:schemas:core:2.0:User",
                        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
                    ],
                    "externalId": object,
                    "userName": "Test_User_ab6490ee",
                    "active": "True",
                    "emails": [{"primary": true, "type": "work", "value": "test@acme.example"}],
                    "meta": {"resourceType": "User"},
                    "name": {"formatted": "given family", "familyName": "family", "givenName": "given"},
                    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Builds"},
                    "roles": []
                }),
            )
            .await;
        assert_eq!(made.status, 201, "{made:?}");
        let path = format!("/Users/{}", id_of(&made));
        let token = world.token(object).await;
        let changed = world
            .patch(&path, json!([
                {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "new@acme.example"},
                {"op": "Add", "path": "emails[type eq \"home\"].value", "value": "home@acme.example"},
                {"op": "Replace", "path": "name.familyName", "value": "updated"},
                {"op": "Add", "path": "urn:ietf:params:scim:schemas:core:2.0:User:title", "value": "Builder"},
                {
                    "op": "Replace",
                    "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
                    "value": "Caches"
                },
                {"op": "Replace", "value": {"displayName": "Updated", "name.givenName": "first"}}
            ]))
            .await;
        assert_eq!(changed.status, 200, "{changed:?}");
        let body = changed.body.expect("a body");
        assert_eq!(
            body["emails"],
            json!([
                {"primary": true, "type": "work", "value": "new@acme.example"},
                {"type": "home", "value": "home@acme.example"}
            ])
        );
        assert_eq!(
            body["name"],
            json!({"formatted": "given family", "familyName": "updated", "givenName": "first"})
        );
        assert_eq!((&body["title"], &body["displayName"]), (&json!("Builder"), &json!("Updated")));
        assert_eq!(world.scene.code(&token, Action::Read).await, "allowed");

        let away = json!([{"op": "Replace", "path": "active", "value": "False"}]);
        let away = world.patch(&path, away).await;
        assert_eq!(away.body.expect("a body")["active"], false);
        assert_eq!(world.scene.code(&token, Action::Read).await, "not_a_member");
        assert_eq!(world.get("/Users?filter=active+eq+%22False%22").await["totalResults"], 1);
        assert_eq!(world.send("DELETE", &path, &Value::Null).await.status, 204);
        assert_eq!(world.send("GET", &path, &Value::Null).await.status, 404);
    });
}

#[test]
fn entra_keeps_a_group() {
    block_on(async {
        let world = World::new().await;
        let (ada, bob) = (world.user("ada", "a").await, world.user("bob", "b").await);
        let made = world
            .send(
                "POST",
                "/Groups",
                &json!({
                    "schemas": [
                        "urn:ietf:params:scim:schemas:core:2.0:Group",
                        "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
                    ],
                    "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
                    "displayName": "displayName",
                    "meta": {"resourceType": "Group"}
                }),
            )
            .await;
        let path = format!("/Groups/{}", id_of(&made));
        let add = json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": ada}, {"$ref": null, "value": bob}]}]);
        let added = world.patch(&path, add).await;
        assert_eq!((added.status, added.body), (204, None), "nobody wants the members back");
        let bare = world.get(&format!("{path}?excludedAttributes=members")).await;
        assert!(bare.get("members").is_none() && bare["displayName"] == "displayName");
        // Without and with Entra's compliance flag.
        let one = json!([{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": ada}]}]);
        assert_eq!(world.patch(&path, one).await.status, 204);
        let left = world.get(&path).await["members"].clone();
        assert_eq!(left.as_array().map(Vec::len), Some(1));
        assert_eq!(left[0]["value"], *bob);
        let other = json!([{"op": "Remove", "path": format!("members[value eq \"{bob}\"]")}]);
        assert_eq!(world.patch(&path, other).await.status, 204);
        assert!(world.get(&path).await.get("members").is_none());
        let found =
            world.get("/Groups?excludedAttributes=members&filter=displayName+eq+%22DisplayName%22").await;
        assert_eq!(found["totalResults"], 1);
    });
}

#[test]
fn what_is_not_kept_here_keeps_no_departure_from_being_done() {
    block_on(async {
        let world = World::new().await;
        let id = world.user("ada", "a").await;
        let answer = world
            .patch(
                &format!("/Users/{id}"),
                json!([
                    {"op": "Replace", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "1"},
                    {"op": "Replace", "path": "active", "value": [{"value": "False"}]}
                ]),
            )
            .await;
        assert_eq!(super::wrong(&answer), "invalidValue", "garbage is told apart from silence");
        let answer = world
            .patch(
                &format!("/Users/{id}"),
                json!([
                    {"op": "Replace", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "1"},
                    {"op": "Replace", "path": "nickName", "value": ["x"]},
                    {"op": "Replace", "path": "active", "value": ["False"]}
                ]),
            )
            .await;
        assert_eq!(answer.body.expect("a body")["active"], false);
    });
}
