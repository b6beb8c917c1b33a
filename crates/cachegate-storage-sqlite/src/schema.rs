//! The tables, version 1.

/// Marks the file as this storage's: `cgdb` in ASCII.
pub(crate) const APPLICATION_ID: i32 = 0x6367_6462;

/// The version of the tables that this code reads and writes.
pub(crate) const VERSION: i32 = 1;

/// Ids are their sixteen bytes, moments are unix seconds, composite parts are the codec's forms.
pub(crate) const TABLES: &str = "
CREATE TABLE revision (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL
) STRICT;
CREATE TABLE changes (
    number INTEGER PRIMARY KEY,
    kind BLOB NOT NULL
) STRICT;
CREATE TABLE organizations (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    personal_of BLOB,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE workspaces (
    id BLOB PRIMARY KEY,
    organization BLOB NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    settings BLOB NOT NULL,
    listed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (organization, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE users (
    id BLOB PRIMARY KEY,
    display TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE members (
    organization BLOB NOT NULL REFERENCES organizations (id),
    user BLOB NOT NULL REFERENCES users (id),
    role TEXT NOT NULL,
    tokens_since INTEGER,
    PRIMARY KEY (organization, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user);
CREATE TABLE departures (
    organization BLOB NOT NULL,
    user BLOB NOT NULL,
    tokens_since INTEGER NOT NULL,
    PRIMARY KEY (organization, user)
) STRICT, WITHOUT ROWID;
CREATE TABLE groups (
    id BLOB PRIMARY KEY,
    organization BLOB NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    UNIQUE (organization, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE group_members (
    group_id BLOB NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    user BLOB NOT NULL,
    PRIMARY KEY (group_id, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_members_by_user ON group_members (user);
CREATE TABLE tokens (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    form BLOB NOT NULL,
    owner BLOB NOT NULL,
    organization BLOB,
    workspace BLOB,
    description TEXT NOT NULL,
    grants BLOB NOT NULL,
    restrictions BLOB NOT NULL,
    lane BLOB,
    base BLOB,
    floor TEXT,
    run TEXT,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER,
    created_by BLOB NOT NULL,
    ancestors BLOB NOT NULL,
    family BLOB NOT NULL,
    superseded_by BLOB,
    overlap_until INTEGER,
    revoked BLOB,
    last_used INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_owner ON tokens (owner, id);
CREATE INDEX tokens_by_organization ON tokens (organization, id);
CREATE INDEX tokens_by_workspace ON tokens (workspace, id);
CREATE INDEX tokens_by_end ON tokens (expires_at);
CREATE TABLE token_ancestors (
    ancestor BLOB NOT NULL,
    token BLOB NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    PRIMARY KEY (ancestor, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX token_ancestors_by_token ON token_ancestors (token);
CREATE TABLE mass_revocations (
    number INTEGER PRIMARY KEY,
    scope BLOB NOT NULL,
    issued_until INTEGER,
    revoked BLOB NOT NULL
) STRICT;
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    public TEXT,
    created_at INTEGER NOT NULL,
    signs_from INTEGER NOT NULL,
    signs_until INTEGER,
    verifies_until INTEGER,
    revoked BLOB
) STRICT, WITHOUT ROWID;
CREATE TABLE sealed (
    id TEXT PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE rules (
    name TEXT PRIMARY KEY,
    bytes BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE locks (
    id BLOB PRIMARY KEY,
    scope BLOB NOT NULL,
    actions INTEGER NOT NULL,
    until INTEGER,
    reason TEXT NOT NULL,
    author BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE marks (
    id BLOB PRIMARY KEY,
    scope BLOB NOT NULL,
    reason TEXT NOT NULL,
    author BLOB NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE consumed (
    scope TEXT NOT NULL,
    key BLOB NOT NULL,
    keep_until INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX consumed_by_end ON consumed (keep_until);
CREATE TABLE releases (
    workspace BLOB NOT NULL REFERENCES workspaces (id),
    version TEXT NOT NULL,
    id BLOB NOT NULL UNIQUE,
    lane BLOB NOT NULL,
    key BLOB NOT NULL,
    digest BLOB NOT NULL,
    closure BLOB UNIQUE,
    published_at INTEGER NOT NULL,
    yanked_at INTEGER,
    PRIMARY KEY (workspace, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE closure_entries (
    workspace BLOB NOT NULL,
    key BLOB NOT NULL,
    closure BLOB NOT NULL,
    PRIMARY KEY (workspace, key, closure)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    entry BLOB NOT NULL,
    digest BLOB NOT NULL
) STRICT;
";
