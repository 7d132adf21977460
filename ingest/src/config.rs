//! `[ingest]`. Defaults stand in `config.default.toml`, never here.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use bytesize::ByteSize;
use ipnet::IpNet;
use jixinda_runtime::secret::Secret;
use serde::Deserialize;

use crate::Error;

/// The section of the commented defaults that belongs to ingest.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// `[ingest]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Plain HTTP on an address other than loopback.
    pub allow_plain_http: bool,
    /// TLS instead of plain HTTP.
    pub tls: Option<Tls>,
    /// Only from these are `X-Forwarded-For` and `X-Forwarded-Proto` believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Connections open at once; more are closed at once.
    pub max_connections: usize,
    /// For a request's header, and for an idle connection.
    #[serde(with = "humantime_serde")]
    pub header_timeout: Duration,
    /// For a request's body.
    #[serde(with = "humantime_serde")]
    pub body_timeout: Duration,
    /// Largest body of a single message.
    pub max_body: ByteSize,
    /// Largest body of a batch.
    pub max_batch_body: ByteSize,
    /// How long the log may take before the caller gets a 503.
    #[serde(with = "humantime_serde")]
    pub write_timeout: Duration,
    /// For open requests, at a stop.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// Nonces remembered at most.
    pub remembered_nonces: usize,
    /// Accepted messages remembered at most.
    pub remembered_messages: usize,
    /// Base URL of the analytics role's internal reads; empty for none.
    pub status_url: String,
    /// Shared with the analytics role.
    pub status_token: Secret,
    /// For one status read.
    #[serde(with = "humantime_serde")]
    pub status_timeout: Duration,
}

/// `[ingest.tls]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM, the whole chain.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// Names every bad value, one a line.
    pub fn check(&self) -> Result<(), Error> {
        let mut bad = Vec::new();
        if self.tls.is_none() && !self.listen.ip().is_loopback() && !self.allow_plain_http {
            bad.push(format!(
                "ingest.listen: {} is not loopback; set ingest.tls, or ingest.allow_plain_http = true behind a proxy that ends TLS",
                self.listen
            ));
        }
        for (name, zero) in [
            ("max_connections", self.max_connections == 0),
            ("header_timeout", self.header_timeout.is_zero()),
            ("body_timeout", self.body_timeout.is_zero()),
            ("max_body", self.max_body.as_u64() == 0),
            ("max_batch_body", self.max_batch_body.as_u64() == 0),
            ("write_timeout", self.write_timeout.is_zero()),
            ("remembered_nonces", self.remembered_nonces == 0),
            ("remembered_messages", self.remembered_messages == 0),
            ("status_timeout", self.status_timeout.is_zero()),
        ] {
            if zero {
                bad.push(format!("ingest.{name}: must be more than 0"));
            }
        }
        let url = &self.status_url;
        if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
            bad.push(format!(
                "ingest.status_url: `{url}` is no http:// or https:// URL"
            ));
        }
        if bad.is_empty() {
            Ok(())
        } else {
            Err(Error::Config(bad.join("\n")))
        }
    }
}

#[cfg(test)]
pub(crate) fn defaults() -> Config {
    #[derive(Deserialize)]
    struct Root {
        ingest: Config,
    }
    toml::from_str::<Root>(DEFAULTS).unwrap().ingest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commented_defaults_are_a_valid_configuration() {
        let config = defaults();
        config.check().unwrap();
        assert_eq!(config.max_body, ByteSize::kib(16));
        assert_eq!(config.max_batch_body, ByteSize::mib(4));
        assert!(config.tls.is_none());
    }

    #[test]
    fn the_commented_tls_section_deserialises_too() {
        let text = DEFAULTS
            .replace("# [ingest.tls]", "[ingest.tls]")
            .replace("# certificate", "certificate")
            .replace("# key", "key");
        let root: toml::Table = toml::from_str(&text).unwrap();
        let config: Config = root["ingest"].clone().try_into().unwrap();
        assert!(config.tls.is_some());
    }

    #[test]
    fn plain_http_beyond_loopback_must_be_asked_for() {
        let mut config = defaults();
        config.listen = "0.0.0.0:8771".parse().unwrap();
        config.write_timeout = Duration::ZERO;
        let error = config.check().unwrap_err().to_string();
        assert!(
            error.contains("allow_plain_http") && error.contains("write_timeout"),
            "{error}"
        );
        config.write_timeout = Duration::from_secs(1);
        config.allow_plain_http = true;
        config.check().unwrap();
    }

    #[test]
    fn a_mistyped_key_is_refused() {
        let text = DEFAULTS.replace("max_connections", "max_conections");
        let root: toml::Table = toml::from_str(&text).unwrap();
        let error = root["ingest"]
            .clone()
            .try_into::<Config>()
            .unwrap_err()
            .to_string();
        assert!(error.contains("max_conections"), "{error}");
    }
}
