//! Names of the metrics of this crate. Handles are made once: a request pays for an atomic add, not for a lookup.
#![expect(clippy::disallowed_macros, reason = "this is where metric names live")]

use std::time::Duration;

use axum::http::StatusCode;
use jixinda_schemas::{Lane, Reason};
use metrics::{Counter, Histogram};

const REQUESTS: &str = "jixinda_ingest_requests_total";
const ACCEPTED: &str = "jixinda_ingest_messages_accepted_total";
const REPEATED: &str = "jixinda_ingest_messages_repeated_total";
const REFUSED: &str = "jixinda_ingest_refused_total";
const RATE_LIMITED: &str = "jixinda_ingest_messages_rate_limited_total";
const WRITE_SECONDS: &str = "jixinda_ingest_write_seconds";
const TURNED_AWAY: &str = "jixinda_ingest_connections_refused_total";

/// What was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Send,
    Batch,
    Status,
    Decision,
    Other,
}

const ENDPOINTS: [&str; 5] = ["send", "batch", "status", "decision", "other"];
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// Handles of everything that is counted.
pub(crate) struct Metrics {
    requests: Vec<Counter>,
    accepted: Vec<Counter>,
    refused: Vec<Counter>,
    repeated: Counter,
    rate_limited: Counter,
    turned_away: Counter,
    write_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        metrics::describe_counter!(REQUESTS, "requests answered, by endpoint and status class");
        metrics::describe_counter!(ACCEPTED, "messages that the log has acknowledged, by lane");
        metrics::describe_counter!(
            REPEATED,
            "messages answered from memory: the same was accepted before"
        );
        metrics::describe_counter!(REFUSED, "requests and batch items refused, by reason");
        metrics::describe_counter!(
            RATE_LIMITED,
            "messages refused because their app sends too fast"
        );
        metrics::describe_counter!(
            TURNED_AWAY,
            "connections closed at once because too many are open"
        );
        metrics::describe_histogram!(
            WRITE_SECONDS,
            "from handing a record to the producer to its acknowledgement"
        );
        Self {
            requests: ENDPOINTS
                .iter()
                .flat_map(|endpoint| CLASSES.iter().map(move |class| (endpoint, class)))
                .map(|(endpoint, class)| metrics::counter!(REQUESTS, "endpoint" => *endpoint, "status" => *class))
                .collect(),
            accepted: Lane::ALL.iter().map(|lane| metrics::counter!(ACCEPTED, "lane" => lane.as_str())).collect(),
            refused: Reason::ALL.iter().map(|reason| metrics::counter!(REFUSED, "reason" => reason.as_str())).collect(),
            repeated: metrics::counter!(REPEATED),
            rate_limited: metrics::counter!(RATE_LIMITED),
            turned_away: metrics::counter!(TURNED_AWAY),
            write_seconds: metrics::histogram!(WRITE_SECONDS),
        }
    }

    pub(crate) fn request(&self, endpoint: Endpoint, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        self.requests[endpoint as usize * CLASSES.len() + class].increment(1);
    }

    pub(crate) fn accepted(&self, lane: Lane) {
        self.accepted[lane.index()].increment(1);
    }

    pub(crate) fn repeated(&self) {
        self.repeated.increment(1);
    }

    pub(crate) fn refused(&self, reason: Reason) {
        self.refused[reason as usize].increment(1);
    }

    pub(crate) fn rate_limited(&self, messages: u32) {
        self.rate_limited.increment(u64::from(messages));
    }

    pub(crate) fn turned_away(&self) {
        self.turned_away.increment(1);
    }

    pub(crate) fn written(&self, after: Duration) {
        self.write_seconds.record(after.as_secs_f64());
    }
}
