//! The login itself: what each of its requests does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cachegate::{Clock, Gate, MonotonicClock};
use cachegate_fetch::{Fetch, Url, UrlError};
use cachegate_storage::{Accounts, Storage};
use cachegate_types::{Name, SecretText, Timestamp, UserId};
use oauth2::url::form_urlencoded;

use crate::attempt::{Attempt, Handle, same};
use crate::github::{Asked, DeviceCode, Github};
use crate::oidc::{Oidc, OidcClient};
use crate::target::ReturnTarget;
use crate::transport::{authorization_url, redeem};
use crate::{Identity, LoginError, ProviderError, cookie, person};

/// The longest answer of a provider that is read, in bytes.
const MAX_QUERY: usize = 8 * 1024;

/// A configured provider: from [`OidcBuilder`](crate::OidcBuilder) or [`GithubBuilder`](crate::GithubBuilder).
#[derive(Clone, Debug)]
pub struct Provider(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Oidc(Box<Oidc>),
    Github(Box<Github>),
}

impl Provider {
    pub(crate) fn oidc(oidc: Oidc) -> Self {
        Self(Kind::Oidc(Box::new(oidc)))
    }

    pub(crate) fn github(github: Github) -> Self {
        Self(Kind::Github(Box::new(github)))
    }

    /// Its name here, which stands in its addresses.
    pub fn id(&self) -> &Name {
        match &self.0 {
            Kind::Oidc(oidc) => &oidc.id,
            Kind::Github(github) => &github.id,
        }
    }
}

/// Composes a [`Login`].
#[must_use]
#[derive(Debug)]
pub struct LoginBuilder {
    gate: Gate,
    storage: Shared<dyn Storage>,
    accounts: Shared<dyn Accounts>,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    base: String,
    providers: Vec<Provider>,
}

struct Shared<T: ?Sized>(Arc<T>);

impl<T: ?Sized> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl LoginBuilder {
    /// Also signs in by this provider.
    pub fn provider(mut self, provider: Provider) -> Self {
        self.providers.push(provider);
        self
    }

    /// The monotonic clock by which keys and discovery age; the machine's, unless said otherwise.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// # Errors
    ///
    /// [`ProviderError`].
    pub fn build(self) -> Result<Login, ProviderError> {
        let base = self.base.trim_end_matches('/');
        let mut providers = BTreeMap::new();
        let mut https = true;
        for provider in self.providers {
            let id = provider.id().clone();
            let redirect = Url::dangerous_parse_with_loopback_http(&format!("{base}/login/{id}/callback"))
                .and_then(|url| if url.as_str().contains('?') { Err(UrlError::Malformed) } else { Ok(url) })
                .map_err(|source| ProviderError::Address { what: "address to come back to", source })?;
            https = redirect.is_https();
            let client = match provider.0 {
                Kind::Oidc(oidc) => AtWork::Oidc(Box::new(OidcClient::new(*oidc, Arc::clone(&self.fetch))?)),
                Kind::Github(github) => AtWork::Github(github),
            };
            if providers.insert(id, (redirect, client)).is_some() {
                return Err(ProviderError::DuplicateName);
            }
        }
        Ok(Login {
            gate: self.gate,
            storage: self.storage,
            accounts: self.accounts,
            fetch: self.fetch,
            clock: self.clock,
            https,
            providers,
        })
    }
}

/// Signs people in.
#[derive(Debug)]
pub struct Login {
    gate: Gate,
    storage: Shared<dyn Storage>,
    accounts: Shared<dyn Accounts>,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    https: bool,
    /// With the address that each sends the person back to: another one for each, so that none can answer for another.
    providers: BTreeMap<Name, (Url, AtWork)>,
}

#[derive(Debug)]
enum AtWork {
    Oidc(Box<OidcClient>),
    Github(Box<Github>),
}

/// A login that was begun: redirect there (303), and set the cookie.
#[derive(Clone, Debug)]
pub struct Begun {
    /// The provider's page, for a `Location` header.
    pub location: String,
    /// The whole value of a `Set-Cookie` header. It binds the login to this browser; nobody else may see it.
    pub set_cookie: SecretText,
}

/// Somebody who has shown who they are. Whoever mounts the login begins their session, a new one at each login:
/// [`Gate::begin_browser_session`] for a browser, [`Gate::log_in`] for a terminal.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SignedIn {
    /// Who it is here.
    pub user: UserId,
    /// Whether this was their first login by this account.
    pub is_new: bool,
    /// Who it is at the provider.
    pub identity: Identity,
    /// Where they wanted to go: a path of this host.
    pub return_to: String,
    /// The whole value of a `Set-Cookie` header that takes the login's cookie away.
    pub clear_cookie: String,
}

/// What became of a device flow so far.
#[derive(Clone, Debug)]
pub enum Poll {
    /// The person has not typed the code yet.
    Pending,
    /// It was asked too soon: wait five seconds longer from now on (RFC 8628, section 3.5).
    SlowDown,
    /// They have.
    Done(Box<SignedIn>),
}

/// What a provider sends the browser back with (RFC 6749, section 4.1.2; RFC 9207, section 2).
#[derive(Default)]
struct Answer {
    state: Option<SecretText>,
    code: Option<SecretText>,
    error: Option<String>,
    issuer: Option<String>,
}

impl Answer {
    /// A parameter that comes twice is refused: two readers could take different ones.
    fn read(query: &str) -> Result<Self, LoginError> {
        if query.len() > MAX_QUERY {
            return Err(LoginError::Malformed { what: "it is too long" });
        }
        let (mut answer, mut again) = (Self::default(), false);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            again |= match &*name {
                "state" => answer.state.replace(SecretText::new(value)).is_some(),
                "code" => answer.code.replace(SecretText::new(value)).is_some(),
                "error" => answer.error.replace(value).is_some(),
                "iss" => answer.issuer.replace(value).is_some(),
                _ => false,
            };
        }
        if again { Err(LoginError::Malformed { what: "a parameter that comes twice" }) } else { Ok(answer) }
    }
}

impl Login {
    /// A login at the public address `base`, such as `https://cache.example`, with sessions of this gate.
    ///
    /// `accounts` is where it is kept who signs in by which account, most often the storage itself. The fetch is the
    /// one that asks public hosts; each provider is asked at its own addresses alone.
    pub fn builder(
        gate: Gate,
        storage: Arc<dyn Storage>,
        accounts: Arc<dyn Accounts>,
        fetch: Arc<dyn Fetch>,
        base: &str,
    ) -> LoginBuilder {
        LoginBuilder {
            gate,
            storage: Shared(storage),
            accounts: Shared(accounts),
            fetch,
            clock: Arc::new(MonotonicClock::new()),
            base: base.to_owned(),
            providers: Vec::new(),
        }
    }

    /// The names of the providers, ascending: what a page offers.
    pub fn providers(&self) -> impl Iterator<Item = &Name> {
        self.providers.keys()
    }

    /// Whether this is a place that a login may end at: a path of this host. [`Login::begin`] checks it as well.
    ///
    /// # Errors
    ///
    /// [`LoginError::ReturnTarget`].
    pub fn check_return_target(return_to: Option<&str>) -> Result<(), LoginError> {
        ReturnTarget::parse(return_to).map(drop)
    }

    /// `GET /login/{provider}`: begins a login that ends at `return_to`, a path of this host.
    ///
    /// # Errors
    ///
    /// [`LoginError`]; nothing was begun.
    pub async fn begin(
        &self,
        provider: &Name,
        return_to: Option<&str>,
        now: Timestamp,
    ) -> Result<Begun, LoginError> {
        let (redirect, client) = self.client(provider)?;
        let return_to = ReturnTarget::parse(return_to)?;
        let handle = Handle::new()?;
        let location = match client {
            AtWork::Oidc(oidc) => {
                let metadata = oidc.metadata(self.ticks()).await?;
                oidc.authorization_url(&metadata, redirect, &handle)?
            }
            AtWork::Github(github) => {
                authorization_url(&github.application, &github.endpoints, redirect, &handle, &[])?
            }
        };
        Attempt::begin(&handle, provider, &return_to, &*self.storage.0, now).await?;
        Ok(Begun { location, set_cookie: cookie::set(&handle.to_text(), self.https) })
    }

    /// `GET /login/{provider}/callback`: finishes the login that this browser began. `cookies` are the values of the
    /// request's `Cookie` headers, `query` is its query without the `?`.
    ///
    /// # Errors
    ///
    /// [`LoginError`]; nobody is signed in.
    pub async fn finish<'a>(
        &self,
        provider: &Name,
        cookies: impl IntoIterator<Item = &'a str>,
        query: &str,
        now: Timestamp,
    ) -> Result<SignedIn, LoginError> {
        let (redirect, client) = self.client(provider)?;
        let answer = Answer::read(query)?;
        let handle =
            cookie::read(cookies, self.https)?.and_then(Handle::parse).ok_or(LoginError::NoAttempt)?;
        let attempt = Attempt::find(&handle, &*self.storage.0, now).await?;
        if attempt.provider != *provider {
            return Err(LoginError::OtherProvider);
        }
        match &answer.state {
            Some(state) if same(&handle.state(), state.expose_secret()) => {}
            _ => return Err(LoginError::State),
        }
        let metadata = match client {
            AtWork::Oidc(oidc) => {
                let metadata = oidc.metadata(self.ticks()).await?;
                oidc.check_issuer(&metadata, answer.issuer.as_deref())?;
                Some(metadata)
            }
            AtWork::Github(_) => None,
        };
        // From here on it is this attempt's answer, whatever it says, and there will be no other.
        attempt.use_up(&handle, &*self.storage.0).await?;
        if let Some(error) = &answer.error {
            return Err(LoginError::refused(error));
        }
        let code = answer.code.as_ref().ok_or(LoginError::Malformed { what: "it has no code" })?;
        let code = code.expose_secret();
        let identity = match (client, metadata) {
            (AtWork::Oidc(oidc), Some(metadata)) => {
                let application = &oidc.provider.application;
                let tokens =
                    redeem(&self.fetch, application, &metadata.endpoints, redirect, code, &handle).await?;
                let issuer = answer.issuer.as_deref();
                oidc.identify(&tokens, issuer, &handle, now, self.ticks()).await?
            }
            (AtWork::Oidc(_), None) => return Err(LoginError::UnknownProvider),
            (AtWork::Github(github), _) => {
                let (application, endpoints) = (&github.application, &github.endpoints);
                let tokens = redeem(&self.fetch, application, endpoints, redirect, code, &handle).await?;
                github.identify(&*self.fetch, &tokens.access_token).await?
            }
        };
        self.sign_in(identity, attempt.return_to, now).await
    }

    /// Begins GitHub's device flow, for a terminal on a machine without a browser.
    ///
    /// # Errors
    ///
    /// [`LoginError`].
    pub async fn begin_device(&self, provider: &Name) -> Result<DeviceCode, LoginError> {
        self.github(provider)?.begin_device(&*self.fetch).await
    }

    /// Asks GitHub once whether the person has typed the code.
    ///
    /// # Errors
    ///
    /// [`LoginError`]; `Refused` with `access_denied` or `expired_token` is final.
    pub async fn poll_device(
        &self,
        provider: &Name,
        device_code: &SecretText,
        now: Timestamp,
    ) -> Result<Poll, LoginError> {
        let github = self.github(provider)?;
        match github.ask_device(&*self.fetch, device_code).await? {
            Asked::Pending => Ok(Poll::Pending),
            Asked::SlowDown => Ok(Poll::SlowDown),
            Asked::Token(token) => {
                let identity = github.identify(&*self.fetch, &token).await?;
                Ok(Poll::Done(Box::new(self.sign_in(identity, "/".to_owned(), now).await?)))
            }
        }
    }

    async fn sign_in(
        &self,
        identity: Identity,
        return_to: String,
        now: Timestamp,
    ) -> Result<SignedIn, LoginError> {
        let (user, is_new) =
            person::of(&identity, &*self.accounts.0, &*self.storage.0, &self.gate, now).await?;
        let clear_cookie = cookie::clear(self.https);
        Ok(SignedIn { user, is_new, identity, return_to, clear_cookie })
    }

    fn client(&self, provider: &Name) -> Result<(&Url, &AtWork), LoginError> {
        let found = self.providers.get(provider).ok_or(LoginError::UnknownProvider)?;
        Ok((&found.0, &found.1))
    }

    fn github(&self, provider: &Name) -> Result<&Github, LoginError> {
        match self.client(provider)?.1 {
            AtWork::Github(github) => Ok(github),
            AtWork::Oidc(_) => Err(LoginError::NoDeviceFlow),
        }
    }

    fn ticks(&self) -> Duration {
        Duration::from_nanos(self.clock.ticks().as_nanos())
    }
}
