//! What may happen once, with many who want it at the same time: one of them has it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use cachegate::{Authority, Degraded, TokenSpec};
use cachegate_storage::{MemoryStorage, Storage};
use cachegate_storage_sqlite::SqliteStorage;
use cachegate_testkit::{NOW, Scene, block_on};
use cachegate_types::{AccessLevel, Description, Epoch, Lane, TokenId};

const OPERATOR: Authority<'_> = Authority::Operator;

/// Lets `tasks` threads try each of `ids` things, and demands one winner of each.
fn one_winner_each(what: &str, tasks: usize, ids: usize, attempt: impl Fn(usize) -> bool + Sync) {
    let winners: Vec<_> = (0..ids).map(|_| AtomicU32::new(0)).collect();
    let together = Barrier::new(tasks);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..tasks {
            scope.spawn(|| {
                together.wait();
                for (id, winners) in winners.iter().enumerate() {
                    if attempt(id) {
                        winners.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    for (id, winners) in winners.iter().enumerate() {
        assert_eq!(winners.load(Ordering::Relaxed), 1, "{what} {id}");
    }
    println!("{what}: {tasks} tasks, {ids} ids, one winner each, in {:?}", begun.elapsed());
}

fn scene(storage: Arc<dyn Storage>) -> Scene {
    block_on(Scene::over(storage, Degraded::Refuse))
}

fn memory() -> Scene {
    scene(Arc::new(MemoryStorage::new(Epoch(1))))
}

fn sqlite(folder: &tempfile::TempDir) -> Scene {
    let storage = SqliteStorage::open(&folder.path().join("races.sqlite")).expect("a store");
    scene(Arc::new(storage))
}

fn single_use(scene: &Scene, tasks: usize, ids: usize) {
    let keep = (NOW + 900).into();
    one_winner_each("single use", tasks, ids, |id| {
        block_on(scene.storage.consume("exchange github", &id.to_be_bytes(), keep)).expect("an answer")
    });
}

fn rotations(scene: &Scene, tasks: usize, ids: usize) {
    let spec = TokenSpec::Ci { workspace: scene.workspace, level: AccessLevel::ReadOnly, lane: Lane::main() };
    let tokens: Vec<TokenId> = (0..ids).map(|_| block_on(scene.issue(&spec, None)).record.id).collect();
    let overlap = Duration::from_secs(60);
    one_winner_each("rotation", tasks, ids, |id| {
        block_on(scene.gate.rotate(&OPERATOR, tokens[id], overlap, None, NOW.into())).is_ok()
    });
}

fn device_codes(scene: &Scene, tasks: usize, ids: usize) {
    let who = block_on(scene.administrator());
    let logins: Vec<_> = (0..ids)
        .map(|_| {
            block_on(async {
                let client = Description::default();
                let login = scene.gate.begin_device_login(client, NOW.into()).await.expect("it waits");
                let by = Authority::Of(&who);
                let decided = scene.gate.decide_device_login(&by, &login.user_code, true, NOW.into()).await;
                decided.expect("approved");
                login.device_code
            })
        })
        .collect();
    one_winner_each("device code", tasks, ids, |id| {
        block_on(scene.gate.finish_device_login(logins[id].expose_secret(), NOW.into())).is_ok()
    });
}

#[test]
fn what_may_happen_once_has_one_winner_of_many() {
    let folder = tempfile::tempdir().expect("a folder");
    for scene in [memory(), sqlite(&folder)] {
        single_use(&scene, 16, 50);
        rotations(&scene, 16, 20);
        device_codes(&scene, 16, 20);
    }
}

#[test]
#[ignore = "long: 64 tasks race for 10,000 ids, three times over memory and SQLite"]
fn of_64_tasks_by_10000_ids_one_wins_each() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, scene) in [("memory", memory()), ("sqlite", sqlite(&folder))] {
        println!("{name}");
        single_use(&scene, 64, 10_000);
        rotations(&scene, 64, 10_000);
        device_codes(&scene, 64, 10_000);
    }
}
