//! The tracker: joins receipts with attempts, whichever comes first.

use jixinda_runtime::kafka::{OwnedRecord, Record, owner::dead_letter};
use jixinda_schemas::{
    Phone, Position, Reason, Timestamp, Topic,
    codec::{self, Event},
    event::RawReceipt,
    vendor::{Blame, ReceiptStatus},
};

use super::{Chore, Partition, Work, kept::RECEIPT_MS};
use crate::{
    emit,
    health::News,
    message::{Window, join},
    metrics,
};

/// An unmatched receipt waits so long for its attempt.
const UNMATCHED_MS: i64 = 24 * 3_600_000;
/// A receipt without an attempt is kept in `state` soon; one that a takeover reads again and that is older than this,
/// against the last one that its predecessor had read, was joined with a message that has ended.
const REREAD_MS: i64 = 4 * RECEIPT_MS;

#[derive(Debug)]
pub(super) struct Unmatched {
    pub(super) receipt: RawReceipt,
    pub(super) offset: i64,
    pub(super) at: Timestamp,
    pub(super) record: OwnedRecord,
    pub(super) reread: bool,
}

impl Partition {
    pub(super) fn fold_receipt(&mut self, record: &Record<'_>) {
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
        let work = Work::Record(record.topic, record.offset);
        if self.parking.has(&work) {
            // Restored: whatever becomes of it, it is not read twice.
            self.ledger.open(record.topic, record.offset, work);
            return;
        }
        let reread = self
            .marks
            .get(&record.topic)
            .is_some_and(|mark| record.offset < *mark);
        if reread {
            self.reread_to = record.at;
        }
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
        if self.try_match(&waiting) {
            return;
        }
        // While a takeover reads, its attempt may still come; `caught_up` sees to what is left.
        if self.acting && (self.closed.has(&waiting.receipt) || self.is_past(&waiting)) {
            metrics::late_receipt();
            return;
        }
        self.ledger.open(record.topic, record.offset, work);
        self.wait_for_attempt(waiting);
    }

    pub(super) fn wait_for_attempt(&mut self, waiting: Unmatched) {
        let recipient = waiting.receipt.recipient.clone();
        self.unmatched_at.insert(waiting.offset, recipient.clone());
        self.unmatched.entry(recipient).or_default().push(waiting);
    }

    /// The receipt at an offset, if it waits for its attempt.
    pub(super) fn unmatched(&self, offset: i64) -> Option<&Unmatched> {
        let list = self.unmatched.get(self.unmatched_at.get(&offset)?)?;
        list.iter().find(|waiting| waiting.offset == offset)
    }

    pub(super) fn drop_unmatched(&mut self, offset: i64) {
        if let Some(recipient) = self.unmatched_at.remove(&offset)
            && let Some(list) = self.unmatched.get_mut(&recipient)
        {
            list.retain(|waiting| waiting.offset != offset);
            if list.is_empty() {
                self.unmatched.remove(&recipient);
            }
        }
    }

    /// Read before the takeover, and old for its predecessor: it belongs to a message that has ended.
    fn is_past(&self, waiting: &Unmatched) -> bool {
        waiting.reread && self.reread_to.since(waiting.at) > REREAD_MS
    }

    /// Drops what a takeover read that belongs to ended messages.
    pub(super) fn forget_past_receipts(&mut self) {
        let waiting = self.unmatched.values().flatten();
        let past: Vec<i64> = waiting
            .filter(|waiting| self.is_past(waiting) || self.closed.has(&waiting.receipt))
            .map(|waiting| waiting.offset)
            .collect();
        for offset in past {
            metrics::late_receipt();
            self.drop_unmatched(offset);
            self.end(&Work::Record(Topic::ReceiptsRaw, offset));
        }
    }

    /// Joins a receipt with its attempt; false when there is none yet.
    fn try_match(&mut self, waiting: &Unmatched) -> bool {
        let receipt = &waiting.receipt;
        let Some(ids) = self.by_recipient.get(&receipt.recipient) else {
            return false;
        };
        // While a takeover reads, what could be meant is not all there yet.
        let window = self.acting.then(|| Window {
            at: waiting.at,
            receipt_ms: self.shared.config.deadlines().receipt_ms,
        });
        let entries = ids
            .iter()
            .filter_map(|id| Some(&self.entries.get(id)?.entry));
        let Some((id, i)) = join(entries, receipt, window) else {
            return false;
        };
        // A receipt that has a copy keeps it until the message's own copy has the receipt.
        let kept = self
            .parking
            .has(&Work::Record(Topic::ReceiptsRaw, waiting.offset));
        if !kept {
            self.note(id, (Topic::ReceiptsRaw, waiting.offset), waiting.at);
        }
        let Some(held) = self.entries.get_mut(&id) else {
            return false;
        };
        if kept {
            held.receipts.push(waiting.offset);
        }
        let entry = &mut held.entry;
        let before = entry.attempts[i].report().map(|v| v.status);
        if !entry.reported(i, receipt, waiting.at) {
            return true;
        }
        let attempt = &mut entry.attempts[i];
        // Of the whole message: a part is no news of the channel yet.
        let status = attempt.report().map(|v| v.status);
        let news = status.filter(|_| status != before);
        let was_overdue = std::mem::take(&mut attempt.overdue);
        let begun = attempt.begun_at().unwrap_or(waiting.at);
        let (channel, lane) = (attempt.channel.clone(), entry.lane);
        let half_life = self.shared.config.half_life_ms();
        if was_overdue {
            self.book
                .book(&channel, lane, News::CameAfterAll, waiting.at, half_life);
        }
        if news == Some(ReceiptStatus::Delivered) {
            let millis = waiting.at.since(begun);
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
        } else if news.is_some_and(ReceiptStatus::is_final) && receipt.blame == Some(Blame::Channel)
        {
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
            let event = emit::receipt(
                entry,
                &entry.attempts[i],
                receipt,
                cause,
                (now, &self.writer),
            );
            self.unreported.insert(waiting.offset);
            self.receipts.push((event, waiting.offset));
        }
        self.touched.push(id);
        true
    }

    /// Tries everything that waits once more, now that a takeover has read all there is.
    pub(super) fn match_all_waiting(&mut self) {
        for recipient in self.unmatched.keys().cloned().collect::<Vec<_>>() {
            self.match_waiting(&recipient);
        }
    }

    pub(super) fn match_waiting(&mut self, recipient: &Phone) {
        let Some(waiting) = self.unmatched.remove(recipient) else {
            return;
        };
        let mut left = Vec::new();
        for unmatched in waiting {
            let work = Work::Record(Topic::ReceiptsRaw, unmatched.offset);
            if self.try_match(&unmatched) {
                self.unmatched_at.remove(&unmatched.offset);
                if !self.parking.has(&work) {
                    self.ledger.end(&work);
                }
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
            self.unmatched_at.remove(&unmatched.offset);
            metrics::refused(Reason::ReceiptUnmatched);
            self.chores.push(Chore {
                record: unmatched.record,
                ends: Some(Work::Record(Topic::ReceiptsRaw, unmatched.offset)),
            });
        }
        self.closed.forget(now);
        let oldest_open = self
            .ledger
            .oldest()
            .filter_map(|work| match work {
                Work::Message(id) | Work::Again(_, _, id) => {
                    self.entries.get(id).map(|h| h.entry.accepted_at)
                }
                Work::Record(..) | Work::Ids(..) => None,
            })
            .min();
        self.forget_ids(oldest_open.unwrap_or(now).min(now));
    }
}
