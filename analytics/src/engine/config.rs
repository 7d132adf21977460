//! Settings of the embedded engine.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use jixinda_runtime::secret::Secret;
use serde::Deserialize;

use super::Error;

/// The release of the engine that this code was checked against.
pub(crate) const LIBRARY_VERSION: &str = "26.7.3-stable.1";

const MIN_PASSWORD: usize = 16;

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Path of `libchdb.so`; without one, where `deploy/local/libchdb.sh fetch` puts it.
    pub library: Option<PathBuf>,
    /// Where the tables live; locked against a second engine.
    pub data_dir: PathBuf,
    pub listen: SocketAddr,
    /// The user that may also insert and define tables.
    pub ingest_user: String,
    pub ingest_password: Secret,
    /// The user that may only read.
    pub read_user: String,
    pub read_password: Secret,
    /// Memory of the whole engine; one statement may take half of it.
    pub max_memory: ByteSize,
    #[serde(with = "humantime_serde")]
    pub max_query_seconds: Duration,
    /// Largest request body; four times as much may be held by all requests together.
    pub max_body_bytes: ByteSize,
    /// Largest result that is not streamed.
    pub max_result_bytes: ByteSize,
    /// Threads for reads; there is one more for writes.
    pub read_connections: usize,
    /// Requests that may wait for reads, and as many for writes; more get 503.
    pub queue: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            library: None,
            data_dir: PathBuf::from("data/clickhouse"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8123)),
            ingest_user: "ingest".into(),
            ingest_password: Secret::default(),
            read_user: "reader".into(),
            read_password: Secret::default(),
            max_memory: ByteSize::gib(4),
            max_query_seconds: Duration::from_secs(60),
            max_body_bytes: ByteSize::mib(64),
            max_result_bytes: ByteSize::mib(64),
            read_connections: 3,
            queue: 64,
        }
    }
}

impl Config {
    pub(crate) fn library_path(&self) -> PathBuf {
        self.library.clone().unwrap_or_else(|| {
            let cache = std::env::var_os("JIXINDA_CACHE").map_or_else(
                || {
                    PathBuf::from(std::env::var_os("HOME").unwrap_or_default())
                        .join(".cache/jixinda")
                },
                PathBuf::from,
            );
            cache
                .join(format!("libchdb-{LIBRARY_VERSION}"))
                .join("libchdb.so")
        })
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let bad = |what: &str| Err(Error::Config(what.to_owned()));
        if self.ingest_user.is_empty() || self.read_user.is_empty() {
            return bad("ingest_user and read_user must not be empty");
        }
        if self.ingest_user == self.read_user {
            return bad("ingest_user and read_user must differ");
        }
        let short = |secret: &Secret| secret.expose().len() < MIN_PASSWORD;
        if !self.listen.ip().is_loopback()
            && (short(&self.ingest_password) || short(&self.read_password))
        {
            return bad("beyond loopback both users need passwords of at least 16 characters");
        }
        if self.read_connections == 0 || self.queue == 0 {
            return bad("read_connections and queue must be at least 1");
        }
        if self.max_query_seconds < Duration::from_secs(1) {
            return bad("max_query_seconds must be at least 1s");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_needs_two_long_passwords() {
        let mut config = Config {
            listen: "0.0.0.0:8123".parse().unwrap(),
            ..Config::default()
        };
        assert!(config.check().is_err());
        config.ingest_password = Secret::new("0123456789abcdef");
        assert!(config.check().is_err());
        config.read_password = Secret::new("0123456789abcdef");
        assert!(config.check().is_ok());
        assert!(!format!("{config:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn unknown_keys_are_refused_and_units_are_read() {
        let config: Config = serde_json::from_str(
            r#"{"max_memory":"1 GiB","max_query_seconds":"5s","listen":"127.0.0.1:1"}"#,
        )
        .unwrap();
        assert_eq!(config.max_memory, ByteSize::gib(1));
        assert!(serde_json::from_str::<Config>(r#"{"max_memry":"1 GiB"}"#).is_err());
    }
}
