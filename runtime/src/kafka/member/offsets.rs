//! Reading and writing the group's offsets.

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
};
use tracing::warn;

use super::{CALL, Commit, Context};
use crate::kafka::{Error, Kafka};

/// A broker that restarts may need a while.
pub(super) fn committed_offsets(
    consumer: &BaseConsumer<Context>,
    ask: &TopicPartitionList,
) -> Result<TopicPartitionList, Error> {
    let mut tries = 3;
    loop {
        tries -= 1;
        match consumer.committed_offsets(ask.clone(), CALL) {
            Ok(found) => return Ok(found),
            Err(e) if tries == 0 => return Err(Error::client("cannot read committed offsets")(e)),
            Err(e) => warn!(
                error = &e as &dyn std::error::Error,
                "committed offsets not read, trying again"
            ),
        }
    }
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

pub(super) fn commit(
    consumer: &BaseConsumer<Context>,
    kafka: &Kafka,
    line: &[Commit],
) -> Result<(), Error> {
    if line.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::new();
    for c in line {
        let mut element = list.add_partition(&kafka.topic(c.topic), c.partition);
        element
            .set_offset(Offset::Offset(c.offset))
            .map_err(Error::client("offset"))?;
        element.set_metadata(&c.metadata);
    }
    consumer
        .commit(&list, CommitMode::Sync)
        .map_err(Error::client("commit"))
}

pub(super) fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(e) = source {
        text = format!("{text}: {e}");
        source = e.source();
    }
    text
}
