//! The gate, question by question: one program, so that it is linked once.

mod auditing;
mod boundaries;
mod browser;
mod credentials;
mod device_login;
mod freshness;
mod introspection;
mod lineage;
mod lives;
mod managing;
mod model;
mod provenance;
mod purge;
mod releases;
mod rights;
mod sessions;
mod sinks;
mod threads;
mod trust_rules;
mod vaults;
mod workloads;
