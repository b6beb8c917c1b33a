//! All rules of a gate.

use std::collections::BTreeSet;

use cachegate_types::Name;
use serde::{Deserialize, Serialize};

use super::{CompileCondition, Effect, NoConditions, RuleBuilder, RuleError, TrustRule};
use crate::{Federation, Status};

/// How the one rule is found that a token is granted by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// The most specific rule that matches. A caller who names a rule gets that one or a refusal, never a wider one.
    #[default]
    Search,
    /// The rule that the caller names, if it matches. Nothing then stops a caller from naming a wider rule than the
    /// narrowest that matches: what must not be escaped is written as a denying rule.
    ByName,
}

/// The rules as one document. Unknown keys are refused.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesDocument {
    /// How the one rule is found.
    #[serde(default)]
    pub selection: Selection,
    /// The rules, in no order that matters.
    #[serde(default)]
    pub rules: Vec<RuleBuilder>,
}

/// All rules of a gate, ready to be asked. Their order in a document never matters.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    selection: Selection,
    /// The most specific first, then by organization and name.
    pub(super) rules: Vec<TrustRule>,
}

/// Why rules cannot stand together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleSetError {
    /// A rule cannot be built.
    #[error("rule `{rule}`: {source}")]
    Rule {
        /// Which.
        rule: Name,
        /// Why.
        source: RuleError,
    },
    /// A rule for an issuer that nobody configured.
    #[error("rule `{rule}`: no anchor is called `{anchor}`: configure it, or write one of {known}")]
    UnknownAnchor {
        /// Which.
        rule: Name,
        /// What it says.
        anchor: Name,
        /// The anchors that there are.
        known: String,
    },
    /// Two rules of one name in an organization, or of one id.
    #[error("rule `{rule}`: another rule has its name or its id")]
    Duplicate {
        /// Which.
        rule: Name,
    },
    /// Two rules that are equally specific, with tokens that may match both.
    #[error(
        "rules `{one}` and `{another}` are equally specific ({specificity}) and one token may match both: add a condition to one of them, or make their values exclude each other"
    )]
    Tie {
        /// The one.
        one: Name,
        /// The other.
        another: Name,
        /// How specific both are.
        specificity: String,
    },
}

impl RuleSetError {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Rule { source, .. } => source.code(),
            Self::UnknownAnchor { .. } => "unknown_anchor",
            Self::Duplicate { .. } => "duplicate_rule",
            Self::Tie { .. } => "rule_tie",
        }
    }

    /// The rule that it is about, or the first of them.
    pub fn rule(&self) -> &Name {
        match self {
            Self::Rule { rule, .. }
            | Self::UnknownAnchor { rule, .. }
            | Self::Duplicate { rule }
            | Self::Tie { one: rule, .. } => rule,
        }
    }
}

impl RulesDocument {
    /// The rules, each held against its anchor and all against one another.
    ///
    /// # Errors
    ///
    /// [`RuleSetError`], which names the rule and what to write instead.
    pub fn build(self, federation: &Federation) -> Result<RuleSet, RuleSetError> {
        self.build_with(federation, &NoConditions)
    }

    /// The same for rules with conditions of an embedder's own.
    ///
    /// # Errors
    ///
    /// As [`Self::build`].
    pub fn build_with(
        self,
        federation: &Federation,
        compiler: &dyn CompileCondition,
    ) -> Result<RuleSet, RuleSetError> {
        let build = |builder: RuleBuilder| {
            let name = builder.name().clone();
            let Some(anchor) = federation.anchor(builder.anchor()) else {
                let known =
                    federation.anchors().map(|anchor| format!("`{}`", anchor.id())).collect::<Vec<_>>();
                return Err(RuleSetError::UnknownAnchor {
                    rule: name,
                    anchor: builder.anchor().clone(),
                    known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
                });
            };
            builder.build_with(anchor, compiler).map_err(|source| RuleSetError::Rule { rule: name, source })
        };
        let rules = self.rules.into_iter().map(build).collect::<Result<Vec<_>, _>>()?;
        RuleSet::new(rules, self.selection)
    }
}

impl RuleSet {
    /// The rules together.
    ///
    /// # Errors
    ///
    /// [`RuleSetError`] for names or ids that are taken twice, and, when rules are searched, for a tie.
    pub fn new(
        rules: impl IntoIterator<Item = TrustRule>,
        selection: Selection,
    ) -> Result<Self, RuleSetError> {
        let mut rules: Vec<TrustRule> = rules.into_iter().collect();
        rules.sort_by(|one, another| {
            let place = |rule: &TrustRule| (rule.organization(), rule.name().clone());
            another.specificity().cmp(&one.specificity()).then_with(|| place(one).cmp(&place(another)))
        });
        let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
        for rule in &rules {
            if !names.insert((rule.organization(), rule.name())) || !ids.insert(rule.id()) {
                return Err(RuleSetError::Duplicate { rule: rule.name().clone() });
            }
        }
        if selection == Selection::Search {
            check_ties(&rules)?;
        }
        Ok(Self { selection, rules })
    }

    /// These rules with others beside them.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn with(&self, others: &Self) -> Result<Self, RuleSetError> {
        Self::new(self.rules.iter().chain(&others.rules).cloned(), self.selection)
    }

    /// How the one rule is found.
    pub fn selection(&self) -> Selection {
        self.selection
    }

    /// The rules, the most specific first.
    pub fn rules(&self) -> &[TrustRule] {
        &self.rules
    }

    /// The document that gives these rules.
    pub fn to_document(&self) -> RulesDocument {
        let rules = self.rules.iter().map(|rule| rule.document().clone()).collect();
        RulesDocument { selection: self.selection, rules }
    }
}

/// A rule that is tried out counts here as well, so that enforcing it later makes no tie.
fn check_ties(rules: &[TrustRule]) -> Result<(), RuleSetError> {
    let counts = |rule: &&TrustRule| rule.status() != Status::Disabled && rule.effect() == Effect::Allow;
    // Equally specific rules stand together: the list is sorted by it.
    for group in rules.chunk_by(|one, another| one.specificity() == another.specificity()) {
        let group: Vec<&TrustRule> = group.iter().filter(counts).collect();
        for (at, one) in group.iter().enumerate() {
            let rest = group.iter().skip(at + 1);
            if let Some(another) =
                rest.into_iter().find(|another| one.overlaps(another) && !one.excludes(another))
            {
                return Err(RuleSetError::Tie {
                    one: one.name().clone(),
                    another: another.name().clone(),
                    specificity: one.specificity().to_string(),
                });
            }
        }
    }
    Ok(())
}
