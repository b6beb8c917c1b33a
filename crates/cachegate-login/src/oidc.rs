//! Login by OpenID Connect: Entra, Okta, and whoever else keeps to the standard.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cachegate_federation::{
    Anchor, AnchorBuilder, AnchorKeys, Fact, FactValue, Facts, Issuer, KeySource, Keys, KeysError, Knowledge,
    Platform, Refusal, Verified,
};
use cachegate_fetch::{Fetch, Request, Url, UrlError};
use cachegate_jwt::{Algorithm, JwsError, UnverifiedJws};
use cachegate_types::{Name, SecretText, Timestamp};
use serde::Deserialize;

use crate::attempt::{Handle, same};
use crate::identity::{Groups, Identity};
use crate::login::Provider;
use crate::transport::{Application, Endpoints, Tokens, ask, authorization_url, object};
use crate::{LoginError, ProviderError};

/// Whose OpenID Connect it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OidcKind {
    /// Microsoft Entra: a person is `oid` within the tenant that the issuer names. Their `sub` is another one for each
    /// application.
    Entra,
    /// Okta: a person is `sub`, which in ID tokens is the id of the user.
    Okta,
    /// Any other: a person is `sub`, which is never handed on (OpenID Connect Core 1.0, section 2).
    Standard,
}

/// An ID token is shown here right after it was made.
const ID_TOKEN_AGE: Duration = Duration::from_secs(10 * 60);

/// How long what discovery says is taken as it is.
const SOFT_AGE: Duration = Duration::from_secs(60 * 60);

/// How long it is taken while nothing newer is to be had.
const HARD_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// A provider that fails is asked again after this time, whoever wants to sign in.
const COOL_DOWN: Duration = Duration::from_secs(10);

/// A provider that speaks OpenID Connect.
#[derive(Clone)]
pub struct OidcBuilder {
    id: Name,
    kind: OidcKind,
    anchor: AnchorBuilder,
    is_entra: bool,
    application: Application,
    endpoints: Option<(String, String)>,
    max_age: Option<Duration>,
    admitted: BTreeSet<String>,
}

impl OidcBuilder {
    /// A provider that is found by discovery.
    ///
    /// The issuer is compared byte for byte. That of an Entra tenant is
    /// `https://login.microsoftonline.com/<tenant id>/v2.0`; several tenants are an
    /// [`IssuerTemplate`](cachegate_federation::IssuerTemplate), and the list of them is closed.
    pub fn new(id: Name, kind: OidcKind, issuer: impl Into<Issuer>, client_id: &str) -> Self {
        // Okta's profile is the standard's: groups that are cut without a mark, `sub` a person's id.
        let platform = match kind {
            OidcKind::Entra => Platform::EntraId,
            OidcKind::Okta | OidcKind::Standard => Platform::Okta,
        };
        let issuer = issuer.into();
        let is_entra = issuer.to_string().starts_with("https://login.microsoftonline.com/");
        Self {
            anchor: AnchorBuilder::new(id.clone(), platform, issuer, [client_id]).max_age(ID_TOKEN_AGE),
            id,
            kind,
            is_entra,
            application: Application {
                client_id: client_id.to_owned(),
                client_secret: None,
                secret_in_body: false,
                scopes: ["openid", "profile"].map(str::to_owned).to_vec(),
            },
            endpoints: None,
            max_age: None,
            admitted: BTreeSet::new(),
        }
    }

    /// The secret that the provider gave to this application. Without one the application is a public client, which
    /// PKCE alone protects.
    #[must_use]
    pub fn client_secret(mut self, secret: SecretText) -> Self {
        self.application.client_secret = Some(secret);
        self
    }

    /// Sends the secret in the form (`client_secret_post`) instead of the header (`client_secret_basic`).
    #[must_use]
    pub fn secret_in_body(mut self) -> Self {
        self.application.secret_in_body = true;
        self
    }

    /// Asks for these scopes beside `openid` and `profile`, such as `groups` at Okta.
    #[must_use]
    pub fn scopes(mut self, scopes: &[&str]) -> Self {
        self.application.scopes.extend(scopes.iter().map(|scope| (*scope).to_owned()));
        self
    }

    /// The person must have authenticated this lately, and the provider must say so (`auth_time`).
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// The algorithms of ID tokens; RS256 alone, unless said otherwise.
    #[must_use]
    pub fn algorithms(mut self, algorithms: &[Algorithm]) -> Self {
        self.anchor = self.anchor.algorithms(algorithms);
        self
    }

    /// The longest life of an ID token.
    #[must_use]
    pub fn longest_id_token_life(mut self, life: Duration) -> Self {
        self.anchor = self.anchor.max_lifetime(life);
        self
    }

    /// Where the keys are, instead of where discovery says.
    #[must_use]
    pub fn keys(mut self, keys: Keys) -> Self {
        self.anchor = self.anchor.keys(keys);
        self
    }

    /// Hosts beside the issuer's own where discovery may say that the keys are.
    #[must_use]
    pub fn key_hosts(mut self, hosts: &[&str]) -> Self {
        self.anchor = self.anchor.key_hosts(hosts);
        self
    }

    /// The authorization and the token endpoint, instead of those that discovery says: for a provider that has them at
    /// another host than its issuer.
    #[must_use]
    pub fn endpoints(mut self, authorization: &str, token: &str) -> Self {
        self.endpoints = Some((authorization.to_owned(), token.to_owned()));
        self
    }

    /// So many groups in an ID token, and there may be more that are not listed. 100 but for Entra, which marks what it
    /// cuts.
    #[must_use]
    pub fn group_cap(mut self, cap: usize) -> Self {
        self.anchor = self.anchor.group_cap(cap);
        self
    }

    /// Lets in members of these groups alone. Whose groups the provider does not tell whole is not let in.
    #[must_use]
    pub fn admit_groups(mut self, groups: &[&str]) -> Self {
        self.admitted = groups.iter().map(|group| (*group).to_owned()).collect();
        self
    }

    /// # Errors
    ///
    /// [`ProviderError`].
    pub fn build(self) -> Result<Provider, ProviderError> {
        self.application.check()?;
        if self.is_entra && self.kind != OidcKind::Entra {
            return Err(ProviderError::IsEntra);
        }
        let anchor = self.anchor.build()?;
        let address = |what, text: &str| {
            // The anchor holds its own addresses to the same rule: plain HTTP leads to the loopback alone.
            let loopback = matches!(anchor.issuer(), Issuer::Exact(issuer) if issuer.starts_with("http://"));
            let parsed: Result<Url, UrlError> = match loopback {
                true => Url::dangerous_parse_with_loopback_http(text),
                false => text.parse(),
            };
            parsed.map_err(|source| ProviderError::Address { what, source })
        };
        let configured = match &self.endpoints {
            Some((authorization, token)) => Some(Endpoints {
                authorization: address("authorization endpoint", authorization)?,
                token: address("token endpoint", token)?,
            }),
            None => None,
        };
        let document = match anchor.keys() {
            KeySource::Discovery { url, issuer } => {
                Some((address("discovery document", url)?, issuer.clone()))
            }
            _ if configured.is_none() => return Err(ProviderError::NoEndpoints),
            _ => None,
        };
        Ok(Provider::oidc(Oidc {
            id: self.id,
            kind: self.kind,
            anchor,
            application: self.application,
            configured,
            document,
            max_age: self.max_age,
            admitted: self.admitted,
        }))
    }
}

impl fmt::Debug for OidcBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcBuilder").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A configured provider.
#[derive(Clone, Debug)]
pub(crate) struct Oidc {
    pub(crate) id: Name,
    kind: OidcKind,
    anchor: Anchor,
    pub(crate) application: Application,
    configured: Option<Endpoints>,
    /// Where the discovery document is, and the issuer that it must name.
    document: Option<(Url, String)>,
    max_age: Option<Duration>,
    admitted: BTreeSet<String>,
}

/// A provider at work: with what it said of itself, and its keys.
#[derive(Debug)]
pub(crate) struct OidcClient {
    pub(crate) provider: Oidc,
    fetch: Arc<dyn Fetch>,
    keys: AnchorKeys,
    // Locked for moments only: never while a response is awaited.
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    metadata: Option<(Arc<Metadata>, Duration)>,
    failed: Option<Duration>,
}

/// What is relied on of a discovery document.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) endpoints: Endpoints,
    /// Every answer says where it comes from (RFC 9207, section 3).
    sends_issuer: bool,
}

/// OpenID Connect Discovery 1.0, section 3; RFC 9207, section 3; RFC 8414, section 2.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    code_challenge_methods_supported: Option<Vec<String>>,
}

const DISCOVERY: LoginError = LoginError::Garbage { what: "the discovery document" };

impl OidcClient {
    pub(crate) fn new(provider: Oidc, fetch: Arc<dyn Fetch>) -> Result<Self, ProviderError> {
        let keys = AnchorKeys::new(&provider.anchor, Arc::clone(&fetch));
        let keys = keys.map_err(|source| ProviderError::Address { what: "keys", source })?;
        Ok(Self { provider, fetch, keys, held: Mutex::default() })
    }

    /// Where the browser is sent.
    pub(crate) fn authorization_url(
        &self,
        metadata: &Metadata,
        redirect: &Url,
        handle: &Handle,
    ) -> Result<String, LoginError> {
        let nonce = handle.nonce();
        let age = self.provider.max_age.map(|age| age.as_secs().to_string());
        let mut further = vec![("nonce", nonce.expose_secret())];
        further.extend(age.as_deref().map(|age| ("max_age", age)));
        authorization_url(&self.provider.application, &metadata.endpoints, redirect, handle, &further)
    }

    /// What the provider says of itself, asked for at most once an hour while it answers well.
    pub(crate) async fn metadata(&self, ticks: Duration) -> Result<Arc<Metadata>, LoginError> {
        if let Some(metadata) = self.held_metadata(ticks, SOFT_AGE) {
            return Ok(metadata);
        }
        let cooling = self.held().failed.is_some_and(|failed| ticks < failed.saturating_add(COOL_DOWN));
        let found = match cooling {
            true => Err(LoginError::Failing),
            false => self.discover().await,
        };
        match found {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *self.held() = Held { metadata: Some((Arc::clone(&metadata), ticks)), failed: None };
                Ok(metadata)
            }
            Err(error) => {
                if !cooling {
                    self.held().failed = Some(ticks);
                }
                self.held_metadata(ticks, HARD_AGE).ok_or(error)
            }
        }
    }

    fn held_metadata(&self, ticks: Duration, limit: Duration) -> Option<Arc<Metadata>> {
        let held = self.held();
        let (metadata, since) = held.metadata.as_ref()?;
        (ticks.saturating_sub(*since) < limit).then(|| Arc::clone(metadata))
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        // Each change is one assignment, so that a panic in between harms nothing.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn discover(&self) -> Result<Metadata, LoginError> {
        let Some((url, issuer)) = &self.provider.document else {
            let endpoints = self.provider.configured.clone().ok_or(DISCOVERY)?;
            return Ok(Metadata { endpoints, sends_issuer: false });
        };
        let answer = ask(&*self.fetch, &Request::get(url.clone())).await?;
        if answer.status() != 200 {
            return Err(LoginError::Status { status: answer.status() });
        }
        let document: Document = object(&answer, "the discovery document")?;
        if document.issuer != *issuer {
            return Err(LoginError::Garbage { what: "a discovery document of another issuer" });
        }
        // Without PKCE a code that was stolen could be put into another login.
        let methods = document.code_challenge_methods_supported;
        if methods.is_some_and(|methods| methods.iter().all(|method| method != "S256")) {
            return Err(LoginError::Garbage { what: "a discovery document without the code challenge S256" });
        }
        // Whoever could write these would be given codes and the client secret: the issuer's own host alone, unless
        // the configuration names others.
        let own = |text: &str| {
            let parsed: Result<Url, UrlError> = match url.is_https() {
                true => text.parse(),
                false => Url::dangerous_parse_with_loopback_http(text),
            };
            let elsewhere = LoginError::Garbage { what: "endpoints elsewhere than at the issuer's own host" };
            parsed.ok().filter(|endpoint| endpoint.same_origin(url)).ok_or(elsewhere)
        };
        let endpoints = match &self.provider.configured {
            Some(configured) => configured.clone(),
            None => Endpoints {
                authorization: own(&document.authorization_endpoint)?,
                token: own(&document.token_endpoint)?,
            },
        };
        Ok(Metadata { endpoints, sends_issuer: document.authorization_response_iss_parameter_supported })
    }

    /// Whether an answer may come from where it says (RFC 9207, section 2.4).
    pub(crate) fn check_issuer(&self, metadata: &Metadata, said: Option<&str>) -> Result<(), LoginError> {
        let right = match (said, self.provider.anchor.issuer()) {
            (None, _) => !metadata.sends_issuer,
            (Some(said), Issuer::Exact(issuer)) => said == issuer,
            (Some(said), Issuer::Template(template)) => {
                template.tenants.iter().any(|tenant| said == of_tenant(&template.template, tenant))
            }
            (Some(_), _) => false,
        };
        if right { Ok(()) } else { Err(LoginError::Issuer) }
    }

    /// Who the tokens say it is: the ID token, verified under the provider's anchor, made for this attempt.
    pub(crate) async fn identify(
        &self,
        tokens: &Tokens,
        said_issuer: Option<&str>,
        handle: &Handle,
        now: Timestamp,
        ticks: Duration,
    ) -> Result<Identity, LoginError> {
        let token = tokens.id_token.as_ref().ok_or(LoginError::Garbage { what: "no ID token came" })?;
        let verified = self.verify(token.expose_secret(), now, ticks).await?;
        let facts = &verified.facts;
        match text(facts, "nonce") {
            Some(nonce) if same(&handle.nonce(), &nonce) => {}
            _ => return Err(LoginError::Nonce),
        }
        match facts.claim("azp") {
            Knowledge::Absent => {}
            Knowledge::Known(azp) if azp.as_text() == Some(&self.provider.application.client_id) => {}
            _ => return Err(LoginError::AuthorizedParty),
        }
        self.check_auth_time(facts, now)?;
        let issuer = text(facts, "iss").ok_or(LoginError::NoIdentity { claim: "iss" })?;
        if said_issuer.is_some_and(|said| said != issuer) {
            return Err(LoginError::Issuer);
        }
        let subject = match self.provider.kind {
            OidcKind::Okta | OidcKind::Standard => verified.subject.to_string(),
            OidcKind::Entra => entra_object(facts, &issuer)?,
        };
        let identity = Identity {
            provider: self.provider.id.clone(),
            issuer: issuer.into(),
            subject: subject.into(),
            display: display(facts),
            groups: groups(facts),
        };
        identity.groups.admit(&self.provider.admitted)?;
        Ok(identity)
    }

    async fn verify(&self, token: &str, now: Timestamp, ticks: Duration) -> Result<Verified, LoginError> {
        let token = UnverifiedJws::parse(token).map_err(Refusal::from)?;
        let keys = self.keys.for_kid(token.unverified_header().kid.as_ref(), ticks).await;
        let keys = keys.map_err(|error| match error {
            KeysError::UnknownKey { kid } => Refusal::from(JwsError::UnknownKey { kid: Some(kid) }).into(),
            source => LoginError::Keys { source },
        })?;
        Ok(self.provider.anchor.verify(&token, &keys, now)?)
    }

    /// OpenID Connect Core 1.0, section 3.1.3.7, point 13.
    fn check_auth_time(&self, facts: &Facts, now: Timestamp) -> Result<(), LoginError> {
        let Some(limit) = self.provider.max_age else { return Ok(()) };
        let at = match facts.claim("auth_time") {
            Knowledge::Known(value) => match &*value {
                FactValue::Integer(seconds) => Timestamp::from_unix_seconds(*seconds).ok(),
                _ => None,
            },
            Knowledge::Absent | Knowledge::Incomplete => None,
        };
        let latest = limit.saturating_add(self.provider.anchor.leeway());
        match at {
            Some(at) if now.since(at) <= latest => Ok(()),
            at => Err(LoginError::AuthenticatedAt { at }),
        }
    }
}

fn of_tenant(template: &str, tenant: &str) -> String {
    let parts = template.split_once('{').and_then(|(head, rest)| Some((head, rest.split_once('}')?.1)));
    parts.map(|(head, tail)| format!("{head}{tenant}{tail}")).unwrap_or_default()
}

fn text(facts: &Facts, claim: &str) -> Option<String> {
    match facts.claim(claim) {
        Knowledge::Known(value) => value.as_text().map(str::to_owned),
        Knowledge::Absent | Knowledge::Incomplete => None,
    }
}

/// `oid`, in the tenant that the issuer itself names: an id of another tenant is somebody else's.
fn entra_object(facts: &Facts, issuer: &str) -> Result<String, LoginError> {
    let tenant = text(facts, "tid").ok_or(LoginError::NoIdentity { claim: "tid" })?;
    if !issuer.split('/').any(|segment| segment == tenant) {
        return Err(LoginError::NoIdentity { claim: "tid" });
    }
    text(facts, "oid").filter(|object| !object.is_empty()).ok_or(LoginError::NoIdentity { claim: "oid" })
}

/// For people to read; the first that can be shown.
fn display(facts: &Facts) -> cachegate_types::Description {
    let names = ["name", "preferred_username"].into_iter().filter_map(|claim| text(facts, claim));
    names.filter(|name| !name.is_empty()).find_map(|name| name.parse().ok()).unwrap_or_default()
}

fn groups(facts: &Facts) -> Groups {
    match facts.get(Fact::Groups) {
        Knowledge::Known(value) => match &*value {
            FactValue::Set(groups) => Groups::Known(groups.clone()),
            _ => Groups::Incomplete,
        },
        Knowledge::Absent => Groups::Absent,
        Knowledge::Incomplete => Groups::Incomplete,
    }
}
