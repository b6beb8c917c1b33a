//! `policy lint` and `policy test`: trust rules on trial, on this machine alone.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use cachegate_federation::{
    Anchor, AnchorBuilder, Ask, Federation, Matched, Refusal, RuleBuilder, RulesDocument, Severity,
    lint as findings_of,
};
use cachegate_jwt::KeySet;
use cachegate_types::{OrganizationId, Timestamp, WorkspaceId};
use serde::Deserialize;
use serde_json::json;

use crate::cli::PolicyTest;
use crate::context::{Context, now, read_token};
use crate::failure::{Failed, Status};
use crate::show::{
    GREEN, RED, YELLOW, count, harmless, harmless_lines, note, pairs, print, print_json, styled,
};

/// What is read of a file; a server's configuration holds more, which is none of this command's business.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    anchors: Vec<AnchorBuilder>,
    #[serde(flatten)]
    rest: BTreeMap<String, toml::Value>,
}

/// Anchors and rules, and what the ids in the rules stand for.
struct Loaded {
    federation: Federation,
    document: RulesDocument,
    names: Names,
}

/// Made-up ids for names: no server is asked.
#[derive(Default)]
struct Names(RefCell<BTreeMap<String, String>>);

impl Names {
    fn keep(&self, id: String, name: String) {
        self.0.borrow_mut().insert(id, name);
    }

    fn seed(text: &str) -> [u8; 10] {
        // FNV-1a: one name, one id; nothing depends on more.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in text.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let [a, b, c, d, e, f, g, h] = hash.to_be_bytes();
        [a, b, c, d, e, f, g, h, 0, 0]
    }

    fn name_of(&self, id: &str) -> String {
        self.0.borrow().get(id).cloned().unwrap_or_else(|| id.to_owned())
    }

    fn resolve(&self, rule: RuleBuilder) -> Result<RuleBuilder, Failed> {
        let resolved = rule.resolve(
            |name| {
                let id = OrganizationId::new(Timestamp::from(0), Self::seed(name));
                self.keep(id.to_string(), name.to_owned());
                Some(id)
            },
            |organization, name| {
                let id = WorkspaceId::new(Timestamp::from(0), Self::seed(&format!("{organization}/{name}")));
                self.keep(id.to_string(), name.to_owned());
                Some(id)
            },
        );
        resolved.map_err(|error| wrong(&error.to_string()))
    }
}

fn wrong(what: &str) -> Failed {
    Failed::new(Status::Usage, "rules", what, "mend the file")
}

fn load(path: &Path) -> Result<Loaded, Failed> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failed::usage(format!("`{}` could not be read: {error}", path.display()), "check its name")
    })?;
    let not_rules = |error: toml::de::Error| {
        // Its own words quote the line, and whoever names the wrong file may have named a secret.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        wrong(&format!("`{}`, line {line}: {}", path.display(), error.message()))
    };
    let mut file: File = toml::from_str(&text).map_err(not_rules)?;
    let mut document = toml::Table::new();
    for key in ["selection", "rules"] {
        if let Some(value) = file.rest.remove(key) {
            document.insert(key.to_owned(), value);
        }
    }
    let mut document: RulesDocument = document.try_into().map_err(not_rules)?;
    if file.anchors.is_empty() {
        return Err(wrong(&format!(
            "`{}` has no `[[anchors]]`: nobody may vouch for anything",
            path.display()
        )));
    }
    let anchors: Result<Vec<Anchor>, _> = file.anchors.into_iter().map(AnchorBuilder::build).collect();
    let federation = anchors.and_then(Federation::new).map_err(|error| wrong(&error.to_string()))?;
    let names = Names::default();
    document.rules = document.rules.into_iter().map(|rule| names.resolve(rule)).collect::<Result<_, _>>()?;
    Ok(Loaded { federation, document, names })
}

pub(super) fn lint(context: &Context, path: &Path) -> Result<(), Failed> {
    let Loaded { federation, document, .. } = load(path)?;
    let findings = findings_of(&federation, &document);
    if context.global.json {
        print_json(&findings)?;
    } else {
        for finding in &findings {
            let style = match finding.severity {
                Severity::Error => RED,
                Severity::Warning => YELLOW,
                Severity::Notice => anstyle::Style::new(),
            };
            print(&format!("{}\n", styled(style, &harmless(&finding.to_string()))))?;
        }
        if findings.is_empty() {
            let (rules, anchors) = (document.rules.len(), federation.anchors().count());
            let counted = format!("{}, {}", count(rules, "rule"), count(anchors, "anchor"));
            print(&format!("{}: {counted}\n", styled(GREEN, "nothing found")))?;
        }
    }
    match findings.iter().any(|finding| finding.severity > Severity::Notice) {
        true => Err(Failed::new(Status::Found, "findings", "", "")),
        false => Ok(()),
    }
}

pub(super) fn test(context: &Context, test: &PolicyTest) -> Result<(), Failed> {
    let Loaded { federation, document, names } = load(&test.rules)?;
    let rules = document.build(&federation).map_err(|error| wrong(&error.to_string()))?;
    let keys = std::fs::read(&test.keys).map_err(|error| {
        Failed::usage(format!("`{}` could not be read: {error}", test.keys.display()), "check its name")
    })?;
    let keys = Arc::new(KeySet::from_jwks(&keys).map_err(|error| {
        Failed::usage(format!("`{}`: {error}", test.keys.display()), "give it the issuer's JWKS")
    })?);
    let at = match test.at {
        None => now(),
        Some(seconds) => Timestamp::from_unix_seconds(seconds)
            .map_err(|error| Failed::usage(error.to_string(), "give unix seconds"))?,
    };
    let token = read_token(&test.identity)?;
    let verified = match federation.verify(token.expose_secret(), |_| Ok(keys), at) {
        Ok(verified) => verified,
        Err(refusal) => return Err(refused(&refusal)),
    };
    let evaluation = rules.evaluate(&verified, &Ask::default());
    if let (Some(trial), false) = (&evaluation.trial, context.global.json) {
        note(&match trial {
            Ok(matched) => format!("with the rules on trial in force: `{}` would grant", matched.rule_name),
            Err(refusal) => format!("with the rules on trial in force: refused, {refusal}"),
        });
    }
    match evaluation.outcome {
        Ok(matched) => earned(context, &names, &matched),
        Err(refusal) => {
            if !context.global.json {
                let explained = rules.explain(&verified.facts).to_string();
                print(&format!("{}\n", harmless_lines(&explained)))?;
            }
            Err(refused(&refusal))
        }
    }
}

fn earned(context: &Context, names: &Names, matched: &Matched) -> Result<(), Failed> {
    let organization = names.name_of(&matched.organization.to_string());
    let workspace = matched.workspace.map(|id| names.name_of(&id.to_string()));
    let warnings: Vec<String> = matched.warnings.iter().map(ToString::to_string).collect();
    if context.global.json {
        return print_json(&json!({
            "rule": matched.rule_name.as_str(),
            "organization": organization,
            "workspace": workspace,
            "actions": matched.actions.iter().map(|action| action.as_str()).collect::<Vec<_>>(),
            "lane": matched.lane.to_string(),
            "seconds": matched.ttl.as_secs(),
            "warnings": warnings,
        }));
    }
    let place = workspace
        .map_or_else(|| format!("{organization}, all workspaces"), |name| format!("{organization}/{name}"));
    print(&pairs(&[
        ("rule", matched.rule_name.to_string()),
        ("where", harmless(&place)),
        ("may", matched.actions.to_string()),
        ("lane", harmless(&matched.lane.to_string())),
        ("for", crate::show::span(matched.ttl)),
    ]))?;
    for warning in warnings {
        note(&format!("{} {}", styled(YELLOW, "warning:"), harmless(&warning)));
    }
    Ok(())
}

fn refused(refusal: &Refusal) -> Failed {
    let what = format!(
        "refused at the step {}: {}; expected: {}",
        refusal.step(),
        harmless(&refusal.to_string()),
        harmless(refusal.expected())
    );
    Failed::new(Status::Refused, refusal.code(), what, harmless(refusal.hint()))
}
