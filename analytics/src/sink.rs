//! From the log to ClickHouse: every valid event becomes its rows, once.
//!
//! One thread reads all topics. Each topic of each partition is a [`lane`]; its records are gathered into a batch
//! ([`range`]), the batch is announced in the group's commit, inserted under a token that names it ([`insert`]), and
//! only then passed. While ClickHouse is down batches wait, reading pauses, and the log keeps the rest.

mod allowance;
mod broken;
mod insert;
mod judge;
mod lane;
mod range;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jixinda_runtime::{
    clock::SharedClock,
    crash,
    kafka::{
        Kafka, Record,
        member::{Change, Commit, Committed, Member},
    },
    lifecycle::Handle,
};
use jixinda_schemas::{Topic, seal::PlatformKey};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};
use uuid::Uuid;

use self::{
    allowance::Allowance,
    insert::Inserter,
    lane::{Lane, Sending},
};
use crate::{Config, Error, ddl::Server, metrics};

/// Name of the role and of its consumer group.
pub const ROLE: &str = "analytics";

/// What the role reads; all have the same partitions.
pub const TOPICS: [Topic; 7] = [
    Topic::DispatchOtp,
    Topic::DispatchNotice,
    Topic::DispatchMarketing,
    Topic::Attempts,
    Topic::Receipts,
    Topic::Outcomes,
    Topic::DeadLetters,
];

const POLL: Duration = Duration::from_millis(20);
const TICK: Duration = Duration::from_millis(50);
/// A commit that only says that inserts are done may wait this long.
const COMMIT_PAUSE: Duration = Duration::from_secs(1);
/// How long open inserts may take at the end.
const DRAIN: Duration = Duration::from_secs(8);

/// What the sink is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) kafka: Kafka,
    pub(crate) clock: SharedClock,
    pub(crate) key: PlatformKey,
    pub(crate) server: Server,
    pub(crate) log_id: Uuid,
    pub(crate) runtime: tokio::runtime::Handle,
}

type Key = (Topic, i32);

struct Sink {
    parts: Parts,
    member: Arc<Member>,
    lanes: BTreeMap<Key, Lane>,
    /// A rebalance is under way: what is kept comes next.
    revoked: bool,
    inserter: Arc<Inserter>,
    delivered: mpsc::Sender<(Key, u64)>,
    deliveries: mpsc::Receiver<(Key, u64)>,
    ids: u64,
    ticked: Duration,
    committed: Duration,
    short: bool,
    allowance: Allowance,
}

/// Runs on the calling thread until the stop.
pub(crate) fn run(parts: Parts, handle: &Handle) -> Result<(), Error> {
    let member = Arc::new(Member::join_in_bulk(
        &parts.kafka,
        ROLE,
        &TOPICS,
        |committed| committed.offset,
    )?);
    // At most one insert is under way for each lane.
    let (delivered, deliveries) =
        mpsc::channel(TOPICS.len() * usize::try_from(parts.kafka.config().partitions).unwrap_or(1));
    let (quit, quitting) = watch::channel(false);
    let inserter = Arc::new(Inserter::new(
        &parts.config,
        parts.server,
        parts.log_id,
        quitting,
    ));
    let allowance = Allowance::new(parts.config.inserts_per_second);
    let mut sink = Sink {
        parts,
        member,
        lanes: BTreeMap::new(),
        revoked: false,
        inserter,
        delivered,
        deliveries,
        ids: 0,
        ticked: Duration::ZERO,
        committed: Duration::ZERO,
        short: false,
        allowance,
    };
    while !handle.is_stopping() {
        match sink.turn(handle) {
            Err(Error::Kafka(jixinda_runtime::kafka::Error::Fenced(_))) => sink.rejoin()?,
            turned => turned?,
        }
    }
    sink.drain();
    quit.send_replace(true);
    Ok(())
}

impl Sink {
    /// Whatever was held is dropped by the new member's first changes.
    fn rejoin(&mut self) -> Result<(), Error> {
        let new = Arc::new(self.member.rejoin()?);
        Ok(std::mem::replace(&mut self.member, new).retire()?)
    }

    fn turn(&mut self, handle: &Handle) -> Result<(), Error> {
        let now = self.parts.clock.uptime();
        let member = Arc::clone(&self.member);
        let message = member.poll(POLL)?;
        // They may have happened in the poll, and then come before the message.
        let changes = member.changes();
        if !changes.is_empty() {
            let place = message
                .and_then(|m| Record::read(&self.parts.kafka, &m).map(|r| (r.topic, r.partition)));
            self.follow(changes, handle)?;
            // What the poll returned is read again from where its lane stands now.
            if let Some((topic, partition)) = place
                && let Some(lane) = self.lanes.get(&(topic, partition))
            {
                self.member.seek(topic, partition, lane.next())?;
            }
        } else if let Some(message) = message
            && let Some(record) = Record::read(&self.parts.kafka, &message)
            && let Some(lane) = self.lanes.get_mut(&(record.topic, record.partition))
            && let Err(skip) = lane.take(&record, now, &self.parts.key)
        {
            metrics::skipped(record.topic.as_str(), skip.as_str());
            if skip.is_odd() {
                warn!(topic = %record.topic, partition = record.partition, offset = record.offset, reason = skip.as_str(), "record skipped");
            }
        }
        while let Ok(((topic, partition), id)) = self.deliveries.try_recv() {
            if let Some(lane) = self
                .lanes
                .get_mut(&(topic, partition))
                .filter(|lane| lane.id == id)
            {
                lane.inserted();
            }
        }
        if now.saturating_sub(self.ticked) >= TICK {
            self.ticked = now;
            self.advance(now, false);
            self.rest();
        }
        Ok(())
    }

    fn follow(&mut self, changes: Vec<Change>, handle: &Handle) -> Result<(), Error> {
        for change in changes {
            match change {
                Change::Revoked => self.revoked = true,
                Change::Kept(kept) => {
                    self.drop_but(&kept);
                    for partition in kept {
                        self.check(partition)?;
                    }
                    self.resume();
                    handle.ready();
                }
                Change::Assigned(assigned) => {
                    if self.revoked {
                        self.drop_but(&[]);
                    }
                    for (partition, committed) in assigned {
                        for committed in committed {
                            self.open(partition, &committed)?;
                        }
                    }
                    self.resume();
                    handle.ready();
                }
                Change::Failed(why) => return Err(jixinda_runtime::kafka::Error::Fatal(why).into()),
            }
        }
        self.line();
        Ok(())
    }

    fn open(&mut self, partition: i32, committed: &Committed) -> Result<(), Error> {
        self.ids += 1;
        let lane = Lane::new(self.ids, committed).map_err(|_| {
            jixinda_runtime::kafka::Error::Setup(format!(
                "the commit of group {} for {} {partition} was written by another program: {}",
                self.parts.kafka.group(ROLE),
                committed.topic,
                committed.metadata
            ))
        })?;
        self.lanes.insert((committed.topic, partition), lane);
        Ok(())
    }

    fn drop_but(&mut self, kept: &[i32]) {
        self.revoked = false;
        self.lanes.retain(|(_, p), _| kept.contains(p));
    }

    /// Another member may have held a kept partition in between; then its word counts.
    fn check(&mut self, partition: i32) -> Result<(), Error> {
        let committed = self.member.committed(partition)?;
        let agrees = |c: &Committed| {
            self.lanes
                .get(&(c.topic, partition))
                .is_some_and(|lane| lane.agrees(c))
        };
        if committed.iter().all(agrees) {
            return Ok(());
        }
        info!(partition, "another member held the partition in between");
        for committed in &committed {
            self.open(partition, committed)?;
            self.member
                .seek(committed.topic, partition, committed.offset)?;
        }
        Ok(())
    }

    /// Closes what is due, commits, and sends what the commit announces.
    fn advance(&mut self, now: Duration, all: bool) {
        // Between a revoke and the next assignment nothing is held, yet the broker takes a commit of any partition from
        // a member of the group: it would announce, under the next owner's eyes or behind its back, what that owner
        // inserts as well.
        if self.revoked {
            return;
        }
        self.close(now, all);
        let wanted = self.lanes.values().any(Lane::wants_commit);
        if wanted || all || now.saturating_sub(self.committed) >= COMMIT_PAUSE {
            self.commit(now);
        }
        for ((topic, partition), lane) in &mut self.lanes {
            let Some(batch) = lane.batch(*topic, *partition) else {
                continue;
            };
            let (inserter, delivered) = (Arc::clone(&self.inserter), self.delivered.clone());
            let done = ((*topic, *partition), lane.id);
            crash::point("sink.announced");
            let task = self.parts.runtime.spawn(async move {
                if inserter.deliver(&batch).await {
                    crash::point("sink.inserted");
                    // An error means that the sink has ended; the commit still announces the batch.
                    let _ = delivered.send(done).await;
                }
            });
            lane.sending = Some(Sending(task.abort_handle()));
        }
    }

    /// Closes what is full, has waited for its limit, or fits into what ClickHouse may be asked for, the oldest first;
    /// while memory is short, all that is due.
    fn close(&mut self, now: Duration, all: bool) {
        let config = &self.parts.config;
        let mut due: Vec<(Duration, &mut Lane)> = self
            .lanes
            .values_mut()
            .filter(|lane| lane.is_closable())
            .filter_map(|lane| Some((lane.waits(now)?, lane)))
            .filter(|(waits, lane)| {
                all || *waits >= config.batch_interval || lane.is_full(config.batch_rows)
            })
            .collect();
        due.sort_by_key(|(waits, _)| std::cmp::Reverse(*waits));
        let room = self.allowance.left(now);
        let mut closed = 0;
        for (waits, lane) in due {
            let must = all || self.short || lane.is_full(config.batch_rows);
            if must || closed < room || waits >= config.batch_patience {
                // One without rows costs nothing.
                closed += usize::from(lane.close());
            }
        }
        self.allowance.take(closed);
    }

    fn commit(&mut self, now: Duration) {
        let due: Vec<(Key, Commit)> = self
            .lanes
            .iter()
            .filter_map(|(key, lane)| Some((*key, commit(*key, &lane.due()?))))
            .collect();
        self.committed = now;
        if due.is_empty() {
            return;
        }
        let (keys, line): (Vec<Key>, Vec<Commit>) = due.into_iter().unzip();
        if let Err(e) = self.member.commit(&line) {
            // Nothing was sent yet; the same is committed at the next tick.
            warn!(error = &e as &dyn std::error::Error, "commit failed");
            return;
        }
        for key in keys {
            if let Some(lane) = self.lanes.get_mut(&key) {
                lane.committed();
            }
        }
        self.line();
    }

    /// What a revoke commits.
    fn line(&self) {
        self.member.set_line(
            self.lanes
                .iter()
                .map(|(key, lane)| commit(*key, &lane.mark()))
                .collect(),
        );
    }

    /// Pauses and resumes lanes by what is held.
    fn rest(&mut self) {
        let held: usize = self.lanes.values().map(Lane::held).sum();
        let limit = self.parts.config.held_rows;
        self.short = held >= limit || (self.short && held > limit / 2);
        for ((topic, partition), lane) in &mut self.lanes {
            let rest = lane.should_rest(self.parts.config.batch_rows, self.short);
            if rest != lane.paused {
                match self.member.set_paused(*topic, *partition, rest) {
                    Ok(()) => lane.paused = rest,
                    Err(e) => {
                        warn!(%topic, partition, error = &e as &dyn std::error::Error, "cannot pause or resume")
                    }
                }
            }
        }
        let oldest = self.lanes.values().filter_map(Lane::oldest).min();
        metrics::held(
            held,
            oldest.map_or(0, |at| self.parts.clock.now().millis() - at),
        );
    }

    /// Nothing is taken for paused that may not be.
    fn resume(&mut self) {
        for ((topic, partition), lane) in &mut self.lanes {
            lane.paused = false;
            if let Err(e) = self.member.set_paused(*topic, *partition, false) {
                warn!(%topic, partition, error = &e as &dyn std::error::Error, "cannot resume");
            }
        }
    }

    /// Sends what is held and waits a while; what does not get through stays announced.
    fn drain(&mut self) {
        if self.revoked {
            self.drop_but(&[]);
        }
        let start = self.parts.clock.uptime();
        loop {
            let now = self.parts.clock.uptime();
            self.advance(now, true);
            if !self.lanes.values().any(Lane::is_busy) || now.saturating_sub(start) >= DRAIN {
                break;
            }
            let (runtime, deliveries) = (&self.parts.runtime, &mut self.deliveries);
            let next =
                runtime.block_on(async { tokio::time::timeout(TICK, deliveries.recv()).await });
            if let Ok(Some((key, id))) = next
                && let Some(lane) = self.lanes.get_mut(&key).filter(|lane| lane.id == id)
            {
                lane.inserted();
            }
        }
        let left = self.lanes.values().filter(|lane| lane.is_busy()).count();
        if left > 0 {
            warn!(batches = left, "batches are left for the next start");
        }
        let line: Vec<Commit> = self
            .lanes
            .iter()
            .filter_map(|(key, lane)| Some(commit(*key, &lane.due()?)))
            .collect();
        if let Err(e) = self.member.commit(&line) {
            error!(
                error = &e as &dyn std::error::Error,
                "last commit failed, batches will be sent again"
            );
        }
    }
}

fn commit((topic, partition): Key, mark: &range::Mark) -> Commit {
    // Numbers and names only: it cannot fail.
    let metadata = serde_json::to_string(&mark.note).unwrap_or_default();
    Commit {
        topic,
        partition,
        offset: mark.offset,
        metadata,
    }
}
