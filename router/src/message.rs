//! The life of one message. Pure: facts in, next step out.
//!
//! Facts may come in any order across topics, so they are kept as they are and the state is derived from all of them.
//! Invariants: the first valid claim of an attempt wins; no attempt follows one that may have been taken, except as
//! the lane allows; `failed` and `expired` are said only when no attempt is open, taken or unknown; exactly one
//! outcome, and later evidence corrects it.

mod attempt;

use jixinda_schemas::{
    AppId, CallId, ChannelId, Lane, MessageId, Phone, Position, Reason, SignatureId, Timestamp,
    event::{
        AttemptFinished, AttemptNotStarted, AttemptResult, AttemptStarted, AttemptState,
        NotStartedCause, Outcome, RawReceipt, Request, Routed, Terminal,
    },
    validate::MAX_NOT_BEFORE_AHEAD_MS,
    vendor::{Disposition, ReceiptStatus},
};

pub use attempt::{Attempt, Claim, Finish, Report};

/// Most attempts that may be started for one message.
pub const MAX_STARTED: usize = 3;
/// A routing that no one claimed is taken as dead so long after `not_after`.
const CLAIM_GRACE_MS: i64 = 10_000;

/// One message with all that is known of it.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: MessageId,
    pub app: AppId,
    pub lane: Lane,
    /// Where the request stands.
    pub position: Position,
    pub accepted_at: Timestamp,
    pub request: Request,
    pub traceparent: Option<String>,
    pub attempts: Vec<Attempt>,
    /// The request itself was refused.
    pub refused: Option<(Reason, String)>,
    /// No channel can take it any more, now or later.
    pub no_route: bool,
    pub outcome: Option<Outcome>,
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
    /// End of validity.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        self.request.deadline(self.lane, self.accepted_at)
    }

    /// Who gets it.
    #[must_use]
    pub const fn recipient(&self) -> &Phone {
        &self.request.recipient
    }

    /// The signature that was used last, or else the one that was asked for.
    fn signature(&self) -> Option<SignatureId> {
        let used = self.attempts.iter().rev().find_map(|a| a.signature.clone());
        used.or_else(|| self.request.signature.clone())
    }

    /// Number of the next decision.
    #[must_use]
    pub fn next_n(&self) -> u16 {
        self.attempts.iter().map(|a| a.n).max().unwrap_or(0) + 1
    }

    fn attempt(&mut self, n: u16) -> &mut Attempt {
        let i = match self.attempts.binary_search_by_key(&n, |a| a.n) {
            Ok(i) => i,
            Err(i) => {
                let blank = Attempt {
                    n,
                    channel: unknown_channel(),
                    vendor: String::new(),
                    signature: None,
                    segments: 0,
                    price_micros: 0,
                    routed_at: Timestamp(0),
                    claim: None,
                    finish: None,
                    report: None,
                    overdue: false,
                };
                self.attempts.insert(i, blank);
                i
            }
        };
        &mut self.attempts[i]
    }

    /// A valid routing.
    pub fn routed(&mut self, routed: &Routed) {
        let a = self.attempt(routed.n);
        a.channel = routed.channel.clone();
        a.vendor.clone_from(&routed.vendor);
        a.signature = Some(routed.signature.clone());
        a.segments = routed.segments;
        a.price_micros = routed.price_micros;
        a.routed_at = routed.decided_at;
    }

    /// A valid claim for a call; the first claim wins. Returns whether it did.
    pub fn started(&mut self, started: &AttemptStarted) -> bool {
        let a = self.attempt(started.n);
        let first = a.claim.is_none();
        if first {
            a.channel = started.channel.clone();
            a.claim = Some(Claim::Started {
                call_id: started.call_id,
                at: started.started_at,
            });
        }
        first
    }

    /// A valid claim that gives the attempt back; the first claim wins.
    pub fn not_started(&mut self, given_back: &AttemptNotStarted, at: Timestamp) {
        let a = self.attempt(given_back.n);
        if a.claim.is_none() {
            a.channel = given_back.channel.clone();
            a.claim = Some(Claim::NotStarted {
                cause: given_back.cause,
                retry_after_ms: given_back.retry_after_ms.unwrap_or(0),
                at,
            });
        }
    }

    /// The result of a call counts when its claim does; the vendor's answer wins over `unknown`. Returns whether
    /// anything changed.
    pub fn finished(&mut self, finished: &AttemptFinished, at: Timestamp) -> bool {
        let a = self.attempt(finished.n);
        if a.call_id() != Some(finished.call_id) {
            return false;
        }
        let better = match &a.finish {
            None => true,
            Some(known) => {
                matches!(known.result, AttemptResult::Unknown { .. })
                    && !matches!(
                        finished.result,
                        AttemptResult::Unknown { .. } | AttemptResult::NotCalled
                    )
            }
        };
        if better {
            a.finish = Some(Finish {
                result: finished.result.clone(),
                submitted_at: finished.submitted_at,
                at,
            });
        }
        better
    }

    /// Index of the attempt that a receipt is about: by our echo, else by the vendor's id.
    #[must_use]
    pub fn receipt_target(&self, receipt: &RawReceipt) -> Option<usize> {
        let echo = receipt.echo.as_deref().and_then(CallId::from_echo);
        self.attempts.iter().position(|a| {
            a.channel == receipt.channel
                && match echo {
                    Some(call) => a.call_id() == Some(call),
                    None => {
                        let (ours, theirs) = (a.vendor_id(), receipt.vendor_id.as_deref());
                        ours.zip(theirs)
                            .is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
                    }
                }
        })
    }

    /// A receipt for attempt `i`: delivered is never downgraded, a final state not by a pending one. Returns whether
    /// anything changed.
    pub fn reported(&mut self, i: usize, receipt: &RawReceipt, at: Timestamp) -> bool {
        let a = &mut self.attempts[i];
        let better = match &a.report {
            None => true,
            Some(r) if r.status == ReceiptStatus::Delivered => false,
            Some(r) => {
                receipt.status == ReceiptStatus::Delivered
                    || (receipt.status.is_final() && !r.status.is_final())
            }
        };
        if better {
            a.report = Some(Report {
                status: receipt.status,
                code: receipt.code.clone(),
                blame: receipt.blame,
                at,
            });
        }
        better
    }

    fn count(&self, state: AttemptState) -> usize {
        self.attempts.iter().filter(|a| a.state() == state).count()
    }

    /// How many attempts were started.
    #[must_use]
    pub fn started_count(&self) -> usize {
        self.attempts
            .iter()
            .filter(|a| a.call_id().is_some() && a.state() != AttemptState::NotCalled)
            .count()
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self, now: Timestamp, deadlines: Deadlines) -> Step {
        if let Some(outcome) = &self.outcome {
            return self.correction(outcome.outcome);
        }
        match self.refused {
            Some((Reason::InternalPanic, _))
                if !self.attempts.iter().any(Attempt::may_be_taken) =>
            {
                return Step::End(Terminal::Failed, Reason::InternalPanic);
            }
            Some((Reason::InternalPanic, _)) | None => {}
            Some((reason, _)) => return Step::End(Terminal::Rejected, reason),
        }
        if self.count(AttemptState::Delivered) > 0 {
            return Step::End(Terminal::Delivered, Reason::Delivered);
        }
        if let Some(a) = self
            .attempts
            .iter()
            .find(|a| a.state() == AttemptState::Routed)
        {
            return self.unclaimed(a, now, deadlines);
        }
        // Waits for receipts that may still tell; afterwards the fate is unknown.
        let wait_for_receipt = |end: Step| {
            let last = self
                .attempts
                .iter()
                .filter(|a| a.may_be_taken())
                .map(Attempt::since)
                .max();
            let until = last
                .unwrap_or(self.accepted_at)
                .plus_millis(deadlines.receipt_ms);
            if now < until {
                Step::Wait(Some(until))
            } else {
                end
            }
        };
        if self.count(AttemptState::Started) + self.count(AttemptState::Accepted) > 0 {
            return wait_for_receipt(Step::End(Terminal::Unknown, Reason::NoReceipt));
        }
        let unknown = self.count(AttemptState::Unknown);
        let lost = Step::End(Terminal::Unknown, Reason::VendorUnknown);
        if unknown > self.lane.unknown_allowed() {
            return wait_for_receipt(lost);
        }
        let settle = |end: Step| {
            if unknown == 0 {
                end
            } else {
                wait_for_receipt(lost.clone())
            }
        };
        if self.count(AttemptState::Undelivered) > 0 {
            return settle(Step::End(Terminal::Undelivered, self.undelivered_reason()));
        }
        let last = self.attempts.last();
        match last.and_then(Attempt::rejection) {
            Some(Disposition::PermanentRecipient) => {
                return settle(Step::End(Terminal::Failed, Reason::RecipientRefused));
            }
            Some(Disposition::PermanentContent) => {
                return settle(Step::End(Terminal::Failed, Reason::ContentRefused));
            }
            _ => {}
        }
        if self.started_count() >= MAX_STARTED {
            return settle(Step::End(Terminal::Failed, Reason::Exhausted));
        }
        let not_after = self.not_after();
        let given_back_late = matches!(
            last.and_then(|a| a.claim.as_ref()),
            Some(Claim::NotStarted {
                cause: NotStartedCause::Expired,
                ..
            })
        );
        if now >= not_after || given_back_late {
            return settle(Step::End(Terminal::Expired, Reason::NotAfterPassed));
        }
        if self.no_route {
            let reason = if self.started_count() > 0 {
                Reason::Exhausted
            } else {
                Reason::NoRoute
            };
            return settle(Step::End(Terminal::Failed, reason));
        }
        match self.request.not_before {
            // One that is too far ahead is to be refused, not waited for.
            Some(t) if now < t && t.since(self.accepted_at) <= MAX_NOT_BEFORE_AHEAD_MS => {
                Step::Wait(Some(t))
            }
            _ => Step::Decide(not_after),
        }
    }

    fn unclaimed(&self, attempt: &Attempt, now: Timestamp, deadlines: Deadlines) -> Step {
        let dead = self.not_after().plus_millis(CLAIM_GRACE_MS);
        let take_back = attempt.routed_at.plus_millis(deadlines.claim_ms);
        if now >= dead {
            // Withdrawn first, so that no sender can claim it after the outcome.
            Step::Withdraw(attempt.n)
        } else if now >= take_back && now < self.not_after() {
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
        match self
            .attempts
            .iter()
            .rev()
            .find_map(|a| a.report.as_ref())
            .map(|r| r.status)
        {
            Some(ReceiptStatus::Expired) => Reason::ReceiptExpired,
            Some(ReceiptStatus::Rejected) => Reason::ReceiptRejected,
            _ => Reason::ReceiptUndelivered,
        }
    }

    fn correction(&self, said: Terminal) -> Step {
        if said != Terminal::Delivered && self.count(AttemptState::Delivered) > 0 {
            return Step::Correct(Terminal::Delivered, Reason::Delivered);
        }
        let open = self.count(AttemptState::Accepted)
            + self.count(AttemptState::Unknown)
            + self.count(AttemptState::Started);
        if said == Terminal::Unknown && open == 0 && self.count(AttemptState::Undelivered) > 0 {
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

    /// The outcome as an event says it.
    #[must_use]
    pub fn outcome_event(&self, terminal: Terminal, reason: Reason, now: Timestamp) -> Outcome {
        let phone = self.recipient();
        Outcome {
            outcome: terminal,
            reason,
            detail: self.refused.as_ref().map(|(_, detail)| detail.clone()),
            seq: self.outcome.as_ref().map_or(0, |o| o.seq + 1),
            request: self.position,
            accepted_at: self.accepted_at,
            lane: self.lane,
            carrier: phone.carrier(),
            region: phone.region().to_owned(),
            recipient: Some(phone.clone()),
            template: Some(self.request.template.clone()),
            signature: self.signature(),
            campaign: self.request.campaign.clone(),
            attempts: self.attempts.iter().map(|a| a.summary(self.id)).collect(),
            ended_at: now,
        }
    }
}

/// Stands in until the routing is read, which names the channel.
fn unknown_channel() -> ChannelId {
    use std::sync::LazyLock;
    #[expect(clippy::expect_used, reason = "a constant name")]
    static UNKNOWN: LazyLock<ChannelId> =
        LazyLock::new(|| "unknown".parse().expect("a valid name"));
    UNKNOWN.clone()
}

#[cfg(test)]
mod tests;
