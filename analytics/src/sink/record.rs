//! Kafka messages as records.

use jixinda_runtime::kafka::{Kafka, Record};
use jixinda_schemas::{Timestamp, headers::Headers};
use rdkafka::{
    Message,
    message::{BorrowedMessage, Headers as _},
};

/// `None` for a foreign topic.
pub(super) fn read<'a>(kafka: &Kafka, message: &'a BorrowedMessage<'_>) -> Option<Record<'a>> {
    let topic = kafka.logical(message.topic())?;
    let mut headers = Headers::default();
    if let Some(list) = message.headers() {
        for header in list.iter() {
            headers.set(header.key, header.value.unwrap_or_default());
        }
    }
    Some(Record {
        topic,
        partition: message.partition(),
        offset: message.offset(),
        at: Timestamp(message.timestamp().to_millis().unwrap_or(0)),
        key: message.key(),
        value: message.payload(),
        headers,
        raw_headers: Vec::new(),
    })
}
