use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::account::{Account, Secret};
use crate::error::Error;

/// The lab's settings, a TOML file of their own. Accounts can be added and changed while it runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default = "listen")]
    pub listen: SocketAddr,
    /// All randomness follows from it.
    #[serde(default)]
    pub seed: u64,
    /// JSON Lines, appended to.
    pub journal: PathBuf,
    /// Each call's line is handed to the operating system before the call is answered (costs latency).
    #[serde(default)]
    pub journal_sync: bool,
    /// If set, the admin API wants `Authorization: Bearer <token>`. It answers loopback only in any case.
    #[serde(default)]
    pub admin_token: Option<Secret>,
    /// How far a caller's clock may be off, either way.
    #[serde(default = "clock_skew", with = "humantime_serde")]
    pub clock_skew: Duration,
    /// Nonces remembered per account; above it the oldest half is forgotten before its time.
    #[serde(default = "nonce_capacity")]
    pub nonce_capacity: usize,
    /// Receipts of one account that may wait; above it calls are refused with the vendor's system error.
    #[serde(default = "receipt_capacity")]
    pub receipt_capacity: usize,
    /// Factor on the vendors' delays before they push again.
    #[serde(default = "receipt_retry_scale")]
    pub receipt_retry_scale: f64,
    #[serde(default = "receipt_timeout", with = "humantime_serde")]
    pub receipt_timeout: Duration,
    /// How long `accept_then_timeout` holds a connection that the client does not give up.
    #[serde(default = "hang_limit", with = "humantime_serde")]
    pub hang_limit: Duration,
    #[serde(default)]
    pub accounts: Vec<Account>,
}

fn listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 8790).into()
}

fn clock_skew() -> Duration {
    Duration::from_secs(15 * 60)
}

fn nonce_capacity() -> usize {
    2_000_000
}

fn receipt_capacity() -> usize {
    1_000_000
}

fn receipt_retry_scale() -> f64 {
    1.0
}

fn receipt_timeout() -> Duration {
    Duration::from_secs(5)
}

fn hang_limit() -> Duration {
    Duration::from_secs(60)
}

impl Config {
    /// Every setting at its default, no account.
    pub fn new(journal: impl Into<PathBuf>) -> Self {
        Self {
            listen: listen(),
            seed: 0,
            journal: journal.into(),
            journal_sync: false,
            admin_token: None,
            clock_skew: clock_skew(),
            nonce_capacity: nonce_capacity(),
            receipt_capacity: receipt_capacity(),
            receipt_retry_scale: receipt_retry_scale(),
            receipt_timeout: receipt_timeout(),
            hang_limit: hang_limit(),
            accounts: Vec::new(),
        }
    }

    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::ReadConfig {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text)
    }

    pub fn parse(text: &str) -> Result<Self, Error> {
        let config: Self = toml::from_str(text).map_err(|e| Error::ParseConfig(Box::new(e)))?;
        config.check()?;
        Ok(config)
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(self.receipt_retry_scale.is_finite() && self.receipt_retry_scale >= 0.0) {
            return Err(Error::Setting {
                setting: "receipt_retry_scale",
                problem: "must be zero or more".into(),
            });
        }
        if self.nonce_capacity < 2 {
            return Err(Error::Setting {
                setting: "nonce_capacity",
                problem: "must be at least 2".into(),
            });
        }
        let mut names = HashSet::new();
        let mut keys = HashSet::new();
        for account in &self.accounts {
            let problem = match account.check() {
                Err(problem) => problem,
                Ok(()) if !names.insert(&account.id) => "the id is used twice".into(),
                Ok(()) if !keys.insert((&account.vendor, &account.access_key_id)) => {
                    "another account of this vendor has the same access_key_id".into()
                }
                Ok(()) => continue,
            };
            return Err(Error::Account {
                account: account.id.clone(),
                problem,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str =
        "journal = 'j'\n[[accounts]]\nid = 'a'\naccess_key_id = 'k'\nsecrets = ['s']\n";

    fn complaint(text: &str) -> String {
        let error = Config::parse(text).unwrap_err();
        format!(
            "{error}: {:?}",
            std::error::Error::source(&error).map(ToString::to_string)
        )
    }

    #[test]
    fn mistakes_are_named() {
        for (extra, named) in [
            ("secret = ['x']", "unknown field `secret`"),
            ("receipt_url = 'https://x/'", "not an http:// URL"),
            ("behaviour.down = 'maybe'", "unknown variant `maybe`"),
            (
                "behaviour.submit_errors = [{ share = 2.0, kind = 'http_503' }]",
                "not between 0 and 1",
            ),
            (
                "behaviour.submit_errors = [{ share = 0.1, kind = 'isv.NO_SUCH' }]",
                "`isv.NO_SUCH`",
            ),
            (
                "behaviour.receipt_failures = [{ share = 0.1, code = 'DELIVERED' }]",
                "`DELIVERED`",
            ),
        ] {
            let text = format!("{ACCOUNT}{extra}\n");
            assert!(complaint(&text).contains(named), "{}", complaint(&text));
        }
        let twice = format!("{ACCOUNT}{}", &ACCOUNT["journal = 'j'\n".len()..]);
        assert!(complaint(&twice).contains("used twice"));
    }

    #[test]
    fn the_example_parses_and_shows_every_magic_number() {
        let text = include_str!("../lab.example.toml");
        let config = Config::parse(text).unwrap();
        assert_eq!(config.accounts[0].behaviour.submit_errors.len(), 7);
        let defaults = Config::new("lab-journal.jsonl");
        assert_eq!(config.listen, defaults.listen);
        assert_eq!(config.clock_skew, defaults.clock_skew);
        assert_eq!(config.nonce_capacity, defaults.nonce_capacity);
        assert_eq!(config.receipt_capacity, defaults.receipt_capacity);
        for (suffix, _) in crate::magic::TABLE {
            assert!(text.contains(&format!(" {suffix} ")), "{suffix}");
        }
    }
}
