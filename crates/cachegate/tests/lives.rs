//! How long tokens live at most.

#![expect(clippy::expect_used, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use cachegate::{
    Authority, DEVICE_TOKEN_LIFE, DeviceAccess, Gate, LongestLives, MemoryVault, PersonalForm, TokenSpec,
};
use cachegate_storage::MemoryStorage;
use cachegate_testkit::{NOW, block_on};
use cachegate_types::{AccessLevel, ActionSet, Description, Epoch, Lane, Timestamp};

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
