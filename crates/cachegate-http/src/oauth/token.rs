//! `POST /oauth/token`: what is exchanged for a session.

use std::sync::Arc;

use axum::body::Body;
use cachegate::{Credential, ExchangeError, Issued, SessionSpec, WorkloadToken};
use cachegate_jwt::AuthorizationDetail;
use cachegate_storage::TokenRecord;
use cachegate_types::{Action, ActionSet, Restriction, SecretText, Timestamp};
use http::Response;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::form::Form;
use super::{App, answer};

pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
pub(super) const REFRESH_TOKEN: &str = "refresh_token";

const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:id_token";

/// What a bad assertion, code or refresh token is called (RFC 6749, section 5.2).
const GRANT: &str = "invalid_grant";
/// What a bad subject token is called (RFC 8693, section 2.2.2).
const SUBJECT: &str = "invalid_request";

pub(super) async fn token(app: &App, form: &Form, now: Timestamp) -> Result<Response<Body>, Failure> {
    match form.required("grant_type")? {
        TOKEN_EXCHANGE => exchange(app, form, now).await,
        JWT_BEARER => {
            let assertion = form.required("assertion")?;
            let narrowed = Narrowing::read(app, form)?;
            let issued = workload(app, assertion, &narrowed, GRANT, now).await?;
            Ok(answer(&Value::Object(described(&issued, now))))
        }
        DEVICE_CODE => {
            let code = form.required("device_code")?;
            Narrowing::refuse(form)?;
            let login =
                app.gate.finish_device_login(code, now).await.map_err(|error| Failure::device(&error))?;
            Ok(with_refresh(&login, now))
        }
        REFRESH_TOKEN => {
            let token = form.required("refresh_token")?;
            Narrowing::refuse(form)?;
            let token = Credential::parse(token, app.gate.brand())
                .map_err(|error| Failure::credential(&error, GRANT))?;
            let login = app.gate.renew(&token, now).await.map_err(|error| Failure::issue(&error, GRANT))?;
            Ok(with_refresh(&login, now))
        }
        _ => Err(Failure::bad(
            "unsupported_grant_type",
            "grants are token-exchange, jwt-bearer, device_code and refresh_token, by their full names",
        )),
    }
}

/// RFC 8693. One of our tokens, or the identity token of a platform that an anchor vouches for.
async fn exchange(app: &App, form: &Form, now: Timestamp) -> Result<Response<Body>, Failure> {
    if form.get("actor_token").is_some() || form.get("actor_token_type").is_some() {
        return Err(Failure::request("nobody acts for somebody else here: no `actor_token` is taken"));
    }
    let subject = form.required("subject_token")?;
    let subject_type = form.required("subject_token_type")?;
    let narrowed = Narrowing::read(app, form)?;
    // A session for this gate is no plain JWT: its prefix says whose it is.
    let issued_type = match (form.get("requested_token_type"), &narrowed.service) {
        (None | Some(ACCESS_TOKEN_TYPE), _) => ACCESS_TOKEN_TYPE,
        (Some(JWT_TYPE), Some(_)) => JWT_TYPE,
        (Some(_), _) => {
            return Err(Failure::request(
                "`requested_token_type` is that of an access token; of a JWT, for a registered service",
            ));
        }
    };
    let issued = match subject_type {
        ACCESS_TOKEN_TYPE => own(app, subject, &narrowed, now).await?,
        JWT_TYPE | ID_TOKEN_TYPE => workload(app, subject, &narrowed, SUBJECT, now).await?,
        _ => {
            return Err(Failure::request(
                "`subject_token_type` is that of an access token, a JWT or an ID token, by its full name",
            ));
        }
    };
    let mut body = described(&issued, now);
    body.insert("issued_token_type".to_owned(), json!(issued_type));
    Ok(answer(&Value::Object(body)))
}

/// A session of one of our own tokens.
async fn own(app: &App, text: &str, narrowed: &Narrowing, now: Timestamp) -> Result<Issued, Failure> {
    let credential =
        Credential::parse(text, app.gate.brand()).map_err(|error| Failure::credential(&error, SUBJECT))?;
    if let Credential::ForeignJwt(_) = credential {
        let text = "this is no access token of this gate; a platform's is presented as a JWT or an ID token";
        return Err(Failure::bad(SUBJECT, text).because("wrong_token_type"));
    }
    let who = app
        .gate
        .authenticate(Some(&credential), now)
        .await
        .map_err(|error| Failure::authenticate(&error, SUBJECT))?;
    if narrowed.leaves_nothing_of(limit_of(who.restrictions())) {
        return Err(Failure::bad("invalid_scope", "this token holds none of the actions in `scope`"));
    }
    let spec = SessionSpec {
        restrictions: narrowed.restrictions.clone(),
        audience: narrowed.service.clone(),
        life: None,
    };
    app.gate.exchange(&who, &spec, now).await.map_err(|error| Failure::issue(&error, SUBJECT))
}

/// A session of a platform's own token, by the one rule that matches.
async fn workload(
    app: &App,
    text: &str,
    narrowed: &Narrowing,
    blame: &'static str,
    now: Timestamp,
) -> Result<Issued, Failure> {
    match Credential::parse(text, app.gate.brand()) {
        Ok(Credential::ForeignJwt(_)) => {}
        Ok(_) => {
            let text = "this is a token of this gate; it is presented as an access token";
            return Err(Failure::bad(blame, text).because("wrong_token_type"));
        }
        Err(error) => return Err(Failure::credential(&error, blame)),
    }
    if narrowed.service.is_some() {
        let text = "a platform's token gives a session for this gate; exchange that one for a service's";
        return Err(Failure::bad("invalid_target", text));
    }
    let mut request = WorkloadToken::new(text);
    request.restrictions.clone_from(&narrowed.restrictions);
    match app.gate.exchange_workload(&request, now).await {
        Ok(exchanged) => Ok(exchanged.session),
        Err(ExchangeError::Refused(refusal)) => {
            let text = format!("{}: {}", refusal.public(), refusal.hint());
            Err(Failure::bad(blame, text).because(refusal.code()))
        }
        Err(ExchangeError::Failed(error)) => Err(Failure::issue(&error, blame)),
        Err(error) => Err(Failure::authenticate(&error.into(), blame)),
    }
}

/// What a request wants less of. It is added to what cuts the token already, and so never widens.
pub(super) struct Narrowing {
    /// The registered service that the session is for; `None`: this gate.
    pub(super) service: Option<Arc<str>>,
    pub(super) restrictions: Vec<Restriction>,
    actions: Option<ActionSet>,
}

impl Narrowing {
    pub(super) fn read(app: &App, form: &Form) -> Result<Self, Failure> {
        let actions = form.get("scope").map(scope).transpose()?;
        let mut restrictions = match form.get("authorization_details") {
            None => Vec::new(),
            Some(text) => AuthorizationDetail::list_from_json(text)
                .map_err(|error| {
                    let text = "the list is not one of the details that the metadata name";
                    Failure::bad("invalid_authorization_details", text).because(error.code())
                })?
                .into_iter()
                .map(Restriction::from)
                .collect(),
        };
        restrictions.extend(actions.map(Restriction::Actions));
        Ok(Self { service: target(app, form)?, restrictions, actions })
    }

    /// What a login carries was approved as it is.
    fn refuse(form: &Form) -> Result<(), Failure> {
        if form.get("scope").is_some() {
            let text = "a login carries what was approved; exchange its session for one that carries less";
            return Err(Failure::bad("invalid_scope", text));
        }
        let other = ["audience", "resource", "authorization_details"];
        match other.into_iter().find(|name| form.get(name).is_some()) {
            Some("authorization_details") => {
                let text =
                    "a login carries what was approved; exchange its session for one that carries less";
                Err(Failure::bad("invalid_authorization_details", text))
            }
            Some(_) => {
                let text = "a login is for this gate; exchange its session for a service's";
                Err(Failure::bad("invalid_target", text))
            }
            None => Ok(()),
        }
    }

    fn leaves_nothing_of(&self, held: ActionSet) -> bool {
        self.actions.is_some_and(|actions| held.intersection(actions).is_empty())
    }
}

/// Whom the session is for (RFC 8693, section 2.1; RFC 8707): one party, named once or twice.
fn target(app: &App, form: &Form) -> Result<Option<Arc<str>>, Failure> {
    let invalid = || Failure::bad("invalid_target", "the target is this gate, or one registered service");
    let named = match (form.get("audience"), form.get("resource")) {
        (Some(audience), Some(resource)) if audience != resource => return Err(invalid()),
        (Some(named), _) | (None, Some(named)) => named,
        (None, None) => return Ok(None),
    };
    if named == app.gate.issuer() {
        return Ok(None);
    }
    app.gate
        .services()
        .find(|service| *service == named)
        .map(|service| Some(service.into()))
        .ok_or_else(invalid)
}

/// The actions that a scope names (RFC 6749, section 3.3).
fn scope(text: &str) -> Result<ActionSet, Failure> {
    let invalid = |_| {
        let names: Vec<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        Failure::bad("invalid_scope", format!("a scope is a list of actions: {}", names.join(" ")))
    };
    text.split(' ').map(|name| name.parse::<Action>()).collect::<Result<_, _>>().map_err(invalid)
}

/// The actions, as a scope names them.
pub(super) fn to_scope(actions: ActionSet) -> String {
    actions.iter().map(Action::as_str).collect::<Vec<_>>().join(" ")
}

/// The actions that these restrictions leave.
pub(super) fn limit_of(restrictions: &[Restriction]) -> ActionSet {
    restrictions.iter().fold(ActionSet::ALL, |left, restriction| match restriction {
        Restriction::Actions(actions) => left.intersection(*actions),
        _ => left,
    })
}

/// What cuts a token, as an answer carries it.
pub(super) fn cuts(record: &TokenRecord, body: &mut Map<String, Value>) {
    let actions = limit_of(&record.restrictions);
    if actions != ActionSet::ALL {
        body.insert("scope".to_owned(), json!(to_scope(actions)));
    }
    let details: Vec<_> = record.restrictions.iter().cloned().map(AuthorizationDetail::from).collect();
    let details = serde_json::from_str::<Value>(&AuthorizationDetail::list_to_json(&details));
    if let (Ok(details), false) = (details, record.restrictions.is_empty()) {
        body.insert("authorization_details".to_owned(), details);
    }
}

fn described(issued: &Issued, now: Timestamp) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("access_token".to_owned(), shown(&issued.token));
    body.insert("token_type".to_owned(), json!("Bearer"));
    if let Some(end) = issued.record.expires_at {
        body.insert("expires_in".to_owned(), json!(end.since(now).as_secs()));
    }
    cuts(&issued.record, &mut body);
    body
}

pub(crate) fn with_refresh(login: &cachegate::LoggedIn, now: Timestamp) -> Response<Body> {
    let mut body = described(&login.session, now);
    body.insert("refresh_token".to_owned(), shown(&login.refresh.token));
    answer(&Value::Object(body))
}

/// The one place where a token leaves: to whoever just earned it.
fn shown(token: &SecretText) -> Value {
    Value::String(token.expose_secret().to_owned())
}
