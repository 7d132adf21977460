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
    event::{AttemptResult, NotStartedCause},
    vendor::Blame,
};
use tracing::{debug, warn};

use crate::{
    claims::{Claims, Order, Won},
    emit,
    limiter::Limiter,
    metrics,
    registry::Registry,
    service::SharedRegistry,
    vendor::{Call, Item},
};

/// Routings looked at in one act, for each lane, and passed over because their channel was found full before.
const LOOK: usize = 256;
const PASS: usize = 4_096;

/// A call that has ended.
struct Done {
    order: Arc<Order>,
    writer: WriterId,
    call_id: CallId,
    result: AttemptResult,
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
    draining: bool,
}

impl Sender {
    /// Calls run on the runtime of the caller.
    pub(crate) fn new(pool: String, registry: SharedRegistry, clock: SharedClock) -> Self {
        Self {
            pool,
            registry,
            clock,
            limiter: Limiter::default(),
            done: Arc::default(),
            calls: tokio::runtime::Handle::current(),
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

    fn open(&mut self, _partition: i32, writer: &WriterId, _marks: &Marks) -> Partition {
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
            Event::AttemptNotStarted(e) if valid => {
                if let Some(id) = e.message_id {
                    state.claims.not_started(place, id, &e.payload);
                }
            }
            Event::AttemptFinished(e) => {
                if let Some(id) = e.message_id {
                    state.claims.finished(record.offset, id, &e.payload);
                }
            }
            _ => {}
        }
        for order in state.claims.lost.drain(..) {
            self.limiter.ended(&order.routed.channel);
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
        let mut early = Vec::new();
        while let Some(won) = state.claims.next_won(uptime) {
            if let Won::Call(order, _) = &won
                && let Some(ready) = registry.get(order.routed.channel.as_str())
                && !self.limiter.try_call(&ready.channel, share, uptime)
            {
                early.push(Arc::clone(order));
                continue;
            }
            self.act_on_won(state, &registry, won, now, out);
        }
        for order in early.iter().rev() {
            state.claims.put_back(order);
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

    fn close(&mut self, _partition: i32, state: Partition, out: &mut Outbox) {
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
            let channel = &done.order.routed.channel;
            self.limiter.ended(channel);
            match &done.result {
                AttemptResult::Rejected {
                    blame: Blame::Capacity,
                    retry_after_ms,
                    ..
                } => {
                    let pause = retry_after_ms.map(|ms| Duration::from_millis(u64::from(ms)));
                    self.limiter.throttled(channel, pause, uptime);
                }
                _ => self.limiter.fine(channel),
            }
            metrics::call(channel.as_str(), &done.result, done.elapsed);
            let traceparent = done.order.traceparent.as_deref();
            debug!(message_id = %done.order.message_id, %channel, call_id = %done.call_id, traceparent, "vendor called");
            out.fact(
                emit::finished(
                    &done.order,
                    &done.writer,
                    done.call_id,
                    done.result,
                    Some((done.submitted_at, done.elapsed)),
                    now,
                ),
                None,
            );
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
                    let call_id = CallId::from_random(rand::random());
                    state.claims.claimed(key, call_id, uptime);
                    out.owned(emit::started(&order, &state.writer, call_id, now));
                }
            }
        }
        // The oldest stay first.
        for waiting in blocked.into_iter().rev() {
            state.claims.ready[lane.index()].push_front(waiting);
        }
    }

    /// The claim stands, and no call was or will be made on it.
    fn not_called(&mut self, order: &Order, call_id: CallId, writer: &WriterId, out: &mut Outbox) {
        self.limiter.ended(&order.routed.channel);
        let (result, now) = (AttemptResult::NotCalled, self.clock.now());
        out.fact(
            emit::finished(order, writer, call_id, result, None, now),
            None,
        );
    }

    fn act_on_won(
        &mut self,
        state: &mut Partition,
        registry: &Registry,
        won: Won,
        now: Timestamp,
        out: &mut Outbox,
    ) {
        let (order, call_id, young) = match won {
            Won::Call(order, call_id) => (order, call_id, true),
            Won::TooOld(order, call_id) => (order, call_id, false),
        };
        let ready = registry
            .get(order.routed.channel.as_str())
            .filter(|r| r.channel.mode != ChannelMode::Disabled);
        let Some(ready) = ready.filter(|_| young && now < order.routed.not_after) else {
            self.not_called(&order, call_id, &state.writer, out);
            return;
        };
        crash::point("senders.read_back");
        let (vendor, done, clock) = (
            Arc::clone(&ready.vendor),
            Arc::clone(&self.done),
            Arc::clone(&self.clock),
        );
        let timeout = Duration::from_millis(u64::from(ready.channel.call_timeout_ms));
        let writer = state.writer.clone();
        self.calls.spawn(async move {
            let routed = &order.routed;
            let call = Call {
                call_id,
                items: vec![Item {
                    recipient: routed.recipient.clone(),
                    sign_name: routed.sign_name.clone(),
                    content: routed.content.clone(),
                    text: routed.text.clone(),
                }],
                timeout,
            };
            let (submitted_at, begun) = (clock.now(), clock.uptime());
            let result = vendor
                .send(&call)
                .await
                .pop()
                .unwrap_or(AttemptResult::Unknown {
                    detail: "no_result".to_owned(),
                });
            crash::point("senders.answered");
            let elapsed = clock.uptime().saturating_sub(begun);
            let end = Done {
                order,
                writer,
                call_id,
                result,
                submitted_at,
                elapsed,
            };
            done.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(end);
        });
    }
}
