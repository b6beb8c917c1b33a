//! What distrust would make a miss is counted before it is set, and is what readers miss afterwards.

use cachegate::{Authority, TokenSpec};
use cachegate_policy::{LaneOrder, WorkspaceSettings};
use cachegate_types::{AccessLevel, Description, LaneClass};

use cache_server::now;

use crate::browser::Browser;
use crate::host::Host;
use crate::http::{get, put};
use crate::support::owners_token;

const LOCKS: &str = "/acme/settings?editview=locks";

/// A browser in which an owner of the organization is signed in, with the token of its forms.
fn owner(host: &Host) -> (Browser, String) {
    let token = owners_token(host);
    let mut browser = Browser::at(host.address);
    let form = browser.get("/login").form_token();
    let pairs = [("form_token", &*form), ("token", token.expose_secret()), ("return_to", "/")];
    assert_eq!(browser.post("/login", &pairs).location(), "/");
    let form = browser.get(LOCKS).form_token();
    (browser, form)
}

/// A token that writes this lane, and its id.
fn writer(host: &Host, lane: &str) -> (String, String) {
    let spec = TokenSpec::Ci {
        workspace: host.server.default_workspace(),
        level: AccessLevel::ReadWrite,
        lane: lane.parse().expect("a lane"),
    };
    let gate = host.server.gate();
    let issued = gate.issue(&Authority::Operator, &spec, Description::default(), None, now());
    let issued = host.runtime.block_on(issued).expect("a token");
    (issued.token.expose_secret().to_owned(), issued.record.id.to_string())
}

fn store(host: &Host, token: &str, key: &str) {
    let bearer = format!("Bearer {token}");
    let put = put(host.address, &format!("/v1/cache/{key}"), &[("authorization", &bearer)], key.as_bytes());
    assert_eq!(put.status, 200, "{}", put.text());
}

fn found(host: &Host, token: &str, keys: &[&str]) -> usize {
    let bearer = format!("Bearer {token}");
    let read = |key: &&&str| get(host.address, &format!("/v1/cache/{key}"), &[("authorization", &bearer)]);
    keys.iter().filter(|key| read(key).status == 200).count()
}

#[test]
fn what_distrust_would_make_a_miss_is_counted_exactly_before_it_is_set() {
    let host = Host::configured(|config| config.issuer = Some(format!("http://{}", config.listen)));
    let (mut browser, form) = owner(&host);
    let (leaked, leaked_id) = writer(&host, "main");
    let (other, other_id) = writer(&host, "main");
    let (pull, _) = writer(&host, "pull/17");
    let (theirs, others) = (["11", "12", "13"], ["21", "22"]);
    theirs.iter().for_each(|key| store(&host, &leaked, key));
    others.iter().for_each(|key| store(&host, &other, key));
    store(&host, &pull, "11");
    let mut ask = |fields: &[(&str, &str)]| {
        let fields = [fields, &[("form_token", &*form), ("reason", "a leak")]].concat();
        browser.post(LOCKS, &fields)
    };
    let told = |answer: &crate::http::Answer, count: &str| {
        let text = answer.text();
        assert!(text.contains(count), "{count}: {text}");
    };
    let (of_leaked, of_other) = (("token", &*leaked_id), ("token", &*other_id));
    told(&ask(&[("act", "count-distrust"), of_leaked]), "3 stored entries become a miss");
    told(&ask(&[("act", "count-distrust"), of_other]), "2 stored entries become a miss");
    assert_eq!(found(&host, &other, &theirs), 3, "asking makes nothing a miss");
    assert_eq!(ask(&[("act", "distrust"), of_leaked]).status, 303);
    assert_eq!((found(&host, &other, &theirs), found(&host, &other, &others)), (0, 2), "as it was told");
    // What is a miss already becomes none.
    told(&ask(&[("act", "count-distrust"), of_leaked]), "0 stored entries become a miss");
    // What was built anew stands in the place of what is distrusted.
    store(&host, &other, "11");
    told(&ask(&[("act", "count-distrust"), of_other]), "3 stored entries become a miss");
    let today = now().to_string()[..10].to_owned();
    let days = [("act", "count-distrust"), ("of", "app"), ("from", "2020-01-01"), ("to", &today)];
    told(&ask(&days), "4 stored entries become a miss");
    let before = [("act", "count-distrust"), ("of", "app"), ("from", "2020-01-01"), ("to", "2020-01-02")];
    told(&ask(&before), "0 stored entries become a miss");
    // A new order of lanes makes misses of all that was stored before: none of it becomes one.
    let mut order = LaneClass::ALL;
    order.swap(5, 6);
    let lanes = LaneOrder::new(&order).expect("an order");
    host.settings(&WorkspaceSettings { lanes, ..WorkspaceSettings::default() });
    assert_eq!(found(&host, &other, &["11", "21", "22"]), 0);
    told(&ask(&[("act", "count-distrust"), of_other]), "0 stored entries become a miss");
}
