//! An issuer whose endpoint fails, in twelve ways: good tokens are served on, and nothing bad gets in.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use cachegate_federation::KeyTimes;
use cachegate_fetch::{FetchError, Response};
use cachegate_testkit::{FetchFault, block_on};

use crate::site::{
    DISCOVERY, ISSUER, KEYS, START, Site, document, jwks, kid, poll_once, seconds, signer, status, timed_out,
    verifies,
};

/// What happens at which document, and the code that the operator reads.
type Fault = (&'static str, &'static str, fn(&Site) -> FetchFault, &'static str);

const GOOD_TOKENS_PER_SECOND: u64 = 500;

fn faults() -> [Fault; 12] {
    [
        ("down", KEYS, |_| down(), "fetch_not_connected"),
        ("status 500", KEYS, |_| status(500), "keys_status"),
        ("slow", KEYS, |_| FetchFault::Hold, "fetch_timed_out"),
        ("drip", DISCOVERY, |_| FetchFault::Hold, "fetch_timed_out"),
        ("HTML", KEYS, |_| answer("<!doctype html><title>Sign in</title>"), "key_set_malformed"),
        ("truncated", KEYS, |_| FetchFault::Truncate, "key_set_malformed"),
        ("empty set", KEYS, |_| answer(r#"{"keys":[]}"#), "no_usable_key"),
        // Of a fetch that breaks its contract; the client refuses it itself.
        (
            "10 MB",
            KEYS,
            |_| FetchFault::Answer(Response::new(200, vec![b' '; 10 << 20])),
            "key_set_too_large",
        ),
        ("gzip bomb", KEYS, |_| FetchFault::Fail(FetchError::Encoded), "fetch_encoded"),
        ("redirect", KEYS, |_| status(302), "keys_status"),
        (
            "wrong issuer",
            DISCOVERY,
            |_| FetchFault::Answer(document("https://evil.example", KEYS)),
            "discovery_issuer_mismatch",
        ),
        ("duplicate kid", KEYS, duplicate, "ambiguous_key"),
    ]
}

fn down() -> FetchFault {
    FetchFault::Fail(FetchError::NotConnected { host: "issuer.example".to_owned(), detail: String::new() })
}

fn answer(body: &str) -> FetchFault {
    FetchFault::Answer(Response::new(200, body))
}

/// The good key, a stranger's key under the same name, and a key that nobody knows.
fn duplicate(site: &Site) -> FetchFault {
    let (stranger, other) = (signer(), signer());
    let name =
        |signer: &cachegate_jwt::SigningKey| String::from_utf8_lossy(signer.kid().as_bytes()).into_owned();
    let twin = stranger.public_jwk().replace(&name(&stranger), &name(&site.signer));
    answer(&format!(r#"{{"keys":[{},{twin},{}]}}"#, site.signer.public_jwk(), other.public_jwk()))
}

/// A minute from the soft age on, with unknown keys all the while.
#[test]
fn good_tokens_are_served_through_each_of_twelve_faults() {
    for (name, url, fault, code) in faults() {
        let site = Site::held();
        let (held, _) = site.keys.held().unwrap();
        let before = site.counts();
        site.fault(url, fault(&site));
        let (mut served, mut waiting) = (0, Vec::new());
        let mut context = Context::from_waker(Waker::noop());
        let soft = START + seconds(3600);
        for tick in 0..60 * GOOD_TOKENS_PER_SECOND {
            let now = soft + Duration::from_millis(tick * 1000 / GOOD_TOKENS_PER_SECOND);
            if tick % GOOD_TOKENS_PER_SECOND == 0 {
                // The background, and a stranger's token, each second.
                let keys = &site.keys;
                let stranger = kid(&format!("stranger {tick}"));
                let mut both: std::pin::Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move {
                    let _ = keys.refresh_due(now).await;
                    assert!(keys.for_kid(Some(&stranger), now).await.is_err());
                });
                if both.as_mut().poll(&mut context).is_pending() {
                    waiting.push(both);
                }
                // A client that keeps its limits gives up after five seconds.
                if matches!(fault(&site), FetchFault::Hold) && tick / GOOD_TOKENS_PER_SECOND % 30 == 5 {
                    site.fault(url, timed_out());
                    site.faults.release();
                    waiting.retain_mut(|waiting| waiting.as_mut().poll(&mut context).is_pending());
                    assert!(waiting.is_empty(), "{name}");
                    site.fault(url, FetchFault::Hold);
                }
            }
            // Never waits, and is never of another set than that which was good.
            let keys = poll_once(site.keys.for_kid(Some(site.signer.kid()), now)).expect(name).expect(name);
            assert!(Arc::ptr_eq(&keys, &held), "{name}: another set was taken");
            if tick % 100 == 0 {
                assert!(verifies(&keys, &site.signer), "{name}");
            }
            served += 1;
        }
        assert_eq!(served, 60 * GOOD_TOKENS_PER_SECOND, "{name}");
        // Two cool-downs: each document is asked for twice at most, and the one that fails exactly twice.
        let (documents, keys) = (site.counts().0 - before.0, site.counts().1 - before.1);
        assert!(documents <= 2 && keys <= 2, "{name}: {documents} and {keys} fetches");
        assert_eq!(if url == KEYS { keys } else { documents }, 2, "{name}");
        assert_eq!(site.keys.failure().expect(name).code(), code, "{name}");
        // It is over, and the next attempt brings what is new.
        let next = signer();
        site.faults.mend();
        site.publish(&[&next]);
        assert!(block_on(site.keys.refresh_due(soft + seconds(60))).expect(name), "{name}");
        assert!(site.ask(next.kid(), soft + seconds(60)).is_ok(), "{name}");
        assert!(site.keys.failure().is_none(), "{name}");
    }
}

/// A whole day, until the keys that were good are too old.
#[test]
fn the_keys_that_were_good_are_refused_after_a_day_of_each_fault() {
    for (name, url, fault, _) in faults() {
        let site = Site::held();
        let fault = match fault(&site) {
            FetchFault::Hold => timed_out(),
            fault => fault,
        };
        site.fault(url, fault);
        let mut attempts = 0;
        for second in (0..=86_400).step_by(600) {
            let now = START + seconds(second);
            attempts += usize::from(block_on(site.keys.refresh_due(now)).is_err());
            assert!(site.ask(site.signer.kid(), now).is_ok(), "{name} after {second} s");
        }
        assert_eq!(attempts, (86_400 - 3600) / 600 + 1, "{name}");
        let refused = site.ask(site.signer.kid(), START + seconds(86_401)).expect_err(name);
        assert_eq!(refused.code(), "keys_too_old", "{name}");
    }
}

/// Nothing was ever good: the endpoint fails from the beginning.
#[test]
fn no_token_is_served_where_the_keys_were_never_good() {
    for (name, url, fault, code) in faults() {
        // A set with an ambiguous key loses that key alone where none was held.
        let (expected, code) = match code {
            "ambiguous_key" => ("unknown_key", None),
            code => ("keys_unavailable", Some(code)),
        };
        let site = Site::new();
        let fault = match fault(&site) {
            FetchFault::Hold => timed_out(),
            fault => fault,
        };
        site.fault(url, fault);
        assert_eq!(site.ask(site.signer.kid(), START).expect_err(name).code(), expected, "{name}");
        assert_eq!(site.keys.failure().map(|failure| failure.code()), code, "{name}");
    }
}

#[test]
fn sets_that_are_too_large_or_not_clean_are_refused_whole() {
    let key = |number: usize| {
        let signer = signer();
        let name = String::from_utf8_lossy(signer.kid().as_bytes()).into_owned();
        signer.public_jwk().replace(&name, &number.to_string())
    };
    let many = |count| format!(r#"{{"keys":[{}]}}"#, (0..count).map(key).collect::<Vec<_>>().join(","));
    assert!(site_with(&many(64)).ask(&kid("63"), START).is_ok());
    for (text, code) in [
        (many(65), "key_set_too_large"),
        (format!(r#"{{"keys":[{}]}}"#, "{},".repeat(10_000)), "key_set_malformed"),
        (format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), "key_set_malformed"),
        (format!(r#"{{"keys":[],"keys":[{}]}}"#, key(1)), "duplicate_member"),
        (format!(r#"{{"keys":{}}}"#, key(1)), "key_set_without_keys"),
        (format!(r#"{{"keys":[{}]}}"#, key(1).replace("EdDSA", "HS256")), "no_usable_key"),
        (format!(r#"{{"keys":[{}]}}{}"#, key(1), " ".repeat(256 * 1024)), "key_set_too_large"),
    ] {
        let site = site_with(&text);
        assert_eq!(site.ask(&kid("1"), START).unwrap_err().code(), "keys_unavailable", "{code}");
        assert_eq!(site.keys.failure().unwrap().code(), code);
    }
}

fn site_with(keys: &str) -> Site {
    let site = Site::new().with_times(KeyTimes::default());
    site.faults.put(DISCOVERY, document(ISSUER, KEYS));
    site.faults.put(KEYS, Response::new(200, keys));
    site
}

#[test]
fn a_set_that_loses_nothing_by_two_keys_of_one_name_is_taken() {
    let site = Site::held();
    let next = signer();
    let twins = [signer(), signer()].map(|twin| {
        let name = String::from_utf8_lossy(twin.kid().as_bytes()).into_owned();
        twin.public_jwk().replace(&name, "twin")
    });
    site.faults
        .put(KEYS, Response::new(200, format!(r#"{{"keys":[{},{}]}}"#, twins.join(","), next.public_jwk())));
    assert!(site.ask(next.kid(), START + seconds(30)).is_ok());
    assert_eq!(jwks(&[&next]).status(), 200);
}
