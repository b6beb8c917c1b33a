//! Filters (RFC 7644, section 3.4.2.2) and the paths of PATCH that hold them (section 3.5.2).

use std::cmp::Ordering;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::ScimError;
use super::schema::{Attribute, Kind, ResourceType};

/// The longest filter or path, in bytes.
const LONGEST: usize = 2048;

/// How deep parentheses go.
const DEEPEST: usize = 16;

/// The most comparisons.
const MOST_TERMS: usize = 64;

/// A filter, read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    And(Box<Self>, Box<Self>),
    Or(Box<Self>, Box<Self>),
    Not(Box<Self>),
    /// `emails[type eq "work"]`: one value satisfies all of it.
    Any(Name, Box<Self>),
    Present(Name),
    Compare(Name, Operator, Value),
}

/// The name of an attribute, as it was written but for its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// The attribute.
    pub(super) attribute: String,
    /// The sub-attribute.
    pub(super) sub: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// What an operation of PATCH changes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path {
    pub(super) attribute: String,
    pub(super) filter: Option<Filter>,
    pub(super) sub: Option<String>,
}

impl Filter {
    pub(super) fn parse(text: &str, kind: &ResourceType) -> Result<Self, ScimError> {
        let mut reader = Reader::new(text, kind)?;
        let filter = reader.any_of(0)?;
        reader.skip();
        if reader.rest.is_empty() { Ok(filter) } else { bad("something follows it") }
    }

    /// Whether a resource satisfies it.
    pub(super) fn takes(&self, resource: &Value, kind: &ResourceType) -> bool {
        let find = |name: &str| kind.attribute(name);
        self.holds(resource, &find)
    }

    /// Whether one value of an attribute satisfies it.
    pub(super) fn takes_value(&self, value: &Value, of: &Attribute) -> bool {
        let find = |name: &str| of.sub(name);
        self.holds(value, &find)
    }

    /// What a value must have to satisfy it; `None` where that is not said by equality alone.
    pub(super) fn equalities(&self) -> Option<Vec<(&str, &Value)>> {
        match self {
            Self::And(one, other) => {
                let mut all = one.equalities()?;
                all.extend(other.equalities()?);
                Some(all)
            }
            Self::Compare(Name { attribute, sub: None }, Operator::Equal, value) => {
                Some(vec![(attribute, value)])
            }
            _ => None,
        }
    }

    fn holds(&self, value: &Value, find: &dyn Fn(&str) -> Option<&'static Attribute>) -> bool {
        match self {
            Self::And(one, other) => one.holds(value, find) && other.holds(value, find),
            Self::Or(one, other) => one.holds(value, find) || other.holds(value, find),
            Self::Not(inner) => !inner.holds(value, find),
            Self::Any(name, inner) => find(&name.attribute).is_some_and(|attribute| {
                values(value, attribute).iter().any(|value| inner.takes_value(value, attribute))
            }),
            Self::Present(name) => !targets(value, name, find).1.is_empty(),
            Self::Compare(name, operator, wanted) => {
                let (attribute, found) = targets(value, name, find);
                match operator {
                    Operator::NotEqual => !Self::compare(attribute, &found, Operator::Equal, wanted),
                    operator => Self::compare(attribute, &found, *operator, wanted),
                }
            }
        }
    }

    fn compare(attribute: Option<&Attribute>, found: &[&Value], operator: Operator, wanted: &Value) -> bool {
        if wanted.is_null() {
            return operator == Operator::Equal && found.is_empty();
        }
        attribute
            .is_some_and(|attribute| found.iter().any(|found| matches(attribute, found, operator, wanted)))
    }
}

/// The values of an attribute.
fn values<'v>(resource: &'v Value, attribute: &Attribute) -> &'v [Value] {
    match resource.get(attribute.name) {
        Some(Value::Array(values)) => values,
        Some(value) => std::slice::from_ref(value),
        None => &[],
    }
}

/// What a name stands for in a resource, and what kind of thing that is. A complex attribute with values stands for
/// their `value`.
fn targets<'v>(
    resource: &'v Value,
    name: &Name,
    find: &dyn Fn(&str) -> Option<&'static Attribute>,
) -> (Option<&'static Attribute>, Vec<&'v Value>) {
    let Some(attribute) = find(&name.attribute) else { return (None, Vec::new()) };
    let found = values(resource, attribute);
    let sub = match (&name.sub, attribute.kind) {
        (Some(sub), _) => match attribute.sub(sub) {
            Some(sub) => sub,
            None => return (None, Vec::new()),
        },
        (None, Kind::Complex(_)) => match attribute.sub("value") {
            Some(sub) => sub,
            None => return (Some(attribute), found.iter().collect()),
        },
        (None, Kind::Text | Kind::Boolean | Kind::Reference | Kind::Moment) => {
            return (Some(attribute), found.iter().collect());
        }
    };
    (Some(sub), found.iter().filter_map(|value| value.get(sub.name)).collect())
}

fn matches(attribute: &Attribute, found: &Value, operator: Operator, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::String(found), Value::String(wanted)) => {
            if let Kind::Moment = attribute.kind
                && let (Ok(found), Ok(wanted)) =
                    (OffsetDateTime::parse(found, &Rfc3339), OffsetDateTime::parse(wanted, &Rfc3339))
            {
                return ordered(found.cmp(&wanted), operator);
            }
            if attribute.exact {
                return text(found, operator, wanted);
            }
            text(&found.to_lowercase(), operator, &wanted.to_lowercase())
        }
        (Value::Bool(found), Value::Bool(wanted)) => ordered_equal(found == wanted, operator),
        // Entra asks for booleans as texts.
        (Value::Bool(found), Value::String(wanted)) => {
            ordered_equal(found.to_string().eq_ignore_ascii_case(wanted), operator)
        }
        _ => false,
    }
}

fn text(found: &str, operator: Operator, wanted: &str) -> bool {
    match operator {
        Operator::Contains => found.contains(wanted),
        Operator::StartsWith => found.starts_with(wanted),
        Operator::EndsWith => found.ends_with(wanted),
        operator => ordered(found.cmp(wanted), operator),
    }
}

fn ordered(order: Ordering, operator: Operator) -> bool {
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => false,
    }
}

fn ordered_equal(equal: bool, operator: Operator) -> bool {
    operator == Operator::Equal && equal
}

impl Path {
    pub(super) fn parse(text: &str, kind: &ResourceType) -> Result<Self, ScimError> {
        Self::read(text, kind).map_err(|error| match error {
            ScimError::Filter { what } => ScimError::Path { what },
            error => error,
        })
    }

    fn read(text: &str, kind: &ResourceType) -> Result<Self, ScimError> {
        let mut reader = Reader::new(text, kind)?;
        let Name { attribute, mut sub } = reader.name()?;
        let mut filter = None;
        if sub.is_none() && reader.eat("[") {
            filter = Some(reader.any_of(1)?);
            if !reader.eat("]") {
                return bad("a `]` is missing");
            }
            if reader.rest.starts_with('.') {
                reader.rest = reader.rest.get(1..).unwrap_or_default();
                sub = Some(reader.word()?);
            }
        }
        reader.skip();
        if !reader.rest.is_empty() {
            return bad("something follows it");
        }
        Ok(Self { attribute, filter, sub })
    }
}

struct Reader<'t> {
    rest: &'t str,
    schema: &'static str,
    terms: usize,
}

fn bad<T>(what: &'static str) -> Result<T, ScimError> {
    Err(ScimError::Filter { what })
}

impl<'t> Reader<'t> {
    fn new(text: &'t str, kind: &ResourceType) -> Result<Self, ScimError> {
        if text.len() > LONGEST {
            return bad("it is longer than 2048 bytes");
        }
        Ok(Self { rest: text, schema: kind.schema, terms: 0 })
    }

    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    /// Takes a mark, if it is next.
    fn eat(&mut self, mark: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes a word of the grammar, if it is next and ends there.
    fn eat_word(&mut self, word: &str) -> bool {
        self.skip();
        let (Some(head), Some(tail)) = (self.rest.get(..word.len()), self.rest.get(word.len()..)) else {
            return false;
        };
        if !head.eq_ignore_ascii_case(word) || tail.starts_with(is_of_name) {
            return false;
        }
        self.rest = tail;
        true
    }

    fn any_of(&mut self, depth: usize) -> Result<Filter, ScimError> {
        let mut filter = self.all_of(depth)?;
        while self.eat_word("or") {
            filter = Filter::Or(Box::new(filter), Box::new(self.all_of(depth)?));
        }
        Ok(filter)
    }

    fn all_of(&mut self, depth: usize) -> Result<Filter, ScimError> {
        let mut filter = self.one(depth)?;
        while self.eat_word("and") {
            filter = Filter::And(Box::new(filter), Box::new(self.one(depth)?));
        }
        Ok(filter)
    }

    fn one(&mut self, depth: usize) -> Result<Filter, ScimError> {
        if depth > DEEPEST {
            return bad("it is nested too deeply");
        }
        self.terms += 1;
        if self.terms > MOST_TERMS {
            return bad("it has more than 64 terms");
        }
        if self.eat_word("not") {
            if !self.eat("(") {
                return bad("`(` follows `not`");
            }
            return Ok(Filter::Not(Box::new(self.closed(depth)?)));
        }
        if self.eat("(") {
            return self.closed(depth);
        }
        let name = self.name()?;
        if self.eat("[") {
            let inner = self.any_of(depth + 1)?;
            return if self.eat("]") {
                Ok(Filter::Any(name, Box::new(inner)))
            } else {
                bad("a `]` is missing")
            };
        }
        if self.eat_word("pr") {
            return Ok(Filter::Present(name));
        }
        const OPERATORS: [(&str, Operator); 9] = [
            ("eq", Operator::Equal),
            ("ne", Operator::NotEqual),
            ("co", Operator::Contains),
            ("sw", Operator::StartsWith),
            ("ew", Operator::EndsWith),
            ("gt", Operator::Greater),
            ("ge", Operator::GreaterOrEqual),
            ("lt", Operator::Less),
            ("le", Operator::LessOrEqual),
        ];
        let Some((_, operator)) = OPERATORS.into_iter().find(|(word, _)| self.eat_word(word)) else {
            return bad("an operator is missing");
        };
        let value = self.value()?;
        let compared = match value {
            Value::String(_) => true,
            _ => matches!(operator, Operator::Equal | Operator::NotEqual),
        };
        if compared { Ok(Filter::Compare(name, operator, value)) } else { bad("this value has no order") }
    }

    fn closed(&mut self, depth: usize) -> Result<Filter, ScimError> {
        let filter = self.any_of(depth + 1)?;
        if self.eat(")") { Ok(filter) } else { bad("a `)` is missing") }
    }

    fn name(&mut self) -> Result<Name, ScimError> {
        self.skip();
        let head = self.rest.get(..self.schema.len());
        let after = self.rest.get(self.schema.len()..).and_then(|after| after.strip_prefix(':'));
        if let (Some(head), Some(after)) = (head, after)
            && head.eq_ignore_ascii_case(self.schema)
        {
            self.rest = after;
        } else if self.rest.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("urn:")) {
            // Of another schema: nothing of it is kept here.
            let end = self.rest.find([' ', '[', ']', '(', ')']).unwrap_or(self.rest.len());
            let (name, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
            self.rest = rest;
            return Ok(Name { attribute: name.to_owned(), sub: None });
        }
        let attribute = self.word()?;
        if !self.rest.starts_with('.') {
            return Ok(Name { attribute, sub: None });
        }
        self.rest = self.rest.get(1..).unwrap_or_default();
        Ok(Name { attribute, sub: Some(self.word()?) })
    }

    fn word(&mut self) -> Result<String, ScimError> {
        let end = self.rest.find(|one| !is_of_name(one)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        if !word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '$') {
            return bad("the name of an attribute is missing");
        }
        self.rest = rest;
        Ok(word.to_owned())
    }

    fn value(&mut self) -> Result<Value, ScimError> {
        self.skip();
        let mut values = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
        let Some(Ok(value)) = values.next() else { return bad("a value is missing") };
        self.rest = self.rest.get(values.byte_offset()..).unwrap_or_default();
        match value {
            Value::Array(_) | Value::Object(_) => bad("a value is a text, a number, true, false or null"),
            value => Ok(value),
        }
    }
}

const fn is_of_name(one: char) -> bool {
    one.is_ascii_alphanumeric() || matches!(one, '_' | '-' | '$')
}
