//! `jixinda bench e2e`: all roles, the vendor lab, ClickHouse, at a fixed rate.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use jixinda_runtime::kafka::producer::{Linger, Producer};
use serde::Serialize;
use tokio::time::Instant;

use super::{
    Report,
    load::{self, Acknowledged, Door, Schedule, Seen},
    loopback, loopback_authority,
    messages::Messages,
    platform::{self, Lab, Vendor},
    report::{Accepted, Quantiles, Table},
    watch::{self, Cost, Lag},
};
use crate::{
    cli::bench::{EndToEnd, Via},
    config::Config,
};

/// When ClickHouse is to have everything.
const CAUGHT_UP: Duration = Duration::from_secs(10);
/// How long more to wait for what is missing then.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Serialize)]
pub(super) struct Done {
    seconds: u64,
    rate: u64,
    via: String,
    #[serde(flatten)]
    accepted: Accepted,
    /// Taken by vendors while the load ran.
    sent_in_time: u64,
    sent_per_second: f64,
    /// Calls that vendors refused.
    vendor_refused: u64,
    /// From acknowledgement to vendor call.
    accept_to_call: BTreeMap<&'static str, Quantiles>,
    /// Vendor calls seen before their acknowledgement.
    before_ack: u64,
    /// Acknowledged, and not taken by any vendor.
    missing: u64,
    /// Taken more than once.
    again: u64,
    lag: Vec<Lag>,
    /// Outcomes in ClickHouse 10 s after the end.
    clickhouse_after_10_s: u64,
    /// At last, and how long that took from the end.
    clickhouse: u64,
    clickhouse_seconds: f64,
    delivered: u64,
    processes: Vec<Cost>,
}

pub(super) async fn e2e(config: &Config, options: &EndToEnd) -> anyhow::Result<Done> {
    let (address, messages) = super::prepare(&options.target)?;
    for broker in config.kafka.brokers.split(',') {
        loopback_authority(broker.trim()).context("kafka.brokers")?;
    }
    loopback(&config.analytics.url).context("analytics.url")?;
    for peer in &config.admin.peers {
        loopback_authority(peer).context("admin.peers")?;
    }
    loopback_authority(&options.lab.to_string()).context("--lab")?;
    let http = Door::Http(address);
    let kafka = || -> anyhow::Result<Door> {
        let producer = Producer::new(&config.kafka()?, "bench", Linger::Short)?;
        Ok(Door::Kafka(producer, options.app.parse()?))
    };
    let doors = match options.via {
        Via::Http => vec![http],
        Via::Kafka => vec![kafka()?],
        Via::Both => vec![http, kafka()?],
    };
    let lab = Lab::new(options.lab)?;
    let before = lab.stats().await?;
    let acknowledged = Arc::new(Acknowledged::new(options.rate * options.seconds));
    let watch = watch::start(&options.target.processes, config.admin.peers.clone())?;

    let seen = drive(&doors, &messages, options, &acknowledged).await?;
    let ended = Instant::now();
    let sent = lab.stats().await?;
    let (processes, lag) = watch.end(seen.accepted).await?;

    let caught_up = catch_up(config, &messages, seen.accepted, ended).await?;
    let all = lab.stats().await?;
    let planned = options.rate * options.seconds;
    let calls = platform::calls(
        options.journal.clone(),
        Arc::clone(&messages),
        acknowledged,
        planned,
    )
    .await?;

    let took = seen.took.as_secs_f64();
    let sent_in_time = sent.taken - before.taken;
    Ok(Done {
        seconds: options.seconds,
        rate: options.rate,
        via: format!("{:?}", options.via).to_lowercase(),
        accepted: Accepted::of(seen),
        sent_in_time,
        sent_per_second: sent_in_time as f64 / took,
        vendor_refused: refused(before, all),
        accept_to_call: calls
            .latency
            .iter()
            .map(|(lane, histogram)| (*lane, Quantiles::of(histogram, 1.0)))
            .collect(),
        before_ack: calls.before_ack,
        missing: calls.missing,
        again: calls.again,
        lag,
        clickhouse_after_10_s: caught_up.early,
        clickhouse: caught_up.last.0,
        clickhouse_seconds: caught_up.after.as_secs_f64(),
        delivered: caught_up.last.1,
        processes,
    })
}

const fn refused(before: Vendor, after: Vendor) -> u64 {
    after.refused - before.refused
}

/// The whole load, over each door its share.
async fn drive(
    doors: &[Door],
    messages: &Arc<Messages>,
    options: &EndToEnd,
    acknowledged: &Arc<Acknowledged>,
) -> anyhow::Result<Seen> {
    let every = doors.len() as u64;
    let length = Duration::from_secs(options.seconds);
    let mut running = Vec::new();
    for (first, door) in (0..).zip(doors) {
        let schedule = Schedule::new(length, Some(options.rate / every), (first, every));
        let workers = options.target.connections;
        running.push(load::run(
            messages,
            schedule,
            door,
            workers,
            Some(acknowledged),
        ));
    }
    let mut all: Option<Seen> = None;
    for seen in futures_util::future::try_join_all(running).await? {
        match &mut all {
            Some(all) => all.merge(seen)?,
            None => all = Some(seen),
        }
    }
    all.context("there is no door")
}

struct CaughtUp {
    /// Outcomes 10 s after the end.
    early: u64,
    /// Outcomes and deliveries at last.
    last: (u64, u64),
    after: Duration,
}

async fn catch_up(
    config: &Config,
    messages: &Messages,
    wanted: u64,
    ended: Instant,
) -> anyhow::Result<CaughtUp> {
    let campaign = messages.campaign();
    tokio::time::sleep_until(ended + CAUGHT_UP).await;
    let mut last = platform::outcomes(&config.analytics, &campaign).await?;
    let early = last.0;
    while last.0 < wanted && ended.elapsed() < CAUGHT_UP + PATIENCE {
        tokio::time::sleep(Duration::from_secs(1)).await;
        last = platform::outcomes(&config.analytics, &campaign).await?;
    }
    Ok(CaughtUp {
        early,
        last,
        after: ended.elapsed(),
    })
}

impl Done {
    /// Over the second half it grows by less than a role works off in a second or two (a message is several records).
    /// What was read and not committed yet counts as lag, so that a second's worth is always there.
    fn lag_is_flat(&self) -> bool {
        let half = self.seconds as f64 / 2.0;
        let allowed = 5.0 * self.rate as f64;
        !self.lag.is_empty() && self.lag.iter().all(|lag| lag.slope * half < allowed)
    }

    fn caught_up(&self) -> bool {
        self.clickhouse_after_10_s >= self.accepted.accepted
    }
}

impl Report for Done {
    fn is_good(&self) -> bool {
        self.accepted.is_good()
            && self.lag_is_flat()
            && self.caught_up()
            && self.missing == 0
            && self.again == 0
    }

    fn table(&self) -> Table {
        let mut table = Table::default();
        table.heading(&format!(
            "end to end: {}/s over {}, {} s",
            self.rate, self.via, self.seconds
        ));
        self.accepted.rows(&mut table);
        table.row(
            "sent meanwhile",
            format_args!("{}  {:.0}/s", self.sent_in_time, self.sent_per_second),
        );
        table.row("refused by vendors", self.vendor_refused);
        table.row("never sent", self.missing);
        table.row("sent twice", self.again);
        table.heading("from accept to vendor call");
        for (lane, quantiles) in &self.accept_to_call {
            table.row(lane, quantiles);
        }
        table.lags(&self.lag);
        table.row("flat", self.lag_is_flat());
        table.heading("ClickHouse");
        table.row(
            "outcomes 10 s after the end",
            format_args!(
                "{} of {}",
                self.clickhouse_after_10_s, self.accepted.accepted
            ),
        );
        table.row(
            "at last",
            format_args!(
                "{} after {:.0} s, {} delivered",
                self.clickhouse, self.clickhouse_seconds, self.delivered
            ),
        );
        table.costs(&self.processes);
        table
    }
}
