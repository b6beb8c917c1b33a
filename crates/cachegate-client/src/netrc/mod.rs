//! netrc: read as curl and Nix read it, written so that every reader reads the same back.

mod edit;
mod file;
mod finding;
mod scan;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use cachegate_types::SecretText;
use zeroize::Zeroizing;

use self::scan::{MacroEnd, Scanner, Unterminated, Word, unquoted};
use crate::host::KEYWORDS;

pub use self::edit::{NetrcEditError, Replace};
pub use self::file::{NetrcChange, NetrcError, NetrcFile};
pub use self::finding::{Finding, Problem};

/// The login of every entry that is written here; servers of cachegate ignore it, readers of netrc want one.
pub const LOGIN: &str = "cachegate";

/// The longest line that every reader takes, in bytes, the newline included: one less than a buffer of curl before 8.
const LONGEST_LINE: usize = 4_095;

/// A netrc file in its parts. The text is secret: `Debug` shows only how much there is.
pub struct Netrc {
    text: Zeroizing<Vec<u8>>,
    entries: Vec<Entry>,
    findings: Vec<Finding>,
}

/// What a netrc file holds for a host.
#[derive(Clone, Debug)]
pub struct NetrcLogin {
    line: usize,
    login: String,
    password: SecretText,
}

impl NetrcLogin {
    /// The line that the entry starts in, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The login; empty where the entry has none.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The password; empty where the entry has none.
    pub fn password(&self) -> &SecretText {
        &self.password
    }
}

/// A `machine` or `default` with what belongs to it.
struct Entry {
    line: usize,
    /// The name as the file says it; `None` for `default`.
    host: Option<Vec<u8>>,
    /// The last login, which is the one that counts.
    login: Option<Word>,
    password: Option<Word>,
    /// Its words. A macro below it is none of them: most readers know it as the file's, not the entry's.
    parts: Vec<Range<usize>>,
    /// Whether every reader sees the same: one login, one password, nothing that some stumble over.
    plain: bool,
    /// Whether something further up makes some reader never come here, or come here wrongly.
    shadowed: bool,
}

/// A netrc file of which nothing is read, because its readers would not agree where its words end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the netrc file does not parse; {finding}")]
pub struct NetrcParseError {
    finding: Finding,
}

impl NetrcParseError {
    /// The stable name of the problem.
    pub fn code(&self) -> &'static str {
        self.finding.problem().code()
    }

    /// Where, and what.
    pub fn finding(&self) -> &Finding {
        &self.finding
    }
}

impl Netrc {
    /// Reads the bytes of a file. Whatever is wrong with them is among the [findings](Self::findings).
    pub fn parse(text: &[u8]) -> Self {
        let mut parser = Parser { entries: Vec::new(), findings: Vec::new(), in_entry: false, shadow: false };
        let mut scanner = Scanner::new(text);
        if text.starts_with(b"\xef\xbb\xbf") {
            parser.find(1, Problem::ByteOrderMark);
        }
        if let Err(finding) = parser.words(text, &mut scanner) {
            parser.findings.push(finding);
        }
        for line in std::mem::take(&mut scanner.tight_comments) {
            parser.find(line, Problem::TightComment);
        }
        for line in std::mem::take(&mut scanner.loose_comments) {
            parser.find(line, Problem::LooseComment);
        }
        parser.judge_entries();
        for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if line.len() > LONGEST_LINE {
                parser.find(index + 1, Problem::LongLine { length: line.len() });
            }
        }
        let Parser { entries, mut findings, .. } = parser;
        findings.sort();
        findings.dedup();
        Self { text: Zeroizing::new(text.to_vec()), entries, findings }
    }

    /// Everything that some reader stumbles over, by line.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What the file holds for a host: the first entry that names it, or a `default` that stands before, as curl and
    /// Nix have it. `None` where there is nothing.
    ///
    /// # Errors
    ///
    /// [`NetrcParseError`] where the file does not parse, whichever host is asked for.
    pub fn login(&self, host: &str) -> Result<Option<NetrcLogin>, NetrcParseError> {
        self.parses()?;
        let found = self.entries.iter().find(|entry| entry.host.is_none() || entry.names(host));
        let Some(entry) = found else { return Ok(None) };
        let said = |word: &Option<Word>| match word {
            None => Ok(String::new()),
            Some(word) => String::from_utf8(self.said(word)).map_err(|error| {
                drop(Zeroizing::new(error.into_bytes()));
                NetrcParseError { finding: Finding::new(word.line, Problem::NotAscii) }
            }),
        };
        Ok(Some(NetrcLogin {
            line: entry.line,
            login: said(&entry.login)?,
            password: SecretText::new(said(&entry.password)?),
        }))
    }

    fn parses(&self) -> Result<(), NetrcParseError> {
        match self.findings.iter().find(|finding| finding.problem().is_fatal()) {
            Some(finding) => Err(NetrcParseError { finding: finding.clone() }),
            None => Ok(()),
        }
    }

    fn said(&self, word: &Word) -> Vec<u8> {
        let bytes = self.text.get(word.span.clone()).unwrap_or_default();
        if word.quoted { unquoted(bytes) } else { bytes.to_vec() }
    }
}

impl fmt::Debug for Netrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entries, findings) = (self.entries.len(), self.findings.len());
        write!(f, "Netrc({} bytes, {entries} entries, {findings} findings)", self.text.len())
    }
}

impl Entry {
    fn names(&self, host: &str) -> bool {
        self.host.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(host.as_bytes()))
    }
}

/// Groups words into entries and notes what some reader stumbles over.
struct Parser {
    entries: Vec<Entry>,
    findings: Vec<Finding>,
    /// Whether a login or password belongs to the last entry; a macro ends it.
    in_entry: bool,
    /// Whether some reader never comes below this place, or comes there wrongly.
    shadow: bool,
}

impl Parser {
    fn find(&mut self, line: usize, problem: Problem) {
        self.findings.push(Finding::new(line, problem));
    }

    /// Reads on to the end; the error is what stops that.
    fn words(&mut self, text: &[u8], scanner: &mut Scanner<'_>) -> Result<(), Finding> {
        while let Some(word) = scanner.word().map_err(unterminated)? {
            let bytes = text.get(word.span.clone()).unwrap_or_default();
            if bytes.starts_with(b"#") {
                self.find(word.line, Problem::TrailingComment);
                self.not_plain();
                scanner.skip_line();
                continue;
            }
            let Some(keyword) = keyword(bytes) else {
                self.find(word.line, Problem::UnknownWord);
                self.not_plain();
                continue;
            };
            if keyword.as_bytes() != bytes {
                self.find(word.line, Problem::UpperCase);
            }
            match keyword {
                "machine" => {
                    let name = self.value(text, &word, scanner)?;
                    self.open(text, &word, Some(name));
                }
                "default" => {
                    self.open(text, &word, None);
                    self.shadow = true;
                }
                "macdef" => {
                    self.value(text, &word, scanner)?;
                    let end = scanner.macro_body();
                    if !matches!(end, MacroEnd::Empty) {
                        self.find(word.line, Problem::UnendedMacro);
                        self.shadow = true;
                    }
                    self.in_entry = false;
                }
                _ => {
                    let value = self.value(text, &word, scanner)?;
                    self.belongs(text, keyword, &word, value);
                }
            }
        }
        Ok(())
    }

    /// The word behind a keyword.
    fn value(&mut self, text: &[u8], word: &Word, scanner: &mut Scanner<'_>) -> Result<Word, Finding> {
        let missing = || Finding::new(word.line, Problem::MissingValue);
        let value = scanner.word().map_err(unterminated)?.ok_or_else(missing)?;
        let bytes = text.get(value.span.clone()).unwrap_or_default();
        let line = value.line;
        if let Some(keyword) = keyword(bytes) {
            // On another line it is the next word, and this one's value was forgotten.
            if line != word.line {
                return Err(missing());
            }
            self.find(line, Problem::KeywordAsValue);
            self.shadow |= matches!(keyword, "machine" | "default" | "macdef");
        }
        if value.quoted {
            self.find(line, Problem::Quoted);
        } else if bytes.contains(&b'\\') {
            self.find(line, Problem::Backslash);
        }
        if bytes.starts_with(b"#") {
            self.find(line, Problem::LeadingHash);
        }
        if !bytes.is_ascii() {
            self.find(line, Problem::NotAscii);
        }
        if bytes.iter().any(u8::is_ascii_control) {
            self.find(line, Problem::ControlCharacter);
        }
        Ok(value)
    }

    /// Starts an entry.
    fn open(&mut self, text: &[u8], word: &Word, name: Option<Word>) {
        let mut parts = vec![word.span.clone()];
        let written = text.get(word.span.clone()).unwrap_or_default();
        let mut plain = !word.quoted && written == b"machine";
        let mut host = None;
        if let Some(name) = name {
            let bytes = text.get(name.span.clone()).unwrap_or_default();
            let said = if name.quoted { unquoted(bytes) } else { bytes.to_vec() };
            plain &= !name.quoted && !name.after_comment && !said.iter().any(u8::is_ascii_uppercase);
            if said.ends_with(b".") || said.iter().any(|byte| matches!(byte, b':' | b'/')) {
                self.find(name.line, Problem::UnmatchableHost);
            }
            parts.push(name.span);
            host = Some(said);
        }
        self.entries.push(Entry {
            line: word.line,
            host,
            login: None,
            password: None,
            parts,
            plain,
            shadowed: self.shadow,
        });
        self.in_entry = true;
    }

    /// Adds a login, password or account to the entry that it stands in.
    fn belongs(&mut self, text: &[u8], keyword: &str, word: &Word, value: Word) {
        let in_entry = self.in_entry;
        let Some(entry) = self.entries.last_mut().filter(|_| in_entry) else {
            return self.find(word.line, Problem::StrayWord);
        };
        let bytes = text.get(value.span.clone()).unwrap_or_default();
        entry.plain &= text.get(word.span.clone()) == Some(keyword.as_bytes())
            && !word.after_comment
            && !value.after_comment
            && !value.quoted
            && !bytes.starts_with(b"#")
            && self::keyword(bytes).is_none();
        entry.parts.push(word.span.clone());
        entry.parts.push(value.span.clone());
        if word.after_comment || value.after_comment {
            self.findings.push(Finding::new(word.line, Problem::InnerComment));
        }
        let (line, colon) = (value.line, bytes.contains(&b':'));
        let held = match keyword {
            "login" => &mut entry.login,
            "password" => &mut entry.password,
            _ => return,
        };
        if held.replace(value).is_some() {
            entry.plain = false;
            self.find(word.line, Problem::RepeatedWord);
        }
        if keyword == "login" && colon {
            self.find(line, Problem::ColonInLogin);
        }
    }

    fn not_plain(&mut self) {
        if let Some(entry) = self.entries.last_mut() {
            entry.plain = false;
        }
    }

    /// What is seen only when all entries are there.
    fn judge_entries(&mut self) {
        let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        let mut default = false;
        let mut found = Vec::new();
        let last = self.entries.len().saturating_sub(1);
        for (index, entry) in self.entries.iter().enumerate() {
            match &entry.host {
                None => default = true,
                Some(host) => {
                    if default {
                        found.push(Finding::new(entry.line, Problem::DefaultBeforeMachine));
                    }
                    match seen.get(&host.to_ascii_lowercase()) {
                        Some(&first) => {
                            found.push(Finding::new(entry.line, Problem::DuplicateHost { first }));
                        }
                        None => drop(seen.insert(host.to_ascii_lowercase(), entry.line)),
                    }
                }
            }
            match (&entry.login, &entry.password) {
                (None, Some(_)) if index != last => {
                    found.push(Finding::new(entry.line, Problem::PasswordOnly));
                }
                (_, None) => found.push(Finding::new(entry.line, Problem::NoPassword)),
                _ => {}
            }
        }
        self.findings.append(&mut found);
    }
}

/// The word of netrc that this is, in any case, as curl has it.
fn keyword(bytes: &[u8]) -> Option<&'static str> {
    KEYWORDS.into_iter().find(|keyword| keyword.as_bytes().eq_ignore_ascii_case(bytes))
}

fn unterminated(Unterminated { line }: Unterminated) -> Finding {
    Finding::new(line, Problem::UnterminatedQuote)
}
