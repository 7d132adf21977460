//! The events, each at its newest version.

pub mod attempt;
pub mod dead_letter;
pub mod health;
pub mod opened;
pub mod outcome;
pub mod receipt;
pub mod request;
pub mod routed;

pub use attempt::{
    AttemptFinished, AttemptNotStarted, AttemptResult, AttemptStarted, NotStartedCause,
};
pub use dead_letter::DeadLetter;
pub use health::{HealthCell, HealthReport};
pub use opened::Opened;
pub use outcome::{AttemptState, AttemptSummary, Outcome, OutcomeCorrected, Terminal};
pub use receipt::{RawReceipt, Receipt};
pub use request::Request;
pub use routed::{Considered, Gate, Routed};

/// Names and versions of the event kinds.
pub mod kind {
    pub const REQUEST: &str = "request";
    pub const ROUTED: &str = "routed";
    pub const ATTEMPT_STARTED: &str = "attempt_started";
    pub const ATTEMPT_NOT_STARTED: &str = "attempt_not_started";
    pub const ATTEMPT_FINISHED: &str = "attempt_finished";
    pub const RAW_RECEIPT: &str = "raw_receipt";
    pub const RECEIPT: &str = "receipt";
    pub const OUTCOME: &str = "outcome";
    pub const OUTCOME_CORRECTED: &str = "outcome_corrected";
    pub const OPENED: &str = "opened";
    pub const HEALTH: &str = "health";
    pub const DEAD_LETTER: &str = "dead_letter";

    /// Every kind.
    pub const ALL: [&str; 12] = [
        REQUEST,
        ROUTED,
        ATTEMPT_STARTED,
        ATTEMPT_NOT_STARTED,
        ATTEMPT_FINISHED,
        RAW_RECEIPT,
        RECEIPT,
        OUTCOME,
        OUTCOME_CORRECTED,
        OPENED,
        HEALTH,
        DEAD_LETTER,
    ];
}
