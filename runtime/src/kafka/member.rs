//! A member of a consumer group over co-partitioned topics, on one thread.
//!
//! Range assignment gives a member the same partition numbers of every topic; that is checked. On assignment each
//! partition starts where its commit metadata says, or goes on where this member stood when it kept the partition.

mod assign;
mod committer;
mod join;
mod next;
mod offsets;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
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
use tracing::{error, warn};

use super::{Error, Kafka, renewals::Renewals, seat::Metadata};
use crate::{metrics, telemetry::with_causes};
use committer::Committer;
use join::Fetch;
use next::Next;
use offsets::{commit, committed_offsets, listed};

const CALL: Duration = Duration::from_secs(10);
const BRIEF_CALL: Duration = Duration::from_secs(2);

/// What the group had committed for one topic of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub topic: Topic,
    pub offset: i64,
    pub metadata: String,
}

impl Committed {
    /// What the commit kept beside the offset.
    #[must_use]
    pub fn read(&self) -> Metadata {
        Metadata::read(self.offset, &self.metadata)
    }
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

/// What a member is, however often it joins.
#[derive(Clone)]
struct Terms {
    kafka: Kafka,
    role: String,
    topics: Vec<Topic>,
    /// Read before the others of a newly held partition, which start paused.
    kept: Option<Topic>,
    start_at: StartAt,
    fetch: Fetch,
}

struct Context {
    terms: Terms,
    /// The broker takes another member for this one.
    fenced: AtomicBool,
    changes: Mutex<VecDeque<Change>>,
    next: Mutex<Next>,
    /// Committed before a revoke returns.
    line: Mutex<Vec<Commit>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        for (name, topic) in statistics.topics {
            let Some(logical) = self.terms.kafka.logical(&name) else {
                continue;
            };
            let lag = topic
                .partitions
                .values()
                .map(|p| p.consumer_lag.max(0))
                .sum();
            metrics::lag(&self.terms.role, logical.as_str(), lag);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::FencedInstanceId)
        ) {
            self.fenced.store(true, Ordering::Relaxed);
            return;
        }
        warn!(
            role = self.terms.role,
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
                    Err(e) => vec![Change::Failed(with_causes(&e))],
                }
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                let line = lock(&self.line).clone();
                if !consumer.assignment_lost()
                    && let Err(e) = commit(consumer, &self.terms.kafka, &line)
                {
                    // Whoever takes over reads a little more; nothing is lost.
                    warn!(
                        role = self.terms.role,
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
                error!(role = self.terms.role, %code, "rebalance failed");
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

/// One member.
pub struct Member {
    /// Goes before the consumer, of which it has a share.
    committer: Committer<TopicPartitionList>,
    consumer: Arc<BaseConsumer<Context>>,
    rejoins: Renewals,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("role", &self.context().terms.role)
            .finish_non_exhaustive()
    }
}

impl Member {
    fn context(&self) -> &Context {
        self.consumer.context()
    }

    /// The next message; assignment changes happen in here, so ask [`Member::changes`] before using the message.
    ///
    /// # Errors
    /// When an offset is out of range; [`Error::Fenced`] when only [`Member::rejoin`] helps.
    pub fn poll(&self, timeout: Duration) -> Result<Option<BorrowedMessage<'_>>, Error> {
        let polled = self.consumer.poll(timeout);
        if self.context().fenced.load(Ordering::Relaxed) {
            return Err(self.fenced("the broker took it for another process"));
        }
        match polled {
            None => Ok(None),
            Some(Ok(message)) => {
                use rdkafka::Message as _;
                if let Some(topic) = self.context().terms.kafka.logical(message.topic()) {
                    lock(&self.context().next).set(
                        topic,
                        message.partition(),
                        message.offset() + 1,
                    );
                }
                Ok(Some(message))
            }
            Some(Err(e)) => match e.rdkafka_error_code() {
                Some(RDKafkaErrorCode::AutoOffsetReset) => Err(Error::Setup(format!(
                    "{}: a committed offset lies outside its topic ({e}); the log was cut or wiped: run `jixinda topics check`",
                    self.context().terms.role
                ))),
                Some(RDKafkaErrorCode::Fatal | RDKafkaErrorCode::FencedInstanceId) => {
                    Err(self.fenced(&e.to_string()))
                }
                _ => {
                    warn!(
                        role = self.context().terms.role,
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

    /// Next offset of a topic of a partition that is held.
    #[must_use]
    pub fn next(&self, topic: Topic, partition: i32) -> Option<i64> {
        lock(&self.context().next).of(topic, partition)
    }

    /// What a revoke commits from now on.
    pub fn set_line(&self, line: Vec<Commit>) {
        *lock(&self.context().line) = line;
    }

    /// Commits at once and waits for the broker, for a quarter of the session timeout.
    ///
    /// # Errors
    /// When the broker refuses or does not answer in time; then it may be committed all the same, but never after what
    /// is committed later.
    pub fn commit(&self, line: &[Commit]) -> Result<(), Error> {
        if line.is_empty() {
            return Ok(());
        }
        let list = listed(&self.context().terms.kafka, line)?;
        self.committer.commit(list).map_err(Error::client("commit"))
    }

    /// What is committed now for one partition, every topic. A broker that is away is asked again for 45 s, and
    /// one that knows of none for 20 s.
    ///
    /// # Errors
    /// When the broker does not answer or something was never committed.
    pub fn committed(&self, partition: i32) -> Result<Vec<Committed>, Error> {
        self.committed_of(partition, |ask| committed_offsets(&self.consumer, ask))
    }

    /// As [`Member::committed`], asked once and for 2 s: for those who can ask again later.
    ///
    /// # Errors
    /// As [`Member::committed`].
    pub fn committed_now(&self, partition: i32) -> Result<Vec<Committed>, Error> {
        self.committed_of(partition, |ask| {
            self.consumer
                .committed_offsets(ask.clone(), BRIEF_CALL)
                .map_err(Error::client("cannot read committed offsets"))
        })
    }

    fn committed_of(
        &self,
        partition: i32,
        read: impl Fn(&TopicPartitionList) -> Result<TopicPartitionList, Error>,
    ) -> Result<Vec<Committed>, Error> {
        let context = self.context();
        let mut ask = TopicPartitionList::new();
        for topic in &context.terms.topics {
            ask.add_partition(&context.terms.kafka.topic(*topic), partition);
        }
        let found = read(&ask)?;
        found
            .elements()
            .iter()
            .filter_map(|e| {
                context
                    .terms
                    .kafka
                    .logical(e.topic())
                    .map(|topic| (topic, e))
            })
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
                &context.terms.kafka.topic(topic),
                partition,
                Offset::Offset(offset),
                CALL,
            )
            .map_err(Error::client(format!("cannot seek {topic}/{partition}")))?;
        lock(&context.next).set(topic, partition, offset);
        Ok(())
    }

    /// Pauses or resumes one topic of a partition. A pause drops what was prefetched.
    ///
    /// # Errors
    /// When the partition is not held.
    pub fn set_paused(&self, topic: Topic, partition: i32, paused: bool) -> Result<(), Error> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.context().terms.kafka.topic(topic), partition);
        let done = if paused {
            self.consumer.pause(&list)
        } else {
            self.consumer.resume(&list)
        };
        done.map_err(Error::client("cannot pause or resume"))
    }
}
