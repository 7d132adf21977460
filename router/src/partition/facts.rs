//! Folding what the log says of messages: routings, claims, results, outcomes.

use std::cmp::Reverse;

use jixinda_runtime::kafka::{Record, fence::Standing, owner::dead_letter};
use jixinda_schemas::{
    ChannelId, Lane, MessageId, Timestamp,
    codec::{self, Event},
    event::{
        AttemptFinished, AttemptNotStarted, AttemptResult, AttemptStarted, AttemptState, Outcome,
        Routed,
    },
    vendor::{Blame, Disposition},
};

use super::{ChannelNews, Chore, Partition, Work, Written};
use crate::health::News;

#[derive(Debug)]
pub(super) enum Fact {
    Routed(Routed),
    Started(AttemptStarted),
    NotStarted(AttemptNotStarted),
    Finished(AttemptFinished),
    Outcome(Outcome),
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
}
