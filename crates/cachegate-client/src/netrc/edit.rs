//! Writing: the entries of one host change, every other byte stays.

use std::ops::Range;

use cachegate_token::Brand;
use cachegate_types::SecretText;
use zeroize::Zeroizing;

use super::scan::is_blank;
use super::{Entry, Finding, LOGIN, Netrc};
use crate::Host;

/// The longest line that is written, without its newline; a reader's limit lies at 4,095 bytes.
const LONGEST_WRITTEN: usize = 4_000;

/// What may be overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// Only what was written here before: login `cachegate`, and a token of the brand.
    Own,
    /// Whatever the file holds for the host: netrc has room for one credential a host.
    Any,
}

/// Why a netrc file was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetrcEditError {
    /// The file does not parse, or no reader would find what was written.
    #[error("the netrc file was left alone, since not all readers agree on it; {finding}")]
    Unreadable {
        /// Where, and what.
        finding: Finding,
    },
    /// The host has an entry that was written by somebody else.
    #[error(
        "line {line} of the netrc file holds another credential for `{host}`: take it away, or ask for it to be replaced"
    )]
    Foreign {
        /// The host.
        host: Host,
        /// The entry's line, from 1.
        line: usize,
    },
    /// The token holds a character that some reader takes otherwise, or nothing.
    #[error(
        "the token has a byte at {position} that netrc readers do not agree on: it must be of letters, digits and `._~+/=-`"
    )]
    Token {
        /// Where, in bytes from the start.
        position: usize,
    },
    /// The line would be too long for curl before 8 and what is built on it.
    #[error(
        "the netrc line would have {length} bytes, and readers drop one above 4000: ask for a shorter token, or put the \
         entry on a line of its own"
    )]
    TooLong {
        /// Its length in bytes, without the newline.
        length: usize,
    },
}

impl NetrcEditError {
    /// The stable name; of a file that was left alone, the problem's.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { finding } => finding.problem().code(),
            Self::Foreign { .. } => "foreign_entry",
            Self::Token { .. } => "unwritable_token",
            Self::TooLong { .. } => "line_too_long",
        }
    }
}

/// One word of the file, and what comes in its place.
struct Change<'a> {
    span: Range<usize>,
    text: &'a [u8],
}

impl Netrc {
    /// The file with this token as the one credential of the host.
    ///
    /// An entry that all readers agree on keeps its place and form, and gets the new values. Any other goes, and a new
    /// line takes the top of the file: there no `default`, no macro and no odd value further up can hide it. Comments,
    /// blank lines and everything of other hosts stay byte for byte.
    ///
    /// # Errors
    ///
    /// [`NetrcEditError`]; nothing is written then.
    pub fn with_token(
        &self,
        host: &Host,
        token: &SecretText,
        replace: Replace,
        brand: &Brand,
    ) -> Result<Zeroizing<Vec<u8>>, NetrcEditError> {
        self.writable()?;
        let token = token.expose_secret().as_bytes();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._~+/=-".contains(&byte);
        let misfit = token.iter().position(|byte| !fits(*byte));
        if let Some(position) = misfit.or(token.is_empty().then_some(0)) {
            return Err(NetrcEditError::Token { position });
        }
        let entries: Vec<&Entry> = self.entries.iter().filter(|entry| entry.names(host.as_str())).collect();
        if replace == Replace::Own
            && let Some(entry) = entries.iter().find(|entry| !self.is_own(entry, brand))
        {
            return Err(NetrcEditError::Foreign { host: host.clone(), line: entry.line });
        }

        let mut changes = Vec::new();
        let in_place = entries.first().and_then(|entry| match (&entry.login, &entry.password) {
            (Some(login), Some(password)) if entry.plain && !entry.shadowed => Some((login, password)),
            _ => None,
        });
        if let Some((login, password)) = in_place {
            changes.push(Change { span: login.span.clone(), text: LOGIN.as_bytes() });
            changes.push(Change { span: password.span.clone(), text: token });
        }
        for entry in entries.iter().skip(usize::from(in_place.is_some())) {
            changes.extend(entry.parts.iter().map(|part| Change { span: part.clone(), text: b"" }));
        }
        let mut text = Zeroizing::new(Vec::with_capacity(self.text.len() + token.len() + 300));
        if in_place.is_none() {
            for part in ["machine ", host.as_str(), " login ", LOGIN, " password "] {
                text.extend_from_slice(part.as_bytes());
            }
            text.extend_from_slice(token);
            text.push(b'\n');
        }
        self.apply(changes, &mut text);

        let holds_token = |line: &&[u8]| line.windows(token.len()).any(|window| window == token);
        let lines = text.split(|byte| *byte == b'\n');
        match lines.filter(holds_token).map(<[u8]>::len).find(|length| *length > LONGEST_WRITTEN) {
            Some(length) => Err(NetrcEditError::TooLong { length }),
            None => Ok(text),
        }
    }

    /// The file without the entries of the host that were written here, and how many those were.
    ///
    /// # Errors
    ///
    /// [`NetrcEditError::Unreadable`].
    pub fn without(&self, host: &Host, brand: &Brand) -> Result<(Zeroizing<Vec<u8>>, usize), NetrcEditError> {
        self.writable()?;
        let own = self.entries.iter().filter(|entry| entry.names(host.as_str()) && self.is_own(entry, brand));
        let (mut changes, mut count) = (Vec::new(), 0);
        for entry in own {
            changes.extend(entry.parts.iter().map(|part| Change { span: part.clone(), text: b"" }));
            count += 1;
        }
        let mut text = Zeroizing::new(Vec::with_capacity(self.text.len()));
        self.apply(changes, &mut text);
        Ok((text, count))
    }

    fn writable(&self) -> Result<(), NetrcEditError> {
        match self.findings.iter().find(|finding| finding.problem().bars_writing()) {
            Some(finding) => Err(NetrcEditError::Unreadable { finding: finding.clone() }),
            None => Ok(()),
        }
    }

    /// Whether an entry was written here: our login, and a token of the brand, JWT or opaque.
    fn is_own(&self, entry: &Entry, brand: &Brand) -> bool {
        let (Some(login), Some(password)) = (&entry.login, &entry.password) else { return false };
        let password = Zeroizing::new(self.said(password));
        self.said(login) == LOGIN.as_bytes()
            && password.strip_prefix(brand.as_str().as_bytes()).is_some_and(
                |rest| matches!(rest, [kind, b'_', ..] if kind.is_ascii_digit() || kind.is_ascii_lowercase()),
            )
    }

    /// Adds the file with its changes to `out`. A line that a removal leaves blank goes with it.
    fn apply(&self, mut changes: Vec<Change<'_>>, out: &mut Vec<u8>) {
        changes.sort_by_key(|change| change.span.start);
        let mut changes = changes.into_iter().peekable();
        let mut start = 0;
        for line in self.text.split_inclusive(|byte| *byte == b'\n') {
            let end = start + line.len();
            let mark = out.len();
            let (mut at, mut removed) = (start, false);
            while let Some(change) = changes.next_if(|change| change.span.start < end) {
                out.extend_from_slice(self.text.get(at..change.span.start).unwrap_or_default());
                out.extend_from_slice(change.text);
                removed |= change.text.is_empty();
                at = change.span.end;
            }
            out.extend_from_slice(self.text.get(at..end).unwrap_or_default());
            let left = out.get(mark..).unwrap_or_default();
            if removed && left.iter().all(|byte| is_blank(*byte) || *byte == b'\n') {
                out.truncate(mark);
            } else if removed {
                trim_end(out);
            }
            start = end;
        }
    }
}

/// Takes the blanks away that a removal left at the end of the last line: Python stumbles over a comment behind them.
fn trim_end(line: &mut Vec<u8>) {
    let ending: &[u8] = match line.as_slice() {
        [.., b'\r', b'\n'] => b"\r\n",
        [.., b'\n'] => b"\n",
        _ => b"",
    };
    line.truncate(line.len() - ending.len());
    while line.last().is_some_and(|byte| is_blank(*byte)) {
        line.pop();
    }
    line.extend_from_slice(ending);
}
