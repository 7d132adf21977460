//! Vonage SMS API (`/sms/json`): the text itself, one number a call.
//!
//! Secrets `api_key`, `api_secret`, and `signature_secret` with setting `signature_method` (`md5hash`, `md5`, `sha1`,
//! `sha256` or `sha512`, as the account has it). Settings `from` (needed), `sign` (what is signed where there is a signature
//! secret: `both`, `calls` or `pushes`) and `push_max_age` (`15m`; whether a push that comes again is signed anew is not
//! confirmed). Calls that are not signed carry the secret as HTTP Basic. Receipts are asked for with each message. There is
//! no idempotency key.

pub mod codes;
pub mod receipt;
pub mod sign;
pub mod wire;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use jixinda_runtime::secret::Secret;
use jixinda_schemas::Timestamp;
use reqwest::Url;

use super::{Account, endpoint, exchange::exchange, times::is_fresh};
use crate::{
    Unusable, metrics,
    vendor::{
        Ack, Batch, Call, Item, ItemResult, Limits, Now, Push, PushError, SmsVendor, first_only,
    },
};
use sign::Method;
use wire::Terms;

/// Vendor kind.
pub const KIND: &str = "vonage";
/// Where the API is, unless the channel says otherwise.
pub const ENDPOINT: &str = "https://rest.nexmo.com/";
/// Path of the call under the endpoint.
pub const PATH: &str = "sms/json";

const LONGEST_CALLBACK: usize = 100;
const PUSH_MAX_AGE: Duration = Duration::from_secs(15 * 60);

/// What an account signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signed {
    Both,
    Calls,
    Pushes,
}

/// The secret of signatures.
struct Signing {
    method: Method,
    secret: Secret,
    what: Signed,
}

impl Signing {
    fn signature(&self, params: &[(&str, String)]) -> String {
        let text = sign::string_to_sign(params);
        sign::signature(self.method, self.secret.expose(), &text)
    }
}

/// One account.
pub struct Vonage {
    api_key: Secret,
    /// Absent when calls are signed.
    api_secret: Option<Secret>,
    signing: Option<Signing>,
    from: String,
    push_max_age: Duration,
    url: Url,
    callback: Option<Secret>,
    client: reqwest::Client,
    now: Now,
}

impl fmt::Debug for Vonage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vonage({}, {})", self.url, self.from)
    }
}

impl Vonage {
    /// Reads the channel's settings and secrets.
    ///
    /// # Errors
    /// When one is missing or cannot be used.
    pub fn new(account: &Account<'_>) -> Result<Self, Unusable> {
        account.known_settings(&["from", "signature_method", "sign", "push_max_age"])?;
        let mut base = endpoint(account.channel.endpoint.as_deref().unwrap_or(ENDPOINT))?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let url = base
            .join(PATH)
            .map_err(|_| Unusable::Endpoint("not a URL"))?;
        let signing = signing(account)?;
        let signs_calls = signing.as_ref().is_some_and(|s| s.what != Signed::Pushes);
        let callback = account.callback.clone();
        if callback
            .as_ref()
            .is_some_and(|url| url.expose().len() > LONGEST_CALLBACK)
        {
            return Err(Unusable::Setting {
                name: "receipt_token".to_owned(),
                cause: "the callback URL would have more than 100 characters".to_owned(),
            });
        }
        Ok(Self {
            api_key: account.header_secret("api_key")?,
            api_secret: match signs_calls {
                true => None,
                false => Some(account.secret("api_secret")?),
            },
            signing,
            from: account
                .needed("from", "the sender, a number or letters,")?
                .to_owned(),
            push_max_age: account.duration("push_max_age", PUSH_MAX_AGE)?,
            url,
            callback,
            client: account.client.clone(),
            now: account.now.clone(),
        })
    }

    async fn send_one(&self, call: &Call, item: &Item) -> ItemResult {
        let echo = call.call_id.to_string();
        let terms = Terms {
            from: &self.from,
            callback: self.callback.as_ref(),
            echo: &echo,
        };
        let mut form = match wire::form(item, &terms) {
            Ok(form) => form,
            Err(result) => return result,
        };
        let mut request = self.client.post(self.url.clone());
        match (&self.api_secret, &self.signing) {
            (Some(api_secret), _) => {
                let basic = sign::basic(self.api_key.expose(), api_secret.expose());
                request = request.header("authorization", basic);
            }
            (None, Some(signing)) => {
                let seconds = (self.now)().millis().div_euclid(1_000);
                form.push(("api_key", self.api_key.expose().to_owned()));
                form.push(("timestamp", seconds.to_string()));
                form.push((sign::SIG, signing.signature(&form)));
            }
            (None, None) => {}
        }
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "application/json")
            .body(body)
            .timeout(call.timeout)
            .build();
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

    /// Whether the push is signed with our own secret, not long ago.
    fn authenticate(&self, params: &[(String, String)], now: Timestamp) -> Result<(), PushError> {
        use PushError::NotAuthentic;
        let key = receipt::param(params, "api-key");
        if key.is_some_and(|key| !self.api_key.matches(key)) {
            return Err(NotAuthentic("of another account"));
        }
        let signing = self.signing.as_ref().filter(|s| s.what != Signed::Calls);
        let Some(Signing { method, secret, .. }) = signing else {
            return Ok(());
        };
        let seconds = receipt::param(params, "timestamp").and_then(|t| t.parse::<i64>().ok());
        let at = seconds.and_then(|s| s.checked_mul(1_000)).map(Timestamp);
        let at = at.ok_or(NotAuthentic("no timestamp"))?;
        if !is_fresh(at, now, self.push_max_age) {
            return Err(NotAuthentic("the timestamp is too old or too far ahead"));
        }
        let given = receipt::param(params, sign::SIG).ok_or(NotAuthentic("no sig"))?;
        let text = sign::string_to_sign(params);
        if sign::verify(*method, secret.expose(), &text, given) {
            return Ok(());
        }
        Err(NotAuthentic("sig is wrong"))
    }
}

fn signing(account: &Account<'_>) -> Result<Option<Signing>, Unusable> {
    let secret = account.optional_secret("signature_secret");
    let method = match account.setting("signature_method") {
        Some(_) => Some(account.choice("signature_method", Method::Sha256, &sign::METHODS)?),
        None => None,
    };
    let whats = [
        ("both", Signed::Both),
        ("calls", Signed::Calls),
        ("pushes", Signed::Pushes),
    ];
    let what = account.choice("sign", Signed::Both, &whats)?;
    match (secret, method) {
        (Some(secret), Some(method)) => Ok(Some(Signing {
            method,
            secret,
            what,
        })),
        (None, None) if account.setting("sign").is_none() => Ok(None),
        (None, _) => Err(Unusable::MissingSecret("signature_secret".to_owned())),
        (Some(_), None) => Err(Unusable::Setting {
            name: "signature_method".to_owned(),
            cause: "it is needed with signature_secret".to_owned(),
        }),
    }
}

#[async_trait]
impl SmsVendor for Vonage {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn limits(&self) -> Limits {
        Limits { max_items: 1 }
    }

    async fn send(&self, call: &Call) -> Vec<ItemResult> {
        let first = match call.items.first() {
            Some(item) => Some(self.send_one(call, item).await),
            None => None,
        };
        first_only(first, call)
    }

    fn read_push(&self, push: &Push<'_>) -> Result<Batch, PushError> {
        let params = receipt::params(push.query.unwrap_or_default(), push.body);
        self.authenticate(params.as_deref().unwrap_or_default(), push.now)?;
        receipt::parse(&params?)
    }

    fn acknowledge(&self, _push: &Push<'_>, stored: bool) -> Ack {
        receipt::acknowledge(stored)
    }
}
