//! Nix's protocol, request by request: what no Nix at hand can be made to send, and what each status has to be.

#![expect(clippy::expect_used, reason = "tests")]

#[path = "support/host.rs"]
#[expect(dead_code, reason = "the store's faults are another test's")]
mod host;
#[path = "support/http.rs"]
mod http;
#[path = "support/machines.rs"]
mod machines;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use cache_server::now;
use cachegate::{Authority, DeviceAccess};
use cachegate_policy::WorkspaceSettings;
use cachegate_types::{AccessLevel, Description};
use host::Host;
use http::{Answer, get, head, put, send};

const INFO: &str = "/acme/app/nix/nix-cache-info";
const NARINFO: &str = "/acme/app/nix/6h16lcyhnnw252s3qv43rgxbwglzif48.narinfo";
const NAR: &str = "/acme/app/nix/nar/0a1b2c3d.nar.xz";

/// A request with this in its `Authorization`.
fn with(host: &Host, method: &str, path: &str, authorization: &str) -> Answer {
    let headers = if authorization.is_empty() { Vec::new() } else { vec![("authorization", authorization)] };
    match method {
        "PUT" => put(host.address, path, &headers, b"body"),
        _ => send(host.address, &head(method, path, &headers, None), &[]),
    }
}

fn basic(login: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{login}:{password}").as_bytes()))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let index = bits >> (18 - 6 * place) & 63;
            let letter = char::from(*LETTERS.get(index as usize).expect("a letter"));
            text.push(if place <= chunk.len() { letter } else { '=' });
        }
    }
    text
}

#[test]
fn the_info_is_served_without_being_stored_and_written_by_nobody() {
    let host = Host::new();
    for level in [AccessLevel::ReadOnly, AccessLevel::ReadWrite] {
        let token = format!("Bearer {}", host.token(level, "pull/1"));
        let answer = with(&host, "GET", INFO, &token);
        assert_eq!(answer.status, 200);
        assert!(answer.text().starts_with("StoreDir: /nix/store\n"), "{}", answer.text());
        assert!(answer.has_header("content-type: text/x-nix-cache-info"), "{}", answer.head);
        assert_eq!(with(&host, "HEAD", INFO, &token).status, 200);
    }
    let writer = format!("Bearer {}", host.token(AccessLevel::ReadWrite, "main"));
    assert_eq!(with(&host, "PUT", INFO, &writer).status, 200, "nothing is changed");
    assert!(with(&host, "GET", INFO, &writer).text().starts_with("StoreDir"));
    let reader = format!("Bearer {}", host.token(AccessLevel::ReadOnly, "main"));
    assert_eq!(with(&host, "PUT", INFO, &reader).status, 403);
}

#[test]
fn every_bad_credential_is_refused_at_the_info_with_its_reason_and_a_challenge() {
    let host = Host::new();
    // A cache that all may read: a bad token is refused there too, and never becomes anonymous.
    let anonymous = AccessLevel::ReadOnly;
    host.settings(&WorkspaceSettings { anonymous, ..WorkspaceSettings::default() });
    assert_eq!(with(&host, "GET", INFO, "").status, 200, "the control");
    let expired = host.token_for(AccessLevel::ReadWrite, "main", Some(Duration::ZERO));
    let stranger = Host::new().token(AccessLevel::ReadWrite, "main");
    let good = host.token(AccessLevel::ReadWrite, "main");
    let id = host.runtime.block_on(async {
        let credential = cachegate::Credential::parse(&good, host.server.gate().brand()).expect("a token");
        let who = host.server.gate().authenticate(Some(&credential), now()).await.expect("believed");
        who.token_id().expect("an id")
    });
    let reason = Description::default();
    host.runtime
        .block_on(host.server.gate().revoke(&Authority::Operator, id, reason, now()))
        .expect("revoked");
    let bad = [
        (basic("cachegate", &expired), "[expired]"),
        (basic("cachegate", &good), "[revoked]"),
        (format!("Bearer {good}"), "[revoked]"),
        (basic("cachegate", &stranger), "[unknown_token]"),
        (basic("cachegate", "swordfish"), "malformed"),
        (basic("cachegate", &format!("{stranger}:")), "malformed"),
        ("Basic !!!".to_owned(), "malformed"),
        ("Digest x".to_owned(), "malformed"),
    ];
    for (authorization, reason) in &bad {
        for path in [INFO, NARINFO, NAR] {
            for method in ["GET", "HEAD", "PUT"] {
                let answer = with(&host, method, path, authorization);
                assert_eq!(answer.status, 401, "{method} {path} {reason}");
                assert!(answer.has_header("www-authenticate: Basic realm=\"cachegate\""), "{}", answer.head);
                let text = answer.text();
                assert!(method == "HEAD" || text.contains(reason), "{reason}: {text}");
                assert!(!text.contains(&good) && !text.contains("swordfish"), "{text}");
            }
        }
    }
}

#[test]
fn the_token_is_the_password_whatever_the_login_and_however_the_scheme_is_spelt() {
    let host = Host::new();
    let token = host.token(AccessLevel::ReadOnly, "main");
    for right in [
        format!("Bearer {token}"),
        format!("bearer {token}"),
        basic("cachegate", &token),
        basic("somebody else", &token),
        basic("", &token),
        basic("cachegate", &token).replacen("Basic", "basic", 1),
    ] {
        assert_eq!(with(&host, "GET", INFO, &right).status, 200, "{right}");
    }
    // Nothing behind the scheme, or an empty password, is no credential; it matches nothing.
    for none in ["Bearer ".to_owned(), basic("cachegate", "")] {
        assert_eq!(with(&host, "GET", INFO, &none).status, 401, "{none}");
    }
}

#[test]
fn a_good_token_that_may_not_is_told_so_where_nix_shows_it_and_not_there_where_nix_keeps_it() {
    let host = Host::new();
    let workspace = host.server.default_workspace();
    let access = DeviceAccess::ResolveOnly {
        workspace,
        requirement: "1".parse().expect("a requirement"),
        reads_closures: false,
    };
    let device = format!("Bearer {}", host.device(access));
    let writer = format!("Bearer {}", host.token(AccessLevel::ReadWrite, "main"));
    for path in [NARINFO, NAR] {
        assert_eq!(with(&host, "PUT", path, &writer).status, 201);
    }
    for method in ["GET", "HEAD"] {
        assert_eq!(with(&host, method, INFO, &device).status, 200, "there is a cache for it here");
        assert_eq!(with(&host, method, NARINFO, &device).status, 404);
        assert_eq!(with(&host, method, NAR, &device).status, 403);
    }
    assert_eq!(with(&host, "PUT", NAR, &device).status, 403);
    // Elsewhere it is a stranger, and so is any other token.
    for other in ["beta/app", "acme/none"] {
        let path = format!("/{other}/nix/nix-cache-info");
        for token in [&device, &writer] {
            let answer = with(&host, "GET", &path, token);
            assert_eq!(answer.status, 403, "not 404, after which Nix would make a cache there");
            assert!(answer.text().contains("resolve"), "{}", answer.text());
        }
    }
}

#[test]
fn each_thing_has_its_type_whatever_the_client_said() {
    let host = Host::new();
    let token = format!("Bearer {}", host.token(AccessLevel::ReadWrite, "main"));
    for (path, media_type) in [
        (NARINFO, "text/x-nix-narinfo"),
        (NAR, "application/x-nix-nar"),
        ("/acme/app/nix/6h16lcyhnnw252s3qv43rgxbwglzif48.ls", "application/json"),
        ("/acme/app/nix/log/abc-pkg.drv", "text/plain; charset=utf-8"),
        ("/acme/app/nix/realisations/sha256:ab!out.doi", "application/json"),
        ("/acme/app/nix/debuginfo/ab", "application/json"),
    ] {
        let headers = [("authorization", &*token), ("content-type", "text/html")];
        assert_eq!(put(host.address, path, &headers, b"body").status, 201, "{path}");
        let answer = with(&host, "GET", path, &token);
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"body"[..]), "{path}");
        assert!(answer.has_header(&format!("content-type: {media_type}")), "{}", answer.head);
    }
    for path in ["/acme/app/nix/index.html", "/acme/app/nix/a/b", "/acme/app/nix/nar"] {
        let answer = with(&host, "PUT", path, &token);
        assert_eq!(answer.status, 400, "{path}");
        assert_eq!(with(&host, "GET", path, &token).status, 404, "{path}");
    }
}

#[test]
fn a_listing_comes_back_encoded_as_it_came() {
    let host = Host::new();
    let token = format!("Bearer {}", host.token(AccessLevel::ReadWrite, "main"));
    for (path, kept) in
        [("/acme/app/nix/6h16lcyhnnw252s3qv43rgxbwglzif48.ls", true), ("/acme/app/nix/nar/1.nar", false)]
    {
        let headers = [("authorization", &*token), ("content-encoding", "br")];
        assert_eq!(put(host.address, path, &headers, b"body").status, 201, "{path}");
        let answer = get(host.address, path, &[("authorization", &token)]);
        assert_eq!(answer.has_header("content-encoding: br"), kept, "{path}");
    }
}

#[test]
fn a_download_that_was_cut_off_goes_on_where_it_ended() {
    let host = Host::new();
    let token = format!("Bearer {}", host.token(AccessLevel::ReadWrite, "main"));
    let body: Vec<u8> = (0..=255).collect();
    assert_eq!(put(host.address, NAR, &[("authorization", &token)], &body).status, 201);
    let ask = |range: &str| get(host.address, NAR, &[("authorization", &*token), ("range", range)]);
    for (range, from, to) in [
        ("bytes=0-", 0, 255),
        ("bytes=100-", 100, 255),
        ("bytes=255-", 255, 255),
        ("bytes=3-9", 3, 9),
        ("bytes=9-9", 9, 9),
        ("bytes=250-999", 250, 255),
    ] {
        let answer = ask(range);
        assert_eq!((answer.status, &*answer.body), (206, &body[from..=to]), "{range}");
        assert!(answer.has_header(&format!("content-range: bytes {from}-{to}/256")), "{}", answer.head);
        assert!(answer.has_header(&format!("content-length: {}", to - from + 1)), "{}", answer.head);
    }
    let ignored = ["bytes=256-", "bytes=9-3", "bytes=-5", "bytes=1-2,4-5", "bytes=", "bytes=-", "items=1-2"];
    for range in ignored.into_iter().chain(["bytes=18446744073709551615-", "bytes=18446744073709551616-", ""])
    {
        let answer = ask(range);
        assert_eq!((answer.status, &answer.body), (200, &body), "{range}");
        assert!(answer.has_header("accept-ranges: bytes"), "{}", answer.head);
    }
    // Whoever may not read all of it may not read a part.
    assert_eq!(get(host.address, NAR, &[("range", "bytes=0-")]).status, 401);
}

#[test]
fn a_body_is_not_asked_for_before_it_is_known_that_it_may_be_stored() {
    let host = Host::new();
    let (reader, writer) =
        (host.token(AccessLevel::ReadOnly, "main"), host.token(AccessLevel::ReadWrite, "main"));
    for (token, answer) in
        [(&*reader, "HTTP/1.1 403"), ("swordfish", "HTTP/1.1 401"), (&*writer, "HTTP/1.1 100")]
    {
        let authorization = basic("cachegate", token);
        let headers = [("authorization", &*authorization), ("expect", "100-continue")];
        let mut stream = TcpStream::connect(host.address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.write_all(head("PUT", NAR, &headers, Some(4)).as_bytes()).expect("sent");
        let mut first = vec![0; answer.len()];
        stream.read_exact(&mut first).expect("an answer before the body");
        assert_eq!(String::from_utf8_lossy(&first), answer);
    }
}

#[test]
fn a_body_that_ends_early_is_not_stored() {
    let host = Host::new();
    let token = format!("Bearer {}", host.token(AccessLevel::ReadWrite, "main"));
    let headers = [("authorization", &*token)];
    let mut stream = TcpStream::connect(host.address).expect("a connection");
    stream.write_all(head("PUT", NAR, &headers, Some(100)).as_bytes()).expect("sent");
    stream.write_all(b"only this").expect("sent");
    stream.shutdown(std::net::Shutdown::Write).expect("ended");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert_eq!(get(host.address, NAR, &headers).status, 404);
    assert_eq!(put(host.address, NAR, &headers, b"whole").status, 201);
}
