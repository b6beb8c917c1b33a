//! OAuth 2.0 over `Fetch`: the `oauth2` crate says what is sent, this module sends it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use cachegate_fetch::{Fetch, FetchError, Limits, Request, Response, Url};
use cachegate_types::SecretText;
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken,
    EndpointNotSet, EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, StandardRevocableToken, StandardTokenResponse,
    TokenResponse, TokenUrl,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::attempt::Handle;
use crate::{LoginError, ProviderError};

/// What we are to a provider.
#[derive(Clone, Debug)]
pub(crate) struct Application {
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<SecretText>,
    /// The secret in the form instead of the header.
    pub(crate) secret_in_body: bool,
    pub(crate) scopes: Vec<String>,
}

impl Application {
    pub(crate) fn check(&self) -> Result<(), ProviderError> {
        if self.client_id.is_empty() {
            return Err(ProviderError::Empty { what: "client id" });
        }
        match &self.client_secret {
            Some(secret) if secret.expose_secret().is_empty() => {
                Err(ProviderError::Empty { what: "client secret" })
            }
            _ => Ok(()),
        }
    }
}

/// Where a provider's authorization code flow takes place.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    pub(crate) authorization: Url,
    pub(crate) token: Url,
}

/// What a token endpoint gives.
pub(crate) struct Tokens {
    pub(crate) access_token: SecretText,
    pub(crate) id_token: Option<SecretText>,
}

/// The member that OpenID Connect adds (Core 1.0, section 3.1.3.3).
#[derive(Serialize, Deserialize)]
struct WithIdToken {
    id_token: Option<String>,
}

impl fmt::Debug for WithIdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithIdToken").finish_non_exhaustive()
    }
}

impl ExtraTokenFields for WithIdToken {}

type Flow = Client<
    BasicErrorResponse,
    StandardTokenResponse<WithIdToken, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

fn flow(application: &Application, endpoints: &Endpoints, redirect: &Url) -> Result<Flow, LoginError> {
    let unreadable = |_| LoginError::Garbage { what: "the address of an endpoint" };
    let mut flow = Client::new(ClientId::new(application.client_id.clone()))
        .set_auth_uri(AuthUrl::new(endpoints.authorization.to_string()).map_err(unreadable)?)
        .set_token_uri(TokenUrl::new(endpoints.token.to_string()).map_err(unreadable)?)
        .set_redirect_uri(RedirectUrl::new(redirect.to_string()).map_err(unreadable)?);
    if let Some(secret) = &application.client_secret {
        flow = flow.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
    }
    if application.secret_in_body {
        flow = flow.set_auth_type(AuthType::RequestBody);
    }
    Ok(flow)
}

/// Where the browser is sent: an authorization request (RFC 6749, section 4.1.1) with the attempt's state and code
/// challenge.
pub(crate) fn authorization_url(
    application: &Application,
    endpoints: &Endpoints,
    redirect: &Url,
    handle: &Handle,
    further: &[(&str, &str)],
) -> Result<String, LoginError> {
    let flow = flow(application, endpoints, redirect)?;
    let verifier = PkceCodeVerifier::new(handle.verifier().expose_secret().to_owned());
    let mut request = flow
        .authorize_url(|| CsrfToken::new(handle.state().expose_secret().to_owned()))
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
        .add_scopes(application.scopes.iter().cloned().map(Scope::new));
    for (name, value) in further {
        request = request.add_extra_param(*name, *value);
    }
    Ok(request.url().0.into())
}

/// Turns a code into tokens (RFC 6749, section 4.1.3), with the code verifier of this attempt.
pub(crate) async fn redeem(
    fetch: &Arc<dyn Fetch>,
    application: &Application,
    endpoints: &Endpoints,
    redirect: &Url,
    code: &str,
    handle: &Handle,
) -> Result<Tokens, LoginError> {
    let flow = flow(application, endpoints, redirect)?;
    let post = Post { fetch: Arc::clone(fetch), endpoint: endpoints.token.clone() };
    let answer = flow
        .exchange_code(AuthorizationCode::new(code.to_owned()))
        .set_pkce_verifier(PkceCodeVerifier::new(handle.verifier().expose_secret().to_owned()))
        .request_async(&post)
        .await;
    let tokens = answer.map_err(|error| match error {
        RequestTokenError::ServerResponse(said) => LoginError::refused(said.error().as_ref()),
        RequestTokenError::Request(Failure(error)) => error,
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            LoginError::Garbage { what: "what the token endpoint says" }
        }
    })?;
    Ok(Tokens {
        access_token: SecretText::new(tokens.access_token().secret().clone()),
        id_token: tokens.extra_fields().id_token.clone().map(SecretText::new),
    })
}

/// A failed call, on its way through the `oauth2` crate.
#[derive(Debug)]
struct Failure(LoginError);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}

/// Sends what the `oauth2` crate composes to this endpoint, and nowhere else.
struct Post {
    fetch: Arc<dyn Fetch>,
    endpoint: Url,
}

impl<'c> AsyncHttpClient<'c> for Post {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Failure>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move { self.send(request).await.map_err(Failure) })
    }
}

impl Post {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, LoginError> {
        let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        let authorization = authorization.map(|value| SecretText::new(value.to_owned()));
        let body = String::from_utf8(request.into_body());
        let body = body.map_err(|_| LoginError::Garbage { what: "the request itself" })?;
        let form = "application/x-www-form-urlencoded";
        let mut request = json(Request::post(self.endpoint.clone(), form, SecretText::new(body)));
        if let Some(authorization) = authorization {
            request = request.with_header("authorization", authorization);
        }
        let answer = ask(&*self.fetch, &request).await?;
        let mut response = HttpResponse::new(answer.body().to_vec());
        // GitHub says what is wrong with a status that says that nothing is.
        let status = match answer.status() {
            200 if said_error(&answer).is_some() => 400,
            status => status,
        };
        *response.status_mut() = status.try_into().map_err(|_| LoginError::Status { status })?;
        Ok(response)
    }
}

/// That JSON is wanted: GitHub answers with a form otherwise.
pub(crate) fn json(request: Request) -> Request {
    request.with_header("accept", SecretText::new("application/json".to_owned()))
}

/// Sends it. A status that speaks of a fault of the provider is an error here.
pub(crate) async fn ask(fetch: &dyn Fetch, request: &Request) -> Result<Response, LoginError> {
    let unreachable = |source: FetchError| LoginError::Unreachable { source };
    let answer = fetch.fetch(request).await.map_err(unreachable)?;
    match answer.status() {
        // A redirect is a fault too: it would lead the request, and what is secret in it, elsewhere.
        status @ (300..=399 | 429 | 500..) => Err(LoginError::Status { status }),
        _ => Ok(answer),
    }
}

#[derive(Deserialize)]
struct SaidError {
    error: String,
}

/// The error that the body names, whatever the status.
pub(crate) fn said_error(answer: &Response) -> Option<String> {
    object::<SaidError>(answer, "").ok().map(|said| said.error)
}

/// One JSON object.
pub(crate) fn object<T: DeserializeOwned>(answer: &Response, what: &'static str) -> Result<T, LoginError> {
    let garbage = || LoginError::Garbage { what };
    // A list of as many members would be read as well.
    if !answer.body().trim_ascii_start().starts_with(b"{") {
        return Err(garbage());
    }
    serde_json::from_slice(answer.body()).map_err(|_| garbage())
}

/// Ten seconds and a megabyte: what a list of a hundred organizations needs.
pub(crate) const LIST_LIMITS: Limits = Limits { time: std::time::Duration::from_secs(10), body: 1024 * 1024 };
