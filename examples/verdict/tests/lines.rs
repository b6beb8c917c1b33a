//! One answer for each line, in order, whatever the lines are.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::io::{self, Read};

use common::{code, is_an_answer, requests, send};
use serde_json::Value;

const GOOD: &str = r#"{"id":"good","op":"version","requirement":"*","version":"1.0.0"}"#;

#[test]
fn a_line_may_end_in_crlf_and_the_last_one_in_nothing() {
    for input in [format!("{GOOD}\n{GOOD}\n"), format!("{GOOD}\r\n{GOOD}\r\n"), format!("{GOOD}\n{GOOD}")] {
        let answers = send(input.as_bytes());
        assert_eq!(answers.iter().map(code).collect::<Vec<_>>(), ["ok", "ok"], "{input:?}");
    }
    assert!(send(b"").is_empty());
}

#[test]
fn what_is_no_request_is_refused_and_the_next_line_is_read() {
    let deep = format!(r#"{{"op":"jwks","jwks":{}{}}}"#, "[".repeat(400_000), "]".repeat(400_000));
    let open = format!(r#"{{"op":"decide","resource":{}"#, "{\"a\":".repeat(100_000));
    let settings = format!(r#"{{"op":"decide","workspace":{}1{}}}"#, "[".repeat(1000), "]".repeat(1000));
    for line in [
        &b""[..],
        b"\r",
        b" ",
        b"\0",
        b"null",
        b"[]",
        b"{}",
        b"{\"op\":\"version\"",
        b"\xff\xfe",
        b"{\"op\":\"\xc3\x28\"}",
        b"\xef\xbb\xbf{\"op\":\"version\",\"requirement\":\"*\",\"version\":\"1.0.0\"}",
        b"{\"op\":\"version\",\"requirement\":\"*\",\"version\":\"\\ud800\"}",
        b"{\"op\":\"version\",\"requirement\":\"*\",\"version\":\"1.0.0\"}\0",
        b"{\"op\":\"version\",\"requirement\":\"*\",\"version\":\"1.0.0\"}{}",
        b"{\"op\":\"\\u0000\"}",
        open.as_bytes(),
        settings.as_bytes(),
    ] {
        let answers = send(&[line, b"\n", GOOD.as_bytes(), b"\n"].concat());
        let told = String::from_utf8_lossy(&line[..line.len().min(60)]);
        assert_eq!(answers.iter().map(code).collect::<Vec<_>>(), ["bad_request", "ok"], "{told}");
        answers.iter().for_each(is_an_answer);
    }
    // A set of keys is read by its own reader, which has its own limits.
    assert_eq!(code(&send(deep.as_bytes())[0]), "key_set_too_large");
    let deep = format!(r#"{{"op":"jwks","jwks":{{"keys":{}{}}}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(code(&send(deep.as_bytes())[0]), "key_set_malformed");
}

#[test]
fn an_unknown_member_is_refused_at_every_depth() {
    let id = "01890a5d-ac96-774b-bcce-b302099a8001";
    let base = format!(
        r#"{{"op":"decide","workspace":{{"id":"{id}","organization":"{id}","settings":{{"anonymous":"read-only"}},"listed":[{{"party":{{"user":"{id}"}},"actions":["read"]}}]}},"principal":{{"workload":{{"anchor":"github","subject":"x"}}}},"standing":{{"lane":"main","grants":[{{"source":{{"rule":"{id}"}},"scope":{{"workspace":"{id}"}},"actions":"read-only"}}]}},"restrictions":[{{"type":"cachegate_until","until":9}}],"locks":[{{"id":"{id}","scope":"everything","actions":[]}}],"action":"read","resource":{{"entry":{{"workspace":"{id}","key":"k"}}}},"now":1}}"#
    );
    assert_eq!(code(&send(base.as_bytes())[0]), "ok");
    let mut refused = 0;
    for (at, _) in base.match_indices('{') {
        let with = format!("{}\"unknown\":1,{}", &base[..=at], &base[at + 1..]);
        let answer = &send(with.as_bytes())[0];
        let expected = if with.contains(r#"[{"unknown":1,"type""#) {
            "unknown_authorization_detail"
        } else {
            "bad_request"
        };
        assert_eq!(code(answer), expected, "{with}");
        refused += 1;
    }
    assert_eq!(refused, 15);
}

#[test]
fn a_member_that_comes_twice_is_refused_at_every_depth() {
    for line in [
        r#"{"op":"version","op":"version","requirement":"*","version":"1.0.0"}"#,
        r#"{"op":"version","requirement":"*","version":"1.0.0","ver\u0073ion":"1.0.0"}"#,
        r#"{"op":"decide","principal":{"workload":{"anchor":"a","anchor":"b","subject":"x"}},"action":"read","resource":{"organization":"01890a5d-ac96-774b-bcce-b302099a8001"},"now":1}"#,
    ] {
        assert_eq!(code(&send(line.as_bytes())[0]), "bad_request", "{line}");
    }
}

#[test]
fn no_detail_repeats_a_token() {
    let token = "cgc_canary";
    for line in requests() {
        let Ok(request) = serde_json::from_str::<serde_json::Map<String, Value>>(line) else { continue };
        for name in request.keys().filter(|name| *name != "id" && *name != "op") {
            for value in [Value::from(token), serde_json::json!([token]), serde_json::json!({ "x": token })] {
                let mut request = request.clone();
                request.insert(name.clone(), value);
                let answer = send(Value::Object(request).to_string().as_bytes());
                // What was asked about is told: the reader of a decision needs to see it.
                let told = code(&answer[0]) == "ok";
                assert!(told || !answer[0].to_string().contains("canary"), "{name}: {}", answer[0]);
            }
        }
    }
}

/// An input that is never in memory as a whole.
struct Endless {
    left: usize,
    byte: u8,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.left);
        buffer[..length].fill(self.byte);
        self.left -= length;
        Ok(length)
    }
}

#[test]
fn a_huge_line_is_refused_in_bounded_memory_and_the_next_one_is_read() {
    let mut output = Vec::new();
    let memory = allocation_counter::measure(|| {
        let huge = Endless { left: 256 << 20, byte: b'[' };
        let then = format!("\n{GOOD}\n");
        verdict::serve(huge.chain(then.as_bytes()), &mut output).expect("memory does not fail");
    });
    assert!(memory.bytes_max < 8 << 20, "{} bytes at once", memory.bytes_max);
    let answers: Vec<Value> = String::from_utf8(output)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(answers.iter().map(code).collect::<Vec<_>>(), ["bad_request", "ok"]);
}

#[test]
fn a_line_of_exactly_the_longest_length_is_read() {
    let padded = |length: usize| format!("{GOOD}{}", " ".repeat(length - GOOD.len()));
    assert_eq!(code(&send(padded(verdict::MAX_LINE).as_bytes())[0]), "ok");
    assert_eq!(code(&send(padded(verdict::MAX_LINE + 1).as_bytes())[0]), "bad_request");
}

#[test]
fn an_answer_does_not_wait_for_the_next_line() {
    /// Gives a line, and before it gives the next one, looks for the answer.
    struct Waiting<'a> {
        lines: Vec<String>,
        seen: &'a std::cell::RefCell<Vec<u8>>,
        asked: usize,
    }
    impl Read for Waiting<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let answers = self.seen.borrow().iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(answers, self.asked, "an answer is held back");
            let Some(line) = self.lines.pop() else { return Ok(0) };
            self.asked += 1;
            // With it comes the beginning of the next one.
            buffer[..line.len()].copy_from_slice(line.as_bytes());
            Ok(line.len())
        }
    }
    struct Seen<'a>(&'a std::cell::RefCell<Vec<u8>>);
    impl io::Write for Seen<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let seen = std::cell::RefCell::new(Vec::new());
    let lines = vec![format!("{}\n", &GOOD[2..]), format!("{GOOD}\n{}", &GOOD[..2])];
    verdict::serve(Waiting { lines, seen: &seen, asked: 0 }, Seen(&seen)).expect("memory does not fail");
}

/// Numbers that look random and are the same at every run (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).expect("31 bits") % limit
    }
}

/// A line without a line end: a request that was changed in a few places, or noise.
fn mangled(dice: &mut Dice, requests: &[&str]) -> Vec<u8> {
    const PIECES: [&str; 16] = [
        "\"", "{", "}", "[", "]", ":", ",", "null", "1e999", "-1", "\\u0000", "\\ud800", "\u{e9}", "\0",
        "\"op\":", "true",
    ];
    let mut line = requests[dice.below(requests.len())].as_bytes().to_vec();
    if dice.below(10) == 0 {
        line = (0..dice.below(200)).map(|_| u8::try_from(dice.below(256)).expect("a byte")).collect();
    }
    for _ in 0..dice.below(4) {
        let at = dice.below(line.len() + 1);
        match dice.below(6) {
            0 => line.truncate(at),
            1 => drop(line.splice(at..at, PIECES[dice.below(PIECES.len())].bytes())),
            2 if at < line.len() => line[at] ^= 1 << dice.below(8),
            3 if at < line.len() => drop(line.remove(at)),
            4 => {
                let other = requests[dice.below(requests.len())].as_bytes();
                let (from, to) = (dice.below(other.len()), dice.below(other.len()));
                let piece = other[from.min(to)..from.max(to)].to_vec();
                drop(line.splice(at..at, piece));
            }
            _ => {
                // One value in the place of another.
                let colons: Vec<usize> = line
                    .iter()
                    .enumerate()
                    .filter(|(_, byte)| **byte == b':')
                    .map(|(at, _)| at + 1)
                    .collect();
                if let (false, piece) = (colons.is_empty(), PIECES[dice.below(PIECES.len())]) {
                    let from = colons[dice.below(colons.len())];
                    let end = line[from..]
                        .iter()
                        .position(|byte| matches!(byte, b',' | b'}'))
                        .map_or(line.len(), |end| from + end);
                    drop(line.splice(from..end, piece.bytes()));
                }
            }
        }
    }
    line.retain(|byte| *byte != b'\n');
    line
}

/// Sends so many lines, every tenth a good one with its number, and looks for each answer in its place.
fn barrage(lines: usize, seed: u64) -> usize {
    const BATCH: usize = 1000;
    let (requests, mut dice) = (requests(), Dice(seed));
    let mut succeeded = 0;
    for batch in 0..lines.div_ceil(BATCH) {
        let mut input = Vec::new();
        for index in 0..BATCH {
            if index % 10 == 0 {
                input.extend(format!(r#"{{"id":{index},"op":"version","requirement":"={batch}.0.0","version":"{batch}.0.0"}}"#).bytes());
            } else {
                input.extend(mangled(&mut dice, &requests));
            }
            input.push(b'\n');
        }
        let answers = send(&input);
        assert_eq!(answers.len(), BATCH);
        for (index, answer) in answers.iter().enumerate() {
            is_an_answer(answer);
            succeeded += usize::from(code(answer) == "ok");
            if index % 10 == 0 {
                assert_eq!(
                    answer.to_string(),
                    serde_json::json!({ "id": index, "ok": true, "matches": true }).to_string()
                );
            }
        }
    }
    succeeded
}

#[test]
fn twenty_thousand_mangled_lines_get_an_answer_each_in_order() {
    // Some changes do not matter; were there none of them, the lines would be mangled beyond use.
    let succeeded = barrage(20_000, 0x9E37_79B9_7F4A_7C15);
    assert!((4_000..19_000).contains(&succeeded), "{succeeded} succeeded");
}

#[test]
#[ignore = "long: a million mangled lines, about a minute"]
fn a_million_mangled_lines_get_an_answer_each_in_order() {
    barrage(1_000_000, 0xD1B5_4A32_D192_ED03);
}
