//! Where each consumer group begins. Readers have no `auto.offset.reset`: a group without an offset, or with one
//! outside its topic, is a fault to be seen and not a silent jump.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jixinda_schemas::Topic;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{CALL, Difference};
use crate::kafka::{Error, Kafka};

/// How long the leaders of new partitions, and the coordinators of groups, may take to be known.
const SETTLE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(100);

/// A consumer group and what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Without the installation's prefix, such as `router` or `senders.default`.
    pub role: String,
    pub topics: Vec<Topic>,
}

impl Group {
    /// A group of `role` over `topics`.
    #[must_use]
    pub fn new(role: impl Into<String>, topics: &[Topic]) -> Self {
        Self {
            role: role.into(),
            topics: topics.to_vec(),
        }
    }
}

/// What became of a group.
pub(super) enum Positioned {
    /// So many partitions were given a first offset.
    Done(usize),
    /// Offsets are missing, but members are there.
    Busy,
}

/// A client that is no member of the group, but may ask and commit for it.
fn client(kafka: &Kafka, role: &str) -> Result<BaseConsumer, Error> {
    let mut client = kafka.client("admin");
    client
        .set("group.id", kafka.group(role))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error");
    client
        .create()
        .map_err(Error::client("cannot make a consumer"))
}

type Place = (Topic, i32);

/// What is committed; a place without an offset has `None`.
fn committed(
    kafka: &Kafka,
    group: &Group,
    consumer: &BaseConsumer,
) -> Result<BTreeMap<Place, Option<i64>>, Error> {
    let mut ask = TopicPartitionList::new();
    for topic in &group.topics {
        for partition in 0..kafka.partitions(*topic) {
            ask.add_partition(&kafka.topic(*topic), partition);
        }
    }
    let began = Instant::now();
    let told = loop {
        match consumer.committed_offsets(ask.clone(), CALL) {
            Ok(told) => break told,
            Err(e) if is_settling(&e) && began.elapsed() < SETTLE => {
                std::thread::park_timeout(RETRY);
            }
            Err(e) => {
                return Err(Error::client(format!(
                    "cannot read what {} has committed",
                    kafka.group(&group.role)
                ))(e));
            }
        }
    };
    let mut found = BTreeMap::new();
    for element in told.elements() {
        element.error().map_err(Error::client(format!(
            "cannot read the offset of {}",
            element.topic()
        )))?;
        let Some(topic) = kafka.logical(element.topic()) else {
            continue;
        };
        let offset = match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        };
        found.insert((topic, element.partition()), offset);
    }
    Ok(found)
}

/// A broker that was started a moment ago has not read its groups yet.
fn is_settling(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::CoordinatorNotAvailable
        )
    )
}

/// First offset and end of a partition. A topic that was made a moment ago may not have told all brokers yet.
fn watermarks(
    kafka: &Kafka,
    consumer: &BaseConsumer,
    (topic, partition): Place,
) -> Result<(i64, i64), Error> {
    let name = kafka.topic(topic);
    let began = Instant::now();
    loop {
        match consumer.fetch_watermarks(&name, partition, CALL) {
            Ok(marks) => return Ok(marks),
            Err(_) if began.elapsed() < SETTLE => std::thread::park_timeout(RETRY),
            Err(e) => {
                return Err(Error::client(format!(
                    "cannot read where {name} {partition} begins and ends"
                ))(e));
            }
        }
    }
}

/// Commits the start of every partition for which nothing is committed. The broker itself refuses commits from
/// outside for a group with members, so there is no race with a role that starts at the same moment.
pub(super) fn position(kafka: &Kafka, group: &Group) -> Result<Positioned, Error> {
    let consumer = client(kafka, &group.role)?;
    let absent: Vec<Place> = committed(kafka, group, &consumer)?
        .into_iter()
        .filter(|(_, o)| o.is_none())
        .map(|(place, _)| place)
        .collect();
    if absent.is_empty() {
        return Ok(Positioned::Done(0));
    }
    let name = kafka.group(&group.role);
    let known = consumer
        .fetch_group_list(Some(&name), CALL)
        .map_err(Error::client(format!("cannot look up {name}")))?;
    if known.groups().iter().any(|g| !g.members().is_empty()) {
        return Ok(Positioned::Busy);
    }
    let mut list = TopicPartitionList::new();
    for place in &absent {
        let (low, _) = watermarks(kafka, &consumer, *place)?;
        list.add_partition_offset(&kafka.topic(place.0), place.1, Offset::Offset(low))
            .map_err(Error::client("offset"))?;
    }
    consumer
        .commit(&list, CommitMode::Sync)
        .map_err(Error::client(format!(
            "cannot commit the first offsets of {name}"
        )))?;
    Ok(Positioned::Done(absent.len()))
}

/// Offsets that are missing or lie outside their topic, one line for each topic of the group. `present` are the topics
/// that are there with the right partitions; the others are reported elsewhere.
pub(super) fn compare(
    kafka: &Kafka,
    group: &Group,
    present: &[Topic],
) -> Result<Vec<Difference>, Error> {
    let consumer = client(kafka, &group.role)?;
    let name = kafka.group(&group.role);
    let mut missing: BTreeMap<Topic, Vec<i32>> = BTreeMap::new();
    let mut outside: BTreeMap<Topic, Vec<String>> = BTreeMap::new();
    for ((topic, partition), offset) in committed(kafka, group, &consumer)? {
        let Some(offset) = offset else {
            missing.entry(topic).or_default().push(partition);
            continue;
        };
        if !present.contains(&topic) {
            continue;
        }
        let (low, high) = watermarks(kafka, &consumer, (topic, partition))?;
        if !(low..=high).contains(&offset) {
            outside
                .entry(topic)
                .or_default()
                .push(format!("{partition} (at {offset}, log {low} to {high})"));
        }
    }
    let missing = missing.into_iter().map(|(topic, partitions)| Difference {
        name: name.clone(),
        what: format!("has no offset for {} {partitions:?}", kafka.topic(topic)),
        mend: "run `jixinda topics apply` while no member of the group runs".to_owned(),
        blocks: true,
    });
    let outside = outside.into_iter().map(|(topic, partitions)| Difference {
        name: name.clone(),
        what: format!("stands outside {}: partition {}", kafka.topic(topic), partitions.join(", ")),
        mend: format!(
            "records were lost or the log was wiped; to go on with what is there, stop the role and run \
             `kafka-consumer-groups.sh --bootstrap-server {} --group {name} --topic {} --reset-offsets --to-earliest --execute`",
            kafka.config().brokers,
            kafka.topic(topic)
        ),
        blocks: true,
    });
    Ok(missing.chain(outside).collect())
}
