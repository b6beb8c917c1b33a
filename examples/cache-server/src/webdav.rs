//! As much of WebDAV (RFC 4918) as sccache speaks, below `/webdav`: `GET` and `PUT` of entries, and `PROPFIND` and
//! `MKCOL` of folders. Folders are not kept: every one is there.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use axum::routing::any;
use cachegate_http::{Outcome, Protocol, answer};
use cachegate_types::{Action, Resource};

use crate::calls::{Call, Terms, allow, read, write};
use crate::server::Server;

const WEB_DAV: Protocol = Protocol::WebDav;

pub(crate) fn routes() -> Router<Arc<Server>> {
    Router::new().route("/webdav/", any(handle)).route("/webdav/{*path}", any(handle))
}

async fn handle(State(server): State<Arc<Server>>, method: Method, call: Call, body: Body) -> Response<Body> {
    let path = call.part("path");
    let is_folder = path.is_empty() || path.ends_with('/');
    match method.as_str() {
        "GET" | "HEAD" if !is_folder => read(&server, &call, WEB_DAV, path).await,
        "PUT" if !is_folder => write(&server, &call, WEB_DAV, path, body, Terms::default()).await,
        "PROPFIND" if is_folder => properties(&server, &call).await,
        "MKCOL" if is_folder => {
            match allow(&server, &call, WEB_DAV, Action::Write, Resource::Workspace).await {
                Ok(_) => answer(WEB_DAV, Action::Write, &Outcome::Stored).into_response(),
                Err(refusal) => refusal,
            }
        }
        _ => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            let allowed = if is_folder { "PROPFIND, MKCOL" } else { "GET, HEAD, PUT" };
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
            response
        }
    }
}

/// `PROPFIND` of a folder: that it is one, whatever is asked. The same of every folder, so that it tells of none.
async fn properties(server: &Arc<Server>, call: &Call) -> Response<Body> {
    if let Err(refusal) = allow(server, call, WEB_DAV, Action::Read, Resource::Workspace).await {
        return refusal;
    }
    let path = escaped(call.uri.path());
    let mut response = Response::new(Body::from(format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<D:multistatus xmlns:D=\"DAV:\"><D:response><D:href>{path}</D:href>\
         <D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype>\
         <D:getlastmodified>Thu, 01 Jan 1970 00:00:00 GMT</D:getlastmodified></D:prop>\
         <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>\n"
    )));
    *response.status_mut() = StatusCode::MULTI_STATUS;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml; charset=utf-8"));
    response
}

/// As text in XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
