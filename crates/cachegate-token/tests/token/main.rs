//! The token model as its users see it.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test's helpers may fail as a test does")]

mod credential;
mod hostile;
mod numbers;
mod opaque;
