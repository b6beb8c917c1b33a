//! What the server answers, verb by verb, in one process: statuses as Nx needs them, bodies whole, lanes apart.

#![expect(clippy::expect_used, reason = "tests")]

#[path = "support/host.rs"]
mod host;
#[path = "support/http.rs"]
mod http;
#[path = "support/stranger.rs"]
mod stranger;

use std::time::Duration;

use cache_server::now;
use cachegate::{Authority, TokenSpec};
use cachegate_policy::WorkspaceSettings;
use cachegate_types::{AccessLevel, Action, ActionSet, Description, Role};
use host::Host;
use http::{Answer, get, head, put, send};
use stranger::whole;

/// Nx's two verbs, without a path in front.
trait Verbs {
    fn get(&self, token: Option<&str>, key: &str) -> Answer;
    fn put(&self, token: Option<&str>, key: &str, body: &[u8]) -> Answer;
}

impl Verbs for Host {
    fn get(&self, token: Option<&str>, key: &str) -> Answer {
        get(self.address, &format!("/v1/cache/{key}"), &headers(token))
    }

    fn put(&self, token: Option<&str>, key: &str, body: &[u8]) -> Answer {
        put(self.address, &format!("/v1/cache/{key}"), &headers(token), body)
    }
}

fn headers(token: Option<&str>) -> Vec<(&'static str, &'static str)> {
    // The tests' tokens live as long as the process: leaking one keeps the callers short.
    token.map(|token| ("authorization", &*String::leak(format!("Bearer {token}")))).into_iter().collect()
}

#[test]
fn what_is_stored_is_served_and_written_once() {
    let host = Host::new();
    let token = host.token(AccessLevel::ReadWrite, "main");
    assert_eq!(host.get(Some(&token), "1").status, 404);
    assert_eq!(host.put(Some(&token), "1", b"first").status, 200);
    assert_eq!(host.put(Some(&token), "1", b"second").status, 409);
    let answer = host.get(Some(&token), "1");
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"first"[..]));
    assert!(
        answer.has_header("content-length: 5") && answer.has_header("content-type: application/octet-stream")
    );
}

#[test]
fn a_pull_request_poisons_neither_main_nor_another_pull_request() {
    let host = Host::new();
    let main = host.token(AccessLevel::ReadWrite, "main");
    let (pull_42, pull_43) =
        (host.token(AccessLevel::ReadWrite, "pull/42"), host.token(AccessLevel::ReadWrite, "pull/43"));
    assert_eq!(host.put(Some(&pull_42), "7", b"evil").status, 200);
    assert_eq!(host.get(Some(&main), "7").status, 404, "main replays nothing of a pull request");
    assert_eq!(host.put(Some(&main), "7", b"clean").status, 200);
    assert_eq!(host.get(Some(&pull_42), "7").body, b"evil", "its own lane first");
    assert_eq!(host.get(Some(&pull_43), "7").body, b"clean");
    assert_eq!(host.get(Some(&main), "7").body, b"clean");
}

#[test]
fn a_read_only_token_reads_and_its_write_is_refused_quietly() {
    let host = Host::new();
    let writer = host.token(AccessLevel::ReadWrite, "main");
    let reader = host.token(AccessLevel::ReadOnly, "main");
    assert_eq!(host.put(Some(&writer), "1", b"x").status, 200);
    assert_eq!(host.get(Some(&reader), "1").status, 200);
    let refused = host.put(Some(&reader), "2", b"x");
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("write needs `read-write`"), "{}", refused.text());
    let codes: Vec<_> = host.recorder.take().iter().map(|event| (event.action, event.code)).collect();
    assert_eq!(codes.last(), Some(&(Action::Write, "action_not_granted")));
}

#[test]
fn anonymous_requests_have_the_workspaces_anonymous_level() {
    let host = Host::new();
    let writer = host.token(AccessLevel::ReadWrite, "main");
    assert_eq!(host.put(Some(&writer), "1", b"shared").status, 200);
    let with = |anonymous| host.settings(&WorkspaceSettings { anonymous, ..WorkspaceSettings::default() });
    let seen = || (host.get(None, "1").status, host.put(None, "2", b"x").status);
    assert_eq!(seen(), (404, 403), "none is the default");
    with(AccessLevel::ReadOnly);
    assert_eq!(seen(), (200, 403));
    with(AccessLevel::ReadWrite);
    assert_eq!(seen(), (200, 200));
    assert_eq!(host.get(Some(&writer), "2").status, 404, "main reads nothing of anonymous");
}

#[test]
fn an_empty_bearer_is_no_credential_and_matches_nothing() {
    let host = Host::new();
    let empty = [("authorization", "Bearer ")];
    assert_eq!(get(host.address, "/v1/cache/1", &empty).status, 404);
    assert_eq!(put(host.address, "/v1/cache/1", &empty, b"x").status, 403);
}

#[test]
fn a_bad_credential_is_401_with_a_reason_and_a_challenge_and_never_anonymous() {
    let host = Host::new();
    host.settings(&WorkspaceSettings { anonymous: AccessLevel::ReadWrite, ..WorkspaceSettings::default() });
    let good = host.token(AccessLevel::ReadWrite, "main");
    let expired = host.token_for(AccessLevel::ReadWrite, "main", Some(Duration::ZERO));
    let unknown = Host::new().token(AccessLevel::ReadWrite, "main");
    let mut typo = good;
    let last = typo.pop();
    typo.push(if last == Some('a') { 'b' } else { 'a' });
    for (name, token, reason) in [
        ("expired", expired.as_str(), "expired"),
        ("unknown", unknown.as_str(), "unknown_token"),
        ("mistyped", typo.as_str(), "[unknown_token]"),
        ("garbage", "swordfish", "malformed (unknown_format)"),
        ("foreign", "eyJhbGciOiJFZERTQSJ9.e30.AAAA", "unknown_issuer"),
        ("twelve kilobytes", &"x".repeat(12_000), "malformed (unknown_format)"),
        ("twenty kilobytes", &"x".repeat(20_000), "too_large"),
    ] {
        for answer in [host.get(Some(token), "1"), host.put(Some(token), "1", b"x")] {
            assert_eq!(answer.status, 401, "{name}: {answer:?}");
            assert!(answer.text().contains(reason), "{name}: {}", answer.text());
            assert_eq!(answer.text().lines().count(), 1, "{name}: one line for a terminal");
            assert!(answer.has_header("www-authenticate: Basic realm=\"cachegate\""), "{name}");
            assert!(!answer.text().contains(token), "{name}: no token text");
        }
    }
}

#[test]
fn a_token_is_the_same_in_bearer_and_as_a_basic_password() {
    let host = Host::new();
    let token = host.token(AccessLevel::ReadWrite, "main");
    assert_eq!(host.put(Some(&token), "1", b"x").status, 200);
    let basic = format!("Basic {}", base64(format!("anyone:{token}").as_bytes()));
    assert_eq!(get(host.address, "/v1/cache/1", &[("authorization", &basic)]).status, 200);
    let events = host.recorder.take();
    let [.., written, read] = events.as_slice() else { panic!("two decisions") };
    assert_eq!((&written.principal, written.token), (&read.principal, read.token));
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let block =
            chunk.iter().fold(0_u32, |block, byte| block << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS.get((block >> (18 - 6 * place) & 63) as usize).copied().unwrap_or_default();
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[test]
fn a_token_in_the_url_is_refused() {
    let host = Host::new();
    let token = host.token(AccessLevel::ReadWrite, "main");
    for path in [format!("/v1/cache/1?access_token={token}"), format!("/v1/cache/{token}")] {
        let answer = get(host.address, &path, &[]);
        assert_eq!((answer.status, answer.text().as_str()), (401, "this credential is malformed (in_url)"));
    }
}

#[test]
fn two_authorization_headers_are_refused() {
    let host = Host::new();
    let token = host.token(AccessLevel::ReadWrite, "main");
    let one = format!("Bearer {token}");
    let answer = get(host.address, "/v1/cache/1", &[("authorization", &one), ("authorization", &one)]);
    assert_eq!(answer.status, 401);
}

#[test]
fn a_body_shorter_than_its_content_length_is_discarded() {
    let host = Host::new();
    let token = host.token(AccessLevel::ReadWrite, "main");
    let head = head("PUT", "/v1/cache/1", &headers(Some(&token)), Some(1000));
    let mut stream = std::net::TcpStream::connect(host.address).expect("a connection");
    std::io::Write::write_all(&mut stream, head.as_bytes()).expect("sent");
    std::io::Write::write_all(&mut stream, b"only this").expect("sent");
    stream.shutdown(std::net::Shutdown::Write).expect("closed");
    let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    assert_eq!(host.get(Some(&token), "1").status, 404);
    assert_eq!(host.put(Some(&token), "1", b"whole").status, 200, "the place is still free");
}

#[test]
fn an_entry_over_the_limit_is_refused_announced_or_not() {
    let host = Host::with_limit(10);
    let token = host.token(AccessLevel::ReadWrite, "main");
    let refused = host.put(Some(&token), "1", b"eleven byte");
    assert_eq!(refused.status, 403, "Nx ends the build on 413");
    assert!(refused.text().contains("at most 10 bytes"), "{}", refused.text());
    let mut chunked = headers(Some(&token));
    chunked.push(("transfer-encoding", "chunked"));
    let answer = send(
        host.address,
        &head("PUT", "/v1/cache/1", &chunked, None),
        b"6\r\neleven\r\n5\r\n byte\r\n0\r\n\r\n",
    );
    assert_eq!(answer.status, 403);
    assert_eq!(host.put(Some(&token), "1", b"ten bytes!").status, 200);
}

#[test]
fn while_the_store_is_out_of_reach_builds_go_on_and_nothing_is_allowed() {
    let host = Host::new();
    let token = host.token(AccessLevel::ReadWrite, "main");
    assert_eq!(host.put(Some(&token), "1", b"x").status, 200);
    host.faults.cut();
    assert_eq!(host.get(Some(&token), "1").status, 200, "what was proven fresh stays good for the bound");
    host.clock.advance(Duration::from_secs(4));
    let (read, written) = (host.get(Some(&token), "1"), host.put(Some(&token), "2", b"x"));
    assert_eq!((read.status, written.status), (404, 403));
    assert!(read.text().contains("store_unavailable"), "{}", read.text());
    host.faults.mend();
    assert_eq!(host.get(Some(&token), "1").status, 200);
}

#[test]
fn the_path_names_the_workspace_and_an_unknown_one_looks_like_one_that_is_not_granted() {
    let host = Host::new();
    let token = host.token(AccessLevel::ReadWrite, "main");
    let at = |path: &str| get(host.address, path, &headers(Some(&token)));
    assert_eq!(put(host.address, "/acme/app/v1/cache/1", &headers(Some(&token)), b"x").status, 200);
    assert_eq!(at("/acme/app/v1/cache/1").body, b"x");
    let other = host.runtime.block_on(async {
        let found = host.server.storage().workspace(host.server.default_workspace()).await.expect("found");
        let organization = found.expect("a workspace").organization;
        let name = "other".parse().expect("a name");
        let settings = WorkspaceSettings::default();
        host.server.gate().create_workspace(&Authority::Operator, organization, name, settings, now()).await
    });
    other.expect("a workspace");
    let answers =
        ["/acme/other/v1/cache/1", "/acme/nowhere/v1/cache/1", "/nobody/app/v1/cache/1", "/A/b/v1/cache/1"];
    let seen: Vec<_> = answers.map(|path| whole(&at(path))).into();
    assert!(seen.windows(2).all(|pair| pair.first() == pair.last()), "{seen:#?}");
    assert_eq!(seen.first().map(|(status, _, _)| *status), Some(404));
}

#[test]
fn a_persons_token_uses_dev_and_reads_main() {
    let host = Host::new();
    let ci = host.token(AccessLevel::ReadWrite, "main");
    assert_eq!(host.put(Some(&ci), "1", b"from main").status, 200);
    let token = host.runtime.block_on(async {
        let gate = host.server.gate();
        let by = Authority::Operator;
        let workspace =
            host.server.storage().workspace(host.server.default_workspace()).await.expect("found");
        let organization = workspace.expect("a workspace").organization;
        let user = gate.create_user(&by, Description::default(), now()).await.expect("a user");
        gate.set_member(&by, organization, user, Role::Member, now()).await.expect("a member");
        let spec =
            TokenSpec::Personal { owner: user, actions: ActionSet::ALL, form: cachegate::PersonalForm::Jwt };
        gate.issue(&by, &spec, Description::default(), None, now()).await.expect("a token").token
    });
    let token = token.expose_secret();
    assert!(token.starts_with("cg1_"), "a JWT behind the brand's prefix");
    assert_eq!(host.get(Some(token), "1").body, b"from main");
    assert_eq!(host.put(Some(token), "2", b"from a laptop").status, 200);
    assert_eq!(host.get(Some(token), "2").body, b"from a laptop");
    assert_eq!(host.get(Some(&ci), "2").status, 404, "CI reads nothing of a laptop");
}
