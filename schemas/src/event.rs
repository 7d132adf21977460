//! The events, each at its newest version.

pub mod attempt;
pub mod dead_letter;
pub mod health;
pub mod inbound;
pub mod opened;
pub mod outcome;
pub mod receipt;
pub mod redrive;
pub mod request;
pub mod routed;

pub use attempt::{
    AttemptFinished, AttemptNotStarted, AttemptResult, AttemptStarted, NotStartedCause,
};
pub use dead_letter::DeadLetter;
pub use health::{HealthCell, HealthReport};
pub use inbound::Inbound;
pub use opened::Opened;
pub use outcome::{AttemptState, AttemptSummary, Outcome, OutcomeCorrected, Terminal};
pub use receipt::{RawReceipt, Receipt};
pub use redrive::{Discarded, Operator, RedriveOf, Redriven};
pub use request::Request;
pub use routed::{Considered, Gate, Routed};

/// Names and versions of the event kinds.
pub mod kind {
    /// An application wants a message sent: [`Request`](super::Request).
    pub const REQUEST: &str = "request";
    /// The router chose a channel: [`Routed`](super::Routed).
    pub const ROUTED: &str = "routed";
    /// A sender claims a call: [`AttemptStarted`](super::AttemptStarted).
    pub const ATTEMPT_STARTED: &str = "attempt_started";
    /// A sender or the router gives a message back: [`AttemptNotStarted`](super::AttemptNotStarted).
    pub const ATTEMPT_NOT_STARTED: &str = "attempt_not_started";
    /// What a call led to: [`AttemptFinished`](super::AttemptFinished).
    pub const ATTEMPT_FINISHED: &str = "attempt_finished";
    /// A receipt as a vendor reported it: [`RawReceipt`](super::RawReceipt).
    pub const RAW_RECEIPT: &str = "raw_receipt";
    /// A message from a handset: [`Inbound`](super::Inbound).
    pub const INBOUND: &str = "inbound";
    /// A receipt joined with its attempt: [`Receipt`](super::Receipt).
    pub const RECEIPT: &str = "receipt";
    /// How a message ended: [`Outcome`](super::Outcome).
    pub const OUTCOME: &str = "outcome";
    /// Later evidence on an ended message: [`OutcomeCorrected`](super::OutcomeCorrected).
    pub const OUTCOME_CORRECTED: &str = "outcome_corrected";
    /// An owner takes a partition over: [`Opened`](super::Opened).
    pub const OPENED: &str = "opened";
    /// What a partition has seen of each channel: [`HealthReport`](super::HealthReport).
    pub const HEALTH: &str = "health";
    /// A record that could not be handled: [`DeadLetter`](super::DeadLetter).
    pub const DEAD_LETTER: &str = "dead_letter";
    /// An operator has something sent again: [`Redriven`](super::Redriven).
    pub const REDRIVEN: &str = "redriven";
    /// An operator has decided that nothing more is to be done: [`Discarded`](super::Discarded).
    pub const DISCARDED: &str = "discarded";

    /// Every kind.
    pub const ALL: [&str; 15] = [
        REQUEST,
        ROUTED,
        ATTEMPT_STARTED,
        ATTEMPT_NOT_STARTED,
        ATTEMPT_FINISHED,
        RAW_RECEIPT,
        INBOUND,
        RECEIPT,
        OUTCOME,
        OUTCOME_CORRECTED,
        OPENED,
        HEALTH,
        DEAD_LETTER,
        REDRIVEN,
        DISCARDED,
    ];
}
