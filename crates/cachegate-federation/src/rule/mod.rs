//! Trust rules: which verified facts earn which right.

mod condition;
mod evaluate;
mod explain;
mod pattern;
mod set;
mod tenant;
#[cfg(test)]
mod tests;

pub(crate) use condition::{About, Atom, Compiled, Matcher};
pub use condition::{
    CompileCondition, Condition, ConditionError, NoConditions, ReferenceKind, Test, Truth, When,
};
pub use evaluate::{Ask, Evaluation, Matched, Warning, Within};
pub use explain::{CheckExplanation, Explanation, RuleExplanation};
pub use pattern::PatternError;
pub use set::{RuleSet, RuleSetError, RulesDocument, Selection};
pub use tenant::{Tenant, TenantBuilder, TenantError, Tenants};

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use cachegate_types::{AccessLevel, Action, ActionSet, LaneClass, Name, OrganizationId, RuleId, WorkspaceId};
use serde::{Deserialize, Serialize};

use crate::{Anchor, Fact, FactClass, FactKind, FactValue, Knowledge, Platform, Status};

/// A rule that was held against its anchor: it pins what must be pinned, and asks only what the platform says.
#[derive(Clone, Debug)]
pub struct TrustRule {
    document: RuleBuilder,
    id: RuleId,
    platform: Platform,
    organization: OrganizationId,
    workspace: Option<WorkspaceId>,
    pins: Vec<Atom>,
    when: Vec<Compiled>,
    specificity: Specificity,
}

/// What a rule does with a job that it matches.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Grants.
    #[default]
    Allow,
    /// Refuses, whatever other rules grant in its place; also where it cannot be told whether it matches.
    Deny,
}

/// What an allowing rule gives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantPlan {
    level: AccessLevel,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lane: Option<LaneChoice>,
    #[serde(default, skip_serializing_if = "is_default")]
    base: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    floor: Option<LaneClass>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    untrusted_reads: UntrustedReads,
    #[serde(default, skip_serializing_if = "is_default")]
    publish: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The lane that a rule gives. Nobody gets one that the verified facts do not support: see
/// [`Facts::may_write`](crate::Facts::may_write).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneChoice {
    /// What is shipped.
    Release,
    /// The trunk.
    Main,
    /// The lane of the tenant's people.
    Dev,
    /// The job's own branch, as verified.
    Branch,
    /// The job's own pull request, as verified.
    Pull,
    /// Branch or pull request, whichever the verified facts support.
    Verified,
}

impl LaneChoice {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Main => "main",
            Self::Dev => "dev",
            Self::Branch => "branch",
            Self::Pull => "pull",
            Self::Verified => "verified",
        }
    }

    /// Whether others read what is written there.
    pub const fn is_shared(self) -> bool {
        match self {
            Self::Release | Self::Main | Self::Dev => true,
            Self::Branch | Self::Pull | Self::Verified => false,
        }
    }

    /// How far those who read the lane trust it, least first.
    const fn trust(self) -> u8 {
        match self {
            Self::Pull => 1,
            Self::Branch | Self::Verified => 2,
            Self::Dev => 3,
            Self::Main => 4,
            Self::Release => 5,
        }
    }
}

/// What a job reads that an outsider may have started, or of which the facts do not tell who did.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UntrustedReads {
    /// What anonymous requests read.
    #[default]
    AsAnonymous,
    /// What the rule's level says, as anybody else. Whoever opens a pull request can then read the cache.
    Granted,
}

impl GrantPlan {
    /// How long the right lasts where a rule does not say, in seconds.
    pub const DEFAULT_TTL: u64 = 15 * 60;
    /// The longest, in seconds.
    pub const MAX_TTL: u64 = 60 * 60;

    /// A level without a lane: enough to read.
    pub fn new(level: AccessLevel) -> Self {
        Self {
            level,
            lane: None,
            base: false,
            floor: None,
            ttl: None,
            untrusted_reads: UntrustedReads::AsAnonymous,
            publish: false,
        }
    }

    /// The lane.
    #[must_use]
    pub fn lane(mut self, lane: LaneChoice) -> Self {
        self.lane = Some(lane);
        self
    }

    /// A pull request also reads the lane of the branch it goes into, where both are known to be of one repository.
    #[must_use]
    pub fn with_base(mut self) -> Self {
        self.base = true;
        self
    }

    /// Nothing below this class is read.
    #[must_use]
    pub fn floor(mut self, floor: LaneClass) -> Self {
        self.floor = Some(floor);
        self
    }

    /// How long the right lasts, in whole seconds.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl.as_secs());
        self
    }

    /// What jobs read that an outsider may have started.
    #[must_use]
    pub fn untrusted_reads(mut self, reads: UntrustedReads) -> Self {
        self.untrusted_reads = reads;
        self
    }

    /// May publish and withdraw releases, which no level holds. With the lane `main` or `release` alone.
    #[must_use]
    pub fn with_publish(mut self) -> Self {
        self.publish = true;
        self
    }

    /// The most that it lets do.
    pub fn actions(&self) -> ActionSet {
        let level = self.level.actions();
        if self.publish { level.union(ActionSet::of(&[Action::Publish])) } else { level }
    }

    pub(crate) fn publishes(&self) -> bool {
        self.publish
    }

    pub(crate) fn writes(&self) -> bool {
        self.level.actions().contains(Action::Write)
    }

    pub(crate) fn choice(&self) -> Option<LaneChoice> {
        self.lane
    }

    pub(crate) fn level(&self) -> AccessLevel {
        self.level
    }

    pub(crate) fn reads(&self) -> UntrustedReads {
        self.untrusted_reads
    }

    pub(crate) fn reads_base(&self) -> bool {
        self.base
    }

    fn lasts(&self) -> Duration {
        Duration::from_secs(self.ttl.unwrap_or(Self::DEFAULT_TTL))
    }

    /// Whether this plan gives something that `other` does not.
    pub(crate) fn gives_more_than(&self, other: &Self) -> bool {
        let trust = |plan: &Self| if plan.writes() { plan.lane.map_or(0, LaneChoice::trust) } else { 0 };
        let floor = |plan: &Self| plan.floor.map_or(u8::MAX, |class| class as u8);
        let reads = |plan: &Self| plan.untrusted_reads == UntrustedReads::Granted;
        !other.level.actions().contains_all(self.level.actions())
            || trust(self) > trust(other)
            || floor(self) > floor(other)
            || self.lasts() > other.lasts()
            || (self.base && !other.base)
            || (self.publish && !other.publish)
            || (reads(self) && !reads(other))
    }
}

/// An identity that a rule pins: an immutable id, and the name that it had when the rule was written.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    fact: Fact,
    is: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl Pin {
    /// Pins a fact to an id.
    pub fn new(fact: Fact, id: &str) -> Self {
        Self { fact, is: id.to_owned(), name: None }
    }

    /// Remembers the display name, so that a change of it is told. It never decides.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// The fact that holds the display name of what is pinned.
    fn companion(&self) -> Option<Fact> {
        companion(self.fact)
    }
}

/// The name beside an id.
fn companion(id: Fact) -> Option<Fact> {
    const PAIRS: [(Fact, Fact); 6] = [
        (Fact::TenantId, Fact::TenantName),
        (Fact::OwnerId, Fact::OwnerName),
        (Fact::RepoId, Fact::RepoName),
        (Fact::ActorId, Fact::ActorName),
        (Fact::ServiceAccountId, Fact::ServiceAccountName),
        (Fact::UserId, Fact::UserName),
    ];
    PAIRS.into_iter().find(|(fact, _)| *fact == id).map(|(_, name)| name)
}

/// The id beside a name.
pub(crate) fn id_beside(name: Fact) -> Option<Fact> {
    Fact::ALL.iter().copied().find(|id| companion(*id) == Some(name))
}

/// A rule as a document has it, and the way to build one in code.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleBuilder {
    name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<RuleId>,
    anchor: Name,
    organization: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    workspace: Option<String>,
    #[serde(default, skip_serializing_if = "is_default")]
    effect: Effect,
    #[serde(default, skip_serializing_if = "is_default")]
    status: Status,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pins: Vec<Pin>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    when: Vec<When>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant: Option<GrantPlan>,
}

/// Why a rule cannot be built. Each says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// Organizations and workspaces are named by id: a name can come to be another's.
    #[error(
        "`{key}` is `{name}`, which is no id: write the UUID, or let the host resolve names when it loads rules"
    )]
    NotAnId {
        /// `organization` or `workspace`.
        key: &'static str,
        /// What was written.
        name: String,
    },
    /// The host knows no such organization or workspace.
    #[error("`{key}` is `{name}`, which is not known here: create it first, or write its UUID")]
    NotResolved {
        /// `organization` or `workspace`.
        key: &'static str,
        /// What was written.
        name: String,
    },
    /// A rule of another anchor.
    #[error("the rule is for the anchor `{wanted}`, not for `{given}`")]
    OtherAnchor {
        /// What the rule says.
        wanted: Name,
        /// What it was held against.
        given: Name,
    },
    /// Several tenants share the issuer, and nothing says which one is meant.
    #[error("several tenants share this anchor's issuer: pin {}", or_list(sets))]
    PinMissing {
        /// The sets of facts of which one must be pinned whole.
        sets: &'static [&'static [Fact]],
    },
    /// The platform never says this.
    #[error("{platform} gives no `{fact}` to pin")]
    PinNotGiven {
        /// The fact.
        fact: Fact,
        /// The platform, as people call it.
        platform: &'static str,
    },
    /// Something that can come to be another's.
    #[error("`{fact}` is of class {}, not an immutable id: {}", class.as_str(), pin_instead(*fact))]
    PinNotId {
        /// The fact.
        fact: Fact,
        /// How far it may be relied on.
        class: FactClass,
    },
    /// Two pins of one fact can never both hold.
    #[error("`{fact}` is pinned twice: a rule is for one of them, write a second rule for the other")]
    PinTwice {
        /// The fact.
        fact: Fact,
    },
    /// No id is empty, and none is longer than a fact can be.
    #[error("the pin of `{fact}` is empty or longer than 1024 bytes")]
    PinLength {
        /// The fact.
        fact: Fact,
    },
    /// A name where none belongs.
    #[error("{platform} gives no name for `{fact}`: leave the pin's `name` out")]
    RememberedName {
        /// The fact.
        fact: Fact,
        /// The platform, as people call it.
        platform: &'static str,
    },
    /// A condition cannot be.
    #[error("`when[{index}]`: {source}")]
    Condition {
        /// Which, counted from 0.
        index: usize,
        /// Why.
        source: ConditionError,
    },
    /// Too many conditions.
    #[error("a rule has at most {limit} conditions: list values with `one_of`")]
    TooManyConditions {
        /// The limit.
        limit: usize,
    },
    /// An allowing rule that gives nothing.
    #[error("an allowing rule needs a `grant`: write its `level`")]
    GrantMissing,
    /// A denying rule that gives something.
    #[error("a denying rule gives nothing: leave `grant` out")]
    GrantUnwanted,
    /// A denying rule for everyone.
    #[error("a denying rule without pins and conditions refuses everyone: disable the anchor instead")]
    DeniesEveryone,
    /// Writing without a place to write.
    #[error(
        "`read-write` needs a `lane`: `main` for trusted jobs, `verified` for branches and pull requests"
    )]
    LaneMissing,
    /// Only pull requests have a base.
    #[error("`base` is for pull requests: use it with the lane `pull` or `verified`")]
    BaseUnwanted,
    /// A release rests on what everyone trusts.
    #[error("`publish` is for jobs that everyone trusts: use it with the lane `main` or `release`")]
    PublishUnwanted,
    /// The lifetime cannot be.
    #[error("`ttl` is 1 to 3600 seconds, this one is {seconds}")]
    Ttl {
        /// What was written.
        seconds: u64,
    },
    /// The platform's claims alone do not tell a fork from the tenant's own.
    #[error(
        "no claim tells by itself whether `{fact}` is the tenant's own: hold it to its value with `equals` before granting a shared lane"
    )]
    WriteCondition {
        /// The fact.
        fact: Fact,
    },
}

fn or_list(sets: &[&[Fact]]) -> String {
    let one = |set: &&[Fact]| set.iter().map(|fact| format!("`{fact}`")).collect::<Vec<_>>().join(" and ");
    sets.iter().map(one).collect::<Vec<_>>().join(", or ")
}

fn pin_instead(fact: Fact) -> String {
    match id_beside(fact) {
        Some(id) => format!("pin `{id}`, and give this as its `name`"),
        None => "ask for it under `when`".to_owned(),
    }
}

impl RuleError {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAnId { .. } => "rule_not_an_id",
            Self::NotResolved { .. } => "rule_not_resolved",
            Self::OtherAnchor { .. } => "rule_other_anchor",
            Self::PinMissing { .. } => "rule_pin_missing",
            Self::PinNotGiven { .. } => "rule_pin_not_given",
            Self::PinNotId { .. } => "rule_pin_not_id",
            Self::PinTwice { .. } => "rule_pin_twice",
            Self::PinLength { .. } => "rule_pin_length",
            Self::RememberedName { .. } => "rule_remembered_name",
            Self::Condition { source, .. } => source.code(),
            Self::TooManyConditions { .. } => "rule_too_many_conditions",
            Self::GrantMissing => "rule_grant_missing",
            Self::GrantUnwanted => "rule_grant_unwanted",
            Self::DeniesEveryone => "rule_denies_everyone",
            Self::LaneMissing => "rule_lane_missing",
            Self::PublishUnwanted => "rule_publish_unwanted",
            Self::BaseUnwanted => "rule_base_unwanted",
            Self::Ttl { .. } => "rule_ttl",
            Self::WriteCondition { .. } => "rule_write_condition",
        }
    }
}

impl RuleBuilder {
    /// A rule that grants in the whole organization.
    pub fn allow(name: Name, anchor: Name, organization: OrganizationId, grant: GrantPlan) -> Self {
        Self::new(name, anchor, organization, Effect::Allow, Some(grant))
    }

    /// A rule that refuses in the whole organization.
    pub fn deny(name: Name, anchor: Name, organization: OrganizationId) -> Self {
        Self::new(name, anchor, organization, Effect::Deny, None)
    }

    fn new(
        name: Name,
        anchor: Name,
        organization: OrganizationId,
        effect: Effect,
        grant: Option<GrantPlan>,
    ) -> Self {
        Self {
            name,
            id: None,
            anchor,
            organization: organization.to_string(),
            workspace: None,
            effect,
            status: Status::Enforce,
            pins: Vec::new(),
            when: Vec::new(),
            grant,
        }
    }

    /// The id that decisions name. Without one it follows from organization and name.
    #[must_use]
    pub fn id(mut self, id: RuleId) -> Self {
        self.id = Some(id);
        self
    }

    /// In this workspace of the organization alone.
    #[must_use]
    pub fn workspace(mut self, workspace: WorkspaceId) -> Self {
        self.workspace = Some(workspace.to_string());
        self
    }

    /// One more pin.
    #[must_use]
    pub fn pin(mut self, pin: Pin) -> Self {
        self.pins.push(pin);
        self
    }

    /// One more condition.
    #[must_use]
    pub fn when(mut self, when: When) -> Self {
        self.when.push(when);
        self
    }

    /// Whether it counts.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// The anchor that the rule is for.
    pub fn anchor(&self) -> &Name {
        &self.anchor
    }

    /// The name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// What it gives, if it allows.
    pub fn grant(&self) -> Option<&GrantPlan> {
        self.grant.as_ref()
    }

    /// The workspace that it names, by id or by name; `None` for all of the organization.
    pub fn workspace_named(&self) -> Option<&str> {
        self.workspace.as_deref()
    }

    /// The organization that it names, by id or by name.
    pub fn organization_named(&self) -> &str {
        &self.organization
    }

    /// Replaces the names of organization and workspace by their ids, which alone decide from then on. What is an id
    /// already is left as it is.
    ///
    /// # Errors
    ///
    /// [`RuleError::NotResolved`] for a name that the host does not know.
    pub fn resolve(
        mut self,
        organization: impl FnOnce(&str) -> Option<OrganizationId>,
        workspace: impl FnOnce(OrganizationId, &str) -> Option<WorkspaceId>,
    ) -> Result<Self, RuleError> {
        let unknown = |key, name: &str| RuleError::NotResolved { key, name: name.to_owned() };
        let owner = match self.organization.parse() {
            Ok(id) => id,
            Err(_) => {
                organization(&self.organization).ok_or_else(|| unknown("organization", &self.organization))?
            }
        };
        self.organization = owner.to_string();
        if let Some(name) = &self.workspace
            && name.parse::<WorkspaceId>().is_err()
        {
            let id = workspace(owner, name).ok_or_else(|| unknown("workspace", name))?;
            self.workspace = Some(id.to_string());
        }
        Ok(self)
    }

    /// The rule, held against its anchor.
    ///
    /// # Errors
    ///
    /// [`RuleError`] when it leaves a door open, contradicts itself, or asks what the platform never says.
    pub fn build(self, anchor: &Anchor) -> Result<TrustRule, RuleError> {
        self.build_with(anchor, &NoConditions)
    }

    /// The same for rules with conditions of an embedder's own.
    ///
    /// # Errors
    ///
    /// As [`Self::build`].
    pub fn build_with(
        self,
        anchor: &Anchor,
        compiler: &dyn CompileCondition,
    ) -> Result<TrustRule, RuleError> {
        if self.anchor != *anchor.id() {
            return Err(RuleError::OtherAnchor { wanted: self.anchor, given: anchor.id().clone() });
        }
        let not_an_id = |key, name: &str| RuleError::NotAnId { key, name: name.to_owned() };
        let organization: OrganizationId =
            self.organization.parse().map_err(|_| not_an_id("organization", &self.organization))?;
        let workspace = match &self.workspace {
            Some(text) => Some(text.parse().map_err(|_| not_an_id("workspace", text))?),
            None => None,
        };
        let platform = anchor.platform();
        let pins = self.compile_pins(platform)?;
        if self.when.len() > TrustRule::MAX_CONDITIONS {
            return Err(RuleError::TooManyConditions { limit: TrustRule::MAX_CONDITIONS });
        }
        let denies = self.effect == Effect::Deny;
        let when = self
            .when
            .iter()
            .enumerate()
            .map(|(index, when)| {
                Compiled::new(when.clone(), platform, denies, compiler)
                    .map_err(|source| RuleError::Condition { index, source })
            })
            .collect::<Result<Vec<_>, _>>()?;
        match (&self.grant, self.effect) {
            (None, Effect::Allow) => return Err(RuleError::GrantMissing),
            (Some(_), Effect::Deny) => return Err(RuleError::GrantUnwanted),
            (None, Effect::Deny) if pins.is_empty() && when.is_empty() => {
                return Err(RuleError::DeniesEveryone);
            }
            (None, Effect::Deny) => {}
            (Some(grant), Effect::Allow) => {
                let sets = anchor.pin_sets();
                let pinned = |fact: &Fact| self.pins.iter().any(|pin| pin.fact == *fact);
                if !sets.is_empty() && !sets.iter().any(|set| set.iter().all(pinned)) {
                    return Err(RuleError::PinMissing { sets });
                }
                grant.check(platform, &pins, &when)?;
            }
        }
        let specificity = Specificity::of(workspace.is_some(), &pins, &when);
        let id = self.id.unwrap_or_else(|| derived_id(organization, &self.name));
        Ok(TrustRule { id, platform, organization, workspace, pins, when, specificity, document: self })
    }

    fn compile_pins(&self, platform: Platform) -> Result<Vec<Atom>, RuleError> {
        let mut pins = Vec::<Atom>::new();
        for pin in &self.pins {
            let fact = pin.fact;
            let spec =
                platform.fact(fact).ok_or(RuleError::PinNotGiven { fact, platform: platform.title() })?;
            // What an administrator hands out by SPIFFE is all the identity there is.
            let workload = platform == Platform::SpiffeJwtSvid && fact == Fact::WorkloadUid;
            if spec.class != FactClass::Id && !workload {
                return Err(RuleError::PinNotId { fact, class: spec.class });
            }
            let about = About::Fact(fact);
            if pins.iter().any(|other| other.about == about) {
                return Err(RuleError::PinTwice { fact });
            }
            if !(1..=1024).contains(&pin.is.len()) {
                return Err(RuleError::PinLength { fact });
            }
            if pin.name.is_some() && pin.companion().and_then(|name| platform.fact(name)).is_none() {
                return Err(RuleError::RememberedName { fact, platform: platform.title() });
            }
            // A platform may send an id as a number; documents write ids as text.
            let value = match (spec.kind(), pin.is.parse::<i64>()) {
                (FactKind::Integer, Ok(number)) => FactValue::from(number),
                (FactKind::Integer, Err(_)) => return Err(RuleError::PinLength { fact }),
                _ => FactValue::from(pin.is.as_str()),
            };
            pins.push(Atom { about, matcher: Matcher::equal_to(value) });
        }
        Ok(pins)
    }
}

impl GrantPlan {
    fn check(&self, platform: Platform, pins: &[Atom], when: &[Compiled]) -> Result<(), RuleError> {
        let seconds = self.ttl.unwrap_or(Self::DEFAULT_TTL);
        if !(1..=Self::MAX_TTL).contains(&seconds) {
            return Err(RuleError::Ttl { seconds });
        }
        if self.base && !matches!(self.lane, Some(LaneChoice::Pull | LaneChoice::Verified)) {
            return Err(RuleError::BaseUnwanted);
        }
        if self.publish && !matches!(self.lane, Some(LaneChoice::Main | LaneChoice::Release)) {
            return Err(RuleError::PublishUnwanted);
        }
        if self.writes() && self.lane.is_none() {
            return Err(RuleError::LaneMissing);
        }
        if self.lane.is_some_and(LaneChoice::is_shared) {
            let atoms = || pins.iter().chain(when.iter().flat_map(Compiled::atoms));
            let held = |fact: Fact| {
                atoms().any(|atom| atom.about == About::Fact(fact) && atom.matcher.finite().is_some())
            };
            if let Some(fact) = platform.write_conditions().iter().find(|fact| !held(**fact)) {
                return Err(RuleError::WriteCondition { fact: *fact });
            }
        }
        Ok(())
    }
}

/// An id that stays while organization and name do: a version 8 UUID (RFC 9562, section 5.8) of their digest.
fn derived_id(organization: OrganizationId, name: &Name) -> RuleId {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(b"cachegate rule\0");
    context.update(&organization.to_bytes());
    context.update(name.as_str().as_bytes());
    let digest = context.finish();
    let mut bytes = [0; 16];
    for (at, (byte, value)) in bytes.iter_mut().zip(digest.as_ref()).enumerate() {
        *byte = match at {
            6 => (value & 0x0F) | 0x80,
            8 => (value & 0x3F) | 0x80,
            _ => *value,
        };
    }
    RuleId::from_bytes(bytes)
}

impl TrustRule {
    /// The most conditions of one rule.
    pub const MAX_CONDITIONS: usize = 64;

    /// The id that decisions name.
    pub fn id(&self) -> RuleId {
        self.id
    }

    /// The name, for people.
    pub fn name(&self) -> &Name {
        &self.document.name
    }

    /// The anchor whose tokens it is about.
    pub fn anchor(&self) -> &Name {
        &self.document.anchor
    }

    /// The organization in which it counts.
    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// The one workspace in which it counts; `None` for all of the organization.
    pub fn workspace(&self) -> Option<WorkspaceId> {
        self.workspace
    }

    /// What it does.
    pub fn effect(&self) -> Effect {
        self.document.effect
    }

    /// Whether it counts.
    pub fn status(&self) -> Status {
        self.document.status
    }

    /// What it gives, if it allows.
    pub fn grant(&self) -> Option<&GrantPlan> {
        self.document.grant.as_ref()
    }

    /// The document that it was built from.
    pub fn document(&self) -> &RuleBuilder {
        &self.document
    }

    pub(crate) fn platform(&self) -> Platform {
        self.platform
    }

    pub(crate) fn pins(&self) -> &[Atom] {
        &self.pins
    }

    pub(crate) fn conditions(&self) -> &[Compiled] {
        &self.when
    }

    pub(crate) fn specificity(&self) -> Specificity {
        self.specificity
    }

    /// Every question that it asks.
    pub(crate) fn atoms(&self) -> impl Iterator<Item = &Atom> {
        self.pins.iter().chain(self.when.iter().flat_map(Compiled::atoms))
    }

    fn remembered(&self) -> impl Iterator<Item = (&Pin, Fact, &str)> {
        self.document.pins.iter().filter_map(|pin| Some((pin, pin.companion()?, pin.name.as_deref()?)))
    }

    /// Whether both count in one place.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.organization == other.organization
            && match (self.workspace, other.workspace) {
                (Some(one), Some(another)) => one == another,
                _ => true,
            }
    }

    /// Whether no token can match both, as far as that can be told from the rules alone.
    pub(crate) fn excludes(&self, other: &Self) -> bool {
        self.anchor() != other.anchor() || self.rules_out(other) || other.rules_out(self)
    }

    /// Whether it can never match.
    pub(crate) fn contradicts_itself(&self) -> bool {
        self.rules_out(self)
    }

    /// Whether the other matches whenever this one does, as far as that can be told from the rules alone.
    pub(crate) fn implies(&self, other: &Self) -> bool {
        let implied = |theirs: &Atom| {
            self.atoms().filter(|mine| mine.about == theirs.about).any(|mine| match mine.matcher.finite() {
                Some((values, false)) => values.iter().all(|value| {
                    theirs.matcher.evaluate(&Knowledge::Known(Cow::Borrowed(value))) == Truth::True
                }),
                _ => false,
            })
        };
        let customs = other.when.iter().any(|when| when.atoms().is_empty());
        !customs && other.atoms().all(implied)
    }

    /// Whether some fact that this rule holds to a list of values can have none that the other takes.
    fn rules_out(&self, other: &Self) -> bool {
        self.atoms().any(|mine| {
            let theirs = || other.atoms().filter(|theirs| theirs.about == mine.about);
            let absent = |matcher: &Matcher| matches!(matcher, Matcher::Presence(false));
            if absent(&mine.matcher) {
                return theirs().any(|theirs| !absent(&theirs.matcher));
            }
            let Some((values, fold)) = mine.matcher.finite() else {
                return theirs().any(|theirs| apart(&mine.matcher, &theirs.matcher));
            };
            theirs().any(|theirs| match theirs.matcher.finite() {
                Some((others, other_fold)) if fold || other_fold => lower(values).is_disjoint(&lower(others)),
                // A value stands for others of its letters: nothing can be told.
                _ if fold => false,
                _ => values.iter().all(|value| {
                    theirs.matcher.evaluate(&Knowledge::Known(Cow::Borrowed(value))) != Truth::True
                }),
            })
        })
    }
}

fn apart(one: &Matcher, another: &Matcher) -> bool {
    match (one, another) {
        (Matcher::Range { min, max }, Matcher::Range { min: least, max: most }) => max < least || most < min,
        _ => false,
    }
}

fn lower(values: &std::collections::BTreeSet<FactValue>) -> std::collections::BTreeSet<FactValue> {
    let folded = |value: &FactValue| match value.as_text() {
        Some(text) => FactValue::from(text.to_ascii_lowercase().as_str()),
        None => value.clone(),
    };
    values.iter().map(folded).collect()
}

/// How narrow a rule is, by what it asks and not by what a token says, so that it can be told when rules are loaded.
/// Compared in the order of the fields: a workspace before an organization; then the narrowest identity pinned, a
/// repository or account of a workload before an owner before a tenant; then how many facts are held to listed
/// values; then how many more are asked about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Specificity {
    workspace: bool,
    identity: u8,
    exact: usize,
    other: usize,
}

impl Specificity {
    fn of(workspace: bool, pins: &[Atom], when: &[Compiled]) -> Self {
        let atoms = || pins.iter().chain(when.iter().flat_map(Compiled::atoms));
        let count = |exact: bool| {
            let held = atoms().filter(|atom| atom.matcher.finite().is_some() == exact);
            held.map(|atom| &atom.about).collect::<std::collections::BTreeSet<_>>().len()
        };
        let customs = when.iter().filter(|when| when.atoms().is_empty()).count();
        let identity = pins.iter().filter_map(|pin| pin.about.fact()).map(narrowness).max().unwrap_or(0);
        Self { workspace, identity, exact: count(true), other: count(false) + customs }
    }
}

fn narrowness(pin: Fact) -> u8 {
    match pin {
        Fact::TenantId => 1,
        Fact::OwnerId | Fact::AccountId | Fact::ClusterId => 2,
        _ => 3,
    }
}

impl fmt::Display for Specificity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.workspace { "a workspace" } else { "an organization" };
        let identity = match self.identity {
            0 => "no identity",
            1 => "a tenant",
            2 => "an owner",
            _ => "a repository or workload",
        };
        write!(f, "{place}, {identity}, {} listed, {} other", self.exact, self.other)
    }
}
