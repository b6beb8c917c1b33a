//! Plain HTTP, as ccache speaks it: `GET` and `PUT` of any path below `/ccache`.

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
    Router::new().route("/ccache/{*key}", get(fetch).put(store))
}

async fn fetch(State(server): State<Arc<Server>>, call: Call) -> Response<Body> {
    read(&server, &call, Protocol::Plain, call.part("key")).await
}

async fn store(State(server): State<Arc<Server>>, call: Call, body: Body) -> Response<Body> {
    write(&server, &call, Protocol::Plain, call.part("key"), body, Terms::default()).await
}
