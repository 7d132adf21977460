//! What stands in Kafka, read by a plain consumer, and which of it counts.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use jixinda_runtime::{
    kafka::{Kafka, follow},
    lifecycle::Lifecycle,
};
use jixinda_schemas::{
    MessageId, Position, Timestamp, Topic,
    codec::{self, Event},
    event::{DeadLetter, Outcome},
    headers::Headers,
};

/// A record that is in the log.
#[derive(Clone, Debug)]
pub(crate) struct Captured {
    pub(crate) topic: Topic,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Broker time.
    pub(crate) at: Timestamp,
    pub(crate) value: Vec<u8>,
    pub(crate) headers: Headers,
}

impl Captured {
    pub(crate) fn position(&self) -> Position {
        Position {
            topic: self.topic,
            partition: self.partition,
            offset: self.offset,
        }
    }

    pub(crate) fn event(&self) -> Event {
        let kind = self.headers.kind.as_deref().zip(self.headers.version);
        codec::decode(kind, &self.value).unwrap()
    }
}

/// Every record of every topic so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Captured>>>);

impl Log {
    pub(crate) async fn follow(kafka: &Kafka, lifecycle: &Lifecycle) -> Self {
        let log = Self::default();
        let records = Arc::clone(&log.0);
        let fold = move |event: &follow::Event<'_>| {
            if let follow::Event::Record(record) = event {
                records.lock().unwrap().push(Captured {
                    topic: record.topic,
                    partition: record.partition,
                    offset: record.offset,
                    at: record.at,
                    value: record.value.unwrap_or_default().to_vec(),
                    headers: record.headers.clone(),
                });
            }
        };
        follow::start(kafka, &Topic::ALL, lifecycle.component("test log"), fold)
            .await
            .unwrap();
        log
    }

    /// The records of a topic, in the order of each partition.
    pub(crate) fn topic(&self, topic: Topic) -> Vec<Captured> {
        let records = self.0.lock().unwrap();
        let mut found: Vec<_> = records
            .iter()
            .filter(|r| r.topic == topic)
            .cloned()
            .collect();
        found.sort_by_key(|r| (r.partition, r.offset));
        found
    }

    /// Those whose writer is that of the last `opened` of its role before them in the partition.
    pub(crate) fn valid(&self, topic: Topic) -> Vec<Captured> {
        let mut writers: HashMap<(i32, String), u64> = HashMap::new();
        let mut valid = Vec::new();
        for record in self.topic(topic) {
            let Some(writer) = &record.headers.writer else {
                continue;
            };
            let place = (record.partition, writer.role.to_string());
            if record.headers.kind.as_deref() == Some("opened") {
                writers.insert(place, writer.number);
            } else if writers.get(&place) == Some(&writer.number) {
                valid.push(record);
            }
        }
        valid
    }

    /// Valid outcomes by message, corrections left out.
    pub(crate) fn outcomes(&self) -> BTreeMap<MessageId, Vec<Outcome>> {
        let mut outcomes: BTreeMap<MessageId, Vec<Outcome>> = BTreeMap::new();
        for record in self.valid(Topic::Outcomes) {
            if let Event::Outcome(e) = record.event() {
                outcomes
                    .entry(e.message_id.unwrap())
                    .or_default()
                    .push(e.payload);
            }
        }
        outcomes
    }

    pub(crate) fn dead_letters(&self) -> Vec<DeadLetter> {
        self.topic(Topic::DeadLetters)
            .iter()
            .filter_map(|record| match record.event() {
                Event::DeadLetter(e) => Some(e.payload),
                _ => None,
            })
            .collect()
    }
}
