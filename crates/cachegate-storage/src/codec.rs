//! The composite parts of records as bytes, for back-ends that keep rows.
//!
//! One value has one form, and reading accepts that form alone: what decodes encodes to the same bytes again. Every
//! form but those of a principal and a lane, which are their canonical bytes, begins with the version [`VERSION`].
//! Numbers are big-endian, texts and lists stand behind their length in four bytes. Bytes that are no such form,
//! bytes left over included, are [`StoreError::Corrupt`]; its detail tells a position, never the content.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use cachegate_policy::{
    LaneOrder, Listed, ListedParty, LockScope, OpenTo, PersonalLane, ReadOnlyCiWrites, WorkspaceSettings,
};
use cachegate_token::{DigestScheme, TokenDigest};
use cachegate_types::{
    AccessLevel, ActionSet, ClosureId, Description, Grant, GrantSource, GroupId, Lane, LaneClass, Name,
    OrganizationId, Principal, Restriction, Role, RuleId, Scope, Timestamp, TokenId, UserId,
    VersionRequirement, WorkspaceId,
};

use crate::{Act, AuditEntry, ChangeKind, MarkScope, MassScope, Revoked, StoreError, TokenForm};

/// The version that every form made here begins with.
pub const VERSION: u8 = 1;

macro_rules! forms {
    ($($(#[$doc:meta])* $what:literal: $encode:ident($borrowed:ty), $decode:ident -> $owned:ty;)*) => {$(
        $(#[$doc])*
        pub fn $encode(value: &$borrowed) -> Vec<u8> {
            let mut bytes = vec![VERSION];
            value.put(&mut bytes);
            bytes
        }

        #[doc = concat!("Reads what [`", stringify!($encode), "`] wrote.\n\n# Errors\n\n[`StoreError::Corrupt`] when the bytes are anything else.")]
        pub fn $decode(bytes: &[u8]) -> Result<$owned, StoreError> {
            Reader::whole(bytes).map_err(|detail| StoreError::Corrupt { what: $what, detail })
        }
    )*};
}

forms! {
    /// Grants, in their order.
    "list of grants": encode_grants([Grant]), decode_grants -> Vec<Grant>;
    /// Restrictions, in their order.
    "list of restrictions": encode_restrictions([Restriction]), decode_restrictions -> Vec<Restriction>;
    /// A workspace's list, in its order.
    "workspace list": encode_listed([Listed]), decode_listed -> Vec<Listed>;
    /// A workspace's settings.
    "settings": encode_settings(WorkspaceSettings), decode_settings -> WorkspaceSettings;
    /// How a token looks, with its digest where there is one.
    "token form": encode_token_form(TokenForm), decode_token_form -> TokenForm;
    /// Ids of tokens, such as ancestors, in their order.
    "list of token ids": encode_token_ids([TokenId]), decode_token_ids -> Vec<TokenId>;
    /// Ids of people, such as a group's members, in their order.
    "list of user ids": encode_user_ids([UserId]), decode_user_ids -> Vec<UserId>;
    /// When, why and by whom something was revoked.
    "revocation": encode_revoked(Revoked), decode_revoked -> Revoked;
    /// Which tokens a mass revocation takes.
    "mass revocation scope": encode_mass_scope(MassScope), decode_mass_scope -> MassScope;
    /// What a lock stops.
    "lock scope": encode_lock_scope(LockScope), decode_lock_scope -> LockScope;
    /// What a mark distrusts.
    "mark scope": encode_mark_scope(MarkScope), decode_mark_scope -> MarkScope;
    /// What a change of the feed changed.
    "change": encode_change_kind(ChangeKind), decode_change_kind -> ChangeKind;
    /// An audit entry. The chain's digests are made over this form.
    "audit entry": encode_audit_entry(AuditEntry), decode_audit_entry -> AuditEntry;
}

/// A principal's canonical bytes: good as an indexed column, since no two principals share them.
pub fn encode_principal(value: &Principal) -> Vec<u8> {
    value.to_canonical_bytes()
}

/// Reads what [`encode_principal`] wrote.
///
/// # Errors
///
/// [`StoreError::Corrupt`] when the bytes are anything else.
pub fn decode_principal(bytes: &[u8]) -> Result<Principal, StoreError> {
    Principal::from_canonical_bytes(bytes).ok_or_else(|| StoreError::Corrupt {
        what: "principal",
        detail: format!("{} bytes are no canonical form", bytes.len()),
    })
}

/// A lane's canonical bytes.
pub fn encode_lane(value: &Lane) -> Vec<u8> {
    value.to_canonical_bytes()
}

/// Reads what [`encode_lane`] wrote.
///
/// # Errors
///
/// [`StoreError::Corrupt`] when the bytes are anything else.
pub fn decode_lane(bytes: &[u8]) -> Result<Lane, StoreError> {
    Lane::from_canonical_bytes(bytes).ok_or_else(|| StoreError::Corrupt {
        what: "lane",
        detail: format!("{} bytes are no canonical form", bytes.len()),
    })
}

/// What is wrong with bytes, for [`StoreError::Corrupt`].
type Malformed = String;

/// A value that appends its form.
trait Put {
    fn put(&self, bytes: &mut Vec<u8>);
}

/// A value that is read from its form.
trait Take: Sized {
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed>;
}

/// Bytes that are being read.
struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    /// The value that all of these bytes are.
    fn whole<T: Take>(bytes: &'a [u8]) -> Result<T, Malformed> {
        let mut reader = Self { rest: bytes, length: bytes.len() };
        let version = reader.byte()?;
        if version != VERSION {
            return Err(format!("version {version} is not known here"));
        }
        let value = T::take(&mut reader)?;
        if reader.rest.is_empty() {
            Ok(value)
        } else {
            Err(format!("{} bytes are left over", reader.rest.len()))
        }
    }

    /// Where the next byte stands.
    fn position(&self) -> usize {
        self.length - self.rest.len()
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(format!("{count} bytes are needed at byte {} of {}", self.position(), self.length)),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let at = self.position();
        self.bytes(N)?.try_into().map_err(|_| format!("{N} bytes are needed at byte {at}"))
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = usize::try_from(u32::take(self)?).unwrap_or(usize::MAX);
        let at = self.position();
        std::str::from_utf8(self.bytes(length)?).map_err(|_| format!("the text at byte {at} is no UTF-8"))
    }

    /// A text that prints as it was read.
    fn parsed<T: FromStr + Display>(&mut self, what: &str) -> Result<T, Malformed> {
        let at = self.position();
        let text = self.text()?;
        match text.parse::<T>() {
            Ok(value) if value.to_string() == text => Ok(value),
            Ok(_) | Err(_) => Err(format!("the text at byte {at} is no {what}")),
        }
    }

    fn unknown<T>(&self, tag: u8, what: &str) -> Result<T, Malformed> {
        Err(format!("{tag} at byte {} is no {what}", self.position().saturating_sub(1)))
    }
}

fn put_text(text: &str, bytes: &mut Vec<u8>) {
    put_bytes(text.as_bytes(), bytes);
}

fn put_bytes(part: &[u8], bytes: &mut Vec<u8>) {
    put_length(part.len(), bytes);
    bytes.extend_from_slice(part);
}

fn put_length(length: usize, bytes: &mut Vec<u8>) {
    // No part of a record comes near 4 GiB.
    u32::try_from(length).unwrap_or(u32::MAX).put(bytes);
}

impl Put for u32 {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_be_bytes());
    }
}

impl Take for u32 {
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array().map(Self::from_be_bytes)
    }
}

impl<T: Put> Put for [T] {
    fn put(&self, bytes: &mut Vec<u8>) {
        put_length(self.len(), bytes);
        for value in self {
            value.put(bytes);
        }
    }
}

impl<T: Take> Take for Vec<T> {
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        // Room is made as values are read: a length that lies costs nothing.
        let mut values = Self::new();
        for _ in 0..u32::take(reader)? {
            values.push(T::take(reader)?);
        }
        Ok(values)
    }
}

impl<T: Put> Put for Option<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        match self {
            None => bytes.push(0),
            Some(value) => {
                bytes.push(1);
                value.put(bytes);
            }
        }
    }
}

impl<T: Take> Take for Option<T> {
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.byte()? {
            0 => Ok(None),
            1 => T::take(reader).map(Some),
            tag => reader.unknown(tag, "mark of presence"),
        }
    }
}

macro_rules! ids {
    ($($id:ident)*) => {$(
        impl Put for $id {
            fn put(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_bytes());
            }
        }

        impl Take for $id {
            fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                reader.array().map(Self::from_bytes)
            }
        }
    )*};
}
ids! { ClosureId GroupId OrganizationId RuleId TokenId UserId WorkspaceId }

macro_rules! texts {
    ($($text:ident, $what:literal;)*) => {$(
        impl Put for $text {
            fn put(&self, bytes: &mut Vec<u8>) {
                put_text(&self.to_string(), bytes);
            }
        }

        impl Take for $text {
            fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                reader.parsed($what)
            }
        }
    )*};
}
texts! {
    Name, "name";
    Description, "description";
    VersionRequirement, "version requirement";
}

impl Put for Arc<str> {
    fn put(&self, bytes: &mut Vec<u8>) {
        put_text(self, bytes);
    }
}

impl Take for Arc<str> {
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.text().map(Self::from)
    }
}

impl Put for Timestamp {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.as_unix_seconds().to_be_bytes());
    }
}

impl Take for Timestamp {
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let at = reader.position();
        Self::from_unix_seconds(i64::from_be_bytes(reader.array()?))
            .map_err(|_| format!("the number at byte {at} is no moment"))
    }
}

impl Put for ActionSet {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.to_bits());
    }
}

impl Take for ActionSet {
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bits = reader.byte()?;
        Self::from_bits(bits).map_or_else(|| reader.unknown(bits, "set of actions"), Ok)
    }
}

impl Put for Principal {
    fn put(&self, bytes: &mut Vec<u8>) {
        put_bytes(&self.to_canonical_bytes(), bytes);
    }
}

impl Take for Principal {
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let length = usize::try_from(u32::take(reader)?).unwrap_or(usize::MAX);
        let at = reader.position();
        Self::from_canonical_bytes(reader.bytes(length)?).ok_or_else(|| format!("no principal at byte {at}"))
    }
}

/// One byte for each variant without fields.
macro_rules! tags {
    ($($kind:ident, $what:literal { $($variant:ident = $tag:literal)* })*) => {$(
        impl Put for $kind {
            fn put(&self, bytes: &mut Vec<u8>) {
                bytes.push(match self { $(Self::$variant => $tag,)* });
            }
        }

        impl Take for $kind {
            fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                match reader.byte()? {
                    $($tag => Ok(Self::$variant),)*
                    tag => reader.unknown(tag, $what),
                }
            }
        }
    )*};
}
tags! {
    Role, "role" { Member = 1 Admin = 2 Owner = 3 }
    AccessLevel, "level" { None = 1 ResolveOnly = 2 ReadOnly = 3 ReadWrite = 4 }
    LaneClass, "lane class" { Release = 1 Main = 2 Dev = 3 Branch = 4 Pull = 5 Own = 6 Anonymous = 7 }
    PersonalLane, "personal lane" { Dev = 1 Main = 2 }
    OpenTo, "choice of members" { Members = 1 Listed = 2 }
    ReadOnlyCiWrites, "choice of writes" { Refuse = 1 OwnLane = 2 }
}

/// One byte for each variant, then its fields in their order.
macro_rules! variants {
    ($($kind:ident, $what:literal {
        $($tag:literal => $variant:ident $(($one:ident))? $({ $($field:ident),* })?;)*
    })*) => {$(
        impl Put for $kind {
            fn put(&self, bytes: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $(($one))? $({ $($field),* })? => {
                        bytes.push($tag);
                        $($one.put(bytes);)?
                        $($($field.put(bytes);)*)?
                    })*
                }
            }
        }

        impl Take for $kind {
            fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                match reader.byte()? {
                    $($tag => {
                        $(let $one = Take::take(reader)?;)?
                        $($(let $field = Take::take(reader)?;)*)?
                        Ok(Self::$variant $(($one))? $({ $($field),* })?)
                    })*
                    tag => reader.unknown(tag, $what),
                }
            }
        }
    )*};
}
variants! {
    GrantSource, "source of a grant" {
        1 => AnonymousLevel;
        2 => Membership;
        3 => Role(role);
        4 => Listed;
        5 => Group(id);
        6 => CiToken(id);
        7 => DeviceToken(id);
        8 => Rule(id);
        9 => Session(id);
    }
    Scope, "scope" {
        1 => Organization(id);
        2 => Workspace(id);
    }
    Restriction, "restriction" {
        1 => Actions(actions);
        2 => Organization(id);
        3 => Workspaces(ids);
        4 => Releases { workspace, requirement };
        5 => Closure { workspace, closure };
        6 => Until(moment);
    }
    ListedParty, "listed party" {
        1 => User(id);
        2 => Group(id);
    }
    LockScope, "lock scope" {
        1 => Everything;
        2 => Organization(id);
        3 => Workspace(id);
        4 => Principal(principal);
        5 => Lane(class);
    }
    MassScope, "mass revocation scope" {
        1 => Everything;
        2 => Family(id);
        3 => Principal(principal);
        4 => Organization(id);
        5 => Workspace(id);
        6 => Key(key);
        7 => Anchor(name);
    }
    MarkScope, "mark scope" {
        1 => Token(id);
        2 => Principal(principal);
        3 => Run(run);
        4 => Window { workspace, from, to };
    }
    ChangeKind, "kind of change" {
        1 => Organization(id);
        2 => Workspace(id);
        3 => User(id);
        4 => Group(id);
        5 => Token(id);
        6 => Revocations;
        7 => Keys;
        8 => Rules(name);
        9 => Locks;
        10 => Marks;
    }
    TokenForm, "token form" {
        1 => Opaque(digest);
        2 => Jwt { key };
    }
    DigestScheme, "digest scheme" {
        1 => Sha256;
        2 => HmacSha256 { key_id };
    }
}

impl<T: Put> Put for Vec<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.as_slice().put(bytes);
    }
}

impl Put for TokenDigest {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.scheme().put(bytes);
        bytes.extend_from_slice(self.bytes());
    }
}

impl Take for TokenDigest {
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let scheme = Take::take(reader)?;
        Ok(Self::from_parts(scheme, reader.array()?))
    }
}

/// The fields of a record, in their order.
macro_rules! records {
    ($($kind:ident { $($field:ident)* })*) => {$(
        impl Put for $kind {
            fn put(&self, bytes: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($field.put(bytes);)*
            }
        }

        impl Take for $kind {
            fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                $(let $field = Take::take(reader)?;)*
                Ok(Self { $($field),* })
            }
        }
    )*};
}
records! {
    Grant { source scope actions until }
    Listed { party actions }
    WorkspaceSettings { anonymous personal personal_lane open_to read_only_ci_writes lanes lane_generation }
    Revoked { at reason by }
    Act { by token at }
    AuditEntry { act code target detail }
}

impl Put for LaneOrder {
    fn put(&self, bytes: &mut Vec<u8>) {
        for class in self.classes() {
            class.put(bytes);
        }
    }
}

impl Take for LaneOrder {
    fn take(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let at = reader.position();
        let mut classes = [LaneClass::Release; LaneClass::ALL.len()];
        for class in &mut classes {
            *class = LaneClass::take(reader)?;
        }
        Self::new(&classes).map_err(|_| format!("the classes at byte {at} are no order"))
    }
}
