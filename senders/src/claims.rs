//! Routings and their claims in one partition. Pure.
//!
//! Invariants: (message, n) belongs to the first valid claim in the log, whoever wrote it; a vendor is called only by
//! the job in memory that wrote the winning claim, while that claim is young; a claim of anyone else that no result
//! follows ends as unknown; a result, once known, is written whatever happened meanwhile.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jixinda_runtime::kafka::ledger::Ledger;
use jixinda_schemas::{
    AppId, CallId, Lane, MessageId, Position, Timestamp, Topic,
    event::{AttemptFinished, AttemptNotStarted, AttemptStarted, Routed},
};

/// A claim older than this is not acted on.
pub const CLAIM_AGE: Duration = Duration::from_secs(5);
/// Beyond the call timeout, how long the owner waits for the result of a claim that is not its own.
pub const FOREIGN_GRACE: Duration = Duration::from_secs(5);

/// Message and number of the decision.
pub type Key = (MessageId, u16);

/// A routing with what its events need.
#[derive(Debug)]
pub struct Order {
    pub routed: Routed,
    pub message_id: MessageId,
    pub app_id: Option<AppId>,
    pub traceparent: Option<String>,
    /// Where the routing stands.
    pub position: Position,
}

impl Order {
    /// Message and number of the decision.
    #[must_use]
    pub fn key(&self) -> Key {
        (self.message_id, self.routed.n)
    }
}

#[derive(Clone, Copy, Debug)]
struct Mine {
    call_id: CallId,
    /// Before the claim was written.
    written: Duration,
}

#[derive(Clone, Debug)]
enum Claim {
    /// For a call.
    Started {
        started: AttemptStarted,
        app_id: Option<AppId>,
        /// The owner's first read of it.
        read: Duration,
    },
    GivenBack,
}

#[derive(Debug, Default)]
struct Job {
    order: Option<Arc<Order>>,
    claim: Option<Claim>,
    finished: bool,
    /// Our own claim, written in this ownership.
    mine: Option<Mine>,
    /// Something that settles it was written and not read back yet.
    settling: bool,
}

/// What became of our claim.
#[derive(Debug)]
pub enum Won {
    /// Call the vendor now.
    Call(Arc<Order>, CallId),
    /// Too old: say that no call was made.
    TooOld(Arc<Order>, CallId),
}

/// A claim of someone who did not say how it ended.
#[derive(Clone, Debug)]
pub struct Abandoned {
    pub message_id: MessageId,
    pub app_id: Option<AppId>,
    pub started: AttemptStarted,
}

/// All routings and claims of one partition that are not settled.
#[derive(Debug, Default)]
pub struct Claims {
    jobs: HashMap<Key, Job>,
    ledger: Ledger<Key>,
    /// Routings to look at, with the time of their first read.
    pub ready: [VecDeque<(Arc<Order>, Duration)>; 3],
    won: VecDeque<Key>,
    foreign: VecDeque<Key>,
    /// Claims that were read before their routing, with lane and broker time.
    early: VecDeque<(Key, Lane, Timestamp)>,
    /// Broker time up to which the routings of each lane were read.
    read_to: [Timestamp; 3],
    /// Claims of ours that another claim beat: they free their place.
    pub lost: Vec<Arc<Order>>,
}

impl Claims {
    /// Any record of `dispatch.*` was read: routings before `at` are known.
    pub fn read_to(&mut self, lane: Lane, at: Timestamp) {
        self.read_to[lane.index()] = at;
    }

    /// A valid routing for this pool.
    pub fn routed(&mut self, source: Topic, offset: i64, order: Order, now: Duration) {
        let key = order.key();
        if !self.ledger.open(source, offset, key) {
            return;
        }
        let order = Arc::new(order);
        let job = self.jobs.entry(key).or_default();
        job.order = Some(Arc::clone(&order));
        match &job.claim {
            None => self.ready[order.routed.lane.index()].push_back((order, now)),
            Some(Claim::GivenBack) => self.settle(key),
            Some(Claim::Started { .. }) if job.finished => self.settle(key),
            Some(Claim::Started { .. }) => {}
        }
    }

    /// The job of a valid claim, unless an earlier claim won it.
    fn claimable(&mut self, key: Key, place: (i64, Lane, Timestamp)) -> Option<&mut Job> {
        let (offset, lane, at) = place;
        if !self.ledger.knows(&key) {
            self.early.push_back((key, lane, at));
        } else if !self.jobs.contains_key(&key) {
            // Settled; only work opened earlier keeps it in the ledger.
            return None;
        }
        self.ledger.fact(&key, Topic::Attempts, offset);
        let job = self.jobs.entry(key).or_default();
        job.claim.is_none().then_some(job)
    }

    /// A valid claim for a call, read at `now`.
    pub fn started(
        &mut self,
        place: (i64, Timestamp),
        id: MessageId,
        app_id: Option<AppId>,
        started: AttemptStarted,
        now: Duration,
    ) {
        let (key, call_id) = ((id, started.n), started.call_id);
        let place = (place.0, started.lane, place.1);
        let Some(job) = self.claimable(key, place) else {
            self.beaten(key, Some(call_id));
            return;
        };
        let ours = job.mine.is_some_and(|mine| mine.call_id == call_id);
        job.claim = Some(Claim::Started {
            started,
            app_id,
            read: now,
        });
        if ours {
            self.won.push_back(key);
        } else {
            self.foreign.push_back(key);
        }
    }

    /// A valid claim that gives the routing back.
    pub fn not_started(
        &mut self,
        place: (i64, Timestamp),
        id: MessageId,
        given_back: &AttemptNotStarted,
    ) {
        let key = (id, given_back.n);
        let Some(job) = self.claimable(key, (place.0, given_back.lane, place.1)) else {
            return;
        };
        job.claim = Some(Claim::GivenBack);
        // A claim of ours may still be on its way to the log; it has lost.
        self.beaten(key, None);
        if self.jobs.get(&key).is_some_and(|job| job.order.is_some()) {
            self.settle(key);
        }
    }

    /// A result, of whoever made the call; it counts when its claim does.
    pub fn finished(&mut self, offset: i64, id: MessageId, finished: &AttemptFinished) {
        let key = (id, finished.n);
        let Some(job) = self.jobs.get_mut(&key) else {
            return;
        };
        let counts = matches!(&job.claim, Some(Claim::Started { started, .. }) if started.call_id == finished.call_id);
        if counts {
            job.finished = true;
            let opened = job.order.is_some();
            self.ledger.fact(&key, Topic::Attempts, offset);
            if opened {
                self.settle(key);
            }
        }
    }

    fn settle(&mut self, key: Key) {
        self.ledger.end(&key);
        self.jobs.remove(&key);
    }

    /// Our claim of the key lost; `call_id` restricts it to that claim.
    fn beaten(&mut self, key: Key, call_id: Option<CallId>) {
        let Some(job) = self.jobs.get_mut(&key) else {
            return;
        };
        if job
            .mine
            .is_some_and(|mine| call_id.is_none_or(|id| id == mine.call_id))
        {
            job.mine = None;
            self.lost.extend(job.order.clone());
        }
    }

    /// Whether the routing is still free to be claimed by us.
    #[must_use]
    pub fn is_free(&self, key: &Key) -> bool {
        self.jobs
            .get(key)
            .is_some_and(|job| job.claim.is_none() && job.mine.is_none() && !job.settling)
    }

    /// We wrote a claim for a call at `now`, measured before the write.
    pub fn claimed(&mut self, key: Key, call_id: CallId, now: Duration) {
        if let Some(job) = self.jobs.get_mut(&key) {
            job.mine = Some(Mine {
                call_id,
                written: now,
            });
        }
    }

    /// We wrote something that will settle the routing.
    pub fn settling(&mut self, key: Key) {
        if let Some(job) = self.jobs.get_mut(&key) {
            job.settling = true;
        }
    }

    /// The next of our claims that won.
    pub fn next_won(&mut self, now: Duration) -> Option<Won> {
        loop {
            let key = self.won.pop_front()?;
            let Some(job) = self.jobs.get_mut(&key) else {
                continue;
            };
            let (Some(order), Some(mine)) = (job.order.clone(), job.mine) else {
                continue;
            };
            job.settling = true;
            let old = now.saturating_sub(mine.written) >= CLAIM_AGE;
            return Some(if old {
                Won::TooOld(order, mine.call_id)
            } else {
                Won::Call(order, mine.call_id)
            });
        }
    }

    /// A claim that won and cannot be called yet: it is the next one again.
    pub fn put_back(&mut self, order: &Order) {
        if let Some(job) = self.jobs.get_mut(&order.key()) {
            job.settling = false;
            self.won.push_front(order.key());
        }
    }

    /// Claims of others whose time is up. `timeout` is the longest call.
    pub fn abandoned(&mut self, now: Duration, timeout: Duration) -> Vec<Abandoned> {
        let mut out = Vec::new();
        for _ in 0..self.foreign.len() {
            let Some(key) = self.foreign.pop_front() else {
                break;
            };
            let Some(job) = self
                .jobs
                .get_mut(&key)
                .filter(|job| !job.finished && !job.settling)
            else {
                continue;
            };
            let Some(Claim::Started {
                started,
                app_id,
                read,
            }) = &job.claim
            else {
                continue;
            };
            if job.order.is_some() && now.saturating_sub(*read) >= timeout + FOREIGN_GRACE {
                job.settling = true;
                out.push(Abandoned {
                    message_id: key.0,
                    app_id: app_id.clone(),
                    started: started.clone(),
                });
            } else {
                self.foreign.push_back(key);
            }
        }
        out
    }

    /// Forgets claims of settled work: their routings would have been read by now.
    pub fn sweep(&mut self) {
        while let Some((key, lane, at)) = self.early.front().copied() {
            let came = self.ledger.knows(&key) || !self.jobs.contains_key(&key);
            if !came && self.read_to[lane.index()] <= at {
                break;
            }
            self.early.pop_front();
            if !came {
                self.jobs.remove(&key);
                self.ledger.forget_orphan(&key);
            }
        }
    }

    /// Everything up to the takeover's end was folded: what has no routing lies before the floors, and is settled.
    pub fn caught_up(&mut self) {
        self.early.clear();
        for key in self.ledger.forget_orphans() {
            self.jobs.remove(&key);
        }
    }

    /// Claims of ours for which no call was made: they hold places in the limiter.
    pub fn mine_uncalled(&self) -> impl Iterator<Item = (&Arc<Order>, CallId)> {
        let waiting = self.jobs.values().filter(|job| !job.settling);
        waiting.filter_map(|job| Some((job.order.as_ref()?, job.mine?.call_id)))
    }

    /// Lowest offsets still needed.
    #[must_use]
    pub fn floors(&self) -> BTreeMap<Topic, i64> {
        self.ledger.floors()
    }
}

#[cfg(test)]
mod tests;
