//! Names of the metrics of this crate, and the recorder.
#![expect(clippy::disallowed_macros, reason = "this is where metric names live")]

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

const LAG: &str = "jixinda_runtime_consumer_lag_records";
const PARTITIONS: &str = "jixinda_runtime_partitions_owned";
const TAKEOVERS: &str = "jixinda_runtime_takeovers_total";
const FENCED: &str = "jixinda_runtime_fenced_total";
const REJOINED: &str = "jixinda_runtime_rejoined_total";
const STALE: &str = "jixinda_runtime_stale_records_total";
const PRODUCE_ERRORS: &str = "jixinda_runtime_produce_errors_total";
const TAKEOVER_SECONDS: &str = "jixinda_runtime_takeover_seconds";
const REVISION: &str = "jixinda_runtime_directory_revision";

/// The recorder could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct Error(String);

/// Installs the Prometheus recorder. Call once.
///
/// # Errors
/// When one is already installed.
pub fn install() -> Result<PrometheusHandle, Error> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(
            Matcher::Suffix("_seconds".to_owned()),
            &[
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
                60.0,
            ],
        )
        .map_err(|e| Error(e.to_string()))?;
    let handle = builder
        .install_recorder()
        .map_err(|e| Error(e.to_string()))?;
    metrics::describe_gauge!(
        LAG,
        "records between the position and the end, by role and topic"
    );
    metrics::describe_gauge!(PARTITIONS, "partitions held, by role");
    metrics::describe_counter!(TAKEOVERS, "partitions taken over, by role");
    metrics::describe_counter!(FENCED, "partitions lost to another writer, by role");
    metrics::describe_counter!(
        REJOINED,
        "times a member was fenced off by the broker and joined again, by role"
    );
    metrics::describe_counter!(
        STALE,
        "records of a writer that no longer counts, by role and topic"
    );
    metrics::describe_counter!(
        PRODUCE_ERRORS,
        "records that the broker did not acknowledge, by role and topic"
    );
    metrics::describe_histogram!(TAKEOVER_SECONDS, "from assignment to acting, by role");
    metrics::describe_gauge!(
        REVISION,
        "revision of the directory that this process works with"
    );
    Ok(handle)
}

pub(crate) fn lag(role: &str, topic: &'static str, records: i64) {
    metrics::gauge!(LAG, "role" => role.to_owned(), "topic" => topic).set(records as f64);
}

pub(crate) fn partitions(role: &str, held: usize) {
    metrics::gauge!(PARTITIONS, "role" => role.to_owned()).set(held as f64);
}

pub(crate) fn takeover(role: &str, seconds: f64) {
    metrics::counter!(TAKEOVERS, "role" => role.to_owned()).increment(1);
    metrics::histogram!(TAKEOVER_SECONDS, "role" => role.to_owned()).record(seconds);
}

pub(crate) fn fenced(role: &str) {
    metrics::counter!(FENCED, "role" => role.to_owned()).increment(1);
}

pub(crate) fn rejoined(role: &str) {
    metrics::counter!(REJOINED, "role" => role.to_owned()).increment(1);
}

pub(crate) fn stale(role: &str, topic: &'static str) {
    metrics::counter!(STALE, "role" => role.to_owned(), "topic" => topic).increment(1);
}

pub(crate) fn produce_error(role: &str, topic: &'static str) {
    metrics::counter!(PRODUCE_ERRORS, "role" => role.to_owned(), "topic" => topic).increment(1);
}

pub(crate) fn directory_revision(revision: u64) {
    metrics::gauge!(REVISION).set(revision as f64);
}
