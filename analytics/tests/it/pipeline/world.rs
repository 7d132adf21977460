//! A Kafka double, the engine, and the role between them.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use jixinda_analytics::{Config, Deps, Service, config::DEFAULTS, sink};
use jixinda_runtime::{
    clock::SystemClock,
    directory::{Directory, View},
    kafka::{
        self, Kafka,
        member::{Change, Commit, Member},
        producer::{Linger, Producer},
    },
    lifecycle::Lifecycle,
    secret::Secret,
};
use jixinda_schemas::{MessageId, Topic, directory::Snapshot, seal::PlatformKey};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    mocking::MockCluster,
    producer::DefaultProducerContext,
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    child::{self, Engine, INGEST},
    events,
};

const TOKEN: &str = "token-of-the-tests";

#[derive(Deserialize)]
struct File {
    analytics: Config,
}

pub(crate) fn config(url: &str) -> Config {
    let defaults: File = jixinda_runtime::config::load(DEFAULTS, None).unwrap();
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        token: Secret::new(TOKEN),
        url: url.to_owned(),
        user: INGEST.0.to_owned(),
        password: Secret::new(INGEST.1),
        database: "jx".to_owned(),
        batch_interval: Duration::from_millis(50),
        inserts_per_second: 100,
        batch_patience: Duration::from_millis(200),
        ..defaults.analytics
    }
}

pub(crate) struct World {
    kafka: Kafka,
    producer: Producer,
    engine: Option<Engine>,
    dir: Option<tempfile::TempDir>,
    /// Where the role finds the engine, whichever runs.
    front: Front,
    log_id: Uuid,
    lives: std::sync::atomic::AtomicI64,
    _cluster: MockCluster<'static, DefaultProducerContext>,
}

pub(crate) struct Run {
    lifecycle: Lifecycle,
    task: tokio::task::JoinHandle<Result<(), jixinda_analytics::Error>>,
    url: String,
}

impl World {
    pub(crate) async fn start() -> Self {
        let cluster = MockCluster::new(1).unwrap();
        let kafka = Kafka::new(kafka::Config {
            brokers: cluster.bootstrap_servers(),
            prefix: "t.".into(),
            partitions: 2,
            replication: 1,
            instance: "a".into(),
            session_timeout: Duration::from_secs(6),
            properties: BTreeMap::new(),
        })
        .unwrap();
        for topic in sink::TOPICS {
            cluster.create_topic(&kafka.topic(topic), 2, 1).unwrap();
        }
        let engine = Engine::start().await;
        let front = Front::open().await;
        front.lead_to(&engine);
        let world = Self {
            producer: Producer::new(&kafka, "test", Linger::Short).unwrap(),
            kafka,
            engine: Some(engine),
            dir: None,
            front,
            log_id: Uuid::now_v7(),
            lives: std::sync::atomic::AtomicI64::new(0),
            _cluster: cluster,
        };
        for topic in sink::TOPICS {
            for partition in 0..2 {
                world.commit_at(topic, (partition, 0), "");
            }
        }
        world
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        self.engine().url.clone()
    }

    pub(crate) async fn sql(&self, sql: &str) -> String {
        self.engine().sql(sql).await
    }

    pub(crate) fn kill_engine(&mut self) {
        self.dir = Some(self.engine.take().unwrap().kill());
    }

    pub(crate) async fn restart_engine(&mut self) {
        let engine = Engine::with(self.dir.take().unwrap(), serde_json::json!({})).await;
        self.front.lead_to(&engine);
        self.engine = Some(engine);
    }

    pub(crate) async fn tell_a_life(&self) -> MessageId {
        let number = self.lives.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let (message, records) = events::life(number);
        for record in &records {
            self.producer.write(record).unwrap().await.unwrap();
        }
        message
    }

    /// Leaves a commit behind for partition 0, as the role's own instance would.
    pub(crate) fn commit(&self, topic: Topic, offset: i64, metadata: &str) {
        let member = Member::join(&self.kafka, sink::ROLE, &sink::TOPICS, None, |committed| {
            committed.offset
        })
        .unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while !member
            .changes()
            .iter()
            .any(|change| matches!(change, Change::Assigned(_)))
        {
            assert!(Instant::now() < until, "nothing was assigned");
            drop(member.poll(Duration::from_millis(50)).unwrap());
        }
        let commit = Commit {
            topic,
            partition: 0,
            offset,
            metadata: metadata.to_owned(),
        };
        member.commit(&[commit]).unwrap();
    }

    fn commit_at(&self, topic: Topic, (partition, offset): (i32, i64), metadata: &str) {
        let mut list = TopicPartitionList::new();
        let name = self.kafka.topic(topic);
        {
            let mut element = list.add_partition(&name, partition);
            element.set_offset(Offset::Offset(offset)).unwrap();
            element.set_metadata(metadata);
        }
        self.group().commit(&list, CommitMode::Sync).unwrap();
    }

    fn group(&self) -> BaseConsumer {
        let mut client = self.kafka.client("test");
        client.set("group.id", self.kafka.group(sink::ROLE));
        client.create().unwrap()
    }

    /// Waits until the commit of partition 0 has reached `offset` with nothing pending.
    pub(crate) async fn settle(&self, topic: Topic, offset: i64) {
        let group = self.group();
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.kafka.topic(topic), 0);
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let found = group
                .committed_offsets(list.clone(), Duration::from_secs(5))
                .unwrap();
            let element = &found.elements()[0];
            if element.offset() == Offset::Offset(offset) && !element.metadata().contains("pending")
            {
                return;
            }
            assert!(
                Instant::now() < until,
                "committed {:?} {}",
                element.offset(),
                element.metadata()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) async fn run(&self) -> Run {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = listener.local_addr().unwrap();
        drop(listener);
        let config = Config {
            listen,
            ..config(&self.front.url)
        };
        let mut snapshot = Snapshot::default();
        snapshot.log_id = Some(self.log_id);
        let deps = Deps {
            kafka: self.kafka.clone(),
            clock: SystemClock::shared(),
            key: PlatformKey::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap(),
            directory: Directory::fixed(View {
                snapshot: Arc::new(snapshot),
                ..View::default()
            }),
        };
        let lifecycle = Lifecycle::default();
        let handle = lifecycle.component("analytics");
        let task = tokio::spawn(Service::new(config, deps).unwrap().run(handle));
        Run {
            lifecycle,
            task,
            url: format!("http://{listen}/internal/messages"),
        }
    }

    /// Waits until exactly the rows of so many lives are there, and no others come.
    pub(crate) async fn eventually_rows(&self, lives: u64) {
        let count = "SELECT (SELECT count() FROM jx.routings), (SELECT count() FROM jx.attempts), \
            (SELECT count() FROM jx.receipts), (SELECT count() FROM jx.outcomes), (SELECT sum(delta) FROM jx.outcomes), \
            (SELECT count() FROM jx.dead_letters)";
        let want = format!(
            "{lives}\t{}\t{lives}\t{}\t{lives}\t{lives}\n",
            2 * lives,
            3 * lives
        );
        let until = Instant::now() + Duration::from_secs(40);
        loop {
            let answer = self.engine().post_as(INGEST, &[], count).await;
            if answer.body == want {
                break;
            }
            assert!(Instant::now() < until, "{} instead of {want}", answer.body);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(self.sql(count).await, want);
    }
}

/// One address for engines that come and go.
struct Front {
    url: String,
    target: tokio::sync::watch::Sender<String>,
}

impl Front {
    async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (target, current) = tokio::sync::watch::channel(String::new());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let target = current.borrow().clone();
                tokio::spawn(async move {
                    if let Ok(mut engine) = tokio::net::TcpStream::connect(target).await {
                        drop(tokio::io::copy_bidirectional(&mut client, &mut engine).await);
                    }
                });
            }
        });
        Self { url, target }
    }

    fn lead_to(&self, engine: &Engine) {
        self.target
            .send_replace(engine.url.trim_start_matches("http://").to_owned());
    }
}

impl Run {
    pub(crate) async fn get(&self, path: &str) -> (u16, serde_json::Value) {
        self.get_with(path, TOKEN).await
    }

    pub(crate) async fn get_with(&self, path: &str, token: &str) -> (u16, serde_json::Value) {
        let response = child::client()
            .get(format!("{}/{path}", self.url))
            .bearer_auth(token)
            .send()
            .await
            .unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub(crate) async fn stop(self) {
        self.lifecycle.stop();
        self.task.await.unwrap().unwrap();
    }
}
