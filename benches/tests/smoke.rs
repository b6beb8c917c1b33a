//! Each operation that is measured does what its row says.

use std::collections::BTreeSet;

use cachegate_bench::{World, operations};

#[test]
fn every_operation_comes_out_as_it_should() {
    let world = World::new();
    let mut names = BTreeSet::new();
    for mut operation in operations(&world) {
        assert!(operation.run(3).is_some(), "{operation:?}");
        assert!(names.insert(operation.name()), "{operation:?} is there twice");
    }
}
