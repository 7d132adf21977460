//! What operators set up: apps, channels, signatures, templates. Roles hold a [`Snapshot`] folded from the compacted
//! `directory` topic, which changes only at revision markers.

mod snapshot;
pub mod wanted;

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use snapshot::{ApplyError, Snapshot};

use crate::{
    AppId, ChannelId, Lane, SignatureId, TemplateId, Timestamp, seal::Sealed, template::Form,
};

fn yes() -> bool {
    true
}

/// An application and how it proves who it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "S: Deserialize<'de>"))]
pub struct App<S = Sealed> {
    /// Chosen by the operator, for good.
    pub id: AppId,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// A disabled app can neither call nor produce.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// At most two enabled ones, so that secrets can be rotated.
    #[serde(default)]
    pub credentials: Vec<Credential<S>>,
    /// Networks that may call; empty means any.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub ip_allow: Vec<IpNet>,
    /// Messages per second that ingest takes from this app; absent means no limit.
    #[serde(default)]
    pub rate_per_second: Option<u32>,
    /// May this app produce to Kafka directly?
    #[serde(default)]
    pub direct: Direct,
}

/// Whether an app may bypass ingest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Direct {
    /// Records of this app that did not come through ingest are rejected.
    #[default]
    Denied,
    /// Records need no proof: whoever may write to the topic may write for the app.
    Allowed,
    /// Each record carries the HMAC header of one of the app's credentials.
    Signed,
}

/// A secret of an app: signs requests and records, and may serve as a bearer key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credential<S = Sealed> {
    /// Public part, unique over all apps; 1 to 64 of `A-Z a-z 0-9 _ - .`.
    pub key_id: String,
    /// Shared secret, sealed at rest.
    pub secret: S,
    /// A disabled one proves nothing.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Also accepted as `Authorization: Bearer <key_id>.<secret>`.
    #[serde(default)]
    pub bearer: bool,
}

/// What the operator wants of a channel. It beats automation, at once.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ChannelMode {
    /// Takes part in routing.
    #[default]
    Active,
    /// Takes all that it can carry before any channel that is not pinned.
    Pinned,
    /// Gets no new message; what was routed to it is still sent.
    Drained,
    /// Gets no call from now on.
    Disabled,
}

/// One account at one vendor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "S: Deserialize<'de>"))]
pub struct Channel<S = Sealed> {
    /// Chosen by the operator, for good.
    pub id: ChannelId,
    /// Vendor kind, such as `aliyun`.
    pub vendor: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// What the operator wants of it.
    #[serde(default)]
    pub mode: ChannelMode,
    /// Lower goes first; channels of equal priority share by weight and health.
    #[serde(default)]
    pub priority: i32,
    /// Share of the traffic beside channels of equal priority; 100 unless given.
    #[serde(default = "hundred")]
    pub weight: u32,
    /// Lanes that it carries; empty means all.
    #[serde(default)]
    pub lanes: Vec<Lane>,
    /// E.164 prefixes that it reaches, such as `+86`; empty means all.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Messages per second over all senders.
    pub rate_per_second: u32,
    /// Messages in calls at once over all senders. What is claimed, or on its way to a sender, is not counted.
    pub max_in_flight: u32,
    /// Price of one segment in millionths of the account's currency; the longest prefix and the named lane win.
    #[serde(default)]
    pub prices: Vec<Price>,
    /// Base URL of the vendor's API; absent means the vendor's public one.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// How long a call may take, in milliseconds.
    #[serde(default = "ten_seconds")]
    pub call_timeout_ms: u32,
    /// Sender pool that serves the channel.
    #[serde(default = "default_pool")]
    pub pool: String,
    /// Vendor settings that are no secrets, such as `region`.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Vendor secrets by name, such as `access_key_id`, `access_key_secret`.
    #[serde(default)]
    pub secrets: BTreeMap<String, S>,
    /// Unguessable path element of the receipt URL `/receipts/{channel}/{token}`; absent means no receipt push.
    #[serde(default)]
    pub receipt_token: Option<S>,
    /// Networks that may push receipts; empty means any.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub receipt_ip_allow: Vec<IpNet>,
}

fn hundred() -> u32 {
    100
}

fn ten_seconds() -> u32 {
    10_000
}

fn default_pool() -> String {
    "default".to_owned()
}

/// One line of a channel's price list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// E.164 prefix, such as `+86`; empty means any.
    #[serde(default)]
    pub prefix: String,
    /// Only this lane; absent means any.
    #[serde(default)]
    pub lane: Option<Lane>,
    /// Millionths of the account's currency for one segment.
    pub micros: u64,
}

impl<S> Channel<S> {
    /// Price of one segment to `number` (E.164) in `lane`, in millionths; 0 when no line fits.
    #[must_use]
    pub fn price_micros(&self, number: &str, lane: Lane) -> u64 {
        self.prices
            .iter()
            .filter(|price| {
                number.starts_with(&price.prefix) && price.lane.is_none_or(|l| l == lane)
            })
            .max_by_key(|price| (price.prefix.len(), price.lane.is_some()))
            .map_or(0, |price| price.micros)
    }

    /// Whether the channel carries `lane` to `number` (E.164).
    #[must_use]
    pub fn reaches(&self, number: &str, lane: Lane) -> bool {
        (self.lanes.is_empty() || self.lanes.contains(&lane))
            && (self.prefixes.is_empty()
                || self.prefixes.iter().any(|p| number.starts_with(p.as_str())))
    }
}

/// The name in brackets before the text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Chosen by the operator, for good.
    pub id: SignatureId,
    /// Owner; absent means every app.
    #[serde(default)]
    pub app: Option<AppId>,
    /// Without brackets.
    pub text: String,
    /// A disabled one cannot be used in new requests.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Where it is registered.
    #[serde(default)]
    pub channels: BTreeMap<ChannelId, SignatureOnChannel>,
}

/// A signature at one vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignatureOnChannel {
    /// What the vendor calls it; absent means the text itself.
    #[serde(default)]
    pub code: Option<String>,
    /// Whether the vendor has approved it.
    #[serde(default)]
    pub approved: bool,
}

/// A message text with variables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Chosen by the operator, for good.
    pub id: TemplateId,
    /// Owner.
    pub app: AppId,
    /// Lane of its messages.
    pub lane: Lane,
    /// Text with `{name}` placeholders, without signature.
    pub body: String,
    /// All variables that the body uses.
    #[serde(default)]
    pub variables: Vec<Variable>,
    /// Signature of requests that name none.
    pub signature: SignatureId,
    /// A disabled one cannot be used in new requests.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Outside of mainland China, curly quotes, long dashes and the like become plain ones where the text then fits the
    /// GSM alphabet: fewer segments.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub smart_encoding: bool,
    /// Where it is registered.
    #[serde(default)]
    pub channels: BTreeMap<ChannelId, TemplateOnChannel>,
}

/// A declared variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// 1 to 32 of `a-z 0-9 _`, starting with a letter.
    pub name: String,
    /// What a value may be.
    #[serde(default)]
    pub kind: VariableKind,
    /// Longest value, in characters.
    #[serde(default = "default_max_length")]
    pub max_length: u32,
}

fn default_max_length() -> u32 {
    100
}

/// What a variable's value may be.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum VariableKind {
    /// Any text without control characters other than line feed.
    #[default]
    Text,
    /// ASCII digits only.
    Digits,
    /// ASCII letters and digits only.
    Alphanumeric,
}

/// A template at one vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateOnChannel {
    /// What the vendor calls it; full-text vendors need none.
    #[serde(default)]
    pub code: Option<String>,
    /// Whether the vendor has approved it.
    #[serde(default)]
    pub approved: bool,
    /// How the vendor takes the values.
    #[serde(default)]
    pub form: Form,
}

/// Marks that everything before it is one consistent whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Revision {
    /// Counts up by one.
    pub revision: u64,
    /// Entities that the change wrote or removed.
    pub changed: u32,
}

/// A channel taken out by the platform itself: its account cannot send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ChannelState {
    /// The channel that is out.
    pub channel: ChannelId,
    /// Vendor code that took it out.
    pub vendor_code: String,
    /// It may be tried again from then on, or as soon as the operator changes the channel.
    pub until: Timestamp,
}

/// Identity of one log. ClickHouse stores it too, so that rows of another log are never mixed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogIdentity {
    /// Random, written once when the topics are made.
    pub log_id: uuid::Uuid,
}

/// Why messages to a recipient are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Suppression {
    /// Only this app's messages; absent means every app's.
    #[serde(default)]
    pub app: Option<AppId>,
    /// Only this lane's; absent means all lanes'.
    #[serde(default)]
    pub lane: Option<Lane>,
    /// Ends then; absent means never.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Why, such as `complaint`.
    #[serde(default)]
    pub note: String,
}

impl Suppression {
    /// Whether it stops a message of `app` in `lane` at `now`.
    #[must_use]
    pub fn applies(&self, app: &AppId, lane: Lane, now: Timestamp) -> bool {
        self.app.as_ref().is_none_or(|a| a == app)
            && self.lane.is_none_or(|l| l == lane)
            && self.until.is_none_or(|until| now < until)
    }
}

/// All suppressions of one recipient: the value of a `suppressions` record, whose key is the recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Suppressions {
    /// Each one alone suffices; none means that the recipient may be written to.
    pub entries: Vec<Suppression>,
}

/// One record of the `directory` topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Entity {
    /// Under key `app/<id>`.
    App(App),
    /// Under key `channel/<id>`.
    Channel(Channel),
    /// Under key `signature/<id>`.
    Signature(Signature),
    /// Under key `template/<id>`.
    Template(Template),
    /// Under key `revision`.
    Revision(Revision),
    /// Under key `channel-state/<channel>`.
    ChannelState(ChannelState),
    /// Under key `log`.
    Log(LogIdentity),
}

impl Entity {
    /// Record key: kind and id.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::App(e) => format!("app/{}", e.id),
            Self::Channel(e) => format!("channel/{}", e.id),
            Self::Signature(e) => format!("signature/{}", e.id),
            Self::Template(e) => format!("template/{}", e.id),
            Self::Revision(_) => "revision".to_owned(),
            Self::ChannelState(e) => format!("channel-state/{}", e.channel),
            Self::Log(_) => "log".to_owned(),
        }
    }
}

/// Where an app credential is sealed for.
#[must_use]
pub fn credential_place(app: &AppId, key_id: &str) -> String {
    format!("app/{app}/credential/{key_id}")
}

/// Where a channel secret is sealed for; the receipt token's name is `receipt_token`.
#[must_use]
pub fn channel_place(channel: &ChannelId, name: &str) -> String {
    format!("channel/{channel}/{name}")
}
