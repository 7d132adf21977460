//! The router's role: acts on what its partitions have folded.

mod route;

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use jixinda_runtime::{
    clock::SharedClock,
    directory::Directory,
    kafka::{
        Kafka, Record,
        fence::Standing,
        follow,
        owner::{self, Floor, Marks, Outbox, Role, Share, Spec},
    },
    lifecycle::Handle,
};
use jixinda_schemas::{
    Lane, MessageId, Reason, Timestamp, Topic, WriterId,
    codec::{self, Event},
    directory::ChannelState,
    event::HealthReport,
    seal::PlatformKey,
};
use tracing::{debug, error, warn};

use crate::{
    Config, Error,
    admission::Admission,
    emit,
    health::{Health, News, Reports, SharedHealth},
    message::Step,
    metrics,
    partition::{ChannelNews, Partition, Shared, Written},
};

/// Name of the role, its group and its writers.
pub const ROLE: &str = "router";

/// Topics that the router reads, co-partitioned.
pub const READS: [Topic; 10] = [
    Topic::RequestsOtp,
    Topic::RequestsNotice,
    Topic::RequestsMarketing,
    Topic::DispatchOtp,
    Topic::DispatchNotice,
    Topic::DispatchMarketing,
    Topic::Attempts,
    Topic::ReceiptsRaw,
    Topic::Outcomes,
    Topic::State,
];

/// Topics that it opens.
const WRITES: [Topic; 7] = [
    Topic::DispatchOtp,
    Topic::DispatchNotice,
    Topic::DispatchMarketing,
    Topic::Attempts,
    Topic::Receipts,
    Topic::Outcomes,
    Topic::State,
];

/// Undecided messages of a lane in a partition: beyond the first the lane's requests are paused, below the second
/// they are resumed.
const UNDECIDED: (usize, usize) = (4_000, 2_000);
/// News of calls older than this come from reading the log again, and say nothing about now.
const STALE_NEWS_MS: i64 = 60_000;
/// Health that a starting router reads.
const HEALTH_HISTORY_MS: i64 = 90_000;

/// What the router needs of its process.
#[derive(Clone, Debug)]
pub struct Deps {
    pub kafka: Kafka,
    pub directory: Directory,
    pub key: PlatformKey,
    pub clock: SharedClock,
}

/// The router.
#[derive(Debug)]
pub struct Service {
    config: Config,
    deps: Deps,
}

impl Service {
    /// Makes the service; connects to nothing.
    #[must_use]
    pub fn new(config: Config, deps: Deps) -> Self {
        metrics::describe();
        Self { config, deps }
    }

    /// Routes until the stop. `health` is the component that follows the `health` topic.
    ///
    /// # Errors
    /// When Kafka is not usable as set up, or this process was fenced.
    pub async fn run(self, handle: Handle, health: Handle) -> Result<(), Error> {
        let Self { config, deps } = self;
        let shared_health = follow_health(&deps, config.half_life_ms(), health).await?;
        let shared = Arc::new(Shared {
            config,
            key: deps.key,
            directory: deps.directory,
            health: shared_health,
            clock: Arc::clone(&deps.clock),
            partitions: deps.kafka.config().partitions,
        });
        let spec = Spec {
            role: ROLE.to_owned(),
            reads: READS.to_vec(),
            writes: WRITES.to_vec(),
            kept: Some(Topic::State),
        };
        let router = Router {
            shared,
            admission: Admission::default(),
            paused: BTreeMap::new(),
            waiting: BTreeMap::new(),
            shown: Timestamp(0),
        };
        Ok(owner::run(deps.kafka, spec, deps.clock, router, handle).await?)
    }
}

async fn follow_health(
    deps: &Deps,
    half_life_ms: i64,
    handle: Handle,
) -> Result<SharedHealth, Error> {
    let health: SharedHealth = Arc::new(ArcSwap::from_pointee(Health::default()));
    let (show, mut reports) = (Arc::clone(&health), Reports::default());
    let from = follow::From::Time(deps.clock.now().plus_millis(-HEALTH_HISTORY_MS).millis());
    follow::start_from(
        &deps.kafka,
        &[Topic::Health],
        from,
        handle,
        move |event| match event {
            follow::Event::Record(record) => {
                match codec::decode(record.kind(), record.value.unwrap_or_default()) {
                    Ok(Event::Health(report)) => reports.take(&report.payload, record.offset),
                    Ok(_) => {}
                    Err(e) => warn!(
                        offset = record.offset,
                        error = &e as &dyn std::error::Error,
                        "health record ignored"
                    ),
                }
            }
            follow::Event::Settled => show.store(Arc::new(reports.health(half_life_ms))),
        },
    )
    .await?;
    Ok(health)
}

struct Router {
    shared: Arc<Shared>,
    admission: Admission,
    /// Lanes paused by partition, for the hysteresis.
    paused: BTreeMap<i32, [bool; 3]>,
    waiting: BTreeMap<i32, Waiting>,
    shown: Timestamp,
}

/// What waits in a partition, for the gauges.
#[derive(Clone, Copy, Default)]
struct Waiting {
    open: usize,
    parked: usize,
    undecided: [usize; 3],
    oldest_seconds: [f64; 3],
}

impl Waiting {
    fn of(state: &Partition, now: Timestamp) -> Self {
        let queue = |lane: Lane| &state.queues[lane.index()];
        let age = |lane| {
            let oldest = queue(lane).oldest().and_then(|id| state.entries.get(&id));
            oldest.map_or(0.0, |h| {
                now.since(h.entry.accepted_at).max(0) as f64 / 1000.0
            })
        };
        Self {
            open: state.open_messages(),
            parked: state.parked(),
            undecided: Lane::ALL.map(|lane| queue(lane).len()),
            oldest_seconds: Lane::ALL.map(age),
        }
    }
}

impl Role for Router {
    type Partition = Partition;

    fn open(&mut self, partition: i32, writer: &WriterId, marks: &Marks) -> Partition {
        Partition::new(
            Arc::clone(&self.shared),
            partition,
            writer.clone(),
            marks.clone(),
        )
    }

    fn fold(&mut self, state: &mut Partition, record: &Record<'_>, standing: Standing) {
        state.fold(record, standing);
        self.hear(state);
    }

    fn caught_up(&mut self, state: &mut Partition) {
        state.caught_up();
    }

    fn poisoned(&mut self, state: &mut Partition, record: &Record<'_>) {
        let id = record.headers.attempt.map(|(id, _)| id).or_else(|| {
            let json: serde_json::Value = serde_json::from_slice(record.value?).ok()?;
            json.get("message_id")?.as_str()?.parse().ok()
        });
        if let Some(held) = id.and_then(|id| state.entries.get_mut(&id)) {
            held.entry.refused = Some((
                Reason::InternalPanic,
                "a record of this message met a defect".to_owned(),
            ));
            let id = held.entry.id;
            state.touched.push(id);
        }
    }

    fn act(&mut self, state: &mut Partition, share: Share, out: &mut Outbox) {
        let now = self.shared.clock.now();
        for chore in std::mem::take(&mut state.chores) {
            out.fact(chore.record, chore.ends.map(|work| state.token_of(work)));
        }
        for (record, offset) in std::mem::take(&mut state.receipts) {
            out.owned_noted(record, state.token_of_receipt(offset));
        }
        while let Some(Reverse((at, id))) = state.timers.peek().copied() {
            if at > now {
                break;
            }
            state.timers.pop();
            state.touched.push(id);
        }
        for id in std::mem::take(&mut state.touched) {
            self.settle(state, id, now, out);
        }
        self.count_overdue(state, now);
        for lane in Lane::ALL {
            self.route(state, lane, share, now, out);
        }
        self.hear(state);
        for copy in state.park(now) {
            out.owned(copy);
        }
        for (tombstone, token) in state.tombstones() {
            out.fact(tombstone, Some(token));
        }
        let full = Lane::ALL.map(|lane| self.paused(state).contains(&Topic::requests(lane)));
        self.paused.insert(state.number, full);
        self.report(state, now, out);
    }

    fn acknowledged(&mut self, state: &mut Partition, token: u64) {
        state.acknowledged(token);
    }

    fn restored(&mut self, state: &mut Partition) {
        state.restored();
    }

    fn inherits(&self, state: &Partition) -> bool {
        state.inherits()
    }

    fn floors(&self, state: &Partition) -> BTreeMap<Topic, Floor> {
        state.floors()
    }

    fn committed(&mut self, state: &mut Partition) {
        state.committed();
    }

    fn paused(&self, state: &Partition) -> Vec<Topic> {
        let was = self.paused.get(&state.number).copied().unwrap_or_default();
        let limit = |lane: Lane| {
            if was[lane.index()] {
                UNDECIDED.1
            } else {
                UNDECIDED.0
            }
        };
        Lane::ALL
            .into_iter()
            .filter(|l| state.queues[l.index()].len() > limit(*l))
            .map(Topic::requests)
            .collect()
    }

    fn close(&mut self, partition: i32, state: Partition, _out: &mut Outbox) {
        self.paused.remove(&partition);
        self.waiting.remove(&partition);
        for channel in state.in_flight() {
            self.admission.in_flight(channel, -1);
        }
    }

    fn tick(&mut self, _share: Share, _out: &mut Outbox) {
        let now = self.shared.clock.now();
        if now.since(self.shown) < 1_000 {
            return;
        }
        self.shown = now;
        metrics::ejected(self.admission.ejected().len());
        metrics::open(self.waiting.values().map(|w| w.open).sum());
        metrics::parked(self.waiting.values().map(|w| w.parked).sum());
        for lane in Lane::ALL {
            let i = lane.index();
            let messages = self.waiting.values().map(|w| w.undecided[i]).sum();
            let oldest = self.waiting.values().map(|w| w.oldest_seconds[i]);
            metrics::undecided(lane, messages, oldest.fold(0.0, f64::max));
        }
    }

    fn drain(&mut self) -> bool {
        false
    }
}

impl Router {
    /// Takes what the partition has learnt of channels into the instance's admission.
    fn hear(&mut self, state: &mut Partition) {
        let (now, uptime) = (self.shared.clock.now(), self.shared.clock.uptime());
        for news in state.news.drain(..) {
            match news {
                ChannelNews::InFlight { channel, change } => {
                    self.admission.in_flight(&channel, change)
                }
                ChannelNews::Submitted {
                    channel,
                    attempt,
                    fault,
                    at,
                    took,
                } if now.since(at) < STALE_NEWS_MS => {
                    if let Some(took) = took {
                        self.admission.took(&channel, took);
                    }
                    let jitter = rand::random();
                    self.admission
                        .submitted(&channel, (attempt, fault), uptime, jitter);
                }
                ChannelNews::Account { channel, code, at } if now.since(at) < STALE_NEWS_MS => {
                    let view = self.shared.directory.view();
                    if !view.snapshot.is_taken_out(&channel, now) {
                        error!(%channel, code, "channel taken out: its account cannot send");
                        let until = now.plus_millis(self.shared.config.account_pause_ms());
                        let record = emit::channel_state(ChannelState {
                            channel,
                            vendor_code: code,
                            until,
                        });
                        state
                            .chores
                            .push(crate::partition::Chore { record, ends: None });
                    }
                }
                ChannelNews::Submitted { .. } | ChannelNews::Account { .. } => {}
            }
        }
    }

    /// Does what the state table says for one message.
    fn settle(&mut self, state: &mut Partition, id: MessageId, now: Timestamp, out: &mut Outbox) {
        let Some(held) = state.entries.get_mut(&id) else {
            return;
        };
        if held.written != Written::Nothing {
            return;
        }
        match held.entry.next(now, self.shared.config.deadlines()) {
            Step::Wait(Some(at)) => state.timers.push(Reverse((at, id))),
            Step::Wait(None) => {
                // It has its outcome.
                let window = self.shared.config.correction_window_ms();
                let until = held
                    .entry
                    .outcome
                    .as_ref()
                    .map_or(now, |o| o.ended_at.plus_millis(window));
                let waits = held.entry.may_be_corrected() && !held.entry.superseded;
                if waits && now < until {
                    state.timers.push(Reverse((until, id)));
                } else {
                    state.close(id);
                }
            }
            Step::Decide(not_after) => {
                if !held.queued {
                    held.queued = true;
                    state.queues[held.entry.lane.index()].push(id);
                    state.timers.push(Reverse((not_after, id)));
                }
            }
            Step::Withdraw(n) => {
                if let Some(attempt) = held.entry.attempts.iter().find(|a| a.n == n) {
                    out.owned(emit::withdrawn(&held.entry, attempt, &state.writer, now));
                    held.written = Written::Withdrawal;
                }
            }
            Step::End(terminal, reason) | Step::Correct(terminal, reason) => {
                out.owned(emit::outcome(
                    &held.entry,
                    (terminal, reason),
                    &state.writer,
                    now,
                ));
                held.written = Written::Outcome;
                metrics::outcome(held.entry.lane, terminal);
                let traceparent = held.entry.traceparent.as_deref();
                debug!(message_id = %id, outcome = terminal.as_str(), %reason, traceparent, "message ended");
            }
        }
    }

    fn count_overdue(&mut self, state: &mut Partition, now: Timestamp) {
        while let Some(Reverse((at, id, n))) = state.overdue.peek().copied() {
            if at > now {
                break;
            }
            state.overdue.pop();
            let Some(held) = state.entries.get_mut(&id) else {
                continue;
            };
            let lane = held.entry.lane;
            let waits = held
                .entry
                .attempts
                .iter_mut()
                .find(|a| a.n == n && a.report().is_none());
            let Some(attempt) = waits else { continue };
            attempt.overdue = true;
            let channel = attempt.channel.clone();
            state.book.book(
                &channel,
                lane,
                News::Overdue,
                at,
                self.shared.config.half_life_ms(),
            );
        }
    }

    fn report(&mut self, state: &mut Partition, now: Timestamp, out: &mut Outbox) {
        if now.since(state.reported_at) < 1_000 {
            return;
        }
        state.reported_at = now;
        let all = now.since(state.reported_all_at) >= 60_000;
        if all {
            state.reported_all_at = now;
        }
        let cells = state
            .book
            .report(all, now, self.shared.config.half_life_ms());
        if !cells.is_empty() {
            let report = HealthReport {
                partition: state.number,
                writer: state.writer.clone(),
                at: now,
                cells,
            };
            out.fact(emit::health(report), None);
        }
        self.waiting.insert(state.number, Waiting::of(state, now));
        if now.millis() / 10_000 != state.swept_at.millis() / 10_000 {
            state.swept_at = now;
            state.sweep(now);
        }
    }
}
