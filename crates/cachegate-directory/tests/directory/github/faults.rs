//! GitHub down, slow, or answering garbage: whoever was in stays in, and whoever was out stays out.

use std::time::Duration;

use cachegate_fetch::{FetchError, Response};
use cachegate_testkit::{GithubStandIn, NOW, block_on};

use super::World;

type Answer = Result<Response, FetchError>;

/// The places of a pull: each list, first page and last.
const PLACES: [&str; 6] = [
    "/teams?per_page=100&page=1",
    "/teams?per_page=100&page=2",
    "/members?per_page=100&page=1",
    "/members?per_page=100&page=2",
    "/team/70/members?per_page=100&page=1",
    "/team/70/members?per_page=100&page=2",
];

/// Somebody left and somebody came, and GitHub answers like this at one place: nothing changes until it is well again.
/// The codes of the pulls.
fn at(place: &'static str, answer: impl Fn(&GithubStandIn, &str) -> Answer + Send + 'static) -> &'static str {
    block_on(async {
        let world = World::with(&[1, 2, 3]).await;
        for team in [70, 71, 72] {
            world.there.team(team, &format!("t{team}"));
        }
        for person in [1, 2, 3] {
            world.there.join_team(70, person);
        }
        world.pull().await.expect("a pull");
        let before = (world.members().await, world.groups().await);
        world.there.leave(1);
        world.there.drop_team(71);
        world.there.team(73, "t73");
        for person in [4, 5] {
            world.there.join(person, &format!("p{person}"));
            world.there.join_team(70, person);
        }
        world.there.before(move |there, path| path.ends_with(place).then(|| answer(there, path)));
        let code = world.pull().await.expect_err("refused").code();
        assert_eq!((world.members().await, world.groups().await), before, "{place}");
        for person in [4, 5] {
            assert_eq!(world.known(person).await, None, "nobody is made known");
        }
        world.there.mend();
        world.pull().await.expect("a pull");
        assert_eq!(world.members().await, world.there.members());
        code
    })
}

fn everywhere(answer: impl Fn() -> Answer + Clone + Send + 'static, code: &str) {
    for place in PLACES {
        let answer = answer.clone();
        assert_eq!(at(place, move |_, _| answer()), code, "{place}");
    }
}

/// The true page, changed.
fn changed(there: &GithubStandIn, path: &str, change: impl FnOnce(&str) -> String) -> Answer {
    // The stand-in puts the hook back after it: here it answers truly.
    let truly = there.answer(path, Some(&format!("Bearer {}", GithubStandIn::TOKEN)))?;
    let body = change(std::str::from_utf8(truly.body()).expect("text"));
    let link = truly.header("link").unwrap_or_default().to_owned();
    Ok(Response::new(truly.status(), body).with_header("link", &link))
}

#[test]
fn a_directory_that_is_down_locks_nobody_out_and_lets_nobody_in() {
    let down = || Err(FetchError::NotConnected { host: "api.github.com".into(), detail: "refused".into() });
    everywhere(down, "pull_unreachable");
    for status in [500, 502, 503] {
        everywhere(move || Ok(Response::new(status, "<html>Unicorn!</html>")), "pull_status");
    }
}

#[test]
fn a_directory_that_is_slow_locks_nobody_out_and_lets_nobody_in() {
    everywhere(|| Err(FetchError::TimedOut { limit: Duration::from_secs(10) }), "pull_unreachable");
}

#[test]
fn a_directory_that_answers_garbage_locks_nobody_out_and_lets_nobody_in() {
    for garbage in [
        "",
        "<html>",
        "null",
        "{}",
        r#"{"message":"hello"}"#,
        "[{}]",
        "[null]",
        "[[",
        r#"[{"id":0,"login":"x","slug":"x"}]"#,
        r#"[{"id":"7","login":"x","slug":"x"}]"#,
    ] {
        everywhere(move || Ok(Response::new(200, garbage)), "pull_garbage");
    }
    everywhere(|| Err(FetchError::TooLarge { limit: 1 }), "pull_unreachable");
    everywhere(|| Ok(Response::new(200, vec![0xff; 100])), "pull_garbage");
}

#[test]
fn a_page_that_is_cut_off_locks_nobody_out_and_lets_nobody_in() {
    for place in PLACES {
        let code = at(place, |there, path| changed(there, path, |body| body[..body.len() - 1].to_owned()));
        assert_eq!(code, "pull_garbage", "{place}");
    }
}

#[test]
fn a_list_that_ends_before_it_was_announced_to_locks_nobody_out_and_lets_nobody_in() {
    for place in
        ["/members?per_page=100&page=2", "/team/70/members?per_page=100&page=2", "/teams?per_page=100&page=2"]
    {
        assert_eq!(at(place, |_, _| Ok(Response::new(200, "[]"))), "pull_garbage", "{place}");
    }
}

#[test]
fn an_organization_without_anybody_is_garbage() {
    assert_eq!(at("/members?per_page=100&page=1", |_, _| Ok(Response::new(200, "[]"))), "pull_garbage");
}

#[test]
fn a_redirect_to_the_public_members_is_not_followed() {
    let public = "https://api.github.com/orgs/acme/public_members";
    everywhere(move || Ok(Response::new(302, "").with_header("location", public)), "pull_status");
}

#[test]
fn a_token_that_may_not_read_members_locks_nobody_out() {
    // The list of members would be the public ones alone, with a status that says that all is well.
    let code = at("/teams?per_page=100&page=1", |_, _| {
        Ok(Response::new(403, r#"{"message":"Resource not accessible by integration"}"#))
    });
    assert_eq!(code, "pull_status");
    for status in [401, 404] {
        everywhere(move || Ok(Response::new(status, "{}")), "pull_status");
    }
}

#[test]
fn a_list_that_goes_on_for_ever_is_given_up() {
    let page = |there: &GithubStandIn, path: &str| {
        let _ = (there, path);
        let next = "<https://api.github.com/x?page=2>; rel=\"next\"";
        Ok(Response::new(200, r#"[{"id":1,"login":"x","slug":"x"}]"#).with_header("link", next))
    };
    block_on(async {
        let world = World::with(&[1]).await;
        world.there.before(move |there, path| Some(page(there, path)));
        assert_eq!(world.pull().await.expect_err("refused").code(), "pull_too_many");
        assert_eq!(world.members().await, [1].into());
    });
}

#[test]
fn github_is_asked_again_when_it_says_so() {
    let until = |response: Response| {
        block_on(async move {
            let world = World::with(&[1]).await;
            world.there.before(move |_, _| Some(Ok(response.clone())));
            let error = world.pull().await.expect_err("refused");
            error.try_again_at().map(|at| at.as_unix_seconds() - i64::from(NOW))
        })
    };
    let limited = |status| Response::new(status, "{}").with_header("X-RateLimit-Remaining", "0");
    assert_eq!(until(Response::new(403, "{}").with_header("Retry-After", "30")), Some(30));
    assert_eq!(until(Response::new(429, "{}").with_header("Retry-After", "30")), Some(30));
    let reset = (NOW + 600).to_string();
    assert_eq!(until(limited(403).with_header("X-RateLimit-Reset", &reset)), Some(600));
    assert_eq!(until(limited(429).with_header("X-RateLimit-Reset", &(NOW - 5).to_string())), Some(60));
    assert_eq!(until(Response::new(429, "")), Some(60), "at least a minute, where nothing is said");
    let far = u32::MAX.to_string();
    assert_eq!(until(Response::new(403, "").with_header("Retry-After", &far)), Some(7200), "but no age");
    assert_eq!(until(Response::new(403, "")), None, "that is no limit");
    assert_eq!(until(Response::new(500, "").with_header("Retry-After", "x")), None);
}
