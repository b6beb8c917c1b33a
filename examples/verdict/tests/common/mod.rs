//! Lines to send, and what is asked of their answers.

#![allow(dead_code, reason = "each test binary uses a part of it")]
#![expect(clippy::expect_used, clippy::panic, reason = "tests")]

use serde_json::Value;

/// The requests of the README, those that succeed and those that do not.
pub(crate) fn requests() -> Vec<&'static str> {
    include_str!("../../README.md").lines().filter_map(|line| line.strip_prefix("> ")).collect()
}

/// Sends bytes as they are, and gives the lines that come back.
pub(crate) fn send(input: &[u8]) -> Vec<Value> {
    let mut output = Vec::new();
    verdict::serve(input, &mut output).expect("memory does not fail");
    let text = String::from_utf8(output).expect("answers are UTF-8");
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).expect("an answer is JSON")).collect()
}

/// `ok`, or the code of a refusal.
pub(crate) fn code(answer: &Value) -> &str {
    match (answer.get("ok"), answer.get("code").and_then(Value::as_str)) {
        (Some(Value::Bool(true)), None) => "ok",
        (Some(Value::Bool(false)), Some(code)) => code,
        _ => panic!("neither done nor refused: {answer}"),
    }
}

/// What every answer is, whatever was sent.
pub(crate) fn is_an_answer(answer: &Value) {
    let code = code(answer);
    assert!(code != "internal_fault", "{answer}");
    assert!(
        code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
        "{answer}"
    );
    let id = answer.get("id").expect("an id");
    assert!(id.is_null() || id.is_i64() || id.is_string(), "{answer}");
    if code != "ok" {
        let detail = answer.get("detail").and_then(Value::as_str).expect("a detail");
        assert!(!detail.is_empty() && detail.len() <= 400 && !detail.contains('\n'), "{answer}");
    }
}
