//! Starts the engine as a process and speaks HTTP with it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

pub(crate) const INGEST: (&str, &str) = ("ingest", "ingest-password-0123");
pub(crate) const READER: (&str, &str) = ("reader", "reader-password-0123");

pub(crate) struct Engine {
    pub(crate) url: String,
    dir: tempfile::TempDir,
    child: Child,
    client: reqwest::Client,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) code: Option<u32>,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: String,
}

/// The example is built beside the tests.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/engine")
}

pub(crate) fn spawn(config: &serde_json::Value) -> Child {
    Command::new(program())
        .arg(config.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(crate) fn client() -> reqwest::Client {
    static TLS: Once = Once::new();
    TLS.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder()
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

impl Engine {
    pub(crate) async fn start() -> Self {
        Self::with(tempfile::tempdir().unwrap(), json!({})).await
    }

    pub(crate) async fn with(dir: tempfile::TempDir, more: serde_json::Value) -> Self {
        let port = free_port();
        let mut config = json!({
            "data_dir": dir.path().join("data"),
            "listen": format!("127.0.0.1:{port}"),
            "ingest_user": INGEST.0, "ingest_password": INGEST.1,
            "read_user": READER.0, "read_password": READER.1,
            "max_memory": "2 GiB",
        });
        config
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let mut command = Command::new(program());
        let child = command
            .arg(config.to_string())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let engine = Self {
            url: format!("http://127.0.0.1:{port}"),
            dir,
            child,
            client: client(),
        };
        let until = Instant::now() + Duration::from_secs(60);
        while engine
            .client
            .get(format!("{}/ping", engine.url))
            .send()
            .await
            .is_err()
        {
            assert!(Instant::now() < until, "the engine does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        engine
    }

    pub(crate) fn address(&self, params: &[(&str, &str)]) -> String {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs = params
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
        format!("{}/?{}", self.url, pairs.collect::<Vec<_>>().join("&"))
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let headers = response.headers().clone();
        let code = headers
            .get("x-clickhouse-exception-code")
            .map(|code| code.to_str().unwrap().parse().unwrap());
        Answer {
            status: response.status().as_u16(),
            code,
            headers,
            body: response.text().await.unwrap(),
        }
    }

    pub(crate) async fn post_as(
        &self,
        user: (&str, &str),
        params: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request = self
            .client
            .post(self.address(params))
            .basic_auth(user.0, Some(user.1))
            .body(body);
        self.send(request).await
    }

    pub(crate) async fn get_as(&self, user: (&str, &str), params: &[(&str, &str)]) -> Answer {
        self.send(
            self.client
                .get(self.address(params))
                .basic_auth(user.0, Some(user.1)),
        )
        .await
    }

    /// Runs a statement that must succeed, as the ingest user.
    pub(crate) async fn sql(&self, sql: &str) -> String {
        let answer = self.post_as(INGEST, &[], sql.to_owned()).await;
        assert_eq!(answer.status, 200, "{sql}: {}", answer.body);
        answer.body
    }

    pub(crate) fn crate_client(&self) -> clickhouse::Client {
        clickhouse::Client::default()
            .with_url(&self.url)
            .with_user(INGEST.0)
            .with_password(INGEST.1)
            .with_compression(clickhouse::Compression::None)
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// kill -9, and what is left on disk.
    pub(crate) fn kill(mut self) -> tempfile::TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let other = tempfile::tempdir().unwrap();
        std::mem::replace(&mut self.dir, other)
    }

    /// SIGTERM, and how long it took to end.
    pub(crate) async fn stop(mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, start.elapsed());
            }
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "the engine does not end"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
