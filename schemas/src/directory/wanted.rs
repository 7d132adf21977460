//! What an operator wants the directory to be, as a file states it. Pure: secrets are fetched by the caller.
//!
//! Path of a file: [`Wanted<FileSecret>`] → [`Wanted::map_secrets`] → [`check`] (every fault at once) → [`plan`]
//! (seals what is new, leaves the rest as it is, and says what differs).

mod app;
mod channel;
mod check;
mod plan;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use check::{Allowed, check};
pub use plan::{Change, EntityChange, Plan, plan, redacted};

use super::{App, Channel, Credential, Signature, Suppression, Template};
use crate::{AppId, Lane, Phone, Timestamp};

/// A secret as a file gives it: the text itself, or where it is.
#[derive(Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "a secret is a text, { env = \"NAME\" } or { file = \"/path\" }"
)]
pub enum FileSecret {
    /// The secret itself.
    Text(String),
    /// In an environment variable.
    Env {
        /// Its name.
        env: String,
    },
    /// In a file; line ends at its end do not count.
    File {
        /// Its path.
        file: String,
    },
}

impl fmt::Debug for FileSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("(hidden)"),
            Self::Env { env } => write!(f, "env {env}"),
            Self::File { file } => write!(f, "file {file}"),
        }
    }
}

/// A secret in clear. It shows nothing and cannot be serialised.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Clear(String);

impl Clear {
    /// Takes the clear text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The clear text: only for where it is sealed or checked.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Clear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// One reason to refuse messages to a recipient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedSuppression {
    /// E.164.
    pub recipient: Phone,
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

impl WantedSuppression {
    /// Without the recipient.
    #[must_use]
    pub fn suppression(&self) -> Suppression {
        Suppression {
            app: self.app.clone(),
            lane: self.lane,
            until: self.until,
            note: self.note.clone(),
        }
    }
}

/// Everything that a file states.
#[derive(Clone, Debug)]
pub struct Wanted<S> {
    /// Applications.
    pub apps: Vec<App<S>>,
    /// Channels.
    pub channels: Vec<Channel<S>>,
    /// Signatures.
    pub signatures: Vec<Signature>,
    /// Templates.
    pub templates: Vec<Template>,
    /// A recipient that is named has these suppressions and no other.
    pub suppressions: Vec<WantedSuppression>,
}

impl<S> Default for Wanted<S> {
    fn default() -> Self {
        Self {
            apps: Vec::new(),
            channels: Vec::new(),
            signatures: Vec::new(),
            templates: Vec::new(),
            suppressions: Vec::new(),
        }
    }
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Such as `channels[2].rate_per_second`.
    pub path: String,
    /// What to do about it. Never a secret.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

impl<S> Wanted<S> {
    /// Turns every secret, given with its path, into another form.
    pub fn map_secrets<T>(self, mut map: impl FnMut(&str, S) -> T) -> Wanted<T> {
        let apps = self.apps.into_iter().enumerate();
        let channels = self.channels.into_iter().enumerate();
        Wanted {
            apps: apps
                .map(|(i, app)| map_app(app, &format!("apps[{i}]"), &mut map))
                .collect(),
            channels: channels
                .map(|(i, channel)| map_channel(channel, &format!("channels[{i}]"), &mut map))
                .collect(),
            signatures: self.signatures,
            templates: self.templates,
            suppressions: self.suppressions,
        }
    }
}

fn map_app<S, T>(app: App<S>, path: &str, map: &mut impl FnMut(&str, S) -> T) -> App<T> {
    let credentials = app.credentials.into_iter().enumerate();
    App {
        id: app.id,
        name: app.name,
        enabled: app.enabled,
        credentials: credentials
            .map(|(i, credential)| Credential {
                secret: map(
                    &format!("{path}.credentials[{i}].secret"),
                    credential.secret,
                ),
                key_id: credential.key_id,
                enabled: credential.enabled,
                bearer: credential.bearer,
            })
            .collect(),
        ip_allow: app.ip_allow,
        rate_per_second: app.rate_per_second,
        direct: app.direct,
    }
}

fn map_channel<S, T>(
    channel: Channel<S>,
    path: &str,
    map: &mut impl FnMut(&str, S) -> T,
) -> Channel<T> {
    Channel {
        id: channel.id,
        vendor: channel.vendor,
        name: channel.name,
        mode: channel.mode,
        priority: channel.priority,
        weight: channel.weight,
        lanes: channel.lanes,
        prefixes: channel.prefixes,
        rate_per_second: channel.rate_per_second,
        max_in_flight: channel.max_in_flight,
        prices: channel.prices,
        endpoint: channel.endpoint,
        call_timeout_ms: channel.call_timeout_ms,
        pool: channel.pool,
        settings: channel.settings,
        secrets: channel
            .secrets
            .into_iter()
            .map(|(name, secret)| {
                let secret = map(&format!("{path}.secrets.{name}"), secret);
                (name, secret)
            })
            .collect(),
        receipt_token: channel
            .receipt_token
            .map(|secret| map(&format!("{path}.receipt_token"), secret)),
        receipt_ip_allow: channel.receipt_ip_allow,
    }
}
