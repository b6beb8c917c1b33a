//! What the kernel never is built with, and what may cross threads.

use std::process::Command;

#[test]
fn no_async_runtime_and_no_socket_is_among_the_dependencies() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let tree = Command::new(cargo)
        .args(["tree", "--offline", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])
        .args(["--all-features", "--package", "cachegate"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let tree = String::from_utf8(tree.stdout).expect("text");
    let names: Vec<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"cachegate-jwt"), "a tree: {tree}");
    let never = [
        "tokio",
        "async-std",
        "async-global-executor",
        "smol",
        "async-io",
        "futures-executor",
        "mio",
        "polling",
        "socket2",
        "hyper",
        "reqwest",
        "ureq",
        "axum",
        "tower",
        "rusqlite",
        "tokio-postgres",
        "sqlx",
    ];
    for name in never {
        assert!(!names.contains(&name), "{name} is a dependency of the kernel");
    }
}

#[test]
fn what_a_host_shares_between_threads_can_be_shared() {
    fn shared<T: Send + Sync + 'static>() {}
    fn sent<T: Send>(_: T) {}
    shared::<cachegate::Gate>();
    shared::<cachegate::Authentication>();
    shared::<cachegate::Verdict>();
    shared::<cachegate::Ticket>();
    shared::<cachegate::Issued>();
    shared::<cachegate::DecisionEvent>();
    shared::<cachegate::QueueSink>();
    shared::<cachegate::FileVault>();
    shared::<cachegate::SealedVault>();
    shared::<cachegate::ManageError>();
    shared::<cachegate::IssueError>();
    shared::<cachegate::SealError>();
    shared::<cachegate::NotAdmitted>();
    shared::<cachegate::BuildError>();
    // The futures too: a host spawns them on a runtime of several threads.
    let check = |gate: &cachegate::Gate, resource: &cachegate_types::Resource| {
        let request = cachegate::Request::new(cachegate_types::Action::Read, resource);
        sent(gate.check(None, &request, 0.into()));
        sent(gate.authenticate(None, 0.into()));
        sent(gate.follow_feed(|| std::future::ready(())));
        sent(gate.flush_last_used(0.into()));
    };
    let _ = check;
}
