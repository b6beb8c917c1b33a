#![doc = include_str!("../README.md")]
#![expect(clippy::expect_used, reason = "what cannot be set up is not measured")]

mod harness;
mod names;
mod ours;
mod peers;
mod raw;
mod refusals;
mod table;
mod threads;
mod world;

pub use harness::{Failed, Operation, Times, measure};
pub use table::Table;
pub use threads::two_threads;
pub use world::World;

/// Everything that is measured on one thread, each ratio's two sides near one another.
pub fn operations(world: &World) -> Vec<Operation<'_>> {
    let mut all = raw::operations(world);
    all.extend(ours::operations(world));
    all.extend(peers::operations(world));
    all.extend(refusals::operations(world));
    all
}

/// What refusals are called.
pub fn refusals(world: &World) -> Vec<&'static str> {
    refusals::operations(world).iter().map(Operation::name).collect()
}
