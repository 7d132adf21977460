//! Fetching what vendors do not push.
//!
//! A channel is fetched by one process at a time: the one that holds the channel's partition of the pool. During a
//! rebalance two may fetch for a moment, which is harmless: what one of them is given, the other is not. What a fetch
//! brought may be gone at the vendor, so it is on the log before the next fetch, however long that takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jixinda_runtime::{kafka::partitioner, lifecycle::Handle};
use jixinda_schemas::ChannelId;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use super::{Receipts, taken};
use crate::{metrics, registry::Ready, vendor::Place};

/// How often holdings and the directory are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// After a fetch that failed, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Between tries to store what was fetched.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// The partitions of the pool that this process holds.
#[derive(Clone, Debug, Default)]
pub struct Held(Arc<Mutex<BTreeSet<i32>>>);

impl Held {
    fn set(&self) -> std::sync::MutexGuard<'_, BTreeSet<i32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is ours from now on.
    pub fn take(&self, partition: i32) {
        self.set().insert(partition);
    }

    /// It is ours no more.
    pub fn give_up(&self, partition: i32) {
        self.set().remove(&partition);
    }

    /// Whether the channel is ours to fetch, of so many partitions.
    #[must_use]
    pub fn has(&self, channel: &ChannelId, partitions: i32) -> bool {
        let place = partitioner::partition(channel.as_str().as_bytes(), partitions);
        self.set().contains(&place)
    }
}

/// Whether this process fetches for the channel.
fn is_ours(ready: &Ready, held: &Held, partitions: i32) -> bool {
    ready.vendor.pull().is_some_and(|pull| match pull.place() {
        Place::EveryProcess => true,
        Place::OneProcess => held.has(&ready.channel.id, partitions),
    })
}

struct Fetching {
    ready: Arc<Ready>,
    task: JoinHandle<()>,
}

/// Fetches for every channel that is ours and wants it, until the stop.
pub async fn pull_all(
    receipts: Receipts,
    pool: String,
    (held, partitions): (Held, i32),
    handle: Handle,
) {
    let mut running: BTreeMap<ChannelId, Fetching> = BTreeMap::new();
    handle.ready();
    while !handle.is_stopping() {
        let registry = Arc::clone(&receipts.registry.borrow());
        let wanted: BTreeMap<&ChannelId, &Arc<Ready>> = registry
            .ready()
            .filter(|ready| ready.channel.pool == pool && is_ours(ready, &held, partitions))
            .map(|ready| (&ready.channel.id, ready))
            .collect();
        let stays = |id: &ChannelId, fetching: &Fetching| {
            let same = |ready: &&Arc<Ready>| Arc::ptr_eq(ready, &fetching.ready);
            wanted.get(id).is_some_and(same) && !fetching.task.is_finished()
        };
        let gone: Vec<ChannelId> = running
            .iter()
            .filter(|(id, fetching)| !stays(id, fetching))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            // It ends by itself once what it has fetched is stored.
            drop(running.remove(&id));
        }
        for (id, ready) in wanted {
            running.entry(id.clone()).or_insert_with(|| {
                info!(channel = %id, "fetching receipts");
                let (receipts, ready, held) = (receipts.clone(), Arc::clone(ready), held.clone());
                let stopping = handle.stopping();
                let task = tokio::spawn({
                    let ready = Arc::clone(&ready);
                    async move {
                        let on = || {
                            let registry = Arc::clone(&receipts.registry.borrow());
                            let current = registry.get(ready.channel.id.as_str());
                            let same = current.is_some_and(|now| Arc::ptr_eq(now, &ready));
                            same && !stopping.is_stopping() && is_ours(&ready, &held, partitions)
                        };
                        fetch_on(&receipts, &ready, on).await;
                    }
                });
                Fetching { ready, task }
            });
        }
        tokio::time::sleep(LOOK).await;
    }
    for (channel, fetching) in running {
        let ended = tokio::time::timeout(Duration::from_secs(10), fetching.task).await;
        if ended.is_err() {
            // Kafka is away for longer than the drain may take.
            error!(%channel, "stopped with fetched receipts that could not be stored; they are lost");
        }
    }
}

/// Fetches for one channel while `on` says so.
async fn fetch_on(receipts: &Receipts, ready: &Ready, on: impl Fn() -> bool) {
    let Some(pull) = ready.vendor.pull() else {
        return;
    };
    let channel = ready.channel.id.as_str();
    let timeout = Duration::from_millis(u64::from(ready.channel.call_timeout_ms));
    let mut pause = FIRST_PAUSE;
    while on() {
        let rest = match pull.fetch(timeout).await {
            Ok(fetched) => {
                pause = FIRST_PAUSE;
                metrics::fetched(channel, "ok");
                let taken = taken::sort(ready, fetched.batch, (receipts.now)());
                taken::count(channel, &taken);
                while !taken.is_empty()
                    && let Err(error) = receipts.sink.store(taken.clone()).await
                {
                    warn!(
                        channel,
                        error = &error as &dyn std::error::Error,
                        "fetched receipts not stored, trying again"
                    );
                    tokio::time::sleep(STORE_PAUSE).await;
                }
                if fetched.more {
                    Duration::ZERO
                } else {
                    pull.rest()
                }
            }
            Err(error) => {
                metrics::fetched(channel, "failed");
                warn!(
                    channel,
                    error = &error as &dyn std::error::Error,
                    "receipts not fetched"
                );
                let rest = pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
                rest
            }
        };
        // In steps, so that a stop does not wait for a long rest.
        let until = tokio::time::Instant::now() + rest;
        while on() && tokio::time::Instant::now() < until {
            let left = until - tokio::time::Instant::now();
            tokio::time::sleep(left.min(Duration::from_millis(200))).await;
        }
    }
}
