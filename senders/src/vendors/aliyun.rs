//! Alibaba Cloud SMS (Dysmsapi 2017-05-25): a template code with named variables, by SendSms or SendBatchSms, signed by
//! ACS3 or by RPC version 1.
//!
//! Secrets `access_key_id`, `access_key_secret`, and `security_token` for temporary keys. Settings: `region` (the
//! channel's endpoint overrides it), `signature` = `acs3` or `rpc1`, `max_numbers` (1 unless it is set: a call has one
//! answer for all of its numbers, and one number over its daily cap would hold up the rest), `query` = `true` to ask for
//! what was not reported yet, `retry_after_unit` = `ms` or `s` (not confirmed) for the pause that a throttled caller is
//! told. Receipts are pushed without a signature: an unguessable path and an address list are all
//! there is. A nonce that comes twice is refused, which protects against a replay of the same bytes only; there is no
//! idempotency key.

pub mod codes;
pub mod query;
pub mod receipt;
pub mod rpc;
pub mod sign;
pub mod wire;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jixinda_runtime::secret::Secret;
use jixinda_schemas::Timestamp;
use reqwest::Url;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros};

use super::{
    Account, endpoint,
    exchange::exchange,
    host_of,
    several::{each, max_numbers, misfit},
    waiting::Waiting,
};
use crate::{
    Unusable, metrics,
    vendor::{
        Ack, Batch, Call, FetchError, Fetched, Item, ItemResult, Limits, Now, Pull, Push,
        PushError, SmsVendor,
    },
};
use wire::Outgoing;

/// Vendor kind.
pub const KIND: &str = "aliyun";

const VERSION: &str = "2017-05-25";
const FORM: &str = "application/x-www-form-urlencoded";
/// Numbers whose reports are asked for: some 20 MB at the most.
const MOST_WAITING: usize = 100_000;
/// How often the list is looked at when nothing on it is due.
const REST: Duration = Duration::from_secs(1);
const DATE: &[BorrowedFormatItem<'_>] =
    macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// One account.
pub struct Aliyun {
    access_key_id: Secret,
    access_key_secret: Secret,
    security_token: Option<Secret>,
    /// RPC version 1 instead of ACS3.
    rpc: bool,
    max_numbers: usize,
    /// Milliseconds in one of `x-acs-retry-after`.
    pause_unit_ms: u32,
    /// What is asked for, where it is.
    waiting: Option<Mutex<Waiting>>,
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
        account.known_settings(&[
            "max_numbers",
            "query",
            "region",
            "retry_after_unit",
            "signature",
        ])?;
        let base = match &account.channel.endpoint {
            Some(text) => endpoint(text)?,
            None => endpoint(&regional(
                account.channel.settings.get("region").map(String::as_str),
            )?)?,
        };
        let security_token = account.optional_secret("security_token");
        if security_token.is_some() {
            account.header_secret("security_token")?;
        }
        Ok(Self {
            access_key_id: account.header_secret("access_key_id")?,
            access_key_secret: account.secret("access_key_secret")?,
            security_token,
            rpc: account.word("signature", &["acs3", "rpc1"])? == "rpc1",
            max_numbers: max_numbers(account, 1, wire::MOST)?,
            pause_unit_ms: match account.word("retry_after_unit", &["ms", "s"])? {
                "s" => 1_000,
                _ => 1,
            },
            waiting: account
                .switch("query")?
                .then(|| Mutex::new(Waiting::one_by_one(MOST_WAITING))),
            host: host_of(&base)?,
            base,
            client: account.client.clone(),
            now: account.now.clone(),
        })
    }

    fn waiting(&self) -> Option<MutexGuard<'_, Waiting>> {
        let waiting = self.waiting.as_ref()?;
        Some(waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn send_together(&self, call: &Call) -> Vec<ItemResult> {
        let all = |result: ItemResult| vec![result; call.items.len()];
        let outgoing = match wire::outgoing(call.call_id, &call.items) {
            Ok(outgoing) => outgoing,
            Err(result) => return all(result),
        };
        let request = self.request(&outgoing).timeout(call.timeout).build();
        match exchange(&self.client, request).await {
            Ok(answer) => {
                let verdict = wire::interpret(&answer, self.pause_unit_ms);
                if verdict.undocumented {
                    metrics::undocumented_code(KIND);
                }
                let verdicts = each(verdict, call.items.len(), outgoing.form.is_empty());
                let results: Vec<_> = verdicts.into_iter().map(|v| v.result).collect();
                if let Some(mut waiting) = self.waiting() {
                    query::wait(&mut waiting, &call.items, &results, (self.now)());
                }
                results
            }
            Err(result) => all(result),
        }
    }

    fn request(&self, outgoing: &Outgoing) -> reqwest::RequestBuilder {
        let nonce = format!("{:032x}", rand::random::<u128>());
        let now = (self.now)();
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&outgoing.form)
            .finish();
        let request = if self.rpc {
            self.by_rpc(outgoing, now, &nonce)
        } else {
            self.by_acs3(outgoing, &body, now, &nonce)
        };
        let request = request.header("accept", "application/json");
        if body.is_empty() {
            return request.header("content-length", "0");
        }
        request.header("content-type", FORM).body(body)
    }

    fn by_acs3(
        &self,
        outgoing: &Outgoing,
        body: &str,
        now: Timestamp,
        nonce: &str,
    ) -> reqwest::RequestBuilder {
        let mut headers = BTreeMap::from([
            ("host", self.host.clone()),
            ("x-acs-action", outgoing.action.to_owned()),
            ("x-acs-version", VERSION.to_owned()),
            ("x-acs-date", date(now)),
            ("x-acs-signature-nonce", nonce.to_owned()),
            ("x-acs-content-sha256", sign::body_hash(body.as_bytes())),
        ]);
        if let Some(token) = &self.security_token {
            headers.insert("x-acs-accesskey-id", self.access_key_id.expose().to_owned());
            headers.insert("x-acs-security-token", token.expose().to_owned());
        }
        let mut signed_too = headers.clone();
        if !body.is_empty() {
            signed_too.insert("content-type", FORM.to_owned());
        }
        let signed = sign::sign(
            &sign::Request {
                method: "POST",
                path: self.base.path(),
                query: &borrowed(&outgoing.query),
                headers: &signed_too,
                body: body.as_bytes(),
            },
            self.access_key_id.expose(),
            self.access_key_secret.expose(),
        );
        let mut url = self.base.clone();
        url.set_query(Some(&signed.query));
        let mut request = self
            .client
            .post(url)
            .header("authorization", signed.authorization);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request
    }

    fn by_rpc(&self, outgoing: &Outgoing, now: Timestamp, nonce: &str) -> reqwest::RequestBuilder {
        let date = date(now);
        let mut query = borrowed(&outgoing.query);
        query.extend([
            ("Action", outgoing.action),
            ("Version", VERSION),
            ("Format", "json"),
            ("AccessKeyId", self.access_key_id.expose()),
            ("SignatureMethod", "HMAC-SHA1"),
            ("SignatureVersion", "1.0"),
            ("SignatureNonce", nonce),
            ("Timestamp", &date),
        ]);
        let token = self.security_token.as_ref();
        query.extend(token.map(|token| ("SecurityToken", token.expose())));
        let mut params = query.clone();
        params.extend(borrowed(&outgoing.form));
        let signed = rpc::sign("POST", &params, self.access_key_secret.expose());
        let mut url = self.base.clone();
        url.set_query(Some(&rpc::query(&query, &signed)));
        self.client.post(url)
    }
}

fn borrowed<'a>(params: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    params.iter().map(|(n, v)| (*n, v.as_str())).collect()
}

#[async_trait]
impl SmsVendor for Aliyun {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn limits(&self) -> Limits {
        Limits {
            max_items: self.max_numbers,
        }
    }

    fn fits(&self, a: &Item, b: &Item) -> bool {
        wire::fits(a, b, self.max_numbers)
    }

    async fn send(&self, call: &Call) -> Vec<ItemResult> {
        let what =
            "one call takes at most max_numbers numbers with one template, over 100 with one text";
        if let Some(refused) = misfit(&call.items, self.max_numbers, |a, b| self.fits(a, b), what) {
            return refused;
        }
        self.send_together(call).await
    }

    fn read_push(&self, push: &Push<'_>) -> Result<Batch, PushError> {
        receipt::parse(push.body)
    }

    fn acknowledge(&self, _push: &Push<'_>, stored: bool) -> Ack {
        receipt::acknowledge(stored)
    }

    fn pull(&self) -> Option<&dyn Pull> {
        self.waiting.is_some().then_some(self)
    }
}

#[async_trait]
impl Pull for Aliyun {
    fn list(&self) -> Option<&Mutex<Waiting>> {
        self.waiting.as_ref()
    }

    fn rest(&self) -> Duration {
        REST
    }

    async fn fetch(&self, timeout: Duration) -> Result<Fetched, FetchError> {
        let asked = self.waiting().and_then(|mut w| w.next((self.now)()));
        let Some(asked) = asked else {
            return Ok(Fetched::default());
        };
        let outgoing = Outgoing {
            action: "QuerySendDetails",
            query: query::params(&asked),
            form: Vec::new(),
        };
        let request = self.request(&outgoing).timeout(timeout).build();
        let answer = exchange(&self.client, request)
            .await
            .map_err(|result| FetchError(format!("{result:?}")))?;
        let batch = query::fetched(&answer, &asked.id)?;
        let is_final = batch.receipts.iter().any(|r| r.status.is_final());
        let more = self.waiting().is_some_and(|mut waiting| {
            waiting.settle(asked.place, |_| is_final);
            waiting.is_due((self.now)())
        });
        Ok(Fetched { batch, more })
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
