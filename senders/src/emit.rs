//! The records that a sender writes.

use std::time::Duration;

use jixinda_runtime::kafka::OwnedRecord;
use jixinda_schemas::{
    CallId, Timestamp, Topic, WriterId,
    codec::{self, About},
    event::{
        AttemptFinished, AttemptNotStarted, AttemptResult, AttemptStarted, NotStartedCause, kind,
    },
    headers::Headers,
};
use serde::Serialize;

use crate::claims::{Abandoned, Order};

fn record<T: Serialize>(
    order: &Order,
    name: &'static str,
    writer: &WriterId,
    now: Timestamp,
    payload: T,
) -> OwnedRecord {
    let value = codec::encode(&codec::envelope(name, about(order, writer), now, payload));
    let headers = Headers {
        lane: Some(order.routed.lane),
        channel: Some(order.routed.channel.clone()),
        attempt: Some((order.message_id, order.routed.n)),
        writer: Some(writer.clone()),
        traceparent: order.traceparent.clone(),
        ..Headers::of(name)
    };
    OwnedRecord::keyed(Topic::Attempts, &order.routed.recipient, value, headers)
}

fn about(order: &Order, writer: &WriterId) -> About {
    About {
        message_id: Some(order.message_id),
        app_id: order.app_id.clone(),
        cause: Some(order.position),
        // Claims of different writers on one routing are different events.
        discriminator: writer.number as u32,
    }
}

pub(crate) fn started(
    order: &Order,
    writer: &WriterId,
    call_id: CallId,
    now: Timestamp,
) -> OwnedRecord {
    let routed = &order.routed;
    let payload = AttemptStarted {
        n: routed.n,
        attempt_id: routed.attempt_id,
        lane: routed.lane,
        recipient: routed.recipient.clone(),
        channel: routed.channel.clone(),
        vendor: routed.vendor.clone(),
        call_id,
        started_at: now,
    };
    record(order, kind::ATTEMPT_STARTED, writer, now, payload)
}

pub(crate) fn not_started(
    order: &Order,
    writer: &WriterId,
    cause: NotStartedCause,
    retry_after_ms: Option<u32>,
    now: Timestamp,
) -> OwnedRecord {
    let routed = &order.routed;
    let payload = AttemptNotStarted {
        n: routed.n,
        attempt_id: routed.attempt_id,
        lane: routed.lane,
        channel: routed.channel.clone(),
        cause,
        retry_after_ms,
    };
    record(order, kind::ATTEMPT_NOT_STARTED, writer, now, payload)
}

pub(crate) fn finished(
    order: &Order,
    writer: &WriterId,
    call_id: CallId,
    result: AttemptResult,
    call: Option<(Timestamp, Duration)>,
    now: Timestamp,
) -> OwnedRecord {
    let routed = &order.routed;
    let payload = AttemptFinished {
        n: routed.n,
        attempt_id: routed.attempt_id,
        lane: routed.lane,
        recipient: routed.recipient.clone(),
        channel: routed.channel.clone(),
        call_id,
        result,
        submitted_at: call.map(|(at, _)| at),
        elapsed_ms: call.map(|(_, elapsed)| elapsed.as_millis() as u32),
    };
    record(order, kind::ATTEMPT_FINISHED, writer, now, payload)
}

pub(crate) fn abandoned(abandoned: &Abandoned, writer: &WriterId, now: Timestamp) -> OwnedRecord {
    let s = &abandoned.started;
    let payload = AttemptFinished {
        n: s.n,
        attempt_id: s.attempt_id,
        lane: s.lane,
        recipient: s.recipient.clone(),
        channel: s.channel.clone(),
        call_id: s.call_id,
        result: AttemptResult::Unknown {
            detail: "owner_died".to_owned(),
        },
        submitted_at: None,
        elapsed_ms: None,
    };
    let about = About {
        message_id: Some(abandoned.message_id),
        app_id: abandoned.app_id.clone(),
        ..About::default()
    };
    let value = codec::encode(&codec::envelope(
        kind::ATTEMPT_FINISHED,
        about,
        now,
        payload,
    ));
    let headers = Headers {
        lane: Some(s.lane),
        channel: Some(s.channel.clone()),
        attempt: Some((abandoned.message_id, s.n)),
        writer: Some(writer.clone()),
        ..Headers::of(kind::ATTEMPT_FINISHED)
    };
    OwnedRecord::keyed(Topic::Attempts, &s.recipient, value, headers)
}
