//! Everything about the recipients of one partition: folded from the log, never acted on here.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, VecDeque},
    sync::Arc,
};

use jixinda_runtime::{
    clock::SharedClock,
    directory::Directory,
    kafka::{
        OwnedRecord, Record,
        fence::Standing,
        ledger::Ledger,
        owner::{Floor, Marks, dead_letter},
    },
};
use jixinda_schemas::{
    CallId, ChannelId, Lane, MessageId, Phone, Position, Reason, Timestamp, Topic, WriterId,
    codec::{self, Event},
    event::{
        AttemptFinished, AttemptNotStarted, AttemptResult, AttemptStarted, AttemptState, Outcome,
        RawReceipt, Routed,
    },
    seal::PlatformKey,
    vendor::{Blame, Disposition, ReceiptStatus},
};

use crate::{
    Config, emit,
    health::{Book, News, SharedHealth},
    ids::{Ids, Sighting},
    intake::{self, Intake, Proof},
    message::Entry,
    metrics,
};

/// An unmatched receipt waits so long for its attempt.
const UNMATCHED_MS: i64 = 24 * 3_600_000;
/// After a takeover, a receipt that was read before and is older than this belongs to a message that has ended.
const REREAD_MS: i64 = 120_000;
/// Calls of ended messages are known so long, so that their repeated receipts are just counted.
const CLOSED_MS: i64 = 300_000;

/// What the router's partitions share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) key: PlatformKey,
    pub(crate) directory: Directory,
    pub(crate) health: SharedHealth,
    pub(crate) clock: SharedClock,
    pub(crate) partitions: i32,
}

/// A piece of open work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    Message(MessageId),
    /// A record that no message could be made of, or an unmatched receipt.
    Record(Topic, i64),
}

/// What was written for a message and not read back yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Written {
    Nothing,
    Routing(ChannelId),
    Withdrawal,
    Outcome,
}

#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) entry: Entry,
    pub(crate) proof: Proof,
    pub(crate) written: Written,
    pub(crate) queued: bool,
    /// Channel whose concurrency it takes up.
    in_flight: Option<ChannelId>,
}

#[derive(Debug)]
enum Fact {
    Routed(Routed),
    Started(AttemptStarted),
    NotStarted(AttemptNotStarted),
    Finished(AttemptFinished),
    Outcome(Outcome),
}

#[derive(Debug)]
struct Unmatched {
    receipt: RawReceipt,
    offset: i64,
    at: Timestamp,
    record: OwnedRecord,
    reread: bool,
}

/// Something to be written whatever happens to the message.
#[derive(Debug)]
pub(crate) struct Chore {
    pub(crate) record: OwnedRecord,
    /// Work that ends with the acknowledgement.
    pub(crate) ends: Option<Work>,
}

/// What a vendor call told about its channel, for the instance's breaker.
#[derive(Debug)]
pub(crate) enum ChannelNews {
    Submitted {
        channel: ChannelId,
        fault: bool,
        at: Timestamp,
    },
    Account {
        channel: ChannelId,
        code: String,
        at: Timestamp,
    },
    InFlight {
        channel: ChannelId,
        change: i64,
    },
}

/// State of one partition.
#[derive(Debug)]
pub struct Partition {
    pub(crate) shared: Arc<Shared>,
    pub(crate) number: i32,
    pub(crate) writer: WriterId,
    /// Offsets below which requests were done with, and receipts read, at the last commit.
    marks: Marks,
    pub(crate) entries: HashMap<MessageId, Held>,
    by_recipient: HashMap<Phone, Vec<MessageId>>,
    ids: Ids,
    pub(crate) ledger: Ledger<Work>,
    pub(crate) chores: Vec<Chore>,
    pub(crate) receipts: Vec<OwnedRecord>,
    pub(crate) touched: Vec<MessageId>,
    pub(crate) queues: [VecDeque<MessageId>; 3],
    pub(crate) timers: BinaryHeap<Reverse<(Timestamp, MessageId)>>,
    pub(crate) overdue: BinaryHeap<Reverse<(Timestamp, MessageId, u16)>>,
    shells: HashMap<MessageId, Vec<(Fact, Timestamp)>>,
    unmatched: HashMap<Phone, Vec<Unmatched>>,
    closed_calls: HashMap<CallId, ChannelId>,
    closed_order: VecDeque<(Timestamp, CallId)>,
    pub(crate) book: Book,
    pub(crate) news: Vec<ChannelNews>,
    next: BTreeMap<Topic, i64>,
    pub(crate) acting: bool,
    pub(crate) reported_at: Timestamp,
    pub(crate) reported_all_at: Timestamp,
    pub(crate) swept_at: Timestamp,
    pub(crate) blocked_until: [Timestamp; 3],
    /// Work that ends when a write is acknowledged.
    tokens: HashMap<u64, Work>,
    last_token: u64,
}

impl Partition {
    pub(crate) fn new(shared: Arc<Shared>, number: i32, writer: WriterId, marks: Marks) -> Self {
        Self {
            shared,
            number,
            writer,
            marks,
            entries: HashMap::new(),
            by_recipient: HashMap::new(),
            ids: Ids::default(),
            ledger: Ledger::default(),
            chores: Vec::new(),
            receipts: Vec::new(),
            touched: Vec::new(),
            queues: Default::default(),
            timers: BinaryHeap::new(),
            overdue: BinaryHeap::new(),
            shells: HashMap::new(),
            unmatched: HashMap::new(),
            closed_calls: HashMap::new(),
            closed_order: VecDeque::new(),
            book: Book::default(),
            news: Vec::new(),
            next: BTreeMap::new(),
            acting: false,
            reported_at: Timestamp(0),
            reported_all_at: Timestamp(0),
            swept_at: Timestamp(0),
            blocked_until: [Timestamp(0); 3],
            tokens: HashMap::new(),
            last_token: 0,
        }
    }

    /// Takes a record into the state.
    pub(crate) fn fold(&mut self, record: &Record<'_>, standing: Standing) {
        self.next.insert(record.topic, record.offset + 1);
        match record.topic {
            Topic::RequestsOtp | Topic::RequestsNotice | Topic::RequestsMarketing => {
                self.fold_request(record)
            }
            Topic::ReceiptsRaw => self.fold_receipt(record),
            _ => self.fold_fact(record, standing),
        }
    }

    fn fold_request(&mut self, record: &Record<'_>) {
        let done = self
            .marks
            .get(&record.topic)
            .is_some_and(|mark| record.offset < *mark);
        let work = Work::Record(record.topic, record.offset);
        match intake::read(record, &self.shared.key, self.shared.partitions) {
            Intake::Message {
                entry, fingerprint, ..
            } if done => {
                self.ids.see(
                    record.topic,
                    record.offset,
                    entry.id,
                    fingerprint,
                    record.at,
                );
            }
            _ if done => {}
            Intake::Message {
                entry,
                proof,
                fingerprint,
            } => {
                match self.ids.see(
                    record.topic,
                    record.offset,
                    entry.id,
                    fingerprint,
                    record.at,
                ) {
                    Sighting::New => self.add(*entry, proof),
                    Sighting::Repeat => metrics::repeat(),
                    Sighting::Conflict => {
                        let detail =
                            format!("message {} was accepted with other content", entry.id);
                        self.bury(record, Reason::IdempotencyConflict, &detail, work);
                    }
                }
            }
            Intake::Rehome(recipient) => {
                metrics::refused(Reason::Misplaced);
                self.ledger.open(record.topic, record.offset, work.clone());
                self.chores.push(Chore {
                    record: emit::rehomed(record, &recipient),
                    ends: Some(work),
                });
            }
            Intake::Bad {
                reason,
                detail,
                rejected,
            } => {
                self.bury(record, reason, &detail, work);
                if let Some(mut entry) = rejected
                    && self
                        .ids
                        .see(record.topic, record.offset, entry.id, 0, record.at)
                        == Sighting::New
                {
                    entry.refused = Some((reason, detail));
                    self.add(*entry, Proof::Ingest);
                }
            }
        }
    }

    /// Writes a dead letter; the record is open work until it is acknowledged.
    fn bury(&mut self, record: &Record<'_>, reason: Reason, detail: &str, work: Work) {
        metrics::refused(reason);
        let letter = dead_letter(
            record,
            reason,
            detail,
            "router.intake",
            self.shared.clock.now(),
        );
        // Where the record also opened a message, that message holds the floor.
        self.ledger.open(record.topic, record.offset, work.clone());
        self.chores.push(Chore {
            record: letter,
            ends: Some(work),
        });
    }

    fn add(&mut self, entry: Entry, proof: Proof) {
        let (id, recipient, position) = (entry.id, entry.recipient().clone(), entry.position);
        if self.entries.contains_key(&id) {
            // The id's former message has ended and only waits for late evidence; the new one takes its place.
            self.close(id);
        }
        self.ledger
            .open(position.topic, position.offset, Work::Message(id));
        self.by_recipient
            .entry(recipient.clone())
            .or_default()
            .push(id);
        let held = Held {
            entry,
            proof,
            written: Written::Nothing,
            queued: false,
            in_flight: None,
        };
        self.entries.insert(id, held);
        for (fact, at) in self.shells.remove(&id).unwrap_or_default() {
            self.apply(id, fact, at);
        }
        self.match_waiting(&recipient);
        self.touched.push(id);
    }

    fn fold_fact(&mut self, record: &Record<'_>, standing: Standing) {
        let Some(value) = record.value else { return };
        let event = match codec::decode(record.kind(), value) {
            Ok(event) => event,
            Err(e) => {
                if self.acting {
                    let letter = dead_letter(
                        record,
                        e.reason(),
                        &e.to_string(),
                        "router.fold",
                        self.shared.clock.now(),
                    );
                    self.chores.push(Chore {
                        record: letter,
                        ends: None,
                    });
                }
                return;
            }
        };
        let valid = standing == Standing::Valid;
        let (id, fact) = match event {
            Event::Routed(e) if valid => (e.message_id, Fact::Routed(e.payload)),
            Event::AttemptStarted(e) if valid => (e.message_id, Fact::Started(e.payload)),
            Event::AttemptNotStarted(e) if valid => (e.message_id, Fact::NotStarted(e.payload)),
            // Counts when its claim does, whoever says so.
            Event::AttemptFinished(e) => (e.message_id, Fact::Finished(e.payload)),
            Event::Outcome(e) if valid => (e.message_id, Fact::Outcome(e.payload)),
            Event::OutcomeCorrected(e) if valid => (e.message_id, Fact::Outcome(e.payload.current)),
            _ => return,
        };
        let Some(id) = id else { return };
        if self.entries.contains_key(&id) {
            if self.ledger.knows(&Work::Message(id)) {
                self.ledger
                    .fact(&Work::Message(id), record.topic, record.offset);
            }
            self.apply(id, fact, record.at);
        } else if !self.acting {
            self.ledger
                .fact(&Work::Message(id), record.topic, record.offset);
            self.shells.entry(id).or_default().push((fact, record.at));
        }
    }

    fn apply(&mut self, id: MessageId, fact: Fact, at: Timestamp) {
        let Some(held) = self.entries.get_mut(&id) else {
            return;
        };
        let entry = &mut held.entry;
        let mut try_receipts = false;
        match fact {
            Fact::Routed(routed) => {
                entry.routed(&routed);
                held.written = Written::Nothing;
            }
            Fact::Started(started) => try_receipts = entry.started(&started),
            Fact::NotStarted(given_back) => {
                entry.not_started(&given_back, at);
                if held.written == Written::Withdrawal {
                    held.written = Written::Nothing;
                }
            }
            Fact::Finished(finished) => {
                if entry.finished(&finished, at) {
                    try_receipts = true;
                    let (lane, channel) = (entry.lane, finished.channel.clone());
                    self.finished(id, lane, channel, &finished, at);
                }
            }
            Fact::Outcome(outcome) => {
                let newer = entry
                    .outcome
                    .as_ref()
                    .is_none_or(|known| known.seq < outcome.seq);
                if newer {
                    entry.outcome = Some(outcome);
                    held.written = Written::Nothing;
                }
                self.ledger.end(&Work::Message(id));
            }
        }
        if try_receipts && let Some(held) = self.entries.get(&id) {
            let recipient = held.entry.recipient().clone();
            self.match_waiting(&recipient);
        }
        self.sync_in_flight(id);
        self.touched.push(id);
    }

    fn finished(
        &mut self,
        id: MessageId,
        lane: Lane,
        channel: ChannelId,
        finished: &AttemptFinished,
        at: Timestamp,
    ) {
        let half_life = self.shared.config.half_life_ms();
        let (mut fault, mut called) = (false, true);
        match &finished.result {
            AttemptResult::Accepted { .. } => {
                let after = self.shared.health.load().overdue_after_ms(&channel, lane);
                self.overdue
                    .push(Reverse((at.plus_millis(after), id, finished.n)));
            }
            AttemptResult::Rejected {
                disposition,
                blame,
                vendor_code,
                ..
            } => {
                fault = *blame == Blame::Channel;
                if *disposition == Disposition::Account {
                    self.news.push(ChannelNews::Account {
                        channel: channel.clone(),
                        code: vendor_code.clone(),
                        at,
                    });
                }
            }
            AttemptResult::Unknown { .. } => fault = true,
            AttemptResult::NotCalled => called = false,
        }
        if fault {
            self.book.book(&channel, lane, News::Failed, at, half_life);
        }
        if called {
            self.news
                .push(ChannelNews::Submitted { channel, fault, at });
        }
    }

    /// Counts a message in flight from its decision to the vendor's answer.
    pub(crate) fn sync_in_flight(&mut self, id: MessageId) {
        let Some(held) = self.entries.get_mut(&id) else {
            return;
        };
        let open = held
            .entry
            .attempts
            .iter()
            .find(|a| matches!(a.state(), AttemptState::Routed | AttemptState::Started))
            .map(|a| a.channel.clone());
        let want = open.or_else(|| match &held.written {
            Written::Routing(channel) => Some(channel.clone()),
            _ => None,
        });
        if held.in_flight == want {
            return;
        }
        if let Some(channel) = std::mem::replace(&mut held.in_flight, want.clone()) {
            self.news.push(ChannelNews::InFlight {
                channel,
                change: -1,
            });
        }
        if let Some(channel) = want {
            self.news.push(ChannelNews::InFlight { channel, change: 1 });
        }
    }

    fn fold_receipt(&mut self, record: &Record<'_>) {
        let Some(value) = record.value else { return };
        let receipt = match codec::decode(record.kind(), value) {
            Ok(Event::RawReceipt(e)) => e.payload,
            Ok(_) => return,
            Err(e) => {
                self.bury(
                    record,
                    e.reason(),
                    &e.to_string(),
                    Work::Record(record.topic, record.offset),
                );
                return;
            }
        };
        let reread = self
            .marks
            .get(&record.topic)
            .is_some_and(|mark| record.offset < *mark);
        let waiting = Unmatched {
            offset: record.offset,
            at: record.at,
            reread,
            record: dead_letter(
                record,
                Reason::ReceiptUnmatched,
                "no attempt fits the receipt",
                "router.tracker",
                record.at,
            ),
            receipt,
        };
        let recipient = waiting.receipt.recipient.clone();
        if self.try_match(&waiting) {
            return;
        }
        let echo = waiting.receipt.echo.as_deref().and_then(CallId::from_echo);
        let ended =
            echo.is_some_and(|call| self.closed_calls.get(&call) == Some(&waiting.receipt.channel));
        if ended || (reread && self.shared.clock.now().since(record.at) > REREAD_MS) {
            metrics::late_receipt();
            return;
        }
        self.ledger.open(
            record.topic,
            record.offset,
            Work::Record(record.topic, record.offset),
        );
        self.unmatched.entry(recipient).or_default().push(waiting);
    }

    /// Joins a receipt with its attempt; false when there is none yet.
    fn try_match(&mut self, waiting: &Unmatched) -> bool {
        let receipt = &waiting.receipt;
        let Some(ids) = self.by_recipient.get(&receipt.recipient) else {
            return false;
        };
        let found = ids.iter().find_map(|id| {
            let i = self.entries.get(id)?.entry.receipt_target(receipt)?;
            Some((*id, i))
        });
        let Some((id, i)) = found else { return false };
        if self.ledger.knows(&Work::Message(id)) {
            self.ledger
                .fact(&Work::Message(id), Topic::ReceiptsRaw, waiting.offset);
        }
        let Some(held) = self.entries.get_mut(&id) else {
            return false;
        };
        let entry = &mut held.entry;
        if !entry.reported(i, receipt, waiting.at) {
            return true;
        }
        let attempt = &mut entry.attempts[i];
        let was_overdue = std::mem::take(&mut attempt.overdue);
        let submitted = attempt
            .finish
            .as_ref()
            .and_then(|f| f.submitted_at)
            .unwrap_or(attempt.routed_at);
        let (channel, lane) = (attempt.channel.clone(), entry.lane);
        let half_life = self.shared.config.half_life_ms();
        if was_overdue {
            self.book
                .book(&channel, lane, News::CameAfterAll, waiting.at, half_life);
        }
        if receipt.status == ReceiptStatus::Delivered {
            let millis = waiting.at.since(submitted);
            if millis < 0 {
                metrics::clamped();
            }
            self.book.book(
                &channel,
                lane,
                News::Delivered(millis.max(0) as f64 / 1000.0),
                waiting.at,
                half_life,
            );
        } else if receipt.status.is_final() && receipt.blame == Some(Blame::Channel) {
            self.book
                .book(&channel, lane, News::Failed, waiting.at, half_life);
        }
        if !waiting.reread {
            let cause = Position {
                topic: Topic::ReceiptsRaw,
                partition: self.number,
                offset: waiting.offset,
            };
            let now = self.shared.clock.now();
            self.receipts.push(emit::receipt(
                entry,
                &entry.attempts[i],
                receipt,
                cause,
                (now, &self.writer),
            ));
        }
        self.touched.push(id);
        true
    }

    fn match_waiting(&mut self, recipient: &Phone) {
        let Some(waiting) = self.unmatched.remove(recipient) else {
            return;
        };
        let mut left = Vec::new();
        for unmatched in waiting {
            if self.try_match(&unmatched) {
                self.ledger
                    .end(&Work::Record(Topic::ReceiptsRaw, unmatched.offset));
            } else {
                left.push(unmatched);
            }
        }
        if !left.is_empty() {
            self.unmatched.insert(recipient.clone(), left);
        }
    }

    /// Gives up on receipts that no attempt came for, and forgets what is too old.
    pub(crate) fn sweep(&mut self, now: Timestamp) {
        let mut expired = Vec::new();
        self.unmatched.retain(|_, list| {
            let (old, young): (Vec<_>, Vec<_>) = std::mem::take(list)
                .into_iter()
                .partition(|u| now.since(u.at) > UNMATCHED_MS);
            expired.extend(old);
            *list = young;
            !list.is_empty()
        });
        for unmatched in expired {
            let work = Work::Record(Topic::ReceiptsRaw, unmatched.offset);
            if unmatched.reread {
                metrics::late_receipt();
                self.ledger.end(&work);
            } else {
                metrics::refused(Reason::ReceiptUnmatched);
                self.chores.push(Chore {
                    record: unmatched.record,
                    ends: Some(work),
                });
            }
        }
        while self
            .closed_order
            .front()
            .is_some_and(|(at, _)| now.since(*at) > CLOSED_MS)
        {
            if let Some((_, call)) = self.closed_order.pop_front() {
                self.closed_calls.remove(&call);
            }
        }
        let oldest_open = self
            .ledger
            .oldest()
            .filter_map(|work| match work {
                Work::Message(id) => self.entries.get(id).map(|h| h.entry.accepted_at),
                Work::Record(..) => None,
            })
            .min();
        self.ids.forget(oldest_open.unwrap_or(now).min(now));
    }

    /// Names work that ends with an acknowledgement.
    pub(crate) fn token(&mut self, work: Work) -> u64 {
        self.last_token += 1;
        self.tokens.insert(self.last_token, work);
        self.last_token
    }

    /// A write with this token was acknowledged.
    pub(crate) fn acknowledged(&mut self, token: u64) {
        if let Some(work) = self.tokens.remove(&token) {
            self.ledger.end(&work);
        }
    }

    /// The message needs nothing any more.
    pub(crate) fn close(&mut self, id: MessageId) {
        let Some(held) = self.entries.remove(&id) else {
            return;
        };
        if let Some(channel) = held.in_flight {
            self.news.push(ChannelNews::InFlight {
                channel,
                change: -1,
            });
        }
        let now = self.shared.clock.now();
        for attempt in &held.entry.attempts {
            if let Some(call) = attempt.call_id() {
                self.closed_calls.insert(call, attempt.channel.clone());
                self.closed_order.push_back((now, call));
            }
        }
        let recipient = held.entry.recipient();
        if let Some(ids) = self.by_recipient.get_mut(recipient) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_recipient.remove(recipient);
            }
        }
        self.ledger.end(&Work::Message(id));
    }

    /// Everything there was has been folded.
    pub(crate) fn caught_up(&mut self) {
        self.acting = true;
        self.shells.clear();
        self.ledger.forget_orphans();
        self.touched = self.entries.keys().copied().collect();
    }

    /// Channels whose concurrency this partition takes up, once for each message.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = &ChannelId> {
        self.entries
            .values()
            .filter_map(|held| held.in_flight.as_ref())
    }

    pub(crate) fn floors(&self) -> BTreeMap<Topic, Floor> {
        let open = self.ledger.floors();
        let mut floors: BTreeMap<Topic, Floor> = open
            .iter()
            .map(|(topic, offset)| {
                (
                    *topic,
                    Floor {
                        offset: Some(*offset),
                        mark: None,
                    },
                )
            })
            .collect();
        for lane in Lane::ALL {
            let topic = Topic::requests(lane);
            let Some(next) = self
                .next
                .get(&topic)
                .copied()
                .or_else(|| self.marks.get(&topic).copied())
            else {
                continue;
            };
            let mark = open.get(&topic).copied().unwrap_or(next);
            let offset = Some(self.ids.floor(topic).unwrap_or(mark).min(mark));
            floors.insert(
                topic,
                Floor {
                    offset,
                    mark: Some(mark),
                },
            );
        }
        let read = self.next.get(&Topic::ReceiptsRaw).copied().unwrap_or(0);
        let before = self.marks.get(&Topic::ReceiptsRaw).copied().unwrap_or(0);
        floors.entry(Topic::ReceiptsRaw).or_default().mark = Some(read.max(before));
        floors
    }

    pub(crate) fn open_messages(&self) -> usize {
        self.entries
            .values()
            .filter(|h| h.entry.outcome.is_none())
            .count()
    }
}
