//! What is wrong, by id: the caller's own list against the log, ClickHouse, and the vendor's journal. Pure.

mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jixinda_schemas::{CallId, Lane, MessageId, Position, event::Terminal};

use crate::harness::load::{Accepted, Script, Sent};

pub(crate) use tally::Tally;

/// A call as the vendor saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// What it echoes.
    pub(crate) id: Option<CallId>,
    pub(crate) taken: bool,
    /// By the lab's script the answer leaves open whether the message was taken.
    pub(crate) ambiguous: bool,
}

/// What the vendor did for a recipient, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vendor {
    pub(crate) calls: Vec<Call>,
    pub(crate) delivered: bool,
    /// Calls of which it said that they did not arrive.
    pub(crate) undelivered: BTreeSet<CallId>,
    /// Receipts that it pushed and had no answer to, by whether they say delivered: they may have been taken.
    pub(crate) unanswered: BTreeSet<bool>,
}

impl Vendor {
    fn taken(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| call.taken)
    }
}

/// A claim that counts, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) n: u16,
    pub(crate) call: CallId,
    pub(crate) offset: i64,
    /// Its sender was killed before it could say how it ended, or stood still in between.
    pub(crate) interrupted: bool,
    /// Its own sender's word: whether the call's result cannot be known.
    pub(crate) own: Option<bool>,
    /// Where the log says first that it is unknown.
    pub(crate) unknown_at: Option<i64>,
}

/// What each side says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// What the caller has a 202, or Kafka's acknowledgement, for.
    pub(crate) accepted: Accepted,
    /// Where the requests for each number stand.
    pub(crate) requests: HashMap<String, Vec<Position>>,
    /// Outcomes that count.
    pub(crate) outcomes: Vec<(MessageId, Terminal)>,
    /// Corrections that count, in their order: from, to.
    pub(crate) corrections: Vec<(MessageId, Terminal, Terminal)>,
    /// ClickHouse: message, outcome, delta.
    pub(crate) rows: Vec<(MessageId, Terminal, i64)>,
    pub(crate) vendor: BTreeMap<String, Vendor>,
    pub(crate) attempts: BTreeMap<MessageId, Vec<Attempt>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Accepted, and not in the log, or not where it was acknowledged.
    NotStored(MessageId),
    /// Accepted, and no outcome.
    Lost(MessageId),
    SeveralOutcomes(MessageId),
    /// An outcome of what nobody sent.
    Unasked(MessageId),
    RowMissing(MessageId),
    /// A row too many, or one that no record stands for.
    RowTooMany(MessageId),
    /// Taken more often than the lane allows, or without an earlier attempt that the log calls unknown.
    SentTwice(MessageId),
    /// One claim, several calls.
    CalledTwice(MessageId),
    /// A call that no valid claim stands for.
    CalledWithoutClaim(MessageId),
    /// The vendor was called for a number that nobody wrote to.
    SentToNobody(String),
    /// The outcome is not what the vendor says.
    WrongOutcome(MessageId, Terminal),
    /// The outcome is not what the lab's script leads to.
    NotAsScripted(MessageId, Terminal),
    /// Nothing happened that could have left it open.
    UnexplainedUnknown(MessageId),
}

/// What left a message open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// A sender was killed or stood still between claim and result.
    Interrupted,
    /// The answer to a call, by the lab's script.
    Ambiguous,
    /// Taken, and the vendor never said more.
    Silent,
}

#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// In order.
    pub(crate) faults: Vec<Fault>,
    pub(crate) tally: Tally,
}

pub(crate) fn judge(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict::default();
    let finals = outcomes(evidence, &mut verdict.faults);
    rows(evidence, &mut verdict.faults);
    let tally = &mut verdict.tally;
    tally.rows = evidence.rows.len();
    tally.corrections = evidence.corrections.len();
    let mut strangers: BTreeSet<&String> = evidence.vendor.keys().collect();
    let silence = Vendor::default();
    for (id, sent) in &evidence.accepted {
        strangers.remove(&sent.recipient);
        let word = evidence.vendor.get(&sent.recipient).unwrap_or(&silence);
        let attempts = evidence.attempts.get(id).map_or(&[][..], Vec::as_slice);
        tally.accepted(sent);
        if !is_stored(evidence, sent) {
            verdict.faults.push(Fault::NotStored(*id));
        }
        calls((id, sent.lane), word, attempts, &mut verdict.faults);
        tally.second_sends += usize::from(word.taken().count() == 2);
        let Some(last) = finals.get(id) else { continue };
        let cause = cause(sent, word, attempts).filter(|_| *last == Terminal::Unknown);
        tally.ended(*last, cause);
        if !says(word, *last, cause) {
            verdict.faults.push(Fault::WrongOutcome(*id, *last));
        }
        if !follows(sent.script, *last, cause) {
            verdict.faults.push(Fault::NotAsScripted(*id, *last));
        }
        if *last == Terminal::Unknown && cause.is_none() {
            verdict.faults.push(Fault::UnexplainedUnknown(*id));
        }
    }
    let nobody = strangers.into_iter().cloned().map(Fault::SentToNobody);
    verdict.faults.extend(nobody);
    verdict.faults.sort();
    verdict
}

/// Tests that play no script may write what does not decode; where one is played every record must be there.
fn is_stored(evidence: &Evidence, sent: &Sent) -> bool {
    let stored = evidence.requests.get(&sent.recipient);
    match sent.acked {
        Some(position) => stored.is_some_and(|at| at.contains(&position)),
        None => sent.script == Script::Free || stored.is_some(),
    }
}

/// Each call must have its claim. A second one that was taken needs a lane that allows it, and an earlier attempt that
/// the log called unknown before the later one was claimed.
fn calls(
    (id, lane): (&MessageId, Lane),
    word: &Vendor,
    attempts: &[Attempt],
    faults: &mut Vec<Fault>,
) {
    let of = |call: &Call| attempts.iter().find(|a| Some(a.call) == call.id);
    if word.calls.iter().any(|call| of(call).is_none()) {
        faults.push(Fault::CalledWithoutClaim(*id));
    }
    let ids: BTreeSet<_> = word.calls.iter().map(|call| call.id).collect();
    if ids.len() < word.calls.len() {
        faults.push(Fault::CalledTwice(*id));
    }
    let mut taken: Vec<&Attempt> = word.taken().filter_map(of).collect();
    taken.sort_by_key(|attempt| attempt.n);
    let allowed = match taken[..] {
        [] | [_] => word.taken().count() <= 1,
        [first, second] => {
            let witnessed = first.unknown_at.is_some_and(|at| at < second.offset);
            lane == Lane::Otp && first.n < second.n && witnessed
        }
        _ => false,
    };
    if !allowed {
        faults.push(Fault::SentTwice(*id));
    }
}

/// Why the message may be unknown. A claim that its own sender settled, or of whose call the vendor knows the end,
/// explains nothing.
fn cause(sent: &Sent, word: &Vendor, attempts: &[Attempt]) -> Option<Cause> {
    let open = |a: &&Attempt| a.own != Some(false) && !word.undelivered.contains(&a.call);
    let unsettled = || attempts.iter().filter(open);
    if unsettled().any(|attempt| attempt.interrupted) {
        return Some(Cause::Interrupted);
    }
    let ambiguous = |attempt: &Attempt| {
        let mut calls = word.calls.iter();
        let said = calls.any(|call| call.id == Some(attempt.call) && call.ambiguous);
        attempt.own == Some(true) && said
    };
    if unsettled().any(ambiguous) {
        return Some(Cause::Ambiguous);
    }
    let may_be_silent = matches!(sent.script, Script::Free | Script::Silent);
    let silent = word.taken().count() > 0 && !word.delivered && word.undelivered.is_empty();
    (may_be_silent && silent).then_some(Cause::Silent)
}

/// Whether the vendor's journal bears the outcome out.
fn says(word: &Vendor, outcome: Terminal, cause: Option<Cause>) -> bool {
    let undelivered = !word.undelivered.is_empty();
    match outcome {
        Terminal::Delivered => word.delivered || word.unanswered.contains(&true),
        Terminal::Undelivered => {
            (undelivered || word.unanswered.contains(&false)) && !word.delivered
        }
        Terminal::Failed | Terminal::Rejected | Terminal::Expired => word.taken().count() == 0,
        // Of two attempts the vendor may know the end of one.
        Terminal::Unknown => !word.delivered && (!undelivered || cause.is_some()),
    }
}

/// Whether the script leads to the outcome.
fn follows(script: Script, outcome: Terminal, cause: Option<Cause>) -> bool {
    let wanted = match script {
        Script::Free => return true,
        Script::Delivered => Terminal::Delivered,
        Script::Undelivered => Terminal::Undelivered,
        Script::Refused => Terminal::Failed,
        Script::Silent | Script::Garbage => Terminal::Unknown,
    };
    outcome == wanted || (outcome == Terminal::Unknown && cause == Some(Cause::Interrupted))
}

/// How each message ended at last.
fn outcomes(evidence: &Evidence, faults: &mut Vec<Fault>) -> BTreeMap<MessageId, Terminal> {
    let mut finals = BTreeMap::new();
    for (id, outcome) in &evidence.outcomes {
        if finals.insert(*id, *outcome).is_some() {
            faults.push(Fault::SeveralOutcomes(*id));
        }
        if !evidence.accepted.contains_key(id) {
            faults.push(Fault::Unasked(*id));
        }
    }
    for (id, from, to) in &evidence.corrections {
        if finals.insert(*id, *to) != Some(*from) {
            faults.push(Fault::WrongOutcome(*id, *to));
        }
    }
    let lost = evidence
        .accepted
        .keys()
        .filter(|id| !finals.contains_key(*id));
    faults.extend(lost.map(|id| Fault::Lost(*id)));
    finals
}

/// One row for each outcome, two for each correction, none else.
fn rows(evidence: &Evidence, faults: &mut Vec<Fault>) {
    let mut left: BTreeMap<(MessageId, &str, i64), i64> = BTreeMap::new();
    let mut wanted = |id: &MessageId, outcome: Terminal, delta| {
        *left.entry((*id, outcome.as_str(), delta)).or_default() += 1;
    };
    for (id, outcome) in &evidence.outcomes {
        wanted(id, *outcome, 1);
    }
    for (id, from, to) in &evidence.corrections {
        wanted(id, *from, -1);
        wanted(id, *to, 1);
    }
    for (id, outcome, delta) in &evidence.rows {
        *left.entry((*id, outcome.as_str(), *delta)).or_default() -= 1;
    }
    let (mut missing, mut foreign) = (BTreeSet::new(), BTreeSet::new());
    for ((id, _, _), count) in left {
        if count > 0 {
            missing.insert(id);
        } else if count < 0 {
            foreign.insert(id);
        }
    }
    faults.extend(missing.into_iter().map(Fault::RowMissing));
    faults.extend(foreign.into_iter().map(Fault::RowTooMany));
}
