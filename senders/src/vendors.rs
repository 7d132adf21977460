//! The vendors, and what they share: the HTTP client, endpoints, and the one way to read a failed exchange.

pub mod aliyun;
pub mod exchange;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use jixinda_runtime::secret::Secret;
use jixinda_schemas::directory::Channel;
use reqwest::Url;

use crate::{
    Error, Unusable,
    vendor::{Now, SmsVendor},
};

/// What a vendor client is made from.
#[derive(Clone)]
pub struct Account<'a> {
    pub channel: &'a Channel,
    /// The channel's secrets, opened.
    pub secrets: BTreeMap<String, Secret>,
    /// Made by [`client`].
    pub client: reqwest::Client,
    pub now: Now,
}

impl std::fmt::Debug for Account<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Account({})", self.channel.id)
    }
}

impl Account<'_> {
    /// A secret that the vendor cannot do without.
    ///
    /// # Errors
    /// [`Unusable::MissingSecret`] when it is absent or empty.
    pub fn secret(&self, name: &str) -> Result<Secret, Unusable> {
        self.secrets
            .get(name)
            .filter(|secret| !secret.expose().is_empty())
            .cloned()
            .ok_or_else(|| Unusable::MissingSecret(name.to_owned()))
    }
}

/// Every kind of vendor that [`build`] knows.
pub const KINDS: [&str; 1] = [aliyun::KIND];

/// Makes the vendor client of a channel.
///
/// # Errors
/// When the channel lacks what its vendor needs, or no adapter fits its kind.
pub fn build(account: &Account<'_>) -> Result<Arc<dyn SmsVendor>, Unusable> {
    match account.channel.vendor.as_str() {
        aliyun::KIND => Ok(Arc::new(aliyun::Aliyun::new(account)?)),
        other => Err(Unusable::UnknownVendor(other.to_owned())),
    }
}

/// The HTTP client for vendor calls: one for all channels, TLS checked against the system's roots.
///
/// It sends each request at most once, as far as bytes on the wire go:
/// - Redirects are not followed.
/// - reqwest 0.13 by default sends a request again after an HTTP/2 or HTTP/3 refusal (`REFUSED_STREAM`,
///   `GOAWAY(NO_ERROR)`), never for HTTP/1. Both are off: [`reqwest::retry::never`], and HTTP/1 only.
/// - hyper-util's pool sends a request again when a *reused* connection turns out to be closed, and reqwest has no
///   switch for that. It does so only when hyper hands the request back (`TrySendError::take_message`), and hyper
///   (`proto/h1/dispatch.rs`) does so only while the request still stands in the connection's queue. Once the
///   connection has taken it for encoding, the error carries no request. So only what was never written is sent
///   again; a test with a server that drops reused connections keeps it so. When the pooled connection died and no
///   new one can be made, the error is a connect error, which is right: nothing was written.
/// - No proxy from the environment: an intermediary may repeat requests on its own.
///
/// `connect_timeout` covers name, TCP and TLS; it must be well under the channels' `call_timeout_ms`, since a call
/// that runs out of time while still connecting cannot be told from one whose bytes had left, and ends unknown.
///
/// # Errors
/// When the system has no root certificates.
///
/// # Panics
/// When no rustls crypto provider is installed; `main` does that first.
pub fn client(connect_timeout: Duration) -> Result<reqwest::Client, Error> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .http1_only()
        .no_proxy()
        .referer(false)
        .tcp_nodelay(true)
        .connect_timeout(connect_timeout)
        // Shorter than the keep-alive of common gateways, so that fewer calls meet a connection just closed.
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(512)
        .user_agent(concat!("jixinda/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(Error::Client)
}

/// Reads a base URL: https, or http to this machine only, since secrets and numbers travel there.
///
/// # Errors
/// When it is anything else, or has user, query or fragment.
pub fn endpoint(text: &str) -> Result<Url, Unusable> {
    let url = Url::parse(text.trim()).map_err(|_| Unusable::Endpoint("not a URL"))?;
    let host = url.host_str().ok_or(Unusable::Endpoint("no host"))?;
    let loopback = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => return Err(Unusable::Endpoint("plain http goes only to this machine")),
        _ => return Err(Unusable::Endpoint("neither https nor http")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Unusable::Endpoint("secrets do not belong in the URL"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Unusable::Endpoint("a base URL has no query or fragment"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_goes_only_to_this_machine() {
        for good in [
            "https://dysmsapi.aliyuncs.com",
            "http://127.0.0.1:8790/aliyun",
            "http://[::1]:1",
            "http://localhost:1",
        ] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for bad in [
            "http://dysmsapi.aliyuncs.com",
            "http://localhost.example.com",
            "http://10.0.0.1",
            "ftp://localhost",
            "dysmsapi.aliyuncs.com",
            "https://user:pw@example.com",
            "https://example.com/?a=b",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
