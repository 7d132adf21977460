//! Compares what the log says with itself and with ClickHouse. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use jixinda_schemas::{Lane, MessageId, Position, Timestamp};
use serde::Serialize;

use super::log::{Log, Place, Request};

/// Rows that have not come after so long are missing.
const BEHIND_MS: i64 = 600_000;

/// Cell of the comparison of sums: minute of acceptance (Unix seconds), app, template, lane, outcome.
pub(super) type Cell = (i64, String, String, String, String);

/// What ClickHouse has.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Rows of each record.
    pub(super) rows: HashMap<Place, BTreeMap<i64, u32>>,
    /// Sums of `delta`, as its projections have them; `None` when they changed while the rows were read.
    pub(super) sums: Option<BTreeMap<Cell, i64>>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub(super) enum Fault {
    /// Accepted, older than any message may be, and without an outcome.
    Lost {
        message: Option<MessageId>,
        request: String,
    },
    /// A message of one request ended twice.
    DuplicateOutcome { message: MessageId, request: String },
    /// Ended without ever having been accepted.
    UnaskedOutcome { message: MessageId, request: String },
    /// More calls may have been taken than the lane allows.
    SentTwice { message: MessageId, calls: usize },
    /// Sent again for another message, without a word of who wanted it.
    Unannounced { message: MessageId, request: String },
    /// A record that counts has too few rows.
    MissingRow { record: String },
    /// A record has too many rows, or rows although it does not count.
    ExtraRow { record: String },
    /// A sum of ClickHouse is not that of the log.
    WrongSum {
        minute: Timestamp,
        app: String,
        template: String,
        lane: String,
        outcome: String,
        log: i64,
        clickhouse: i64,
    },
    /// A record of a role that cannot be read.
    Unreadable { record: String },
}

/// The verdict.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) records: u64,
    /// Requests, by what became of them.
    pub(super) requests: Requests,
    /// Outcomes, corrections not counted.
    pub(super) outcomes: BTreeMap<String, u64>,
    /// Records whose writer had been succeeded: rightly ignored by everyone.
    pub(super) stale: u64,
    pub(super) unjudged: u64,
    /// Rows compared, and records whose rows are still to come.
    pub(super) rows: u64,
    pub(super) rows_to_come: u64,
    /// Sums compared; none while rows are still coming.
    pub(super) sums: u64,
    pub(super) faults: Vec<Fault>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Requests {
    pub(super) ended: u64,
    /// Not ended yet, and young enough.
    pub(super) unresolved: u64,
    pub(super) repeats: u64,
    pub(super) moved: u64,
    /// Dead letters without an outcome.
    pub(super) buried: u64,
    /// So old that their outcomes are not in the log any more, or cannot be judged.
    pub(super) forgotten: u64,
}

/// How strict to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) now: Timestamp,
    /// Older requests without an outcome are lost.
    pub(super) longest_ms: i64,
    /// Nothing runs any more: nothing may be open or to come.
    pub(super) settled: bool,
    /// Only what was accepted, and records that were written, from then on.
    pub(super) since: Option<Timestamp>,
    /// And before then.
    pub(super) until: Option<Timestamp>,
}

impl Limits {
    /// Whether what happened at this time is judged.
    fn holds(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }

    /// Whether the whole minute that begins then (Unix seconds) is judged.
    fn holds_minute(&self, minute: i64) -> bool {
        let (first, last) = (
            Timestamp(minute * 1_000),
            Timestamp(minute * 1_000 + 59_999),
        );
        self.holds(first) && self.holds(last)
    }
}

pub(super) fn judge(log: &Log, tables: &Tables, limits: Limits) -> Report {
    let mut report = Report {
        records: log.records,
        stale: log.stale,
        unjudged: log.unjudged.values().map(|of| of.len() as u64).sum(),
        ..Report::default()
    };
    messages(log, limits, &mut report);
    sends(log, limits, &mut report);
    redrives(log, limits, &mut report);
    rows(log, tables, limits, &mut report);
    if let Some(found) = &tables.sums
        && report.rows_to_come == 0
        && !is_behind(log, tables)
    {
        sums(log, found, limits, &mut report);
    }
    let unreadable = log.unreadable.iter().map(|p| Fault::Unreadable {
        record: p.to_string(),
    });
    report.faults.extend(unreadable);
    report.faults.sort();
    report
}

fn messages(log: &Log, limits: Limits, report: &mut Report) {
    let mut ended: HashSet<(MessageId, Position)> = HashSet::new();
    let mut first_of: FirstOf = HashMap::new();
    for (message, end) in &log.outcomes {
        let accepted = (end.request, end.accepted_at);
        first_of.entry(*message).or_default().push(accepted);
        let first = ended.insert((*message, end.request));
        if !limits.holds(end.accepted_at) {
            continue;
        }
        *report.outcomes.entry(end.outcome.clone()).or_default() += 1;
        let request = end.request.to_string();
        if !first {
            report.faults.push(Fault::DuplicateOutcome {
                message: *message,
                request,
            });
        } else if !log.requests.contains_key(&end.request) {
            // What retention has removed, or what came after it was read, cannot be asked for.
            let place = (end.request.topic, end.request.partition);
            let read = log.read.get(&place);
            if read.is_some_and(|(first, last)| (*first..=*last).contains(&end.request.offset)) {
                report.faults.push(Fault::UnaskedOutcome {
                    message: *message,
                    request,
                });
            }
        }
    }
    let moved: HashSet<Position> = log.requests.values().filter_map(|r| r.moved_from).collect();
    let judged = log.requests.iter().filter(|(_, r)| limits.holds(r.at));
    for (position, request) in judged {
        let counted = &mut report.requests;
        if request
            .id
            .is_some_and(|id| ended.contains(&(id, *position)))
        {
            counted.ended += 1;
        } else if moved.contains(position) {
            counted.moved += 1;
        } else if log.buried.contains(position) {
            counted.buried += 1;
        } else if repeats(&first_of, request, position) {
            counted.repeats += 1;
        } else if log
            .judged_since
            .get(&position.partition)
            .is_some_and(|since| request.at <= *since)
        {
            counted.forgotten += 1;
        } else if limits.settled || limits.now.since(request.at) > limits.longest_ms {
            report.faults.push(Fault::Lost {
                message: request.id,
                request: position.to_string(),
            });
        } else {
            counted.unresolved += 1;
        }
    }
}

/// Requests that ended, with the time of their acceptance.
type FirstOf = HashMap<MessageId, Vec<(Position, Timestamp)>>;

/// Whether the id was remembered when the request came: another request of it had been accepted before.
fn repeats(first_of: &FirstOf, request: &Request, position: &Position) -> bool {
    let window = position.topic.lane().map_or(0, Lane::id_window_ms);
    let others = request.id.and_then(|id| first_of.get(&id));
    others
        .into_iter()
        .flatten()
        .any(|(other, first)| other != position && (0..=window).contains(&request.at.since(*first)))
}

/// At most one call of a message may have been taken; of `otp` one more, after one that is unknown.
fn sends(log: &Log, limits: Limits, report: &mut Report) {
    // An id that was used again after its window stands for several messages, whose calls cannot be told apart.
    let mut requests: HashMap<MessageId, usize> = HashMap::new();
    for (message, _) in &log.outcomes {
        *requests.entry(*message).or_default() += 1;
    }
    let mut taken: HashMap<MessageId, (usize, usize, bool)> = HashMap::new();
    for ((message, _), claim) in &log.claims {
        let Some(call) = claim.call_id else { continue };
        let open = match log.results.get(&call) {
            // Whatever had been said of it before.
            Some(result) if result.refused && !result.taken => continue,
            Some(result) if result.unknown => true,
            Some(result) if result.taken => false,
            Some(_) => continue,
            None => true,
        };
        let entry = taken.entry(*message).or_default();
        entry.0 += 1;
        entry.1 += usize::from(open);
        entry.2 = claim.lane == "otp";
    }
    taken.retain(|message, _| requests.get(message).is_none_or(|n| *n == 1));
    if limits.since.is_some() || limits.until.is_some() {
        let asked = log.requests.values().filter(|r| limits.holds(r.at));
        let judged: HashSet<MessageId> = asked.filter_map(|r| r.id).collect();
        taken.retain(|message, _| judged.contains(message));
    }
    for (message, (calls, open, otp)) in taken {
        let allowed = if otp && open > 0 { 2 } else { 1 };
        if calls > allowed {
            report.faults.push(Fault::SentTwice { message, calls });
        }
    }
}

/// The announcement stands in the log before what it announces. It is on another topic, and may have been written after
/// that was read to its end.
fn redrives(log: &Log, limits: Limits, report: &mut Report) {
    let judged = |r: &Request| r.redriven && limits.holds(r.at);
    for (position, request) in log.requests.iter().filter(|(_, r)| judged(r)) {
        let young = limits.now.since(request.at) < BEHIND_MS && !limits.settled;
        if let Some(message) = request
            .id
            .filter(|id| !young && !log.announced.contains(id))
        {
            report.faults.push(Fault::Unannounced {
                message,
                request: position.to_string(),
            });
        }
    }
}

fn rows(log: &Log, tables: &Tables, limits: Limits, report: &mut Report) {
    let (no_wish, nothing) = (BTreeMap::new(), BTreeMap::new());
    for (place, (first, last)) in &log.read {
        let wanted = log.rows.get(place).unwrap_or(&no_wish);
        let found = tables.rows.get(place).unwrap_or(&nothing);
        let name = |offset: i64| {
            let (topic, partition) = *place;
            let record = Position {
                topic,
                partition,
                offset,
            };
            record.to_string()
        };
        // Rows of a partition come in order: behind the last one they are on their way.
        let stored_to = found.keys().next_back().copied().unwrap_or(-1);
        for (offset, (count, at)) in wanted.iter().filter(|(_, (_, at))| limits.holds(*at)) {
            let there = found.get(offset).copied().unwrap_or(0);
            report.rows += u64::from(there);
            if there < *count {
                let young = limits.now.since(*at) < BEHIND_MS;
                if *offset > stored_to && young && !limits.settled {
                    report.rows_to_come += 1;
                } else {
                    report.faults.push(Fault::MissingRow {
                        record: name(*offset),
                    });
                }
            }
        }
        let unjudged = log.unjudged.get(place);
        for (offset, there) in found.range(*first..=*last) {
            // A record that must have none has no time here: that of its neighbour is near enough.
            let neighbour = wanted.range(..=offset).next_back();
            let near = neighbour.or_else(|| wanted.first_key_value());
            if !near.is_none_or(|(_, (_, at))| limits.holds(*at)) {
                continue;
            }
            let judged = !unjudged.is_some_and(|of| of.contains(offset));
            if judged && *there > wanted.get(offset).map_or(0, |(rows, _)| *rows) {
                report.faults.push(Fault::ExtraRow {
                    record: name(*offset),
                });
            }
        }
    }
}

/// Whether ClickHouse has rows of records that were written after the log was read.
fn is_behind(log: &Log, tables: &Tables) -> bool {
    tables.rows.iter().any(|(place, found)| {
        let last = log.read.get(place).map_or(-1, |(_, last)| *last);
        found.range(last + 1..).next().is_some()
    })
}

/// Only minutes whose messages cannot have ended before the log begins.
fn sums(log: &Log, found: &BTreeMap<Cell, i64>, limits: Limits, report: &mut Report) {
    let minute = |at: Timestamp| at.millis().div_euclid(60_000) * 60;
    let since = log.judged_since.values().max();
    let from = since.map_or(0, |since| minute(*since) + 60);
    let mut wanted: BTreeMap<Cell, i64> = BTreeMap::new();
    for (app, delta, end) in &log.deltas {
        let cell = (
            minute(end.accepted_at),
            app.clone(),
            end.template.clone(),
            end.lane.clone(),
            end.outcome.clone(),
        );
        *wanted.entry(cell).or_default() += delta;
    }
    let cells: std::collections::BTreeSet<&Cell> = wanted.keys().chain(found.keys()).collect();
    let judged = |cell: &Cell| cell.0 >= from && limits.holds_minute(cell.0);
    for cell in cells.into_iter().filter(|cell| judged(cell)) {
        let of = |sums: &BTreeMap<Cell, i64>| sums.get(cell).copied().unwrap_or(0);
        let (in_log, in_clickhouse) = (of(&wanted), of(found));
        report.sums += 1;
        if in_log != in_clickhouse {
            let (at, app, template, lane, outcome) = cell.clone();
            report.faults.push(Fault::WrongSum {
                minute: Timestamp(at * 1_000),
                app,
                template,
                lane,
                outcome,
                log: in_log,
                clickhouse: in_clickhouse,
            });
        }
    }
}

#[cfg(test)]
mod tests;
