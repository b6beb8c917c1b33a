//! A provider's own device flow, for terminals: what to type there, and then the session (RFC 8628, sections 3.2 and 3.5).

use axum::body::Body;
use axum::extract::Request;
use cachegate_login::{LoginError, Poll};
use cachegate_types::SecretText;
use http::Response;
use serde_json::json;

use super::{App, Refused};
use crate::oauth::answer;
use crate::oauth::failure::Failure;
use crate::oauth::form::Form;
use crate::oauth::token::with_refresh;

/// `POST /login/{provider}/device`.
pub(super) async fn begin(app: &App, provider: &str) -> Response<Body> {
    let begin = async {
        let (login, name) = app.provider(provider)?;
        if !app.begun.take(app.now()) {
            return Err(Failure::too_often().into());
        }
        let code = login.begin_device(&name).await?;
        Ok(answer(&json!({
            "device_code": code.device_code.expose_secret(),
            "user_code": code.user_code,
            "verification_uri": code.verification_uri,
            "expires_in": code.expires_in.as_secs(),
            "interval": code.interval.as_secs(),
        })))
    };
    begin.await.unwrap_or_else(Refused::json)
}

/// `POST /login/{provider}/device/token`, with `device_code`.
pub(super) async fn poll(app: &App, provider: &str, request: Request) -> Response<Body> {
    let poll = async {
        let (login, name) = app.provider(provider)?;
        let (_, form) = Form::of(app.gate.brand(), request).await?;
        let code = SecretText::new(form.required("device_code")?.to_owned());
        let now = app.now();
        match login.poll_device(&name, &code, now).await {
            Ok(Poll::Pending) => Err(waiting("authorization_pending", "nobody has typed the code yet")),
            Ok(Poll::SlowDown) => {
                Err(waiting("slow_down", "asked too soon; wait five seconds longer each time"))
            }
            Ok(Poll::Done(signed_in)) => {
                let session = app.gate.log_in(signed_in.user, now).await.map_err(LoginError::from)?;
                Ok(with_refresh(&session, now))
            }
            // RFC 8628's words: the terminal acts by them.
            Err(LoginError::Refused { code }) if code == "access_denied" => {
                Err(waiting("access_denied", "the person said no"))
            }
            Err(LoginError::Refused { code }) if code == "expired_token" => {
                Err(waiting("expired_token", "nobody typed the code in time; begin anew"))
            }
            Err(error) => Err(error.into()),
        }
    };
    poll.await.unwrap_or_else(Refused::json)
}

fn waiting(word: &'static str, text: &'static str) -> Refused {
    Failure::bad(word, text).into()
}
