//! What the first start says to paste is what each client needs.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

#[expect(dead_code, reason = "each test uses its part of the running program")]
#[path = "support/child.rs"]
mod child;
#[expect(dead_code, reason = "each test uses its part of the client")]
#[path = "support/http.rs"]
mod http;

use std::fs;

use child::Running;

#[test]
fn what_each_client_is_told_to_paste_names_a_place_that_it_can_write() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Running::start(folder.path(), &[]);
    let text = |file: &str| fs::read_to_string(folder.path().join(file)).expect("what to paste");
    let between = |text: &str, before: &str, after: &str| {
        let rest = text.split_once(before).expect("its beginning").1;
        rest.split_once(after).expect("its end").0.to_owned()
    };
    let (nx, turborepo, ccache) = (text("nx.env"), text("turborepo.env"), text("ccache.env"));
    let (bazel, gradle) = (text("cache.bazelrc"), text("cache.gradle"));
    let team = between(&turborepo, "TURBO_TEAM=", "\n");
    let pasted = [
        ("Nx", between(&nx, "_SERVER=", "\n") + "/v1/cache/1", between(&nx, "_TOKEN=", "\n"), 200),
        (
            "Turborepo",
            between(&turborepo, "TURBO_API=", "\n") + "/v8/artifacts/1?slug=" + &team,
            between(&turborepo, "TURBO_TOKEN=", "\n"),
            202,
        ),
        ("ccache", between(&ccache, "='", "|") + "/30/4e2g", between(&ccache, "token=", "'"), 201),
        (
            "Bazel",
            "http://".to_owned() + &between(&bazel, "@", "\n") + "/ac/1",
            between(&bazel, "http://ci:", "@"),
            201,
        ),
        ("Gradle", between(&gradle, "url = '", "'") + "0a1b", between(&gradle, "password = '", "'"), 201),
    ];
    for (client, url, token, stored) in pasted {
        let path = url.strip_prefix(&format!("http://{}", server.address)).expect("this server");
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        assert_eq!(http::put(server.address, path, &headers, b"x").status, stored, "{client}: {path}");
        assert_eq!(http::get(server.address, path, &headers).body, b"x", "{client}: {path}");
        assert!(server.announced.contains(&format!("for {client}: ")), "{}", server.announced);
        assert!(!server.announced.contains(&token), "a secret went to a pipe");
    }
}
