//! Fetching what vendors do not push.
//!
//! What waits at the vendor for the account is fetched by one process at a time: the one that holds the channel's partition
//! of the pool. During a rebalance two may fetch for a moment, which is harmless: what one of them is given, the other is
//! not. Where reports are told by the call only, each process asks about the calls of the partitions that it holds, those
//! of their holders before included. What a fetch brought may be gone at the vendor, so it is on the log before the next
//! fetch, however long that takes. A vendor may have two ways, one to reports and one to messages from handsets.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jixinda_runtime::{kafka::partitioner, lifecycle::Handle};
use jixinda_schemas::{ChannelId, Phone};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use super::{History, Receipts, taken};
use crate::{
    metrics,
    registry::Ready,
    vendor::{Now, Place, Pull},
    vendors::waiting::Waiting,
};

/// How often holdings and the directory are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// After a fetch that failed, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Between tries to store what was fetched.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// The partitions of the pool that this process holds.
#[derive(Clone, Debug, Default)]
pub struct Held(Arc<Mutex<Partitions>>);

#[derive(Debug, Default)]
struct Partitions {
    /// How often one was taken.
    taken: u64,
    /// Those that are held, with the count when they were taken: one that was away in between has another.
    held: BTreeMap<i32, u64>,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, Partitions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is ours from now on.
    pub fn take(&self, partition: i32) {
        let mut all = self.lock();
        all.taken += 1;
        let taken = all.taken;
        all.held.insert(partition, taken);
    }

    /// It is ours no more.
    pub fn give_up(&self, partition: i32) {
        self.lock().held.remove(&partition);
    }

    /// Whether the channel is ours to fetch, of so many partitions.
    #[must_use]
    pub fn has(&self, channel: &ChannelId, partitions: i32) -> bool {
        let place = partitioner::partition(channel.as_str().as_bytes(), partitions);
        self.lock().held.contains_key(&place)
    }
}

/// The ways of a vendor, each fetched by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// To reports, and to messages where both come together.
    Reports,
    Messages,
}

impl Way {
    const ALL: [Self; 2] = [Self::Reports, Self::Messages];

    fn of(self, ready: &Ready) -> Option<&dyn Pull> {
        match self {
            Self::Reports => ready.vendor.pull(),
            Self::Messages => ready.vendor.pull_messages(),
        }
    }
}

/// What the list of a channel follows.
struct Holdings {
    held: Held,
    partitions: i32,
    history: Arc<dyn History>,
}

impl Holdings {
    /// Whether this process fetches for the channel.
    fn fetches(&self, ready: &Ready, way: Way) -> bool {
        way.of(ready).is_some_and(|pull| match pull.place() {
            Place::EveryProcess => true,
            Place::OneProcess => self.held.has(&ready.channel.id, self.partitions),
        })
    }

    /// Keeps the list to what is held; returns whether it has read the calls of before of a partition.
    async fn follow(&self, list: &Mutex<Waiting>, channel: &ChannelId, now: &Now) -> bool {
        let list = || list.lock().unwrap_or_else(PoisonError::into_inner);
        let place = |p: &Phone| partitioner::partition(p.expose().as_bytes(), self.partitions);
        let unread = list().follow(&self.held.lock().held, place);
        let Some(partition) = unread else {
            return false;
        };
        match self.history.open(channel, partition).await {
            Ok(earlier) => {
                info!(%channel, partition, messages = earlier.len(), "calls of before are asked about");
                list().resume(earlier, now());
                true
            }
            Err(error) => {
                list().unread(partition);
                let error = &error as &dyn std::error::Error;
                warn!(%channel, partition, error, "calls of before not read, trying again");
                false
            }
        }
    }
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
    history: Arc<dyn History>,
    handle: Handle,
) {
    let holdings = Arc::new(Holdings {
        held,
        partitions,
        history,
    });
    let mut running: BTreeMap<(ChannelId, Way), Fetching> = BTreeMap::new();
    handle.ready();
    while !handle.is_stopping() {
        let registry = Arc::clone(&receipts.registry.borrow());
        let ours = registry.ready().filter(|ready| ready.channel.pool == pool);
        let wanted: BTreeMap<(ChannelId, Way), &Arc<Ready>> = ours
            .flat_map(|ready| Way::ALL.map(|way| (ready, way)))
            .filter(|(ready, way)| holdings.fetches(ready, *way))
            .map(|(ready, way)| ((ready.channel.id.clone(), way), ready))
            .collect();
        let stays = |key: &(ChannelId, Way), fetching: &Fetching| {
            let same = |ready: &&Arc<Ready>| Arc::ptr_eq(ready, &fetching.ready);
            wanted.get(key).is_some_and(same) && !fetching.task.is_finished()
        };
        let gone: Vec<(ChannelId, Way)> = running
            .iter()
            .filter(|(key, fetching)| !stays(key, fetching))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            // It ends by itself once what it has fetched is stored.
            drop(running.remove(&key));
        }
        for ((id, way), ready) in wanted {
            running.entry((id.clone(), way)).or_insert_with(|| {
                info!(channel = %id, ?way, "fetching");
                let (receipts, ready) = (receipts.clone(), Arc::clone(ready));
                let (holdings, stopping) = (Arc::clone(&holdings), handle.stopping());
                let task = tokio::spawn({
                    let ready = Arc::clone(&ready);
                    async move {
                        let on = || {
                            let registry = Arc::clone(&receipts.registry.borrow());
                            let current = registry.get(ready.channel.id.as_str());
                            let same = current.is_some_and(|now| Arc::ptr_eq(now, &ready));
                            same && !stopping.is_stopping() && holdings.fetches(&ready, way)
                        };
                        fetch_on(&receipts, (&*ready, way), &holdings, on).await;
                    }
                });
                Fetching { ready, task }
            });
        }
        tokio::time::sleep(LOOK).await;
    }
    for ((channel, _), fetching) in running {
        let ended = tokio::time::timeout(Duration::from_secs(10), fetching.task).await;
        if ended.is_err() {
            // Kafka is away for longer than the drain may take.
            error!(%channel, "stopped with fetched receipts that could not be stored; they are lost");
        }
    }
}

/// Fetches for one channel while `on` says so.
async fn fetch_on(
    receipts: &Receipts,
    (ready, way): (&Ready, Way),
    holdings: &Holdings,
    on: impl Fn() -> bool,
) {
    let Some(pull) = way.of(ready) else {
        return;
    };
    let channel = ready.channel.id.as_str();
    let timeout = Duration::from_millis(u64::from(ready.channel.call_timeout_ms));
    let mut pause = FIRST_PAUSE;
    while on() {
        if let Some(list) = pull.list()
            && holdings
                .follow(list, &ready.channel.id, &receipts.now)
                .await
        {
            continue;
        }
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
