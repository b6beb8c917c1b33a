//! The rows, each with its bar.

use std::fmt;

use crate::Times;
use crate::names::*;

/// What was measured, row by row.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    operation: &'static str,
    bars: Vec<Bar>,
    beside: String,
}

/// One condition, with what was measured.
#[derive(Debug)]
struct Bar {
    measured: f64,
    limit: f64,
    at_least: bool,
    of: &'static str,
}

impl Bar {
    fn holds(&self) -> bool {
        if self.at_least { self.measured >= self.limit } else { self.measured <= self.limit }
    }
}

impl Table {
    /// The rows, from what was measured: on one thread, and two against one.
    pub fn new(times: &Times, refusals: &[&str], two_threads: f64) -> Self {
        let at_most = |name, reference, limit, of| Bar {
            measured: times.ratio(name, reference),
            limit,
            at_least: false,
            of,
        };
        let beside = |name, reference, what: &str| format!("{what} {}", number(times.ratio(name, reference)));
        let worst = refusals
            .iter()
            .max_by(|a, b| times.median(a).total_cmp(&times.median(b)))
            .copied()
            .unwrap_or_default();
        let rows = vec![
            Row {
                operation: "EdDSA: header with a token that the gate has not seen, to decision",
                bars: vec![at_most(GATE_UNSEEN, ED25519_VERIFY, 1.05, "raw verify")],
                beside: beside(OWN_CODEC, ED25519_VERIFY, "of which to claims:"),
            },
            Row {
                operation: "EdDSA: token of a platform to decision",
                bars: vec![at_most(EDDSA, ED25519_VERIFY, 1.05, "raw verify")],
                beside: beside(JSONWEBTOKEN_EDDSA, ED25519_VERIFY, "jsonwebtoken, to claims:"),
            },
            Row {
                operation: "ES256: the same",
                bars: vec![at_most(ES256, ES256_VERIFY, 1.05, "raw verify")],
                beside: beside(JSONWEBTOKEN_ES256, ES256_VERIFY, "jsonwebtoken, to claims:"),
            },
            Row {
                operation: "RS256: the same",
                bars: vec![at_most(RS256, RS256_VERIFY, 1.12, "raw verify")],
                beside: beside(JSONWEBTOKEN_RS256, RS256_VERIFY, "jsonwebtoken, to claims:"),
            },
            Row {
                operation: "Issue an EdDSA token",
                bars: vec![at_most(ISSUE, ED25519_SIGN, 1.10, "raw sign")],
                beside: beside(JSONWEBTOKEN_ISSUE, ED25519_SIGN, "jsonwebtoken:"),
            },
            Row {
                operation: "Header with a signed token that the gate has seen, to decision",
                bars: vec![
                    at_most(SIGNED_WARM, SHA256_OF_SIGNED, 1.4, "SHA-256 of the token"),
                    at_most(SIGNED_WARM, ED25519_VERIFY, 0.02, "Ed25519 verify"),
                ],
                beside: "no peer remembers tokens".to_owned(),
            },
            Row {
                operation: "The same with an opaque token",
                bars: vec![at_most(OPAQUE_WARM, ED25519_VERIFY, 0.008, "Ed25519 verify")],
                beside: String::new(),
            },
            Row {
                operation: "Decision, the tenth of ten grants decides and is named",
                bars: vec![
                    at_most(DECISION, ED25519_VERIFY, 0.003, "Ed25519 verify"),
                    at_most(DECISION, GATEHOUSE_TEN, 0.1, "gatehouse"),
                ],
                beside: format!(
                    "gatehouse, which also traces, with ten policies {}, with one {} × Ed25519 verify",
                    number(times.ratio(GATEHOUSE_TEN, ED25519_VERIFY)),
                    number(times.ratio(GATEHOUSE_ONE, ED25519_VERIFY)),
                ) + &cedar(times),
            },
            Row {
                operation: "Check a token again after something was revoked elsewhere",
                bars: vec![at_most(AFTER_CHANGE, ED25519_VERIFY, 0.001, "Ed25519 verify")],
                beside: "however many are revoked".to_owned(),
            },
            Row {
                operation: "Refuse malformed or oversized input, the dearest of its family",
                bars: vec![Bar {
                    measured: times.ratio(worst, ED25519_VERIFY),
                    limit: 0.005,
                    at_least: false,
                    of: "Ed25519 verify",
                }],
                beside: format!(
                    "{worst}; {}",
                    beside(JSONWEBTOKEN_LONG, ED25519_VERIFY, "jsonwebtoken, 16 KiB of one letter:")
                ),
            },
            Row {
                operation: "Two threads with tokens that the gate has seen",
                bars: vec![Bar { measured: two_threads, limit: 1.9, at_least: true, of: "one thread" }],
                beside: String::new(),
            },
        ];
        Self { rows }
    }
}

/// As Markdown, which a terminal shows well enough.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| operation | bar | measured | holds | beside it |")?;
        writeln!(f, "| --- | --- | --- | --- | --- |")?;
        for row in &self.rows {
            let list =
                |show: &dyn Fn(&Bar) -> String| row.bars.iter().map(show).collect::<Vec<_>>().join("; ");
            let bar =
                list(&|bar| format!("{} {} × {}", if bar.at_least { "≥" } else { "≤" }, bar.limit, bar.of));
            let measured = list(&|bar| number(bar.measured));
            let holds = list(&|bar| if bar.holds() { "yes" } else { "**no**" }.to_owned());
            writeln!(f, "| {} | {bar} | {measured} | {holds} | {} |", row.operation, row.beside)?;
        }
        Ok(())
    }
}

/// To four significant digits below ten, which is more than repeats.
fn number(value: f64) -> String {
    if value < 0.1 { format!("{value:.4}") } else { format!("{value:.3}") }
}

/// What the peer that takes minutes to build came to.
#[cfg(feature = "peers")]
fn cedar(times: &Times) -> String {
    format!("; cedar, ten policies, {} × Ed25519 verify", number(times.ratio(CEDAR_TEN, ED25519_VERIFY)))
}

#[cfg(not(feature = "peers"))]
fn cedar(_: &Times) -> String {
    String::new()
}
