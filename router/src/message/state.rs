//! Where a message stands and what follows: the table in `docs/message-states.md` is made by running this.

use jixinda_schemas::{
    Reason, Timestamp,
    event::{AttemptState, NotStartedCause, Terminal},
    validate::MAX_NOT_BEFORE_AHEAD_MS,
    vendor::{Disposition, ReceiptStatus},
};

use super::{Attempt, Claim, Entry, MAX_STARTED, MAX_THROTTLED};

/// A routing that no one claimed is taken as dead so long after `not_after`.
const CLAIM_GRACE_MS: i64 = 10_000;

/// Where a message stands, derived from all facts about it. The first that holds, in the order of
/// [`Entry::state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing was sent, or all that was is definitely refused: it may be decided.
    Waiting,
    /// A decision is out that no one has claimed.
    Routed,
    /// A sender has claimed the decision; its answer is not known.
    Claimed,
    /// A vendor has it; its receipt is awaited.
    Accepted,
    /// It cannot be known whether a vendor took it, and nothing else is under way.
    InDoubt,
    /// A receipt says that it arrived; the outcome is about to be written.
    Arrived,
    /// Receipts say that it did not arrive, and nothing else is under way.
    NotArrived,
    /// It has its outcome.
    Ended(Terminal),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing before a new fact or this time.
    Wait(Option<Timestamp>),
    /// Choose a channel; the message expires at the time given.
    Decide(Timestamp),
    /// Take back the decision that no one claims.
    Withdraw(u16),
    /// It is over.
    End(Terminal, Reason),
    /// The outcome was wrong.
    Correct(Terminal, Reason),
}

/// Times that the rules use, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// From a submit to giving up on its receipt.
    pub receipt_ms: i64,
    /// From a decision to taking it back when no one claims it.
    pub claim_ms: i64,
}

impl Entry {
    fn count(&self, state: AttemptState) -> usize {
        self.attempts.iter().filter(|a| a.state() == state).count()
    }

    fn has(&self, state: AttemptState) -> bool {
        self.count(state) > 0
    }

    /// How many attempts were started.
    #[must_use]
    pub fn started_count(&self) -> usize {
        self.started_ones().count()
    }

    fn started_ones(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts
            .iter()
            .filter(|a| a.call_id().is_some() && a.state() != AttemptState::NotCalled)
    }

    /// How many of them count: [`MAX_STARTED`] is the limit.
    #[must_use]
    pub fn counted(&self) -> usize {
        let throttled = self.started_ones().filter(|a| a.was_throttled()).count();
        self.started_count() - throttled.min(MAX_THROTTLED)
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        if let Some(outcome) = &self.outcome {
            return State::Ended(outcome.outcome);
        }
        // A decision comes first: it must be claimed or withdrawn before the outcome, or it may be sent after it.
        for (attempt, state) in [
            (AttemptState::Routed, State::Routed),
            (AttemptState::Delivered, State::Arrived),
            (AttemptState::Started, State::Claimed),
            (AttemptState::Accepted, State::Accepted),
            (AttemptState::Unknown, State::InDoubt),
            (AttemptState::Undelivered, State::NotArrived),
        ] {
            if self.has(attempt) {
                return state;
            }
        }
        State::Waiting
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self, now: Timestamp, deadlines: Deadlines) -> Step {
        match self.state() {
            State::Ended(said) => self.correction(said),
            State::Routed => self.unclaimed(now, deadlines),
            State::Arrived => Step::End(Terminal::Delivered, Reason::Delivered),
            State::Claimed | State::Accepted => {
                self.await_receipt(now, deadlines, Reason::NoReceipt)
            }
            State::InDoubt if self.count(AttemptState::Unknown) > self.lane.unknown_allowed() => {
                self.await_receipt(now, deadlines, Reason::VendorUnknown)
            }
            // It would have ended, were it not for the attempt that may have been taken.
            State::InDoubt if self.end(now).is_some() => {
                self.await_receipt(now, deadlines, Reason::VendorUnknown)
            }
            State::InDoubt | State::NotArrived | State::Waiting => {
                if let Some((terminal, reason)) = self.end(now) {
                    return Step::End(terminal, reason);
                }
                match self.request.not_before {
                    // One that is too far ahead is to be refused, not waited for.
                    Some(t) if now < t && t.since(self.accepted_at) <= MAX_NOT_BEFORE_AHEAD_MS => {
                        Step::Wait(Some(t))
                    }
                    _ => Step::Decide(self.not_after()),
                }
            }
        }
    }

    /// How it ends if no attempt is open, taken or unknown; `None` when it may be decided.
    fn end(&self, now: Timestamp) -> Option<(Terminal, Reason)> {
        if self.has(AttemptState::Undelivered) {
            return Some((Terminal::Undelivered, self.undelivered_reason()));
        }
        let started = self.started_count();
        match self.refused {
            Some((Reason::InternalPanic, _)) => {
                return Some((Terminal::Failed, Reason::InternalPanic));
            }
            Some((reason, _)) if started == 0 => return Some((Terminal::Rejected, reason)),
            // Refused when it was to be decided again, such as by a template that was disabled meanwhile.
            Some((reason, _)) => return Some((Terminal::Failed, reason)),
            None => {}
        }
        for rejection in self.attempts.iter().filter_map(Attempt::rejection) {
            match rejection {
                Disposition::PermanentRecipient => {
                    return Some((Terminal::Failed, Reason::RecipientRefused));
                }
                Disposition::PermanentContent => {
                    return Some((Terminal::Failed, Reason::ContentRefused));
                }
                Disposition::RetrySame
                | Disposition::RetryOther
                | Disposition::Account
                | Disposition::Unknown => {}
            }
        }
        if self.counted() >= MAX_STARTED {
            return Some((Terminal::Failed, Reason::Exhausted));
        }
        let last = self.attempts.last().and_then(|a| a.claim.as_ref());
        let given_back_late = matches!(
            last,
            Some(Claim::NotStarted {
                cause: NotStartedCause::Expired,
                ..
            })
        );
        if now >= self.not_after() || given_back_late {
            return Some((Terminal::Expired, Reason::NotAfterPassed));
        }
        let reason = if started > 0 {
            Reason::Exhausted
        } else {
            Reason::NoRoute
        };
        self.no_route.then_some((Terminal::Failed, reason))
    }

    /// Waits for receipts that may still tell; afterwards the fate is unknown.
    fn await_receipt(&self, now: Timestamp, deadlines: Deadlines, reason: Reason) -> Step {
        let taken = self.attempts.iter().filter(|a| a.may_be_taken());
        let last = taken.map(Attempt::since).max().unwrap_or(self.accepted_at);
        let until = last.plus_millis(deadlines.receipt_ms);
        if now < until && !self.superseded {
            Step::Wait(Some(until))
        } else {
            Step::End(Terminal::Unknown, reason)
        }
    }

    fn unclaimed(&self, now: Timestamp, deadlines: Deadlines) -> Step {
        let routed = |a: &&Attempt| a.state() == AttemptState::Routed;
        let Some(attempt) = self.attempts.iter().find(routed) else {
            return Step::Wait(None);
        };
        let dead = self.not_after().plus_millis(CLAIM_GRACE_MS);
        let take_back = attempt.routed_at.plus_millis(deadlines.claim_ms);
        let needless = self.refused.is_some() || self.has(AttemptState::Delivered);
        if needless || now >= dead || (now >= take_back && now < self.not_after()) {
            // Withdrawn first, so that no sender can claim it after the outcome.
            Step::Withdraw(attempt.n)
        } else {
            Step::Wait(Some(if now < take_back {
                take_back.min(dead)
            } else {
                dead
            }))
        }
    }

    fn undelivered_reason(&self) -> Reason {
        let failed = |a: &&Attempt| a.state() == AttemptState::Undelivered;
        let last = self.attempts.iter().rev().find(failed);
        match last.and_then(Attempt::report) {
            Some(v) if v.status == ReceiptStatus::Expired => Reason::ReceiptExpired,
            Some(v) if v.status == ReceiptStatus::Rejected => Reason::ReceiptRejected,
            _ => Reason::ReceiptUndelivered,
        }
    }

    fn correction(&self, said: Terminal) -> Step {
        if said != Terminal::Delivered && self.has(AttemptState::Delivered) {
            return Step::Correct(Terminal::Delivered, Reason::Delivered);
        }
        let open = self.attempts.iter().any(|a| {
            matches!(
                a.state(),
                AttemptState::Routed
                    | AttemptState::Started
                    | AttemptState::Accepted
                    | AttemptState::Unknown
            )
        });
        if said == Terminal::Unknown && !open && self.has(AttemptState::Undelivered) {
            return Step::Correct(Terminal::Undelivered, self.undelivered_reason());
        }
        Step::Wait(None)
    }

    /// Whether later evidence may still correct the outcome.
    #[must_use]
    pub fn may_be_corrected(&self) -> bool {
        self.outcome
            .as_ref()
            .is_some_and(|o| o.outcome != Terminal::Delivered)
            && self.attempts.iter().any(Attempt::may_be_taken)
    }
}
