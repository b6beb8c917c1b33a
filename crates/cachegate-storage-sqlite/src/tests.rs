//! What needs a look behind the handle.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use cachegate_policy::{Lock, LockScope, WorkspaceSettings};
use cachegate_storage::{
    Act, Audit, Distrust, KeyPurpose, KeyRecord, Keys, LockRecord, Locks, MarkRecord, MarkScope,
    MassRevocation, MassScope, Members, OrganizationRecord, Organizations, Preconditions, ReleaseRecord,
    Releases, Revisions, Revoked, Rules, StoreError, Superseded, TokenForm, TokenKind, TokenRecord, Tokens,
    UserRecord, WorkspaceRecord, Workspaces,
};
use cachegate_types::{
    ActionSet, Description, EntryKey, Lane, LockId, MarkId, Name, OrganizationId, Principal, ReleaseId,
    Revision, Role, Timestamp, TokenId, UserId, WorkspaceId,
};
use futures_executor::block_on;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use tempfile::TempDir;

use crate::table::{
    AUDIT, CHANGES, CLOSURES, DOCUMENTS, KEYS, LOCKS, MARKS, MASSES, MEMBERS, ORGANIZATIONS, RELEASES,
    TOKENS, Table, USERS, WORKSPACES,
};
use crate::{SqliteStorage, fault};

fn text<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("a text of this form")
}

fn user() -> Principal {
    Principal::User(UserId::from_bytes([3; 16]))
}

fn act() -> Act {
    Act { by: user(), token: None, at: Timestamp::from(100) }
}

fn revoked() -> Revoked {
    Revoked { at: Timestamp::from(100), reason: Description::default(), by: user() }
}

fn token(number: u32) -> TokenRecord {
    let mut id = [0; 16];
    // Spread as random ids are.
    id[..8].copy_from_slice(&u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    let at = Timestamp::from(100);
    TokenRecord {
        id: TokenId::from_bytes(id),
        kind: TokenKind::Personal,
        form: TokenForm::Jwt { key: "key".into() },
        owner: user(),
        organization: Some(OrganizationId::from_bytes([1; 16])),
        workspace: Some(WorkspaceId::from_bytes([2; 16])),
        description: text("a token"),
        grants: Vec::new(),
        restrictions: Vec::new(),
        reads_closures: false,
        lane: Some(Lane::main()),
        base: Some(Lane::main()),
        floor: Some(cachegate_types::LaneClass::Main),
        run: Some("run".into()),
        issued_at: at,
        expires_at: Some(Timestamp::MAX),
        created_by: user(),
        ancestors: Vec::new(),
        family: TokenId::from_bytes(id),
        superseded: Some(Superseded { by: TokenId::from_bytes([9; 16]), overlap_until: at }),
        revoked: Some(revoked()),
        last_used: Some(at),
    }
}

/// A store with a row in every table.
fn furnished(path: &Path) -> SqliteStorage {
    let storage = SqliteStorage::open(path).expect("a store");
    let (organization, person) = (OrganizationId::from_bytes([1; 16]), UserId::from_bytes([3; 16]));
    let workspace = WorkspaceId::from_bytes([2; 16]);
    let at = Timestamp::from(100);
    block_on(async {
        let record = OrganizationRecord {
            id: organization,
            name: text("acme"),
            personal_of: Some(person),
            created_at: at,
        };
        storage.create_organization(&record, &act()).await?;
        let record = WorkspaceRecord {
            id: workspace,
            organization,
            name: text("app"),
            settings: WorkspaceSettings::default(),
            listed: Vec::new(),
            created_at: at,
        };
        storage.create_workspace(&record, &act()).await?;
        let record = UserRecord { id: person, display: text("Ann"), created_at: at };
        storage.create_user(&record, &act()).await?;
        storage.set_member(organization, person, Role::Member, &act()).await?;
        storage.remove_member(organization, person, &act()).await?;
        storage.set_member(organization, person, Role::Member, &act()).await?;
        storage.insert_token(&token(1), &Preconditions::default(), &act()).await?;
        let mass =
            MassRevocation { scope: MassScope::Everything, issued_until: Some(at), revoked: revoked() };
        storage.revoke_many(&mass, &act()).await?;
        let record = KeyRecord {
            id: "key".into(),
            purpose: KeyPurpose::Signing,
            public: None,
            created_at: at,
            signs_from: at,
            signs_until: Some(at),
            verifies_until: Some(at),
            revoked: Some(revoked()),
        };
        storage.put_key(&record, &act()).await?;
        storage.put_rules(&text("anchors"), b"{}", None, &act()).await?;
        let lock = Lock {
            id: LockId::from_bytes([4; 16]),
            scope: LockScope::Everything,
            actions: ActionSet::EMPTY,
            until: Some(at),
        };
        let record = LockRecord { lock, reason: text("why"), by: user(), at };
        storage.put_lock(&record, &act()).await?;
        let record = MarkRecord {
            id: MarkId::from_bytes([5; 16]),
            scope: MarkScope::Run("run".into()),
            reason: text("why"),
            by: user(),
            at,
        };
        storage.put_mark(&record, &act()).await?;
        let record = ReleaseRecord {
            id: ReleaseId::from_bytes([6; 16]),
            workspace,
            version: text("1.2.3"),
            lane: Lane::main(),
            key: EntryKey::new(b"key").expect("a key"),
            digest: [7; 32],
            closures: [("out".into(), cachegate_types::ClosureId::from_bytes([8; 16]))].into(),
            published_at: at,
            yanked_at: Some(at),
        };
        storage.publish_release(&record, &[], &act()).await
    })
    .expect("furnished");
    storage
}

/// Every row of every kind, or what is wrong with the first one that cannot be read.
fn read_all(storage: &SqliteStorage) -> Result<(), StoreError> {
    let organization = OrganizationId::from_bytes([1; 16]);
    let start = |revision: Revision| Revision { number: 0, ..revision };
    block_on(async {
        storage.organizations(None, 9).await?;
        storage.workspaces(organization, None, 9).await?;
        storage.user(UserId::from_bytes([3; 16])).await?;
        storage.members(organization, None, 9).await?;
        storage.token(token(1).id).await?;
        storage.mass_revocations().await?;
        storage.keys().await?;
        storage.rules(&text::<Name>("anchors")).await?;
        storage.locks().await?;
        storage.marks().await?;
        storage.releases(WorkspaceId::from_bytes([2; 16])).await?;
        storage.changes_after(start(storage.heartbeat().await?.revision), 99).await?;
        storage.audit_before(u64::MAX, 99).await?;
        storage.audit(0, 99).await.map(drop)
    })
}

/// A value of the same type that means nothing.
fn nonsense(value: &Value) -> Value {
    match value {
        Value::Null | Value::Integer(_) => Value::Integer(-1),
        Value::Real(_) => Value::Real(0.5),
        Value::Text(_) => Value::Text("\u{7}".to_owned()),
        Value::Blob(_) => Value::Blob(vec![0xFF; 3]),
    }
}

#[test]
fn a_row_that_cannot_be_read_is_corrupt_by_table_and_column() {
    let tables: [(&'static Table, usize, &[&str]); 14] = [
        (&ORGANIZATIONS, 1, &[]),
        (&WORKSPACES, 2, &[]),
        (&USERS, 1, &[]),
        (&MEMBERS, 2, &[]),
        // Any text may be a run.
        (&TOKENS, 1, &["tokens.run"]),
        (&MASSES, 1, &[]),
        // Any text may be a public key: it is not read here.
        (&KEYS, 1, &["keys.public"]),
        // Any bytes may be a document, any number an epoch.
        (&DOCUMENTS, 1, &["documents.bytes", "documents.epoch"]),
        (&LOCKS, 1, &[]),
        (&MARKS, 1, &[]),
        // Any bytes may be a key of an entry.
        (&RELEASES, 2, &["releases.entry"]),
        (&CLOSURES, 3, &[]),
        (&CHANGES, 1, &[]),
        (&AUDIT, 1, &[]),
    ];
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("store.sqlite");
    let storage = furnished(&path);
    assert_eq!(read_all(&storage), Ok(()));
    let other = Connection::open(&path).expect("a second connection");
    other.pragma_update(None, "foreign_keys", false).expect("rows come one by one");
    let mut count = 0;
    for (table, keys, any) in tables {
        let row = |row: &rusqlite::Row<'_>| {
            (0..table.columns.len()).map(|index| row.get::<_, Value>(index)).collect::<Result<Vec<_>, _>>()
        };
        let whole = other.query_row(table.select, [], row).expect("a row");
        for (index, column) in table.columns.iter().enumerate().skip(keys) {
            if any.contains(column) {
                continue;
            }
            let mut broken = whole.clone();
            broken[index] = nonsense(&whole[index]);
            let write = |values: &[Value], sum: bool| {
                let mut summed = table.with_sum(values);
                if !sum {
                    // As if bits had flipped on the disk: the checksum is that of what was written.
                    summed = table.with_sum(&whole);
                    summed[index] = values[index].clone();
                }
                other.execute(table.upsert, params_from_iter(summed)).expect("written");
            };
            write(&broken, true);
            match read_all(&storage) {
                Err(StoreError::Corrupt { what, .. }) if what == *column => count += 1,
                // The number of a revision or of a record out of its order.
                other => panic!("{column}: {other:?}"),
            }
            write(&broken, false);
            match read_all(&storage) {
                Err(StoreError::Corrupt { what, .. }) => assert_eq!(what, format!("{}.sum", table.name)),
                other => panic!("{column}: {other:?}"),
            }
            write(&whole, true);
        }
        assert_eq!(read_all(&storage), Ok(()), "{} is as it was", table.name);
    }
    assert!(count >= 60, "{count} columns");
}

#[test]
fn a_row_that_takes_rights_away_is_missed() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("store.sqlite");
    let storage = furnished(&path);
    let other = Connection::open(&path).expect("a second connection");
    let lost = |table: &'static str, read: &dyn Fn() -> Result<(), StoreError>| {
        assert_eq!(read(), Ok(()));
        other.execute(&format!("DELETE FROM {table}"), []).expect("deleted");
        match read() {
            Err(StoreError::Corrupt { what, .. }) => assert_eq!(what, table),
            other => panic!("{table}: {other:?}"),
        }
    };
    lost("masses", &|| block_on(storage.mass_revocations()).map(drop));
    lost("locks", &|| block_on(storage.locks()).map(drop));
    lost("marks", &|| block_on(storage.marks()).map(drop));
    lost("audit", &|| block_on(storage.audit(0, 9)).map(drop));
    let backwards = block_on(storage.audit_before(u64::MAX, 9));
    assert!(matches!(backwards, Err(StoreError::Corrupt { what: "audit", .. })), "{backwards:?}");
    let newest = block_on(storage.heartbeat()).expect("a heartbeat").revision;
    let after = Revision { number: newest.number - 1, ..newest };
    assert!(block_on(storage.changes_after(after, 9)).is_ok());
    other
        .execute("DELETE FROM changes WHERE number = (SELECT max(number) FROM changes)", [])
        .expect("deleted");
    let feed = block_on(storage.changes_after(after, 9));
    assert!(matches!(feed, Err(StoreError::Corrupt { what: "changes", .. })), "{feed:?}");
    assert!(matches!(block_on(storage.verify()), Err(StoreError::Corrupt { .. })));
}

#[test]
fn every_commit_is_synced_and_nothing_in_the_file_is_trusted() {
    let folder = TempDir::new().expect("a folder");
    let storage = SqliteStorage::open(&folder.path().join("store.sqlite")).expect("a store");
    let reader = storage.reader().expect("a thread for reads");
    for (worker, query_only) in [(storage.writer(), 0), (reader, 1)] {
        for (name, expected) in [
            ("synchronous", 2),
            ("fullfsync", 1),
            ("checkpoint_fullfsync", 1),
            ("foreign_keys", 1),
            ("trusted_schema", 0),
            ("cell_size_check", 1),
            ("query_only", query_only),
            ("busy_timeout", 5000),
        ] {
            let found: i64 = block_on(worker.run(move |connection| {
                connection.pragma_query_value(None, name, |row| row.get(0)).map_err(|error| fault::of(&error))
            }))
            .expect("a setting");
            assert_eq!(found, expected, "{name}");
        }
        let mode: String = block_on(worker.run(|connection| {
            connection
                .pragma_query_value(None, "journal_mode", |row| row.get(0))
                .map_err(|error| fault::of(&error))
        }))
        .expect("a mode");
        assert_eq!(mode, "wal");
    }
}

#[test]
fn a_full_disk_is_an_error_and_leaves_everything_as_it_was() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("store.sqlite");
    let storage = furnished(&path);
    let before = block_on(storage.heartbeat()).expect("a heartbeat").revision;
    let pages = |limit: i64| {
        block_on(storage.writer().run(move |connection| {
            let sql = format!("PRAGMA max_page_count = {limit}");
            connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map_err(|error| fault::of(&error))
        }))
        .expect("a limit")
    };
    // Not below what there is.
    pages(1);
    let refused = block_on(storage.put_rules(&text("big"), &[7; 100_000], None, &act()));
    let expected = StoreError::Unavailable { detail: "the disk is full".to_owned() };
    assert_eq!(refused, Err(expected));
    assert_eq!(block_on(storage.heartbeat()).expect("a heartbeat").revision, before);
    assert_eq!(block_on(storage.rules(&text("big"))), Ok(None));
    assert_eq!(read_all(&storage), Ok(()));
    pages(1 << 30);
    assert!(
        block_on(storage.put_rules(&text("big"), &[7; 100_000], None, &act())).is_ok(),
        "there is room again"
    );
    assert_eq!(block_on(storage.verify()), Ok(()));
}

#[test]
fn a_new_epoch_makes_every_node_begin_anew() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("store.sqlite");
    let storage = furnished(&path);
    let held = block_on(storage.heartbeat()).expect("a heartbeat").revision;
    let mut waiting = storage.changed();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    let begun = block_on(storage.begin_epoch()).expect("a new epoch");
    assert!(waiting.as_mut().poll(&mut context).is_ready(), "whoever waits is told");
    assert_ne!(begun.epoch, held.epoch);
    assert_eq!(block_on(storage.heartbeat()).expect("a heartbeat").revision, begun);
    let feed = block_on(storage.changes_after(held, 9));
    assert_eq!(feed, Ok(cachegate_storage::Changes::Restart { upto: begun }));
    drop(waiting);
    drop(storage);
    let storage = SqliteStorage::open(&path).expect("the store");
    assert_eq!(block_on(storage.heartbeat()).expect("a heartbeat").revision, begun);
    assert_eq!(block_on(storage.verify()), Ok(()));
}

#[test]
fn the_feed_keeps_what_was_declared_and_no_more() {
    let folder = TempDir::new().expect("a folder");
    let options = crate::Options::new().with_history(3);
    let storage = SqliteStorage::open_with(&folder.path().join("store.sqlite"), &options).expect("a store");
    let mass = MassRevocation { scope: MassScope::Everything, issued_until: None, revoked: revoked() };
    let mut revisions = Vec::new();
    for _ in 0..5 {
        revisions.push(block_on(storage.revoke_many(&mass, &act())).expect("a revision"));
    }
    for (index, expected) in [(0, false), (1, true), (4, true)] {
        let answer = block_on(storage.changes_after(revisions[index], 9)).expect("the feed");
        let is_known = matches!(answer, cachegate_storage::Changes::After { .. });
        assert_eq!(is_known, expected, "{index}");
    }
}

#[test]
fn a_handle_crosses_threads_and_shows_nothing() {
    fn crosses<T: Send + Sync + Clone + 'static>(value: T) -> T {
        value
    }
    let storage = crosses(SqliteStorage::open_in_memory().expect("a store"));
    block_on(storage.put_sealed("canary", b"canary")).expect("a row");
    assert_eq!(format!("{storage:?}"), "SqliteStorage { .. }");
}

/// Nanoseconds that this thread has been on a processor.
fn on_processor() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split(' ').next().and_then(|count| count.parse().ok()).expect("a number")
}

fn median(mut figures: Vec<Duration>) -> Duration {
    figures.sort_unstable();
    figures[figures.len() / 2]
}

#[test]
#[ignore = "long: prints figures; `cargo test --release -p cachegate-storage-sqlite --lib figures -- --ignored --nocapture`"]
fn figures() {
    const ROWS: u32 = 100_000;
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("store.sqlite");
    let storage = SqliteStorage::open(&path).expect("a store");
    let (sent, rounds) = (200, 9);
    let single = |storage: &SqliteStorage, first: u32| {
        let figures = (first..first + sent).map(|number| {
            let began = Instant::now();
            block_on(storage.insert_token(&token(number), &Preconditions::default(), &act()))
                .expect("inserted");
            began.elapsed()
        });
        median(figures.collect())
    };
    println!("one acknowledged act, file, wall: {:?}", single(&storage, 0));
    block_on(storage.act(move |tx| {
        for number in sent..ROWS {
            tx.add_token(&token(number))?;
        }
        Ok(())
    }))
    .expect("filled");
    println!("one acknowledged act, file with {ROWS} tokens, wall: {:?}", single(&storage, ROWS));
    let mut processor = Vec::new();
    for round in 0..rounds {
        let spent = storage.look(move |view| {
            let count = 20_000;
            let ids: Vec<TokenId> = (0..count).map(|index| token((index * 7919 + round) % ROWS).id).collect();
            let began = on_processor();
            for id in ids {
                assert!(cachegate_storage::rules::Known::token(view, id)?.is_some());
            }
            Ok(Duration::from_nanos((on_processor() - began) / u64::from(count)))
        });
        processor.push(block_on(spent).expect("looked up"));
    }
    println!("point look-up on its thread, file with {ROWS} tokens, processor: {:?}", median(processor));
    let calls = (0..20_000).map(|index| {
        let id = token(index * 7919 % ROWS).id;
        let began = Instant::now();
        assert!(block_on(storage.token(id)).expect("readable").is_some());
        began.elapsed()
    });
    println!("point look-up through the channel, wall: {:?}", median(calls.collect()));
    drop(storage);
    let began = Instant::now();
    let storage = SqliteStorage::open(&path).expect("the store");
    let size = fs::metadata(&path).expect("a file").len() >> 20;
    println!("opening the file of {size} MiB, wall: {:?}", began.elapsed());
    let began = Instant::now();
    block_on(storage.verify()).expect("whole");
    println!("reading all of it with `verify`, wall: {:?}", began.elapsed());
}
