//! Everything about the recipients of one partition: folded from the log, never acted on here.

mod closed;
mod facts;
mod kept;
mod receipts;
mod work;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jixinda_runtime::{
    clock::SharedClock,
    directory::Directory,
    kafka::{
        OwnedRecord, Record,
        fence::Standing,
        ledger::Ledger,
        owner::{Marks, dead_letter},
        parking::{Gone, Key, Parking},
    },
};
use jixinda_schemas::{
    AttemptId, ChannelId, MessageId, Phone, Reason, Timestamp, Topic, WriterId, seal::PlatformKey,
};

use closed::Closed;
use facts::Shell;
use receipts::Unmatched;
pub(crate) use work::Work;

use crate::{
    Config, emit,
    health::{Book, SharedHealth},
    ids::{Ids, Sighting},
    intake::{self, Intake, Proof},
    message::Entry,
    metrics,
    queue::Queue,
};

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
    work: Work,
    pub(crate) proof: Proof,
    pub(crate) written: Written,
    pub(crate) queued: bool,
    /// Channel whose concurrency it takes up.
    in_flight: Option<ChannelId>,
    /// Receipts that were joined, and have copies of their own until one of this message has them.
    receipts: Vec<i64>,
    receipts_in_copy: Vec<i64>,
}

/// What an acknowledgement is of.
#[derive(Debug)]
enum Done {
    /// The last step of some work.
    Work(Work),
    /// The `receipt` event of the raw one at this offset.
    Receipt(i64),
    /// A tombstone.
    Buried(Key<Work>),
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
        attempt: AttemptId,
        fault: bool,
        at: Timestamp,
        took: Option<Duration>,
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
    /// In boxes: a table leaves up to half of its places empty.
    pub(crate) entries: HashMap<MessageId, Box<Held>>,
    by_recipient: HashMap<Phone, Vec<MessageId>>,
    ids: Ids,
    pub(crate) ledger: Ledger<Work>,
    parking: Parking<Work>,
    /// Parked work with facts that its copy lacks, since when.
    changed: VecDeque<(Timestamp, Work)>,
    parked_at: Timestamp,
    /// Requests whose ids belong to messages that are still held.
    successors: HashMap<MessageId, VecDeque<(Entry, Proof)>>,
    pub(crate) chores: Vec<Chore>,
    /// Events of joined receipts, with the offset of the raw one.
    pub(crate) receipts: Vec<(OwnedRecord, i64)>,
    /// Raw receipts whose event is not acknowledged.
    unreported: BTreeSet<i64>,
    pub(crate) touched: Vec<MessageId>,
    pub(crate) queues: [Queue; 3],
    pub(crate) timers: BinaryHeap<Reverse<(Timestamp, MessageId)>>,
    pub(crate) overdue: BinaryHeap<Reverse<(Timestamp, MessageId, u16)>>,
    shells: HashMap<MessageId, Vec<Shell>>,
    unmatched: HashMap<Phone, Vec<Unmatched>>,
    /// Who waits for the attempt of the receipt at an offset.
    unmatched_at: BTreeMap<i64, Phone>,
    /// Broker time of the last receipt that was read again in the takeover.
    reread_to: Timestamp,
    closed: Closed,
    pub(crate) book: Book,
    pub(crate) news: Vec<ChannelNews>,
    next: BTreeMap<Topic, i64>,
    pub(crate) acting: bool,
    pub(crate) reported_at: Timestamp,
    pub(crate) reported_all_at: Timestamp,
    pub(crate) swept_at: Timestamp,
    /// Work that ends when a write is acknowledged.
    tokens: HashMap<u64, Done>,
    last_token: u64,
}

impl Partition {
    pub(crate) fn new(shared: Arc<Shared>, number: i32, writer: WriterId, marks: Marks) -> Self {
        Self {
            shared,
            number,
            parking: Parking::new(writer.number),
            writer,
            marks,
            entries: HashMap::new(),
            by_recipient: HashMap::new(),
            ids: Ids::default(),
            ledger: Ledger::default(),
            changed: VecDeque::new(),
            parked_at: Timestamp(0),
            successors: HashMap::new(),
            chores: Vec::new(),
            receipts: Vec::new(),
            unreported: BTreeSet::new(),
            touched: Vec::new(),
            queues: Default::default(),
            timers: BinaryHeap::new(),
            overdue: BinaryHeap::new(),
            shells: HashMap::new(),
            unmatched: HashMap::new(),
            unmatched_at: BTreeMap::new(),
            reread_to: Timestamp(0),
            closed: Closed::default(),
            book: Book::default(),
            news: Vec::new(),
            next: BTreeMap::new(),
            acting: false,
            reported_at: Timestamp(0),
            reported_all_at: Timestamp(0),
            swept_at: Timestamp(0),
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
            Topic::State => self.fold_kept(record, standing),
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
                if self.see(record, entry.id, fingerprint) {
                    self.add(*entry, proof);
                }
            }
            Intake::Rehome(recipient) => {
                metrics::refused(Reason::Misplaced);
                self.ledger.open(record.topic, record.offset, work);
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

    /// Whether the request is a new message; what is wrong with one that is not is written down.
    fn see(&mut self, record: &Record<'_>, id: MessageId, fingerprint: u64) -> bool {
        let (topic, offset) = (record.topic, record.offset);
        match self.ids.see(topic, offset, id, fingerprint, record.at) {
            Sighting::New => return true,
            Sighting::Repeat => metrics::repeat(),
            Sighting::Conflict => {
                let detail = format!("message {id} was accepted with other content");
                let work = Work::Record(topic, offset);
                self.bury(record, Reason::IdempotencyConflict, &detail, work);
            }
        }
        false
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
        self.ledger.open(record.topic, record.offset, work);
        self.chores.push(Chore {
            record: letter,
            ends: Some(work),
        });
    }

    /// A new message, or one that a takeover restored before it read the request again.
    fn add(&mut self, entry: Entry, proof: Proof) {
        let (id, position) = (entry.id, entry.position);
        let Some(former) = self.entries.get_mut(&id) else {
            // The message that had the id before may have ended, with its tombstones still on their way.
            let work = if self.ledger.knows(&Work::Message(id)) {
                Work::Again(position.topic, position.offset, id)
            } else {
                Work::Message(id)
            };
            self.ledger.open(position.topic, position.offset, work);
            self.insert(entry, proof, work);
            return;
        };
        if former.entry.position == position {
            let work = former.work;
            self.ledger.open(position.topic, position.offset, work);
            return;
        }
        // The id is used again after its window. The message that had it before ends first.
        former.entry.superseded = true;
        self.touched.push(id);
        let work = Work::Again(position.topic, position.offset, id);
        self.ledger.open(position.topic, position.offset, work);
        let successors = self.successors.entry(id).or_default();
        successors.push_back((entry, proof));
    }

    fn insert(&mut self, entry: Entry, proof: Proof, work: Work) {
        let (id, recipient) = (entry.id, entry.recipient().clone());
        self.hold(entry, proof, work);
        for shell in self.shells.remove(&id).unwrap_or_default() {
            self.take_fact(id, shell);
        }
        self.match_waiting(&recipient);
        self.touched.push(id);
    }

    /// Takes a message into memory.
    fn hold(&mut self, entry: Entry, proof: Proof, work: Work) {
        let id = entry.id;
        let of = self.by_recipient.entry(entry.recipient().clone());
        of.or_default().push(id);
        let held = Held {
            entry,
            work,
            proof,
            written: Written::Nothing,
            queued: false,
            in_flight: None,
            receipts: Vec::new(),
            receipts_in_copy: Vec::new(),
        };
        self.entries.insert(id, Box::new(held));
    }

    /// Names work that ends with an acknowledgement.
    pub(crate) fn token_of(&mut self, work: Work) -> u64 {
        self.token(Done::Work(work))
    }

    /// Names a receipt whose event is about to be written.
    pub(crate) fn token_of_receipt(&mut self, offset: i64) -> u64 {
        self.token(Done::Receipt(offset))
    }

    fn token(&mut self, done: Done) -> u64 {
        self.last_token += 1;
        self.tokens.insert(self.last_token, done);
        self.last_token
    }

    /// A write with this token was acknowledged.
    pub(crate) fn acknowledged(&mut self, token: u64) {
        match self.tokens.remove(&token) {
            Some(Done::Work(work)) => self.end(&work),
            Some(Done::Receipt(offset)) => drop(self.unreported.remove(&offset)),
            Some(Done::Buried(key)) if self.parking.gone(&key) == Gone::Ended => {
                self.ledger.end(&key.work);
            }
            Some(Done::Buried(_)) | None => {}
        }
    }

    /// Takes a message out of memory.
    fn remove(&mut self, id: MessageId) -> Option<Box<Held>> {
        let held = self.entries.remove(&id)?;
        if let Some(channel) = held.in_flight.clone() {
            self.news.push(ChannelNews::InFlight {
                channel,
                change: -1,
            });
        }
        let recipient = held.entry.recipient();
        if let Some(ids) = self.by_recipient.get_mut(recipient) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_recipient.remove(recipient);
            }
        }
        Some(held)
    }

    /// The message needs nothing any more.
    pub(crate) fn close(&mut self, id: MessageId) {
        let Some(held) = self.remove(id) else {
            return;
        };
        let now = self.shared.clock.now();
        self.closed.add(&held.entry, now);
        self.end(&held.work);
        for offset in held.receipts.iter().chain(&held.receipts_in_copy) {
            self.end(&Work::Record(Topic::ReceiptsRaw, *offset));
        }
        if let Some(mut waiting) = self.successors.remove(&id)
            && let Some((mut entry, proof)) = waiting.pop_front()
        {
            entry.superseded = !waiting.is_empty();
            if entry.superseded {
                self.successors.insert(id, waiting);
            }
            let work = Work::Again(entry.position.topic, entry.position.offset, id);
            self.insert(entry, proof, work);
        }
    }

    /// Everything there was has been folded.
    pub(crate) fn caught_up(&mut self) {
        self.acting = true;
        self.forget_shells();
        self.ledger.forget_orphans();
        self.match_all_waiting();
        self.forget_past_receipts();
        self.touched = self.entries.keys().copied().collect();
    }

    /// Channels whose concurrency this partition takes up, once for each message.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = &ChannelId> {
        self.entries
            .values()
            .filter_map(|held| held.in_flight.as_ref())
    }

    pub(crate) fn open_messages(&self) -> usize {
        self.entries
            .values()
            .filter(|h| h.entry.outcome.is_none())
            .count()
    }
}

#[cfg(test)]
mod tests;
