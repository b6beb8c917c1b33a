//! Shapes of text: segments, and regular expressions where the feature `regex` is on. Always of the whole text.

/// A shape that a whole text has or has not.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    /// Segments, and whether all that follows is welcome.
    Segments { parts: Vec<Part>, rest: bool },
    #[cfg(feature = "regex")]
    Regex(regex::Regex),
}

/// One segment with the delimiter that ends it.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// The text; `None` for `*`.
    literal: Option<String>,
    end: Option<char>,
}

/// What parts segments: no segment contains one.
const DELIMITERS: [char; 2] = ['/', ':'];

/// Why a pattern cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// `*` beside other text.
    #[error(
        "`*` stands for one whole segment: write it alone between `/` or `:`, or list the values with `one_of`"
    )]
    PartialWildcard,
    /// `**` that is not last.
    #[error("`**` stands for all that follows: it can only be last")]
    RestNotLast,
    /// Two delimiters with nothing between, or one at an end.
    #[error("the pattern has an empty segment")]
    EmptySegment,
    /// The crate was built without regular expressions.
    #[error("regular expressions are not built in (the feature `regex`): use `segments` or `one_of`")]
    RegexUnavailable,
    /// No regular expression by itself: it does not parse, or only within the parentheses that anchor it.
    #[error("the regular expression cannot be read, or is too large")]
    RegexSyntax,
    /// It can match a delimiter, and would reach beyond the segment that it was meant for.
    #[error(
        "the regular expression can match `/`, `:` or a line break: exclude them, for example `[^/:\\n]+`, or use `segments`"
    )]
    RegexDelimiter,
}

impl PatternError {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::PartialWildcard => "pattern_partial_wildcard",
            Self::RestNotLast => "pattern_rest_not_last",
            Self::EmptySegment => "pattern_empty_segment",
            Self::RegexUnavailable => "regex_unavailable",
            Self::RegexSyntax => "regex_syntax",
            Self::RegexDelimiter => "regex_delimiter",
        }
    }
}

impl Pattern {
    /// The longest regular expression, in bytes.
    pub(crate) const MAX_REGEX: usize = 256;

    /// Segments between `/` and `:`, where `*` is one and `**`, last, all that follow.
    pub(crate) fn segments(text: &str) -> Result<Self, PatternError> {
        let (mut parts, mut rest) = (Vec::new(), false);
        for (segment, end) in pieces(text) {
            let literal = match segment {
                "" => return Err(PatternError::EmptySegment),
                "**" if end.is_none() => {
                    rest = true;
                    break;
                }
                "**" => return Err(PatternError::RestNotLast),
                "*" => None,
                other if other.contains('*') => return Err(PatternError::PartialWildcard),
                other => Some(other.to_owned()),
            };
            parts.push(Part { literal, end });
        }
        Ok(Self::Segments { parts, rest })
    }

    #[cfg(not(feature = "regex"))]
    pub(crate) fn regex(_: &str) -> Result<Self, PatternError> {
        Err(PatternError::RegexUnavailable)
    }

    /// The expression is read bare first: what only parses within the parentheses that anchor it could close them.
    #[cfg(feature = "regex")]
    pub(crate) fn regex(text: &str) -> Result<Self, PatternError> {
        let bare = regex_syntax::parse(text).map_err(|_| PatternError::RegexSyntax)?;
        if can_match_delimiter(&bare) {
            return Err(PatternError::RegexDelimiter);
        }
        // A comment of verbose mode would swallow the parenthesis; that fails here, and closed.
        let anchored = regex::RegexBuilder::new(&format!("\\A(?:{text})\\z"))
            .size_limit(Self::MAX_REGEX * 1024)
            .build()
            .map_err(|_| PatternError::RegexSyntax)?;
        Ok(Self::Regex(anchored))
    }

    /// Whether it matches one text alone.
    pub(crate) fn is_literal(&self) -> bool {
        match self {
            Self::Segments { parts, rest } => !rest && parts.iter().all(|part| part.literal.is_some()),
            #[cfg(feature = "regex")]
            Self::Regex(_) => false,
        }
    }

    /// Which segments, counted from 0, are wildcards.
    pub(crate) fn wildcards(&self) -> Vec<usize> {
        match self {
            Self::Segments { parts, rest } => {
                let all = parts.iter().map(|part| part.literal.is_none()).chain(rest.then_some(true));
                all.enumerate().filter(|(_, wildcard)| *wildcard).map(|(at, _)| at).collect()
            }
            #[cfg(feature = "regex")]
            Self::Regex(_) => Vec::new(),
        }
    }

    pub(crate) fn matches(&self, text: &str, fold: bool) -> bool {
        match self {
            Self::Segments { parts, rest } => {
                let mut left = Some(text);
                for part in parts {
                    let Some((segment, end, after)) = left.map(first_piece) else { return false };
                    let fits = match &part.literal {
                        Some(literal) if fold => literal.eq_ignore_ascii_case(segment),
                        Some(literal) => literal == segment,
                        None => is_plain(segment),
                    };
                    // Where all that follows is welcome something must follow.
                    if !fits || end != part.end {
                        return false;
                    }
                    left = after;
                }
                match left {
                    Some(left) => *rest && is_plain(left),
                    None => !rest,
                }
            }
            #[cfg(feature = "regex")]
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Something, and nothing in it that a line is ended by.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_control)
}

/// The first segment, the delimiter that ends it, and what comes after that.
fn first_piece(text: &str) -> (&str, Option<char>, Option<&str>) {
    match text.find(DELIMITERS) {
        Some(at) => {
            let (segment, tail) = text.split_at(at);
            let mut tail = tail.chars();
            let end = tail.next();
            (segment, end, Some(tail.as_str()))
        }
        None => (text, None, None),
    }
}

fn pieces(text: &str) -> impl Iterator<Item = (&str, Option<char>)> {
    let mut left = Some(text);
    std::iter::from_fn(move || {
        let (segment, end, after) = first_piece(left?);
        left = after;
        Some((segment, end))
    })
}

#[cfg(feature = "regex")]
fn can_match_delimiter(hir: &regex_syntax::hir::Hir) -> bool {
    use regex_syntax::hir::{Class, HirKind};
    const NEVER: [char; 4] = ['/', ':', '\n', '\r'];
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.iter().any(|byte| NEVER.contains(&char::from(*byte))),
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().any(|range| NEVER.iter().any(|never| (range.start()..=range.end()).contains(never)))
        }
        HirKind::Class(Class::Bytes(class)) => class
            .iter()
            .any(|range| NEVER.iter().any(|never| (range.start()..=range.end()).contains(&(*never as u8)))),
        HirKind::Repetition(repetition) => can_match_delimiter(&repetition.sub),
        HirKind::Capture(capture) => can_match_delimiter(&capture.sub),
        HirKind::Concat(all) | HirKind::Alternation(all) => all.iter().any(can_match_delimiter),
    }
}
