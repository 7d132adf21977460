//! What the log says, read by rules of its own: nothing here is shared with the roles that wrote it.
//!
//! A record of a role counts when its writer is that of the last `opened` of the role before it in the partition. The
//! first claim of a decision wins. A result counts when its claim does, whoever wrote it.

use std::collections::{BTreeMap, HashMap, HashSet};

use jixinda_runtime::kafka::Record;
use jixinda_schemas::{AppId, MessageId, Phone, Position, Timestamp, Topic};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

/// A partition of a topic.
pub(super) type Place = (Topic, i32);

#[derive(Deserialize)]
struct Envelope<P> {
    message_id: Option<MessageId>,
    app_id: Option<AppId>,
    payload: P,
}

#[derive(Deserialize)]
struct RequestFields {
    recipient: Phone,
    idempotency_key: Option<String>,
    #[serde(default)]
    index: u32,
    redrive_of: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct ClaimFields {
    n: u16,
    call_id: Option<u64>,
    lane: Option<String>,
}

#[derive(Deserialize)]
struct ResultFields {
    call_id: u64,
    result: Kind,
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

#[derive(Deserialize)]
struct CorrectionFields {
    previous: End,
    current: End,
}

#[derive(Deserialize)]
struct LetterFields {
    source: Option<Position>,
}

#[derive(Deserialize)]
struct RedrivenFields {
    new_message_id: Option<MessageId>,
}

/// What an outcome says, as far as it is checked.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct End {
    pub(super) outcome: String,
    pub(super) request: Position,
    pub(super) accepted_at: Timestamp,
    pub(super) lane: String,
    /// Empty when the request named none that can be read.
    #[serde(default)]
    pub(super) template: String,
}

/// A record of `requests.*`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// Absent when it cannot be read.
    pub(super) id: Option<MessageId>,
    pub(super) at: Timestamp,
    /// Broker time of the first place of a record that was moved is that of the move.
    pub(super) moved_from: Option<Position>,
    /// An operator's command wrote it, under the platform's seal.
    pub(super) redriven: bool,
}

/// The winning claim of a decision.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// `None` gave the decision back.
    pub(super) call_id: Option<u64>,
    pub(super) lane: String,
}

/// What was said of a call; an answer may come after it was taken for unknown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CallResult {
    pub(super) taken: bool,
    /// A definite no, or never made.
    pub(super) refused: bool,
    pub(super) unknown: bool,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Offsets read in each partition: first and last.
    pub(super) read: HashMap<Place, (i64, i64)>,
    /// Since when every outcome of a partition can be judged; absent when all can.
    pub(super) judged_since: HashMap<i32, Timestamp>,
    writers: HashMap<(Place, String), u64>,
    pub(super) requests: HashMap<Position, Request>,
    /// Positions with a dead letter.
    pub(super) buried: HashSet<Position>,
    /// Messages of which an operator has announced that they are sent again.
    pub(super) announced: HashSet<MessageId>,
    /// Valid outcomes, in the order of their partitions.
    pub(super) outcomes: Vec<(MessageId, End)>,
    /// Message, app, sign and end of each row that ClickHouse must sum up.
    pub(super) deltas: Vec<(String, i64, End)>,
    pub(super) claims: HashMap<(MessageId, u16), Claim>,
    /// Result of each call, by call id.
    pub(super) results: HashMap<u64, CallResult>,
    /// Rows that each record must have, and its broker time.
    pub(super) rows: HashMap<Place, BTreeMap<i64, (u32, Timestamp)>>,
    /// Records by writers that had been succeeded.
    pub(super) stale: u64,
    /// Records before the first `opened` that is still in the log: whether they count cannot be told.
    pub(super) unjudged: HashMap<Place, HashSet<i64>>,
    /// Records of roles that cannot be read.
    pub(super) unreadable: Vec<Position>,
    pub(super) records: u64,
}

fn read<P: DeserializeOwned>(record: &Record<'_>) -> Option<Envelope<P>> {
    serde_json::from_slice(record.value?).ok()
}

impl Log {
    /// Takes the next record of its partition.
    pub(super) fn take(&mut self, record: &Record<'_>) {
        self.records += 1;
        let place = (record.topic, record.partition);
        if record.topic == Topic::Outcomes && record.offset > 0 && !self.read.contains_key(&place) {
            self.judged_since.insert(record.partition, record.at);
        }
        let span = self
            .read
            .entry(place)
            .or_insert((record.offset, record.offset));
        span.1 = record.offset;
        let kind = record.headers.kind.as_deref().unwrap_or_default();
        match record.topic {
            Topic::RequestsOtp | Topic::RequestsNotice | Topic::RequestsMarketing => {
                return self.request(record);
            }
            Topic::DeadLetters => return self.letter(record),
            _ => {}
        }
        if kind != "attempt_finished" && !self.counts(record, kind) {
            return;
        }
        let understood = match kind {
            "opened" => return,
            "routed" | "receipt" => Some(1),
            "attempt_started" | "attempt_not_started" => self.claim(record),
            "attempt_finished" => self.result(record),
            "outcome" => self.outcome(record),
            "outcome_corrected" => self.correction(record),
            _ => None,
        };
        match understood {
            Some(rows) => self.wants_rows(record, rows),
            None => self.unreadable.push(record.position()),
        }
    }

    fn counts(&mut self, record: &Record<'_>, kind: &str) -> bool {
        let place = (record.topic, record.partition);
        let Some(writer) = &record.headers.writer else {
            self.unreadable.push(record.position());
            return false;
        };
        let role = (place, writer.role.to_string());
        if kind == "opened" {
            self.writers.insert(role, writer.number);
            return true;
        }
        match self.writers.get(&role) {
            Some(number) if *number == writer.number => true,
            Some(_) => {
                self.stale += 1;
                false
            }
            None if self.read[&place].0 > 0 => {
                self.unjudged
                    .entry(place)
                    .or_default()
                    .insert(record.offset);
                if record.topic == Topic::Outcomes {
                    self.judged_since.insert(record.partition, record.at);
                }
                false
            }
            None => {
                self.stale += 1;
                false
            }
        }
    }

    fn request(&mut self, record: &Record<'_>) {
        let moved_from = record.headers.rehomed_from.as_deref();
        let moved_from = moved_from.and_then(|text| text.parse::<Position>().ok());
        let first = moved_from.unwrap_or_else(|| record.position());
        let fields = read::<RequestFields>(record);
        let redriven = record.headers.ingest_seal.is_some()
            && fields
                .as_ref()
                .is_some_and(|e| e.payload.redrive_of.is_some());
        let id = fields.and_then(|e| {
            let app = e.app_id?;
            let by_key = e.payload.idempotency_key.as_ref().map(|key| {
                let RequestFields {
                    recipient, index, ..
                } = &e.payload;
                MessageId::from_idempotency_key(&app, key, *index, recipient)
            });
            let id = e.message_id.or(by_key);
            Some(id.unwrap_or_else(|| MessageId::from_position(&first)))
        });
        let request = Request {
            id,
            at: record.at,
            moved_from,
            redriven,
        };
        self.requests.insert(record.position(), request);
    }

    fn wants_rows(&mut self, record: &Record<'_>, rows: u32) {
        let place = (record.topic, record.partition);
        let of = self.rows.entry(place).or_default();
        of.insert(record.offset, (rows, record.at));
    }

    fn letter(&mut self, record: &Record<'_>) {
        // What operators did stands in the log only.
        match record.headers.kind.as_deref() {
            Some("discarded") => return,
            Some("redriven") => {
                return match read::<RedrivenFields>(record) {
                    Some(e) => self.announced.extend(e.payload.new_message_id),
                    None => self.unreadable.push(record.position()),
                };
            }
            _ => {}
        }
        self.wants_rows(record, 1);
        match read::<LetterFields>(record) {
            Some(letter) => self.buried.extend(letter.payload.source),
            None => self.unreadable.push(record.position()),
        }
    }

    fn claim(&mut self, record: &Record<'_>) -> Option<u32> {
        let e = read::<ClaimFields>(record)?;
        let claim = Claim {
            call_id: e.payload.call_id,
            lane: e.payload.lane.unwrap_or_default(),
        };
        self.claims
            .entry((e.message_id?, e.payload.n))
            .or_insert(claim);
        Some(1)
    }

    fn result(&mut self, record: &Record<'_>) -> Option<u32> {
        let ResultFields { call_id, result } = read::<ResultFields>(record)?.payload;
        let known = self.results.entry(call_id).or_default();
        match result.kind.as_str() {
            "accepted" => known.taken = true,
            "rejected" | "not_called" => known.refused = true,
            "unknown" => known.unknown = true,
            _ => {}
        }
        Some(1)
    }

    fn outcome(&mut self, record: &Record<'_>) -> Option<u32> {
        let e = read::<End>(record)?;
        let app = e.app_id?.to_string();
        self.outcomes.push((e.message_id?, e.payload.clone()));
        self.deltas.push((app, 1, e.payload));
        Some(1)
    }

    fn correction(&mut self, record: &Record<'_>) -> Option<u32> {
        let e = read::<CorrectionFields>(record)?;
        let app = e.app_id?.to_string();
        self.deltas.push((app.clone(), -1, e.payload.previous));
        self.deltas.push((app, 1, e.payload.current));
        Some(2)
    }
}
