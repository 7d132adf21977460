//! Huawei Cloud SMS: batchSendSms and batchSendDiffSms with a template id and variables in order.
//!
//! Secrets `app_key`, `app_secret`. Settings `from` (needed: the channel number of the signature), `auth` (`aksk`, which the
//! reference recommends and the SDK uses, or `wsse` for applications without it), `region` (`cn-north-4`), `push_auth`
//! (`true` where the application signs its pushes) and `push_max_age` (`15m`, the difference of clocks that the vendor
//! allows); the channel's endpoint overrides the region. Without `push_auth` pushes carry no signature. What stands for a
//! form in a signed push is not confirmed: both ways are taken. There is no idempotency key.

pub mod codes;
pub mod receipt;
pub mod sign;
pub mod wire;

use std::{collections::BTreeSet, fmt, time::Duration};

use async_trait::async_trait;
use jixinda_runtime::secret::Secret;
use reqwest::Url;

use super::{
    Account, endpoint,
    exchange::{MAX_LONG_ANSWER, exchange_within},
    host_of,
    several::{alike, first_ones, misfit},
    times::is_fresh,
};
use crate::{
    Unusable, metrics,
    vendor::{Ack, Batch, Call, Item, ItemResult, Limits, Now, Push, PushError, SmsVendor},
};
use wire::{MAX_NUMBERS, Terms};

/// Vendor kind.
pub const KIND: &str = "huawei";

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const PUSH_MAX_AGE: Duration = Duration::from_secs(15 * 60);

/// How calls prove whose they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Auth {
    AkSk,
    Wsse,
}

/// One application of one account.
pub struct Huawei {
    app_key: Secret,
    app_secret: Secret,
    auth: Auth,
    from: String,
    push_auth: bool,
    push_max_age: Duration,
    /// Ends in a slash.
    base: Url,
    /// Value of the header `host` for `base`.
    host: String,
    public_url: Option<String>,
    callback: Option<Secret>,
    client: reqwest::Client,
    now: Now,
}

impl fmt::Debug for Huawei {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Huawei({}, {}, {:?})", self.base, self.from, self.auth)
    }
}

/// A call that is ready but for its headers.
struct Outgoing {
    path: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
}

impl Huawei {
    /// Reads the channel's settings and secrets.
    ///
    /// # Errors
    /// When one is missing or cannot be used.
    pub fn new(account: &Account<'_>) -> Result<Self, Unusable> {
        account.known_settings(&["from", "auth", "region", "push_auth", "push_max_age"])?;
        let mut base = match &account.channel.endpoint {
            Some(text) => endpoint(text)?,
            None => endpoint(&regional(account.setting("region"))?)?,
        };
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let auth = [("aksk", Auth::AkSk), ("wsse", Auth::Wsse)];
        Ok(Self {
            app_key: account.header_secret("app_key")?,
            app_secret: account.secret("app_secret")?,
            auth: account.choice("auth", Auth::AkSk, &auth)?,
            from: account
                .needed("from", "the channel number of the signature")?
                .to_owned(),
            push_auth: account.switch("push_auth")?,
            push_max_age: account.duration("push_max_age", PUSH_MAX_AGE)?,
            host: host_of(&base)?,
            base,
            public_url: account.public_url.clone(),
            callback: account.callback.clone(),
            client: account.client.clone(),
            now: account.now.clone(),
        })
    }

    fn outgoing(&self, call: &Call, items: &[Item]) -> Result<Outgoing, ItemResult> {
        let echo = call.call_id.to_string();
        let terms = Terms {
            from: &self.from,
            callback: self.callback.as_ref(),
            echo: &echo,
        };
        if !alike(items) {
            return Ok(Outgoing {
                path: "sms/batchSendDiffSms/v1",
                content_type: JSON,
                body: wire::body(items, &terms)?,
            });
        }
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(wire::form(items, &terms)?)
            .finish();
        Ok(Outgoing {
            path: "sms/batchSendSms/v1",
            content_type: FORM,
            body: body.into_bytes(),
        })
    }

    fn request(&self, outgoing: Outgoing) -> reqwest::RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{}", self.base.path(), outgoing.path));
        let now = (self.now)();
        let mut headers = vec![("content-type", outgoing.content_type.to_owned())];
        match self.auth {
            Auth::Wsse => {
                let nonce = format!("{:032x}", rand::random::<u128>());
                let (key, secret) = (self.app_key.expose(), self.app_secret.expose());
                let wsse = sign::wsse(key, secret, &nonce, &sign::created(now));
                headers.push(("authorization", sign::WSSE_AUTHORIZATION.to_owned()));
                headers.push(("x-wsse", wsse));
            }
            Auth::AkSk => {
                headers.push(("host", self.host.clone()));
                if outgoing.content_type == FORM {
                    headers.push((sign::CONTENT_HASH, sign::UNSIGNED_PAYLOAD.to_owned()));
                }
                headers.push(("x-sdk-date", sign::date(now)));
                let signed = self.signature(&url, &headers, &outgoing.body);
                headers.push(("authorization", signed));
            }
        }
        let mut request = self.client.post(url).body(outgoing.body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request
    }

    fn signature(&self, url: &Url, headers: &[(&str, String)], body: &[u8]) -> String {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let request = sign::Request {
            method: "POST",
            path: url.path(),
            query: &[],
            payload: &sign::payload(&headers, body),
            headers: &headers,
        };
        sign::sign(&request, self.app_key.expose(), self.app_secret.expose()).authorization
    }

    async fn send_together(&self, call: &Call, items: &[Item]) -> Vec<ItemResult> {
        let all = |result: ItemResult| vec![result; items.len()];
        let request = match self.outgoing(call, items) {
            Ok(outgoing) => self.request(outgoing).timeout(call.timeout).build(),
            Err(result) => return all(result),
        };
        match exchange_within(&self.client, request, MAX_LONG_ANSWER).await {
            Ok(answer) => {
                let verdicts = wire::interpret(&answer, items);
                if verdicts.iter().any(|v| v.undocumented) {
                    metrics::undocumented_code(KIND);
                }
                verdicts.into_iter().map(|v| v.result).collect()
            }
            Err(result) => all(result),
        }
    }

    /// Whether the push is signed with our own secret, not long ago.
    fn authenticate(&self, push: &Push<'_>) -> Result<(), PushError> {
        use PushError::NotAuthentic;
        let date = push
            .header("x-sdk-date")
            .ok_or(NotAuthentic("no X-Sdk-Date"))?;
        let at = sign::instant(date).ok_or(NotAuthentic("X-Sdk-Date is no time"))?;
        if !is_fresh(at, push.now, self.push_max_age) {
            return Err(NotAuthentic("X-Sdk-Date is too old or too far ahead"));
        }
        let said = push.header("authorization").unwrap_or_default();
        let said =
            sign::Authorization::parse(said).ok_or(NotAuthentic("no SDK-HMAC-SHA256 signature"))?;
        if !self.app_key.matches(said.access) {
            return Err(NotAuthentic("of another application"));
        }
        let names: BTreeSet<&str> = said.signed_headers.split(';').collect();
        if !names.contains("x-sdk-date") {
            return Err(NotAuthentic("X-Sdk-Date is not signed"));
        }
        // What Huawei called is our public URL; a proxy may have changed the host on the way.
        let base = self.public_url.as_deref().unwrap_or("https://localhost");
        let url = Url::parse(&format!("{base}{}", push.target))
            .map_err(|_| NotAuthentic("the URL cannot be read"))?;
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let public_host = host_of(&url).unwrap_or_default();
        let came_to = push.header("host").unwrap_or_default();
        for host in BTreeSet::from([came_to, &public_host]) {
            let header = |name| match name {
                "host" => host,
                name => push.header(name).unwrap_or_default(),
            };
            let headers: Vec<(&str, &str)> =
                names.iter().map(|name| (*name, header(name))).collect();
            for payload in [sign::UNSIGNED_PAYLOAD, &sign::payload(&[], push.body)] {
                let request = sign::Request {
                    method: push.method,
                    path: url.path(),
                    query: &query,
                    headers: &headers,
                    payload,
                };
                if sign::verify(&request, self.app_secret.expose(), said.signature) {
                    return Ok(());
                }
            }
        }
        Err(NotAuthentic("the signature is wrong"))
    }
}

#[async_trait]
impl SmsVendor for Huawei {
    fn kind(&self) -> &'static str {
        KIND
    }

    /// Fewer when texts differ and are long; what is over is given back.
    fn limits(&self) -> Limits {
        Limits {
            max_items: MAX_NUMBERS,
        }
    }

    fn fits(&self, a: &Item, b: &Item) -> bool {
        wire::fits(a, b)
    }

    async fn send(&self, call: &Call) -> Vec<ItemResult> {
        let what = "one call takes items with templates only";
        if let Some(refused) = misfit(&call.items, usize::MAX, wire::fits, what) {
            return refused;
        }
        let items = &call.items[..wire::room(&call.items)];
        let results = self.send_together(call, items).await;
        first_ones(results, call.items.len())
    }

    fn read_push(&self, push: &Push<'_>) -> Result<Batch, PushError> {
        if self.push_auth {
            self.authenticate(push)?;
        }
        receipt::parse(push.body)
    }

    fn acknowledge(&self, _push: &Push<'_>, stored: bool) -> Ack {
        receipt::acknowledge(stored)
    }
}

/// The endpoint of a region. Source: `huaweicloudsdksmsapi` 3.1.219 for those of the mainland; `ap-southeast-1` is not
/// confirmed.
fn regional(region: Option<&str>) -> Result<String, Unusable> {
    match region.unwrap_or("cn-north-4") {
        region @ ("cn-north-4" | "cn-south-1" | "ap-southeast-1") => {
            Ok(format!("https://smsapi.{region}.myhuaweicloud.com/"))
        }
        _ => Err(Unusable::Setting {
            name: "region".to_owned(),
            cause: "not a region of the SMS service; set the endpoint instead".to_owned(),
        }),
    }
}
