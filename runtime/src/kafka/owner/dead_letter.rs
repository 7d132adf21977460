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

/// Largest part of a record's key that a dead letter keeps; ours are phone numbers.
const KEY_BYTES: usize = 1024;
/// Characters of what was wrong: a decoder names what it found.
const DETAIL_CHARS: usize = 2_000;

/// The dead letter of a record, to be written as a fact. It fits a record however large the one is that it is about.
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
    let key = record.key.map(|key| &key[..key.len().min(KEY_BYTES)]);
    let payload = DeadLetter {
        source: Some(record.position()),
        reason,
        detail: detail.chars().take(DETAIL_CHARS).collect(),
        step: step.to_owned(),
        at,
        channel: None,
        key: key.map(|key| STANDARD.encode(key)),
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
        key: key.map(<[u8]>::to_vec),
        value: Some(codec::encode(&codec::envelope(
            kind::DEAD_LETTER,
            about,
            at,
            payload,
        ))),
        headers: Headers::of(kind::DEAD_LETTER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letter_of_a_record_that_is_as_large_as_can_be_fits_a_record() {
        let (key, value) = (vec![7; 1_000_000], vec![b'"'; 1_000_000]);
        let mut headers = Headers::default();
        for (name, _) in full_headers().pairs() {
            headers.set(name, &[b'\x01'; 1_024]);
        }
        let record = Record {
            topic: Topic::RequestsOtp,
            partition: 0,
            offset: 0,
            at: Timestamp(0),
            key: Some(&key),
            value: Some(&value),
            headers,
        };
        let detail = "\u{1}".repeat(1_000_000);
        let letter = dead_letter(&record, Reason::BadField, &detail, "test", Timestamp(0));
        let of_headers: usize = letter
            .headers
            .pairs()
            .iter()
            .map(|(n, v)| n.len() + v.len())
            .sum();
        let size = letter.value.unwrap().len() + letter.key.unwrap().len() + of_headers;
        // What librdkafka takes, less what it adds.
        assert!(size < 900_000, "{size}");
    }

    fn full_headers() -> Headers {
        Headers {
            traceparent: Some(String::new()),
            signature: Some(String::new()),
            ingest_seal: Some(String::new()),
            rehomed_from: Some(String::new()),
            ..Headers::of("x")
        }
    }
}
