//! Reading whole topics, from their start or from a while ago, and following them for good. No group, no commits.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jixinda_schemas::Topic;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError,
};
use tokio::sync::oneshot;
use tracing::{error, warn};

use super::{Error, Kafka, Record, fetch::offset_at};
use crate::{lifecycle::Handle, telemetry::with_causes};

const SETTLE: Duration = Duration::from_millis(200);
/// A broker that is away, or on its way up, is asked again for so long, as in [`super::admin::verify_ready`].
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(1);
const CALL: Duration = Duration::from_secs(10);

/// What the follower is told.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "passed by reference, never stored"
)]
pub enum Event<'a> {
    /// The next record.
    Record(Record<'a>),
    /// The end was reached, or 200 ms of records have passed: a good time to show what was folded.
    Settled,
}

/// Where to start.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// The first record that is still there.
    Start,
    /// The first record of this broker time (ms) or later.
    Time(i64),
}

/// Follows `topics` from their start on a thread of its own. Resolves when everything that was there at the call has
/// been handed over; the component is ready from then on.
///
/// # Errors
/// When the topics are missing or cannot be read.
pub async fn start(
    kafka: &Kafka,
    topics: &[Topic],
    handle: Handle,
    fold: impl FnMut(&Event<'_>) + Send + 'static,
) -> Result<(), Error> {
    start_from(kafka, topics, From::Start, handle, fold).await
}

/// As [`start`], from a chosen place.
///
/// # Errors
/// When the topics are missing or cannot be read.
pub async fn start_from(
    kafka: &Kafka,
    topics: &[Topic],
    from: From,
    handle: Handle,
    fold: impl FnMut(&Event<'_>) + Send + 'static,
) -> Result<(), Error> {
    let (caught_up, done) = oneshot::channel();
    let (kafka, topics) = (kafka.clone(), topics.to_vec());
    let name = topics
        .iter()
        .map(|t| t.as_str())
        .collect::<Vec<_>>()
        .join(",");
    std::thread::Builder::new()
        .name(format!("follow-{}", topics[0]))
        .spawn(move || run(&kafka, &topics, from, &handle, fold, caught_up))
        .map_err(|e| Error::Fatal(format!("cannot start a thread: {e}")))?;
    done.await
        .map_err(|_| Error::Fatal(format!("reading {name} ended")))?
}

fn run(
    kafka: &Kafka,
    topics: &[Topic],
    from: From,
    handle: &Handle,
    mut fold: impl FnMut(&Event<'_>),
    caught_up: oneshot::Sender<Result<(), Error>>,
) {
    let began = Instant::now();
    let (consumer, mut missing) = loop {
        match open(kafka, topics, from) {
            Ok(opened) => break opened,
            Err(e @ Error::Client { .. })
                if began.elapsed() < PATIENCE && !handle.is_stopping() =>
            {
                warn!(
                    error = &e as &dyn std::error::Error,
                    "topics cannot be read, trying again"
                );
                std::thread::park_timeout(RETRY);
            }
            Err(e) => {
                if !handle.is_stopping() {
                    handle.fail(with_causes(&e));
                }
                // The caller may have given up waiting.
                drop(caught_up.send(Err(e)));
                return;
            }
        }
    };
    let mut caught_up = Some(caught_up);
    let mut settled = Instant::now();
    let mut asked = settled;
    let mut unsettled = true;
    while !handle.is_stopping() {
        if missing.is_empty()
            && let Some(tell) = caught_up.take()
        {
            fold(&Event::Settled);
            unsettled = false;
            handle.ready();
            drop(tell.send(Ok(())));
        }
        match consumer.poll(Duration::from_millis(50)) {
            Some(Ok(message)) => {
                let Some(record) = Record::read(kafka, &message) else {
                    continue;
                };
                let place = (record.topic, record.partition);
                if missing
                    .get(&place)
                    .is_some_and(|end| record.offset + 1 >= *end)
                {
                    missing.remove(&place);
                }
                fold(&Event::Record(record));
                unsettled = true;
            }
            Some(Err(KafkaError::PartitionEOF(_))) | None => {}
            Some(Err(e)) => warn!(error = &e as &dyn std::error::Error, "follower read error"),
        }
        if unsettled && caught_up.is_none() && settled.elapsed() >= SETTLE {
            fold(&Event::Settled);
            unsettled = false;
            settled = Instant::now();
        }
        // Compaction may have removed the last record before the end. Asking is as dear as reading some hundred records.
        if !missing.is_empty()
            && asked.elapsed() >= SETTLE
            && let Ok(positions) = consumer.position()
        {
            asked = Instant::now();
            missing.retain(|(topic, partition), end| {
                positions
                    .find_partition(&kafka.topic(*topic), *partition)
                    .is_none_or(|p| !matches!(p.offset(), Offset::Offset(o) if o >= *end))
            });
        }
    }
    if let Some(tell) = caught_up {
        error!("stopped before the topics were read");
        drop(tell.send(Err(Error::Fatal(
            "stopped before the topics were read".to_owned(),
        ))));
    }
}

type Missing = BTreeMap<(Topic, i32), i64>;

fn open(kafka: &Kafka, topics: &[Topic], from: From) -> Result<(BaseConsumer, Missing), Error> {
    let mut client = kafka.client("follow");
    client
        .set("group.id", kafka.group("follow"))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "100")
        .set("enable.partition.eof", "false");
    let consumer: BaseConsumer = client
        .create()
        .map_err(|e| Error::Setup(format!("cannot make a consumer: {e}")))?;
    let mut list = TopicPartitionList::new();
    let mut missing = Missing::new();
    for topic in topics {
        let name = kafka.topic(*topic);
        for partition in 0..kafka.partitions(*topic) {
            let (low, high) =
                consumer
                    .fetch_watermarks(&name, partition, CALL)
                    .map_err(Error::client(format!(
                        "cannot read {name}; if it is missing, run `jixinda topics apply`"
                    )))?;
            let start = match from {
                From::Start => low,
                From::Time(millis) => offset_at(&consumer, &name, partition, millis)?
                    .map_or(high, |offset| offset.max(low)),
            };
            list.add_partition_offset(&name, partition, Offset::Offset(start))
                .map_err(Error::client("offset"))?;
            if high > start {
                missing.insert((*topic, partition), high);
            }
        }
    }
    consumer
        .assign(&list)
        .map_err(Error::client("cannot assign"))?;
    Ok((consumer, missing))
}
