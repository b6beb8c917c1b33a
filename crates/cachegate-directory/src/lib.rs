#![doc = include_str!("../README.md")]

mod directory;
mod github;
mod people;

pub use directory::{Directory, DirectoryError, Roster};
pub use github::{
    Delivery, DeliveryError, Github, GithubBuilder, GithubConfigError, GithubOrganization, PullError, Pulled,
    Received,
};
pub use people::{People, Stores};
