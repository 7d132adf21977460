//! Alibaba Cloud SMS (Dysmsapi 2017-05-25): SendSms with a template code and named variables, signed by ACS3.
//!
//! Secrets `access_key_id`, `access_key_secret`, and `security_token` for temporary keys. Setting `region`; the
//! channel's endpoint overrides it. Receipts are pushed without a signature: an unguessable path and an address list
//! are all there is. A nonce that comes twice is refused, which protects against a replay of the same bytes only;
//! there is no idempotency key.

pub mod codes;
pub mod receipt;
pub mod sign;
pub mod wire;

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use jixinda_runtime::secret::Secret;
use jixinda_schemas::{
    Timestamp,
    vendor::{Blame, Disposition},
};
use reqwest::Url;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros};

use super::{Account, endpoint, exchange::exchange};
use crate::{
    Unusable, metrics,
    vendor::{
        Ack, Call, Item, ItemResult, Limits, Now, ParsedItem, RawBody, ReceiptError, SmsVendor,
        not_sent,
    },
};

/// Vendor kind.
pub const KIND: &str = "aliyun";

const ACTION: &str = "SendSms";
const VERSION: &str = "2017-05-25";
const DATE: &[BorrowedFormatItem<'_>] =
    macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// One account.
pub struct Aliyun {
    access_key_id: Secret,
    access_key_secret: Secret,
    security_token: Option<Secret>,
    base: Url,
    /// Value of the header `host` for `base`.
    host: String,
    client: reqwest::Client,
    now: Now,
}

impl fmt::Debug for Aliyun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aliyun({})", self.base)
    }
}

impl Aliyun {
    /// Reads the channel's settings and secrets.
    ///
    /// # Errors
    /// When one is missing or cannot be used.
    pub fn new(account: &Account<'_>) -> Result<Self, Unusable> {
        if let Some(name) = account.channel.settings.keys().find(|k| *k != "region") {
            return Err(Unusable::Setting {
                name: name.clone(),
                cause: "aliyun has only `region`".to_owned(),
            });
        }
        let base = match &account.channel.endpoint {
            Some(text) => endpoint(text)?,
            None => endpoint(&regional(
                account.channel.settings.get("region").map(String::as_str),
            )?)?,
        };
        let host = base
            .host_str()
            .ok_or(Unusable::Endpoint("no host"))?
            .to_owned();
        let host = match base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
        let security_token = account
            .secrets
            .get("security_token")
            .filter(|token| !token.expose().is_empty())
            .cloned();
        let access_key_id = account.secret("access_key_id")?;
        for (name, secret) in [
            ("access_key_id", Some(&access_key_id)),
            ("security_token", security_token.as_ref()),
        ] {
            if secret.is_some_and(|s| !s.expose().bytes().all(|b| b.is_ascii_graphic())) {
                return Err(Unusable::MalformedSecret(name.to_owned()));
            }
        }
        Ok(Self {
            access_key_id,
            access_key_secret: account.secret("access_key_secret")?,
            security_token,
            base,
            host,
            client: account.client.clone(),
            now: account.now.clone(),
        })
    }

    async fn send_one(&self, call: &Call, item: &Item) -> ItemResult {
        let params = match wire::params(call.call_id, item) {
            Ok(params) => params,
            Err(result) => return result,
        };
        let nonce = format!("{:032x}", rand::random::<u128>());
        let request = self.request(&params, (self.now)(), &nonce);
        let request = request.timeout(call.timeout).build();
        match exchange(&self.client, request).await {
            Ok(answer) => {
                let verdict = wire::interpret(&answer);
                if verdict.undocumented {
                    metrics::undocumented_code(KIND);
                }
                verdict.result
            }
            Err(result) => result,
        }
    }

    fn request(
        &self,
        params: &[(&'static str, String)],
        now: Timestamp,
        nonce: &str,
    ) -> reqwest::RequestBuilder {
        let mut headers = BTreeMap::from([
            ("host", self.host.clone()),
            ("x-acs-action", ACTION.to_owned()),
            ("x-acs-version", VERSION.to_owned()),
            ("x-acs-date", date(now)),
            ("x-acs-signature-nonce", nonce.to_owned()),
            ("x-acs-content-sha256", sign::body_hash(b"")),
        ]);
        if let Some(token) = &self.security_token {
            headers.insert("x-acs-accesskey-id", self.access_key_id.expose().to_owned());
            headers.insert("x-acs-security-token", token.expose().to_owned());
        }
        let query: Vec<(&str, &str)> = params.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let signed = sign::sign(
            &sign::Request {
                method: "POST",
                path: self.base.path(),
                query: &query,
                headers: &headers,
                body: b"",
            },
            self.access_key_id.expose(),
            self.access_key_secret.expose(),
        );
        let mut url = self.base.clone();
        url.set_query(Some(&signed.query));
        let mut request = self
            .client
            .post(url)
            .header("authorization", signed.authorization)
            .header("accept", "application/json")
            .header("content-length", "0");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request
    }
}

#[async_trait]
impl SmsVendor for Aliyun {
    fn kind(&self) -> &'static str {
        KIND
    }

    /// One. SendSms takes up to 1,000 numbers, but answers with one code for all of them: a single bad number would
    /// condemn the rest.
    fn limits(&self) -> Limits {
        Limits { max_items: 1 }
    }

    async fn send(&self, call: &Call) -> Vec<ItemResult> {
        let mut results = Vec::with_capacity(call.items.len());
        if let Some(item) = call.items.first() {
            results.push(self.send_one(call, item).await);
        }
        results.resize_with(call.items.len(), || {
            not_sent(
                Disposition::RetrySame,
                Blame::None,
                "batch_too_large",
                "one item in one call",
            )
        });
        results
    }

    fn parse_receipts(&self, raw: &RawBody<'_>) -> Result<Vec<ParsedItem>, ReceiptError> {
        receipt::parse(raw)
    }

    fn acknowledge(&self, stored: bool) -> Ack {
        receipt::acknowledge(stored)
    }
}

/// The public endpoint of a region; absent means the mainland.
///
/// Source: the endpoint map of `alibabacloud-dysmsapi20170525` 4.6.0.
fn regional(region: Option<&str>) -> Result<String, Unusable> {
    let host = match region {
        None => "dysmsapi.aliyuncs.com".to_owned(),
        Some("cn-beijing") => "dysmsapi-proxy.cn-beijing.aliyuncs.com".to_owned(),
        Some("cn-hongkong") => "dysmsapi-xman.cn-hongkong.aliyuncs.com".to_owned(),
        Some(r @ ("ap-southeast-1" | "ap-southeast-5" | "eu-central-1" | "us-east-1")) => {
            format!("dysmsapi.{r}.aliyuncs.com")
        }
        Some(r) if r.starts_with("cn-") => "dysmsapi.aliyuncs.com".to_owned(),
        Some(_) => {
            return Err(Unusable::Setting {
                name: "region".to_owned(),
                cause: "not a region of the SMS service; set the endpoint instead".to_owned(),
            });
        }
    };
    Ok(format!("https://{host}/"))
}

/// `x-acs-date`: UTC to the second.
fn date(now: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp(now.millis().div_euclid(1000))
        .ok()
        .and_then(|t| t.format(DATE).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_utc_to_the_second() {
        assert_eq!(date(Timestamp(1_735_787_045_678)), "2025-01-02T03:04:05Z");
    }

    #[test]
    fn regions_have_the_endpoints_of_the_sdk() {
        for (region, host) in [
            (None, "https://dysmsapi.aliyuncs.com/"),
            (Some("cn-shanghai"), "https://dysmsapi.aliyuncs.com/"),
            (
                Some("cn-beijing"),
                "https://dysmsapi-proxy.cn-beijing.aliyuncs.com/",
            ),
            (
                Some("ap-southeast-1"),
                "https://dysmsapi.ap-southeast-1.aliyuncs.com/",
            ),
        ] {
            assert_eq!(regional(region).unwrap(), host);
        }
        assert!(regional(Some("moon-1")).is_err());
        assert!(regional(Some("evil.example/")).is_err());
    }
}
