//! The senders: they give routed messages to SMS vendors and take the vendors' receipts.
//!
//! Path of a message: a `routed` record names a channel; [`registry`] holds the channel's vendor client, built from
//! the directory; the client ([`vendor::SmsVendor`], one module a vendor under [`vendors`]) makes one call and says
//! for each item whether it was accepted, refused, or cannot be known. Path of a receipt: the vendor pushes to
//! [`receipts`], its client reads the body, every item is stored, and only then is the vendor acknowledged.

pub mod claims;
pub mod config;
mod emit;
pub mod error;
pub mod limiter;
pub mod metrics;
pub mod receipts;
pub mod registry;
mod sender;
mod service;
pub mod sink;
mod together;
pub mod vendor;
pub mod vendors;

pub use config::Config;
pub use error::{Error, Unusable};
pub use service::{Deps, READS, Service, role};
