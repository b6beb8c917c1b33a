//! `POST /oauth/device_authorization`: a terminal without a browser begins to wait (RFC 8628, section 3.1).

use axum::body::Body;
use cachegate::{DEVICE_LOGIN_INTERVAL, IssueError, ManageError};
use cachegate_types::{Description, Timestamp};
use http::Response;
use serde_json::json;

use super::failure::Failure;
use super::form::Form;
use super::token::Narrowing;
use super::{App, answer};

/// The longest list of authorization details that a login is begun with, in bytes.
const LONGEST_DETAILS: usize = 2048;

pub(super) async fn begin(app: &App, form: &Form, now: Timestamp) -> Result<Response<Body>, Failure> {
    let client: Description = form
        .required("client_id")?
        .parse()
        .map_err(|_| Failure::request("`client_id` is a name that people read, of at most 200 bytes"))?;
    let narrowed = Narrowing::read(app, form)?;
    if narrowed.service.is_some() {
        let text = "a login is for this gate; exchange its session for a service's";
        return Err(Failure::bad("invalid_target", text));
    }
    // It waits in the store until somebody decides, and is carried in every session of the login.
    if form.get("authorization_details").is_some_and(|text| text.len() > LONGEST_DETAILS) {
        let text = "the list is longer than any token could carry";
        return Err(Failure::bad("invalid_authorization_details", text).because("details_too_long"));
    }
    // Each waits in the store for a quarter of an hour, and anybody may begin one.
    if !app.logins.take(now) {
        return Err(Failure::too_often());
    }
    let begun = match app.gate.begin_narrowed_device_login(client, &narrowed.restrictions, now).await {
        Ok(begun) => begun,
        Err(IssueError::Refused(ManageError::Exists { .. })) => return Err(Failure::too_often()),
        Err(error) => return Err(Failure::issue(&error, "invalid_request")),
    };
    let activate = format!("{}/activate", app.gate.issuer());
    Ok(answer(&json!({
        "device_code": begun.device_code.expose_secret(),
        "user_code": begun.user_code,
        "verification_uri": activate,
        "verification_uri_complete": format!("{activate}?user_code={}", begun.user_code),
        "expires_in": begun.expires_at.since(now).as_secs(),
        "interval": DEVICE_LOGIN_INTERVAL.as_secs(),
    })))
}
