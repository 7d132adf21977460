//! Folding what the log says of messages: routings, claims, results, outcomes.

use std::{cmp::Reverse, time::Duration};

use jixinda_runtime::kafka::{Record, fence::Standing, owner::dead_letter};
use jixinda_schemas::{
    ChannelId, Lane, MessageId, Timestamp, Topic,
    codec::{self, Event},
    event::{
        AttemptFinished, AttemptNotStarted, AttemptResult, AttemptStarted, AttemptState, Outcome,
        Routed,
    },
    vendor::{Blame, Disposition},
};

use super::{ChannelNews, Chore, Partition, Work, Written};
use crate::{health::News, message::Entry};

/// A fact of a message that was not read yet, and where it stands.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) fact: Fact,
    pub(super) at: Timestamp,
    pub(super) place: (Topic, i64),
}

#[derive(Debug)]
pub(super) enum Fact {
    Routed(Routed),
    Started(AttemptStarted),
    NotStarted(AttemptNotStarted),
    Finished(AttemptFinished),
    Outcome(Outcome),
}

impl Fact {
    /// Whether it is of this message: an id may be used again after its window.
    fn is_of(&self, entry: &Entry) -> bool {
        match self {
            Self::Routed(routed) => routed.request == entry.position,
            Self::Outcome(outcome) => outcome.request == entry.position,
            Self::Started(started) => started.attempt_id == entry.attempt_id(started.n),
            Self::NotStarted(given_back) => given_back.attempt_id == entry.attempt_id(given_back.n),
            Self::Finished(finished) => finished.attempt_id == entry.attempt_id(finished.n),
        }
    }
}

impl Partition {
    pub(super) fn fold_fact(&mut self, record: &Record<'_>, standing: Standing) {
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
        let (place, at) = ((record.topic, record.offset), record.at);
        self.take_fact(id, Shell { fact, at, place });
    }

    /// Takes a fact into the message that it is of. If that is not held, it may not be read yet, or waits for the end of
    /// another one of its id.
    pub(super) fn take_fact(&mut self, id: MessageId, shell: Shell) {
        let held = self.entries.get(&id);
        if held.is_some_and(|held| shell.fact.is_of(&held.entry)) {
            self.note(id, shell.place, shell.at);
            self.apply(id, shell.fact, shell.at);
        } else if !self.acting || self.successors.contains_key(&id) {
            let work = held.map_or(Work::Message(id), |held| held.work);
            let (topic, offset) = shell.place;
            self.ledger.fact(&work, topic, offset);
            self.shells.entry(id).or_default().push(shell);
        }
    }

    /// What is left belongs to messages that ended before the floors; their calls may still be reported on.
    pub(super) fn forget_shells(&mut self) {
        let now = self.shared.clock.now();
        let successors = &self.successors;
        // Those of messages that wait for the end of another of their id are needed later.
        let left = self.shells.extract_if(|id, _| !successors.contains_key(id));
        for shell in left.flat_map(|(_, shells)| shells) {
            if let Fact::Outcome(outcome) = shell.fact {
                self.closed.add_outcome(&outcome, now);
            }
        }
    }

    pub(super) fn apply(&mut self, id: MessageId, fact: Fact, at: Timestamp) {
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
                // It stands in the way of no receipt that is joined by time any more.
                try_receipts = true;
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
                if entry.ended(outcome) {
                    held.written = Written::Nothing;
                }
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
        let mut took = finished.elapsed_ms;
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
                if *blame == Blame::Capacity {
                    // As quick as it is, it says nothing of the calls that it let through.
                    took = None;
                }
                if *disposition == Disposition::Account {
                    self.news.push(ChannelNews::Account {
                        channel: channel.clone(),
                        code: vendor_code.clone(),
                        at,
                    });
                }
            }
            // Whose caller died was perhaps never made, and is no news of the vendor.
            AttemptResult::Unknown { .. } => {
                called = finished.submitted_at.is_some();
                fault = called;
            }
            AttemptResult::NotCalled => called = false,
        }
        if fault {
            self.book.book(&channel, lane, News::Failed, at, half_life);
        }
        if called {
            self.news.push(ChannelNews::Submitted {
                channel,
                attempt: finished.attempt_id,
                fault,
                at,
                took: took.map(|ms| Duration::from_millis(u64::from(ms))),
            });
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
}
