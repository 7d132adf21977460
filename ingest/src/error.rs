//! Why ingest cannot start or serve. What a caller gets to see is in `http/problem.rs`.

use std::path::PathBuf;

use jixinda_runtime::{http, kafka};

/// Ingest cannot start or serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One line for each bad value.
    #[error("ingest configuration: {0}")]
    Config(String),
    /// The producer, or its last flush.
    #[error("ingest: {0}")]
    Kafka(#[from] kafka::Error),
    /// The address, or the client for status reads.
    #[error("ingest: {0}")]
    Http(#[from] http::Error),
    /// The certificate or its key.
    #[error("ingest: cannot use certificate {certificate} with key {key}")]
    Tls {
        /// As configured.
        certificate: PathBuf,
        /// As configured.
        key: PathBuf,
        /// What is wrong with them.
        #[source]
        source: std::io::Error,
    },
    /// The listener broke.
    #[error("ingest: the listener failed")]
    Serve(#[source] std::io::Error),
}
