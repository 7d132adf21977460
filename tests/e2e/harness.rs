//! One platform for each test: its processes, its lab, its topics and database.

pub(crate) mod client;
mod die;
pub(crate) mod load;
pub(crate) mod log;
mod observe;
pub(crate) mod process;
pub(crate) mod world;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jixinda_runtime::{
    http,
    kafka::{self, Kafka, producer::Linger, producer::Producer},
    lifecycle::Lifecycle,
};
use jixinda_schemas::{Phone, Position, Topic, headers::Headers};
use serde_json::{Value, json};

use client::Client;
use log::Log;
use process::Process;
use world::World;

/// For anything that is only a matter of the machine's speed.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Partitions of each test's topics.
const PARTITIONS: i32 = 6;

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

/// All roles in one process.
pub(crate) const ALL_IN_ONE: &[(&str, &str)] = &[("all", "ingest,router,senders,analytics")];
/// One process for each role.
pub(crate) const SPLIT: &[(&str, &str)] = &[
    ("ingest", "ingest"),
    ("router", "router"),
    ("senders", "senders"),
    ("analytics", "analytics"),
];

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
    senders_deaths: usize,
    /// Lab, and an engine of the test's own.
    pub(crate) helpers: BTreeMap<&'static str, Process>,
    settings: Settings,
    http: reqwest::Client,
    producer: Producer,
    lifecycle: Lifecycle,
}

/// What a test may want to be different.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Variables of every process.
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) own_engine: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let variables = [
            ("KAFKA__SESSION_TIMEOUT", "6s"),
            ("ROUTER__RECEIPT_DEADLINE", "10s"),
            ("ANALYTICS__BATCH_INTERVAL", "500ms"),
        ];
        Self {
            variables: variables
                .map(|(k, v)| (format!("JIXINDA__{k}"), v.to_owned()))
                .to_vec(),
            own_engine: false,
        }
    }
}

impl Settings {
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
        let stack = Stack::get();
        let name = format!("t{:010x}", rand::random::<u64>() & 0xff_ffff_ffff);
        let dir = stack.data.join(&name);
        std::fs::create_dir_all(&dir).unwrap();
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
            senders_deaths: 0,
            helpers: BTreeMap::new(),
            http: http::client(Duration::from_secs(20)).unwrap(),
            lifecycle: Lifecycle::default(),
            clickhouse_url,
            dir,
            kafka,
            world,
            settings,
            stack,
        };
        platform.start_lab();
        if platform.settings.own_engine {
            platform.start_engine();
        }
        platform.run(&["topics", "apply"], &[]);
        let directory = platform.world.directory.clone();
        platform.apply_directory(&directory).await;
        platform.log = Log::follow(&platform.kafka, &platform.lifecycle).await;
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
        let variables = [
            ("JIXINDA__ENGINE__LIBRARY", self.stack.library.clone()),
            (
                "JIXINDA__ENGINE__DATA_DIR",
                self.dir.join("clickhouse").to_string_lossy().into_owned(),
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

    /// Starts one more process; `ready` waits for it.
    pub(crate) fn add(&mut self, name: &str, roles: &str) {
        let has = |role: &str| self.processes.values().any(|p| p.roles.contains(role));
        let receipts = if roles.contains("senders") && !has("senders") {
            self.world.receipts_port
        } else {
            process::free_port()
        };
        let analytics = if roles.contains("analytics") && !has("analytics") {
            self.world.analytics_port
        } else {
            process::free_port()
        };
        let ports = process::Ports {
            admin: process::free_port(),
            ingest: process::free_port(),
            receipts,
            analytics,
        };
        let local = |port: u16| format!("127.0.0.1:{port}");
        let mut variables = vec![
            ("JIXINDA__KAFKA__INSTANCE".to_owned(), name.to_owned()),
            ("JIXINDA__ADMIN__LISTEN".to_owned(), local(ports.admin)),
            ("JIXINDA__INGEST__LISTEN".to_owned(), local(ports.ingest)),
            ("JIXINDA__SENDERS__LISTEN".to_owned(), local(ports.receipts)),
            (
                "JIXINDA__ANALYTICS__LISTEN".to_owned(),
                local(ports.analytics),
            ),
            (
                "JIXINDA__INGEST__STATUS_URL".to_owned(),
                format!("http://{}", local(self.world.analytics_port)),
            ),
        ];
        variables.extend(self.settings.variables.clone());
        let config = self.config();
        let arguments = ["--config", &config, "run", "--roles", roles];
        let mut process = Process::start(name, &self.dir, &arguments, &variables);
        process.roles = roles.to_owned();
        process.ports = ports;
        self.processes.insert(name.to_owned(), process);
    }

    fn config(&self) -> String {
        self.dir.join("jixinda.toml").to_string_lossy().into_owned()
    }

    /// Waits until every process that runs says that it is ready.
    pub(crate) async fn ready(&mut self) {
        let names: Vec<String> = self.processes.keys().cloned().collect();
        for name in names {
            self.process_ready(&name).await;
        }
    }

    pub(crate) async fn process_ready(&mut self, name: &str) {
        let (http, process) = (self.http.clone(), self.processes.get_mut(name).unwrap());
        let url = format!("http://127.0.0.1:{}/readyz", process.ports.admin);
        eventually(&format!("{name} is ready"), SOON, async || {
            process.must_run();
            let answer = http.get(&url).send().await.map_err(|e| e.to_string())?;
            if answer.status().is_success() {
                return Ok(());
            }
            Err(answer.text().await.unwrap_or_default())
        })
        .await;
    }

    pub(crate) fn process(&mut self, name: &str) -> &mut Process {
        self.processes.get_mut(name).unwrap()
    }

    /// As power loss would: no drain.
    pub(crate) fn kill(&mut self, name: &str) {
        self.process(name).kill();
        self.senders_deaths += usize::from(self.process(name).roles.contains("senders"));
    }

    /// How often a process that calls vendors was killed.
    pub(crate) fn senders_deaths(&self) -> usize {
        self.senders_deaths
    }

    /// SIGTERM, and the end that a service manager wants to see.
    pub(crate) async fn stop(&mut self, name: &str) {
        self.process(name).stop().await;
    }

    pub(crate) fn restart(&mut self, name: &str) {
        self.process(name).restart();
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
        let names: Vec<String> = self.processes.keys().cloned().collect();
        for name in names {
            if self.processes[&name].was_started() {
                self.process(&name).must_run();
                self.stop(&name).await;
            }
        }
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
