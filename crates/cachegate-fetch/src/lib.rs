#![doc = include_str!("../README.md")]

#[cfg(feature = "client")]
mod client;
mod error;
mod exchange;
mod url;

#[cfg(feature = "client")]
pub use client::{Client, ClientBuilder, ClientError};
pub use error::FetchError;
pub use exchange::{Fetch, Limits, Method, Request, Response};
pub use url::{Url, UrlError};
