//! Bad input of every kind ends in one clear sentence that says what to do, a status that is not zero, and nothing
//! lost.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[path = "support/child.rs"]
mod child;
#[path = "support/http.rs"]
mod http;

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use child::{Running, on, run};

/// The one sentence that a failing run printed.
fn complaint(arguments: &[&str]) -> String {
    let output = run(arguments);
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.trim_end().lines().count(), 1, "one sentence: {text}");
    assert!(!text.contains("panicked"), "{text}");
    text.trim_end().to_owned()
}

fn complaint_about(data: &Path) -> String {
    complaint(&["--listen", "127.0.0.1:0", "--data", data.to_str().expect("a printable path")])
}

fn env_of(data: &Path) -> (String, String) {
    let text = fs::read_to_string(data.join("nx.env")).expect("what to paste");
    let value = |name: &str| {
        let line = text.lines().find(|line| line.contains(name)).expect("a line");
        line.split_once('=').expect("a value").1.to_owned()
    };
    (value("_SERVER="), value("_ACCESS_TOKEN="))
}

#[test]
fn a_garbage_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("cachegate.sqlite");
    let garbage = b"this was never a database, but somebody may still need it".repeat(100);
    fs::write(&database, &garbage).expect("written");
    let text = complaint_about(folder.path());
    assert!(text.contains("cachegate.sqlite"), "{text}");
    assert_eq!(fs::read(&database).expect("read"), garbage);
}

#[test]
fn a_file_in_the_place_of_the_data_folder_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("data");
    fs::write(&file, "mine").expect("written");
    let text = complaint_about(&file);
    assert!(text.contains("data folder") && text.contains("--data"), "{text}");
    assert_eq!(fs::read(&file).expect("read"), b"mine");
}

#[test]
fn a_data_folder_that_cannot_be_written_is_refused() {
    // Nobody makes a folder in here, not even root.
    let text = complaint_about(Path::new("/proc/cachegate"));
    assert!(text.contains("data folder `/proc/cachegate`") && text.contains("--data"), "{text}");
}

#[test]
fn a_port_in_use_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let data = folder.path().join("data");
    let text = complaint(&["--listen", &address, "--data", data.to_str().expect("a printable path")]);
    assert!(text.contains(&address) && text.contains("--listen"), "{text}");
    assert!(!data.exists());
}

#[test]
fn a_wrong_flag_is_refused_with_the_right_ones() {
    let output = run(&["--lissten", "127.0.0.1:0"]);
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("--lissten") && text.contains("--listen"), "{text}");
}

#[test]
fn a_wrong_value_is_refused_with_what_was_expected() {
    for (arguments, expected) in [
        (&["token", "create", "--level", "write"][..], "`read-only`"),
        (&["token", "create", "--lane", "trunk"][..], "unknown lane class"),
        (&["--listen", "here"][..], "invalid socket address"),
        (&["token", "revoke", "x"][..], "expected a UUID"),
    ] {
        let output = run(arguments);
        let text = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cachegate.toml");
    let path = file.to_str().expect("a printable path");
    for (text, expected) in [
        ("entry_limit = 5\nanonimous = true\n", "line 2: unknown field `anonimous`"),
        ("entry_limit = \"much\"\n", "line 1: invalid type"),
        ("entry_limit = \n", "line 1:"),
        ("workspace = \"My App\"\n", "line 1:"),
    ] {
        fs::write(&file, text).expect("written");
        let complaint = complaint(&["--config", path]);
        assert!(complaint.contains(expected) && complaint.contains(path), "{complaint}");
    }
    let missing = complaint(&["--config", "/nowhere/cachegate.toml"]);
    assert!(missing.contains("/nowhere/cachegate.toml") && missing.contains("--config"), "{missing}");
}

#[test]
fn a_later_start_finds_everything_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Running::start(folder.path(), &[]);
    let (_, token) = env_of(folder.path());
    let stored = http::put(server.address, "/v1/cache/77", &headers(&token), b"kept");
    assert_eq!(stored.status, 200, "{stored:?}");
    let first = server.ended();
    assert!(first.contains("administrator's token"), "{first}");
    assert!(!first.contains(&token), "a secret went to a pipe");
    let server = Running::start(folder.path(), &[]);
    let answer = http::get(server.address, "/v1/cache/77", &headers(&token));
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"kept"[..]));
}

fn headers(token: &str) -> [(&str, &str); 1] {
    // The tests' tokens live as long as the process: leaking one keeps the callers short.
    [("authorization", String::leak(format!("Bearer {token}")))]
}

#[test]
fn what_the_first_start_keeps_secret_only_its_owner_reads() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let _server = Running::start(folder.path(), &[]);
    let pastes = ["nx.env", "turborepo.env", "ccache.env", "cache.bazelrc", "cache.gradle"];
    for file in pastes.into_iter().chain(["administrator.token", "cachegate.sqlite"]) {
        let mode = fs::metadata(folder.path().join(file)).expect(file).permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    for key in fs::read_dir(folder.path().join("keys")).expect("the keys") {
        let mode = key.expect("a key").metadata().expect("its mode").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
    }
}

#[test]
fn an_emptied_database_beside_entries_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let server = Running::start(folder.path(), &[]);
        let (_, token) = env_of(folder.path());
        assert_eq!(http::put(server.address, "/v1/cache/1", &headers(&token), b"x").status, 200);
    }
    for file in ["cachegate.sqlite", "cachegate.sqlite-wal", "cachegate.sqlite-shm"] {
        let _ = fs::remove_file(folder.path().join(file));
    }
    let text = complaint_about(folder.path());
    assert!(text.contains("restore the database"), "{text}");
}

/// The one entry's file.
fn entry_file(data: &Path) -> std::path::PathBuf {
    fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for item in fs::read_dir(folder).expect("a folder") {
            let path = item.expect("an item").path();
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    files(&data.join("entries"), &mut found);
    found.sort();
    found.pop().expect("an entry")
}

#[test]
fn a_corrupt_entry_is_a_miss_and_is_written_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Running::start(folder.path(), &[]);
    let (_, token) = env_of(folder.path());
    let token = headers(&token);
    let body = b"the right bytes".repeat(1000);
    assert_eq!(http::put(server.address, "/v1/cache/9", &token, &body).status, 200);
    type Damage = fn(Vec<u8>) -> Vec<u8>;
    let damages: [(&str, Damage); 5] = [
        ("one bit", |mut bytes| {
            bytes[500] ^= 1;
            bytes
        }),
        ("cut off", |bytes| bytes[..bytes.len() / 2].to_vec()),
        ("empty", |_| Vec::new()),
        ("label", |mut bytes| {
            let place = bytes.len() - 40;
            bytes[place] ^= 1;
            bytes
        }),
        ("longer", |bytes| [b"x".to_vec(), bytes].concat()),
    ];
    for (name, damage) in damages {
        let file = entry_file(folder.path());
        fs::write(&file, damage(fs::read(&file).expect("read"))).expect("damaged");
        let miss = http::get(server.address, "/v1/cache/9", &token);
        assert_eq!((miss.status, miss.text().as_str()), (404, "no such entry"), "{name}");
        assert_eq!(http::put(server.address, "/v1/cache/9", &token, &body).status, 200, "{name}");
        assert_eq!(http::get(server.address, "/v1/cache/9", &token).body, body, "{name}");
        assert_eq!(http::put(server.address, "/v1/cache/9", &token, b"again").status, 409, "{name}");
    }
}

#[test]
fn what_is_kept_beside_an_entry_is_as_tied_to_its_label_as_its_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Running::start(folder.path(), &[]);
    let (_, token) = env_of(folder.path());
    let token = headers(&token);
    let sent = [token[0], ("x-artifact-tag", "the client's own")];
    assert_eq!(http::put(server.address, "/v8/artifacts/9", &sent, b"bytes").status, 202);
    assert_eq!(http::get(server.address, "/v8/artifacts/9", &token).status, 200);
    let file = entry_file(folder.path());
    let mut bytes = fs::read(&file).expect("read");
    let place = bytes.windows(3).position(|window| window == b"own").expect("the tag");
    bytes[place] = b'O';
    fs::write(&file, bytes).expect("tampered with");
    assert_eq!(http::get(server.address, "/v8/artifacts/9", &token).status, 404);
}

#[test]
fn recover_replaces_the_administrators_token() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(Running::start(folder.path(), &[]));
    let file = folder.path().join("administrator.token");
    let first = fs::read_to_string(&file).expect("a token");
    let said = on(folder.path(), &["recover"]);
    assert!(said.contains("administrator.token"), "{said}");
    let second = fs::read_to_string(&file).expect("a token");
    assert_ne!(first, second);
    assert!(second.starts_with("cgp_"), "a personal token");
}

#[test]
fn a_token_that_another_process_revokes_is_refused_within_the_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Running::start(folder.path(), &[]);
    let token = on(folder.path(), &["token", "create", "--description", "to be revoked"]);
    assert!(token.starts_with("cgc_") && token.lines().count() == 1, "the token alone");
    assert_eq!(http::put(server.address, "/v1/cache/3", &headers(&token), b"x").status, 200);
    let list = on(folder.path(), &["token", "list"]);
    let line = list.lines().find(|line| line.contains("to be revoked")).expect("its line");
    let id = line.split_whitespace().next().expect("its id");
    on(folder.path(), &["token", "revoke", id, "--reason", "left on a laptop"]);
    let acknowledged = std::time::Instant::now();
    let refused = loop {
        let answer = http::get(server.address, "/v1/cache/3", &headers(&token));
        if answer.status != 200 {
            break answer;
        }
        assert!(acknowledged.elapsed().as_secs() < 5, "still allowed after the bound");
    };
    assert_eq!(refused.status, 401);
    assert_eq!(refused.text(), "this token was revoked; ask whoever gave it to you for a new one [revoked]");
    assert!(refused.has_header("www-authenticate: Basic realm=\"cachegate\""), "{}", refused.head);
    let list = on(folder.path(), &["token", "list"]);
    assert!(list.contains("left on a laptop"), "{list}");
    assert!(!list.contains(&token), "a list shows no secret");
}

#[test]
fn entries_are_streamed_and_never_held_whole_in_memory() {
    use std::io::Write;
    const SIZE: u64 = 256 * 1024 * 1024;
    let folder = tempfile::tempdir().expect("a folder");
    let server = Running::start(folder.path(), &[]);
    let (_, token) = env_of(folder.path());
    let before = server.peak_memory();
    let mut stream = std::net::TcpStream::connect(server.address).expect("a connection");
    stream
        .write_all(http::head("PUT", "/v1/cache/5", &headers(&token), Some(SIZE)).as_bytes())
        .expect("sent");
    let chunk = vec![7; 1024 * 1024];
    for _ in 0..SIZE / 1024 / 1024 {
        stream.write_all(&chunk).expect("sent");
    }
    assert_eq!(http::read_answer(stream).status, 200);
    let mut stream = std::net::TcpStream::connect(server.address).expect("a connection");
    stream.write_all(http::head("GET", "/v1/cache/5", &headers(&token), None).as_bytes()).expect("sent");
    let read = std::io::copy(&mut stream, &mut std::io::sink()).expect("read");
    assert!(read >= SIZE, "{read} bytes came back");
    let grown = server.peak_memory() - before;
    assert!(grown < 32 * 1024 * 1024, "{grown} bytes more at the peak for an entry of {SIZE}");
}
