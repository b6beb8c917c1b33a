//! What a rule asks of a fact, and what comes of it: true, false or unknown.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use cachegate_types::Name;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::pattern::{Pattern, PatternError};
use crate::facts::FactKind;
use crate::platform::Shape;
use crate::{Fact, FactValue, Facts, Knowledge, Platform};

/// What comes of a condition. Allowing needs [`Truth::True`]; denying fires on everything but [`Truth::False`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// The verified facts say that it does not hold.
    False,
    /// The verified facts do not tell.
    Unknown,
    /// The verified facts say that it holds.
    True,
}

impl Truth {
    /// Both hold: the lesser of the two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::False => "false",
            Self::Unknown => "unknown",
            Self::True => "true",
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

impl fmt::Display for Truth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A condition of an embedder's own, such as an expression of another language. It reads facts and nothing else: no
/// clock, no network, the same answer each time.
pub trait Condition: fmt::Debug + Send + Sync {
    /// What comes of it. What cannot be told is [`Truth::Unknown`], never false.
    fn evaluate(&self, facts: &Facts) -> Truth;
}

/// Compiles the conditions of an embedder's own when rules are loaded.
pub trait CompileCondition {
    /// The condition that `text` is in the language `kind`.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for the author of the rule: lower case, one line.
    fn compile(&self, kind: &Name, text: &str) -> Result<Arc<dyn Condition>, String>;
}

/// For rules without conditions of an embedder's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoConditions;

impl CompileCondition for NoConditions {
    fn compile(&self, kind: &Name, _: &str) -> Result<Arc<dyn Condition>, String> {
        Err(format!("no custom condition `{kind}` is known here: use a built-in kind"))
    }
}

/// One condition of a rule, as a document writes it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Document", into = "Document")]
pub struct When {
    pub(crate) subject: Subject,
    pub(crate) test: Test,
}

impl When {
    /// A condition on a fact.
    pub fn fact(fact: Fact, test: Test) -> Self {
        Self { subject: Subject::Fact(fact), test }
    }

    /// A condition on a claim as it stands, by name or by JSON pointer (RFC 6901). Prefer a fact where there is one.
    pub fn claim(pointer: &str, test: Test) -> Self {
        Self { subject: Subject::Claim(pointer.to_owned()), test }
    }

    /// A condition on the reference: its kind, and its name by the pattern of [`Test::Segments`] where it matters.
    pub fn reference(kind: ReferenceKind, name: Option<&str>) -> Self {
        Self { subject: Subject::Reference(kind, name.map(str::to_owned)), test: Test::Present }
    }

    /// A condition in a language of the embedder's.
    pub fn custom(kind: Name, text: &str) -> Self {
        Self { subject: Subject::Custom(kind, text.to_owned()), test: Test::Present }
    }
}

/// What a condition is about.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Subject {
    Fact(Fact),
    Claim(String),
    Reference(ReferenceKind, Option<String>),
    Custom(Name, String),
}

/// What is asked of a fact or claim. Types never mix: the text `1` is not the number 1.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Test {
    /// This value, byte for byte.
    Equals(FactValue),
    /// One of these values, byte for byte.
    OneOf(Vec<FactValue>),
    /// A known value that is none of these.
    NoneOf(Vec<FactValue>),
    /// This text but for the case of ASCII letters. Only for facts in which the platform itself folds case.
    EqualsFold(String),
    /// A text of this shape: segments between `/` and `:`, where `*` is one segment and `**`, last, all that follow.
    Segments(String),
    /// A set that has all of these.
    ContainsAll(Vec<String>),
    /// A set that has at least one of these.
    ContainsAny(Vec<String>),
    /// Known, whatever the value.
    Present,
    /// Not said at all.
    Absent,
    /// A whole number or moment between these, both included.
    Range {
        /// The least.
        min: Option<i64>,
        /// The greatest.
        max: Option<i64>,
    },
    /// The whole text matches this regular expression, which cannot match a delimiter. Needs the feature `regex`.
    Regex(String),
}

/// The kinds of reference.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceKind {
    /// A branch.
    Branch,
    /// A tag.
    Tag,
    /// A pull or merge request, by its number.
    Pull,
}

impl ReferenceKind {
    /// The stable name, as the fact `ref.kind` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Branch => "branch",
            Self::Tag => "tag",
            Self::Pull => "pull",
        }
    }
}

/// Why a condition cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConditionError {
    /// Nothing, or several things, to look at.
    #[error("a condition is about one thing: write one of `fact`, `claim`, `ref` and `custom`")]
    Subject,
    /// No test, or several.
    #[error(
        "a condition asks one thing: write one of `equals`, `one_of`, `none_of`, `equals_fold`, `segments`, `contains_all`, `contains_any`, `present`, `range` and `regex`"
    )]
    Test,
    /// `ref` and `custom` are tests by themselves.
    #[error("`ref` and `custom` take no further test: write a second condition")]
    TestUnwanted,
    /// `text` belongs to `custom`.
    #[error("`custom` and `text` go together: the language, and what is written in it")]
    CustomText,
    /// The platform never says this.
    #[error("{platform} gives no `{fact}`: leave the condition out, or look at a claim")]
    FactNotGiven {
        /// The fact.
        fact: Fact,
        /// The platform, as people call it.
        platform: &'static str,
    },
    /// Another type than the fact has.
    #[error("`{fact}` is of type {}, and the condition asks for {}", kind.as_str(), asked.as_str())]
    Type {
        /// The fact.
        fact: Fact,
        /// The type of its values.
        kind: FactKind,
        /// The type that the condition can hold for.
        asked: FactKind,
    },
    /// Folding where the platform tells apart.
    #[error("`{fact}` is compared with its case by the platform: use `equals`")]
    FoldUnwanted {
        /// The fact.
        fact: Fact,
    },
    /// Folding a claim as it stands.
    #[error("the case of a claim is never folded: look at a fact, or use `equals`")]
    FoldedClaim,
    /// A list of nothing, a range without ends, a claim without a name, a text that is empty.
    #[error("`{key}` is empty: it would hold for nothing or for everything")]
    Empty {
        /// Which.
        key: &'static str,
    },
    /// A range whose end is before its beginning.
    #[error("the range ends before it begins: `min` {min}, `max` {max}")]
    RangeOrder {
        /// The beginning.
        min: i64,
        /// The end.
        max: i64,
    },
    /// Too long or too many.
    #[error("`{key}` is longer than the limit of {limit}")]
    TooLong {
        /// Which.
        key: &'static str,
        /// The limit, in bytes or elements.
        limit: usize,
    },
    /// The pattern cannot be.
    #[error("{source}")]
    Pattern {
        /// Why.
        source: PatternError,
    },
    /// The embedder's condition cannot be.
    #[error("{what}")]
    Custom {
        /// What the embedder says.
        what: String,
    },
}

impl ConditionError {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Subject => "condition_subject",
            Self::Test => "condition_test",
            Self::TestUnwanted => "condition_test_unwanted",
            Self::CustomText => "condition_custom_text",
            Self::FactNotGiven { .. } => "condition_fact_not_given",
            Self::Type { .. } => "condition_type",
            Self::FoldUnwanted { .. } | Self::FoldedClaim => "condition_fold",
            Self::Empty { .. } => "condition_empty",
            Self::RangeOrder { .. } => "condition_range",
            Self::TooLong { .. } => "condition_too_long",
            Self::Pattern { source } => source.code(),
            Self::Custom { .. } => "condition_custom",
        }
    }
}

impl From<PatternError> for ConditionError {
    fn from(source: PatternError) -> Self {
        Self::Pattern { source }
    }
}

/// A condition that is ready to be asked.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    when: When,
    atoms: Vec<Atom>,
    custom: Option<Arc<dyn Condition>>,
}

/// One question about one fact or claim.
#[derive(Clone, Debug)]
pub(crate) struct Atom {
    pub(crate) about: About,
    pub(crate) matcher: Matcher,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum About {
    Fact(Fact),
    Claim(String),
}

#[derive(Clone, Debug)]
pub(crate) enum Matcher {
    /// One of the values, or none of them.
    Values {
        values: BTreeSet<FactValue>,
        fold: bool,
        negated: bool,
    },
    Pattern {
        pattern: Pattern,
        fold: bool,
    },
    Contains {
        texts: BTreeSet<Arc<str>>,
        all: bool,
    },
    Presence(bool),
    Range {
        min: i64,
        max: i64,
    },
}

impl Compiled {
    /// The most elements of a list.
    const MAX_LIST: usize = 256;
    /// The longest text, in bytes: what a fact holds at most.
    const MAX_TEXT: usize = 1024;

    /// `denies` says that the condition is a denying rule's: there case folds wherever the platform folds it, so
    /// that a name in other letters does not slip by.
    pub(crate) fn new(
        when: When,
        platform: Platform,
        denies: bool,
        compiler: &dyn CompileCondition,
    ) -> Result<Self, ConditionError> {
        let mut custom = None;
        let atoms = match &when.subject {
            Subject::Reference(kind, name) => {
                let known = [Some(Fact::RefKind), name.as_ref().map(|_| Fact::RefName)];
                for fact in known.into_iter().flatten() {
                    spec_of(fact, platform)?;
                }
                let mut atoms = vec![Atom {
                    about: About::Fact(Fact::RefKind),
                    matcher: Matcher::equal_to(FactValue::from(kind.as_str())),
                }];
                if let Some(name) = name {
                    let matcher = match Pattern::segments(name)? {
                        pattern if pattern.is_literal() => Matcher::equal_to(FactValue::from(name.as_str())),
                        pattern => Matcher::Pattern { pattern, fold: false },
                    };
                    atoms.push(Atom { about: About::Fact(Fact::RefName), matcher });
                }
                atoms
            }
            Subject::Custom(kind, text) => {
                check_length("text", text.len(), Self::MAX_TEXT)?;
                custom = Some(compiler.compile(kind, text).map_err(|what| ConditionError::Custom { what })?);
                Vec::new()
            }
            Subject::Fact(fact) => {
                let kind = spec_of(*fact, platform)?;
                let folds = platform.folds_case(*fact);
                if matches!(when.test, Test::EqualsFold(_)) && !folds {
                    return Err(ConditionError::FoldUnwanted { fact: *fact });
                }
                if let Some(asked) = when.test.kinds().into_iter().find(|asked| *asked != kind) {
                    return Err(ConditionError::Type { fact: *fact, kind, asked });
                }
                let matcher = when.test.compile(folds, denies)?;
                vec![Atom { about: About::Fact(*fact), matcher }]
            }
            Subject::Claim(pointer) => {
                if matches!(pointer.as_str(), "" | "/") {
                    return Err(ConditionError::Empty { key: "claim" });
                }
                check_length("claim", pointer.len(), Self::MAX_TEXT)?;
                if matches!(when.test, Test::EqualsFold(_)) {
                    return Err(ConditionError::FoldedClaim);
                }
                let matcher = when.test.compile(false, denies)?;
                vec![Atom { about: About::Claim(pointer.clone()), matcher }]
            }
        };
        Ok(Self { when, atoms, custom })
    }

    pub(crate) fn when(&self) -> &When {
        &self.when
    }

    pub(crate) fn atoms(&self) -> &[Atom] {
        &self.atoms
    }

    pub(crate) fn evaluate(&self, facts: &Facts) -> Truth {
        let custom = self.custom.as_ref().map_or(Truth::True, |custom| custom.evaluate(facts));
        self.atoms.iter().fold(custom, |truth, atom| truth.and(atom.evaluate(facts)))
    }

    /// The first part that does not hold, if the condition is of parts.
    pub(crate) fn failing(&self, facts: &Facts) -> Option<&Atom> {
        self.atoms.iter().find(|atom| atom.evaluate(facts) != Truth::True)
    }
}

impl Atom {
    pub(crate) fn evaluate(&self, facts: &Facts) -> Truth {
        self.matcher.evaluate(&self.about.look_up(facts))
    }
}

impl About {
    pub(crate) fn look_up<'a>(&self, facts: &'a Facts) -> Knowledge<'a> {
        match self {
            Self::Fact(fact) => facts.get(*fact),
            Self::Claim(pointer) => facts.claim(pointer),
        }
    }

    pub(crate) fn fact(&self) -> Option<Fact> {
        if let Self::Fact(fact) = self { Some(*fact) } else { None }
    }

    /// The claim that it comes from.
    pub(crate) fn claim(&self, platform: Platform) -> &str {
        match self {
            Self::Fact(fact) => platform.fact(*fact).map_or(fact.as_str(), |spec| spec.claim),
            Self::Claim(pointer) => pointer,
        }
    }

    /// As the caller knows it: the claim, or what is read from it.
    pub(crate) fn said(&self, platform: Platform) -> String {
        let claim = self.claim(platform);
        match self.fact().and_then(|fact| platform.fact(fact)) {
            Some(spec) if matches!(spec.shape, Shape::Derived(_)) => {
                format!("`{}` (read from `{claim}`)", spec.fact)
            }
            _ => format!("`{claim}`"),
        }
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fact(fact) => write!(f, "`{fact}`"),
            Self::Claim(pointer) => write!(f, "claim `{pointer}`"),
        }
    }
}

impl Matcher {
    pub(crate) fn equal_to(value: FactValue) -> Self {
        Self::Values { values: BTreeSet::from([value]), fold: false, negated: false }
    }

    pub(crate) fn evaluate(&self, knowledge: &Knowledge<'_>) -> Truth {
        let value = match (self, knowledge) {
            (Self::Presence(_), Knowledge::Incomplete) => return Truth::Unknown,
            (Self::Presence(wanted), knowledge) => {
                return (*wanted == matches!(knowledge, Knowledge::Known(_))).into();
            }
            // Who is silent has not said no: see `Truth`.
            (_, Knowledge::Absent | Knowledge::Incomplete) => return Truth::Unknown,
            (_, Knowledge::Known(value)) => value,
        };
        match (self, &**value) {
            (Self::Values { values, fold, negated }, value) => {
                if values.iter().any(|wanted| wanted.kind() != value.kind()) {
                    return Truth::Unknown;
                }
                let found = values.iter().any(|wanted| same(wanted, value, *fold));
                (found != *negated).into()
            }
            (Self::Pattern { pattern, fold }, FactValue::Text(text)) => pattern.matches(text, *fold).into(),
            (Self::Contains { texts, all: true }, FactValue::Set(set)) => texts.is_subset(set).into(),
            (Self::Contains { texts, all: false }, FactValue::Set(set)) => (!texts.is_disjoint(set)).into(),
            (Self::Range { min, max }, FactValue::Integer(number)) => (*min..=*max).contains(number).into(),
            // Another type than was asked for says neither yes nor no.
            _ => Truth::Unknown,
        }
    }

    /// The values that it can be true of, where they can be counted, and whether case is folded in them.
    pub(crate) fn finite(&self) -> Option<(&BTreeSet<FactValue>, bool)> {
        match self {
            Self::Values { values, fold, negated: false } => Some((values, *fold)),
            Self::Values { .. }
            | Self::Pattern { .. }
            | Self::Contains { .. }
            | Self::Presence(_)
            | Self::Range { .. } => None,
        }
    }

    pub(crate) fn has_wildcard(&self) -> bool {
        matches!(self, Self::Pattern { pattern, .. } if !pattern.is_literal())
    }
}

fn same(wanted: &FactValue, value: &FactValue, fold: bool) -> bool {
    match (wanted, value) {
        (FactValue::Text(wanted), FactValue::Text(value)) if fold => wanted.eq_ignore_ascii_case(value),
        (wanted, value) => wanted == value,
    }
}

fn spec_of(fact: Fact, platform: Platform) -> Result<FactKind, ConditionError> {
    let spec =
        platform.fact(fact).ok_or(ConditionError::FactNotGiven { fact, platform: platform.title() })?;
    Ok(spec.kind())
}

fn check_length(key: &'static str, length: usize, limit: usize) -> Result<(), ConditionError> {
    if length == 0 {
        return Err(ConditionError::Empty { key });
    }
    if length > limit { Err(ConditionError::TooLong { key, limit }) } else { Ok(()) }
}

impl Test {
    /// The types of value that it can hold for; none where any will do.
    fn kinds(&self) -> Vec<FactKind> {
        match self {
            Self::Equals(value) => vec![value.kind()],
            Self::OneOf(values) | Self::NoneOf(values) => values.iter().map(FactValue::kind).collect(),
            Self::EqualsFold(_) | Self::Segments(_) | Self::Regex(_) => vec![FactKind::Text],
            Self::ContainsAll(_) | Self::ContainsAny(_) => vec![FactKind::Set],
            Self::Range { .. } => vec![FactKind::Integer],
            Self::Present | Self::Absent => Vec::new(),
        }
    }

    fn compile(&self, folds: bool, denies: bool) -> Result<Matcher, ConditionError> {
        let values = |key, values: &[FactValue], fold, negated| {
            check_length(key, values.len(), Compiled::MAX_LIST)?;
            for text in values.iter().filter_map(FactValue::as_text) {
                check_length(key, text.len(), Compiled::MAX_TEXT)?;
            }
            Ok(Matcher::Values { values: values.iter().cloned().collect(), fold, negated })
        };
        let contains = |key, texts: &[String], all| {
            check_length(key, texts.len(), Compiled::MAX_LIST)?;
            for text in texts {
                check_length(key, text.len(), Compiled::MAX_TEXT)?;
            }
            Ok(Matcher::Contains { texts: texts.iter().map(|text| text.as_str().into()).collect(), all })
        };
        match self {
            Self::Equals(value) => values("equals", std::slice::from_ref(value), folds && denies, false),
            Self::OneOf(list) => values("one_of", list, folds && denies, false),
            Self::NoneOf(list) => values("none_of", list, folds && !denies, true),
            Self::EqualsFold(text) => values("equals_fold", &[FactValue::from(text.as_str())], true, false),
            Self::Segments(pattern) => {
                check_length("segments", pattern.len(), Compiled::MAX_TEXT)?;
                Ok(Matcher::Pattern { pattern: Pattern::segments(pattern)?, fold: folds && denies })
            }
            Self::Regex(pattern) => {
                check_length("regex", pattern.len(), Pattern::MAX_REGEX)?;
                Ok(Matcher::Pattern { pattern: Pattern::regex(pattern)?, fold: false })
            }
            Self::ContainsAll(texts) => contains("contains_all", texts, true),
            Self::ContainsAny(texts) => contains("contains_any", texts, false),
            Self::Present => Ok(Matcher::Presence(true)),
            Self::Absent => Ok(Matcher::Presence(false)),
            Self::Range { min: None, max: None } => Err(ConditionError::Empty { key: "range" }),
            Self::Range { min, max } => {
                let (min, max) = (min.unwrap_or(i64::MIN), max.unwrap_or(i64::MAX));
                if min > max {
                    return Err(ConditionError::RangeOrder { min, max });
                }
                Ok(Matcher::Range { min, max })
            }
        }
    }
}

/// As the operator reads it: the thing, and what is asked of it.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::Fact(fact) => write!(f, "`{fact}` {}", self.test),
            Subject::Claim(pointer) => write!(f, "claim `{pointer}` {}", self.test),
            Subject::Reference(kind, None) => write!(f, "a {}", kind.as_str()),
            Subject::Reference(kind, Some(name)) => write!(f, "the {} {name:?}", kind.as_str()),
            Subject::Custom(kind, text) => write!(f, "{kind} {text:?}"),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |values: &[FactValue]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Equals(value) => write!(f, "= {value}"),
            Self::OneOf(values) => write!(f, "one of {}", list(values)),
            Self::NoneOf(values) => write!(f, "known and none of {}", list(values)),
            Self::EqualsFold(text) => write!(f, "= {text:?} in any case"),
            Self::Segments(pattern) => write!(f, "like {pattern:?}"),
            Self::ContainsAll(texts) => write!(f, "with all of {texts:?}"),
            Self::ContainsAny(texts) => write!(f, "with one of {texts:?}"),
            Self::Present => f.write_str("present"),
            Self::Absent => f.write_str("absent"),
            Self::Range { min, max } => match (min, max) {
                (Some(min), Some(max)) => write!(f, "from {min} to {max}"),
                (Some(min), None) => write!(f, "from {min}"),
                (None, Some(max)) => write!(f, "to {max}"),
                (None, None) => f.write_str("a whole number"),
            },
            Self::Regex(pattern) => write!(f, "matching {pattern:?}"),
        }
    }
}

/// A condition as TOML and JSON write it: one thing, and one test of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    fact: Option<Fact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<String>,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<ReferenceDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    equals: Option<Literal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    one_of: Option<Vec<Literal>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    none_of: Option<Vec<Literal>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    equals_fold: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contains_all: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contains_any: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    present: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<RangeDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    regex: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReferenceDocument {
    kind: ReferenceKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RangeDocument {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a text, a whole number, true or false")]
enum Literal {
    Boolean(bool),
    Integer(i64),
    Text(String),
}

impl From<Literal> for FactValue {
    fn from(literal: Literal) -> Self {
        match literal {
            Literal::Boolean(value) => value.into(),
            Literal::Integer(number) => number.into(),
            Literal::Text(text) => text.as_str().into(),
        }
    }
}

impl Literal {
    /// A set is no literal: no test takes one, so that it is compared with nothing.
    fn of(value: &FactValue) -> Self {
        match value {
            FactValue::Text(text) => Self::Text(text.as_ref().to_owned()),
            FactValue::Integer(number) => Self::Integer(*number),
            FactValue::Boolean(value) => Self::Boolean(*value),
            FactValue::Set(_) => Self::Text(String::new()),
        }
    }
}

impl TryFrom<Document> for When {
    type Error = ConditionError;

    fn try_from(document: Document) -> Result<Self, ConditionError> {
        let values = |list: Vec<Literal>| list.into_iter().map(FactValue::from).collect::<Vec<_>>();
        let tests = [
            document.equals.map(|value| Test::Equals(value.into())),
            document.one_of.map(|list| Test::OneOf(values(list))),
            document.none_of.map(|list| Test::NoneOf(values(list))),
            document.equals_fold.map(Test::EqualsFold),
            document.segments.map(Test::Segments),
            document.contains_all.map(Test::ContainsAll),
            document.contains_any.map(Test::ContainsAny),
            document.present.map(|present| if present { Test::Present } else { Test::Absent }),
            document.range.map(|range| Test::Range { min: range.min, max: range.max }),
            document.regex.map(Test::Regex),
        ];
        if document.custom.is_some() != document.text.is_some() {
            return Err(ConditionError::CustomText);
        }
        let subjects = [
            document.fact.map(Subject::Fact),
            document.claim.map(Subject::Claim),
            document.reference.map(|reference| Subject::Reference(reference.kind, reference.name)),
            document.custom.zip(document.text).map(|(kind, text)| Subject::Custom(kind, text)),
        ];
        let subject = sole(subjects).ok_or(ConditionError::Subject)?;
        let test = match (&subject, tests.iter().all(Option::is_none)) {
            (Subject::Reference(..) | Subject::Custom(..), true) => Test::Present,
            (Subject::Reference(..) | Subject::Custom(..), false) => {
                return Err(ConditionError::TestUnwanted);
            }
            (Subject::Fact(_) | Subject::Claim(_), _) => sole(tests).ok_or(ConditionError::Test)?,
        };
        Ok(Self { subject, test })
    }
}

/// The one that is there.
fn sole<T, const N: usize>(options: [Option<T>; N]) -> Option<T> {
    let mut found = options.into_iter().flatten();
    found.next().filter(|_| found.next().is_none())
}

impl From<When> for Document {
    fn from(when: When) -> Self {
        let mut document = Self::default();
        match when.subject {
            Subject::Fact(fact) => document.fact = Some(fact),
            Subject::Claim(pointer) => document.claim = Some(pointer),
            Subject::Reference(kind, name) => {
                document.reference = Some(ReferenceDocument { kind, name });
                return document;
            }
            Subject::Custom(kind, text) => {
                (document.custom, document.text) = (Some(kind), Some(text));
                return document;
            }
        }
        let literals = |values: &[FactValue]| Some(values.iter().map(Literal::of).collect());
        match when.test {
            Test::Equals(value) => document.equals = Some(Literal::of(&value)),
            Test::OneOf(values) => document.one_of = literals(&values),
            Test::NoneOf(values) => document.none_of = literals(&values),
            Test::EqualsFold(text) => document.equals_fold = Some(text),
            Test::Segments(pattern) => document.segments = Some(pattern),
            Test::ContainsAll(texts) => document.contains_all = Some(texts),
            Test::ContainsAny(texts) => document.contains_any = Some(texts),
            Test::Present => document.present = Some(true),
            Test::Absent => document.present = Some(false),
            Test::Range { min, max } => document.range = Some(RangeDocument { min, max }),
            Test::Regex(pattern) => document.regex = Some(pattern),
        }
        document
    }
}

impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Fact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            let known = Self::ALL.iter().map(|fact| fact.as_str()).collect::<Vec<_>>().join(", ");
            serde::de::Error::custom(format!("no fact is called `{text}`: write one of {known}"))
        })
    }
}
