//! A real cache server in this process, a home folder, and what `gatectl` says there.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use cache_server::{Config, Flags, LogSink, Server, serve};
use cachegate_testkit::TestIssuer;
use clap::Parser;
use regex::{Captures, Regex};
use serde_json::{Value, json};

const ISSUER: &str = "https://gitlab.example";

/// A server, and the folder that it keeps everything in.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    pub(crate) issuer: TestIssuer,
    data: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

/// Who may vouch, and what jobs then get: what an operator writes.
pub(crate) fn rules(issuer: &TestIssuer, audience: &str) -> String {
    let keys = issuer.key_set();
    let key = keys.pointer("/keys/0").and_then(Value::as_object).expect("a key");
    let members: Vec<_> = key.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    format!(
        r#"[[anchors]]
id = "gitlab"
platform = "gitlab-ci"
issuer = "{ISSUER}"
audiences = ["{audience}"]
keys.inline = {{ keys = [{{ {} }}] }}

[[rules]]
name = "trunk"
anchor = "gitlab"
organization = "acme"
workspace = "app"
pins = [{{ fact = "repo.id", is = "20" }}, {{ fact = "owner.id", is = "72" }}]
when = [{{ ref = {{ kind = "branch", name = "main" }} }}, {{ fact = "trigger.class", equals = "trusted" }}]
grant = {{ level = "read-write", lane = "main", publish = true }}
"#,
        members.join(", ")
    )
}

impl Host {
    pub(crate) fn start() -> Self {
        Self::with_rules(|rules| rules)
    }

    /// With other anchors and rules than the usual ones.
    pub(crate) fn with_rules(change: impl FnOnce(String) -> String) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let issuer = TestIssuer::new(ISSUER);
        let address = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("its address");
            let url = format!("http://{address}");
            let config = data.path().join("server.toml");
            let text = format!(
                "listen = \"{address}\"\nissuer = \"{url}\"\ndata = \"{}\"\norganization = \"acme\"\nworkspace = \
                 \"app\"\n\n{}",
                data.path().display(),
                change(rules(&issuer, &url))
            );
            std::fs::write(&config, text).expect("written");
            let flags = Flags::parse_from([Path::new("cache-server"), Path::new("--config"), &config]);
            let config = Config::from_flags(&flags).expect("a configuration");
            let server = Server::open(&config, Arc::new(LogSink)).await.expect("a server");
            tokio::spawn(serve(listener, Arc::new(server), std::future::pending()));
            address
        });
        Self { address, issuer, data, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The administrator's token of the first start.
    pub(crate) fn administrator(&self) -> String {
        let path = self.data.path().join("administrator.token");
        std::fs::read_to_string(path).expect("a token").trim().to_owned()
    }

    /// The identity token of a job on the branch `main`.
    pub(crate) fn identity(&self, audience: &str, at: i64) -> String {
        self.issuer.sign(&json!({
            "sub": "project_path:acme/app:ref_type:branch:ref:main", "aud": audience, "jti": "job-1",
            "iat": at, "nbf": at - 5, "exp": at + 300, "namespace_id": "72", "namespace_path": "acme",
            "project_id": "20", "project_path": "acme/app", "user_id": "1", "user_login": "mira",
            "user_email": "mira@acme.example", "pipeline_id": "574", "pipeline_source": "push", "job_id": "302",
            "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true",
            "runner_id": 1, "runner_environment": "gitlab-hosted", "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
            "project_visibility": "private",
        }))
    }

    /// Sends a form as a browser would, with a person's token.
    pub(crate) fn post(&self, path: &str, form: &str, token: &str) -> String {
        self.send("POST", path, form, token)
    }

    /// Sends a request, and gives the whole answer.
    pub(crate) fn send(&self, method: &str, path: &str, body: &str, token: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("connected");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

/// A person at a shell: a home folder, variables, and everything that was said there.
pub(crate) struct Shell<'h> {
    host: &'h Host,
    pub(crate) home: PathBuf,
    _folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
    text: String,
}

impl<'h> Shell<'h> {
    pub(crate) fn new(host: &'h Host) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // macOS keeps its temporary folders behind a link.
        let home = folder.path().canonicalize().expect("a path");
        let shell = Self { host, home, _folder: folder, variables: Vec::new(), text: String::new() };
        shell.write("admin.token", &host.administrator());
        shell
    }

    /// Logged in as the administrator.
    pub(crate) fn logged_in(host: &'h Host) -> Self {
        let mut shell = Self::new(host);
        shell.quiet("gatectl login --server $SERVER --token-file admin.token --no-netrc");
        shell
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(held, _)| held != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.home.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("closed");
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_gatectl"));
        let folder = program.parent().expect("a folder").display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/root.pem");
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(&self.home).env_clear();
        command.env("HOME", &self.home).env("PATH", format!("{folder}:{path}"));
        // Trusted by nobody: nothing here speaks TLS, and a machine without root certificates will do.
        command.env("SSL_CERT_FILE", root).env("SERVER", self.host.url()).env("GIT_CONFIG_NOSYSTEM", "1");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a line, and gives what it printed; nothing of it is recorded.
    pub(crate) fn quiet(&mut self, line: &str) -> String {
        let output = self.command(line).output().expect("a shell");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
    }

    /// Runs a line and records all that it says.
    pub(crate) fn run(&mut self, line: &str) {
        let output = self.command(line).output().expect("a shell");
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        self.record(line, &stdout, &stderr, output.status.code());
    }

    /// Runs a login that waits, and lets `answer` see each line that it says beside its result.
    pub(crate) fn converse(&mut self, line: &str, mut answer: impl FnMut(&Host, &str)) {
        let mut child = self.command(line).spawn().expect("a shell");
        let mut said = String::new();
        for heard in BufReader::new(child.stderr.take().expect("its errors")).lines() {
            let heard = heard.expect("text");
            answer(self.host, &heard);
            said.push_str(&heard);
            said.push('\n');
        }
        let mut stdout = String::new();
        child.stdout.take().expect("its output").read_to_string(&mut stdout).expect("text");
        let status = child.wait().expect("its end");
        self.record(line, &stdout, &said, status.code());
    }

    /// Runs a line under a terminal, and types what is in a file once it has said `wait`.
    pub(crate) fn typed(&mut self, line: &str, wait: &str, file: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cache-server/tests/support/terminal.py");
        let within = format!("python3 {} '{wait}' \"$(cat {file})\" -- sh -c '{line}'", script.display());
        let output =
            self.command(&within).env("TERM", "dumb").env("NO_COLOR", "1").output().expect("a shell");
        let heard = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
        let codes = replaced(&heard, "\u{1b}\\[[0-9;?]*[A-Za-z]", |_| String::new());
        // A spinner writes its line again and again: the last is what stays.
        let stays: Vec<_> = codes.lines().map(|line| line.rsplit('\r').next().unwrap_or_default()).collect();
        self.record(line, &(stays.join("\n") + "\n"), "", output.status.code());
    }

    /// Waits for the next second: what was made in one second is listed in no order.
    pub(crate) fn tick(&self) {
        let began = cache_server::now();
        while cache_server::now() == began {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.text.push_str(&format!("# {text}\n\n"));
    }

    fn record(&mut self, line: &str, stdout: &str, stderr: &str, status: Option<i32>) {
        self.text.push_str(&format!("$ {line}\n{stdout}"));
        if !stdout.is_empty() && !stdout.ends_with('\n') {
            self.text.push('\n');
        }
        for line in stderr.lines() {
            self.text.push_str(&format!("! {line}\n"));
        }
        if status != Some(0) {
            self.text.push_str(&format!("[exit {}]\n", status.expect("no signal")));
        }
        self.text.push('\n');
    }

    /// Holds what was said against the file of this name. `TRANSCRIPTS=bless` accepts what is new.
    pub(crate) fn compare(self, name: &str) {
        let now = self.steady();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(name);
        if std::env::var_os("TRANSCRIPTS").is_some_and(|what| what == "bless") {
            return std::fs::write(&path, now).expect("written");
        }
        let held = std::fs::read_to_string(&path).unwrap_or_default();
        for (number, (held, now)) in held.lines().zip(now.lines()).enumerate() {
            assert_eq!(held, now, "{name}:{}: `TRANSCRIPTS=bless cargo test` accepts it", number + 1);
        }
        assert_eq!(held.lines().count(), now.lines().count(), "{name} has another length");
    }

    /// What is another each time, by a name as long, so that tables stay tables.
    fn steady(&self) -> String {
        let text = self.text.replace(&self.host.url(), "$SERVER");
        let text = text.replace(&self.host.address.ip().to_string(), "HOST");
        let text = text.replace(&self.home.display().to_string(), "~");
        let mut seen = Vec::new();
        let mut numbered = |found: &str| match seen.iter().position(|known| known == found) {
            Some(index) => index + 1,
            None => {
                seen.push(found.to_owned());
                seen.len()
            }
        };
        let text =
            replaced(&text, r"cg1_[\w-]+\.[\w-]+\.[\w-]+", |found| format!("cg1_JWT-{}", numbered(found)));
        let text = replaced(&text, r"eyJ[\w-]+\.[\w-]+\.[\w-]+", |found| format!("JWT-{}", numbered(found)));
        let text = replaced(&text, r"cg[a-z]_[0-9A-Za-z]{60,}", |found| {
            format!("{}TOKEN-{}", &found[..4], numbered(found))
        });
        let text = replaced(&text, r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", |found| {
            format!("00000000-0000-0000-0000-{:012}", numbered(found))
        });
        let text = replaced(&text, r"20\d\d-\d\d-\d\d \d\d:\d\d", |_| "YYYY-MM-DD HH:MM".to_owned());
        let text = replaced(&text, r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d", |_| "YYYY-MM-DDTHH:MM:SS".to_owned());
        let text = replaced(&text, r"\bin \d+ (second|minute|hour|day)s?\b", |_| "in N UNITS".to_owned());
        let text = replaced(&text, r"\b\d+ (second|minute|hour|day)s? ago\b", |_| "N UNITS ago".to_owned());
        let text = replaced(&text, r"\b1[78]\d{8}\b", |_| "SECONDS".to_owned());
        let text = replaced(&text, r"\b[B-Z]{5}-[B-Z]{5}\b", |_| "CODES-WORDS".to_owned());
        replaced(&text, r" \(os error \d+\)", |_| String::new())
    }
}

fn replaced(text: &str, pattern: &str, mut with: impl FnMut(&str) -> String) -> String {
    let pattern = Regex::new(pattern).expect("a pattern");
    pattern.replace_all(text, |found: &Captures<'_>| with(&found[0])).into_owned()
}
