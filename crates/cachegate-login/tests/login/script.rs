//! A program for node that listens on the loopback, as a child process: a provider that no one here wrote.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};

/// It ends with its standard input.
pub(crate) struct Script {
    child: Child,
    _input: ChildStdin,
    pub(crate) address: SocketAddr,
}

impl Script {
    /// Starts it with the folder that oidc-provider is installed in, and waits until it says `listening on <port>`.
    pub(crate) fn start(path: &str, variables: &[(&str, &str)]) -> Self {
        let folder = std::env::var_os("CACHEGATE_OIDC_PROVIDER")
            .expect("CACHEGATE_OIDC_PROVIDER names the folder that oidc-provider is installed in");
        let mut child = Command::new("node")
            .arg(path)
            .env("CACHEGATE_OIDC_PROVIDER", folder)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node starts");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        // It has warnings of its own to tell before.
        let mut lines = output.lines().map_while(Result::ok);
        let port = lines.find_map(|line| line.strip_prefix("listening on ")?.parse().ok());
        let port: u16 = port.expect("it ended before it was ready");
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, _input: input, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
