//! The promise, checked by id: log, ClickHouse and the vendor's own journal against what was accepted.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jixinda_lab::journal::Outcome as CallOutcome;
use jixinda_schemas::{
    Lane, MessageId, Topic,
    codec::Event,
    event::{AttemptResult, Outcome, Terminal},
};

use crate::harness::{Platform, SOON, eventually, load::Accepted};

/// Waits until every accepted message has its outcome, then checks that there is exactly one for each, that
/// ClickHouse holds exactly what counts in the log, and that no vendor was called twice without cause.
pub(crate) async fn settle(
    platform: &Platform,
    accepted: &Accepted,
    limit: Duration,
) -> BTreeMap<MessageId, Outcome> {
    let what = format!(
        "outcomes of {} messages in {}",
        accepted.len(),
        platform.dir.display()
    );
    eventually(&what, limit, async || {
        let outcomes = platform.log.outcomes();
        let missing: Vec<_> = accepted
            .keys()
            .filter(|id| !outcomes.contains_key(*id))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let some = &missing[..missing.len().min(3)];
        Err(format!("{} lack theirs, such as {some:?}", missing.len()))
    })
    .await;
    clickhouse_equals_the_log(platform).await;
    let outcomes = platform.log.outcomes();
    let mut single = BTreeMap::new();
    for (id, mut found) in outcomes {
        assert_eq!(found.len(), 1, "{id} has several outcomes: {found:#?}");
        single.insert(id, found.remove(0));
    }
    let unasked: Vec<_> = single
        .keys()
        .filter(|id| !accepted.contains_key(*id))
        .collect();
    assert!(
        unasked.is_empty(),
        "outcomes of what nobody sent: {unasked:?}"
    );
    nobody_was_called_twice(platform, accepted, &single);
    single
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

/// A vendor that took a message, or may have, is asked again only for a login code whose first attempt is unknown.
fn nobody_was_called_twice(
    platform: &Platform,
    accepted: &Accepted,
    outcomes: &BTreeMap<MessageId, Outcome>,
) {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for call in platform.calls() {
        if matches!(call.outcome, CallOutcome::Accepted { .. }) {
            for recipient in call.recipients {
                *taken.entry(recipient).or_default() += 1;
            }
        }
    }
    let unknown: BTreeSet<_> = platform
        .log
        .topic(Topic::Attempts)
        .iter()
        .filter_map(|record| match record.event() {
            Event::AttemptFinished(e) => {
                matches!(e.payload.result, AttemptResult::Unknown { .. }).then_some(e.message_id?)
            }
            _ => None,
        })
        .collect();
    for (id, sent) in accepted {
        let calls = taken.remove(&sent.recipient).unwrap_or(0);
        let outcome = &outcomes[id];
        let allowed = if sent.lane == Lane::Otp && unknown.contains(id) {
            2
        } else {
            1
        };
        assert!(
            calls <= allowed,
            "{id} was taken {calls} times: {outcome:#?}"
        );
        assert!(
            outcome.outcome != Terminal::Delivered || calls > 0,
            "{id} is delivered, but no vendor knows it: {outcome:#?}"
        );
    }
    assert!(
        taken.is_empty(),
        "messages of nobody reached the vendor: {taken:?}"
    );
}
