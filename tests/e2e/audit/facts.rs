//! What the log says, in little room: one pass over the records, by rules of the judge's own. Of the product it takes
//! the decoding of records and nothing else.

use std::collections::{BTreeMap, HashMap, HashSet};

use jixinda_schemas::{
    CallId, MessageId, Position, Timestamp, Topic,
    codec::{self, Event},
    event::{AttemptResult, Terminal},
    headers::Headers,
};

use crate::harness::lives::Writer;

/// One record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    pub(crate) position: Position,
    pub(crate) headers: &'a Headers,
    pub(crate) value: &'a [u8],
}

/// A valid claim for a call.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    pub(crate) n: u16,
    pub(crate) call: CallId,
    pub(crate) offset: i64,
    pub(crate) at: Timestamp,
    /// Number of its writer.
    pub(crate) writer: u64,
    /// The last word of the claim's own writer: when, and whether it leaves open what the vendor did.
    pub(crate) own: Option<(Timestamp, bool)>,
    /// Offset of the first record that says `unknown`, whoever wrote it.
    pub(crate) unknown_at: Option<i64>,
}

/// What counts, and what was said about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) records: u64,
    /// Where the requests for each number stand.
    pub(crate) requests: HashMap<String, Vec<Position>>,
    pub(crate) outcomes: Vec<(MessageId, Terminal)>,
    pub(crate) corrections: Vec<(MessageId, Terminal, Terminal)>,
    pub(crate) attempts: BTreeMap<MessageId, Vec<Started>>,
    pub(crate) writers: HashMap<u64, Writer>,
    pub(crate) dead_letters: Vec<Position>,
    /// Records of writers that had been succeeded.
    pub(crate) stale: u64,
    /// Writer that counts, by topic, partition and role.
    counting: HashMap<(Topic, i32, String), u64>,
    claimed: HashSet<(MessageId, u16)>,
    calls: HashMap<CallId, (MessageId, usize)>,
}

impl Facts {
    /// Takes the next record of a partition.
    pub(crate) fn take(&mut self, raw: &Raw<'_>) {
        self.records += 1;
        let position = raw.position;
        match position.topic {
            Topic::RequestsOtp | Topic::RequestsNotice | Topic::RequestsMarketing => {
                return self.request(raw);
            }
            Topic::DeadLetters => return self.dead_letters.push(position),
            Topic::Attempts | Topic::Outcomes => {}
            _ => return,
        }
        let Some(writer) = &raw.headers.writer else {
            return;
        };
        let kind = raw.headers.kind.as_deref();
        let place = (position.topic, position.partition, writer.role.to_string());
        if kind == Some("opened") {
            self.counting.insert(place, writer.number);
            if let Event::Opened(e) = decode(raw) {
                let (instance, at) = (e.payload.instance, e.payload.at);
                let said = Writer { instance, at };
                self.writers.entry(writer.number).or_insert(said);
            }
            return;
        }
        // A result is a fact, whoever is owner meanwhile; it counts with its claim.
        let counts =
            kind == Some("attempt_finished") || self.counting.get(&place) == Some(&writer.number);
        if !counts {
            self.stale += 1;
            return;
        }
        match decode(raw) {
            Event::Outcome(e) => {
                let id = e.message_id.unwrap();
                self.outcomes.push((id, e.payload.outcome));
            }
            Event::OutcomeCorrected(e) => {
                let (from, to) = (e.payload.previous.outcome, e.payload.current.outcome);
                self.corrections.push((e.message_id.unwrap(), from, to));
            }
            Event::AttemptNotStarted(e) => {
                self.claimed.insert((e.message_id.unwrap(), e.payload.n));
            }
            Event::AttemptStarted(e) => {
                let id = e.message_id.unwrap();
                if self.claimed.insert((id, e.payload.n)) {
                    let attempts = self.attempts.entry(id).or_default();
                    self.calls.insert(e.payload.call_id, (id, attempts.len()));
                    attempts.push(Started {
                        n: e.payload.n,
                        call: e.payload.call_id,
                        offset: position.offset,
                        at: e.payload.started_at,
                        writer: writer.number,
                        own: None,
                        unknown_at: None,
                    });
                }
            }
            Event::AttemptFinished(e) => {
                let unknown = matches!(e.payload.result, AttemptResult::Unknown { .. });
                let Some((id, place)) = self.calls.get(&e.payload.call_id) else {
                    return;
                };
                let started = &mut self.attempts.get_mut(id).unwrap()[*place];
                let orphaned = matches!(&e.payload.result, AttemptResult::Unknown { detail } if detail == "owner_died");
                if started.writer == writer.number && !orphaned {
                    started.own = Some((e.at, unknown));
                }
                if unknown {
                    started.unknown_at.get_or_insert(position.offset);
                }
            }
            _ => {}
        }
    }

    fn request(&mut self, raw: &Raw<'_>) {
        // Tests write what no one can read; the key is the number where there is one.
        let kind = raw.headers.kind.as_deref().zip(raw.headers.version);
        if let Ok(Event::Request(e)) = codec::decode(kind, raw.value) {
            let number = e.payload.recipient.expose().to_owned();
            self.requests.entry(number).or_default().push(raw.position);
        }
    }

    /// Outcomes so far, each message once.
    pub(crate) fn ended(&self) -> usize {
        let ids: HashSet<_> = self.outcomes.iter().map(|(id, _)| id).collect();
        ids.len()
    }
}

fn decode(raw: &Raw<'_>) -> Event {
    let kind = raw.headers.kind.as_deref().zip(raw.headers.version);
    codec::decode(kind, raw.value).unwrap_or_else(|e| panic!("{}: {e}", raw.position))
}
