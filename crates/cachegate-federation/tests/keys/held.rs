//! Keys that are held: how long, and when they are renewed.

use cachegate_federation::{KeyTimes, Keys, KeysError, RefreshError};
use cachegate_fetch::{FetchError, Response};
use cachegate_testkit::{FetchFault, block_on};

use crate::site::{KEYS, START, Site, anchor, jwks, kid, seconds, signer, status, verifies};

#[test]
fn the_numbers_are_those_that_were_promised() {
    let times = KeyTimes::default();
    assert_eq!(
        (times.cool_down, times.soft_age, times.hard_age),
        (seconds(30), seconds(3600), seconds(86_400))
    );
    assert_eq!((times.absent, times.fetch), (seconds(60), seconds(5)));
}

#[test]
fn the_first_token_fetches_and_the_next_ones_find() {
    let site = Site::new();
    assert!(site.keys.held_for_kid(Some(site.signer.kid()), START).is_none());
    let keys = site.ask(site.signer.kid(), START).unwrap();
    assert!(verifies(&keys, &site.signer));
    for second in 0..100 {
        assert!(site.keys.held_for_kid(Some(site.signer.kid()), START + seconds(second)).unwrap().is_ok());
    }
    assert_eq!(site.counts(), (1, 1));
}

#[test]
fn a_token_without_a_key_id_gets_what_is_held_and_asks_nobody_twice() {
    let site = Site::new();
    let keys = block_on(site.keys.for_kid(None, START)).unwrap();
    assert!(verifies(&keys, &site.signer));
    assert!(block_on(site.keys.for_kid(None, START + seconds(3600))).is_ok());
    assert_eq!(site.counts(), (1, 1));
}

#[test]
fn a_new_key_is_fetched_when_its_first_token_comes() {
    let site = Site::held();
    let next = signer();
    site.publish(&[&site.signer, &next]);
    let keys = site.ask(next.kid(), START + seconds(30)).unwrap();
    assert!(verifies(&keys, &next) && verifies(&keys, &site.signer));
    assert_eq!(site.counts(), (1, 2), "what discovery said an hour ago at most is relied on");
}

#[test]
fn a_withdrawn_key_verifies_nothing_after_the_next_refresh() {
    let site = Site::held();
    let next = signer();
    site.publish(&[&next]);
    assert!(block_on(site.keys.refresh_due(START + seconds(3600))).unwrap());
    let refused = site.ask(site.signer.kid(), START + seconds(3600)).unwrap_err();
    assert_eq!(refused, KeysError::UnknownKey { kid: site.signer.kid().clone() });
}

#[test]
fn an_unknown_key_asks_the_issuer_once_in_a_cool_down() {
    let site = Site::held();
    for second in 0..90 {
        let name = kid(&format!("unknown {second}"));
        let refused = site.ask(&name, START + seconds(second)).unwrap_err();
        assert_eq!((refused.code(), refused.is_unavailable()), ("unknown_key", false));
        // At 0 (when the keys were fetched), 30 and 60.
        assert_eq!(site.counts().1 as u64, 1 + second / 30, "after {second} s");
    }
}

#[test]
fn an_absent_key_is_not_asked_for_again_for_a_minute() {
    let site = Site::held();
    let dead = kid("dead");
    assert_eq!(site.ask(&dead, START + seconds(30)).unwrap_err().code(), "unknown_key");
    assert_eq!(site.counts().1, 2);
    assert_eq!(site.ask(&dead, START + seconds(89)).unwrap_err().code(), "unknown_key");
    assert_eq!(site.counts().1, 2, "the cool-down is over, and the name is known to be absent");
    // It leaves the turn to a key that is new.
    let next = signer();
    site.publish(&[&site.signer, &next]);
    assert!(site.ask(next.kid(), START + seconds(89)).is_ok());
    assert_eq!(site.counts().1, 3);
    site.ask(&dead, START + seconds(119)).unwrap_err();
    assert_eq!(site.counts().1, 4);
}

#[test]
fn a_key_that_was_absent_is_found_once_a_refresh_brings_it() {
    let site = Site::held();
    let late = signer();
    site.ask(late.kid(), START + seconds(30)).unwrap_err();
    site.publish(&[&site.signer, &late]);
    site.ask(&kid("another"), START + seconds(60)).unwrap_err();
    assert!(
        site.ask(late.kid(), START + seconds(61)).is_ok(),
        "found before it is looked for among the absent"
    );
}

#[test]
fn keys_are_due_at_the_soft_age_and_not_before() {
    let site = Site::new();
    assert_eq!(site.keys.due_at(), Some(seconds(0)), "before the first token comes");
    assert!(block_on(site.keys.refresh_due(START)).unwrap());
    assert_eq!(site.keys.due_at(), Some(START + seconds(3600)));
    assert!(!block_on(site.keys.refresh_due(START + seconds(3599))).unwrap());
    assert_eq!(site.counts(), (1, 1));
    assert!(block_on(site.keys.refresh_due(START + seconds(3600))).unwrap());
    assert_eq!(site.counts(), (2, 2), "discovery is read anew");
}

#[test]
fn http_shortens_the_soft_age_within_bounds() {
    for (control, age, soft) in [
        ("max-age=600", "0", 600),
        ("max-age=600", "200", 400),
        ("max-age=1", "0", 300),
        ("no-store", "0", 300),
        ("max-age=99999", "0", 3600),
        ("public", "0", 3600),
        ("max-age=18446744073709551615", "0", 3600),
        ("max-age=x", "0", 3600),
    ] {
        let site = Site::new();
        let response = jwks(&[&site.signer]).with_header("cache-control", control).with_header("age", age);
        site.faults.put(KEYS, response);
        site.ask(site.signer.kid(), START).unwrap();
        assert_eq!(site.keys.due_at(), Some(START + seconds(soft)), "{control}");
    }
}

#[test]
fn a_failed_refresh_is_tried_again_after_the_cool_down() {
    let site = Site::held();
    site.fault(KEYS, status(500));
    let at = START + seconds(3600);
    let failed = block_on(site.keys.refresh_due(at)).unwrap_err();
    assert_eq!(failed, RefreshError::Status { url: KEYS.to_owned(), status: 500 });
    assert_eq!(site.keys.failure(), Some(failed));
    assert_eq!(site.keys.due_at(), Some(at + seconds(30)));
    assert!(!block_on(site.keys.refresh_due(at + seconds(29))).unwrap());
    site.faults.mend();
    assert!(block_on(site.keys.refresh_due(at + seconds(30))).unwrap());
    assert_eq!((site.keys.failure(), site.keys.due_at()), (None, Some(at + seconds(3630))));
}

#[test]
fn the_last_good_keys_verify_until_the_hard_age_and_not_a_second_longer() {
    let site = Site::held();
    site.fault(KEYS, status(500));
    let day = seconds(24 * 3600);
    assert!(verifies(&site.ask(site.signer.kid(), START + day).unwrap(), &site.signer));
    let refused = site.ask(site.signer.kid(), START + day + seconds(1)).unwrap_err();
    assert_eq!(refused, KeysError::TooOld { age: day + seconds(1), limit: day });
    assert_eq!((refused.code(), refused.is_unavailable()), ("keys_too_old", true));
    // Nor do they for a token that names no key, nor for one of an unknown key.
    let later = START + day + seconds(2);
    assert_eq!(block_on(site.keys.for_kid(None, later)).unwrap_err().code(), "keys_too_old");
    assert_eq!(site.ask(&kid("unknown"), later).unwrap_err().code(), "keys_too_old");
    // And they come back by the first token after the issuer does.
    site.faults.mend();
    assert!(site.ask(site.signer.kid(), START + day + seconds(31)).is_ok());
}

#[test]
fn the_age_of_keys_counts_from_the_beginning_of_the_attempt() {
    let site = Site::held();
    assert_eq!(site.keys.held().unwrap().1, Some(START));
}

#[test]
fn an_unknown_key_while_the_issuer_is_away_is_not_told_to_be_unknown() {
    let site = Site::held();
    site.fault(KEYS, FetchFault::Fail(FetchError::Encoded));
    for second in [30, 31, 59] {
        let refused = site.ask(&kid("perhaps new"), START + seconds(second)).unwrap_err();
        assert_eq!((refused.code(), refused.is_unavailable()), ("keys_unavailable", true));
    }
    assert_eq!(site.counts().1, 2);
}

#[test]
fn without_any_keys_each_token_is_refused_as_unavailable() {
    let site = Site::new();
    site.fault(KEYS, status(503));
    for second in 0..30 {
        let refused = site.ask(site.signer.kid(), START + seconds(second)).unwrap_err();
        let source = RefreshError::Status { url: KEYS.to_owned(), status: 503 };
        assert_eq!(refused, KeysError::Unavailable { source });
    }
    assert_eq!(site.counts(), (1, 1));
    site.faults.mend();
    assert!(site.ask(site.signer.kid(), START + seconds(30)).is_ok());
}

#[test]
fn configured_keys_ask_nobody_and_do_not_age() {
    let signer = signer();
    let inline = serde_json::from_slice(jwks(&[&signer]).body()).unwrap();
    let site = Site::with(&anchor(Keys::Inline(inline)));
    let far = START + seconds(100 * 365 * 86_400);
    assert!(verifies(&site.ask(signer.kid(), far).unwrap(), &signer));
    assert_eq!(site.ask(&kid("unknown"), far).unwrap_err().code(), "unknown_key");
    assert_eq!((site.keys.due_at(), site.counts()), (None, (0, 0)));
    assert!(!block_on(site.keys.refresh_due(far)).unwrap());
}

#[test]
fn keys_at_a_configured_place_need_no_discovery() {
    let site = Site::with(&anchor(Keys::Url(KEYS.to_owned())));
    assert!(site.ask(site.signer.kid(), START).is_ok());
    assert_eq!(site.counts(), (0, 1));
}

#[test]
fn an_unknown_kind_of_key_costs_that_key_alone() {
    let site = Site::new();
    let good = site.signer.public_jwk();
    let more = [
        r#"{"kty":"AKP","alg":"ML-DSA-44","kid":"post-quantum","pub":"AA"}"#,
        r#"{"kty":"EC","crv":"secp256k1","kid":"bitcoin","x":"AA","y":"AA"}"#,
        r#"{"kty":"oct","kid":"secret","k":"AA"}"#,
        r#"{"kty":"RSA","kid":"weak","alg":"RS256","n":"AQAB","e":"AQAB"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","use":"enc","kid":"enc","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        "7",
    ];
    site.faults.put(KEYS, Response::new(200, format!(r#"{{"keys":[{},{good}]}}"#, more.join(","))));
    let keys = site.ask(site.signer.kid(), START).unwrap();
    assert_eq!((keys.keys().len(), keys.verdicts().len()), (1, 7));
    for name in ["post-quantum", "bitcoin", "secret", "weak", "enc"] {
        assert_eq!(site.ask(&kid(name), START).unwrap_err().code(), "unknown_key", "{name}");
    }
}

#[test]
fn a_set_with_two_keys_of_one_name_is_taken_without_them_where_nothing_is_lost() {
    let (site, twin, other) = (Site::new(), signer(), signer());
    let renamed = |signer: &cachegate_jwt::SigningKey| {
        signer.public_jwk().replace(&String::from_utf8_lossy(signer.kid().as_bytes()).into_owned(), "twin")
    };
    let set = format!(r#"{{"keys":[{},{},{}]}}"#, renamed(&twin), renamed(&other), site.signer.public_jwk());
    site.faults.put(KEYS, Response::new(200, set));
    assert!(site.ask(site.signer.kid(), START).is_ok());
    assert_eq!(site.ask(&kid("twin"), START).unwrap_err().code(), "unknown_key");
}
