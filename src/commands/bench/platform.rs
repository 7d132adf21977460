//! What others know of the run: the vendor lab, its journal, ClickHouse.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use jixinda_lab::journal::{Entry, Outcome};
use jixinda_schemas::Lane;
use serde::Deserialize;

use super::{load::Acknowledged, messages::Messages};

const MAX_MILLIS: u64 = 3_600_000;

/// What the lab has counted since it started, over all accounts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Vendor {
    pub(super) taken: u64,
    pub(super) refused: u64,
    pub(super) receipts: u64,
}

pub(super) struct Lab {
    client: reqwest::Client,
    url: String,
}

impl Lab {
    pub(super) fn new(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            client: jixinda_runtime::http::client(Duration::from_secs(5))?,
            url: format!("http://{address}/lab/stats"),
        })
    }

    pub(super) async fn stats(&self) -> anyhow::Result<Vendor> {
        #[derive(Deserialize)]
        struct Receipts {
            acked: u64,
        }
        #[derive(Deserialize)]
        struct Account {
            recipients_accepted: u64,
            refused: BTreeMap<String, u64>,
            receipts: Receipts,
        }
        #[derive(Deserialize)]
        struct Stats {
            accounts: BTreeMap<String, Account>,
        }
        let answer = self.client.get(&self.url).send().await;
        let stats: Stats = answer
            .and_then(reqwest::Response::error_for_status)
            .context("the vendor lab does not answer")?
            .json()
            .await
            .context("the vendor lab's counts cannot be read")?;
        let mut sum = Vendor::default();
        for account in stats.accounts.into_values() {
            sum.taken += account.recipients_accepted;
            sum.refused += account.refused.values().sum::<u64>();
            sum.receipts += account.receipts.acked;
        }
        Ok(sum)
    }
}

/// What the journal says of the run.
#[derive(Debug)]
pub(super) struct Calls {
    /// Messages with a vendor call that took them.
    pub(super) taken: u64,
    /// Taken calls for a message that had one.
    pub(super) again: u64,
    /// Acknowledged messages without one.
    pub(super) missing: u64,
    /// Calls that came before the acknowledgement was seen; they count as 0 ms.
    pub(super) before_ack: u64,
    /// From acknowledgement to first call, in milliseconds, by lane.
    pub(super) latency: BTreeMap<&'static str, Histogram<u64>>,
}

/// Reads the whole journal; takes a while for a long run.
pub(super) async fn calls(
    journal: PathBuf,
    messages: Arc<Messages>,
    acknowledged: Arc<Acknowledged>,
    sent: u64,
) -> anyhow::Result<Calls> {
    let read = move || read(&journal, &messages, &acknowledged, sent);
    tokio::task::spawn_blocking(read)
        .await
        .context("reading the journal broke")?
}

fn read(
    journal: &Path,
    messages: &Messages,
    acknowledged: &Acknowledged,
    sent: u64,
) -> anyhow::Result<Calls> {
    let mut latency = BTreeMap::new();
    for lane in Lane::ALL {
        latency.insert(lane.as_str(), Histogram::new_with_bounds(1, MAX_MILLIS, 3)?);
    }
    let mut calls = Calls {
        taken: 0,
        again: 0,
        missing: 0,
        before_ack: 0,
        latency,
    };
    let began = u64::try_from(acknowledged.began().millis()).unwrap_or(0);
    let mut first = vec![u64::MAX; usize::try_from(sent).unwrap_or(0)];
    for entry in jixinda_lab::journal::read(journal)? {
        let Entry::Call(call) = entry? else { continue };
        if call.at_ms < began || !matches!(call.outcome, Outcome::Accepted { .. }) {
            continue;
        }
        for recipient in &call.recipients {
            let place = messages
                .of_recipient(recipient)
                .and_then(|i| first.get_mut(usize::try_from(i).ok()?));
            let Some(place) = place else { continue };
            if *place == u64::MAX {
                calls.taken += 1;
            } else {
                calls.again += 1;
            }
            *place = call.at_ms.min(*place);
        }
    }
    for (i, at) in (0..sent).zip(first) {
        let Some(acknowledged) = acknowledged.get(i) else {
            continue;
        };
        let acknowledged = u64::try_from(acknowledged.millis()).unwrap_or(0);
        if at == u64::MAX {
            calls.missing += 1;
            continue;
        }
        calls.before_ack += u64::from(at < acknowledged);
        if let Some(histogram) = calls.latency.get_mut(Messages::lane(i).as_str()) {
            histogram.saturating_record(at.saturating_sub(acknowledged));
        }
    }
    Ok(calls)
}

/// Messages of a campaign that have an outcome in ClickHouse, and those that were delivered.
pub(super) async fn outcomes(
    config: &jixinda_analytics::Config,
    campaign: &str,
) -> anyhow::Result<(u64, u64)> {
    let sql = "SELECT uniqExact(message_id), uniqExactIf(message_id, outcome = 'delivered') \
               FROM outcomes WHERE campaign = ? AND delta = 1";
    let query = config.client().query(sql).bind(campaign);
    tokio::time::timeout(Duration::from_secs(30), query.fetch_one::<(u64, u64)>())
        .await
        .context("ClickHouse does not answer in time")?
        .context("ClickHouse cannot be asked")
}
