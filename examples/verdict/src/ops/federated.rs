//! `federated`: a platform's own token under one anchor, and what the rules give for it.

use std::collections::BTreeMap;
use std::fmt;

use cachegate_federation::{
    AnchorBuilder, Ask, Fact, FactValue, Federation, Keys, Knowledge, Matched, Refusal as Refused,
    RulesDocument, Step, Verified, Within,
};
use cachegate_jwt::{KeySet, UnverifiedJws};
use cachegate_types::{Lane, Name, OrganizationId, Timestamp, WorkspaceId};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::request::{Refusal, Trail, Tried};
use crate::words::{Actions, Who};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct In<'a> {
    token: String,
    #[serde(borrow)]
    jwks: &'a RawValue,
    anchor: AnchorBuilder,
    rules: Option<Rules>,
    within: Option<WithinIn>,
    rule: Option<Name>,
    now: Timestamp,
}

/// A document of rules, or its list alone.
struct Rules(RulesDocument);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithinIn {
    organization: OrganizationId,
    workspace: Option<WorkspaceId>,
}

#[derive(Serialize)]
pub(super) struct Out {
    facts: BTreeMap<&'static str, Value>,
    incomplete: Vec<&'static str>,
    principal: Who,
    #[serde(flatten)]
    granted: Option<Granted>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Integer(i64),
    Boolean(bool),
    Set(Vec<String>),
    /// A kind that a later version of the library knows.
    Other(String),
}

#[derive(Serialize)]
struct Granted {
    rule: Name,
    access: Actions,
    anonymous_reads: bool,
    lane: Lane,
    organization: OrganizationId,
    workspace: Option<WorkspaceId>,
    expires_at: Timestamp,
}

pub(super) fn federated(request: In<'_>) -> Result<Out, Refusal> {
    if request.rules.is_none() && (request.within.is_some() || request.rule.is_some()) {
        return Err(Refusal::bad_request("`within` and `rule` choose among `rules`, and there are none"));
    }
    // What would be discovered is given here: no place needs to be known.
    let anchor = match request.anchor.discovers_keys() {
        true => request.anchor.keys(Keys::Url("https://given.invalid/".to_owned())),
        false => request.anchor,
    };
    let anchor = anchor.build()?;
    let keys = KeySet::from_jwks_for(request.jwks.get().as_bytes(), anchor.algorithms())?;
    let federation = Federation::new([anchor])?;
    let rules = request.rules.map(|Rules(document)| document.build(&federation)).transpose()?;

    let token = UnverifiedJws::parse(&request.token).map_err(Refused::from)?;
    let verified = federation.anchor_for(&token, None)?.verify(&token, &keys, request.now)?;
    let granted = match rules {
        Some(rules) => {
            let within = request.within.map_or(Within::Anywhere, Within::from);
            let matched = rules.evaluate(&verified, &Ask { within, rule: request.rule }).outcome?;
            Some(Granted::new(&verified, matched, request.now))
        }
        None => None,
    };
    Ok(Out::new(verified, granted))
}

impl Out {
    fn new(verified: Verified, granted: Option<Granted>) -> Self {
        let (mut facts, mut incomplete) = (BTreeMap::new(), Vec::new());
        for (fact, knowledge) in verified.facts.iter() {
            match knowledge {
                Knowledge::Known(value) => drop(facts.insert(fact.as_str(), Value::from(&*value))),
                Knowledge::Incomplete => incomplete.push(Fact::as_str(fact)),
                Knowledge::Absent => {}
            }
        }
        Self { facts, incomplete, principal: verified.principal.into(), granted }
    }
}

impl Granted {
    fn new(verified: &Verified, matched: Matched, now: Timestamp) -> Self {
        let expires_at = verified.right_ends(&matched, now);
        let level = matched.actions.level();
        let access = match level.actions() == matched.actions {
            true => Actions::Level(level),
            false => Actions::List(matched.actions),
        };
        Self {
            rule: matched.rule_name,
            access,
            anonymous_reads: matched.anonymous_reads,
            lane: matched.lane,
            organization: matched.organization,
            workspace: matched.workspace,
            expires_at,
        }
    }
}

impl From<&FactValue> for Value {
    fn from(value: &FactValue) -> Self {
        match value {
            FactValue::Text(text) => Self::Text(text.as_ref().to_owned()),
            FactValue::Integer(number) => Self::Integer(*number),
            FactValue::Boolean(value) => Self::Boolean(*value),
            FactValue::Set(set) => Self::Set(set.iter().map(|text| text.as_ref().to_owned()).collect()),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<WithinIn> for Within {
    fn from(within: WithinIn) -> Self {
        match within.workspace {
            Some(workspace) => Self::Workspace(within.organization, workspace),
            None => Self::Organization(within.organization),
        }
    }
}

impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = Rules;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of rules, or a document of `selection` and `rules`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Rules, A::Error> {
                let rules = Deserialize::deserialize(SeqAccessDeserializer::new(list))?;
                Ok(Rules(RulesDocument { rules, ..RulesDocument::default() }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rules, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(map)).map(Rules)
            }
        }

        deserializer.deserialize_any(Form)
    }
}

/// With the steps of the check up to the one that failed. Whether the token was used before is not among them: here
/// nothing is remembered.
impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let failed = refused.step();
        // A token that is too large is not looked at any further.
        let passed = |step: &Step| *step < failed && *step != Step::Replay && refused.code() != "too_large";
        let before = Step::ALL.into_iter().filter(passed);
        let steps = before.map(|step| Tried { step: step.as_str(), ok: true });
        let last = Tried { step: failed.as_str(), ok: false };
        let trail = Trail {
            step: failed.as_str(),
            expected: refused.expected().to_owned(),
            hint: refused.hint().to_owned(),
            steps: steps.chain([last]).collect(),
        };
        Self::new(refused.code(), refused.public()).with_trail(trail)
    }
}
