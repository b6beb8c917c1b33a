//! Whatever is written is read back, and nothing that is written makes the storage panic.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::{Arc, LazyLock};

use cachegate_storage::{
    Act, KeyPurpose, KeyRecord, Keys, Preconditions, Rules, SingleUse, TokenForm, TokenKind, TokenRecord,
    Tokens,
};
use cachegate_storage_sqlite::SqliteStorage;
use cachegate_types::{Description, Principal, Timestamp, TokenId};
use futures_executor::block_on;
use proptest::prelude::*;

/// One store for all cases: their ids are random.
static STORAGE: LazyLock<SqliteStorage> = LazyLock::new(|| SqliteStorage::open_in_memory().expect("a store"));

fn act() -> Act {
    Act { by: Principal::Anonymous, token: None, at: Timestamp::MIN }
}

/// Texts with NULs, quotes, controls and anything else.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\x00-\\x1f'\"%;\u{fffd}\u{202e}]{0,40}",
        "a{60000,70000}",
        Just("x\0y".to_owned()),
        Just(String::new()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_sealed_row_reads_back_under_any_id(
        id in texts(),
        salt in any::<u128>(),
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
    ) {
        let id = format!("{id}{salt}");
        prop_assert_eq!(block_on(STORAGE.sealed(&id)), Ok(None));
        prop_assert_eq!(block_on(STORAGE.put_sealed(&id, &bytes)), Ok(()));
        prop_assert_eq!(block_on(STORAGE.sealed(&id)), Ok(Some(bytes)));
        // What stands before a NUL is another id.
        prop_assert_eq!(block_on(STORAGE.sealed(&format!("{id}\0"))), Ok(None));
    }

    #[test]
    fn what_is_used_up_is_the_pair_itself(
        scope in texts(),
        key in prop::collection::vec(any::<u8>(), 0..3000),
        salt in any::<[u8; 16]>(),
    ) {
        let key = [key, salt.to_vec()].concat();
        prop_assert_eq!(block_on(STORAGE.consume(&scope, &key, Timestamp::MAX)), Ok(true));
        prop_assert_eq!(block_on(STORAGE.consume(&scope, &key, Timestamp::MAX)), Ok(false));
        let longer = [&key[..], b"\0"].concat();
        prop_assert_eq!(block_on(STORAGE.consume(&scope, &longer, Timestamp::MAX)), Ok(true));
    }

    #[test]
    fn a_key_reads_back_with_any_text(id in texts(), public in proptest::option::of(texts()), salt in any::<u128>()) {
        let record = KeyRecord {
            id: format!("{id}{salt}").into(),
            purpose: KeyPurpose::Signing,
            public: public.map(Arc::from),
            created_at: Timestamp::MIN,
            signs_from: Timestamp::MAX,
            signs_until: None,
            verifies_until: None,
            revoked: None,
        };
        prop_assert!(block_on(STORAGE.put_key(&record, &act())).is_ok());
        let found = block_on(STORAGE.keys()).expect("readable").into_iter().find(|found| found.id == record.id);
        prop_assert_eq!(found, Some(record));
    }

    #[test]
    fn a_token_reads_back_with_any_text(
        run in texts(),
        key in texts(),
        subject in texts(),
        id in any::<[u8; 16]>(),
        last_used in 0..=Timestamp::MAX.as_unix_seconds(),
    ) {
        let owner = Principal::Workload { anchor: "anchor".parse().expect("a name"), subject: subject.into() };
        let record = TokenRecord {
            id: TokenId::from_bytes(id),
            kind: TokenKind::Session,
            form: TokenForm::Jwt { key: key.into() },
            owner: owner.clone(),
            organization: None,
            workspace: None,
            description: Description::default(),
            grants: Vec::new(),
            restrictions: Vec::new(),
            reads_closures: false,
            lane: None,
            base: None,
            floor: None,
            run: Some(run.into()),
            issued_at: Timestamp::MIN,
            expires_at: Some(Timestamp::MAX),
            created_by: owner,
            ancestors: Vec::new(),
            family: TokenId::from_bytes(id),
            superseded: None,
            revoked: None,
            last_used: Some(Timestamp::from_unix_seconds(last_used).expect("a moment")),
        };
        prop_assert_eq!(block_on(STORAGE.insert_token(&record, &Preconditions::default(), &act())), Ok(()));
        let found = block_on(STORAGE.token(record.id)).expect("readable").expect("there");
        prop_assert_eq!(format!("{found:?}"), format!("{record:?}"));
    }
}

#[test]
fn a_document_of_many_megabytes_reads_back() {
    let storage = SqliteStorage::open_in_memory().expect("a store");
    let (name, bytes) = ("big".parse().expect("a name"), vec![0xA5; 32 << 20]);
    assert!(block_on(storage.put_rules(&name, &bytes, None, &act())).is_ok());
    let found = block_on(storage.rules(&name)).expect("readable").expect("there");
    assert!(found.bytes == bytes, "{} bytes", found.bytes.len());
}
