//! JD Cloud SMS: batchSend with a template id and variables in order, signed by JDCLOUD2 or JDCLOUD3.
//!
//! Secrets `access_key` and `secret_key`. Settings `region` (`cn-north-1`), `signature` = `2` or `3` (which of them the
//! gateway takes is not confirmed; both generations of the SDK call it), `max_numbers` (up to 100 numbers of one text, which
//! is also the default: a call is taken or refused as a whole). The channel's endpoint overrides
//! `https://sms.jdcloud-api.com`.
//!
//! There is no echo field and no documented push: reports are fetched by the id of each call, so that each process keeps a
//! list of the calls of its partitions ([`Waiting`]).

pub mod codes;
pub mod receipt;
pub mod sign;
pub mod wire;

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jixinda_runtime::secret::Secret;
use jixinda_schemas::event::AttemptResult;
use reqwest::Url;

use super::{
    Account, below, endpoint,
    exchange::{MAX_FETCHED, exchange, exchange_within},
    host_of,
    several::{max_numbers, misfit},
    waiting::Waiting,
};
use crate::{
    Unusable, metrics,
    vendor::{
        Ack, Batch, Call, FetchError, Fetched, Item, ItemResult, Limits, Now, Pull, Push,
        PushError, SmsVendor,
    },
};
use sign::Generation;

/// Vendor kind.
pub const KIND: &str = "jdcloud";

const ENDPOINT: &str = "https://sms.jdcloud-api.com";
const CONTENT_TYPE: &str = "application/json";
/// Of batchSend.
const MOST_NUMBERS: usize = 100;
/// Numbers whose reports are waited for: some 30 MB at the most.
const MOST_WAITING: usize = 100_000;
/// How often the list is looked at when nothing on it is due.
const REST: Duration = Duration::from_secs(1);

/// One account.
pub struct Jdcloud {
    access_key: Secret,
    secret_key: Secret,
    generation: Generation,
    region: String,
    max_numbers: usize,
    waiting: Mutex<Waiting>,
    base: Url,
    /// Value of the header `host` for `base`.
    host: String,
    client: reqwest::Client,
    now: Now,
}

impl fmt::Debug for Jdcloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jdcloud({}, {})", self.base, self.region)
    }
}

impl Jdcloud {
    /// Reads the channel's settings and secrets.
    ///
    /// # Errors
    /// When one is missing or cannot be used.
    pub fn new(account: &Account<'_>) -> Result<Self, Unusable> {
        account.known_settings(&["max_numbers", "region", "signature"])?;
        let region = account.setting("region").unwrap_or("cn-north-1");
        let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if region.is_empty() || !region.bytes().all(is_name) {
            return Err(Unusable::Setting {
                name: "region".to_owned(),
                cause: "not a region, such as cn-north-1".to_owned(),
            });
        }
        let base = endpoint(account.channel.endpoint.as_deref().unwrap_or(ENDPOINT))?;
        Ok(Self {
            access_key: account.header_secret("access_key")?,
            secret_key: account.secret("secret_key")?,
            generation: match account.word("signature", &["2", "3"])? {
                "3" => Generation::Three,
                _ => Generation::Two,
            },
            region: region.to_owned(),
            max_numbers: max_numbers(account, MOST_NUMBERS, MOST_NUMBERS)?,
            waiting: Mutex::new(Waiting::new(MOST_WAITING)),
            host: host_of(&base)?,
            base,
            client: account.client.clone(),
            now: account.now.clone(),
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, action: &str, body: Vec<u8>) -> reqwest::RequestBuilder {
        let url = below(&self.base, &format!("v1/regions/{}/{action}", self.region));
        let date = sign::date((self.now)());
        let nonce = sign::nonce(rand::random());
        let headers = [
            ("content-type", CONTENT_TYPE),
            ("host", &self.host),
            ("x-jdcloud-date", &date),
            ("x-jdcloud-nonce", &nonce),
        ];
        let signed = sign::sign(
            &sign::Request {
                generation: self.generation,
                method: "POST",
                path: url.path(),
                query: "",
                headers: &headers,
                body: &body,
                date: &date,
                region: &self.region,
                service: "sms",
            },
            self.access_key.expose(),
            self.secret_key.expose(),
        );
        let algorithm = self.generation.algorithm();
        let mut request = self
            .client
            .post(url)
            .header("authorization", signed.authorization)
            .header("x-jdcloud-content-sha256", sign::body_hash(&body))
            // As the SDK sends it: a header that is called like its value.
            .header(algorithm, algorithm);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body(body)
    }

    async fn send_together(&self, call: &Call) -> Vec<ItemResult> {
        let all = |result: ItemResult| vec![result; call.items.len()];
        let body = match wire::body(call, &self.region) {
            Ok(body) => body,
            Err(result) => return all(result),
        };
        let request = self.request("batchSend", body).timeout(call.timeout);
        match exchange(&self.client, request.build()).await {
            Ok(answer) => {
                let verdicts = wire::interpret(&answer, call.items.len());
                if verdicts.iter().any(|v| v.undocumented) {
                    metrics::undocumented_code(KIND);
                }
                let results: Vec<ItemResult> = verdicts.into_iter().map(|v| v.result).collect();
                if let Some(AttemptResult::Accepted { vendor_id }) = results.first() {
                    let numbers = wire::numbers(&call.items);
                    self.waiting().add(vendor_id, numbers, (self.now)());
                }
                results
            }
            Err(result) => all(result),
        }
    }
}

#[async_trait]
impl SmsVendor for Jdcloud {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn limits(&self) -> Limits {
        Limits {
            max_items: self.max_numbers,
        }
    }

    fn fits(&self, a: &Item, b: &Item) -> bool {
        wire::fits(a, b)
    }

    async fn send(&self, call: &Call) -> Vec<ItemResult> {
        let what = "one call takes at most max_numbers numbers with one text";
        if let Some(refused) = misfit(&call.items, self.max_numbers, wire::fits, what) {
            return refused;
        }
        self.send_together(call).await
    }

    /// None is documented; what comes all the same is kept as it came.
    fn read_push(&self, _push: &Push<'_>) -> Result<Batch, PushError> {
        Err(PushError::Shape(
            "of a known form: pushes of JD Cloud are not documented",
        ))
    }

    fn acknowledge(&self, _push: &Push<'_>, stored: bool) -> Ack {
        Ack::plain(stored, "ok")
    }

    fn pull(&self) -> Option<&dyn Pull> {
        Some(self)
    }
}

#[async_trait]
impl Pull for Jdcloud {
    fn list(&self) -> Option<&Mutex<Waiting>> {
        Some(&self.waiting)
    }

    fn rest(&self) -> Duration {
        REST
    }

    async fn fetch(&self, timeout: Duration) -> Result<Fetched, FetchError> {
        let asked = self.waiting().next((self.now)());
        let Some(asked) = asked else {
            return Ok(Fetched::default());
        };
        let body = wire::report_query(&asked, &self.region);
        let request = self.request("statusReport", body).timeout(timeout).build();
        let answer = exchange_within(&self.client, request, MAX_FETCHED)
            .await
            .map_err(|result| FetchError(format!("{result:?}")))?;
        let batch = receipt::fetched(&answer, &asked.id)?;
        let now = (self.now)();
        let mut waiting = self.waiting();
        waiting.settle(asked.place, |number| {
            receipt::is_settled(number, now.since(asked.since), &batch.receipts)
        });
        Ok(Fetched {
            batch,
            more: waiting.is_due(now),
        })
    }
}
