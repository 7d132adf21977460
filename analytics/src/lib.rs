//! Analytics: every event becomes rows in ClickHouse, and every figure is read back from there.
//!
//! A record of the log is read by the [`sink`], judged by the fence, made into [`rows`], and inserted once, whatever
//! dies. [`status`] reads one message back for its app, [`queries`] answers named questions, and [`ddl`] keeps the
//! tables. [`engine`] is the embedded ClickHouse for one machine, behind the HTTP interface of a server.

pub mod config;
pub mod ddl;
pub mod engine;
mod error;
pub mod metrics;
pub mod queries;
pub mod rows;
mod service;
pub mod sink;
pub mod status;

pub use config::Config;
pub use error::Error;
pub use service::{Deps, Service};
