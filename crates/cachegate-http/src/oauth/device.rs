//! `POST /oauth/device_authorization`: a terminal without a browser begins to wait (RFC 8628, section 3.1).

use axum::body::Body;
use cachegate::{DEVICE_LOGIN_INTERVAL, IssueError, ManageError};
use cachegate_types::{Description, Timestamp};
use http::Response;
use serde_json::json;

use super::failure::Failure;
use super::form::Form;
use super::{App, answer};

pub(super) async fn begin(app: &App, form: &Form, now: Timestamp) -> Result<Response<Body>, Failure> {
    let client: Description = form
        .required("client_id")?
        .parse()
        .map_err(|_| Failure::request("`client_id` is a name that people read, of at most 200 bytes"))?;
    if form.get("scope").is_some() {
        let text = "a login carries what its person may; exchange its session for one that carries less";
        return Err(Failure::bad("invalid_scope", text));
    }
    // Each waits in the store for a quarter of an hour, and anybody may begin one.
    if !app.logins.take(now) {
        return Err(Failure::too_often());
    }
    let begun = match app.gate.begin_device_login(client, now).await {
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
