//! What becomes of tokens that were given out: introspection (RFC 7662) and revocation (RFC 7009).

use axum::body::Body;
use axum::extract::Request;
use cachegate::{Asking, Authentication, Credential, Introspection, ManageError};
use cachegate_storage::TokenKind;
use cachegate_types::Timestamp;
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::form::Form;
use super::token::cuts;
use super::{App, answer, client};

/// Whoever holds a token ends it, with all that came of it. One that is not known was never there, or is gone.
pub(super) async fn revoke(app: &App, form: &Form, now: Timestamp) -> Result<Response<Body>, Failure> {
    let token = form.required("token")?;
    app.gate.give_up(token, now).await.map_err(|error| Failure::manage(&error, "invalid_request"))?;
    // The same for all: it tells nobody whether there was such a token.
    Ok(answer(&json!({})))
}

/// What is this token? Told to a service of those that are for it, to an administrator of those that they manage.
pub(super) async fn introspect(
    app: &App,
    request: Request,
    now: Timestamp,
) -> Result<Response<Body>, Failure> {
    let (parts, form) = Form::of(app.gate.brand(), request).await?;
    let headers = &parts.headers;
    let who;
    let asking = if is_bearer(headers)? {
        who = administrator(app, headers, now).await?;
        Asking::Administrator(&who)
    } else {
        let service = client::service(&app.settings.services, headers, &form)?;
        Asking::Service(service.ok_or_else(Failure::client)?.audience())
    };
    let token = form.required("token")?;
    let told = app.gate.introspect(asking, token, now).await.map_err(|error| match error {
        ManageError::Denied { .. } => {
            let text =
                "tokens are told of to a registered service, and to whoever administers an organization";
            Failure::new(StatusCode::UNAUTHORIZED, "insufficient_scope", text)
        }
        error => Failure::manage(&error, "invalid_token").unauthorized(),
    })?;
    let body = told.map_or_else(|| json!({ "active": false }), |told| Value::Object(describe(&told)));
    Ok(answer(&body))
}

/// Whether a token stands where a service's secret does.
fn is_bearer(headers: &HeaderMap) -> Result<bool, Failure> {
    let scheme = client::authorization(headers)?.and_then(|value| value.split(' ').next());
    Ok(scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer")))
}

/// Whoever presents a token of ours as `Bearer` (RFC 7662, section 2.1).
async fn administrator(app: &App, headers: &HeaderMap, now: Timestamp) -> Result<Authentication, Failure> {
    let value = client::authorization(headers)?.unwrap_or_default();
    let credential = Credential::bearer_header(value.as_bytes(), app.gate.brand())
        .map_err(|error| Failure::credential(&error, "invalid_token").unauthorized())?
        .ok_or_else(Failure::client)?;
    let who = app.gate.authenticate(Some(&credential), now).await;
    who.map_err(|error| Failure::authenticate(&error, "invalid_token").unauthorized())
}

fn describe(told: &Introspection) -> Map<String, Value> {
    let mut body = Map::new();
    let mut say = |name: &str, value: Value| body.insert(name.to_owned(), value);
    say("active", json!(true));
    if !matches!(told.record.kind, TokenKind::Refresh | TokenKind::Browser) {
        say("token_type", json!("Bearer"));
    }
    say("iss", json!(*told.issuer));
    say("aud", json!(*told.audience));
    say("sub", json!(told.subject));
    say("client_id", json!(told.client_id));
    say("jti", json!(told.record.id.to_string()));
    say("iat", json!(told.record.issued_at.as_unix_seconds()));
    if let Some(until) = told.until {
        say("exp", json!(until.as_unix_seconds()));
    }
    say("kind", json!(told.record.kind.as_str()));
    cuts(&told.record, &mut body);
    body
}
