//! The tracker: joins receipts with attempts, whichever comes first.

use jixinda_runtime::kafka::{OwnedRecord, Record, owner::dead_letter};
use jixinda_schemas::{
    CallId, Phone, Position, Reason, Timestamp, Topic,
    codec::{self, Event},
    event::RawReceipt,
    vendor::{Blame, ReceiptStatus},
};

use super::{Chore, Partition, Work};
use crate::{emit, health::News, metrics};

/// An unmatched receipt waits so long for its attempt.
const UNMATCHED_MS: i64 = 24 * 3_600_000;
/// After a takeover, a receipt that was read before and is older than this belongs to a message that has ended.
const REREAD_MS: i64 = 120_000;
/// Calls of ended messages are known so long, so that their repeated receipts are just counted.
const CLOSED_MS: i64 = 300_000;

#[derive(Debug)]
pub(super) struct Unmatched {
    receipt: RawReceipt,
    offset: i64,
    at: Timestamp,
    record: OwnedRecord,
    reread: bool,
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
        // While a takeover reads, its attempt may still come; `caught_up` sees to what is left.
        if ended || (self.acting && self.is_past(&waiting)) {
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

    /// Read before the takeover, and old: it belongs to a message that has ended.
    fn is_past(&self, waiting: &Unmatched) -> bool {
        waiting.reread && self.shared.clock.now().since(waiting.at) > REREAD_MS
    }

    /// Drops what a takeover read that belongs to ended messages.
    pub(super) fn forget_past_receipts(&mut self) {
        for (recipient, list) in std::mem::take(&mut self.unmatched) {
            let (past, left): (Vec<_>, Vec<_>) = list.into_iter().partition(|u| self.is_past(u));
            for unmatched in past {
                metrics::late_receipt();
                let work = Work::Record(Topic::ReceiptsRaw, unmatched.offset);
                self.ledger.end(&work);
            }
            if !left.is_empty() {
                self.unmatched.insert(recipient, left);
            }
        }
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

    pub(super) fn match_waiting(&mut self, recipient: &Phone) {
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
}
