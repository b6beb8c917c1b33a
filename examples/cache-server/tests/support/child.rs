//! The real program as a child process, on a port of its own, ended by its own id.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;

/// A running server.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    /// What it printed until it was ready.
    pub(crate) announced: String,
    /// What it prints later, on standard output and as errors: read to the end, so that it is never blocked by it.
    printed: Vec<JoinHandle<Vec<u8>>>,
}

impl Running {
    /// Starts the program on a free port, and waits until it says where it listens.
    pub(crate) fn start(data: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cache-server"))
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output"));
        let mut announced = String::new();
        let mut address = None;
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).expect("a line") == 0 {
                let mut complaint = String::new();
                let _ = child.stderr.take().expect("its errors").read_to_string(&mut complaint);
                panic!("the server ended before it was ready: {complaint}");
            }
            announced.push_str(&line);
            if let Some(rest) = line.strip_prefix("listening on http://") {
                address = rest.split(',').next().and_then(|text| text.parse().ok());
            }
            if line == "ready\n" {
                break;
            }
        }
        let errors = child.stderr.take().expect("its errors");
        let printed = vec![read_on(lines), read_on(errors)];
        Self { child, address: address.expect("an address"), announced, printed }
    }

    /// Ends it, and gives everything that it printed.
    pub(crate) fn ended(mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let later = self.printed.drain(..).map(|reader| reader.join().expect("what it printed"));
        let later: Vec<String> = later.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect();
        self.announced.clone() + &later.concat()
    }

    /// The largest amount of memory that it has held so far, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("its peak");
        let kilobytes: u64 =
            line.split_whitespace().nth(1).and_then(|text| text.parse().ok()).expect("a number");
        kilobytes * 1024
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_on(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        bytes
    })
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cache-server")).args(arguments).output().expect("the program runs")
}

/// Runs a command on a data folder to its end, and gives what it printed.
pub(crate) fn on(data: &Path, arguments: &[&str]) -> String {
    let data = data.to_str().expect("a printable path");
    let output = run(&[&["--data", data], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
}
