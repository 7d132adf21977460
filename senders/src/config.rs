//! `[senders]`

use std::{net::SocketAddr, time::Duration};

use ipnet::IpNet;
use serde::Deserialize;

/// Settings of the senders.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which channels this process serves: those whose `pool` is this.
    pub pool: String,
    /// Where vendors push receipts.
    pub listen: SocketAddr,
    /// Where vendors reach `listen` from outside, such as `https://sms.example.com`; empty if they do not.
    pub public_url: String,
    /// Proxies whose `X-Forwarded-For` is believed on the receipt endpoint.
    pub trusted_proxies: Vec<IpNet>,
    /// How long a connection to a vendor may take; well under every channel's call timeout.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
}

impl Config {
    /// The public URL without a slash at the end.
    ///
    /// # Errors
    /// When it is no URL that a vendor could be given.
    pub fn public_url(&self) -> Result<Option<String>, String> {
        let text = self.public_url.trim().trim_end_matches('/');
        if text.is_empty() {
            return Ok(None);
        }
        crate::vendors::endpoint(text)
            .map(|_| Some(text.to_owned()))
            .map_err(|e| format!("senders.public_url: {e}"))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_default_section_fits_the_struct() {
        #[derive(serde::Deserialize)]
        struct Root {
            senders: super::Config,
        }
        let root: Root = toml::from_str(include_str!("config.default.toml")).unwrap();
        assert_eq!(root.senders.pool, "default");
    }
}
