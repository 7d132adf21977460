//! When everything has come to its end: the judge's word on a run.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use jixinda_runtime::kafka::follow;
use jixinda_schemas::Topic;

use crate::{
    audit::{
        facts::{Facts, Raw},
        judge::{Fault, Tally, judge},
        of_facts,
    },
    harness::{Platform, load::Accepted, load::for_a_while},
};

/// Without progress for so long it will not settle: longer than any timer of the platform.
const STUCK: Duration = Duration::from_secs(200);

pub(crate) struct Settled {
    pub(crate) tally: Tally,
    pub(crate) records: u64,
    pub(crate) stale: u64,
    pub(crate) faults: Vec<Fault>,
}

/// Reads the whole log with a plain consumer, and goes on reading.
pub(crate) async fn read(platform: &Platform) -> Arc<Mutex<Facts>> {
    let facts = Arc::new(Mutex::new(Facts::default()));
    let fill = Arc::clone(&facts);
    let fold = move |event: &follow::Event<'_>| {
        if let follow::Event::Record(record) = event {
            fill.lock().unwrap().take(&Raw {
                position: record.position(),
                headers: &record.headers,
                value: record.value.unwrap_or_default(),
            });
        }
    };
    let mut topics: Vec<Topic> = jixinda_schemas::Lane::ALL.map(Topic::requests).to_vec();
    topics.extend([Topic::Attempts, Topic::Outcomes, Topic::DeadLetters]);
    let handle = platform.lifecycle.component("judge");
    follow::start(&platform.kafka, &topics, handle, fold)
        .await
        .unwrap();
    facts
}

/// Waits as long as there is progress; then whatever is wrong stays so.
pub(crate) async fn settle(
    platform: &mut Platform,
    accepted: &Accepted,
    facts: &Mutex<Facts>,
) -> Settled {
    let (mut best, mut since) = (usize::MAX, Instant::now());
    loop {
        platform.all_must_run();
        let ended = facts.lock().unwrap().ended();
        let mut open = accepted.len().saturating_sub(ended);
        let mut last = None;
        if open == 0 {
            let now = facts.lock().unwrap().clone();
            let settled = look(platform, accepted, &now).await;
            if settled.faults.is_empty() {
                return settled;
            }
            open = settled.faults.len();
            last = Some(settled);
        }
        if open < best {
            eprintln!("chaos: {open} messages or faults are open");
            (best, since) = (open, Instant::now());
        } else if since.elapsed() >= STUCK {
            let now = facts.lock().unwrap().clone();
            return match last {
                Some(settled) => settled,
                None => look(platform, accepted, &now).await,
            };
        }
        for_a_while(Duration::from_secs(1)).await;
    }
}

pub(crate) async fn look(platform: &Platform, accepted: &Accepted, facts: &Facts) -> Settled {
    let verdict = match of_facts(platform, accepted, facts).await {
        Ok(evidence) => judge(&evidence),
        Err(error) => panic!("ClickHouse does not answer the judge: {error}"),
    };
    Settled {
        tally: verdict.tally,
        records: facts.records,
        stale: facts.stale,
        faults: verdict.faults,
    }
}
