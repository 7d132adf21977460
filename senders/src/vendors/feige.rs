//! Feige (飞鸽传书): a template with values in order, or the text itself; a pair of secrets in each body, no signature.
//!
//! Setting `api` = `new` (`https://api.4321.sh`, JSON) with the secrets `apikey` and `secret`, or `old`
//! (`https://api.feige.ee`, forms) with `account` and `pwd`. `fetch` = `true` fetches reports beside the pushes;
//! `report_path` = `Rep` or `Report` is where the old API keeps them, which is not certain. The documentation of the old API
//! writes `http://`, which would send the secrets in clear: whether it takes https is not confirmed.
//!
//! The answer counts the numbers that were not taken without naming them, there is no echo field, and one id stands for all
//! numbers of a call. So `max_numbers` is 1 unless it is set: only then each number has an answer of its own. The limit of
//! the vendor is not known; 100 is the most that can be set.

pub mod codes;
pub mod receipt;
pub mod wire;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use reqwest::Url;

use super::{
    Account, below, endpoint,
    exchange::{MAX_FETCHED, exchange, exchange_within},
    several::{max_numbers, misfit},
};
use crate::{
    Unusable, metrics,
    vendor::{
        Ack, Batch, Call, FetchError, Fetched, Item, ItemResult, Limits, Pull, Push, PushError,
        SmsVendor,
    },
};
use wire::{Api, Keys};

/// Vendor kind.
pub const KIND: &str = "feige";

/// Most that can be set for a call.
const MOST_NUMBERS: usize = 100;
/// The new API wants reports fetched at most every 5 s, up to 200 at a time.
const REST_NEW: Duration = Duration::from_secs(5);
/// The old API gives 20 at a time; calls are limited to 200 a minute.
const REST_OLD: Duration = Duration::from_secs(1);

/// One account.
pub struct Feige {
    api: Api,
    keys: Keys,
    max_numbers: usize,
    fetches: bool,
    report_path: &'static str,
    base: Url,
    client: reqwest::Client,
}

impl fmt::Debug for Feige {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Feige({}, {:?})", self.base, self.api)
    }
}

impl Feige {
    /// Reads the channel's settings and secrets.
    ///
    /// # Errors
    /// When one is missing or cannot be used.
    pub fn new(account: &Account<'_>) -> Result<Self, Unusable> {
        account.known_settings(&["api", "fetch", "max_numbers", "report_path"])?;
        let (api, user, secret, url) = match account.word("api", &["new", "old"])? {
            "old" => (Api::Old, "account", "pwd", "https://api.feige.ee"),
            _ => (Api::New, "apikey", "secret", "https://api.4321.sh"),
        };
        let report_path = match account.word("report_path", &["Rep", "Report"])? {
            "Report" => "ReportMo/Report",
            _ => "ReportMo/Rep",
        };
        Ok(Self {
            api,
            keys: Keys {
                user: account.secret(user)?,
                secret: account.secret(secret)?,
            },
            max_numbers: max_numbers(account, 1, MOST_NUMBERS)?,
            fetches: account.switch("fetch")?,
            report_path,
            base: endpoint(account.channel.endpoint.as_deref().unwrap_or(url))?,
            client: account.client.clone(),
        })
    }

    fn request(&self, path: &str, body: String) -> reqwest::RequestBuilder {
        let content_type = match self.api {
            Api::New => "application/json",
            Api::Old => "application/x-www-form-urlencoded",
        };
        self.client
            .post(below(&self.base, path))
            .header("content-type", content_type)
            .header("accept", "application/json")
            .body(body)
    }

    async fn send_together(&self, call: &Call) -> Vec<ItemResult> {
        let all = |result: ItemResult| vec![result; call.items.len()];
        let (path, body) = match wire::body(self.api, &self.keys, &call.items) {
            Ok(outgoing) => outgoing,
            Err(result) => return all(result),
        };
        let request = self.request(path, body).timeout(call.timeout).build();
        match exchange(&self.client, request).await {
            Ok(answer) => {
                let verdicts = wire::interpret(self.api, &answer, call.items.len());
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
impl SmsVendor for Feige {
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
impl Pull for Feige {
    fn rest(&self) -> Duration {
        match self.api {
            Api::New => REST_NEW,
            Api::Old => REST_OLD,
        }
    }

    /// Never says that there is more: the pause is to be kept also then.
    async fn fetch(&self, timeout: Duration) -> Result<Fetched, FetchError> {
        let (path, body) = wire::report_query(self.api, &self.keys, self.report_path);
        let request = self.request(path, body).timeout(timeout).build();
        let answer = exchange_within(&self.client, request, MAX_FETCHED)
            .await
            .map_err(|result| FetchError(format!("{result:?}")))?;
        Ok(Fetched {
            batch: receipt::fetched(&answer)?,
            more: false,
        })
    }
}
