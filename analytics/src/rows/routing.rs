//! `routings`: one row for each decision.

use clickhouse::Row;
use jixinda_schemas::{Envelope, event::Routed, seal::PlatformKey};
use serde::Serialize;
use uuid::Uuid;

use super::{Misfit, Place, Recipient, instant, text};

#[derive(Clone, Debug, Row, Serialize)]
pub struct Routing {
    #[serde(with = "clickhouse::serde::uuid")]
    pub message_id: Uuid,
    pub app: String,
    pub n: u16,
    #[serde(with = "clickhouse::serde::uuid")]
    pub attempt_id: Uuid,
    pub request_topic: &'static str,
    pub request_partition: i32,
    pub request_offset: i64,
    pub lane: &'static str,
    pub channel: String,
    pub vendor: String,
    pub pool: String,
    pub template: String,
    pub signature: String,
    pub carrier: &'static str,
    pub region: String,
    pub phone_hash: String,
    pub phone_masked: String,
    pub segments: u32,
    pub price_micros: u64,
    pub not_after: i64,
    pub decided_at: i64,
    pub directory_offset: i64,
    pub health_offset: i64,
    pub seed: u64,
    pub considered: String,
    pub topic: &'static str,
    pub partition: i32,
    pub offset: i64,
    pub logged_at: i64,
}

impl Routing {
    pub(super) fn new(
        event: &Envelope<Routed>,
        place: Place,
        key: &PlatformKey,
    ) -> Result<Self, Misfit> {
        let routed = &event.payload;
        let recipient = Recipient::new(Some(&routed.recipient), key);
        Ok(Self {
            message_id: event.message_id.ok_or(Misfit)?.0,
            app: text(event.app_id.as_ref()),
            n: routed.n,
            attempt_id: routed.attempt_id.0,
            request_topic: routed.request.topic.as_str(),
            request_partition: routed.request.partition,
            request_offset: routed.request.offset,
            lane: routed.lane.as_str(),
            channel: routed.channel.to_string(),
            vendor: routed.vendor.clone(),
            pool: routed.pool.clone(),
            template: routed.template.to_string(),
            signature: routed.signature.to_string(),
            carrier: routed.recipient.carrier().as_str(),
            region: routed.recipient.region(),
            phone_hash: recipient.hash,
            phone_masked: recipient.masked,
            segments: routed.segments,
            price_micros: routed.price_micros,
            not_after: instant(routed.not_after),
            decided_at: instant(routed.decided_at),
            directory_offset: routed.directory_offset,
            health_offset: routed.health_offset,
            seed: routed.seed,
            considered: serde_json::to_string(&routed.considered).map_err(|_| Misfit)?,
            topic: place.topic.as_str(),
            partition: place.partition,
            offset: place.offset,
            logged_at: instant(place.at),
        })
    }
}
