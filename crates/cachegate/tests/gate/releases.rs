//! Releases: who publishes them, what a requirement resolves to, and who reads what they need.
#![expect(clippy::expect_used, clippy::panic, reason = "a step that fails is a failed test")]

use std::time::Duration;

use cachegate::{
    Authentication, Authority, CLOSURE_TOKEN_LIFE, DeviceAccess, IssueError, Issued, ManageError,
    NotAdmitted, OutputSpec, PersonalForm, PublishError, ReleaseSpec, Request, ResolveError, StoredEntry,
    Verdict,
};
use cachegate_policy::{Listed, ListedParty, LockScope};
use cachegate_storage::{MarkScope, ReleaseRecord, TokenKind};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{
    AccessLevel, Action, ActionSet, Description, EntryKey, Lane, Resource, Restriction, Role, SecretText,
    Timestamp, UserId, Version, VersionRequirement,
};

const OPERATOR: Authority<'_> = Authority::Operator;
const BODY: [u8; 32] = [0xb0; 32];

fn later(seconds: u32) -> Timestamp {
    (NOW + seconds).into()
}

fn key(text: &str) -> EntryKey {
    EntryKey::new(text.as_bytes()).expect("a key")
}

fn version(text: &str) -> Version {
    text.parse().expect("a version")
}

fn requirement(text: &str) -> VersionRequirement {
    text.parse().expect("a requirement")
}

/// The label of an entry that whoever holds this token wrote.
async fn write(scene: &Scene, token: &SecretText, entry: &str) -> Vec<u8> {
    let Verdict::Allowed(allowed) = scene.ask(Some(token), Action::Write, entry).await else {
        panic!("not allowed to write")
    };
    let ticket = allowed.ticket(key(entry)).expect("a ticket");
    scene.gate.seal(&ticket, &BODY, 7, NOW.into()).await.expect("a label")
}

/// Publishes a version with entries that a job of the trunk wrote.
async fn publish(
    scene: &Scene,
    by: &Authority<'_>,
    release: &str,
    closure: &[&str],
) -> Result<ReleaseRecord, PublishError> {
    let token = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
    publish_of(scene, by, &token, release, closure).await
}

async fn publish_of(
    scene: &Scene,
    by: &Authority<'_>,
    writer: &SecretText,
    release: &str,
    closure: &[&str],
) -> Result<ReleaseRecord, PublishError> {
    let mut stored = Vec::new();
    for entry in closure {
        stored.push((key(entry), write(scene, writer, entry).await));
    }
    let (entry, label) = (key("output"), write(scene, writer, "output").await);
    let of = |(key, label)| StoredEntry { key, label, digest: &BODY };
    let needed: Vec<_> = stored.iter().map(|(key, label)| of((key, label.as_slice()))).collect();
    let output = (!closure.is_empty()).then(|| OutputSpec { name: "out", closure: &needed });
    let spec = ReleaseSpec {
        workspace: scene.workspace,
        version: &version(release),
        entry: of((&entry, label.as_slice())),
        outputs: output.as_slice(),
    };
    scene.gate.publish_release(by, &spec, NOW.into()).await
}

async fn published(scene: &Scene, releases: &[&str]) {
    for release in releases {
        publish(scene, &OPERATOR, release, &["output", "needed"]).await.expect("published");
    }
}

async fn resolve_only(scene: &Scene, bound: &str, reads_closures: bool) -> Issued {
    let access = DeviceAccess::ResolveOnly {
        workspace: scene.workspace,
        requirement: requirement(bound),
        reads_closures,
    };
    scene.device(access).await
}

async fn resolve(scene: &Scene, who: &Authentication, asked: &str) -> Result<String, ResolveError> {
    let found = scene.gate.resolve(who, scene.workspace, &requirement(asked), NOW.into()).await?;
    Ok(found.version.to_string())
}

async fn closure(
    scene: &Scene,
    who: &Authentication,
    asked: &str,
    life: Option<Duration>,
) -> Result<(ReleaseRecord, Issued), ResolveError> {
    scene.gate.resolve_closure(who, scene.workspace, &requirement(asked), None, life, NOW.into()).await
}

/// The answer about an entry, with the evidence that the gate itself has.
async fn code(scene: &Scene, who: &Authentication, action: Action, entry: &str) -> &'static str {
    let resource = scene.gate.entry(who, scene.workspace, key(entry)).await.expect("evidence");
    scene.gate.authorize(who, &Request::new(action, &resource), NOW.into()).await.code()
}

/// A member whom the workspace lists as a publisher, and a personal token that publishes.
async fn publisher(scene: &Scene) -> (UserId, SecretText) {
    let publishes = AccessLevel::ReadWrite.actions().union(ActionSet::of(&[Action::Publish]));
    let (user, token) = scene.person(Role::Member, publishes).await;
    let listed = [Listed { party: ListedParty::User(user), actions: publishes }];
    scene.gate.set_listed(&OPERATOR, scene.workspace, &listed, NOW.into()).await.expect("listed");
    (user, token)
}

#[test]
fn publish_is_in_no_level_and_in_no_role() {
    block_on(async {
        let scene = Scene::new().await;
        let administrator = scene.administrator().await;
        let ci = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let ci = scene.authenticate(&ci).await;
        let device = scene.device(DeviceAccess::Normal).await.token;
        let device = scene.authenticate(&device).await;
        for who in [&administrator, &ci, &device] {
            let answer = publish(&scene, &Authority::Of(who), "1.0.0", &[]).await;
            assert!(matches!(answer, Err(PublishError::Refused(ManageError::Denied { .. }))), "{answer:?}");
        }
        let (_, publisher) = publisher(&scene).await;
        let who = scene.authenticate(&publisher).await;
        let release = publish(&scene, &Authority::Of(&who), "1.0.0", &[]).await.expect("published");
        assert_eq!((release.lane, release.digest), (Lane::main(), BODY));
        // It yanks too; nobody else does.
        let yank = async |who: &Authentication| {
            let by = Authority::Of(who);
            scene.gate.yank_release(&by, scene.workspace, &version("1.0.0"), NOW.into()).await
        };
        assert!(matches!(yank(&administrator).await, Err(ManageError::Denied { .. })));
        assert!(yank(&who).await.is_ok());
    });
}

#[test]
fn a_release_never_changes() {
    block_on(async {
        let scene = Scene::new().await;
        published(&scene, &["1.0.0"]).await;
        let again = publish(&scene, &OPERATOR, "1.0.0", &[]).await;
        assert!(
            matches!(again, Err(PublishError::Refused(ManageError::Exists { what: "release" }))),
            "{again:?}"
        );
    });
}

#[test]
fn a_release_names_an_admitted_entry_of_main_or_above() {
    block_on(async {
        let scene = Scene::new().await;
        let (_, publisher) = publisher(&scene).await;
        let who = scene.authenticate(&publisher).await;
        let by = Authority::Of(&who);
        // A member's own machine writes `dev`: its owner reads it, and no release relies on it.
        let answer = publish_of(&scene, &by, &publisher, "1.0.0", &[]).await;
        match answer {
            Err(PublishError::LessTrusted { lane, .. }) => assert_eq!(lane, Lane::dev()),
            other => panic!("{other:?}"),
        }
        // A pull request's is not even read.
        let pull = scene.ci_token(AccessLevel::ReadWrite, "pull/17".parse().expect("a lane")).await;
        for by in [&by, &OPERATOR] {
            match publish_of(&scene, by, &pull, "1.0.0", &[]).await {
                Err(PublishError::NotAdmitted { reason: NotAdmitted::AnotherLane { lane }, .. }) => {
                    assert_eq!(lane.to_string(), "pull/17");
                }
                other => panic!("{other:?}"),
            }
        }
        // Other bytes than were sealed.
        let main = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let label = write(&scene, &main.token, "output").await;
        let entry = StoredEntry { key: &key("output"), label: &label, digest: &[0xb1; 32] };
        let release = version("1.0.0");
        let spec = ReleaseSpec { workspace: scene.workspace, version: &release, entry, outputs: &[] };
        let answer = scene.gate.publish_release(&by, &spec, NOW.into()).await;
        assert!(
            matches!(answer, Err(PublishError::NotAdmitted { reason: NotAdmitted::AnotherBody, .. })),
            "{answer:?}"
        );
        // A writer who is distrusted.
        let entry = StoredEntry { digest: &BODY, ..entry };
        let spec = ReleaseSpec { entry, ..spec };
        let scope = MarkScope::Token(main.record.id);
        let mark = scene.gate.distrust(&OPERATOR, scope, Description::default(), NOW.into()).await;
        let (mark, _) = mark.expect("a mark");
        let answer = scene.gate.publish_release(&by, &spec, NOW.into()).await;
        assert!(
            matches!(answer, Err(PublishError::NotAdmitted { reason: NotAdmitted::Distrusted { .. }, .. })),
            "{answer:?}"
        );
        scene.gate.trust_again(&OPERATOR, mark, NOW.into()).await.expect("trusted");
        assert!(scene.gate.publish_release(&by, &spec, NOW.into()).await.is_ok());
    });
}

#[test]
fn a_closure_holds_entries_of_the_releases_lane_or_above() {
    block_on(async {
        let scene = Scene::new().await;
        let main = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let shipped = scene.ci_token(AccessLevel::ReadWrite, Lane::release()).await;
        let (output, needed) = (key("output"), key("needed"));
        let release = version("1.0.0");
        let attempt = async |entry: &SecretText, other: &SecretText| {
            let labels = (write(&scene, entry, "output").await, write(&scene, other, "needed").await);
            let entry = StoredEntry { key: &output, label: &labels.0, digest: &BODY };
            let closure = [entry, StoredEntry { key: &needed, label: &labels.1, digest: &BODY }];
            let workspace = scene.workspace;
            let outputs = [OutputSpec { name: "out", closure: &closure }];
            let spec = ReleaseSpec { workspace, version: &release, entry, outputs: &outputs };
            scene.gate.publish_release(&OPERATOR, &spec, NOW.into()).await
        };
        match attempt(&shipped, &main).await {
            Err(PublishError::LessTrusted { key, lane, .. }) => {
                assert_eq!((key, lane), (needed.clone(), Lane::main()));
            }
            other => panic!("{other:?}"),
        }
        assert!(attempt(&main, &shipped).await.is_ok());
    });
}

#[test]
fn a_requirement_resolves_to_the_highest_release_that_satisfies_it() {
    block_on(async {
        let scene = Scene::new().await;
        published(
            &scene,
            &["0.1.9", "0.1.494976", "0.1.15", "0.2.0", "1.0.1", "1.0.2", "1.9.0", "2.0.0-pre"],
        )
        .await;
        let device = scene.device(DeviceAccess::Normal).await.token;
        let who = scene.authenticate(&device).await;
        for (asked, found) in [
            ("*", Some("1.9.0")),
            ("1.*", Some("1.9.0")),
            ("1.0.*", Some("1.0.2")),
            ("0.1", Some("0.1.494976")),
            ("0.1.1", Some("0.1.494976")),
            ("1.0.1", Some("1.9.0")),
            ("=0.1.15", Some("0.1.15")),
            ("=0.1.16", None),
            ("~1.0.1", Some("1.0.2")),
            (">=0.1.10, <0.2", Some("0.1.494976")),
            ("=2.0.0-pre", Some("2.0.0-pre")),
            ("3", None),
        ] {
            match (resolve(&scene, &who, asked).await, found) {
                (Ok(version), Some(found)) => assert_eq!(version, found, "{asked}"),
                (Err(ResolveError::NoRelease { .. }), None) => {}
                other => panic!("{asked}: {other:?}"),
            }
        }
    });
}

#[test]
fn a_withdrawn_release_stays_listed_and_is_resolved_by_nobody() {
    block_on(async {
        let scene = Scene::new().await;
        published(&scene, &["1.0.0", "1.1.0"]).await;
        let device = scene.device(DeviceAccess::Normal).await.token;
        let who = scene.authenticate(&device).await;
        assert_eq!(resolve(&scene, &who, "1").await.expect("resolved"), "1.1.0");
        let yanked = scene.gate.yank_release(&OPERATOR, scene.workspace, &version("1.1.0"), later(1)).await;
        assert!(yanked.is_ok());
        assert_eq!(resolve(&scene, &who, "1").await.expect("resolved"), "1.0.0");
        assert!(matches!(resolve(&scene, &who, "=1.1.0").await, Err(ResolveError::NoRelease { .. })));
        let by = Authority::Of(&who);
        let page = scene.gate.releases(&by, scene.workspace, None, 1, NOW.into()).await.expect("a page");
        assert_eq!((page.items.len(), &page.next), (1, &Some(version("1.0.0"))));
        let page = scene.gate.releases(&by, scene.workspace, page.next.as_ref(), 1, NOW.into()).await;
        let page = page.expect("a page");
        assert_eq!((page.items[0].yanked_at, page.next), (Some(later(1)), None));
    });
}

#[test]
fn a_resolve_only_token_resolves_within_its_requirement_and_learns_of_nothing_beyond() {
    block_on(async {
        let scene = Scene::new().await;
        published(&scene, &["0.1.1", "0.1.7", "0.2.0", "1.0.0"]).await;
        let token = resolve_only(&scene, "0.1", false).await.token;
        let who = scene.authenticate(&token).await;
        // What it may have of what it asks for.
        assert_eq!(resolve(&scene, &who, "*").await.expect("resolved"), "0.1.7");
        assert_eq!(resolve(&scene, &who, "=0.1.1").await.expect("resolved"), "0.1.1");
        // Whether there is one beyond looks as if there were none.
        let there = resolve(&scene, &who, "=1.0.0").await.expect_err("none").to_string();
        let nowhere = resolve(&scene, &who, "=1.0.1").await.expect_err("none").to_string();
        assert_eq!(there.replace("1.0.0", "1.0.1"), nowhere);
        let by = Authority::Of(&who);
        let page = scene.gate.releases(&by, scene.workspace, None, 9, NOW.into()).await.expect("a page");
        let listed: Vec<_> = page.items.iter().map(|release| release.version.to_string()).collect();
        assert_eq!(listed, ["0.1.1", "0.1.7"]);
        // Of another workspace nothing at all.
        let (_, elsewhere) = scene.elsewhere("other").await;
        let answer = scene.gate.resolve(&who, elsewhere, &requirement("*"), NOW.into()).await;
        assert!(matches!(answer, Err(ResolveError::Refused(_))), "{answer:?}");
    });
}

#[test]
fn whoever_may_not_resolve_is_told_why_and_each_question_leaves_one_record() {
    block_on(async {
        let scene = Scene::new().await;
        published(&scene, &["1.0.0"]).await;
        let nobody = scene.gate.authenticate(None, NOW.into()).await.expect("anonymous");
        let device = scene.device(DeviceAccess::Normal).await.token;
        let device = scene.authenticate(&device).await;
        scene.recorder.take();
        let refusal = |answer: Result<String, ResolveError>| match answer {
            Err(ResolveError::Refused(verdict)) => verdict.code(),
            other => panic!("{other:?}"),
        };
        assert_eq!(refusal(resolve(&scene, &nobody, "*").await), "action_not_granted");
        assert!(resolve(&scene, &device, "*").await.is_ok());
        assert!(resolve(&scene, &device, "=7.0.0").await.is_err());
        let scope = LockScope::Workspace(scene.workspace);
        let actions = ActionSet::of(&[Action::Resolve]);
        scene
            .gate
            .lock(&OPERATOR, scope, actions, None, Description::default(), NOW.into())
            .await
            .expect("locked");
        assert_eq!(refusal(resolve(&scene, &device, "*").await), "locked");
        let told: Vec<_> = scene.recorder.take().iter().map(|event| event.code).collect();
        assert_eq!(told, ["action_not_granted", "allowed", "allowed", "locked"]);
    });
}

#[test]
fn a_closure_token_reads_what_its_output_needs_and_nothing_of_another() {
    block_on(async {
        let scene = Scene::new().await;
        let writer = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let keys = ["release", "shared", "of lib", "of bin"].map(key);
        let mut labels = Vec::new();
        for name in ["release", "shared", "of lib", "of bin"] {
            labels.push(write(&scene, &writer, name).await);
        }
        let stored = |at: usize| StoredEntry { key: &keys[at], label: &labels[at], digest: &BODY };
        let (lib, bin) = ([stored(1), stored(2)], [stored(1), stored(3)]);
        let outputs = [OutputSpec { name: "lib", closure: &lib }, OutputSpec { name: "bin", closure: &bin }];
        let (workspace, release) = (scene.workspace, version("1.0.0"));
        let publish = async |outputs: &[OutputSpec<'_>]| {
            let spec = ReleaseSpec { workspace, version: &release, entry: stored(0), outputs };
            scene.gate.publish_release(&OPERATOR, &spec, NOW.into()).await
        };
        let long = "x".repeat(OutputSpec::LONGEST_NAME + 1);
        for wrong in ["", long.as_str(), "lib"] {
            let answer = publish(&[outputs[0], OutputSpec { name: wrong, closure: &bin }]).await;
            assert!(matches!(answer, Err(PublishError::OutputName)), "{wrong}: {answer:?}");
        }
        let record = publish(&outputs).await.expect("published");
        assert_eq!(record.closures.keys().map(|name| &**name).collect::<Vec<_>>(), ["bin", "lib"]);

        let source = resolve_only(&scene, "1", true).await;
        let who = scene.authenticate(&source.token).await;
        let asked = requirement("1");
        let reading = async |output: Option<&str>| {
            scene.gate.resolve_closure(&who, workspace, &asked, output, None, NOW.into()).await
        };
        for none in [None, Some("doc"), Some("")] {
            let answer = reading(none).await;
            assert!(matches!(answer, Err(ResolveError::NoClosure { outputs: 2, .. })), "{answer:?}");
        }
        for (output, own, other) in [("lib", "of lib", "of bin"), ("bin", "of bin", "of lib")] {
            let (_, issued) = reading(Some(output)).await.expect("a token");
            let reader = scene.authenticate(&issued.token).await;
            for (entry, expected) in [("shared", "allowed"), (own, "allowed"), (other, "restricted")] {
                assert_eq!(code(&scene, &reader, Action::Read, entry).await, expected, "{output}: {entry}");
            }
        }
    });
}

#[test]
fn a_closure_token_reads_exactly_its_releases_closure() {
    block_on(async {
        let scene = Scene::new().await;
        publish(&scene, &OPERATOR, "1.0.0", &["output", "one"]).await.expect("published");
        publish(&scene, &OPERATOR, "1.1.0", &["output", "two"]).await.expect("published");
        let source = resolve_only(&scene, "=1.0.0", true).await;
        let who = scene.authenticate(&source.token).await;
        assert_eq!(code(&scene, &who, Action::Read, "one").await, "restricted");
        let (release, issued) = closure(&scene, &who, "*", None).await.expect("a token");
        assert_eq!(release.version, version("1.0.0"));
        let record = &issued.record;
        assert_eq!((record.kind, record.workspace), (TokenKind::Closure, Some(scene.workspace)));
        assert_eq!(record.ancestors, [source.record.id]);
        let named = Restriction::Closure { workspace: scene.workspace, closure: release.closures["out"] };
        assert!(record.restrictions.contains(&named));
        assert_eq!(record.description.as_str(), "closure of release 1.0.0");
        let reader = scene.authenticate(&issued.token).await;
        for entry in ["output", "one"] {
            assert_eq!(code(&scene, &reader, Action::Read, entry).await, "allowed", "{entry}");
            assert_eq!(code(&scene, &reader, Action::Resolve, entry).await, "allowed", "{entry}");
            for action in [Action::Write, Action::Replace, Action::Delete, Action::Administer] {
                assert_ne!(code(&scene, &reader, action, entry).await, "allowed", "{entry} {action}");
            }
        }
        for entry in ["two", "other"] {
            assert_eq!(code(&scene, &reader, Action::Read, entry).await, "restricted", "{entry}");
        }
        // It resolves nothing, and nothing comes of it.
        assert!(matches!(resolve(&scene, &reader, "*").await, Err(ResolveError::NoRelease { .. })));
        let place = Resource::Workspace(scene.workspace);
        let answer = scene.gate.authorize(&reader, &Request::new(Action::Read, &place), NOW.into()).await;
        assert_eq!(answer.code(), "restricted");
        // It looks no lower than the release's lane.
        let resource = scene.gate.entry(&reader, scene.workspace, key("one")).await.expect("evidence");
        let answer = scene.gate.authorize(&reader, &Request::new(Action::Read, &resource), NOW.into()).await;
        let Verdict::Allowed(allowed) = answer else { panic!("not allowed") };
        let lanes: Vec<_> = allowed.read_lanes().map(Lane::to_string).collect();
        assert_eq!(lanes, ["main", "release"]);
    });
}

#[test]
fn only_the_right_in_its_record_or_reading_anyway_obtains_a_closure_token() {
    block_on(async {
        let scene = Scene::new().await;
        published(&scene, &["1.0.0"]).await;
        let token = resolve_only(&scene, "*", false).await.token;
        let who = scene.authenticate(&token).await;
        assert!(matches!(closure(&scene, &who, "*", None).await, Err(ResolveError::NotAReader)));
        // Nor does what came of one with the right.
        let source = resolve_only(&scene, "*", true).await.token;
        let who = scene.authenticate(&source).await;
        assert!(closure(&scene, &who, "*", None).await.is_ok());
        let session = scene.gate.exchange(&who, &cachegate::SessionSpec::default(), NOW.into()).await;
        let session = scene.authenticate(&session.expect("a session").token).await;
        assert!(matches!(closure(&scene, &session, "*", None).await, Err(ResolveError::NotAReader)));
        // Its successor has it.
        let id = who.token_id().expect("an id");
        let rotated = scene.gate.rotate(&OPERATOR, id, Duration::from_secs(60), None, NOW.into()).await;
        let rotated = scene.authenticate(&rotated.expect("a successor").token).await;
        assert!(closure(&scene, &rotated, "*", None).await.is_ok());
        // Who reads anyway.
        let (_, person) = scene.person(Role::Member, ActionSet::ALL).await;
        let readers = [
            scene.device(DeviceAccess::Normal).await.token,
            scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await,
            person,
        ];
        for token in &readers {
            let who = scene.authenticate(token).await;
            let (_, issued) = closure(&scene, &who, "*", None).await.expect("a token");
            let reader = scene.authenticate(&issued.token).await;
            assert_eq!(reader.principal(), who.principal());
            assert_eq!(code(&scene, &reader, Action::Read, "needed").await, "allowed");
            assert_eq!(code(&scene, &reader, Action::Read, "other").await, "restricted");
        }
        // Nobody has no token that one could come of.
        scene.settings(|settings| settings.anonymous = AccessLevel::ReadOnly).await;
        let nobody = scene.gate.authenticate(None, NOW.into()).await.expect("anonymous");
        let answer = closure(&scene, &nobody, "*", None).await;
        assert!(
            matches!(answer, Err(ResolveError::NotIssued(IssueError::NotExchanged { kind: "missing" }))),
            "{answer:?}"
        );
        // A release without a closure gives none.
        publish(&scene, &OPERATOR, "2.0.0", &[]).await.expect("published");
        let answer = closure(&scene, &who, "*", None).await;
        assert!(matches!(answer, Err(ResolveError::NoClosure { .. })), "{answer:?}");
    });
}

#[test]
fn a_closure_token_lives_minutes_and_never_longer_than_its_source() {
    block_on(async {
        let scene = Scene::new().await;
        published(&scene, &["1.0.0"]).await;
        let source = resolve_only(&scene, "*", true).await;
        let who = scene.authenticate(&source.token).await;
        let ends = async |who: &Authentication, life: Option<u64>| {
            let (_, issued) =
                closure(&scene, who, "*", life.map(Duration::from_secs)).await.expect("a token");
            issued.record.expires_at.expect("an end").since(NOW.into())
        };
        assert_eq!(ends(&who, None).await, CLOSURE_TOKEN_LIFE);
        assert_eq!(ends(&who, Some(60)).await, Duration::from_secs(60));
        assert_eq!(ends(&who, Some(86_400)).await, CLOSURE_TOKEN_LIFE);
        let spec =
            cachegate::TokenSpec::Device { organization: scene.organization, access: DeviceAccess::Normal };
        let short = scene.issue(&spec, Some(Duration::from_secs(90))).await;
        let who = scene.authenticate(&short.token).await;
        assert_eq!(ends(&who, None).await, Duration::from_secs(90));
    });
}

#[test]
fn a_closure_token_dies_with_its_source() {
    block_on(async {
        let scene = Scene::new().await;
        published(&scene, &["1.0.0"]).await;
        let source = resolve_only(&scene, "*", true).await;
        let who = scene.authenticate(&source.token).await;
        let (_, issued) = closure(&scene, &who, "*", None).await.expect("a token");
        let reader = scene.authenticate(&issued.token).await;
        assert_eq!(code(&scene, &reader, Action::Read, "needed").await, "allowed");
        scene.revoke(source.record.id).await;
        assert_eq!(code(&scene, &reader, Action::Read, "needed").await, "revoked");
        // A person's with their place in the organization.
        let (user, token) = scene.person(Role::Member, ActionSet::ALL).await;
        let who = scene.authenticate(&token).await;
        let (_, issued) = closure(&scene, &who, "*", None).await.expect("a token");
        let reader = scene.authenticate(&issued.token).await;
        assert_eq!(code(&scene, &reader, Action::Read, "needed").await, "allowed");
        scene.gate.remove_member(&OPERATOR, scene.organization, user, NOW.into()).await.expect("gone");
        assert_eq!(code(&scene, &reader, Action::Read, "needed").await, "not_a_member");
    });
}

#[test]
fn a_persons_closure_token_looks_no_lower_than_the_release() {
    block_on(async {
        let scene = Scene::new().await;
        published(&scene, &["1.0.0"]).await;
        let person = scene.personal(scene.owner, ActionSet::ALL, PersonalForm::Opaque).await.token;
        let who = scene.authenticate(&person).await;
        let (_, issued) = closure(&scene, &who, "*", None).await.expect("a token");
        let reader = scene.authenticate(&issued.token).await;
        let resource = scene.gate.entry(&reader, scene.workspace, key("needed")).await.expect("evidence");
        let answer = scene.gate.authorize(&reader, &Request::new(Action::Read, &resource), NOW.into()).await;
        let Verdict::Allowed(allowed) = answer else { panic!("not allowed") };
        let lanes: Vec<_> = allowed.read_lanes().map(Lane::to_string).collect();
        assert_eq!(
            lanes,
            ["release", "main"],
            "an entry of `dev` under a key of the closure is not the closure's"
        );
    });
}
