//! The router: reads requests, chooses a channel for each, follows attempts and receipts, and says how it ended.
//!
//! Path of a message: `requests.*` → [`partition`] (remembered ids, open work) → [`decide`] → `dispatch.*` → a sender
//! → `attempts` → [`message`] (the state table) → `receipts.raw` → `outcomes`. The router owns the partitions of a
//! recipient, so deduplication, order and the join of receipts need no shared store.

pub mod admission;
pub mod config;
pub mod decide;
mod emit;
pub mod error;
pub mod health;
pub mod ids;
mod intake;
pub mod message;
mod metrics;
pub mod partition;
mod queue;
mod service;

pub use config::Config;
pub use error::Error;
pub use service::{Deps, READS, ROLE, Service};
