//! The HTTP door of Jixinda: who calls, whether the request may be sent, and its record in the log.
//!
//! A message is accepted when all in-sync replicas have its record, never earlier. Its id follows from what the
//! caller sent, so instances share nothing: a repeat, here or elsewhere, is the same message, and the router drops
//! it. The nonces and messages that an instance remembers only make its answers quicker and sharper.

mod accept;
mod auth;
mod body;
pub mod config;
mod error;
mod http;
mod limit;
mod metrics;
mod peer;
mod produce;
mod recent;
mod service;

pub use config::Config;
pub use error::Error;
pub use service::{Deps, Service};
