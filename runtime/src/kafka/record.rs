//! Records as the roles see them.

use jixinda_schemas::{Phone, Position, Timestamp, Topic, headers::Headers};
use rdkafka::{
    Message,
    message::{BorrowedMessage, Headers as _, OwnedHeaders},
};

use super::Kafka;
use crate::directory::broker_time;

/// A record that was read.
#[derive(Debug)]
pub struct Record<'a> {
    pub topic: Topic,
    pub partition: i32,
    pub offset: i64,
    /// Broker time.
    pub at: Timestamp,
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    pub headers: Headers,
}

impl<'a> Record<'a> {
    /// Reads a message of one of our topics; `None` for a foreign topic.
    #[must_use]
    pub fn read(kafka: &Kafka, message: &'a BorrowedMessage<'_>) -> Option<Self> {
        let topic = kafka.logical(message.topic())?;
        let mut headers = Headers::default();
        if let Some(list) = message.headers() {
            for header in list.iter() {
                headers.set(header.key, header.value.unwrap_or_default());
            }
        }
        Some(Self {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            at: broker_time(message.timestamp().to_millis()),
            key: message.key(),
            value: message.payload(),
            headers,
        })
    }

    /// Its place.
    #[must_use]
    pub const fn position(&self) -> Position {
        Position {
            topic: self.topic,
            partition: self.partition,
            offset: self.offset,
        }
    }

    /// Kind and version by its headers, when both are there.
    #[must_use]
    pub fn kind(&self) -> Option<(&str, u32)> {
        Some((self.headers.kind.as_deref()?, self.headers.version?))
    }
}

/// A record to be written.
#[derive(Clone, Debug)]
pub struct OwnedRecord {
    pub topic: Topic,
    /// `None` lets the key decide.
    pub partition: Option<i32>,
    pub key: Option<Vec<u8>>,
    /// `None` writes a tombstone.
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
}

impl OwnedRecord {
    /// A record of a message topic: the recipient is the key and decides the partition.
    #[must_use]
    pub fn keyed(topic: Topic, recipient: &Phone, value: Vec<u8>, headers: Headers) -> Self {
        Self {
            topic,
            partition: None,
            key: Some(recipient.expose().as_bytes().to_vec()),
            value: Some(value),
            headers,
        }
    }

    pub(crate) fn kafka_headers(&self) -> OwnedHeaders {
        let pairs = self.headers.pairs();
        let mut headers = OwnedHeaders::new_with_capacity(pairs.len());
        for (key, value) in &pairs {
            headers = headers.insert(rdkafka::message::Header {
                key,
                value: Some(value),
            });
        }
        headers
    }
}
