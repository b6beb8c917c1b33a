//! The few calls that every protocol's face makes: may it, what is there, store this. The kernel decides; what is here
//! moves bytes, and `cachegate-http` knows what each client makes of the answers.

use std::io;
use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequestParts, OriginalUri, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, Uri, header};
use cachegate::{
    Allowed, Authentication, Credential, NotAdmitted, Request, ResolveError, Unavailable, Verdict,
};
use cachegate_http::{
    Answer, Outcome, Protocol, answer, credential_from_headers, denial, malformed, refuse_credential_in_url,
};
use cachegate_types::{Action, EntryKey, LaneClass, Resource, Restriction, WorkspaceId};
use futures_util::StreamExt;
use ring::digest::{Context, SHA256};
use tokio_util::io::ReaderStream;

use crate::entries::{Kept, Place, Stored, hex};
use crate::log::note;
use crate::server::{Server, now};

/// A workspace that does not exist: asked for like any other, so that whoever may not know sees no difference.
const NOWHERE: WorkspaceId = WorkspaceId::from_bytes([0; 16]);

/// The longest header that is kept beside an entry, in bytes; Turborepo's tag has at most 600.
const KEPT_HEADER: usize = 600;

/// What a request says, its body aside.
pub(crate) struct Call {
    path: Vec<(String, String)>,
    pub(crate) uri: Uri,
    headers: HeaderMap,
    /// What the client says beside the path of which organization it means. Believed of none: where one is not the
    /// workspace's organization, nothing is there.
    pub(crate) teams: Vec<String>,
    /// Nothing from a lane less trusted than this is of use.
    pub(crate) floor: Option<LaneClass>,
}

impl<S: Send + Sync> FromRequestParts<S> for Call {
    type Rejection = <RawPathParams as FromRequestParts<S>>::Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let path = RawPathParams::from_request_parts(parts, state).await?;
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let Ok(OriginalUri(uri)) = OriginalUri::from_request_parts(parts, state).await;
        Ok(Self { path, uri, headers: parts.headers.clone(), teams: Vec::new(), floor: None })
    }
}

impl Call {
    /// What the path holds in this place.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.path.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// A header, where it is text.
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What the request presents.
    fn credential(
        &self,
        server: &Server,
        protocol: Protocol,
        action: Action,
    ) -> Result<Option<Credential<'_>>, Box<Response<Body>>> {
        let brand = server.gate.brand();
        let read = refuse_credential_in_url(&self.uri, brand)
            .and_then(|()| credential_from_headers(&self.headers, brand));
        read.map_err(|error| {
            note(&format!("{} {action} by a credential that cannot be read", error.code()));
            Box::new(malformed(protocol, action, &error).into_response())
        })
    }

    /// The workspace that is meant: the path's; without one, the token's; without either, the server's own.
    async fn workspace(
        &self,
        server: &Server,
        credential: Option<&Credential<'_>>,
    ) -> Result<WorkspaceId, Unavailable> {
        let meant = match (self.part("organization"), self.part("workspace")) {
            ("", _) => match server.gate.authenticate(credential, now()).await {
                Ok(who) => who.workspace().unwrap_or(server.default_workspace),
                // The check that follows meets the same, and there it is rendered.
                Err(_) => server.default_workspace,
            },
            (organization, workspace) => server.workspace(organization, workspace).await?.unwrap_or(NOWHERE),
        };
        if self.teams.is_empty() {
            return Ok(meant);
        }
        let home = server.home(meant).await?;
        let right = home.is_some_and(|(id, name)| {
            let id = id.to_string();
            self.teams.iter().all(|team| team == name.as_str() || team.strip_prefix("team_") == Some(&id))
        });
        Ok(if right { meant } else { NOWHERE })
    }
}

/// What a credential was allowed to do with one key.
pub(crate) struct Permit {
    protocol: Protocol,
    action: Action,
    allowed: Allowed,
    workspace: WorkspaceId,
    pub(crate) key: EntryKey,
}

/// What a protocol asks for beside the bytes of an entry.
#[derive(Clone, Copy, Default)]
pub(crate) struct Terms<'a> {
    /// The request's headers to keep, and to give back with the entry.
    pub(crate) headers: &'a [&'static str],
    /// The SHA-256 that the body must have, in hexadecimal.
    pub(crate) sha256: Option<&'a str>,
    /// Why nothing is stored under this key, whoever asks.
    pub(crate) refused: Option<&'static str>,
}

/// May the request's credential do this there?
pub(crate) async fn allow(
    server: &Server,
    call: &Call,
    protocol: Protocol,
    action: Action,
    there: impl FnOnce(WorkspaceId) -> Resource,
) -> Result<Allowed, Response<Body>> {
    let credential = call.credential(server, protocol, action).map_err(|refusal| *refusal)?;
    let resource = match call.workspace(server, credential.as_ref()).await {
        Ok(workspace) => with_evidence(server, credential.as_ref(), there(workspace)).await,
        Err(unavailable) => Err(unavailable),
    };
    let verdict = match resource {
        Ok(resource) => {
            let request = Request::new(action, &resource);
            let request = match call.floor {
                Some(floor) => request.floor(floor),
                None => request,
            };
            server.gate.check(credential.as_ref(), &request, now()).await
        }
        Err(unavailable) => {
            note(&format!("{} {action}: {unavailable}", unavailable.code()));
            Verdict::Unavailable(unavailable)
        }
    };
    match (denial(protocol, action, &verdict), verdict) {
        (None, Verdict::Allowed(allowed)) => Ok(allowed),
        (denial, _) => Err(denial.unwrap_or_else(|| failed(protocol, action)).into_response()),
    }
}

/// The resource, with the evidence that a decision about an entry may need.
async fn with_evidence(
    server: &Server,
    credential: Option<&Credential<'_>>,
    resource: Resource,
) -> Result<Resource, Unavailable> {
    match (resource, server.gate.authenticate(credential, now()).await) {
        (Resource::Entry { workspace, key, .. }, Ok(who)) => server.gate.entry(&who, workspace, key).await,
        // Where it is not believed, the check that follows meets the same, and there it is rendered.
        (resource, _) => Ok(resource),
    }
}

/// Who asks, and about which workspace, where a face asks the kernel itself.
pub(crate) async fn who(
    server: &Server,
    call: &Call,
    protocol: Protocol,
    action: Action,
) -> Result<(Authentication, WorkspaceId), Response<Body>> {
    let credential = call.credential(server, protocol, action).map_err(|refusal| *refusal)?;
    let found = match server.gate.authenticate(credential.as_ref(), now()).await {
        Ok(who) => call.workspace(server, credential.as_ref()).await.map(|workspace| (who, workspace)),
        Err(error) => return Err(refused(protocol, action, &ResolveError::from(error))),
    };
    found.map_err(|unavailable| refused(protocol, action, &unavailable.into()))
}

/// What a refusal by the kernel is in this protocol.
pub(crate) fn refused(protocol: Protocol, action: Action, error: &ResolveError) -> Response<Body> {
    let answer = match error {
        ResolveError::Refused(verdict) => denial(protocol, action, verdict),
        _ => None,
    };
    answer.unwrap_or_else(|| failed(protocol, action)).into_response()
}

/// Whether the request's credential is good, and for this workspace's releases or one of its closures alone. It may
/// not be told of the workspace itself, but that there is a cache for it here.
pub(crate) async fn is_bound_to_releases(server: &Server, call: &Call, protocol: Protocol) -> bool {
    let Ok((who, workspace)) = who(server, call, protocol, Action::Resolve).await else { return false };
    who.restrictions().iter().any(|one| match one {
        Restriction::Releases { workspace: bound, .. } | Restriction::Closure { workspace: bound, .. } => {
            *bound == workspace
        }
        Restriction::Actions(_)
        | Restriction::Organization(_)
        | Restriction::Workspaces(_)
        | Restriction::Until(_) => false,
    })
}

/// May the request's credential do this to the entry that this protocol calls `key`?
///
/// The protocol's name is part of the stored key: what was put through one is never served through another.
pub(crate) async fn permit(
    server: &Server,
    call: &Call,
    protocol: Protocol,
    action: Action,
    key: &str,
) -> Result<Permit, Response<Body>> {
    let key = EntryKey::new(format!("{protocol}:{key}").as_bytes()).map_err(|_| {
        let outcome = Outcome::Unusable { why: "the key is longer than this cache takes" };
        answer(protocol, action, &outcome).into_response()
    })?;
    let there = |workspace| Resource::entry(workspace, key.clone());
    let allowed = allow(server, call, protocol, action, there).await?;
    let workspace = allowed.workspace().unwrap_or(NOWHERE);
    Ok(Permit { protocol, action, allowed, workspace, key })
}

/// `GET` and `HEAD` of an entry.
pub(crate) async fn read(server: &Arc<Server>, call: &Call, protocol: Protocol, key: &str) -> Response<Body> {
    match permit(server, call, protocol, Action::Read, key).await {
        Ok(permit) => match find(server, &permit).await {
            Some(stored) => serve(stored),
            None => permit.answer(&Outcome::Miss).into_response(),
        },
        Err(refusal) => refusal,
    }
}

/// `PUT` of an entry.
pub(crate) async fn write(
    server: &Arc<Server>,
    call: &Call,
    protocol: Protocol,
    key: &str,
    body: Body,
    terms: Terms<'_>,
) -> Response<Body> {
    let mut chunks = body.into_data_stream();
    let response = match permit(server, call, protocol, Action::Write, key).await {
        Ok(permit) => {
            let outcome = store(server, call, &permit, &mut chunks, terms).await;
            permit.answer(&outcome).into_response()
        }
        Err(refusal) => refusal,
    };
    discard(chunks, call, server.entry_limit);
    response
}

/// Reads what is left of a body, while the answer is under way already.
///
/// A connection that is closed under a client that still sends is an error to it, and the answer is lost: Nx would try
/// six times, and then end the build.
fn discard(mut chunks: BodyDataStream, call: &Call, limit: u64) {
    // Whoever waits to be asked for the body has not sent it.
    if call.headers.contains_key(header::EXPECT) {
        return;
    }
    tokio::spawn(async move {
        let mut left = limit;
        while let Some(Ok(chunk)) = chunks.next().await {
            match left.checked_sub(chunk.len() as u64) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    });
}

/// The first admitted entry in the lanes to read.
pub(crate) async fn find(server: &Arc<Server>, permit: &Permit) -> Option<Stored> {
    let Permit { allowed, workspace, key, .. } = permit;
    for lane in allowed.read_lanes() {
        let place = server.entries.place(*workspace, lane, allowed.lane_generation(), key);
        let found = match newest(server, place).await {
            Ok(Some(stored)) => admitted(server, permit, &stored).await.map(|yes| yes.then_some(stored)),
            other => other,
        };
        match found {
            Ok(Some(stored)) => return Some(stored),
            Ok(None) => {}
            Err(error) => note(&format!("entry {key} in lane {lane} is not served: {error}")),
        }
    }
    None
}

/// The entry as a response, its body streamed.
pub(crate) fn serve(stored: Stored) -> Response<Body> {
    let file = tokio::fs::File::from_std(stored.file);
    let body = tokio::io::AsyncReadExt::take(file, stored.length);
    let mut response = Response::new(Body::from_stream(ReaderStream::with_capacity(body, 64 * 1024)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, stored.length.into());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    for (name, value) in kept_headers(&stored.beside) {
        headers.insert(name, value);
    }
    response
}

/// Receives a body into the credential's own lane, once.
async fn store(
    server: &Arc<Server>,
    call: &Call,
    permit: &Permit,
    chunks: &mut BodyDataStream,
    terms: Terms<'_>,
) -> Outcome {
    match try_store(server, call, permit, chunks, terms).await {
        Ok(outcome) => outcome,
        Err(error) => {
            note(&format!("entry {} could not be stored: {error}", permit.key));
            Outcome::Failed
        }
    }
}

async fn try_store(
    server: &Arc<Server>,
    call: &Call,
    permit: &Permit,
    chunks: &mut BodyDataStream,
    terms: Terms<'_>,
) -> io::Result<Outcome> {
    let Permit { allowed, workspace, key, .. } = permit;
    let Some(ticket) = allowed.ticket(key.clone()) else {
        return Err(io::Error::other("what was allowed writes no lane"));
    };
    if let Some(why) = terms.refused {
        return Ok(Outcome::Unusable { why });
    }
    let limit = server.entry_limit;
    let announced: Option<u64> =
        call.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length| length > limit) {
        return Ok(Outcome::TooLarge { limit });
    }
    let Some(beside) = lines_of(&call.headers, terms.headers) else {
        return Ok(Outcome::Unusable {
            why: "a header to keep with the entry is too long or not plain text",
        });
    };
    let place = server.entries.place(*workspace, ticket.lane(), allowed.lane_generation(), key);
    // Only an admitted entry occupies its place; over any other, the next generation is written.
    let generation = match newest(server, place.clone()).await {
        Ok(None) => 0,
        Ok(Some(stored)) if admitted(server, permit, &stored).await? => return Ok(Outcome::Exists),
        Ok(Some(stored)) => stored.generation.saturating_add(1),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => place.next_generation()?,
        Err(error) => return Err(error),
    };
    let mut incoming = server.entries.receive(&beside)?;
    let (mut content, mut length) = (terms.sha256.map(|_| Context::new(&SHA256)), 0);
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else {
            return Ok(Outcome::Unusable { why: "the body ended early; nothing was stored" });
        };
        length += chunk.len() as u64;
        if length > limit {
            return Ok(Outcome::TooLarge { limit });
        }
        incoming.write(&chunk)?;
        content.iter_mut().for_each(|content| content.update(&chunk));
    }
    if announced.is_some_and(|announced| announced != length) {
        return Ok(Outcome::Unusable {
            why: "the body is shorter than its Content-Length; nothing was stored",
        });
    }
    if content.map(|content| hex(content.finish().as_ref())).as_deref() != terms.sha256 {
        return Ok(Outcome::Unusable { why: "the body's SHA-256 is not its name; nothing was stored" });
    }
    let label = match server.gate.seal(&ticket, &incoming.digest(), incoming.length(), now()).await {
        Ok(label) => label,
        Err(error) => {
            note(&format!("entry {key} is not sealed: {error}"));
            return Ok(Outcome::NotSealed(error));
        }
    };
    let keep = tokio::task::spawn_blocking(move || incoming.keep(&place, generation, &label));
    Ok(match keep.await?? {
        Kept::New => Outcome::Stored,
        Kept::Late => Outcome::Exists,
    })
}

pub(crate) async fn newest(server: &Arc<Server>, place: Place) -> io::Result<Option<Stored>> {
    let server = Arc::clone(server);
    tokio::task::spawn_blocking(move || server.entries.newest(&place)).await?
}

/// Whether the kernel lets this entry be used: right place, whole label, trusted writer, these very bytes. An error is
/// neither: what cannot be judged is not served, and not written over.
async fn admitted(server: &Server, permit: &Permit, stored: &Stored) -> io::Result<bool> {
    let Permit { allowed, key, .. } = permit;
    match server.gate.admit(Some(&stored.label), key, &stored.digest, allowed).await {
        Ok(_) => Ok(true),
        Err(NotAdmitted::Unavailable(reason)) => Err(io::Error::other(reason)),
        Err(error) => {
            note(&format!("entry {key} is not admitted: {error}"));
            Ok(false)
        }
    }
}

/// These of the headers, a line each; `None` where one cannot be kept.
fn lines_of(headers: &HeaderMap, names: &[&'static str]) -> Option<Vec<u8>> {
    let mut lines = String::new();
    for name in names {
        if let Some(value) = headers.get(*name) {
            let value = value.to_str().ok().filter(|value| value.len() <= KEPT_HEADER)?;
            lines.push_str(&format!("{name}: {value}\n"));
        }
    }
    Some(lines.into_bytes())
}

/// The headers that such lines are.
pub(crate) fn kept_headers(lines: &[u8]) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    lines.split(|byte| *byte == b'\n').filter_map(|line| {
        let (name, value) = std::str::from_utf8(line).ok()?.split_once(": ")?;
        Some((name.parse().ok()?, value.parse().ok()?))
    })
}

impl Permit {
    fn answer(&self, outcome: &Outcome) -> Answer {
        answer(self.protocol, self.action, outcome)
    }
}

fn failed(protocol: Protocol, action: Action) -> Answer {
    answer(protocol, action, &Outcome::Failed)
}
