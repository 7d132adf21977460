//! JD Cloud SMS: batchSend with a template id and variables in order, signed by JDCLOUD2 or JDCLOUD3.
//!
//! Secrets `access_key` and `secret_key`. Settings `region` (`cn-north-1`), `signature` = `2` or `3` (which of them the
//! gateway takes is not confirmed; both generations of the SDK call it), `max_numbers` (up to 100 numbers of one text, which
//! is also the default: a call is taken or refused as a whole), `app_id`, without which no messages from handsets are
//! fetched, and `reply_date` = `yyyy-MM-dd` or `yyyyMMdd` (how they are asked for is not confirmed). The channel's endpoint
//! overrides `https://sms.jdcloud-api.com`.
//!
//! There is no echo field and no documented push: reports are fetched by the id of each call, so that each process keeps a
//! list of the calls of its partitions ([`Waiting`]). Messages from handsets are fetched by one process.

pub mod codes;
pub mod receipt;
pub mod replies;
pub mod sign;
pub mod wire;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jixinda_runtime::secret::Secret;
use jixinda_schemas::event::AttemptResult;
use reqwest::Url;

use super::{
    Account, below, endpoint,
    exchange::{Answer, MAX_FETCHED, exchange, exchange_within},
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
use replies::{DateForm, Seen};
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
/// Between two looks at the messages of today and yesterday. How often may be asked is not documented.
const REST_OF_REPLIES: Duration = Duration::from_secs(15);

/// One account.
pub struct Jdcloud {
    api: Arc<Api>,
    max_numbers: usize,
    waiting: Mutex<Waiting>,
    replies: Option<Replies>,
}

/// The vendor's methods, signed.
struct Api {
    access_key: Secret,
    secret_key: Secret,
    generation: Generation,
    region: String,
    base: Url,
    /// Value of the header `host` for `base`.
    host: String,
    client: reqwest::Client,
    now: Now,
}

/// Messages from handsets of one application.
struct Replies {
    api: Arc<Api>,
    app_id: String,
    form: DateForm,
    seen: Mutex<Seen>,
}

impl fmt::Debug for Jdcloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jdcloud({}, {})", self.api.base, self.api.region)
    }
}

impl Jdcloud {
    /// Reads the channel's settings and secrets.
    ///
    /// # Errors
    /// When one is missing or cannot be used.
    pub fn new(account: &Account<'_>) -> Result<Self, Unusable> {
        account.known_settings(&["app_id", "max_numbers", "region", "reply_date", "signature"])?;
        let region = account.setting("region").unwrap_or("cn-north-1");
        let is_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if region.is_empty() || !region.bytes().all(is_name) {
            return Err(Unusable::Setting {
                name: "region".to_owned(),
                cause: "not a region, such as cn-north-1".to_owned(),
            });
        }
        let base = endpoint(account.channel.endpoint.as_deref().unwrap_or(ENDPOINT))?;
        let api = Arc::new(Api {
            access_key: account.header_secret("access_key")?,
            secret_key: account.secret("secret_key")?,
            generation: match account.word("signature", &["2", "3"])? {
                "3" => Generation::Three,
                _ => Generation::Two,
            },
            region: region.to_owned(),
            host: host_of(&base)?,
            base,
            client: account.client.clone(),
            now: account.now.clone(),
        });
        let form = match account.word("reply_date", &["yyyy-MM-dd", "yyyyMMdd"])? {
            "yyyyMMdd" => DateForm::Compact,
            _ => DateForm::Dashes,
        };
        let replies = account.setting("app_id").map(|app_id| Replies {
            api: Arc::clone(&api),
            app_id: app_id.to_owned(),
            form,
            seen: Mutex::default(),
        });
        Ok(Self {
            api,
            max_numbers: max_numbers(account, MOST_NUMBERS, MOST_NUMBERS)?,
            waiting: Mutex::new(Waiting::new(MOST_WAITING)),
            replies,
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send_together(&self, call: &Call) -> Vec<ItemResult> {
        let all = |result: ItemResult| vec![result; call.items.len()];
        let body = match wire::body(call, &self.api.region) {
            Ok(body) => body,
            Err(result) => return all(result),
        };
        let request = self.api.request("batchSend", body).timeout(call.timeout);
        match exchange(&self.api.client, request.build()).await {
            Ok(answer) => {
                let verdicts = wire::interpret(&answer, call.items.len());
                if verdicts.iter().any(|v| v.undocumented) {
                    metrics::undocumented_code(KIND);
                }
                let results: Vec<ItemResult> = verdicts.into_iter().map(|v| v.result).collect();
                if let Some(AttemptResult::Accepted { vendor_id }) = results.first() {
                    let numbers = wire::numbers(&call.items);
                    self.waiting().add(vendor_id, numbers, (self.api.now)());
                }
                results
            }
            Err(result) => all(result),
        }
    }
}

impl Api {
    /// What is listed, of at most [`MAX_FETCHED`] bytes.
    async fn ask(
        &self,
        action: &str,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<Answer, FetchError> {
        let request = self.request(action, body).timeout(timeout).build();
        exchange_within(&self.client, request, MAX_FETCHED)
            .await
            .map_err(|result| FetchError(format!("{action}: {result:?}")))
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

    fn pull_messages(&self) -> Option<&dyn Pull> {
        self.replies.as_ref().map(|replies| replies as &dyn Pull)
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
        let asked = self.waiting().next((self.api.now)());
        let Some(asked) = asked else {
            return Ok(Fetched::default());
        };
        let body = wire::report_query(&asked, &self.api.region);
        let answer = self.api.ask("statusReport", body, timeout).await?;
        let batch = receipt::fetched(&answer, &asked.id)?;
        let now = (self.api.now)();
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

#[async_trait]
impl Pull for Replies {
    fn rest(&self) -> Duration {
        REST_OF_REPLIES
    }

    /// Yesterday, then today. What one brought is not lost when the other cannot be fetched.
    async fn fetch(&self, timeout: Duration) -> Result<Fetched, FetchError> {
        let days = replies::days((self.api.now)(), self.form);
        let seen = || self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen().keep(&days);
        let (mut batch, mut failed) = (Batch::default(), None);
        for day in &days {
            let body = replies::query(&self.app_id, day, &self.api.region);
            let answer = self.api.ask("reply", body, timeout).await;
            let new = answer.and_then(|answer| replies::fetched(&answer, day, &mut seen()));
            match new {
                Ok(new) => {
                    batch.inbound.extend(new.inbound);
                    batch.unreadable.extend(new.unreadable);
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if batch.is_empty() => Err(error),
            _ => Ok(Fetched { batch, more: false }),
        }
    }
}
