//! Authorization as a tower layer, for a server that exists already.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Buf;
use cachegate::{Allowed, Gate, Request as Question, Verdict};
use cachegate_types::{Action, Resource, Timestamp};
use http::request::Parts;
use http::{Method, Request, Response, Version, header};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    Answer, Outcome, Protocol, answer, credential_from_headers, denial, malformed, refuse_credential_in_url,
};

/// How much of a refused request's body is read and thrown away, unless it is said otherwise: 1 MiB.
const DISCARDED: u64 = 1024 * 1024;

/// What a request asks for. The layer leaves it in the request's extensions, beside the [`Allowed`] that it got.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// How a refusal is to be written.
    pub protocol: Protocol,
    /// What is to be done.
    pub action: Action,
    /// To what.
    pub resource: Resource,
}

/// Lets through what the gate allows, and answers the rest as its protocol's clients do the right thing with.
///
/// The function that it is made with says what a request asks for. Nothing passes without a decision: where the
/// function finds nothing to ask, it gives the answer itself, as `answer(protocol, action, &Outcome::Unusable { .. })`
/// does. What needs no decision is mounted beside the layer.
///
/// What is inside finds [`Allowed`] and [`Asked`] in the request's extensions: the lanes to read, the ticket to seal
/// with, the protocol to answer in. The body goes through as it comes; none is held.
pub struct AuthorizationLayer<F> {
    shared: Arc<Shared<F>>,
}

struct Shared<F> {
    gate: Gate,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ask: F,
    discarded: u64,
}

impl<F> AuthorizationLayer<F>
where
    F: Fn(&Parts) -> Result<Asked, Answer>,
{
    /// A layer that asks this gate what `ask` makes of a request. `clock` is wall time.
    pub fn new(gate: Gate, clock: impl Fn() -> Timestamp + Send + Sync + 'static, ask: F) -> Self {
        Self { shared: Arc::new(Shared { gate, clock: Arc::new(clock), ask, discarded: DISCARDED }) }
    }
}

impl<F: Clone> AuthorizationLayer<F> {
    /// How many bytes of a refused request's body are read, and thrown away, before the answer. Default: 1 MiB.
    ///
    /// Where HTTP/1 closes a connection under a client that still sends, the answer is lost to it: it tries again, or
    /// fails where it should have gone on. Whoever waits to be asked for the body is not asked.
    #[must_use]
    pub fn discarding(self, limit: u64) -> Self {
        let Shared { gate, clock, ask, .. } = &*self.shared;
        let (gate, clock, ask) = (gate.clone(), Arc::clone(clock), ask.clone());
        Self { shared: Arc::new(Shared { gate, clock, ask, discarded: limit }) }
    }
}

impl<F> Clone for AuthorizationLayer<F> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<F> fmt::Debug for AuthorizationLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationLayer").field("gate", &self.shared.gate).finish_non_exhaustive()
    }
}

impl<S, F> Layer<S> for AuthorizationLayer<F> {
    type Service = Authorization<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        Authorization { inner, shared: Arc::clone(&self.shared) }
    }
}

/// A service behind an [`AuthorizationLayer`].
pub struct Authorization<S, F> {
    inner: S,
    shared: Arc<Shared<F>>,
}

impl<S: Clone, F> Clone for Authorization<S, F> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: Arc::clone(&self.shared) }
    }
}

impl<S: fmt::Debug, F> fmt::Debug for Authorization<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, F, B, R> Service<Request<B>> for Authorization<S, F>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    F: Fn(&Parts) -> Result<Asked, Answer> + Send + Sync + 'static,
    B: Body + Send + 'static,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was polled ready is the one to call.
        let unready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, unready);
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match shared.decide(&parts).await {
                Ok((asked, allowed)) => {
                    parts.extensions.insert(asked);
                    parts.extensions.insert(allowed);
                    inner.call(Request::from_parts(parts, body)).await
                }
                Err(refusal) => {
                    if !answers_early(&parts) {
                        discard(body, shared.discarded).await;
                    }
                    let mut response = refusal.into_response::<R>();
                    if parts.method == Method::HEAD {
                        *response.body_mut() = R::from(String::new());
                    }
                    Ok(response)
                }
            }
        })
    }
}

impl<F> Shared<F>
where
    F: Fn(&Parts) -> Result<Asked, Answer>,
{
    async fn decide(&self, parts: &Parts) -> Result<(Asked, Allowed), Answer> {
        let asked = (self.ask)(parts)?;
        let Asked { protocol, action, ref resource } = asked;
        let brand = self.gate.brand();
        let credential = refuse_credential_in_url(&parts.uri, brand)
            .and_then(|()| credential_from_headers(&parts.headers, brand))
            .map_err(|error| malformed(protocol, action, &error))?;
        let (question, now) = (Question::new(action, resource), (self.clock)());
        let verdict = match self.gate.check_held(credential.as_ref(), &question, now) {
            Some(verdict) => verdict,
            None => self.gate.check(credential.as_ref(), &question, now).await,
        };
        match verdict {
            Verdict::Allowed(allowed) => Ok((asked, allowed)),
            Verdict::Denied(_) | Verdict::NotAuthenticated(_) | Verdict::Unavailable(_) => {
                let refusal = denial(protocol, action, &verdict);
                Err(refusal.unwrap_or_else(|| answer(protocol, action, &Outcome::Failed)))
            }
        }
    }
}

/// Whether the client takes an answer while it still sends, or has not begun to send.
fn answers_early(parts: &Parts) -> bool {
    parts.version >= Version::HTTP_2 || parts.headers.contains_key(header::EXPECT)
}

/// Reads a body to its end, or to this limit, and keeps nothing.
async fn discard(body: impl Body, limit: u64) {
    let mut body = pin!(body);
    let mut left = limit;
    while let Some(Ok(frame)) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let length = frame.data_ref().map_or(0, |data| data.remaining() as u64);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
