//! Twilio Programmable Messaging: the text itself, one number a call, HTTP Basic.
//!
//! Secrets `account_sid`, `auth_token`, which also signs the pushes; `api_key_sid` and `api_key_secret` to send under a key
//! instead; `webhook_key` where pushes are signed under a shared key. Settings `from` or `messaging_service_sid`. Status callbacks are asked for with each message and carry the call's
//! id in the URL, since there is no echo field; they are signed over the public URL, so `senders.public_url` must be the one
//! that Twilio calls. There is no idempotency key.

pub mod codes;
pub mod receipt;
pub mod sign;
pub mod wire;

use std::fmt;

use async_trait::async_trait;
use jixinda_runtime::secret::Secret;
use reqwest::Url;

use super::{Account, endpoint, exchange::exchange};
use crate::{
    Unusable, metrics,
    vendor::{Ack, Batch, Call, Item, ItemResult, Limits, Push, PushError, SmsVendor, first_only},
};
use sign::Algorithm;
use wire::Sender;

/// Vendor kind.
pub const KIND: &str = "twilio";

const ENDPOINT: &str = "https://api.twilio.com/";
const VERSION: &str = "2010-04-01";

/// One account.
pub struct Twilio {
    account_sid: Secret,
    auth_token: Secret,
    /// The secret of the shared key that signs pushes.
    webhook_key: Option<Secret>,
    /// User and password of HTTP Basic.
    basic: (Secret, Secret),
    sender: Sender,
    /// Where messages are created.
    url: Url,
    public_url: Option<String>,
    callback: Option<Secret>,
    client: reqwest::Client,
}

impl fmt::Debug for Twilio {
    /// Without the URL's path, which holds the account.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Twilio({:?}, {:?})", self.url.host_str(), self.sender)
    }
}

impl Twilio {
    /// Reads the channel's settings and secrets.
    ///
    /// # Errors
    /// When one is missing or cannot be used.
    pub fn new(account: &Account<'_>) -> Result<Self, Unusable> {
        account.known_settings(&["from", "messaging_service_sid"])?;
        let sender = match (
            account.setting("from"),
            account.setting("messaging_service_sid"),
        ) {
            (Some(from), None) => Sender::From(from.to_owned()),
            (None, Some(sid)) => Sender::Service(sid.to_owned()),
            _ => {
                return Err(Unusable::Setting {
                    name: "from".to_owned(),
                    cause: "one of from and messaging_service_sid is needed".to_owned(),
                });
            }
        };
        let account_sid = account.header_secret("account_sid")?;
        let auth_token = account.secret("auth_token")?;
        let basic = match account.optional_secret("api_key_sid") {
            Some(key) => (key, account.secret("api_key_secret")?),
            None => (account_sid.clone(), auth_token.clone()),
        };
        let base = endpoint(account.channel.endpoint.as_deref().unwrap_or(ENDPOINT))?;
        let mut base = base;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let path = format!("{VERSION}/Accounts/{}/Messages.json", account_sid.expose());
        let url = base
            .join(&path)
            .map_err(|_| Unusable::MalformedSecret("account_sid".to_owned()))?;
        Ok(Self {
            account_sid,
            auth_token,
            webhook_key: account.optional_secret("webhook_key"),
            basic,
            sender,
            url,
            public_url: account.public_url.clone(),
            callback: account.callback.clone(),
            client: account.client.clone(),
        })
    }

    async fn send_one(&self, call: &Call, item: &Item) -> ItemResult {
        let callback = self.callback.as_ref().map(|url| {
            let (url, echo) = (url.expose(), receipt::ECHO);
            format!("{url}?{echo}={}", call.call_id)
        });
        let form = match wire::form(item, &self.sender, callback.as_deref()) {
            Ok(form) => form,
            Err(result) => return result,
        };
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = self
            .client
            .post(self.url.clone())
            .basic_auth(self.basic.0.expose(), Some(self.basic.1.expose()))
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

    /// Whether the push carries a signature under our own token or shared key over the URL that Twilio was given.
    fn authenticate(&self, push: &Push<'_>, form: &[(String, String)]) -> Result<(), PushError> {
        let base = self
            .public_url
            .as_deref()
            .ok_or(PushError::NotAuthentic("senders.public_url is not set"))?;
        let signature = push
            .header("x-twilio-signature")
            .ok_or(PushError::NotAuthentic("no X-Twilio-Signature"))?;
        let algorithm = Algorithm::of(push.header("x-twilio-webhooks-signature-settings")).ok_or(
            PushError::NotAuthentic(
                "X-Twilio-Webhooks-Signature-Settings names an unknown algorithm",
            ),
        )?;
        let key = match algorithm {
            Algorithm::Sha1 => &self.auth_token,
            Algorithm::Sha256 => self.webhook_key.as_ref().ok_or(PushError::NotAuthentic(
                "signed under a shared key, and the channel has no secret webhook_key",
            ))?,
        };
        let url = format!("{base}{}", push.target);
        let mut texts = variants(&url)
            .into_iter()
            .map(|url| sign::string_to_sign(&url, form));
        if texts.any(|text| sign::verify(algorithm, key.expose(), &text, signature)) {
            return Ok(());
        }
        Err(PushError::NotAuthentic("X-Twilio-Signature is wrong"))
    }
}

/// With and without the default port: Twilio signs the one or the other.
fn variants(url: &str) -> Vec<String> {
    let mut urls = vec![url.to_owned()];
    for (scheme, port) in [("https://", ":443"), ("http://", ":80")] {
        let Some(rest) = url.strip_prefix(scheme) else {
            continue;
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        urls.push(match host.strip_suffix(port) {
            Some(bare) => format!("{scheme}{bare}/{path}"),
            None => format!("{scheme}{host}{port}/{path}"),
        });
    }
    urls
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

#[async_trait]
impl SmsVendor for Twilio {
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
        let form = pairs(push.body);
        self.authenticate(push, &form)?;
        let of_account = form
            .iter()
            .find(|(name, _)| name == "AccountSid")
            .is_none_or(|(_, sid)| sid == self.account_sid.expose());
        if !of_account {
            return Err(PushError::NotAuthentic("of another account"));
        }
        let query = pairs(push.query.unwrap_or_default().as_bytes());
        let echo = query.into_iter().find(|(name, _)| name == receipt::ECHO);
        receipt::parse(&form, echo.map(|(_, id)| id))
    }

    fn acknowledge(&self, _push: &Push<'_>, stored: bool) -> Ack {
        receipt::acknowledge(stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_tried_with_and_without_its_default_port() {
        assert_eq!(
            variants("https://a.example/x?y=1"),
            ["https://a.example/x?y=1", "https://a.example:443/x?y=1"]
        );
        assert_eq!(variants("https://a.example:443/")[1], "https://a.example/");
    }
}
