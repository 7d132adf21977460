//! `[analytics]`

use std::{net::SocketAddr, time::Duration};

use jixinda_runtime::secret::Secret;
use serde::Deserialize;

use crate::Error;

/// The section of the commented default configuration.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// Settings of the role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address of the internal status reads.
    pub listen: SocketAddr,
    /// Shared with ingest; callers send it as a bearer token.
    pub token: Secret,
    /// ClickHouse's HTTP interface.
    pub url: String,
    /// May create tables, insert and read.
    pub user: String,
    pub password: Secret,
    /// Created when it is absent.
    pub database: String,
    /// Most rows of one insert.
    pub batch_rows: usize,
    /// An insert waits for more rows at least so long.
    #[serde(with = "humantime_serde")]
    pub batch_interval: Duration,
    /// Inserts wait longer while more than so many a second are due.
    pub inserts_per_second: u32,
    /// No insert waits longer than this, however many are due.
    #[serde(with = "humantime_serde")]
    pub batch_patience: Duration,
    /// Most rows held in memory; reading pauses above it.
    pub held_rows: usize,
    /// Inserts that run at the same time.
    pub inserts_at_once: usize,
    /// An insert is tried again after so long.
    #[serde(with = "humantime_serde")]
    pub insert_timeout: Duration,
    /// A status read fails after so long.
    #[serde(with = "humantime_serde")]
    pub read_timeout: Duration,
    /// Rows are deleted after so many days.
    pub retention_days: u32,
    /// Time zone of the days of reports.
    pub zone: String,
}

impl Config {
    /// Checks what the types cannot say.
    ///
    /// # Errors
    /// Names the key and what it must be.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |text: &str| Err(Error::Config(text.to_owned()));
        let name = |text: &str, more: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        if self.token.is_empty() {
            return wrong("token is empty; give ingest and analytics the same random text");
        }
        if !self.url.starts_with("http://") {
            return wrong("url must start with http://");
        }
        if !name(&self.database, "_") {
            return wrong("database may have letters, digits and underscores only");
        }
        if !name(&self.zone, "_/+-") {
            return wrong("zone must be a name such as Asia/Shanghai");
        }
        if !(1..=1_000_000).contains(&self.batch_rows) || self.held_rows < self.batch_rows {
            return wrong("batch_rows must be 1 to 1000000, and held_rows no less");
        }
        if self.batch_interval < Duration::from_millis(10)
            || self.batch_interval > Duration::from_secs(30)
        {
            return wrong("batch_interval must be 10ms to 30s");
        }
        if !(1..=1_000).contains(&self.inserts_per_second) {
            return wrong("inserts_per_second must be 1 to 1000");
        }
        if self.batch_patience > Duration::from_secs(60) {
            return wrong("batch_patience must be at most 60s");
        }
        if self.inserts_at_once == 0 || self.retention_days == 0 {
            return wrong("inserts_at_once and retention_days must be at least 1");
        }
        if self.insert_timeout.is_zero() || self.read_timeout.is_zero() {
            return wrong("insert_timeout and read_timeout must be more than nothing");
        }
        Ok(())
    }

    /// A client of ClickHouse in the configured database.
    #[must_use]
    pub fn client(&self) -> clickhouse::Client {
        clickhouse::Client::default()
            .with_url(&self.url)
            .with_user(&self.user)
            .with_password(self.password.expose())
            .with_database(&self.database)
            .with_compression(clickhouse::Compression::None)
            .with_validation(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        analytics: Config,
    }

    #[test]
    fn the_defaults_are_usable_once_there_is_a_token() {
        let mut config = jixinda_runtime::config::load::<File>(DEFAULTS, None)
            .unwrap()
            .analytics;
        assert!(config.check().unwrap_err().to_string().contains("token"));
        config.token = Secret::new("x");
        config.check().unwrap();
        config.zone = "Asia/Shanghai') --".into();
        assert!(config.check().unwrap_err().to_string().contains("zone"));
    }
}
