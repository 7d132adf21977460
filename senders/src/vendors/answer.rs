//! What is common to reading vendors' answers. Pure.

use jixinda_schemas::{
    event::AttemptResult,
    vendor::{Blame, Disposition},
};
use serde_json::Value;

use super::codes::Catalogue;
use crate::vendor::{ItemResult, brief, unknown};

/// What an answer means for one item of the call.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub result: ItemResult,
    /// The code is not in the table.
    pub undocumented: bool,
}

impl From<ItemResult> for Verdict {
    fn from(result: ItemResult) -> Self {
        Self {
            result,
            undocumented: false,
        }
    }
}

/// A refusal as the vendor said it.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    pub code: &'a str,
    pub message: &'a str,
    /// HTTP status of the answer.
    pub status: u16,
    pub retry_after_ms: Option<u32>,
}

/// By the vendor's catalogue. A code that is not in it is definite when the vendor's own status says so, and counts
/// against the channel; with [a status that leaves it open](leaves_it_open) it proves nothing.
#[must_use]
pub fn refuse(catalogue: &Catalogue, refusal: Refusal<'_>) -> Verdict {
    let Refusal {
        code,
        message,
        status,
        retry_after_ms,
    } = refusal;
    let rejected = |disposition, blame, message: &str| AttemptResult::Rejected {
        disposition,
        blame,
        vendor_code: code.chars().take(64).collect(),
        message: brief(message),
        retry_after_ms,
    };
    match catalogue.submit(code) {
        Some(row) if row.disposition == Disposition::Unknown => unknown(code).into(),
        Some(row) => rejected(row.disposition, row.blame, message).into(),
        None if leaves_it_open(status) => unknown(format!("http_{status}")).into(),
        None => {
            // Names of throttling codes are often not documented; their status and header are.
            let throttled = status == 429 || retry_after_ms.is_some();
            let (disposition, blame) = if throttled {
                (Disposition::RetrySame, Blame::Capacity)
            } else {
                (Disposition::RetryOther, Blame::Channel)
            };
            Verdict {
                result: rejected(disposition, blame, &format!("undocumented code: {message}")),
                undocumented: true,
            }
        }
    }
}

/// Whether an answer with this status and a code that is not documented may be about a request that was carried out all
/// the same: 5xx, a time-out (408, 499), and a conflict with what is there already (409).
#[must_use]
pub const fn leaves_it_open(status: u16) -> bool {
    status >= 500 || matches!(status, 408 | 409 | 499)
}

/// An answer that proves nothing.
#[must_use]
pub fn by_status(status: u16) -> Verdict {
    match status {
        200 => unknown("unparsable"),
        _ => unknown(format!("http_{status}")),
    }
    .into()
}

/// Whether an answer with this status can come from the vendor itself: 502 and 504 come from something in front of it,
/// and 3xx from nobody that we know.
#[must_use]
pub const fn is_the_vendors(status: u16) -> bool {
    matches!(status, 200..=299 | 400..=599) && !matches!(status, 502 | 504)
}

/// A string or a number as text; nothing for what is empty or of another kind.
#[must_use]
pub fn lenient_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}
