//! The lab's side: its admin API, with which a channel is broken and mended, and its journal, which knows what the
//! vendor knows.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, bail};
use jixinda_lab::journal::{Entry, Outcome, Pushed};
use jixinda_runtime::http;
use jixinda_schemas::Timestamp;
use serde_json::{Value, json};

#[derive(Debug)]
pub(super) struct Lab {
    client: reqwest::Client,
    host: String,
    url: String,
}

/// Where the lab listens, by its settings.
pub(super) fn address(settings: &Path) -> anyhow::Result<SocketAddr> {
    let text = std::fs::read_to_string(settings)
        .with_context(|| format!("cannot read {}", settings.display()))?;
    let table: toml::Table = toml::from_str(&text)?;
    let listen = table.get("listen").and_then(toml::Value::as_str);
    listen
        .context("the lab's settings have no `listen`")?
        .parse()
        .context("`listen` of the lab's settings")
}

impl Lab {
    pub(super) fn new(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            client: http::client(Duration::from_secs(5))?,
            host: format!("http://{address}"),
            url: format!("http://{address}/lab"),
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) async fn answers(&self) -> bool {
        let asked = self.client.get(format!("{}/accounts", self.url)).send();
        asked
            .await
            .is_ok_and(|response| response.status().is_success())
    }

    /// The account as it is.
    pub(super) async fn account(&self, id: &str) -> anyhow::Result<Value> {
        let url = format!("{}/accounts/{id}", self.url);
        read(self.client.get(url).send().await?).await
    }

    /// Changes the account.
    pub(super) async fn patch(&self, id: &str, patch: &Value) -> anyhow::Result<()> {
        let url = format!("{}/accounts/{id}", self.url);
        let body = serde_json::to_vec(patch)?;
        read(self.client.patch(url).body(body).send().await?).await?;
        Ok(())
    }

    /// Receipts that are still to be pushed.
    pub(super) async fn receipts_waiting(&self) -> anyhow::Result<u64> {
        let url = format!("{}/stats?minutes=1", self.url);
        let stats = read(self.client.get(url).send().await?).await?;
        let accounts = stats["accounts"].as_object().context("the lab's stats")?;
        Ok(accounts
            .values()
            .filter_map(|account| account["receipts_waiting"].as_u64())
            .sum())
    }
}

async fn read(response: reqwest::Response) -> anyhow::Result<Value> {
    let status = response.status();
    let text = response.text().await?;
    if !status.is_success() {
        bail!("the lab answered {status}: {text}");
    }
    Ok(serde_json::from_str(&text)?)
}

/// The patch that makes an account what it was.
pub(super) fn former(account: &Value) -> Value {
    json!({
        "behaviour": account["behaviour"],
        // Zero takes the limit away.
        "rate_per_second": account["rate_per_second"].as_u64().unwrap_or(0),
    })
}

/// What vendors know of a run.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Recipients for whom a receipt that says delivered was pushed, or fetched.
    pub(super) delivered: HashSet<String>,
    /// How often each recipient's messages were taken.
    pub(super) taken: HashMap<String, usize>,
}

/// Reads the journal's entries since then.
pub(super) fn known(journal: &Path, since: Timestamp) -> anyhow::Result<Known> {
    let since = u64::try_from(since.millis())?;
    let mut known = Known::default();
    for entry in jixinda_lab::journal::read(journal)? {
        match entry? {
            Entry::Receipt(receipt)
                if receipt.at_ms >= since
                    && receipt.success
                    && !receipt.forged
                    && receipt.pushed != Pushed::Lost =>
            {
                known.delivered.insert(receipt.recipient);
            }
            Entry::Call(call)
                if call.at_ms >= since && matches!(call.outcome, Outcome::Accepted { .. }) =>
            {
                for recipient in call.recipients {
                    if !call.refused.contains_key(&recipient) {
                        *known.taken.entry(recipient).or_default() += 1;
                    }
                }
            }
            Entry::Receipt(_) | Entry::Call(_) => {}
        }
    }
    Ok(known)
}
