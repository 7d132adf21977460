//! Whether everything that was accepted ended once, and ClickHouse says what the log says.

mod judge;
mod log;

use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jixinda_runtime::{
    clock::{Clock as _, SystemClock},
    kafka::follow::{self, Event, From},
    lifecycle::Lifecycle,
};
use jixinda_schemas::{Lane, Topic};

use self::{
    judge::{Cell, Fault, Limits, Report, Tables, judge},
    log::Log,
};
use super::print;
use crate::{cli::Verify, config::Config};

/// Topics and the tables of their rows.
const TABLES: [(&str, &[Topic]); 5] = [
    (
        "routings",
        &[
            Topic::DispatchOtp,
            Topic::DispatchNotice,
            Topic::DispatchMarketing,
        ],
    ),
    ("attempts", &[Topic::Attempts]),
    ("receipts", &[Topic::Receipts]),
    ("outcomes", &[Topic::Outcomes]),
    ("dead_letters", &[Topic::DeadLetters]),
];
/// Longest validity of a message, and time for the last steps.
const VALIDITY_MS: i64 = 25 * 3_600_000;
const QUERY_LIMIT: Duration = Duration::from_secs(600);
/// Faults shown to people; `--json` has all.
const SHOWN: usize = 20;

pub(super) async fn verify(config: &Config, options: &Verify) -> anyhow::Result<ExitCode> {
    if let (Some(since), Some(until)) = (options.since, options.until)
        && since >= until
    {
        bail!("--since must lie before --until");
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar.set_style(ProgressStyle::with_template(
        "{spinner} {msg} {human_pos} in {elapsed}",
    )?);
    bar.set_message("records read");
    let log = read(config, &bar).await?;
    bar.set_message("rows read");
    bar.set_position(0);
    let tables = tables(config, &bar).await?;
    bar.finish_and_clear();
    let receipts = i64::try_from(config.router.receipt_deadline.as_millis())?;
    let limits = Limits {
        now: SystemClock.now(),
        longest_ms: receipts.saturating_add(VALIDITY_MS),
        settled: options.settled,
        since: options.since,
        until: options.until,
    };
    let report = judge(&log, &tables, limits);
    if options.json {
        print(serde_json::to_string_pretty(&report)?)?;
    } else {
        show(&report)?;
    }
    let good = report.faults.is_empty();
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn read(config: &Config, bar: &ProgressBar) -> anyhow::Result<Log> {
    let kafka = config.kafka()?;
    let mut topics: Vec<Topic> = Lane::ALL.map(Topic::requests).to_vec();
    topics.extend(TABLES.iter().flat_map(|(_, topics)| *topics));
    let log = Arc::new(Mutex::new(Log::default()));
    let (fill, bar) = (Arc::clone(&log), bar.clone());
    let lifecycle = Lifecycle::default();
    let fold = move |event: &Event<'_>| {
        if let Event::Record(record) = event {
            let mut log = fill.lock().unwrap_or_else(PoisonError::into_inner);
            log.take(record);
            bar.set_position(log.records);
        }
    };
    let reading = lifecycle.component("verify");
    let done = follow::start_from(&kafka, &topics, From::Start, reading, fold).await;
    lifecycle.stop();
    done?;
    Ok(std::mem::take(
        &mut *log.lock().unwrap_or_else(PoisonError::into_inner),
    ))
}

async fn tables(config: &Config, bar: &ProgressBar) -> anyhow::Result<Tables> {
    let mut tables = Tables::default();
    let before = sums(config).await?;
    for (table, _) in TABLES {
        let sql = format!(
            "SELECT topic, partition, offset, count() FROM {table} GROUP BY topic, partition, offset"
        );
        ask(config, &sql, |fields| {
            let [topic, partition, offset, rows] = fields else {
                bail!("four columns are wanted");
            };
            let topic: Topic = topic.parse().ok().context("an unknown topic")?;
            let of = tables.rows.entry((topic, partition.parse()?)).or_default();
            of.insert(offset.parse()?, rows.parse()?);
            bar.inc(1);
            Ok(())
        })
        .await?;
    }
    let after = sums(config).await?;
    tables.sums = (before == after).then_some(after);
    Ok(tables)
}

async fn sums(config: &Config) -> anyhow::Result<BTreeMap<Cell, i64>> {
    let mut sums = BTreeMap::new();
    // Written so that the projection answers it: it must agree with the rows that it sums up.
    let sql = "SELECT toUnixTimestamp(toStartOfMinute(accepted_at)), app, template, lane, outcome, sum(delta) \
               FROM outcomes GROUP BY toStartOfMinute(accepted_at), app, template, lane, outcome";
    ask(config, sql, |fields| {
        let [minute, app, template, lane, outcome, sum] = fields else {
            bail!("six columns are wanted");
        };
        let text = |field: &str| field.to_owned();
        let cell = (
            minute.parse()?,
            text(app),
            text(template),
            text(lane),
            text(outcome),
        );
        sums.insert(cell, sum.parse()?);
        Ok(())
    })
    .await?;
    Ok(sums)
}

/// Asks ClickHouse and hands over each line, split at tabs. Names and numbers only: nothing in them is escaped.
async fn ask(
    config: &Config,
    sql: &str,
    mut take: impl FnMut(&[&str]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let what = || format!("ClickHouse does not answer at {}", config.analytics.url);
    let mut answer = config
        .analytics
        .client()
        .query_raw(sql)
        .fetch_bytes("TSV")?;
    let mut rest = Vec::new();
    let until = tokio::time::Instant::now() + QUERY_LIMIT;
    while let Some(chunk) = tokio::time::timeout_at(until, answer.next())
        .await
        .with_context(what)?
        .with_context(what)?
    {
        rest.extend_from_slice(&chunk);
        let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') else {
            continue;
        };
        for line in std::str::from_utf8(&rest[..end])?.lines() {
            let fields: Vec<&str> = line.split('\t').collect();
            take(&fields).with_context(|| format!("ClickHouse answered `{line}`"))?;
        }
        rest.drain(..=end);
    }
    if !rest.is_empty() {
        bail!("the answer of ClickHouse broke off");
    }
    Ok(())
}

fn show(report: &Report) -> anyhow::Result<()> {
    let r = &report.requests;
    let total = r.ended + r.unresolved + r.repeats + r.moved + r.buried + r.forgotten;
    print(format_args!(
        "{} records: {total} requests, of which {} ended, {} repeats, {} moved, {} dead letters, {} unresolved, {} older \
         than the outcomes in the log",
        report.records, r.ended, r.repeats, r.moved, r.buried, r.unresolved, r.forgotten
    ))?;
    let outcomes: Vec<String> = report
        .outcomes
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    print(format_args!("outcomes: {}", outcomes.join(", ")))?;
    print(format_args!(
        "ClickHouse: {} rows agree with their records, {} to come, {} sums compared",
        report.rows, report.rows_to_come, report.sums
    ))?;
    if report.stale + report.unjudged > 0 {
        print(format_args!(
            "{} records of writers that had been succeeded, {} that cannot be judged any more",
            report.stale, report.unjudged
        ))?;
    }
    for fault in report.faults.iter().take(SHOWN) {
        print(line(fault)?)?;
    }
    match report.faults.len() {
        0 => print("nothing is lost, nothing is there twice"),
        n if n > SHOWN => print(format_args!(
            "{n} faults, the first {SHOWN} above; --json has all"
        )),
        n => print(format_args!("{n} faults")),
    }
}

/// `lost message=… request=…`
fn line(fault: &Fault) -> anyhow::Result<String> {
    let json = serde_json::to_value(fault)?;
    let mut fields = json.as_object().cloned().unwrap_or_default();
    let name = fields.remove("fault").unwrap_or_default();
    let mut text = name.as_str().unwrap_or_default().to_owned();
    for (name, value) in fields {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        text.push_str(&format!(" {name}={value}"));
    }
    Ok(text)
}
