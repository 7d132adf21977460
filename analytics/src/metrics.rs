//! Names of the metrics of this crate, and the only place that writes them.
#![expect(clippy::disallowed_macros, reason = "the names live here")]

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Rows acknowledged by ClickHouse, by table.
pub const ROWS_TOTAL: &str = "jixinda_analytics_rows_total";
/// Rows that a repair found missing and inserted, by table.
pub const REPAIRED_TOTAL: &str = "jixinda_analytics_repaired_rows_total";
/// Inserts that failed and were sent again, by table.
pub const INSERT_ERRORS_TOTAL: &str = "jixinda_analytics_insert_errors_total";
/// Parts that could not be read and were detached, by table.
pub const PARTS_SET_ASIDE_TOTAL: &str = "jixinda_analytics_parts_set_aside_total";
/// Time of an acknowledged insert, by table.
pub const INSERT_SECONDS: &str = "jixinda_analytics_insert_seconds";
/// Records that gave no row, by topic and reason.
pub const SKIPPED_TOTAL: &str = "jixinda_analytics_skipped_records_total";
/// Rows held in memory.
pub const HELD: &str = "jixinda_analytics_held_rows";
/// Age of the oldest record that was read and is not yet in ClickHouse.
pub const OLDEST_SECONDS: &str = "jixinda_analytics_oldest_waiting_seconds";
/// 1 while ClickHouse takes what it is sent.
pub const UP: &str = "jixinda_analytics_clickhouse_up";
/// Status reads, by endpoint and HTTP status.
pub const READS_TOTAL: &str = "jixinda_analytics_reads_total";

/// Tells the recorder what the metrics mean.
pub fn describe() {
    describe_counter!(ROWS_TOTAL, "rows acknowledged by ClickHouse, by table");
    describe_counter!(
        REPAIRED_TOTAL,
        "rows that a repair found missing and inserted, by table"
    );
    describe_counter!(
        PARTS_SET_ASIDE_TOTAL,
        "parts that could not be read and were detached, by table"
    );
    describe_counter!(
        INSERT_ERRORS_TOTAL,
        "inserts that failed and were sent again, by table"
    );
    describe_histogram!(INSERT_SECONDS, "time of an acknowledged insert, by table");
    describe_counter!(
        SKIPPED_TOTAL,
        "records that gave no row, by topic and reason"
    );
    describe_gauge!(HELD, "rows held in memory");
    describe_gauge!(
        OLDEST_SECONDS,
        "age of the oldest record that was read and is not yet in ClickHouse"
    );
    describe_gauge!(UP, "1 while ClickHouse takes what it is sent");
    describe_counter!(READS_TOTAL, "status reads, by endpoint and HTTP status");
}

pub(crate) fn inserted(table: &'static str, rows: usize, took: Duration) {
    counter!(ROWS_TOTAL, "table" => table).increment(rows as u64);
    histogram!(INSERT_SECONDS, "table" => table).record(took);
    gauge!(UP).set(1.0);
}

pub(crate) fn repaired(table: &'static str, rows: usize) {
    counter!(REPAIRED_TOTAL, "table" => table).increment(rows as u64);
}

pub(crate) fn part_set_aside(table: &'static str) {
    counter!(PARTS_SET_ASIDE_TOTAL, "table" => table).increment(1);
}

pub(crate) fn insert_error(table: &'static str) {
    counter!(INSERT_ERRORS_TOTAL, "table" => table).increment(1);
}

pub(crate) fn up(up: bool) {
    gauge!(UP).set(f64::from(u8::from(up)));
}

pub(crate) fn skipped(topic: &'static str, reason: &'static str) {
    counter!(SKIPPED_TOTAL, "topic" => topic, "reason" => reason).increment(1);
}

pub(crate) fn held(rows: usize, oldest_ms: i64) {
    gauge!(HELD).set(rows as f64);
    gauge!(OLDEST_SECONDS).set(oldest_ms.max(0) as f64 / 1000.0);
}

pub(crate) fn read(endpoint: &'static str, status: u16) {
    counter!(READS_TOTAL, "endpoint" => endpoint, "status" => status.to_string()).increment(1);
}
