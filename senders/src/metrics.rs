//! Names of the metrics of this crate, and the only place that writes them.
#![expect(clippy::disallowed_macros, reason = "the names live here")]

use metrics::{counter, describe_counter};

/// Receipt pushes by channel and result; `channel` is `unknown` until the token has been checked.
pub const RECEIPT_PUSHES_TOTAL: &str = "jixinda_senders_receipt_pushes_total";
/// Items of receipt pushes by channel and status.
pub const RECEIPT_ITEMS_TOTAL: &str = "jixinda_senders_receipt_items_total";
/// Vendor answers with a code that the vendor does not document.
pub const UNDOCUMENTED_CODES_TOTAL: &str = "jixinda_senders_undocumented_codes_total";

/// Tells the recorder what the metrics mean.
pub fn describe() {
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

/// Counts items of one push.
pub(crate) fn receipt_items(channel: &str, status: &'static str, count: u64) {
    counter!(RECEIPT_ITEMS_TOTAL, "channel" => channel.to_owned(), "status" => status)
        .increment(count);
}

/// Counts one undocumented code.
pub(crate) fn undocumented_code(vendor: &'static str) {
    counter!(UNDOCUMENTED_CODES_TOTAL, "vendor" => vendor).increment(1);
}
