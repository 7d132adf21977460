//! The envelope that every event travels in.

use serde::{Deserialize, Serialize};

use crate::{AppId, EventId, MessageId, Position, Timestamp};

/// The fields common to all events, then the payload.
///
/// Adding an optional field keeps the version; anything else is a new version, and the old one stays decodable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Envelope<P> {
    /// Identity of this event. Two records with the same id are copies of one event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<EventId>,
    /// Kind of event, such as `request`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Version of the payload, from 1.
    pub version: u32,
    /// When the writer made the event, by its own clock; broker time rules where it matters.
    pub at: Timestamp,
    /// The message that the event is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<MessageId>,
    /// The app that the message belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<AppId>,
    /// The record that led to this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Position>,
    /// What happened.
    pub payload: P,
}
