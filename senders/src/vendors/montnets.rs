//! Montnets (v2/std): the text itself, to one number, to many, or one text for each.
//!
//! Secrets `userid` and `password`, or `apikey` where Montnets has given one; with both, calls carry the key and pushes are
//! checked with the password. Settings `names` (`v5`, those of the manual V5.7.2, or `old`: `single_send` and so on),
//! `charset` (`utf8` with `v5`, `gbk` with `old`), `pwd` (`md5`, or `sha256` or `clear` where agreed), `svrtype`, `exno`,
//! `fetch` and `fetch_mo` (`true`: get_rpt, get_mo), `push_max_age` (`15m`; the difference of clocks that Montnets allows is
//! not confirmed). The endpoint is needed: host and port are those of the account. There is no idempotency key.

pub mod charset;
pub mod codes;
pub mod json;
pub mod receipt;
pub mod sign;
pub mod wire;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use jixinda_runtime::secret::Secret;
use jixinda_schemas::Timestamp;
use reqwest::Url;
use serde_json::{Map, Value};

use super::{
    Account, endpoint,
    exchange::{MAX_FETCHED, exchange, exchange_within},
    several::{first_ones, misfit},
    times::is_fresh,
};
use crate::{
    Unusable, metrics,
    vendor::{
        Ack, Batch, Call, FetchError, Fetched, Item, ItemResult, Limits, Now, ParsedItem, Pull,
        Push, PushError, SmsVendor, UnreadableItem,
    },
};
use charset::Charset;
use sign::Hash;
use wire::{MAX_NUMBERS, Names, Terms};

/// Vendor kind.
pub const KIND: &str = "montnets";

const SETTINGS: [&str; 8] = [
    "names",
    "charset",
    "pwd",
    "svrtype",
    "exno",
    "fetch",
    "fetch_mo",
    "push_max_age",
];
const PUSH_MAX_AGE: Duration = Duration::from_secs(15 * 60);
/// Of get_rpt and get_mo.
const MAX_REPORTS: usize = 500;
const MAX_MESSAGES: usize = 200;
/// As the manual wants it after an answer that brought nothing.
const REST: Duration = Duration::from_secs(5);

/// User and password.
struct Login {
    userid: Secret,
    password: Secret,
    hash: Hash,
}

/// One account.
pub struct Montnets {
    login: Option<Login>,
    apikey: Option<Secret>,
    names: Names,
    charset: Charset,
    svrtype: Option<String>,
    exno: Option<String>,
    fetches_reports: bool,
    fetches_messages: bool,
    push_max_age: Duration,
    /// Ends in a slash.
    base: Url,
    client: reqwest::Client,
    now: Now,
}

impl fmt::Debug for Montnets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            base,
            names,
            charset,
            ..
        } = self;
        write!(f, "Montnets({base}, {names:?}, {charset:?})")
    }
}

impl Montnets {
    /// Reads the channel's settings and secrets.
    ///
    /// # Errors
    /// When one is missing or cannot be used.
    pub fn new(account: &Account<'_>) -> Result<Self, Unusable> {
        account.known_settings(&SETTINGS)?;
        let base = account.channel.endpoint.as_deref();
        let base = base.ok_or(Unusable::Endpoint("this vendor has one for each account"))?;
        let mut base = endpoint(base)?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let hashes = [
            ("md5", Hash::Md5),
            ("sha256", Hash::Sha256),
            ("clear", Hash::Clear),
        ];
        let hash = account.choice("pwd", Hash::Md5, &hashes)?;
        let apikey = account.optional_secret("apikey");
        let login = match (account.optional_secret("password"), &apikey) {
            (None, Some(_)) => None,
            _ => Some(Login {
                userid: account.secret("userid")?,
                password: account.secret("password")?,
                hash,
            }),
        };
        let names = [("v5", Names::V5), ("old", Names::Old)];
        let names = account.choice("names", Names::V5, &names)?;
        let usual = match names {
            Names::V5 => Charset::Utf8,
            Names::Old => Charset::Gbk,
        };
        let charsets = [("utf8", Charset::Utf8), ("gbk", Charset::Gbk)];
        Ok(Self {
            login,
            apikey,
            names,
            charset: account.choice("charset", usual, &charsets)?,
            svrtype: word(account, "svrtype", 32, u8::is_ascii_alphanumeric)?,
            exno: word(account, "exno", 6, u8::is_ascii_digit)?,
            fetches_reports: account.switch("fetch")?,
            fetches_messages: account.switch("fetch_mo")?,
            push_max_age: account.duration("push_max_age", PUSH_MAX_AGE)?,
            base,
            client: account.client.clone(),
            now: account.now.clone(),
        })
    }

    /// A call with what proves whose it is.
    fn request(&self, name: &str, mut fields: Map<String, Value>) -> reqwest::RequestBuilder {
        let mut put = |name: &str, value: &str| {
            fields.insert(name.to_owned(), Value::from(value));
        };
        match (&self.apikey, &self.login) {
            (Some(apikey), _) => put("apikey", apikey.expose()),
            (None, Some(login)) => {
                let timestamp = sign::timestamp((self.now)());
                put("userid", &login.userid.expose().to_uppercase());
                put("pwd", &login.pwd(&timestamp));
                put("timestamp", &timestamp);
            }
            (None, None) => {}
        }
        let mut url = self.base.clone();
        url.set_path(&format!("{}sms/v2/std/{name}", self.base.path()));
        self.client
            .post(url)
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(Value::Object(fields).to_string())
    }

    async fn send_together(&self, call: &Call, items: &[Item]) -> Vec<ItemResult> {
        let all = |result: ItemResult| vec![result; items.len()];
        let echo = call.call_id.to_string();
        let terms = Terms {
            names: self.names,
            charset: self.charset,
            svrtype: self.svrtype.as_deref(),
            exno: self.exno.as_deref(),
            echo: &echo,
        };
        let outgoing = match wire::outgoing(items, &terms) {
            Ok(outgoing) => outgoing,
            Err(result) => return all(result),
        };
        let request = self.request(outgoing.name, outgoing.fields);
        let request = request.timeout(call.timeout).build();
        match exchange(&self.client, request).await {
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

    /// Whether the push carries our own password, hashed not long ago. Without a password there is nothing to check.
    fn authenticate(&self, form: &receipt::Form<'_>, now: Timestamp) -> Result<(), PushError> {
        use PushError::NotAuthentic;
        let Some(login) = &self.login else {
            return Ok(());
        };
        let userid = form.field("userid").unwrap_or_default();
        if !userid.eq_ignore_ascii_case(login.userid.expose()) {
            return Err(NotAuthentic("of another account"));
        }
        let timestamp = form.field("timestamp").unwrap_or_default();
        if login.hash != Hash::Clear {
            let at = sign::instant(&timestamp, now).ok_or(NotAuthentic("no timestamp"))?;
            if !is_fresh(at, now, self.push_max_age) {
                return Err(NotAuthentic("the timestamp is too old or too far ahead"));
            }
        }
        let pwd = form.field("pwd").unwrap_or_default();
        if Secret::new(login.pwd(&timestamp)).matches(&pwd) {
            return Ok(());
        }
        Err(NotAuthentic("pwd is wrong"))
    }

    /// One fetch: the list `list` of what `name` brings.
    async fn list(
        &self,
        (name, list): (&str, &str),
        most: usize,
        timeout: Duration,
    ) -> Result<Listed, FetchError> {
        let fields = Map::from_iter([("retsize".to_owned(), Value::from(most))]);
        let request = self.request(name, fields).timeout(timeout).build();
        // Reports are handed out once: what is too large is lost.
        let answer = exchange_within(&self.client, request, MAX_FETCHED)
            .await
            .map_err(|result| FetchError(format!("{name}: {result:?}")))?;
        let text = charset::text(&answer.body);
        let failed = |what: &str| FetchError(format!("{name}: http {}, {what}", answer.status));
        let Some(mut reply) = json::parse(&text).filter(Value::is_object) else {
            // Were there reports in it, they are kept as they came.
            return if answer.status == 200 && text.contains(list) {
                Ok(Listed::Unreadable(Value::from(text)))
            } else {
                Err(failed("no JSON"))
            };
        };
        match reply.get("result").and_then(wire::code) {
            Some(code) if code.bytes().all(|b| b == b'0') => {}
            Some(code) => return Err(FetchError(format!("{name}: {code}"))),
            None => return Err(failed("no result")),
        }
        match reply[list].take() {
            Value::Array(items) => Ok(Listed::Items(items)),
            // An empty list is written as an empty text as well.
            Value::Null => Ok(Listed::Items(Vec::new())),
            Value::String(text) if text.trim().is_empty() => Ok(Listed::Items(Vec::new())),
            other => Ok(Listed::Unreadable(other)),
        }
    }
}

/// What a fetch brought.
enum Listed {
    Items(Vec<Value>),
    Unreadable(Value),
}

impl Listed {
    fn has_items(&self) -> bool {
        matches!(self, Self::Items(items) if !items.is_empty())
    }

    fn batch(self, read: impl Fn(Value) -> ParsedItem) -> Batch {
        match self {
            Self::Items(items) => items.into_iter().map(read).collect(),
            Self::Unreadable(raw) => Batch {
                unreadable: vec![UnreadableItem {
                    detail: "no list".to_owned(),
                    raw,
                }],
                ..Batch::default()
            },
        }
    }
}

impl Login {
    fn pwd(&self, timestamp: &str) -> String {
        let (userid, password) = (self.userid.expose(), self.password.expose());
        sign::pwd(self.hash, userid, password, timestamp)
    }
}

/// A setting of at most `longest` such characters.
fn word(
    account: &Account<'_>,
    name: &str,
    longest: usize,
    is_good: impl Fn(&u8) -> bool,
) -> Result<Option<String>, Unusable> {
    let value = account.setting(name).filter(|value| !value.is_empty());
    if value.is_some_and(|v| v.len() > longest || !v.as_bytes().iter().all(is_good)) {
        return Err(Unusable::Setting {
            name: name.to_owned(),
            cause: format!("at most {longest} letters or digits"),
        });
    }
    Ok(value.map(ToOwned::to_owned))
}

#[async_trait]
impl SmsVendor for Montnets {
    fn kind(&self) -> &'static str {
        KIND
    }

    /// With one text; with a text for each half as many go, and what is over is given back. A call has one answer, but a bad
    /// number does not spoil it: that is told by a receipt.
    fn limits(&self) -> Limits {
        Limits {
            max_items: MAX_NUMBERS,
        }
    }

    fn fits(&self, a: &Item, b: &Item) -> bool {
        wire::fits(a, b)
    }

    async fn send(&self, call: &Call) -> Vec<ItemResult> {
        let what = "one call takes texts only";
        if let Some(refused) = misfit(&call.items, usize::MAX, wire::fits, what) {
            return refused;
        }
        let items = &call.items[..wire::room(&call.items)];
        let results = self.send_together(call, items).await;
        first_ones(results, call.items.len())
    }

    fn read_push(&self, push: &Push<'_>) -> Result<Batch, PushError> {
        let form = receipt::Form::new(push.body);
        self.authenticate(&form, push.now)?;
        Ok(receipt::parse(&form))
    }

    fn acknowledge(&self, push: &Push<'_>, stored: bool) -> Ack {
        receipt::acknowledge(&receipt::Form::new(push.body), stored)
    }

    fn pull(&self) -> Option<&dyn Pull> {
        (self.fetches_reports || self.fetches_messages).then_some(self)
    }
}

#[async_trait]
impl Pull for Montnets {
    fn rest(&self) -> Duration {
        REST
    }

    /// Reports, then messages. What came is given out even if the second call fails: it may be gone at Montnets.
    async fn fetch(&self, timeout: Duration) -> Result<Fetched, FetchError> {
        let mut fetched = Fetched::default();
        if self.fetches_reports {
            let reports = self.list(("get_rpt", "rpts"), MAX_REPORTS, timeout).await?;
            fetched.more = reports.has_items();
            fetched.batch = reports.batch(receipt::report);
        }
        if self.fetches_messages {
            match self.list(("get_mo", "mos"), MAX_MESSAGES, timeout).await {
                Ok(messages) => {
                    fetched.more |= messages.has_items();
                    let messages = messages.batch(receipt::message);
                    fetched.batch.inbound = messages.inbound;
                    fetched.batch.unreadable.extend(messages.unreadable);
                }
                Err(error) if fetched.batch.is_empty() => return Err(error),
                // It comes again with the next fetch.
                Err(_) => {}
            }
        }
        Ok(fetched)
    }
}
