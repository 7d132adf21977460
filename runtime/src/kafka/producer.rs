//! Producing from async code: a write resolves when all in-sync replicas have the record.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use jixinda_schemas::{Position, Topic};
use rdkafka::{
    ClientContext, Message,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
};
use tokio::sync::oneshot;
use tracing::error;

use super::{Error, Kafka, OwnedRecord};

/// How long producers wait for more records before they send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linger {
    /// Login codes and acceptance: 1 ms.
    Short,
    /// Throughput first: 20 ms.
    Long,
}

impl Linger {
    const fn millis(self) -> u32 {
        match self {
            Self::Short => 1,
            Self::Long => 20,
        }
    }

    /// Small batches hardly shrink, and the broker opens each.
    const fn compression(self) -> &'static str {
        match self {
            Self::Short => "none",
            Self::Long => "lz4",
        }
    }
}

/// Why a record is not known to be written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// The local queue is full: the broker is slower than the callers.
    #[error("the producer's queue is full")]
    QueueFull,
    /// The record is larger than the broker takes.
    #[error("the record is too large")]
    TooLarge,
    /// Not acknowledged in time. It may have been written all the same.
    #[error("the broker did not acknowledge the record: {0}")]
    NotAcknowledged(String),
}

type Client = Arc<ThreadedProducer<Context>>;

/// Cheap to clone. After an error that librdkafka's idempotent producer cannot go on from (seen when a broker stood still
/// and was then killed), it goes on with a new client: what was under way may or may not be written, as after any error.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<ArcSwap<ThreadedProducer<Context>>>,
    /// Held while a new client is made.
    making: Arc<Mutex<Making>>,
    kafka: Kafka,
}

/// What a new client is made of, and when the last one was.
struct Making {
    settings: rdkafka::ClientConfig,
    made: Option<Instant>,
}

/// Between two new clients: what lasts breaks each of them.
const MADE_EVERY: Duration = Duration::from_secs(1);

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}

struct Context;

impl ClientContext for Context {}

type Ack = oneshot::Sender<Result<(i32, i64), WriteError>>;

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Ack>;

    fn delivery(&self, result: &DeliveryResult<'_>, ack: Self::DeliveryOpaque) {
        let result = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(WriteError::NotAcknowledged(error.to_string())),
        };
        // Nobody waits any more when the caller went away; the record is written all the same.
        drop(ack.send(result));
    }
}

/// Producer settings that the promise rests on.
pub(crate) fn settings(kafka: &Kafka, purpose: &str, linger: Linger) -> rdkafka::ClientConfig {
    let mut client = kafka.client(purpose);
    client
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("compression.type", linger.compression())
        .set("message.timeout.ms", "30000")
        .set("queue.buffering.max.kbytes", "262144")
        .set("linger.ms", linger.millis().to_string());
    client
}

impl Producer {
    /// Connects lazily.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(kafka: &Kafka, purpose: &str, linger: Linger) -> Result<Self, Error> {
        let settings = settings(kafka, purpose, linger);
        let inner = settings
            .create_with_context(Context)
            .map_err(Error::client("cannot make a producer"))?;
        Ok(Self {
            inner: Arc::new(ArcSwap::from_pointee(inner)),
            making: Arc::new(Mutex::new(Making {
                settings,
                made: None,
            })),
            kafka: kafka.clone(),
        })
    }

    /// Makes a new client if `client` is broken for good and still in use.
    fn replace_broken(&self, client: &Client) {
        let Some((_, cause)) = client.client().fatal_error() else {
            return;
        };
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = making.made.is_some_and(|at| at.elapsed() < MADE_EVERY);
        if recent || !Arc::ptr_eq(&self.inner.load(), client) {
            return;
        }
        making.made = Some(Instant::now());
        match making.settings.create_with_context(Context) {
            Ok(new) => {
                error!(
                    cause,
                    "the producer is broken for good, going on with a new one"
                );
                let old = self.inner.swap(Arc::new(new));
                // Its end fails what it holds, and may take half a second.
                drop(
                    std::thread::Builder::new()
                        .name("old-producer".to_owned())
                        .spawn(move || drop(old)),
                );
            }
            Err(e) => error!(
                cause,
                error = &e as &dyn std::error::Error,
                "the producer is broken for good, and no new one can be made"
            ),
        }
    }

    /// Queues a record at once; the future resolves with its position when it is durable.
    ///
    /// # Errors
    /// When the queue is full, the record too large, or the broker does not acknowledge within 30 s.
    pub fn write(
        &self,
        record: &OwnedRecord,
    ) -> Result<
        impl Future<Output = Result<Position, WriteError>> + Send + 'static + use<>,
        WriteError,
    > {
        let (ack, written) = oneshot::channel();
        let name = self.kafka.name(record.topic);
        let mut base: BaseRecord<'_, [u8], [u8], _> =
            BaseRecord::with_opaque_to(name, Box::new(ack)).headers(record.kafka_headers());
        if let Some(key) = &record.key {
            base = base.key(key);
        }
        if let Some(value) = &record.value {
            base = base.payload(value);
        }
        if let Some(partition) = record.partition {
            base = base.partition(partition);
        }
        let client = self.inner.load_full();
        client.send(base).map_err(|(error, _)| match error {
            KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) => WriteError::QueueFull,
            KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge) => {
                WriteError::TooLarge
            }
            other => {
                self.replace_broken(&client);
                WriteError::NotAcknowledged(other.to_string())
            }
        })?;
        let (topic, this): (Topic, _) = (record.topic, self.clone());
        // Only who uses it holds it: the end of a broken one fails what waits here.
        let client = Arc::downgrade(&client);
        Ok(async move {
            match written.await {
                Ok(Ok((partition, offset))) => Ok(Position {
                    topic,
                    partition,
                    offset,
                }),
                Ok(Err(error)) => {
                    if let Some(client) = client.upgrade() {
                        this.replace_broken(&client);
                    }
                    Err(error)
                }
                Err(_) => Err(WriteError::NotAcknowledged(
                    "the producer was closed".to_owned(),
                )),
            }
        })
    }

    /// Queues all records, then waits for all; the first error wins. Records before a failing one may be written.
    ///
    /// # Errors
    /// As [`Producer::write`].
    pub async fn write_all(&self, records: &[OwnedRecord]) -> Result<Vec<Position>, WriteError> {
        let waits = records
            .iter()
            .map(|record| self.write(record))
            .collect::<Result<Vec<_>, _>>()?;
        let mut positions = Vec::with_capacity(waits.len());
        for wait in waits {
            positions.push(wait.await?);
        }
        Ok(positions)
    }

    /// Waits until everything queued is written or has failed.
    ///
    /// # Errors
    /// When that takes longer than `limit`.
    pub async fn flush(&self, limit: Duration) -> Result<(), Error> {
        let inner = self.inner.load_full();
        tokio::task::spawn_blocking(move || inner.flush(limit))
            .await
            .map_err(|e| Error::Fatal(e.to_string()))?
            .map_err(Error::client("flush"))
    }
}

#[cfg(test)]
mod tests {
    use jixinda_schemas::headers::Headers;

    use super::*;
    use crate::testing::MockBroker;

    #[tokio::test]
    async fn a_producer_that_is_broken_for_good_is_replaced() {
        let broker = MockBroker::start(1).unwrap();
        let producer = Producer::new(&broker.kafka(), "test", Linger::Short).unwrap();
        let record = OwnedRecord {
            topic: Topic::Outcomes,
            partition: Some(0),
            key: None,
            value: Some(b"x".to_vec()),
            headers: Headers::of("outcome"),
        };
        producer.write(&record).unwrap().await.unwrap();
        let first = producer.inner.load_full();
        broker.lose_sequence();
        let failed = producer.write(&record).unwrap().await;
        assert!(
            matches!(failed, Err(WriteError::NotAcknowledged(_))),
            "{failed:?}"
        );
        assert!(first.client().fatal_error().is_some());
        producer.write(&record).unwrap().await.unwrap();
        assert!(!Arc::ptr_eq(&first, &producer.inner.load()));
    }
}
