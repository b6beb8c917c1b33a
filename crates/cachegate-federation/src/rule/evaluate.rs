//! One token against all rules: the right that it earns, or the first step at which the nearest rule refuses it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use cachegate_types::{
    Action, ActionSet, Grant, GrantSource, Lane, LaneClass, Name, OrganizationId, RuleId, Scope, Timestamp,
    WorkspaceId,
};

use super::{
    About, Atom, Effect, GrantPlan, LaneChoice, RuleSet, Selection, TrustRule, Truth, UntrustedReads,
};
use crate::refusal::quoted;
use crate::{Fact, FactValue, Facts, Knowledge, Refusal, Status, Step, TriggerClass, Verified};

/// What the caller asks for, beside presenting the token. It narrows; it never widens.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ask {
    /// Where the right is wanted.
    pub within: Within,
    /// The rule that the caller means.
    pub rule: Option<Name>,
}

impl Ask {
    /// A right in this workspace, by whichever rule gives it.
    pub fn workspace(organization: OrganizationId, workspace: WorkspaceId) -> Self {
        Self { within: Within::Workspace(organization, workspace), rule: None }
    }

    /// The rule of this name.
    #[must_use]
    pub fn by_rule(mut self, rule: Name) -> Self {
        self.rule = Some(rule);
        self
    }
}

/// Where a right is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Within {
    /// Wherever the rules say. Refused where several places that have nothing in common do.
    #[default]
    Anywhere,
    /// In this organization.
    Organization(OrganizationId),
    /// In this workspace of this organization. What is matched is cut to it.
    Workspace(OrganizationId, WorkspaceId),
}

impl Within {
    fn takes(self, rule: &TrustRule) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Organization(organization) => rule.organization() == organization,
            Self::Workspace(organization, workspace) => {
                rule.organization() == organization && rule.workspace().is_none_or(|own| own == workspace)
            }
        }
    }

    fn workspace(self) -> Option<WorkspaceId> {
        if let Self::Workspace(_, workspace) = self { Some(workspace) } else { None }
    }
}

/// The right that a token earns.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Matched {
    /// The rule.
    pub rule: RuleId,
    /// The rule's name, for people.
    pub rule_name: Name,
    /// The organization in which the right holds.
    pub organization: OrganizationId,
    /// The one workspace in which it holds; `None` for all of the organization.
    pub workspace: Option<WorkspaceId>,
    /// What it allows.
    pub actions: ActionSet,
    /// Whether what the workspace's anonymous level lets anyone resolve and read is allowed as well. It is so
    /// instead of the rule's own reading for jobs that an outsider may have started.
    pub anonymous_reads: bool,
    /// The one lane.
    pub lane: Lane,
    /// The lane of the branch that a pull request goes into.
    pub base: Option<Lane>,
    /// Nothing below this class is read.
    pub floor: Option<LaneClass>,
    /// How long the right lasts.
    pub ttl: Duration,
    /// What an operator should look at. Never of effect.
    pub warnings: Vec<Warning>,
}

impl Matched {
    /// The grant of the rule itself, without what [`Self::anonymous_reads`] adds.
    pub fn to_grant(&self, now: Timestamp) -> Grant {
        let scope = match self.workspace {
            Some(workspace) => Scope::Workspace(workspace),
            None => Scope::Organization(self.organization),
        };
        let until = Some(now.saturating_add(self.ttl));
        Grant { source: GrantSource::Rule(self.rule), scope, actions: self.actions, until }
    }
}

/// What an operator should look at.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Warning {
    /// A pinned id has another name than the rule remembers: renamed, or the rule was written for something else.
    Drift {
        /// The name's fact.
        fact: Fact,
        /// What the rule remembers.
        remembered: String,
        /// What the token says.
        found: String,
    },
    /// The platform sends claims that it was not known to send.
    UnknownClaims(Vec<String>),
    /// The rule lets write, and the verified facts support no lane to write in.
    WritesNothing,
}

impl Warning {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Drift { .. } => "drift",
            Self::UnknownClaims(_) => "unknown_claims",
            Self::WritesNothing => "writes_nothing",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drift { fact, remembered, found } => {
                write!(f, "`{fact}` is {}, the rule remembers {}", quoted(found), quoted(remembered))
            }
            Self::UnknownClaims(claims) => {
                let claims = claims.iter().map(|claim| quoted(claim)).collect::<Vec<_>>();
                write!(f, "claims that the platform was not known to send: {}", claims.join(", "))
            }
            Self::WritesNothing => {
                f.write_str("the verified facts name no branch and no pull request: nothing is written")
            }
        }
    }
}

/// What the rules say of a token, and what they would say if those that are tried out counted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Evaluation {
    /// What counts.
    pub outcome: Result<Matched, Refusal>,
    /// What would count if rules and anchor in `audit` were enforced, where that is something else.
    pub trial: Option<Result<Matched, Refusal>>,
}

impl RuleSet {
    /// What the token earns.
    pub fn evaluate(&self, verified: &Verified, ask: &Ask) -> Evaluation {
        let decide = |audit| {
            let mut outcome = self.decide(&verified.facts, ask, audit);
            if let Ok(matched) = &mut outcome
                && !verified.unknown_claims.is_empty()
            {
                matched.warnings.push(Warning::UnknownClaims(verified.unknown_claims.clone()));
            }
            outcome
        };
        let outcome = match verified.status {
            Status::Enforce => decide(false),
            Status::Audit | Status::Disabled => Err(Refusal::new(
                Step::Grant,
                "audit_only",
                "tokens of this issuer are checked and recorded, and give nothing yet",
            )
            .with_expected(format!("the anchor `{}` with the status `enforce`", verified.anchor))),
        };
        let trial = Some(decide(true)).filter(|trial| *trial != outcome);
        Evaluation { outcome, trial }
    }

    pub(super) fn decide(&self, facts: &Facts, ask: &Ask, audit: bool) -> Result<Matched, Refusal> {
        let counts = |rule: &&TrustRule| {
            let status = rule.status();
            let enforced = status == Status::Enforce || (audit && status == Status::Audit);
            enforced && rule.anchor() == facts.anchor() && ask.within.takes(rule)
        };
        let named = |rule: &&TrustRule| match self.selection() {
            Selection::Search => true,
            Selection::ByName => ask.rule.as_ref() == Some(rule.name()),
        };
        if self.selection() == Selection::ByName && ask.rule.is_none() {
            return Err(Refusal::new(Step::Pins, "rule_not_named", "the request names no rule")
                .with_hint("name the rule that was set up for this job"));
        }
        let of = |effect| self.rules.iter().filter(counts).filter(move |rule| rule.effect() == effect);
        let candidates: Vec<(&TrustRule, Truth)> =
            of(Effect::Allow).filter(named).map(|rule| (rule, rule.evaluate(facts))).collect();
        let matches = || candidates.iter().filter(|(_, truth)| *truth == Truth::True).map(|(rule, _)| *rule);
        let Some(winner) = matches().next() else {
            return Err(refuse(candidates.iter().map(|(rule, _)| *rule), facts));
        };
        if let Some(other) = matches().find(|other| !winner.overlaps(other)) {
            return Err(Refusal::new(
                Step::Grant,
                "ambiguous_rule",
                "several rules take this token, for places that have nothing in common",
            )
            .with_expected(format!("one of the rules `{}` and `{}`", winner.name(), other.name()))
            .with_hint("say which workspace the right is wanted in"));
        }
        if self.selection() == Selection::Search {
            check_undecided(&candidates, winner, facts)?;
            if let Some(name) = ask.rule.as_ref().filter(|name| *name != winner.name()) {
                return Err(Refusal::new(
                    Step::Grant,
                    "other_rule",
                    format!("the rule that takes this token is not {}", quoted(name.as_str())),
                )
                .with_expected(format!("the rule `{}`, the most specific that matches", winner.name())));
            }
        }
        let workspace = winner.workspace().or(ask.within.workspace());
        let here = |rule: &TrustRule| {
            rule.organization() == winner.organization()
                && (rule.workspace().is_none() || workspace.is_none() || rule.workspace() == workspace)
        };
        for rule in of(Effect::Deny).filter(|rule| here(rule)) {
            let truth = rule.evaluate(facts);
            if truth != Truth::False {
                return Err(denied(rule, truth, facts));
            }
        }
        winner.give(facts, workspace)
    }
}

/// A narrower rule that gives less cannot be escaped by leaving out what it asks about.
fn check_undecided(
    candidates: &[(&TrustRule, Truth)],
    winner: &TrustRule,
    facts: &Facts,
) -> Result<(), Refusal> {
    let gives_less = |rule: &TrustRule| match (winner.grant(), rule.grant()) {
        (Some(more), Some(less)) => more.gives_more_than(less) || rule.give(facts, None).is_err(),
        _ => true,
    };
    let undecided = candidates.iter().map(|(rule, truth)| (*rule, *truth)).find(|(rule, truth)| {
        *truth == Truth::Unknown
            && rule.specificity() > winner.specificity()
            && rule.overlaps(winner)
            && gives_less(rule)
    });
    let Some((rule, _)) = undecided else { return Ok(()) };
    let said = rule.first_failure(facts).map_or_else(
        || "it cannot be told whether a narrower rule takes this token".to_owned(),
        |failure| failure.said(facts),
    );
    let refusal = Refusal::new(Step::Conditions, "rule_undecided", said).with_expected(format!(
        "rule `{}`, which gives less than `{}` and is narrower, to be true or false{}",
        rule.name(),
        winner.name(),
        rule.first_failure(facts).map_or_else(String::new, |failure| format!(": {}", failure.asked))
    ));
    Err(with_hint(refusal, rule, facts))
}

fn denied(rule: &TrustRule, truth: Truth, facts: &Facts) -> Refusal {
    let why = match rule.first_failure(facts) {
        Some(failure) if truth == Truth::Unknown => format!(", which cannot be told: {}", failure.asked),
        _ => String::new(),
    };
    Refusal::new(Step::Conditions, "denied_by_rule", "a rule refuses this token, whatever others allow")
        .with_expected(format!("the denying rule `{}` to be false{why}", rule.name()))
}

/// The first question of a rule that is not answered with yes.
struct Failure<'a> {
    step: Step,
    /// What was asked, for the operator.
    asked: String,
    /// The part of it that is not true; none of an embedder's own condition.
    atom: Option<&'a Atom>,
    said: String,
    truth: Truth,
}

impl Failure<'_> {
    /// What the token says instead: the caller's own claims and nothing else.
    fn said(&self, facts: &Facts) -> String {
        let Some(atom) = self.atom else {
            return "the token does not meet a condition".to_owned();
        };
        match atom.about.look_up(facts) {
            Knowledge::Known(value) => format!("the token's {} is {}", self.said, shown(&value)),
            Knowledge::Absent => format!("the token does not say {}", self.said),
            Knowledge::Incomplete => format!("the token does not tell all of {}", self.said),
        }
    }
}

fn shown(value: &FactValue) -> String {
    match value.as_text() {
        Some(text) => quoted(text),
        None => quoted(&value.to_string()),
    }
}

impl TrustRule {
    pub(super) fn evaluate(&self, facts: &Facts) -> Truth {
        let pins = self.pins().iter().fold(Truth::True, |truth, pin| truth.and(pin.evaluate(facts)));
        self.conditions().iter().fold(pins, |truth, when| truth.and(when.evaluate(facts)))
    }

    fn first_failure(&self, facts: &Facts) -> Option<Failure<'_>> {
        let pin = self.pins().iter().find(|pin| pin.evaluate(facts) != Truth::True).map(|pin| Failure {
            step: Step::Pins,
            asked: pin_asked(pin),
            atom: Some(pin),
            said: pin.about.said(self.platform()),
            truth: pin.evaluate(facts),
        });
        pin.or_else(|| {
            let when = self.conditions().iter().find(|when| when.evaluate(facts) != Truth::True)?;
            let atom = when.failing(facts);
            Some(Failure {
                step: Step::Conditions,
                asked: when.when().to_string(),
                atom,
                said: atom.map_or_else(String::new, |atom| atom.about.said(self.platform())),
                truth: when.evaluate(facts),
            })
        })
    }

    /// How far a token gets with the rule: pins first, then conditions.
    fn progress(&self, facts: &Facts) -> (bool, usize, usize) {
        let pins = self.pins().iter().filter(|pin| pin.evaluate(facts) == Truth::True).count();
        let when = self.conditions().iter().filter(|when| when.evaluate(facts) == Truth::True).count();
        (pins == self.pins().len(), pins, when)
    }

    /// The right, as far as the verified facts support it.
    fn give(&self, facts: &Facts, workspace: Option<WorkspaceId>) -> Result<Matched, Refusal> {
        let Some(plan) = self.grant() else {
            return Err(Refusal::new(Step::Grant, "no_rule", "no rule takes this token"));
        };
        let lane = self.lane(plan, facts)?;
        let mut warnings = self.drift(facts);
        if lane.is_none() && plan.writes() {
            warnings.push(Warning::WritesNothing);
        }
        let writes = plan.writes() && lane.is_some();
        let untrusted = match facts.trigger() {
            TriggerClass::Outsider | TriggerClass::Unknown => true,
            TriggerClass::Trusted | TriggerClass::HumanShell => false,
        };
        let anonymous_reads = untrusted && plan.untrusted_reads == UntrustedReads::AsAnonymous;
        let granted = plan.level.actions().iter().filter(|action| match action {
            Action::Resolve | Action::Read => !anonymous_reads,
            Action::Write => writes,
            Action::Replace | Action::Delete | Action::Administer | Action::Publish | Action::Provision => {
                false
            }
        });
        // A lane that all share is given to trusted triggers alone, and only with such a one is there `publish`.
        let shared = lane.as_ref().is_some_and(|lane| lane.class() <= LaneClass::Main);
        let named = (plan.publishes() && shared).then_some(Action::Publish);
        let actions = ActionSet::of(&granted.chain(named).collect::<Vec<_>>());
        let base = lane.as_ref().filter(|_| plan.base).and_then(|lane| base_of(lane, facts));
        // Who has no lane of his own reads the shared ones; what anonymous requests wrote is not for him.
        let floor = match lane {
            Some(_) => plan.floor,
            None => Some(plan.floor.map_or(LaneClass::Main, |floor| floor.min(LaneClass::Main))),
        };
        Ok(Matched {
            rule: self.id(),
            rule_name: self.name().clone(),
            organization: self.organization(),
            workspace,
            actions,
            anonymous_reads,
            lane: lane.unwrap_or_else(Lane::anonymous),
            base,
            floor,
            ttl: plan.lasts(),
            warnings,
        })
    }

    /// The lane to write in and to look from; none where nothing is to be written.
    fn lane(&self, plan: &GrantPlan, facts: &Facts) -> Result<Option<Lane>, Refusal> {
        let Some(choice) = plan.choice() else { return Ok(None) };
        let verified = |class: LaneClass| facts.lane().filter(|lane| lane.class() == class).cloned();
        let shared = match choice {
            LaneChoice::Release => Lane::release(),
            LaneChoice::Main => Lane::main(),
            LaneChoice::Dev => Lane::dev(),
            LaneChoice::Verified => return Ok(facts.lane().cloned()),
            LaneChoice::Branch => {
                return verified(LaneClass::Branch).map(Some).ok_or_else(|| self.no_lane(choice));
            }
            LaneChoice::Pull => {
                // An outsider's job whose number nobody vouches for is let in, and writes nothing.
                let lane = verified(LaneClass::Pull);
                let refused = lane.is_none() && facts.trigger() == TriggerClass::Trusted;
                return if refused { Err(self.no_lane(choice)) } else { Ok(lane) };
            }
        };
        if facts.may_write(&shared) {
            return Ok(Some(shared));
        }
        let event = match facts.text(Fact::Event) {
            Some(event) => format!(" (started by {})", quoted(event)),
            None => String::new(),
        };
        Err(Refusal::new(
            Step::Grant,
            "lane_not_allowed",
            format!(
                "a job of the trigger class `{}`{event} has no place where trusted jobs read",
                facts.trigger()
            ),
        )
        .with_expected(format!(
            "rule `{}`: lane `{}`, for trusted triggers alone; a rule for others gives the lane `verified`",
            self.name(),
            choice.as_str()
        ))
        .with_hint("run it from a push or a schedule of the repository itself"))
    }

    fn no_lane(&self, choice: LaneChoice) -> Refusal {
        Refusal::new(
            Step::Grant,
            "lane_not_verified",
            "the token's verified claims name neither the branch nor the pull request that the rule is for",
        )
        .with_expected(format!("rule `{}`: lane `{}`", self.name(), choice.as_str()))
        .with_hint("run it on a branch, or for a pull request, of the repository itself")
    }

    /// Pinned things that are called otherwise than the rule remembers.
    fn drift(&self, facts: &Facts) -> Vec<Warning> {
        let drifted = self.remembered().filter_map(|(_, fact, remembered)| {
            let found = facts.text(fact).filter(|found| !self.same_name(fact, remembered, found))?;
            Some(Warning::Drift { fact, remembered: remembered.to_owned(), found: found.to_owned() })
        });
        drifted.collect()
    }

    fn same_name(&self, fact: Fact, one: &str, another: &str) -> bool {
        one == another || (self.platform().folds_case(fact) && one.eq_ignore_ascii_case(another))
    }
}

pub(super) fn pin_asked(pin: &Atom) -> String {
    let value = pin.matcher.finite().and_then(|(values, _)| values.first());
    value.map_or_else(|| pin.about.to_string(), |value| format!("{} = {value}", pin.about))
}

/// The lane of the branch that a pull request goes into: only within one repository, and only where the facts say so.
fn base_of(lane: &Lane, facts: &Facts) -> Option<Lane> {
    if lane.class() != LaneClass::Pull || facts.boolean(Fact::SameRepo) != Some(true) {
        return None;
    }
    let name = facts.text(Fact::BaseRef)?;
    let name = name.strip_prefix("refs/heads/").unwrap_or(name);
    Lane::named(LaneClass::Branch, Some(lane.source()?.clone()), name.as_bytes()).ok()
}

/// Why none of the rules takes the token: what the nearest of them asked first in vain.
fn refuse<'a>(candidates: impl Iterator<Item = &'a TrustRule>, facts: &Facts) -> Refusal {
    // The first of those that get as far: the list is sorted, the most specific first.
    let nearest = candidates.fold(None, |nearest: Option<&TrustRule>, rule| match nearest {
        Some(best) if best.progress(facts) >= rule.progress(facts) => Some(best),
        _ => Some(rule),
    });
    let Some(failure) = nearest.and_then(|rule| rule.first_failure(facts)) else {
        return unknown_identity(facts)
            .with_expected("a rule for this anchor in the place that was asked for: there is none");
    };
    let (Some(rule), asked) = (nearest, &failure.asked) else { return unknown_identity(facts) };
    let expected = format!("rule `{}`, the nearest: {asked}", rule.name());
    let refusal = match failure.step {
        // Whether anybody's rule names another identity is not for the caller to know.
        Step::Pins => unknown_identity(facts),
        _ => {
            let code = if failure.truth == Truth::False { "condition_failed" } else { "condition_unknown" };
            let text = format!("no rule takes this token: {}", failure.said(facts));
            Refusal::new(Step::Conditions, code, text)
        }
    };
    with_hint(refusal.with_expected(expected), rule, facts)
}

/// The same for a token that no rule is meant for, whatever the rules are: it repeats the ids that the token names.
fn unknown_identity(facts: &Facts) -> Refusal {
    let platform = facts.platform();
    let mut ids: Vec<Fact> = platform.pin_sets().iter().flat_map(|set| set.iter().copied()).collect();
    ids.sort();
    ids.dedup();
    let claim = |fact: Fact| About::Fact(fact).claim(platform).to_owned();
    let said: Vec<String> = ids
        .iter()
        .filter_map(|id| facts.text(*id).map(|value| format!("`{}` {}", claim(*id), quoted(value))))
        .collect();
    let text = if said.is_empty() {
        "no rule takes this token".to_owned()
    } else {
        format!("no rule takes this token, which names {}", said.join(", "))
    };
    let refusal = Refusal::new(Step::Pins, "no_rule", text);
    let to_ask = ids.into_iter().filter(|id| facts.get(*id) == Knowledge::Absent);
    match to_ask.filter_map(|id| platform.fact(id)?.ask).next() {
        Some(ask) => refusal.with_hint(ask),
        None => refusal,
    }
}

/// With what can be done about the first question that is not answered with yes.
fn with_hint(refusal: Refusal, rule: &TrustRule, facts: &Facts) -> Refusal {
    let Some((failure, atom)) =
        rule.first_failure(facts).and_then(|failure| failure.atom.map(|atom| (failure, atom)))
    else {
        return refusal;
    };
    if let Some(hint) = missing(rule, atom, facts) {
        return refusal.with_hint(hint);
    }
    let Some(hint) = difference(rule, atom, facts) else { return refusal };
    // What a rule says of an identity is told to whoever shows another part of that identity, and to the operator.
    let is_theirs = rule.pins().iter().any(|pin| pin.evaluate(facts) == Truth::True);
    if failure.step != Step::Pins || is_theirs {
        return refusal.with_hint(hint);
    }
    let expected = format!("{} ({hint})", refusal.expected());
    refusal.with_expected(expected)
}

/// What the token does not say, and how to have it say so.
fn missing(rule: &TrustRule, atom: &Atom, facts: &Facts) -> Option<&'static str> {
    let fact = atom.about.fact()?;
    match facts.get(fact) {
        Knowledge::Absent => rule.platform().fact(fact)?.ask,
        Knowledge::Incomplete if fact == Fact::Groups => {
            Some("the token does not list all groups: have an administrator assign a role instead")
        }
        Knowledge::Incomplete | Knowledge::Known(_) => None,
    }
}

/// How what the token says differs from what the rule asks for.
fn difference(rule: &TrustRule, atom: &Atom, facts: &Facts) -> Option<Cow<'static, str>> {
    let fact = atom.about.fact()?;
    let claim = atom.about.claim(rule.platform());
    let Knowledge::Known(known) = facts.get(fact) else { return None };
    let renamed = rule.remembered().any(|(pin, name, remembered)| {
        pin.fact == fact && facts.text(name).is_some_and(|found| rule.same_name(name, remembered, found))
    });
    if renamed {
        return Some(format!("`{claim}` differs under the same name: renamed or re-created").into());
    }
    let (other, what) = match fact {
        Fact::WorkflowPath => {
            (Fact::CalleePath, "the rule names the called workflow where the token names the caller")
        }
        Fact::WorkflowRef => {
            (Fact::CalleeRef, "the rule names the called workflow where the token names the caller")
        }
        Fact::WorkflowSha => {
            (Fact::CalleeSha, "the rule names the called workflow where the token names the caller")
        }
        Fact::CalleePath => {
            (Fact::WorkflowPath, "the token names the called workflow, the rule names the caller")
        }
        Fact::CalleeRef => {
            (Fact::WorkflowRef, "the token names the called workflow, the rule names the caller")
        }
        Fact::CalleeSha => {
            (Fact::WorkflowSha, "the token names the called workflow, the rule names the caller")
        }
        Fact::TriggerClass => {
            return Some(
                "what an outsider can start is not taken here: run it from a push or a schedule".into(),
            );
        }
        _ => {
            let folded = Some((atom.matcher.finite()?, known.as_text()?)).filter(|((values, _), text)| {
                values.iter().filter_map(FactValue::as_text).any(|value| value.eq_ignore_ascii_case(text))
            });
            return folded.map(|_| format!("`{claim}` differs in the case of letters alone").into());
        }
    };
    (atom.matcher.evaluate(&facts.get(other)) == Truth::True).then_some(Cow::Borrowed(what))
}
