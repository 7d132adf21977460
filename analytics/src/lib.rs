//! Analytics: every event becomes rows in ClickHouse, and every figure is read back from there.
//!
//! [`engine`] is the embedded ClickHouse for one machine, behind the HTTP interface of a server.

pub mod engine;
