#![doc = include_str!("../README.md")]

mod anchor;
mod facts;
mod federation;
mod keys;
mod lint;
mod platform;
mod refusal;
mod rule;

pub use anchor::{
    Anchor, AnchorBuilder, AnchorError, AudienceMode, Issuer, IssuerTemplate, KeySource, Keys, Mode, Status,
    Tenancy, TrustDomain,
};
pub use facts::{Fact, FactClass, FactKind, FactValue, Facts, Knowledge, TriggerClass, UnknownFactError};
pub use federation::{Federation, TokenKey, Verified};
pub use keys::{AnchorKeys, KeyTimes, KeysError, RefreshError};
pub use lint::{Finding, Severity, lint, lint_tenant, lint_with};
pub use platform::{FactSpec, Platform, UnsupportedPlatformError};
pub use refusal::{Refusal, Step};
pub use rule::{
    Ask, CheckExplanation, CompileCondition, Condition, ConditionError, Effect, Evaluation, Explanation,
    GrantPlan, LaneChoice, Matched, NoConditions, PatternError, Pin, ReferenceKind, RuleBuilder, RuleError,
    RuleExplanation, RuleSet, RuleSetError, RulesDocument, Selection, Tenant, TenantBuilder, TenantError,
    Tenants, Test, TrustRule, Truth, UntrustedReads, Warning, When, Within,
};

/// How the issuers of Azure DevOps begin.
const AZURE_DEVOPS: &str = "https://vstoken.dev.azure.com/";
