//! turbo 2.11.11, unmodified, against the server. Started by `cargo xtask test`, which installs it.
//!
//! turbo's exit status says nothing of the cache, so each test looks at what turbo printed, at the bytes that the tasks
//! left, and at the server's own decisions.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[path = "support/client.rs"]
mod client;
#[expect(dead_code, reason = "turbo sends nothing without a token")]
#[path = "support/host.rs"]
mod host;
#[expect(dead_code, reason = "turbo itself sends nearly all")]
#[path = "support/http.rs"]
mod http;
#[path = "support/turbo.rs"]
mod turbo;

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use cache_server::now;
use cachegate::{Authority, PersonalForm, TokenSpec};
use cachegate_policy::WorkspaceSettings;
use cachegate_types::{AccessLevel, Action, Description, Lane, Resource, Role};
use host::Host;
use turbo::{Remote, Repository};

const READ: Action = Action::Read;
const WRITE: Action = Action::Write;
const ACME: (&str, &str) = ("TURBO_TEAM", "acme");

/// A token in the host's own organization, `acme`.
fn at<'a>(api: &'a str, token: &'a str) -> Remote<'a> {
    Remote { api, token, team: ACME, more: &[] }
}

fn count(decisions: &[(Action, &'static str)], wanted: (Action, &str)) -> usize {
    decisions.iter().filter(|decision| **decision == wanted).count()
}

#[test]
#[ignore = "needs turbo: run by cargo xtask test"]
fn what_one_token_stores_another_one_replays_with_the_clients_own_signature() {
    let (host, repository) = (Host::new(), Repository::signed());
    let url = host.url();
    let (writer, reader) =
        (host.token(AccessLevel::ReadWrite, "main"), host.token(AccessLevel::ReadOnly, "main"));
    let signing = [("TURBO_REMOTE_CACHE_SIGNATURE_KEY", "a key of at least thirty-two bytes, ours")];
    repository.poison("first");
    let first = repository.build(Remote { more: &signing, ..at(&url, &writer) });
    assert!(first.succeeded && first.was_all_miss(), "{}", first.printed);
    let decisions = host.decisions();
    assert_eq!(
        (count(&decisions, (READ, "allowed")), count(&decisions, (WRITE, "allowed")), decisions.len()),
        (3, 3, 6)
    );

    repository.poison("second");
    let second = repository.build(Remote { more: &signing, ..at(&url, &reader) });
    assert!(second.succeeded && second.was_all_hit(), "{}", second.printed);
    assert_eq!(second.output, "first");
    let events = host.recorder.take();
    let key = events.iter().find_map(|event| match &event.resource {
        Resource::Entry { key, .. } => Some(key.to_string()),
        _ => None,
    });
    let key = key.expect("an artifact");
    let hash = key.strip_prefix("turborepo:").expect("Turborepo's own keys");
    let bearer = format!("Bearer {reader}");
    let artifact =
        http::get(host.address, &format!("/v8/artifacts/{hash}?slug=acme"), &[("authorization", &bearer)]);
    let header = |name: &str| artifact.head.lines().find_map(|line| line.strip_prefix(name));
    // The base64 of 32 bytes. That it came back unchanged, turbo has just checked.
    assert_eq!(header("x-artifact-tag: ").map(str::len), Some(44), "{}", artifact.head);
    assert!(header("x-artifact-duration: ").is_some_and(|value| value.parse::<u64>().is_ok()));

    // The control: without the key that signed, turbo takes nothing, so the tag is what made the hits.
    let other = [("TURBO_REMOTE_CACHE_SIGNATURE_KEY", "another key of at least thirty-two bytes")];
    let third = repository.build(Remote { more: &other, ..at(&url, &reader) });
    assert!(third.succeeded && third.was_all_miss(), "{}", third.printed);
    assert_eq!(third.output, "second");
}

#[test]
#[ignore = "needs turbo: run by cargo xtask test"]
fn a_read_only_tokens_upload_is_refused_once_and_its_reads_hit() {
    let (host, repository) = (Host::new(), Repository::new());
    let url = host.url();
    let (writer, reader) =
        (host.token(AccessLevel::ReadWrite, "main"), host.token(AccessLevel::ReadOnly, "main"));
    let cold = repository.build(at(&url, &reader));
    assert!(cold.succeeded && cold.was_all_miss(), "{}", cold.printed);
    let decisions = host.decisions();
    assert!(cold.says("403"), "{}", cold.printed);
    assert_eq!(count(&decisions, (READ, "allowed")), 3, "reads stay on");
    let refused = count(&decisions, (WRITE, "action_not_granted"));
    assert!((1..3).contains(&refused), "after the first refusal uploads stop: {decisions:?}");

    assert!(repository.build(at(&url, &writer)).was_all_miss());
    repository.poison("second");
    let warm = repository.build(at(&url, &reader));
    assert!(warm.succeeded && warm.was_all_hit(), "{}", warm.printed);
    assert_eq!(warm.output, "clean");
    assert!(!warm.says("403"), "nothing to upload, nothing to warn of: {}", warm.printed);
}

#[test]
#[ignore = "needs turbo: run by cargo xtask test"]
fn a_token_of_one_team_reads_nothing_of_another_and_sees_no_difference_to_a_team_that_is_not() {
    let (host, repository) = (Host::new(), Repository::new());
    let url = host.url();
    let acme = host.token(AccessLevel::ReadWrite, "main");
    let (beta_id, beta) = host.runtime.block_on(async {
        let (gate, by) = (host.server.gate(), Authority::Operator);
        let name = || "beta".parse().expect("a name");
        let organization = gate.create_organization(&by, name(), now()).await.expect("an organization");
        let settings = WorkspaceSettings::default();
        let workspace =
            gate.create_workspace(&by, organization, name(), settings, now()).await.expect("a workspace");
        let spec = TokenSpec::Ci { workspace, level: AccessLevel::ReadWrite, lane: Lane::main() };
        let issued = gate.issue(&by, &spec, Description::default(), None, now()).await.expect("a token");
        (format!("team_{organization}"), issued.token.expose_secret().to_owned())
    });
    repository.poison("beta's");
    let stored = repository.build(Remote { team: ("TURBO_TEAM", "beta"), ..at(&url, &beta) });
    assert!(stored.succeeded && stored.was_all_miss(), "{}", stored.printed);
    host.decisions();

    repository.poison("acme's");
    let prefixed = format!("{url}/beta/beta");
    for (api, team) in [
        (&url, ("TURBO_TEAM", "beta")),
        (&url, ("TURBO_TEAMID", &*beta_id)),
        (&url, ("TURBO_TEAM", "nobody")),
        (&url, ("TURBO_TEAMID", "team_01890a5d-ac96-774b-bcce-b302099a8057")),
        (&prefixed, ("TURBO_TEAM", "beta")),
        (&prefixed, ACME),
    ] {
        let run = repository.build(Remote { team, ..at(api, &acme) });
        assert!(run.succeeded && run.was_all_miss(), "{team:?}: {}", run.printed);
        assert_eq!(run.output, "acme's");
        let decisions = host.decisions();
        assert!(
            !decisions.is_empty() && decisions.iter().all(|(_, code)| *code != "allowed"),
            "{decisions:?}"
        );
    }
    // The control: under its own name, by slug, by id and by path, the token has the cache.
    repository.poison("clean");
    let workspace = host.server.default_workspace();
    let found = host.runtime.block_on(host.server.storage().workspace(workspace)).expect("read");
    let acme_id = format!("team_{}", found.expect("a workspace").organization);
    assert!(repository.build(at(&url, &acme)).was_all_miss());
    for (api, team) in [(&url, ACME), (&url, ("TURBO_TEAMID", &*acme_id)), (&format!("{url}/acme/app"), ACME)]
    {
        let run = repository.build(Remote { team, ..at(api, &acme) });
        assert!(run.was_all_hit(), "{team:?}: {}", run.printed);
    }
}

#[test]
#[ignore = "needs turbo: run by cargo xtask test"]
fn a_revoked_token_is_named_at_the_start_and_the_build_goes_on() {
    let (host, repository) = (Host::new(), Repository::new());
    let url = host.url();
    let token = host.token(AccessLevel::ReadWrite, "main");
    assert!(repository.build(at(&url, &token)).succeeded);
    let warm = repository.build(at(&url, &token));
    assert!(warm.was_all_hit() && !warm.says("Authentication failed"), "the control: {}", warm.printed);
    let id = host.recorder.take().last().and_then(|event| event.token).expect("its id");
    let reason = "a test".parse().expect("a reason");
    host.runtime
        .block_on(host.server.gate().revoke(&Authority::Operator, id, reason, now()))
        .expect("revoked");
    let run = repository.build(at(&url, &token));
    assert!(run.succeeded && run.was_all_miss(), "{}", run.printed);
    assert!(run.says("Authentication failed"), "{}", run.printed);
    let events = host.recorder.take();
    assert!(
        matches!(events.first().map(|event| &event.resource), Some(Resource::Workspace(_))),
        "the status"
    );
    assert!(events.iter().all(|event| event.code == "revoked"), "{events:?}");
}

#[test]
#[ignore = "needs turbo: run by cargo xtask test"]
fn a_token_of_twelve_kilobytes_gets_a_clean_answer() {
    let (host, repository) = (Host::new(), Repository::new());
    let long = "x".repeat(12_000);
    let run = repository.build(at(&host.url(), &long));
    assert!(run.succeeded && run.was_all_miss(), "{}", run.printed);
    assert!(run.says("Authentication failed"), "{}", run.printed);
    assert!(!run.says(&long), "no token text");
}

/// CVE-2025-36852: the hashes are the same in all runs, the bytes are not.
fn creep(shared: bool) -> Vec<(&'static str, String)> {
    let (host, repository) = (Host::new(), Repository::new());
    let lane = |own: &'static str| if shared { "main" } else { own };
    let main = host.token(AccessLevel::ReadWrite, "main");
    let pull_42 = host.token(AccessLevel::ReadWrite, lane("pull/42"));
    let pull_43 = host.token(AccessLevel::ReadWrite, lane("pull/43"));
    let run = |token: &str, poison| {
        repository.poison(poison);
        let run = repository.build(at(&host.url(), token));
        assert!(run.succeeded, "{}", run.printed);
        run.output
    };
    vec![
        ("pull 42, with the poison", run(&pull_42, "evil")),
        ("main", run(&main, "clean")),
        ("pull 42 again", run(&pull_42, "clean")),
        ("pull 43", run(&pull_43, "clean")),
        ("main again", run(&main, "clean")),
    ]
}

#[test]
#[ignore = "needs turbo: run by cargo xtask test"]
fn with_one_shared_lane_main_replays_the_poison_of_a_pull_request() {
    // The control: without lanes the harm is real.
    let seen: Vec<_> = creep(true).into_iter().map(|(_, output)| output).collect();
    assert_eq!(seen, ["evil", "evil", "evil", "evil", "evil"]);
}

#[test]
#[ignore = "needs turbo: run by cargo xtask test"]
fn with_lanes_a_pull_request_poisons_neither_main_nor_another_pull_request() {
    assert_eq!(
        creep(false),
        [
            ("pull 42, with the poison", "evil".to_owned()),
            ("main", "clean".to_owned()),
            ("pull 42 again", "evil".to_owned()),
            ("pull 43", "clean".to_owned()),
            ("main again", "clean".to_owned()),
        ]
    );
}

#[test]
#[ignore = "needs turbo: run by cargo xtask test"]
fn a_dry_run_learns_what_is_there_and_a_preflight_is_answered() {
    let (host, repository) = (Host::new(), Repository::new());
    let url = host.url();
    let token = host.token(AccessLevel::ReadWrite, "main");
    let dry = || {
        let run = repository.turbo(&["--skip-infer", "run", "build", "--dry=json"], at(&url, &token));
        assert!(run.succeeded, "{}", run.printed);
        run.printed
    };
    assert_eq!(dry().matches(r#""status": "MISS""#).count(), 3);
    let preflight = Remote { more: &[("TURBO_PREFLIGHT", "true")], ..at(&url, &token) };
    let run = repository.build(preflight);
    assert!(run.succeeded && run.was_all_miss(), "{}", run.printed);
    let printed = dry();
    assert_eq!(printed.matches(r#""source": "REMOTE""#).count(), 3, "{printed}");
    assert!(!printed.contains(r#""timeSaved": 0"#), "how long the tasks took came back: {printed}");
    let run = repository.build(preflight);
    assert!(run.was_all_hit(), "{}", run.printed);
}

#[test]
#[ignore = "needs turbo: run by cargo xtask test"]
fn while_the_store_is_down_builds_go_on_without_the_cache() {
    let (host, repository) = (Host::new(), Repository::new());
    let url = host.url();
    let token = host.token(AccessLevel::ReadWrite, "main");
    repository.change("2");
    assert!(repository.build(at(&url, &token)).succeeded);
    host.decisions();
    host.faults.cut();
    host.clock.advance(Duration::from_secs(4));
    repository.poison("second");
    let run = repository.build(at(&url, &token));
    assert!(run.succeeded && run.was_all_miss(), "{}", run.printed);
    assert_eq!(run.output, "second");
    assert!(host.decisions().iter().all(|(_, code)| *code == "store_unavailable"));
}

/// A person's browser on this machine: as much of one as a login takes.
struct Browser<'h> {
    host: &'h Host,
    cookies: Vec<String>,
}

impl Browser<'_> {
    fn get(&mut self, path: &str) -> http::Answer {
        self.keep(|host, cookies| http::get(host.address, path, &[("cookie", cookies)]))
    }

    fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> http::Answer {
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let body = fields.join("&");
        self.keep(|host, cookies| {
            let headers = [("cookie", cookies), ("content-type", "application/x-www-form-urlencoded")];
            let head = http::head("POST", path, &headers, Some(body.len() as u64));
            http::send(host.address, &head, body.as_bytes())
        })
    }

    fn keep(&mut self, ask: impl FnOnce(&Host, &str) -> http::Answer) -> http::Answer {
        let answer = ask(self.host, &self.cookies.join("; "));
        for line in answer.head.lines().filter_map(|line| line.strip_prefix("set-cookie: ")) {
            let pair = line.split(';').next().unwrap_or_default();
            let name = pair.split('=').next().unwrap_or_default();
            self.cookies.retain(|held| !held.starts_with(&format!("{name}=")));
            self.cookies.push(pair.to_owned());
        }
        answer
    }
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}")).1;
    rest.split(after).next().unwrap_or_default()
}

fn form_token(page: &http::Answer) -> String {
    between(&page.text(), "name=\"form_token\" value=\"", "\"").to_owned()
}

fn location(answer: &http::Answer) -> &str {
    answer.head.lines().find_map(|line| line.strip_prefix("location: ")).expect("led elsewhere")
}

/// Sends what is typed into a browser's bar to a program on this machine, until that listens.
fn visit(address: std::net::SocketAddr, path: &str) -> http::Answer {
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::net::TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "turbo does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    http::get(address, path, &[])
}

#[test]
#[ignore = "needs turbo and python: run by cargo xtask test"]
fn a_person_logs_in_at_a_terminal_and_the_token_is_theirs() {
    let host = Host::configured(|config| config.issuer = Some("http://127.0.0.1:80".to_owned()));
    let actions = AccessLevel::ReadWrite.actions();
    let shown = host.runtime.block_on(async {
        let (gate, by) = (host.server.gate(), Authority::Operator);
        let user = gate.create_user(&by, "Mira".parse().expect("a name"), now()).await.expect("a person");
        let home = host.server.storage().workspace(host.server.default_workspace()).await.expect("read");
        let organization = home.expect("a workspace").organization;
        gate.set_member(&by, organization, user, Role::Member, now()).await.expect("a member");
        let spec = TokenSpec::Personal { owner: user, actions, form: PersonalForm::Opaque };
        let issued = gate.issue(&by, &spec, Description::default(), None, now()).await.expect("a token");
        issued.token.expose_secret().to_owned()
    });
    let (repository, url) = (Repository::new(), host.url());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/terminal.py");
    let mut terminal = repository.login(&script, &url);
    let mut said = String::new();
    let mut output = terminal.stdout.take().expect("what it says");
    let mut part = [0; 1024];
    let asked = loop {
        // A line that turbo breaks is one all the same.
        if let Some((_, rest)) = said.split_once("/turborepo/token?")
            && let Some((query, _)) =
                rest.split_once(|letter: char| letter.is_whitespace() || letter == '\u{1b}')
        {
            break query.to_owned();
        }
        let read = output.read(&mut part).expect("what it says");
        assert!(read > 0, "turbo has ended: {said}");
        said.push_str(&String::from_utf8_lossy(&part[..read]));
    };
    // The person's browser opens what turbo names, and they sign in with a token that they have.
    let mut browser = Browser { host: &host, cookies: Vec::new() };
    let page = format!("/turborepo/token?{asked}");
    let sign_in = browser.get(&page);
    let (form, back) = (
        location(&sign_in).to_owned(),
        location(&sign_in).split_once("return_to=").expect("it").1.to_owned(),
    );
    let token = form_token(&browser.get(&form));
    let entered = browser.post("/login", &[("form_token", &token), ("token", &shown), ("return_to", &back)]);
    assert_eq!(location(&entered), page);
    let confirm = browser.get(&page);
    assert!(confirm.text().contains("turbo login"), "{}", confirm.text());
    let fields: Vec<_> = asked.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let approve = [("form_token", &*form_token(&confirm)), ("decision", "approve")];
    let led = browser.post("/turborepo/token", &[&fields[..], &approve].concat());
    let place = location(&led).strip_prefix("http://").expect("the loopback").to_owned();
    let (address, path) = place.split_once('/').expect("a path");
    let terminal_is_at: std::net::SocketAddr = address.parse().expect("an address");
    let done = visit(terminal_is_at, &format!("/{path}"));
    assert!(done.status < 400, "{}", done.head);
    output.read_to_string(&mut said).expect("the rest");
    let status = terminal.wait().expect("its end");
    assert!(status.success(), "{said}");

    let kept = repository.kept_token();
    assert_eq!(kept.1 & 0o777, 0o600, "nobody else reads it");
    assert_ne!(kept.0, shown, "one of its own");
    assert!(said.contains("Mira"), "`/v2/user` said who it is: {said}");
    let ours = [("authorization", &*format!("Bearer {}", kept.0))];
    assert!(http::get(host.address, "/v2/user", &ours).text().contains("Mira"));
    assert_eq!(http::get(host.address, "/v2/user", &[]).status, 401);
    // A build by whoever is logged in, without a variable that holds a token.
    let run = repository.build_logged_in(&url);
    assert!(run.succeeded && run.was_all_miss(), "{}", run.printed);
    let run = repository.build_logged_in(&url);
    assert!(run.was_all_hit(), "{}", run.printed);
}
