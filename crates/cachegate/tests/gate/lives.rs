//! How long tokens live at most.

#![expect(clippy::expect_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use cachegate::{
    AuditFilter, AuditFrom, Authority, DEVICE_TOKEN_LIFE, DeviceAccess, Gate, LongestLives, ManageError,
    MemoryVault, PersonalForm, TokenSpec,
};
use cachegate_storage::MemoryStorage;
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{AccessLevel, Action, ActionSet, Description, Epoch, Lane, Role, Timestamp};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// When a token ends for which `asked` was asked, in seconds after it was made; by kind: CI, personal, device.
fn ends(longest: LongestLives, asked: Option<Duration>) -> [Option<Duration>; 3] {
    block_on(async {
        let now = Timestamp::from(NOW);
        let name = |name: &str| name.parse().expect("a name");
        let gate = Gate::builder(Arc::new(MemoryStorage::new(Epoch(1))), Arc::new(MemoryVault::default()))
            .longest_lives(longest)
            .build(now)
            .await
            .expect("a gate");
        let first = gate
            .first_start(&name("acme"), &name("app"), &Description::default(), now)
            .await
            .expect("a first start");
        let specs = [
            TokenSpec::Ci { workspace: first.workspace, level: AccessLevel::ReadOnly, lane: Lane::main() },
            TokenSpec::Personal { owner: first.owner, actions: ActionSet::ALL, form: PersonalForm::Opaque },
            TokenSpec::Device { organization: first.organization, access: DeviceAccess::Normal },
        ];
        let mut ends = [None; 3];
        for (end, spec) in ends.iter_mut().zip(specs) {
            let issued = gate.issue(&Authority::Operator, &spec, Description::default(), asked, now).await;
            *end = issued.expect("a token").record.expires_at.map(|at| at.since(now));
        }
        ends
    })
}

#[test]
fn a_life_is_the_shortest_of_what_is_asked_and_what_is_allowed() {
    let capped = LongestLives { ci: Some(30 * DAY), personal: Some(7 * DAY) };
    assert_eq!(ends(LongestLives::default(), None), [None, None, Some(DEVICE_TOKEN_LIFE)]);
    assert_eq!(ends(LongestLives::default(), Some(DAY)), [Some(DAY); 3]);
    assert_eq!(ends(capped, None), [Some(30 * DAY), Some(7 * DAY), Some(DEVICE_TOKEN_LIFE)]);
    assert_eq!(ends(capped, Some(DAY)), [Some(DAY); 3]);
}

#[test]
fn a_device_token_dies_at_ninety_days_whatever_is_asked() {
    let long = LongestLives { ci: None, personal: None };
    assert_eq!(ends(long, Some(365 * DAY)).last(), Some(&Some(90 * DAY)));
}

#[test]
fn a_device_token_is_bound_to_one_organization_and_dies_at_ninety_days_or_on_revocation_whichever_comes_first()
 {
    block_on(async {
        let scene = Scene::new().await;
        let [kept, revoked] =
            [scene.device(DeviceAccess::Normal).await, scene.device(DeviceAccess::Normal).await];
        let (_, elsewhere) = scene.elsewhere("other").await;
        let now = |after: Duration| Timestamp::from(NOW).saturating_add(after);
        let last = 90 * DAY - Duration::from_secs(1);
        assert_eq!(scene.code_in(elsewhere, &kept.token, Action::Read, NOW.into()).await, "restricted");
        for after in [Duration::ZERO, DAY, last] {
            assert_eq!(
                scene.code_in(scene.workspace, &kept.token, Action::Read, now(after)).await,
                "allowed"
            );
        }
        assert_eq!(scene.code_in(scene.workspace, &kept.token, Action::Read, now(90 * DAY)).await, "expired");
        assert_eq!(scene.code_in(scene.workspace, &revoked.token, Action::Read, now(DAY)).await, "allowed");
        scene.revoke(revoked.record.id).await;
        assert_eq!(scene.code_in(scene.workspace, &revoked.token, Action::Read, now(DAY)).await, "revoked");
    });
}

#[test]
fn an_organization_cuts_the_lives_of_its_tokens_and_nobody_elses() {
    block_on(async {
        let scene = Scene::new().await;
        let (organization, elsewhere) = scene.elsewhere("other").await;
        let (user, member) = scene.person(Role::Member, ActionSet::ALL).await;
        let administrator = scene.administrator().await;
        let member = scene.authenticate(&member).await;
        let by = Authority::Of(&administrator);
        let lives = LongestLives { ci: Some(30 * DAY), personal: Some(7 * DAY) };
        let set = async |by: &Authority<'_>, organization, lives| {
            scene.gate.set_longest_lives(by, organization, lives, NOW.into()).await
        };
        for (by, organization) in [(&Authority::Of(&member), scene.organization), (&by, organization)] {
            assert!(matches!(set(by, organization, lives).await, Err(ManageError::Denied { .. })));
        }
        let life = async |spec: &TokenSpec, asked: Option<Duration>| {
            scene.issue(spec, asked).await.record.expires_at.map(|end| end.since(NOW.into()))
        };
        let ci = |workspace| TokenSpec::Ci { workspace, level: AccessLevel::ReadOnly, lane: Lane::main() };
        let personal =
            TokenSpec::Personal { owner: user, actions: ActionSet::ALL, form: PersonalForm::Opaque };
        assert_eq!(life(&ci(scene.workspace), None).await, None);
        set(&by, scene.organization, lives).await.expect("set");
        assert_eq!(scene.gate.longest_lives(&by, scene.organization, NOW.into()).await.ok(), Some(lives));
        assert_eq!(life(&ci(scene.workspace), None).await, Some(30 * DAY));
        assert_eq!(life(&ci(scene.workspace), Some(365 * DAY)).await, Some(30 * DAY));
        assert_eq!(life(&ci(scene.workspace), Some(DAY)).await, Some(DAY));
        assert_eq!(life(&personal, None).await, Some(7 * DAY));
        assert_eq!(life(&ci(elsewhere), None).await, None);
        // Whoever makes a token is told before, and nobody of what they do not administer.
        let told =
            async |by: &Authority<'_>, workspace| scene.gate.longest_life(by, workspace, NOW.into()).await;
        let member_by = Authority::Of(&member);
        assert_eq!(told(&by, Some(scene.workspace)).await.ok(), Some(Some(30 * DAY)));
        assert_eq!(told(&member_by, None).await.ok(), Some(Some(7 * DAY)));
        for (by, workspace) in [(&member_by, scene.workspace), (&by, elsewhere)] {
            assert!(matches!(told(by, Some(workspace)).await, Err(ManageError::Denied { .. })));
        }
        // Of two organizations of one person the strictest counts; it can be set anew and taken back.
        scene
            .gate
            .set_member(&Authority::Operator, organization, user, Role::Member, NOW.into())
            .await
            .expect("in");
        set(&Authority::Operator, organization, LongestLives { personal: Some(DAY), ci: None })
            .await
            .expect("set");
        assert_eq!(life(&personal, None).await, Some(DAY));
        set(&Authority::Operator, organization, LongestLives::default()).await.expect("set");
        assert_eq!(life(&personal, None).await, Some(7 * DAY));
        // The organization's administrators find it in their audit.
        let filter = AuditFilter { code: Some("rules_written".to_owned()), ..AuditFilter::default() };
        let page = scene
            .gate
            .audit(&by, Some(scene.organization), &filter, AuditFrom::NEWEST, 100, NOW.into())
            .await;
        assert_eq!(page.expect("a page").items.len(), 1);
    });
}
