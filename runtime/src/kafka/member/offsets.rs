//! Reading and writing the group's offsets.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
};
use tracing::warn;

use super::{CALL, Commit, Context, committer::Committer};
use crate::kafka::{Error, Kafka};

/// A broker that restarts takes members back before it has loaded their group's offsets. It says so at once, or, when it
/// had to load them twice (seen on a starved machine), answers as if nothing had ever been committed.
const OFFSETS_PATIENCE: Duration = Duration::from_secs(20);
/// One that does not answer is away: it takes half a minute to come back, and less than the client's longest poll.
const AWAY_PATIENCE: Duration = Duration::from_secs(45);
const OFFSETS_PAUSE: Duration = Duration::from_millis(200);

pub(super) fn committed_offsets(
    consumer: &BaseConsumer<Context>,
    ask: &TopicPartitionList,
) -> Result<TopicPartitionList, Error> {
    let begun = Instant::now();
    // Since the first answer: a broker that was away before is not done loading.
    let mut absent: Option<Instant> = None;
    loop {
        match consumer.committed_offsets(ask.clone(), CALL) {
            Ok(found) if is_complete(&found) => return Ok(found),
            Ok(found) => {
                let since = *absent.get_or_insert_with(Instant::now);
                if since.elapsed() >= OFFSETS_PATIENCE {
                    return Ok(found);
                }
                warn!("no committed offsets where there should be, asking again");
            }
            Err(e) if begun.elapsed() >= AWAY_PATIENCE => {
                return Err(Error::client("cannot read committed offsets")(e));
            }
            Err(e) => warn!(
                error = &e as &dyn std::error::Error,
                "committed offsets not read, trying again"
            ),
        }
        std::thread::park_timeout(OFFSETS_PAUSE);
    }
}

fn is_complete(found: &TopicPartitionList) -> bool {
    let elements = found.elements();
    let mut offsets = elements.iter().map(|element| element.offset());
    offsets.all(|offset| matches!(offset, Offset::Offset(_)))
}

pub(super) fn add(
    list: &mut TopicPartitionList,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<(), Error> {
    list.add_partition_offset(topic, partition, Offset::Offset(offset))
        .map_err(Error::client("offset"))
}

/// As librdkafka wants it.
pub(super) fn listed(kafka: &Kafka, line: &[Commit]) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::new();
    for c in line {
        let mut element = list.add_partition(&kafka.topic(c.topic), c.partition);
        element
            .set_offset(Offset::Offset(c.offset))
            .map_err(Error::client("offset"))?;
        element.set_metadata(&c.metadata);
    }
    Ok(list)
}

pub(super) fn commit(
    consumer: &BaseConsumer<Context>,
    kafka: &Kafka,
    line: &[Commit],
) -> Result<(), Error> {
    if line.is_empty() {
        return Ok(());
    }
    let list = listed(kafka, line)?;
    consumer
        .commit(&list, CommitMode::Sync)
        .map_err(Error::client("commit"))
}

/// Waits for a commit well less than a session lasts.
pub(super) fn committer(
    consumer: &Arc<BaseConsumer<Context>>,
    kafka: &Kafka,
) -> Result<Committer<TopicPartitionList>, Error> {
    let consumer = Arc::clone(consumer);
    Committer::new(kafka.config().session_timeout / 4, move |list| {
        consumer.commit(&list, CommitMode::Sync)
    })
    .map_err(|e| Error::Fatal(format!("cannot start a thread: {e}")))
}
