//! Lines in, lines out, in order and in bounded memory.

use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};

use crate::answer;

/// The longest line that is read, in bytes: a key set of 256 KiB whose every byte is escaped, and room beside it. Of a
/// longer one the rest is skipped, and the line is refused.
pub const MAX_LINE: usize = 1024 * 1024;

/// What a line buffer may keep from one line to the next.
const KEPT: usize = 64 * 1024;

/// Answers each line of `input` with a line of `output` until the input ends. What was answered is written before the
/// next line is waited for.
///
/// # Errors
///
/// When the input cannot be read or the output cannot be written.
pub fn serve(input: impl Read, output: impl Write) -> io::Result<()> {
    let mut input = BufReader::new(input);
    let mut output = BufWriter::new(output);
    let mut line = Vec::new();
    loop {
        if !input.buffer().contains(&b'\n') {
            output.flush()?;
        }
        if !read_line(&mut input, &mut line)? {
            return output.flush();
        }
        output.write_all(answer(&line).as_bytes())?;
        output.write_all(b"\n")?;
    }
}

/// Whether there was one more line. Of one that is too long, only so much is kept that it shows.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    line.shrink_to(KEPT);
    let mut begun = false;
    loop {
        let read = match input.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read.is_empty() {
            return Ok(begun);
        }
        begun = true;
        let end = read.iter().position(|byte| *byte == b'\n');
        let part = read.get(..end.unwrap_or(read.len())).unwrap_or_default();
        let room = (MAX_LINE + 1).saturating_sub(line.len());
        line.extend_from_slice(part.get(..room).unwrap_or(part));
        let used = end.map_or(read.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}
