//! Calls of messages that have ended: their repeated receipts are counted, not kept as unmatched.

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
};

use jixinda_schemas::{
    CallId, ChannelId, Phone, Timestamp,
    event::{Outcome, RawReceipt},
};

use crate::message::{Entry, canonical};

/// Known so long; vendors push again within minutes.
const CLOSED_MS: i64 = 300_000;

/// What a receipt can name, by its hash: a call, or a recipient of the vendor's id. 64 bits with a random key make two
/// of them the same by chance only.
type Name = u64;

#[derive(Debug, Default)]
pub(super) struct Closed {
    names: HashSet<Name>,
    order: VecDeque<(Timestamp, Name)>,
    hasher: RandomState,
}

impl Closed {
    fn call(&self, channel: &ChannelId, call: CallId) -> Name {
        self.hasher.hash_one((channel, call))
    }

    fn vendor_id(&self, channel: &ChannelId, recipient: &Phone, id: &str) -> Option<Name> {
        let id = canonical(id).to_ascii_lowercase();
        (!id.is_empty()).then(|| self.hasher.hash_one((channel, recipient.expose(), id)))
    }

    /// Remembers the attempts of a message that ended.
    pub(super) fn add(&mut self, entry: &Entry, now: Timestamp) {
        for attempt in &entry.attempts {
            if let Some(call) = attempt.call_id() {
                let by_id = attempt.vendor_id().zip(Some(entry.recipient()));
                self.remember(&attempt.channel, call, by_id, now);
            }
        }
    }

    /// The same, of a message that only its outcome tells of.
    pub(super) fn add_outcome(&mut self, outcome: &Outcome, now: Timestamp) {
        for attempt in &outcome.attempts {
            if let Some(call) = attempt.call_id {
                let by_id = attempt.vendor_id.as_deref().zip(outcome.recipient.as_ref());
                self.remember(&attempt.channel, call, by_id, now);
            }
        }
    }

    fn remember(
        &mut self,
        channel: &ChannelId,
        call: CallId,
        by_id: Option<(&str, &Phone)>,
        now: Timestamp,
    ) {
        let by_id = by_id.and_then(|(id, recipient)| self.vendor_id(channel, recipient, id));
        for name in [Some(self.call(channel, call)), by_id]
            .into_iter()
            .flatten()
        {
            self.names.insert(name);
            self.order.push_back((now, name));
        }
    }

    /// Whether the receipt names one of them, by the rules of the join.
    pub(super) fn has(&self, receipt: &RawReceipt) -> bool {
        let echo = receipt.echo.as_deref().and_then(CallId::from_echo);
        let name = match (echo, &receipt.vendor_id) {
            (Some(call), _) => Some(self.call(&receipt.channel, call)),
            (None, Some(id)) => self.vendor_id(&receipt.channel, &receipt.recipient, id),
            (None, None) => None,
        };
        name.is_some_and(|name| self.names.contains(&name))
    }

    /// Forgets those that closed long ago.
    pub(super) fn forget(&mut self, now: Timestamp) {
        while self
            .order
            .front()
            .is_some_and(|(at, _)| now.since(*at) > CLOSED_MS)
        {
            if let Some((_, name)) = self.order.pop_front() {
                self.names.remove(&name);
            }
        }
    }
}
