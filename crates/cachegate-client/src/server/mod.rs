//! A server, asked on behalf of one token.

mod error;
mod manage;
mod oauth;
mod record;
mod release;

use std::sync::Arc;
use std::time::Duration;

use cachegate_fetch::{Fetch, Limits, Method, Request, Response, Url};
use cachegate_types::SecretText;
use serde::de::DeserializeOwned;

use crate::{BoundToken, Origin};

pub use self::error::{Failure, ServerError};
pub use self::oauth::{DeviceLogin, DevicePoll};
pub use self::record::{
    DeviceAccess, Explained, IssuedToken, OrganizationRecord, PersonRecord, PrincipalRecord, RefusalRecord,
    RestrictionRecord, RevokedRecord, TokenOrder, TokenQuery, TokenRecord, WhoAmI, WorkspaceRecord,
};
pub use self::release::{ReleaseReference, ReleaseReferenceError, ResolvedRelease};

/// What one request may cost. A page of a hundred tokens has about 80 KiB.
const LIMITS: Limits = Limits { time: Duration::from_secs(20), body: 1 << 20 };

/// A cachegate server, and the token that it is asked with.
///
/// A token goes to the server that it is bound to. An answer that leads elsewhere is an error; nothing is sent twice.
#[derive(Clone, Debug)]
pub struct Server {
    origin: Origin,
    url: Url,
    fetch: Arc<dyn Fetch>,
    token: Option<BoundToken>,
}

impl Server {
    /// The server at this origin, asked without a token.
    ///
    /// # Errors
    ///
    /// [`ServerError::Address`] where no request can be made to such an address.
    pub fn new(origin: Origin, fetch: Arc<dyn Fetch>) -> Result<Self, ServerError> {
        // An origin is `https`, or `http` to this machine alone.
        let url = Url::dangerous_parse_with_loopback_http(origin.as_str());
        Ok(Self { origin, url: url.map_err(|source| ServerError::Address { source })?, fetch, token: None })
    }

    /// Asked with this token.
    ///
    /// # Errors
    ///
    /// [`ServerError::OtherServer`] where the token is for another.
    pub fn with_token(mut self, token: BoundToken) -> Result<Self, ServerError> {
        if token.token_for(&self.origin).is_none() {
            let bound_to = token.origin().clone();
            return Err(ServerError::OtherServer { bound_to, origin: self.origin });
        }
        self.token = Some(token);
        Ok(self)
    }

    /// Where it is.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    fn url(&self, path: &str) -> Result<Url, ServerError> {
        self.url.with_path(path).map_err(|source| ServerError::Address { source })
    }

    /// Reads a document of the management API.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ServerError> {
        let request = Request::get(self.url(&format!("/api/v1{path}"))?);
        self.read(&self.send(self.authorized(request)).await?)
    }

    /// Hands a document to the management API.
    async fn post(&self, path: &str, body: &serde_json::Value) -> Result<Response, ServerError> {
        let url = self.url(&format!("/api/v1{path}"))?;
        let request = Request::post(url, "application/json", SecretText::new(body.to_string()));
        self.send(self.authorized(request)).await
    }

    fn authorized(&self, request: Request) -> Request {
        match self.token.as_ref().and_then(|token| token.token_for(&self.origin)) {
            None => request,
            Some(token) => {
                let value = SecretText::new(format!("Bearer {}", token.expose_secret()));
                request.with_header("authorization", value)
            }
        }
    }

    /// Sends it, and takes nothing but a success.
    async fn send(&self, request: Request) -> Result<Response, ServerError> {
        self.send_within(request, LIMITS).await
    }

    async fn send_within(&self, request: Request, limits: Limits) -> Result<Response, ServerError> {
        debug_assert!(
            request.url().same_origin(&self.url) && matches!(request.method(), Method::Get | Method::Post)
        );
        let request = request
            .with_header("accept", SecretText::new("application/json, application/problem+json".to_owned()))
            .with_limits(limits);
        let answer = self.fetch.fetch(&request).await;
        let response =
            answer.map_err(|source| ServerError::NotReached { origin: self.origin.clone(), source })?;
        match response.status() {
            200..=299 => Ok(response),
            _ => Err(ServerError::of_answer(&self.origin, &response)),
        }
    }

    fn read<T: DeserializeOwned>(&self, response: &Response) -> Result<T, ServerError> {
        // What the JSON reader says would quote the answer, which may hold a token.
        serde_json::from_slice(response.body())
            .map_err(|_| ServerError::Answer { origin: self.origin.clone(), status: response.status() })
    }
}
