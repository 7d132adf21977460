//! Receipts and their attempts: what `jixinda_router::partition::receipts` does.

use jixinda_router::message::join;
use jixinda_schemas::Topic;

use super::{
    log::{self, Kind, Rec, Seen, T, Work},
    router_owner::Router,
};

/// A receipt that a takeover reads again and that is older than this was joined or kept (`partition::receipts`).
const REREAD_MS: i64 = 20_000;

impl Router {
    pub(super) fn receipt(&mut self, offset: i64, rec: &Rec, acting: bool) {
        let Kind::Receipt {
            channel,
            call,
            delivered,
        } = rec.kind
        else {
            return;
        };
        let work = Work::Receipt(offset);
        if self.parking.has(&work) {
            self.ledger.open(Topic::ReceiptsRaw, offset, work);
            return;
        }
        let reread = offset < self.read_before;
        if reread {
            self.reread_to = rec.at;
        }
        let seen = Seen {
            channel,
            call,
            delivered,
            at: rec.at,
        };
        if self.try_match(offset, seen) || (acting && self.is_past(seen, reread)) {
            return;
        }
        self.ledger.open(Topic::ReceiptsRaw, offset, work);
        self.unmatched.insert(offset, (seen, reread));
    }

    /// Of a message that has ended.
    pub(super) fn is_past(&self, seen: Seen, reread: bool) -> bool {
        let age = log::time(self.reread_to).since(log::time(seen.at));
        self.closed.contains(&seen.call) || (reread && age > REREAD_MS)
    }

    pub(super) fn try_match(&mut self, offset: i64, seen: Seen) -> bool {
        let receipt = log::receipt(seen.channel, seen.call, seen.delivered);
        let entries = self.held.values().map(|held| &held.entry);
        let Some((id, i)) = join(entries, &receipt, None) else {
            return false;
        };
        let message = log::message_of(id);
        let kept = self.parking.has(&Work::Receipt(offset));
        if !kept {
            self.note(message, T::Receipts, offset);
        }
        if let Some(held) = self.held.get_mut(&message) {
            if kept {
                held.receipts.push(offset);
            }
            held.entry.reported(i, &receipt, log::time(seen.at));
        }
        true
    }

    pub(super) fn match_waiting(&mut self) {
        for (offset, (seen, reread)) in std::mem::take(&mut self.unmatched) {
            if !self.try_match(offset, seen) {
                self.unmatched.insert(offset, (seen, reread));
            } else if !self.parking.has(&Work::Receipt(offset)) {
                self.ledger.end(&Work::Receipt(offset));
            }
        }
    }
}
