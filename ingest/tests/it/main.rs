#![allow(clippy::unwrap_used)]
//! The service over real HTTP, against a mock broker.

mod batch;
mod harness;
mod limits;
mod refusals;
mod send;
mod status;
