//! `Fetch` over HTTP/1.1 and TLS, one connection for each request.

mod address;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::client::address::{Reach, reach};
use crate::{Fetch, FetchError, Method, Request, Response, Url};

/// The most bytes that the head of a response may have. GitHub's, with all its policies, has about 4 KiB.
const MAX_HEAD: usize = 64 * 1024;
/// The most headers that a response may have.
const MAX_HEADERS: usize = 100;
/// Where Google's metadata server is, whatever a name server says.
const GOOGLE_METADATA: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));
/// The most addresses of one host that are tried.
const MAX_ADDRESSES: usize = 4;

/// Fetches over HTTP/1.1. It must be polled inside a tokio runtime with time and I/O enabled.
///
/// Each request has a connection of its own, so that nothing of one can be taken for an answer to another, and a
/// request is never sent twice. It is cheap to clone.
#[derive(Clone)]
pub struct Client {
    tls: TlsConnector,
    private_hosts: Arc<BTreeSet<String>>,
    loopback_http: bool,
    google_metadata: bool,
}

/// Makes a [`Client`].
#[derive(Clone, Debug, Default)]
pub struct ClientBuilder {
    roots: Vec<CertificateDer<'static>>,
    private_hosts: BTreeSet<String>,
    loopback_http: bool,
    google_metadata: bool,
}

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// What should be certificates in PEM is none, or holds none.
    #[error("not a list of certificates in PEM")]
    NotPem,
    /// A certificate cannot be a root of trust.
    #[error("a certificate cannot be a root of trust: {detail}")]
    BadRoot {
        /// The TLS library's words.
        detail: String,
    },
    /// The system has no root certificates, and none were given.
    #[error("there are no root certificates: the system has none, and none were given")]
    NoRoots,
    /// The TLS library refuses the configuration.
    #[error("TLS cannot be set up: {detail}")]
    Tls {
        /// The TLS library's words.
        detail: String,
    },
}

impl ClientBuilder {
    /// Trusts these root certificates, in PEM, beside the system's.
    ///
    /// # Errors
    ///
    /// [`ClientError::NotPem`].
    pub fn with_root_certificates(mut self, pem: &[u8]) -> Result<Self, ClientError> {
        let before = self.roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            self.roots.push(certificate.map_err(|_| ClientError::NotPem)?);
        }
        if self.roots.len() == before { Err(ClientError::NotPem) } else { Ok(self) }
    }

    /// Lets this host have a private address: an issuer inside the operator's own network.
    ///
    /// Link-local addresses, where cloud machines find their own credentials, stay refused.
    #[must_use]
    pub fn with_private_host(mut self, host: &str) -> Self {
        self.private_hosts.insert(host.to_ascii_lowercase());
        self
    }

    /// Allows plain HTTP to this machine itself: for tests and development alone.
    #[must_use]
    pub fn dangerous_allow_loopback_http(mut self) -> Self {
        self.loopback_http = true;
        self
    }

    /// Allows plain HTTP to [`Url::GOOGLE_METADATA_HOST`] at its one address: for a tool that asks its own machine who
    /// it is, and never for a server that fetches what others name.
    #[must_use]
    pub fn dangerous_allow_google_metadata(mut self) -> Self {
        self.google_metadata = true;
        self
    }

    /// The client. It reads the system's root certificates, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn build(self) -> Result<Client, ClientError> {
        let mut roots = RootCertStore::empty();
        // A system's store may hold a relic that cannot be read; those that the caller gave must all be good.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for root in self.roots {
            roots.add(root).map_err(|error| ClientError::BadRoot { detail: error.to_string() })?;
        }
        if roots.is_empty() {
            return Err(ClientError::NoRoots);
        }
        // The provider is named here: nothing is taken from, or left in, the process's own default.
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| ClientError::Tls { detail: error.to_string() })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Client {
            tls: TlsConnector::from(Arc::new(config)),
            private_hosts: Arc::new(self.private_hosts),
            loopback_http: self.loopback_http,
            google_metadata: self.google_metadata,
        })
    }
}

impl Client {
    /// A client that trusts the system's root certificates and asks public hosts over TLS, and nothing else.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub fn new() -> Result<Self, ClientError> {
        Self::builder().build()
    }

    /// What makes a client that differs.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    async fn exchange(&self, request: &Request, deadline: Instant) -> Result<Response, FetchError> {
        let url = request.url();
        let plain = if url.is_google_metadata() { self.google_metadata } else { self.loopback_http };
        if !url.is_https() && !plain {
            return Err(FetchError::NotHttps { host: url.host().to_owned() });
        }
        let message = message(request)?;
        let addresses = self.resolve(url).await?;
        let stream = connect(url, &addresses, deadline).await?;
        if !url.is_https() {
            return converse(TokioIo::new(stream), message, request.limits().body).await;
        }
        let failed = |detail: String| FetchError::Tls { host: url.host().to_owned(), detail };
        let name = ServerName::try_from(url.host().to_owned()).map_err(|error| failed(error.to_string()))?;
        let stream = self.tls.connect(name, stream).await.map_err(|error| failed(error.to_string()))?;
        converse(TokioIo::new(stream), message, request.limits().body).await
    }

    /// The host's addresses, every one of them allowed. The connection is made to these and no others, so that a
    /// name which leads elsewhere a moment later leads nowhere.
    async fn resolve(&self, url: &Url) -> Result<Vec<SocketAddr>, FetchError> {
        let host = || url.host().to_owned();
        let addresses: Vec<SocketAddr> = match url.host().parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, url.port())],
            Err(_) => tokio::net::lookup_host((url.host(), url.port()))
                .await
                .map_err(|error| FetchError::NotFound { host: host(), detail: error.to_string() })?
                .collect(),
        };
        if addresses.is_empty() {
            return Err(FetchError::NotFound { host: host(), detail: "it has no address".to_owned() });
        }
        let private_allowed = self.private_hosts.contains(url.host());
        let allowed = |address: &SocketAddr| match reach(address.ip()) {
            _ if url.is_google_metadata() => address.ip() == GOOGLE_METADATA,
            // Other plain HTTP never leaves the machine.
            _ if !url.is_https() => address.ip().is_loopback(),
            Reach::Public => true,
            Reach::Private => private_allowed,
            Reach::Never => false,
        };
        if addresses.iter().all(allowed) {
            Ok(addresses.into_iter().take(MAX_ADDRESSES).collect())
        } else {
            Err(FetchError::PrivateAddress { host: host() })
        }
    }
}

#[async_trait]
impl Fetch for Client {
    async fn fetch(&self, request: &Request) -> Result<Response, FetchError> {
        let limit = request.limits().time;
        let deadline = Instant::now() + limit.min(MAX_TIME);
        timeout_at(deadline, self.exchange(request, deadline))
            .await
            .unwrap_or(Err(FetchError::TimedOut { limit }))
    }
}

/// Longer than anyone waits; a longer limit would overflow the clock.
const MAX_TIME: Duration = Duration::from_secs(3600);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("private_hosts", &self.private_hosts)
            .field("loopback_http", &self.loopback_http)
            .field("google_metadata", &self.google_metadata)
            .finish_non_exhaustive()
    }
}

/// One address after the other, each with its share of the time that is left: one that swallows what it is sent does
/// not use up the turn of the next.
async fn connect(url: &Url, addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, FetchError> {
    let mut detail = String::new();
    for (tried, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX).max(1);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => detail = error.to_string(),
            Err(_) => "no answer".clone_into(&mut detail),
        }
    }
    Err(FetchError::NotConnected { host: url.host().to_owned(), detail })
}

fn message(request: &Request) -> Result<http::Request<Full<Bytes>>, FetchError> {
    let invalid = |what| FetchError::InvalidRequest { what };
    let url = request.url();
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers() {
        let name: HeaderName = name.parse().map_err(|_| invalid("the name of a header"))?;
        if [header::HOST, header::CONTENT_LENGTH, header::ACCEPT_ENCODING, header::CONNECTION].contains(&name)
            || name == header::TRANSFER_ENCODING
        {
            return Err(invalid("a header that the client sets itself"));
        }
        let mut value = HeaderValue::from_str(value.expose_secret())
            .map_err(|_| invalid("the value of a header, which is not written out here"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    let authority = url.uri().authority().map_or("", |authority| authority.as_str());
    let host = HeaderValue::from_str(authority).map_err(|_| invalid("the host"))?;
    headers.insert(header::HOST, host);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let agent = HeaderValue::from_static(concat!("cachegate/", env!("CARGO_PKG_VERSION")));
    headers.entry(header::USER_AGENT).or_insert(agent);

    let body = request
        .body()
        .map_or_else(Bytes::new, |body| Bytes::copy_from_slice(body.expose_secret().as_bytes()));
    let mut message = http::Request::new(Full::new(body));
    *message.method_mut() = match request.method() {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
    };
    let target = url.uri().path_and_query().map_or("/", |target| target.as_str());
    *message.uri_mut() = target.parse().map_err(|_| invalid("the path"))?;
    *message.headers_mut() = headers;
    Ok(message)
}

async fn converse<S>(
    stream: S,
    message: http::Request<Full<Bytes>>,
    limit: usize,
) -> Result<Response, FetchError>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .handshake(stream)
        .await
        .map_err(|error| broken(&error))?;
    let exchange = async {
        let (head, body) = sender.send_request(message).await.map_err(|error| broken(&error))?.into_parts();
        if head.headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(FetchError::Encoded);
        }
        let body = whole(body, limit).await?;
        let mut response = Response::new(head.status.as_u16(), body);
        for (name, value) in &head.headers {
            if let Ok(value) = value.to_str() {
                response = response.with_header(name.as_str(), value);
            }
        }
        Ok(response)
    };
    // The connection moves only while it is polled. When it ends first, what it read is still to be taken.
    match select(pin!(exchange), pin!(connection)).await {
        Either::Left((response, _)) => response,
        Either::Right((_, exchange)) => exchange.await,
    }
}

async fn whole(mut body: Incoming, limit: usize) -> Result<Vec<u8>, FetchError> {
    let too_large = FetchError::TooLarge { limit };
    let stated = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if stated > limit {
        return Err(too_large);
    }
    let mut bytes = Vec::with_capacity(stated);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| broken(&error))?.into_data() else { continue };
        if data.len() > limit - bytes.len() {
            return Err(too_large);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

fn broken(error: &hyper::Error) -> FetchError {
    if error.is_parse_too_large() {
        return FetchError::HeadersTooLarge;
    }
    // The cause tells what the HTTP library's own words leave out.
    let detail = match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    FetchError::Broken { detail }
}
