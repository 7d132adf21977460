//! The sender's role: claims routings, calls vendors, writes what they said.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use jixinda_runtime::{
    clock::SharedClock,
    directory::Directory,
    http,
    kafka::{
        Kafka, OwnedRecord, Record,
        fence::Standing,
        owner::{self, Floor, Marks, Outbox, Role, Share, Spec},
        producer::{Linger, Producer},
    },
    lifecycle::Handle,
};
use jixinda_schemas::{
    AttemptId, CallId, Timestamp, Topic, WriterId,
    codec::{self, About, Event},
    directory::ChannelMode,
    event::{
        AttemptFinished, AttemptNotStarted, AttemptResult, AttemptStarted, NotStartedCause, kind,
    },
    headers::Headers,
    seal::PlatformKey,
    vendor::Blame,
};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::{
    Config, Error,
    claims::{Claims, Order, Won},
    limiter::Limiter,
    metrics,
    receipts::{self, Receipts},
    registry::Registry,
    sink::KafkaSink,
    vendor::{Call, Item, Now},
    vendors,
};

/// Topics that a sender reads, co-partitioned.
pub const READS: [Topic; 4] = [
    Topic::DispatchOtp,
    Topic::DispatchNotice,
    Topic::DispatchMarketing,
    Topic::Attempts,
];

/// Routings looked at in one act, for each lane.
const LOOK: usize = 256;

/// Name of the role of a pool, its group and its writers.
#[must_use]
pub fn role(pool: &str) -> String {
    format!("senders.{pool}")
}

/// What the senders need of their process.
#[derive(Clone, Debug)]
pub struct Deps {
    pub kafka: Kafka,
    pub directory: Directory,
    pub key: PlatformKey,
    pub clock: SharedClock,
}

/// The senders.
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

    /// Sends and takes receipts until the stop. `receipts` is the component of the receipt endpoint.
    ///
    /// # Errors
    /// When Kafka is not usable as set up, this process was fenced, or the endpoint cannot listen.
    pub async fn run(self, handle: Handle, receipts: Handle) -> Result<(), Error> {
        let Self { config, deps } = self;
        let listener = http::bind(config.listen).await?;
        let client = vendors::client(config.connect_timeout)?;
        let clock = Arc::clone(&deps.clock);
        let now: Now = Arc::new(move || clock.now());
        let registry = watch_registry(&deps, client, &now, &handle);
        let endpoint = receipts_endpoint(&config, &deps, registry.1, now, listener, receipts)?;

        let spec = Spec {
            role: role(&config.pool),
            reads: READS.to_vec(),
            writes: vec![Topic::Attempts],
        };
        let sender = Sender {
            pool: config.pool,
            registry: registry.0,
            clock: Arc::clone(&deps.clock),
            limiter: Limiter::default(),
            done: Arc::default(),
            calls: tokio::runtime::Handle::current(),
            draining: false,
        };
        let (kafka, clock) = (deps.kafka, deps.clock);
        let (done, result) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name(spec.role.clone())
            .spawn(move || {
                let ended = owner::run(&kafka, spec, clock, sender, &handle);
                if let Err(e) = &ended {
                    handle.fail(e.to_string());
                }
                // The receiver waits until the thread ends.
                drop(done.send(ended));
            })
            .map_err(Error::Thread)?;
        let ended = match result.await {
            Ok(ended) => ended.map_err(Error::from),
            Err(_) => Err(jixinda_runtime::kafka::Error::Fatal(
                "the sender's thread panicked".to_owned(),
            )
            .into()),
        };
        if let Err(e) = endpoint.await {
            warn!(
                error = &e as &dyn std::error::Error,
                "receipt endpoint ended"
            );
        }
        ended
    }
}

type SharedRegistry = Arc<ArcSwap<Registry>>;

/// Rebuilds the registry whenever the directory changes.
fn watch_registry(
    deps: &Deps,
    client: reqwest::Client,
    now: &Now,
    handle: &Handle,
) -> (SharedRegistry, watch::Receiver<Arc<Registry>>) {
    let (directory, key, now) = (deps.directory.clone(), deps.key.clone(), Arc::clone(now));
    let mut view = directory.view();
    let first = Arc::new(Registry::build(None, &view.snapshot, &key, &client, &now));
    report_unusable(&first);
    let shared: SharedRegistry = Arc::new(ArcSwap::new(Arc::clone(&first)));
    let (tell, told) = watch::channel(first);
    let (show, stopping) = (Arc::clone(&shared), handle.stopping());
    tokio::spawn(async move {
        while !stopping.is_stopping() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let newest = directory.view();
            if Arc::ptr_eq(&newest.snapshot, &view.snapshot) {
                continue;
            }
            view = newest;
            let registry = Arc::new(Registry::build(
                Some(&tell.borrow()),
                &view.snapshot,
                &key,
                &client,
                &now,
            ));
            report_unusable(&registry);
            show.store(Arc::clone(&registry));
            tell.send_replace(registry);
        }
    });
    (shared, told)
}

fn report_unusable(registry: &Registry) {
    for (channel, why) in registry.unusable() {
        warn!(%channel, error = why as &dyn std::error::Error, "channel cannot be used");
    }
}

fn receipts_endpoint(
    config: &Config,
    deps: &Deps,
    registry: watch::Receiver<Arc<Registry>>,
    now: Now,
    listener: tokio::net::TcpListener,
    handle: Handle,
) -> Result<tokio::task::JoinHandle<()>, Error> {
    let producer = Producer::new(&deps.kafka, "receipts", Linger::Short)?;
    let app = receipts::router(Receipts {
        registry,
        sink: Arc::new(KafkaSink::new(producer, Arc::clone(&deps.clock))),
        trusted_proxies: config.trusted_proxies.clone().into(),
        now,
    });
    let address = config.listen;
    Ok(tokio::spawn(async move {
        handle.ready();
        info!(%address, "taking receipts");
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(listener, service)
            .with_graceful_shutdown(async move { handle.stopped().await })
            .await;
        if let Err(e) = served {
            warn!(%address, error = &e as &dyn std::error::Error, "receipt endpoint failed");
        }
    }))
}

/// A call that has ended.
struct Done {
    order: Arc<Order>,
    writer: WriterId,
    call_id: CallId,
    result: AttemptResult,
    submitted_at: Timestamp,
    elapsed: Duration,
}

struct Sender {
    pool: String,
    registry: SharedRegistry,
    clock: SharedClock,
    limiter: Limiter,
    /// Results of calls; bounded by the concurrency of the channels.
    done: Arc<Mutex<Vec<Done>>>,
    calls: tokio::runtime::Handle,
    draining: bool,
}

/// State of one partition.
struct Partition {
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
        while let Some(won) = state.claims.next_won(uptime) {
            self.act_on_won(state, &registry, won, now, out);
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
            out.fact(abandoned_record(&abandoned, &state.writer, now), None);
        }
        state.claims.sweep();
        if !self.draining {
            for lane in jixinda_schemas::Lane::ALL {
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

    fn close(&mut self, _partition: i32, state: Partition) {
        // Calls in flight free their places when they end; claims that were not called yet never will be.
        for order in state.claims.mine_uncalled() {
            self.limiter.ended(&order.routed.channel);
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
            out.fact(
                finished(
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
        lane: jixinda_schemas::Lane,
        share: Share,
        out: &mut Outbox,
    ) {
        let budget = Duration::from_millis(lane.send_budget_ms());
        for _ in 0..state.claims.ready[lane.index()].len().min(LOOK) {
            if !out.has_room() {
                return;
            }
            let Some((order, read)) = state.claims.ready[lane.index()].pop_front() else {
                return;
            };
            let key = order.key();
            if !state.claims.is_free(&key) {
                continue;
            }
            let (now, uptime) = (self.clock.now(), self.clock.uptime());
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
                    state.claims.ready[lane.index()].push_back((order, read));
                    continue;
                }
            };
            match give_back {
                Some((cause, retry_after_ms)) => {
                    metrics::given_back(cause);
                    state.claims.settling(key);
                    out.owned(not_started(
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
                    out.owned(started(&order, &state.writer, call_id, now));
                }
            }
        }
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
            self.limiter.ended(&order.routed.channel);
            out.fact(
                finished(
                    &order,
                    &state.writer,
                    call_id,
                    AttemptResult::NotCalled,
                    None,
                    now,
                ),
                None,
            );
            return;
        };
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

fn record(order: &Order, name: &str, writer: &WriterId, value: Vec<u8>) -> OwnedRecord {
    let headers = Headers {
        lane: Some(order.routed.lane),
        channel: Some(order.routed.channel.clone()),
        attempt: Some(order.key()),
        writer: Some(writer.clone()),
        traceparent: order.traceparent.clone(),
        ..Headers::of(name)
    };
    OwnedRecord::keyed(Topic::Attempts, &order.routed.recipient, value, headers)
}

fn about(order: &Order, writer: &WriterId) -> About {
    About {
        message_id: Some(order.message_id),
        app_id: order.app_id.clone(),
        cause: Some(order.position),
        // Claims of different writers on one routing are different events.
        discriminator: writer.number as u32,
    }
}

fn started(order: &Order, writer: &WriterId, call_id: CallId, now: Timestamp) -> OwnedRecord {
    let routed = &order.routed;
    let payload = AttemptStarted {
        n: routed.n,
        attempt_id: routed.attempt_id,
        lane: routed.lane,
        recipient: routed.recipient.clone(),
        channel: routed.channel.clone(),
        vendor: routed.vendor.clone(),
        call_id,
        started_at: now,
    };
    let event = codec::envelope(kind::ATTEMPT_STARTED, about(order, writer), now, payload);
    record(order, kind::ATTEMPT_STARTED, writer, codec::encode(&event))
}

fn not_started(
    order: &Order,
    writer: &WriterId,
    cause: NotStartedCause,
    retry_after_ms: Option<u32>,
    now: Timestamp,
) -> OwnedRecord {
    let routed = &order.routed;
    let payload = AttemptNotStarted {
        n: routed.n,
        attempt_id: routed.attempt_id,
        lane: routed.lane,
        channel: routed.channel.clone(),
        cause,
        retry_after_ms,
    };
    let event = codec::envelope(
        kind::ATTEMPT_NOT_STARTED,
        about(order, writer),
        now,
        payload,
    );
    record(
        order,
        kind::ATTEMPT_NOT_STARTED,
        writer,
        codec::encode(&event),
    )
}

fn finished(
    order: &Order,
    writer: &WriterId,
    call_id: CallId,
    result: AttemptResult,
    call: Option<(Timestamp, Duration)>,
    now: Timestamp,
) -> OwnedRecord {
    let routed = &order.routed;
    let payload = AttemptFinished {
        n: routed.n,
        attempt_id: routed.attempt_id,
        lane: routed.lane,
        recipient: routed.recipient.clone(),
        channel: routed.channel.clone(),
        call_id,
        result,
        submitted_at: call.map(|(at, _)| at),
        elapsed_ms: call.map(|(_, elapsed)| elapsed.as_millis() as u32),
    };
    let event = codec::envelope(kind::ATTEMPT_FINISHED, about(order, writer), now, payload);
    record(order, kind::ATTEMPT_FINISHED, writer, codec::encode(&event))
}

fn abandoned_record(
    abandoned: &crate::claims::Abandoned,
    writer: &WriterId,
    now: Timestamp,
) -> OwnedRecord {
    let s = &abandoned.started;
    let payload = AttemptFinished {
        n: s.n,
        attempt_id: AttemptId::new(abandoned.message_id, s.n),
        lane: s.lane,
        recipient: s.recipient.clone(),
        channel: s.channel.clone(),
        call_id: s.call_id,
        result: AttemptResult::Unknown {
            detail: "owner_died".to_owned(),
        },
        submitted_at: None,
        elapsed_ms: None,
    };
    let about = About {
        message_id: Some(abandoned.message_id),
        app_id: abandoned.app_id.clone(),
        ..About::default()
    };
    let value = codec::encode(&codec::envelope(
        kind::ATTEMPT_FINISHED,
        about,
        now,
        payload,
    ));
    let headers = Headers {
        lane: Some(s.lane),
        channel: Some(s.channel.clone()),
        attempt: Some((abandoned.message_id, s.n)),
        writer: Some(writer.clone()),
        ..Headers::of(kind::ATTEMPT_FINISHED)
    };
    OwnedRecord::keyed(Topic::Attempts, &s.recipient, value, headers)
}
