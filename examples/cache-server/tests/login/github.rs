//! GitHub on a port of the loopback, by its documented answers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use cache_server::{ProviderEntry, ProviderKind};
use cachegate_fetch::{Request, Url};
use cachegate_types::SecretText;

use crate::browser::{Browser, SESSION, user_of};
use crate::github_site::{CLIENT, Github, Person, SECRET, ada};
use crate::host::Host;

/// What is wrong with it at present.
const WELL: u8 = 0;
const DOWN: u8 = 1;
const GARBAGE: u8 = 2;

struct Hub {
    site: Github,
    state: AtomicU8,
}

/// A server that people sign in to by it.
struct World {
    host: Host,
    hub: Arc<Hub>,
    _secret: tempfile::TempDir,
}

fn world(organizations: &[u64]) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).expect("written");
    let (web, api) = (format!("http://{address}"), format!("http://{address}/api/v3"));
    let mut base = String::new();
    let host = Host::configured(|config| {
        base = format!("http://{}", config.listen);
        config.issuer = Some(base.clone());
        config.login.providers.push(ProviderEntry {
            name: "github".parse().expect("a name"),
            kind: ProviderKind::Github,
            client_id: CLIENT.to_owned(),
            client_secret_file: Some(file),
            client_secret_env: None,
            tenant: None,
            issuer: None,
            groups: Vec::new(),
            scopes: Vec::new(),
            organizations: organizations.to_vec(),
            device_flow: true,
            web: Some(web.clone()),
            api: Some(api.clone()),
        });
    });
    let hub = Arc::new(Hub { site: Github::new(&web, &api, &base), state: AtomicU8::new(WELL) });
    let shared = Arc::clone(&hub);
    // It ends with the test program.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = answer(&shared, stream, address);
        }
    });
    World { host, hub, _secret: folder }
}

/// One request of a connection.
fn answer(hub: &Hub, mut stream: TcpStream, address: SocketAddr) -> std::io::Result<()> {
    let mut input = BufReader::new(stream.try_clone()?);
    let (mut first, mut headers, mut length) = (String::new(), Vec::new(), 0);
    input.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let (name, value) = line.trim().split_once(": ").expect("a header");
        match &*name.to_ascii_lowercase() {
            "content-length" => length = value.parse().expect("a length"),
            "authorization" => headers.push(("authorization", value.to_owned())),
            "accept" => headers.push(("accept", value.to_owned())),
            "user-agent" => headers.push(("user-agent", value.to_owned())),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    let path = first.split(' ').nth(1).expect("a path");
    let url =
        Url::dangerous_parse_with_loopback_http(&format!("http://{address}{path}")).expect("an address");
    let mut request = match first.starts_with("POST ") {
        true => Request::post(url, "", SecretText::new(String::from_utf8(body).expect("text"))),
        false => Request::get(url),
    };
    for (name, value) in headers {
        request = request.with_header(name, SecretText::new(value));
    }
    let (status, body) = match (hub.state.load(Ordering::SeqCst), hub.site.answer(&request)) {
        (DOWN, _) => return Ok(()),
        (GARBAGE, _) => (200, b"<html>Sign in to the network</html>".to_vec()),
        (_, Some(answer)) => (answer.status(), answer.body().to_vec()),
        (_, None) => (404, b"{}".to_vec()),
    };
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(&[head.into_bytes(), body].concat())
}

impl World {
    fn browser(&self) -> Browser {
        Browser::at(self.host.address)
    }

    fn sign_in(&self, browser: &mut Browser, person: &Person) -> String {
        browser.sign_in("github", |location| self.hub.site.authorize(location, person))
    }
}

#[test]
fn a_person_signs_in_by_github_approves_a_terminal_and_signs_out() {
    let world = world(&[]);
    let mut browser = world.browser();
    assert!(browser.get("/login").text().contains("href=\"/login/github\""));
    assert_eq!(world.sign_in(&mut browser, &ada()), "303");
    assert_eq!(browser.name().as_deref(), Some("ada"));
    let person = browser.approve_a_terminal();
    let kept = browser.jar.clone();
    browser.sign_out();
    assert_eq!((browser.name(), browser.jar.contains_key(SESSION)), (None, false));
    browser.jar = kept;
    assert_eq!(browser.name(), None, "the session has ended, and is not merely forgotten");
    assert_eq!(world.sign_in(&mut browser, &Person { login: "countess", ..ada() }), "303");
    assert_eq!(browser.approve_a_terminal(), person, "a renamed account stays");
    assert_eq!(world.sign_in(&mut browser, &Person { id: 9_000_001, ..ada() }), "303");
    assert_ne!(browser.approve_a_terminal(), person, "a name that was registered again is somebody else");
}

#[test]
fn a_terminal_signs_in_by_githubs_device_flow() {
    let world = world(&[]);
    let mut terminal = world.browser();
    let begun = terminal.post("/login/github/device", &[]);
    let (device, user) = (begun.text_of("device_code"), begun.text_of("user_code"));
    let ask = [("device_code", &*device)];
    assert_eq!(terminal.post("/login/github/device/token", &ask).text_of("error"), "authorization_pending");
    world.hub.site.approve(&user, &ada());
    let session = terminal.post("/login/github/device/token", &ask).text_of("access_token");
    let mut browser = world.browser();
    assert_eq!(world.sign_in(&mut browser, &ada()), "303");
    assert_eq!(user_of(world.host.address, &session), browser.approve_a_terminal(), "the same person");
}

#[test]
fn members_of_the_configured_organization_alone_sign_in() {
    for (organization, told) in [(9_919, "303"), (77, "403 login_not_admitted")] {
        let world = world(&[organization]);
        assert_eq!(world.sign_in(&mut world.browser(), &ada()), told);
    }
    let world = world(&[9_919]);
    *world.hub.site.hides_organizations.lock().expect("whole") = true;
    assert_eq!(world.sign_in(&mut world.browser(), &ada()), "403 login_groups_unknown");
}

#[test]
fn while_github_fails_nobody_gets_in_and_nobody_is_locked_out() {
    let world = world(&[]);
    let (mut inside, mut outside) = (world.browser(), world.browser());
    assert_eq!(world.sign_in(&mut inside, &ada()), "303");
    for state in [DOWN, GARBAGE] {
        world.hub.state.store(state, Ordering::SeqCst);
        let told = world.sign_in(&mut outside, &ada());
        assert!(told.starts_with("503 login_provider_"), "{told}");
        assert_eq!(outside.name(), None);
        assert_eq!(inside.name().as_deref(), Some("ada"));
    }
    world.hub.state.store(WELL, Ordering::SeqCst);
    assert_eq!(world.sign_in(&mut outside, &ada()), "303");
}

#[test]
fn a_store_that_does_not_answer_lets_nobody_in() {
    let world = world(&[]);
    let (mut inside, mut outside) = (world.browser(), world.browser());
    assert_eq!(world.sign_in(&mut inside, &ada()), "303");
    world.host.faults.cut();
    assert!(world.sign_in(&mut outside, &ada()).starts_with("503 "));
    assert_eq!(inside.get("/login").status, 503);
    world.host.faults.mend();
    assert_eq!((inside.name().as_deref(), outside.name()), (Some("ada"), None));
}
