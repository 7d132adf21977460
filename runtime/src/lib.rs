//! The one shared I/O crate: configuration, Kafka, HTTP, telemetry, lifecycle, clock. It knows no domain rule, no
//! vendor and no SQL; what it knows of messages is their envelope, headers and place in the log.

pub mod clock;
pub mod config;
pub mod crash;
pub mod directory;
pub mod http;
pub mod kafka;
pub mod lifecycle;
pub mod metrics;
pub mod pacer;
pub mod secret;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
