//! A lab with one account, on any port, with its journal in a directory of its own.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use jixinda_lab::journal::{self, Call, Entry, Receipt};
use jixinda_lab::{Config, Lab};
use tempfile::TempDir;

pub(crate) struct Setup {
    pub(crate) lab: Lab,
    pub(crate) directory: TempDir,
}

impl Setup {
    /// `account` is TOML added to the account, `top` TOML added to the settings.
    pub(crate) async fn new(top: &str, account: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let journal = directory.path().join("journal.jsonl");
        let text = format!(
            r#"
listen = "127.0.0.1:0"
journal = "{}"
{top}
[[accounts]]
id = "ali"
access_key_id = "lab-key"
secrets = ["old-secret", "lab-secret"]
sign_names = ["测试签名"]
templates = {{ SMS_1 = {{ variables = ["code"] }}, SMS_2 = {{ body = "{}" }} }}
{account}
"#,
            journal.display(),
            "字".repeat(65),
        );
        let lab = Lab::start(Config::parse(&text).unwrap()).await.unwrap();
        Self { lab, directory }
    }

    pub(crate) fn at(&self) -> SocketAddr {
        self.lab.local_addr()
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        let path = self.directory.path().join("journal.jsonl");
        journal::read(path).unwrap().map(Result::unwrap).collect()
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        let call = |entry| match entry {
            Entry::Call(call) => Some(call),
            Entry::Receipt(_) => None,
        };
        self.entries().into_iter().filter_map(call).collect()
    }

    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        let receipt = |entry| match entry {
            Entry::Receipt(receipt) => Some(receipt),
            Entry::Call(_) => None,
        };
        self.entries().into_iter().filter_map(receipt).collect()
    }
}

pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    for _ in 0..500 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 5 s: {what}");
}
