//! Keys over real HTTP, from an issuer on the loopback whose endpoint fails in twelve ways, while good tokens come.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cachegate_federation::{AnchorBuilder, AnchorKeys, KeyTimes, Platform};
use cachegate_fetch::Client;
use cachegate_jwt::{Algorithm, KeyId, KeySet, SigningKey, UnverifiedJws, VerifyingKey, to_jwks};

const FAULTS: [&str; 12] = [
    "down",
    "status 500",
    "slow",
    "drip",
    "HTML",
    "truncated",
    "empty set",
    "10 MB",
    "gzip bomb",
    "redirect",
    "wrong issuer",
    "duplicate kid",
];

/// An issuer on the loopback, each connection on a thread of its own.
struct Issuer {
    url: String,
    signer: SigningKey,
    fault: Mutex<&'static str>,
    /// Requests for each document since the fault began.
    documents: AtomicUsize,
    key_sets: AtomicUsize,
    elsewhere: AtomicUsize,
}

impl Issuer {
    fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            signer: SigningKey::generate(Algorithm::EdDsa).unwrap(),
            fault: Mutex::new(""),
            documents: AtomicUsize::new(0),
            key_sets: AtomicUsize::new(0),
            elsewhere: AtomicUsize::new(0),
        });
        let serving = Arc::clone(&issuer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let serving = Arc::clone(&serving);
                std::thread::spawn(move || serving.serve(stream.unwrap()));
            }
        });
        issuer
    }

    fn begin(&self, fault: &'static str) {
        *self.fault.lock().unwrap() = fault;
        self.documents.store(0, Ordering::SeqCst);
        self.key_sets.store(0, Ordering::SeqCst);
    }

    fn attempts(&self) -> usize {
        self.documents.load(Ordering::SeqCst).max(self.key_sets.load(Ordering::SeqCst))
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
            head.extend(byte);
        }
        let fault = *self.fault.lock().unwrap();
        let (body, count, is_document) = if head.starts_with(b"GET /.well-known/openid-configuration ") {
            let issuer = if fault == "wrong issuer" { "https://evil.example" } else { &self.url };
            let body = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{}/keys"}}"#, self.url);
            (body, &self.documents, true)
        } else if head.starts_with(b"GET /keys ") {
            (to_jwks([self.signer.verifying_key()]), &self.key_sets, false)
        } else {
            (String::new(), &self.elsewhere, false)
        };
        count.fetch_add(1, Ordering::SeqCst);
        let whole = |status: &str, more: &str, body: &str| {
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{more}\r\n{body}", body.len())
        };
        let flood = |stream: &mut TcpStream, head: &str| {
            let _ = stream.write_all(head.as_bytes());
            for _ in 0..160 {
                if stream.write_all(&[b' '; 64 * 1024]).is_err() {
                    break;
                }
            }
        };
        let text = match fault {
            "down" => return,
            "status 500" => whole("500 Internal Server Error", "", &body),
            "slow" => {
                std::thread::sleep(Duration::from_secs(30));
                whole("200 OK", "", &body)
            }
            "drip" => {
                for byte in whole("200 OK", "", &body).bytes() {
                    std::thread::sleep(Duration::from_millis(100));
                    if stream.write_all(&[byte]).is_err() {
                        break;
                    }
                }
                return;
            }
            "HTML" => whole("200 OK", "Content-Type: text/html\r\n", "<!doctype html><title>Sign in</title>"),
            "truncated" => {
                let text = whole("200 OK", "", &body);
                text.get(..text.len() - 10).unwrap().to_owned()
            }
            "empty set" if !is_document => whole("200 OK", "", r#"{"keys":[]}"#),
            "10 MB" => return flood(&mut stream, "HTTP/1.1 200 OK\r\n\r\n"),
            "gzip bomb" => {
                return flood(&mut stream, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f");
            }
            "redirect" => whole("302 Found", &format!("Location: {}/elsewhere\r\n", self.url), ""),
            "duplicate kid" if !is_document => {
                let key = self.signer.public_jwk();
                let other = SigningKey::generate(Algorithm::EdDsa).unwrap();
                whole("200 OK", "", &format!(r#"{{"keys":[{key},{key},{}]}}"#, other.public_jwk()))
            }
            _ => whole("200 OK", "", &body),
        };
        let _ = stream.write_all(text.as_bytes());
    }
}

struct Seen {
    fault: &'static str,
    served: u32,
    refused: u32,
    attempts: usize,
    /// From before the first request under the fault to after the last.
    lasted: Duration,
    /// Of each good token, sorted.
    took: Vec<Duration>,
}

/// Good tokens at 500 a second for `span`, a stranger's twenty times in it, and the background, while the fault lasts.
fn endure(fault: &'static str, times: KeyTimes, span: Duration) -> Seen {
    let issuer = Issuer::start();
    let anchor = AnchorBuilder::new(
        "ci".parse().unwrap(),
        Platform::GitlabCi,
        issuer.url.as_str(),
        ["https://cache.example"],
    )
    .build()
    .unwrap();
    let client = Client::builder()
        .with_root_certificates(include_bytes!("keys_http_root.pem"))
        .unwrap()
        .dangerous_allow_loopback_http()
        .build()
        .unwrap();
    let keys = AnchorKeys::new(&anchor, Arc::new(client)).unwrap().with_times(times);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let begun = Instant::now();
    // On a machine with much to do the first load may be too late for its limit.
    let loads = (0..120).find(|_| {
        let loaded = runtime().block_on(keys.for_kid(Some(issuer.signer.kid()), begun.elapsed()));
        if loaded.is_err() {
            std::thread::sleep(times.cool_down);
        }
        loaded.is_ok()
    });
    assert!(loads.is_some(), "{fault}: the keys cannot be had at all");
    // A set that was fetched anew is another, of the same one key.
    let own = issuer.signer.verifying_key().thumbprint();
    let is_good = |held: &KeySet| held.keys().iter().map(VerifyingKey::thumbprint).eq([own]);

    let began = Instant::now();
    issuer.begin(fault);
    let over = AtomicBool::new(false);
    let token = issuer.signer.sign_claims("JWT", "{}").unwrap();
    let mut seen = Seen { fault, served: 0, refused: 0, attempts: 0, lasted: span, took: Vec::new() };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            runtime().block_on(async {
                for number in 0.. {
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    let stranger = KeyId::new(format!("stranger {number}").as_bytes()).unwrap();
                    let _ = keys.refresh_due(begun.elapsed()).await;
                    assert!(keys.for_kid(Some(&stranger), begun.elapsed()).await.is_err());
                    tokio::time::sleep(span / 20).await;
                }
            });
        });
        let until = Instant::now() + span;
        while Instant::now() < until || (issuer.attempts() == 0 && began.elapsed() < span * 60) {
            let start = Instant::now();
            let jws = UnverifiedJws::parse(token.expose_secret()).unwrap();
            let kid = jws.unverified_header().kid.as_ref();
            let held = keys.held_for_kid(kid, begun.elapsed());
            let served = held.is_some_and(|held| {
                held.is_ok_and(|held| is_good(&held) && jws.verify(&held, &[Algorithm::EdDsa]).is_ok())
            });
            seen.took.push(start.elapsed());
            *(if served { &mut seen.served } else { &mut seen.refused }) += 1;
            std::thread::sleep(Duration::from_millis(2).saturating_sub(start.elapsed()));
        }
        over.store(true, Ordering::SeqCst);
    });
    seen.took.sort_unstable();
    assert_eq!(issuer.elsewhere.load(Ordering::SeqCst), 0, "{fault}: a redirect was followed");
    (seen.attempts, seen.lasted) = (issuer.attempts(), began.elapsed());
    seen
}

/// All twelve at once, each with an issuer of its own.
fn endure_all(times: KeyTimes, span: Duration) -> Vec<Seen> {
    std::thread::scope(|scope| {
        let all: Vec<_> =
            FAULTS.map(|fault| scope.spawn(move || endure(fault, times, span))).into_iter().collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

fn judge(all: &[Seen], times: KeyTimes) {
    for seen in all {
        let cool_downs = seen.lasted.as_nanos().div_ceil(times.cool_down.as_nanos());
        let (fault, refused, attempts) = (seen.fault, seen.refused, seen.attempts);
        assert!(seen.served > 0 && refused == 0, "{fault}: {refused} good tokens refused");
        // Of the first load one cool-down may be left: the first attempt after it may come at once.
        assert!(
            (1..=cool_downs + 1).contains(&(attempts as u128)),
            "{fault}: {attempts} in {cool_downs} cool-downs"
        );
    }
}

#[test]
fn good_tokens_are_served_through_twelve_faults_of_a_real_endpoint() {
    let mut times = KeyTimes::default();
    times.cool_down = Duration::from_millis(250);
    times.soft_age = Duration::from_millis(250);
    times.fetch = Duration::from_millis(120);
    let span = Duration::from_millis(1000);
    judge(&endure_all(times, span), times);
}

#[test]
#[ignore = "long: a minute"]
fn good_tokens_are_served_for_a_minute_of_each_fault_at_full_times() {
    let mut times = KeyTimes::default();
    let span = Duration::from_secs(60);
    // Threads and buffers are there before memory is looked at.
    times.cool_down = Duration::from_millis(250);
    endure_all(times, Duration::from_secs(1));
    let before = resident();
    times.cool_down = KeyTimes::default().cool_down;
    let all = endure_all(times, span);
    let grown = resident().saturating_sub(before);
    for seen in &all {
        let at =
            |permille: usize| seen.took.get(seen.took.len() * permille / 1001).copied().unwrap_or_default();
        println!(
            "{:14} {} served, {} refused, {} attempts, p50 {:?}, p99 {:?}, max {:?}",
            seen.fault,
            seen.served,
            seen.refused,
            seen.attempts,
            at(500),
            at(990),
            at(1000)
        );
        // One in a thousand may have lost its processor to another for so long.
        assert!(at(999) < Duration::from_millis(50), "{}: {:?}", seen.fault, at(999));
    }
    println!("grown by {} KiB", grown / 1024);
    judge(&all, times);
    // Of twelve issuers and their servers together.
    assert!(grown < 32 << 20, "{grown} bytes");
}

/// The memory of this process, in bytes; 0 where the system does not tell.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * 4096
}
