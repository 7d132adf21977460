//! A plain reader of the log with rules of its own: fence, first claim, outcomes. It shares nothing with the shipped
//! code, so an error there is not hidden by the same error here.

use std::collections::BTreeMap;

use jixinda_schemas::event::Terminal;

use super::log::{Answer, Key, Kind, Rec, Role, T, Writer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    Call(u16),
    Back,
}

/// What the log says of a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) routed: bool,
    pub(crate) claim: Option<Claimed>,
    pub(crate) answer: Option<Answer>,
    /// Whether it was delivered, by the receipt that counts.
    pub(crate) report: Option<bool>,
}

impl Seen {
    /// Claimed for a call whose end is not in the log.
    pub(crate) fn is_open(&self) -> bool {
        self.report.is_none()
            && matches!(self.claim, Some(Claimed::Call(_)))
            && self.answer.is_none()
    }

    /// Whether a vendor has it or may have it.
    pub(crate) fn may_be_taken(&self) -> bool {
        let unanswered = matches!(self.claim, Some(Claimed::Call(_)))
            && !matches!(self.answer, Some(Answer::Rejected | Answer::NotCalled));
        self.report.is_some() || unanswered
    }
}

/// An outcome or correction that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) message: u8,
    pub(crate) request: u8,
    pub(crate) seq: u8,
    pub(crate) terminal: Terminal,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    pub(crate) decisions: BTreeMap<Key, Seen>,
    pub(crate) outcomes: Vec<Ended>,
    /// Message and offset of each request.
    pub(crate) requests: Vec<(u8, u8)>,
}

/// Records of a topic that count, in order.
pub(crate) fn valid(records: &[Rec], fenced: bool) -> impl Iterator<Item = &Rec> {
    let mut last: BTreeMap<Role, Writer> = BTreeMap::new();
    records.iter().filter(move |rec| {
        let Some(writer) = rec.writer else {
            return true;
        };
        if rec.kind == Kind::Opened {
            last.insert(writer.role, writer);
            return false;
        }
        let fact = matches!(rec.kind, Kind::Finished { .. });
        fact || !fenced || last.get(&writer.role) == Some(&writer)
    })
}

/// Reads what `records` gives of each topic.
pub(crate) fn read<'a>(records: impl Fn(T) -> &'a [Rec], fenced: bool, window: u16) -> View {
    let mut view = View::default();
    // Tick at which the request that counts for an id was accepted.
    let mut accepted = BTreeMap::new();
    for (offset, rec) in records(T::Requests).iter().enumerate() {
        if let Kind::Request { message } = rec.kind {
            let repeat = accepted
                .get(&message)
                .is_some_and(|at| rec.at - at <= window);
            if !repeat {
                accepted.insert(message, rec.at);
                view.requests.push((message, offset as u8));
            }
        }
    }
    for rec in valid(records(T::Dispatch), fenced) {
        if let Kind::Routed { key, .. } = rec.kind {
            view.decisions.entry(key).or_default().routed = true;
        }
    }
    for rec in valid(records(T::Attempts), fenced) {
        match rec.kind {
            Kind::Started { key, call, .. } => {
                let seen = view.decisions.entry(key).or_default();
                seen.claim.get_or_insert(Claimed::Call(call));
            }
            Kind::NotStarted { key, .. } => {
                let seen = view.decisions.entry(key).or_default();
                seen.claim.get_or_insert(Claimed::Back);
            }
            Kind::Finished {
                key, call, answer, ..
            } => {
                let Some(seen) = view
                    .decisions
                    .get_mut(&key)
                    .filter(|seen| seen.claim == Some(Claimed::Call(call)))
                else {
                    continue;
                };
                let late = seen.answer == Some(Answer::Unknown);
                if seen.answer.is_none() || late {
                    seen.answer = Some(answer);
                }
            }
            _ => {}
        }
    }
    for rec in records(T::Receipts) {
        if let Kind::Receipt {
            call, delivered, ..
        } = rec.kind
        {
            for seen in view.decisions.values_mut() {
                if seen.claim == Some(Claimed::Call(call)) {
                    seen.report = Some(delivered || seen.report == Some(true));
                }
            }
        }
    }
    for rec in valid(records(T::Outcomes), fenced) {
        if let Kind::Outcome {
            message,
            request,
            seq,
            terminal,
            ..
        } = rec.kind
        {
            view.outcomes.push(Ended {
                message,
                request,
                seq,
                terminal,
            });
        }
    }
    view
}

impl View {
    /// Decisions of the message of a request, in order.
    pub(crate) fn of(&self, request: u8) -> impl Iterator<Item = (&Key, &Seen)> {
        let mine = move |(key, _): &(&Key, &Seen)| key.request == request;
        self.decisions.iter().filter(mine)
    }

    pub(crate) fn has_ended(&self, request: u8) -> bool {
        self.outcomes.iter().any(|ended| ended.request == request)
    }
}
