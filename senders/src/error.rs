//! What can go wrong outside a single call. What a vendor answers is no error but an
//! [`AttemptResult`](jixinda_schemas::event::AttemptResult).

/// A failure that stops this role from starting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No HTTP client could be made, for instance because the system has no root certificates.
    #[error("cannot set up the HTTP client for vendor calls")]
    Client(#[source] reqwest::Error),
    /// A setting cannot be used; names it.
    #[error("{0}")]
    Config(String),
    /// Kafka is not usable as set up, or this process was fenced.
    #[error(transparent)]
    Kafka(#[from] jixinda_runtime::kafka::Error),
    /// The receipt endpoint cannot listen.
    #[error(transparent)]
    Http(#[from] jixinda_runtime::http::Error),
}

/// Why a channel of the directory cannot be used. Never holds a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// No adapter for this kind.
    #[error("no vendor of kind `{0}` is known to this release")]
    UnknownVendor(String),
    /// A secret that the vendor needs is absent or empty.
    #[error("the secret `{0}` is missing")]
    MissingSecret(String),
    /// A secret was sealed under another key, for another place, or was altered.
    #[error("the secret `{name}` does not open: {cause}")]
    SealedSecret {
        /// Name of the secret.
        name: String,
        /// Why, in the words of [`jixinda_schemas::seal::Error`].
        cause: String,
    },
    /// A secret cannot stand in an HTTP header.
    #[error("the secret `{0}` has characters that its vendor cannot have issued")]
    MalformedSecret(String),
    /// A setting has a wrong value, or is not known to the vendor.
    #[error("the setting `{name}` cannot be used: {cause}")]
    Setting {
        /// Name of the setting.
        name: String,
        /// What is wrong.
        cause: String,
    },
    /// The endpoint is no base URL, or would send secrets in clear.
    #[error("the endpoint cannot be used: {0}")]
    Endpoint(&'static str),
}
