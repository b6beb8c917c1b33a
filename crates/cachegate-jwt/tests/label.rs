//! Provenance labels: what was sealed reads back, and nothing else does.

#![expect(clippy::expect_used, reason = "a label that cannot be made fails the test")]

use cachegate_jwt::{Label, LabelError, LabelFields, LabelKey, MAX_ANCESTORS};
use cachegate_types::{
    EntryKey, Lane, LaneClass, LaneSource, OrganizationId, Principal, SecretBytes, Timestamp, TokenId,
    WorkspaceId,
};
use proptest::prelude::*;

fn key() -> LabelKey {
    LabelKey::from_bytes(SecretBytes::new([0x42; 32]))
}

fn fields() -> LabelFields {
    LabelFields {
        workspace: WorkspaceId::from_bytes([1; 16]),
        lane: Lane::main(),
        lane_generation: 3,
        key: EntryKey::new(b"9876543210").expect("a key"),
        digest: [5; 32],
        length: 123_456,
        ancestors: vec![TokenId::from_bytes([6; 16])],
        token: Some(TokenId::from_bytes([7; 16])),
        principal: Principal::Ci(WorkspaceId::from_bytes([1; 16])),
        run: Some("gha/123/1".into()),
        time: Timestamp::from(1_700_000_000),
    }
}

fn open(bytes: &[u8]) -> Result<LabelFields, LabelError> {
    let key = key();
    Label::open(bytes, |id| (id == key.id()).then_some(&key))
}

/// Seals bytes that `Label::seal` would never make.
fn sealed(body: &[u8]) -> Vec<u8> {
    let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &[0x42; 32]), body);
    [body, tag.as_ref()].concat()
}

#[test]
fn the_layout_of_version_1_stands() {
    let bytes = Label::seal(&fields(), &key()).expect("sealed");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = concat!(
        "01",
        "KEYIDKEYIDKEYIDK",
        "01010101010101010101010101010101",
        "0007",
        "02000000000000",
        "00000003",
        "000a",
        "39383736353433323130",
        "0505050505050505050505050505050505050505050505050505050505050505",
        "000000000001e240",
        "01",
        "06060606060606060606060606060606",
        "01",
        "07070707070707070707070707070707",
        "0019",
        "02000000100101010101010101010101010101010100000000",
        "09",
        "6768612f3132332f31",
        "000000006553f100",
    );
    let expected = expected.replace("KEYIDKEYIDKEYIDK", &key().id().to_string());
    assert_eq!(hex.get(..expected.len()), Some(&*expected));
    assert_eq!(bytes.len() * 2, expected.len() + 64);
    assert_eq!(sealed(bytes.split_at(bytes.len() - 32).0), bytes);
    // Entries live long: a key's name and its labels must not change between versions of this crate.
    assert_eq!(key().id().to_string(), "f32ff115a1d2e68d");
}

#[test]
fn every_flipped_bit_breaks_the_seal() {
    let bytes = Label::seal(&fields(), &key()).expect("sealed");
    assert_eq!(open(&bytes), Ok(fields()));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let code = match bit / 8 {
            0 => "label_unknown_version",
            1..=8 => "label_unknown_key",
            _ => "label_bad_seal",
        };
        assert_eq!(open(&flipped).map_err(LabelError::code), Err(code), "bit {bit}");
    }
}

#[test]
fn every_shorter_and_every_longer_label_is_refused() {
    let bytes = Label::seal(&fields(), &key()).expect("sealed");
    for length in 0..bytes.len() {
        assert!(open(&bytes[..length]).is_err(), "{length}");
    }
    assert_eq!(open(&[&bytes[..], &[0]].concat()), Err(LabelError::BadSeal));
    assert_eq!(open(&[0; 4097]), Err(LabelError::TooLarge { length: 4097 }));
    // Even with a good seal, what is not laid out as a label is none.
    let body = &bytes[..bytes.len() - 32];
    assert_eq!(open(&sealed(body)), Ok(fields()));
    for length in 9..body.len() {
        assert_eq!(open(&sealed(&body[..length])), Err(LabelError::Malformed), "{length}");
    }
    assert_eq!(open(&sealed(&[body, &[0]].concat())), Err(LabelError::Malformed));
}

#[test]
fn a_label_under_another_key_is_refused() {
    let other = LabelKey::generate().expect("a key");
    let bytes = Label::seal(&fields(), &other).expect("sealed");
    assert_eq!(open(&bytes), Err(LabelError::UnknownKey { key: other.id() }));
    // Another key under the name that the label gives.
    let key = key();
    assert_eq!(Label::open(&bytes, |_| Some(&key)), Err(LabelError::BadSeal));
    assert_eq!(LabelKey::from_bytes(SecretBytes::new(*other.expose_secret())).id(), other.id());
}

#[test]
fn what_a_label_does_not_hold_is_not_sealed() {
    let seal = |change: &dyn Fn(&mut LabelFields)| {
        let mut fields = fields();
        change(&mut fields);
        Label::seal(&fields, &key()).map_err(LabelError::code)
    };
    let five = vec![TokenId::from_bytes([0; 16]); MAX_ANCESTORS + 1];
    assert_eq!(seal(&|fields| fields.ancestors.clone_from(&five)), Err("label_too_many_ancestors"));
    assert_eq!(seal(&|fields| fields.run = Some("r".repeat(129))), Err("label_run_length"));
    assert_eq!(seal(&|fields| fields.run = Some(String::new())), Err("label_run_length"));
    let workload = |length: usize| Principal::Workload {
        anchor: "github".parse().expect("a name"),
        subject: "s".repeat(length).into(),
    };
    assert_eq!(seal(&|fields| fields.principal = workload(1100)), Err("label_principal_length"));
    assert!(seal(&|fields| fields.principal = workload(1024)).is_ok());
}

#[test]
fn nothing_shows_a_label_key() {
    let key = key();
    assert_eq!(format!("{key:?}"), format!("LabelKey({}, ..)", key.id()));
}

fn any_fields() -> impl Strategy<Value = LabelFields> {
    let lane = prop_oneof![
        Just(Lane::release()),
        Just(Lane::anonymous()),
        ("[a-z]{1,8}", "\\PC{1,8}", proptest::collection::vec(any::<u8>(), 1..255)).prop_map(
            |(anchor, repository, name)| {
                let source =
                    LaneSource { anchor: anchor.parse().expect("a name"), repository: repository.into() };
                Lane::named(LaneClass::Pull, Some(source), &name).expect("a lane")
            }
        ),
    ];
    let principal = prop_oneof![
        Just(Principal::Anonymous),
        any::<[u8; 16]>().prop_map(|id| Principal::Device(OrganizationId::from_bytes(id))),
        ("[a-z]{1,8}", "\\PC{0,64}").prop_map(|(anchor, subject)| Principal::Workload {
            anchor: anchor.parse().expect("a name"),
            subject: subject.into(),
        }),
    ];
    let id = || any::<[u8; 16]>().prop_map(TokenId::from_bytes);
    (
        lane,
        any::<u32>(),
        proptest::collection::vec(any::<u8>(), 1..=512),
        any::<[u8; 32]>(),
        any::<u64>(),
        proptest::collection::vec(id(), 0..=MAX_ANCESTORS),
        proptest::option::of(id()),
        principal,
        proptest::option::of("[ -~]{1,128}"),
        0..=Timestamp::MAX.as_unix_seconds(),
    )
        .prop_map(
            |(lane, lane_generation, key, digest, length, ancestors, token, principal, run, time)| {
                LabelFields {
                    workspace: WorkspaceId::from_bytes([1; 16]),
                    lane,
                    lane_generation,
                    key: EntryKey::new(&key).expect("a key"),
                    digest,
                    length,
                    ancestors,
                    token,
                    principal,
                    run,
                    time: Timestamp::from_unix_seconds(time).expect("in range"),
                }
            },
        )
}

proptest! {
    #[test]
    fn a_label_says_what_was_sealed(fields in any_fields()) {
        let bytes = Label::seal(&fields, &key()).expect("sealed");
        prop_assert!(bytes.len() <= Label::MAX_LENGTH);
        prop_assert_eq!(open(&bytes), Ok(fields));
    }

    #[test]
    fn two_labels_are_equal_only_if_they_say_the_same(a in any_fields(), b in any_fields()) {
        let seal = |fields: &LabelFields| Label::seal(fields, &key()).expect("sealed");
        prop_assert_eq!(a == b, seal(&a) == seal(&b));
    }

    #[test]
    fn any_flipped_bit_of_any_label_is_refused(fields in any_fields(), bit in any::<prop::sample::Index>()) {
        let mut bytes = Label::seal(&fields, &key()).expect("sealed");
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(open(&bytes).is_err());
    }

    #[test]
    fn no_bytes_panic_the_reader(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(open(&body).is_err());
        let named = [&[1][..], &key().id().to_bytes(), &body].concat();
        // A good seal over anything: it reads as the fields that seal to it, or not at all.
        if let Ok(fields) = open(&sealed(&named)) {
            prop_assert_eq!(Label::seal(&fields, &key()).expect("sealed"), sealed(&named));
        }
    }
}
