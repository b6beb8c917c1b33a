//! The gate as an identity provider: its metadata (RFC 8414, OpenID Connect Discovery) and its keys (RFC 7517).

use cachegate_types::Action;
use serde_json::{Value, json};

use super::token::{DEVICE_CODE, JWT_BEARER, REFRESH_TOKEN, TOKEN_EXCHANGE};

/// The kinds of authorization details that narrow a session.
const DETAILS: [&str; 6] = [
    "cachegate_actions",
    "cachegate_organization",
    "cachegate_workspaces",
    "cachegate_releases",
    "cachegate_closure",
    "cachegate_until",
];

/// What there is, and nothing else: no authorization endpoint, hence no response type.
pub(super) fn authorization_server(issuer: &str) -> Value {
    let methods = ["none", "client_secret_basic", "client_secret_post"];
    json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "token_endpoint": format!("{issuer}/oauth/token"),
        "token_endpoint_auth_methods_supported": methods,
        "grant_types_supported": [TOKEN_EXCHANGE, JWT_BEARER, DEVICE_CODE, REFRESH_TOKEN],
        "response_types_supported": [],
        "scopes_supported": Action::ALL.map(Action::as_str),
        "authorization_details_types_supported": DETAILS,
        "device_authorization_endpoint": format!("{issuer}/oauth/device_authorization"),
        "revocation_endpoint": format!("{issuer}/oauth/revoke"),
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint": format!("{issuer}/oauth/introspect"),
        // `Bearer` (RFC 8414 takes the names of access token types here too): an administrator's own token.
        "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "Bearer"],
    })
}

/// The same, with what OpenID Connect requires: its verifiers read the same JWTs.
pub(super) fn openid(issuer: &str) -> Value {
    let mut document = authorization_server(issuer);
    if let Some(members) = document.as_object_mut() {
        members.insert("subject_types_supported".to_owned(), json!(["public"]));
        members.insert("id_token_signing_alg_values_supported".to_owned(), json!(["EdDSA"]));
    }
    document
}
