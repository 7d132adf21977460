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
use tracing::warn;

use super::{CALL, Difference};
use crate::kafka::{Error, Kafka, fence::Writers, member::Committed};

/// How long the leaders of new partitions, and the coordinators of groups, may take to be known.
const SETTLE: Duration = Duration::from_secs(10);
/// How long an offset has to be absent, and how often that is asked.
const ABSENT: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(500);
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

/// What the broker says of the group's commits.
fn ask(kafka: &Kafka, group: &Group, consumer: &BaseConsumer) -> Result<TopicPartitionList, Error> {
    let mut ask = TopicPartitionList::new();
    for topic in &group.topics {
        for partition in 0..kafka.partitions(*topic) {
            ask.add_partition(&kafka.topic(*topic), partition);
        }
    }
    let began = Instant::now();
    loop {
        match consumer.committed_offsets(ask.clone(), CALL) {
            Ok(told) => return Ok(told),
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
    }
}

/// What is committed; a place without an offset has `None`.
fn committed(
    kafka: &Kafka,
    group: &Group,
    consumer: &BaseConsumer,
) -> Result<BTreeMap<Place, Option<i64>>, Error> {
    let told = ask(kafka, group, consumer)?;
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

/// As [`committed`], but believes that nothing is committed in a log with records only when that stays so: a broker
/// that is loading the group's offsets may answer as if there were none.
fn settled(
    kafka: &Kafka,
    group: &Group,
    consumer: &BaseConsumer,
) -> Result<BTreeMap<Place, Option<i64>>, Error> {
    // Since the first answer: a broker that was away before is not done loading.
    let mut first: Option<Instant> = None;
    loop {
        let found = committed(kafka, group, consumer)?;
        let began = *first.get_or_insert_with(Instant::now);
        // One partition of each topic tells whether it is a log that was read before.
        let absent: BTreeMap<Topic, Place> = found
            .iter()
            .filter(|(_, offset)| offset.is_none())
            .map(|(place, _)| (place.0, *place))
            .collect();
        let odd = absent.into_values().find(|place| {
            // What is not there at all is told elsewhere.
            let marks = consumer.fetch_watermarks(&kafka.topic(place.0), place.1, CALL);
            marks.is_ok_and(|(_, high)| high > 0)
        });
        match odd {
            Some(place) if began.elapsed() < ABSENT => {
                warn!(role = group.role, topic = %place.0, partition = place.1, "no committed offset, asking again");
                std::thread::park_timeout(AGAIN);
            }
            _ => return Ok(found),
        }
    }
}

/// Who counted in each partition of `topic` just before the floor that the owners of `role` have committed. A reader
/// that finds no `opened` any more, since retention has removed it, begins with these.
///
/// # Errors
/// When the broker does not say.
pub fn writers(kafka: &Kafka, role: &str, topic: Topic) -> Result<BTreeMap<i32, Writers>, Error> {
    let group = Group::new(role, &[topic]);
    let consumer = client(kafka, role)?;
    let told = ask(kafka, &group, &consumer)?;
    let writers = told.elements().into_iter().map(|element| {
        let committed = Committed {
            topic,
            offset: element.offset().to_raw().unwrap_or(-1),
            metadata: element.metadata().to_owned(),
        };
        (element.partition(), committed.read().writers)
    });
    Ok(writers.collect())
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
    let absent: Vec<Place> = settled(kafka, group, &consumer)?
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
    for ((topic, partition), offset) in settled(kafka, group, &consumer)? {
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

#[cfg(test)]
mod tests {
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

    use super::*;
    use crate::testing::MockBroker;

    /// A broker that is loading the group's offsets has been seen to answer as if there were none. To believe it ends
    /// a member, and makes `topics apply` begin again where the log begins.
    #[test]
    fn an_offset_that_is_absent_for_a_moment_is_waited_for() {
        let broker = MockBroker::start(1).unwrap();
        let (kafka, topic) = (broker.kafka().clone(), Topic::Outcomes);
        let producer: BaseProducer = kafka.client("test").create().unwrap();
        let name = kafka.topic(topic);
        let record = BaseRecord::<str, str>::to(&name).partition(0).payload("{}");
        producer.send(record).unwrap();
        producer.flush(CALL).unwrap();
        let group = Group::new("router", &[topic]);
        let consumer = client(&kafka, "router").unwrap();
        assert_eq!(
            committed(&kafka, &group, &consumer).unwrap()[&(topic, 0)],
            None
        );
        let late = std::thread::spawn({
            let kafka = kafka.clone();
            move || {
                std::thread::park_timeout(3 * AGAIN);
                let consumer = client(&kafka, "router").unwrap();
                let mut list = TopicPartitionList::new();
                list.add_partition_offset(&kafka.topic(topic), 0, Offset::Offset(1))
                    .unwrap();
                consumer.commit(&list, CommitMode::Sync).unwrap();
            }
        });
        let found = settled(&kafka, &group, &consumer).unwrap();
        assert_eq!(found[&(topic, 0)], Some(1));
        late.join().unwrap();
    }

    #[test]
    fn an_empty_log_needs_no_wait() {
        let broker = MockBroker::start(1).unwrap();
        let group = Group::new("router", &[Topic::Outcomes]);
        let kafka = broker.kafka();
        let consumer = client(&kafka, "router").unwrap();
        let began = Instant::now();
        let found = settled(&kafka, &group, &consumer).unwrap();
        assert_eq!(found[&(Topic::Outcomes, 0)], None);
        assert!(began.elapsed() < ABSENT / 2);
    }
}
