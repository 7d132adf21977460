//! What operators did about dead letters and failed messages: `redriven` and `discarded`.
//!
//! Both stand on `dead-letters`, which is kept longest. A `redriven` is written before what it announces, and once more
//! with the place of what was written: so nothing is sent again without a word of who wanted it, and one that was only
//! announced is known as unfinished.

use serde::{Deserialize, Serialize};

use crate::{MessageId, Position, Timestamp, Topic};

/// The message that another one was sent again for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RedriveOf {
    /// Its id.
    pub message_id: MessageId,
    /// Where its request stands: an id may be used again after its window.
    pub request: Position,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Operator {
    /// Login name, or what was given in its place.
    pub name: String,
    /// The machine on which the command ran.
    pub host: String,
}

/// Payload of `redriven`, on `dead-letters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Redriven {
    /// What it was done about: the request of the message, or the record of the dead letter.
    pub of: Position,
    /// The dead letter, if it was chosen by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<Position>,
    /// The event that was the message's last word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Position>,
    /// Where the new record goes.
    pub topic: Topic,
    /// Id of the new message; absent for a receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_message_id: Option<MessageId>,
    /// Its end of validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// The recipient may have the first one too, and the operator has accepted that.
    #[serde(default)]
    pub may_send_twice: bool,
    /// Where the new record stands; absent in the announcement before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<Position>,
    /// Who wanted it.
    pub by: Operator,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// Payload of `discarded`, on `dead-letters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Discarded {
    /// What it was done about: the request of the message, the record of the dead letter, or the dead letter itself
    /// when it holds no record.
    pub of: Position,
    /// The dead letter, if it was chosen by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<Position>,
    /// The event that was the message's last word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Position>,
    /// Who wanted it.
    pub by: Operator,
    /// Why, in the operator's words.
    pub because: String,
}
