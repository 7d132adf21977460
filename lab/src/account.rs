//! An account: what one channel of the platform is to the vendor.

use std::collections::BTreeMap;
use std::fmt;

use axum::http::Uri;
use serde::{Deserialize, Serialize};

use crate::behaviour::Behaviour;
use crate::vendor::Vendor;
use crate::vendors;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The lab's own name of the account, used in the journal and the admin API.
    pub id: String,
    /// Kind of vendor, as in the platform's directory.
    #[serde(default = "aliyun")]
    pub vendor: String,
    /// What a request names the account by: access key, app key, account SID, user.
    pub access_key_id: String,
    /// All of them are accepted, so that a secret can be rotated.
    pub secrets: Vec<Secret>,
    #[serde(default)]
    pub sign_names: Vec<String>,
    #[serde(default)]
    pub templates: BTreeMap<String, Template>,
    /// What the vendor knows of the account besides, by the vendor's kind: sender numbers, forms of signature. Those whose
    /// names end in `_secret` are kept like `secrets`.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Where receipts are pushed; without it none are. Plain `http` only.
    #[serde(default)]
    pub receipt_url: Option<String>,
    /// Calls per clock second that are let through; the others are throttled.
    #[serde(default)]
    pub rate_per_second: Option<u32>,
    /// What a throttle answers as the pause, where the vendor names one. Aliyun's unit is UNCONFIRMED.
    #[serde(default = "one")]
    pub throttle_retry_after: u64,
    #[serde(default)]
    pub behaviour: Behaviour,
}

fn one() -> u64 {
    1
}

fn aliyun() -> String {
    vendors::ALL[0].kind().to_owned()
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Template {
    /// The variable names that `TemplateParam` has to hold.
    pub variables: Vec<String>,
    /// The approved text with `${name}` places; with it, receipts carry a counted number of parts, else one.
    pub body: Option<String>,
}

/// An access key secret or the admin token: readable from config, never written anywhere.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("<secret>")
    }
}

impl Account {
    /// The protocol that it speaks.
    pub(crate) fn speaks(&self) -> Result<&'static dyn Vendor, String> {
        vendors::find(&self.vendor).ok_or_else(|| {
            let kinds: Vec<&str> = vendors::ALL.iter().map(|vendor| vendor.kind()).collect();
            let (wrong, kinds) = (&self.vendor, kinds.join(", "));
            format!("`vendor`: the lab plays no `{wrong}`, only {kinds}")
        })
    }

    /// Whether a setting is as secret as `secrets`: by the end of its name.
    pub(crate) fn is_secret(setting: &str) -> bool {
        setting.ends_with("_secret")
    }

    /// A setting of the vendor's kind.
    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let vendor = self.speaks()?;
        if self.id.is_empty() || self.id.contains('/') {
            return Err("`id` is empty or holds a `/`".into());
        }
        if self.access_key_id.is_empty() {
            return Err("`access_key_id` is empty".into());
        }
        if self.secrets.is_empty() || self.secrets.iter().any(|secret| secret.0.is_empty()) {
            return Err("`secrets` needs at least one, and none may be empty".into());
        }
        if self.receipt_url.is_some() && !vendor.pushes() {
            let kind = vendor.kind();
            return Err(format!("`receipt_url`: {kind} pushes no receipts"));
        }
        if let Some(url) = &self.receipt_url {
            let usable = url
                .parse::<Uri>()
                .is_ok_and(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
            if !usable {
                return Err(format!("`receipt_url`: `{url}` is not an http:// URL"));
            }
        }
        self.behaviour
            .check(vendor)
            .map_err(|e| format!("behaviour: {e}"))
    }

    pub(crate) fn view(&self) -> AccountView<'_> {
        AccountView {
            id: &self.id,
            vendor: &self.vendor,
            access_key_id: &self.access_key_id,
            secret_count: self.secrets.len(),
            sign_names: &self.sign_names,
            templates: &self.templates,
            settings: self
                .settings
                .iter()
                .filter(|(name, _)| !Self::is_secret(name))
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect(),
            receipt_url: self.receipt_url.as_deref(),
            rate_per_second: self.rate_per_second,
            throttle_retry_after: self.throttle_retry_after,
            behaviour: &self.behaviour,
        }
    }
}

/// What the admin API shows: everything but the secrets.
#[derive(Debug, Serialize)]
pub(crate) struct AccountView<'a> {
    id: &'a str,
    vendor: &'a str,
    access_key_id: &'a str,
    secret_count: usize,
    sign_names: &'a [String],
    templates: &'a BTreeMap<String, Template>,
    settings: BTreeMap<&'a str, &'a str>,
    receipt_url: Option<&'a str>,
    rate_per_second: Option<u32>,
    throttle_retry_after: u64,
    behaviour: &'a Behaviour,
}

/// A change to a live account: fields that are absent stay. `behaviour` is merged field by field; an empty
/// `receipt_url` and a zero `rate_per_second` take the setting away.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AccountPatch {
    secrets: Option<Vec<Secret>>,
    sign_names: Option<Vec<String>>,
    templates: Option<BTreeMap<String, Template>>,
    receipt_url: Option<String>,
    rate_per_second: Option<u32>,
    throttle_retry_after: Option<u64>,
    behaviour: Option<serde_json::Map<String, serde_json::Value>>,
}

impl AccountPatch {
    pub(crate) fn apply(self, account: &Account) -> Result<Account, String> {
        let mut next = account.clone();
        if let Some(secrets) = self.secrets {
            next.secrets = secrets;
        }
        if let Some(sign_names) = self.sign_names {
            next.sign_names = sign_names;
        }
        if let Some(templates) = self.templates {
            next.templates = templates;
        }
        if let Some(url) = self.receipt_url {
            next.receipt_url = (!url.is_empty()).then_some(url);
        }
        if let Some(rate) = self.rate_per_second {
            next.rate_per_second = (rate > 0).then_some(rate);
        }
        if let Some(retry_after) = self.throttle_retry_after {
            next.throttle_retry_after = retry_after;
        }
        if let Some(changes) = self.behaviour {
            let mut merged = serde_json::to_value(&next.behaviour).map_err(|e| e.to_string())?;
            if let Some(fields) = merged.as_object_mut() {
                fields.extend(changes);
            }
            next.behaviour =
                serde_json::from_value(merged).map_err(|e| format!("behaviour: {e}"))?;
        }
        next.check()?;
        Ok(next)
    }
}
