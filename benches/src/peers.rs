//! What others do, each in its own best way: keys parsed before, policies built before.

use std::hint::black_box;

use cachegate_jwt::ring_provider;
use futures_util::FutureExt as _;
use gatehouse::{EvaluationSession, PermissionChecker, PolicyBuilder, PolicyDomain};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::Operation;
use crate::names::*;
use crate::world::{Platform, World};

pub(crate) fn operations(world: &World) -> Vec<Operation<'_>> {
    // Chosen once for the process; a second world finds it chosen.
    let _ = ring_provider().install_default();
    let [eddsa, es256, rs256] = &world.platform;
    vec![
        decodes(JSONWEBTOKEN_EDDSA, eddsa),
        decodes(JSONWEBTOKEN_ES256, es256),
        decodes(JSONWEBTOKEN_RS256, rs256),
        issues(world),
        refuses_long(eddsa),
        decides(GATEHOUSE_TEN, 10),
        decides(GATEHOUSE_ONE, 1),
        #[cfg(feature = "peers")]
        cedar_decides(),
    ]
}

/// The request made before, as ours is.
#[cfg(feature = "peers")]
fn cedar_decides() -> Operation<'static> {
    use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};

    let policies: String = (1..=10)
        .map(|number| {
            format!(
                "permit(principal == User::\"{number}\", action == Action::\"read\", resource == Entry::\"7\");\n"
            )
        })
        .collect();
    let policies: PolicySet = policies.parse().expect("policies");
    let uid = |text: &str| text.parse::<EntityUid>().expect("an entity");
    let (user, read, entry) = (uid("User::\"10\""), uid("Action::\"read\""), uid("Entry::\"7\""));
    let request = Request::new(user, read, entry, Context::empty(), None).expect("a request");
    let (authorizer, entities) = (Authorizer::new(), Entities::empty());
    Operation::new(CEDAR_TEN, move || {
        let response = authorizer.is_authorized(black_box(&request), &policies, &entities);
        response.decision() == Decision::Allow
    })
}

/// The claims of the platform's token.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    iat: u64,
    nbf: u64,
    jti: String,
    repository: String,
    repository_id: String,
    #[serde(rename = "ref")]
    reference: String,
    run_id: String,
    event_name: String,
    actor: String,
}

fn key_of(platform: &Platform) -> (DecodingKey, Validation) {
    use cachegate_jwt::Algorithm as Ours;

    let text = |name| platform.key_text(name);
    let (algorithm, key) = match platform.algorithm {
        Ours::EdDsa => (Algorithm::EdDSA, DecodingKey::from_ed_components(text("x"))),
        Ours::Es256 => (Algorithm::ES256, DecodingKey::from_ec_components(text("x"), text("y"))),
        _ => (Algorithm::RS256, DecodingKey::from_rsa_components(text("n"), text("e"))),
    };
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&["https://cache.example"]);
    validation.set_issuer(&["https://token.platform.example"]);
    // It reads the clock itself, and to it the token has long expired.
    validation.validate_exp = false;
    (key.expect("a key"), validation)
}

fn decodes<'a>(name: &'static str, platform: &'a Platform) -> Operation<'a> {
    let (key, validation) = key_of(platform);
    Operation::new(name, move || decode::<Claims>(black_box(&platform.token), &key, &validation).is_ok())
}

fn refuses_long(platform: &Platform) -> Operation<'_> {
    let (key, validation) = key_of(platform);
    let long = "a".repeat(16 * 1024);
    Operation::new(JSONWEBTOKEN_LONG, move || decode::<Claims>(black_box(&long), &key, &validation).is_err())
}

fn issues(world: &World) -> Operation<'_> {
    let key = EncodingKey::from_ed_der(world.issuing.key.to_pkcs8().expose_secret());
    let header = Header::new(Algorithm::EdDSA);
    let claims = Claims {
        iss: "https://cache.example".to_owned(),
        sub: "018bcfe5-6800-7000-8000-000000000001".to_owned(),
        aud: "https://cache.example".to_owned(),
        exp: 1_700_000_900,
        iat: 1_700_000_000,
        nbf: 1_700_000_000,
        jti: "07070707-0707-0707-0707-070707070707".to_owned(),
        repository: "acme/app".to_owned(),
        repository_id: "745284".to_owned(),
        reference: "refs/heads/main".to_owned(),
        run_id: "6554711".to_owned(),
        event_name: "push".to_owned(),
        actor: "ada".to_owned(),
    };
    Operation::new(JSONWEBTOKEN_ISSUE, move || encode(&header, black_box(&claims), &key).is_ok())
}

/// A question of which policies look at the subject and the resource.
#[derive(Debug)]
struct Reads;

impl PolicyDomain for Reads {
    type Subject = u32;
    type Action = ();
    type Resource = u32;
    type Context = ();
}

fn decides(name: &'static str, policies: u32) -> Operation<'static> {
    let mut checker = PermissionChecker::<Reads>::new();
    for policy in 1..=policies {
        let matches =
            move |subject: &u32, _: &(), resource: &u32, _: &()| *subject == policy && *resource == 7;
        checker.add_policy(PolicyBuilder::<Reads>::new(format!("grant {policy}")).when(matches).build());
    }
    Operation::new(name, move || {
        let session = EvaluationSession::empty();
        let bound = checker.bind(&session, black_box(&policies), &(), &());
        bound.check(&7).now_or_never().is_some_and(|evaluation| evaluation.is_granted())
    })
}
