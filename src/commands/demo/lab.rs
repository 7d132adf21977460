//! The lab's side: its admin API, with which a channel is broken and mended, and its journal, which knows what the
//! vendor knows.

use std::{collections::HashSet, net::SocketAddr, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use jixinda_lab::journal::{Entry, Pushed};
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

    /// Has the account refuse most calls and deliver nothing; returns how it behaved before.
    pub(super) async fn break_account(&self, id: &str) -> anyhow::Result<Value> {
        let url = format!("{}/accounts/{id}", self.url);
        let account: Value = read(self.client.get(url).send().await?).await?;
        let broken = json!({
            "submit_errors": [{ "share": 0.85, "kind": "isp.SYSTEM_ERROR" }],
            "receipt_failures": [{ "share": 1.0, "code": "SP_UNKNOWN_ERROR" }],
        });
        self.behave(id, &broken).await?;
        Ok(account["behaviour"].clone())
    }

    /// Changes the account's behaviour.
    pub(super) async fn behave(&self, id: &str, behaviour: &Value) -> anyhow::Result<()> {
        let url = format!("{}/accounts/{id}", self.url);
        let body = serde_json::to_vec(&json!({ "behaviour": behaviour }))?;
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

/// Recipients for whom the lab has pushed a receipt that says delivered, since then.
pub(super) fn delivered(journal: &Path, since: Timestamp) -> anyhow::Result<HashSet<String>> {
    let since = u64::try_from(since.millis())?;
    let mut delivered = HashSet::new();
    for entry in jixinda_lab::journal::read(journal)? {
        if let Entry::Receipt(receipt) = entry?
            && receipt.at_ms >= since
            && receipt.success
            && receipt.pushed != Pushed::Lost
        {
            delivered.insert(receipt.recipient);
        }
    }
    Ok(delivered)
}
