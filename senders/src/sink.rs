//! Receipts and unreadable pushes into the log.

use async_trait::async_trait;
use jixinda_runtime::{
    clock::SharedClock,
    kafka::{OwnedRecord, producer::Producer},
};
use jixinda_schemas::{
    Topic,
    codec::{self, About},
    event::{DeadLetter, RawReceipt, kind},
    headers::Headers,
};

use crate::receipts::{ReceiptSink, Unavailable};

/// Stores on `receipts.raw` and `dead-letters`.
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
    async fn store(
        &self,
        receipts: Vec<RawReceipt>,
        unreadable: Vec<DeadLetter>,
    ) -> Result<(), Unavailable> {
        let now = self.clock.now();
        let receipts = receipts.into_iter().map(|receipt| {
            let recipient = receipt.recipient.clone();
            let headers = Headers {
                channel: Some(receipt.channel.clone()),
                ..Headers::of(kind::RAW_RECEIPT)
            };
            let value = codec::encode(&codec::envelope(
                kind::RAW_RECEIPT,
                About::default(),
                now,
                receipt,
            ));
            OwnedRecord::keyed(Topic::ReceiptsRaw, &recipient, value, headers)
        });
        let unreadable = unreadable.into_iter().map(|letter| OwnedRecord {
            topic: Topic::DeadLetters,
            partition: None,
            key: None,
            headers: Headers {
                channel: letter.channel.clone(),
                ..Headers::of(kind::DEAD_LETTER)
            },
            value: Some(codec::encode(&codec::envelope(
                kind::DEAD_LETTER,
                About::default(),
                now,
                letter,
            ))),
        });
        let records: Vec<OwnedRecord> = receipts.chain(unreadable).collect();
        self.producer
            .write_all(&records)
            .await
            .map(drop)
            .map_err(|e| Unavailable(e.to_string()))
    }
}
