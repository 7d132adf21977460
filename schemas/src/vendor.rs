//! The vocabulary for what vendors answer.

use serde::{Deserialize, Serialize};

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// Busy or throttled, documented as not accepted: any channel, this one after a pause.
    RetrySame,
    /// This channel cannot carry the message: the next one.
    RetryOther,
    /// No channel can reach this recipient: stop.
    PermanentRecipient,
    /// No channel may carry this content: stop.
    PermanentContent,
    /// The account cannot send: the channel goes out at once, the next one takes over.
    Account,
    /// It cannot be known whether the vendor took the message.
    Unknown,
}

/// Whose fault a failure is. Only `channel` moves a channel's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The vendor or the way to it.
    Channel,
    /// The number.
    Recipient,
    /// The text.
    Content,
    /// What the app or its operator set up.
    App,
    /// The account at the vendor: credentials, balance.
    Account,
    /// Too much at once.
    Capacity,
    /// Nobody's: no route, nothing approved.
    None,
}

/// One status vocabulary for all vendors' receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptStatus {
    /// The handset has it.
    Delivered,
    /// The carrier could not deliver it.
    Undelivered,
    /// The carrier gave up after its validity.
    Expired,
    /// The carrier or vendor refused it after accepting.
    Rejected,
    /// On its way; not final.
    Pending,
    /// The vendor says that it does not know; not final.
    Unknown,
}

impl ReceiptStatus {
    /// Whether no better news is expected.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Delivered | Self::Undelivered | Self::Expired | Self::Rejected
        )
    }
}
