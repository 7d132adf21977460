//! The last word on each message, folded from `outcomes`. Pure.
//!
//! A record counts only when its writer is that of the last `opened` before it. Where retention has removed that
//! `opened`, what the router has committed says who it was; what even that does not tell counts as doubtful.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use jixinda_runtime::kafka::{
    Record,
    fence::{Fence, Standing, Writers},
};
use jixinda_schemas::{
    AppId, MessageId, Position, Timestamp,
    codec::{self, Event},
    event::{AttemptState, Outcome, Terminal, kind},
};

use super::{
    deeds::Deeds,
    reasons::{Remedy, remedy},
};
use crate::cli::redrive::{Choice, EndFilter};

/// A message that ended, by its last word.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) message: MessageId,
    pub(crate) app: AppId,
    /// Broker time and place of the last word.
    pub(crate) at: Timestamp,
    pub(crate) position: Position,
    /// Whether it is known that the last word counts.
    pub(crate) judged: bool,
    pub(crate) outcome: Outcome,
}

impl End {
    /// Why the recipient may have the message, if so.
    pub(crate) fn doubt(&self) -> Option<&'static str> {
        let taken = |state| {
            matches!(
                state,
                AttemptState::Started
                    | AttemptState::Accepted
                    | AttemptState::Unknown
                    | AttemptState::Delivered
            )
        };
        if !self.judged {
            Some(
                "the outcome was written by an owner of which the log no longer tells whether it counted",
            )
        } else if self.outcome.outcome == Terminal::Unknown
            || remedy(self.outcome.reason) == Remedy::Doubtful
        {
            Some("nobody knows whether it arrived")
        } else if self.outcome.attempts.iter().any(|a| taken(a.state)) {
            Some("a vendor may have taken it")
        } else {
            None
        }
    }

    /// # Errors
    /// Why it must not be sent again.
    pub(crate) fn may_be_redriven(&self, may_send_twice: bool) -> Result<(), String> {
        if self.outcome.outcome == Terminal::Delivered {
            return Err("it was delivered".to_owned());
        }
        if let Remedy::Never(why) = remedy(self.outcome.reason) {
            return Err(format!("{}: {why}", self.outcome.reason));
        }
        match self.doubt() {
            Some(doubt) if !may_send_twice => Err(format!(
                "{doubt}: the recipient may get it twice; with --may-send-twice it is sent all the same"
            )),
            _ => Ok(()),
        }
    }
}

/// Which messages are looked for.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    One(Choice),
    /// Every request of these messages.
    Messages(HashSet<MessageId>),
    /// At most so many; `handled` includes those about which something was done.
    Filter {
        filter: EndFilter,
        handled: bool,
    },
}

/// Folds the log.
#[derive(Debug)]
pub(crate) struct Ends {
    wanted: Wanted,
    deeds: Arc<Deeds>,
    fences: HashMap<i32, Fence>,
    /// Partitions whose first records are gone and that have had no `opened` yet.
    uncertain: HashMap<i32, bool>,
    found: BTreeMap<(Timestamp, Position), End>,
    index: HashMap<Position, (Timestamp, Position)>,
    /// How redriven messages ended, by what they were redriven for.
    pub(crate) became: HashMap<Position, (MessageId, Terminal)>,
    /// More were found than may be kept.
    pub(crate) more: bool,
}

impl Ends {
    pub(crate) fn new(wanted: Wanted, deeds: Arc<Deeds>, base: BTreeMap<i32, Writers>) -> Self {
        let fences = base.into_iter().map(|(p, w)| (p, Fence::from_base(w)));
        Self {
            wanted,
            deeds,
            fences: fences.collect(),
            uncertain: HashMap::new(),
            found: BTreeMap::new(),
            index: HashMap::new(),
            became: HashMap::new(),
            more: false,
        }
    }

    /// The newest ones, oldest first.
    pub(crate) fn into_found(self) -> Vec<End> {
        self.found.into_values().collect()
    }

    /// Takes a record of `outcomes` into account.
    pub(crate) fn take(&mut self, record: &Record<'_>) {
        // What is first in the log tells whether anything was before it.
        let uncertain = self
            .uncertain
            .entry(record.partition)
            .or_insert(record.offset > 0);
        let fence = self.fences.entry(record.partition).or_default();
        let name = record.headers.kind.as_deref();
        let judged = match fence.standing(record.headers.writer.as_ref()) {
            _ if name == Some(kind::OPENED) => {
                if let Some(writer) = record.headers.writer.clone() {
                    fence.open(record.offset, writer);
                    *uncertain = false;
                }
                return;
            }
            Standing::Valid => true,
            Standing::Stale if *uncertain => false,
            Standing::Stale | Standing::Open => return,
        };
        let Some(value) = record.value else { return };
        let event = match codec::decode(record.kind(), value) {
            Ok(Event::Outcome(e)) => (e.message_id, e.app_id, e.payload),
            Ok(Event::OutcomeCorrected(e)) => (e.message_id, e.app_id, e.payload.current),
            _ => return,
        };
        if let (Some(message), Some(app), outcome) = event {
            self.ended(End {
                message,
                app,
                at: record.at,
                position: record.position(),
                judged,
                outcome,
            });
        }
    }

    fn ended(&mut self, end: End) {
        let request = end.outcome.request;
        if let Some(of) = end.outcome.redrive_of.filter(|_| end.judged)
            && self.deeds.get(&of.request).is_some()
        {
            let became = (end.message, end.outcome.outcome);
            self.became.insert(of.request, became);
        }
        if let Some(key) = self.index.remove(&request) {
            // A word that is known to count stands against one that may not.
            if self
                .found
                .get(&key)
                .is_some_and(|known| known.judged && !end.judged)
            {
                self.index.insert(request, key);
                return;
            }
            self.found.remove(&key);
        }
        if !self.is_wanted(&end) {
            return;
        }
        let key = (end.at, request);
        self.index.insert(request, key);
        self.found.insert(key, end);
        if let Wanted::Filter { filter, .. } = &self.wanted
            && self.found.len() > filter.span.limit as usize
        {
            self.more = true;
            if let Some((_, dropped)) = self.found.pop_first() {
                self.index.remove(&dropped.outcome.request);
            }
        }
    }

    fn is_wanted(&self, end: &End) -> bool {
        let outcome = &end.outcome;
        match &self.wanted {
            Wanted::One(Choice::Message(id)) => end.message == *id,
            Wanted::One(Choice::Request(position)) => outcome.request == *position,
            Wanted::Messages(ids) => ids.contains(&end.message),
            Wanted::Filter { filter, handled } => {
                let by_outcome = match filter.outcome.as_slice() {
                    [] => {
                        outcome.outcome == Terminal::Failed
                            || outcome.redrive_of.is_some()
                                && matches!(outcome.outcome, Terminal::Rejected | Terminal::Expired)
                    }
                    some => some.contains(&outcome.outcome),
                };
                by_outcome
                    && filter.reason.is_none_or(|reason| reason == outcome.reason)
                    && filter.lane.is_none_or(|lane| lane == outcome.lane)
                    && filter.app.as_ref().is_none_or(|app| *app == end.app)
                    && filter.span.holds(end.at)
                    && (*handled || self.deeds.standing(&outcome.request).is_open())
            }
        }
    }
}

#[cfg(test)]
mod tests;
