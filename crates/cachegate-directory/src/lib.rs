#![doc = include_str!("../README.md")]

mod directory;
mod github;
mod people;
mod scim;

pub use directory::{Directory, DirectoryError, Roster};
pub use github::{
    Delivery, DeliveryError, Github, GithubApp, GithubBuilder, GithubConfigError, GithubOrganization,
    GithubToken, PullError, Pulled, Received,
};
pub use people::{People, Stores};
pub use scim::{LONGEST_SCIM_BODY, Scim, ScimAnswer, ScimRequest};
