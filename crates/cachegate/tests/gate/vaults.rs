//! Where private keys are kept, and what is refused there.
#![expect(clippy::expect_used, reason = "a step that fails is a failed test")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cachegate::{
    Authority, DeviceAccess, FileVault, Gate, KeyVault, MemoryVault, SealedVault, TokenSpec, VaultError,
};
use cachegate_storage::{Keys, MemoryStorage, Storage};
use cachegate_testkit::{NOW, block_on};
use cachegate_types::{Description, Epoch, SecretBytes, SecretKey};

fn secret(byte: u8) -> SecretKey {
    SecretKey::new(vec![byte; 48])
}

fn bytes(key: Option<SecretKey>) -> Option<Vec<u8>> {
    key.map(|key| key.expose_secret().to_vec())
}

async fn keeps_what_it_was_given_once(vault: &dyn KeyVault) {
    assert!(vault.key("a").await.expect("read").is_none());
    vault.put("a", &secret(1)).await.expect("kept");
    vault.put("b-_Z9", &secret(2)).await.expect("kept");
    assert_eq!(bytes(vault.key("a").await.expect("read")), Some(vec![1; 48]));
    assert_eq!(bytes(vault.key("b-_Z9").await.expect("read")), Some(vec![2; 48]));
    let again = vault.put("a", &secret(3)).await;
    assert!(matches!(again, Err(VaultError::Exists { .. })), "{again:?}");
    assert_eq!(bytes(vault.key("a").await.expect("read")), Some(vec![1; 48]), "the first stays");
    for id in ["", "..", "../a", "a/b", "a.key", "a\0", "ä", &"a".repeat(65)] {
        let put = vault.put(id, &secret(1)).await;
        assert!(matches!(put, Err(VaultError::Id { .. })), "{id:?}: {put:?}");
        assert!(matches!(vault.key(id).await, Err(VaultError::Id { .. })), "{id:?}");
    }
}

#[test]
fn every_vault_keeps_what_it_was_given_once() {
    block_on(async {
        keeps_what_it_was_given_once(&MemoryVault::default()).await;
        let folder = tempfile::tempdir().expect("a folder");
        keeps_what_it_was_given_once(&FileVault::open(&folder.path().join("keys")).expect("a vault")).await;
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new(Epoch(1)));
        keeps_what_it_was_given_once(&SealedVault::new(storage, SecretBytes::new([9; 32]))).await;
    });
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

#[cfg(unix)]
#[test]
fn a_key_file_is_its_owners_alone() {
    block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = folder.path().join("keys");
        let vault = FileVault::open(&keys).expect("a vault");
        vault.put("a", &secret(1)).await.expect("kept");
        assert_eq!((mode(&keys), mode(&keys.join("a.key"))), (0o700, 0o600));
    });
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_can_read_is_refused() {
    block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let vault = FileVault::open(folder.path()).expect("a vault");
        vault.put("a", &secret(1)).await.expect("kept");
        let path = folder.path().join("a.key");
        for wrong in [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666] {
            set_mode(&path, wrong);
            match vault.key("a").await {
                Err(VaultError::Readable { mode, .. }) => assert_eq!(mode, wrong),
                other => panic!("{wrong:o}: {other:?}"),
            }
        }
        set_mode(&path, 0o400);
        assert!(vault.key("a").await.expect("read").is_some());
    });
}

#[test]
fn half_a_key_never_stands_under_its_name() {
    block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let vault = FileVault::open(folder.path()).expect("a vault");
        // What a crash left in the middle of writing.
        fs::write(folder.path().join("a.new"), b"half").expect("written");
        assert!(vault.key("a").await.expect("read").is_none());
        vault.put("a", &secret(1)).await.expect("kept");
        assert_eq!(bytes(vault.key("a").await.expect("read")), Some(vec![1; 48]));
        let names: Vec<_> =
            fs::read_dir(folder.path()).expect("a folder").flatten().map(|item| item.file_name()).collect();
        assert_eq!(names, ["a.key"], "nothing is left over");
    });
}

#[test]
fn a_key_that_cannot_be_written_leaves_nothing_behind() {
    block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let vault = FileVault::open(folder.path()).expect("a vault");
        // A folder in the file's place: nothing can be written there.
        fs::create_dir_all(folder.path().join("a.new").join("full")).expect("made");
        let put = vault.put("a", &secret(1)).await;
        assert!(matches!(put, Err(VaultError::File { .. })), "{put:?}");
        assert!(vault.key("a").await.expect("read").is_none());
    });
}

#[test]
fn a_sealed_row_opens_under_its_key_and_its_name_alone() {
    block_on(async {
        let memory = Arc::new(MemoryStorage::new(Epoch(1)));
        let storage: Arc<dyn Storage> = memory.clone();
        let vault = SealedVault::new(Arc::clone(&storage), SecretBytes::new([9; 32]));
        vault.put("a", &secret(1)).await.expect("kept");
        vault.put("b", &secret(2)).await.expect("kept");
        let row = memory.sealed("a").await.expect("read").expect("there");
        assert!(!row.windows(8).any(|window| window == [1; 8]), "the store never sees the key");

        let opens = async |rows: Vec<(&str, Vec<u8>)>, sealing: u8| {
            let storage = Arc::new(MemoryStorage::new(Epoch(1)));
            for (id, row) in rows {
                storage.put_sealed(id, &row).await.expect("a row");
            }
            SealedVault::new(storage, SecretBytes::new([sealing; 32])).key("a").await
        };
        let sealed = |answer: Result<_, VaultError>| matches!(answer, Err(VaultError::Sealed { .. }));
        assert_eq!(bytes(opens(vec![("a", row.clone())], 9).await.expect("opens")), Some(vec![1; 48]));
        assert!(sealed(opens(vec![("a", row.clone())], 8).await), "another sealing key");
        let other = memory.sealed("b").await.expect("read").expect("there");
        assert!(sealed(opens(vec![("a", other)], 9).await), "swapped rows");
        for position in 0..row.len() {
            let mut changed = row.clone();
            changed[position] ^= 1;
            assert!(sealed(opens(vec![("a", changed)], 9).await), "byte {position}");
            assert!(sealed(opens(vec![("a", row[..position].to_vec())], 9).await), "cut at {position}");
        }
        let mut longer = row;
        longer.push(0);
        assert!(sealed(opens(vec![("a", longer)], 9).await));
        // Two seals of one key are two rows.
        let again = SealedVault::new(Arc::new(MemoryStorage::new(Epoch(1))), SecretBytes::new([9; 32]));
        again.put("a", &secret(1)).await.expect("kept");
    });
}

#[test]
fn a_gate_finds_its_keys_again() {
    block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new(Epoch(1)));
        let build = async || {
            let vault = Arc::new(FileVault::open(folder.path()).expect("a vault"));
            Gate::builder(Arc::clone(&storage), vault).build(NOW.into()).await.expect("a gate")
        };
        let first = build().await;
        let set = first.key_set(NOW.into()).await.expect("a set");
        let second = build().await;
        assert_eq!(second.key_set(NOW.into()).await.expect("a set"), set, "no key is made twice");
        let (acme, app) = ("acme".parse().expect("a name"), "app".parse().expect("a name"));
        let start =
            second.first_start(&acme, &app, &Description::default(), NOW.into()).await.expect("started");
        let spec = TokenSpec::Device { organization: start.organization, access: DeviceAccess::Normal };
        let operator = Authority::Operator;
        second.issue(&operator, &spec, Description::default(), None, NOW.into()).await.expect("signed");
    });
}
