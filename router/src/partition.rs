//! Everything about the recipients of one partition: folded from the log, never acted on here.

mod facts;
mod receipts;

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
    CallId, ChannelId, Lane, MessageId, Phone, Reason, Timestamp, Topic, WriterId,
    seal::PlatformKey,
};

use facts::Fact;
use receipts::Unmatched;

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
    pub(crate) queues: [Queue; 3],
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
        self.forget_past_receipts();
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

#[cfg(test)]
mod tests;
