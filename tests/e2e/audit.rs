//! The promise, checked by id: log, ClickHouse and the vendor's own journal against what was accepted.

pub(crate) mod facts;
pub(crate) mod judge;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jixinda_lab::journal;
use jixinda_schemas::{
    CallId, Lane, MessageId, Topic,
    codec::Event,
    event::{Outcome, Terminal},
};

use facts::{Facts, Raw, Started};
use judge::{Attempt, Call, Evidence, Vendor, judge};

use crate::harness::{PARTITIONS, Platform, SOON, eventually, lives::Lives, load::Accepted};

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
        let faults = judge(&evidence(platform, accepted).await?).faults;
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
    let mut facts = Facts::default();
    for topic in Topic::ALL {
        for record in &platform.log.topic(topic) {
            facts.take(&Raw {
                position: record.position(),
                headers: &record.headers,
                value: &record.value,
            });
        }
    }
    of_facts(platform, accepted, &facts).await
}

/// What the log says, with the vendor's and ClickHouse's word.
pub(crate) async fn of_facts(
    platform: &Platform,
    accepted: &Accepted,
    facts: &Facts,
) -> Result<Evidence, String> {
    let recipients: BTreeSet<_> = accepted.values().map(|sent| &sent.recipient).collect();
    assert_eq!(
        recipients.len(),
        accepted.len(),
        "the vendor's journal knows numbers only: give each message its own"
    );
    Ok(Evidence {
        accepted: accepted.clone(),
        requests: facts.requests.clone(),
        outcomes: facts.outcomes.clone(),
        corrections: facts.corrections.clone(),
        rows: rows(platform).await?,
        vendor: vendor(platform),
        attempts: attempts(facts, &platform.lives),
    })
}

/// A partition at a time, so that no answer grows beyond what a reader may ask for.
async fn rows(platform: &Platform) -> Result<Vec<(MessageId, Terminal, i64)>, String> {
    let mut rows = Vec::new();
    for partition in 0..PARTITIONS {
        let sql = format!(
            "SELECT toString(message_id) AS id, outcome, toInt32(delta) AS delta FROM outcomes \
             WHERE partition = {partition}"
        );
        for row in platform.clickhouse(&sql).await? {
            let id = row["id"].as_str().unwrap().parse().unwrap();
            let outcome = serde_json::from_value(row["outcome"].clone()).unwrap();
            rows.push((id, outcome, row["delta"].as_i64().unwrap()));
        }
    }
    Ok(rows)
}

fn vendor(platform: &Platform) -> BTreeMap<String, Vendor> {
    let mut vendor: BTreeMap<String, Vendor> = BTreeMap::new();
    for entry in platform.lab_journal() {
        match entry {
            journal::Entry::Call(call) => {
                let seen = Call {
                    id: call.out_id.as_deref().and_then(CallId::from_echo),
                    taken: matches!(call.outcome, journal::Outcome::Accepted { .. }),
                    ambiguous: call.answered != journal::Answered::Ok,
                };
                for recipient in call.recipients {
                    vendor.entry(recipient).or_default().calls.push(seen);
                }
            }
            journal::Entry::Receipt(receipt) if receipt.forged => {}
            journal::Entry::Receipt(receipt) => {
                let word = vendor.entry(receipt.recipient).or_default();
                let call = receipt.out_id.as_deref().and_then(CallId::from_echo);
                let Some(call) = call else { continue };
                match (&receipt.pushed, receipt.success) {
                    (journal::Pushed::Acked | journal::Pushed::Fetched, true) => {
                        word.delivered = true;
                    }
                    (journal::Pushed::Acked | journal::Pushed::Fetched, false) => {
                        word.undelivered.insert(call);
                    }
                    // It reached us, or may have; the vendor will push it again.
                    (journal::Pushed::Failed { error }, success) if !error.contains("Connect") => {
                        word.unanswered.insert(success);
                    }
                    (journal::Pushed::Failed { .. }, _)
                    | (journal::Pushed::Rejected { .. } | journal::Pushed::Lost, _) => {}
                }
            }
        }
    }
    vendor
}

/// Claims that count, with what is known of each and of the process that wrote it.
fn attempts(facts: &Facts, lives: &Lives) -> BTreeMap<MessageId, Vec<Attempt>> {
    let known = |started: &Started| {
        let finished = started.own.map(|(at, _)| at);
        let writer = facts.writers.get(&started.writer);
        Attempt {
            n: started.n,
            call: started.call,
            offset: started.offset,
            interrupted: writer.is_some_and(|w| lives.interrupted(w, started.at, finished)),
            own: started.own.map(|(_, unknown)| unknown),
            unknown_at: started.unknown_at,
        }
    };
    let attempts = facts.attempts.iter();
    attempts
        .map(|(id, started)| (*id, started.iter().map(known).collect()))
        .collect()
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
