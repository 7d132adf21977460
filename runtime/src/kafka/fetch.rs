//! Reading single records by their positions, and the newest of a partition. No group, no commits.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use jixinda_schemas::{Position, Timestamp, Topic};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};

use super::{Error, Kafka, Record};

const CALL: Duration = Duration::from_secs(10);
/// A record this near is read on to; for one farther away the consumer is placed anew.
const NEAR: i64 = 500;

/// What `read` makes of the records at `wanted`. Those that retention has removed are left out.
///
/// # Errors
/// When a topic is missing or cannot be read.
pub async fn records<T: Send + 'static>(
    kafka: &Kafka,
    wanted: impl IntoIterator<Item = Position>,
    read: impl Fn(&Record<'_>) -> T + Send + 'static,
) -> Result<BTreeMap<Position, T>, Error> {
    let mut places: BTreeMap<(Topic, i32), BTreeSet<i64>> = BTreeMap::new();
    for at in wanted {
        let of = places.entry((at.topic, at.partition)).or_default();
        of.insert(at.offset);
    }
    let kafka = kafka.clone();
    tokio::task::spawn_blocking(move || {
        let mut found = BTreeMap::new();
        for (place, offsets) in places {
            partition(&kafka, place, &offsets, |record| {
                found.insert(record.position(), read(record));
            })?;
        }
        Ok(found)
    })
    .await
    .map_err(|e| Error::Fatal(e.to_string()))?
}

fn partition(
    kafka: &Kafka,
    (topic, partition): (Topic, i32),
    offsets: &BTreeSet<i64>,
    mut take: impl FnMut(&Record<'_>),
) -> Result<(), Error> {
    let name = kafka.topic(topic);
    // A broker would be asked for it until the time is up.
    if !(0..kafka.partitions(topic)).contains(&partition) {
        return Ok(());
    }
    let (consumer, low, high) = open(kafka, &name, partition)?;
    let mut next = None;
    for offset in offsets.range(low..high) {
        if next.is_none_or(|next| *offset < next || *offset - next > NEAR) {
            place(&consumer, &name, partition, *offset)?;
        }
        next = read_on(kafka, &consumer, *offset, &mut take)?;
    }
    Ok(())
}

/// Folds the newest records of a partition, in their order: at most `most`, none that the broker took before `since`, up to
/// what is the end at the call.
///
/// # Errors
/// When the topic is missing or cannot be read.
pub async fn newest<T: Send + 'static>(
    kafka: &Kafka,
    (topic, partition): (Topic, i32),
    (since, most): (Timestamp, i64),
    mut state: T,
    fold: impl Fn(&mut T, &Record<'_>) + Send + 'static,
) -> Result<T, Error> {
    let kafka = kafka.clone();
    tokio::task::spawn_blocking(move || {
        let name = kafka.topic(topic);
        let (consumer, low, high) = open(&kafka, &name, partition)?;
        let from = offset_at(&consumer, &name, partition, since.0)?.unwrap_or(high);
        let mut next = from.max(low).max(high - most);
        if next >= high {
            return Ok(state);
        }
        place(&consumer, &name, partition, next)?;
        let mut heard = Instant::now();
        while next < high {
            if heard.elapsed() >= CALL {
                return Err(Error::Fatal(format!(
                    "{topic}/{partition}: record {next} did not come within {} s",
                    CALL.as_secs()
                )));
            }
            let Some(polled) = consumer.poll(Duration::from_millis(100)) else {
                continue;
            };
            let message = polled.map_err(Error::client("cannot read a record"))?;
            heard = Instant::now();
            if let Some(record) = Record::read(&kafka, &message)
                && record.offset < high
            {
                next = record.offset + 1;
                fold(&mut state, &record);
            } else {
                break;
            }
        }
        Ok(state)
    })
    .await
    .map_err(|e| Error::Fatal(e.to_string()))?
}

/// The first offset of this broker time (ms) or later; `None` when there is none.
pub(super) fn offset_at(
    consumer: &BaseConsumer,
    name: &str,
    partition: i32,
    millis: i64,
) -> Result<Option<i64>, Error> {
    let mut at = TopicPartitionList::new();
    at.add_partition_offset(name, partition, Offset::Offset(millis))
        .map_err(Error::client("offset"))?;
    let found = consumer
        .offsets_for_times(at, CALL)
        .map_err(Error::client(format!("cannot read {name}")))?;
    Ok(match found.elements().first().map(|e| e.offset()) {
        Some(Offset::Offset(offset)) => Some(offset),
        _ => None,
    })
}

/// A consumer, and where the partition begins and ends.
fn open(kafka: &Kafka, name: &str, partition: i32) -> Result<(BaseConsumer, i64, i64), Error> {
    let mut client = kafka.client("fetch");
    client
        .set("group.id", kafka.group("fetch"))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("queued.max.messages.kbytes", "4096")
        .set("fetch.wait.max.ms", "100");
    let consumer: BaseConsumer = client
        .create()
        .map_err(Error::client("cannot make a consumer"))?;
    let (low, high) = consumer
        .fetch_watermarks(name, partition, CALL)
        .map_err(Error::client(format!("cannot read {name}")))?;
    Ok((consumer, low, high))
}

fn place(consumer: &BaseConsumer, name: &str, partition: i32, offset: i64) -> Result<(), Error> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(name, partition, Offset::Offset(offset))
        .map_err(Error::client("offset"))?;
    consumer
        .assign(&list)
        .map_err(Error::client("cannot assign"))
}

/// Reads to `offset`. Returns where the consumer stands, or `None` when it has gone past what was wanted.
fn read_on(
    kafka: &Kafka,
    consumer: &BaseConsumer,
    offset: i64,
    take: &mut impl FnMut(&Record<'_>),
) -> Result<Option<i64>, Error> {
    let began = Instant::now();
    while began.elapsed() < CALL {
        let Some(polled) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        let message = polled.map_err(Error::client("cannot read a record"))?;
        let Some(record) = Record::read(kafka, &message) else {
            continue;
        };
        if record.offset == offset {
            take(&record);
            return Ok(Some(offset + 1));
        }
        if record.offset > offset {
            return Ok(None);
        }
    }
    Err(Error::Fatal(format!(
        "record {offset} did not come within {} s",
        CALL.as_secs()
    )))
}
