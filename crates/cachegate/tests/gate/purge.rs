//! What is forgotten, and that nothing comes alive by it.

use std::time::Duration;

use cachegate::{
    Authority, DEVICE_LOGIN_LIFE, DeviceLoginError, Once, Purged, TOKEN_RETENTION, TokenSpec, Verdict,
};
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{AccessLevel, Action, Description, Lane, Timestamp};

fn at(after: Duration) -> Timestamp {
    Timestamp::from(NOW).saturating_add(after)
}

#[test]
fn what_has_no_more_effect_is_forgotten_and_stays_refused() {
    block_on(async {
        let scene = Scene::new().await;
        let spec =
            TokenSpec::Ci { workspace: scene.workspace, level: AccessLevel::ReadWrite, lane: Lane::main() };
        let hour = Duration::from_secs(3600);
        let token = scene.issue(&spec, Some(hour)).await;
        let lasting = scene.issue(&spec, None).await;
        // A login that nobody approves, one that is finished, and a request that could be sent twice.
        let begin = async || {
            let client = Description::default();
            scene.gate.begin_device_login(client, NOW.into()).await.expect("a login")
        };
        let (forgotten, finished) = (begin().await, begin().await);
        let who = scene.administrator().await;
        let by = Authority::Of(&who);
        let decided = scene.gate.decide_device_login(&by, &finished.user_code, true, NOW.into()).await;
        assert!(decided.is_ok());
        let code = finished.device_code.expose_secret();
        let login = scene.gate.finish_device_login(code, NOW.into()).await.expect("logged in");
        let once = Once { key: "k", request: b"r" };
        let made =
            scene.gate.issue_once(&by, &spec, Description::default(), None, Some(&once), NOW.into()).await;
        assert!(made.is_ok());

        // Nothing has ended yet.
        assert_eq!(scene.gate.purge(NOW.into()).await, Ok(Purged::default()));
        // Both logins' two rows each; what was finished cannot be finished again while it is remembered.
        let purged = scene.gate.purge(at(DEVICE_LOGIN_LIFE)).await;
        assert_eq!(purged, Ok(Purged { pending: 4, ..Purged::default() }));
        for code in [code, forgotten.device_code.expose_secret()] {
            let answer = scene.gate.finish_device_login(code, NOW.into()).await;
            assert!(matches!(answer, Err(DeviceLoginError::Unknown)), "{answer:?}");
        }
        let purged = scene.gate.purge(at(2 * DEVICE_LOGIN_LIFE)).await;
        assert_eq!(purged, Ok(Purged { uses: 1, ..Purged::default() }));
        let purged = scene.gate.purge(at(24 * hour)).await;
        assert_eq!(purged, Ok(Purged { pending: 1, ..Purged::default() }));
        // An expired token stays listed for a while, and is unknown afterwards.
        let code = async |now| scene.ask_at(Some(&token.token), Action::Read, "key", now).await.code();
        let end = at(hour);
        assert_eq!(code(end).await, "expired");
        // The session of the login goes at this moment, the token after it; what renews the login lives on.
        let purged = scene.gate.purge(end.saturating_add(TOKEN_RETENTION)).await;
        assert_eq!(purged, Ok(Purged { tokens: 1, ..Purged::default() }));
        let purged = scene.gate.purge(at(hour + TOKEN_RETENTION + Duration::from_secs(1))).await;
        assert_eq!(purged, Ok(Purged { tokens: 1, ..Purged::default() }));
        scene.gate.catch_up().await.expect("caught up");
        let later = end.saturating_add(TOKEN_RETENTION).saturating_add(hour);
        let (other, _, _) = scene.other_node().await;
        let verdict = scene.ask_gate(&other, Some(&token.token), Action::Read, "key", later).await;
        assert_eq!(verdict.code(), "unknown_token");
        // What lives is not touched.
        let verdict = scene.ask_gate(&other, Some(&lasting.token), Action::Read, "key", later).await;
        assert!(matches!(verdict, Verdict::Allowed(_)), "{verdict:?}");
        assert!(scene.storage.token(login.refresh.record.id).await.expect("read").is_some());
    });
}

#[test]
fn a_clock_that_runs_ahead_forgets_nothing() {
    block_on(async {
        let scene = Scene::new().await;
        scene.faults.set_store_time(NOW.into());
        let answer = scene.gate.purge(at(Duration::from_secs(31))).await;
        assert_eq!(answer.expect_err("refused").code(), "clock_skew");
    });
}
