//! Kafka: one client configuration, one way to own partitions, one way to produce.

pub mod admin;
pub mod fence;
pub mod fetch;
pub mod follow;
pub mod ledger;
pub mod member;
pub mod owner;
pub mod parking;
pub mod partitioner;
pub mod producer;
mod record;
mod renewals;
pub mod seat;

use std::{collections::BTreeMap, time::Duration};

use jixinda_schemas::Topic;
use rdkafka::ClientConfig;
use serde::Deserialize;

pub use rdkafka::error::KafkaError;
pub use record::{OwnedRecord, Record};

/// `[kafka]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `host:port`, comma separated.
    pub brokers: String,
    /// Prefix of every topic and group.
    pub prefix: String,
    /// Partitions of the message topics; fixed for the life of a prefix.
    pub partitions: i32,
    /// Replicas of every topic.
    pub replication: i32,
    /// Tells processes of one host apart in the consumer groups.
    pub instance: String,
    /// After so long without a sign of life a member's partitions go to others.
    #[serde(with = "humantime_serde")]
    pub session_timeout: Duration,
    /// Further librdkafka properties; those that the promise rests on are refused.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

/// What may go wrong with Kafka.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// librdkafka's words.
    #[error("kafka: {context}")]
    Client {
        /// What was tried.
        context: String,
        /// librdkafka's words.
        #[source]
        source: KafkaError,
    },
    /// The configuration or the topics are not what a role needs; says what to run.
    #[error("{0}")]
    Setup(String),
    /// The broker takes another member for this one: a broker that was away for longer than a session may take a
    /// member's own coming back for a twin, and librdkafka cannot go on from there.
    #[error("kafka: {0}")]
    Fenced(String),
    /// The promise cannot be kept any more; the process must end.
    #[error("kafka: {0}")]
    Fatal(String),
}

impl Error {
    pub(crate) fn client(context: impl Into<String>) -> impl FnOnce(KafkaError) -> Self {
        let context = context.into();
        move |source| Self::Client { context, source }
    }
}

/// Properties that a user may not override: the promise rests on them.
const RESERVED: [&str; 14] = [
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "group.id",
    "group.instance.id",
    "isolation.level",
    "partition.assignment.strategy",
    "partitioner",
    "request.required.acks",
    "session.timeout.ms",
    "transactional.id",
];

/// Names and client settings; cheap to clone.
#[derive(Clone, Debug)]
pub struct Kafka {
    config: std::sync::Arc<Config>,
    /// Physical names, in the order of [`Topic::ALL`].
    names: std::sync::Arc<[String]>,
}

impl Kafka {
    /// Checks the configuration; connects to nothing.
    ///
    /// # Errors
    /// Names the property that may not be set, or the value that is out of range.
    pub fn new(config: Config) -> Result<Self, Error> {
        if let Some(name) = config
            .properties
            .keys()
            .find(|k| RESERVED.contains(&k.as_str()))
        {
            return Err(Error::Setup(format!(
                "kafka.properties: `{name}` is fixed by Jixinda; remove it"
            )));
        }
        if config.partitions < 1 || config.replication < 1 {
            return Err(Error::Setup(
                "kafka.partitions and kafka.replication must be at least 1".to_owned(),
            ));
        }
        if config.brokers.trim().is_empty() {
            return Err(Error::Setup(
                "kafka.brokers is empty; write host:port".to_owned(),
            ));
        }
        let names = Topic::ALL.map(|topic| format!("{}{topic}", config.prefix));
        Ok(Self {
            names: names.into(),
            config: std::sync::Arc::new(config),
        })
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Physical name of a topic.
    #[must_use]
    pub fn name(&self, topic: Topic) -> &str {
        &self.names[topic as usize]
    }

    /// As [`Kafka::name`], to keep.
    #[must_use]
    pub fn topic(&self, topic: Topic) -> String {
        self.name(topic).to_owned()
    }

    /// Logical topic of a physical name.
    #[must_use]
    pub fn logical(&self, name: &str) -> Option<Topic> {
        name.strip_prefix(self.config.prefix.as_str())?.parse().ok()
    }

    /// Consumer group of a role.
    #[must_use]
    pub fn group(&self, role: &str) -> String {
        format!("{}{role}", self.config.prefix)
    }

    /// Partitions of `topic`.
    #[must_use]
    pub fn partitions(&self, topic: Topic) -> i32 {
        if topic.is_single_partition() {
            1
        } else {
            self.config.partitions
        }
    }

    /// Host and instance, for people and for static membership.
    #[must_use]
    pub fn instance(&self) -> String {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        format!("{}-{}", host.trim(), self.config.instance)
    }

    /// Settings common to all clients.
    #[must_use]
    pub fn client(&self, purpose: &str) -> ClientConfig {
        let mut client = ClientConfig::new();
        for (name, value) in &self.config.properties {
            client.set(name, value);
        }
        client
            .set("bootstrap.servers", &self.config.brokers)
            .set(
                "client.id",
                format!("jixinda-{purpose}-{}", self.config.instance),
            )
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.max.ms", "2000")
            .set("log_level", "4");
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_has_its_own_name_and_is_found_by_it() {
        let kafka = Kafka::new(Config {
            brokers: "k:9092".into(),
            prefix: "a.".into(),
            partitions: 6,
            replication: 1,
            instance: "0".into(),
            session_timeout: Duration::from_secs(10),
            properties: BTreeMap::new(),
        })
        .unwrap();
        for topic in Topic::ALL {
            assert_eq!(kafka.name(topic), format!("a.{topic}"));
            assert_eq!(kafka.logical(kafka.name(topic)), Some(topic));
        }
    }
}
