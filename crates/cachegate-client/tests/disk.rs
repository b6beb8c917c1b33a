//! The netrc file on disk: its mode, links, a second writer, and a death at any moment.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]
#![cfg(unix)]

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use cachegate_client::{FileError, Host, NetrcEditError, NetrcError, NetrcFile, Replace};
use cachegate_token::Brand;
use cachegate_types::SecretText;
use tempfile::TempDir;

fn netrc(path: &Path) -> NetrcFile {
    NetrcFile::new(path, Brand::default())
}

fn host(name: &str) -> Host {
    name.parse().expect("a host")
}

fn token(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

fn set(path: &Path, name: &str, text: &str) -> Result<bool, NetrcError> {
    netrc(path).set(&host(name), &token(text), Replace::Own).map(|change| change.changed)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("metadata").mode() & 0o7777
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_new_file_is_for_its_owner_alone_and_nothing_but_the_lock_is_left_beside_it() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join(".netrc");
    assert!(set(&path, "h", "cg1_a").expect("written"));
    assert_eq!(fs::read_to_string(&path).expect("read"), "machine h login cachegate password cg1_a\n");
    assert_eq!(names(folder.path()), [".netrc", ".netrc.cachegate-lock"]);
    assert_eq!((mode(&path), mode(&folder.path().join(".netrc.cachegate-lock"))), (0o600, 0o600));
}

#[test]
fn the_mode_is_kept_where_a_group_was_let_in_and_never_widened() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("netrc");
    for (old, new) in [
        (0o600, 0o600),
        (0o400, 0o400),
        (0o640, 0o640),
        (0o660, 0o640),
        (0o644, 0o600),
        (0o666, 0o600),
        (0o777, 0o600),
    ] {
        let _ = fs::remove_file(&path);
        fs::write(&path, "").expect("written");
        fs::set_permissions(&path, Permissions::from_mode(old)).expect("mode");
        assert!(set(&path, "h", "cg1_a").expect("written"));
        assert_eq!(mode(&path), new, "{old:o}");
    }
}

#[test]
fn the_doctor_tells_of_a_file_that_others_may_read() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("netrc");
    assert!(netrc(&path).doctor().expect("no file").is_empty());
    fs::write(&path, "machine h password p\n").expect("written");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("mode");
    let findings = netrc(&path).doctor().expect("read");
    let codes: Vec<&str> = findings.iter().map(|finding| finding.problem().code()).collect();
    assert_eq!(codes, ["wide_mode"]);
    assert!(findings[0].to_string().contains("0644"), "{}", findings[0]);
}

#[test]
fn a_link_is_followed_to_its_file_and_stays_a_link() {
    let folder = TempDir::new().expect("a folder");
    let other = TempDir::new().expect("a folder");
    let (path, target) = (folder.path().join(".netrc"), other.path().join("dotfile"));
    fs::write(&target, "# mine\n").expect("written");
    symlink(&target, &path).expect("a link");
    assert!(set(&path, "h", "cg1_a").expect("written"));
    assert!(fs::symlink_metadata(&path).expect("metadata").is_symlink());
    assert_eq!(
        fs::read_to_string(&target).expect("read"),
        "machine h login cachegate password cg1_a\n# mine\n"
    );
    assert_eq!(names(folder.path()), [".netrc"]);
}

#[test]
fn nothing_is_created_through_a_link_and_only_files_are_replaced() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join(".netrc");
    let elsewhere = folder.path().join("elsewhere");
    symlink(&elsewhere, &path).expect("a link");
    assert!(matches!(set(&path, "h", "cg1_a"), Err(NetrcError::File(FileError::DanglingLink { .. }))));
    assert!(!elsewhere.exists());

    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("a folder");
    assert!(matches!(set(&path, "h", "cg1_a"), Err(NetrcError::File(FileError::NotAFile { .. }))));
    assert!(matches!(netrc(&path).login("h"), Err(NetrcError::File(FileError::NotAFile { .. }))));

    // Links where the lock and the new file go.
    fs::remove_dir(&path).expect("removed");
    let lock = folder.path().join(".netrc.cachegate-lock");
    let _ = fs::remove_file(&lock);
    symlink(&elsewhere, &lock).expect("a link");
    assert!(matches!(set(&path, "h", "cg1_a"), Err(NetrcError::File(FileError::NotAFile { .. }))));
    assert!(!elsewhere.exists());
    fs::remove_file(&lock).expect("removed");
    symlink(&elsewhere, folder.path().join(".netrc.cachegate-new")).expect("a link");
    assert!(set(&path, "h", "cg1_a").expect("written"));
    assert!(!elsewhere.exists());
}

#[test]
fn a_file_that_is_not_changed_is_not_touched() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("netrc");
    let broken = "machine a login b password \"c\n";
    fs::write(&path, broken).expect("written");
    let before = fs::metadata(&path).expect("metadata");
    let refused = set(&path, "h", "cg1_a");
    assert!(matches!(refused, Err(NetrcError::Edit { source: NetrcEditError::Unreadable { .. }, .. })));
    let good = "machine h login cachegate password cg1_a\n";
    let after = fs::metadata(&path).expect("metadata");
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
    assert_eq!(fs::read_to_string(&path).expect("read"), broken);

    fs::write(&path, good).expect("written");
    let before = fs::metadata(&path).expect("metadata").ino();
    assert!(!set(&path, "h", "cg1_a").expect("the same"));
    assert!(!netrc(&path).remove(&host("other")).expect("nothing to do").changed);
    assert_eq!(fs::metadata(&path).expect("metadata").ino(), before);
    assert!(netrc(&path).remove(&host("h")).expect("removed").changed);
    assert_eq!(fs::read_to_string(&path).expect("read"), "");

    let absent = folder.path().join("absent");
    assert!(!netrc(&absent).remove(&host("h")).expect("nothing there").changed);
    assert!(!absent.exists());
}

#[test]
fn logins_at_once_lose_nothing() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("netrc");
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let path = &path;
            scope.spawn(move || {
                for turn in 0..10 {
                    set(path, &format!("h{turn}.t{thread}"), "cg1_a").expect("written");
                }
            });
        }
    });
    for thread in 0..8 {
        for turn in 0..10 {
            assert!(netrc(&path).login(&format!("h{turn}.t{thread}")).expect("parses").is_some());
        }
    }
    assert_eq!(fs::read_to_string(&path).expect("read").lines().count(), 80);
}

/// The path that a child of this program was told.
fn told() -> Option<PathBuf> {
    std::env::var_os("CACHEGATE_CHILD").map(PathBuf::from)
}

/// This program again, to run one of its tests alone.
fn child(test: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", test, "--nocapture"]).env("CACHEGATE_CHILD", path);
    command
}

/// Not a rule: logs in again and again, and says when it has begun.
#[test]
fn log_in_until_killed() {
    let Some(path) = told() else { return };
    println!("begun");
    std::io::stdout().flush().expect("flushed");
    for turn in 0_u32.. {
        set(&path, "h", &format!("cg1_{turn:0200}")).expect("written");
    }
}

/// Not a rule: logs in once.
#[test]
fn log_in_once() {
    let Some(path) = told() else { return };
    set(&path, "h", "cg1_new").expect("written");
}

#[test]
#[ignore = "needs strace: run by cargo xtask test"]
fn a_kill_at_each_system_call_leaves_the_old_file_or_the_new() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("netrc");
    let beside = |suffix: &str| folder.path().join(format!("netrc{suffix}"));
    let (lock, fresh) = (beside(".cachegate-lock"), beside(".cachegate-new"));
    let old = "machine h login cachegate password cg1_old\n";
    let calls = [
        "openat",
        "read",
        "write",
        "fsync",
        "fchmod",
        "fchown",
        "rename",
        "unlink",
        "flock",
        "statx",
        "close",
        "lseek",
        "fstat",
        "newfstatat",
    ];
    let (mut kills, mut olds, mut news) = (0, 0, 0);
    for call in calls {
        for count in 1.. {
            fs::write(&path, old).expect("written");
            let _ = fs::remove_file(&fresh);
            let ran = child("log_in_once", &path);
            let mut strace = Command::new("strace");
            strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
            strace.args(["-e", &format!("inject={call}:signal=KILL:when={count}")]);
            for watched in [&path, &lock, &fresh] {
                strace.arg("-P").arg(watched);
            }
            strace.arg(ran.get_program()).args(ran.get_args()).env("CACHEGATE_CHILD", &path);
            let status = strace.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("strace");
            let text = fs::read_to_string(&path).expect("read");
            let new = text == "machine h login cachegate password cg1_new\n";
            assert!(new || text == old, "{call} {count}: `{text}`");
            if status.success() {
                assert!(new, "{call} {count}");
                break;
            }
            kills += 1;
            *(if new { &mut news } else { &mut olds }) += 1;
            if fresh.exists() {
                assert_eq!(mode(&fresh), 0o600, "{call} {count}: what is left behind is for its owner alone");
            }
        }
    }
    println!("{kills} kills: {olds} left the old file, {news} the new one");
    assert!(kills > 15 && olds > 0 && news > 0, "{kills} {olds} {news}");
}

/// Kills writers at many moments; whatever the moment, the file is an old one or a new one, whole.
fn survives(kills: u32) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("netrc");
    let filler = "# not ours\nmachine a login b password c\n".repeat(2_000);
    fs::write(&path, &filler).expect("written");
    let mut written = 0;
    for kill in 0..kills {
        let mut child = child("log_in_until_killed", &path).stdout(Stdio::piped()).spawn().expect("a child");
        let mut begun = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        while !line.contains("begun") {
            line.clear();
            assert_ne!(std::io::BufRead::read_line(&mut begun, &mut line).expect("a line"), 0);
        }
        // Odd steps, so that the kills fall everywhere between two renames.
        std::thread::sleep(Duration::from_micros(u64::from(kill) * 1_370 % 40_000));
        child.kill().expect("killed");
        child.wait().expect("waited");

        let text = fs::read_to_string(&path).expect("read");
        let ours = text.strip_suffix(&filler).unwrap_or_else(|| panic!("foreign bytes lost: {text:.300}"));
        if !ours.is_empty() {
            written += 1;
            let login = netrc(&path).login("h").expect("parses").expect("an entry");
            assert_eq!(login.password().expose_secret().len(), 204);
            assert_eq!(ours.lines().count(), 1);
        }
    }
    assert!(written > 0, "no child wrote anything");
    // The lock died with its holder, and what a killed writer left behind is gone after the next.
    assert!(set(&path, "h", "cg1_a").expect("written"));
    assert_eq!(names(folder.path()), ["netrc", "netrc.cachegate-lock"]);
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_file_or_the_new() {
    survives(20);
}

#[test]
#[ignore = "long: a thousand kills, about a minute"]
fn a_thousand_kills_leave_the_old_file_or_the_new() {
    survives(1_000);
}
