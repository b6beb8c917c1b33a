//! Bazel's HTTP cache: `GET` and `PUT /bazel/ac/{hash}`, what actions came to, and `/bazel/cas/{hash}`, the blobs.
//!
//! A blob's name is its SHA-256, and is held to it; what an action came to cannot be checked, so that only the lane
//! that it was written in says how far it is to be trusted.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use axum::routing::get;
use cachegate_http::Protocol;

use crate::calls::{Call, Terms, read, write};
use crate::server::Server;

pub(crate) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/bazel/ac/{hash}", get(fetch_action).put(store_action))
        .route("/bazel/cas/{hash}", get(fetch_blob).put(store_blob))
}

async fn fetch_action(State(server): State<Arc<Server>>, call: Call) -> Response<Body> {
    read(&server, &call, Protocol::Bazel, &action_key(&call)).await
}

async fn store_action(State(server): State<Arc<Server>>, call: Call, body: Body) -> Response<Body> {
    write(&server, &call, Protocol::Bazel, &action_key(&call), body, Terms::default()).await
}

async fn fetch_blob(State(server): State<Arc<Server>>, call: Call) -> Response<Body> {
    read(&server, &call, Protocol::Bazel, &blob_key(&call)).await
}

async fn store_blob(State(server): State<Arc<Server>>, call: Call, body: Body) -> Response<Body> {
    let terms = Terms { sha256: Some(call.part("hash")), ..Terms::default() };
    write(&server, &call, Protocol::Bazel, &blob_key(&call), body, terms).await
}

fn action_key(call: &Call) -> String {
    format!("ac/{}", call.part("hash"))
}

fn blob_key(call: &Call) -> String {
    format!("cas/{}", call.part("hash"))
}
