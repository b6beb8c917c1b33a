//! The README is the contract: every example in it is sent.

use std::collections::BTreeSet;

const README: &str = include_str!("../README.md");

fn sent() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut lines = README.lines();
    std::iter::from_fn(move || {
        let request = lines.find_map(|line| line.strip_prefix("> "))?;
        let answer = lines.next().and_then(|line| line.strip_prefix("< "));
        Some((request, answer.unwrap_or_default()))
    })
}

#[test]
fn every_example_is_answered_as_the_readme_says() {
    for (request, answer) in sent() {
        assert_eq!(verdict::answer(request.as_bytes()), answer, "{request}");
    }
}

#[test]
fn every_op_has_its_chapter_and_an_example_that_succeeds() {
    let shown: BTreeSet<String> = sent()
        .filter(|(_, answer)| answer.contains(r#""ok":true"#))
        .filter_map(|(request, _)| {
            let request: serde_json::Value = serde_json::from_str(request).ok()?;
            request.get("op")?.as_str().map(str::to_owned)
        })
        .collect();
    let ops: BTreeSet<String> = verdict::ops().map(str::to_owned).collect();
    assert_eq!(shown, ops);
    for op in ops {
        assert!(README.contains(&format!("\n## `{op}`\n")), "{op}");
    }
}
