//! The loop: poll, fold, act, write, commit.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use jixinda_schemas::{
    Reason, Timestamp, Topic, WriterId,
    codec::{self, About},
    event::{DeadLetter, Opened, kind},
    headers::Headers,
};
use tracing::{error, info, warn};

use super::{Floor, Marks, Metadata, Outbox, Role, Share, Spec, Write};
use crate::{
    clock::SharedClock,
    kafka::{
        Error, Kafka, OwnedRecord, Record,
        fence::{Fence, Standing},
        member::{Change, Commit, Committed, Member},
    },
    lifecycle::Handle,
    metrics,
};

/// Records folded before the role acts again.
const BATCH: usize = 512;
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// A foreign `opened` or a lost write: wait this long for a rebalance before taking over again.
const RETAKE_AFTER: Duration = Duration::from_secs(1);
const DRAIN_LIMIT: Duration = Duration::from_secs(15);
/// So many panics in [`PANIC_WINDOW`] stop the role.
const PANICS: usize = 3;
const PANIC_WINDOW: Duration = Duration::from_secs(10);

enum Phase {
    /// Waiting for the acknowledgement of our `opened` in every topic that we write.
    Opening {
        left: usize,
    },
    /// Folding up to these ends.
    Folding {
        ends: HashMap<Topic, i64>,
    },
    Acting,
    /// Another writer opened the partition, or a write failed.
    Lost {
        since: Instant,
    },
}

struct Held<P> {
    state: P,
    writer: WriterId,
    fences: HashMap<Topic, Fence>,
    /// Topics in which our own `opened` was read.
    own_opened: HashSet<Topic>,
    phase: Phase,
    /// Assigned now; otherwise kept in case it comes back.
    assigned: bool,
    since: Instant,
    paused: Vec<Topic>,
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
}

/// Runs the role on the calling thread until the stop. Blocks.
///
/// # Errors
/// When the role cannot go on: bad set-up, fenced as a process, or records that keep panicking.
pub fn run<R: Role>(
    kafka: &Kafka,
    spec: Spec,
    clock: SharedClock,
    role: R,
    handle: &Handle,
) -> Result<(), Error> {
    let member = Member::join(kafka, &spec.role, &spec.reads, |committed| {
        Metadata::read(committed).floor
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
            let busy = self.poll()?;
            self.deliveries()?;
            self.advance();
            self.update_share();
            if !ready
                && !self.held.is_empty()
                && self.held.values().all(|h| matches!(h.phase, Phase::Acting))
            {
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

    fn apply(&mut self, changes: Vec<Change>) -> Result<(), Error> {
        for change in changes {
            match change {
                Change::Revoked => {
                    for held in self.held.values_mut() {
                        held.assigned = false;
                    }
                    self.share.held = 0;
                }
                Change::Kept(numbers) => {
                    self.drop_all_but(&numbers);
                    for number in numbers {
                        if let Some(held) = self.held.get_mut(&number) {
                            held.assigned = true;
                            held.paused.clear();
                        }
                    }
                }
                Change::Assigned(partitions) => {
                    let keep: Vec<i32> = self
                        .held
                        .iter()
                        .filter(|(_, h)| h.assigned)
                        .map(|(number, _)| *number)
                        .collect();
                    self.drop_all_but(&keep);
                    for (number, committed) in partitions {
                        self.take_over(number, &committed);
                    }
                }
                Change::Failed(why) => return Err(Error::Fatal(why)),
            }
        }
        Ok(())
    }

    fn drop_all_but(&mut self, keep: &[i32]) {
        let gone: Vec<i32> = self
            .held
            .keys()
            .filter(|n| !keep.contains(n))
            .copied()
            .collect();
        for number in gone {
            if let Some(held) = self.held.remove(&number) {
                info!(
                    role = self.spec.role,
                    partition = number,
                    "partition given up"
                );
                self.role.close(number, held.state);
            }
            self.member.forget(number);
        }
    }

    fn take_over(&mut self, number: i32, committed: &[Committed]) {
        let writer = WriterId {
            role: self.spec.role.as_str().into(),
            number: rand::random(),
        };
        let metadata: BTreeMap<Topic, Metadata> = committed
            .iter()
            .map(|c| (c.topic, Metadata::read(c)))
            .collect();
        let marks: Marks = metadata
            .iter()
            .filter_map(|(topic, m)| m.mark.map(|mark| (*topic, mark)))
            .collect();
        let fences = metadata
            .into_iter()
            .map(|(topic, m)| (topic, Fence::from_base(m.writers)))
            .collect();
        let state = self.role.open(number, &writer, &marks);
        self.out.owner = Some((number, writer.number));
        for topic in &self.spec.writes {
            self.out.opened(self.opened_record(*topic, number, &writer));
        }
        self.out.owner = None;
        let left = self.spec.writes.len();
        info!(role = self.spec.role, partition = number, %writer, "taking over");
        self.held.insert(
            number,
            Held {
                state,
                writer,
                fences,
                own_opened: HashSet::new(),
                phase: Phase::Opening { left },
                assigned: true,
                since: Instant::now(),
                paused: Vec::new(),
            },
        );
    }

    fn opened_record(&self, topic: Topic, partition: i32, writer: &WriterId) -> OwnedRecord {
        let now = self.clock.now();
        let payload = Opened {
            writer: writer.clone(),
            instance: self.kafka.instance(),
            at: now,
        };
        let value = codec::encode(&codec::envelope(
            kind::OPENED,
            About::default(),
            now,
            payload,
        ));
        let headers = Headers {
            writer: Some(writer.clone()),
            ..Headers::of(kind::OPENED)
        };
        OwnedRecord {
            topic,
            partition: Some(partition),
            key: None,
            value: Some(value),
            headers,
        }
    }

    fn deliveries(&mut self) -> Result<(), Error> {
        for delivered in self.out.pump() {
            let pending = delivered.pending;
            let held = pending.owner.and_then(|(number, writer)| {
                self.held
                    .get_mut(&number)
                    .filter(|h| h.writer.number == writer)
            });
            match (delivered.result, pending.write) {
                (Ok(_), _) => {
                    let Some(held) = held else { continue };
                    if pending.opened
                        && let Phase::Opening { left } = &mut held.phase
                    {
                        *left -= 1;
                    }
                    if let Some(token) = pending.token {
                        self.role.acknowledged(&mut held.state, token);
                    }
                }
                (Err(e), Write::Fact) => {
                    use rdkafka::error::RDKafkaErrorCode as Code;
                    if matches!(
                        e.rdkafka_error_code(),
                        Some(
                            Code::Fatal
                                | Code::MessageSizeTooLarge
                                | Code::TopicAuthorizationFailed
                        )
                    ) {
                        return Err(Error::Fatal(format!(
                            "{}: the producer is broken: {e}",
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
                    held.phase = Phase::Lost {
                        since: Instant::now(),
                    };
                }
            }
        }
        Ok(())
    }

    /// Moves partitions from phase to phase.
    fn advance(&mut self) {
        let numbers: Vec<i32> = self.held.keys().copied().collect();
        for number in numbers {
            let Some(held) = self.held.get_mut(&number).filter(|h| h.assigned) else {
                continue;
            };
            match &mut held.phase {
                Phase::Opening { left: 0 } => {
                    let mut ends = HashMap::new();
                    for topic in &self.spec.reads {
                        match self.out.end(*topic, number) {
                            Ok(end) => drop(ends.insert(*topic, end)),
                            Err(e) => warn!(
                                role = self.spec.role,
                                error = &e as &dyn std::error::Error,
                                "will ask again"
                            ),
                        }
                    }
                    if ends.len() == self.spec.reads.len() {
                        held.phase = Phase::Folding { ends };
                    }
                }
                Phase::Folding { ends } => {
                    ends.retain(|topic, end| {
                        self.member
                            .next(*topic, number)
                            .is_none_or(|next| next < *end)
                    });
                    if ends.is_empty() {
                        held.phase = Phase::Acting;
                        self.role.caught_up(&mut held.state);
                        let seconds = held.since.elapsed().as_secs_f64();
                        metrics::takeover(&self.spec.role, seconds);
                        info!(role = self.spec.role, partition = number, seconds, "acting");
                    }
                }
                Phase::Lost { since } if since.elapsed() >= RETAKE_AFTER => {
                    if let Err(e) = self.retake(number) {
                        warn!(
                            role = self.spec.role,
                            error = &e as &dyn std::error::Error,
                            "takeover failed, will try again"
                        );
                        if let Some(held) = self.held.get_mut(&number) {
                            held.phase = Phase::Lost {
                                since: Instant::now(),
                            };
                        }
                    }
                }
                Phase::Opening { .. } | Phase::Acting | Phase::Lost { .. } => {}
            }
        }
    }

    fn retake(&mut self, number: i32) -> Result<(), Error> {
        metrics::fenced(&self.spec.role);
        let committed = self.member.committed(number)?;
        for c in &committed {
            self.member.seek(c.topic, number, Metadata::read(c).floor)?;
        }
        if let Some(held) = self.held.remove(&number) {
            self.role.close(number, held.state);
        }
        self.take_over(number, &committed);
        Ok(())
    }

    /// Lower at once, higher only a second after the assignment: the former holder's calls must have left by then.
    fn update_share(&mut self) {
        self.share.held = self
            .held
            .values()
            .filter(|h| {
                h.assigned
                    && h.since.elapsed() >= Duration::from_secs(1)
                    && !matches!(h.phase, Phase::Lost { .. })
            })
            .count();
    }

    fn act(&mut self) {
        self.role.tick(self.share, &mut self.out);
        for (number, held) in &mut self.held {
            if !held.assigned || !matches!(held.phase, Phase::Acting) || !self.out.has_room() {
                continue;
            }
            self.out.owner = Some((*number, held.writer.number));
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
        let mut line = Vec::new();
        for (number, held) in &mut self.held {
            if !held.assigned || !matches!(held.phase, Phase::Acting) {
                continue;
            }
            let floors = self.role.floors(&held.state);
            for topic in &self.spec.reads {
                let Some(next) = self.member.next(*topic, *number) else {
                    continue;
                };
                let Floor { offset, mark } = floors.get(topic).copied().unwrap_or_default();
                let floor = offset.unwrap_or(next).min(next);
                let writers = held.fences.entry(*topic).or_default().raise(floor).clone();
                let metadata = Metadata {
                    floor,
                    mark,
                    writers,
                }
                .write();
                line.push(Commit {
                    topic: *topic,
                    partition: *number,
                    offset: next,
                    metadata,
                });
            }
        }
        if let Err(e) = self.member.commit(&line) {
            // An older commit only makes the next takeover read more.
            warn!(
                role = self.spec.role,
                error = &e as &dyn std::error::Error,
                "commit failed"
            );
        }
        self.member.set_line(line);
    }

    fn fold(&mut self, record: &Record<'_>) -> Result<(), Error> {
        let Some(held) = self.held.get_mut(&record.partition) else {
            return Ok(());
        };
        let fence = held.fences.entry(record.topic).or_default();
        if record.headers.kind.as_deref() == Some(kind::OPENED) {
            let Some(writer) = record.headers.writer.clone() else {
                return Ok(());
            };
            if writer == held.writer {
                held.own_opened.insert(record.topic);
            } else if writer.role == held.writer.role
                && held.own_opened.contains(&record.topic)
                && !matches!(held.phase, Phase::Lost { .. })
            {
                warn!(role = self.spec.role, partition = record.partition, %writer, "another writer opened the partition");
                held.phase = Phase::Lost {
                    since: Instant::now(),
                };
            }
            fence.open(record.offset, writer);
            return Ok(());
        }
        let standing = fence.standing(record.headers.writer.as_ref());
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

/// Largest part of a record that a dead letter keeps, so that it fits a record itself.
const DEAD_LETTER_BYTES: usize = 512 * 1024;

/// The dead letter of a record, to be written as a fact.
#[must_use]
pub fn dead_letter(
    record: &Record<'_>,
    reason: Reason,
    detail: &str,
    step: &str,
    at: Timestamp,
) -> OwnedRecord {
    let value = record.value.unwrap_or_default();
    let kept = &value[..value.len().min(DEAD_LETTER_BYTES)];
    let payload = DeadLetter {
        source: Some(record.position()),
        reason,
        detail: detail.to_owned(),
        step: step.to_owned(),
        at,
        channel: None,
        key: record.key.map(|k| STANDARD.encode(k)),
        value: STANDARD.encode(kept),
        headers: record
            .headers
            .pairs()
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v))
            .collect(),
    };
    let about = About {
        cause: Some(record.position()),
        ..About::default()
    };
    OwnedRecord {
        topic: Topic::DeadLetters,
        partition: None,
        key: record.key.map(<[u8]>::to_vec),
        value: Some(codec::encode(&codec::envelope(
            kind::DEAD_LETTER,
            about,
            at,
            payload,
        ))),
        headers: Headers::of(kind::DEAD_LETTER),
    }
}
