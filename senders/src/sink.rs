//! Receipts, inbound messages and what could not be read into the log.

use async_trait::async_trait;
use jixinda_runtime::{
    clock::SharedClock,
    kafka::{OwnedRecord, producer::Producer},
};
use jixinda_schemas::{
    ChannelId, Topic,
    codec::{self, About},
    event::kind,
    headers::Headers,
};

use crate::receipts::{ReceiptSink, Taken, Unavailable};

/// Stores on `receipts.raw`, `inbound` and `dead-letters`.
#[derive(Debug)]
pub struct KafkaSink {
    producer: Producer,
    clock: SharedClock,
}

impl KafkaSink {
    /// Over a producer of its own.
    #[must_use]
    pub fn new(producer: Producer, clock: SharedClock) -> Self {
        Self { producer, clock }
    }
}

#[async_trait]
impl ReceiptSink for KafkaSink {
    async fn store(&self, taken: Taken) -> Result<(), Unavailable> {
        let now = self.clock.now();
        let about = About::default;
        let headers = |channel: &ChannelId, kind| Headers {
            channel: Some(channel.clone()),
            ..Headers::of(kind)
        };
        let mut records = Vec::new();
        for receipt in taken.receipts {
            let recipient = receipt.recipient.clone();
            let headers = headers(&receipt.channel, kind::RAW_RECEIPT);
            let value = codec::encode(&codec::envelope(kind::RAW_RECEIPT, about(), now, receipt));
            records.push(OwnedRecord::keyed(
                Topic::ReceiptsRaw,
                &recipient,
                value,
                headers,
            ));
        }
        for inbound in taken.inbound {
            let sender = inbound.sender.clone();
            let headers = headers(&inbound.channel, kind::INBOUND);
            let value = codec::encode(&codec::envelope(kind::INBOUND, about(), now, inbound));
            records.push(OwnedRecord::keyed(Topic::Inbound, &sender, value, headers));
        }
        for letter in taken.unreadable {
            records.push(OwnedRecord {
                topic: Topic::DeadLetters,
                partition: None,
                key: None,
                headers: Headers {
                    channel: letter.channel.clone(),
                    ..Headers::of(kind::DEAD_LETTER)
                },
                value: Some(codec::encode(&codec::envelope(
                    kind::DEAD_LETTER,
                    about(),
                    now,
                    letter,
                ))),
            });
        }
        self.producer
            .write_all(&records)
            .await
            .map(drop)
            .map_err(|e| Unavailable(e.to_string()))
    }
}
