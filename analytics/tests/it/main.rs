#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers outside of test functions need it"
)]

mod engine;
mod pipeline;
