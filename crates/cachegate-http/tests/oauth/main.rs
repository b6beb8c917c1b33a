//! The OAuth endpoints, in process.
