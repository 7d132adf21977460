//! The database: its tables, and whether it is one that this role may write to.

use std::time::Duration;

use clickhouse::{Client, Row, sql::Identifier};
use serde::Deserialize;
use tracing::info;
use uuid::Uuid;

use crate::{Config, Error};

/// Version of the tables that this release writes.
pub const SCHEMA_VERSION: u32 = 1;

/// Tables, then the columns that later releases added to them.
const STATEMENTS: [&str; 7] = [
    include_str!("../ddl/meta.sql"),
    include_str!("../ddl/routings.sql"),
    include_str!("../ddl/attempts.sql"),
    include_str!("../ddl/receipts.sql"),
    include_str!("../ddl/outcomes.sql"),
    include_str!("../ddl/dead_letters.sql"),
    include_str!("../ddl/outcomes_redrive_of.sql"),
];

/// The effectively-once rests on it: a retry must find the token of the first try.
const WINDOW: u64 = 10_000;
const WINDOW_SECONDS: u64 = 7 * 86_400;
const LIMIT: Duration = Duration::from_secs(30);

/// What the sink has to know of the server.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// It has the setting `deduplicate_insert`, which overrides `insert_deduplicate`.
    pub has_deduplicate_insert: bool,
}

/// Creates what is missing, and refuses a database of another log, of a newer release, or whose tables forget tokens
/// too early.
///
/// # Errors
/// A transient one when ClickHouse does not answer; [`Error::Schema`] when the database is refused.
pub async fn apply(config: &Config, log_id: Uuid) -> Result<Server, Error> {
    let server = config.client().with_database("default");
    let create = server
        .query("CREATE DATABASE IF NOT EXISTS ?")
        .bind(Identifier(&config.database));
    limited("creating the database", create.execute()).await?;
    let client = config.client();
    for sql in STATEMENTS {
        let sql = sql
            .replace("{{zone}}", &config.zone)
            .replace("{{retention_days}}", &config.retention_days.to_string());
        limited("creating a table", client.query_raw(&sql).execute()).await?;
    }
    check_windows(&client, &config.database).await?;
    check_meta(&client, config, log_id).await?;
    let known =
        client.query_raw("SELECT count() FROM system.settings WHERE name = 'deduplicate_insert'");
    let known: u64 = limited("reading the settings", known.fetch_one()).await?;
    info!(database = config.database, "analytics tables ready");
    Ok(Server {
        has_deduplicate_insert: known > 0,
    })
}

async fn limited<T>(
    what: &str,
    work: impl Future<Output = Result<T, clickhouse::error::Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(LIMIT, work)
        .await
        .map_err(|_| Error::Slow(what.to_owned()))?
        .map_err(Error::clickhouse(what))
}

#[derive(Debug, Row, Deserialize)]
struct Table {
    name: String,
    engine: String,
    engine_full: String,
}

async fn check_windows(client: &Client, database: &str) -> Result<(), Error> {
    let tables = client.query_raw(
        "SELECT name, engine, engine_full FROM system.tables WHERE database = {database:String}",
    );
    let tables: Vec<Table> = limited(
        "reading the tables",
        tables.param("database", database).fetch_all(),
    )
    .await?;
    let ours =
        |name: &str| name == "meta" || crate::rows::Table::ALL.iter().any(|t| t.name() == name);
    for table in tables.iter().filter(|t| ours(&t.name)) {
        check_window(table)?;
    }
    Ok(())
}

fn check_window(table: &Table) -> Result<(), Error> {
    let wanted: &[(&str, u64)] = if table.engine == "MergeTree" {
        &[("non_replicated_deduplication_window", WINDOW)]
    } else {
        &[
            ("replicated_deduplication_window", WINDOW),
            ("replicated_deduplication_window_seconds", WINDOW_SECONDS),
        ]
    };
    for (name, least) in wanted {
        if setting(&table.engine_full, name).is_none_or(|value| value < *least) {
            return Err(Error::Schema(format!(
                "table {} would forget insert tokens too early: run `ALTER TABLE {} MODIFY SETTING {name} = {least}`",
                table.name, table.name
            )));
        }
    }
    Ok(())
}

/// The value of a setting in `engine_full`.
fn setting(engine_full: &str, name: &str) -> Option<u64> {
    let (_, settings) = engine_full.split_once(" SETTINGS ")?;
    settings.split(", ").find_map(|pair| {
        let (key, value) = pair.split_once(" = ")?;
        (key == name).then(|| value.trim_matches('\'').parse().ok())?
    })
}

#[derive(Debug, Row, Deserialize)]
struct Meta {
    key: String,
    value: String,
}

async fn check_meta(client: &Client, config: &Config, log_id: Uuid) -> Result<(), Error> {
    let own = [
        ("log_id", log_id.to_string()),
        ("schema_version", SCHEMA_VERSION.to_string()),
        ("zone", config.zone.clone()),
        ("retention_days", config.retention_days.to_string()),
    ];
    let found = meta(client).await?;
    for (key, value) in &own {
        // Instances that start at once may write it twice, which says no more than once.
        if !found.iter().any(|m| m.key == *key) {
            put(client, key, value).await?;
        }
    }
    // Read again: another instance may have written something else meanwhile.
    judge(&meta(client).await?, config, log_id)?;
    let kept = found.iter().rfind(|m| m.key == "retention_days");
    if kept.is_some_and(|m| m.value != config.retention_days.to_string()) {
        retain(client, config).await?;
    }
    Ok(())
}

async fn meta(client: &Client) -> Result<Vec<Meta>, Error> {
    limited(
        "reading meta",
        client
            .query_raw("SELECT key, value FROM meta ORDER BY at")
            .fetch_all(),
    )
    .await
}

async fn put(client: &Client, key: &str, value: &str) -> Result<(), Error> {
    let sql = "INSERT INTO meta SELECT {key:String}, {value:String}, now64(3)";
    let insert = client
        .query_raw(sql)
        .param("key", key)
        .param("value", value);
    limited(
        "writing meta",
        insert.with_setting("insert_deduplicate", "0").execute(),
    )
    .await
}

fn judge(found: &[Meta], config: &Config, log_id: Uuid) -> Result<(), Error> {
    let values = |key: &'static str| {
        found
            .iter()
            .filter(move |m| m.key == key)
            .map(|m| m.value.as_str())
    };
    let refuse = |text: String| Err(Error::Schema(text));
    let (ours, database) = (log_id.to_string(), &config.database);
    if let Some(other) = values("log_id").find(|id| *id != ours) {
        return refuse(format!(
            "database {database} holds the rows of log {other}, this is log {ours}: offsets would be taken for \
             repeats. Set analytics.database to a new name, or drop that database"
        ));
    }
    let newest = values("schema_version")
        .filter_map(|v| v.parse::<u32>().ok())
        .max()
        .unwrap_or(0);
    if newest > SCHEMA_VERSION {
        return refuse(format!(
            "database {database} has schema version {newest}, this release knows {SCHEMA_VERSION}: update"
        ));
    }
    if let Some(other) = values("zone").find(|zone| *zone != config.zone) {
        return refuse(format!(
            "database {database} has days of {other}, analytics.zone is {}: they must agree",
            config.zone
        ));
    }
    Ok(())
}

/// The setting was changed: all tables follow, and old rows go with the next merges.
async fn retain(client: &Client, config: &Config) -> Result<(), Error> {
    for table in crate::rows::Table::ALL {
        let sql = format!(
            "ALTER TABLE {} MODIFY TTL toDateTime({}) + INTERVAL {} DAY",
            table.name(),
            table.day_column(),
            config.retention_days
        );
        let alter = client
            .query_raw(&sql)
            .with_setting("materialize_ttl_after_modify", "0");
        limited("changing the retention", alter.execute()).await?;
    }
    put(client, "retention_days", &config.retention_days.to_string()).await?;
    info!(days = config.retention_days, "retention changed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(engine: &str, settings: &str) -> Table {
        Table {
            name: "outcomes".into(),
            engine: engine.into(),
            engine_full: format!(
                "{engine} PARTITION BY x ORDER BY (a, b) SETTINGS {settings}, index_granularity = 8192"
            ),
        }
    }

    #[test]
    fn a_table_that_forgets_tokens_early_is_refused() {
        check_window(&table(
            "MergeTree",
            "non_replicated_deduplication_window = 10000",
        ))
        .unwrap();
        let error = check_window(&table(
            "MergeTree",
            "non_replicated_deduplication_window = 100",
        ))
        .unwrap_err();
        assert!(
            error.to_string().contains("ALTER TABLE outcomes"),
            "{error}"
        );
        assert!(check_window(&table("MergeTree", "ttl_only_drop_parts = 1")).is_err());
        let replicated = "replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800";
        check_window(&table("ReplicatedMergeTree", replicated)).unwrap();
        assert!(
            check_window(&table(
                "ReplicatedMergeTree",
                "replicated_deduplication_window = 10000"
            ))
            .is_err()
        );
    }
}
