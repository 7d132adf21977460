//! Every named point on a message's way, with the process that comes by it.

use std::{collections::BTreeSet, time::Duration};

use jixinda_runtime::crash;

use super::driver::Driver;

/// Process, point, and the hit that ends its life. The twins take turns.
pub(crate) const POINTS: &[(&str, &str, u32)] = &[
    ("ingest-a", "ingest.stored", 50),
    ("router-a", "acked.routed", 50),
    ("senders-a", "acked.attempt_started", 50),
    ("senders-b", "senders.read_back", 50),
    ("senders-a", "senders.answered", 50),
    ("senders-b", "acked.attempt_finished", 50),
    ("senders-a", "receipts.stored", 5),
    ("senders-b", "receipts.answered", 5),
    ("router-b", "acked.outcome", 50),
    ("analytics-a", "sink.announced", 5),
    ("analytics-b", "sink.inserted", 5),
];

/// Has a process die at each point.
pub(crate) async fn abort_at_each(driver: &mut Driver) {
    for (name, point, hits) in POINTS {
        let at = driver.began.elapsed();
        let ready = driver.platform.die_at(name, point, *hits).await;
        let what = format!("{name} aborts at {point}");
        driver.note(at, (format!("abort at `{point}`"), what), 0, ready);
    }
    driver.all_ready().await;
}

/// Has a process stand still at each point for `span`, while its twin takes its work over.
pub(crate) async fn stop_at_each(driver: &mut Driver, span: Duration) {
    for (name, point, hits) in POINTS {
        let at = driver.began.elapsed();
        let stop = (*point, *hits);
        let ready = driver.platform.stand_still_at(name, stop, span).await;
        let what = format!("{name} stands still at {point} for {span:?}");
        driver.note(at, (format!("SIGSTOP at `{point}`"), what), 0, ready);
        driver.all_ready().await;
    }
}

#[test]
fn every_point_of_the_program_is_hit() {
    let named: BTreeSet<_> = POINTS.iter().map(|(_, point, _)| *point).collect();
    assert_eq!(named, crash::POINTS.into_iter().collect());
}
