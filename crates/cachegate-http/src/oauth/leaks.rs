//! `POST /hooks/secret-scanning`: tokens that were found in public, reported as GitHub's secret scanning reports them to
//! its partners.
//!
//! The signature is checked over the very bytes before anything is read. A report that is sent again changes nothing.

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cachegate::Shown;
use cachegate_types::Timestamp;
use http::{HeaderMap, Response, StatusCode};
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::failure::Failure;
use super::form::bytes;
use super::{App, answer};

const KEY_ID: &str = "github-public-key-identifier";
const SIGNATURE: &str = "github-public-key-signature";

/// The longest list of reports that is read, in bytes, and in reports: each is looked up.
const LONGEST_BODY: usize = 1024 * 1024;
const MOST: usize = 1000;

/// What stands before the point of a P-256 key in its SubjectPublicKeyInfo (RFC 5480), the mark of a point that is not
/// compressed included.
const P256: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// A key of somebody who reports leaks.
#[derive(Clone)]
pub struct ReporterKey {
    id: String,
    point: Arc<[u8]>,
}

/// A key that cannot check reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a reporter's key is an ECDSA P-256 public key in PEM form, and has an id")]
pub struct ReporterKeyError;

impl ReporterKey {
    /// The key of this id, in PEM form (`-----BEGIN PUBLIC KEY-----`), as <https://api.github.com/meta/public_keys/secret_scanning>
    /// lists them.
    ///
    /// # Errors
    ///
    /// [`ReporterKeyError`].
    pub fn from_pem(id: &str, pem: &str) -> Result<Self, ReporterKeyError> {
        let body = pem
            .trim()
            .strip_prefix("-----BEGIN PUBLIC KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----"))
            .ok_or(ReporterKeyError)?;
        let body: String = body.split_ascii_whitespace().collect();
        let document = BASE64_STANDARD.decode(body).map_err(|_| ReporterKeyError)?;
        let rest = document.strip_prefix(&P256).filter(|rest| rest.len() == 64).ok_or(ReporterKeyError)?;
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ReporterKeyError);
        }
        Ok(Self { id: id.to_owned(), point: [&[4], rest].concat().into() })
    }

    fn signed(&self, body: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point).verify(body, signature).is_ok()
    }
}

impl fmt::Debug for ReporterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReporterKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// One report. What else it says is not needed here.
#[derive(Deserialize)]
struct Report {
    token: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    source: String,
}

/// Revokes what was found, and says of each whether it was one of ours.
pub(super) async fn report(app: &App, request: Request, now: Timestamp) -> Result<Response<Body>, Failure> {
    let (parts, body) = request.into_parts();
    let body = bytes(body, LONGEST_BODY).await?;
    if !is_signed(app, &parts.headers, &body) {
        let text = "a report is signed with a key that is configured here";
        return Err(Failure::new(StatusCode::UNAUTHORIZED, "access_denied", text).because("bad_signature"));
    }
    let reports: Vec<Report> = serde_json::from_slice(&body)
        .map_err(|_| Failure::request("the body is a list of reports, each with a `token`"))?;
    if reports.len() > MOST {
        return Err(Failure::request("one request reports at most 1000 tokens").because("too_many_reports"));
    }
    let mut labels = Vec::with_capacity(reports.len());
    for Report { token, kind, source } in reports {
        let shown = app.gate.report_leak(token.trim(), &source, now).await;
        let label = match shown.map_err(|error| Failure::manage(&error, "invalid_request"))? {
            Shown::Revoked(_) | Shown::Ended => "true_positive",
            Shown::Unknown => "false_positive",
        };
        // By its digest, so that the token is not sent once more.
        let token_hash = BASE64_STANDARD.encode(digest(&SHA256, token.as_bytes()));
        labels.push(json!({ "token_hash": token_hash, "token_type": kind, "label": label }));
    }
    Ok(answer(&Value::Array(labels)))
}

fn is_signed(app: &App, headers: &HeaderMap, body: &[u8]) -> bool {
    let one = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let first = values.next().and_then(|value| value.to_str().ok());
        first.filter(|_| values.next().is_none())
    };
    let (Some(id), Some(signature)) = (one(KEY_ID), one(SIGNATURE)) else { return false };
    let Ok(signature) = BASE64_STANDARD.decode(signature) else { return false };
    app.settings.reporters.iter().any(|key| key.id == id && key.signed(body, &signature))
}
