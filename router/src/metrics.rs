//! Names of the router's metrics.
#![expect(clippy::disallowed_macros, reason = "this is where metric names live")]

use jixinda_schemas::{Lane, Reason, event::Terminal};

const DECISIONS: &str = "jixinda_router_decisions_total";
const OUTCOMES: &str = "jixinda_router_outcomes_total";
const REFUSED: &str = "jixinda_router_records_refused_total";
const REPEATS: &str = "jixinda_router_repeats_total";
const OPEN: &str = "jixinda_router_open_messages";
const PARKED: &str = "jixinda_router_parked_works";
const REMEMBERED: &str = "jixinda_router_remembered_ids";
const UNDECIDED: &str = "jixinda_router_undecided_messages";
const OLDEST: &str = "jixinda_router_oldest_undecided_seconds";
const EJECTED: &str = "jixinda_router_channels_ejected";
const CLAMPED: &str = "jixinda_router_negative_latencies_total";
const LATE: &str = "jixinda_router_late_receipts_total";

pub(crate) fn describe() {
    metrics::describe_counter!(DECISIONS, "messages routed, by lane and channel");
    metrics::describe_counter!(OUTCOMES, "outcomes written, by lane and outcome");
    metrics::describe_counter!(
        REFUSED,
        "records that became dead letters or were re-homed, by reason"
    );
    metrics::describe_counter!(REPEATS, "requests that were repeats of a known message");
    metrics::describe_gauge!(OPEN, "messages without an outcome held by this instance");
    metrics::describe_gauge!(
        PARKED,
        "open messages, unmatched receipts and blocks of ids with a copy in `state`"
    );
    metrics::describe_gauge!(REMEMBERED, "ids of accepted messages held, by partition");
    metrics::describe_gauge!(UNDECIDED, "messages that wait for a channel, by lane");
    metrics::describe_gauge!(
        OLDEST,
        "age of the oldest message that waits for a channel, by lane"
    );
    metrics::describe_gauge!(EJECTED, "channels whose breaker is open on this instance");
    metrics::describe_counter!(CLAMPED, "latencies that clocks made negative");
    metrics::describe_counter!(LATE, "receipts for messages that had ended");
}

pub(crate) fn decision(lane: Lane, channel: &str) {
    metrics::counter!(DECISIONS, "lane" => lane.as_str(), "channel" => channel.to_owned())
        .increment(1);
}

pub(crate) fn outcome(lane: Lane, outcome: Terminal) {
    metrics::counter!(OUTCOMES, "lane" => lane.as_str(), "outcome" => outcome.as_str())
        .increment(1);
}

pub(crate) fn refused(reason: Reason) {
    metrics::counter!(REFUSED, "reason" => reason.as_str()).increment(1);
}

pub(crate) fn repeat() {
    metrics::counter!(REPEATS).increment(1);
}

pub(crate) fn open(messages: usize) {
    metrics::gauge!(OPEN).set(messages as f64);
}

pub(crate) fn parked(works: usize) {
    metrics::gauge!(PARKED).set(works as f64);
}

pub(crate) fn remembered(partition: i32, ids: usize) {
    metrics::gauge!(REMEMBERED, "partition" => partition.to_string()).set(ids as f64);
}

pub(crate) fn undecided(lane: Lane, messages: usize, oldest_seconds: f64) {
    metrics::gauge!(UNDECIDED, "lane" => lane.as_str()).set(messages as f64);
    metrics::gauge!(OLDEST, "lane" => lane.as_str()).set(oldest_seconds);
}

pub(crate) fn ejected(channels: usize) {
    metrics::gauge!(EJECTED).set(channels as f64);
}

pub(crate) fn clamped() {
    metrics::counter!(CLAMPED).increment(1);
}

pub(crate) fn late_receipt() {
    metrics::counter!(LATE).increment(1);
}
