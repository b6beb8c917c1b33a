//! Signing keys that change while tokens are made and checked.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use cachegate::{Authority, Credential, PUBLISH_BEFORE_USE, PersonalForm, Request, TokenSpec};
use cachegate_storage::TokenForm;
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{Action, ActionSet, Description, EntryKey, Resource};

use crate::Numbers;

const OPERATOR: Authority<'_> = Authority::Operator;
const WORKERS: u64 = 4;
const DAY: u32 = 86_400;

struct Made {
    credential: Credential<'static>,
    key: String,
    ends: u32,
}

/// Says that the work is over when its holder is.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Rotates `rotations` times under load; every third key is revoked while its tokens are in use.
fn rotate_under_load(rotations: usize) {
    let scene = block_on(Scene::new());
    // Held while a token is made: nobody takes a day over one, and the clock leaps by more.
    let second = RwLock::new(NOW);
    let now = || *second.read().expect("a lock");
    let (done, checks, refusals) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    // Keys whose revocation has begun, and those whose revocation was acknowledged.
    let (begun, retired) = (Mutex::new(BTreeSet::new()), Mutex::new(BTreeSet::new()));
    let is_in = |set: &Mutex<BTreeSet<String>>, key: &str| set.lock().expect("a lock").contains(key);
    let resource = Resource::entry(scene.workspace, EntryKey::new(b"k").expect("a key"));
    let made = Mutex::new(Vec::<Arc<Made>>::new());
    let issue = || {
        let spec =
            TokenSpec::Personal { owner: scene.owner, actions: ActionSet::ALL, form: PersonalForm::Jwt };
        let life = Some(Duration::from_secs(u64::from(30 * DAY)));
        let second = second.read().expect("a lock");
        let issued =
            block_on(scene.gate.issue(&OPERATOR, &spec, Description::default(), life, (*second).into()));
        drop(second);
        let issued = issued.expect("there is always a key that signs");
        let TokenForm::Jwt { key } = &issued.record.form else { panic!("a JWT") };
        let credential = Credential::parse(issued.token.expose_secret(), scene.gate.brand()).expect("one");
        let ends = issued.record.expires_at.expect("an end").as_unix_seconds();
        Arc::new(Made {
            credential: credential.into_owned(),
            key: key.to_string(),
            ends: u32::try_from(ends).expect("a second"),
        })
    };
    let check = |token: &Made| {
        let dead = is_in(&retired, &token.key);
        let at = now();
        let request = Request::new(Action::Read, &resource);
        let code = block_on(scene.gate.check(Some(&token.credential), &request, at.into())).code();
        let dying = is_in(&begun, &token.key);
        checks.fetch_add(1, Ordering::Relaxed);
        match code {
            "allowed" => assert!(!dead && at < token.ends, "accepted after its key's retirement"),
            "revoked" => assert!(dying, "a good token was refused"),
            "expired" => assert!(at >= token.ends, "refused before its time"),
            other => panic!("{other}"),
        }
        refusals.fetch_add(usize::from(code != "allowed"), Ordering::Relaxed);
    };
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (done, made, issue, check) = (&done, &made, &issue, &check);
            scope.spawn(move || {
                // A worker that fails ends the others too.
                let _ended = Ended(done);
                let mut numbers = Numbers(worker);
                while !done.load(Ordering::SeqCst) {
                    let token = issue();
                    check(&token);
                    let some: Vec<_> = {
                        let mut made = made.lock().expect("a lock");
                        made.push(token);
                        (0..8).map(|_| Arc::clone(numbers.one(&made))).collect()
                    };
                    some.iter().for_each(|token| check(token));
                }
            });
        }
        for rotation in 0..rotations {
            block_on(scene.gate.rotate_signing_key(&OPERATOR, now().into())).expect("rotated");
            // Past the time for which the new key is only published.
            let step = u32::try_from(PUBLISH_BEFORE_USE.as_secs()).expect("seconds") + DAY;
            *second.write().expect("a lock") += step;
            if rotation % 3 == 2 {
                let keys = block_on(scene.storage.keys()).expect("keys");
                let old = keys
                    .iter()
                    .find(|key| key.public.is_some() && key.signs_until.is_some() && key.revoked.is_none());
                let old = old.expect("a retired key").id.to_string();
                begun.lock().expect("a lock").insert(old.clone());
                let why = Description::default();
                block_on(scene.gate.revoke_key(&OPERATOR, &old, why, now().into())).expect("revoked");
                retired.lock().expect("a lock").insert(old);
            }
            let before = checks.load(Ordering::Relaxed);
            while checks.load(Ordering::Relaxed) < before + 100 && !done.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        }
        done.store(true, Ordering::SeqCst);
    });
    let made = made.into_inner().expect("a lock");
    let keys: BTreeSet<_> = made.iter().map(|token| token.key.as_str()).collect();
    println!(
        "{rotations} rotations, {} keys signed {} tokens, {} checks, {} of them refused for a reason",
        keys.len(),
        made.len(),
        checks.load(Ordering::Relaxed),
        refusals.load(Ordering::Relaxed),
    );
    assert!(keys.len() > rotations / 2, "the keys that were made were used");
    assert!(refusals.load(Ordering::Relaxed) > 0, "some tokens were refused");
    // After the end of the longest life nothing that any of them signed is accepted.
    *second.write().expect("a lock") += 31 * DAY;
    for token in &made {
        check(token);
    }
}

#[test]
fn a_signing_key_rotates_under_load_and_no_good_token_is_refused() {
    rotate_under_load(12);
}

#[test]
#[ignore = "long: two hundred rotations under load"]
fn two_hundred_rotations_under_load_refuse_no_good_token() {
    rotate_under_load(200);
}
