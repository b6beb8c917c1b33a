//! Who belongs to an organization, as directories say it: well, out of order, and while they fail.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod github;
mod scim;
