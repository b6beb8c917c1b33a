//! Reading one token's claims into facts.

use std::borrow::Cow;
use std::collections::BTreeSet;

use cachegate_jwt::{ClaimValue, Claims};
use cachegate_types::{Lane, LaneClass, LaneSource};

use super::{FactSpec, Shape};
use crate::facts::{NotAnObject, find_claim, to_set};
use crate::refusal::quoted;
use crate::{Anchor, Fact, FactValue, Facts, Refusal, Step, TriggerClass};

/// The longest text that a fact holds, in bytes.
const MAX_TEXT: usize = 1024;

/// The claims of one verified token on their way to facts.
pub(crate) struct Reading<'a> {
    pub(crate) claims: Claims<'a>,
    pub(crate) anchor: &'a Anchor,
    /// `iss`, or the trust domain where there is none.
    pub(crate) issuer: &'a str,
    /// `sub`, as verified: a display format, read to see that what it says agrees.
    pub(crate) subject: &'a str,
    pub(crate) facts: Facts,
}

/// What kind of reference a full reference is, and what it is called within it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reference<'a> {
    Branch(&'a str),
    Tag(&'a str),
    /// A pull or merge request, by its number.
    Pull(&'a str),
}

impl<'a> Reference<'a> {
    /// Reads `refs/heads/x`, `refs/tags/x`, `refs/pull/7/merge` and `refs/merge-requests/7/head`.
    pub(crate) fn read(full: &'a str) -> Option<Self> {
        if let Some(name) = full.strip_prefix("refs/heads/") {
            return (!name.is_empty()).then_some(Self::Branch(name));
        }
        if let Some(name) = full.strip_prefix("refs/tags/") {
            return (!name.is_empty()).then_some(Self::Tag(name));
        }
        let rest = full.strip_prefix("refs/pull/").or_else(|| full.strip_prefix("refs/merge-requests/"))?;
        let (number, tail) = rest.split_once('/').unwrap_or((rest, "head"));
        (is_number(number) && matches!(tail, "head" | "merge" | "train")).then_some(Self::Pull(number))
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Branch(_) => "branch",
            Self::Tag(_) => "tag",
            Self::Pull(_) => "pull",
        }
    }

    fn name(self) -> &'a str {
        let (Self::Branch(name) | Self::Tag(name) | Self::Pull(name)) = self;
        name
    }
}

fn is_number(text: &str) -> bool {
    (1..=20).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl<'a> Reading<'a> {
    /// Copies the claims that are facts as they stand, each held to its type.
    pub(crate) fn copy(&mut self, specs: &[FactSpec]) -> Result<(), Refusal> {
        for spec in specs {
            let value = match spec.shape {
                Shape::Derived(_) => continue,
                Shape::Text | Shape::Nullable | Shape::Digits => {
                    self.text_as(spec.claim, spec.shape)?.map(|text| FactValue::Text(text.as_ref().into()))
                }
                Shape::Integer => self.integer(spec.claim)?.map(FactValue::Integer),
                Shape::TextualBoolean => self.textual_boolean(spec.claim)?.map(FactValue::Boolean),
                Shape::List => self.list(spec.claim)?.map(FactValue::Set),
            };
            if let Some(value) = value {
                self.facts.know(spec.fact, value);
            }
        }
        Ok(())
    }

    /// The ids that every token of the platform has are there.
    pub(crate) fn check_always(&self, always: &[Fact]) -> Result<(), Refusal> {
        let platform = self.anchor.platform();
        for spec in always.iter().filter_map(|fact| platform.fact(*fact)) {
            if self.facts.text(spec.fact).is_none() {
                return Err(Refusal::new(
                    Step::Pins,
                    "claim_missing",
                    format!("the token has no `{}`", spec.claim),
                )
                .with_expected(format!(
                    "`{}`, which every token of {} has",
                    spec.claim,
                    platform.title()
                )));
            }
        }
        Ok(())
    }

    /// The claim's value as it stands. A claim that would be reached through something that is no object is
    /// ill-typed.
    fn value(&self, claim: &str) -> Result<Option<ClaimValue<'a>>, Refusal> {
        find_claim(self.claims, claim).map_err(|NotAnObject| ill_typed(claim, "an object around it"))
    }

    /// The claim's text; the empty text is none.
    pub(crate) fn text(&self, claim: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        self.text_as(claim, Shape::Text)
    }

    /// The claim's decimal digits, as a text.
    pub(crate) fn digits(&self, claim: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
        self.text_as(claim, Shape::Digits)
    }

    fn text_as(&self, claim: &str, shape: Shape) -> Result<Option<Cow<'a, str>>, Refusal> {
        match self.value(claim)? {
            None => Ok(None),
            Some(ClaimValue::Null) if shape == Shape::Nullable => Ok(None),
            Some(ClaimValue::Text(text)) => {
                let digits = || text.bytes().all(|byte| byte.is_ascii_digit());
                if !is_plain(&text) || (shape == Shape::Digits && !digits()) {
                    return Err(out_of_range(claim, &text));
                }
                Ok((!text.is_empty()).then_some(text))
            }
            Some(_) => Err(ill_typed(claim, "a text")),
        }
    }

    pub(crate) fn integer(&self, claim: &str) -> Result<Option<i64>, Refusal> {
        match self.value(claim)? {
            None => Ok(None),
            Some(ClaimValue::Integer(number)) => Ok(Some(number)),
            Some(_) => Err(ill_typed(claim, "a whole number")),
        }
    }

    pub(crate) fn boolean(&self, claim: &str) -> Result<Option<bool>, Refusal> {
        match self.value(claim)? {
            None => Ok(None),
            Some(ClaimValue::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(ill_typed(claim, "true or false")),
        }
    }

    fn textual_boolean(&self, claim: &str) -> Result<Option<bool>, Refusal> {
        match self.text(claim)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(out_of_range(claim, other)),
        }
    }

    pub(crate) fn list(&self, claim: &str) -> Result<Option<BTreeSet<std::sync::Arc<str>>>, Refusal> {
        match self.value(claim)? {
            None => Ok(None),
            Some(ClaimValue::List(list)) => {
                let set = to_set(list).ok_or_else(|| ill_typed(claim, "a list of texts"))?;
                match set.iter().find(|text| !is_plain(text)) {
                    Some(text) => Err(out_of_range(claim, text)),
                    None => Ok(Some(set)),
                }
            }
            Some(_) => Err(ill_typed(claim, "a list of texts")),
        }
    }

    /// Whether there may be more groups than the claim lists: as many as the cap, or no list at all.
    pub(crate) fn groups_may_be_cut(&self, claim: &str) -> Result<bool, Refusal> {
        let Some(groups) = self.list(claim)? else { return Ok(true) };
        Ok(self.anchor.group_cap().is_some_and(|cap| groups.len() >= cap))
    }

    /// `file@reference` or `file@commit`. A second `@` could stand in a file's name or in a branch's, and whoever
    /// names one of them must not choose which: the facts are then incomplete.
    pub(crate) fn know_definition(
        &mut self,
        claim: &str,
        path: Fact,
        reference: Fact,
    ) -> Result<(), Refusal> {
        let Some(text) = self.text_as(claim, Shape::Nullable)? else { return Ok(()) };
        match text.split_once('@') {
            Some((file, at)) if !at.contains('@') && !file.is_empty() && !at.is_empty() => {
                self.facts.know(path, file);
                self.facts.know(reference, at);
            }
            _ => {
                self.facts.incomplete(path);
                self.facts.incomplete(reference);
            }
        }
        Ok(())
    }

    /// Whether the claim is there at all.
    pub(crate) fn has(&self, claim: &str) -> bool {
        !matches!(find_claim(self.claims, claim), Ok(None))
    }

    /// The text that a fact is known to be.
    pub(crate) fn known(&self, fact: Fact) -> Option<String> {
        self.facts.text(fact).map(str::to_owned)
    }

    /// A fact's value is what `sub` says of it, if both say something. A token whose parts name two things names
    /// nobody.
    pub(crate) fn subject_agrees(&self, fact: Fact, claim: &str, in_subject: &str) -> Result<(), Refusal> {
        match self.facts.text(fact) {
            Some(value) if value != in_subject => Err(self.disagrees(claim, value)),
            _ => Ok(()),
        }
    }

    /// `sub` and a claim contradict each other.
    pub(crate) fn disagrees(&self, claim: &str, value: &str) -> Refusal {
        Refusal::new(
            Step::Pins,
            "subject_disagrees",
            format!(
                "the token's `sub` {} does not agree with its `{claim}` {}",
                quoted(self.subject),
                quoted(value)
            ),
        )
        .with_expected(format!("one identity wherever it stands in the token: `sub` and `{claim}`"))
        .with_hint("present the platform's own token: one whose parts name two things names nobody")
    }

    /// What a reference says of kind and name. Call it once the full reference is known.
    pub(crate) fn know_reference(&mut self, reference: Reference<'_>) {
        self.facts.know(Fact::RefKind, reference.kind());
        self.facts.know(Fact::RefName, reference.name());
    }

    /// Concludes: how far the trigger is trusted, and which lane the facts support. A trusted job has its branch's,
    /// an outsider has the pull request's that the platform names, everyone else has none.
    pub(crate) fn conclude(&mut self, trigger: TriggerClass, reference: Option<Reference<'_>>) {
        self.facts.set_trigger(trigger);
        let lane = match (trigger, reference) {
            (TriggerClass::Trusted, Some(Reference::Branch(name))) => self.lane(LaneClass::Branch, name),
            (TriggerClass::Outsider, Some(Reference::Pull(number))) => self.lane(LaneClass::Pull, number),
            _ => None,
        };
        self.facts.set_lane(lane);
    }

    /// A lane of the repository in which the job ran; none where the repository has no known id.
    pub(crate) fn lane(&self, class: LaneClass, name: &str) -> Option<Lane> {
        let source = LaneSource {
            anchor: self.anchor.id().clone(),
            repository: self.facts.text(Fact::RepoId)?.into(),
        };
        Lane::named(class, Some(source), name.as_bytes()).ok()
    }
}

/// Not overlong, and nothing in it that would change how a line reads.
fn is_plain(text: &str) -> bool {
    let treacherous = |character: char| {
        character.is_control()
            || matches!(character, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
    };
    text.len() <= MAX_TEXT && !text.contains(treacherous)
}

fn ill_typed(claim: &str, expected: &'static str) -> Refusal {
    Refusal::new(
        Step::Pins,
        "claim_ill_typed",
        format!("the token's `{claim}` is of another type than it should be"),
    )
    .with_expected(expected)
}

fn out_of_range(claim: &str, value: &str) -> Refusal {
    Refusal::new(
        Step::Pins,
        "claim_out_of_range",
        format!("the token's `{claim}` has a value that it cannot have: {}", quoted(value)),
    )
    .with_expected("a value of the claim's alphabet and length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_of_one_kind_and_a_pull_request_has_a_number() {
        for (full, reference) in [
            ("refs/heads/main", Some(Reference::Branch("main"))),
            ("refs/heads/refs/tags/v1", Some(Reference::Branch("refs/tags/v1"))),
            ("refs/heads/pull/7/merge", Some(Reference::Branch("pull/7/merge"))),
            ("refs/tags/v1/2", Some(Reference::Tag("v1/2"))),
            ("refs/pull/17/merge", Some(Reference::Pull("17"))),
            ("refs/pull/17/head", Some(Reference::Pull("17"))),
            ("refs/pull/7", Some(Reference::Pull("7"))),
            ("refs/merge-requests/5/train", Some(Reference::Pull("5"))),
            ("refs/heads/", None),
            ("refs/tags/", None),
            ("refs/pull//merge", None),
            ("refs/pull/07/merge", None),
            ("refs/pull/7/main", None),
            ("refs/pull/7/merge/x", None),
            ("refs/pull/-1/merge", None),
            ("refs/pull/x/merge", None),
            ("refs/pull/123456789012345678901/merge", None),
            ("refs/remotes/origin/main", None),
            ("REFS/heads/main", None),
            ("main", None),
            ("", None),
        ] {
            assert_eq!(Reference::read(full), reference, "{full}");
        }
    }
}
