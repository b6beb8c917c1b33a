//! What a row holds reads back as what was written, and as nothing else.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed assertion is a test's way to speak"
)]

use std::fmt::Debug;
use std::sync::Arc;

use cachegate_policy::{
    LaneOrder, Listed, ListedParty, LockScope, OpenTo, PersonalLane, ReadOnlyCiWrites, WorkspaceSettings,
};
use cachegate_storage::{
    Act, AuditEntry, ChangeKind, MarkScope, MassScope, Revoked, StoreError, TokenForm, codec,
};
use cachegate_token::{DigestScheme, TokenDigest};
use cachegate_types::{
    AccessLevel, ActionSet, ClosureId, Description, Grant, GrantSource, GroupId, Lane, LaneClass, LaneSource,
    Name, OrganizationId, Principal, Restriction, Role, RuleId, Scope, Timestamp, TokenId, UserId,
    VersionRequirement, WorkspaceId,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

macro_rules! id {
    ($id:ident) => {
        any::<[u8; 16]>().prop_map($id::from_bytes)
    };
}

fn name() -> impl Strategy<Value = Name> {
    "[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?".prop_map(|text| text.parse().expect("a name"))
}

fn description() -> impl Strategy<Value = Description> {
    "[ -~é–]{0,60}".prop_map(|text| text.parse().expect("a description"))
}

fn moment() -> impl Strategy<Value = Timestamp> {
    (0..=Timestamp::MAX.as_unix_seconds())
        .prop_map(|seconds| Timestamp::from_unix_seconds(seconds).expect("in range"))
}

fn text() -> impl Strategy<Value = Arc<str>> {
    ".{0,40}".prop_map(Arc::from)
}

fn actions() -> impl Strategy<Value = ActionSet> {
    (0_u8..128).prop_map(|bits| ActionSet::from_bits(bits).expect("seven bits"))
}

fn principal() -> impl Strategy<Value = Principal> {
    prop_oneof![
        Just(Principal::Anonymous),
        id!(UserId).prop_map(Principal::User),
        id!(WorkspaceId).prop_map(Principal::Ci),
        id!(OrganizationId).prop_map(Principal::Device),
        (name(), text()).prop_map(|(anchor, subject)| Principal::Workload { anchor, subject }),
    ]
}

fn source() -> impl Strategy<Value = GrantSource> {
    prop_oneof![
        Just(GrantSource::AnonymousLevel),
        Just(GrantSource::Membership),
        select(&Role::ALL[..]).prop_map(GrantSource::Role),
        Just(GrantSource::Listed),
        id!(GroupId).prop_map(GrantSource::Group),
        id!(TokenId).prop_map(GrantSource::CiToken),
        id!(TokenId).prop_map(GrantSource::DeviceToken),
        id!(RuleId).prop_map(GrantSource::Rule),
        id!(TokenId).prop_map(GrantSource::Session),
    ]
}

fn grant() -> impl Strategy<Value = Grant> {
    let scope = prop_oneof![
        id!(OrganizationId).prop_map(Scope::Organization),
        id!(WorkspaceId).prop_map(Scope::Workspace),
    ];
    (source(), scope, actions(), of(moment())).prop_map(|(source, scope, actions, until)| Grant {
        source,
        scope,
        actions,
        until,
    })
}

fn requirement() -> impl Strategy<Value = VersionRequirement> {
    let one = "(=|>|>=|<|<=|~|\\^|)(0|[1-9][0-9]{0,3})(\\.(0|[1-9][0-9]?)(\\.(0|[1-9])(-[a-z]{1,3})?)?)?";
    prop_oneof![Just("*".to_owned()), "(0|[1-9])\\.\\*", vec(one, 1..8).prop_map(|parts| parts.join(","))]
        .prop_filter_map("a requirement", |text| text.parse().ok())
}

fn restriction() -> impl Strategy<Value = Restriction> {
    prop_oneof![
        actions().prop_map(Restriction::Actions),
        id!(OrganizationId).prop_map(Restriction::Organization),
        vec(id!(WorkspaceId), 0..4).prop_map(Restriction::Workspaces),
        (id!(WorkspaceId), requirement())
            .prop_map(|(workspace, requirement)| Restriction::Releases { workspace, requirement }),
        (id!(WorkspaceId), id!(ClosureId))
            .prop_map(|(workspace, closure)| Restriction::Closure { workspace, closure }),
        moment().prop_map(Restriction::Until),
    ]
}

fn lane() -> impl Strategy<Value = Lane> {
    let source = of((name(), "[0-9]{1,64}")
        .prop_map(|(anchor, repository)| LaneSource { anchor, repository: repository.into() }));
    let many = select(&[LaneClass::Branch, LaneClass::Pull, LaneClass::Own][..]);
    prop_oneof![
        select(vec![Lane::release(), Lane::main(), Lane::dev(), Lane::anonymous()]),
        (many, source, vec(any::<u8>(), 1..=Lane::MAX_NAME))
            .prop_map(|(class, source, name)| Lane::named(class, source, &name).expect("a lane")),
    ]
}

fn settings() -> impl Strategy<Value = WorkspaceSettings> {
    let order = Just(LaneClass::ALL.to_vec())
        .prop_shuffle()
        .prop_map(|classes| LaneOrder::new(&classes).expect("an order"));
    (
        select(&AccessLevel::ALL[..]),
        select(&AccessLevel::ALL[..]),
        select(&[PersonalLane::Dev, PersonalLane::Main][..]),
        select(&[OpenTo::Members, OpenTo::Listed][..]),
        select(&[ReadOnlyCiWrites::Refuse, ReadOnlyCiWrites::OwnLane][..]),
        order,
        any::<u32>(),
    )
        .prop_map(
            |(anonymous, personal, personal_lane, open_to, read_only_ci_writes, lanes, lane_generation)| {
                WorkspaceSettings {
                    anonymous,
                    personal,
                    personal_lane,
                    open_to,
                    read_only_ci_writes,
                    lanes,
                    lane_generation,
                }
            },
        )
}

fn listed() -> impl Strategy<Value = Listed> {
    let party =
        prop_oneof![id!(UserId).prop_map(ListedParty::User), id!(GroupId).prop_map(ListedParty::Group)];
    (party, actions()).prop_map(|(party, actions)| Listed { party, actions })
}

fn form() -> impl Strategy<Value = TokenForm> {
    let scheme = prop_oneof![
        Just(DigestScheme::Sha256),
        any::<u32>().prop_map(|key_id| DigestScheme::HmacSha256 { key_id })
    ];
    prop_oneof![
        (scheme, any::<[u8; 32]>())
            .prop_map(|(scheme, bytes)| TokenForm::Opaque(TokenDigest::from_parts(scheme, bytes))),
        text().prop_map(|key| TokenForm::Jwt { key }),
    ]
}

fn lock_scope() -> impl Strategy<Value = LockScope> {
    prop_oneof![
        Just(LockScope::Everything),
        id!(OrganizationId).prop_map(LockScope::Organization),
        id!(WorkspaceId).prop_map(LockScope::Workspace),
        principal().prop_map(LockScope::Principal),
        select(&LaneClass::ALL[..]).prop_map(LockScope::Lane),
    ]
}

fn mass_scope() -> impl Strategy<Value = MassScope> {
    prop_oneof![
        Just(MassScope::Everything),
        id!(TokenId).prop_map(MassScope::Family),
        principal().prop_map(MassScope::Principal),
        id!(OrganizationId).prop_map(MassScope::Organization),
        id!(WorkspaceId).prop_map(MassScope::Workspace),
        text().prop_map(MassScope::Key),
        name().prop_map(MassScope::Anchor),
    ]
}

fn mark_scope() -> impl Strategy<Value = MarkScope> {
    prop_oneof![
        id!(TokenId).prop_map(MarkScope::Token),
        principal().prop_map(MarkScope::Principal),
        text().prop_map(MarkScope::Run),
        (of(id!(WorkspaceId)), moment(), moment()).prop_map(|(workspace, from, to)| MarkScope::Window {
            workspace,
            from,
            to
        }),
    ]
}

fn change_kind() -> impl Strategy<Value = ChangeKind> {
    prop_oneof![
        id!(OrganizationId).prop_map(ChangeKind::Organization),
        id!(WorkspaceId).prop_map(ChangeKind::Workspace),
        id!(UserId).prop_map(ChangeKind::User),
        id!(GroupId).prop_map(ChangeKind::Group),
        id!(TokenId).prop_map(ChangeKind::Token),
        name().prop_map(ChangeKind::Rules),
        select(vec![ChangeKind::Revocations, ChangeKind::Keys, ChangeKind::Locks, ChangeKind::Marks]),
    ]
}

fn revoked() -> impl Strategy<Value = Revoked> {
    (moment(), description(), principal()).prop_map(|(at, reason, by)| Revoked { at, reason, by })
}

fn audit_entry() -> impl Strategy<Value = AuditEntry> {
    let act = (principal(), of(id!(TokenId)), moment()).prop_map(|(by, token, at)| Act { by, token, at });
    (act, text(), text(), description()).prop_map(|(act, code, target, detail)| AuditEntry {
        act,
        code,
        target,
        detail,
    })
}

/// Reads `bytes` back as `value`, and refuses them with anything added, with anything missing, and in any other
/// version.
fn only_whole<T: Debug>(
    bytes: &[u8],
    decode: fn(&[u8]) -> Result<T, StoreError>,
    versioned: bool,
) -> Result<T, TestCaseError> {
    let corrupt = |bytes: &[u8]| matches!(decode(bytes), Err(StoreError::Corrupt { .. }));
    prop_assert!(corrupt(&[bytes, b"x"].concat()), "a byte left over was accepted");
    for length in 0..bytes.len() {
        prop_assert!(corrupt(&bytes[..length]), "{length} bytes of {} were accepted", bytes.len());
    }
    if versioned {
        for version in (0..=255).filter(|version| *version != codec::VERSION) {
            prop_assert!(corrupt(&[&[version], &bytes[1..]].concat()), "version {version} was accepted");
        }
    }
    decode(bytes).map_err(|error| TestCaseError::fail(error.to_string()))
}

/// Whatever decodes is the one form of what it decodes to; nothing panics.
fn one_form<T>(
    bytes: &[u8],
    decode: fn(&[u8]) -> Result<T, StoreError>,
    encode: impl Fn(&T) -> Vec<u8>,
) -> Result<(), TestCaseError> {
    match decode(bytes) {
        Ok(value) => prop_assert_eq!(encode(&value), bytes),
        Err(StoreError::Corrupt { detail, .. }) => prop_assert!(!detail.is_empty()),
        Err(other) => prop_assert!(false, "{:?}", other),
    }
    Ok(())
}

macro_rules! every_form {
    ($($test:ident, $strategy:expr, $encode:ident, $decode:ident, $versioned:literal;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $test(value in $strategy, place in any::<prop::sample::Index>(), byte in any::<u8>()) {
                    let mut bytes = codec::$encode(&value);
                    let read = only_whole(&bytes, codec::$decode, $versioned)?;
                    // Not every part has `==`; all of them have one form.
                    prop_assert_eq!(codec::$encode(&read), &bytes[..]);
                    prop_assert_eq!(format!("{read:?}"), format!("{value:?}"));
                    let place = place.index(bytes.len());
                    bytes[place] = byte;
                    one_form(&bytes, codec::$decode, |value| codec::$encode(value))?;
                }
            )*

            #[test]
            fn any_bytes_are_refused_or_are_the_form_of_a_value(
                mut bytes in vec(prop_oneof![0_u8..12, any::<u8>()], 0..200)
            ) {
                for version in [None, Some(codec::VERSION)] {
                    if let (Some(version), Some(first)) = (version, bytes.first_mut()) {
                        *first = version;
                    }
                    $(one_form(&bytes, codec::$decode, |value| codec::$encode(value))?;)*
                }
            }
        }
    };
}

every_form! {
    grants_read_back, vec(grant(), 0..4), encode_grants, decode_grants, true;
    restrictions_read_back, vec(restriction(), 0..4), encode_restrictions, decode_restrictions, true;
    a_list_reads_back, vec(listed(), 0..4), encode_listed, decode_listed, true;
    settings_read_back, settings(), encode_settings, decode_settings, true;
    a_token_form_reads_back, form(), encode_token_form, decode_token_form, true;
    token_ids_read_back, vec(id!(TokenId), 0..5), encode_token_ids, decode_token_ids, true;
    user_ids_read_back, vec(id!(UserId), 0..5), encode_user_ids, decode_user_ids, true;
    a_revocation_reads_back, revoked(), encode_revoked, decode_revoked, true;
    a_mass_scope_reads_back, mass_scope(), encode_mass_scope, decode_mass_scope, true;
    a_lock_scope_reads_back, lock_scope(), encode_lock_scope, decode_lock_scope, true;
    a_mark_scope_reads_back, mark_scope(), encode_mark_scope, decode_mark_scope, true;
    a_change_reads_back, change_kind(), encode_change_kind, decode_change_kind, true;
    an_audit_entry_reads_back, audit_entry(), encode_audit_entry, decode_audit_entry, true;
    a_principal_reads_back, principal(), encode_principal, decode_principal, false;
    a_lane_reads_back, lane(), encode_lane, decode_lane, false;
}

/// The bytes of digests: a change here breaks every chain and every row that exists.
#[test]
fn the_form_of_an_audit_entry_is_fixed() {
    let entry = AuditEntry {
        act: Act { by: Principal::Anonymous, token: None, at: Timestamp::from(258) },
        code: "x".into(),
        target: "".into(),
        detail: "yz".parse().expect("a description"),
    };
    let anonymous = [0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let expected =
        [&[1][..], &anonymous, &[0], &[0, 0, 0, 0, 0, 0, 1, 2], b"\0\0\0\x01x", b"\0\0\0\0", b"\0\0\0\x02yz"]
            .concat();
    assert_eq!(codec::encode_audit_entry(&entry), expected);
}

#[test]
fn a_digest_survives_its_row() {
    let digest = TokenDigest::from_parts(DigestScheme::HmacSha256 { key_id: 7 }, [9; 32]);
    let bytes = codec::encode_token_form(&TokenForm::Opaque(digest));
    match codec::decode_token_form(&bytes) {
        Ok(TokenForm::Opaque(read)) => assert!(read.matches(&digest)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_length_that_lies_costs_nothing() {
    let error = codec::decode_grants(&[codec::VERSION, 255, 255, 255, 255]).expect_err("nothing behind it");
    assert_eq!(
        error,
        StoreError::Corrupt {
            what: "list of grants",
            detail: "1 bytes are needed at byte 5 of 5".to_owned()
        }
    );
}
