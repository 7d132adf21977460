//! `dead_letters`: what could not be handled, and why. The record itself stays in Kafka.

use clickhouse::Row;
use jixinda_schemas::{Envelope, event};
use serde::Serialize;
use uuid::Uuid;

use super::{Place, instant, text};

#[derive(Clone, Debug, Row, Serialize)]
pub struct DeadLetter {
    /// Two rows with the same id are copies of one event.
    #[serde(with = "clickhouse::serde::uuid")]
    pub event_id: Uuid,
    pub app: String,
    pub reason: &'static str,
    pub step: String,
    pub channel: String,
    /// Empty for what came by HTTP.
    pub source_topic: &'static str,
    pub source_partition: i32,
    pub source_offset: i64,
    pub at: i64,
    pub topic: &'static str,
    pub partition: i32,
    pub offset: i64,
    pub logged_at: i64,
}

impl DeadLetter {
    pub(super) fn new(event: &Envelope<event::DeadLetter>, place: Place) -> Self {
        let letter = &event.payload;
        Self {
            event_id: event.id.map_or(Uuid::nil(), |id| id.0),
            app: text(event.app_id.as_ref()),
            reason: letter.reason.as_str(),
            step: letter.step.clone(),
            channel: text(letter.channel.as_ref()),
            source_topic: letter.source.map_or("", |p| p.topic.as_str()),
            source_partition: letter.source.map_or(-1, |p| p.partition),
            source_offset: letter.source.map_or(-1, |p| p.offset),
            at: instant(letter.at),
            topic: place.topic.as_str(),
            partition: place.partition,
            offset: place.offset,
            logged_at: instant(place.at),
        }
    }
}
