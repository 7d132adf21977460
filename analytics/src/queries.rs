//! Named questions: `queries/*.sql`, each with a first line that says what it answers.

use std::{collections::BTreeSet, time::Duration};

use jixinda_schemas::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::{Config, Error};

const LIMIT: Duration = Duration::from_secs(60);
const HOUR_MS: i64 = 3_600_000;

/// One named question.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    pub name: &'static str,
    pub sql: &'static str,
}

macro_rules! queries {
    ($($name:literal),* $(,)?) => {
        /// Every question.
        const ALL: &[Query] = &[$(Query { name: $name, sql: include_str!(concat!("../queries/", $name, ".sql")) }),*];
    };
}

queries!(
    "volume",
    "outcomes",
    "delivery_by_channel",
    "delivery_by_app",
    "delivery_by_template",
    "latency_by_channel",
    "vendor_latency",
    "failures",
    "vendor_errors",
    "channel_share",
    "dead_letters",
);

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
}

impl Query {
    /// What it answers.
    #[must_use]
    pub fn description(&self) -> &'static str {
        self.sql
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("--")
            .trim()
    }

    /// Names of its parameters.
    #[must_use]
    pub fn params(&self) -> BTreeSet<&'static str> {
        let names = self
            .sql
            .split('{')
            .skip(1)
            .filter_map(|rest| rest.split_once(':'));
        names.map(|(name, _)| name).collect()
    }
}

/// Every question.
#[must_use]
pub const fn list() -> &'static [Query] {
    ALL
}

/// The question of that name.
///
/// # Errors
/// Names those that there are.
pub fn find(name: &str) -> Result<&'static Query, Error> {
    ALL.iter().find(|query| query.name == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|query| query.name).collect();
        Error::Query(format!("no query `{name}`; there are {}", names.join(", ")))
    })
}

/// Asks. Absent parameters are the last hour before `now` (`from`, `to`), 20 rows (`limit`) and the zone of the
/// settings (`zone`); instants are Unix seconds or `2026-01-02 03:04:05` in UTC.
///
/// # Errors
/// When the query or a parameter is not known, or ClickHouse refuses or does not answer.
pub async fn run(
    config: &Config,
    name: &str,
    params: &[(String, String)],
    now: Timestamp,
) -> Result<Table, Error> {
    let query = find(name)?;
    let known = query.params();
    if let Some((unknown, _)) = params
        .iter()
        .find(|(name, _)| !known.contains(name.as_str()))
    {
        let known: Vec<&str> = known.into_iter().collect();
        return Err(Error::Query(format!(
            "{name} has no parameter `{unknown}`; it has {}",
            known.join(", ")
        )));
    }
    let mut ask = config.client().query_raw(query.sql);
    for param in known {
        let given = params
            .iter()
            .find(|(name, _)| name == param)
            .map(|(_, value)| value.clone());
        let value = given.or_else(|| default(config, param, now));
        ask = ask.param(
            param,
            value.ok_or_else(|| Error::Query(format!("{name} needs the parameter `{param}`")))?,
        );
    }
    let mut cursor = ask
        .fetch_bytes("JSONCompact")
        .map_err(Error::clickhouse(name))?;
    let bytes = tokio::time::timeout(LIMIT, cursor.collect())
        .await
        .map_err(|_| Error::Slow(name.to_owned()))?
        .map_err(Error::clickhouse(name))?;
    read(&bytes).map_err(|e| Error::Query(format!("{name}: the answer cannot be read: {e}")))
}

fn default(config: &Config, param: &str, now: Timestamp) -> Option<String> {
    match param {
        "from" => Some((now.plus_millis(-HOUR_MS).millis().div_euclid(1000)).to_string()),
        "to" => Some((now.millis().div_euclid(1000) + 1).to_string()),
        "limit" => Some("20".to_owned()),
        "zone" => Some(config.zone.clone()),
        _ => None,
    }
}

fn read(bytes: &[u8]) -> Result<Table, serde_json::Error> {
    #[derive(Deserialize)]
    struct Column {
        name: String,
    }
    #[derive(Deserialize)]
    struct Answer {
        meta: Vec<Column>,
        data: Vec<Vec<Value>>,
    }
    let answer: Answer = serde_json::from_slice(bytes)?;
    Ok(Table {
        columns: answer.meta.into_iter().map(|c| c.name).collect(),
        rows: answer.data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed_and_says_what_it_answers() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/queries");
        let files = std::fs::read_dir(dir)
            .unwrap()
            .map(|f| f.unwrap().file_name().into_string().unwrap());
        let files: BTreeSet<String> = files.collect();
        let listed: BTreeSet<String> = list().iter().map(|q| format!("{}.sql", q.name)).collect();
        assert_eq!(files, listed);
        for query in list() {
            assert!(
                query.sql.starts_with("-- ") && query.description().ends_with('.'),
                "{}",
                query.name
            );
            assert!(query.params().contains("from"), "{}", query.name);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_that_there_are() {
        assert!(
            find("nosuch")
                .unwrap_err()
                .to_string()
                .contains("channel_share")
        );
    }
}
