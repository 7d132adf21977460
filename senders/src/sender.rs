//! What a sender does with its partitions: claims routings, calls vendors, writes what they said.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jixinda_runtime::{
    clock::SharedClock,
    crash,
    kafka::{
        Record,
        fence::Standing,
        owner::{Floor, Marks, Outbox, Role, Share},
    },
};
use jixinda_schemas::{
    CallId, Lane, Timestamp, Topic, WriterId,
    codec::{self, Event},
    directory::ChannelMode,
    event::{AttemptFinished, AttemptResult, NotStartedCause},
    vendor::Blame,
};
use tracing::{debug, error, warn};

use crate::{
    claims::{Claims, Order, Won},
    emit,
    limiter::Limiter,
    metrics,
    receipts::Held,
    registry::{Ready, Registry},
    service::SharedRegistry,
    together::{Together, call_for, item},
    vendor::Call,
    vendors::waiting::Earlier,
};

/// Routings looked at in one act, for each lane, and passed over because their channel was found full before.
const LOOK: usize = 256;
const PASS: usize = 4_096;

/// How long a claimed message waits for a place in its channel before the router decides anew.
const fn patience(lane: Lane) -> Duration {
    match lane {
        Lane::Otp => Duration::from_secs(1),
        Lane::Notice | Lane::Marketing => Duration::from_secs(2),
    }
}

/// A call that has ended, with a result for each of its messages.
struct Done {
    results: Vec<(Arc<Order>, AttemptResult)>,
    writer: WriterId,
    call_id: CallId,
    submitted_at: Timestamp,
    elapsed: Duration,
}

pub(crate) struct Sender {
    pool: String,
    registry: SharedRegistry,
    clock: SharedClock,
    limiter: Limiter,
    /// Results of calls; bounded by the concurrency of the channels.
    done: Arc<Mutex<Vec<Done>>>,
    calls: tokio::runtime::Handle,
    held: Held,
    draining: bool,
}

impl Sender {
    /// Calls run on the runtime of the caller. `held` is told of every partition.
    pub(crate) fn new(
        pool: String,
        registry: SharedRegistry,
        clock: SharedClock,
        held: Held,
    ) -> Self {
        Self {
            pool,
            registry,
            clock,
            limiter: Limiter::default(),
            done: Arc::default(),
            calls: tokio::runtime::Handle::current(),
            held,
            draining: false,
        }
    }
}

/// State of one partition.
pub(crate) struct Partition {
    writer: WriterId,
    claims: Claims,
}

impl Role for Sender {
    type Partition = Partition;

    fn open(&mut self, partition: i32, writer: &WriterId, _marks: &Marks) -> Partition {
        self.held.take(partition);
        Partition {
            writer: writer.clone(),
            claims: Claims::default(),
        }
    }

    fn fold(&mut self, state: &mut Partition, record: &Record<'_>, standing: Standing) {
        let now = self.clock.uptime();
        if let Some(lane) = record.topic.lane() {
            state.claims.read_to(lane, record.at);
        }
        let Some(value) = record.value else { return };
        let event = match codec::decode(record.kind(), value) {
            Ok(event) => event,
            Err(e) => {
                // The router, which reads the same record, writes its dead letter.
                warn!(topic = %record.topic, offset = record.offset, error = &e as &dyn std::error::Error, "record skipped");
                return;
            }
        };
        let (valid, place) = (standing == Standing::Valid, (record.offset, record.at));
        match event {
            Event::Routed(e) if valid && e.payload.pool == self.pool => {
                let Some(message_id) = e.message_id else {
                    return;
                };
                let order = Order {
                    routed: e.payload,
                    message_id,
                    app_id: e.app_id,
                    traceparent: record.headers.traceparent.clone(),
                    position: record.position(),
                };
                state.claims.routed(record.topic, record.offset, order, now);
            }
            Event::AttemptStarted(e) if valid => {
                if let Some(id) = e.message_id {
                    state.claims.started(place, id, e.app_id, e.payload, now);
                }
            }
            Event::AttemptNotStarted(e) if valid => state.claims.not_started(place, &e.payload),
            Event::AttemptFinished(e) => {
                state.claims.finished(record.offset, &e.payload);
                // Of its own calls this process knows by itself.
                if record.headers.writer.as_ref() != Some(&state.writer) {
                    self.ask_about(e.payload, record.at);
                }
            }
            _ => {}
        }
        for order in state.claims.lost.drain(..) {
            self.limiter.let_go(&order.routed.channel);
        }
    }

    fn caught_up(&mut self, state: &mut Partition) {
        state.claims.caught_up();
    }

    fn poisoned(&mut self, _state: &mut Partition, _record: &Record<'_>) {
        // The message stays routed and unclaimed: the router takes it back.
    }

    fn act(&mut self, state: &mut Partition, share: Share, out: &mut Outbox) {
        let (now, uptime) = (self.clock.now(), self.clock.uptime());
        let registry = self.registry.load_full();
        let (mut early, mut full) = (Vec::new(), Vec::new());
        while let Some(mut won) = state.claims.next_won(uptime) {
            let ready = registry
                .get(won.orders[0].routed.channel.as_str())
                .filter(|ready| won.young && ready.channel.mode != ChannelMode::Disabled);
            let in_time = |order: &Arc<Order>| ready.is_some() && now < order.routed.not_after;
            let orders = std::mem::take(&mut won.orders).into_iter();
            let (orders, late): (Vec<_>, Vec<_>) = orders.partition(in_time);
            for order in late {
                self.not_called(&order, won.call_id, &state.writer, out);
            }
            let Some(ready) = ready.filter(|_| !orders.is_empty()) else {
                continue;
            };
            won.orders = orders;
            let (channel, count) = (&ready.channel, won.orders.len());
            // Small calls do not overtake a large one.
            let found_full = full.contains(&channel.id);
            if !found_full && self.limiter.try_call(channel, share, count, uptime) {
                self.call(ready, won, state.writer.clone());
                continue;
            }
            if !found_full {
                full.push(channel.id.clone());
            }
            let pause = self.limiter.pause_left(&channel.id, uptime);
            let waited = uptime.saturating_sub(won.since) + pause.unwrap_or_default();
            if self.draining || waited >= patience(won.orders[0].routed.lane) {
                for order in &won.orders {
                    self.not_called(order, won.call_id, &state.writer, out);
                }
            } else {
                early.push(won);
            }
        }
        for won in early.iter().rev() {
            state.claims.put_back(won);
        }
        let timeout = registry
            .ready()
            .map(|r| r.channel.call_timeout_ms)
            .max()
            .unwrap_or(10_000);
        for abandoned in state
            .claims
            .abandoned(uptime, Duration::from_millis(u64::from(timeout)))
        {
            metrics::abandoned();
            out.fact(emit::abandoned(&abandoned, &state.writer, now), None);
        }
        state.claims.sweep();
        if !self.draining {
            for lane in Lane::ALL {
                self.claim(state, &registry, lane, share, out);
            }
        }
    }

    fn acknowledged(&mut self, _state: &mut Partition, _token: u64) {}

    fn restored(&mut self, _state: &mut Partition) {}

    fn inherits(&self, _state: &Partition) -> bool {
        false
    }

    fn committed(&mut self, _state: &mut Partition) {}

    fn floors(&self, state: &Partition) -> BTreeMap<Topic, Floor> {
        state
            .claims
            .floors()
            .into_iter()
            .map(|(topic, offset)| {
                (
                    topic,
                    Floor {
                        offset: Some(offset),
                        mark: None,
                    },
                )
            })
            .collect()
    }

    fn paused(&self, _state: &Partition) -> Vec<Topic> {
        Vec::new()
    }

    fn close(&mut self, partition: i32, state: Partition, out: &mut Outbox) {
        self.held.give_up(partition);
        // Calls in flight free their places, and tell their results, when they end. Claims that were not called yet
        // never will be: said now, the router decides anew; unsaid, they would end as unknown.
        for (order, call_id) in state.claims.mine_uncalled() {
            self.not_called(order, call_id, &state.writer, out);
        }
    }

    fn tick(&mut self, _share: Share, out: &mut Outbox) {
        let done = std::mem::take(&mut *self.done.lock().unwrap_or_else(PoisonError::into_inner));
        let (now, uptime) = (self.clock.now(), self.clock.uptime());
        for done in done {
            let mut throttled = None;
            for (order, result) in &done.results {
                metrics::answered(order.routed.channel.as_str(), result);
                if let AttemptResult::Rejected {
                    blame: Blame::Capacity,
                    retry_after_ms,
                    ..
                } = result
                {
                    let pause = retry_after_ms.map(|ms| Duration::from_millis(u64::from(ms)));
                    throttled = Some(pause);
                }
            }
            let Some((first, _)) = done.results.first() else {
                continue;
            };
            let (channel, call_id) = (&first.routed.channel, done.call_id);
            match throttled {
                Some(pause) => self.limiter.throttled(channel, pause, uptime),
                None => self.limiter.fine(channel, done.elapsed),
            }
            self.limiter.ended(channel, done.results.len());
            metrics::called(channel.as_str(), done.elapsed);
            for (order, result) in done.results {
                let traceparent = order.traceparent.as_deref();
                let channel = &order.routed.channel;
                debug!(message_id = %order.message_id, %channel, %call_id, traceparent, "vendor called");
                let call = Some((done.submitted_at, done.elapsed));
                let finished = emit::finished(&order, &done.writer, call_id, result, call, now);
                out.fact(finished, None);
            }
        }
        metrics::in_flight(self.limiter.in_flight());
    }

    fn drain(&mut self) -> bool {
        self.draining = true;
        self.limiter.in_flight() > 0
    }
}

impl Sender {
    /// Claims what can go now; gives back what has waited too long.
    fn claim(
        &mut self,
        state: &mut Partition,
        registry: &Registry,
        lane: Lane,
        share: Share,
        out: &mut Outbox,
    ) {
        let budget = Duration::from_millis(lane.send_budget_ms());
        let (mut blocked, mut full) = (Vec::new(), Vec::new());
        let mut calls: Vec<Together> = Vec::new();
        let mut looked = 0;
        for _ in 0..state.claims.ready[lane.index()].len().min(PASS) {
            if looked >= LOOK || !out.has_room() {
                break;
            }
            let Some((order, read)) = state.claims.ready[lane.index()].pop_front() else {
                break;
            };
            let key = order.key();
            if !state.claims.is_free(&key) {
                continue;
            }
            let (now, uptime) = (self.clock.now(), self.clock.uptime());
            let in_time = now < order.routed.not_after && uptime.saturating_sub(read) < budget;
            if in_time && full.contains(&order.routed.channel) {
                blocked.push((order, read));
                continue;
            }
            looked += 1;
            let usable = registry
                .get(order.routed.channel.as_str())
                .filter(|r| r.channel.mode != ChannelMode::Disabled);
            let give_back = match usable {
                _ if now >= order.routed.not_after => Some((NotStartedCause::Expired, None)),
                None => Some((NotStartedCause::ChannelUnavailable, Some(1_000))),
                Some(ready) if self.limiter.try_start(&ready.channel, lane, share, uptime) => None,
                Some(ready) if uptime.saturating_sub(read) >= budget => {
                    let left = self
                        .limiter
                        .pause_left(&ready.channel.id, uptime)
                        .unwrap_or(Duration::from_millis(100));
                    Some((NotStartedCause::Capacity, Some(left.as_millis() as u32)))
                }
                Some(_) => {
                    full.push(order.routed.channel.clone());
                    blocked.push((order, read));
                    continue;
                }
            };
            match give_back {
                Some((cause, retry_after_ms)) => {
                    metrics::given_back(cause);
                    state.claims.settling(key);
                    out.owned(emit::not_started(
                        &order,
                        &state.writer,
                        cause,
                        retry_after_ms,
                        now,
                    ));
                }
                None => {
                    let call_id = usable.map_or_else(
                        || CallId::from_random(rand::random()),
                        |ready| call_for(&mut calls, ready, &order),
                    );
                    state.claims.claimed(key, call_id, uptime);
                    #[cfg(feature = "bench-without-read-back")]
                    state.claims.won_unread(key, call_id);
                    out.owned(emit::started(&order, &state.writer, call_id, now));
                }
            }
        }
        // The oldest stay first.
        for waiting in blocked.into_iter().rev() {
            state.claims.ready[lane.index()].push_front(waiting);
        }
    }

    /// What another sender had taken, where reports come only to who asks: that is us now.
    fn ask_about(&self, finished: AttemptFinished, at: Timestamp) {
        let registry = self.registry.load();
        let ready = registry.get(finished.channel.as_str());
        let ready = ready.filter(|ready| ready.channel.pool == self.pool);
        let list = ready.and_then(|ready| ready.vendor.pull()?.list());
        if let Some(list) = list
            && let Some(earlier) = Earlier::of(finished, at)
        {
            let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
            list.resume(vec![earlier], self.clock.now());
        }
    }

    /// The claim stands, and no call was or will be made on it.
    fn not_called(&mut self, order: &Order, call_id: CallId, writer: &WriterId, out: &mut Outbox) {
        self.limiter.let_go(&order.routed.channel);
        let (result, now) = (AttemptResult::NotCalled, self.clock.now());
        out.fact(
            emit::finished(order, writer, call_id, result, None, now),
            None,
        );
    }

    fn call(&self, ready: &Ready, won: Won, writer: WriterId) {
        let Won {
            call_id, orders, ..
        } = won;
        crash::point("senders.read_back");
        let (vendor, done, clock) = (
            Arc::clone(&ready.vendor),
            Arc::clone(&self.done),
            Arc::clone(&self.clock),
        );
        let timeout = Duration::from_millis(u64::from(ready.channel.call_timeout_ms));
        self.calls.spawn(async move {
            let call = Call {
                call_id,
                items: orders.iter().map(|order| item(order)).collect(),
                timeout,
            };
            let (submitted_at, begun) = (clock.now(), clock.uptime());
            // A client that panics leaves its call unknown, and neither the message open nor its place taken.
            let sent = tokio::spawn(async move { vendor.send(&call).await }).await;
            let (answers, missing) = match sent {
                Ok(answers) => (answers, "no_result"),
                Err(e) => {
                    error!(%call_id, error = &e as &dyn std::error::Error, "the vendor's client failed");
                    (Vec::new(), "client_failed")
                }
            };
            let mut answers = answers.into_iter();
            crash::point("senders.answered");
            let elapsed = clock.uptime().saturating_sub(begun);
            let results = orders.into_iter().map(|order| {
                let none = || AttemptResult::Unknown {
                    detail: missing.to_owned(),
                };
                (order, answers.next().unwrap_or_else(none))
            });
            let end = Done {
                results: results.collect(),
                writer,
                call_id,
                submitted_at,
                elapsed,
            };
            done.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(end);
        });
    }
}
