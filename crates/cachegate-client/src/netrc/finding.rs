//! What is wrong with a netrc file, or would be read otherwise by some reader: the doctor's words.

use std::fmt;

/// One thing that the doctor found; it never quotes a value of the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    line: Option<usize>,
    problem: Problem,
}

impl Finding {
    pub(crate) fn new(line: usize, problem: Problem) -> Self {
        Self { line: Some(line), problem }
    }

    pub(crate) fn of_file(problem: Problem) -> Self {
        Self { line: None, problem }
    }

    /// The line, from 1; `None` for what concerns the whole file.
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// What it is.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}: {}", self.problem.what(), self.problem.advice())
    }
}

/// What readers of netrc stumble over, each over something else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Problem {
    /// A quote without its end on the same line.
    UnterminatedQuote,
    /// A word that needs a value, with none behind it.
    MissingValue,
    /// A byte order mark at the start of the file.
    ByteOrderMark,
    /// A host that has an entry further up.
    DuplicateHost {
        /// The line of the first entry.
        first: usize,
    },
    /// A `machine` below a `default`.
    DefaultBeforeMachine,
    /// An entry without a login that another entry follows.
    PasswordOnly,
    /// An entry without a password.
    NoPassword,
    /// The same word twice in an entry.
    RepeatedWord,
    /// A backslash outside quotes.
    Backslash,
    /// A value that starts with `#`.
    LeadingHash,
    /// A value in quotes.
    Quoted,
    /// A word of netrc as a value.
    KeywordAsValue,
    /// A word of netrc in upper case.
    UpperCase,
    /// A word that means nothing.
    UnknownWord,
    /// A login, password or account that belongs to no entry.
    StrayWord,
    /// A comment behind something else on its line.
    TrailingComment,
    /// A comment whose `#` has no blank behind it.
    TightComment,
    /// A comment behind an empty line, or behind a line that ends in a blank.
    LooseComment,
    /// A comment among the words of an entry.
    InnerComment,
    /// A byte outside ASCII in an entry.
    NotAscii,
    /// A control character in an entry.
    ControlCharacter,
    /// A colon in a login.
    ColonInLogin,
    /// A host with a scheme, a port, a path or a final dot.
    UnmatchableHost,
    /// A macro that an empty line does not end.
    UnendedMacro,
    /// A line that some readers drop.
    LongLine {
        /// Its length in bytes, the newline included.
        length: usize,
    },
    /// Others than the owner may read or write the file.
    WideMode {
        /// The permission bits.
        mode: u32,
    },
}

impl Problem {
    /// The stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnterminatedQuote => "unterminated_quote",
            Self::MissingValue => "missing_value",
            Self::ByteOrderMark => "byte_order_mark",
            Self::DuplicateHost { .. } => "duplicate_host",
            Self::DefaultBeforeMachine => "default_before_machine",
            Self::PasswordOnly => "password_only",
            Self::NoPassword => "no_password",
            Self::RepeatedWord => "repeated_word",
            Self::Backslash => "backslash",
            Self::LeadingHash => "leading_hash",
            Self::Quoted => "quoted",
            Self::KeywordAsValue => "keyword_as_value",
            Self::UpperCase => "upper_case",
            Self::UnknownWord => "unknown_word",
            Self::StrayWord => "stray_word",
            Self::TrailingComment => "trailing_comment",
            Self::TightComment => "tight_comment",
            Self::LooseComment => "loose_comment",
            Self::InnerComment => "inner_comment",
            Self::NotAscii => "not_ascii",
            Self::ControlCharacter => "control_character",
            Self::ColonInLogin => "colon_in_login",
            Self::UnmatchableHost => "unmatchable_host",
            Self::UnendedMacro => "unended_macro",
            Self::LongLine { .. } => "long_line",
            Self::WideMode { .. } => "wide_mode",
        }
    }

    /// Whether the file does not parse: nothing is read from it, and nothing is written to it.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::UnterminatedQuote | Self::MissingValue)
    }

    /// Whether a file with this is left as it is: some reader would not find what was written, or find more.
    pub fn bars_writing(&self) -> bool {
        self.is_fatal() || matches!(self, Self::ByteOrderMark | Self::StrayWord)
    }

    fn what(&self) -> String {
        match self {
            Self::UnterminatedQuote => "a quote is opened and not closed on its line".into(),
            Self::MissingValue => "a word stands without its value".into(),
            Self::ByteOrderMark => {
                "the file starts with a byte order mark, and no reader finds its first entry".into()
            }
            Self::DuplicateHost { first } => {
                format!(
                    "this host has an entry in line {first}; curl and Nix take the first, Python the last"
                )
            }
            Self::DefaultBeforeMachine => {
                "curl and Nix take the `default` further up and never come here".into()
            }
            Self::PasswordOnly => "without a login, curl before 8 sends nothing at all".into(),
            Self::NoPassword => "the entry has no password, and an empty one is sent".into(),
            Self::RepeatedWord => {
                "a word stands twice in one entry, and readers differ over which counts".into()
            }
            Self::Backslash => "Python and some others drop a backslash outside quotes".into(),
            Self::LeadingHash => "curl before 8 takes a value that starts with `#` for a comment".into(),
            Self::Quoted => "Python before 3.11 and some others keep the quotes".into(),
            Self::KeywordAsValue => "a value that is a word of netrc makes curl lose its place".into(),
            Self::UpperCase => "words in upper case make Python refuse the whole file".into(),
            Self::UnknownWord => "a word that netrc does not know makes Python refuse the whole file".into(),
            Self::StrayWord => "this belongs to no entry, and makes Python refuse the whole file".into(),
            Self::TrailingComment => {
                "curl from 8 on reads what stands behind this `#` as if it were an entry".into()
            }
            Self::TightComment => {
                "Python refuses the whole file over a comment without a blank behind its `#`".into()
            }
            Self::LooseComment => {
                "Python refuses the whole file over a comment behind an empty line or a blank at a line's end"
                    .into()
            }
            Self::InnerComment => {
                "Python before 3.11 refuses the whole file over a comment inside an entry".into()
            }
            Self::NotAscii => "curl 8.14 cuts a value at its first character outside ASCII".into(),
            Self::ControlCharacter => "curl 8.14 cuts a value at its first control character".into(),
            Self::ColonInLogin => {
                "servers take what stands behind the colon of a login for the password".into()
            }
            Self::UnmatchableHost => {
                "no reader matches a host with a scheme, a port, a path or a final dot".into()
            }
            Self::UnendedMacro => "some readers read on as if all below were the macro's body".into(),
            Self::LongLine { length } => {
                format!(
                    "the line has {length} bytes; curl before 8 drops it without a word, the limit is 4095"
                )
            }
            Self::WideMode { mode } => {
                format!(
                    "the file has mode {mode:04o}, so that others on this machine can reach its passwords"
                )
            }
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::UnterminatedQuote => "close it, or take the quotes away",
            Self::MissingValue => "write the value behind it, or take the word away",
            Self::ByteOrderMark => "save the file as UTF-8 without one",
            Self::DuplicateHost { .. } => "keep one entry for each host",
            Self::DefaultBeforeMachine => "move the `default` to the end",
            Self::PasswordOnly => {
                "write a login before the password; any name will do where the server ignores it"
            }
            Self::NoPassword => "write one, or take the entry away",
            Self::RepeatedWord => "keep one of them",
            Self::Backslash | Self::Quoted | Self::LeadingHash | Self::NotAscii | Self::ControlCharacter => {
                "choose a password of letters, digits and `._~+/=-` where you can"
            }
            Self::KeywordAsValue => "choose another value, or move the entry to the end",
            Self::UpperCase => "write them in lower case",
            Self::UnknownWord => "take it away; a password that holds a blank needs quotes",
            Self::StrayWord => "write it behind its `machine`, or take it away",
            Self::TrailingComment => "move the comment to a line of its own",
            Self::TightComment => "write `# ` and then the comment",
            Self::LooseComment => "take the empty line or the blank away",
            Self::InnerComment => "move the comment above the entry",
            Self::ColonInLogin => "take the colon out",
            Self::UnmatchableHost => "write the host name alone",
            Self::UnendedMacro => "put an empty line, without blanks, below the macro",
            Self::LongLine { .. } => {
                "put each word and its value on a line of their own, or use a shorter token"
            }
            Self::WideMode { .. } => "run `chmod 600` on it",
        }
    }
}

/// As [`Problem::code`].
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}
