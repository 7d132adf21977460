//! Routings and their claims in one partition. Pure.
//!
//! Invariants: an attempt belongs to the first valid claim in the log, whoever wrote it; a vendor is called only by
//! the job in memory that wrote the winning claim, while that claim is young; a claim of anyone else that no result
//! follows ends as unknown; a result, once known, is written whatever happened meanwhile.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jixinda_runtime::kafka::ledger::Ledger;
use jixinda_schemas::{
    AppId, AttemptId, CallId, Lane, MessageId, Position, Timestamp, Topic,
    event::{AttemptFinished, AttemptNotStarted, AttemptStarted, Routed},
};

/// A claim older than this is not acted on.
pub const CLAIM_AGE: Duration = Duration::from_secs(5);
/// Beyond the call timeout, how long the owner waits for the result of a claim that is not its own.
pub const FOREIGN_GRACE: Duration = Duration::from_secs(5);

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
    /// What its claims are told by.
    #[must_use]
    pub const fn key(&self) -> AttemptId {
        self.routed.attempt_id
    }
}

/// Claims of ours that go in one call. The call waits until each of them was read back, or lost.
#[derive(Clone, Debug)]
struct Group {
    /// Before the first of them was written.
    written: Duration,
    /// Neither read back nor lost so far.
    missing: usize,
    won: Vec<AttemptId>,
    /// Since when it could be called but for a place in the channel.
    waits_since: Option<Duration>,
}

#[derive(Clone, Debug)]
enum Claim {
    /// For a call.
    Started {
        message_id: MessageId,
        started: AttemptStarted,
        app_id: Option<AppId>,
        /// The owner's first read of it.
        read: Duration,
    },
    GivenBack,
}

#[derive(Clone, Debug, Default)]
struct Job {
    order: Option<Arc<Order>>,
    claim: Option<Claim>,
    finished: bool,
    /// The call of our own claim, written in this ownership.
    mine: Option<CallId>,
    /// Something that settles it was written and not read back yet.
    settling: bool,
}

/// Claims of ours that won, of one call.
#[derive(Clone, Debug)]
pub struct Won {
    pub call_id: CallId,
    /// In the order in which they were claimed.
    pub orders: Vec<Arc<Order>>,
    /// Before the first of them was written.
    written: Duration,
    /// Since when it could be called but for a place in the channel.
    pub since: Duration,
    /// Call the vendor now; otherwise it is too late, and all that remains is to say that no call was made.
    pub young: bool,
}

/// A claim of someone who did not say how it ended.
#[derive(Clone, Debug)]
pub struct Abandoned {
    pub message_id: MessageId,
    pub app_id: Option<AppId>,
    pub started: AttemptStarted,
}

/// All routings and claims of one partition that are not settled.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    jobs: HashMap<AttemptId, Job>,
    ledger: Ledger<AttemptId>,
    /// Routings to look at, with the time of their first read.
    pub ready: [VecDeque<(Arc<Order>, Duration)>; 3],
    groups: HashMap<CallId, Group>,
    /// Groups of which nothing is missing.
    won: VecDeque<CallId>,
    /// Groups in the order in which they were written, for those of which something never comes.
    waiting: VecDeque<(Duration, CallId)>,
    foreign: VecDeque<AttemptId>,
    /// Claims that were read before their routing, with lane and broker time.
    early: VecDeque<(AttemptId, Lane, Timestamp)>,
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
    fn claimable(&mut self, key: AttemptId, place: (i64, Lane, Timestamp)) -> Option<&mut Job> {
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
        message_id: MessageId,
        app_id: Option<AppId>,
        started: AttemptStarted,
        now: Duration,
    ) {
        let (key, call_id) = (started.attempt_id, started.call_id);
        let place = (place.0, started.lane, place.1);
        let Some(job) = self.claimable(key, place) else {
            self.beaten(key, Some(call_id));
            return;
        };
        let ours = job.mine == Some(call_id);
        job.claim = Some(Claim::Started {
            message_id,
            started,
            app_id,
            read: now,
        });
        if ours {
            self.came(key, call_id, true);
        } else {
            self.foreign.push_back(key);
        }
    }

    /// A valid claim that gives the routing back.
    pub fn not_started(&mut self, place: (i64, Timestamp), given_back: &AttemptNotStarted) {
        let key = given_back.attempt_id;
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
    pub fn finished(&mut self, offset: i64, finished: &AttemptFinished) {
        let key = finished.attempt_id;
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

    fn settle(&mut self, key: AttemptId) {
        self.ledger.end(&key);
        let Some(job) = self.jobs.remove(&key) else {
            return;
        };
        if let Some(call_id) = job.mine {
            // Settled by another while our claim was on its way, or waited for its call: none will be made.
            if !job.settling {
                self.lost.extend(job.order);
            }
            self.came(key, call_id, false);
        }
    }

    /// Our claim of the key lost; `call_id` restricts it to that claim.
    fn beaten(&mut self, key: AttemptId, call_id: Option<CallId>) {
        let Some(job) = self.jobs.get_mut(&key) else {
            return;
        };
        let Some(mine) = job.mine.filter(|mine| call_id.is_none_or(|id| id == *mine)) else {
            return;
        };
        job.mine = None;
        self.lost.extend(job.order.clone());
        self.came(key, mine, false);
    }

    /// A claim of ours was read back, or will not be.
    fn came(&mut self, key: AttemptId, call_id: CallId, won: bool) {
        let Some(group) = self.groups.get_mut(&call_id) else {
            return;
        };
        if let Some(place) = group.won.iter().position(|known| *known == key) {
            // It had come before.
            if !won {
                group.won.remove(place);
            }
            return;
        }
        group.missing = group.missing.saturating_sub(1);
        if won {
            group.won.push(key);
        }
        if group.missing == 0 {
            self.won.push_back(call_id);
        }
    }

    /// Whether the routing is still free to be claimed by us.
    #[must_use]
    pub fn is_free(&self, key: &AttemptId) -> bool {
        self.jobs
            .get(key)
            .is_some_and(|job| job.claim.is_none() && job.mine.is_none() && !job.settling)
    }

    /// We wrote a claim for a call at `now`, measured before the write. Claims of one act may share a call.
    pub fn claimed(&mut self, key: AttemptId, call_id: CallId, now: Duration) {
        let Some(job) = self.jobs.get_mut(&key) else {
            return;
        };
        job.mine = Some(call_id);
        let waiting = &mut self.waiting;
        let group = self.groups.entry(call_id).or_insert_with(|| {
            waiting.push_back((now, call_id));
            Group {
                written: now,
                missing: 0,
                won: Vec::new(),
                waits_since: None,
            }
        });
        group.missing += 1;
    }

    /// The claim is taken as won before it was read back: the call may be a second one. Only to measure what reading
    /// back costs.
    #[cfg(feature = "bench-without-read-back")]
    pub fn won_unread(&mut self, key: AttemptId, call_id: CallId) {
        self.came(key, call_id, true);
    }

    /// We wrote something that will settle the routing.
    pub fn settling(&mut self, key: AttemptId) {
        if let Some(job) = self.jobs.get_mut(&key) {
            job.settling = true;
        }
    }

    /// The next call, of our claims that won.
    pub fn next_won(&mut self, now: Duration) -> Option<Won> {
        let old = |written: Duration| now.saturating_sub(written) >= CLAIM_AGE;
        // What is missing of a group for so long makes no call any more; those that came are let go.
        while let Some((_, call_id)) = self.waiting.front().copied().filter(|w| old(w.0)) {
            self.waiting.pop_front();
            let group = self.groups.get(&call_id);
            if group.is_some_and(|group| group.missing > 0 && !group.won.is_empty()) {
                self.won.push_back(call_id);
            }
        }
        loop {
            let call_id = self.won.pop_front()?;
            let Some(group) = self.groups.get_mut(&call_id) else {
                continue;
            };
            let (written, keys) = (group.written, std::mem::take(&mut group.won));
            let since = group.waits_since.unwrap_or(now);
            if group.missing == 0 {
                self.groups.remove(&call_id);
            }
            let mut orders = Vec::with_capacity(keys.len());
            for key in keys {
                let job = self.jobs.get_mut(&key);
                let Some(job) = job.filter(|job| !job.settling && job.mine.is_some()) else {
                    continue;
                };
                if let Some(order) = &job.order {
                    job.settling = true;
                    orders.push(Arc::clone(order));
                }
            }
            if !orders.is_empty() {
                return Some(Won {
                    call_id,
                    orders,
                    written,
                    since,
                    young: !old(written),
                });
            }
        }
    }

    /// A call that cannot be made yet: it is the next one again.
    pub fn put_back(&mut self, won: &Won) {
        let mut keys = Vec::with_capacity(won.orders.len());
        for order in &won.orders {
            if let Some(job) = self.jobs.get_mut(&order.key()) {
                job.settling = false;
                keys.push(order.key());
            }
        }
        let group = self.groups.entry(won.call_id).or_insert_with(|| Group {
            written: won.written,
            missing: 0,
            won: Vec::new(),
            waits_since: None,
        });
        group.won = keys;
        group.waits_since = Some(won.since);
        self.won.push_front(won.call_id);
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
                message_id,
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
                    message_id: *message_id,
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
        waiting.filter_map(|job| Some((job.order.as_ref()?, job.mine?)))
    }

    /// Lowest offsets still needed.
    #[must_use]
    pub fn floors(&self) -> BTreeMap<Topic, i64> {
        self.ledger.floors()
    }
}

#[cfg(test)]
mod tests;
