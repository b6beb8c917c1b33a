//! Login by GitHub: OAuth 2.0 without OpenID Connect, so that GitHub itself is asked who it is.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cachegate_fetch::{Fetch, Request, Response, Url, UrlError};
use cachegate_types::{Description, Name, SecretText};
use serde::Deserialize;

use crate::identity::{Groups, Identity};
use crate::login::Provider;
use crate::transport::{Application, Endpoints, LIST_LIMITS, ask, json, object, said_error};
use crate::{LoginError, ProviderError};

/// So many organizations of one person are read; who is in more is in an unknown number.
const MAX_PAGES: usize = 10;
const PAGE: usize = 100;

/// GitHub, or a GitHub Enterprise Server.
#[derive(Clone)]
pub struct GithubBuilder {
    id: Name,
    application: Application,
    web: String,
    api: String,
    organizations: bool,
    device_flow: bool,
    admitted: BTreeSet<String>,
}

impl GithubBuilder {
    /// An OAuth or GitHub App at github.com.
    pub fn new(id: Name, client_id: &str, client_secret: SecretText) -> Self {
        Self {
            id,
            application: Application {
                client_id: client_id.to_owned(),
                client_secret: Some(client_secret),
                secret_in_body: true,
                scopes: Vec::new(),
            },
            web: "https://github.com".to_owned(),
            api: "https://api.github.com".to_owned(),
            organizations: false,
            device_flow: false,
            admitted: BTreeSet::new(),
        }
    }

    /// A server of one's own: its web pages (`https://github.example`) and its API (`https://github.example/api/v3`).
    #[must_use]
    pub fn server(mut self, web: &str, api: &str) -> Self {
        self.web = web.trim_end_matches('/').to_owned();
        self.api = api.trim_end_matches('/').to_owned();
        self
    }

    /// Reads which organizations the person is an active member of.
    #[must_use]
    pub fn read_organizations(mut self) -> Self {
        self.organizations = true;
        self
    }

    /// Lets in members of these organizations alone, by their numeric ids: a name can be given up and taken by others.
    #[must_use]
    pub fn admit_organizations(mut self, ids: &[u64]) -> Self {
        self.admitted = ids.iter().map(u64::to_string).collect();
        self.organizations = true;
        self
    }

    /// Also signs in terminals, by GitHub's device flow. Whoever can talk a person into typing a code is signed in as
    /// that person, which is why this is a choice.
    #[must_use]
    pub fn allow_device_flow(mut self) -> Self {
        self.device_flow = true;
        self
    }

    /// # Errors
    ///
    /// [`ProviderError`].
    pub fn build(mut self) -> Result<Provider, ProviderError> {
        self.application.check()?;
        if self.organizations {
            self.application.scopes.push("read:org".to_owned());
        }
        let address = |what, text: String| {
            let parsed: Result<Url, UrlError> = Url::dangerous_parse_with_loopback_http(&text);
            parsed.map_err(|source| ProviderError::Address { what, source })
        };
        let client_id = &self.application.client_id;
        if !client_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')) {
            let source = UrlError::Malformed;
            return Err(ProviderError::Address { what: "client id, which is part of one", source });
        }
        Ok(Provider::github(Github {
            endpoints: Endpoints {
                authorization: address(
                    "authorization endpoint",
                    format!("{}/login/oauth/authorize", self.web),
                )?,
                token: address("token endpoint", format!("{}/login/oauth/access_token", self.web))?,
            },
            device: address("device endpoint", format!("{}/login/device/code", self.web))?,
            check: address("API", format!("{}/applications/{client_id}/token", self.api))?,
            issuer: self.web.into(),
            id: self.id,
            application: self.application,
            api: self.api,
            organizations: self.organizations,
            device_flow: self.device_flow,
            admitted: self.admitted,
        }))
    }
}

impl fmt::Debug for GithubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubBuilder").field("id", &self.id).field("web", &self.web).finish_non_exhaustive()
    }
}

/// A configured GitHub.
#[derive(Clone, Debug)]
pub(crate) struct Github {
    pub(crate) id: Name,
    pub(crate) application: Application,
    pub(crate) endpoints: Endpoints,
    issuer: Arc<str>,
    device: Url,
    check: Url,
    api: String,
    organizations: bool,
    device_flow: bool,
    admitted: BTreeSet<String>,
}

/// What a terminal shows (RFC 8628, section 3.2).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeviceCode {
    /// What the terminal asks with. A secret.
    pub device_code: SecretText,
    /// What the person types.
    pub user_code: String,
    /// Where they type it.
    pub verification_uri: String,
    /// For how long.
    pub expires_in: Duration,
    /// How long to wait between two questions.
    pub interval: Duration,
}

#[derive(Deserialize)]
struct DeviceAnswer {
    device_code: String,
    user_code: String,
    verification_uri: String,
    expires_in: u32,
    #[serde(default = "default_interval")]
    interval: u32,
}

/// RFC 8628, section 3.2.
const fn default_interval() -> u32 {
    5
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
}

/// What a question of the device flow gives.
pub(crate) enum Asked {
    Pending,
    SlowDown,
    Token(SecretText),
}

/// GitHub's answer to a check of a token. More than is read is there.
#[derive(Deserialize)]
struct Check {
    app: App,
    user: User,
}

#[derive(Deserialize)]
struct App {
    client_id: String,
}

#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
}

#[derive(Deserialize)]
struct Place {
    state: String,
    organization: Organization,
}

#[derive(Deserialize)]
struct Organization {
    id: u64,
}

impl Github {
    /// Who the token is of, if it is this application's (`POST /applications/{client_id}/token`): a token that another
    /// application was given says who somebody is just as well, and is no login here.
    pub(crate) async fn identify(
        &self,
        fetch: &dyn Fetch,
        access_token: &SecretText,
    ) -> Result<Identity, LoginError> {
        let body = serde_json::json!({ "access_token": access_token.expose_secret() }).to_string();
        let request = Request::post(self.check.clone(), "application/json", SecretText::new(body))
            .with_header("authorization", self.basic());
        let answer = ask(fetch, &to_api(request)).await?;
        match answer.status() {
            200 => {}
            404 | 422 => return Err(LoginError::OtherApplication),
            status => return Err(LoginError::Status { status }),
        }
        let check: Check = object(&answer, "GitHub's check of its token")?;
        if check.app.client_id != self.application.client_id {
            return Err(LoginError::OtherApplication);
        }
        if check.user.id == 0 {
            return Err(LoginError::NoIdentity { claim: "id" });
        }
        let groups = match self.organizations {
            true => self.organizations(fetch, access_token).await?,
            false => Groups::Absent,
        };
        groups.admit(&self.admitted)?;
        Ok(Identity {
            provider: self.id.clone(),
            issuer: Arc::clone(&self.issuer),
            subject: check.user.id.to_string().into(),
            // A name that can be given up and registered by someone else: shown, and nothing more.
            display: check.user.login.parse::<Description>().unwrap_or_default(),
            groups,
        })
    }

    /// The ids of the organizations that the person is an active member of; an invitation is none.
    async fn organizations(&self, fetch: &dyn Fetch, token: &SecretText) -> Result<Groups, LoginError> {
        let bearer = SecretText::new(format!("Bearer {}", token.expose_secret()));
        let mut ids = BTreeSet::new();
        for page in 1..=MAX_PAGES {
            let garbage = LoginError::Garbage { what: "GitHub's list of organizations" };
            let text = format!("{}/user/memberships/orgs?state=active&per_page={PAGE}&page={page}", self.api);
            let Ok(url) = Url::dangerous_parse_with_loopback_http(&text) else { return Err(garbage) };
            let request = Request::get(url).with_header("authorization", bearer.clone());
            let answer = ask(fetch, &to_api(request).with_limits(LIST_LIMITS)).await?;
            match answer.status() {
                200 => {}
                // The person or the organization did not let this application read it.
                403 | 404 => return Ok(Groups::Incomplete),
                status => return Err(LoginError::Status { status }),
            }
            let Ok(places) = serde_json::from_slice::<Vec<Place>>(answer.body()) else { return Err(garbage) };
            let count = places.len();
            let active = places.into_iter().filter(|place| place.state == "active");
            ids.extend(active.map(|place| Arc::from(place.organization.id.to_string())));
            if count < PAGE {
                return Ok(Groups::Known(ids));
            }
        }
        Ok(Groups::Incomplete)
    }

    /// Begins the device flow (RFC 8628, section 3.1).
    pub(crate) async fn begin_device(&self, fetch: &dyn Fetch) -> Result<DeviceCode, LoginError> {
        self.check_device_flow()?;
        let scope = self.application.scopes.join(" ");
        let fields = [("client_id", &*self.application.client_id), ("scope", &scope)];
        let answer = ask(fetch, &json(Request::post_form(self.device.clone(), &fields))).await?;
        refuse_said_error(&answer)?;
        let what = "GitHub's device code";
        let answer: DeviceAnswer = object(&answer, what)?;
        // The person is sent there: to GitHub, and nowhere else.
        let place = Url::dangerous_parse_with_loopback_http(&answer.verification_uri).ok();
        if !place.is_some_and(|place| place.same_origin(&self.device)) {
            return Err(LoginError::Garbage { what });
        }
        Ok(DeviceCode {
            device_code: SecretText::new(answer.device_code),
            user_code: answer.user_code,
            verification_uri: answer.verification_uri,
            expires_in: Duration::from_secs(answer.expires_in.into()),
            interval: Duration::from_secs(answer.interval.max(default_interval()).into()),
        })
    }

    /// Asks once whether the person has typed the code (RFC 8628, sections 3.4 and 3.5).
    pub(crate) async fn ask_device(&self, fetch: &dyn Fetch, code: &SecretText) -> Result<Asked, LoginError> {
        self.check_device_flow()?;
        let fields = [
            ("client_id", &*self.application.client_id),
            ("device_code", code.expose_secret()),
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ];
        let answer = ask(fetch, &json(Request::post_form(self.endpoints.token.clone(), &fields))).await?;
        match said_error(&answer).as_deref() {
            Some("authorization_pending") => return Ok(Asked::Pending),
            Some("slow_down") => return Ok(Asked::SlowDown),
            _ => refuse_said_error(&answer)?,
        }
        let answer: TokenAnswer = object(&answer, "GitHub's answer to a device code")?;
        Ok(Asked::Token(SecretText::new(answer.access_token)))
    }

    fn check_device_flow(&self) -> Result<(), LoginError> {
        if self.device_flow { Ok(()) } else { Err(LoginError::NoDeviceFlow) }
    }

    fn basic(&self) -> SecretText {
        let secret = self.application.client_secret.as_ref().map_or("", SecretText::expose_secret);
        let pair = format!("{}:{secret}", self.application.client_id);
        SecretText::new(format!("Basic {}", STANDARD.encode(pair)))
    }
}

/// GitHub's errors come with the status 200.
fn refuse_said_error(answer: &Response) -> Result<(), LoginError> {
    match said_error(answer) {
        Some(error) => Err(LoginError::refused(&error)),
        None if answer.status() != 200 => Err(LoginError::Status { status: answer.status() }),
        None => Ok(()),
    }
}

/// What GitHub's API asks every caller for.
fn to_api(request: Request) -> Request {
    let header = |text: &str| SecretText::new(text.to_owned());
    request
        .with_header("accept", header("application/vnd.github+json"))
        .with_header("user-agent", header("cachegate"))
        .with_header("x-github-api-version", header("2022-11-28"))
}
