//! Lexin (乐信, lx198.com and lx598.com): the text itself, or a template of the newer interface.
//!
//! Setting `api`: `send` (the name and the MD5 of the password), `send2` (the same with a seed), or `v2` (`sendByTemplate`).
//! Secrets `acc_name` and `acc_pwd`, or `app_id` and `app_secret` for v2. `secret_is_md5` = `true` when `acc_pwd` is the
//! digest already; `hash_app_secret` = `true` when v2 wants the upper-case MD5 of the secret instead of the secret, and
//! `digest_case` = `upper` or `lower` for what send2 hashes: neither is certain. `echo_field` = `msgId`, or `bizId` as in old
//! examples; v2 is not documented to take it and is sent it all the same. `signature` = `front` as the text has it, or `end`.
//! `ext_no`, up to six digits, goes along for messages from handsets. The documentation writes `http://`, which would send
//! the secrets in clear: whether the hosts take https is not confirmed.
//!
//! There is no vendor's id: the call's id is the message's, and comes back in reports. The answer counts the numbers that
//! were not taken without naming them, so `max_numbers` is 1 unless it is set, up to 5,000 (v2: 2,000). Reports and messages
//! are fetched (`fetch` = `all`, `reports` or `none`). A push exists, but nothing of its form is known: none is read unless
//! `push_fields` says what id, number and state are called in it.

pub mod codes;
pub mod receipt;
pub mod sign;
pub mod wire;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use jixinda_runtime::secret::Secret;
use reqwest::Url;

use super::{
    Account, below, endpoint,
    exchange::{Answer, MAX_FETCHED, exchange, exchange_within},
    several::{max_numbers, misfit},
};
use crate::{
    Unusable, metrics,
    vendor::{
        Ack, Batch, Call, FetchError, Fetched, Item, ItemResult, Limits, Now, Pull, Push,
        PushError, SmsVendor,
    },
};
use receipt::PushFields;
use sign::{Login, Password};
use wire::{Api, Style};

/// Vendor kind.
pub const KIND: &str = "lexin";

const ENDPOINT: &str = "https://sdk.lx198.com/sdk/";
const ENDPOINT_V2: &str = "https://sdkv2.lx598.com/msgpool/sdk/";
/// Of `send`.
const MOST_NUMBERS: usize = 5_000;
/// Of `sendByTemplate`.
const MOST_NUMBERS_V2: usize = 2_000;
/// How often may be asked is not documented.
const REST: Duration = Duration::from_secs(5);

/// What is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fetch {
    All,
    Reports,
    None,
}

/// One account.
pub struct Lexin {
    api: Api,
    login: Login,
    style: Style,
    max_numbers: usize,
    fetch: Fetch,
    push_fields: Option<PushFields>,
    base: Url,
    client: reqwest::Client,
    now: Now,
}

impl fmt::Debug for Lexin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lexin({}, {:?})", self.base, self.api)
    }
}

impl Lexin {
    /// Reads the channel's settings and secrets.
    ///
    /// # Errors
    /// When one is missing or cannot be used.
    pub fn new(account: &Account<'_>) -> Result<Self, Unusable> {
        account.known_settings(&[
            "api",
            "digest_case",
            "echo_field",
            "ext_no",
            "fetch",
            "hash_app_secret",
            "max_numbers",
            "push_fields",
            "secret_is_md5",
            "signature",
        ])?;
        let api = match account.word("api", &["send", "send2", "v2"])? {
            "send2" => Api::Send2,
            "v2" => Api::V2,
            _ => Api::Send,
        };
        let (url, most) = match api {
            Api::Send | Api::Send2 => (ENDPOINT, MOST_NUMBERS),
            Api::V2 => (ENDPOINT_V2, MOST_NUMBERS_V2),
        };
        let fetch = match account.word("fetch", &["all", "reports", "none"])? {
            "reports" => Fetch::Reports,
            "none" => Fetch::None,
            _ => Fetch::All,
        };
        Ok(Self {
            api,
            login: login(account, api)?,
            style: Style {
                echo_field: account.word("echo_field", &["msgId", "bizId"])?,
                ext_no: ext_no(account)?,
                signature_last: account.word("signature", &["front", "end"])? == "end",
            },
            max_numbers: max_numbers(account, 1, most)?,
            fetch,
            push_fields: push_fields(account)?,
            base: endpoint(account.channel.endpoint.as_deref().unwrap_or(url))?,
            client: account.client.clone(),
            now: account.now.clone(),
        })
    }

    fn request(&self, method: &str, fields: &[(&'static str, String)]) -> reqwest::RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(self.login.fields((self.now)()))
            .extend_pairs(fields)
            .finish();
        self.client
            .post(below(&self.base, method))
            .header(
                "content-type",
                "application/x-www-form-urlencoded;charset=utf-8",
            )
            .body(body)
    }

    async fn send_together(&self, call: &Call) -> Vec<ItemResult> {
        let all = |result: ItemResult| vec![result; call.items.len()];
        let fields = match wire::fields(self.api, &self.style, call) {
            Ok(fields) => fields,
            Err(result) => return all(result),
        };
        let request = self.request(self.api.send(), &fields);
        match exchange(&self.client, request.timeout(call.timeout).build()).await {
            Ok(answer) => {
                let one_text = self.api != Api::V2;
                let verdicts = wire::interpret(&answer, call, one_text);
                if verdicts.iter().any(|v| v.undocumented) {
                    metrics::undocumented_code(KIND);
                }
                verdicts.into_iter().map(|v| v.result).collect()
            }
            Err(result) => all(result),
        }
    }

    async fn query(&self, method: &str, timeout: Duration) -> Result<Answer, FetchError> {
        let request = self.request(method, &[]).timeout(timeout).build();
        exchange_within(&self.client, request, MAX_FETCHED)
            .await
            .map_err(|result| FetchError(format!("{method}: {result:?}")))
    }
}

fn login(account: &Account<'_>, api: Api) -> Result<Login, Unusable> {
    if api == Api::V2 {
        let secret = account.secret("app_secret")?;
        return Ok(Login::App {
            id: account.secret("app_id")?,
            secret: if account.switch("hash_app_secret")? {
                Secret::new(sign::md5(secret.expose(), true))
            } else {
                secret
            },
        });
    }
    let upper = account.word("digest_case", &["upper", "lower"])? == "upper";
    let secret = account.secret("acc_pwd")?;
    // Only what send2 hashes once more may be lower-case.
    let upper = upper || api == Api::Send;
    let password = if account.switch("secret_is_md5")? {
        secret
    } else {
        Secret::new(sign::md5(secret.expose(), upper))
    };
    Ok(Login::Name {
        name: account.secret("acc_name")?,
        password: match api {
            Api::Send2 => Password::Seeded { password, upper },
            Api::Send | Api::V2 => Password::Plain(password),
        },
    })
}

fn push_fields(account: &Account<'_>) -> Result<Option<PushFields>, Unusable> {
    const NAME: &str = "push_fields";
    let Some(text) = account.setting(NAME) else {
        return Ok(None);
    };
    let fields = PushFields::parse(text).ok_or_else(|| Unusable::Setting {
        name: NAME.to_owned(),
        cause: "it must be three names, such as msgId,mobile,state".to_owned(),
    })?;
    Ok(Some(fields))
}

fn ext_no(account: &Account<'_>) -> Result<Option<String>, Unusable> {
    const NAME: &str = "ext_no";
    match account.setting(NAME) {
        None => Ok(None),
        Some(text) if (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(Some(text.to_owned()))
        }
        Some(_) => Err(Unusable::Setting {
            name: NAME.to_owned(),
            cause: "it must be one to six digits".to_owned(),
        }),
    }
}

#[async_trait]
impl SmsVendor for Lexin {
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
        let what = "one call takes at most max_numbers numbers with one text or one template";
        if let Some(refused) = misfit(&call.items, self.max_numbers, wire::fits, what) {
            return refused;
        }
        self.send_together(call).await
    }

    /// None is read without `push_fields`; what comes all the same is kept as it came.
    fn read_push(&self, push: &Push<'_>) -> Result<Batch, PushError> {
        let names = self.push_fields.as_ref().ok_or(PushError::Shape(
            "of a known form: pushes of Lexin are not documented, and push_fields is not set",
        ))?;
        receipt::pushed(push, names)
    }

    fn acknowledge(&self, _push: &Push<'_>, stored: bool) -> Ack {
        Ack::plain(stored, "ok")
    }

    fn pull(&self) -> Option<&dyn Pull> {
        (self.fetch != Fetch::None).then_some(self)
    }
}

#[async_trait]
impl Pull for Lexin {
    fn rest(&self) -> Duration {
        REST
    }

    /// Reports, then messages. Reports that came are not lost when the messages cannot be fetched.
    async fn fetch(&self, timeout: Duration) -> Result<Fetched, FetchError> {
        let mut batch = receipt::reports(&self.query(self.api.reports(), timeout).await?)?;
        if self.fetch == Fetch::All {
            let messages = self.query(self.api.messages(), timeout).await;
            match messages.and_then(|answer| receipt::messages(&answer)) {
                Ok(messages) => {
                    batch.inbound.extend(messages.inbound);
                    batch.unreadable.extend(messages.unreadable);
                }
                Err(error) if batch.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        Ok(Fetched { batch, more: false })
    }
}
