//! The platforms whose tokens are read: one file for each, all of the same shape.

mod aws_sts;
mod bitbucket_pipelines;
mod buildkite;
mod circleci;
mod entra_id;
mod github_actions;
mod gitlab_ci;
mod google_compute_engine;
mod kubernetes;
mod okta;
mod reading;
mod semaphore;
mod spiffe_jwt_svid;

use std::fmt;
use std::str::FromStr;

use cachegate_jwt::Algorithm;

pub(crate) use reading::Reading;

use crate::{Fact, FactClass, FactKind, Mode, Refusal};

/// A platform that signs tokens for its workloads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Platform {
    /// GitHub Actions: github.com, an enterprise's issuer, a data-residency host, or an Enterprise Server.
    GithubActions,
    /// GitLab CI: gitlab.com or an instance of one's own.
    GitlabCi,
    /// Semaphore.
    Semaphore,
    /// Buildkite.
    Buildkite,
    /// AWS Security Token Service: `GetWebIdentityToken`.
    AwsSts,
    /// Google Compute Engine's metadata server.
    GoogleComputeEngine,
    /// Microsoft Entra ID.
    EntraId,
    /// Okta.
    Okta,
    /// CircleCI.
    Circleci,
    /// The service accounts of a Kubernetes cluster.
    Kubernetes,
    /// Bitbucket Pipelines.
    BitbucketPipelines,
    /// SPIFFE JWT-SVIDs of one trust domain.
    SpiffeJwtSvid,
}

impl Platform {
    /// Every platform.
    pub const ALL: [Self; 12] = [
        Self::GithubActions,
        Self::GitlabCi,
        Self::Semaphore,
        Self::Buildkite,
        Self::AwsSts,
        Self::GoogleComputeEngine,
        Self::EntraId,
        Self::Okta,
        Self::Circleci,
        Self::Kubernetes,
        Self::BitbucketPipelines,
        Self::SpiffeJwtSvid,
    ];

    pub(crate) const fn profile(self) -> &'static Profile {
        match self {
            Self::GithubActions => &github_actions::PROFILE,
            Self::GitlabCi => &gitlab_ci::PROFILE,
            Self::Semaphore => &semaphore::PROFILE,
            Self::Buildkite => &buildkite::PROFILE,
            Self::AwsSts => &aws_sts::PROFILE,
            Self::GoogleComputeEngine => &google_compute_engine::PROFILE,
            Self::EntraId => &entra_id::PROFILE,
            Self::Okta => &okta::PROFILE,
            Self::Circleci => &circleci::PROFILE,
            Self::Kubernetes => &kubernetes::PROFILE,
            Self::BitbucketPipelines => &bitbucket_pipelines::PROFILE,
            Self::SpiffeJwtSvid => &spiffe_jwt_svid::PROFILE,
        }
    }

    /// The stable name, as documents write it.
    pub const fn as_str(self) -> &'static str {
        self.profile().name
    }

    /// The name that people use.
    pub const fn title(self) -> &'static str {
        self.profile().title
    }

    /// The facts that the platform's claims can give, each with its source.
    pub const fn facts(self) -> &'static [FactSpec] {
        self.profile().facts
    }

    /// Where a fact comes from, if the platform can give it.
    pub fn fact(self, fact: Fact) -> Option<&'static FactSpec> {
        self.facts().iter().find(|spec| spec.fact == fact)
    }

    /// How far a claim may be relied on, if the platform is known to send it. Nested claims go by their outermost
    /// member's name, or by a pointer that is listed.
    pub fn claim_class(self, claim: &str) -> Option<FactClass> {
        let known = |(name, _): &&(&str, FactClass)| match name.strip_suffix('*') {
            Some(prefix) => claim.starts_with(prefix),
            None => *name == claim,
        };
        self.profile().claims.iter().find(known).map(|(_, class)| *class)
    }

    /// The sets of facts of which a rule on an issuer that several tenants share must pin one whole.
    pub const fn pin_sets(self) -> &'static [&'static [Fact]] {
        self.profile().pin_sets
    }

    /// The facts that a rule must hold to a value before it lets a job into a shared lane, because no claim tells by
    /// itself whether they are the tenant's own.
    pub const fn write_conditions(self) -> &'static [Fact] {
        self.profile().write_conditions
    }

    /// Whether the platform treats two texts as one that differ in the case of letters alone.
    pub fn folds_case(self, fact: Fact) -> bool {
        self.profile().folded.contains(&fact)
    }

    /// Whether people log in here, beside workloads.
    pub const fn is_directory(self) -> bool {
        matches!(self, Self::EntraId | Self::Okta)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Platform {
    type Err = UnsupportedPlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|platform| platform.as_str() == text).ok_or(UnsupportedPlatformError)
    }
}

/// A platform whose tokens are not taken. Azure DevOps is one by decision: the audience of its tokens is fixed to
/// another service, so whoever accepts them holds tokens that can be replayed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unsupported platform")]
pub struct UnsupportedPlatformError;

impl UnsupportedPlatformError {
    /// `unsupported_platform`.
    pub const fn code(self) -> &'static str {
        "unsupported_platform"
    }
}

/// Where a platform's fact comes from and how far it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct FactSpec {
    /// The fact.
    pub fact: Fact,
    /// How far it may be relied on.
    pub class: FactClass,
    /// The claim, or a JSON pointer to it. Where it is derived from several, the one that decides.
    pub claim: &'static str,
    /// What the caller does to have it in the token, where that takes doing.
    pub ask: Option<&'static str>,
    pub(crate) shape: Shape,
}

impl FactSpec {
    /// The type of the fact's value.
    pub const fn kind(&self) -> FactKind {
        match self.shape {
            Shape::Text | Shape::Digits | Shape::Nullable => FactKind::Text,
            Shape::Integer => FactKind::Integer,
            Shape::TextualBoolean => FactKind::Boolean,
            Shape::List => FactKind::Set,
            Shape::Derived(kind) => kind,
        }
    }

    const fn asked_by(mut self, ask: &'static str) -> Self {
        self.ask = Some(ask);
        self
    }
}

/// What a claim must look like. Another type is refused, never taken for absence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// A text; the empty one says nothing.
    Text,
    /// A text of decimal digits.
    Digits,
    /// A text, or `null`, which says nothing.
    Nullable,
    /// A whole number.
    Integer,
    /// `"true"` or `"false"`.
    TextualBoolean,
    /// A list of texts.
    List,
    /// Made by the platform's own reader.
    Derived(FactKind),
}

const fn spec(fact: Fact, class: FactClass, shape: Shape, claim: &'static str) -> FactSpec {
    FactSpec { fact, class, claim, ask: None, shape }
}

const fn text(fact: Fact, class: FactClass, claim: &'static str) -> FactSpec {
    spec(fact, class, Shape::Text, claim)
}

const fn digits(fact: Fact, class: FactClass, claim: &'static str) -> FactSpec {
    spec(fact, class, Shape::Digits, claim)
}

const fn derived(fact: Fact, class: FactClass, claim: &'static str) -> FactSpec {
    spec(fact, class, Shape::Derived(FactKind::Text), claim)
}

/// The same for every platform: who vouches, what is derived, when.
macro_rules! common_facts {
    ($token:literal, $($own:expr,)*) => {
        &[
            $crate::platform::derived($crate::Fact::Anchor, $crate::FactClass::Fixed, "iss"),
            $crate::platform::derived($crate::Fact::Platform, $crate::FactClass::Fixed, "iss"),
            $crate::platform::derived($crate::Fact::TokenId, $crate::FactClass::Run, $token),
            $crate::platform::moment($crate::Fact::TokenIssued, "iat"),
            $crate::platform::moment($crate::Fact::TokenExpires, "exp"),
            $($own,)*
        ]
    };
}
use common_facts;

const fn moment(fact: Fact, claim: &'static str) -> FactSpec {
    spec(fact, FactClass::Time, Shape::Derived(FactKind::Integer), claim)
}

/// What is constant about a platform.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// What its tokens are signed with, unless an anchor says otherwise.
    pub(crate) algorithms: &'static [Algorithm],
    /// `typ`, unless an anchor says otherwise.
    pub(crate) types: &'static [&'static str],
    /// Whether tokens without `typ` are the platform's.
    pub(crate) type_optional: bool,
    pub(crate) issued_at_optional: bool,
    /// Whether a header has `alg`, `kid` and `typ` at most.
    pub(crate) bare_header: bool,
    /// The longest time between `iat` and `exp` in exchange mode, in seconds, unless an anchor says otherwise.
    pub(crate) max_lifetime: u64,
    pub(crate) mode: Mode,
    /// The claim that names the token.
    pub(crate) token_id: &'static str,
    /// The claims that it is known to send; one that ends in `*` stands for all that begin so.
    pub(crate) claims: &'static [(&'static str, FactClass)],
    pub(crate) facts: &'static [FactSpec],
    /// The ids that every token of the platform has: one without is refused, whatever a rule asks.
    pub(crate) always: &'static [Fact],
    pub(crate) pin_sets: &'static [&'static [Fact]],
    pub(crate) write_conditions: &'static [Fact],
    pub(crate) folded: &'static [Fact],
    /// The ids of which a principal is composed.
    pub(crate) principal: &'static [Fact],
    /// So many groups, and there may be more that are not listed.
    pub(crate) group_cap: Option<usize>,
    /// Whether several tenants share this issuer, or its name can come to be another tenant's.
    pub(crate) is_shared: fn(&str) -> bool,
    /// The tenant that an issuer's text names, and the fact that must say the same.
    pub(crate) tenant: fn(&str) -> Option<&str>,
    pub(crate) tenant_fact: Fact,
    /// The tenant that the claims name, held against what the issuer's text names.
    pub(crate) tenant_said: fn(&Reading<'_>) -> Result<Option<String>, Refusal>,
    /// The claim that says when the token was meant to end, where that is earlier than `exp`.
    pub(crate) intended_end: Option<&'static str>,
    /// Whether the platform gives this audience to whoever asks for none: a token with it is good everywhere.
    pub(crate) is_default_audience: fn(&str) -> bool,
    /// How the caller asks for an audience.
    pub(crate) audience_hint: &'static str,
    /// Derives facts, checks that ids agree, and concludes on trigger and lane.
    pub(crate) read: fn(&mut Reading<'_>) -> Result<(), Refusal>,
}

/// What stands between a prefix and a suffix, if it is one segment.
fn between<'a>(text: &'a str, prefix: &str, suffix: &str) -> Option<&'a str> {
    let middle = text.strip_prefix(prefix)?.strip_suffix(suffix)?;
    (!middle.is_empty() && !middle.contains('/')).then_some(middle)
}
