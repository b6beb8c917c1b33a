//! Releases: described by a job, published by name, resolved within a constraint, and read by a token for their closure.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[path = "support/client.rs"]
#[expect(dead_code, reason = "Nix is installed by Debian, not by npm")]
mod client;
#[path = "support/host.rs"]
#[expect(dead_code, reason = "the store's faults are another test's")]
mod host;
#[path = "support/http.rs"]
#[expect(dead_code, reason = "what stands in a head is another test's")]
mod http;
#[path = "support/machines.rs"]
mod machines;
#[path = "support/nix.rs"]
#[expect(dead_code, reason = "poison is another test's")]
mod nix;
#[path = "support/stranger.rs"]
mod stranger;

use cache_server::now;
use cachegate::{Authority, DeviceAccess, PersonalForm, TokenSpec};
use cachegate_policy::{Listed, ListedParty, WorkspaceSettings};
use cachegate_types::{AccessLevel, Action, ActionSet, Description, Lane, Role};
use host::Host;
use http::{Answer, head, put, send};
use nix::Machine;

const F: &str = "/f/acme/app";
const OUTPUT: &str = "packages.x86_64-linux.default";

fn ask(host: &Host, method: &str, path: &str, token: &str, body: &[u8]) -> Answer {
    let authorization = format!("Bearer {token}");
    let headers: &[_] = if token.is_empty() { &[] } else { &[("authorization", &*authorization)] };
    match method {
        "PUT" => put(host.address, path, headers, body),
        _ => send(host.address, &head(method, path, headers, None), &[]),
    }
}

/// A member whom the workspace lists as a publisher.
fn publisher(host: &Host) -> String {
    let publishes = AccessLevel::ReadWrite.actions().union(ActionSet::of(&[Action::Publish]));
    let (organization, workspace) = (host.organization(), host.server.default_workspace());
    host.runtime.block_on(async {
        let (gate, by) = (host.server.gate(), Authority::Operator);
        let user = gate.create_user(&by, Description::default(), now()).await.expect("a user");
        gate.set_member(&by, organization, user, Role::Member, now()).await.expect("a membership");
        let listed = [Listed { party: ListedParty::User(user), actions: publishes }];
        gate.set_listed(&by, workspace, &listed, now()).await.expect("listed");
        let spec = TokenSpec::Personal { owner: user, actions: publishes, form: PersonalForm::Opaque };
        let issued = gate.issue(&by, &spec, Description::default(), None, now()).await.expect("a token");
        issued.token.expose_secret().to_owned()
    })
}

fn resolve_only(host: &Host, requirement: &str, reads_closures: bool) -> String {
    let workspace = host.server.default_workspace();
    let requirement = requirement.parse().expect("a requirement");
    host.device(DeviceAccess::ResolveOnly { workspace, requirement, reads_closures })
}

fn described(path: &str, source: Option<&str>) -> String {
    let source = source.map(|source| format!(", \"source\": \"{source}\"")).unwrap_or_default();
    format!("{{\"outputs\": {{\"{OUTPUT}\": \"{path}\"}}{source}}}")
}

fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The path and the NAR of a store path that has no references, put without Nix.
fn put_path(host: &Host, token: &str, hash: &str) -> String {
    let path = format!("/nix/store/{hash}-pkg");
    let narinfo = format!("StorePath: {path}\nURL: nar/{hash}.nar\nNarHash: x\nNarSize: 1\nReferences: \n");
    let below = "/acme/app/nix";
    assert_eq!(ask(host, "PUT", &format!("{below}/nar/{hash}.nar"), token, b"nar").status, 201);
    assert_eq!(ask(host, "PUT", &format!("{below}/{hash}.narinfo"), token, narinfo.as_bytes()).status, 201);
    path
}

const HASH: &str = "6h16lcyhnnw252s3qv43rgxbwglzif48";

#[test]
fn a_version_is_published_once_by_whoever_holds_publish_and_withdrawn() {
    let host = Host::new();
    let (writer, publisher) = (host.token(AccessLevel::ReadWrite, "main"), publisher(&host));
    let at = |rest: &str| format!("{F}/{rest}");
    let path = put_path(&host, &writer, HASH);
    assert_eq!(ask(&host, "PUT", &at("1.2.3"), &writer, described(&path, None).as_bytes()).status, 201);
    let refused = ask(&host, "POST", &at("1.2.3"), &writer, b"");
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains("publish"), "{}", refused.text());
    assert_eq!(ask(&host, "POST", &at("1.2.3"), "", b"").status, 401);
    let done = ask(&host, "POST", &at("1.2.3"), &publisher, b"");
    assert_eq!(done.status, 201, "{}", done.text());
    let again = ask(&host, "POST", &at("1.2.3"), &publisher, b"");
    assert_eq!((again.status, again.text().as_str()), (409, "this release exists already"));

    let asked = ask(&host, "GET", &at(&format!("1/output/{OUTPUT}")), &writer, b"");
    let expected =
        format!("{{\"attribute_path\":\"{OUTPUT}\",\"store_path\":\"{path}\",\"version\":\"1.2.3\"}}");
    assert_eq!((asked.status, asked.text()), (200, expected));
    assert_eq!(ask(&host, "GET", &at("1/output/other"), &writer, b"").status, 404);
    assert_eq!(ask(&host, "GET", &at("one/output/x"), &writer, b"").status, 400);
    let listed = ask(&host, "GET", F, &writer, b"").text();
    assert!(listed.contains("\"version\":\"1.2.3\"") && !listed.contains("withdrawn_at"), "{listed}");

    assert_eq!(ask(&host, "DELETE", &at("1.2.3"), &writer, b"").status, 403);
    assert_eq!(ask(&host, "DELETE", &at("1.2.3"), &publisher, b"").status, 200);
    assert_eq!(ask(&host, "GET", &at(&format!("1/output/{OUTPUT}")), &writer, b"").status, 404);
    assert!(ask(&host, "GET", F, &writer, b"").text().contains("withdrawn_at"));
}

#[test]
fn what_is_less_trusted_than_main_or_not_there_is_not_published() {
    let host = Host::new();
    let (writer, publisher) = (host.token(AccessLevel::ReadWrite, "main"), publisher(&host));
    let publish = |version: &str| {
        let answer = ask(&host, "POST", &format!("{F}/{version}"), &publisher, b"");
        (answer.status, answer.text())
    };
    let describe = |version: &str, token: &str, text: &str| {
        ask(&host, "PUT", &format!("{F}/{version}"), token, text.as_bytes()).status
    };
    assert_eq!(publish("1.0.0").0, 409, "nothing describes it");
    // The publisher's own lane is `dev`: what they wrote there is no release's.
    let path = put_path(&host, &publisher, HASH);
    assert_eq!(describe("1.0.0", &publisher, &described(&path, None)), 201);
    assert!(publish("1.0.0").1.contains("release/1.0.0 is not there"), "{}", publish("1.0.0").1);
    assert_eq!(describe("1.0.0", &writer, &described(&path, None)), 201);
    assert!(publish("1.0.0").1.contains(&format!("{HASH}.narinfo is not there")), "{}", publish("1.0.0").1);
    put_path(&host, &writer, HASH);
    assert_eq!(publish("1.0.0").0, 201, "the control");
    for wrong in ["", "{}", "[]", "{\"outputs\": {}}", "{\"outputs\": {\"a\": \"/etc/passwd\"}}"] {
        assert_eq!(describe("1.0.1", &writer, wrong), 400, "{wrong}");
    }
    assert_eq!(describe("latest", &writer, &described(&path, None)), 400);
    // One whose narinfo is another path's.
    let other = "/nix/store/n2bcxzvpmycfx9gy997dwwwynf5h7338-top";
    let narinfo = "/acme/app/nix/n2bcxzvpmycfx9gy997dwwwynf5h7338.narinfo";
    let told = format!("StorePath: {path}\nURL: nar/{HASH}.nar\nReferences: \n");
    assert_eq!(ask(&host, "PUT", narinfo, &writer, told.as_bytes()).status, 201);
    assert_eq!(describe("1.0.2", &writer, &described(other, None)), 201);
    assert!(publish("1.0.2").1.contains("is another path's"));
}

#[test]
fn a_stranger_learns_of_no_release() {
    let host = Host::new();
    let (writer, publisher) = (host.token(AccessLevel::ReadWrite, "main"), publisher(&host));
    let path = put_path(&host, &writer, HASH);
    assert_eq!(
        ask(&host, "PUT", &format!("{F}/1.0.0"), &writer, described(&path, None).as_bytes()).status,
        201
    );
    assert_eq!(ask(&host, "POST", &format!("{F}/1.0.0"), &publisher, b"").status, 201);
    let other = Host::new();
    let foreign = other.token(AccessLevel::ReadWrite, "main");
    for rest in ["/1/output/x", "/1.tar.gz", "/2/output/x"] {
        for (token, status) in [("", 401), (&*foreign, 401)] {
            assert_eq!(ask(&host, "GET", &format!("{F}{rest}"), token, b"").status, status, "{rest}");
        }
        // And whoever is known here learns nothing of elsewhere.
        for place in ["/f/acme/none", "/f/none/app"] {
            assert_eq!(
                ask(&host, "GET", &format!("{place}{rest}"), &writer, b"").status,
                404,
                "{place}{rest}"
            );
        }
    }
    assert!(!ask(&host, "GET", F, "", b"").text().contains("1.0.0"));
    assert!(ask(&host, "GET", F, &writer, b"").text().contains("1.0.0"), "the control");
}

/// The status of a path's narinfo and of its NAR, in a workspace of `acme`.
fn looks(host: &Host, workspace: &str, hash: &str, token: &str) -> [u16; 2] {
    ["", "nar/"].map(|folder| {
        let kind = if folder.is_empty() { "narinfo" } else { "nar" };
        ask(host, "GET", &format!("/acme/{workspace}/nix/{folder}{hash}.{kind}"), token, b"").status
    })
}

fn token_in(answer: &Answer) -> String {
    let text = answer.text();
    let rest = text.split("\"token\":\"").nth(1).unwrap_or_else(|| panic!("no token in {text}"));
    rest.split('"').next().expect("its end").to_owned()
}

const OTHER: &str = "n2bcxzvpmycfx9gy997dwwwynf5h7338";

#[test]
fn each_output_has_a_closure_of_its_own() {
    let host = Host::new();
    let (writer, publisher) = (host.token(AccessLevel::ReadWrite, "main"), publisher(&host));
    let (bin, doc) = (put_path(&host, &writer, HASH), put_path(&host, &writer, OTHER));
    let text = format!("{{\"outputs\": {{\"bin\": \"{bin}\", \"doc\": \"{doc}\"}}}}");
    assert_eq!(ask(&host, "PUT", &format!("{F}/1.0.0"), &writer, text.as_bytes()).status, 201);
    assert_eq!(ask(&host, "POST", &format!("{F}/1.0.0"), &publisher, b"").status, 201);
    let device = resolve_only(&host, "1", true);
    let resolve =
        |output: &str| ask(&host, "GET", &format!("{F}/1/output/{output}?include_token=true"), &device, b"");
    for (output, own, other) in [("bin", HASH, OTHER), ("doc", OTHER, HASH)] {
        let token = token_in(&resolve(output));
        assert_eq!(looks(&host, "app", own, &token), [200, 200], "{output}");
        assert_eq!(looks(&host, "app", other, &token), [404, 403], "{output}");
    }
    let none = resolve("lib");
    assert_eq!(none.status, 404, "{}", none.text());
    assert!(none.text().contains("no closure under that name"), "{}", none.text());
    // Over the management API too, which lists them.
    let workspace = host.server.default_workspace();
    let listed = ask(&host, "GET", &format!("/api/v1/workspaces/{workspace}/releases"), &writer, b"");
    assert!(listed.text().contains("\"outputs\":[\"bin\",\"doc\"]"), "{}", listed.text());
}

#[test]
fn a_token_bound_to_one_workspace_resolves_and_reads_nothing_of_another() {
    let host = Host::new();
    let (writer, publisher) = (host.token(AccessLevel::ReadWrite, "main"), publisher(&host));
    let path = put_path(&host, &writer, HASH);
    let organization = host.organization();
    let second = host.runtime.block_on(async {
        let (gate, by) = (host.server.gate(), Authority::Operator);
        let name = "second".parse().expect("a name");
        let second = gate.create_workspace(&by, organization, name, WorkspaceSettings::default(), now());
        let second = second.await.expect("a workspace");
        let user = gate.create_user(&by, Description::default(), now()).await.expect("a user");
        gate.set_member(&by, organization, user, Role::Member, now()).await.expect("a membership");
        let actions = AccessLevel::ReadWrite.actions().union(ActionSet::of(&[Action::Publish]));
        let listed = [Listed { party: ListedParty::User(user), actions }];
        gate.set_listed(&by, second, &listed, now()).await.expect("listed");
        let personal = TokenSpec::Personal { owner: user, actions, form: PersonalForm::Opaque };
        let ci = TokenSpec::Ci { workspace: second, level: AccessLevel::ReadWrite, lane: Lane::main() };
        let mut tokens = Vec::new();
        for spec in [personal, ci] {
            let issued = gate.issue(&by, &spec, Description::default(), None, now()).await.expect("a token");
            tokens.push(issued.token.expose_secret().to_owned());
        }
        tokens
    });
    // The same version of the same path in both.
    let there = |rest: &str| format!("/f/acme/second/{rest}");
    let narinfo = format!("StorePath: {path}\nURL: nar/{HASH}.nar\nReferences: \n");
    for (rest, body) in [(format!("nar/{HASH}.nar"), "nar"), (format!("{HASH}.narinfo"), &narinfo)] {
        let put = ask(&host, "PUT", &format!("/acme/second/nix/{rest}"), &second[1], body.as_bytes());
        assert_eq!(put.status, 201, "{}", put.text());
    }
    for (place, writer, publisher) in [(F, &writer, &publisher), ("/f/acme/second", &second[1], &second[0])] {
        for version in ["1.0.0", "2.0.0"] {
            let at = format!("{place}/{version}");
            assert_eq!(ask(&host, "PUT", &at, writer, described(&path, None).as_bytes()).status, 201);
            let done = ask(&host, "POST", &at, publisher, b"");
            assert_eq!(done.status, 201, "{}", done.text());
        }
    }
    let device = resolve_only(&host, "1", true);
    let output = |requirement: &str| format!("{requirement}/output/{OUTPUT}?include_token=true");
    let inside = ask(&host, "GET", &format!("{F}/{}", output("1")), &device, b"");
    assert_eq!(inside.status, 200, "{}", inside.text());
    let nothing = ask(&host, "GET", &format!("/f/acme/none/{}", output("1")), &device, b"");
    for beyond in [format!("{F}/{}", output("2")), there(&output("1")), there(&output("2"))] {
        let answer = ask(&host, "GET", &beyond, &device, b"");
        assert_eq!(answer.status, 404, "{beyond}: {}", answer.text());
    }
    let elsewhere = ask(&host, "GET", &there(&output("1")), &device, b"");
    assert_eq!(stranger::whole(&elsewhere), stranger::whole(&nothing), "as if it were not there");
    assert_eq!(ask(&host, "GET", "/f/acme/second", &device, b"").text(), "{\"releases\":[]}");
    // What it obtained reads here, and the same path in the other cache it does not.
    let token = token_in(&inside);
    assert_eq!(looks(&host, "app", HASH, &token), [200, 200]);
    assert_eq!(looks(&host, "second", HASH, &token), [404, 403]);
    assert_eq!(looks(&host, "second", HASH, &second[1]), [200, 200], "the control");
}

#[test]
#[ignore = "needs nix: run by cargo xtask test"]
fn a_resolve_only_token_reads_by_a_closure_token_that_closure_and_nothing_else() {
    let (host, builder) = (Host::new(), Machine::new());
    let (writer, publisher) = (host.token(AccessLevel::ReadWrite, "main"), publisher(&host));
    let cache = format!("http://{}/acme/app/nix", host.address);
    let at = |rest: &str| format!("{F}/{rest}");
    let [inner, outer] = builder.add_pair("inside");
    let outside = builder.add("pkg", "outside");
    builder.log_in(&writer);
    let pushed = builder.push(&cache, &[&outer, &outside]);
    assert!(pushed.succeeded, "{}", pushed.printed);

    let archive = b"the source";
    let digest = sha256(archive);
    let wrong = ask(&host, "PUT", &at(&format!("source/{digest}")), &writer, b"another source");
    assert_eq!(wrong.status, 400, "a source archive is what its name says");
    assert_eq!(ask(&host, "PUT", &at(&format!("source/{digest}")), &writer, archive).status, 201);
    for (version, path) in [("1.4.0", &outer), ("2.0.0", &outside)] {
        let text = described(path, Some(&digest));
        assert_eq!(ask(&host, "PUT", &at(version), &writer, text.as_bytes()).status, 201);
        let done = ask(&host, "POST", &at(version), &publisher, b"");
        assert_eq!(done.status, 201, "{}", done.text());
    }

    let resolving = resolve_only(&host, "1", false);
    let output = |requirement: &str| at(&format!("{requirement}/output/{OUTPUT}"));
    for inside in ["1", "1.*", "=1.4.0", "*"] {
        let answer = ask(&host, "GET", &output(inside), &resolving, b"");
        assert!(answer.status == 200 && answer.text().contains(&outer), "{inside}: {}", answer.text());
    }
    for beyond in ["2", "=2.0.0", "%3E=1.5,%20%3C1.9"] {
        assert_eq!(ask(&host, "GET", &output(beyond), &resolving, b"").status, 404, "{beyond}");
    }
    let none = ask(&host, "GET", &(output("1") + "?include_token=true"), &resolving, b"");
    assert_eq!(none.status, 403);
    assert!(none.text().contains("closure = read"), "{}", none.text());
    let normal = host.device(DeviceAccess::Normal);
    assert_eq!(ask(&host, "GET", &at("1.tar.gz"), &resolving, b"").status, 403, "a source is read");
    let source = ask(&host, "GET", &at("1.tar.gz"), &normal, b"");
    assert_eq!((source.status, source.body.as_slice()), (200, &archive[..]));

    // It reads nothing itself, whatever it resolved.
    let machine = Machine::new();
    machine.log_in(&resolving);
    assert!(!machine.pull(&cache, &[&outer]).succeeded && !machine.path_info(&cache, &outer).succeeded);

    let reading = resolve_only(&host, "1", true);
    let answer = ask(&host, "GET", &(output("1") + "?include_token=true"), &reading, b"").text();
    let token = answer.split("\"token\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
    let machine = Machine::new();
    machine.log_in(token);
    let pulled = machine.pull(&cache, &[&outer]);
    assert!(pulled.succeeded, "{}", pulled.printed);
    assert_eq!(machine.content(&inner).as_deref(), Some("inside"));
    assert!(machine.content(&outer).is_some());
    assert!(!machine.path_info(&cache, &outside).succeeded && !machine.pull(&cache, &[&outside]).succeeded);
    let narinfo = |path: &str| {
        let hash = path.trim_start_matches("/nix/store/").split('-').next().expect("a hash").to_owned();
        format!("/acme/app/nix/{hash}.narinfo")
    };
    let nar = |path: &str| {
        let told = ask(&host, "GET", &narinfo(path), &writer, b"").text();
        let url = told.lines().find_map(|line| line.strip_prefix("URL: ")).expect("a URL").to_owned();
        format!("/acme/app/nix/{url}")
    };
    for (path, statuses) in [(&outer, [200, 200]), (&inner, [200, 200]), (&outside, [404, 403])] {
        let seen = [narinfo(path), nar(path)].map(|there| ask(&host, "GET", &there, token, b"").status);
        assert_eq!(seen, statuses, "{path}");
    }
    assert_eq!(ask(&host, "PUT", &nar(&outer), token, b"x").status, 403);
    assert_eq!(ask(&host, "GET", &at("1.tar.gz"), token, b"").status, 404, "it resolves no release");
    assert_eq!(ask(&host, "GET", &at(&format!("source/{digest}")), token, b"").status, 405);

    // It dies with the token that it came from.
    let parent = host.runtime.block_on(async {
        let credential = cachegate::Credential::parse(&reading, host.server.gate().brand()).expect("a token");
        let who = host.server.gate().authenticate(Some(&credential), now()).await.expect("believed");
        who.token_id().expect("an id")
    });
    let revoked = host.server.gate().revoke(&Authority::Operator, parent, Description::default(), now());
    host.runtime.block_on(revoked).expect("revoked");
    assert_eq!(ask(&host, "GET", &nar(&outer), token, b"").status, 401);
}
