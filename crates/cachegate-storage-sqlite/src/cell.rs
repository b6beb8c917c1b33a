//! What stands in one column: how a value is written there, and how it is read back or refused.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use cachegate_storage::{KeyPurpose, StoreError, TokenKind};
use cachegate_types::{
    ActionSet, ClosureId, Description, EntryKey, Epoch, GroupId, LaneClass, LockId, MarkId, Name,
    OrganizationId, ReleaseId, Role, Timestamp, TokenId, UserId, Version, WorkspaceId,
};
use rusqlite::types::{Value, ValueRef};

/// A value that can be written into a column.
pub(crate) trait ToCell {
    fn to_cell(&self) -> Value;
}

/// A value that can be read from a column. The error says what stands there instead, without its content.
pub(crate) trait FromCell: Sized {
    fn from_cell(value: ValueRef<'_>) -> Result<Self, String>;
}

/// The values of a row, in the order of its table's columns.
macro_rules! cells {
    ($($value:expr),* $(,)?) => { [$($crate::cell::ToCell::to_cell(&$value)),*] };
}
pub(crate) use cells;

/// What every id of a page comes after: the id that the page before ended with, or no bytes, which come before all.
pub(crate) fn start<T: ToCell>(after: Option<T>) -> Value {
    after.map_or(Value::Blob(Vec::new()), |after| after.to_cell())
}

/// The names of the types, as SQLite has them.
fn kind(value: ValueRef<'_>) -> &'static str {
    match value {
        ValueRef::Null => "nothing",
        ValueRef::Integer(_) => "an integer",
        ValueRef::Real(_) => "a real number",
        ValueRef::Text(_) => "a text",
        ValueRef::Blob(_) => "bytes",
    }
}

fn unlike<T>(value: ValueRef<'_>, expected: &str) -> Result<T, String> {
    Err(format!("it holds {} instead of {expected}", kind(value)))
}

pub(crate) fn bytes(value: ValueRef<'_>) -> Result<&[u8], String> {
    match value {
        ValueRef::Blob(bytes) => Ok(bytes),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) => {
            unlike(value, "bytes")
        }
    }
}

pub(crate) fn integer(value: ValueRef<'_>) -> Result<i64, String> {
    match value {
        ValueRef::Integer(number) => Ok(number),
        ValueRef::Null | ValueRef::Blob(_) | ValueRef::Real(_) | ValueRef::Text(_) => {
            unlike(value, "an integer")
        }
    }
}

fn text(value: ValueRef<'_>) -> Result<&str, String> {
    match value {
        ValueRef::Text(text) => std::str::from_utf8(text).map_err(|_| "its text is no UTF-8".to_owned()),
        ValueRef::Null | ValueRef::Blob(_) | ValueRef::Real(_) | ValueRef::Integer(_) => {
            unlike(value, "a text")
        }
    }
}

/// A text that prints as it was read: one value has one form.
fn parsed<T: FromStr + Display>(value: ValueRef<'_>, what: &str) -> Result<T, String> {
    let text = text(value)?;
    match text.parse::<T>() {
        Ok(parsed) if parsed.to_string() == text => Ok(parsed),
        Ok(_) | Err(_) => Err(format!("its {} bytes of text are no {what}", text.len())),
    }
}

/// An error of the codec, told of the column that it was found in.
pub(crate) fn of_codec(error: StoreError) -> String {
    match error {
        StoreError::Corrupt { what, detail } => format!("its {what}: {detail}"),
        other => other.to_string(),
    }
}

impl ToCell for Value {
    fn to_cell(&self) -> Value {
        self.clone()
    }
}

impl<T: ToCell> ToCell for Option<T> {
    fn to_cell(&self) -> Value {
        self.as_ref().map_or(Value::Null, ToCell::to_cell)
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(value: ValueRef<'_>) -> Result<Self, String> {
        match value {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => {
                T::from_cell(value).map(Some)
            }
        }
    }
}

impl<T: ToCell + ?Sized> ToCell for &T {
    fn to_cell(&self) -> Value {
        (**self).to_cell()
    }
}

impl ToCell for [u8] {
    fn to_cell(&self) -> Value {
        Value::Blob(self.to_vec())
    }
}

impl ToCell for Vec<u8> {
    fn to_cell(&self) -> Value {
        Value::Blob(self.clone())
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(value: ValueRef<'_>) -> Result<Self, String> {
        bytes(value).map(<[u8]>::to_vec)
    }
}

impl<const N: usize> ToCell for [u8; N] {
    fn to_cell(&self) -> Value {
        Value::Blob(self.to_vec())
    }
}

impl<const N: usize> FromCell for [u8; N] {
    fn from_cell(value: ValueRef<'_>) -> Result<Self, String> {
        let bytes = bytes(value)?;
        bytes.try_into().map_err(|_| format!("it holds {} bytes instead of {N}", bytes.len()))
    }
}

macro_rules! ids {
    ($($id:ident)*) => {$(
        impl ToCell for $id {
            fn to_cell(&self) -> Value {
                self.to_bytes().to_cell()
            }
        }

        impl FromCell for $id {
            fn from_cell(value: ValueRef<'_>) -> Result<Self, String> {
                <[u8; 16]>::from_cell(value).map(Self::from_bytes)
            }
        }
    )*};
}
ids! { ClosureId GroupId LockId MarkId OrganizationId ReleaseId TokenId UserId WorkspaceId }

impl ToCell for str {
    fn to_cell(&self) -> Value {
        Value::Text(self.to_owned())
    }
}

impl ToCell for String {
    fn to_cell(&self) -> Value {
        self.as_str().to_cell()
    }
}

impl ToCell for Arc<str> {
    fn to_cell(&self) -> Value {
        (**self).to_cell()
    }
}

impl FromCell for Arc<str> {
    fn from_cell(value: ValueRef<'_>) -> Result<Self, String> {
        text(value).map(Self::from)
    }
}

macro_rules! texts {
    ($($text:ident, $what:literal;)*) => {$(
        impl ToCell for $text {
            fn to_cell(&self) -> Value {
                Value::Text(self.to_string())
            }
        }

        impl FromCell for $text {
            fn from_cell(value: ValueRef<'_>) -> Result<Self, String> {
                parsed(value, $what)
            }
        }
    )*};
}
texts! {
    Description, "description";
    LaneClass, "lane class";
    Name, "name";
    Role, "role";
    Version, "version";
}

impl ToCell for TokenKind {
    fn to_cell(&self) -> Value {
        self.as_str().to_cell()
    }
}

impl FromCell for TokenKind {
    fn from_cell(value: ValueRef<'_>) -> Result<Self, String> {
        let text = text(value)?;
        let kind = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        kind.ok_or_else(|| "its text is no kind of token".to_owned())
    }
}

impl ToCell for KeyPurpose {
    fn to_cell(&self) -> Value {
        match self {
            Self::Signing => "signing",
            Self::Label => "label",
        }
        .to_cell()
    }
}

impl FromCell for KeyPurpose {
    fn from_cell(value: ValueRef<'_>) -> Result<Self, String> {
        match text(value)? {
            "signing" => Ok(Self::Signing),
            "label" => Ok(Self::Label),
            _ => Err("its text is no purpose of a key".to_owned()),
        }
    }
}

impl ToCell for EntryKey {
    fn to_cell(&self) -> Value {
        self.as_bytes().to_cell()
    }
}

impl FromCell for EntryKey {
    fn from_cell(value: ValueRef<'_>) -> Result<Self, String> {
        let bytes = bytes(value)?;
        Self::new(bytes).map_err(|_| format!("its {} bytes are no key of an entry", bytes.len()))
    }
}

impl ToCell for Timestamp {
    fn to_cell(&self) -> Value {
        Value::Integer(self.as_unix_seconds())
    }
}

impl FromCell for Timestamp {
    fn from_cell(value: ValueRef<'_>) -> Result<Self, String> {
        Self::from_unix_seconds(integer(value)?).map_err(|_| "its number is no moment".to_owned())
    }
}

impl ToCell for ActionSet {
    fn to_cell(&self) -> Value {
        Value::Integer(self.to_bits().into())
    }
}

impl FromCell for ActionSet {
    fn from_cell(value: ValueRef<'_>) -> Result<Self, String> {
        let bits = u8::try_from(integer(value)?).ok().and_then(Self::from_bits);
        bits.ok_or_else(|| "its number is no set of actions".to_owned())
    }
}

impl ToCell for bool {
    fn to_cell(&self) -> Value {
        Value::Integer((*self).into())
    }
}

impl FromCell for bool {
    fn from_cell(value: ValueRef<'_>) -> Result<Self, String> {
        match integer(value)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err("its number is neither yes nor no".to_owned()),
        }
    }
}

/// Any sixty-four bits: SQLite's integers are signed, and this is the same bits.
impl ToCell for Epoch {
    fn to_cell(&self) -> Value {
        Value::Integer(self.0.cast_signed())
    }
}

impl FromCell for Epoch {
    fn from_cell(value: ValueRef<'_>) -> Result<Self, String> {
        integer(value).map(|number| Self(number.cast_unsigned()))
    }
}

/// A count. One that SQLite cannot hold is written as the highest that it can: none comes near.
impl ToCell for u64 {
    fn to_cell(&self) -> Value {
        Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}

impl FromCell for u64 {
    fn from_cell(value: ValueRef<'_>) -> Result<Self, String> {
        Self::try_from(integer(value)?).map_err(|_| "its number is below zero".to_owned())
    }
}

impl ToCell for usize {
    fn to_cell(&self) -> Value {
        Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
    }
}
