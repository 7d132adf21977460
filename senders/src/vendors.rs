//! The vendors, and what they share: the HTTP client, endpoints, and the one way to read a failed exchange.

pub mod aliyun;
pub mod answer;
pub mod codes;
pub mod exchange;
pub mod feige;
pub mod huawei;
pub mod jdcloud;
pub mod lexin;
pub mod montnets;
pub mod several;
pub mod tencent;
pub mod times;
pub mod twilio;
pub mod vonage;
pub mod waiting;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use jixinda_runtime::secret::Secret;
use jixinda_schemas::directory::Channel;
use reqwest::Url;

use crate::{
    Error, Unusable,
    vendor::{Now, SmsVendor},
};
use codes::Catalogue;

/// What a vendor client is made from.
#[derive(Clone)]
pub struct Account<'a> {
    pub channel: &'a Channel,
    /// The channel's secrets, opened.
    pub secrets: BTreeMap<String, Secret>,
    /// Made by [`client`].
    pub client: reqwest::Client,
    pub now: Now,
    /// Where vendors reach the receipt endpoint from outside; signatures over a URL are checked with it.
    pub public_url: Option<String>,
    /// Where this vendor is to push, for those that are told with each call. It holds the channel's token.
    pub callback: Option<Secret>,
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

    /// One that stands in an HTTP header.
    ///
    /// # Errors
    /// As [`Account::secret`], and [`Unusable::MalformedSecret`] when it cannot stand there.
    pub fn header_secret(&self, name: &str) -> Result<Secret, Unusable> {
        let secret = self.secret(name)?;
        if secret.expose().bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(secret);
        }
        Err(Unusable::MalformedSecret(name.to_owned()))
    }

    /// A secret that may be absent; an empty one is.
    #[must_use]
    pub fn optional_secret(&self, name: &str) -> Option<Secret> {
        let secret = self.secrets.get(name);
        secret.filter(|s| !s.expose().is_empty()).cloned()
    }

    /// Refuses settings that the vendor does not have.
    ///
    /// # Errors
    /// [`Unusable::Setting`] names the first.
    pub fn known_settings(&self, names: &[&str]) -> Result<(), Unusable> {
        let mut settings = self.channel.settings.keys();
        let Some(name) = settings.find(|name| !names.contains(&name.as_str())) else {
            return Ok(());
        };
        Err(Unusable::Setting {
            name: name.clone(),
            cause: format!("{} has only {}", self.channel.vendor, names.join(", ")),
        })
    }

    /// A setting of the channel.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.channel.settings.get(name).map(|value| value.trim())
    }

    /// A setting that is `true` or `false`; absent is false.
    ///
    /// # Errors
    /// [`Unusable::Setting`] when it is anything else.
    pub fn switch(&self, name: &str) -> Result<bool, Unusable> {
        match self.setting(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Unusable::Setting {
                name: name.to_owned(),
                cause: "it must be true or false".to_owned(),
            }),
        }
    }

    /// A setting that is one of these words; absent is the first of them.
    ///
    /// # Errors
    /// [`Unusable::Setting`] when it is anything else.
    pub fn word(&self, name: &str, words: &[&'static str]) -> Result<&'static str, Unusable> {
        let pairs: Vec<(&str, &'static str)> = words.iter().map(|word| (*word, *word)).collect();
        self.choice(name, words.first().copied().unwrap_or_default(), &pairs)
    }

    /// A setting that the vendor cannot do without; `what` says what it is.
    ///
    /// # Errors
    /// [`Unusable::Setting`] when it is absent or empty.
    pub fn needed(&self, name: &str, what: &str) -> Result<&str, Unusable> {
        let value = self.setting(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| Unusable::Setting {
            name: name.to_owned(),
            cause: format!("{what} is needed"),
        })
    }

    /// A setting that is one of `words`; absent is `default`.
    ///
    /// # Errors
    /// [`Unusable::Setting`] when it is anything else.
    pub fn choice<T: Copy>(
        &self,
        name: &str,
        default: T,
        words: &[(&str, T)],
    ) -> Result<T, Unusable> {
        let Some(value) = self.setting(name) else {
            return Ok(default);
        };
        let chosen = words.iter().find(|(word, _)| *word == value);
        chosen.map(|(_, of)| *of).ok_or_else(|| Unusable::Setting {
            name: name.to_owned(),
            cause: format!("it must be one of {}", names(words)),
        })
    }

    /// A setting such as `15m`; absent is `default`.
    ///
    /// # Errors
    /// [`Unusable::Setting`] when it is no duration.
    pub fn duration(&self, name: &str, default: Duration) -> Result<Duration, Unusable> {
        let Some(value) = self.setting(name) else {
            return Ok(default);
        };
        humantime_serde::re::humantime::parse_duration(value).map_err(|_| Unusable::Setting {
            name: name.to_owned(),
            cause: "it must be a duration such as 15m".to_owned(),
        })
    }
}

/// The base URL and a path below it.
#[must_use]
pub fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

fn names<T>(words: &[(&str, T)]) -> String {
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    names.join(", ")
}

/// Value of the header `host` for a base URL.
///
/// # Errors
/// When it has no host.
pub fn host_of(base: &Url) -> Result<String, Unusable> {
    let host = base.host_str().ok_or(Unusable::Endpoint("no host"))?;
    Ok(match base.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// Every kind of vendor that [`build`] knows.
pub const KINDS: [&str; 9] = [
    aliyun::KIND,
    feige::KIND,
    huawei::KIND,
    jdcloud::KIND,
    lexin::KIND,
    montnets::KIND,
    tencent::KIND,
    twilio::KIND,
    vonage::KIND,
];

/// Makes the vendor client of a channel.
///
/// # Errors
/// When the channel lacks what its vendor needs, or no adapter fits its kind.
pub fn build(account: &Account<'_>) -> Result<Arc<dyn SmsVendor>, Unusable> {
    match account.channel.vendor.as_str() {
        aliyun::KIND => Ok(Arc::new(aliyun::Aliyun::new(account)?)),
        feige::KIND => Ok(Arc::new(feige::Feige::new(account)?)),
        huawei::KIND => Ok(Arc::new(huawei::Huawei::new(account)?)),
        jdcloud::KIND => Ok(Arc::new(jdcloud::Jdcloud::new(account)?)),
        lexin::KIND => Ok(Arc::new(lexin::Lexin::new(account)?)),
        montnets::KIND => Ok(Arc::new(montnets::Montnets::new(account)?)),
        tencent::KIND => Ok(Arc::new(tencent::Tencent::new(account)?)),
        twilio::KIND => Ok(Arc::new(twilio::Twilio::new(account)?)),
        vonage::KIND => Ok(Arc::new(vonage::Vonage::new(account)?)),
        other => Err(Unusable::UnknownVendor(other.to_owned())),
    }
}

/// The documented codes of a kind of vendor.
#[must_use]
pub fn catalogue(kind: &str) -> Option<Catalogue> {
    match kind {
        aliyun::KIND => Some(aliyun::codes::CATALOGUE),
        feige::KIND => Some(feige::codes::CATALOGUE),
        huawei::KIND => Some(huawei::codes::CATALOGUE),
        jdcloud::KIND => Some(jdcloud::codes::CATALOGUE),
        lexin::KIND => Some(lexin::codes::CATALOGUE),
        montnets::KIND => Some(montnets::codes::CATALOGUE),
        tencent::KIND => Some(tencent::codes::CATALOGUE),
        twilio::KIND => Some(twilio::codes::CATALOGUE),
        vonage::KIND => Some(vonage::codes::CATALOGUE),
        _ => None,
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
