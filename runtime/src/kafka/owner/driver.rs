//! The loop: poll, fold, act, write, commit.

mod takeover;

use std::{
    collections::{BTreeMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use jixinda_schemas::{Reason, Topic, event::kind, headers::Headers};
use tracing::{error, info, warn};

use super::{Outbox, Role, Share, Spec, Write, dead_letter};
use crate::{
    clock::SharedClock,
    crash,
    kafka::{
        Error, Kafka, OwnedRecord, Record,
        fence::Standing,
        member::{Commit, Member},
        seat::{Metadata, Read, Seat},
    },
    lifecycle::Handle,
    metrics,
};

/// Records folded before the role acts again.
const BATCH: usize = 512;
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// A foreign `opened` or a lost write: wait this long for a rebalance before taking over again.
const RETAKE_AFTER: Duration = Duration::from_secs(1);
/// Before a broker that did not say where a log ends is asked again: it may be on its way up, and busy.
const ASK_AGAIN: Duration = Duration::from_millis(250);
const DRAIN_LIMIT: Duration = Duration::from_secs(15);
/// So many panics in [`PANIC_WINDOW`] stop the role.
const PANICS: usize = 3;
const PANIC_WINDOW: Duration = Duration::from_secs(10);

struct Held<P> {
    state: P,
    seat: Seat,
    /// Since when the seat is lost.
    lost: Option<Instant>,
    /// Keys of the `opened` of earlier owners in the kept topic.
    former: Vec<Vec<u8>>,
    /// Assigned now; otherwise kept in case it comes back.
    assigned: bool,
    since: Instant,
    /// When the broker did not say where the logs end.
    unanswered: Option<Instant>,
    paused: Vec<Topic>,
}

impl<P> Held<P> {
    fn lose(&mut self) {
        self.seat.lose();
        self.lost = Some(Instant::now());
    }
}

struct Driver<R: Role> {
    kafka: Kafka,
    spec: Spec,
    clock: SharedClock,
    role: R,
    member: Arc<Member>,
    out: Outbox,
    held: BTreeMap<i32, Held<R::Partition>>,
    share: Share,
    panics: VecDeque<Instant>,
    /// The partition that acts first: what an instance may send is shared by all, and the first takes it first.
    first: i32,
}

/// Runs the role on a thread of its own until the stop. A failure is also shown by `handle`.
///
/// # Errors
/// When the role cannot go on: bad set-up, fenced as a process, or records that keep panicking.
pub async fn run<R: Role>(
    kafka: Kafka,
    spec: Spec,
    clock: SharedClock,
    role: R,
    handle: Handle,
) -> Result<(), Error> {
    let (done, result) = tokio::sync::oneshot::channel();
    let name = spec.role.clone();
    std::thread::Builder::new()
        .name(name.clone())
        .spawn(move || {
            let ended = serve(&kafka, spec, clock, role, &handle);
            if let Err(e) = &ended {
                handle.fail(crate::telemetry::with_causes(e));
            }
            // The receiver waits until the thread ends.
            drop(done.send(ended));
        })
        .map_err(|e| Error::Fatal(format!("cannot start the thread of {name}: {e}")))?;
    match result.await {
        Ok(ended) => ended,
        Err(_) => Err(Error::Fatal(format!("the thread of {name} panicked"))),
    }
}

fn serve<R: Role>(
    kafka: &Kafka,
    spec: Spec,
    clock: SharedClock,
    role: R,
    handle: &Handle,
) -> Result<(), Error> {
    let member = Member::join(kafka, &spec.role, &spec.reads, spec.kept, |committed| {
        committed.read().floor
    })?;
    let out = Outbox::new(kafka, &spec.role)?;
    let total = usize::try_from(kafka.config().partitions).unwrap_or(1);
    let mut driver = Driver {
        kafka: kafka.clone(),
        spec,
        clock,
        role,
        member: Arc::new(member),
        out,
        held: BTreeMap::new(),
        share: Share { held: 0, total },
        panics: VecDeque::new(),
        first: 0,
    };
    handle.not_ready("waiting for partitions");
    driver.serve(handle)
}

impl<R: Role> Driver<R> {
    fn serve(&mut self, handle: &Handle) -> Result<(), Error> {
        let mut committed_at = Instant::now();
        let mut draining: Option<Instant> = None;
        let mut ready = false;
        loop {
            let busy = match self.poll() {
                Err(Error::Fenced(_)) => self.rejoin().map(|()| true)?,
                polled => polled?,
            };
            self.deliveries()?;
            self.advance();
            self.update_share();
            if !ready && !self.held.is_empty() && self.held.values().all(|h| h.seat.may_act()) {
                handle.ready();
                ready = true;
            }
            let stopping = handle.is_stopping();
            if stopping && draining.is_none() {
                draining = Some(Instant::now());
                info!(role = self.spec.role, "draining");
            }
            self.act();
            if committed_at.elapsed() >= COMMIT_EVERY {
                self.commit();
                committed_at = Instant::now();
            }
            if let Some(since) = draining {
                let working = self.role.drain() || !self.out.is_idle();
                if !working || since.elapsed() > DRAIN_LIMIT {
                    if working {
                        warn!(
                            role = self.spec.role,
                            "stopped with work in flight; the next owner settles it"
                        );
                    }
                    self.commit();
                    return Ok(());
                }
            }
            if !busy {
                metrics::partitions(
                    &self.spec.role,
                    self.held.values().filter(|h| h.assigned).count(),
                );
            }
        }
    }

    /// Whatever was held is dropped, as the new member's first changes say.
    fn rejoin(&mut self) -> Result<(), Error> {
        let new = Arc::new(self.member.rejoin()?);
        std::mem::replace(&mut self.member, new).retire()?;
        self.apply(self.member.changes())
    }

    /// Folds up to a batch of records. Returns whether there were any.
    fn poll(&mut self) -> Result<bool, Error> {
        let member = Arc::clone(&self.member);
        let mut wait = Duration::from_millis(2);
        for i in 0..BATCH {
            let message = member.poll(wait)?;
            // A rebalance inside the poll comes before the message that the poll returned.
            let changes = member.changes();
            if !changes.is_empty() {
                self.apply(changes)?;
            }
            let Some(message) = message else {
                return Ok(i > 0);
            };
            wait = Duration::ZERO;
            if let Some(record) = Record::read(&self.kafka, &message) {
                self.fold(&record)?;
            }
        }
        Ok(true)
    }

    fn deliveries(&mut self) -> Result<(), Error> {
        for delivered in self.out.pump()? {
            let pending = delivered.pending;
            use rdkafka::error::RDKafkaErrorCode as Code;
            let held = pending.owner.and_then(|(number, writer)| {
                self.held
                    .get_mut(&number)
                    .filter(|h| h.seat.writer().number == writer)
            });
            match (delivered.result, pending.write) {
                (Ok(_), _) => {
                    crash::acked(pending.kind());
                    let Some(held) = held else { continue };
                    if pending.opened {
                        held.seat.opened();
                    }
                    if let Some(token) = pending.token {
                        self.role.acknowledged(&mut held.state, token);
                    }
                }
                (Err(e), Write::Fact) => {
                    if matches!(
                        e.rdkafka_error_code(),
                        Some(Code::MessageSizeTooLarge | Code::TopicAuthorizationFailed)
                    ) {
                        return Err(Error::Fatal(format!(
                            "{}: a fact cannot be written: {e}",
                            self.spec.role
                        )));
                    }
                    self.out.again(pending);
                }
                (Err(e), Write::Owned) => {
                    let Some(held) = held else { continue };
                    warn!(
                        role = self.spec.role,
                        error = &e as &dyn std::error::Error,
                        "write failed, taking over again"
                    );
                    held.lose();
                }
            }
        }
        Ok(())
    }

    /// Lower at once, higher only a second after the assignment: the former holder's calls must have left by then.
    fn update_share(&mut self) {
        self.share.held = self
            .held
            .values()
            .filter(|h| {
                h.assigned && h.since.elapsed() >= Duration::from_secs(1) && !h.seat.is_lost()
            })
            .count();
    }

    fn act(&mut self) {
        self.role.tick(self.share, &mut self.out);
        let mut turn: Vec<i32> = self.held.keys().copied().collect();
        let first = turn.partition_point(|number| *number < self.first);
        turn.rotate_left(first);
        self.first = turn.get(1).copied().unwrap_or(0);
        for number in &turn {
            let Some(held) = self.held.get_mut(number) else {
                continue;
            };
            if !held.assigned || !held.seat.may_act() || !self.out.has_room() {
                continue;
            }
            self.out.owner = Some((*number, held.seat.writer().number));
            self.role.act(&mut held.state, self.share, &mut self.out);
            self.out.owner = None;
            let want = self.role.paused(&held.state);
            for topic in &self.spec.reads {
                let (now, then) = (want.contains(topic), held.paused.contains(topic));
                if now != then
                    && let Err(e) = self.member.set_paused(*topic, *number, now)
                {
                    warn!(role = self.spec.role, %topic, error = &e as &dyn std::error::Error, "pause or resume failed");
                }
            }
            held.paused = want;
        }
    }

    fn commit(&mut self) {
        let (mut line, mut numbers) = (Vec::new(), Vec::new());
        for (number, held) in &mut self.held {
            if !held.assigned || !held.seat.may_act() {
                continue;
            }
            numbers.push(*number);
            let floors = self.role.floors(&held.state);
            for topic in &self.spec.reads {
                let Some(next) = self.member.next(*topic, *number) else {
                    continue;
                };
                let floor = floors.get(topic).copied().unwrap_or_default();
                let metadata: Metadata = held.seat.metadata(*topic, next, floor);
                line.push(Commit {
                    topic: *topic,
                    partition: *number,
                    offset: next,
                    metadata: metadata.write(),
                });
            }
        }
        match self.member.commit(&line) {
            Ok(()) => {
                for number in numbers {
                    if let Some(held) = self.held.get_mut(&number) {
                        self.role.committed(&mut held.state);
                    }
                    self.forget_former(number);
                }
            }
            // An older commit only makes the next takeover read more.
            Err(e) => warn!(
                role = self.spec.role,
                error = &e as &dyn std::error::Error,
                "commit failed"
            ),
        }
        self.member.set_line(line);
    }

    /// No record is left that the `opened` of an earlier owner would judge: they go, or each takeover would add to what
    /// the next one reads.
    fn forget_former(&mut self, number: i32) {
        let Some(held) = self.held.get_mut(&number) else {
            return;
        };
        let Some(topic) = self.spec.kept.filter(|_| !self.role.inherits(&held.state)) else {
            return;
        };
        self.out.owner = Some((number, held.seat.writer().number));
        for key in held.former.drain(..) {
            let tombstone = OwnedRecord {
                topic,
                partition: Some(number),
                key: Some(key),
                value: None,
                headers: Headers::default(),
            };
            self.out.fact(tombstone, None);
        }
        self.out.owner = None;
    }

    fn fold(&mut self, record: &Record<'_>) -> Result<(), Error> {
        let Some(held) = self.held.get_mut(&record.partition) else {
            return Ok(());
        };
        let writer = record.headers.writer.as_ref();
        let is_opened = record.headers.kind.as_deref() == Some(kind::OPENED);
        let standing = match held
            .seat
            .read(record.topic, record.offset, writer, is_opened)
        {
            Read::Fold(standing) => standing,
            Read::Opened => {
                if Some(record.topic) == self.spec.kept && writer != Some(held.seat.writer()) {
                    held.former.extend(record.key.map(<[u8]>::to_vec));
                }
                return Ok(());
            }
            Read::Succeeded => {
                let by = writer.map(ToString::to_string);
                warn!(
                    role = self.spec.role,
                    partition = record.partition,
                    writer = by,
                    "another writer opened the partition"
                );
                held.lose();
                return Ok(());
            }
            Read::TooEarly => {
                // It slipped in before the pause took hold.
                return self
                    .member
                    .seek(record.topic, record.partition, record.offset);
            }
        };
        if standing == Standing::Stale {
            metrics::stale(&self.spec.role, record.topic.as_str());
        }
        let (role, state) = (&mut self.role, &mut held.state);
        if catch_unwind(AssertUnwindSafe(|| role.fold(state, record, standing))).is_ok() {
            return Ok(());
        }
        self.role.poisoned(&mut held.state, record);
        self.panicked(record)
    }

    fn panicked(&mut self, record: &Record<'_>) -> Result<(), Error> {
        let (topic, partition, offset) = (record.topic, record.partition, record.offset);
        error!(role = self.spec.role, %topic, partition, offset, "record panicked");
        let step = format!("{}.fold", self.spec.role);
        let detail = "the handler panicked; see the log";
        self.out.fact(
            dead_letter(
                record,
                Reason::InternalPanic,
                detail,
                &step,
                self.clock.now(),
            ),
            None,
        );
        let now = Instant::now();
        self.panics.push_back(now);
        while self
            .panics
            .front()
            .is_some_and(|at| now.duration_since(*at) > PANIC_WINDOW)
        {
            self.panics.pop_front();
        }
        if self.panics.len() >= PANICS {
            return Err(Error::Fatal(format!(
                "{}: {PANICS} records panicked within 10 s",
                self.spec.role
            )));
        }
        Ok(())
    }
}
