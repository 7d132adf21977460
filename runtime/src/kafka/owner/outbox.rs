//! What a role wants written, and what became of it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jixinda_schemas::{Lane, Topic};
use rdkafka::{
    ClientContext, Message,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext},
};
use tracing::error;

use crate::{
    kafka::{
        Error, Kafka, OwnedRecord,
        producer::{self, Linger},
    },
    metrics,
};

/// How a write is treated when the broker does not acknowledge it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Counts only under this owner: a failure makes it take over again.
    Owned,
    /// True whoever owns the partition (a vendor's answer, a dead letter): written again until it is acknowledged.
    Fact,
}

#[derive(Debug)]
pub(super) struct Pending {
    /// Partition of the state that wrote it, and that state's writer number.
    pub(super) owner: Option<(i32, u64)>,
    pub(super) write: Write,
    pub(super) token: Option<u64>,
    pub(super) opened: bool,
    /// Shared with the client call, so that a second write needs no copy.
    record: Arc<OwnedRecord>,
}

impl Pending {
    pub(super) fn kind(&self) -> Option<&str> {
        self.record.headers.kind.as_deref()
    }
}

#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) pending: Box<Pending>,
    pub(super) result: Result<i64, KafkaError>,
}

#[derive(Default)]
struct Context {
    delivered: Mutex<Vec<Delivered>>,
}

impl ClientContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Pending>;

    fn delivery(&self, result: &DeliveryResult<'_>, pending: Self::DeliveryOpaque) {
        let result = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        self.delivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Delivered { pending, result });
    }
}

/// Queue of records to write. Bounded in practice by [`Outbox::has_room`], which the driver asks before each act.
pub struct Outbox {
    kafka: Kafka,
    role: String,
    /// For what people wait for: login codes, and what belongs to no lane.
    quick: BaseProducer<Context>,
    /// For the other lanes: gathers longer, since each request costs the broker the same whatever it holds. No rule
    /// rests on the order of two records of different lanes that one owner has not seen acknowledged.
    bulk: BaseProducer<Context>,
    queue: VecDeque<Box<Pending>>,
    unacknowledged: usize,
    pub(super) owner: Option<(i32, u64)>,
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox")
            .field("queued", &self.queue.len())
            .finish_non_exhaustive()
    }
}

/// Records that may wait for their acknowledgement at once.
const ROOM: usize = 20_000;

impl Outbox {
    pub(super) fn new(kafka: &Kafka, role: &str) -> Result<Self, Error> {
        let producer = |linger| {
            producer::settings(kafka, role, linger)
                .create_with_context(Context::default())
                .map_err(Error::client(format!("cannot make the producer of {role}")))
        };
        Ok(Self {
            kafka: kafka.clone(),
            role: role.to_owned(),
            quick: producer(Linger::Short)?,
            bulk: producer(Linger::Long)?,
            queue: VecDeque::new(),
            unacknowledged: 0,
            owner: None,
        })
    }

    /// Whether more may be written now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.queue.len() + self.unacknowledged < ROOM
    }

    /// Writes a record that counts only under this owner. The driver has put the owner's writer in `act`'s state.
    pub fn owned(&mut self, record: OwnedRecord) {
        self.push(record, Write::Owned, None, false);
    }

    /// As [`Outbox::owned`]; the role is told of the acknowledgement by the token.
    pub fn owned_noted(&mut self, record: OwnedRecord, token: u64) {
        self.push(record, Write::Owned, Some(token), false);
    }

    /// Writes a fact; with a token the role is told of the acknowledgement.
    pub fn fact(&mut self, record: OwnedRecord, token: Option<u64>) {
        self.push(record, Write::Fact, token, false);
    }

    pub(super) fn opened(&mut self, record: OwnedRecord) {
        self.push(record, Write::Owned, None, true);
    }

    fn push(&mut self, record: OwnedRecord, write: Write, token: Option<u64>, opened: bool) {
        self.queue.push_back(Box::new(Pending {
            owner: self.owner,
            write,
            token,
            opened,
            record: Arc::new(record),
        }));
    }

    /// Hands the queue to the client, as far as it takes it, and collects what was acknowledged or refused.
    pub(super) fn pump(&mut self) -> Vec<Delivered> {
        let mut delivered = Vec::new();
        while let Some(pending) = self.queue.pop_front() {
            match self.send(pending) {
                Ok(()) => self.unacknowledged += 1,
                Err((pending, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull))) => {
                    self.queue.push_front(pending);
                    break;
                }
                Err((pending, error)) => delivered.push(Delivered {
                    pending,
                    result: Err(error),
                }),
            }
        }
        let mut reported = Vec::new();
        for producer in [&self.quick, &self.bulk] {
            producer.poll(Duration::ZERO);
            let mut new = producer
                .context()
                .delivered
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            reported.append(&mut new);
        }
        self.unacknowledged -= reported.len();
        delivered.extend(reported);
        for d in &delivered {
            if let Err(e) = &d.result {
                let topic = d.pending.record.topic;
                metrics::produce_error(&self.role, topic.as_str());
                error!(role = self.role, %topic, error = e as &dyn std::error::Error, "record not written");
            }
        }
        delivered
    }

    /// End of a partition. Asked over the producer's connection: the consumer's waits behind its fetches.
    pub(super) fn end(&self, topic: Topic, partition: i32) -> Result<i64, Error> {
        let name = self.kafka.topic(topic);
        self.quick
            .client()
            .fetch_watermarks(&name, partition, Duration::from_secs(2))
            .map(|(_, high)| high)
            .map_err(Error::client(format!("cannot read the end of {name}")))
    }

    /// Writes a fact again that was not acknowledged.
    pub(super) fn again(&mut self, pending: Box<Pending>) {
        self.queue.push_back(pending);
    }

    /// Whether everything was acknowledged or refused.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.unacknowledged == 0
    }

    fn send(&self, pending: Box<Pending>) -> Result<(), (Box<Pending>, KafkaError)> {
        let record = Arc::clone(&pending.record);
        let name = self.kafka.name(record.topic);
        let mut base: BaseRecord<'_, [u8], [u8], Box<Pending>> =
            BaseRecord::with_opaque_to(name, pending).headers(record.kafka_headers());
        if let Some(key) = &record.key {
            base = base.key(key);
        }
        if let Some(value) = &record.value {
            base = base.payload(value);
        }
        if let Some(partition) = record.partition {
            base = base.partition(partition);
        }
        let producer = match (record.topic, record.headers.lane) {
            // Nobody waits for a copy, and all of a work's copies must keep their order.
            (Topic::State, _) | (_, Some(Lane::Notice | Lane::Marketing)) => &self.bulk,
            (_, None | Some(Lane::Otp)) => &self.quick,
        };
        producer
            .send(base)
            .map_err(|(e, base)| (base.delivery_opaque, e))
    }
}
