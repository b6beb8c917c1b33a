//! Nx's self-hosted remote cache: `GET` and `PUT /v1/cache/{hash}`, with or without `/organization/workspace` in
//! front. The kernel decides; this face only moves bytes.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode, Uri, header};
use cachegate::{Allowed, Request, Verdict};
use cachegate_http::{Protocol, credential_from_headers, denial, malformed, refuse_credential_in_url};
use cachegate_types::{Action, EntryKey, Resource, WorkspaceId};
use futures_util::StreamExt;
use tokio_util::io::ReaderStream;

use crate::entries::{Kept, Stored};
use crate::log::note;
use crate::server::{Server, now};

pub(crate) async fn get(
    State(server): State<Arc<Server>>,
    Path(path): Path<Vec<(String, String)>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    match find(&server, &path, &uri, &headers, Action::Read).await {
        Ok((allowed, workspace, key)) => serve(&server, &allowed, workspace, &key).await,
        Err(refusal) => refusal,
    }
}

pub(crate) async fn put(
    State(server): State<Arc<Server>>,
    Path(path): Path<Vec<(String, String)>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    match find(&server, &path, &uri, &headers, Action::Write).await {
        Ok((allowed, workspace, key)) => store(&server, &allowed, workspace, key, &headers, body).await,
        Err(refusal) => refusal,
    }
}

/// Credential, workspace, key, verdict.
async fn find(
    server: &Server,
    path: &[(String, String)],
    uri: &Uri,
    headers: &HeaderMap,
    action: Action,
) -> Result<(Allowed, WorkspaceId, EntryKey), Response<Body>> {
    let now = now();
    let brand = server.gate.brand();
    let read = refuse_credential_in_url(uri, brand).and_then(|()| credential_from_headers(headers, brand));
    let credential = read.map_err(|error| {
        server.log(action, None, "", error.code());
        malformed(Protocol::Nx, action, &error).into_response()
    })?;
    let part = |name: &str| path.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let hash = part("hash").unwrap_or_default();
    let Ok(key) = EntryKey::new(hash.as_bytes()) else {
        return Err(plain(StatusCode::NOT_FOUND, "a cache key is 1 to 512 bytes long"));
    };
    // The path names the workspace; without one, the token does; without either, the server's own is meant.
    let workspace = match (part("organization"), part("workspace")) {
        (Some(organization), Some(workspace)) => server.workspace(organization, workspace).await,
        _ => match server.gate.authenticate(credential.as_ref(), now).await {
            Ok(who) => Ok(who.workspace().or(Some(server.default_workspace))),
            // The same answer comes from the check below, where it is rendered.
            Err(_) => Ok(Some(server.default_workspace)),
        },
    };
    let workspace = match workspace {
        // A name that means nothing is asked for like any other: whoever may not know sees no difference.
        Ok(workspace) => workspace.unwrap_or(WorkspaceId::from_bytes([0; 16])),
        Err(error) => {
            server.log(action, None, hash, "store_unavailable");
            note(&error.to_string());
            let status = if action == Action::Read { StatusCode::NOT_FOUND } else { StatusCode::FORBIDDEN };
            return Err(plain(
                status,
                "the cache cannot decide at present; try again later [store_unavailable]",
            ));
        }
    };
    let resource = Resource::entry(workspace, key.clone());
    let verdict = server.gate.check(credential.as_ref(), &Request::new(action, &resource), now).await;
    match denial(Protocol::Nx, action, &verdict) {
        Some(denial) => Err(denial.into_response()),
        None => match verdict {
            Verdict::Allowed(allowed) => Ok((allowed, workspace, key)),
            Verdict::Denied(_) | Verdict::NotAuthenticated(_) | Verdict::Unavailable(_) => {
                Err(plain(StatusCode::FORBIDDEN, "refused"))
            }
        },
    }
}

/// The first admitted entry in the lanes to read, streamed.
async fn serve(
    server: &Arc<Server>,
    allowed: &Allowed,
    workspace: WorkspaceId,
    key: &EntryKey,
) -> Response<Body> {
    for lane in allowed.read_lanes() {
        let place = server.entries.place(workspace, lane, allowed.lane_generation(), key);
        let reader = Arc::clone(server);
        let stored = match tokio::task::spawn_blocking(move || reader.entries.newest(&place)).await {
            Ok(Ok(Some(stored))) => stored,
            Ok(Ok(None)) => continue,
            Ok(Err(error)) => {
                note(&format!("entry {key} in lane {lane} is not served: {error}"));
                continue;
            }
            Err(_) => continue,
        };
        if !admitted(server, allowed, key, &stored).await {
            continue;
        }
        let body = tokio::fs::File::from_std(stored.file);
        let stream =
            ReaderStream::with_capacity(tokio::io::AsyncReadExt::take(body, stored.length), 64 * 1024);
        let mut response = Response::new(Body::from_stream(stream));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, stored.length.into());
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/octet-stream"));
        return response;
    }
    plain(StatusCode::NOT_FOUND, "no such entry")
}

/// Whether the kernel lets this entry be used: right place, whole label, trusted writer, these very bytes.
async fn admitted(server: &Server, allowed: &Allowed, key: &EntryKey, stored: &Stored) -> bool {
    match server.gate.admit(Some(&stored.label), key, &stored.digest, allowed).await {
        Ok(_) => true,
        Err(error) => {
            note(&format!("entry {key} is not admitted: {error}"));
            false
        }
    }
}

/// Receives a body into the credential's own lane, once.
async fn store(
    server: &Arc<Server>,
    allowed: &Allowed,
    workspace: WorkspaceId,
    key: EntryKey,
    headers: &HeaderMap,
    body: Body,
) -> Response<Body> {
    let (Some(lane), Some(ticket)) = (allowed.write_lane().cloned(), allowed.ticket(key.clone())) else {
        return plain(StatusCode::FORBIDDEN, "this credential has no lane to write here");
    };
    let announced: Option<u64> =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length| length > server.entry_limit) {
        return too_large(server);
    }
    let place = server.entries.place(workspace, &lane, allowed.lane_generation(), &key);
    // Only an admitted entry occupies its place; over any other, the next generation is written.
    let generation = match server.entries.newest(&place) {
        Ok(None) => 0,
        Ok(Some(stored)) if admitted(server, allowed, &key, &stored).await => {
            return plain(
                StatusCode::CONFLICT,
                "this entry exists already in your lane; entries are written once",
            );
        }
        Ok(Some(stored)) => stored.generation.saturating_add(1),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => match place.next_generation() {
            Ok(generation) => generation,
            Err(error) => return failed(&error),
        },
        Err(error) => return failed(&error),
    };
    let mut incoming = match server.entries.receive() {
        Ok(incoming) => incoming,
        Err(error) => return failed(&error),
    };
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else {
            return plain(StatusCode::BAD_REQUEST, "the body ended early; nothing was stored");
        };
        if incoming.length() + chunk.len() as u64 > server.entry_limit {
            return too_large(server);
        }
        if let Err(error) = incoming.write(&chunk) {
            return failed(&error);
        }
    }
    if announced.is_some_and(|length| length != incoming.length()) {
        return plain(
            StatusCode::BAD_REQUEST,
            "the body is shorter than its Content-Length; nothing was stored",
        );
    }
    let digest = incoming.digest();
    let label = match server.gate.seal(&ticket, &digest, incoming.length(), now()).await {
        Ok(label) => label,
        Err(error) => {
            server.log(Action::Write, allowed.token_id(), &key.to_string(), "not_sealed");
            return plain(StatusCode::FORBIDDEN, &format!("not stored: {error}"));
        }
    };
    let kept = tokio::task::spawn_blocking(move || incoming.keep(&place, generation, &label)).await;
    match kept {
        Ok(Ok(Kept::New)) => plain(StatusCode::OK, "stored"),
        Ok(Ok(Kept::Late)) => plain(StatusCode::CONFLICT, "another build stored this entry first"),
        Ok(Err(error)) => failed(&error),
        Err(_) => plain(StatusCode::FORBIDDEN, "not stored"),
    }
}

// Nx ends the build on 413 and on every 5xx, and goes on after 403 without the cache.
fn too_large(server: &Server) -> Response<Body> {
    plain(StatusCode::FORBIDDEN, &format!("entries are at most {} bytes long here", server.entry_limit))
}

fn failed(error: &std::io::Error) -> Response<Body> {
    note(&format!("an entry could not be stored: {error}"));
    plain(StatusCode::FORBIDDEN, "the entry could not be stored; the server's log says why")
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{text}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain"));
    response
}
