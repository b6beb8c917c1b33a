//! What was written is read back by others: two Rust crates at every run, and curl, git, Nix and Python where they are
//! installed, started by `cargo xtask test`.

#![expect(clippy::expect_used, reason = "tests")]
#![cfg(unix)]

#[path = "support/rows.rs"]
mod rows;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cachegate_client::{Netrc, NetrcFile, Replace};
use cachegate_token::Brand;
use cachegate_types::SecretText;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rows::{AGREED, PASSWORDS};
use tempfile::TempDir;

const HOST: &str = "127.0.0.1";

/// Files to log in on, all without what makes some reader refuse the whole file.
const BEFORE: &[&str] = &[
    "",
    "# mine\nmachine a.example login b password c\n",
    "machine a.example login b password c",
    "machine 127.0.0.1 login cachegate password cg1_old\n",
    "machine 127.0.0.1\n  login cachegate\n  password cg1_old\n\nmachine a.example login b password c\n",
    "machine 127.0.0.1\r\n  login cachegate\r\n  password cg1_old\r\n",
    "machine 127.0.0.1 password cg1_old\nmachine a.example login b password c\n",
    "machine 127.0.0.1 login bob password hunter2\nmachine 127.0.0.1 login eve password hunter3\n",
    "default login d password e\n",
    "default login d password e\nmachine 127.0.0.1 login cachegate password cg1_old\n",
    "machine a.example login b password machine\nmachine 127.0.0.1 login cachegate password cg1_old\n",
    "machine a.example login macdef password default\n",
    "macdef init\nput x\n\nmachine 127.0.0.1 login cachegate password cg1_old\n",
    "machine 127.0.0.1 login cachegate password \"cg1 old\"\n",
    "machine 127.0.0.1 login cachegate password cg1_old # login x password y\n",
    "machine 127.0.0.1 login x login cachegate password cg1_old\n",
    "MACHINE 127.0.0.1 LOGIN cachegate PASSWORD cg1_old\n",
    "machine \"127.0.0.1\" login cachegate password cg1_old\n",
    "machine 127.0.0.1 login a\\b password #c\n",
    "machine 127.0.0.1 account login login cachegate password cg1_old\n",
];

/// A file, and what is read from it for [`HOST`]: `login:password`, or `nobody`.
struct Case {
    text: String,
    answer: String,
}

/// Everything that a reader must read as we do: each file after a login, tokens of every allowed character up to the
/// longest, and the rows on which all readers were seen to agree.
fn cases() -> Vec<Case> {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("netrc");
    let longest = format!("cg1_{}", "aZ09._~+/=-".repeat(279));
    let mut cases = Vec::new();
    for before in BEFORE {
        for token in ["cg1_aaaa.bbbb-cc_dd", &longest] {
            fs::write(&path, before).expect("written");
            NetrcFile::new(&path, Brand::default())
                .set(&HOST.parse().expect("a host"), &SecretText::new(token.to_owned()), Replace::Any)
                .expect("logged in");
            let text = fs::read_to_string(&path).expect("read");
            cases.push(Case { text, answer: format!("cachegate:{token}") });
        }
    }
    let at_host = |text: &str| {
        let text = text.replace("machine h", &format!("machine {HOST}"));
        text.replace("machine\th", &format!("machine\t{HOST}"))
    };
    for text in AGREED {
        cases.push(Case { text: at_host(text), answer: "l:p".to_owned() });
    }
    for password in PASSWORDS {
        let text = at_host(&format!("machine h login l password {password}\n"));
        cases.push(Case { text, answer: format!("l:{password}") });
    }
    for case in &cases {
        assert_eq!(Case::of(&case.text).answer, case.answer, "{:.400}", case.text);
    }
    cases.extend(untouched(200));
    cases
}

/// Files put together by chance, in which the doctor finds nothing: whatever they hold, all must read alike.
fn untouched(count: usize) -> Vec<Case> {
    let words = select(vec![
        "machine 127.0.0.1",
        "machine a.example",
        "machine b.example",
        "default",
        "login",
        "password",
        "account",
        "macdef",
        "l",
        "p1",
        "p#2",
        "'p",
        "p\"",
        "cg1_a.b-c",
        "#",
        "# c",
        "#c",
        "\"q q\"",
        "a\\b",
        "Machine",
        "machine",
        "x",
    ]);
    let gap = select(vec![" ", " ", " ", "\n", "\n", "\t", "\r\n", "\n\n", "  "]);
    let entry = (
        select(vec!["machine 127.0.0.1", "machine a.example", "machine b.example", "default"]),
        gap.clone(),
        select(vec!["l", "m.n", "default", "#l", "k:m"]),
        select(vec!["p", "p#q", "'p'", "a\\b", "\"p\"", "machine", "cg1_a.b~c"]),
        any::<bool>(),
        select(vec![
            "\n",
            " ",
            "\r\n",
            "\n\n",
            " # c\n",
            "\n# c\n",
            "\nmacdef m\nx\n\n",
            "\nmacdef m\nx\n \n",
            " account z\n",
        ]),
    )
        .prop_map(|(name, gap, login, password, turned, end)| match turned {
            false => format!("{name}{gap}login {login}{gap}password {password}{end}"),
            true => format!("{name}{gap}password {password}{gap}login {login}{end}"),
        });
    let soup = (words, gap).prop_map(|(word, gap)| format!("{word}{gap}"));
    let piece = prop_oneof![6 => entry, 1 => soup];
    let files = proptest::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat());
    // The same files each time: a reader that differs is found by whoever changes the doctor, not by chance.
    let mut runner = TestRunner::deterministic();
    let mut cases = Vec::new();
    while cases.len() < count {
        let text = files.new_tree(&mut runner).expect("a file").current();
        if Netrc::parse(text.as_bytes()).findings().is_empty() {
            cases.push(Case::of(&text));
        }
    }
    assert!(cases.iter().filter(|case| case.answer != "nobody").count() > count / 3);
    cases
}

/// Holds every case to what a reader says of the file at this path: `login:password`.
fn all_read_alike(reader: &str, cases: &[Case], mut read: impl FnMut(&Path) -> String) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("netrc");
    for case in cases {
        fs::write(&path, &case.text).expect("written");
        case.is_read_as(reader, &read(&path));
    }
}

/// The same, for a Python script that is given every file at once and ends each answer with a NUL.
fn all_read_alike_by_python(reader: &str, script: &str, more: &[&str], python: &OsStr) {
    let cases = cases();
    let folder = TempDir::new().expect("a folder");
    let mut command = Command::new(python);
    command.args(["-c", script]).args(more);
    for (index, case) in cases.iter().enumerate() {
        let path = folder.path().join(index.to_string());
        fs::write(&path, &case.text).expect("written");
        command.arg(path);
    }
    let printed = output(&mut command);
    let answers: Vec<&str> = printed.split_terminator('\0').collect();
    assert_eq!(answers.len(), cases.len());
    for (case, answer) in cases.iter().zip(answers) {
        case.is_read_as(reader, answer);
    }
}

impl Case {
    /// The file with what we read from it.
    fn of(text: &str) -> Self {
        let login = Netrc::parse(text.as_bytes()).login(HOST).expect("parses");
        let answer = login.map(|login| format!("{}:{}", login.login(), login.password().expose_secret()));
        Self { text: text.to_owned(), answer: answer.unwrap_or_else(|| "nobody".to_owned()) }
    }

    fn is_read_as(&self, reader: &str, answer: &str) {
        assert_eq!(answer, self.answer, "{reader}:\n{:.400}", self.text);
    }
}

#[test]
fn rust_netrc_reads_the_same() {
    all_read_alike("rust-netrc", &cases(), |path| {
        let netrc = netrc::Netrc::from_file(path).expect("a file that it reads");
        let found = netrc.hosts.get(HOST).or_else(|| netrc.hosts.get("default"));
        found.map_or_else(|| "nobody".to_owned(), |found| format!("{}:{}", found.login, found.password))
    });
}

#[test]
fn netrc_rs_reads_the_same_where_there_are_no_comments() {
    let mut cases = cases();
    // It takes a comment for an error.
    cases.retain(|case| !case.text.split_whitespace().any(|word| word.starts_with('#')));
    assert!(cases.len() > 40);
    all_read_alike("netrc-rs", &cases, |path| {
        let text = fs::read_to_string(path).expect("read");
        let netrc = netrc_rs::Netrc::parse(&text, false).expect("a file that it reads");
        let named = netrc.machines.iter().find(|machine| machine.name.as_deref() == Some(HOST));
        let found = named.or_else(|| netrc.machines.iter().find(|machine| machine.name.is_none()));
        let Some(machine) = found else { return "nobody".to_owned() };
        let said = |value: &Option<String>| value.clone().unwrap_or_default();
        format!("{}:{}", said(&machine.login), said(&machine.password))
    });
}

#[test]
#[ignore = "needs python: run by cargo xtask test"]
fn python_reads_the_same() {
    let script = "import netrc, sys\nfor path in sys.argv[1:]:\n \
                  found = netrc.netrc(path).authenticators('127.0.0.1')\n \
                  sys.stdout.write((found[0] + ':' + found[2] if found else 'nobody') + chr(0))";
    all_read_alike_by_python("Python", script, &[], OsStr::new("python3"));
}

#[test]
#[ignore = "needs python: run by cargo xtask test"]
fn python_reads_a_file_in_its_usual_place_which_it_does_not_where_others_may_read_it() {
    let home = TempDir::new().expect("a folder");
    let path = home.path().join(".netrc");
    // One that everybody may read, as many have it.
    fs::write(&path, "").expect("written");
    let token = SecretText::new("cg1_a".to_owned());
    let netrc = NetrcFile::new(&path, Brand::default());
    netrc.set(&HOST.parse().expect("a host"), &token, Replace::Own).expect("logged in");
    let script = "import netrc, sys; sys.stdout.write(netrc.netrc().authenticators('127.0.0.1')[2])";
    assert_eq!(output(Command::new("python3").args(["-c", script]).env("HOME", home.path())), "cg1_a");
}

#[test]
#[ignore = "needs curl: run by cargo xtask test"]
fn curl_reads_the_same() {
    let server = Server::start();
    let url = format!("http://{}/", server.address);
    all_read_alike("curl", &cases(), |path| {
        output(Command::new("curl").args(["-sS", "--max-time", "20", &url, "--netrc-file"]).arg(path))
    });
}

#[test]
#[ignore = "needs pycurl: run by cargo xtask test"]
fn the_newest_curl_reads_the_same() {
    let server = Server::start();
    let url = format!("http://{}/", server.address);
    let python = std::env::var_os("CACHEGATE_PYCURL").expect("CACHEGATE_PYCURL: run by `cargo xtask test`");
    let script = "import pycurl, sys\nfor path in sys.argv[2:]:\n c = pycurl.Curl()\n \
                  c.setopt(c.URL, sys.argv[1])\n c.setopt(c.NETRC, c.NETRC_OPTIONAL)\n \
                  c.setopt(c.NETRC_FILE, path)\n sys.stdout.write(c.perform_rs() + chr(0))";
    all_read_alike_by_python("libcurl", script, &[&url], &python);
}

#[test]
#[ignore = "needs git: run by cargo xtask test"]
fn git_reads_the_same() {
    let server = Server::start();
    let home = TempDir::new().expect("a folder");
    all_read_alike("git", &cases(), |path| {
        fs::copy(path, home.path().join(".netrc")).expect("copied");
        let mut command = Command::new("git");
        command.args(["ls-remote", &format!("http://{}/r.git", server.address)]).current_dir(home.path());
        command.env("HOME", home.path()).env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_NOSYSTEM", "1");
        // It finds no repository behind the login, and fails.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("git");
        server.last()
    });
}

#[test]
#[ignore = "needs nix: run by cargo xtask test"]
fn nix_reads_the_same() {
    let server = Server::start();
    let home = TempDir::new().expect("a folder");
    let store = format!("http://{}", server.address);
    fs::write(
        home.path().join("nix.conf"),
        "experimental-features = nix-command\nbuild-users-group =\nsubstituters =\n",
    )
    .expect("written");
    all_read_alike("Nix", &cases(), |path| {
        // It remembers on disk what a cache said.
        let cache: PathBuf = home.path().join(".cache");
        let _ = fs::remove_dir_all(cache);
        let mut command = Command::new("nix");
        command.args(["store", "ping", "--store", &store, "--option", "netrc-file"]).arg(path);
        command.env("HOME", home.path()).env("NIX_CONF_DIR", home.path());
        command.env("NIX_STATE_DIR", home.path().join("state")).env("NIX_LOG_DIR", home.path().join("log"));
        command.env_remove("XDG_CACHE_HOME").env_remove("NIX_REMOTE");
        // Without a login it fails.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("nix");
        server.last()
    });
}

/// What a command prints; it must end well.
fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("a command");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// An HTTP server that asks for a login and writes down who came.
struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Option<String>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind((HOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let seen: Arc<Mutex<Option<String>>> = Arc::default();
        let held = Arc::clone(&seen);
        // It ends with the test program.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let held = Arc::clone(&held);
                std::thread::spawn(move || serve(&stream, &held));
            }
        });
        Self { address, seen }
    }

    /// Who came last with a login, since the last question.
    fn last(&self) -> String {
        self.seen.lock().expect("a lock").take().unwrap_or_else(|| "nobody".to_owned())
    }
}

/// Answers one request, with the login as the body but where Nix asks, and closes the connection.
fn serve(mut stream: &TcpStream, seen: &Mutex<Option<String>>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let basic = head.iter().find_map(|line| line.split_once(": Basic ")).map(|(_, value)| value.to_owned());
    let nix = head.first().is_some_and(|line| line.contains("nix-cache-info"));
    let (answer, body) = match basic {
        None => ("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"test\"", "nobody".to_owned()),
        Some(value) => {
            let login = STANDARD.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            seen.lock().expect("a lock").clone_from(&login);
            ("200 OK", login.unwrap_or_default())
        }
    };
    let body = if nix { "StoreDir: /nix/store\n" } else { &body };
    let _ = write!(
        stream,
        "HTTP/1.1 {answer}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}
