//! A small HTTP/1.1 client over a socket, so that a test sees each byte that it sends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim_end().to_owned()
    }

    pub(crate) fn has_header(&self, line: &str) -> bool {
        self.head.lines().any(|held| held.eq_ignore_ascii_case(line))
    }
}

pub(crate) fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(address, &head("GET", path, headers, None), &[])
}

pub(crate) fn put(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    send(address, &head("PUT", path, headers, Some(body.len() as u64)), body)
}

pub(crate) fn head(method: &str, path: &str, headers: &[(&str, &str)], length: Option<u64>) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: cache\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(length) = length {
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    head + "\r\n"
}

/// Sends a head and what there is of a body, and reads the answer to its end.
pub(crate) fn send(address: SocketAddr, head: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    stream.write_all(head.as_bytes()).expect("a head sent");
    // A server that refuses early may close while the body is still being sent.
    let _ = stream.write_all(body);
    read_answer(stream)
}

pub(crate) fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer");
    let (head, body) = bytes.split_at_checked(end).expect("a head");
    let head = String::from_utf8_lossy(head).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head, body: body.get(4..).unwrap_or_default().to_vec() }
}
