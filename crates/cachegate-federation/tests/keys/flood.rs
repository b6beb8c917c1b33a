//! Floods of tokens that no key was ever made for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cachegate_federation::{AnchorKeys, Federation, Keys};
use cachegate_jwt::{Algorithm, UnverifiedJws};
use cachegate_testkit::block_on;
use cachegate_types::Timestamp;

use crate::site::{START, Site, anchor, kid, poll_once, seconds, signer};

#[test]
fn a_hundred_thousand_unknown_keys_in_a_minute_make_two_fetches() {
    const KIDS: u64 = 100_000;
    let site = Site::held();
    let (held, _) = site.keys.held().unwrap();
    // From the moment on when the cool-down of the first fetch is over.
    let begin = START + seconds(30);
    let before = site.counts();
    for number in 0..KIDS {
        let now = begin + Duration::from_micros(number * 60_000_000 / KIDS);
        let refused = site.ask(&kid(&format!("flood {number}")), now).unwrap_err();
        assert_eq!(refused.code(), "unknown_key");
        if number % 100 == 0 {
            let good = poll_once(site.keys.for_kid(Some(site.signer.kid()), now)).unwrap().unwrap();
            assert_eq!(good.keys().len(), held.keys().len());
        }
    }
    assert_eq!((site.counts().0 - before.0, site.counts().1 - before.1), (0, 2));
    // And a key that is new is found in its turn, in the midst of it.
    let next = signer();
    site.publish(&[&site.signer, &next]);
    assert!(site.ask(next.kid(), begin + seconds(60)).is_ok());
}

#[test]
fn a_thousand_unknown_issuers_make_no_fetch() {
    let site = Site::held();
    let federation = Federation::new([anchor(Keys::Discovery)]).unwrap();
    let asked = AtomicUsize::new(0);
    let before = site.faults.fetched().len();
    let stranger = signer();
    for number in 0..1000 {
        let claims = format!(r#"{{"iss":"https://unknown{number}.example","sub":"a","exp":1}}"#);
        let token = stranger.sign_claims("JWT", &claims).unwrap();
        let now = Timestamp::from_unix_seconds(1_700_000_000).unwrap();
        let refused = federation
            .verify(
                token.expose_secret(),
                |_| {
                    asked.fetch_add(1, Ordering::SeqCst);
                    let jws = UnverifiedJws::parse(token.expose_secret())?;
                    let kid = jws.unverified_header().kid.clone();
                    Ok(block_on(site.keys.for_kid(kid.as_ref(), START)).unwrap())
                },
                now,
            )
            .unwrap_err();
        assert_eq!(refused.code(), "unknown_issuer");
    }
    assert_eq!((asked.load(Ordering::SeqCst), site.faults.fetched().len()), (0, before));
}

/// One issuer's keys say nothing of another's, even where both use one name.
#[test]
fn a_key_of_one_anchor_is_no_key_of_another() {
    let (one, other) = (Site::held(), Site::held());
    assert!(one.ask(other.signer.kid(), START + seconds(30)).is_err());
    assert!(other.ask(other.signer.kid(), START + seconds(30)).is_ok());
    let _: Arc<AnchorKeys> = Arc::new(one.keys);
}

/// Good tokens beside 100,000 unknown keys a minute, twice that and more: their time hardly changes.
#[test]
#[ignore = "long: measures for ten seconds, on a machine with nothing else to do"]
fn good_tokens_are_as_quick_in_a_flood() {
    let site = Site::held();
    let token = site.signer.sign_claims("JWT", "{}").unwrap();
    let round = |flooded: bool| {
        let over = AtomicBool::new(false);
        let mut took = Vec::new();
        std::thread::scope(|scope| {
            if flooded {
                scope.spawn(|| {
                    for number in 0.. {
                        if over.load(Ordering::SeqCst) {
                            break;
                        }
                        let now = START + seconds(30) + Duration::from_micros(number * 250);
                        assert!(site.ask(&kid(&format!("flood {number}")), now).is_err());
                        std::thread::sleep(Duration::from_micros(200));
                    }
                });
            }
            let until = Instant::now() + seconds(1);
            while Instant::now() < until {
                let begun = Instant::now();
                let jws = UnverifiedJws::parse(token.expose_secret()).unwrap();
                let keys = site.keys.held_for_kid(jws.unverified_header().kid.as_ref(), START + seconds(31));
                assert!(jws.verify(&keys.unwrap().unwrap(), &[Algorithm::EdDsa]).is_ok());
                took.push(begun.elapsed());
            }
            over.store(true, Ordering::SeqCst);
        });
        took.sort_unstable();
        took.get(took.len() * 99 / 100).copied().unwrap()
    };
    let rounds: Vec<_> = (0..5).map(|_| (round(false), round(true))).collect();
    let (quiet, flooded) = (
        rounds.iter().map(|round| round.0).min().unwrap(),
        rounds.iter().map(|round| round.1).min().unwrap(),
    );
    println!("p99 of a good token: {quiet:?} alone, {flooded:?} in a flood");
    assert!(flooded <= quiet * 2, "{rounds:?}");
}
