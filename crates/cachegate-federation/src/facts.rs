//! Facts: what a platform's verified claims say, in one vocabulary, three-valued.
// A new case must stop the build wherever it matters.
#![warn(clippy::wildcard_enum_match_arm)]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use cachegate_jwt::{ClaimValue, Claims, VerifiedJws};
use cachegate_types::{Lane, Name};

use crate::Platform;

macro_rules! facts {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A word of the one vocabulary that trust rules are written in.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[non_exhaustive]
        pub enum Fact {
            $($(#[$doc])* $variant,)*
        }

        impl Fact {
            /// Every fact.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable name, as rules and explanations write it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

facts! {
    /// The configured anchor that vouches.
    Anchor = "anchor",
    /// The platform's stable name.
    Platform = "platform",
    /// The customer of the platform, by an id that is never handed on.
    TenantId = "tenant.id",
    /// The customer of the platform, by name.
    TenantName = "tenant.name",
    /// Who owns the repository, by id.
    OwnerId = "owner.id",
    /// Who owns the repository, by name.
    OwnerName = "owner.name",
    /// The repository or project in which the job ran, by id.
    RepoId = "repo.id",
    /// The repository or project in which the job ran, by name.
    RepoName = "repo.name",
    /// Who can see the repository.
    RepoVisibility = "repo.visibility",
    /// The repository that the change comes from: a fork's is another than `repo.id`.
    OriginRepoId = "origin.repo.id",
    /// Whether the change comes from the repository in which the job ran.
    SameRepo = "same_repo",
    /// The full reference, such as `refs/heads/main`.
    RefFull = "ref.full",
    /// `branch`, `tag` or `pull`.
    RefKind = "ref.kind",
    /// The branch or tag without its prefix, or the number of the pull request.
    RefName = "ref.name",
    /// Whether the platform protects the reference.
    RefProtected = "ref.protected",
    /// The branch that a pull request comes from, as whoever opened it named it.
    HeadRef = "head_ref",
    /// The branch that a pull request goes into.
    BaseRef = "base_ref",
    /// The commit.
    Commit = "commit",
    /// What started the job, in the platform's word.
    Event = "event",
    /// How far whoever started the job is trusted: see [`TriggerClass`].
    TriggerClass = "trigger.class",
    /// Who started the job, by id.
    ActorId = "actor.id",
    /// Who started the job, by name.
    ActorName = "actor.name",
    /// The file that defines the job.
    WorkflowPath = "workflow.path",
    /// The reference at which that file was read.
    WorkflowRef = "workflow.ref",
    /// The commit of that file.
    WorkflowSha = "workflow.sha",
    /// The called file, where one definition calls another.
    CalleePath = "callee.path",
    /// The reference at which the called file was read.
    CalleeRef = "callee.ref",
    /// The commit of the called file.
    CalleeSha = "callee.sha",
    /// The deployment environment.
    Environment = "environment",
    /// Whether the platform protects the environment.
    EnvironmentProtected = "environment.protected",
    /// Whose machine it is, in the platform's word.
    RunnerKind = "runner.kind",
    /// The machine.
    RunnerId = "runner.id",
    /// The cluster.
    ClusterId = "cluster.id",
    /// The queue.
    QueueId = "queue.id",
    /// The cloud account or project, by id.
    AccountId = "account.id",
    /// The cloud role.
    Role = "role",
    /// The service account, by an id that a new account of the same name does not get.
    ServiceAccountId = "service_account.id",
    /// The service account, by name.
    ServiceAccountName = "service_account.name",
    /// The virtual machine or node.
    InstanceId = "instance.id",
    /// The workload: a pod, a function, a SPIFFE id.
    WorkloadUid = "workload.uid",
    /// The person, by id.
    UserId = "user.id",
    /// The person, as shown.
    UserName = "user.name",
    /// The groups of the person or job.
    Groups = "groups",
    /// The roles or scopes that an administrator gave.
    Roles = "roles",
    /// When the person last authenticated, in unix seconds.
    AuthTime = "auth_time",
    /// The application that asked for the token.
    ClientId = "client.id",
    /// The run.
    RunId = "run.id",
    /// The job within the run.
    JobId = "job.id",
    /// Which attempt of the run it is.
    Attempt = "attempt",
    /// The token's own id.
    TokenId = "token.id",
    /// When the token was issued, in unix seconds.
    TokenIssued = "token.issued",
    /// When the token stops counting here, in unix seconds.
    TokenExpires = "token.expires",
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Fact {
    type Err = UnknownFactError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().find(|fact| fact.as_str() == text).copied().ok_or(UnknownFactError)
    }
}

/// A name that is no fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no fact has this name")]
pub struct UnknownFactError;

impl UnknownFactError {
    /// `unknown_fact`.
    pub const fn code(self) -> &'static str {
        "unknown_fact"
    }
}

/// The value of a fact. Its type is part of it: the text `1` is not the number 1.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum FactValue {
    /// A text, compared byte for byte unless a rule folds its case where the platform does.
    Text(Arc<str>),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// A set of texts.
    Set(BTreeSet<Arc<str>>),
}

impl FactValue {
    /// The type.
    pub const fn kind(&self) -> FactKind {
        match self {
            Self::Text(_) => FactKind::Text,
            Self::Integer(_) => FactKind::Integer,
            Self::Boolean(_) => FactKind::Boolean,
            Self::Set(_) => FactKind::Set,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

impl From<&str> for FactValue {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for FactValue {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for FactValue {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

/// As JSON would write it, on one line.
impl fmt::Display for FactValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{:?}", &**text),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Set(set) => f.debug_list().entries(set.iter().map(|text| &**text)).finish(),
        }
    }
}

/// The type of a fact's value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FactKind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A set of texts.
    Set,
}

impl FactKind {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::Set => "set",
        }
    }
}

/// How far a claim may be relied on, by who chooses its value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FactClass {
    /// A constant of the issuer or anchor.
    Fixed,
    /// An id that the platform never hands to someone else.
    Id,
    /// A name that can be given up and registered by someone else.
    Name,
    /// Said by the platform of each run.
    Context,
    /// Names one run, job or token.
    Run,
    /// Set by an administrator of the tenant.
    Admin,
    /// A moment.
    Time,
    /// Chosen or influenced by whoever writes the job.
    Caller,
    /// For people to read, never to decide on.
    Display,
}

impl FactClass {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Id => "id",
            Self::Name => "name",
            Self::Context => "context",
            Self::Run => "run",
            Self::Admin => "admin",
            Self::Time => "time",
            Self::Caller => "caller",
            Self::Display => "display",
        }
    }
}

/// How far whoever started the job is trusted. Writing hangs on it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TriggerClass {
    /// Someone who may change the trusted branches, a schedule, or a workload that an administrator set up.
    Trusted,
    /// Someone who need not be a member could have caused it: forks, pull requests, comments.
    Outsider,
    /// A person acts: a debug session, a job rerun with a shell, a login.
    HumanShell,
    /// The verified claims do not tell. An event that is not listed is unknown, never trusted.
    Unknown,
}

impl TriggerClass {
    /// Every class.
    pub const ALL: [Self; 4] = [Self::Trusted, Self::Outsider, Self::HumanShell, Self::Unknown];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Outsider => "outsider",
            Self::HumanShell => "human-shell",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for TriggerClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TriggerClass {
    type Err = UnknownFactError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|class| class.as_str() == text).ok_or(UnknownFactError)
    }
}

/// What is known of a fact. An allowing condition needs it known; a denying one fires on what is incomplete.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Knowledge<'a> {
    /// The verified claims say so.
    Known(Cow<'a, FactValue>),
    /// The verified claims say nothing.
    Absent,
    /// The verified claims say that there is more than they tell: truncated, or ambiguous.
    Incomplete,
}

/// The facts that one token's verified claims give. Only verification makes them.
#[derive(Clone, Debug)]
pub struct Facts {
    anchor: Name,
    platform: Platform,
    states: BTreeMap<Fact, State>,
    trigger: TriggerClass,
    lane: Option<Lane>,
    token: Option<Arc<VerifiedJws>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    Known(FactValue),
    Incomplete,
}

impl Facts {
    /// Nothing is known but who vouches; nothing may be written.
    pub(crate) fn new(anchor: &Name, platform: Platform) -> Self {
        let mut facts = Self {
            anchor: anchor.clone(),
            platform,
            states: BTreeMap::new(),
            trigger: TriggerClass::Unknown,
            lane: None,
            token: None,
        };
        facts.know(Fact::Anchor, anchor.as_str());
        facts.know(Fact::Platform, platform.as_str());
        facts.set_trigger(TriggerClass::Unknown);
        facts
    }

    /// The claims themselves, so that a rule can name one by pointer.
    pub(crate) fn set_token(&mut self, token: VerifiedJws) {
        self.token = Some(Arc::new(token));
    }

    /// A fact is known.
    pub(crate) fn know(&mut self, fact: Fact, value: impl Into<FactValue>) {
        self.states.insert(fact, State::Known(value.into()));
    }

    /// There is more to a fact than the claims tell.
    pub(crate) fn incomplete(&mut self, fact: Fact) {
        self.states.insert(fact, State::Incomplete);
    }

    /// Nothing is known of a fact.
    #[cfg(test)]
    pub(crate) fn forget(&mut self, fact: Fact) {
        self.states.remove(&fact);
    }

    pub(crate) fn set_trigger(&mut self, trigger: TriggerClass) {
        self.trigger = trigger;
        self.know(Fact::TriggerClass, trigger.as_str());
    }

    pub(crate) fn set_lane(&mut self, lane: Option<Lane>) {
        self.lane = lane;
    }

    /// The anchor that vouches.
    pub fn anchor(&self) -> &Name {
        &self.anchor
    }

    /// The platform.
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// What is known of a fact.
    pub fn get(&self, fact: Fact) -> Knowledge<'_> {
        match self.states.get(&fact) {
            Some(State::Known(value)) => Knowledge::Known(Cow::Borrowed(value)),
            Some(State::Incomplete) => Knowledge::Incomplete,
            None => Knowledge::Absent,
        }
    }

    /// The text that a fact is known to be.
    pub fn text(&self, fact: Fact) -> Option<&str> {
        match self.states.get(&fact) {
            Some(State::Known(value)) => value.as_text(),
            _ => None,
        }
    }

    /// The truth value that a fact is known to have.
    pub fn boolean(&self, fact: Fact) -> Option<bool> {
        match self.states.get(&fact) {
            Some(State::Known(FactValue::Boolean(value))) => Some(*value),
            _ => None,
        }
    }

    /// The facts that are not absent, in the order of the vocabulary.
    pub fn iter(&self) -> impl Iterator<Item = (Fact, Knowledge<'_>)> {
        self.states.keys().map(|fact| (*fact, self.get(*fact)))
    }

    /// A claim by its name, or by a JSON pointer (RFC 6901) where it begins with `/`. What is neither a text, a whole
    /// number, a truth value nor a list of texts is incomplete: `null`, an object, a fraction.
    pub fn claim(&self, pointer: &str) -> Knowledge<'_> {
        let Some(claims) = self.token.as_ref().and_then(|token| token.claims().ok()) else {
            return Knowledge::Absent;
        };
        match find_claim(claims, pointer) {
            Ok(None) => Knowledge::Absent,
            Ok(Some(value)) => {
                to_value(&value).map_or(Knowledge::Incomplete, |value| Knowledge::Known(Cow::Owned(value)))
            }
            Err(NotAnObject) => Knowledge::Incomplete,
        }
    }

    /// How far whoever started the job is trusted.
    pub fn trigger(&self) -> TriggerClass {
        self.trigger
    }

    /// The lane that the verified facts themselves support: `branch/<repository>/<name>` or
    /// `pull/<repository>/<number>`.
    pub fn lane(&self) -> Option<&Lane> {
        self.lane.as_ref()
    }

    /// Whether a rule may let the job write in `lane`, whatever the rule says: a trusted trigger in any lane, a
    /// person of a directory in `dev`, and everyone in the lane that the verified facts support. Forks, pull
    /// requests, outsiders and shells never write where trusted jobs read.
    pub fn may_write(&self, lane: &Lane) -> bool {
        if self.lane.as_ref() == Some(lane) {
            return true;
        }
        match self.trigger {
            // Another branch's or another repository's lane is never his, however trusted he is.
            TriggerClass::Trusted => lane.source().is_none(),
            TriggerClass::HumanShell => self.platform.is_directory() && *lane == Lane::dev(),
            TriggerClass::Outsider | TriggerClass::Unknown => false,
        }
    }
}

/// A pointer leads through something that is no object.
pub(crate) struct NotAnObject;

/// A member by name, or by a JSON pointer through objects where `pointer` begins with `/`.
pub(crate) fn find_claim<'a>(
    claims: Claims<'a>,
    pointer: &str,
) -> Result<Option<ClaimValue<'a>>, NotAnObject> {
    let Some(path) = pointer.strip_prefix('/') else {
        return Ok(claims.get(pointer));
    };
    let mut value = ClaimValue::Object(claims);
    for segment in path.split('/') {
        let ClaimValue::Object(object) = value else { return Err(NotAnObject) };
        let name = segment.replace("~1", "/").replace("~0", "~");
        match object.get(&name) {
            None => return Ok(None),
            Some(found) => value = found,
        }
    }
    Ok(Some(value))
}

/// The value of a claim as a fact has it; `None` for what no fact can be.
pub(crate) fn to_value(value: &ClaimValue<'_>) -> Option<FactValue> {
    match value {
        ClaimValue::Text(text) => Some(FactValue::Text(text.as_ref().into())),
        ClaimValue::Integer(number) => Some(FactValue::Integer(*number)),
        ClaimValue::Bool(value) => Some(FactValue::Boolean(*value)),
        ClaimValue::List(list) => to_set(*list).map(FactValue::Set),
        ClaimValue::Null | ClaimValue::Number(_) | ClaimValue::Object(_) => None,
    }
}

pub(crate) fn to_set(list: cachegate_jwt::ClaimList<'_>) -> Option<BTreeSet<Arc<str>>> {
    list.iter()
        .map(|element| if let ClaimValue::Text(text) = element { Some(text.as_ref().into()) } else { None })
        .collect()
}
