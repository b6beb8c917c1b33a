//! Which tenant of an issuer an organization is: what rules are bound to that its own administrators write.

use std::fmt;

use cachegate_types::{AccessLevel, Name, OrganizationId};
use serde::{Deserialize, Serialize};

use super::{GrantPlan, Pin, RuleBuilder, RuleError, TrustRule, Truth};
use crate::{Facts, Federation};

/// A tenant as a document has it: an organization, an anchor, and the ids by which the anchor's platform knows the
/// organization. Unknown keys are refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantBuilder {
    organization: String,
    anchor: Name,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pins: Vec<Pin>,
}

impl TenantBuilder {
    /// This organization, as this anchor's platform knows it by `pins`. None are needed where the issuer is the
    /// organization's alone.
    pub fn new(organization: OrganizationId, anchor: Name, pins: impl IntoIterator<Item = Pin>) -> Self {
        Self { organization: organization.to_string(), anchor, pins: pins.into_iter().collect() }
    }

    /// Replaces the organization's name by its id. What is an id already is left as it is.
    ///
    /// # Errors
    ///
    /// [`TenantError::Unknown`] for a name that the host does not know.
    pub fn resolve(
        self,
        organization: impl FnOnce(&str) -> Option<OrganizationId>,
    ) -> Result<Self, TenantError> {
        if self.organization.parse::<OrganizationId>().is_ok() {
            return Ok(self);
        }
        match organization(&self.organization) {
            Some(id) => Ok(Self { organization: id.to_string(), ..self }),
            None => Err(TenantError::Unknown { name: self.organization }),
        }
    }
}

/// The closed table of tenants: no token is of two organizations.
///
/// An operator writes it. It lets an organization's administrators write rules themselves and catch no job but their
/// own: each of their rules gets the pins of their tenant.
#[derive(Clone, Debug, Default)]
pub struct Tenants {
    tenants: Vec<Tenant>,
}

/// One organization at one anchor.
#[derive(Clone, Debug)]
pub struct Tenant {
    pins: Vec<Pin>,
    /// A rule that takes every token of the tenant, and is never asked for a right.
    all: TrustRule,
}

impl Tenant {
    /// The organization.
    pub fn organization(&self) -> OrganizationId {
        self.all.organization()
    }

    /// The anchor.
    pub fn anchor(&self) -> &Name {
        self.all.anchor()
    }

    /// The ids by which the anchor's platform knows the organization.
    pub fn pins(&self) -> &[Pin] {
        &self.pins
    }

    fn takes(&self, facts: &Facts) -> bool {
        let pins = || self.all.pins().iter();
        self.anchor() == facts.anchor() && pins().all(|pin| pin.evaluate(facts) == Truth::True)
    }
}

/// What a rule of the organization must pin, as an operator reads it: `owner.id` = `42`.
impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, pin) in self.pins.iter().enumerate() {
            let and = if at == 0 { "" } else { " and " };
            write!(f, "{and}`{}` = `{}`", pin.fact, pin.is.escape_debug())?;
        }
        if self.pins.is_empty() { f.write_str("every token of the anchor") } else { Ok(()) }
    }
}

/// Why tenants, or a rule of one, cannot be. Each says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TenantError {
    /// The host knows no such organization.
    #[error("the organization `{name}` is not known here: create it first, or write its UUID")]
    Unknown {
        /// What was written.
        name: String,
    },
    /// An anchor that nobody configured.
    #[error("no anchor is called `{anchor}`")]
    UnknownAnchor {
        /// What was written.
        anchor: Name,
    },
    /// The pins say nothing that holds.
    #[error("the tenant {organization} of the anchor `{anchor}`: {source}")]
    Pins {
        /// Whose.
        organization: String,
        /// Where.
        anchor: Name,
        /// Why.
        source: RuleError,
    },
    /// One token could be of two organizations.
    #[error(
        "a token of the anchor `{anchor}` could be of both organizations {one} and {another}: pin one fact to another \
         id for each"
    )]
    Overlap {
        /// Where.
        anchor: Name,
        /// The one.
        one: OrganizationId,
        /// The other.
        another: OrganizationId,
    },
    /// A rule of another organization.
    #[error("rule `{rule}` is not of this organization: write this one's name, or leave the rule out")]
    OtherOrganization {
        /// The rule.
        rule: Name,
    },
    /// A rule that chose its own id.
    #[error("rule `{rule}`: leave `id` out, it follows from the name")]
    IdGiven {
        /// The rule.
        rule: Name,
    },
    /// A rule for an issuer at which the organization is nobody.
    #[error(
        "rule `{rule}`: this organization has no tenant at the anchor `{anchor}`: whoever runs this service says in \
         its configuration (`tenants`) which ids there are yours"
    )]
    NotATenant {
        /// The rule.
        rule: Name,
        /// The anchor.
        anchor: Name,
    },
    /// A rule for jobs of somebody else.
    #[error("rule `{rule}` pins others than this organization, which is {expected} at the anchor `{anchor}`")]
    OtherTenant {
        /// The rule.
        rule: Name,
        /// The anchor.
        anchor: Name,
        /// What the organization is known by there.
        expected: String,
    },
    /// A rule that could be for several tenants of the organization.
    #[error("rule `{rule}`: this organization has several tenants at the anchor `{anchor}`: pin {expected}")]
    SeveralTenants {
        /// The rule.
        rule: Name,
        /// The anchor.
        anchor: Name,
        /// What each is known by.
        expected: String,
    },
}

impl TenantError {
    /// A stable name in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "tenant_unknown",
            Self::UnknownAnchor { .. } => "unknown_anchor",
            Self::Pins { source, .. } => source.code(),
            Self::Overlap { .. } => "tenant_overlap",
            Self::OtherOrganization { .. } => "rule_other_organization",
            Self::IdGiven { .. } => "rule_id_given",
            Self::NotATenant { .. } => "rule_not_a_tenant",
            Self::OtherTenant { .. } => "rule_other_tenant",
            Self::SeveralTenants { .. } => "rule_several_tenants",
        }
    }
}

impl Tenants {
    /// # Errors
    ///
    /// [`TenantError`] for an anchor that is not there, for pins that a rule could not have, and where one token could
    /// be of two organizations.
    pub fn new(
        tenants: impl IntoIterator<Item = TenantBuilder>,
        federation: &Federation,
    ) -> Result<Self, TenantError> {
        let build = |TenantBuilder { organization, anchor, pins }: TenantBuilder| {
            let Some(found) = federation.anchor(&anchor) else {
                return Err(TenantError::UnknownAnchor { anchor });
            };
            let Ok(id) = organization.parse() else {
                return Err(TenantError::Unknown { name: organization });
            };
            let nothing = GrantPlan::new(AccessLevel::ResolveOnly);
            let all = RuleBuilder {
                pins: pins.clone(),
                ..RuleBuilder::allow(anchor.clone(), anchor.clone(), id, nothing)
            };
            let all =
                all.build(found).map_err(|source| TenantError::Pins { organization, anchor, source })?;
            Ok(Tenant { pins, all })
        };
        let tenants = tenants.into_iter().map(build).collect::<Result<Vec<_>, _>>()?;
        for (at, one) in tenants.iter().enumerate() {
            let others =
                tenants.iter().skip(at + 1).filter(|another| another.organization() != one.organization());
            if let Some(another) = others.into_iter().find(|another| !one.all.excludes(&another.all)) {
                return Err(TenantError::Overlap {
                    anchor: one.anchor().clone(),
                    one: one.organization(),
                    another: another.organization(),
                });
            }
        }
        Ok(Self { tenants })
    }

    /// The organization that a verified token is of.
    pub fn organization_of(&self, facts: &Facts) -> Option<OrganizationId> {
        self.tenants.iter().find(|tenant| tenant.takes(facts)).map(Tenant::organization)
    }

    /// The tenants of one organization.
    pub fn of(&self, organization: OrganizationId) -> impl Iterator<Item = &Tenant> {
        self.tenants.iter().filter(move |tenant| tenant.organization() == organization)
    }

    /// Every organization that has a tenant, each once.
    pub fn organizations(&self) -> impl Iterator<Item = OrganizationId> {
        let ids: std::collections::BTreeSet<_> = self.tenants.iter().map(Tenant::organization).collect();
        ids.into_iter()
    }

    /// A rule that an administrator of the organization wrote, with the pins of their tenant added: whatever it asks
    /// beside, it takes no job of anybody else.
    ///
    /// # Errors
    ///
    /// [`TenantError`] for a rule that is not the organization's, or not for one of its tenants.
    pub fn bind(&self, organization: OrganizationId, rule: RuleBuilder) -> Result<RuleBuilder, TenantError> {
        let (name, anchor) = (rule.name.clone(), rule.anchor.clone());
        if rule.organization.parse() != Ok(organization) {
            return Err(TenantError::OtherOrganization { rule: name });
        }
        if rule.id.is_some() {
            return Err(TenantError::IdGiven { rule: name });
        }
        let here: Vec<&Tenant> = self.of(organization).filter(|tenant| *tenant.anchor() == anchor).collect();
        let expected = || {
            let each: Vec<String> = here.iter().map(ToString::to_string).collect();
            each.join(", or ")
        };
        let same = |own: &Pin, theirs: &Pin| own.fact != theirs.fact || own.is == theirs.is;
        let fits =
            |tenant: &&&Tenant| tenant.pins.iter().all(|own| rule.pins.iter().all(|pin| same(own, pin)));
        let mut fitting = here.iter().filter(fits);
        match (fitting.next(), fitting.next()) {
            _ if here.is_empty() => Err(TenantError::NotATenant { rule: name, anchor }),
            (None, _) => Err(TenantError::OtherTenant { rule: name, anchor, expected: expected() }),
            (Some(_), Some(_)) => {
                Err(TenantError::SeveralTenants { rule: name, anchor, expected: expected() })
            }
            (Some(tenant), None) => {
                let missing = |own: &&Pin| rule.pins.iter().all(|pin| pin.fact != own.fact);
                let added: Vec<Pin> = tenant.pins.iter().filter(missing).cloned().collect();
                Ok(RuleBuilder { pins: [added, rule.pins.clone()].concat(), ..rule })
            }
        }
    }
}
