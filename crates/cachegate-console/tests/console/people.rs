//! Groups, who is listed in a workspace, and what it does that somebody leaves.

#![expect(clippy::expect_used, reason = "tests")]

use cachegate::{Authority, DeviceAccess};
use cachegate_policy::{Listed, ListedParty, OpenTo};
use cachegate_storage::GroupRecord;
use cachegate_testkit::NOW;
use cachegate_types::{AccessLevel, Action, ActionSet, Lane, Role, UserId};
use http::{StatusCode, header};

use crate::support::{Answer, Browser, Site};

const GROUPS: &str = "/acme/settings?editview=groups";
const LISTED: &str = "/acme/settings?editview=listed&workspace=app";
const MEMBERS: &str = "/acme/settings?editview=members";
const UNKNOWN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

async fn groups(site: &Site) -> Vec<GroupRecord> {
    site.scene.storage.groups(site.scene.organization).await.expect("groups")
}

async fn listed(site: &Site) -> Vec<Listed> {
    site.scene.storage.workspace(site.scene.workspace).await.expect("read").expect("there").listed
}

/// What a form came to, which must be taken.
async fn taken(browser: &Browser<'_>, url: &str, fields: &[(&str, &str)]) -> Answer {
    let answer = browser.post(url, fields).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{fields:?}: {}", answer.text);
    answer
}

/// A form that is not taken, and why.
async fn refused(browser: &Browser<'_>, url: &str, fields: &[(&str, &str)], why: &str) {
    let answer = browser.post(url, fields).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{fields:?}");
    assert!(answer.text.contains(why), "{fields:?}: {}", answer.text);
}

/// Ada, a member.
async fn ada(site: &Site) -> UserId {
    let (gate, operator) = (&site.scene.gate, Authority::Operator);
    let user = gate.create_user(&operator, "Ada".parse().expect("a name"), NOW.into()).await.expect("a user");
    let organization = site.scene.organization;
    gate.set_member(&operator, organization, user, Role::Member, NOW.into()).await.expect("a member");
    user
}

#[test]
fn a_group_is_made_filled_renamed_and_removed() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let ada = ada(&site).await;
        let (id, self_id) = (ada.to_string(), site.scene.owner.to_string());
        assert!(owner.get(GROUPS).await.text.contains("There is none."));
        refused(&owner, GROUPS, &[("act", "create"), ("name", "No Such")], "role=\"alert\"").await;
        let stranger = [("act", "create"), ("name", "core"), ("people", UNKNOWN)];
        refused(&owner, GROUPS, &stranger, "is no member of the organization").await;
        assert!(groups(&site).await.is_empty(), "what is refused makes nothing");
        let made = taken(&owner, GROUPS, &[("act", "create"), ("name", "core"), ("people", &id)]).await;
        let group = groups(&site).await.remove(0);
        assert_eq!((group.name.as_str(), &*group.members), ("core", &[ada][..]));
        let url = made.header(header::LOCATION).to_owned();
        assert!(url.starts_with(&format!("{GROUPS}&group={}", group.id)), "{url}");
        let page = owner.get(&url).await;
        assert!(
            page.text.contains("Created.") && page.text.contains("Ada") && page.text.contains("1 person")
        );
        refused(&owner, GROUPS, &[("act", "create"), ("name", "core")], "exists already").await;

        let url = format!("{GROUPS}&group={}", group.id);
        taken(&owner, &url, &[("act", "add"), ("people", &format!("{self_id}, {id}"))]).await;
        assert_eq!(groups(&site).await[0].members.len(), 2, "each once");
        taken(&owner, &url, &[("act", "rename"), ("name", "owners")]).await;
        taken(&owner, &url, &[("act", "take-out"), ("user", &id)]).await;
        let kept = groups(&site).await.remove(0);
        assert_eq!((kept.name.as_str(), &*kept.members), ("owners", &[site.scene.owner][..]));
        refused(&owner, &url, &[("act", "add")], "at least one person").await;

        let party = ListedParty::Group(group.id);
        let line = Listed { party, actions: AccessLevel::ReadOnly.actions() };
        let (gate, operator, workspace) = (&site.scene.gate, Authority::Operator, site.scene.workspace);
        gate.set_listed(&operator, workspace, &[line], NOW.into()).await.expect("listed");
        let asked = owner.post(&url, &[("act", "count-remove")]).await;
        for told in
            ["Remove the group owners?", "It has 1 person.", "app (resolve, read)", "value=\"remove\""]
        {
            assert!(asked.text.contains(told), "{told}: {}", asked.text);
        }
        assert_eq!(groups(&site).await.len(), 1, "asking removes nothing");
        taken(&owner, &url, &[("act", "remove")]).await;
        assert!(groups(&site).await.is_empty());
        assert_eq!(owner.get(&url).await.status, StatusCode::NOT_FOUND);
        assert!(owner.get(LISTED).await.text.contains("a group that is no more"));
    });
}

#[test]
fn a_group_of_another_organization_is_not_there() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let (other, _) = site.scene.elsewhere("other").await;
        let name = "secret".parse().expect("a name");
        let (gate, operator) = (&site.scene.gate, Authority::Operator);
        let made = gate.create_group(&operator, other, name, Vec::new(), None, NOW.into()).await;
        let cachegate::Made::Now(foreign) = made.expect("a group") else { return };
        let unknown = owner.get(&format!("{GROUPS}&group={UNKNOWN}")).await;
        let url = format!("{GROUPS}&group={}", foreign.id);
        let answer = owner.get(&url).await;
        assert_eq!((answer.status, &answer.text), (StatusCode::NOT_FOUND, &unknown.text));
        for act in ["rename", "add", "take-out", "count-remove", "remove"] {
            let fields = [("act", act), ("name", "mine"), ("user", UNKNOWN)];
            assert_eq!(owner.post(&url, &fields).await.text, unknown.text, "{act}");
        }
        let kept = site.scene.storage.groups(other).await.expect("groups");
        assert_eq!(kept, [foreign], "and nothing was done");
    });
}

#[test]
fn people_and_groups_are_listed_with_what_each_gets_over_what_was_seen() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let (user, token) = site.scene.person(Role::Member, ActionSet::ALL).await;
        site.scene.settings(|settings| settings.open_to = OpenTo::Listed).await;
        let group = taken(&owner, GROUPS, &[("act", "create"), ("name", "core")]).await;
        let group = group.header(header::LOCATION).split("group=").nth(1).expect("an id").to_owned();
        let group = group.split('&').next().expect("an id").to_owned();
        let seen = async || owner.get(LISTED).await.between("name=\"seen\" value=\"", "\"").to_owned();
        assert_eq!(site.scene.code(&token, Action::Write).await, "action_not_granted");

        let (first, id) = (seen().await, user.to_string());
        let add = [
            ("act", "add"),
            ("seen", &*first),
            ("person", &id),
            ("level", "read-only"),
            ("actions", "publish"),
        ];
        taken(&owner, LISTED, &add).await;
        let actions = AccessLevel::ReadOnly.actions().union(ActionSet::of(&[Action::Publish]));
        assert_eq!(listed(&site).await, [Listed { party: ListedParty::User(user), actions }]);
        assert_eq!(site.scene.code(&token, Action::Read).await, "allowed");
        assert_eq!(site.scene.code(&token, Action::Write).await, "action_not_granted");
        refused(&owner, LISTED, &add, "Somebody else changed this list").await;

        let second = seen().await;
        let twice = [("act", "add"), ("seen", &*second), ("person", &id), ("level", "read-write")];
        refused(&owner, LISTED, &twice, "listed already").await;
        let both =
            [("act", "add"), ("seen", &*second), ("person", &id), ("group", &group), ("level", "read-only")];
        refused(&owner, LISTED, &both, "one person by their id, or choose one group").await;
        let nothing = [("act", "add"), ("seen", &*second), ("group", &group), ("level", "none")];
        refused(&owner, LISTED, &nothing, "Choose what they get").await;
        taken(
            &owner,
            LISTED,
            &[("act", "add"), ("seen", &second), ("group", &group), ("level", "read-write")],
        )
        .await;
        let page = owner.get(LISTED).await;
        for told in [">core<", ">group<", ">person<", "resolve, read, publish", "resolve, read, write"] {
            assert!(page.text.contains(told), "{told}: {}", page.text);
        }

        let (third, party) = (seen().await, format!("person:{id}"));
        taken(
            &owner,
            LISTED,
            &[("act", "set"), ("seen", &third), ("party", &party), ("level", "read-write")],
        )
        .await;
        assert_eq!(site.scene.code(&token, Action::Write).await, "allowed");
        assert_eq!(listed(&site).await.len(), 2, "the other line stays");
        taken(&owner, LISTED, &[("act", "take-out"), ("seen", &seen().await), ("party", &party)]).await;
        assert_eq!(site.scene.code(&token, Action::Write).await, "action_not_granted");
        let late = [("act", "set"), ("seen", &*seen().await), ("party", &party), ("level", "read-only")];
        refused(&owner, LISTED, &late, "listed no more").await;
    });
}

#[test]
fn nobody_lists_anybody_with_more_than_they_hold() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let narrow = ActionSet::of(&[Action::Resolve, Action::Read, Action::Administer]);
        let (_, token) = site.scene.person(Role::Admin, narrow).await;
        let admin = site.sign_in(&token).await;
        let ada = ada(&site).await.to_string();
        let seen = admin.get(LISTED).await.between("name=\"seen\" value=\"", "\"").to_owned();
        let fields = |level| [("act", "add"), ("seen", seen.as_str()), ("person", &ada), ("level", level)];
        refused(&admin, LISTED, &fields("read-write"), "nobody gives more than they hold").await;
        assert!(listed(&site).await.is_empty());
        taken(&admin, LISTED, &fields("read-only")).await;
    });
}

#[test]
fn who_administers_a_workspace_alone_lists_by_ids_and_is_told_of_nobody_else() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let (user, token) = site.scene.person(Role::Member, ActionSet::ALL).await;
        let ada = ada(&site).await;
        let line = |user, actions| Listed { party: ListedParty::User(user), actions };
        let lines = [line(user, ActionSet::ALL), line(ada, AccessLevel::ReadOnly.actions())];
        let (gate, operator, workspace) = (&site.scene.gate, Authority::Operator, site.scene.workspace);
        gate.set_listed(&operator, workspace, &lines, NOW.into()).await.expect("listed");
        let keeper = site.sign_in(&token).await;
        let page = keeper.get(LISTED).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text.contains(&ada.to_string()) && !page.text.contains(">Ada"), "{}", page.text);
        assert_eq!(keeper.get(GROUPS).await.status, StatusCode::NOT_FOUND);
    });
}

#[test]
fn a_departure_is_told_before_and_after() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let (user, token) = site.scene.person(Role::Admin, ActionSet::ALL).await;
        let id = user.to_string();
        taken(&owner, GROUPS, &[("act", "create"), ("name", "core"), ("people", &id)]).await;
        let made = site.sign_in(&token).await;
        let url = "/acme/settings?editview=device-tokens";
        made.post(url, &[("act", "create"), ("new", "normal"), ("description", "Submarine")]).await;
        let ask = owner.post(MEMBERS, &[("act", "count-remove"), ("user", &id)]).await;
        assert_eq!(ask.status, StatusCode::OK);
        for told in [
            // The personal token, and the browser's session that came from it.
            "refused here from then on: 2.",
            "that they made: 1.",
            "taken off: core.",
            "Submarine",
            "organization acme",
            "value=\"remove\"",
        ] {
            assert!(ask.text.contains(told), "{told}: {}", ask.text);
        }
        assert_eq!(site.scene.code(&token, Action::Read).await, "allowed", "asking removes nobody");
        let done = owner.post(MEMBERS, &[("act", "remove"), ("user", &id)]).await;
        assert_eq!(done.status, StatusCode::OK);
        for told in ["has left acme", "from then on: 2.", "Submarine", "taken off: core."] {
            assert!(done.text.contains(told), "{told}: {}", done.text);
        }
        assert!(!done.text.contains("value=\"remove\""));
        assert_eq!(site.scene.code(&token, Action::Read).await, "not_a_member");
        for (act, who) in [("remove", id.as_str()), ("count-remove", id.as_str()), ("count-remove", UNKNOWN)]
        {
            refused(&owner, MEMBERS, &[("act", act), ("user", who)], "no member of the organization").await;
        }
        let (_, admin) = site.member(Role::Admin).await;
        let top = site.scene.owner.to_string();
        for act in ["count-remove", "remove"] {
            let answer = admin.post(MEMBERS, &[("act", act), ("user", &top)]).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
            assert!(answer.text.to_lowercase().contains("only an owner decides who is an owner"), "{act}");
        }
    });
}

#[test]
fn the_last_owner_is_told_what_leaving_means() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let id = site.scene.owner.to_string();
        let ask = [("act", "count-remove"), ("user", id.as_str())];
        let told = owner.post(MEMBERS, &ask).await;
        assert!(told.text.contains("Remove this person from acme?"), "nobody gave them a name");
        assert!(told.text.contains("This is you") && told.text.contains("its last owner"), "{}", told.text);
        let (_, another) = site.member(Role::Owner).await;
        assert!(!owner.post(MEMBERS, &ask).await.text.contains("its last owner"));
        let done = owner.post(MEMBERS, &[("act", "remove"), ("user", &id)]).await;
        assert_eq!(done.status, StatusCode::OK);
        assert!(done.text.contains("has left acme"));
        assert_eq!(owner.get(MEMBERS).await.status, StatusCode::NOT_FOUND);
        assert_eq!(another.get(MEMBERS).await.status, StatusCode::OK);
    });
}

#[test]
fn tokens_of_the_organization_are_told_with_whom_they_belong_to() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let owner = site.owner().await;
        let (user, token) = site.scene.person(Role::Admin, ActionSet::ALL).await;
        let admin = site.sign_in(&token).await;
        let ci = [
            ("act", "create"),
            ("new", "ci"),
            ("description", "trunk"),
            ("level", "read-write"),
            ("lane", "main"),
        ];
        admin.post("/acme/settings?editview=ci-tokens&workspace=app", &ci).await;
        // Not theirs.
        site.scene.device(DeviceAccess::Normal).await;
        site.scene.ci(AccessLevel::ReadOnly, Lane::main()).await;
        let told = owner.post(MEMBERS, &[("act", "count-remove"), ("user", &user.to_string())]).await;
        assert!(told.text.contains("that they made: 1.") && told.text.contains("workspace app"));
        assert!(told.text.contains("editview=ci-tokens&#38;workspace=app&#38;token="), "{}", told.text);
    });
}
