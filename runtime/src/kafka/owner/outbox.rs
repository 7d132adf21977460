//! What a role wants written, and what became of it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jixinda_schemas::{Lane, Topic};
use rdkafka::{
    ClientContext, Message,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{
        BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig,
    },
};
use tracing::error;

use crate::{
    kafka::{
        Error, Kafka, OwnedRecord,
        producer::{self, Linger},
        renewals::Renewals,
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

impl Context {
    fn take(&self) -> Vec<Delivered> {
        std::mem::take(
            &mut *self
                .delivered
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
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
    renewals: Renewals,
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

fn client(kafka: &Kafka, role: &str, linger: Linger) -> Result<BaseProducer<Context>, Error> {
    producer::settings(kafka, role, linger)
        .create_with_context(Context::default())
        .map_err(Error::client(format!("cannot make the producer of {role}")))
}

impl Outbox {
    pub(super) fn new(kafka: &Kafka, role: &str) -> Result<Self, Error> {
        Ok(Self {
            kafka: kafka.clone(),
            role: role.to_owned(),
            quick: client(kafka, role, Linger::Short)?,
            bulk: client(kafka, role, Linger::Long)?,
            queue: VecDeque::new(),
            unacknowledged: 0,
            renewals: Renewals::default(),
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
    ///
    /// # Errors
    /// When clients are broken for good again and again.
    pub(super) fn pump(&mut self) -> Result<Vec<Delivered>, Error> {
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
            reported.append(&mut producer.context().take());
        }
        if delivered.iter().chain(&reported).any(|d| d.result.is_err()) {
            reported.append(&mut self.renew_broken()?);
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
        Ok(delivered)
    }

    /// Clients that will write nothing any more get a successor; what they held comes back as failed, though it may be
    /// written. So what librdkafka takes for the end of a producer (the broker has lost its sequence after a crash, for
    /// example) is a failed write: facts are written again, owned writes have their partition taken over again.
    fn renew_broken(&mut self) -> Result<Vec<Delivered>, Error> {
        let mut failed = Vec::new();
        for (producer, linger) in [
            (&mut self.quick, Linger::Short),
            (&mut self.bulk, Linger::Long),
        ] {
            let Some((_, cause)) = producer.client().fatal_error() else {
                continue;
            };
            let Some(renewals) = self.renewals.clone().once_more(Instant::now()) else {
                return Err(Error::Fatal(format!(
                    "{}: the producer is broken, and {} before it within {} s: {cause}",
                    self.role,
                    Renewals::TIMES,
                    Renewals::WINDOW.as_secs()
                )));
            };
            self.renewals = renewals;
            error!(
                role = self.role,
                cause, "the producer is broken for good, going on with a new one"
            );
            let old = std::mem::replace(producer, client(&self.kafka, &self.role, linger)?);
            old.purge(PurgeConfig::default().queue().inflight());
            // What is purged comes back at once.
            old.flush(Duration::from_secs(1)).map_err(Error::client(
                "what a broken producer held did not come back",
            ))?;
            failed.append(&mut old.context().take());
        }
        Ok(failed)
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

#[cfg(test)]
mod tests {
    use jixinda_schemas::headers::Headers;

    use super::*;
    use crate::testing::MockBroker;

    fn next(out: &mut Outbox) -> Vec<Delivered> {
        let begun = Instant::now();
        loop {
            let delivered = out.pump().unwrap();
            if !delivered.is_empty() {
                return delivered;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "nothing came back"
            );
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_client_that_is_broken_for_good_gets_a_successor() {
        let broker = MockBroker::start(1).unwrap();
        let mut out = Outbox::new(&broker.kafka(), "test").unwrap();
        let record = || OwnedRecord {
            topic: Topic::Outcomes,
            partition: Some(0),
            key: None,
            value: Some(b"x".to_vec()),
            headers: Headers::of("outcome"),
        };
        for n in 0..Renewals::TIMES {
            out.fact(record(), None);
            assert!(next(&mut out)[0].result.is_ok(), "{n}");
            broker.lose_sequence();
            out.fact(record(), None);
            let failed = next(&mut out).pop().unwrap();
            assert!(failed.result.is_err(), "{n}");
            out.again(failed.pending);
            assert!(next(&mut out)[0].result.is_ok(), "{n}");
            assert!(out.is_idle(), "{n}");
        }
        out.fact(record(), None);
        assert!(next(&mut out)[0].result.is_ok());
        broker.lose_sequence();
        out.fact(record(), None);
        let end = loop {
            match out.pump() {
                Ok(_) => std::thread::park_timeout(Duration::from_millis(1)),
                Err(e) => break e,
            }
        };
        assert!(end.to_string().contains("broken"), "{end}");
    }
}
