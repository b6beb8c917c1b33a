//! Trust rules: those in force, saving others, what a linter finds, and a trial with a platform's token.

use cachegate::{ManageError, RulesTrial, TrustRules, TrustRulesError};
use cachegate_federation::{
    Evaluation, Explanation, Finding, Knowledge, Matched, Refusal, RuleBuilder, Verified,
};
use cachegate_types::OrganizationId;
use http::HeaderValue;
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::problem::Problem;
use super::{Answer, Answered};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    rules: Vec<RuleBuilder>,
}

/// `GET /organizations/{organization}/trust-rules`.
pub(super) async fn inspect(call: Call) -> Answered {
    as_they_are(&call).await
}

async fn as_they_are(call: &Call) -> Answered {
    let rules = seen(call).await?;
    let tenants =
        rules.tenants.iter().map(|tenant| json!({ "anchor": tenant.anchor(), "pins": tenant.pins() }));
    let body = json!({
        "configured": rules.configured.iter().map(|rule| json!(rule.document())).collect::<Vec<_>>(),
        "rules": rules.saved,
        "tenants": tenants.collect::<Vec<_>>(),
    });
    Ok(Answer::ok(body).tagged(etag(&rules)))
}

async fn seen(call: &Call) -> Result<TrustRules, Problem> {
    Ok(call.gate().trust_rules(&call.by(), call.id("organization")?, call.now).await?)
}

/// What tells these saved rules from others.
fn etag(rules: &TrustRules) -> Option<HeaderValue> {
    let text = match rules.saved_at {
        Some(revision) => format!("\"{}-{}\"", revision.epoch.0, revision.number),
        None => "\"none\"".to_owned(),
    };
    HeaderValue::try_from(text).ok()
}

/// `PUT /organizations/{organization}/trust-rules`.
pub(super) async fn save(call: Call) -> Answered {
    let organization: OrganizationId = call.id("organization")?;
    let Rules { rules } = call.read()?;
    let seen = match call.if_match.is_empty() {
        true => None,
        false => {
            let seen = seen(&call).await?;
            if etag(&seen).is_none_or(|etag| !call.is_for(&etag)) {
                return Err(Problem::CHANGED);
            }
            Some(seen)
        }
    };
    let (gate, by) = (call.gate(), call.by());
    let saved = gate.set_trust_rules(&by, organization, &rules, seen.as_ref(), call.now);
    saved.await.map_err(|error| match error {
        TrustRulesError::Refused(ManageError::Changed { .. }) if seen.is_some() => Problem::CHANGED,
        error => error.into(),
    })?;
    as_they_are(&call).await
}

/// `POST /organizations/{organization}/trust-rules/lint`.
pub(super) async fn lint(call: Call) -> Answered {
    let organization = call.id("organization")?;
    let Rules { rules } = call.read()?;
    let findings: Vec<Finding> =
        call.gate().lint_trust_rules(&call.by(), organization, &rules, call.now).await?;
    Ok(Answer::ok(json!({ "findings": findings })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trial {
    /// Those to try; those that are saved, if none are named.
    #[serde(default)]
    rules: Option<Vec<RuleBuilder>>,
    token: String,
}

/// `POST /organizations/{organization}/trust-rules/try`.
pub(super) async fn attempt(call: Call) -> Answered {
    let organization = call.id("organization")?;
    let Trial { rules, token } = call.read()?;
    let rules = match rules {
        Some(rules) => rules,
        None => seen(&call).await?.saved,
    };
    let tried = call.gate().try_trust_rules(&call.by(), organization, &rules, &token, call.now).await?;
    Ok(Answer::ok(trial(&tried)))
}

fn trial(trial: &RulesTrial) -> Value {
    match trial {
        RulesTrial::Refused(refusal) => json!({ "outcome": "refused", "refusal": refused(refusal) }),
        RulesTrial::NoKeys(anchor) => json!({ "outcome": "no_keys", "anchor": anchor }),
        RulesTrial::Tried { verified, evaluation, explanation } => tried(verified, evaluation, explanation),
        _ => json!({ "outcome": "refused" }),
    }
}

fn tried(verified: &Verified, evaluation: &Evaluation, explanation: &Explanation) -> Value {
    let facts = verified.facts.iter().filter_map(|(fact, known)| match known {
        Knowledge::Known(value) => {
            let text = value.as_text().map_or_else(|| value.to_string(), str::to_owned);
            Some(json!({ "fact": fact.to_string(), "value": text }))
        }
        Knowledge::Absent | Knowledge::Incomplete => None,
    });
    let facts: Vec<Value> = facts.collect();
    let (outcome, told, value) = match &evaluation.outcome {
        Ok(matched) => ("let_in", "grant", given(matched)),
        Err(refusal) => ("refused", "refusal", refused(refusal)),
    };
    json!({ "outcome": outcome, told: value, "facts": facts, "rules": explanation.rules })
}

fn refused(refusal: &Refusal) -> Value {
    json!({
        "step": refusal.step().as_str(),
        "code": refusal.code(),
        "detail": refusal.public(),
        "expected": refusal.expected(),
        "hint": refusal.hint(),
    })
}

fn given(matched: &Matched) -> Value {
    json!({
        "rule": matched.rule_name,
        "workspace": matched.workspace,
        "actions": matched.actions,
        "lane": matched.lane,
        "base": matched.base,
        "anonymous_reads": matched.anonymous_reads,
        "ttl": matched.ttl.as_secs(),
        "warnings": matched.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
