//! What the fuzz targets do: each takes any bytes and asserts what must hold whatever they are.
//!
//! They are ordinary functions, so that the fuzzer runs them under its instrumentation and a test runs them over the
//! kept inputs on any compiler. Each target has a file of its name, and a folder of its name beside this crate's.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a fuzz target fails by panicking"
)]

mod authorization;
mod claims;
mod differential;
mod forge;
mod jws;
mod key_set;
mod label;
mod opaque_token;

pub use authorization::authorization;
pub use claims::claims;
pub use differential::differential;
pub use jws::jws;
pub use key_set::key_set;
pub use label::label;
pub use opaque_token::opaque_token;

/// A target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 7] = [
    ("authorization", authorization),
    ("claims", claims),
    ("differential", differential),
    ("jws", jws),
    ("key_set", key_set),
    ("label", label),
    ("opaque_token", opaque_token),
];

/// 2023-11-14T22:13:20Z, the time of every target that needs one.
pub(crate) const NOW: u32 = 1_700_000_000;
