//! Test doubles for the crates that build on this one: a broker inside the process.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jixinda_schemas::{Topic, headers::Headers};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};

use crate::kafka::{Config, Error, Kafka, Record};

/// How long [`MockBroker::read_all`] waits for what is there.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// librdkafka's mock cluster with every topic of ours. It has no admin API, no lookup by time, and keeps 5 MiB a
/// partition; it is gone when dropped.
pub struct MockBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
    kafka: Kafka,
}

impl std::fmt::Debug for MockBroker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MockBroker")
            .field("brokers", &self.brokers())
            .finish_non_exhaustive()
    }
}

/// A record that is in the log.
#[derive(Clone, Debug)]
pub struct Captured {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Headers,
}

impl MockBroker {
    /// Starts one broker with all topics.
    ///
    /// # Errors
    /// librdkafka's words.
    pub fn start(partitions: i32) -> Result<Self, Error> {
        let cluster = MockCluster::new(1).map_err(Error::client("mock broker"))?;
        let kafka = Kafka::new(Config {
            brokers: cluster.bootstrap_servers(),
            prefix: "test.".to_owned(),
            partitions,
            replication: 1,
            instance: "mock".to_owned(),
            session_timeout: Duration::from_secs(10),
            properties: BTreeMap::new(),
        })?;
        for topic in Topic::ALL {
            cluster
                .create_topic(&kafka.topic(topic), kafka.partitions(topic), 1)
                .map_err(Error::client("mock topic"))?;
        }
        Ok(Self { cluster, kafka })
    }

    /// `host:port`, comma separated.
    #[must_use]
    pub fn brokers(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Settings that lead here.
    #[must_use]
    pub fn kafka(&self) -> Kafka {
        self.kafka.clone()
    }

    /// Breaks all connections and takes no new ones.
    ///
    /// # Errors
    /// librdkafka's words.
    pub fn down(&self) -> Result<(), Error> {
        self.cluster
            .broker_down(1)
            .map_err(Error::client("mock broker"))
    }

    /// Takes connections again.
    ///
    /// # Errors
    /// librdkafka's words.
    pub fn up(&self) -> Result<(), Error> {
        self.cluster
            .broker_up(1)
            .map_err(Error::client("mock broker"))
    }

    /// Answers the next write as a broker does that has lost the sequence of an idempotent producer.
    pub fn lose_sequence(&self) {
        self.cluster.request_errors(
            RDKafkaApiKey::Produce,
            &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
        );
    }

    /// Everything that is in `topic` now, partition by partition. Blocks: call it where that does no harm.
    ///
    /// # Errors
    /// When the topic cannot be read to its end within ten seconds.
    pub fn read_all(&self, topic: Topic) -> Result<Vec<Captured>, Error> {
        let name = self.kafka.topic(topic);
        let mut client = self.kafka.client("read-all");
        client
            .set("group.id", "read-all")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer = client
            .create()
            .map_err(Error::client("cannot make a consumer"))?;
        let mut list = TopicPartitionList::new();
        let mut wanted = 0;
        for partition in 0..self.kafka.partitions(topic) {
            let (low, high) = consumer
                .fetch_watermarks(&name, partition, READ_LIMIT)
                .map_err(Error::client("watermarks"))?;
            wanted += usize::try_from(high - low).unwrap_or(0);
            list.add_partition_offset(&name, partition, Offset::Beginning)
                .map_err(Error::client("offset"))?;
        }
        consumer
            .assign(&list)
            .map_err(Error::client("cannot assign"))?;
        let mut found = Vec::with_capacity(wanted);
        let start = Instant::now();
        while found.len() < wanted {
            if start.elapsed() > READ_LIMIT {
                return Err(Error::Setup(format!(
                    "{name}: {} of {wanted} records read",
                    found.len()
                )));
            }
            let Some(message) = consumer.poll(Duration::from_millis(50)) else {
                continue;
            };
            let message = message.map_err(Error::client("read"))?;
            let Some(record) = Record::read(&self.kafka, &message) else {
                continue;
            };
            found.push(Captured {
                partition: record.partition,
                offset: record.offset,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                headers: record.headers,
            });
        }
        found.sort_by_key(|r| (r.partition, r.offset));
        Ok(found)
    }
}
