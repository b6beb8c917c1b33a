//! A request: the members that all have, and those that are its op's own.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use cachegate::NotAdmitted;
use cachegate_client::{HostError, NetrcEditError, NetrcParseError};
use cachegate_federation::{AnchorError, RuleSetError};
use cachegate_jwt::{JwsError, KeyError, KeySetError, LabelError, UnsupportedAlgorithmError};
use cachegate_token::CredentialError;
use cachegate_types::VersionError;
use serde::de::value::{CowStrDeserializer, MapAccessDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor,
};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::MAX_LINE;

/// The longest text that is taken for an `id`, in bytes.
const MAX_ID: usize = 256;

/// The longest `detail`, in bytes: enough for every sentence of ours, and a bound for what a request puts into one.
const MAX_DETAIL: usize = 400;

/// One line, taken apart.
pub(crate) struct Request<'a> {
    pub(crate) id: Id,
    pub(crate) op: String,
    pub(crate) members: Members<'a>,
}

impl<'a> Request<'a> {
    /// Reads a line; a refusal comes with the line's `id` where that could be read.
    pub(crate) fn read(line: &'a [u8]) -> Result<Self, (Id, Refusal)> {
        let nameless = |refusal| (Id::None, refusal);
        if line.len() > MAX_LINE {
            return Err(nameless(Refusal::bad_request(format!("a line has at most {MAX_LINE} bytes"))));
        }
        let text = std::str::from_utf8(line).map_err(|error| {
            nameless(Refusal::bad_request(format!("not UTF-8 from byte {} on", error.valid_up_to())))
        })?;
        let mut members: Members<'a> =
            serde_json::from_str(text).map_err(|error| nameless(Refusal::not_an_object(&error)))?;
        let id = members.take("id").map_err(nameless)?.unwrap_or(Id::None);
        match members.common() {
            Ok(op) => Ok(Self { id, op, members }),
            Err(refusal) => Err((id, refusal)),
        }
    }
}

/// The members of a request by name, each still as it was written. No name comes twice.
pub(crate) struct Members<'a>(BTreeMap<Cow<'a, str>, &'a RawValue>);

impl<'a> Members<'a> {
    /// `v` and `op`, which every request has.
    fn common(&mut self) -> Result<String, Refusal> {
        match self.take::<u64>("v")? {
            None | Some(1) => {}
            Some(_) => return Err(Refusal::bad_request("`v` is 1: this is the first version")),
        }
        self.take("op")?.ok_or_else(|| Refusal::bad_request("`op` is missing"))
    }

    fn take<T: Deserialize<'a>>(&mut self, name: &'static str) -> Result<Option<T>, Refusal> {
        let Some(raw) = self.0.remove(name) else { return Ok(None) };
        let read = T::deserialize(raw).map(Some);
        read.map_err(|error| Refusal::bad_request(format!("`{name}`: {}", plain(&error))))
    }

    /// The rest of the members as one op wants them.
    pub(crate) fn into<T: Deserialize<'a>>(self) -> Result<T, Refusal> {
        let members = Fields { members: self.0.into_iter(), value: None };
        T::deserialize(MapAccessDeserializer::new(members))
            .map_err(|error| Refusal::bad_request(plain(&error)))
    }
}

/// Members on their way into an op's shape: a value that does not fit is told with its name.
struct Fields<'a> {
    members: std::collections::btree_map::IntoIter<Cow<'a, str>, &'a RawValue>,
    value: Option<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> MapAccess<'a> for Fields<'a> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        self.value = self.members.next();
        let name = self.value.as_ref().map(|(name, _)| name.clone().into_deserializer());
        name.map(|name: CowStrDeserializer<'a, Self::Error>| seed.deserialize(name)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Self::Error> {
        let (name, value) = self.value.take().ok_or_else(|| Self::Error::custom("no member"))?;
        seed.deserialize(value).map_err(|error| Self::Error::custom(format!("`{name}`: {}", plain(&error))))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<'a>(std::marker::PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for Object<'a> {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member comes twice"));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object(std::marker::PhantomData))
    }
}

/// What the sender calls the request: echoed, and otherwise unread.
pub(crate) enum Id {
    None,
    Number(i64),
    Text(String),
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged, expecting = "expected null, an integer of 64 bits or a text of at most 256 bytes")]
        enum Form {
            Number(i64),
            Text(String),
            None(()),
        }

        match Form::deserialize(deserializer)? {
            Form::Number(number) => Ok(Self::Number(number)),
            Form::Text(text) if text.len() <= MAX_ID => Ok(Self::Text(text)),
            Form::Text(_) => Err(D::Error::custom("expected at most 256 bytes")),
            Form::None(()) => Ok(Self::None),
        }
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_none(),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// Why a request was not carried out.
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    pub(crate) trail: Option<Box<Trail>>,
}

/// How far a check of several steps got.
#[derive(Serialize)]
pub(crate) struct Trail {
    /// The step that failed.
    pub(crate) step: &'static str,
    /// What was expected there: for the operator.
    pub(crate) expected: String,
    /// What the caller can change.
    pub(crate) hint: String,
    /// The steps in their order, the last of them the one that failed.
    pub(crate) steps: Vec<Tried>,
}

/// One step and what came of it.
#[derive(Serialize)]
pub(crate) struct Tried {
    pub(crate) step: &'static str,
    pub(crate) ok: bool,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some(end) = (0..=MAX_DETAIL).rev().find(|end| detail.is_char_boundary(*end)) {
            detail.truncate(end);
        }
        // It is one line, whatever a name in the request holds.
        if detail.contains(char::is_control) {
            detail = detail.escape_debug().take(MAX_DETAIL).collect();
        }
        Self { code, detail, trail: None }
    }

    pub(crate) fn with_trail(mut self, trail: Trail) -> Self {
        self.trail = Some(Box::new(trail));
        self
    }

    /// The line is no request.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new("bad_request", detail)
    }

    fn not_an_object(error: &serde_json::Error) -> Self {
        Self::bad_request(format!("no request: {}, byte {}", plain(error), error.column()))
    }
}

/// What was wrong, without the value that was found: it may be a token in the wrong place.
fn plain(error: &serde_json::Error) -> String {
    const TOLD: [&str; 3] = ["invalid type: ", "invalid value: ", "unknown variant "];
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(&*text, |(text, _)| text);
    match text.rsplit_once(", expected ") {
        Some((_, expected)) if TOLD.iter().any(|told| text.starts_with(told)) => {
            format!("expected {expected}")
        }
        _ => text.to_owned(),
    }
}

macro_rules! refused_by_code {
    ($($error:ty)*) => {$(
        impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self::new(error.code(), error.to_string())
            }
        }
    )*};
}
refused_by_code! {
    AnchorError RuleSetError CredentialError HostError JwsError KeyError KeySetError LabelError NetrcEditError
    NetrcParseError NotAdmitted UnsupportedAlgorithmError VersionError
}
