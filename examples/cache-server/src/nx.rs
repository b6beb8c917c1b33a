//! Nx's self-hosted remote cache: `GET` and `PUT /v1/cache/{hash}`.

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
    Router::new().route("/v1/cache/{hash}", get(fetch).put(store))
}

async fn fetch(State(server): State<Arc<Server>>, call: Call) -> Response<Body> {
    read(&server, &call, Protocol::Nx, call.part("hash")).await
}

async fn store(State(server): State<Arc<Server>>, call: Call, body: Body) -> Response<Body> {
    write(&server, &call, Protocol::Nx, call.part("hash"), body, Terms::default()).await
}
