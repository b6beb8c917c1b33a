//! GitHub says who belongs to the organization: its API plays on a port of the loopback, its webhooks are sent here.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use cache_server::{DirectoriesEntry, GithubEntry, now};
use cachegate::{Authority, PersonalForm, TokenSpec};
use cachegate_policy::WorkspaceSettings;
use cachegate_testkit::GithubStandIn;
use cachegate_types::{Action, ActionSet, OrganizationId, Role, UserId};

use crate::host::Host;
use crate::http::{Answer, get, head, put, send};

/// How long something may take that happens by itself.
const PATIENCE: Duration = Duration::from_secs(120);

/// The stand-in's API over HTTP.
fn listen(there: GithubStandIn) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    // It answers until the process ends.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut lines = BufReader::new(stream.try_clone().expect("the stream")).lines();
            let Some(Ok(request)) = lines.next() else { continue };
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let mut authorization = None;
            for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
                if let Some((name, value)) = line.split_once(": ")
                    && name.eq_ignore_ascii_case("authorization")
                {
                    authorization = Some(value.to_owned());
                }
            }
            let Ok(answer) = there.answer(&path, authorization.as_deref()) else { continue };
            let link = answer.header("link").map(|link| format!("link: {link}\r\n")).unwrap_or_default();
            let length = answer.body().len();
            let status = answer.status();
            let head =
                format!("HTTP/1.1 {status} x\r\n{link}content-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(answer.body()));
        }
    });
    address
}

/// A server whose organization `acme` follows the stand-in.
struct World {
    host: Host,
    there: GithubStandIn,
    _secrets: tempfile::TempDir,
}

impl World {
    fn new(people: &[u64]) -> Self {
        let there = GithubStandIn::new(38_302_899, 2);
        for person in people {
            there.join(*person, &format!("p{person}"));
        }
        let api = listen(there.clone());
        let secrets = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = secrets.path().join(name);
            std::fs::write(&path, format!("{text}\n")).expect("written");
            path
        };
        let entry = GithubEntry {
            webhook_secret_file: Some(file("webhook", GithubStandIn::SECRET)),
            token_file: Some(file("token", GithubStandIn::TOKEN)),
            ..entry(38_302_899)
        };
        let host = Host::configured(|config| {
            config.directories = DirectoriesEntry {
                github: vec![entry],
                github_every: Some(1),
                github_web: Some("https://github.com".to_owned()),
                github_api: Some(format!("http://{api}")),
                ..DirectoriesEntry::default()
            };
        });
        Self { host, there, _secrets: secrets }
    }

    fn organization(&self) -> OrganizationId {
        let acme = "acme".parse().expect("a name");
        let found = self.host.runtime.block_on(self.host.server.storage().organization_by_name(&acme));
        found.expect("the store").expect("the organization").id
    }

    /// The members whom GitHub brought, by their names there.
    fn members(&self) -> Vec<(String, UserId)> {
        let gate = self.host.server.gate();
        let page = gate.members(&Authority::Operator, self.organization(), None, 100, now());
        let page = self.host.runtime.block_on(page).expect("the members").items;
        let mut members: Vec<_> =
            page.into_iter().map(|view| (view.person.display.to_string(), view.person.id)).collect();
        members.retain(|(name, _)| name.starts_with('p'));
        members.sort();
        members
    }

    /// Waits until these are the members whom GitHub brought.
    fn wait_for(&self, names: &[&str]) {
        let begun = Instant::now();
        while !self.members().iter().map(|(name, _)| name).eq(names) {
            assert!(begun.elapsed() < PATIENCE, "{:?} instead of {names:?}", self.members());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn user(&self, name: &str) -> UserId {
        let members = self.members();
        members.iter().find(|(found, _)| found == name).expect("a member").1
    }

    fn token(&self, owner: UserId) -> String {
        let spec = TokenSpec::Personal { owner, actions: ActionSet::ALL, form: PersonalForm::Opaque };
        let issued = self.host.server.gate().issue(
            &Authority::Operator,
            &spec,
            "".parse().expect("none"),
            None,
            now(),
        );
        self.host.runtime.block_on(issued).expect("a token").token.expose_secret().to_owned()
    }

    fn deliver(&self, id: &str, event: &str, body: &str) -> Answer {
        let signature = GithubStandIn::signature(GithubStandIn::SECRET, body.as_bytes());
        self.post(
            &[
                ("content-type", "application/json"),
                ("x-github-event", event),
                ("x-github-delivery", id),
                ("x-hub-signature-256", &signature),
            ],
            body,
        )
    }

    fn post(&self, headers: &[(&str, &str)], body: &str) -> Answer {
        let head = head("POST", "/hooks/github", headers, Some(body.len() as u64));
        send(self.host.address, &head, body.as_bytes())
    }
}

fn entry(id: u64) -> GithubEntry {
    GithubEntry {
        id,
        organization: None,
        webhook_secret_file: None,
        webhook_secret_env: None,
        former_webhook_secret_file: None,
        former_webhook_secret_env: None,
        token_file: None,
        token_env: None,
        app_client_id: None,
        app_installation: None,
        app_key_file: None,
        app_key_env: None,
    }
}

fn code(answer: &Answer) -> String {
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    body.get("code").and_then(serde_json::Value::as_str).expect("a code").to_owned()
}

#[test]
fn whoever_is_removed_while_a_build_runs_is_refused_with_the_next_request_and_keeps_the_rest() {
    let world = World::new(&[7, 8, 9]);
    world.wait_for(&["p7", "p8", "p9"]);
    let user = world.user("p7");
    let gate = world.host.server.gate();
    let operator = Authority::Operator;
    // Somewhere else they belong too.
    world.host.runtime.block_on(async {
        let name: cachegate_types::Name = "other".parse().expect("a name");
        let other = gate.create_organization(&operator, name.clone(), now()).await.expect("an organization");
        let settings = WorkspaceSettings::default();
        gate.create_workspace(&operator, other, name, settings, now()).await.expect("a workspace");
        gate.set_member(&operator, other, user, Role::Member, now()).await.expect("a member");
    });
    let token = world.token(user);
    let bearer = format!("Bearer {token}");
    let with: &[(&str, &str)] = &[("authorization", &bearer)];
    let (here, elsewhere) = ("/acme/app/ccache/7f3a", "/other/other/ccache/7f3a");
    for path in [here, elsewhere] {
        assert_eq!(put(world.host.address, path, with, b"object").status, 201);
        assert_eq!(get(world.host.address, path, with).status, 200);
    }

    world.there.leave(7);
    let gone = world.deliver("d1", "organization", &world.there.member_payload("member_removed", 7));
    assert_eq!((gone.status, code(&gone).as_str()), (200, "ended"));
    world.host.recorder.take();
    let refused = get(world.host.address, here, with);
    assert_eq!(refused.status, 403, "{refused:?}");
    let decided: Vec<_> = world.host.recorder.take().iter().map(|event| (event.action, event.code)).collect();
    assert_eq!(decided, [(Action::Read, "not_a_member")]);
    assert_eq!(put(world.host.address, "/acme/app/ccache/1", with, b"x").status, 403);
    assert_eq!(get(world.host.address, elsewhere, with).status, 200, "their other organization");
    // An administrator asks why.
    let id = refused.head.lines().find_map(|line| line.strip_prefix("cachegate-decision: ")).expect("an id");
    let organization = world.organization();
    let owner = world.host.runtime.block_on(async {
        let page = gate.members(&operator, organization, None, 100, now()).await.expect("members");
        let owner = page.items.into_iter().find(|view| view.membership.member.role == Role::Owner);
        owner.expect("an owner").person.id
    });
    let administrator = format!("Bearer {}", world.token(owner));
    let told =
        get(world.host.address, &format!("/api/v1/decisions/{id}"), &[("authorization", &administrator)]);
    assert!(told.text().contains("no member of the organization"), "{}", told.text());

    world.there.join(7, "p7");
    let back = world.deliver("d2", "organization", &world.there.member_payload("member_added", 7));
    assert_eq!((back.status, code(&back).as_str()), (202, "asks"));
    world.wait_for(&["p7", "p8", "p9"]);
    assert_eq!(world.user("p7"), user, "the same person");
    assert_eq!(get(world.host.address, here, with).status, 403, "the old token stays dead");
    assert_eq!(get(world.host.address, elsewhere, with).status, 200);
    let bearer = format!("Bearer {}", world.token(user));
    assert_eq!(get(world.host.address, here, &[("authorization", &bearer)]).status, 200, "a new one lives");
}

#[test]
fn a_removal_that_no_webhook_told_of_is_found_and_while_github_is_down_everybody_stays() {
    let world = World::new(&[7, 8]);
    world.wait_for(&["p7", "p8"]);
    world.there.before(|_, _| Some(Ok(cachegate_fetch::Response::new(502, "<html>"))));
    world.there.leave(7);
    world.there.join(9, "p9");
    world.there.asked();
    let begun = Instant::now();
    while world.there.asked().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "GitHub is asked again");
        std::thread::sleep(Duration::from_millis(20));
    }
    world.wait_for(&["p7", "p8"]);
    world.there.mend();
    // So that the next look comes soon.
    world.deliver("d1", "organization", &world.there.member_payload("member_added", 9));
    world.wait_for(&["p8", "p9"]);
}

#[test]
fn a_delivery_is_refused_with_the_status_that_says_why() {
    let world = World::new(&[7]);
    world.wait_for(&["p7"]);
    let body = world.there.member_payload("member_removed", 7);
    let right = GithubStandIn::signature(GithubStandIn::SECRET, body.as_bytes());
    let wrong = GithubStandIn::signature(GithubStandIn::SECRET, b"another body");
    let headers = |more: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("x-github-event", "organization".to_owned()),
            ("x-github-delivery", "d1".to_owned()),
        ];
        headers.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        headers
    };
    let post = |headers: Vec<(&'static str, String)>, body: &str| {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = world.post(&headers, body);
        (answer.status, code(&answer))
    };
    let is = |status: u16, code: &str| (status, code.to_owned());
    let sha1 = "sha1=126f2c800419c60137ce748d7672e77b65cf16d6";
    assert_eq!(post(headers(&[]), &body), is(401, "delivery_unsigned"));
    assert_eq!(post(headers(&[("x-hub-signature", sha1)]), &body), is(401, "delivery_unsigned"));
    assert_eq!(post(headers(&[("x-hub-signature-256", &wrong)]), &body), is(401, "delivery_wrong_signature"));
    let twice = [("x-hub-signature-256", wrong.as_str()), ("x-hub-signature-256", right.as_str())];
    assert_eq!(post(headers(&twice), &body), is(401, "delivery_unsigned"));
    let other = GithubStandIn::new(1, 2).member_payload("member_removed", 7);
    let signed = GithubStandIn::signature(GithubStandIn::SECRET, other.as_bytes());
    let delivered = post(headers(&[("x-hub-signature-256", &signed)]), &other);
    assert_eq!(delivered, is(403, "delivery_other_organization"));
    let signed = GithubStandIn::signature(GithubStandIn::SECRET, b"{}");
    assert_eq!(post(headers(&[("x-hub-signature-256", &signed)]), "{}"), is(400, "delivery_malformed"));
    let form = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
    assert_eq!(post(form, "payload=%7B%7D"), is(415, "delivery_not_json"));
    let large = " ".repeat(1024 * 1024 + 1);
    assert_eq!(post(headers(&[("x-hub-signature-256", &right)]), &large), is(413, "delivery_too_large"));
    let asked = get(world.host.address, "/hooks/github", &[]);
    assert_eq!((asked.status, asked.has_header("allow: POST")), (405, true));
    let ping = r#"{"zen":"Keep it logically awesome.","hook_id":1}"#;
    let pong = world.deliver("d2", "ping", ping);
    assert_eq!((pong.status, code(&pong).as_str()), (200, "pong"));
    world.wait_for(&["p7"]);
    // And the right one, in the end.
    world.there.join(8, "p8");
    world.there.leave(7);
    assert_eq!(post(headers(&[("x-hub-signature-256", &right)]), &body), is(200, "ended"));
    assert_eq!(post(headers(&[("x-hub-signature-256", &right)]), &body), is(200, "repeated"));
}

#[test]
fn without_github_in_the_configuration_there_is_no_webhook() {
    let host = Host::new();
    let answer = send(host.address, &head("POST", "/hooks/github", &[], Some(0)), b"");
    assert_eq!(answer.status, 404);
}

#[test]
fn a_configuration_that_lacks_a_secret_or_a_token_is_refused_with_what_to_do() {
    let complaint = |entry: GithubEntry| {
        let data = tempfile::tempdir().expect("a folder");
        let text = configuration(&entry);
        let path = data.path().join("server.toml");
        std::fs::write(&path, text).expect("written");
        run(data.path(), &path)
    };
    let said = complaint(entry(38_302_899));
    assert!(said.contains("`webhook_secret_file` or `webhook_secret_env`"), "{said}");
    let short = GithubEntry { webhook_secret_env: Some("PATH_OF_NOTHING".to_owned()), ..entry(1) };
    let said = complaint(short);
    assert!(said.contains("`PATH_OF_NOTHING` (`webhook_secret_env`) is not set"), "{said}");
    assert!(!said.contains("panicked") && said.lines().count() == 1, "{said}");
}

fn configuration(entry: &GithubEntry) -> String {
    let variable = entry.webhook_secret_env.as_ref().map(|name| format!("webhook_secret_env = \"{name}\"\n"));
    format!("[[directories.github]]\nid = {}\n{}", entry.id, variable.unwrap_or_default())
}

/// What the program says when it is started with this configuration.
fn run(data: &Path, configuration: &Path) -> String {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_cache-server"))
        .args(["--listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .arg("--config")
        .arg(configuration)
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).expect("text")
}
