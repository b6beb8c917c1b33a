//! Every protocol's face over the same few calls: what each stores, what none lets through to another, and what none
//! tells a stranger.

#![expect(clippy::expect_used, reason = "tests")]

#[expect(dead_code, reason = "the store's faults are another test's")]
#[path = "support/host.rs"]
mod host;
#[path = "support/http.rs"]
mod http;
#[path = "support/stranger.rs"]
mod stranger;

use cache_server::now;
use cachegate::{Authority, TokenSpec};
use cachegate_policy::WorkspaceSettings;
use cachegate_storage::MarkScope;
use cachegate_types::{AccessLevel, Action, Description, Lane, WorkspaceId};
use host::Host;
use http::{get, head, put, send};
use stranger::whole;

/// A protocol, and where it keeps an entry.
struct Face {
    name: &'static str,
    below: &'static str,
    stored: u16,
    exists: u16,
    too_large: u16,
}

const FACES: [Face; 7] = [
    Face { name: "nx", below: "/v1/cache/", stored: 200, exists: 409, too_large: 403 },
    Face { name: "turborepo", below: "/v8/artifacts/", stored: 202, exists: 200, too_large: 413 },
    Face { name: "ccache", below: "/ccache/", stored: 201, exists: 200, too_large: 413 },
    Face { name: "bazel", below: "/bazel/ac/", stored: 201, exists: 200, too_large: 413 },
    Face { name: "gradle", below: "/gradle/", stored: 201, exists: 200, too_large: 413 },
    Face { name: "nix", below: "/nix/nar/", stored: 201, exists: 200, too_large: 413 },
    Face { name: "webdav", below: "/webdav/", stored: 201, exists: 200, too_large: 413 },
];

impl Face {
    fn at(&self, workspace: &str, key: &str) -> String {
        format!("/{workspace}{}{key}", self.below)
    }
}

fn bearer(token: &str) -> [(&'static str, &'static str); 1] {
    // The tests' tokens live as long as the process: leaking one keeps the callers short.
    [("authorization", String::leak(format!("Bearer {token}")))]
}

/// A second workspace, in an organization of its own or not, and a token that writes there.
fn elsewhere(host: &Host, organization: Option<&str>, name: &str) -> (WorkspaceId, String) {
    host.runtime.block_on(async {
        let (gate, by) = (host.server.gate(), Authority::Operator);
        let organization = match organization {
            Some(organization) => {
                let organization = organization.parse().expect("a name");
                gate.create_organization(&by, organization, now()).await.expect("an organization")
            }
            None => {
                let found = host.server.storage().workspace(host.server.default_workspace()).await;
                found.expect("read").expect("a workspace").organization
            }
        };
        let settings = WorkspaceSettings::default();
        let name = name.parse().expect("a name");
        let made = gate.create_workspace(&by, organization, name, settings, now()).await;
        let workspace = made.expect("a workspace");
        let spec = TokenSpec::Ci { workspace, level: AccessLevel::ReadWrite, lane: Lane::main() };
        let issued = gate.issue(&by, &spec, Description::default(), None, now()).await.expect("a token");
        (workspace, issued.token.expose_secret().to_owned())
    })
}

#[test]
fn what_is_stored_is_served_and_written_once() {
    let host = Host::new();
    let token = bearer(&host.token(AccessLevel::ReadWrite, "main"));
    for face in &FACES {
        let path = face.at("acme/app", "0a1b2c3d");
        assert_eq!(get(host.address, &path, &token).status, 404, "{}", face.name);
        assert_eq!(put(host.address, &path, &token, b"first").status, face.stored, "{}", face.name);
        assert_eq!(put(host.address, &path, &token, b"second").status, face.exists, "{}", face.name);
        let answer = get(host.address, &path, &token);
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"first"[..]), "{}", face.name);
        let looked = send(host.address, &head("HEAD", &path, &token, None), &[]);
        assert_eq!((looked.status, looked.body.len()), (200, 0), "{}", face.name);
        assert!(looked.has_header("content-length: 5"), "{}", face.name);
        let missing = send(host.address, &head("HEAD", &(path + "0"), &token, None), &[]);
        assert_eq!((missing.status, missing.body.len()), (404, 0), "{}", face.name);
    }
}

#[test]
fn what_is_put_through_one_protocol_is_served_through_no_other() {
    let host = Host::new();
    let token = bearer(&host.token(AccessLevel::ReadWrite, "main"));
    // Keys that spell another protocol's, as far as paths can.
    let keys =
        ["1", "ac%2F1", "cas%2F1", "ac/1", "turborepo:1", "nx%3A1", "plain:1", "..%2Fnx:1", "bazel:ac%2F1"];
    let mut stored = Vec::new();
    for face in &FACES {
        for key in keys.iter().filter(|key| face.name == "ccache" || !key.contains('/')) {
            let path = face.at("acme/app", key);
            let body = format!("{} {key}", face.name);
            let status = put(host.address, &path, &token, body.as_bytes()).status;
            // To ccache alone a slash is part of a key, spelt out or not.
            if status == face.exists && (face.name, *key) == ("ccache", "ac/1") {
                continue;
            }
            assert_eq!(status, face.stored, "{path}");
            stored.push((path, body));
        }
    }
    assert!(stored.len() > 36, "{}", stored.len());
    for (path, body) in stored {
        assert_eq!(get(host.address, &path, &token).text(), body, "{path}");
    }
}

#[test]
fn through_every_protocol_lanes_stay_apart() {
    let host = Host::new();
    let token = |lane: &str| bearer(&host.token(AccessLevel::ReadWrite, lane));
    let (main, pull_42, pull_43) = (token("main"), token("pull/42"), token("pull/43"));
    let reader = bearer(&host.token(AccessLevel::ReadOnly, "main"));
    for face in &FACES {
        let path = face.at("acme/app", "7");
        assert_eq!(put(host.address, &path, &reader, b"x").status, 403, "{}", face.name);
        assert_eq!(put(host.address, &path, &pull_42, b"evil").status, face.stored, "{}", face.name);
        assert_eq!(get(host.address, &path, &main).status, 404, "{}", face.name);
        assert_eq!(put(host.address, &path, &main, b"clean").status, face.stored, "{}", face.name);
        for (token, body) in [(&main, "clean"), (&reader, "clean"), (&pull_43, "clean"), (&pull_42, "evil")] {
            assert_eq!(get(host.address, &path, token).text(), body, "{}", face.name);
        }
    }
}

#[test]
fn what_a_distrusted_token_wrote_is_a_miss_through_every_protocol() {
    let host = Host::new();
    let (bad, good) = (
        bearer(&host.token(AccessLevel::ReadWrite, "main")),
        bearer(&host.token(AccessLevel::ReadWrite, "main")),
    );
    for face in &FACES {
        assert_eq!(put(host.address, &face.at("acme/app", "1"), &bad, b"x").status, face.stored);
        assert_eq!(get(host.address, &face.at("acme/app", "1"), &good).status, 200, "the control");
    }
    let writer = host
        .recorder
        .take()
        .iter()
        .find_map(|event| event.token.filter(|_| event.action == Action::Write))
        .expect("the writer");
    let gate = host.server.gate();
    let mark = gate.distrust(&Authority::Operator, MarkScope::Token(writer), Description::default(), now());
    host.runtime.block_on(mark).expect("distrusted");
    for face in &FACES {
        let path = face.at("acme/app", "1");
        assert_eq!(get(host.address, &path, &good).status, 404, "{}", face.name);
        assert_eq!(put(host.address, &path, &good, b"anew").status, face.stored, "{}", face.name);
        assert_eq!(get(host.address, &path, &good).text(), "anew", "{}", face.name);
    }
}

#[test]
fn an_entry_over_the_limit_is_refused_as_each_client_takes_it() {
    let host = Host::with_limit(10);
    let token = bearer(&host.token(AccessLevel::ReadWrite, "main"));
    for face in &FACES {
        let path = face.at("acme/app", "1");
        let refused = put(host.address, &path, &token, b"eleven byte");
        assert_eq!(refused.status, face.too_large, "{}", face.name);
        assert!(refused.text().contains("at most 10 bytes"), "{}", refused.text());
        let chunked = [token[0], ("transfer-encoding", "chunked")];
        let body = b"6\r\neleven\r\n5\r\n byte\r\n0\r\n\r\n";
        let answer = send(host.address, &head("PUT", &path, &chunked, None), body);
        assert_eq!(answer.status, face.too_large, "{}", face.name);
        assert_eq!(put(host.address, &path, &token, b"ten bytes!").status, face.stored, "{}", face.name);
    }
}

/// A client that sends all and then listens gets its answer, not a broken connection: Nx would try six times, and then
/// end the build.
#[test]
fn a_refusal_reaches_a_client_that_sends_its_whole_body_first() {
    const SIZE: usize = 32 * 1024 * 1024;
    let host = Host::with_limit(SIZE as u64);
    let body = vec![7; SIZE];
    let writer = bearer(&host.token(AccessLevel::ReadWrite, "main"));
    let reader = bearer(&host.token(AccessLevel::ReadOnly, "main"));
    for face in &FACES {
        let path = face.at("acme/app", "1");
        assert_eq!(put(host.address, &path, &writer, b"first").status, face.stored, "{}", face.name);
        for (token, status) in [(reader, 403), (bearer("swordfish"), 401), (writer, face.exists)] {
            let mut stream = std::net::TcpStream::connect(host.address).expect("a connection");
            let head = head("PUT", &path, &token, Some(SIZE as u64));
            std::io::Write::write_all(&mut stream, head.as_bytes()).expect("a head sent");
            std::io::Write::write_all(&mut stream, &body).expect("the whole body sent");
            assert_eq!(http::read_answer(stream).status, status, "{}", face.name);
        }
        assert_eq!(get(host.address, &path, &writer).text(), "first", "{}", face.name);
    }
}

#[test]
fn a_token_in_the_url_is_refused() {
    let host = Host::new();
    let token = host.token(AccessLevel::ReadWrite, "main");
    let good = bearer(&token);
    for face in &FACES {
        for path in [
            face.at("acme/app", &token),
            face.at("acme/app", &format!("1?access_token={token}")),
            face.at(&format!("acme/{token}"), "1"),
        ] {
            let answers = [get(host.address, &path, &good), put(host.address, &path, &good, b"x")];
            assert!(answers.iter().all(|answer| answer.status == 401 && answer.text().contains("in_url")));
        }
    }
}

#[test]
fn a_key_that_is_too_long_is_no_key() {
    let host = Host::new();
    let token = bearer(&host.token(AccessLevel::ReadWrite, "main"));
    for face in &FACES {
        let path = face.at("acme/app", &"k".repeat(600));
        let nx = face.name == "nx";
        assert_eq!(get(host.address, &path, &token).status, if nx { 404 } else { 400 }, "{}", face.name);
        assert_eq!(
            put(host.address, &path, &token, b"x").status,
            if nx { 403 } else { 400 },
            "{}",
            face.name
        );
    }
}

// What a stranger sees.

#[test]
fn no_verb_of_no_protocol_tells_a_stranger_whether_a_thing_exists() {
    let host = Host::new();
    let (_, sister_writer) = elsewhere(&host, None, "sister");
    let (_, beta_writer) = elsewhere(&host, Some("beta"), "app");
    for face in &FACES {
        for (place, writer) in [("acme/sister", &sister_writer), ("beta/app", &beta_writer)] {
            let answer = put(host.address, &face.at(place, "1"), &bearer(writer), b"a secret");
            assert_eq!(answer.status, face.stored, "{} {place}", face.name);
            assert_eq!(get(host.address, &face.at(place, "1"), &bearer(writer)).status, 200, "the control");
        }
    }
    let expired = host.token_for(AccessLevel::ReadWrite, "main", Some(std::time::Duration::ZERO));
    let strangers: [Vec<(&str, &str)>; 5] = [
        Vec::new(),
        bearer(&host.token(AccessLevel::ReadWrite, "main")).into(),
        bearer(&host.token(AccessLevel::ReadOnly, "pull/1")).into(),
        bearer("swordfish").into(),
        bearer(&expired).into(),
    ];
    // An entry that is there, one that is not, a workspace that is not, an organization that is not, and no names.
    let things = [
        ("acme/sister", "1"),
        ("beta/app", "1"),
        ("acme/sister", "2"),
        ("acme/none", "1"),
        ("none/app", "1"),
        ("A/B", "1"),
    ];
    for face in &FACES {
        for stranger in &strangers {
            for verb in ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PROPFIND"] {
                let seen = things.map(|(place, key)| {
                    let length = (verb == "PUT" || verb == "POST").then_some(1);
                    let head = head(verb, &face.at(place, key), stranger, length);
                    whole(&send(host.address, &head, if length.is_some() { b"x" } else { b"" }))
                });
                assert!(seen.iter().all(|one| *one == seen[0]), "{} {verb}: {seen:#?}", face.name);
                let looks = verb == "OPTIONS" && face.name == "turborepo";
                assert!(seen[0].0 >= 400 || looks, "{} {verb}: {seen:#?}", face.name);
            }
        }
    }
}

// Turborepo.

const HASH: &str = "/v8/artifacts/0a1b2c3d4e5f6071";

#[test]
fn a_team_has_to_be_the_workspaces_own() {
    let host = Host::new();
    elsewhere(&host, Some("beta"), "app");
    let token = bearer(&host.token(AccessLevel::ReadWrite, "main"));
    let acme = host.runtime.block_on(async {
        let found = host.server.storage().workspace(host.server.default_workspace()).await.expect("read");
        found.expect("a workspace").organization
    });
    assert_eq!(put(host.address, &format!("{HASH}?slug=acme"), &token, b"x").status, 202);
    for prefix in ["", "/acme/app"] {
        for right in [
            String::new(),
            "?slug=acme".to_owned(),
            format!("?teamId=team_{acme}"),
            format!("?teamId=team_{acme}&slug=acme"),
            "?slug=acme&other=beta".to_owned(),
        ] {
            assert_eq!(get(host.address, &format!("{prefix}{HASH}{right}"), &token).status, 200, "{right}");
        }
        let wrong = [
            "?slug=beta".to_owned(),
            "?slug=none".to_owned(),
            "?slug=".to_owned(),
            "?slug=Acme".to_owned(),
            "?slug=acme%00".to_owned(),
            format!("?teamId={acme}x"),
            "?teamId=team_".to_owned(),
            format!("?teamId=team_{acme}&slug=beta"),
            format!("?slug=beta&teamId=team_{acme}"),
            "?slug=acme&slug=beta".to_owned(),
            "?slug=beta&slug=acme".to_owned(),
        ];
        let seen = wrong.map(|query| whole(&get(host.address, &format!("{prefix}{HASH}{query}"), &token)));
        assert!(seen.iter().all(|one| *one == seen[0]), "{seen:#?}");
        assert_eq!(seen[0].0, 403);
        // Nor does it matter whether the path and the team agree about a place that is another's, or about none.
        for (place, team) in
            [("beta/app", "beta"), ("beta/app", "acme"), ("beta/none", "beta"), ("none/app", "none")]
        {
            let path = format!("/{place}{HASH}?slug={team}");
            assert_eq!(whole(&get(host.address, &path, &token)), seen[0], "{path}");
        }
        assert!(seen[0].2.starts_with(r#"{"error":{"code":"forbidden","message":""#), "{}", seen[0].2);
        let put = put(host.address, &format!("{prefix}{HASH}0?slug=beta"), &token, b"x");
        assert_eq!(put.status, 403);
    }
    let organizations = host.runtime.block_on(host.server.storage().organizations(None, 10)).expect("read");
    assert_eq!(organizations.len(), 2, "no name that was asked for came into being");
}

#[test]
fn the_clients_tag_and_duration_come_back_and_nothing_else_does() {
    let host = Host::new();
    let token = bearer(&host.token(AccessLevel::ReadWrite, "main"));
    let tag = "t".repeat(600);
    let sent = [
        token[0],
        ("x-artifact-tag", &*tag),
        ("x-artifact-duration", "1234"),
        ("x-artifact-sha", "abc"),
        ("set-cookie", "x=y"),
    ];
    assert_eq!(put(host.address, HASH, &sent, b"body").status, 202);
    let answer = get(host.address, HASH, &token);
    assert_eq!(answer.body, b"body");
    assert!(answer.has_header(&format!("x-artifact-tag: {tag}")), "{}", answer.head);
    assert!(answer.has_header("x-artifact-duration: 1234"), "{}", answer.head);
    assert!(!answer.head.contains("x-artifact-sha") && !answer.head.contains("cookie"), "{}", answer.head);
    let long = "t".repeat(601);
    let refused = put(host.address, &format!("{HASH}0"), &[token[0], ("x-artifact-tag", &long)], b"body");
    assert_eq!(refused.status, 400);
    assert_eq!(get(host.address, &format!("{HASH}0"), &token).status, 404);
}

#[test]
fn the_status_says_whether_the_cache_is_of_any_use_to_this_token() {
    let host = Host::new();
    let status = |headers: &[(&str, &str)], query: &str| {
        let answer = get(host.address, &format!("/v8/artifacts/status{query}"), headers);
        (answer.status, answer.text())
    };
    let reader = bearer(&host.token(AccessLevel::ReadOnly, "main"));
    assert_eq!(status(&reader, "?slug=acme"), (200, r#"{"status":"enabled"}"#.to_owned()));
    assert_eq!(status(&reader, "?slug=beta").0, 403);
    assert_eq!(status(&[], "?slug=acme").0, 401);
    let (code, text) = status(&bearer("swordfish"), "?slug=acme");
    assert_eq!(code, 401);
    assert!(
        text.starts_with(r#"{"error":{"code":"unauthorized","message":"this credential is malformed"#),
        "{text}"
    );
}

#[test]
fn events_are_taken_from_whoever_may_read_and_lists_have_an_end() {
    let host = Host::new();
    let token = bearer(&host.token(AccessLevel::ReadOnly, "main"));
    let post = |path: &str, headers: &[(&str, &str)], body: &[u8]| {
        send(host.address, &head("POST", path, headers, Some(body.len() as u64)), body)
    };
    let events = br#"[{"sessionId":"x","source":"REMOTE","event":"HIT","hash":"0a1b","duration":1}]"#;
    assert_eq!(post("/v8/artifacts/events?slug=acme", &token, events).status, 200);
    assert_eq!(post("/v8/artifacts/events?slug=beta", &token, events).status, 403);
    assert_eq!(post("/v8/artifacts/events", &[], events).status, 401);
    assert_eq!(post("/v8/artifacts/events", &token, &vec![b'x'; 2 * 1024 * 1024]).status, 400);

    let writer = bearer(&host.token(AccessLevel::ReadWrite, "main"));
    let sent = [writer[0], ("x-artifact-duration", "7")];
    assert_eq!(put(host.address, HASH, &sent, b"body").status, 202);
    let asked = br#"{"hashes":["0a1b2c3d4e5f6071","0"]}"#;
    let answer = post("/v8/artifacts?slug=acme", &token, asked);
    let expected = r#"{"0":null,"0a1b2c3d4e5f6071":{"size":4,"taskDurationMs":7}}"#;
    assert_eq!((answer.status, answer.text().as_str()), (200, expected));
    assert_eq!(post("/v8/artifacts?slug=beta", &token, asked).status, 403);
    assert_eq!(post("/v8/artifacts", &[], asked).status, 401);
    let many = format!(r#"{{"hashes":[{}"0"]}}"#, r#""0","#.repeat(512));
    for wrong in [&b"{}"[..], b"[]", b"", many.as_bytes()] {
        assert_eq!(post("/v8/artifacts", &token, wrong).status, 400);
    }
}

// Bazel.

#[test]
fn a_blobs_name_is_the_sha_256_of_its_body_or_it_is_not_stored() {
    let host = Host::new();
    let token = bearer(&host.token(AccessLevel::ReadWrite, "main"));
    // FIPS 180-2, appendix B.1: the SHA-256 of `abc`.
    let name = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let path = format!("/acme/app/bazel/cas/{name}");
    for (body, at) in [
        (&b"abd"[..], path.clone()),
        (b"", path.clone()),
        (b"abc", format!("{path}0")),
        (b"abc", path.to_uppercase().replace("/ACME/APP/BAZEL/CAS", "/acme/app/bazel/cas")),
    ] {
        let refused = put(host.address, &at, &token, body);
        assert_eq!(refused.status, 400, "{at}");
        assert!(refused.text().contains("SHA-256"), "{}", refused.text());
        assert_eq!(get(host.address, &at, &token).status, 404);
    }
    assert_eq!(put(host.address, &path, &token, b"abc").status, 201);
    assert_eq!(get(host.address, &path, &token).text(), "abc");
    assert_eq!(put(host.address, &format!("/acme/app/bazel/ac/{name}"), &token, b"anything").status, 201);
}
