//! A certified OpenID provider that no one here wrote, on a port of the loopback, plays Okta and Entra.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::script::Script;

pub(crate) const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";

pub(crate) struct Provider {
    script: Script,
    base: String,
}

impl Provider {
    /// For a server that people reach at `base`.
    pub(crate) fn start(base: &str) -> Self {
        // Told at run time: tests of other crates start it as well.
        let folder = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the crate is");
        let path = format!("{folder}/../../crates/cachegate-login/tests/login/provider.mjs");
        Self { script: Script::start(&path, &[("CACHEGATE_BASE", base)]), base: base.to_owned() }
    }

    pub(crate) fn okta(&self) -> String {
        self.at("/okta")
    }

    pub(crate) fn entra(&self) -> String {
        self.at(&format!("/{TENANT}/v2.0"))
    }

    /// From now on a new key signs.
    pub(crate) fn rotate(&self) {
        self.get("/rotate", &mut BTreeMap::new());
    }

    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.script.address)
    }

    /// A browser that follows wherever it is led, until it is led back to the cache: the query that it comes with.
    pub(crate) fn authorize(&self, location: &str) -> String {
        let (origin, callback) = (self.at(""), format!("{}/login/", self.base));
        let (mut place, mut jar) = (location.to_owned(), BTreeMap::new());
        for _ in 0..8 {
            if let Some((_, query)) = place.strip_prefix(&callback).and_then(|rest| rest.split_once('?')) {
                return query.to_owned();
            }
            let path = place.strip_prefix(&origin).unwrap_or(&place).to_owned();
            place = self.get(&path, &mut jar).expect("a redirect");
        }
        panic!("led about, at last to {place}");
    }

    /// Where the answer leads.
    fn get(&self, path: &str, jar: &mut BTreeMap<String, String>) -> Option<String> {
        let cookies =
            jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
        let mut stream = TcpStream::connect(self.script.address).expect("a connection");
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\ncookie: {cookies}\r\n", self.script.address)
            .expect("sent");
        write!(stream, "connection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let head = answer.split("\r\n\r\n").next().unwrap_or_default();
        let mut location = None;
        for (header, value) in head.lines().filter_map(|line| line.split_once(": ")) {
            if header.eq_ignore_ascii_case("set-cookie") {
                let (name, value) =
                    value.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
                jar.insert(name.to_owned(), value.to_owned());
            } else if header.eq_ignore_ascii_case("location") {
                location = Some(value.to_owned());
            }
        }
        location
    }
}
