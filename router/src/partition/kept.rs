//! Copies of open work in `state`: when they are taken, what is in them, what a takeover makes of them, and how far the
//! floors may go.

use std::{cmp::Reverse, collections::BTreeMap};

use jixinda_runtime::kafka::{
    OwnedRecord, Record,
    fence::Standing,
    owner::{Floor, dead_letter},
    parking::{Found, Gone, Key},
};
use jixinda_schemas::{
    Lane, MessageId, Phone, Reason, Timestamp, Topic,
    event::{AttemptState, RawReceipt, kind},
    headers::Headers,
};
use serde::{Deserialize, Serialize};
use tracing::error;

use super::{Chore, Done, Partition, Work, receipts::Unmatched};
use crate::{ids::Block, intake::Proof, message::Entry, metrics};

/// Kinds of the records in `state`; private to the router.
const MESSAGE: &str = "kept_message";
const RECEIPT: &str = "kept_receipt";
const IDS: &str = "kept_ids";

/// Copies that may be on their way at once, and new ones in one look.
const ON_THEIR_WAY: usize = 1_024;
const AT_ONCE: usize = 256;
/// From look to look.
const LOOK_MS: i64 = 100;
/// A receipt that found no attempt is kept after so long: after a crash, what lies further back was joined or kept.
pub(super) const RECEIPT_MS: i64 = 5_000;
/// Blocks of ids are written when full, or after so many times the age at which work is parked.
const BLOCK_AGE: i64 = 5;

#[derive(Debug, Serialize, Deserialize)]
struct KeptMessage<E> {
    entry: E,
    proof: Proof,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptReceipt {
    receipt: RawReceipt,
    offset: i64,
    at: Timestamp,
    /// What is written if no attempt ever comes: the JSON of a dead letter.
    letter: String,
}

impl Partition {
    /// Takes a record of `state` into account.
    pub(super) fn fold_kept(&mut self, record: &Record<'_>, standing: Standing) {
        let Some(key) = record.key.and_then(|key| Key::<Work>::read(key).ok()) else {
            return;
        };
        let Some(value) = record.value else {
            match self.parking.gone(&key) {
                Gone::Ended => self.ledger.end(&key.work),
                Gone::Unparked if !self.acting => self.unrestore(key.work),
                Gone::Unparked | Gone::More => {}
            }
            return;
        };
        match (self.parking.read(&key, standing), key.work) {
            (Found::Own, Work::Ids(source, first, last)) => {
                self.ids.block_kept(source, first, last)
            }
            (Found::Own, work) => {
                self.ledger.parked(&work);
                self.receipts_are_kept(work);
            }
            (Found::Inherited, work) => {
                if !self.restore(work, value) {
                    error!(offset = record.offset, "kept work cannot be read");
                    let (detail, now) = ("kept work cannot be read", self.shared.clock.now());
                    let letter = dead_letter(record, Reason::BadJson, detail, "router.state", now);
                    self.chores.push(Chore {
                        record: letter,
                        ends: None,
                    });
                }
            }
            (Found::Stale, _) => {}
        }
    }

    fn restore(&mut self, work: Work, value: &[u8]) -> bool {
        match work {
            Work::Message(_) | Work::Again(..) => {
                let Ok(kept) = serde_json::from_slice::<KeptMessage<Entry>>(value) else {
                    return false;
                };
                // Of several copies the last one is the furthest; a message follows another of its id when that ended.
                if let Some(former) = self.remove(kept.entry.id)
                    && former.work != work
                {
                    self.end(&former.work);
                }
                self.ledger.restore(work);
                self.restore_message(work, kept);
            }
            Work::Record(_, offset) => {
                let Ok(kept) = serde_json::from_slice::<KeptReceipt>(value) else {
                    return false;
                };
                self.drop_unmatched(offset);
                self.ledger.restore(work);
                let waiting = Unmatched {
                    record: OwnedRecord {
                        topic: Topic::DeadLetters,
                        partition: None,
                        key: Some(kept.receipt.recipient.expose().as_bytes().to_vec()),
                        value: Some(kept.letter.into_bytes()),
                        headers: Headers::of(kind::DEAD_LETTER),
                    },
                    receipt: kept.receipt,
                    offset,
                    at: kept.at,
                    reread: false,
                };
                self.wait_for_attempt(waiting);
            }
            Work::Ids(source, ..) => match Block::decode(source, value) {
                Ok(block) => self.ids.restore(block),
                Err(_) => return false,
            },
        }
        true
    }

    fn restore_message(&mut self, work: Work, kept: KeptMessage<Entry>) {
        let KeptMessage { entry, proof } = kept;
        let id = entry.id;
        let health = self.shared.health.load();
        for attempt in &entry.attempts {
            if attempt.state() == AttemptState::Accepted
                && !attempt.overdue
                && let Some(finish) = &attempt.finish
            {
                let after = health.overdue_after_ms(&attempt.channel, entry.lane);
                self.overdue
                    .push(Reverse((finish.at.plus_millis(after), id, attempt.n)));
            }
        }
        self.hold(entry, proof, work);
        self.sync_in_flight(id);
    }

    /// An earlier owner had ended it.
    fn unrestore(&mut self, work: Work) {
        self.ledger.end(&work);
        match work {
            Work::Message(id) | Work::Again(_, _, id) => {
                if self.entries.get(&id).is_some_and(|held| held.work == work) {
                    self.remove(id);
                }
            }
            Work::Record(_, offset) => self.drop_unmatched(offset),
            // Forgotten by its age.
            Work::Ids(..) => {}
        }
    }

    /// Everything in `state` was folded.
    pub(crate) fn restored(&mut self) {
        self.ids.restored();
        let recipients: Vec<Phone> = self.unmatched.keys().cloned().collect();
        for recipient in recipients {
            self.match_waiting(&recipient);
        }
    }

    /// Notes a fact of a message's work; parked work that has one is parked again in time.
    pub(super) fn note(&mut self, id: MessageId, place: (Topic, i64), at: Timestamp) {
        let Some(work) = self.entries.get(&id).map(|held| held.work) else {
            return;
        };
        if self.ledger.knows(&work) {
            let first = !self.ledger.holds_facts(&work);
            self.ledger.fact(&work, place.0, place.1);
            if first && self.parking.has(&work) {
                self.changed.push_back((at, work));
            }
        }
    }

    /// Copies of what has been open for too long.
    pub(crate) fn park(&mut self, now: Timestamp) -> Vec<OwnedRecord> {
        let mut copies = Vec::new();
        if now.since(self.parked_at) < LOOK_MS {
            return copies;
        }
        self.parked_at = now;
        let room = ON_THEIR_WAY
            .saturating_sub(self.parking.on_their_way())
            .min(AT_ONCE);
        let age = self.shared.config.park_after_ms();
        let mut works: Vec<Work> = Vec::new();
        for lane in Lane::ALL {
            let source = Topic::requests(lane);
            works.extend(self.open_since(source, now.plus_millis(-age), room));
            let block = self
                .ids
                .next_block(source, now.plus_millis(-age * BLOCK_AGE));
            copies.extend(block.and_then(|block| self.copy_of_ids(&block)));
        }
        works.extend(self.open_since(Topic::ReceiptsRaw, now.plus_millis(-RECEIPT_MS), room));
        for _ in 0..self.changed.len() {
            let Some((at, work)) = self.changed.front().copied() else {
                break;
            };
            if works.len() >= room || now.since(at) < age {
                break;
            }
            self.changed.pop_front();
            if self.parking.is_on_its_way(&work) {
                self.changed.push_back((at, work));
            } else if self.ledger.holds_facts(&work) {
                works.push(work);
            }
        }
        copies.extend(
            works
                .into_iter()
                .take(room)
                .filter_map(|work| self.copy_of(work)),
        );
        copies
    }

    /// Work of a source that is open since `before`, oldest first.
    fn open_since(&self, source: Topic, before: Timestamp, most: usize) -> Vec<Work> {
        let mut works = Vec::new();
        for work in self.ledger.unparked(source) {
            let at = match work {
                Work::Message(id) | Work::Again(_, _, id) => {
                    self.entries.get(id).map(|held| held.entry.accepted_at)
                }
                Work::Record(_, offset) => self.unmatched(*offset).map(|waiting| waiting.at),
                Work::Ids(..) => None,
            };
            match at {
                Some(at) if at > before => break,
                Some(_) => works.push(*work),
                // Ends with an acknowledgement that is on its way.
                None => {}
            }
            if works.len() >= most {
                break;
            }
        }
        works
    }

    fn copy_of_ids(&mut self, block: &Block) -> Option<OwnedRecord> {
        let (first, last) = (block.ids.first()?.offset, block.ids.last()?.offset);
        let key = self.parking.write(Work::Ids(block.source, first, last))?;
        Some(self.kept_record(&key, IDS, block.encode()))
    }

    #[expect(clippy::expect_used, reason = "names, numbers and texts are JSON")]
    fn copy_of(&mut self, work: Work) -> Option<OwnedRecord> {
        if self.parking.is_on_its_way(&work) {
            return None;
        }
        let (name, value) = match work {
            Work::Message(id) | Work::Again(_, _, id) => {
                let held = self.entries.get_mut(&id).filter(|held| held.work == work)?;
                held.receipts_in_copy.append(&mut held.receipts);
                let kept = KeptMessage {
                    entry: &held.entry,
                    proof: held.proof.clone(),
                };
                (MESSAGE, serde_json::to_vec(&kept))
            }
            Work::Record(_, offset) => {
                let waiting = self.unmatched(offset)?;
                let letter = waiting.record.value.clone().unwrap_or_default();
                let kept = KeptReceipt {
                    receipt: waiting.receipt.clone(),
                    offset,
                    at: waiting.at,
                    letter: String::from_utf8_lossy(&letter).into_owned(),
                };
                (RECEIPT, serde_json::to_vec(&kept))
            }
            Work::Ids(..) => return None,
        };
        let key = self.parking.write(work)?;
        self.ledger.copy_taken(&work);
        Some(self.kept_record(&key, name, value.expect("kept work is JSON")))
    }

    fn kept_record(&self, key: &Key<Work>, name: &str, value: Vec<u8>) -> OwnedRecord {
        OwnedRecord {
            topic: Topic::State,
            partition: Some(self.number),
            key: Some(key.to_string().into_bytes()),
            value: Some(value),
            headers: Headers {
                writer: Some(self.writer.clone()),
                ..Headers::of(name)
            },
        }
    }

    /// A commit was made.
    pub(crate) fn committed(&mut self) {
        let ledger = &self.ledger;
        self.parking.committed(|work| ledger.is_past(work));
    }

    /// Tombstones that are due, with the token of each.
    pub(crate) fn tombstones(&mut self) -> Vec<(OwnedRecord, u64)> {
        let due = self.parking.take_due();
        let tombstone = |key: Key<Work>| {
            let record = OwnedRecord {
                topic: Topic::State,
                partition: Some(self.number),
                key: Some(key.to_string().into_bytes()),
                value: None,
                headers: Headers::default(),
            };
            (record, self.token(Done::Buried(key)))
        };
        due.into_iter().map(tombstone).collect()
    }

    /// The work needs nothing any more; the floors pass it when its copies are gone.
    pub(super) fn end(&mut self, work: &Work) {
        if self.parking.end(work) {
            self.ledger.end(work);
        }
    }

    /// Receipts that had copies of their own are now in that of their message.
    fn receipts_are_kept(&mut self, work: Work) {
        let (Work::Message(id) | Work::Again(_, _, id)) = work else {
            return;
        };
        let held = self.entries.get_mut(&id);
        let kept = held.map(|held| std::mem::take(&mut held.receipts_in_copy));
        for offset in kept.unwrap_or_default() {
            self.end(&Work::Record(Topic::ReceiptsRaw, offset));
        }
    }

    /// How far the floors may go, and the marks: requests before theirs were done with, receipts before theirs reported.
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
        let reported = self.unreported.first().copied().unwrap_or(i64::MAX);
        floors.entry(Topic::ReceiptsRaw).or_default().mark = Some(read.max(before).min(reported));
        let all = Floor {
            offset: Some(0),
            mark: None,
        };
        floors.insert(Topic::State, all);
        floors
    }

    /// Whether copies of earlier owners are left.
    pub(crate) fn inherits(&self) -> bool {
        self.parking.inherits()
    }

    /// Copies, for the gauge.
    pub(crate) fn parked(&self) -> usize {
        self.parking.len()
    }

    /// Forgets ids by their age, and the blocks with them.
    pub(super) fn forget_ids(&mut self, oldest: Timestamp) {
        for (source, first, last) in self.ids.forget(oldest) {
            self.end(&Work::Ids(source, first, last));
        }
        metrics::remembered(self.number, self.ids.len());
    }
}
