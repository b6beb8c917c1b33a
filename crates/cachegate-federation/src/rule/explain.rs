//! A dry run: every rule and every condition, with what came of it.

use std::fmt;

use cachegate_types::{Name, RuleId};
use serde::Serialize;

use super::{Atom, Effect, RuleSet, TrustRule, Truth};
use crate::{Facts, Knowledge, Status};

/// What each rule asks of a token's facts and what comes of it. For the operator: it shows what rules expect.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The rules for the token's anchor, the most specific first.
    pub rules: Vec<RuleExplanation>,
}

/// What one rule asks and what comes of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct RuleExplanation {
    /// The rule.
    pub rule: RuleId,
    /// Its name.
    pub name: Name,
    /// What it does.
    pub effect: Effect,
    /// Whether it counts.
    pub status: Status,
    /// What came of it. A denying rule fires on everything but false.
    pub truth: Truth,
    /// Its pins, then its conditions.
    pub checks: Vec<CheckExplanation>,
}

/// One pin or condition and what comes of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct CheckExplanation {
    /// What is asked.
    pub asked: String,
    /// What the token says of it: each claim with its value, `absent` or `incomplete`.
    pub found: String,
    /// What came of it.
    pub truth: Truth,
}

impl RuleSet {
    /// A dry run of every rule for the token's anchor, whatever its status and place.
    pub fn explain(&self, facts: &Facts) -> Explanation {
        let rules = self.rules().iter().filter(|rule| rule.anchor() == facts.anchor());
        Explanation { rules: rules.map(|rule| rule.explain(facts)).collect() }
    }
}

impl TrustRule {
    fn explain(&self, facts: &Facts) -> RuleExplanation {
        let found = |atoms: &[Atom]| {
            let one = |atom: &Atom| {
                let said = atom.about.said(self.platform());
                match atom.about.look_up(facts) {
                    Knowledge::Known(value) => format!("{said} {value}"),
                    Knowledge::Absent => format!("{said} absent"),
                    Knowledge::Incomplete => format!("{said} incomplete"),
                }
            };
            atoms.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let pins = self.pins().iter().map(|pin| CheckExplanation {
            asked: super::evaluate::pin_asked(pin),
            found: found(std::slice::from_ref(pin)),
            truth: pin.evaluate(facts),
        });
        let conditions = self.conditions().iter().map(|when| CheckExplanation {
            asked: when.when().to_string(),
            found: found(when.atoms()),
            truth: when.evaluate(facts),
        });
        RuleExplanation {
            rule: self.id(),
            name: self.name().clone(),
            effect: self.effect(),
            status: self.status(),
            truth: self.evaluate(facts),
            checks: pins.chain(conditions).collect(),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in &self.rules {
            let effect = match rule.effect {
                Effect::Allow => "allow",
                Effect::Deny => "deny",
            };
            let status = match rule.status {
                Status::Enforce => "",
                Status::Audit => ", audit",
                Status::Disabled => ", disabled",
            };
            writeln!(f, "{:<7} {} ({effect}{status})", rule.truth, rule.name)?;
            for check in &rule.checks {
                let found = if check.found.is_empty() { String::new() } else { format!(": {}", check.found) };
                writeln!(f, "  {:<7} {}{found}", check.truth, check.asked)?;
            }
        }
        Ok(())
    }
}
