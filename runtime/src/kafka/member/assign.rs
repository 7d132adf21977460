//! Taking what the group assigned.

use std::collections::{BTreeMap, BTreeSet};

use jixinda_schemas::Topic;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use tracing::info;

use super::{
    Change, Committed, Context, lock,
    offsets::{add, committed_offsets},
};
use crate::kafka::Error;

impl Context {
    /// Starts what is newly held where its commit says, and goes on with what was kept.
    pub(super) fn assign(
        &self,
        consumer: &BaseConsumer<Self>,
        list: &TopicPartitionList,
    ) -> Result<Vec<Change>, Error> {
        let mut numbers: BTreeMap<Topic, BTreeSet<i32>> = self
            .terms
            .topics
            .iter()
            .map(|t| (*t, BTreeSet::new()))
            .collect();
        for element in list.elements() {
            if let Some(topic) = self.terms.kafka.logical(element.topic()) {
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
                self.terms.role
            )));
        }
        let next = {
            let mut next = lock(&self.next);
            next.hold(&held);
            next.clone()
        };
        let (kept, new): (Vec<i32>, Vec<i32>) = held
            .iter()
            .partition(|p| self.terms.topics.iter().all(|t| next.of(*t, **p).is_some()));
        let mut start = TopicPartitionList::new();
        let places = self.terms.topics.iter();
        for (topic, p) in places.flat_map(|t| kept.iter().map(move |p| (*t, *p))) {
            if let Some(next) = next.of(topic, p) {
                add(&mut start, &self.terms.kafka.topic(topic), p, next)?;
            }
        }
        let mut assigned: BTreeMap<i32, Vec<Committed>> = BTreeMap::new();
        if !new.is_empty() {
            let mut ask = TopicPartitionList::new();
            for (topic, p) in self
                .terms
                .topics
                .iter()
                .flat_map(|t| new.iter().map(move |p| (*t, *p)))
            {
                ask.add_partition(&self.terms.kafka.topic(topic), p);
            }
            let found = committed_offsets(consumer, &ask)?;
            for element in found.elements() {
                let Some(topic) = self.terms.kafka.logical(element.topic()) else {
                    continue;
                };
                let Offset::Offset(offset) = element.offset() else {
                    return Err(Error::Setup(format!(
                        "group {} has no offset for {} partition {}; run `jixinda topics apply` while the role is stopped",
                        self.terms.kafka.group(&self.terms.role),
                        element.topic(),
                        element.partition()
                    )));
                };
                let committed = Committed {
                    topic,
                    offset,
                    metadata: element.metadata().to_owned(),
                };
                let from = (self.terms.start_at)(&committed);
                add(&mut start, element.topic(), element.partition(), from)?;
                lock(&self.next).set(topic, element.partition(), from);
                assigned
                    .entry(element.partition())
                    .or_default()
                    .push(committed);
            }
        }
        consumer
            .assign(&start)
            .map_err(Error::client("cannot assign"))?;
        // What was paused when it was held before would stay so.
        consumer
            .resume(&start)
            .map_err(Error::client("cannot resume"))?;
        if let Some(first) = self.terms.kept {
            let mut others = TopicPartitionList::new();
            for (topic, p) in self
                .terms
                .topics
                .iter()
                .filter(|topic| **topic != first)
                .flat_map(|topic| new.iter().map(move |p| (topic, *p)))
            {
                others.add_partition(&self.terms.kafka.topic(*topic), p);
            }
            consumer
                .pause(&others)
                .map_err(Error::client("cannot pause"))?;
        }
        info!(role = self.terms.role, ?kept, ?new, "partitions assigned");
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
