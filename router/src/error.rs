//! What stops the router.

/// The router cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka is not usable as set up, or this process was fenced.
    #[error(transparent)]
    Kafka(#[from] jixinda_runtime::kafka::Error),
}
