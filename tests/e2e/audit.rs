//! The promise, checked by id: log, ClickHouse and the vendor's own journal against what was accepted.

mod judge;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jixinda_lab::journal;
use jixinda_schemas::{
    Lane, MessageId, Topic,
    codec::Event,
    event::{AttemptResult, Outcome, Terminal},
};

use judge::{Claim, Evidence, Vendor, judge};

use crate::harness::{Platform, SOON, eventually, load::Accepted};

/// Waits until every accepted message has its outcome and everything agrees: exactly one outcome for each, ClickHouse
/// with exactly what counts in the log, the vendor called no more often than the lane allows, and each end as the
/// vendor's own journal tells it.
pub(crate) async fn settle(
    platform: &Platform,
    accepted: &Accepted,
    limit: Duration,
) -> BTreeMap<MessageId, Outcome> {
    let what = format!(
        "{} messages end as they should, in {}",
        accepted.len(),
        platform.dir.display()
    );
    eventually(&what, limit, async || {
        let faults = judge(&evidence(platform, accepted).await?);
        if faults.is_empty() {
            return Ok(());
        }
        let some = &faults[..faults.len().min(5)];
        Err(format!("{} faults, such as {some:?}", faults.len()))
    })
    .await;
    clickhouse_equals_the_log(platform).await;
    // The program's own judge reads the same by rules of its own.
    platform.run(&["verify"], &[]);
    let outcomes = platform.log.outcomes().into_iter();
    outcomes
        .map(|(id, mut found)| (id, found.remove(0)))
        .collect()
}

async fn evidence(platform: &Platform, accepted: &Accepted) -> Result<Evidence, String> {
    let recipients: BTreeSet<_> = accepted.values().map(|sent| &sent.recipient).collect();
    assert_eq!(
        recipients.len(),
        accepted.len(),
        "the vendor's journal knows numbers only: give each message its own"
    );
    let mut evidence = Evidence {
        accepted: accepted.clone(),
        vendor: vendor(platform),
        claims: claims(platform),
        senders_died: platform.senders_deaths() > 0,
        ..Evidence::default()
    };
    for record in platform.log.valid(Topic::Outcomes) {
        match record.event() {
            Event::Outcome(e) => {
                let id = e.message_id.unwrap();
                evidence.outcomes.push((id, e.payload.outcome));
            }
            Event::OutcomeCorrected(e) => {
                let (from, to) = (e.payload.previous.outcome, e.payload.current.outcome);
                let id = e.message_id.unwrap();
                evidence.corrections.push((id, from, to));
            }
            _ => {}
        }
    }
    let sql = "SELECT toString(message_id) AS id, outcome, toInt32(delta) AS delta FROM outcomes";
    for row in platform.clickhouse(sql).await? {
        let id = row["id"].as_str().unwrap().parse().unwrap();
        let outcome = serde_json::from_value(row["outcome"].clone()).unwrap();
        evidence
            .rows
            .push((id, outcome, row["delta"].as_i64().unwrap()));
    }
    Ok(evidence)
}

fn vendor(platform: &Platform) -> BTreeMap<String, Vendor> {
    let mut vendor: BTreeMap<String, Vendor> = BTreeMap::new();
    for entry in platform.lab_journal() {
        match entry {
            journal::Entry::Call(call) => {
                for recipient in call.recipients {
                    let word = vendor.entry(recipient).or_default();
                    word.taken +=
                        usize::from(matches!(call.outcome, journal::Outcome::Accepted { .. }));
                    word.ambiguous |= call.answered != journal::Answered::Ok;
                }
            }
            journal::Entry::Receipt(receipt) => {
                let word = vendor.entry(receipt.recipient).or_default();
                word.delivered |= receipt.success && receipt.pushed == journal::Pushed::Acked;
                word.undelivered |= !receipt.success && receipt.pushed == journal::Pushed::Acked;
            }
        }
    }
    vendor
}

/// Claims for calls that count, with what is known of each.
fn claims(platform: &Platform) -> BTreeMap<MessageId, Vec<Claim>> {
    let mut results = BTreeMap::new();
    for record in platform.log.topic(Topic::Attempts) {
        if let Event::AttemptFinished(e) = record.event() {
            let claim = match &e.payload.result {
                AttemptResult::Unknown { detail } if detail == "owner_died" => Claim::Orphaned,
                AttemptResult::Unknown { .. } => Claim::Ambiguous,
                _ => Claim::Settled,
            };
            // What was once open stays explained by that, whatever is said later.
            results.entry(e.payload.call_id).or_insert(claim);
        }
    }
    let mut claimed = BTreeSet::new();
    let mut claims: BTreeMap<MessageId, Vec<Claim>> = BTreeMap::new();
    for record in platform.log.valid(Topic::Attempts) {
        match record.event() {
            Event::AttemptStarted(e) if claimed.insert((e.message_id, e.payload.n)) => {
                let claim = results.get(&e.payload.call_id).copied();
                claims
                    .entry(e.message_id.unwrap())
                    .or_default()
                    .push(claim.unwrap_or(Claim::Orphaned));
            }
            Event::AttemptNotStarted(e) => {
                claimed.insert((e.message_id, e.payload.n));
            }
            _ => {}
        }
    }
    claims
}

/// Rows and valid records, by place in the log.
pub(crate) async fn clickhouse_equals_the_log(platform: &Platform) {
    eventually("ClickHouse equals the log", SOON, async || {
        let sql = "SELECT partition, toInt64(offset) AS at, toString(message_id) AS id, outcome, toInt32(delta) AS delta \
                   FROM outcomes";
        let mut rows: Vec<_> = platform
            .clickhouse(sql)
            .await?
            .iter()
            .map(|row| {
                let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
                // 64-bit integers may come as texts.
                let at = row["at"].as_i64().or_else(|| text("at").parse().ok());
                (row["partition"].as_i64(), at, text("id"), text("outcome"), row["delta"].as_i64())
            })
            .collect();
        let mut wanted = Vec::new();
        for record in platform.log.valid(Topic::Outcomes) {
            let mut row = |id: Option<MessageId>, outcome: Terminal, delta: i64| {
                wanted.push((
                    Some(i64::from(record.partition)),
                    Some(record.offset),
                    id.unwrap().to_string(),
                    outcome.as_str().to_owned(),
                    Some(delta),
                ));
            };
            match record.event() {
                Event::Outcome(e) => row(e.message_id, e.payload.outcome, 1),
                Event::OutcomeCorrected(e) => {
                    row(e.message_id, e.payload.previous.outcome, -1);
                    row(e.message_id, e.payload.current.outcome, 1);
                }
                _ => {}
            }
        }
        rows.sort();
        wanted.sort();
        difference("outcomes", &rows, &wanted)?;
        let sql = "SELECT topic, partition, toInt64(offset) AS at FROM routings";
        let mut rows: Vec<_> = platform
            .clickhouse(sql)
            .await?
            .iter()
            .map(|row| {
                let at = row["at"].as_i64().or_else(|| row["at"].as_str()?.parse().ok());
                (row["topic"].as_str().unwrap_or_default().to_owned(), row["partition"].as_i64(), at)
            })
            .collect();
        let mut wanted: Vec<_> = Lane::ALL
            .into_iter()
            .flat_map(|lane| platform.log.valid(Topic::dispatch(lane)))
            .map(|r| (r.topic.as_str().to_owned(), Some(i64::from(r.partition)), Some(r.offset)))
            .collect();
        rows.sort();
        wanted.sort();
        difference("routings", &rows, &wanted)
    })
    .await;
}

fn difference<T: Ord + std::fmt::Debug>(
    table: &str,
    rows: &[T],
    wanted: &[T],
) -> Result<(), String> {
    if rows == wanted {
        return Ok(());
    }
    let (have, want): (BTreeSet<_>, BTreeSet<_>) = (rows.iter().collect(), wanted.iter().collect());
    let missing: Vec<_> = want.difference(&have).take(3).collect();
    let foreign: Vec<_> = have.difference(&want).take(3).collect();
    Err(format!(
        "{table}: {} rows, {} records count; missing such as {missing:?}, foreign such as {foreign:?}",
        rows.len(),
        wanted.len()
    ))
}
