//! Questions to ClickHouse over its HTTP interface, as anybody could ask them.

use std::time::Duration;

use anyhow::{Context as _, bail};
use jixinda_runtime::http;
use serde::de::DeserializeOwned;

use crate::config::Config;

#[derive(Debug)]
pub(super) struct Store {
    client: reqwest::Client,
    url: String,
    database: String,
    user: String,
    password: String,
}

impl Store {
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let (user, password) = if config.run.engine {
            let engine = &config.engine;
            (&engine.read_user, engine.read_password.expose())
        } else {
            (&config.analytics.user, config.analytics.password.expose())
        };
        Ok(Self {
            client: http::client(Duration::from_secs(20))?,
            url: config.analytics.url.clone(),
            database: config.analytics.database.clone(),
            user: user.clone(),
            password: password.to_owned(),
        })
    }

    /// # Errors
    /// When the platform has not made its tables yet.
    pub(super) async fn has_tables(&self) -> anyhow::Result<()> {
        for table in ["routings", "outcomes"] {
            let sql = format!("SELECT toUInt32(count()) FROM {table}");
            self.ask::<(u32,)>(&sql).await?;
        }
        Ok(())
    }

    /// The rows; each is read as a tuple of its columns.
    pub(super) async fn ask<T: DeserializeOwned>(&self, sql: &str) -> anyhow::Result<Vec<T>> {
        let response = self
            .client
            .post(format!("{}/?database={}", self.url, self.database))
            .header("X-ClickHouse-User", &self.user)
            .header("X-ClickHouse-Key", &self.password)
            .body(format!("{sql}\nFORMAT JSONCompactEachRow"))
            .send()
            .await
            .context("ClickHouse does not answer")?;
        let status = response.status();
        let text = response
            .text()
            .await
            .context("ClickHouse's answer broke off")?;
        if !status.is_success() {
            bail!("ClickHouse refused: {}", text.trim());
        }
        text.lines()
            .map(|line| {
                serde_json::from_str(line)
                    .with_context(|| format!("ClickHouse answered with the row {line}"))
            })
            .collect()
    }
}
