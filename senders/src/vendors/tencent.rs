//! Tencent Cloud SMS (2021-01-11): SendSms with a template id and variables in order, signed by TC3.
//!
//! Secrets `secret_id`, `secret_key`, and `token` for temporary keys. Settings `sdk_app_id` (needed), `region`
//! (`ap-guangzhou`), and `fetch` (`true` where Tencent has opened `PullSmsSendStatus`, which is for accounts without a push
//! URL); the channel's endpoint overrides `https://sms.tencentcloudapi.com`. Pushes carry no signature: an unguessable path
//! and an address list are all there is. There is no idempotency key; the same text to one number is capped a day.

pub mod codes;
pub mod receipt;
pub mod sign;
pub mod wire;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use jixinda_runtime::secret::Secret;
use reqwest::Url;
use serde_json::{Value, json};

use super::{
    Account,
    answer::lenient_text,
    endpoint,
    exchange::{self, exchange_within},
    several::misfit,
};
use crate::{
    Unusable, metrics,
    vendor::{
        Ack, Batch, Call, FetchError, Fetched, Item, ItemResult, Limits, Now, Pull, Push,
        PushError, SmsVendor, brief,
    },
};

/// Vendor kind.
pub const KIND: &str = "tencent";

const ENDPOINT: &str = "https://sms.tencentcloudapi.com/";
const VERSION: &str = "2021-01-11";
const CONTENT_TYPE: &str = "application/json; charset=utf-8";
/// Of SendSms.
const MAX_NUMBERS: usize = 200;
/// Of PullSmsSendStatus.
const MAX_FETCHED: usize = 100;
/// The documentation gives 100 fetches a second; reports come with seconds of delay anyway.
const REST: Duration = Duration::from_secs(5);

/// One application of one account.
pub struct Tencent {
    secret_id: Secret,
    secret_key: Secret,
    token: Option<Secret>,
    sdk_app_id: String,
    region: String,
    fetches: bool,
    base: Url,
    /// Value of the header `host` for `base`.
    host: String,
    client: reqwest::Client,
    now: Now,
}

impl fmt::Debug for Tencent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tencent({}, {})", self.base, self.sdk_app_id)
    }
}

impl Tencent {
    /// Reads the channel's settings and secrets.
    ///
    /// # Errors
    /// When one is missing or cannot be used.
    pub fn new(account: &Account<'_>) -> Result<Self, Unusable> {
        account.known_settings(&["sdk_app_id", "region", "fetch"])?;
        let base = endpoint(account.channel.endpoint.as_deref().unwrap_or(ENDPOINT))?;
        let token = account.secrets.get("token");
        let sdk_app_id = account.setting("sdk_app_id").unwrap_or_default();
        if sdk_app_id.is_empty() || !sdk_app_id.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Unusable::Setting {
                name: "sdk_app_id".to_owned(),
                cause: "the number of the SMS application is needed, such as 1400006666".to_owned(),
            });
        }
        Ok(Self {
            secret_id: account.header_secret("secret_id")?,
            secret_key: account.secret("secret_key")?,
            token: token.filter(|t| !t.expose().is_empty()).cloned(),
            sdk_app_id: sdk_app_id.to_owned(),
            region: account
                .setting("region")
                .unwrap_or("ap-guangzhou")
                .to_owned(),
            fetches: account.switch("fetch")?,
            host: super::host_of(&base)?,
            base,
            client: account.client.clone(),
            now: account.now.clone(),
        })
    }

    fn request(&self, action: &str, body: Vec<u8>) -> reqwest::RequestBuilder {
        let timestamp = (self.now)().millis().div_euclid(1_000);
        let signed = sign::sign(
            &sign::Request {
                service: "sms",
                headers: &[("content-type", CONTENT_TYPE), ("host", &self.host)],
                body: &body,
                timestamp,
            },
            self.secret_id.expose(),
            self.secret_key.expose(),
        );
        let mut request = self
            .client
            .post(self.base.clone())
            .header("authorization", signed.authorization)
            .header("content-type", CONTENT_TYPE)
            .header("host", &self.host)
            .header("x-tc-action", action)
            .header("x-tc-version", VERSION)
            .header("x-tc-region", &self.region)
            .header("x-tc-timestamp", timestamp);
        if let Some(token) = &self.token {
            request = request.header("x-tc-token", token.expose());
        }
        request.body(body)
    }

    async fn send_together(&self, call: &Call) -> Vec<ItemResult> {
        let all = |result: ItemResult| vec![result; call.items.len()];
        let body = match wire::body(call, &self.sdk_app_id) {
            Ok(body) => body,
            Err(result) => return all(result),
        };
        let request = self.request("SendSms", body).timeout(call.timeout).build();
        let sent = exchange_within(&self.client, request, exchange::MAX_LONG_ANSWER);
        match sent.await {
            Ok(answer) => {
                let verdicts = wire::interpret(&answer, &call.items);
                if verdicts.iter().any(|v| v.undocumented) {
                    metrics::undocumented_code(KIND);
                }
                verdicts.into_iter().map(|v| v.result).collect()
            }
            Err(result) => all(result),
        }
    }
}

#[async_trait]
impl SmsVendor for Tencent {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn limits(&self) -> Limits {
        Limits {
            max_items: MAX_NUMBERS,
        }
    }

    fn fits(&self, a: &Item, b: &Item) -> bool {
        wire::fits(a, b)
    }

    async fn send(&self, call: &Call) -> Vec<ItemResult> {
        let what = "one call takes at most 200 numbers with one text, of the mainland or of abroad";
        if let Some(refused) = misfit(&call.items, MAX_NUMBERS, wire::fits, what) {
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
        self.fetches.then_some(self)
    }
}

#[async_trait]
impl Pull for Tencent {
    fn rest(&self) -> Duration {
        REST
    }

    async fn fetch(&self, timeout: Duration) -> Result<Fetched, FetchError> {
        let body = json!({"Limit": MAX_FETCHED, "SmsSdkAppId": self.sdk_app_id});
        let body = body.to_string().into_bytes();
        let request = self
            .request("PullSmsSendStatus", body)
            .timeout(timeout)
            .build();
        let answer = exchange_within(&self.client, request, exchange::MAX_FETCHED)
            .await
            .map_err(|result| FetchError(format!("{result:?}")))?;
        let mut reply: Value = serde_json::from_slice(&answer.body)
            .map_err(|_| FetchError(format!("http {}, no JSON", answer.status)))?;
        let response = reply.get_mut("Response").map(Value::take);
        let mut response = response.unwrap_or_default();
        if let Some(code) = response["Error"].get("Code").and_then(lenient_text) {
            return Err(FetchError(brief(&code)));
        }
        let reports = response.get_mut("PullSmsSendStatusSet").map(Value::take);
        let Some(Value::Array(items)) = reports else {
            return Err(FetchError(format!("http {}, no reports", answer.status)));
        };
        Ok(Fetched {
            more: items.len() >= MAX_FETCHED,
            batch: items.into_iter().map(receipt::fetched).collect(),
        })
    }
}
