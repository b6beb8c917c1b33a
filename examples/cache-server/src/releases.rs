//! The registry of releases, below `/f/organization/workspace`. What a version is made of is put like any entry, by a job
//! whose lane is trusted enough; whoever holds `publish` then publishes it, with the closure of its outputs as their
//! narinfos tell it. Resolving answers a requirement with an output's store path and, where it is asked for, a token that
//! reads that release's closure.
//!
//! ```text
//! PUT    /f/o/w/source/SHA256                 a source archive, under the SHA-256 of its bytes
//! PUT    /f/o/w/1.2.3                         {"outputs": {"NAME": "/nix/store/..."}, "source": "SHA256"}
//! POST   /f/o/w/1.2.3                         publishes it
//! DELETE /f/o/w/1.2.3                         withdraws it
//! GET    /f/o/w                               lists the releases
//! GET    /f/o/w/REQUIREMENT/output/NAME       resolves; with ?include_token=true, and a closure token
//! GET    /f/o/w/REQUIREMENT.tar.gz            the source archive
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::{get, put};
use cachegate::{Authority, ManageError, OutputSpec, PublishError, ReleaseSpec, ResolveError, StoredEntry};
use cachegate_http::{Outcome, Protocol, answer};
use cachegate_storage::{ReleaseRecord, StoreError};
use cachegate_types::{Action, EntryKey, LaneClass, Timestamp, Version, VersionRequirement, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::calls::{Call, Terms, find, newest, permit, read, refused, who, write};
use crate::entries::Stored;
use crate::log::note;
use crate::narinfo::{Narinfo, StoreName};
use crate::nix::set_type;
use crate::server::{Server, now};

const NIX: Protocol = Protocol::Nix;

/// The longest description of a release, and the longest narinfo, in bytes.
const TEXT: u64 = 1024 * 1024;

/// The most releases that one list holds.
const LIST: usize = 1000;

pub(crate) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/f/{organization}/{workspace}", get(list))
        .route(
            "/f/{organization}/{workspace}/{release}",
            get(source).put(describe).post(publish).delete(withdraw),
        )
        .route("/f/{organization}/{workspace}/{release}/output/{*output}", get(resolve))
        .route("/f/{organization}/{workspace}/source/{digest}", put(store_source))
}

/// What a version is made of.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// Each output's store path.
    outputs: BTreeMap<String, String>,
    /// The SHA-256 of the source archive, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

fn description_key(version: &Version) -> String {
    format!("release/{version}")
}

fn source_key(digest: &str) -> String {
    format!("source/{digest}")
}

/// Takes a source archive, under the digest that it has.
async fn store_source(State(server): State<Arc<Server>>, call: Call, body: Body) -> Response<Body> {
    let digest = call.part("digest");
    let terms = Terms { sha256: Some(digest), ..Terms::default() };
    write(&server, &call, NIX, &source_key(digest), body, terms).await
}

/// Takes what a version is made of.
async fn describe(State(server): State<Arc<Server>>, call: Call, body: Body) -> Response<Body> {
    let text = to_bytes(body, usize::try_from(TEXT).unwrap_or_default()).await.unwrap_or_default();
    let described = serde_json::from_slice::<Description>(&text).is_ok_and(|described| {
        !described.outputs.is_empty()
            && described.outputs.values().all(|path| StoreName::of_path(path).is_some())
    });
    let version: Result<Version, _> = call.part("release").parse();
    let mut terms = Terms::default();
    if version.is_err() {
        terms.refused = Some("a release's version is one such as `1.2.3`");
    } else if !described {
        terms.refused =
            Some("expected {\"outputs\": {\"NAME\": \"/nix/store/...\"}, \"source\": \"SHA256\"}");
    }
    let key = version.map_or_else(|_| "release/".to_owned(), |version| description_key(&version));
    write(&server, &call, NIX, &key, Body::from(text), terms).await
}

async fn publish(State(server): State<Arc<Server>>, mut call: Call) -> Response<Body> {
    let (who, workspace) = match who(&server, &call, NIX, Action::Publish).await {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let Ok(version) = call.part("release").parse::<Version>() else {
        return said(StatusCode::BAD_REQUEST, "a release's version is one such as `1.2.3`");
    };
    // Nobody vouches for what is less trusted than what all share.
    call.floor = Some(LaneClass::Main);
    let gathered = match gather(&server, &call, &version).await {
        Ok(found) => found,
        Err(refusal) => return *refusal,
    };
    let needs = |hash: &str| gathered.closure_of(hash).into_iter().map(Named::evidence).collect::<Vec<_>>();
    let closures: Vec<_> =
        gathered.outputs.iter().map(|(output, name)| (output, needs(name.hash()))).collect();
    let outputs: Vec<_> = closures.iter().map(|(name, closure)| OutputSpec { name, closure }).collect();
    let spec =
        ReleaseSpec { workspace, version: &version, entry: gathered.named.evidence(), outputs: &outputs };
    match server.gate().publish_release(&Authority::Of(&who), &spec, now()).await {
        Ok(record) => {
            let mut response = json(&Listed::from(&record));
            *response.status_mut() = StatusCode::CREATED;
            response
        }
        Err(PublishError::Refused(error)) => not_done(&error),
        Err(error @ PublishError::TooLarge { .. }) => said(StatusCode::PAYLOAD_TOO_LARGE, &error.to_string()),
        Err(error) => said(StatusCode::CONFLICT, &error.to_string()),
    }
}

async fn withdraw(State(server): State<Arc<Server>>, call: Call) -> Response<Body> {
    let (who, workspace) = match who(&server, &call, NIX, Action::Publish).await {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let Ok(version) = call.part("release").parse::<Version>() else {
        return said(StatusCode::BAD_REQUEST, "a release's version is one such as `1.2.3`");
    };
    match server.gate().yank_release(&Authority::Of(&who), workspace, &version, now()).await {
        Ok(()) => said(StatusCode::OK, "withdrawn; it stays listed, and nobody resolves it any more"),
        Err(error) => not_done(&error),
    }
}

#[derive(Serialize)]
struct Listed {
    version: String,
    published_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawn_at: Option<Timestamp>,
}

impl From<&ReleaseRecord> for Listed {
    fn from(record: &ReleaseRecord) -> Self {
        Self {
            version: record.version.to_string(),
            published_at: record.published_at,
            withdrawn_at: record.yanked_at,
        }
    }
}

async fn list(State(server): State<Arc<Server>>, call: Call) -> Response<Body> {
    let (who, workspace) = match who(&server, &call, NIX, Action::Resolve).await {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    match server.gate().releases(&Authority::Of(&who), workspace, None, LIST, now()).await {
        Ok(page) => {
            let releases: Vec<_> = page.items.iter().map(Listed::from).collect();
            json(&BTreeMap::from([("releases", releases)]))
        }
        Err(error) => not_done(&error),
    }
}

/// An output's store path.
#[derive(Serialize)]
struct Resolved<'a> {
    attribute_path: &'a str,
    store_path: &'a str,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

async fn resolve(State(server): State<Arc<Server>>, call: Call) -> Response<Body> {
    let (who, workspace) = match who(&server, &call, NIX, Action::Resolve).await {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let Ok(asked) = call.part("release").parse::<VersionRequirement>() else {
        return said(
            StatusCode::BAD_REQUEST,
            "expected a version requirement such as `0.1`, `1.*` or `=1.2.3`",
        );
    };
    let wants_token =
        call.uri.query().unwrap_or_default().split('&').any(|pair| pair == "include_token=true");
    let gate = server.gate();
    let found = if wants_token {
        let output = Some(call.part("output"));
        let found = gate.resolve_closure(&who, workspace, &asked, output, None, now()).await;
        found.map(|(record, issued)| (record, Some(issued.token)))
    } else {
        gate.resolve(&who, workspace, &asked, now()).await.map(|record| (record, None))
    };
    let (record, token) = match found {
        Ok(found) => found,
        Err(error) => return not_resolved(&error),
    };
    let attribute_path = call.part("output");
    let described = match description(&server, &record).await {
        Ok(described) => described,
        Err(refusal) => return *refusal,
    };
    let Some(store_path) = described.outputs.get(attribute_path) else {
        return said(StatusCode::NOT_FOUND, "this release has no such output");
    };
    let token = token.as_ref().map(cachegate_types::SecretText::expose_secret);
    json(&Resolved { attribute_path, store_path, version: record.version.to_string(), token })
}

/// The source archive of what a requirement resolves to. That is read, and not merely resolved.
async fn source(State(server): State<Arc<Server>>, call: Call) -> Response<Body> {
    let (who, workspace) = match who(&server, &call, NIX, Action::Read).await {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let asked = call.part("release").strip_suffix(".tar.gz").and_then(|asked| asked.parse().ok());
    let Some(asked) = asked else {
        return said(StatusCode::BAD_REQUEST, "expected a version requirement and `.tar.gz`");
    };
    let record = match server.gate().resolve(&who, workspace, &asked, now()).await {
        Ok(record) => record,
        Err(error) => return not_resolved(&error),
    };
    let described = match description(&server, &record).await {
        Ok(described) => described,
        Err(refusal) => return *refusal,
    };
    let Some(digest) = described.source else {
        return said(StatusCode::NOT_FOUND, "this release was published without its source");
    };
    let mut response = read(&server, &call, NIX, &source_key(&digest)).await;
    if response.status() == StatusCode::OK {
        set_type(&mut response, "application/gzip");
    }
    response
}

/// What a published version is made of: the very bytes that were published.
async fn description(
    server: &Arc<Server>,
    record: &ReleaseRecord,
) -> Result<Description, Box<Response<Body>>> {
    match read_description(server, record).await {
        Ok(Some(described)) => Ok(described),
        Ok(None) => Err(Box::new(said(StatusCode::NOT_FOUND, "what this release names is no longer there"))),
        Err(error) => {
            note(&format!("release {} is not read: {error}", record.version));
            Err(Box::new(answer(NIX, Action::Resolve, &Outcome::Failed).into_response()))
        }
    }
}

async fn read_description(
    server: &Arc<Server>,
    record: &ReleaseRecord,
) -> std::io::Result<Option<Description>> {
    let generation = lane_generation(server, record.workspace).await.map_err(std::io::Error::other)?;
    let place = server.entries.place(record.workspace, &record.lane, generation, &record.key);
    let found = newest(server, place).await?.filter(|stored| stored.digest == record.digest);
    let text = found.and_then(|mut stored| text_of(&mut stored));
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

async fn lane_generation(server: &Server, workspace: WorkspaceId) -> Result<u32, StoreError> {
    Ok(server.storage().workspace(workspace).await?.map_or(0, |found| found.settings.lane_generation))
}

/// An entry that a release rests on.
struct Named {
    key: EntryKey,
    stored: Stored,
}

impl Named {
    fn evidence(&self) -> StoredEntry<'_> {
        StoredEntry { key: &self.key, label: &self.stored.label, digest: &self.stored.digest }
    }
}

/// A store path in the cache.
struct Path {
    narinfo: Named,
    nar: Named,
    references: Vec<StoreName>,
}

/// What a version is made of, and all that its outputs need.
struct Gathered {
    /// What describes it.
    named: Named,
    outputs: BTreeMap<String, StoreName>,
    /// By the hash in their names.
    paths: BTreeMap<String, Path>,
}

impl Gathered {
    /// The path of this hash, and so on along its references.
    fn closure_of(&self, hash: &str) -> Vec<&Named> {
        let (mut waiting, mut seen, mut needed) = (vec![hash], BTreeSet::from([hash]), Vec::new());
        while let Some(path) = waiting.pop().and_then(|hash| self.paths.get(hash)) {
            needed.extend([&path.narinfo, &path.nar]);
            waiting.extend(path.references.iter().map(StoreName::hash).filter(|hash| seen.insert(hash)));
        }
        needed
    }
}

/// Each output's narinfo, its NAR, and so on along its references.
async fn gather(
    server: &Arc<Server>,
    call: &Call,
    version: &Version,
) -> Result<Gathered, Box<Response<Body>>> {
    let conflict = |text: &str| Box::new(said(StatusCode::CONFLICT, text));
    let mut named = look_up(server, call, &description_key(version)).await?;
    let described =
        text_of(&mut named.stored).and_then(|text| serde_json::from_str::<Description>(&text).ok());
    let described = described.ok_or_else(|| conflict("what describes this version cannot be read"))?;
    let outputs = described.outputs.into_iter();
    let outputs: BTreeMap<_, _> =
        outputs.filter_map(|(output, path)| Some((output, StoreName::of_path(&path)?))).collect();
    let mut waiting: Vec<_> = outputs.values().cloned().collect();
    let mut paths = BTreeMap::new();
    while let Some(name) = waiting.pop() {
        if paths.contains_key(name.hash()) {
            continue;
        }
        if paths.len() > cachegate::LARGEST_CLOSURE {
            break;
        }
        let mut narinfo = look_up(server, call, &format!("{}.narinfo", name.hash())).await?;
        let text = text_of(&mut narinfo.stored).unwrap_or_default();
        let told = Narinfo::parse(&text)
            .map_err(|why| conflict(&format!("the narinfo of {} cannot be used: {why}", name.hash())))?;
        if told.name != name {
            return Err(conflict(&format!("the narinfo of {} is another path's", name.hash())));
        }
        let nar = look_up(server, call, &told.url).await?;
        waiting.extend(told.references.iter().cloned());
        paths.insert(name.hash().to_owned(), Path { narinfo, nar, references: told.references });
    }
    Ok(Gathered { named, outputs, paths })
}

/// The entry of this key, as this credential reads it.
async fn look_up(server: &Arc<Server>, call: &Call, key: &str) -> Result<Named, Box<Response<Body>>> {
    let permit = permit(server, call, NIX, Action::Read, key).await.map_err(Box::new)?;
    match find(server, &permit).await {
        Some(stored) => Ok(Named { key: permit.key, stored }),
        None => {
            let text = format!("{key} is not there, in `main` or a lane above it: put it there first");
            Err(Box::new(said(StatusCode::CONFLICT, &text)))
        }
    }
}

/// A short entry as text.
fn text_of(stored: &mut Stored) -> Option<String> {
    let mut text = String::new();
    let length = Some(stored.length).filter(|length| *length <= TEXT)?;
    (&mut stored.file).take(length).read_to_string(&mut text).ok()?;
    Some(text)
}

fn not_resolved(error: &ResolveError) -> Response<Body> {
    match error {
        ResolveError::Refused(_) => refused(NIX, Action::Resolve, error),
        ResolveError::NoRelease { .. } | ResolveError::NoClosure { .. } => {
            said(StatusCode::NOT_FOUND, &error.to_string())
        }
        _ => said(StatusCode::FORBIDDEN, &error.to_string()),
    }
}

fn not_done(error: &ManageError) -> Response<Body> {
    let status = match error {
        ManageError::NotAuthenticated(_) => StatusCode::UNAUTHORIZED,
        ManageError::Unavailable(_) | ManageError::Randomness => StatusCode::SERVICE_UNAVAILABLE,
        ManageError::Missing { .. } => StatusCode::NOT_FOUND,
        ManageError::Exists { .. } | ManageError::Changed { .. } => StatusCode::CONFLICT,
        _ => StatusCode::FORBIDDEN,
    };
    said(status, &error.to_string())
}

fn said(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{text}\n")));
    *response.status_mut() = status;
    set_type(&mut response, "text/plain");
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"cachegate\""));
    }
    response
}

fn json(value: &impl Serialize) -> Response<Body> {
    let Ok(text) = serde_json::to_string(value) else {
        return said(StatusCode::INTERNAL_SERVER_ERROR, "no answer could be written");
    };
    let mut response = said(StatusCode::OK, &text);
    set_type(&mut response, "application/json");
    response
}
