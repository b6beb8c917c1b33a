//! The form of the file, version 1.

/// Marks the file as this storage's: `cgdb` in ASCII (`PRAGMA application_id`).
pub(crate) const APPLICATION_ID: i32 = 0x6367_6462;

/// The version of the tables that this code reads and writes (`PRAGMA user_version`).
pub(crate) const VERSION: i32 = 1;

/// Ids are their sixteen bytes, moments are unix seconds, composite parts are the codec's forms, `sum` is the row's
/// checksum.
pub(crate) const SCHEMA: &[&str] = &[
    // The one row that every act reads first and writes last: the revision, the number of acts, the end of the audit
    // chain, and how many rows there must be of what takes rights away.
    "CREATE TABLE store (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        epoch INTEGER NOT NULL,
        number INTEGER NOT NULL,
        commits INTEGER NOT NULL,
        audit_number INTEGER NOT NULL,
        audit_digest BLOB NOT NULL,
        masses INTEGER NOT NULL,
        locks INTEGER NOT NULL,
        marks INTEGER NOT NULL,
        sum INTEGER NOT NULL
    ) STRICT",
    "CREATE TABLE changes (number INTEGER PRIMARY KEY, kind BLOB NOT NULL, sum INTEGER NOT NULL) STRICT",
    "CREATE TABLE organizations (
        id BLOB NOT NULL PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        personal_of BLOB,
        created_at INTEGER NOT NULL,
        sum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE workspaces (
        id BLOB NOT NULL PRIMARY KEY,
        organization BLOB NOT NULL REFERENCES organizations (id),
        name TEXT NOT NULL,
        settings BLOB NOT NULL,
        listed BLOB NOT NULL,
        created_at INTEGER NOT NULL,
        sum INTEGER NOT NULL,
        UNIQUE (organization, name)
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX workspaces_by_organization ON workspaces (organization, id)",
    "CREATE TABLE users (
        id BLOB NOT NULL PRIMARY KEY,
        display TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        sum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
    // Whether the person is there is not asked: the account decides who makes them.
    "CREATE TABLE accounts (
        issuer TEXT NOT NULL,
        subject TEXT NOT NULL,
        person BLOB NOT NULL,
        linked_at INTEGER NOT NULL,
        sum INTEGER NOT NULL,
        PRIMARY KEY (issuer, subject)
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX accounts_by_person ON accounts (person, issuer, subject)",
    // `told` is what the directory said, which the store does not read.
    "CREATE TABLE directories (
        organization BLOB NOT NULL,
        directory TEXT NOT NULL,
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        external TEXT,
        name TEXT,
        target BLOB NOT NULL,
        told BLOB NOT NULL,
        version INTEGER NOT NULL,
        sum INTEGER NOT NULL,
        PRIMARY KEY (organization, directory, kind, id),
        UNIQUE (organization, directory, kind, external),
        UNIQUE (organization, directory, kind, name)
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE members (
        organization BLOB NOT NULL REFERENCES organizations (id),
        person BLOB NOT NULL REFERENCES users (id),
        role TEXT NOT NULL,
        tokens_since INTEGER,
        sum INTEGER NOT NULL,
        PRIMARY KEY (organization, person)
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX members_by_person ON members (person, organization)",
    "CREATE TABLE departures (
        organization BLOB NOT NULL,
        person BLOB NOT NULL,
        tokens_since INTEGER NOT NULL,
        sum INTEGER NOT NULL,
        PRIMARY KEY (organization, person)
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE teams (
        id BLOB NOT NULL PRIMARY KEY,
        organization BLOB NOT NULL REFERENCES organizations (id),
        name TEXT NOT NULL,
        sum INTEGER NOT NULL,
        UNIQUE (organization, name)
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE team_members (
        team BLOB NOT NULL REFERENCES teams (id),
        person BLOB NOT NULL,
        sum INTEGER NOT NULL,
        PRIMARY KEY (team, person)
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX team_members_by_person ON team_members (person, team)",
    "CREATE TABLE tokens (
        id BLOB NOT NULL PRIMARY KEY,
        kind TEXT NOT NULL,
        form BLOB NOT NULL,
        owner BLOB NOT NULL,
        organization BLOB,
        workspace BLOB,
        description TEXT NOT NULL,
        grants BLOB NOT NULL,
        restrictions BLOB NOT NULL,
        reads_closures INTEGER NOT NULL,
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
        last_used INTEGER,
        sum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX tokens_by_owner ON tokens (owner, id)",
    "CREATE INDEX tokens_by_organization ON tokens (organization, id)",
    "CREATE INDEX tokens_by_workspace ON tokens (workspace, id)",
    "CREATE INDEX tokens_by_end ON tokens (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE TABLE lineage (
        ancestor BLOB NOT NULL,
        token BLOB NOT NULL,
        sum INTEGER NOT NULL,
        PRIMARY KEY (ancestor, token)
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX lineage_by_token ON lineage (token)",
    "CREATE TABLE masses (
        number INTEGER PRIMARY KEY,
        scope BLOB NOT NULL,
        issued_until INTEGER,
        revoked BLOB NOT NULL,
        sum INTEGER NOT NULL
    ) STRICT",
    "CREATE TABLE keys (
        id TEXT NOT NULL PRIMARY KEY,
        purpose TEXT NOT NULL,
        public TEXT,
        created_at INTEGER NOT NULL,
        signs_from INTEGER NOT NULL,
        signs_until INTEGER,
        verifies_until INTEGER,
        revoked BLOB,
        sum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE sealed (id TEXT NOT NULL PRIMARY KEY, bytes BLOB NOT NULL, sum INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE documents (
        name TEXT NOT NULL PRIMARY KEY,
        bytes BLOB NOT NULL,
        epoch INTEGER NOT NULL,
        number INTEGER NOT NULL,
        sum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE locks (
        id BLOB NOT NULL PRIMARY KEY,
        scope BLOB NOT NULL,
        actions INTEGER NOT NULL,
        ends_at INTEGER,
        reason TEXT NOT NULL,
        set_by BLOB NOT NULL,
        set_at INTEGER NOT NULL,
        sum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE marks (
        id BLOB NOT NULL PRIMARY KEY,
        scope BLOB NOT NULL,
        reason TEXT NOT NULL,
        set_by BLOB NOT NULL,
        set_at INTEGER NOT NULL,
        sum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE consumed (
        scope TEXT NOT NULL,
        value BLOB NOT NULL,
        keep_until INTEGER NOT NULL,
        sum INTEGER NOT NULL,
        PRIMARY KEY (scope, value)
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX consumed_by_end ON consumed (keep_until)",
    "CREATE TABLE pending (
        scope TEXT NOT NULL,
        value BLOB NOT NULL,
        bytes BLOB NOT NULL,
        keep_until INTEGER NOT NULL,
        sum INTEGER NOT NULL,
        PRIMARY KEY (scope, value)
    ) STRICT, WITHOUT ROWID",
    "CREATE INDEX pending_by_end ON pending (keep_until)",
    "CREATE TABLE releases (
        workspace BLOB NOT NULL REFERENCES workspaces (id),
        version TEXT NOT NULL,
        id BLOB NOT NULL UNIQUE,
        lane BLOB NOT NULL,
        entry BLOB NOT NULL,
        digest BLOB NOT NULL,
        published_at INTEGER NOT NULL,
        yanked_at INTEGER,
        sum INTEGER NOT NULL,
        PRIMARY KEY (workspace, version)
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE closures (
        workspace BLOB NOT NULL,
        version TEXT NOT NULL,
        output TEXT NOT NULL,
        closure BLOB NOT NULL UNIQUE,
        sum INTEGER NOT NULL,
        PRIMARY KEY (workspace, version, output)
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE closure_entries (
        workspace BLOB NOT NULL,
        entry BLOB NOT NULL,
        closure BLOB NOT NULL,
        sum INTEGER NOT NULL,
        PRIMARY KEY (workspace, entry, closure)
    ) STRICT, WITHOUT ROWID",
    "CREATE TABLE audit (
        number INTEGER PRIMARY KEY,
        entry BLOB NOT NULL,
        digest BLOB NOT NULL,
        sum INTEGER NOT NULL
    ) STRICT",
];
