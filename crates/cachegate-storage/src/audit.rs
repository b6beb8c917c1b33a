//! The audit chain: each record's digest covers the one before it.

use ring::digest::{Context, SHA256};

use crate::{AuditEntry, AuditRecord, codec};

/// What stands before the first record.
const BEGINNING: [u8; 32] = [0; 32];

/// The digest of record `number`: SHA-256 over the digest of the record before it (32 zero bytes before the first),
/// the number in eight bytes (big-endian), and the entry's form in [`codec`].
pub fn chain_digest(previous: &[u8; 32], number: u64, entry: &AuditEntry) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(previous);
    context.update(&number.to_be_bytes());
    context.update(&codec::encode_audit_entry(entry));
    let mut digest = BEGINNING;
    for (to, from) in digest.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    digest
}

/// The record that `entry` becomes behind `previous`; `None` is the beginning of the chain.
pub fn chained(previous: Option<&AuditRecord>, entry: AuditEntry) -> AuditRecord {
    let (number, digest) = previous.map_or((0, &BEGINNING), |record| (record.number, &record.digest));
    let number = number.saturating_add(1);
    AuditRecord { number, digest: chain_digest(digest, number, &entry), entry }
}

/// Checks that `records` follow `previous` (`None`: the beginning of the chain), each as it was written.
///
/// It finds every record that was changed, dropped, added or moved, but for records cut off at the end, and for a
/// chain that was made anew whole: against these, keep the newest number and digest somewhere else.
///
/// # Errors
///
/// [`ChainError`] names the first record that does not fit.
pub fn verify_chain(records: &[AuditRecord], previous: Option<&AuditRecord>) -> Result<(), ChainError> {
    let mut previous = previous;
    for record in records {
        let expected = previous.map_or(0, |previous| previous.number).saturating_add(1);
        if record.number != expected {
            return Err(ChainError::Number { expected, found: record.number });
        }
        let digest = previous.map_or(&BEGINNING, |previous| &previous.digest);
        if chain_digest(digest, record.number, &record.entry) != record.digest {
            return Err(ChainError::Digest { number: record.number });
        }
        previous = Some(record);
    }
    Ok(())
}

/// Where a chain breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A record is missing, was moved, or stands twice.
    #[error("audit record {found} stands where {expected} belongs")]
    Number {
        /// The number that comes next.
        expected: u64,
        /// The number that is there.
        found: u64,
    },
    /// The record, or the one before it, is not as it was written.
    #[error("audit record {number} does not fit its digest")]
    Digest {
        /// Which.
        number: u64,
    },
}

#[cfg(test)]
mod tests {
    use cachegate_types::{Principal, Timestamp};

    use super::*;
    use crate::Act;

    fn chain(length: u32) -> Vec<AuditRecord> {
        let mut records: Vec<AuditRecord> = Vec::new();
        for index in 0..length {
            let entry = AuditEntry {
                act: Act { by: Principal::Anonymous, token: None, at: Timestamp::from(index) },
                code: "token_issued".into(),
                target: index.to_string().into(),
                detail: "a token".parse().expect("a description"),
            };
            records.push(chained(records.last(), entry));
        }
        records
    }

    #[test]
    fn an_untouched_chain_verifies_whole_and_in_parts() {
        let records = chain(7);
        assert_eq!(verify_chain(&[], None), Ok(()));
        for cut in 0..records.len() {
            let (before, after) = records.split_at(cut);
            assert_eq!(verify_chain(before, None), Ok(()));
            assert_eq!(verify_chain(after, before.last()), Ok(()), "{cut}");
        }
    }

    #[test]
    fn a_changed_record_is_named() {
        let other: [fn(&mut AuditRecord); 7] = [
            |record| record.entry.act.by = Principal::User(cachegate_types::UserId::from_bytes([1; 16])),
            |record| record.entry.act.at = Timestamp::from(99),
            |record| record.entry.act.token = Some(cachegate_types::TokenId::from_bytes([1; 16])),
            |record| record.entry.code = "token_revoked".into(),
            |record| record.entry.target = "99".into(),
            |record| record.entry.detail = "another".parse().expect("a description"),
            |record| record.digest[31] ^= 1,
        ];
        for change in other {
            for index in 0..5 {
                let mut records = chain(5);
                change(&mut records[index]);
                let number = records[index].number;
                assert_eq!(verify_chain(&records, None), Err(ChainError::Digest { number }));
            }
        }
    }

    #[test]
    fn a_record_changed_with_its_digest_breaks_the_next_one() {
        let mut records = chain(5);
        records[1].entry.target = "99".into();
        let digest = records[0].digest;
        records[1].digest = chain_digest(&digest, 2, &records[1].entry);
        assert_eq!(verify_chain(&records, None), Err(ChainError::Digest { number: 3 }));
    }

    #[test]
    fn a_dropped_doubled_or_moved_record_is_found() {
        for index in 0..4 {
            let mut dropped = chain(5);
            dropped.remove(index);
            assert!(matches!(verify_chain(&dropped, None), Err(ChainError::Number { .. })), "{index}");
            let mut renumbered = dropped.clone();
            for (record, number) in renumbered.iter_mut().zip(1..) {
                record.number = number;
            }
            assert!(matches!(verify_chain(&renumbered, None), Err(ChainError::Digest { .. })), "{index}");
            let mut doubled = chain(5);
            doubled.insert(index, doubled[index].clone());
            assert!(matches!(verify_chain(&doubled, None), Err(ChainError::Number { .. })), "{index}");
            let mut moved = chain(5);
            moved.swap(index, index + 1);
            assert!(matches!(verify_chain(&moved, None), Err(ChainError::Number { .. })), "{index}");
        }
    }

    #[test]
    fn the_first_digest_is_what_it_was_when_the_format_was_made() {
        // `sha256sum` over 32 zero bytes, the number and the entry's form.
        let entry = AuditEntry {
            act: Act { by: Principal::Anonymous, token: None, at: Timestamp::from(0) },
            code: "".into(),
            target: "".into(),
            detail: "".parse().expect("a description"),
        };
        let mut bytes = vec![0; 32];
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend(codec::encode_audit_entry(&entry));
        assert_eq!(chained(None, entry).digest, ring::digest::digest(&SHA256, &bytes).as_ref());
    }
}
