//! Pages stay short and cheap, however much there is.

#![expect(clippy::expect_used, reason = "tests")]

use std::time::Duration;

use cachegate::{Authority, DeviceAccess, PersonalForm};
use cachegate_policy::{Listed, ListedParty, LockScope};
use cachegate_storage::{Act, GroupRecord, MarkScope, Preconditions, TokenKind, TokenRecord, UserRecord};
use cachegate_testkit::NOW;
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, GroupId, Principal, Role, Timestamp, TokenId, UserId,
};
use http::StatusCode;
use rustix::time::{ClockId, clock_gettime};

use crate::support::Site;

const DEVICE: &str = "/acme/settings?editview=device-tokens";

/// A site with so many device tokens.
async fn with(count: u32) -> Site {
    let site = Site::new().await;
    let first = site.scene.device(DeviceAccess::Normal).await.record;
    let act = Act { by: Principal::Anonymous, token: None, at: NOW.into() };
    for index in 1..count {
        let mut bytes = [0; 10];
        bytes[..4].copy_from_slice(&index.to_be_bytes());
        let id = TokenId::new(Timestamp::from(NOW), bytes);
        let record = TokenRecord { id, family: id, ..first.clone() };
        site.scene.storage.insert_token(&record, &Preconditions::default(), &act).await.expect("inserted");
    }
    site
}

#[test]
fn ten_thousand_tokens_are_a_hundred_rows_a_page_and_ask_the_store_no_more_than_a_hundred_do() {
    futures_executor::block_on(async {
        let mut asked = Vec::new();
        for count in [100, 10_000] {
            let site = with(count).await;
            let owner = site.owner().await;
            owner.get(DEVICE).await;
            let before = site.scene.faults.calls();
            let page = owner.get(DEVICE).await;
            asked.push(site.scene.faults.calls() - before);
            assert_eq!(page.text.matches("<th scope=\"row\">").count(), 100);
            assert_eq!(page.text.contains("Further tokens"), count > 100);
        }
        assert!(asked[1] <= asked[0] + 1, "{asked:?}");
    });
}

#[test]
fn of_a_thousand_locks_and_marks_the_oldest_fifty_of_each_are_shown() {
    futures_executor::block_on(async {
        let site = Site::new().await;
        let (gate, operator, reason) = (&site.scene.gate, Authority::Operator, Description::default());
        for _ in 0..500 {
            let scope = LockScope::Workspace(site.scene.workspace);
            let actions = ActionSet::of(&[Action::Delete]);
            let locked = gate.lock(&operator, scope, actions, None, reason.clone(), NOW.into()).await;
            locked.expect("locked");
            let scope = MarkScope::Window {
                workspace: Some(site.scene.workspace),
                from: Timestamp::MIN,
                to: (NOW - 1).into(),
            };
            gate.distrust(&operator, scope, reason.clone(), NOW.into()).await.expect("distrusted");
        }
        let page = site.owner().await.get("/acme/settings?editview=locks").await;
        assert_eq!(page.text.matches("<th scope=\"row\">").count(), 100);
        assert_eq!(page.text.matches("The oldest fifty are shown.").count(), 2);
    });
}

/// A site with a group of so many people, all of whom the workspace lists as well; and where the group is looked at.
async fn with_people(count: u32) -> (Site, String) {
    let site = Site::new().await;
    let (storage, act) = (&site.scene.storage, Act { by: Principal::Anonymous, token: None, at: NOW.into() });
    let mut members = Vec::new();
    for index in 0..count {
        let mut bytes = [0; 10];
        bytes[..4].copy_from_slice(&index.to_be_bytes());
        let id = UserId::new(Timestamp::from(NOW), bytes);
        let record = UserRecord { id, display: "Ada".parse().expect("a name"), created_at: NOW.into() };
        storage.create_user(&record, &act).await.expect("a person");
        storage.set_member(site.scene.organization, id, Role::Member, &act).await.expect("a member");
        members.push(id);
    }
    let line = |user| Listed { party: ListedParty::User(user), actions: AccessLevel::ReadOnly.actions() };
    let listed: Vec<Listed> = members.iter().take(500).copied().map(line).collect();
    storage.set_listed(site.scene.workspace, &listed, None, &act).await.expect("listed");
    let id = GroupId::new(Timestamp::from(NOW), [0; 10]);
    let name = "core".parse().expect("a name");
    let group = GroupRecord { id, organization: site.scene.organization, name, members };
    storage.put_group(&group, &act).await.expect("a group");
    (site, format!("/acme/settings?editview=groups&group={id}"))
}

#[test]
fn people_are_a_hundred_rows_a_page_and_ask_the_store_no_more_than_a_hundred_do() {
    futures_executor::block_on(async {
        let mut asked = Vec::new();
        for count in [110, 1000] {
            let (site, group) = with_people(count).await;
            let owner = site.owner().await;
            let mut each = Vec::new();
            for url in [
                group.as_str(),
                "/acme/settings?editview=listed&workspace=app",
                "/acme/settings?editview=members",
            ] {
                owner.get(url).await;
                let before = site.scene.faults.calls();
                let page = owner.get(url).await;
                each.push(site.scene.faults.calls() - before);
                assert_eq!(page.text.matches("<th scope=\"row\">").count(), 100, "{url}");
                assert!(page.text.contains("rel=\"next\""), "{url}");
                let last = owner.get(&format!("{url}&from=100")).await;
                assert_eq!(last.status, StatusCode::OK, "{url}");
            }
            asked.push(each);
        }
        assert_eq!(asked[0], asked[1]);
    });
}

#[test]
fn the_account_is_a_hundred_rows_at_most_and_asks_the_store_no_more_for_many_than_for_few() {
    futures_executor::block_on(async {
        let mut asked = Vec::new();
        for count in [50, 900] {
            let site = Site::new().await;
            let first =
                site.scene.personal(site.scene.owner, ActionSet::ALL, PersonalForm::Opaque).await.record;
            let act = Act { by: Principal::Anonymous, token: None, at: NOW.into() };
            let kinds = [TokenKind::Personal, TokenKind::Browser, TokenKind::Refresh, TokenKind::Session];
            for (which, kind) in (0..).zip(kinds) {
                for index in 0..count {
                    let mut bytes = [which; 10];
                    bytes[..4].copy_from_slice(&u32::to_be_bytes(index));
                    let id = TokenId::new(Timestamp::from(NOW), bytes);
                    let record = TokenRecord { id, family: id, kind, ..first.clone() };
                    let none = Preconditions::default();
                    site.scene.storage.insert_token(&record, &none, &act).await.expect("inserted");
                }
            }
            let owner = site.owner().await;
            owner.get("/account").await;
            let before = site.scene.faults.calls();
            let page = owner.get("/account").await;
            asked.push(site.scene.faults.calls() - before);
            assert_eq!(page.text.matches("<th scope=\"row\">").count(), 100);
            assert_eq!(page.text.matches("rel=\"next\"").count(), 4, "each of the lists goes on");
            let link = page.between("/account?after-refresh=", "\"");
            let next = owner.get(&format!("/account?after-refresh={link}")).await;
            assert!(next.text.matches("login in a terminal").count() >= 25);
        }
        assert_eq!(asked[0], asked[1]);
    });
}

#[test]
fn every_person_of_a_group_is_on_one_of_its_pages() {
    futures_executor::block_on(async {
        let (site, group) = with_people(250).await;
        let owner = site.owner().await;
        for (from, wanted) in
            [("0", 100), ("100", 100), ("200", 50), ("250", 0), ("99999999999999999999", 100)]
        {
            let page = owner.get(&format!("{group}&from={from}")).await;
            assert_eq!(page.text.matches("<th scope=\"row\">").count(), wanted, "{from}");
            let more = page.text.contains("rel=\"next\"");
            assert_eq!(more, wanted == 100 && from != "200", "{from}");
        }
    });
}

#[test]
fn every_token_is_on_one_of_the_pages() {
    futures_executor::block_on(async {
        let site = with(250).await;
        let owner = site.owner().await;
        let (mut url, mut rows) = (DEVICE.to_owned(), Vec::new());
        loop {
            let page = owner.get(&url).await;
            rows.push(page.text.matches("<th scope=\"row\">").count());
            if !page.text.contains("Further tokens") {
                break;
            }
            let link = page.text.split("rel=\"next\"").next().expect("a link");
            let link =
                link.rsplit("href=\"").next().expect("an address").split('"').next().expect("an address");
            url = link.replace("&#38;", "&");
        }
        assert_eq!(rows, [100, 100, 50]);
    });
}

/// The time that this thread has run so far.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().expect("seconds"), time.tv_nsec.try_into().expect("nanoseconds"))
}

#[test]
#[ignore = "long: measures the CPU time of a page at 100 and at 10,000 tokens"]
fn a_page_costs_at_most_twice_as_much_at_ten_thousand_tokens_as_at_a_hundred() {
    futures_executor::block_on(async {
        let (few, many) = (with(100).await, with(10_000).await);
        let (few, many) = (few.owner().await, many.owner().await);
        let mut best = [Duration::MAX; 2];
        for _ in 0..50 {
            for (browser, best) in [&few, &many].into_iter().zip(&mut best) {
                let before = thread_time();
                browser.get(DEVICE).await;
                *best = (*best).min(thread_time() - before);
            }
        }
        println!("100 tokens: {:?}, 10,000 tokens: {:?}", best[0], best[1]);
        assert!(best[1] <= best[0] * 2, "{best:?}");
    });
}
