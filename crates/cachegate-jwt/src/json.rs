//! A strict reader of JSON (RFC 8259) as tokens and key sets carry it.
//!
//! Checked once, from front to back, before anything is read: UTF-8 without a byte order mark or surrounding white
//! space, one reading (no member twice in one object, at any depth, however it is escaped), no NUL, no lone
//! surrogate, and limits on depth, members and elements. Reading then walks the checked text and allocates nothing.

use std::borrow::Cow;

/// What a text may hold at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Nested objects and arrays.
    pub(crate) depth: usize,
    /// Members of all objects together.
    pub(crate) members: usize,
    /// Elements of all arrays together.
    pub(crate) elements: usize,
}

impl Limits {
    /// A token's header or claims. Entra lists up to 200 groups, which the elements leave room for.
    pub(crate) const TOKEN: Self = Self { depth: 8, members: 128, elements: 512 };
    /// A key set: 64 keys of at most 32 members, certificate chains included.
    pub(crate) const KEY_SET: Self = Self { depth: 8, members: 2048, elements: 1024 };
}

/// Members that the objects open at one moment may have together; the members of a closed object are forgotten.
const OPEN_MEMBERS: usize = 128;

/// Why a text is refused. Positions are bytes from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JsonError {
    /// Not JSON, or JSON with white space around it.
    Syntax { position: usize },
    /// Not UTF-8, a byte order mark, a NUL, or a lone surrogate.
    Encoding { position: usize },
    /// One member of an object twice.
    Duplicate { position: usize },
    /// A number beyond what 64 bits of floating point hold: readers disagree on what it is.
    Number { position: usize },
    /// Deeper, or with more members or elements, than the limits allow.
    TooLarge { position: usize },
}

/// Checks that `bytes` are one JSON object within the limits.
pub(crate) fn object(bytes: &[u8], limits: Limits) -> Result<Object<'_>, JsonError> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| JsonError::Encoding { position: error.valid_up_to() })?;
    if text.starts_with('\u{FEFF}') {
        return Err(JsonError::Encoding { position: 0 });
    }
    if !text.starts_with('{') || !text.ends_with('}') {
        return Err(JsonError::Syntax { position: 0 });
    }
    let mut checker = Checker {
        text,
        bytes: text.as_bytes(),
        at: 0,
        limits,
        members: 0,
        elements: 0,
        open: [Open::default(); OPEN_MEMBERS],
        opened: 0,
    };
    checker.value(0)?;
    if checker.at == text.len() {
        Ok(Object { text })
    } else {
        Err(JsonError::Syntax { position: checker.at })
    }
}

/// A member name of an object that is still open.
#[derive(Clone, Copy, Default)]
struct Open {
    hash: u32,
    start: u32,
    end: u32,
}

impl Open {
    fn name(self, text: &str) -> Text<'_> {
        let at = |position: u32| usize::try_from(position).unwrap_or(usize::MAX);
        Text { raw: text.get(at(self.start)..at(self.end)).unwrap_or_default() }
    }
}

struct Checker<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    limits: Limits,
    members: usize,
    elements: usize,
    open: [Open; OPEN_MEMBERS],
    opened: usize,
}

impl Checker<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn syntax<T>(&self) -> Result<T, JsonError> {
        Err(JsonError::Syntax { position: self.at })
    }

    fn white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            self.syntax()
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), JsonError> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            Ok(())
        } else {
            self.syntax()
        }
    }

    /// Recursion is bounded by `limits.depth`.
    fn value(&mut self, depth: usize) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'{') => self.members_of(depth + 1),
            Some(b'[') => self.elements_of(depth + 1),
            Some(b'"') => self.string().map(|_| ()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => self.syntax(),
        }
    }

    fn deeper(&self, depth: usize) -> Result<(), JsonError> {
        if depth > self.limits.depth { Err(JsonError::TooLarge { position: self.at }) } else { Ok(()) }
    }

    fn members_of(&mut self, depth: usize) -> Result<(), JsonError> {
        self.deeper(depth)?;
        self.expect(b'{')?;
        let first = self.opened;
        self.white_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.name(first)?;
            self.white_space();
            self.expect(b':')?;
            self.white_space();
            self.value(depth)?;
            self.white_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return self.syntax(),
            }
            self.white_space();
        }
        self.at += 1;
        self.opened = first;
        Ok(())
    }

    fn name(&mut self, first: usize) -> Result<(), JsonError> {
        let position = self.at;
        self.members += 1;
        if self.members > self.limits.members {
            return Err(JsonError::TooLarge { position });
        }
        let (start, end) = self.string()?;
        let name = Text { raw: self.text.get(start..end).unwrap_or_default() };
        let hash = name.hash();
        for open in self.open.get(first..self.opened).unwrap_or_default() {
            if open.hash == hash && open.name(self.text).same_as(name) {
                return Err(JsonError::Duplicate { position });
            }
        }
        match self.open.get_mut(self.opened) {
            Some(open) => {
                // Documents are far below 4 GiB: the callers limit them.
                let place = |position| u32::try_from(position).map_err(|_| JsonError::TooLarge { position });
                *open = Open { hash, start: place(start)?, end: place(end)? };
            }
            None => return Err(JsonError::TooLarge { position }),
        }
        self.opened += 1;
        Ok(())
    }

    fn elements_of(&mut self, depth: usize) -> Result<(), JsonError> {
        self.deeper(depth)?;
        self.expect(b'[')?;
        self.white_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.elements += 1;
            if self.elements > self.limits.elements {
                return Err(JsonError::TooLarge { position: self.at });
            }
            self.value(depth)?;
            self.white_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.syntax(),
            }
            self.white_space();
        }
        self.at += 1;
        Ok(())
    }

    /// Where the text between the quotation marks begins and ends.
    fn string(&mut self) -> Result<(usize, usize), JsonError> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0x00..=0x1F));
            self.at += plain.unwrap_or(rest.len());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                // A NUL is told apart, so that its refusal has one name however it is written.
                Some(0) => return Err(JsonError::Encoding { position: self.at }),
                _ => return self.syntax(),
            }
        }
        let end = self.at;
        self.at += 1;
        Ok((start, end))
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        let position = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                let unit = self.unit()?;
                match unit {
                    0 | 0xDC00..=0xDFFF => Err(JsonError::Encoding { position }),
                    0xD800..=0xDBFF => {
                        if self.peek() != Some(b'\\') || self.bytes.get(self.at + 1) != Some(&b'u') {
                            return Err(JsonError::Encoding { position });
                        }
                        self.at += 1;
                        match self.unit()? {
                            0xDC00..=0xDFFF => Ok(()),
                            _ => Err(JsonError::Encoding { position }),
                        }
                    }
                    _ => Ok(()),
                }
            }
            _ => self.syntax(),
        }
    }

    /// The four hexadecimal digits after `u`.
    fn unit(&mut self) -> Result<u32, JsonError> {
        self.expect(b'u')?;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { return self.syntax() };
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return self.syntax();
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let position = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = self.text.get(position..self.at).unwrap_or_default();
        // Eighteen digits are finite without looking.
        let short = text.len() <= 18 && !text.contains(['e', 'E']);
        if short || text.parse::<f64>().is_ok_and(f64::is_finite) {
            Ok(())
        } else {
            Err(JsonError::Number { position })
        }
    }
}

/// A checked text between two quotation marks, escapes and all.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    raw: &'a str,
}

impl<'a> Text<'a> {
    fn chars(self) -> impl Iterator<Item = char> + 'a {
        let mut rest = self.raw.chars();
        let unit = |rest: &mut std::str::Chars<'_>| {
            (0..4)
                .fold(0, |unit, _| unit * 16 + rest.next().and_then(|digit| digit.to_digit(16)).unwrap_or(0))
        };
        std::iter::from_fn(move || {
            let character = rest.next()?;
            if character != '\\' {
                return Some(character);
            }
            Some(match rest.next()? {
                'b' => '\u{8}',
                'f' => '\u{C}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let mut code = unit(&mut rest);
                    if (0xD800..0xDC00).contains(&code) {
                        rest.nth(1);
                        code = 0x10000
                            + ((code - 0xD800) << 10)
                            + (unit(&mut rest).wrapping_sub(0xDC00) & 0x3FF);
                    }
                    // Lone surrogates were refused by the check.
                    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                }
                other => other,
            })
        })
    }

    fn is_plain(self) -> bool {
        !self.raw.as_bytes().contains(&b'\\')
    }

    /// FNV-1a over the characters that are meant: two spellings of one name share it. Only a filter; `same_as`
    /// decides.
    fn hash(self) -> u32 {
        let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        if self.is_plain() {
            self.raw.bytes().fold(0x811C_9DC5, step)
        } else {
            let mut buffer = [0; 4];
            self.chars().fold(0x811C_9DC5, |hash, character| {
                character.encode_utf8(&mut buffer).bytes().fold(hash, step)
            })
        }
    }

    fn same_as(self, other: Text<'_>) -> bool {
        if self.is_plain() && other.is_plain() {
            self.raw == other.raw
        } else {
            self.chars().eq(other.chars())
        }
    }

    /// The text that is meant.
    pub(crate) fn to_cow(self) -> Cow<'a, str> {
        if self.is_plain() { Cow::Borrowed(self.raw) } else { Cow::Owned(self.chars().collect()) }
    }

    pub(crate) fn is(self, text: &str) -> bool {
        if self.is_plain() { self.raw == text } else { self.chars().eq(text.chars()) }
    }
}

/// A checked value.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// Written without fraction and exponent, and within 64 bits. `-0` is none.
    Integer(i64),
    /// Any other number, as written.
    Number(&'a str),
    Text(Text<'a>),
    Array(Array<'a>),
    Object(Object<'a>),
}

impl<'a> Value<'a> {
    pub(crate) fn as_text(self) -> Option<Text<'a>> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// A checked object.
#[derive(Clone, Copy)]
pub(crate) struct Object<'a> {
    text: &'a str,
}

impl<'a> Object<'a> {
    /// The members in order.
    pub(crate) fn members(self) -> impl Iterator<Item = (Text<'a>, Value<'a>)> {
        let mut walk = Walk { rest: self.text.get(1..).unwrap_or_default() };
        std::iter::from_fn(move || {
            walk.separators();
            let Value::Text(name) = walk.value()? else { return None };
            walk.separators();
            Some((name, walk.value()?))
        })
    }

    pub(crate) fn get(self, name: &str) -> Option<Value<'a>> {
        self.members().find(|(member, _)| member.is(name)).map(|(_, value)| value)
    }

    pub(crate) fn as_str(self) -> &'a str {
        self.text
    }
}

/// A checked array.
#[derive(Clone, Copy)]
pub(crate) struct Array<'a> {
    text: &'a str,
}

impl<'a> Array<'a> {
    /// The elements in order.
    pub(crate) fn elements(self) -> impl Iterator<Item = Value<'a>> {
        let mut walk = Walk { rest: self.text.get(1..).unwrap_or_default() };
        std::iter::from_fn(move || {
            walk.separators();
            walk.value()
        })
    }
}

/// A walk through text that was checked: it skips and slices, and stops where the check would have refused.
struct Walk<'a> {
    rest: &'a str,
}

impl<'a> Walk<'a> {
    fn separators(&mut self) {
        let separates = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':');
        let length = self.rest.bytes().position(|byte| !separates(byte)).unwrap_or(self.rest.len());
        self.take(length);
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn value(&mut self) -> Option<Value<'a>> {
        match self.rest.as_bytes().first()? {
            b'"' => {
                let taken = self.take(string_length(self.rest.as_bytes()));
                Some(Value::Text(Text { raw: taken.get(1..taken.len().checked_sub(1)?)? }))
            }
            b'{' => Some(Value::Object(Object { text: self.take(container_length(self.rest.as_bytes())) })),
            b'[' => Some(Value::Array(Array { text: self.take(container_length(self.rest.as_bytes())) })),
            b't' => {
                self.take(4);
                Some(Value::Bool(true))
            }
            b'f' => {
                self.take(5);
                Some(Value::Bool(false))
            }
            b'n' => {
                self.take(4);
                Some(Value::Null)
            }
            b'-' | b'0'..=b'9' => {
                let inner =
                    |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
                let length = self.rest.bytes().position(|byte| !inner(byte)).unwrap_or(self.rest.len());
                let text = self.take(length);
                Some(match text.parse() {
                    Ok(integer) if text != "-0" => Value::Integer(integer),
                    _ => Value::Number(text),
                })
            }
            _ => None,
        }
    }
}

/// The length of the string that `bytes` begin with, quotation marks included.
fn string_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(rest) = bytes.get(at..)
        && let Some(plain) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))
    {
        at += plain;
        if bytes.get(at) == Some(&b'"') {
            return at + 1;
        }
        // A backslash and what it escapes.
        at += 2;
    }
    bytes.len()
}

/// The length of the object or array that `bytes` begin with, brackets included.
fn container_length(bytes: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = bytes.get(at..)
        && let Some(plain) = rest.iter().position(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']'))
    {
        at += plain;
        match bytes.get(at) {
            Some(b'"') => at += string_length(bytes.get(at..).unwrap_or_default()),
            Some(b'{' | b'[') => {
                depth += 1;
                at += 1;
            }
            _ => {
                depth = depth.saturating_sub(1);
                at += 1;
                if depth == 0 {
                    return at;
                }
            }
        }
    }
    bytes.len()
}

/// Writes `text` as a JSON string, quotation marks included.
pub(crate) fn write_text(out: &mut String, text: &str) {
    use std::fmt::Write as _;

    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            // Writing to a `String` does not fail.
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) -> Result<(), JsonError> {
        object(text.as_bytes(), Limits::TOKEN).map(|_| ())
    }

    fn to_serde(value: Value<'_>) -> serde_json::Value {
        match value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => value.into(),
            Value::Integer(value) => value.into(),
            Value::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| "unreadable".into()),
            Value::Text(text) => text.to_cow().into(),
            Value::Array(array) => array.elements().map(to_serde).collect::<Vec<_>>().into(),
            Value::Object(object) => object
                .members()
                .map(|(name, value)| (name.to_cow().into_owned(), to_serde(value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    #[test]
    fn a_member_may_not_come_twice_at_any_depth_in_any_spelling() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"\u0061":1,"a":2}"#,
            r#"{"x":{"a":1,"b":2,"a":3}}"#,
            r#"{"x":[{"é":1,"\u00e9":2}]}"#,
            r#"{"x":{"😀":1,"\ud83d\ude00":2}}"#,
            r#"{"":1,"":2}"#,
            r#"{"a/":1,"a\/":2}"#,
        ] {
            assert!(matches!(check(text), Err(JsonError::Duplicate { .. })), "{text}");
        }
        assert_eq!(check(r#"{"a":{"a":1},"b":{"a":1}}"#), Ok(()));
    }

    #[test]
    fn what_is_not_one_plain_object_is_refused() {
        for text in [
            "",
            " ",
            "1",
            "[]",
            "\"a\"",
            "null",
            " {}",
            "{} ",
            "{}\n",
            "{}{}",
            "{,}",
            "{\"a\":1,}",
            "{'a':1}",
            "{a:1}",
            "{\"a\":01}",
            "{\"a\":.5}",
            "{\"a\":1.}",
            "{\"a\":+1}",
            "{\"a\":NaN}",
            "{\"a\":1e}",
            "{\"a\"}",
            "{\"a\":[1,]}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":tru}",
            "{\"a\":1 2}",
            "{\"a\":/**/1}",
            "{\"a\":\"}",
        ] {
            assert!(matches!(check(text), Err(JsonError::Syntax { .. })), "{text}");
        }
    }

    #[test]
    fn what_is_not_clean_unicode_is_refused() {
        for bytes in [
            &b"{\"a\":\"\xff\"}"[..],
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\\u0000\"}",
            b"{\"a\":\"\0\"}",
            b"{\"a\":\"\\ud800\"}",
            b"{\"a\":\"\\udc00\"}",
            b"{\"a\":\"\\ud800\\u0041\"}",
            b"{\"a\":\"\xed\xa0\x80\"}",
            b"\xff\xfe{\0}\0",
        ] {
            let error = object(bytes, Limits::TOKEN).map(|_| ());
            assert!(matches!(error, Err(JsonError::Encoding { .. })), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn depth_members_and_elements_are_counted() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert_eq!(check(&nested(8)), Ok(()));
        assert!(matches!(check(&nested(9)), Err(JsonError::TooLarge { .. })));
        let members = |count: usize| {
            format!("{{{}}}", (0..count).map(|n| format!("\"m{n}\":0")).collect::<Vec<_>>().join(","))
        };
        assert_eq!(check(&members(128)), Ok(()));
        assert!(matches!(check(&members(129)), Err(JsonError::TooLarge { .. })));
        let elements = |count: usize| format!("{{\"a\":[{}]}}", vec!["0"; count].join(","));
        assert_eq!(check(&elements(512)), Ok(()));
        assert!(matches!(check(&elements(513)), Err(JsonError::TooLarge { .. })));
    }

    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            "\\PC{0,8}".prop_map(Into::into),
            "[\u{1}-\u{1f}\"\\\\😀é/]{0,6}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::btree_map("\\PC{0,3}", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_document_means_what_serde_json_says_it_means(value in values(), pretty in any::<bool>()) {
            let value = serde_json::json!({ "value": value });
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.expect("serializes");
            let read = object(text.as_bytes(), Limits::TOKEN).map(|object| to_serde(Value::Object(object)));
            prop_assert_eq!(read, Ok(value));
        }

        #[test]
        fn whatever_is_accepted_serde_json_accepts_too(bytes in "[\\{\\}\\[\\]\",:\\\\u0-9a-f.eE+\\- tn]{0,40}") {
            let text = format!("{{{bytes}}}");
            if let Ok(object) = object(text.as_bytes(), Limits::TOKEN) {
                let theirs: serde_json::Value = serde_json::from_str(&text).expect("accepted there too");
                prop_assert_eq!(to_serde(Value::Object(object)), theirs);
            }
        }

        #[test]
        fn no_bytes_panic_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(object) = object(&bytes, Limits::TOKEN) {
                to_serde(Value::Object(object));
            }
        }

        #[test]
        fn a_written_text_reads_back(text in any::<String>()) {
            let mut out = String::from("{\"a\":");
            write_text(&mut out, &text);
            out.push('}');
            if !text.contains('\0') {
                let read = object(out.as_bytes(), Limits::TOKEN).expect("well formed");
                let Some(Value::Text(read)) = read.get("a") else { panic!("a text") };
                prop_assert_eq!(read.to_cow(), text.as_str());
                prop_assert!(read.is(&text));
            }
        }
    }
}
