//! `attempts`: one row for each claim, each message given back, and each result.

use clickhouse::Row;
use jixinda_schemas::{
    AppId, MessageId, Timestamp,
    codec::Event,
    event::{AttemptResult, kind},
};
use serde::Serialize;
use uuid::Uuid;

use super::{Misfit, Place, instant, text, words};

#[derive(Clone, Debug, Default, Row, Serialize)]
pub struct Attempt {
    #[serde(with = "clickhouse::serde::uuid")]
    pub message_id: Uuid,
    pub app: String,
    pub n: u16,
    #[serde(with = "clickhouse::serde::uuid")]
    pub attempt_id: Uuid,
    /// `started`, `not_started` or `finished`.
    pub kind: &'static str,
    pub lane: &'static str,
    pub channel: String,
    pub vendor: String,
    /// 0 when there was no call.
    pub call_id: u64,
    pub result: &'static str,
    pub cause: &'static str,
    pub disposition: &'static str,
    pub blame: &'static str,
    pub vendor_code: String,
    pub vendor_id: String,
    pub detail: String,
    pub retry_after_ms: Option<u32>,
    pub started_at: Option<i64>,
    pub submitted_at: Option<i64>,
    pub elapsed_ms: Option<u32>,
    pub at: i64,
    pub topic: &'static str,
    pub partition: i32,
    pub offset: i64,
    pub logged_at: i64,
}

impl Attempt {
    pub(super) fn new(event: &Event, place: Place) -> Result<Self, Misfit> {
        match event {
            Event::AttemptStarted(e) => {
                let p = &e.payload;
                Ok(Self {
                    n: p.n,
                    attempt_id: p.attempt_id.0,
                    kind: name(kind::ATTEMPT_STARTED),
                    lane: p.lane.as_str(),
                    channel: p.channel.to_string(),
                    vendor: p.vendor.clone(),
                    call_id: p.call_id.0,
                    started_at: Some(instant(p.started_at)),
                    ..Self::about(e.message_id, e.app_id.as_ref(), e.at, place)?
                })
            }
            Event::AttemptNotStarted(e) => {
                let p = &e.payload;
                Ok(Self {
                    n: p.n,
                    attempt_id: p.attempt_id.0,
                    kind: name(kind::ATTEMPT_NOT_STARTED),
                    lane: p.lane.as_str(),
                    channel: p.channel.to_string(),
                    cause: words::cause(p.cause),
                    retry_after_ms: p.retry_after_ms,
                    ..Self::about(e.message_id, e.app_id.as_ref(), e.at, place)?
                })
            }
            Event::AttemptFinished(e) => {
                let p = &e.payload;
                let row = Self {
                    n: p.n,
                    attempt_id: p.attempt_id.0,
                    kind: name(kind::ATTEMPT_FINISHED),
                    lane: p.lane.as_str(),
                    channel: p.channel.to_string(),
                    call_id: p.call_id.0,
                    submitted_at: p.submitted_at.map(instant),
                    elapsed_ms: p.elapsed_ms,
                    ..Self::about(e.message_id, e.app_id.as_ref(), e.at, place)?
                };
                Ok(row.with_result(&p.result))
            }
            _ => Err(Misfit),
        }
    }

    fn about(
        message: Option<MessageId>,
        app: Option<&AppId>,
        at: Timestamp,
        place: Place,
    ) -> Result<Self, Misfit> {
        Ok(Self {
            message_id: message.ok_or(Misfit)?.0,
            app: text(app),
            at: instant(at),
            topic: place.topic.as_str(),
            partition: place.partition,
            offset: place.offset,
            logged_at: instant(place.at),
            ..Self::default()
        })
    }

    fn with_result(mut self, result: &AttemptResult) -> Self {
        match result {
            AttemptResult::Accepted { vendor_id } => {
                self.result = "accepted";
                self.vendor_id.clone_from(vendor_id);
            }
            AttemptResult::Rejected {
                disposition,
                blame,
                vendor_code,
                message,
                retry_after_ms,
            } => {
                self.result = "rejected";
                self.disposition = words::disposition(*disposition);
                self.blame = words::blame(*blame);
                self.vendor_code.clone_from(vendor_code);
                self.detail.clone_from(message);
                self.retry_after_ms = *retry_after_ms;
            }
            AttemptResult::Unknown { detail } => {
                self.result = "unknown";
                self.detail.clone_from(detail);
            }
            AttemptResult::NotCalled => self.result = "not_called",
        }
        self
    }
}

/// The kind without `attempt_`, which the table says already.
fn name(kind: &'static str) -> &'static str {
    kind.strip_prefix("attempt_").unwrap_or(kind)
}
