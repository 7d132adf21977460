//! The journal: what the vendor knows, one JSON line per call and per receipt push.
//!
//! Calls are written in the order in which they were decided; sort by `at_ns` for the order of arrival (the
//! two differ by the time a request takes to be read). Receipt lines are written when the push has been
//! answered and bear the time at which it began. Recipients are in clear, since judges compare them; secrets
//! and the Authorization header are never written.

mod read;
mod write;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use read::{Entries, read};
pub(crate) use write::{Slot, Writer, open};

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    Call(Call),
    Receipt(Receipt),
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Call {
    /// Arrival of the request head.
    pub at_ms: u64,
    /// The same on the monotonic clock of this run of the lab.
    pub at_ns: u64,
    /// Absent if the access key is unknown.
    pub account: Option<String>,
    /// The number of this call among the account's decided ones, from 0; absent if refused before the dice.
    pub call: Option<u64>,
    /// E.164 where the number can be read, else as sent.
    pub recipients: Vec<String>,
    pub out_id: Option<String>,
    /// One for each recipient, where each has its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out_ids: Vec<String>,
    pub template_code: Option<String>,
    pub sign_name: Option<String>,
    pub params: Option<BTreeMap<String, String>>,
    /// One for each recipient, where the vendor has an id for each; that of a refused one is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Recipients of an accepted call that were not, with the vendor's code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, String>,
    pub outcome: Outcome,
    /// What the lab set out to answer; a client that left earlier did not see it.
    pub answered: Answered,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Outcome {
    /// The messages were taken: receipts follow unless the account loses them. `biz_id` is the first id.
    Accepted { biz_id: String },
    /// Not taken. `code` is the vendor's, or the lab's own word for an answer without a code:
    /// `http_<status>`, `garbage_200`, `down_unavailable`, `down_drop`.
    Refused { code: String },
    /// Not taken, because the request did not prove who it is from.
    AuthRefused { code: String },
}

/// `ok` (HTTP 2xx with the vendor's own body), an HTTP status, `timeout`, `reset` or `garbage`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Answered {
    Ok,
    Status(u16),
    Timeout,
    Reset,
    Garbage,
}

impl fmt::Display for Answered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => formatter.write_str("ok"),
            Self::Status(status) => write!(formatter, "{status}"),
            Self::Timeout => formatter.write_str("timeout"),
            Self::Reset => formatter.write_str("reset"),
            Self::Garbage => formatter.write_str("garbage"),
        }
    }
}

impl From<Answered> for String {
    fn from(answered: Answered) -> Self {
        answered.to_string()
    }
}

impl TryFrom<String> for Answered {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(match text.as_str() {
            "ok" => Self::Ok,
            "timeout" => Self::Timeout,
            "reset" => Self::Reset,
            "garbage" => Self::Garbage,
            other => Self::Status(other.parse().map_err(|_| format!("answered `{other}`"))?),
        })
    }
}

/// One item of one push. A lost receipt has one line, written with its call, `attempt` 0.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Receipt {
    pub at_ms: u64,
    pub at_ns: u64,
    pub account: String,
    pub biz_id: String,
    pub out_id: Option<String>,
    pub recipient: String,
    pub success: bool,
    pub err_code: String,
    pub pushed: Pushed,
    /// 1 for the first push, more for the retries.
    pub attempt: u32,
    /// The second copy of a receipt that the account duplicates.
    pub duplicate: bool,
    /// Not from the vendor: a lie about a message that there never was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forged: bool,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Pushed {
    /// With the vendor's own acknowledgement.
    Acked,
    /// Fetched by the customer.
    Fetched,
    /// An answer that is no acknowledgement.
    Rejected {
        status: u16,
    },
    Failed {
        error: String,
    },
    /// Never pushed; what it would have said is what happened to the message.
    Lost,
}
