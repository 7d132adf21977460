//! Sends batches to ClickHouse until each is there, once.
//!
//! A try whose fate is not known is sent again under the same token, which ClickHouse takes once. Since a server that
//! dies between its log of tokens and the part would drop the retry, a batch in doubt is then counted in the table, and
//! only what is missing is inserted.

use std::{collections::HashSet, sync::Arc, time::Duration};

use clickhouse::{Client, RowOwned, RowWrite};
use jixinda_schemas::Topic;
use rand::RngExt as _;
use tokio::sync::{Semaphore, watch};
use tracing::{error, warn};
use uuid::Uuid;

use super::{broken::unmerged_part, range::Span};
use crate::{
    Config, Error,
    ddl::Server,
    metrics,
    rows::{Rows, each},
};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// A server that loses a repair more often than this has a fault of its own.
const REPAIRS: u32 = 10;

/// Rows of one range of one partition.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) topic: Topic,
    pub(crate) partition: i32,
    pub(crate) span: Span,
    pub(crate) rows: Arc<Rows>,
    /// An earlier owner may have inserted it.
    pub(crate) again: bool,
}

/// The way to ClickHouse.
#[derive(Debug)]
pub(crate) struct Inserter {
    client: Client,
    log_id: Uuid,
    timeout: Duration,
    permits: Semaphore,
    /// True when open inserts are to be given up.
    quit: watch::Receiver<bool>,
}

impl Inserter {
    pub(crate) fn new(
        config: &Config,
        server: Server,
        log_id: Uuid,
        quit: watch::Receiver<bool>,
    ) -> Self {
        let mut client = config
            .client()
            .with_setting("async_insert", "0")
            .with_setting("insert_deduplicate", "1")
            .with_setting("max_partitions_per_insert_block", "0");
        if server.has_deduplicate_insert {
            client = client.with_setting("deduplicate_insert", "enable");
        }
        let permits = Semaphore::new(config.inserts_at_once);
        Self {
            client,
            log_id,
            timeout: config.insert_timeout,
            permits,
            quit,
        }
    }

    /// Resolves when the batch is in ClickHouse; false when it was given up, which the commit still says.
    pub(crate) async fn deliver(&self, batch: &Batch) -> bool {
        let mut quit = self.quit.clone();
        tokio::select! {
            () = self.insist(batch) => true,
            // An error means that the sink is gone.
            _ = quit.wait_for(|quit| *quit) => false,
        }
    }

    async fn insist(&self, batch: &Batch) {
        let (mut doubt, mut pause) = (batch.again, FIRST_PAUSE);
        loop {
            match self.once(batch, doubt).await {
                Ok(()) => return,
                Err(failed) => {
                    doubt = true;
                    let table = batch.rows.table().name();
                    metrics::insert_error(table);
                    metrics::up(false);
                    warn!(table, topic = %batch.topic, partition = batch.partition, error = &failed as &dyn std::error::Error, "insert failed, will be sent again");
                    self.set_aside(table, &failed).await;
                }
            }
            let jitter = rand::rng().random_range(0.5..1.0);
            tokio::time::sleep(pause.mul_f64(jitter)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Detaches the part that keeps the table from being read. It stays on disk, in `detached`.
    async fn set_aside(&self, table: &'static str, failed: &Error) {
        let Some(part) = unmerged_part(failed) else {
            return;
        };
        let sql = format!("ALTER TABLE {table} DETACH PART '{part}'");
        let detach = self.client.query_raw(&sql).execute();
        match tokio::time::timeout(self.timeout, detach).await {
            Ok(Ok(())) => {
                metrics::part_set_aside(table);
                error!(
                    table,
                    part,
                    "a part of one insert cannot be read and was detached: its rows are sent again unless ClickHouse had \
                     taken them for stored; `jixinda verify` tells"
                );
            }
            Ok(Err(e)) => {
                let e = &e as &dyn std::error::Error;
                error!(
                    table,
                    part,
                    error = e,
                    "a part cannot be read, and not be detached"
                );
            }
            Err(_) => error!(
                table,
                part, "a part cannot be read; detaching it takes too long"
            ),
        }
    }

    async fn once(&self, batch: &Batch, doubt: bool) -> Result<(), Error> {
        // Never closed.
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|e| Error::Thread(e.to_string()))?;
        let token = self.token(batch);
        self.insert(&batch.rows, &token, |_| true).await?;
        if doubt {
            self.repair(batch, &token).await?;
        }
        Ok(())
    }

    /// `log:topic:partition:a-b`
    fn token(&self, batch: &Batch) -> String {
        let Span { first, last } = batch.span;
        format!(
            "{}:{}:{}:{first}-{last}",
            self.log_id, batch.topic, batch.partition
        )
    }

    async fn insert(
        &self,
        rows: &Rows,
        token: &str,
        wanted: impl Fn(i64) -> bool,
    ) -> Result<usize, Error> {
        let table = rows.table().name();
        let start = tokio::time::Instant::now();
        let sent = each!(rows, list => {
            self.send(table, token, list.iter().filter(|row| wanted(row.offset))).await?
        });
        metrics::inserted(table, sent, start.elapsed());
        Ok(sent)
    }

    async fn send<'a, R>(
        &self,
        table: &str,
        token: &str,
        rows: impl Iterator<Item = &'a R>,
    ) -> Result<usize, Error>
    where
        R: RowOwned + RowWrite,
    {
        let failed = || Error::clickhouse(format!("insert into {table}"));
        let mut insert = self
            .client
            .insert::<R>(table)
            .await
            .map_err(failed())?
            .with_timeouts(Some(self.timeout), Some(self.timeout))
            .with_setting("insert_deduplication_token", token);
        let mut sent = 0;
        for row in rows {
            insert.write(row).await.map_err(failed())?;
            sent += 1;
        }
        insert.end().await.map_err(failed())?;
        Ok(sent)
    }

    /// Counts the batch in its table and inserts what is not there, each time under a token of its own.
    async fn repair(&self, batch: &Batch, token: &str) -> Result<(), Error> {
        let table = batch.rows.table().name();
        for round in 1..=REPAIRS {
            let there = self.offsets(batch).await?;
            let missing = each!(&*batch.rows, list => list.iter().filter(|row| !there.contains(&row.offset)).count());
            if missing == 0 {
                return Ok(());
            }
            warn!(table, topic = %batch.topic, partition = batch.partition, missing, "rows were missing after a retry");
            let sent = self
                .insert(&batch.rows, &format!("{token}:r{round}"), |offset| {
                    !there.contains(&offset)
                })
                .await?;
            metrics::repaired(table, sent);
        }
        error!(table, topic = %batch.topic, partition = batch.partition, "rows are still missing after many repairs");
        Err(Error::Slow(format!("repair of {table}")))
    }

    /// Rows of one record are in one day and so in one part: its offset stands for all of them.
    async fn offsets(&self, batch: &Batch) -> Result<HashSet<i64>, Error> {
        let table = batch.rows.table();
        let Some((from, to)) = batch.rows.days() else {
            return Ok(HashSet::new());
        };
        let (name, day) = (table.name(), table.day_column());
        let sql = format!(
            "SELECT DISTINCT offset FROM {name} WHERE topic = {{topic:String}} AND partition = {{partition:Int32}} \
             AND offset BETWEEN {{first:Int64}} AND {{last:Int64}} \
             AND {day} BETWEEN fromUnixTimestamp64Milli({{from:Int64}}) AND fromUnixTimestamp64Milli({{to:Int64}})"
        );
        let query = self
            .client
            .query_raw(&sql)
            .param("topic", batch.topic.as_str())
            .param("partition", batch.partition)
            .param("first", batch.span.first)
            .param("last", batch.span.last)
            .param("from", from)
            .param("to", to);
        let found: Vec<i64> = tokio::time::timeout(self.timeout, query.fetch_all())
            .await
            .map_err(|_| Error::Slow(format!("counting {name}")))?
            .map_err(Error::clickhouse(format!("counting {name}")))?;
        Ok(found.into_iter().collect())
    }
}
