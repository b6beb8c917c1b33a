//! The ops. Each has a file, which holds its two shapes and what happens between them, and a line in the table.

mod credential;
mod decide;
mod federated;
mod jwks;
mod jws;
mod label;
mod netrc;
mod signature;
mod version;

use crate::answer::line;
use crate::request::{Id, Members};

/// Carries out one request and writes its line.
type Op = fn(&Id, Members<'_>) -> String;

const OPS: [(&str, Op); 10] = [
    ("admit", |id, members| line(id, members.into().and_then(label::admit))),
    ("credential", |id, members| line(id, members.into().and_then(credential::credential))),
    ("decide", |id, members| line(id, members.into().and_then(decide::decide))),
    ("federated", |id, members| line(id, members.into().and_then(federated::federated))),
    ("jwks", |id, members| line(id, members.into().and_then(jwks::jwks))),
    ("jws", |id, members| line(id, members.into().and_then(jws::jws))),
    ("netrc", |id, members| line(id, members.into().and_then(netrc::netrc))),
    ("seal", |id, members| line(id, members.into().and_then(label::seal))),
    ("signature", |id, members| line(id, members.into().and_then(signature::signature))),
    ("version", |id, members| line(id, members.into().and_then(version::version))),
];

pub(crate) fn find(name: &str) -> Option<Op> {
    OPS.iter().find(|(known, _)| *known == name).map(|(_, op)| *op)
}

/// The names of the ops.
pub fn names() -> impl Iterator<Item = &'static str> {
    OPS.iter().map(|(name, _)| *name)
}
