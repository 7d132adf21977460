//! The whole configuration: one section for each crate, assembled here and nowhere else.

mod layers;
mod show;

use std::{fmt, net::SocketAddr};

use jixinda_runtime::{
    kafka::{self, Kafka},
    secret::Secret,
    telemetry,
};
use jixinda_schemas::seal::PlatformKey;
use serde::Deserialize;

pub use layers::Layers;

use crate::roles::Role;

/// The commented defaults, which are the manual too: each crate brings its own section.
pub const DEFAULTS: &str = concat!(
    include_str!("config.default.toml"),
    "\n",
    include_str!("../ingest/src/config.default.toml"),
    "\n",
    include_str!("../router/src/config.default.toml"),
    "\n",
    include_str!("../senders/src/config.default.toml"),
    "\n",
    include_str!("../analytics/src/config.default.toml"),
    "\n",
    include_str!("config/engine.default.toml"),
);

/// Everything that `jixinda.toml` may hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub kafka: kafka::Config,
    pub telemetry: telemetry::Config,
    pub secrets: Secrets,
    pub admin: Admin,
    pub topics: Topics,
    pub run: Run,
    pub ingest: jixinda_ingest::Config,
    pub router: jixinda_router::Config,
    pub senders: jixinda_senders::Config,
    pub analytics: jixinda_analytics::Config,
    pub engine: jixinda_analytics::engine::Config,
}

/// `[secrets]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    pub platform_key: Secret,
}

/// `[admin]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    pub listen: SocketAddr,
    pub peers: Vec<String>,
}

/// `[topics]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topics {
    pub pools: Vec<String>,
}

/// `[run]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    pub roles: Vec<Role>,
    pub engine: bool,
}

/// The configuration cannot be used: every bad value, each with its key.
#[derive(Debug)]
pub struct Invalid(pub Vec<String>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is not usable:")?;
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl std::error::Error for Invalid {}

impl Config {
    /// Everything that the types alone do not see, for the process as a whole and for `roles`.
    ///
    /// # Errors
    /// Every bad value.
    pub fn check(&self, roles: &[Role]) -> Result<(), Invalid> {
        let mut bad = Vec::new();
        if let Err(error) = Kafka::new(self.kafka.clone()) {
            bad.push(error.to_string());
        }
        if let Err(Invalid(lines)) = self.platform_key() {
            bad.extend(lines);
        }
        if self.topics.pools.is_empty() {
            bad.push("topics.pools: name at least one, such as \"default\"".to_owned());
        }
        for pool in &self.topics.pools {
            // A pool is part of a group's name and stands in URLs and metrics: the rules of ids fit.
            if pool.parse::<jixinda_schemas::ChannelId>().is_err() {
                bad.push(format!(
                    "topics.pools: `{pool}` is no name; use 1 to 64 of a-z 0-9 _ - ."
                ));
            }
        }
        for peer in &self.admin.peers {
            if peer.contains('/')
                || peer
                    .rsplit_once(':')
                    .is_none_or(|(_, port)| port.parse::<u16>().is_err())
            {
                bad.push(format!("admin.peers: `{peer}` is not host:port"));
            }
        }
        for role in roles {
            bad.extend(self.check_role(*role));
        }
        if bad.is_empty() {
            Ok(())
        } else {
            Err(Invalid(bad))
        }
    }

    fn check_role(&self, role: Role) -> Vec<String> {
        match role {
            Role::Ingest => match self.ingest.check() {
                Ok(()) => Vec::new(),
                Err(jixinda_ingest::Error::Config(lines)) => {
                    lines.lines().map(ToOwned::to_owned).collect()
                }
                Err(other) => vec![format!("ingest: {other}")],
            },
            Role::Analytics => match self.analytics.check() {
                Ok(()) => Vec::new(),
                Err(jixinda_analytics::Error::Config(what)) => vec![format!("analytics: {what}")],
                Err(other) => vec![format!("analytics: {other}")],
            },
            Role::Senders if !self.topics.pools.contains(&self.senders.pool) => {
                let pool = &self.senders.pool;
                vec![format!("senders.pool: `{pool}` is not among topics.pools")]
            }
            Role::Router | Role::Senders => Vec::new(),
        }
    }

    /// The platform key.
    ///
    /// # Errors
    /// When it is not set or not 32 bytes in base64.
    pub fn platform_key(&self) -> Result<PlatformKey, Invalid> {
        let secret = &self.secrets.platform_key;
        if secret.is_empty() {
            let line = "secrets.platform_key: is not set; make one with `jixinda key generate`";
            return Err(Invalid(vec![line.to_owned()]));
        }
        PlatformKey::from_base64(secret.expose())
            .map_err(|error| Invalid(vec![format!("secrets.platform_key: {error}")]))
    }

    /// Names and client settings of Kafka.
    ///
    /// # Errors
    /// When `[kafka]` holds what cannot be.
    pub fn kafka(&self) -> Result<Kafka, Invalid> {
        Kafka::new(self.kafka.clone()).map_err(|error| Invalid(vec![error.to_string()]))
    }
}
