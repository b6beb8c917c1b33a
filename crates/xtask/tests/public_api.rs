//! The public API of each library is the listing beside it, so that a change is seen.

use std::collections::BTreeSet;

use xtask::{Workspace, listing};

#[test]
fn each_librarys_public_api_is_the_listing_beside_it() {
    let workspace = Workspace::read().expect("the workspace");
    let (mut changes, mut listed, mut unlisted) = (Vec::new(), 0, Vec::new());
    for (package, library) in workspace.libraries() {
        let now = listing(&package.name, library).expect("a listing");
        let Ok(held) = std::fs::read_to_string(package.folder.join("public-api.txt")) else {
            unlisted.push(package.name.as_str());
            continue;
        };
        listed += 1;
        let (before, after): (BTreeSet<&str>, BTreeSet<&str>) =
            (held.lines().collect(), now.lines().collect());
        changes.extend(before.difference(&after).map(|line| format!("- {line}")));
        changes.extend(after.difference(&before).map(|line| format!("+ {line}")));
    }
    assert!(
        changes.is_empty(),
        "`cargo xtask public-api --bless` accepts these changes:\n{}",
        changes.join("\n")
    );
    // Before the first listing there is none at all.
    assert!(listed == 0 || unlisted.is_empty(), "without a listing: {unlisted:?}");
}
