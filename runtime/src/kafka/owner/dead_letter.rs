//! Dead letters of records.

use base64::{Engine, engine::general_purpose::STANDARD};
use jixinda_schemas::{
    Reason, Timestamp, Topic,
    codec::{self, About},
    event::{DeadLetter, kind},
    headers::Headers,
};

use crate::kafka::{OwnedRecord, Record};

/// Largest part of a record that a dead letter keeps, so that it fits a record itself.
pub const DEAD_LETTER_BYTES: usize = 512 * 1024;

/// The dead letter of a record, to be written as a fact.
#[must_use]
pub fn dead_letter(
    record: &Record<'_>,
    reason: Reason,
    detail: &str,
    step: &str,
    at: Timestamp,
) -> OwnedRecord {
    let value = record.value.unwrap_or_default();
    let kept = &value[..value.len().min(DEAD_LETTER_BYTES)];
    let payload = DeadLetter {
        source: Some(record.position()),
        reason,
        detail: detail.to_owned(),
        step: step.to_owned(),
        at,
        channel: None,
        key: record.key.map(|k| STANDARD.encode(k)),
        value: STANDARD.encode(kept),
        headers: record
            .headers
            .pairs()
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v))
            .collect(),
    };
    let about = About {
        cause: Some(record.position()),
        ..About::default()
    };
    OwnedRecord {
        topic: Topic::DeadLetters,
        partition: None,
        key: record.key.map(<[u8]>::to_vec),
        value: Some(codec::encode(&codec::envelope(
            kind::DEAD_LETTER,
            about,
            at,
            payload,
        ))),
        headers: Headers::of(kind::DEAD_LETTER),
    }
}
