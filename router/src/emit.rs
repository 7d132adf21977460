//! The records that the router writes.

use jixinda_runtime::kafka::{OwnedRecord, Record};
use jixinda_schemas::{
    Phone, Position, Reason, Timestamp, Topic, WriterId,
    codec::{self, About},
    directory::{ChannelState, Entity},
    event::{
        AttemptNotStarted, HealthReport, NotStartedCause, Outcome, OutcomeCorrected, RawReceipt,
        Receipt, Routed, Terminal, kind,
    },
    headers::Headers,
};

use crate::message::{Attempt, Entry};

fn about(entry: &Entry, cause: Position, discriminator: u32) -> About {
    About {
        message_id: Some(entry.id),
        app_id: Some(entry.app.clone()),
        cause: Some(cause),
        discriminator,
    }
}

fn headers(entry: &Entry, kind: &str, writer: &WriterId) -> Headers {
    Headers {
        lane: Some(entry.lane),
        writer: Some(writer.clone()),
        traceparent: entry.traceparent.clone(),
        ..Headers::of(kind)
    }
}

/// Ids of one cause and kind by different writers differ: only one of them counts.
fn by_writer(writer: &WriterId, n: u32) -> u32 {
    (writer.number as u32) ^ n.rotate_left(16)
}

pub(crate) fn routed(
    entry: &Entry,
    routed: Routed,
    writer: &WriterId,
    now: Timestamp,
) -> OwnedRecord {
    let headers = Headers {
        channel: Some(routed.channel.clone()),
        attempt: Some((entry.id, routed.n)),
        ..headers(entry, kind::ROUTED, writer)
    };
    let about = about(
        entry,
        entry.position,
        by_writer(writer, u32::from(routed.n)),
    );
    let value = codec::encode(&codec::envelope(kind::ROUTED, about, now, routed));
    OwnedRecord::keyed(
        Topic::dispatch(entry.lane),
        entry.recipient(),
        value,
        headers,
    )
}

pub(crate) fn withdrawn(
    entry: &Entry,
    attempt: &Attempt,
    writer: &WriterId,
    now: Timestamp,
) -> OwnedRecord {
    let payload = AttemptNotStarted {
        n: attempt.n,
        attempt_id: entry.attempt_id(attempt.n),
        lane: entry.lane,
        channel: attempt.channel.clone(),
        cause: NotStartedCause::Withdrawn,
        retry_after_ms: None,
    };
    let headers = Headers {
        channel: Some(attempt.channel.clone()),
        attempt: Some((entry.id, attempt.n)),
        ..headers(entry, kind::ATTEMPT_NOT_STARTED, writer)
    };
    let about = about(
        entry,
        entry.position,
        by_writer(writer, u32::from(attempt.n)),
    );
    let value = codec::encode(&codec::envelope(
        kind::ATTEMPT_NOT_STARTED,
        about,
        now,
        payload,
    ));
    OwnedRecord::keyed(Topic::Attempts, entry.recipient(), value, headers)
}

pub(crate) fn outcome(
    entry: &Entry,
    end: (Terminal, Reason),
    writer: &WriterId,
    now: Timestamp,
) -> OwnedRecord {
    let current = entry.outcome_event(end.0, end.1, now);
    let seq = current.seq;
    let about = about(entry, entry.position, by_writer(writer, seq));
    let (name, value) = match &entry.outcome {
        None => (
            kind::OUTCOME,
            codec::encode(&codec::envelope::<Outcome>(
                kind::OUTCOME,
                about,
                now,
                current,
            )),
        ),
        Some(previous) => {
            let payload = OutcomeCorrected {
                previous: previous.clone(),
                current,
            };
            (
                kind::OUTCOME_CORRECTED,
                codec::encode(&codec::envelope(
                    kind::OUTCOME_CORRECTED,
                    about,
                    now,
                    payload,
                )),
            )
        }
    };
    OwnedRecord::keyed(
        Topic::Outcomes,
        entry.recipient(),
        value,
        headers(entry, name, writer),
    )
}

pub(crate) fn receipt(
    entry: &Entry,
    attempt: &Attempt,
    raw: &RawReceipt,
    cause: Position,
    at: (Timestamp, &WriterId),
) -> OwnedRecord {
    let (now, writer) = at;
    let payload = Receipt {
        n: attempt.n,
        attempt_id: entry.attempt_id(attempt.n),
        channel: raw.channel.clone(),
        recipient: raw.recipient.clone(),
        status: raw.status,
        code: raw.code.clone(),
        vendor_id: raw.vendor_id.clone(),
        part: raw.part,
        parts: raw.parts,
        received_at: raw.received_at,
        vendor_at: raw.vendor_at,
    };
    let headers = Headers {
        channel: Some(raw.channel.clone()),
        attempt: Some((entry.id, attempt.n)),
        ..headers(entry, kind::RECEIPT, writer)
    };
    let value = codec::encode(&codec::envelope(
        kind::RECEIPT,
        about(entry, cause, 0),
        now,
        payload,
    ));
    OwnedRecord::keyed(Topic::Receipts, entry.recipient(), value, headers)
}

/// The same record under its right key; it names where it stood first.
pub(crate) fn rehomed(record: &Record<'_>, recipient: &Phone) -> OwnedRecord {
    let mut headers = record.headers.clone();
    headers
        .rehomed_from
        .get_or_insert_with(|| record.position().to_string());
    OwnedRecord::keyed(
        record.topic,
        recipient,
        record.value.unwrap_or_default().to_vec(),
        headers,
    )
}

pub(crate) fn health(report: HealthReport) -> OwnedRecord {
    let (now, writer) = (report.at, report.writer.clone());
    let value = codec::encode(&codec::envelope(
        kind::HEALTH,
        About::default(),
        now,
        report,
    ));
    let headers = Headers {
        writer: Some(writer),
        ..Headers::of(kind::HEALTH)
    };
    OwnedRecord {
        topic: Topic::Health,
        partition: Some(0),
        key: None,
        value: Some(value),
        headers,
    }
}

#[expect(
    clippy::expect_used,
    reason = "an entity has string keys and finite numbers"
)]
pub(crate) fn channel_state(state: ChannelState) -> OwnedRecord {
    let entity = Entity::ChannelState(state);
    OwnedRecord {
        topic: Topic::Directory,
        partition: Some(0),
        key: Some(entity.key().into_bytes()),
        value: Some(serde_json::to_vec(&entity).expect("an entity is JSON")),
        headers: Headers::of("channel_state"),
    }
}
