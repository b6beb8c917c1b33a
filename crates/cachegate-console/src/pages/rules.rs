//! Trust rules: those in force, an editor with what the linter finds, and a dry run against a platform's token.
//!
//! The token is read here and goes nowhere: not into the store, not into the answer, not into a log.

use askama::Template;
use cachegate::{OrganizationView, RulesTrial, TrustRules, TrustRulesError};
use cachegate_federation::{
    Effect, Evaluation, Explanation, Finding, Knowledge, Matched, Refusal, RuleBuilder, RulesDocument,
    Selection, Severity, Status, Step, Tenant, TrustRule, Truth, Verified,
};
use cachegate_types::{OrganizationId, WorkspaceId};

use super::{Tabs, View, beside, done, here};
use crate::app::{Answered, Call, Failure, see, sentence};
use crate::words;

/// What the page's forms do.
pub(super) const ACTS: &[&str] = &["check", "save", "try"];

#[derive(Template)]
#[template(path = "rules.html")]
struct Rules<'a> {
    call: &'a Call,
    organization: &'a str,
    action: String,
    done: Option<&'static str>,
    problem: Option<String>,
    /// Whether any platform may vouch here.
    federated: bool,
    /// Who the organization is at each issuer.
    tenants: Vec<(String, String)>,
    configured: Vec<Rule>,
    text: String,
    seen: String,
    checked: Option<Checked>,
    trial: Option<Trial>,
}

/// A rule that the operator configured.
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
    truth: &'static str,
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
    let kept = call.gate().trust_rules(&call.by(), id, call.now).await?;
    let names = Names::of(call, organization).await?;
    let text = match act {
        Some(_) => call.value("rules").to_owned(),
        None => names.written(&kept.saved),
    };
    let (mut checked, mut trial, mut problem) = (None, None, None);
    if let Some(act) = act {
        match document(&text) {
            Err(unread) => {
                problem = (act == "save").then(|| "Nothing was saved: the rules cannot be read.".to_owned());
                checked = Some(Checked { problem: Some(unread), findings: Vec::new(), rules: 0 });
            }
            Ok(rules) => {
                if act == "save" {
                    match save(call, id, &kept, &rules).await {
                        Ok(()) => return see(&here(organization, View::Rules, &[("done", "saved")])),
                        Err(failure) => problem = Some(beside(failure)?),
                    }
                }
                let findings = call.gate().lint_trust_rules(&call.by(), id, &rules, call.now).await?;
                let findings = findings.iter().map(told).collect();
                checked = Some(Checked { problem: None, findings, rules: rules.len() });
                if act == "try" {
                    trial = Some(dry_run(call, id, &rules).await?);
                }
            }
        }
    }
    let wrong = problem.is_some();
    let main = Rules {
        call,
        organization: organization.record.name.as_str(),
        action: here(organization, View::Rules, &[]),
        done: done(call),
        problem,
        federated: call.gate().workloads().is_some(),
        tenants: kept.tenants.iter().map(tenant_as_text).collect(),
        configured: kept.configured.iter().map(|rule| names.shown(rule)).collect(),
        text,
        seen: if act.is_some() { call.value("seen").to_owned() } else { seen(&kept) },
        checked,
        trial,
    };
    let tabs = Tabs::new(organization, View::Rules);
    call.answer(wrong, "Trust rules", &tabs, &main)
}

async fn save(
    call: &Call,
    organization: OrganizationId,
    kept: &TrustRules,
    rules: &[RuleBuilder],
) -> Result<(), Failure> {
    if call.value("seen") != seen(kept) {
        let text = "Somebody else saved other rules meanwhile. Open the page in another window and bring both together.";
        return Err(Failure::form(text));
    }
    let saved = call.gate().set_trust_rules(&call.by(), organization, rules, Some(kept), call.now).await;
    saved.map(|_| ()).map_err(unsaved)
}

fn unsaved(error: TrustRulesError) -> Failure {
    match error {
        TrustRulesError::Refused(error) => error.into(),
        error => Failure::form(format!("Nothing was saved. {}", sentence(&error))),
    }
}

/// What tells these saved rules from others.
fn seen(kept: &TrustRules) -> String {
    kept.saved_at.map_or_else(String::new, |at| format!("{}-{}", at.epoch.0, at.number))
}

/// Reads a document.
fn document(text: &str) -> Result<Vec<RuleBuilder>, String> {
    let document: RulesDocument = toml::from_str(text).map_err(|error| {
        let line = error.span().and_then(|span| text.get(..span.start));
        let line = line.map_or(1, |before| before.matches('\n').count() + 1);
        format!("Line {line}: {}.", words::shown(error.message()))
    })?;
    match document.selection {
        Selection::Search => Ok(document.rules),
        Selection::ByName => {
            Err("How the one rule is found is the operator's to say: leave selection out.".to_owned())
        }
    }
}

/// The names of the organization's places: documents are shown with names, and decide by ids.
struct Names {
    organization: (String, OrganizationId),
    workspaces: Vec<(String, WorkspaceId)>,
}

impl Names {
    async fn of(call: &Call, organization: &OrganizationView) -> Result<Self, Failure> {
        let found = call.workspaces(organization).await?;
        Ok(Self {
            organization: (organization.record.name.to_string(), organization.record.id),
            workspaces: found.iter().map(|one| (one.record.name.to_string(), one.record.id)).collect(),
        })
    }

    /// What a rule calls a place, or its id where it has no name here.
    fn workspace(&self, id: &str) -> String {
        let known = self.workspaces.iter().find(|(_, known)| id.parse() == Ok(*known));
        known.map_or_else(|| id.to_owned(), |(name, _)| name.clone())
    }

    /// Rules as they are written, with names in the place of ids.
    fn written(&self, rules: &[RuleBuilder]) -> String {
        let named = |rule: &RuleBuilder| {
            let mut table = toml::Table::try_from(rule).unwrap_or_default();
            if rule.organization_named().parse() == Ok(self.organization.1) {
                table.insert("organization".to_owned(), self.organization.0.clone().into());
            }
            if let Some(workspace) = rule.workspace_named() {
                table.insert("workspace".to_owned(), self.workspace(workspace).into());
            }
            table
        };
        let all: Vec<toml::Table> = rules.iter().map(named).collect();
        if all.is_empty() {
            return String::new();
        }
        toml::to_string(&toml::Table::from_iter([("rules".to_owned(), all.into())])).unwrap_or_default()
    }

    fn shown(&self, rule: &TrustRule) -> Rule {
        Rule {
            name: rule.name().to_string(),
            anchor: rule.anchor().to_string(),
            effect: if rule.grant().is_some() { "allows" } else { "denies" },
            place: match rule.document().workspace_named() {
                None => "every workspace".to_owned(),
                Some(id) => self.workspace(id),
            },
            document: words::shown_lines(&self.written(std::slice::from_ref(rule.document()))),
        }
    }
}

fn tenant_as_text(tenant: &Tenant) -> (String, String) {
    (tenant.anchor().to_string(), words::shown(&tenant.to_string().replace('`', "")))
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
        instead: words::shown(&sentence(&finding.instead)),
    }
}

async fn dry_run(call: &Call, organization: OrganizationId, rules: &[RuleBuilder]) -> Result<Trial, Failure> {
    let failed = |text: String| Trial {
        steps: Vec::new(),
        outcome: text,
        good: false,
        facts: Vec::new(),
        rules: Vec::new(),
    };
    let token = call.form.get("identity").unwrap_or_default();
    if token.is_empty() {
        return Ok(failed("Paste an identity token of a job first.".to_owned()));
    }
    let tried = call.gate().try_trust_rules(&call.by(), organization, rules, token, call.now).await;
    Ok(match tried {
        Ok(RulesTrial::Refused(refusal)) => refused(&refusal),
        Ok(RulesTrial::NoKeys(anchor)) => {
            failed(format!("The keys of the anchor {anchor} are not held just now: let a job come by first."))
        }
        Ok(RulesTrial::Tried { verified, evaluation, explanation }) => {
            held_against(&verified, *evaluation, explanation)
        }
        Ok(_) => failed("Nothing came of it.".to_owned()),
        Err(TrustRulesError::Refused(error)) => return Err(error.into()),
        Err(error) => failed(format!("These rules cannot be loaded: {}", sentence(&error))),
    })
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
                if !refusal.expected().is_empty() {
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

fn held_against(verified: &Verified, evaluation: Evaluation, explanation: Explanation) -> Trial {
    let facts =
        verified.facts.iter().map(|(fact, known)| (fact.to_string(), words::shown(&known_as_text(&known))));
    let tried = explanation.rules.into_iter().map(|rule| Tried {
        name: rule.name.to_string(),
        effect: match (rule.effect, rule.status) {
            (_, Status::Disabled) => "disabled",
            (_, Status::Audit) => "tried out only",
            (Effect::Allow, _) => "allows",
            (Effect::Deny, _) => "denies",
        },
        truth: match rule.truth {
            Truth::True => "every condition holds",
            Truth::False => "a condition does not hold",
            Truth::Unknown => "the token does not tell enough",
        },
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

fn known_as_text(known: &Knowledge<'_>) -> String {
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
