//! One platform for each test: its processes, its lab, its topics and database.

pub(crate) mod broker;
pub(crate) mod client;
mod die;
pub(crate) mod lives;
pub(crate) mod load;
pub(crate) mod log;
mod observe;
pub(crate) mod process;
mod processes;
pub(crate) mod world;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use jixinda_runtime::{
    http,
    kafka::{self, Kafka, producer::Linger, producer::Producer},
    lifecycle::Lifecycle,
};
use jixinda_schemas::{Phone, Position, Topic, headers::Headers};
use serde_json::{Value, json};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use broker::Broker;
use client::Client;
use lives::Lives;
use log::Log;
use process::Process;
use world::World;

/// For anything that is only a matter of the machine's speed.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Partitions of each test's topics.
pub(crate) const PARTITIONS: i32 = 6;

/// What the stack gives to every test.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    brokers: String,
    pub(crate) clickhouse: String,
    pub(crate) write_password: String,
    pub(crate) read_password: String,
    data: PathBuf,
    library: String,
}

impl Stack {
    fn get() -> Self {
        let variable = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| {
                panic!(
                    "{name} is not set: the end-to-end tests need a broker and a ClickHouse engine. Run `make test`, \
                     or `deploy/local/test-stack.sh run -- cargo test -p jixinda --test e2e`"
                )
            })
        };
        Self {
            brokers: variable("JIXINDA_TEST_BROKERS"),
            clickhouse: variable("JIXINDA_TEST_CLICKHOUSE"),
            write_password: variable("JIXINDA_TEST_CLICKHOUSE_PASSWORD"),
            read_password: variable("JIXINDA_TEST_CLICKHOUSE_READ_PASSWORD"),
            data: variable("JIXINDA_TEST_DATA").into(),
            library: variable("JIXINDA_TEST_LIBCHDB"),
        }
    }
}

/// Polls until `probe` is satisfied; at the deadline the test fails with its last complaint.
pub(crate) async fn eventually<T, E: std::fmt::Display>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let began = Instant::now();
    loop {
        match probe().await {
            Ok(found) => return found,
            Err(complaint) if began.elapsed() >= limit => {
                panic!("{what}: not within {limit:?}: {complaint}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Who may run now: many together, or one alone.
static TURN: LazyLock<Arc<RwLock<()>>> = LazyLock::new(Arc::default);

/// Held for as long as a platform is.
enum Turn {
    Shared(#[expect(dead_code, reason = "held")] OwnedRwLockReadGuard<()>),
    Alone(#[expect(dead_code, reason = "held")] OwnedRwLockWriteGuard<()>),
}

impl Turn {
    async fn take(alone: bool) -> Self {
        let turn = Arc::clone(&TURN);
        if alone {
            Self::Alone(turn.write_owned().await)
        } else {
            Self::Shared(turn.read_owned().await)
        }
    }
}

/// All roles in one process.
pub(crate) const ALL_IN_ONE: &[(&str, &str)] = &[("all", "ingest,router,senders,analytics")];
/// A platform of its own.
pub(crate) struct Platform {
    pub(crate) dir: PathBuf,
    pub(crate) prefix: String,
    pub(crate) kafka: Kafka,
    pub(crate) world: World,
    pub(crate) log: Log,
    pub(crate) database: String,
    pub(crate) clickhouse_url: String,
    pub(crate) platform_key: String,
    pub(crate) stack: Stack,
    processes: BTreeMap<String, Process>,
    pub(crate) lives: Lives,
    /// A broker of the test's own.
    pub(crate) broker: Option<Broker>,
    /// Lab, and an engine of the test's own.
    pub(crate) helpers: BTreeMap<&'static str, Process>,
    settings: Settings,
    _turn: Turn,
    http: reqwest::Client,
    pub(crate) producer: Producer,
    pub(crate) lifecycle: Lifecycle,
}

/// What a test may want to be different.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Variables of every process.
    pub(crate) variables: Vec<(String, String)>,
    /// Variables of the processes with ingest.
    pub(crate) of_ingest: Vec<(String, String)>,
    pub(crate) own_engine: bool,
    /// Where an own engine has its data; in the test's folder unless set.
    pub(crate) engine_data: Option<PathBuf>,
    pub(crate) own_broker: bool,
    /// Keep every record of every topic in memory, for `Platform::log`.
    pub(crate) keep_log: bool,
    /// No other platform meanwhile: for tests that look at the clock, or kill the brokers of a small machine.
    pub(crate) alone: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let variables = [
            ("KAFKA__SESSION_TIMEOUT", "6s"),
            ("ROUTER__RECEIPT_DEADLINE", "10s"),
            // So that every test meets parked work.
            ("ROUTER__PARK_AFTER", "1s"),
            ("ANALYTICS__BATCH_INTERVAL", "500ms"),
        ];
        Self {
            variables: variables
                .map(|(k, v)| (format!("JIXINDA__{k}"), v.to_owned()))
                .to_vec(),
            of_ingest: Vec::new(),
            own_engine: false,
            engine_data: None,
            own_broker: false,
            keep_log: true,
            alone: false,
        }
    }
}

impl Settings {
    /// No other platform meanwhile.
    pub(crate) fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables
            .push((format!("JIXINDA__{name}"), value.into()));
        self
    }
}

impl Platform {
    /// Starts everything and waits until it is ready.
    pub(crate) async fn start(world: World, processes: &[(&str, &str)]) -> Self {
        Self::start_with(world, processes, Settings::default()).await
    }

    pub(crate) async fn start_with(
        world: World,
        processes: &[(&str, &str)],
        settings: Settings,
    ) -> Self {
        let mut platform = Self::prepare(world, settings).await;
        for (name, roles) in processes {
            platform.add(name, roles);
        }
        platform.ready().await;
        platform
    }

    /// Lab, topics and directory; no role yet.
    async fn prepare(world: World, settings: Settings) -> Self {
        let turn = Turn::take(settings.alone).await;
        let mut stack = Stack::get();
        let name = format!("t{:010x}", rand::random::<u64>() & 0xff_ffff_ffff);
        let dir = stack.data.join(&name);
        std::fs::create_dir_all(&dir).unwrap();
        let broker = settings.own_broker.then(|| Broker::new(&dir));
        if let Some(broker) = &broker {
            broker.start().await;
            stack.brokers = broker.address();
        }
        let key = base64_key();
        let kafka = Kafka::new(kafka::Config {
            brokers: stack.brokers.clone(),
            prefix: format!("{name}."),
            partitions: PARTITIONS,
            replication: 1,
            instance: "test".to_owned(),
            session_timeout: Duration::from_secs(6),
            properties: BTreeMap::new(),
        })
        .unwrap();
        let clickhouse_url = if settings.own_engine {
            format!("http://127.0.0.1:{}", process::free_port())
        } else {
            stack.clickhouse.clone()
        };
        std::fs::write(
            dir.join("jixinda.toml"),
            toml::to_string(&base_config(&stack, &kafka, &name, &key, &clickhouse_url)).unwrap(),
        )
        .unwrap();
        let mut platform = Self {
            prefix: kafka.config().prefix.clone(),
            producer: Producer::new(&kafka, "test", Linger::Short).unwrap(),
            log: Log::default(),
            database: format!("e2e_{name}"),
            platform_key: key,
            processes: BTreeMap::new(),
            lives: Lives::default(),
            broker,
            helpers: BTreeMap::new(),
            http: http::client(Duration::from_secs(20)).unwrap(),
            lifecycle: Lifecycle::default(),
            clickhouse_url,
            dir,
            kafka,
            world,
            settings,
            _turn: turn,
            stack,
        };
        platform.start_lab();
        if platform.settings.own_engine {
            platform.start_engine();
        }
        platform.run(&["topics", "apply"], &[]);
        let directory = platform.world.directory.clone();
        platform.apply_directory(&directory).await;
        if platform.settings.keep_log {
            platform.log = Log::follow(&platform.kafka, &platform.lifecycle).await;
        }
        platform
    }

    fn start_lab(&mut self) {
        let file = self.dir.join("lab.toml");
        self.world.lab["journal"] = json!(self.dir.join("journal.jsonl"));
        std::fs::write(&file, toml::to_string(&self.world.lab).unwrap()).unwrap();
        let file = file.to_string_lossy().into_owned();
        let lab = Process::start("lab", &self.dir, &["--config", &file, "lab", "serve"], &[]);
        self.helpers.insert("lab", lab);
    }

    /// An engine of the test's own.
    pub(crate) fn start_engine(&mut self) {
        let data = self.settings.engine_data.clone();
        let data = data.unwrap_or_else(|| self.dir.join("clickhouse"));
        let variables = [
            ("JIXINDA__ENGINE__LIBRARY", self.stack.library.clone()),
            (
                "JIXINDA__ENGINE__DATA_DIR",
                data.to_string_lossy().into_owned(),
            ),
            (
                "JIXINDA__ENGINE__LISTEN",
                self.clickhouse_url.trim_start_matches("http://").to_owned(),
            ),
            (
                "JIXINDA__ENGINE__INGEST_PASSWORD",
                self.stack.write_password.clone(),
            ),
            (
                "JIXINDA__ENGINE__READ_PASSWORD",
                self.stack.read_password.clone(),
            ),
        ];
        let variables: Vec<_> = variables.map(|(k, v)| (k.to_owned(), v)).to_vec();
        let engine = Process::start("engine", &self.dir, &["engine"], &variables);
        self.helpers.insert("engine", engine);
    }

    fn config(&self) -> String {
        self.dir.join("jixinda.toml").to_string_lossy().into_owned()
    }

    /// Runs a command of the program to its end; returns what it printed.
    pub(crate) fn run(&self, arguments: &[&str], variables: &[(String, String)]) -> String {
        self.try_run(arguments, variables)
            .unwrap_or_else(|failed| panic!("{failed}"))
    }

    pub(crate) fn try_run(
        &self,
        arguments: &[&str],
        variables: &[(String, String)],
    ) -> Result<String, process::Failed> {
        let config = self.config();
        process::run(&[&["--config", &config], arguments].concat(), variables)
    }

    /// Makes the directory what `wanted` says and waits until all processes work with it.
    pub(crate) async fn apply_directory(&self, wanted: &Value) {
        let file = self.dir.join("directory.json");
        std::fs::write(&file, wanted.to_string()).unwrap();
        let peers: Vec<String> = self
            .processes
            .values()
            .filter(|p| p.is_running())
            .map(|p| format!("\"127.0.0.1:{}\"", p.ports.admin))
            .collect();
        let file = file.to_string_lossy().into_owned();
        let mut arguments = vec!["directory", "apply", "--prune", &file];
        if !peers.is_empty() {
            arguments.push("--wait");
        }
        let variables = [(
            "JIXINDA__ADMIN__PEERS".to_owned(),
            format!("[{}]", peers.join(",")),
        )];
        tokio::task::block_in_place(|| self.run(&arguments, &variables));
    }

    /// The HTTP client of `app` at `process`.
    pub(crate) fn client(&self, process: &str, app: &str) -> Client {
        let (key, secret) = self.world.credential(app);
        let port = self.processes[process].ports.ingest;
        Client::new(
            self.http.clone(),
            format!("http://127.0.0.1:{port}"),
            key,
            secret,
        )
    }

    /// Writes a record as a direct producer would.
    pub(crate) async fn produce(
        &self,
        topic: Topic,
        key: Option<&str>,
        value: &[u8],
        partition: Option<i32>,
        headers: Headers,
    ) -> Position {
        let record = kafka::OwnedRecord {
            topic,
            partition,
            key: key.map(|k| k.as_bytes().to_vec()),
            value: Some(value.to_vec()),
            headers,
        };
        self.producer.write(&record).unwrap().await.unwrap()
    }

    /// A well-formed direct record.
    pub(crate) async fn produce_direct(&self, topic: Topic, event: &Value) -> Position {
        let recipient = event["payload"]["recipient"].as_str().unwrap().to_owned();
        let headers = Headers::of("request");
        self.produce(
            topic,
            Some(&recipient),
            event.to_string().as_bytes(),
            None,
            headers,
        )
        .await
    }

    /// Stops all processes; each must still run, end well, and have had no panic.
    pub(crate) async fn end(mut self) {
        self.stop_all().await;
        for (name, text) in self.logs() {
            assert!(!text.contains("panicked at"), "{name}:\n{text}");
        }
        self.lifecycle.stop();
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.lifecycle.stop();
    }
}

fn base64_key() -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(rand::random::<[u8; 32]>())
}

fn base_config(stack: &Stack, kafka: &Kafka, name: &str, key: &str, clickhouse: &str) -> Value {
    let token = format!("{:032x}", rand::random::<u128>());
    json!({
        "kafka": {
            "brokers": stack.brokers,
            "prefix": kafka.config().prefix,
            "partitions": PARTITIONS,
        },
        "secrets": { "platform_key": key },
        "run": { "engine": false },
        "ingest": { "status_token": token },
        "analytics": {
            "token": token,
            "url": clickhouse,
            "password": stack.write_password,
            "database": format!("e2e_{name}"),
        },
    })
}

/// A number that no other message of this run has.
pub(crate) fn recipient() -> Phone {
    use std::sync::{LazyLock, atomic::AtomicU32, atomic::Ordering::Relaxed};
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(rand::random::<u32>() >> 8));
    let number = NEXT.fetch_add(1, Relaxed) % 100_000_000;
    format!("+86138{number:08}").parse().unwrap()
}

/// The tail of a file, for failures.
pub(crate) fn tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
