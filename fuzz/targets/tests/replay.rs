//! Every kept input, on any compiler: what the fuzzer once found stays mended.

#![expect(clippy::expect_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cachegate_fuzz_targets::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder above").to_path_buf()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut entries: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    entries
}

fn names(folder: &str) -> BTreeSet<String> {
    let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    entries(&fuzz().join(folder)).into_iter().map(stem).collect()
}

#[test]
fn every_target_passes_every_kept_input_its_own_and_the_others() {
    for (name, target) in TARGETS {
        for (other, _) in TARGETS {
            for path in entries(&fuzz().join("corpus").join(other)) {
                let data = std::fs::read(&path).expect("an input");
                let passed = std::panic::catch_unwind(|| target(&data));
                assert!(passed.is_ok(), "{name}: {}", path.display());
            }
        }
    }
}

#[test]
fn a_target_has_a_program_a_folder_of_inputs_and_a_place_in_the_list() {
    let listed: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets"), listed);
    assert_eq!(names("corpus"), listed);
}

#[test]
fn the_kept_inputs_stay_small() {
    for (name, _) in TARGETS {
        let sizes: Vec<u64> = entries(&fuzz().join("corpus").join(name))
            .iter()
            .map(|path| path.metadata().expect("a file").len())
            .collect();
        assert!((3..=150).contains(&sizes.len()), "{name}: {} inputs", sizes.len());
        assert!(sizes.iter().sum::<u64>() <= 64 * 1024, "{name}: {} bytes", sizes.iter().sum::<u64>());
    }
}
