//! A server on the loopback that does what it is told.

#![expect(clippy::expect_used, reason = "a server that cannot be set up is a failed test")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cachegate_fetch::Url;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// It serves until the test ends, each connection on a thread of its own.
pub(crate) struct Server {
    url: String,
    certificate: String,
    connections: Arc<AtomicUsize>,
}

pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Server {
    pub(crate) fn plain(serve: impl Fn(&mut Stream) + Send + Sync + 'static) -> Self {
        Self::listen("http://127.0.0.1", String::new(), move |tcp| serve(&mut Stream::Plain(tcp)))
    }

    pub(crate) fn tls(serve: impl Fn(&mut Stream) + Send + Sync + 'static) -> Self {
        Self::tls_as("localhost", false, serve)
    }

    pub(crate) fn tls_as(
        name: &str,
        expired: bool,
        serve: impl Fn(&mut Stream) + Send + Sync + 'static,
    ) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        if expired {
            params.not_after = date_time_ymd(2001, 1, 1);
            params.not_before = date_time_ymd(2000, 1, 1);
        }
        let certificate = params.self_signed(&key).expect("a certificate");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .expect("a configuration");
        let config = Arc::new(config);
        Self::listen("https://localhost", certificate.pem(), move |tcp| {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            serve(&mut Stream::Tls(Box::new(StreamOwned::new(connection, tcp))));
        })
    }

    fn listen(base: &str, certificate: String, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("{base}:{}", listener.local_addr().expect("an address").port());
        let connections = Arc::new(AtomicUsize::new(0));
        let (counter, serve) = (Arc::clone(&connections), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                counter.fetch_add(1, Ordering::SeqCst);
                let serve = Arc::clone(&serve);
                let stream = stream.expect("a connection");
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { url, certificate, connections }
    }

    /// A certificate, in PEM, that no server here has.
    pub(crate) fn some_certificate() -> String {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.self_signed(&key).expect("a certificate").pem()
    }

    /// A port where nobody listens.
    pub(crate) fn closed_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::dangerous_parse_with_loopback_http(&format!("{}{path}", self.url)).expect("an address")
    }

    /// Its certificate, in PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> usize {
        let read = match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        };
        read.unwrap_or(0)
    }

    /// So many bytes, or fewer where there are no more.
    pub(crate) fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while bytes.len() < length && self.read_some(&mut byte) == 1 {
            bytes.extend(byte);
        }
        bytes
    }

    /// The request line and the headers.
    pub(crate) fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = self.read(1);
            if byte.is_empty() {
                break;
            }
            head.extend(byte);
        }
        String::from_utf8(head).expect("text")
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        match self {
            Self::Plain(stream) => stream.write_all(bytes).is_ok(),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()).is_ok(),
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes);
    }

    pub(crate) fn respond(&mut self, status: u16, body: &[u8]) {
        let head = format!("HTTP/1.1 {status} Answer\r\nContent-Length: {}\r\n\r\n", body.len());
        self.send(&[head.as_bytes(), body].concat());
    }

    pub(crate) fn wait_for_end(&mut self) {
        while self.read_some(&mut [0; 1024]) > 0 {}
    }

    /// Ends the connection beneath TLS, which is told nothing of it.
    pub(crate) fn cut(&mut self) {
        self.tcp().shutdown(Shutdown::Both).expect("an end");
    }
}

/// Closes as a polite server does, so that no byte on its way is lost.
impl Drop for Stream {
    fn drop(&mut self) {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            if stream.flush().is_err() {
                return;
            }
        }
        if self.tcp().shutdown(Shutdown::Write).is_ok() {
            self.wait_for_end();
        }
    }
}
