//! Sessions: what an exchange gives, what a login gives, and when each ends.
#![expect(clippy::expect_used, reason = "a step that fails is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use cachegate::{
    Authentication, Authority, BuildError, Credential, DeviceAccess, Gate, IssueError, Issued, LoggedIn,
    PersonalForm, Request, SessionSpec, Verdict,
};
use cachegate_policy::ReadOnlyCiWrites;
use cachegate_storage::{MemoryStorage, TokenKind};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{
    AccessLevel, Action, ActionSet, EntryKey, Epoch, GrantSource, Lane, Resource, Restriction, Role,
    SecretText, Timestamp,
};

const MINUTE: Duration = Duration::from_secs(60);

fn later(seconds: u32) -> Timestamp {
    (NOW + seconds).into()
}

async fn exchange(scene: &Scene, token: &SecretText, spec: &SessionSpec) -> Result<Issued, IssueError> {
    let who = scene.authenticate(token).await;
    scene.gate.exchange(&who, spec, NOW.into()).await
}

async fn session(scene: &Scene, token: &SecretText) -> Issued {
    exchange(scene, token, &SessionSpec::default()).await.expect("a session")
}

async fn code_at(scene: &Scene, token: &SecretText, action: Action, seconds: u32) -> &'static str {
    scene.ask_at(Some(token), action, "key", later(seconds)).await.code()
}

/// The lanes that a token reads, and the one that it writes.
async fn lanes(scene: &Scene, token: &SecretText) -> (Vec<String>, Option<String>) {
    let Verdict::Allowed(read) = scene.ask(Some(token), Action::Read, "key").await else {
        return (Vec::new(), None);
    };
    let write = match scene.ask(Some(token), Action::Write, "key").await {
        Verdict::Allowed(write) => write.write_lane().map(Lane::to_string),
        _ => None,
    };
    (read.read_lanes().map(Lane::to_string).collect(), write)
}

fn code(error: IssueError) -> String {
    match error {
        IssueError::Refused(cachegate::ManageError::NotAuthenticated(reason)) => reason.code().to_owned(),
        other => other.to_string(),
    }
}

#[test]
fn a_session_may_do_what_its_credential_may_and_nothing_else() {
    block_on(async {
        let scene = Scene::new().await;
        let pull = "pull/7".parse::<Lane>().expect("a lane");
        let sources = [
            scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await,
            scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await,
            scene.ci_token(AccessLevel::ReadWrite, pull).await,
            scene.device(DeviceAccess::Normal).await.token,
            scene.personal(scene.owner, ActionSet::of(&[Action::Read]), PersonalForm::Jwt).await.token,
            scene.administrator.clone(),
        ];
        for source in sources {
            let exchanged = session(&scene, &source).await;
            assert_eq!(exchanged.record.kind, TokenKind::Session);
            let who = scene.authenticate(&exchanged.token).await;
            let of = scene.authenticate(&source).await;
            assert_eq!(who.principal(), of.principal());
            assert_eq!(lanes(&scene, &exchanged.token).await, lanes(&scene, &source).await);
            for action in Action::ALL {
                let (mine, theirs) =
                    (scene.code(&exchanged.token, action).await, scene.code(&source, action).await);
                assert_eq!(mine, theirs, "{action} by a session of {}", of.principal());
            }
        }
    });
}

#[test]
fn a_session_dies_with_what_it_was_exchanged_for() {
    block_on(async {
        let scene = Scene::new().await;
        let source = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let first = session(&scene, &source.token).await;
        let second = session(&scene, &first.token).await;
        assert_eq!(second.record.ancestors, [first.record.id, source.record.id]);
        assert_eq!(scene.code(&second.token, Action::Write).await, "allowed");
        scene.revoke(source.record.id).await;
        assert_eq!(scene.code(&first.token, Action::Write).await, "revoked");
        assert_eq!(scene.code(&second.token, Action::Write).await, "revoked");
    });
}

#[test]
fn a_session_lives_a_quarter_of_an_hour_or_what_was_asked_up_to_an_hour() {
    block_on(async {
        let scene = Scene::new().await;
        let source = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        for (asked, given) in [(None, 15), (Some(5), 5), (Some(60), 60), (Some(61), 60), (Some(100_000), 60)]
        {
            let spec = SessionSpec { life: asked.map(|minutes| MINUTE * minutes), ..SessionSpec::default() };
            let exchanged = exchange(&scene, &source, &spec).await.expect("a session");
            assert_eq!(exchanged.record.expires_at, Some(later(given * 60)), "{asked:?}");
            assert_eq!(code_at(&scene, &exchanged.token, Action::Read, given * 60 - 1).await, "allowed");
            assert_eq!(code_at(&scene, &exchanged.token, Action::Read, given * 60).await, "expired");
        }
    });
}

#[test]
fn a_session_ends_no_later_than_its_credential() {
    block_on(async {
        let scene = Scene::new().await;
        let (workspace, level) = (scene.workspace, AccessLevel::ReadOnly);
        let spec = cachegate::TokenSpec::Ci { workspace, level, lane: Lane::main() };
        let source = scene.issue(&spec, Some(MINUTE * 3)).await;
        let exchanged = session(&scene, &source.token).await;
        assert_eq!(exchanged.record.expires_at, source.record.expires_at);
        let of_it = session(&scene, &exchanged.token).await;
        assert_eq!(of_it.record.expires_at, source.record.expires_at);
    });
}

#[test]
fn what_a_session_is_cut_to_stays_cut_in_all_that_come_of_it() {
    block_on(async {
        let scene = Scene::new().await;
        let source = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let only = |actions: &[Action]| SessionSpec {
            restrictions: vec![Restriction::Actions(ActionSet::of(actions))],
            ..SessionSpec::default()
        };
        let reads = exchange(&scene, &source, &only(&[Action::Read])).await.expect("a session");
        assert_eq!(scene.code(&reads.token, Action::Read).await, "allowed");
        assert_eq!(scene.code(&reads.token, Action::Write).await, "restricted");
        let again = exchange(&scene, &reads.token, &only(&[Action::Read, Action::Write])).await;
        assert_eq!(scene.code(&again.expect("a session").token, Action::Write).await, "restricted");
        let more = exchange(&scene, &source, &only(&ActionSet::ALL.iter().collect::<Vec<_>>())).await;
        assert_eq!(scene.code(&more.expect("a session").token, Action::Delete).await, "action_not_granted");
    });
}

#[test]
fn the_workspace_named_beside_a_credential_binds_its_session() {
    block_on(async {
        let scene = Scene::new().await;
        let (_, elsewhere) = scene.elsewhere("other").await;
        let id = elsewhere.to_string();
        let fields = [
            ("nx-cloud-id", id.as_bytes()),
            ("nx-cloud-personal-access-token", scene.administrator.expose_secret().as_bytes()),
        ];
        let named = Credential::from_fields(fields, scene.gate.brand()).expect("a pair").expect("a pair");
        let who = scene.gate.authenticate(Some(&named), NOW.into()).await.expect("authenticated");
        let spec = SessionSpec::default();
        let exchanged = scene.gate.exchange(&who, &spec, NOW.into()).await.expect("a session");
        assert_ne!(scene.code(&exchanged.token, Action::Read).await, "allowed");
        assert_eq!(scene.code(&scene.administrator, Action::Read).await, "allowed");
    });
}

#[test]
fn only_a_session_of_a_read_only_ci_token_writes_a_lane_of_its_own_and_only_where_the_workspace_says_so() {
    block_on(async {
        let scene = Scene::new().await;
        let source = scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await;
        let before = session(&scene, &source).await;
        assert_eq!(lanes(&scene, &before.token).await.1, None);

        scene.settings(|settings| settings.read_only_ci_writes = ReadOnlyCiWrites::OwnLane).await;
        let (first, second) = (session(&scene, &source).await, session(&scene, &source).await);
        let own = |issued: &Issued| format!("own/{}", issued.record.id);
        for one in [&first, &second] {
            let (reads, writes) = lanes(&scene, &one.token).await;
            assert_eq!(writes, Some(own(one)));
            assert_eq!(reads, [&*own(one), "release", "main"], "its own lane and what is above, no other's");
        }
        assert_eq!(
            scene.code(&source, Action::Write).await,
            "action_not_granted",
            "a bare token proves no run"
        );
        assert_eq!(lanes(&scene, &before.token).await.1, None, "what was made before has no lane of its own");
        // Another class of token is not given more.
        let device = scene.device(DeviceAccess::Normal).await.token;
        assert_eq!(lanes(&scene, &session(&scene, &device).await.token).await.1, None);
        let writer = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        assert_eq!(lanes(&scene, &session(&scene, &writer).await.token).await.1.as_deref(), Some("main"));

        scene.settings(|settings| settings.read_only_ci_writes = ReadOnlyCiWrites::Refuse).await;
        assert_eq!(lanes(&scene, &first.token).await.1, None, "the setting decides at each use");
    });
}

#[test]
fn nobody_is_exchanged_for_nothing() {
    block_on(async {
        let scene = Scene::new().await;
        let nobody = scene.gate.authenticate(None, NOW.into()).await.expect("anonymous");
        let refused = scene.gate.exchange(&nobody, &SessionSpec::default(), NOW.into()).await;
        assert_eq!(code(refused.expect_err("refused")), "a missing token is not exchanged for a session");
    });
}

#[test]
fn the_fifth_in_a_line_is_refused() {
    block_on(async {
        let scene = Scene::new().await;
        let mut token = scene.ci_token(AccessLevel::ReadOnly, Lane::main()).await;
        for _ in 0..4 {
            token = session(&scene, &token).await.token;
        }
        let refused = exchange(&scene, &token, &SessionSpec::default()).await.expect_err("refused");
        assert!(matches!(refused, IssueError::Lineage), "{refused}");
    });
}

#[test]
fn what_a_node_remembers_never_suffices_to_exchange() {
    block_on(async {
        let scene = Scene::new().await;
        let source = scene.ci(AccessLevel::ReadWrite, Lane::main()).await;
        let (other, ..) = scene.other_node().await;
        let credential =
            Credential::parse(source.token.expose_secret(), other.brand()).expect("a credential");
        let who = other.authenticate(Some(&credential), NOW.into()).await.expect("authenticated");
        scene.revoke(source.record.id).await;
        let refused = other.exchange(&who, &SessionSpec::default(), NOW.into()).await.expect_err("refused");
        assert_eq!(code(refused), "revoked");
    });
}

#[test]
fn a_session_for_a_service_is_none_here() {
    block_on(async {
        let storage = Arc::new(MemoryStorage::new(Epoch(1)));
        let scene = Scene::set(storage, |builder| builder.services(&["https://deploy.example"])).await;
        let source = scene.ci_token(AccessLevel::ReadWrite, Lane::main()).await;
        let for_whom = |audience: &str| SessionSpec {
            audience: Some(audience.into()),
            life: Some(MINUTE * 60),
            ..SessionSpec::default()
        };
        let issued = exchange(&scene, &source, &for_whom("https://deploy.example")).await.expect("a session");
        assert_eq!(issued.record.expires_at, Some(later(15 * 60)), "a quarter of an hour at most");
        assert_eq!(
            scene.code(&issued.token, Action::Read).await,
            "unknown_issuer",
            "a plain JWT is none of ours"
        );
        let prefixed = SecretText::new(format!("cg1_{}", issued.token.expose_secret()));
        assert_eq!(scene.code(&prefixed, Action::Read).await, "audience_mismatch");
        let refused = exchange(&scene, &source, &for_whom("https://elsewhere.example")).await;
        assert!(matches!(refused, Err(IssueError::UnknownService)));
    });
}

#[test]
fn a_service_is_never_the_gate_itself() {
    block_on(async {
        for service in ["cachegate", "", "two words", "tab\t"] {
            let scene = Scene::new().await;
            let builder = Gate::builder(Arc::clone(&scene.storage), Arc::clone(&scene.vault));
            let built = builder.services(&[service]).build(NOW.into()).await;
            assert!(matches!(built, Err(BuildError::Service)), "{service:?}");
        }
    });
}

async fn log_in(scene: &Scene) -> LoggedIn {
    scene.gate.log_in(scene.owner, NOW.into()).await.expect("logged in")
}

async fn renew(scene: &Scene, refresh: &SecretText, seconds: u32) -> Result<LoggedIn, IssueError> {
    let credential = Credential::parse(refresh.expose_secret(), scene.gate.brand()).expect("a credential");
    scene.gate.renew(&credential, later(seconds)).await
}

#[test]
fn a_login_gives_a_session_that_its_refresh_token_renews() {
    block_on(async {
        let scene = Scene::new().await;
        let first = log_in(&scene).await;
        assert_eq!(scene.code(&first.session.token, Action::Read).await, "allowed");
        assert_eq!(code_at(&scene, &first.session.token, Action::Read, 15 * 60).await, "expired");
        let second = renew(&scene, &first.refresh.token, 20 * 60).await.expect("renewed");
        assert_eq!(code_at(&scene, &second.session.token, Action::Read, 20 * 60).await, "allowed");
        assert_ne!(second.refresh.token.expose_secret(), first.refresh.token.expose_secret());
        let record = scene.storage.token(second.session.record.id).await.expect("read").expect("kept");
        assert!(record.grants.iter().all(|grant| !matches!(grant.source, GrantSource::CiToken(_))));
    });
}

#[test]
fn a_refresh_token_is_no_credential() {
    block_on(async {
        let scene = Scene::new().await;
        let login = log_in(&scene).await;
        for action in Action::ALL {
            assert_eq!(scene.code(&login.refresh.token, action).await, "wrong_token_kind");
        }
        let personal = scene.administrator.clone();
        assert_eq!(code(renew(&scene, &personal, 0).await.expect_err("refused")), "wrong_token_kind");
        assert_eq!(
            code(renew(&scene, &login.session.token, 0).await.expect_err("refused")),
            "wrong_token_kind"
        );
    });
}

#[test]
fn a_refresh_token_shown_twice_ends_every_session_of_its_login_and_no_other() {
    block_on(async {
        let scene = Scene::new().await;
        let (login, other) = (log_in(&scene).await, log_in(&scene).await);
        let renewed = renew(&scene, &login.refresh.token, 60).await.expect("renewed");
        scene.recorder.take();
        let stolen = renew(&scene, &login.refresh.token, 61).await.expect_err("refused");
        assert_eq!(code(stolen), "revoked");
        let told: Vec<_> = scene.recorder.take().into_iter().map(|event| event.code).collect();
        assert_eq!(told, ["rotated_token_reused"]);
        assert_eq!(code(renew(&scene, &renewed.refresh.token, 62).await.expect_err("refused")), "revoked");
        for dead in [&login.session.token, &renewed.session.token] {
            assert_eq!(code_at(&scene, dead, Action::Read, 62).await, "revoked");
        }
        assert_eq!(code_at(&scene, &other.session.token, Action::Read, 62).await, "allowed");
        renew(&scene, &other.refresh.token, 63).await.expect("the other login goes on");
    });
}

#[test]
fn a_refresh_token_ends_after_thirty_days_without_use() {
    block_on(async {
        let scene = Scene::new().await;
        let login = log_in(&scene).await;
        let last = 30 * 24 * 60 * 60;
        assert_eq!(code(renew(&scene, &login.refresh.token, last).await.expect_err("refused")), "expired");
        renew(&scene, &login.refresh.token, last - 1).await.expect("renewed on the last second");
    });
}

#[test]
fn a_session_of_a_person_loses_what_the_person_loses() {
    block_on(async {
        let scene = Scene::new().await;
        let (user, _) = scene.person(Role::Member, ActionSet::ALL).await;
        let login = scene.gate.log_in(user, NOW.into()).await.expect("logged in");
        assert_eq!(scene.code(&login.session.token, Action::Write).await, "allowed");
        let operator = Authority::Operator;
        scene.gate.remove_member(&operator, scene.organization, user, NOW.into()).await.expect("removed");
        assert_ne!(scene.code(&login.session.token, Action::Write).await, "allowed");
        let member =
            scene.gate.set_member(&operator, scene.organization, user, Role::Member, later(60)).await;
        member.expect("back");
        assert_ne!(code_at(&scene, &login.session.token, Action::Write, 61).await, "allowed");
        let renewed = renew(&scene, &login.refresh.token, 61).await.expect("still somebody");
        assert_ne!(
            code_at(&scene, &renewed.session.token, Action::Write, 61).await,
            "allowed",
            "a login of a former time stays one, however often it is renewed"
        );
    });
}

#[test]
fn somebody_unknown_is_not_logged_in() {
    block_on(async {
        let scene = Scene::new().await;
        let nobody = cachegate_types::UserId::from_bytes([3; 16]);
        let refused = scene.gate.log_in(nobody, NOW.into()).await.expect_err("refused");
        assert_eq!(refused.to_string(), "no such user");
    });
}

/// Whoever holds only an [`Authentication`] cannot make one of another gate count.
#[test]
fn an_authentication_of_another_gate_is_not_exchanged() {
    block_on(async {
        let (scene, other) = (Scene::new().await, Scene::new().await);
        let theirs: Authentication = other.administrator().await;
        let refused = scene.gate.exchange(&theirs, &SessionSpec::default(), NOW.into()).await;
        assert_eq!(code(refused.expect_err("refused")), "another_gate");
        let entry = Resource::entry(scene.workspace, EntryKey::new(b"key").expect("a key"));
        let verdict = scene.gate.authorize(&theirs, &Request::new(Action::Read, &entry), NOW.into()).await;
        assert_eq!(verdict.code(), "another_gate");
    });
}
