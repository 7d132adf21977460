//! Tests of the whole without a broker: the architecture, the configuration, the command line, the demo's files.
#![allow(clippy::unwrap_used, reason = "helpers outside #[test] need it")]

mod architecture;
mod cli;
mod config;
mod demo;
mod vendor_docs;

/// The folder of the workspace.
fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
}
