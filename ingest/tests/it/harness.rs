//! A running service, its log, and callers.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jixinda_ingest::{Config, Deps, Service, config::DEFAULTS};
use jixinda_runtime::{
    clock::{Clock as _, SystemClock},
    directory::{Directory, View},
    http,
    lifecycle::Lifecycle,
    testing::{Captured, MockBroker},
};
use jixinda_schemas::{
    Envelope, Topic,
    auth::Signable,
    codec::{self, Event},
    directory::{Snapshot, Suppressions, credential_place},
    event::Request,
    seal::PlatformKey,
};
use serde_json::Value;

pub(crate) struct Harness {
    pub(crate) broker: MockBroker,
    pub(crate) address: SocketAddr,
    pub(crate) scheme: &'static str,
    pub(crate) lifecycle: Lifecycle,
    task: Option<tokio::task::JoinHandle<Result<(), jixinda_ingest::Error>>>,
    client: reqwest::Client,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.body[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {}", self.body))
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// `field:code` of each error.
    pub(crate) fn errors(&self) -> Vec<String> {
        errors(&self.body)
    }
}

pub(crate) fn errors(of: &Value) -> Vec<String> {
    let Some(list) = of["errors"].as_array() else {
        return Vec::new();
    };
    list.iter()
        .map(|e| {
            format!(
                "{}:{}",
                e["field"].as_str().unwrap(),
                e["code"].as_str().unwrap()
            )
        })
        .collect()
}

pub(crate) fn platform() -> PlatformKey {
    PlatformKey::from_base64("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=").unwrap()
}

fn view() -> View {
    let app = |id: &str, extra: &str, key_id: &str| {
        let sealed = platform()
            .seal(&credential_place(&id.parse().unwrap(), key_id), "secret")
            .0;
        let value = format!(
            r#"{{"type":"app","id":"{id}"{extra},"credentials":[{{"key_id":"{key_id}","secret":"{sealed}","bearer":true}}]}}"#
        );
        (format!("app/{id}"), value)
    };
    let entity = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let records = [
        app("shop", "", "k1"),
        app("slow", r#","rate_per_second":5"#, "kslow"),
        app("office", r#","ip_allow":["198.51.100.0/24"]"#, "koffice"),
        entity(
            "signature/acme",
            r#"{"type":"signature","id":"acme","text":"ACME"}"#,
        ),
        entity(
            "template/login",
            r#"{"type":"template","id":"login","app":"shop","lane":"otp","signature":"acme",
                "body":"code {code}","variables":[{"name":"code","kind":"digits","max_length":6}]}"#,
        ),
        entity(
            "template/news",
            r#"{"type":"template","id":"news","app":"shop","lane":"marketing","signature":"acme","body":"news"}"#,
        ),
        entity(
            "template/slow-news",
            r#"{"type":"template","id":"slow-news","app":"slow","lane":"notice","signature":"acme","body":"news"}"#,
        ),
    ];
    let mut snapshot = Snapshot::default();
    for (offset, (key, value)) in (0..).zip(&records) {
        snapshot.apply(key, Some(value.as_bytes()), offset).unwrap();
    }
    snapshot
        .apply(
            "revision",
            Some(br#"{"type":"revision","revision":1,"changed":7}"#),
            99,
        )
        .unwrap();
    let list: Suppressions = serde_json::from_str(r#"{"entries":[{"note":"complaint"}]}"#).unwrap();
    View {
        snapshot: Arc::new(snapshot),
        suppressions: Arc::new([("+8613900139000".parse().unwrap(), list)].into()),
    }
}

pub(crate) fn config() -> Config {
    let root: toml::Table = toml::from_str(DEFAULTS).unwrap();
    let mut config: Config = root["ingest"].clone().try_into().unwrap();
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.status_url = String::new();
    config
}

pub(crate) fn now_seconds() -> i64 {
    SystemClock.now().millis() / 1000
}

pub(crate) fn nonce() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("nonce-{:08}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// `Authorization` of a signed request.
pub(crate) fn sign(
    method: &str,
    target: &str,
    body: &str,
    key: &str,
    ts: i64,
    nonce: &str,
) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Signable {
        method,
        path,
        query,
        body: body.as_bytes(),
        key,
        ts,
        nonce,
    }
    .authorization("secret")
}

impl Harness {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        http::install_crypto();
        let broker = MockBroker::start(3).unwrap();
        let mut config = config();
        change(&mut config);
        let scheme = if config.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let deps = Deps {
            kafka: broker.kafka(),
            directory: Directory::fixed(view()),
            platform_key: platform(),
            clock: SystemClock::shared(),
        };
        let service = Service::new(config, deps).await.unwrap();
        let address = service.address();
        let lifecycle = Lifecycle::default();
        let task = Some(tokio::spawn(service.run(lifecycle.component("ingest"))));
        let client = reqwest::Client::builder()
            .no_proxy()
            .danger_accept_invalid_certs(true)
            .build()
            .unwrap();
        Self {
            broker,
            address,
            scheme,
            lifecycle,
            task,
            client,
        }
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let url = format!("{}://{}{target}", self.scheme, self.address);
        let mut request = self
            .client
            .request(method.parse().unwrap(), url)
            .body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        Answer {
            status,
            headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    pub(crate) async fn post_as(&self, authorization: &str, target: &str, body: &str) -> Answer {
        self.call(
            "POST",
            target,
            &[
                ("authorization", authorization),
                ("content-type", "application/json"),
            ],
            body,
        )
        .await
    }

    /// Signed anew by app `shop`.
    pub(crate) async fn post(&self, target: &str, body: &str) -> Answer {
        self.post_as(
            &sign("POST", target, body, "k1", now_seconds(), &nonce()),
            target,
            body,
        )
        .await
    }

    pub(crate) async fn send(&self, body: &str) -> Answer {
        self.post("/v1/messages", body).await
    }

    /// Signed anew by app `shop`.
    pub(crate) async fn get(&self, target: &str) -> Answer {
        let authorization = sign("GET", target, "", "k1", now_seconds(), &nonce());
        self.call("GET", target, &[("authorization", &authorization)], "")
            .await
    }

    pub(crate) fn records(&self, topic: Topic) -> Vec<Captured> {
        tokio::task::block_in_place(|| self.broker.read_all(topic).unwrap())
    }

    pub(crate) fn all_records(&self) -> usize {
        [
            Topic::RequestsOtp,
            Topic::RequestsNotice,
            Topic::RequestsMarketing,
        ]
        .map(|t| self.records(t).len())
        .iter()
        .sum()
    }

    pub(crate) async fn stop(mut self) {
        self.lifecycle.stop();
        let task = self.task.take().unwrap();
        tokio::time::timeout(Duration::from_secs(10), task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

impl Drop for Harness {
    /// A producer that outlives its broker takes a second to end, so the service ends first.
    fn drop(&mut self) {
        self.lifecycle.stop();
        if let Some(task) = self.task.take()
            && !std::thread::panicking()
        {
            let ended = tokio::time::timeout(Duration::from_secs(10), task);
            let _ended =
                tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(ended));
        }
    }
}

pub(crate) fn request(record: &Captured) -> Envelope<Request> {
    let header = (
        record.headers.kind.as_deref().unwrap(),
        record.headers.version.unwrap(),
    );
    match codec::decode(Some(header), record.value.as_deref().unwrap()).unwrap() {
        Event::Request(envelope) => envelope,
        other => panic!("{other:?}"),
    }
}

pub(crate) const GOOD: &str =
    r#"{"recipient":"13800138000","template":"login","params":{"code":"123456"}}"#;
