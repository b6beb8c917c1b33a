//! Trust rules: those in force, an editor with what the linter finds, and a dry run against a platform's token.
//!
//! The token is read here and goes nowhere: not into the store, not into the answer, not into a log.

use std::sync::Arc;

use askama::Template;
use cachegate::{OrganizationView, Workloads};
use cachegate_federation::{
    Ask, Federation, Finding, Matched, Refusal, RuleSet, RulesDocument, Severity, Status, Step, TrustRule,
    Truth, Verified, lint,
};
use cachegate_jwt::UnverifiedJws;
use cachegate_types::{OrganizationId, Resource};

use super::{Tabs, View, here};
use crate::app::{Answered, Call, Failure, sentence};
use crate::words;

#[derive(Template)]
#[template(path = "rules.html")]
struct Rules<'a> {
    call: &'a Call,
    action: String,
    /// Whether any platform may vouch here.
    federated: bool,
    rules: Vec<Rule>,
    text: String,
    checked: Option<Checked>,
    trial: Option<Trial>,
}

/// A rule in force.
struct Rule {
    name: String,
    anchor: String,
    effect: &'static str,
    place: String,
    document: String,
}

/// What became of a document.
struct Checked {
    problem: Option<String>,
    findings: Vec<Told>,
    rules: usize,
}

/// What the linter says.
struct Told {
    class: &'static str,
    rule: String,
    code: &'static str,
    danger: String,
    instead: String,
}

/// What became of a token.
struct Trial {
    steps: Vec<Passed>,
    outcome: String,
    good: bool,
    facts: Vec<(String, String)>,
    rules: Vec<Tried>,
}

/// One step of the decision.
struct Passed {
    class: &'static str,
    name: &'static str,
    told: String,
}

/// One rule, held against a token.
struct Tried {
    name: String,
    effect: &'static str,
    truth: String,
    checks: Vec<Condition>,
}

/// One condition of it.
struct Condition {
    class: &'static str,
    asked: String,
    found: String,
}

pub(super) async fn serve(call: &Call, organization: &OrganizationView, act: Option<&str>) -> Answered {
    let id = organization.record.id;
    if !call.administers(Resource::Organization(id)).await? {
        return Err(Failure::denied("Trust rules are for the organization's administrators.".to_owned()));
    }
    let workloads = call.gate().workloads();
    let own = |rule: &&TrustRule| rule.organization() == id;
    let in_force: Vec<&TrustRule> =
        workloads.iter().flat_map(|workloads| workloads.rules().rules()).filter(own).collect();
    let text = match act {
        Some(_) => call.value("rules").to_owned(),
        None => {
            let rules = in_force.iter().map(|rule| rule.document().clone()).collect();
            let document = RulesDocument { rules, ..RulesDocument::default() };
            if document.rules.is_empty() {
                String::new()
            } else {
                toml::to_string(&document).unwrap_or_default()
            }
        }
    };
    let names = Names::of(call, organization).await?;
    let (mut checked, mut trial) = (None, None);
    if let (Some(workloads), Some(act)) = (&workloads, act) {
        match names.document(&text) {
            Err(problem) => {
                checked = Some(Checked { problem: Some(problem), findings: Vec::new(), rules: 0 });
            }
            Ok(document) => {
                checked = Some(check(workloads.federation(), &document));
                if act == "try" {
                    trial = Some(dry_run(call, workloads, document));
                }
            }
        }
    }
    let main = Rules {
        call,
        action: here(organization, View::Rules, &[]),
        federated: workloads.is_some(),
        rules: in_force.iter().map(|rule| names.shown(rule)).collect(),
        text,
        checked,
        trial,
    };
    call.page("Trust rules", Some(&Tabs::new(organization, View::Rules)), &main)
}

/// The names of the places that a rule of this organization may name.
struct Names {
    organization: (String, OrganizationId),
    workspaces: Vec<(String, cachegate_types::WorkspaceId)>,
}

impl Names {
    async fn of(call: &Call, organization: &OrganizationView) -> Result<Self, Failure> {
        let found = call.workspaces(organization).await?;
        Ok(Self {
            organization: (organization.record.name.to_string(), organization.record.id),
            workspaces: found.iter().map(|one| (one.record.name.to_string(), one.record.id)).collect(),
        })
    }

    /// Reads a document, each rule in this organization.
    fn document(&self, text: &str) -> Result<RulesDocument, String> {
        let document: RulesDocument = toml::from_str(text).map_err(|error| {
            let line = error.span().and_then(|span| text.get(..span.start));
            let line = line.map_or(1, |before| before.matches('\n').count() + 1);
            format!("Line {line}: {}.", words::shown(error.message()))
        })?;
        let (own, id) = &self.organization;
        let resolve = |rule: cachegate_federation::RuleBuilder| {
            let name = rule.name().clone();
            let resolved = rule.resolve(
                |name| (name == own).then_some(*id),
                |_, name| self.workspaces.iter().find(|(known, _)| known == name).map(|(_, id)| *id),
            );
            match resolved {
                Ok(rule) if member(&rule, "organization") == id.to_string() => Ok(rule),
                Ok(_) => Err(format!("Rule {name}: it is of another organization.")),
                Err(error) => Err(sentence(&error)),
            }
        };
        let rules = document.rules.into_iter().map(resolve).collect::<Result<_, _>>()?;
        Ok(RulesDocument { rules, ..RulesDocument::default() })
    }

    fn workspace(&self, id: Option<cachegate_types::WorkspaceId>) -> String {
        match id {
            None => "every workspace".to_owned(),
            Some(id) => {
                let known = self.workspaces.iter().find(|(_, known)| *known == id);
                known.map_or_else(|| id.to_string(), |(name, _)| name.clone())
            }
        }
    }

    fn shown(&self, rule: &TrustRule) -> Rule {
        let document = toml::to_string(rule.document()).unwrap_or_default();
        Rule {
            name: rule.name().to_string(),
            anchor: rule.anchor().to_string(),
            effect: if rule.grant().is_some() { "allows" } else { "denies" },
            place: self.workspace(rule.workspace()),
            document: words::shown_lines(&document),
        }
    }
}

/// A member of a rule's document.
fn member(rule: &cachegate_federation::RuleBuilder, name: &str) -> String {
    let document = toml::Table::try_from(rule).unwrap_or_default();
    document.get(name).and_then(toml::Value::as_str).unwrap_or_default().to_owned()
}

fn check(federation: &Federation, document: &RulesDocument) -> Checked {
    // What concerns no rule of theirs is the operator's to know.
    let findings = lint(federation, document).into_iter().filter(|finding| finding.rule.is_some());
    Checked {
        problem: None,
        findings: findings.map(|finding| told(&finding)).collect(),
        rules: document.rules.len(),
    }
}

fn told(finding: &Finding) -> Told {
    Told {
        class: match finding.severity {
            Severity::Error => "bad",
            Severity::Warning => "warn",
            Severity::Notice => "",
        },
        rule: finding.rule.as_ref().map(ToString::to_string).unwrap_or_default(),
        code: finding.code,
        danger: words::shown(&finding.danger),
        instead: words::shown(&finding.instead),
    }
}

fn dry_run(call: &Call, workloads: &Arc<Workloads>, document: RulesDocument) -> Trial {
    let failed = |text: String| Trial {
        steps: Vec::new(),
        outcome: text,
        good: false,
        facts: Vec::new(),
        rules: Vec::new(),
    };
    let token = call.form.get("identity").unwrap_or_default();
    if token.is_empty() {
        return failed("Paste an identity token of a job first.".to_owned());
    }
    let rules = match document.build(workloads.federation()) {
        Ok(rules) => rules,
        Err(error) => return failed(format!("These rules cannot be loaded: {}", sentence(&error))),
    };
    match verified(call, workloads, token) {
        Err(Untold::Refused(refusal)) => refused(&refusal),
        Err(Untold::NoKeys(anchor)) => {
            failed(format!("The keys of the anchor {anchor} are not held just now: let a job come by first."))
        }
        Ok(verified) => held_against(&verified, &rules),
    }
}

enum Untold {
    Refused(Box<Refusal>),
    NoKeys(String),
}

impl From<Refusal> for Untold {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// Verifies a token with the keys that are held already: nobody makes this server fetch anything.
fn verified(call: &Call, workloads: &Workloads, token: &str) -> Result<Verified, Untold> {
    let token = UnverifiedJws::parse(token).map_err(Refusal::from)?;
    let anchor = workloads.federation().anchor_for(&token, None)?;
    let held = workloads.keys(anchor.id()).and_then(cachegate_federation::AnchorKeys::held);
    let Some((keys, _)) = held else { return Err(Untold::NoKeys(anchor.id().to_string())) };
    Ok(anchor.verify(&token, &keys, call.now)?)
}

fn refused(refusal: &Refusal) -> Trial {
    Trial {
        steps: steps(Some(refusal)),
        outcome: format!("Refused at the step {}.", refusal.step()),
        good: false,
        facts: Vec::new(),
        rules: Vec::new(),
    }
}

/// The steps in their order, up to the one that failed.
fn steps(refusal: Option<&Refusal>) -> Vec<Passed> {
    let failed = refusal.map(Refusal::step);
    let step = |step: Step| {
        let (class, told) = match (failed, refusal) {
            (Some(failed), _) if step > failed => ("open", "not reached".to_owned()),
            (Some(failed), Some(refusal)) if step == failed => {
                let mut told = sentence(refusal);
                // Which issuers others configured is the operator's to know.
                if step != Step::Anchor && !refusal.expected().is_empty() {
                    told = format!("{told} Expected: {}.", refusal.expected());
                }
                if !refusal.hint().is_empty() {
                    told = format!("{told} Hint: {}.", refusal.hint());
                }
                ("no", words::shown(&told))
            }
            _ if step == Step::Replay => ("open", "not asked: a dry run uses nothing up".to_owned()),
            _ => ("yes", String::new()),
        };
        Passed { class, name: step.as_str(), told }
    };
    Step::ALL.into_iter().map(step).collect()
}

fn held_against(verified: &Verified, rules: &RuleSet) -> Trial {
    let evaluation = rules.evaluate(verified, &Ask::default());
    let facts =
        verified.facts.iter().map(|(fact, known)| (fact.to_string(), words::shown(&known_as_text(&known))));
    let tried = rules.explain(&verified.facts).rules.into_iter().map(|rule| Tried {
        name: rule.name.to_string(),
        effect: match (rule.effect, rule.status) {
            (_, Status::Disabled) => "disabled",
            (_, Status::Audit) => "tried out only",
            (cachegate_federation::Effect::Allow, _) => "allows",
            (cachegate_federation::Effect::Deny, _) => "denies",
        },
        truth: rule.truth.to_string(),
        checks: rule
            .checks
            .into_iter()
            .map(|check| Condition {
                class: match check.truth {
                    Truth::True => "yes",
                    Truth::False => "no",
                    Truth::Unknown => "open",
                },
                asked: words::shown(&check.asked),
                found: words::shown(&check.found),
            })
            .collect(),
    });
    let (outcome, good, refusal) = match evaluation.outcome {
        Ok(matched) => (matched_as_text(&matched), true, None),
        Err(refusal) => (format!("Refused at the step {}.", refusal.step()), false, Some(refusal)),
    };
    Trial { steps: steps(refusal.as_ref()), outcome, good, facts: facts.collect(), rules: tried.collect() }
}

fn known_as_text(known: &cachegate_federation::Knowledge<'_>) -> String {
    use cachegate_federation::Knowledge;
    match known {
        Knowledge::Known(value) => value.to_string(),
        Knowledge::Absent => "not said".to_owned(),
        Knowledge::Incomplete => "incomplete".to_owned(),
    }
}

fn matched_as_text(matched: &Matched) -> String {
    let minutes = matched.ttl.as_secs() / 60;
    let reads = if matched.anonymous_reads { ", and reads what anyone may read" } else { "" };
    let warnings: Vec<String> = matched.warnings.iter().map(|warning| format!(" {warning}.")).collect();
    words::shown(&format!(
        "Let in by the rule {}: it may {} in the lane {} for {minutes} minutes{reads}.{}",
        matched.rule_name,
        matched.actions,
        matched.lane,
        warnings.concat()
    ))
}
