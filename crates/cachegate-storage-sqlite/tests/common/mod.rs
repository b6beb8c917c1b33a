//! What several tests need.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;

use cachegate_storage::{
    Act, AuditRecord, Preconditions, Revoked, Storage, TokenForm, TokenKind, TokenRecord, verify_chain,
};
use cachegate_types::{Description, Principal, Timestamp, TokenId, UserId};
use futures_executor::block_on;

/// The id that is this number.
pub(crate) fn token(number: u64) -> TokenId {
    TokenId::from_bytes(bytes(number))
}

/// Sixteen bytes that are this number.
pub(crate) fn bytes(number: u64) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

/// An act of somebody's at this second.
pub(crate) fn act(second: u32) -> Act {
    Act { by: Principal::User(UserId::from_bytes([7; 16])), token: None, at: Timestamp::from(second) }
}

/// Revoked at this second.
pub(crate) fn revoked(second: u32) -> Revoked {
    Revoked { at: Timestamp::from(second), reason: description("leaked"), by: act(second).by }
}

/// A description.
pub(crate) fn description(text: &str) -> Description {
    text.parse().expect("a description")
}

/// A personal token with this number.
pub(crate) fn record(number: u64) -> TokenRecord {
    TokenRecord {
        id: token(number),
        kind: TokenKind::Personal,
        form: TokenForm::Jwt { key: "a key".into() },
        owner: act(0).by,
        organization: None,
        workspace: None,
        description: description("a token"),
        grants: Vec::new(),
        restrictions: Vec::new(),
        reads_closures: false,
        lane: None,
        base: None,
        floor: None,
        run: None,
        issued_at: Timestamp::from(1),
        expires_at: None,
        created_by: act(0).by,
        ancestors: Vec::new(),
        family: token(number),
        superseded: None,
        revoked: None,
        last_used: None,
    }
}

/// Issues the token with this number.
pub(crate) fn issue(storage: &dyn Storage, number: u64) {
    block_on(storage.insert_token(&record(number), &Preconditions::default(), &act(1))).expect("issued");
}

/// Revokes the token with this number.
pub(crate) fn revoke(storage: &dyn Storage, number: u64) {
    block_on(storage.revoke_token(token(number), &revoked(2), &act(2))).expect("revoked");
}

/// Whether the token with this number is there and revoked.
pub(crate) fn is_revoked(storage: &dyn Storage, number: u64) -> Option<bool> {
    block_on(storage.token(token(number))).expect("readable").map(|found| found.revoked.is_some())
}

/// The whole audit, which is one chain.
pub(crate) fn audit(storage: &dyn Storage) -> Vec<AuditRecord> {
    let records = block_on(storage.audit(0, usize::MAX)).expect("the audit");
    assert_eq!(verify_chain(&records, None), Ok(()));
    records
}

/// Runs the test of this name in a process of its own, which finds `argument` in `CACHEGATE_CHILD`.
pub(crate) fn child(test: &str, argument: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env("CACHEGATE_CHILD", argument);
    command
}

/// What the parent passed, if this is a child.
pub(crate) fn argument() -> Option<String> {
    std::env::var("CACHEGATE_CHILD").ok()
}
