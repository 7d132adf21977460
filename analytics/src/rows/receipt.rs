//! `receipts`: one row for each receipt that was joined with its attempt.

use clickhouse::Row;
use jixinda_schemas::{Envelope, event};
use serde::Serialize;
use uuid::Uuid;

use super::{Misfit, Place, instant, text, words};

#[derive(Clone, Debug, Row, Serialize)]
pub struct Receipt {
    #[serde(with = "clickhouse::serde::uuid")]
    pub message_id: Uuid,
    pub app: String,
    pub n: u16,
    #[serde(with = "clickhouse::serde::uuid")]
    pub attempt_id: Uuid,
    pub channel: String,
    pub status: &'static str,
    pub code: String,
    pub vendor_id: String,
    pub received_at: i64,
    pub vendor_at: Option<i64>,
    pub topic: &'static str,
    pub partition: i32,
    pub offset: i64,
    pub logged_at: i64,
}

impl Receipt {
    pub(super) fn new(event: &Envelope<event::Receipt>, place: Place) -> Result<Self, Misfit> {
        let receipt = &event.payload;
        Ok(Self {
            message_id: event.message_id.ok_or(Misfit)?.0,
            app: text(event.app_id.as_ref()),
            n: receipt.n,
            attempt_id: receipt.attempt_id.0,
            channel: receipt.channel.to_string(),
            status: words::status(receipt.status),
            code: receipt.code.clone(),
            vendor_id: receipt.vendor_id.clone().unwrap_or_default(),
            received_at: instant(receipt.received_at),
            vendor_at: receipt.vendor_at.map(instant),
            topic: place.topic.as_str(),
            partition: place.partition,
            offset: place.offset,
            logged_at: instant(place.at),
        })
    }
}
