//! What may go wrong in analytics.

use jixinda_runtime::kafka;

/// A failure of the role.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings cannot be used; names the key.
    #[error("analytics settings: {0}")]
    Config(String),
    /// ClickHouse did not answer, or refused.
    #[error("clickhouse: {context}")]
    ClickHouse {
        /// What was tried.
        context: String,
        /// The client's words.
        #[source]
        source: clickhouse::error::Error,
    },
    /// ClickHouse did not answer in time.
    #[error("clickhouse: {0} took too long")]
    Slow(String),
    /// The database is not what this role may write to; says what to do.
    #[error("{0}")]
    Schema(String),
    /// A named query or its parameters are not known.
    #[error("{0}")]
    Query(String),
    /// The log failed.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// The status endpoint cannot listen.
    #[error(transparent)]
    Http(#[from] jixinda_runtime::http::Error),
    /// A thread could not be started, or ended without a word.
    #[error("analytics: {0}")]
    Thread(String),
}

impl Error {
    pub(crate) fn clickhouse(
        context: impl Into<String>,
    ) -> impl FnOnce(clickhouse::error::Error) -> Self {
        let context = context.into();
        move |source| Self::ClickHouse { context, source }
    }

    /// Whether trying again may help: ClickHouse is down, slow or busy.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::ClickHouse { .. } | Self::Slow(_))
    }
}
