//! Names of the metrics of this crate, and the only place that writes them.
#![expect(clippy::disallowed_macros, reason = "the names live here")]

use std::time::Duration;

use jixinda_schemas::event::{AttemptResult, NotStartedCause};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Vendor calls by channel and result.
pub const CALLS_TOTAL: &str = "jixinda_senders_calls_total";
/// How long vendor calls took.
pub const CALL_SECONDS: &str = "jixinda_senders_call_seconds";
/// Routings given back unsent, by cause.
pub const GIVEN_BACK_TOTAL: &str = "jixinda_senders_given_back_total";
/// Claims whose owner died.
pub const ABANDONED_TOTAL: &str = "jixinda_senders_abandoned_claims_total";
/// Claims and calls open on this instance.
pub const IN_FLIGHT: &str = "jixinda_senders_in_flight";

/// Fetches of receipts, by channel and result.
pub const RECEIPT_FETCHES_TOTAL: &str = "jixinda_senders_receipt_fetches_total";
/// Receipt pushes by channel and result; `channel` is `unknown` until the token has been checked.
pub const RECEIPT_PUSHES_TOTAL: &str = "jixinda_senders_receipt_pushes_total";
/// Items of receipt pushes by channel and status.
pub const RECEIPT_ITEMS_TOTAL: &str = "jixinda_senders_receipt_items_total";
/// Vendor answers with a code that the vendor does not document.
pub const UNDOCUMENTED_CODES_TOTAL: &str = "jixinda_senders_undocumented_codes_total";

/// Tells the recorder what the metrics mean.
pub fn describe() {
    describe_counter!(
        CALLS_TOTAL,
        "messages in vendor calls, by channel and result"
    );
    describe_histogram!(CALL_SECONDS, "duration of vendor calls by channel");
    describe_counter!(GIVEN_BACK_TOTAL, "routings given back unsent, by cause");
    describe_counter!(
        ABANDONED_TOTAL,
        "claims whose owner died before it said how the call ended"
    );
    describe_gauge!(IN_FLIGHT, "claims and calls open on this instance");
    describe_counter!(
        RECEIPT_FETCHES_TOTAL,
        "receipt fetches by channel and result"
    );
    describe_counter!(RECEIPT_PUSHES_TOTAL, "receipt pushes by channel and result");
    describe_counter!(
        RECEIPT_ITEMS_TOTAL,
        "items of receipt pushes by channel and status"
    );
    describe_counter!(
        UNDOCUMENTED_CODES_TOTAL,
        "vendor answers with an undocumented code, by vendor"
    );
}

/// Counts one push. `channel` must be one of the directory, or `unknown`.
pub(crate) fn receipt_push(channel: &str, result: &'static str) {
    counter!(RECEIPT_PUSHES_TOTAL, "channel" => channel.to_owned(), "result" => result)
        .increment(1);
}

/// Counts one fetch of receipts.
pub(crate) fn fetched(channel: &str, result: &'static str) {
    counter!(RECEIPT_FETCHES_TOTAL, "channel" => channel.to_owned(), "result" => result)
        .increment(1);
}

/// Counts items of one push or fetch.
pub(crate) fn receipt_items(channel: &str, status: &'static str, count: u64) {
    counter!(RECEIPT_ITEMS_TOTAL, "channel" => channel.to_owned(), "status" => status)
        .increment(count);
}

/// Counts one undocumented code.
pub(crate) fn undocumented_code(vendor: &'static str) {
    counter!(UNDOCUMENTED_CODES_TOTAL, "vendor" => vendor).increment(1);
}

/// Counts the result of one message in a call. `channel` is one of the directory.
pub(crate) fn answered(channel: &str, result: &AttemptResult) {
    let result = match result {
        AttemptResult::Accepted { .. } => "accepted",
        AttemptResult::Rejected { .. } => "rejected",
        AttemptResult::Unknown { .. } => "unknown",
        AttemptResult::NotCalled => "not_called",
    };
    counter!(CALLS_TOTAL, "channel" => channel.to_owned(), "result" => result).increment(1);
}

/// Counts a call, of one message or more.
pub(crate) fn called(channel: &str, elapsed: Duration) {
    histogram!(CALL_SECONDS, "channel" => channel.to_owned()).record(elapsed.as_secs_f64());
}

/// Counts a routing given back.
pub(crate) fn given_back(cause: NotStartedCause) {
    let cause = match cause {
        NotStartedCause::Capacity => "capacity",
        NotStartedCause::Expired => "expired",
        NotStartedCause::ChannelUnavailable => "channel_unavailable",
        NotStartedCause::Withdrawn => "withdrawn",
    };
    counter!(GIVEN_BACK_TOTAL, "cause" => cause).increment(1);
}

/// Counts a claim that its owner left.
pub(crate) fn abandoned() {
    counter!(ABANDONED_TOTAL).increment(1);
}

/// Shows what is open.
pub(crate) fn in_flight(open: usize) {
    gauge!(IN_FLIGHT).set(open as f64);
}
