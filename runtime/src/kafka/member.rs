//! A member of a consumer group over co-partitioned topics, on one thread.
//!
//! Range assignment gives a member the same partition numbers of every topic; that is checked. On assignment each
//! partition starts where its commit metadata says, or goes on where this member stood when it kept the partition.

mod offsets;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jixinda_schemas::Topic;
use rdkafka::{
    ClientContext, Offset, Statistics, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
    types::RDKafkaRespErr,
};
use tracing::{error, info, warn};

use super::{Error, Kafka};
use crate::metrics;
use offsets::{add, commit, committed_offsets, describe};

const CALL: Duration = Duration::from_secs(10);

/// What the group had committed for one topic of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub topic: Topic,
    pub offset: i64,
    pub metadata: String,
}

/// What happened to the assignment.
#[derive(Debug)]
pub enum Change {
    /// Partition numbers newly held, each with what was committed for every topic.
    Assigned(BTreeMap<i32, Vec<Committed>>),
    /// Partition numbers held again: reading goes on where it stood.
    Kept(Vec<i32>),
    /// Nothing is held until the next assignment.
    Revoked,
    /// The role must stop.
    Failed(String),
}

/// Where reading starts, given what was committed.
pub type StartAt = fn(&Committed) -> i64;

/// What to commit for one topic of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    pub topic: Topic,
    pub partition: i32,
    pub offset: i64,
    /// At most 4 KiB, the broker's limit.
    pub metadata: String,
}

struct Context {
    kafka: Kafka,
    role: String,
    topics: Vec<Topic>,
    start_at: StartAt,
    changes: Mutex<VecDeque<Change>>,
    /// Next offset of everything held or kept.
    next: Mutex<HashMap<(Topic, i32), i64>>,
    /// Committed before a revoke returns.
    line: Mutex<Vec<Commit>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        for (name, topic) in statistics.topics {
            let Some(logical) = self.kafka.logical(&name) else {
                continue;
            };
            let lag = topic
                .partitions
                .values()
                .map(|p| p.consumer_lag.max(0))
                .sum();
            metrics::lag(&self.role, logical.as_str(), lag);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::FencedInstanceId)
        ) {
            lock(&self.changes).push_back(Change::Failed(format!(
                "another process of role {} runs as instance `{}`; give each its own kafka.instance",
                self.role,
                self.kafka.instance()
            )));
            return;
        }
        warn!(
            role = self.role,
            reason,
            error = &error as &dyn std::error::Error,
            "kafka client error"
        );
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        err: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let change = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                match self.assign(consumer, list) {
                    Ok(changes) => changes,
                    Err(e) => vec![Change::Failed(describe(&e))],
                }
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                let line = lock(&self.line).clone();
                if !consumer.assignment_lost()
                    && let Err(e) = commit(consumer, &self.kafka, &line)
                {
                    // Whoever takes over reads a little more; nothing is lost.
                    warn!(
                        role = self.role,
                        error = &e as &dyn std::error::Error,
                        "commit on revoke failed"
                    );
                }
                match consumer.unassign() {
                    Ok(()) => vec![Change::Revoked],
                    Err(e) => vec![
                        Change::Revoked,
                        Change::Failed(format!("cannot give partitions up: {e}")),
                    ],
                }
            }
            other => {
                let code: RDKafkaErrorCode = other.into();
                error!(role = self.role, %code, "rebalance failed");
                match consumer.unassign() {
                    Ok(()) => vec![Change::Revoked],
                    Err(e) => vec![
                        Change::Revoked,
                        Change::Failed(format!("cannot give partitions up: {e}")),
                    ],
                }
            }
        };
        lock(&self.changes).extend(change);
    }

    fn main_queue_min_poll_interval(&self) -> rdkafka::util::Timeout {
        rdkafka::util::Timeout::After(Duration::from_millis(100))
    }
}

impl Context {
    fn assign(
        &self,
        consumer: &BaseConsumer<Self>,
        list: &TopicPartitionList,
    ) -> Result<Vec<Change>, Error> {
        let mut numbers: BTreeMap<Topic, BTreeSet<i32>> =
            self.topics.iter().map(|t| (*t, BTreeSet::new())).collect();
        for element in list.elements() {
            if let Some(topic) = self.kafka.logical(element.topic()) {
                numbers
                    .entry(topic)
                    .or_default()
                    .insert(element.partition());
            }
        }
        let held = numbers.values().next().cloned().unwrap_or_default();
        if let Some((topic, other)) = numbers.iter().find(|(_, other)| **other != held) {
            return Err(Error::Setup(format!(
                "{} got partitions {other:?} of {topic} but {held:?} of another topic; all message topics must have \
                 the same partition count: run `jixinda topics check`",
                self.role
            )));
        }
        let next = lock(&self.next).clone();
        let (kept, new): (Vec<i32>, Vec<i32>) = held
            .iter()
            .partition(|p| self.topics.iter().all(|t| next.contains_key(&(*t, **p))));
        let mut start = TopicPartitionList::new();
        for (topic, p) in self
            .topics
            .iter()
            .flat_map(|t| kept.iter().map(move |p| (*t, *p)))
        {
            add(&mut start, &self.kafka.topic(topic), p, next[&(topic, p)])?;
        }
        let mut assigned: BTreeMap<i32, Vec<Committed>> = BTreeMap::new();
        if !new.is_empty() {
            let mut ask = TopicPartitionList::new();
            for (topic, p) in self
                .topics
                .iter()
                .flat_map(|t| new.iter().map(move |p| (*t, *p)))
            {
                ask.add_partition(&self.kafka.topic(topic), p);
            }
            let found = committed_offsets(consumer, &ask)?;
            for element in found.elements() {
                let Some(topic) = self.kafka.logical(element.topic()) else {
                    continue;
                };
                let Offset::Offset(offset) = element.offset() else {
                    return Err(Error::Setup(format!(
                        "group {} has no offset for {} partition {}; run `jixinda topics apply` while the role is stopped",
                        self.kafka.group(&self.role),
                        element.topic(),
                        element.partition()
                    )));
                };
                let committed = Committed {
                    topic,
                    offset,
                    metadata: element.metadata().to_owned(),
                };
                let from = (self.start_at)(&committed);
                add(&mut start, element.topic(), element.partition(), from)?;
                lock(&self.next).insert((topic, element.partition()), from);
                assigned
                    .entry(element.partition())
                    .or_default()
                    .push(committed);
            }
        }
        consumer
            .assign(&start)
            .map_err(Error::client("cannot assign"))?;
        info!(role = self.role, ?kept, ?new, "partitions assigned");
        let mut changes = Vec::new();
        if !kept.is_empty() || new.is_empty() {
            changes.push(Change::Kept(kept));
        }
        if !new.is_empty() {
            changes.push(Change::Assigned(assigned));
        }
        Ok(changes)
    }
}

/// One member.
pub struct Member {
    consumer: BaseConsumer<Context>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("role", &self.context().role)
            .finish_non_exhaustive()
    }
}

impl Member {
    /// Joins the group of `role` over `topics`. The broker gathers records for up to 5 ms: a fetch names every
    /// partition, and one for each record would cost the broker more than everything else.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn join(
        kafka: &Kafka,
        role: &str,
        topics: &[Topic],
        start_at: StartAt,
    ) -> Result<Self, Error> {
        Self::fetching((5, 32 * 1024), kafka, role, topics, start_at)
    }

    /// As [`Member::join`], for a role that is in no hurry: the broker gathers records for up to 100 ms, and has far
    /// fewer fetches to answer.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn join_in_bulk(
        kafka: &Kafka,
        role: &str,
        topics: &[Topic],
        start_at: StartAt,
    ) -> Result<Self, Error> {
        Self::fetching((100, 64 * 1024), kafka, role, topics, start_at)
    }

    fn fetching(
        (wait_ms, min_bytes): (u32, u32),
        kafka: &Kafka,
        role: &str,
        topics: &[Topic],
        start_at: StartAt,
    ) -> Result<Self, Error> {
        let mut client = kafka.client(role);
        client
            .set("group.id", kafka.group(role))
            .set("group.instance.id", format!("{role}-{}", kafka.instance()))
            .set("partition.assignment.strategy", "range")
            .set(
                "session.timeout.ms",
                kafka.config().session_timeout.as_millis().to_string(),
            )
            .set(
                "heartbeat.interval.ms",
                (kafka.config().session_timeout.as_millis() / 10)
                    .max(200)
                    .to_string(),
            )
            .set("max.poll.interval.ms", "60000")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", wait_ms.to_string())
            .set("fetch.min.bytes", min_bytes.to_string())
            .set("fetch.queue.backoff.ms", "10")
            .set("fetch.message.max.bytes", "262144")
            .set("queued.max.messages.kbytes", "16384")
            .set("statistics.interval.ms", "5000");
        let context = Context {
            kafka: kafka.clone(),
            role: role.to_owned(),
            topics: topics.to_vec(),
            start_at,
            changes: Mutex::default(),
            next: Mutex::default(),
            line: Mutex::default(),
        };
        let consumer: BaseConsumer<Context> = client
            .create_with_context(context)
            .map_err(Error::client(format!("cannot make the consumer of {role}")))?;
        let names: Vec<String> = topics.iter().map(|t| kafka.topic(*t)).collect();
        consumer
            .subscribe(&names.iter().map(String::as_str).collect::<Vec<_>>())
            .map_err(Error::client("cannot subscribe"))?;
        Ok(Self { consumer })
    }

    fn context(&self) -> &Context {
        self.consumer.context()
    }

    /// The next message; assignment changes happen in here, so ask [`Member::changes`] before using the message.
    ///
    /// # Errors
    /// When an offset is out of range or the client is broken for good.
    pub fn poll(&self, timeout: Duration) -> Result<Option<BorrowedMessage<'_>>, Error> {
        match self.consumer.poll(timeout) {
            None => Ok(None),
            Some(Ok(message)) => {
                use rdkafka::Message as _;
                if let Some(topic) = self.context().kafka.logical(message.topic()) {
                    lock(&self.context().next)
                        .insert((topic, message.partition()), message.offset() + 1);
                }
                Ok(Some(message))
            }
            Some(Err(e)) => match e.rdkafka_error_code() {
                Some(RDKafkaErrorCode::AutoOffsetReset) => Err(Error::Setup(format!(
                    "{}: a committed offset lies outside its topic ({e}); the log was cut or wiped: run `jixinda topics check`",
                    self.context().role
                ))),
                Some(RDKafkaErrorCode::Fatal | RDKafkaErrorCode::FencedInstanceId) => {
                    Err(Error::Fatal(format!(
                        "{}: {e}; another process may run as instance `{}`",
                        self.context().role,
                        self.context().kafka.instance()
                    )))
                }
                _ => {
                    warn!(
                        role = self.context().role,
                        error = &e as &dyn std::error::Error,
                        "read error"
                    );
                    Ok(None)
                }
            },
        }
    }

    /// What happened to the assignment since the last call, in order.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        lock(&self.context().changes).drain(..).collect()
    }

    /// The partition's state was dropped: when it is assigned again, reading starts at what is committed.
    pub fn forget(&self, partition: i32) {
        lock(&self.context().next).retain(|(_, p), _| *p != partition);
    }

    /// Next offset of a topic of a partition that is held.
    #[must_use]
    pub fn next(&self, topic: Topic, partition: i32) -> Option<i64> {
        lock(&self.context().next).get(&(topic, partition)).copied()
    }

    /// What a revoke commits from now on.
    pub fn set_line(&self, line: Vec<Commit>) {
        *lock(&self.context().line) = line;
    }

    /// Commits at once and waits for the broker.
    ///
    /// # Errors
    /// When the broker refuses or does not answer.
    pub fn commit(&self, line: &[Commit]) -> Result<(), Error> {
        commit(&self.consumer, &self.context().kafka, line)
    }

    /// What is committed now for one partition, every topic.
    ///
    /// # Errors
    /// When the broker does not answer or something was never committed.
    pub fn committed(&self, partition: i32) -> Result<Vec<Committed>, Error> {
        let context = self.context();
        let mut ask = TopicPartitionList::new();
        for topic in &context.topics {
            ask.add_partition(&context.kafka.topic(*topic), partition);
        }
        let found = committed_offsets(&self.consumer, &ask)?;
        found
            .elements()
            .iter()
            .filter_map(|e| context.kafka.logical(e.topic()).map(|topic| (topic, e)))
            .map(|(topic, e)| match e.offset() {
                Offset::Offset(offset) => Ok(Committed {
                    topic,
                    offset,
                    metadata: e.metadata().to_owned(),
                }),
                _ => Err(Error::Setup(format!(
                    "no offset is committed for {} {partition}",
                    e.topic()
                ))),
            })
            .collect()
    }

    /// Reads on from `offset`.
    ///
    /// # Errors
    /// When the partition is not held.
    pub fn seek(&self, topic: Topic, partition: i32, offset: i64) -> Result<(), Error> {
        let context = self.context();
        self.consumer
            .seek(
                &context.kafka.topic(topic),
                partition,
                Offset::Offset(offset),
                CALL,
            )
            .map_err(Error::client(format!("cannot seek {topic}/{partition}")))?;
        lock(&context.next).insert((topic, partition), offset);
        Ok(())
    }

    /// Pauses or resumes one topic of a partition. A pause drops what was prefetched.
    ///
    /// # Errors
    /// When the partition is not held.
    pub fn set_paused(&self, topic: Topic, partition: i32, paused: bool) -> Result<(), Error> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.context().kafka.topic(topic), partition);
        let done = if paused {
            self.consumer.pause(&list)
        } else {
            self.consumer.resume(&list)
        };
        done.map_err(Error::client("cannot pause or resume"))
    }
}
