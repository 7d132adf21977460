//! What a test can see of a platform from outside.

use std::collections::BTreeMap;

use jixinda_lab::journal;
use serde_json::Value;

use super::Platform;

impl Platform {
    /// Rows of a `SELECT`, as objects.
    pub(crate) async fn clickhouse(&self, sql: &str) -> Result<Vec<Value>, String> {
        let reader = ("reader", self.stack.read_password.as_str());
        let text = self
            .ask(reader, format!("{sql} FORMAT JSONEachRow"))
            .await?;
        text.lines()
            .map(|line| serde_json::from_str(line).map_err(|e| format!("{e}: {line}")))
            .collect()
    }

    /// Changes tables behind the platform's back.
    pub(crate) async fn write(&self, sql: &str) {
        let writer = ("ingest", self.stack.write_password.as_str());
        let answer = self.ask(writer, sql.to_owned()).await;
        answer.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    async fn ask(&self, (user, password): (&str, &str), sql: String) -> Result<String, String> {
        let url = format!("{}/?database={}", self.clickhouse_url, self.database);
        let request = self.http.post(url).body(sql);
        let sent = request
            .header("X-ClickHouse-User", user)
            .header("X-ClickHouse-Key", password)
            .send()
            .await
            .map_err(|e| format!("{e:?}"))?;
        let good = sent.status().is_success();
        let text = sent.text().await.map_err(|e| format!("{e:?}"))?;
        if good { Ok(text) } else { Err(text) }
    }

    /// Everything that the lab has noted.
    pub(crate) fn lab_journal(&self) -> Vec<journal::Entry> {
        match journal::read(self.dir.join("journal.jsonl")) {
            Ok(entries) => entries.map(Result::unwrap).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// The calls to the lab, in the order in which they came.
    pub(crate) fn calls(&self) -> Vec<journal::Call> {
        let mut calls: Vec<_> = self
            .lab_journal()
            .into_iter()
            .filter_map(|entry| match entry {
                journal::Entry::Call(call) => Some(call),
                journal::Entry::Receipt(_) => None,
            })
            .collect();
        calls.sort_by_key(|call| call.at_ns);
        calls
    }

    /// Calls for one recipient.
    pub(crate) fn calls_for(&self, recipient: &str) -> Vec<journal::Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.recipients.iter().any(|r| r == recipient));
        calls
    }

    /// Changes an account of the lab while it runs.
    pub(crate) async fn lab_patch(&self, account: &str, change: &Value) {
        let url = format!(
            "http://127.0.0.1:{}/lab/accounts/{account}",
            self.world.lab_port
        );
        let answer = self.http.patch(url).json(change).send().await.unwrap();
        let good = answer.status().is_success();
        assert!(good, "{}", answer.text().await.unwrap());
    }

    /// A message from a handset to an account of the lab.
    pub(crate) async fn lab_inbound(&self, account: &str, mo: &Value) {
        let port = self.world.lab_port;
        let url = format!("http://127.0.0.1:{port}/lab/accounts/{account}/inbound");
        let answer = self.http.post(url).json(mo).send().await.unwrap();
        let good = answer.status().is_success();
        let text = answer.text().await.unwrap();
        assert!(
            good && (text.contains("acked") || text.contains("kept")),
            "{account}: {text}"
        );
    }

    /// Has the lab push at once whatever receipts wait, those to be pushed again included.
    pub(crate) async fn flush_receipts(&self) {
        let port = self.world.lab_port;
        let url = format!("http://127.0.0.1:{port}/lab/receipts/flush");
        let answer = self.http.post(url).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    /// Prometheus text of a process.
    pub(crate) async fn metrics(&self, process: &str) -> String {
        let port = self.processes[process].ports.admin;
        let url = format!("http://127.0.0.1:{port}/metrics");
        self.http
            .get(url)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    /// Sum of the samples of `name` that have all of `labels`.
    pub(crate) async fn metric(&self, process: &str, name: &str, labels: &[&str]) -> f64 {
        let text = self.metrics(process).await;
        text.lines()
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            })
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Texts of all logs so far, by process.
    pub(crate) fn logs(&self) -> BTreeMap<String, String> {
        std::fs::read_dir(&self.dir)
            .unwrap()
            .filter_map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name()?.to_str()?.to_owned();
                name.ends_with(".log")
                    .then(|| (name, std::fs::read_to_string(path).unwrap_or_default()))
            })
            .collect()
    }
}
