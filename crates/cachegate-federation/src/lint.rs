//! What is dangerous or useless in anchors and rules, found when they are loaded and not when they are abused.

use std::collections::BTreeMap;
use std::fmt;

use cachegate_types::{AccessLevel, Name, OrganizationId};
use serde::Serialize;

use crate::rule::{About, Atom, Matcher, NoConditions, id_beside};
use crate::{
    Anchor, AudienceMode, CompileCondition, Effect, Fact, FactClass, Federation, LaneChoice, Mode,
    RuleBuilder, RuleSet, RulesDocument, Selection, Status, Tenants, TrustRule, Truth, UntrustedReads,
};

/// One thing that an operator should change or know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// A stable name in snake case.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The anchor that it is about.
    pub anchor: Option<Name>,
    /// The rule that it is about.
    pub rule: Option<Name>,
    /// What can go wrong.
    pub danger: String,
    /// What to write instead.
    pub instead: String,
}

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// Someone may come to have what was not meant for them.
    Warning,
    /// The rules cannot be loaded.
    Error,
}

impl Severity {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Finding {
    /// A rule that cannot be loaded, for this reason.
    pub fn error(rule: &Name, code: &'static str, text: &str) -> Self {
        // The finding names the rule itself.
        let text = text.strip_prefix(&format!("rule `{rule}`: ")).unwrap_or(text);
        Self {
            code,
            severity: Severity::Error,
            anchor: None,
            rule: Some(rule.clone()),
            danger: text.to_owned(),
            instead: "nothing is loaded until this is put right".to_owned(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.severity.as_str(), self.code)?;
        if let Some(anchor) = &self.anchor {
            write!(f, " anchor `{anchor}`")?;
        }
        if let Some(rule) = &self.rule {
            write!(f, " rule `{rule}`")?;
        }
        write!(f, ": {}; {}", self.danger, self.instead)
    }
}

/// Everything that is dangerous, useless or wrong, the worst first. Empty means that nothing of what is listed here
/// was found, and no more than that.
pub fn lint(federation: &Federation, document: &RulesDocument) -> Vec<Finding> {
    lint_with(federation, document, &NoConditions)
}

/// The same for rules with conditions of an embedder's own.
pub fn lint_with(
    federation: &Federation,
    document: &RulesDocument,
    compiler: &dyn CompileCondition,
) -> Vec<Finding> {
    let mut findings = Findings::default();
    findings.anchors(federation);
    let mut rules = Vec::new();
    for builder in &document.rules {
        let one = RulesDocument { selection: Selection::ByName, rules: vec![builder.clone()] };
        match one.build_with(federation, compiler) {
            Ok(set) => rules.extend(set.rules().iter().cloned()),
            Err(error) => findings.error(builder.name(), error.code(), &error.to_string()),
        }
    }
    if let Err(error) = RuleSet::new(rules.clone(), document.selection) {
        findings.error(error.rule(), error.code(), &error.to_string());
    }
    let live: Vec<&TrustRule> = rules.iter().filter(|rule| rule.status() != Status::Disabled).collect();
    for rule in &live {
        findings.rule(rule, federation);
        for other in live.iter().filter(|other| other.id() != rule.id()) {
            findings.pair(rule, other, document.selection);
        }
    }
    findings.0.sort_by(|one, another| {
        let place = |finding: &Finding| (finding.anchor.clone(), finding.rule.clone(), finding.code);
        another.severity.cmp(&one.severity).then_with(|| place(one).cmp(&place(another)))
    });
    findings.0
}

/// What concerns the rules that an organization's administrators write, each bound to its tenant and held against
/// those that the operator configured for the organization. What concerns the operator's own is not theirs to know.
pub fn lint_tenant(
    federation: &Federation,
    tenants: &Tenants,
    organization: OrganizationId,
    configured: &RuleSet,
    rules: &[RuleBuilder],
) -> Vec<Finding> {
    let mut unbound = Vec::new();
    let mut together: Vec<RuleBuilder> = configured
        .rules()
        .iter()
        .filter(|rule| rule.organization() == organization)
        .map(|rule| rule.document().clone())
        .collect();
    for rule in rules {
        match tenants.bind(organization, rule.clone()) {
            Ok(bound) => together.push(bound),
            Err(error) => unbound.push(Finding::error(rule.name(), error.code(), &error.to_string())),
        }
    }
    let document = RulesDocument { selection: configured.selection(), rules: together };
    let written = |name: &Name| rules.iter().any(|rule| rule.name() == name);
    // Those that are configured make no tie among themselves: they are in force.
    let concerns = |found: &Finding| found.rule.as_ref().is_some_and(written) || found.code == "rule_tie";
    unbound.extend(lint(federation, &document).into_iter().filter(concerns));
    unbound
}

#[derive(Default)]
struct Findings(Vec<Finding>);

/// Audiences of other services that take foreign tokens: one that is for them was not asked for this cache.
const FOREIGN_AUDIENCES: [&str; 5] =
    ["sts.amazonaws.com", "api://AzureADTokenExchange", "sigstore", "pypi", "vault"];

const HOUR: u64 = 60 * 60;

impl Findings {
    fn anchor(
        &mut self,
        severity: Severity,
        code: &'static str,
        anchor: &Anchor,
        danger: &str,
        instead: &str,
    ) {
        self.0.push(Finding {
            code,
            severity,
            anchor: Some(anchor.id().clone()),
            rule: None,
            danger: danger.to_owned(),
            instead: instead.to_owned(),
        });
    }

    fn found(
        &mut self,
        severity: Severity,
        code: &'static str,
        rule: &TrustRule,
        danger: &str,
        instead: &str,
    ) {
        self.0.push(Finding {
            code,
            severity,
            anchor: None,
            rule: Some(rule.name().clone()),
            danger: danger.to_owned(),
            instead: instead.to_owned(),
        });
    }

    fn error(&mut self, rule: &Name, code: &'static str, text: &str) {
        self.0.push(Finding::error(rule, code, text));
    }

    fn anchors(&mut self, federation: &Federation) {
        use Severity::{Notice, Warning};
        let mut issuers = BTreeMap::<(bool, &str), Vec<&Anchor>>::new();
        for anchor in federation.anchors() {
            let is_domain = anchor.platform() == crate::Platform::SpiffeJwtSvid;
            for issuer in anchor.accepted().keys() {
                issuers.entry((is_domain, issuer)).or_default().push(anchor);
            }
            if anchor.max_lifetime().as_secs() > HOUR {
                self.anchor(
                    Warning,
                    "long_lifetime",
                    anchor,
                    "a token that leaks is good for longer than an hour",
                    "let `max_lifetime` be at most 3600, and give the jobs shorter tokens",
                );
            } else if anchor.mode() == Mode::Direct && anchor.max_lifetime() > Anchor::DEFAULT_DIRECT_LIFETIME
            {
                self.anchor(
                    Notice,
                    "long_lifetime",
                    anchor,
                    "a token that is used directly can be used again by whoever sees it",
                    "let `max_lifetime` be at most 900, or let tokens be exchanged",
                );
            }
            if anchor.audience_mode() == AudienceMode::Contains {
                self.anchor(
                    Warning,
                    "further_audiences",
                    anchor,
                    "whoever else a token is for can present it here",
                    "let jobs ask for a token for this service alone, and let `audience_mode` be `sole`",
                );
            }
            if anchor.audiences().iter().any(|audience| FOREIGN_AUDIENCES.contains(&audience.as_str())) {
                self.anchor(
                    Warning,
                    "foreign_audience",
                    anchor,
                    "this is the audience of another service: its tokens can be replayed here, and ours there",
                    "let the audience be the address of this service",
                );
            }
        }
        for anchors in issuers.values().filter(|anchors| anchors.len() > 1) {
            for anchor in anchors {
                self.anchor(
                    Warning,
                    "shared_issuer_string",
                    anchor,
                    "another anchor takes the same issuer: a token alone does not tell which of them is meant",
                    "give each cluster an issuer of its own, or let callers name the anchor",
                );
            }
        }
    }

    fn rule(&mut self, rule: &TrustRule, federation: &Federation) {
        use Severity::{Notice, Warning};
        if rule.contradicts_itself() {
            self.found(
                Warning,
                "unreachable_rule",
                rule,
                "its conditions exclude each other: it never matches",
                "take the rule out, or write two",
            );
        }
        if federation.anchor(rule.anchor()).is_some_and(|anchor| anchor.status() == Status::Disabled) {
            self.found(
                Notice,
                "unreachable_rule",
                rule,
                "its anchor is disabled: it never matches",
                "take the rule out, or enable the anchor",
            );
        }
        match rule.effect() {
            Effect::Deny => self.denying(rule),
            Effect::Allow => {
                self.identity(rule);
                self.shape(rule);
                self.granting(rule);
            }
        }
    }

    fn denying(&mut self, rule: &TrustRule) {
        let guarded = |about: &About| {
            rule.atoms().any(|atom| atom.about == *about && matches!(atom.matcher, Matcher::Presence(true)))
        };
        for atom in conditions(rule).filter(|atom| !matches!(atom.matcher, Matcher::Presence(_))) {
            if is_callers(rule, &atom.about) && !guarded(&atom.about) {
                self.found(
                    Severity::Notice,
                    "deny_fires_on_silence",
                    rule,
                    &format!("it also refuses every token that does not say {}", atom.about),
                    "if that is not meant, add a condition that it is `present`",
                );
            }
        }
    }

    /// Who is meant.
    fn identity(&mut self, rule: &TrustRule) {
        use Severity::{Notice, Warning};
        let pinned = |fact: Fact| rule.pins().iter().any(|pin| pin.about == About::Fact(fact));
        for atom in conditions(rule) {
            let class = class_of(rule, &atom.about);
            if class == Some(FactClass::Display) {
                self.found(
                    Warning,
                    "display_condition",
                    rule,
                    &format!("{} is for people to read: who it belongs to can change", atom.about),
                    "decide on an id, a role or a context fact",
                );
            }
            if class == Some(FactClass::Name) {
                let id = atom.about.fact().and_then(id_beside);
                let id = id.filter(|id| rule.platform().fact(*id).is_some());
                if id.map_or(rule.pins().is_empty(), |id| !pinned(id)) {
                    let instead = match id {
                        Some(id) => format!("pin `{id}`, and give the name as the pin's `name`"),
                        None => "pin an immutable id as well".to_owned(),
                    };
                    self.found(
                        Warning,
                        "name_without_id",
                        rule,
                        &format!("{} can be given up and registered by somebody else", atom.about),
                        &instead,
                    );
                }
            }
            if is_subject(&atom.about) {
                let wild = atom.matcher.has_wildcard();
                self.found(
                    if wild { Warning } else { Notice },
                    if wild { "subject_pattern" } else { "subject_condition" },
                    rule,
                    "`sub` is a display format: tenants can change its shape, and parts of it are the caller's text",
                    "decide on the separate facts, such as `repo.id` and `ref`",
                );
            }
        }
        let mut all = conditions(rule).peekable();
        let some = all.peek().is_some();
        if some
            && all.all(|atom| {
                is_callers(rule, &atom.about) || class_of(rule, &atom.about) == Some(FactClass::Display)
            })
        {
            self.found(
                Warning,
                "caller_conditions_only",
                rule,
                "whoever writes the job chooses everything that it is asked for",
                "add a condition on what the platform says by itself, such as `trigger.class` or `ref`",
            );
        }
        for atom in conditions(rule) {
            if matches!(atom.matcher, Matcher::Presence(false)) && is_callers(rule, &atom.about) {
                self.found(
                    Warning,
                    "absence_chosen",
                    rule,
                    &format!("the caller decides whether the token says {}", atom.about),
                    "ask for a known value",
                );
            }
        }
    }

    /// Patterns and references.
    fn shape(&mut self, rule: &TrustRule) {
        use Severity::{Notice, Warning};
        let about = |fact: Fact| rule.atoms().any(|atom| atom.about == About::Fact(fact));
        for atom in conditions(rule) {
            let Matcher::Pattern { pattern, .. } = &atom.matcher else { continue };
            let in_repository = match atom.about.fact() {
                Some(Fact::RepoName | Fact::OwnerName | Fact::TenantName) => atom.matcher.has_wildcard(),
                Some(Fact::WorkflowPath | Fact::CalleePath) => pattern.wildcards().iter().any(|at| *at < 2),
                _ => false,
            };
            if in_repository {
                self.found(
                    Warning,
                    "wildcard_repository",
                    rule,
                    &format!(
                        "the wildcard in {} admits every repository there, those to come included",
                        atom.about
                    ),
                    "pin the repositories by `repo.id`, one rule for each",
                );
            }
        }
        if about(Fact::RefName) && !about(Fact::RefKind) && !about(Fact::RefFull) {
            self.found(
                Warning,
                "ref_without_kind",
                rule,
                "a tag can be called as a branch is, and needs other rights to be made",
                "write `ref = { kind = \"branch\", name = ... }`",
            );
        }
        let protected = rule.atoms().any(|atom| {
            atom.about == About::Fact(Fact::EnvironmentProtected)
                && atom.matcher.evaluate(&crate::Knowledge::Known(std::borrow::Cow::Owned(true.into())))
                    == Truth::True
                && atom.matcher.finite().is_some()
        });
        if about(Fact::Environment) && !protected {
            let tells = rule.platform().fact(Fact::EnvironmentProtected).is_some();
            self.found(
                if tells { Warning } else { Notice },
                "unprotected_environment",
                rule,
                "whoever writes the job chooses its environment, unless the platform protects it",
                if tells {
                    "add the condition `environment.protected` = true"
                } else {
                    "protect the environment at the platform, and add conditions on `trigger.class` and `ref`"
                },
            );
        }
    }

    /// What is given.
    fn granting(&mut self, rule: &TrustRule) {
        use Severity::{Notice, Warning};
        let Some(plan) = rule.grant() else { return };
        let about = |fact: Fact| rule.atoms().any(|atom| atom.about == About::Fact(fact));
        let shared = plan.choice().is_some_and(LaneChoice::is_shared);
        let tells = rule.platform().fact(Fact::TriggerClass).is_some();
        if plan.writes() && shared && tells && !about(Fact::TriggerClass) && !about(Fact::Event) {
            self.found(
                Warning,
                "write_without_trigger",
                rule,
                "it is also chosen for jobs that an outsider can start, which are then refused with no other rule asked",
                "add the condition `trigger.class` = \"trusted\", and a rule with the lane `verified` for the rest",
            );
        }
        let never_trusted = rule.atoms().any(|atom| {
            let trusted = crate::Knowledge::Known(std::borrow::Cow::Owned("trusted".into()));
            atom.about == About::Fact(Fact::TriggerClass) && atom.matcher.evaluate(&trusted) != Truth::True
        });
        let directory = rule.platform().is_directory() && plan.choice() == Some(LaneChoice::Dev);
        if shared && never_trusted && !directory {
            self.found(
                Warning,
                "unreachable_rule",
                rule,
                "it takes jobs that are never let into a shared lane: it never grants",
                "give the lane `verified`",
            );
        }
        if plan.reads_base() && rule.platform().fact(Fact::SameRepo).is_none() {
            self.found(
                Notice,
                "base_never_known",
                rule,
                &format!(
                    "no claim of {} tells that a pull request comes from the same repository: `base` adds nothing",
                    rule.platform().title()
                ),
                "take `base` out: pull requests read the shared lanes above their own without it",
            );
        }
        if plan.level() == AccessLevel::None && !plan.publishes() {
            self.found(
                Notice,
                "grants_nothing",
                rule,
                "its level allows nothing",
                "give a level, or write a denying rule",
            );
        }
        let reads = plan.level() >= AccessLevel::ReadOnly;
        if reads && plan.choice() == Some(LaneChoice::Pull) && plan.reads() == UntrustedReads::AsAnonymous {
            self.found(
                Notice,
                "reads_as_anonymous",
                rule,
                "pull requests read no more than anonymous requests, their own lane included",
                "if they should read the cache, write `untrusted_reads = \"granted\"`",
            );
        }
    }

    /// What `other` does to `rule`.
    fn pair(&mut self, rule: &TrustRule, other: &TrustRule, selection: Selection) {
        if rule.effect() == Effect::Deny || !rule.overlaps(other) || rule.anchor() != other.anchor() {
            return;
        }
        let covers = other.workspace().is_none() || other.workspace() == rule.workspace();
        let wins = match other.effect() {
            Effect::Deny => true,
            Effect::Allow => selection == Selection::Search && other.specificity() > rule.specificity(),
        };
        let enforced = other.status() == Status::Enforce;
        if covers && wins && enforced && rule.implies(other) {
            self.found(
                Severity::Warning,
                "shadowed_rule",
                rule,
                &format!("whenever it matches, the rule `{}` does too, and prevails", other.name()),
                "take it out, or narrow the other",
            );
            return;
        }
        let less = match (rule.grant(), other.grant()) {
            (Some(more), Some(less)) => more.gives_more_than(less),
            _ => false,
        };
        if less && wins && enforced && !rule.excludes(other) {
            self.found(
                Severity::Notice,
                "narrower_gives_less",
                rule,
                &format!(
                    "the rule `{}` is narrower and gives less: a job that differs a little gets this one",
                    other.name()
                ),
                "exclude its jobs here with `none_of`, or write it as a denying rule",
            );
        }
    }
}

/// What a rule asks for beside its pins.
fn conditions(rule: &TrustRule) -> impl Iterator<Item = &Atom> {
    rule.conditions().iter().flat_map(|when| when.atoms())
}

fn class_of(rule: &TrustRule, about: &About) -> Option<FactClass> {
    match about {
        About::Fact(fact) => rule.platform().fact(*fact).map(|spec| spec.class),
        About::Claim(pointer) => {
            let outermost = pointer.strip_prefix('/').map(|path| path.split('/').next().unwrap_or(path));
            let outermost = outermost.map(|name| name.replace("~1", "/").replace("~0", "~"));
            let platform = rule.platform();
            platform.claim_class(pointer).or_else(|| platform.claim_class(outermost.as_deref()?))
        }
    }
}

/// Whether the caller chooses what the token says of it, or whether it says anything.
fn is_callers(rule: &TrustRule, about: &About) -> bool {
    let asked =
        about.fact().and_then(|fact| rule.platform().fact(fact)).is_some_and(|spec| spec.ask.is_some());
    asked || class_of(rule, about) == Some(FactClass::Caller)
}

fn is_subject(about: &About) -> bool {
    matches!(about, About::Claim(pointer) if matches!(pointer.as_str(), "sub" | "/sub" | "sub127"))
}
