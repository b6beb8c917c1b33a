//! The tables: one column a protocol, made of what real clients were seen to do.
//!
//! A table is indexed by what happened and by whether the request looks or changes, and by nothing else: it cannot
//! know whether a thing exists. A new protocol is a new table.

use http::StatusCode;

use crate::Protocol;

/// What each kind of answer is in one protocol.
pub(crate) struct Table {
    /// How the body is written.
    pub(crate) form: Form,
    /// A credential was presented and not believed.
    pub(crate) bad_credential: Row,
    /// None was presented, and nobody in particular may not.
    pub(crate) no_credential: Row,
    /// Who asks is known, and may not.
    pub(crate) denied: Row,
    /// Nothing could be decided, or the cache itself failed.
    pub(crate) unavailable: Row,
    /// The request is none that can be carried out, whoever asks.
    pub(crate) unusable: Row,
    /// The entry is over the limit.
    pub(crate) too_large: StatusCode,
    /// There is no entry that may be served.
    pub(crate) miss: StatusCode,
    /// The entry is stored.
    pub(crate) stored: StatusCode,
    /// The writer's own lane has the entry.
    pub(crate) exists: StatusCode,
}

/// The status for a request that resolves, for one that reads, and for one that changes something.
pub(crate) struct Row {
    pub(crate) resolve: StatusCode,
    pub(crate) read: StatusCode,
    pub(crate) change: StatusCode,
}

/// How a body is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// One line of `text/plain`.
    Text,
    /// `{"error":{"code":...,"message":...}}`; turbo complains of anything else beside a 403.
    TurborepoJson,
}

const fn both(status: StatusCode) -> Row {
    row(status, status)
}

const fn row(look: StatusCode, change: StatusCode) -> Row {
    Row { resolve: look, read: look, change }
}

pub(crate) const fn table(protocol: Protocol) -> &'static Table {
    match protocol {
        Protocol::Nx => &NX,
        Protocol::Turborepo => &TURBOREPO,
        Protocol::Plain => &PLAIN,
        Protocol::Bazel => &BAZEL,
        Protocol::Gradle => &GRADLE,
        Protocol::Nix => &NIX,
        Protocol::WebDav => &WEB_DAV,
    }
}

/// Nx goes on after GET 404 and after PUT 403 and 409 alone, takes nothing but 200 for success, and shows the
/// server's text after 401 alone. A bad credential is therefore 401, which stops the build and says why; after all
/// else the build goes on without the cache.
const NX: Table = Table {
    form: Form::Text,
    bad_credential: both(StatusCode::UNAUTHORIZED),
    no_credential: row(StatusCode::NOT_FOUND, StatusCode::FORBIDDEN),
    denied: row(StatusCode::NOT_FOUND, StatusCode::FORBIDDEN),
    unavailable: row(StatusCode::NOT_FOUND, StatusCode::FORBIDDEN),
    unusable: row(StatusCode::NOT_FOUND, StatusCode::FORBIDDEN),
    too_large: StatusCode::FORBIDDEN,
    miss: StatusCode::NOT_FOUND,
    stored: StatusCode::OK,
    exists: StatusCode::CONFLICT,
};

/// turbo never fails a build over the cache. After `forbidden` it warns once and leaves the rest of its uploads, or,
/// on a read, the whole cache, for this run; a 409 would be a warning for each upload.
const TURBOREPO: Table = Table {
    form: Form::TurborepoJson,
    bad_credential: both(StatusCode::UNAUTHORIZED),
    no_credential: both(StatusCode::UNAUTHORIZED),
    denied: both(StatusCode::FORBIDDEN),
    unavailable: both(StatusCode::SERVICE_UNAVAILABLE),
    unusable: both(StatusCode::BAD_REQUEST),
    too_large: StatusCode::PAYLOAD_TOO_LARGE,
    miss: StatusCode::NOT_FOUND,
    stored: StatusCode::ACCEPTED,
    exists: StatusCode::OK,
};

/// The statuses mean what RFC 9110 says. ccache stays green whatever comes, and gives the cache up for one compilation
/// after a PUT that did not succeed: what exists already is therefore a success that changes nothing.
const PLAIN: Table = Table {
    form: Form::Text,
    bad_credential: both(StatusCode::UNAUTHORIZED),
    no_credential: both(StatusCode::UNAUTHORIZED),
    denied: both(StatusCode::FORBIDDEN),
    unavailable: both(StatusCode::SERVICE_UNAVAILABLE),
    unusable: both(StatusCode::BAD_REQUEST),
    too_large: StatusCode::PAYLOAD_TOO_LARGE,
    miss: StatusCode::NOT_FOUND,
    stored: StatusCode::CREATED,
    exists: StatusCode::OK,
};

/// Bazel stays green, prints the body of what is no success in a warning, and leaves the action's entry out where one
/// of its outputs was not stored.
const BAZEL: Table = Table { ..PLAIN };

/// Gradle takes 200 and 404 on GET, and every 2xx and 413 on PUT; anything else turns the cache off for the rest of
/// the build, which goes on.
const GRADLE: Table = Table { ..PLAIN };

/// Nix keeps every refusal of a narinfo but 400 and 5xx on disk as "not there", for an hour, and shows no reason for it;
/// what it may not resolve is therefore not there. It shows the reason of a refused PUT, and of a 403 on a NAR at least
/// the status. A PUT that is answered with 429 or 5xx is repeated without its body, up to Nix 2.26: no PUT is.
const NIX: Table = Table {
    denied: Row {
        resolve: StatusCode::NOT_FOUND,
        read: StatusCode::FORBIDDEN,
        change: StatusCode::FORBIDDEN,
    },
    unavailable: row(StatusCode::SERVICE_UNAVAILABLE, StatusCode::FORBIDDEN),
    ..PLAIN
};

/// sccache decides at its start, by one probe: where the GET is neither 200 nor 404 it does not start, says why, and
/// nothing is compiled; where the PUT is refused it only reads. A bad credential stops it; all else leaves the build
/// running.
const WEB_DAV: Table = Table {
    denied: row(StatusCode::NOT_FOUND, StatusCode::FORBIDDEN),
    unavailable: row(StatusCode::NOT_FOUND, StatusCode::SERVICE_UNAVAILABLE),
    ..PLAIN
};
