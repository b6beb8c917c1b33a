//! The words of a netrc file with their places: what curl, Nix, git, Python and the Rust readers have in common.

use std::ops::Range;

/// One word, quoted or not, as it stands in the file.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// Its bytes, quotes included.
    pub(super) span: Range<usize>,
    /// Its line, from 1.
    pub(super) line: usize,
    pub(super) quoted: bool,
    /// Whether a comment stands between it and the word before.
    pub(super) after_comment: bool,
}

/// A quote that its line does not end: curl's newest reads on over the line, its older ones give up.
pub(super) struct Unterminated {
    pub(super) line: usize,
}

/// Where a macro ends, and how.
pub(super) enum MacroEnd {
    /// By an empty line, as all readers want it.
    Empty,
    /// By a line of blanks, which only some take for an empty one.
    Blanks,
    /// Not at all: the rest of the file is its body.
    Never,
}

/// Reads words from a file's bytes.
pub(super) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    /// Whether nothing but blanks stands before `at` on its line.
    fresh: bool,
    /// Where the reading of the last word or comment ended: Python takes one blank or newline with a word.
    taken: usize,
    /// Lines of comments whose `#` has no blank behind it.
    pub(super) tight_comments: Vec<usize>,
    /// Lines of comments that a newline stands before which no word took.
    pub(super) loose_comments: Vec<usize>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            fresh: true,
            taken: 0,
            tight_comments: Vec::new(),
            loose_comments: Vec::new(),
        }
    }

    /// The next word; comments on lines of their own are passed over, wherever they stand.
    pub(super) fn word(&mut self) -> Result<Option<Word>, Unterminated> {
        let mut after_comment = false;
        loop {
            match self.peek() {
                None => return Ok(None),
                Some(b'#') if self.fresh => {
                    after_comment = true;
                    self.comment();
                }
                Some(byte) if is_blank(byte) || byte == b'\n' => self.step(),
                Some(_) => break,
            }
        }
        let (start, line) = (self.at, self.line);
        let quoted = self.peek() == Some(b'"');
        if quoted {
            self.step();
            self.quoted(line)?;
        } else {
            while self.peek().is_some_and(|byte| !is_blank(byte) && byte != b'\n') {
                self.step();
            }
        }
        self.taken = if quoted { self.at } else { self.at + 1 };
        Ok(Some(Word { span: start..self.at, line, quoted, after_comment }))
    }

    /// The rest of a quoted word, after its first quote.
    fn quoted(&mut self, line: usize) -> Result<(), Unterminated> {
        loop {
            match self.peek() {
                None | Some(b'\n') => return Err(Unterminated { line }),
                Some(b'"') => {
                    self.step();
                    return Ok(());
                }
                Some(b'\\') => {
                    self.step();
                    if self.peek().is_some_and(|byte| byte != b'\n') {
                        self.step();
                    }
                }
                Some(_) => self.step(),
            }
        }
    }

    /// Passes over a comment that starts here, up to the end of its line.
    fn comment(&mut self) {
        if self.text.get(self.at + 1).is_some_and(|byte| !byte.is_ascii_whitespace()) {
            self.tight_comments.push(self.line);
        }
        // Python compares line numbers to see whether a comment goes on: after a newline of its own they differ, and it
        // takes the comment's words for netrc's.
        let before = self.text.get(self.taken..self.at).unwrap_or_default();
        let (line, start) = (self.line, self.at + 1);
        self.skip_line();
        let words = self.text.get(start..self.at).unwrap_or_default();
        if before.contains(&b'\n') && !words.trim_ascii().is_empty() {
            self.loose_comments.push(line);
        }
        self.taken = self.at + 1;
    }

    /// Goes to the newline that ends this line, or to the end.
    pub(super) fn skip_line(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.step();
        }
    }

    /// Passes over the body of a macro whose name has just been read.
    pub(super) fn macro_body(&mut self) -> MacroEnd {
        self.skip_line();
        while self.peek().is_some() {
            self.step();
            let start = self.at;
            self.skip_line();
            let body = self.text.get(start..self.at).unwrap_or_default();
            let ended = self.peek().is_some();
            if ended && matches!(body, b"" | b"\r") {
                self.step();
                self.taken = self.at;
                return MacroEnd::Empty;
            }
            if ended && body.iter().all(|byte| is_blank(*byte)) {
                self.step();
                return MacroEnd::Blanks;
            }
        }
        MacroEnd::Never
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn step(&mut self) {
        match self.peek() {
            Some(b'\n') => (self.line, self.fresh) = (self.line + 1, true),
            Some(byte) if is_blank(byte) => {}
            _ => self.fresh = false,
        }
        self.at += 1;
    }
}

/// What stands between words on a line; a carriage return does.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// What a word says: quotes and their escapes undone as curl undoes them, everything else as it stands.
pub(super) fn unquoted(word: &[u8]) -> Vec<u8> {
    let Some(inner) = word.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return word.to_vec();
    };
    let mut said = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied();
    while let Some(byte) = bytes.next() {
        said.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(other) => other,
                None => break,
            },
            other => other,
        });
    }
    said
}
