//! The client against servers that do what servers should not, each on a socket of its own on the loopback.

#![expect(clippy::unwrap_used, reason = "tests")]

mod server;

use std::time::{Duration, Instant};

use cachegate_fetch::{Client, ClientBuilder, Fetch, FetchError, Limits, Request, Response, Url};
use cachegate_types::SecretText;

use crate::server::{Server, Stream};

/// Long enough for a busy machine, short enough for a test.
const LIMITS: Limits = Limits { time: Duration::from_secs(5), body: 64 * 1024 };
const IMPATIENT: Limits = Limits { time: Duration::from_millis(200), body: 64 * 1024 };

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A client for plain HTTP on the loopback: what is asked here is told the same by TLS.
fn plain() -> Client {
    some_roots().dangerous_allow_loopback_http().build().unwrap()
}

/// A machine need not have root certificates for these tests.
fn some_roots() -> ClientBuilder {
    Client::builder().with_root_certificates(Server::some_certificate().as_bytes()).unwrap()
}

fn trusting(server: &Server) -> Client {
    let builder = Client::builder().with_root_certificates(server.certificate().as_bytes()).unwrap();
    builder.with_private_host("localhost").build().unwrap()
}

fn get(client: &Client, url: Url, limits: Limits) -> Result<Response, FetchError> {
    run(client.fetch(&Request::get(url).with_limits(limits)))
}

/// What the client makes of a server that sends these bytes and closes.
fn answer(bytes: impl Into<Vec<u8>>) -> Result<Response, FetchError> {
    let bytes = bytes.into();
    let server = Server::plain(move |stream| {
        stream.read_head();
        stream.send(&bytes);
    });
    get(&plain(), server.url("/"), LIMITS)
}

fn code(result: &Result<Response, FetchError>) -> &'static str {
    result.as_ref().unwrap_err().code()
}

#[test]
fn a_document_is_read_whole_over_tls() {
    let server = Server::tls(|stream| {
        let head = stream.read_head();
        assert!(head.starts_with("GET /a/b?c=d HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("accept-encoding: identity\r\n") && head.contains("user-agent: cachegate/"));
        assert!(head.contains("host: localhost:"), "{head}");
        stream.send(b"HTTP/1.1 200 OK\r\nCache-Control: max-age=9\r\nContent-Length: 5\r\n\r\nwhole");
    });
    let response = get(&trusting(&server), server.url("/a/b?c=d"), LIMITS).unwrap();
    assert_eq!((response.status(), response.body()), (200, &b"whole"[..]));
    assert_eq!(response.header("cache-control"), Some("max-age=9"));
}

#[test]
fn a_form_arrives_whole_and_once() {
    let server = Server::tls(|stream| {
        let head = stream.read_head();
        assert!(head.starts_with("POST /token HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("content-type: application/x-www-form-urlencoded\r\n"), "{head}");
        assert!(head.contains("authorization: Bearer x\r\n"), "{head}");
        let body = stream.read(17);
        stream.respond(200, &body);
    });
    let request = Request::post_form(server.url("/token"), &[("code", "a b"), ("state", "&")])
        .with_header("authorization", SecretText::new("Bearer x".to_owned()));
    let response = run(trusting(&server).fetch(&request)).unwrap();
    assert_eq!(response.body(), b"code=a+b&state=%2");
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_header_that_could_smuggle_another_is_not_sent() {
    let server = Server::plain(|stream| stream.respond(200, b""));
    let bad = |name, value: &str| {
        let header = SecretText::new(value.to_owned());
        let result = run(plain().fetch(&Request::get(server.url("/")).with_header(name, header)));
        assert!(matches!(result, Err(FetchError::InvalidRequest { .. })), "{name}: {result:?}");
    };
    bad("x-a", "canary\r\nx-b: c");
    bad("x a", "b");
    for name in ["Host", "content-length", "transfer-encoding", "connection", "accept-encoding"] {
        bad(name, "1");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_self_signed_certificate_is_refused() {
    let server = Server::tls(|stream| stream.respond(200, b""));
    let client = some_roots().with_private_host("localhost").build().unwrap();
    let result = get(&client, server.url("/"), LIMITS);
    assert!(
        matches!(&result, Err(FetchError::Tls { detail, .. }) if detail.contains("invalid peer certificate")),
        "{result:?}"
    );
}

#[test]
fn a_certificate_of_another_name_or_another_time_is_refused() {
    for (server, why) in [
        (Server::tls_as("other.example", false, |stream| stream.respond(200, b"")), "not valid for name"),
        (Server::tls_as("localhost", true, |stream| stream.respond(200, b"")), "expired"),
    ] {
        let result = get(&trusting(&server), server.url("/"), LIMITS);
        assert!(matches!(&result, Err(FetchError::Tls { detail, .. }) if detail.contains(why)), "{result:?}");
    }
}

#[test]
fn a_server_without_tls_is_refused() {
    let server = Server::plain(|stream| stream.respond(200, b""));
    let url: Url = server.url("/").as_str().replace("http://127.0.0.1", "https://localhost").parse().unwrap();
    let client = some_roots().with_private_host("localhost").build().unwrap();
    assert_eq!(code(&get(&client, url, LIMITS)), "fetch_tls");
}

#[test]
fn plain_http_is_not_asked_unless_allowed() {
    let server = Server::plain(|stream| stream.respond(200, b""));
    let result = get(&some_roots().build().unwrap(), server.url("/"), LIMITS);
    assert_eq!(result.unwrap_err(), FetchError::NotHttps { host: "127.0.0.1".to_owned() });
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_private_address_is_not_asked_unless_its_host_is_named() {
    let server = Server::tls(|stream| stream.respond(200, b""));
    let port = server.url("/").port();
    let client = Client::builder().with_root_certificates(server.certificate().as_bytes()).unwrap();
    // `localhost` is a name that leads to a private address; the other spellings are read by the system's resolver.
    let named = client.with_private_host("127.0.0.1").build().unwrap();
    for host in ["localhost", "127.1", "0x7f000001", "2130706433", "[::1]", "[::ffff:127.0.0.1]"] {
        let result = get(&named, format!("https://{host}:{port}/").parse().unwrap(), LIMITS);
        let refused = matches!(&result, Err(FetchError::PrivateAddress { .. } | FetchError::NotFound { .. }));
        assert!(refused, "{host}: {result:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn the_address_of_a_metadata_service_is_asked_for_nobody() {
    let client = some_roots()
        .dangerous_allow_loopback_http()
        .with_private_host("169.254.169.254")
        .with_private_host("fd00:ec2::254")
        .build()
        .unwrap();
    for url in ["https://169.254.169.254/", "https://[fd00:ec2::254]/", "https://[::ffff:169.254.169.254]/"] {
        assert_eq!(code(&get(&client, url.parse().unwrap(), LIMITS)), "fetch_private_address", "{url}");
    }
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    let other = Server::plain(|stream| stream.respond(200, b"followed"));
    for (status, place) in [
        (301, other.url("/").to_string()),
        (302, "//evil.example/".to_owned()),
        (307, "/same-host".to_owned()),
    ] {
        let location = place.clone();
        let server = Server::tls(move |stream| {
            stream.read_head();
            stream.send(
                format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
                    .as_bytes(),
            );
        });
        let request = Request::get(server.url("/"))
            .with_header("authorization", SecretText::new("Bearer canary".to_owned()));
        let response = run(trusting(&server).fetch(&request)).unwrap();
        assert_eq!((response.status(), response.header("location")), (status, Some(place.as_str())));
        assert_eq!(server.connections(), 1);
    }
    assert_eq!(other.connections(), 0);
}

#[test]
fn a_body_that_drips_is_cut_off_in_time() {
    let server = Server::plain(|stream| {
        stream.read_head();
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        while stream.try_send(b"a") {
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let begun = Instant::now();
    let result = get(&plain(), server.url("/"), IMPATIENT);
    assert_eq!(result.unwrap_err(), FetchError::TimedOut { limit: IMPATIENT.time });
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn a_server_that_says_nothing_is_left_in_time() {
    // Neither the head, nor even the TLS handshake.
    let silent = Server::plain(|stream| stream.wait_for_end());
    assert_eq!(code(&get(&plain(), silent.url("/"), IMPATIENT)), "fetch_timed_out");
    let url: Url = silent.url("/").as_str().replace("http://127.0.0.1", "https://localhost").parse().unwrap();
    let client = some_roots().with_private_host("localhost").build().unwrap();
    assert_eq!(code(&get(&client, url, IMPATIENT)), "fetch_timed_out");
}

#[test]
fn heads_without_end_before_the_real_one_are_left_in_time() {
    let server = Server::plain(|stream| {
        stream.read_head();
        while stream.try_send(b"HTTP/1.1 103 Early Hints\r\n\r\n") {}
    });
    assert_eq!(code(&get(&plain(), server.url("/"), IMPATIENT)), "fetch_timed_out");
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let server = Server::plain(|stream| {
        stream.read_head();
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n");
        stream.wait_for_end();
    });
    let result = get(&plain(), server.url("/"), LIMITS);
    assert_eq!(result.unwrap_err(), FetchError::TooLarge { limit: LIMITS.body });
}

#[test]
fn a_body_without_a_stated_length_is_cut_off_at_the_limit() {
    let server = Server::plain(|stream| {
        stream.read_head();
        stream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = [b"400\r\n".as_slice(), &[b'a'; 0x400], b"\r\n"].concat();
        while stream.try_send(&chunk) {}
    });
    let begun = Instant::now();
    let result = get(&plain(), server.url("/"), LIMITS);
    assert_eq!(result.unwrap_err(), FetchError::TooLarge { limit: LIMITS.body });
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert_eq!(answer(ok(&[b'a'; 64 * 1024])).unwrap().body().len(), LIMITS.body);
    assert_eq!(code(&answer(ok(&[b'a'; 64 * 1024 + 1]))), "fetch_too_large");
}

fn ok(body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

#[test]
fn headers_without_end_are_refused() {
    let endless = Server::plain(|stream| {
        stream.read_head();
        stream.send(b"HTTP/1.1 200 OK\r\nX-A: ");
        while stream.try_send(&[b'a'; 4096]) {}
    });
    assert_eq!(get(&plain(), endless.url("/"), LIMITS), Err(FetchError::HeadersTooLarge));
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "X-A: b\r\n".repeat(200));
    assert_eq!(answer(many), Err(FetchError::HeadersTooLarge));
}

#[test]
fn a_body_that_is_shorter_than_its_length_is_broken() {
    assert_eq!(code(&answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")), "fetch_broken");
    assert_eq!(
        code(&answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n")),
        "fetch_broken"
    );
}

#[test]
fn what_follows_the_stated_length_is_not_part_of_the_body() {
    let response =
        answer("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nkeysHTTP/1.1 200 OK\r\n\r\nother").unwrap();
    assert_eq!(response.body(), b"keys");
}

#[test]
fn lengths_that_contradict_each_other_are_broken() {
    assert_eq!(
        code(&answer("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nkeys")),
        "fetch_broken"
    );
    assert_eq!(code(&answer("HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nkeys")), "fetch_broken");
    assert_eq!(code(&answer("HTTP/1.1 200 OK\r\nContent-Length: 4 4\r\n\r\nkeys")), "fetch_broken");
}

#[test]
fn a_cut_connection_is_broken_wherever_it_is_cut() {
    let whole = ok(b"keys");
    for length in 0..whole.len() {
        assert_eq!(code(&answer(whole.get(..length).unwrap())), "fetch_broken", "after {length} bytes");
    }
    assert_eq!(answer(whole).unwrap().body(), b"keys");
}

#[test]
fn a_body_that_ends_with_the_connection_is_whole_only_where_tls_says_so() {
    let cut = Server::tls(|stream| {
        stream.read_head();
        stream.send(b"HTTP/1.1 200 OK\r\n\r\nhalf");
        stream.cut();
    });
    assert_eq!(code(&get(&trusting(&cut), cut.url("/"), LIMITS)), "fetch_broken");
    let closed = Server::tls(|stream| {
        stream.read_head();
        stream.send(b"HTTP/1.1 200 OK\r\n\r\nwhole");
    });
    assert_eq!(get(&trusting(&closed), closed.url("/"), LIMITS).unwrap().body(), b"whole");
}

#[test]
fn what_is_no_http_is_broken() {
    for bytes in
        ["", "\0\0\0\0", "SSH-2.0-x\r\n", "<html>", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n"]
    {
        assert_eq!(code(&answer(bytes)), "fetch_broken", "{bytes:?}");
    }
}

#[test]
fn a_body_in_an_encoding_is_refused_and_not_decoded() {
    for coding in ["gzip", "br", "identity, gzip"] {
        let text = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: 4\r\n\r\nbomb");
        assert_eq!(answer(text), Err(FetchError::Encoded), "{coding}");
    }
}

#[test]
fn a_host_that_is_not_there_is_told_apart() {
    let port = Server::closed_port();
    let url = Url::dangerous_parse_with_loopback_http(&format!("http://127.0.0.1:{port}/")).unwrap();
    assert_eq!(code(&get(&plain(), url, LIMITS)), "fetch_not_connected");
}

#[test]
fn an_answer_before_the_question_is_broken() {
    let server = Server::plain(|stream: &mut Stream| {
        stream.send(&ok(b"early"));
        stream.wait_for_end();
    });
    let result = get(&plain(), server.url("/"), LIMITS);
    // It may come before or after the request is on its way; it is never taken for more than one answer.
    assert!(
        result.as_ref().map_or_else(|error| error.code() == "fetch_broken", |got| got.body() == b"early")
    );
    assert_eq!(server.connections(), 1);
}

#[test]
fn what_is_no_certificate_makes_no_client() {
    for pem in ["", "x", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        assert!(Client::builder().with_root_certificates(pem.as_bytes()).is_err(), "{pem}");
    }
}
