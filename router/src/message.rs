//! The life of one message. Pure: facts in, next step out.
//!
//! Facts may come in any order across topics, so they are kept as they are and the state is derived from all of them.
//! Invariants: the first valid claim of an attempt wins; no attempt follows one that may have been taken, except as
//! the lane allows; `failed` and `expired` are said only when no attempt is open, taken or unknown; exactly one
//! outcome, and later evidence corrects it.

use jixinda_schemas::{
    AppId, CallId, ChannelId, Lane, MessageId, Phone, Position, Reason, Timestamp,
    event::{
        AttemptFinished, AttemptNotStarted, AttemptResult, AttemptStarted, AttemptState,
        AttemptSummary, NotStartedCause, Outcome, RawReceipt, Request, Routed, Terminal,
    },
    vendor::{Blame, Disposition, ReceiptStatus},
};

/// Most attempts that may be started for one message.
pub const MAX_STARTED: usize = 3;
/// A routing that no one claimed is taken as dead so long after `not_after`.
const CLAIM_GRACE_MS: i64 = 10_000;

/// Who claimed an attempt first.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// A sender, to call the vendor.
    Started { call_id: CallId, at: Timestamp },
    /// A sender or the router gave it back.
    NotStarted {
        cause: NotStartedCause,
        retry_after_ms: u32,
        at: Timestamp,
    },
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    pub result: AttemptResult,
    pub submitted_at: Option<Timestamp>,
    /// Broker time.
    pub at: Timestamp,
}

/// The receipt that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub status: ReceiptStatus,
    pub code: String,
    pub blame: Option<Blame>,
    /// Broker time.
    pub at: Timestamp,
}

/// What is known of one decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub n: u16,
    pub channel: ChannelId,
    pub vendor: String,
    pub segments: u32,
    pub price_micros: u64,
    pub routed_at: Timestamp,
    pub claim: Option<Claim>,
    pub finish: Option<Finish>,
    pub report: Option<Report>,
    /// No receipt within the usual time: counted against the channel.
    pub overdue: bool,
}

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

impl Attempt {
    /// Where it stands by all that is known.
    #[must_use]
    pub fn state(&self) -> AttemptState {
        match &self.report {
            Some(r) if r.status == ReceiptStatus::Delivered => return AttemptState::Delivered,
            Some(r) if r.status.is_final() => return AttemptState::Undelivered,
            _ => {}
        }
        match (&self.claim, &self.finish) {
            (None, _) => AttemptState::Routed,
            (Some(Claim::NotStarted { .. }), _) => AttemptState::NotStarted,
            (Some(Claim::Started { .. }), None) => AttemptState::Started,
            (Some(Claim::Started { .. }), Some(f)) => match f.result {
                AttemptResult::Accepted { .. } => AttemptState::Accepted,
                AttemptResult::Rejected { .. } => AttemptState::Rejected,
                AttemptResult::Unknown { .. } => AttemptState::Unknown,
                AttemptResult::NotCalled => AttemptState::NotCalled,
            },
        }
    }

    /// Whether the vendor has it or may have it.
    #[must_use]
    pub fn may_be_taken(&self) -> bool {
        matches!(
            self.state(),
            AttemptState::Started
                | AttemptState::Accepted
                | AttemptState::Unknown
                | AttemptState::Delivered
                | AttemptState::Undelivered
        )
    }

    /// The call's id, once it was claimed for one.
    #[must_use]
    pub fn call_id(&self) -> Option<CallId> {
        match self.claim {
            Some(Claim::Started { call_id, .. }) => Some(call_id),
            _ => None,
        }
    }

    /// The vendor's id, once it was accepted.
    #[must_use]
    pub fn vendor_id(&self) -> Option<&str> {
        match &self.finish {
            Some(Finish {
                result: AttemptResult::Accepted { vendor_id },
                ..
            }) => Some(vendor_id),
            _ => None,
        }
    }

    /// From when the wait for a receipt counts.
    fn since(&self) -> Timestamp {
        match (&self.finish, &self.claim) {
            (Some(f), _) => f.at,
            (None, Some(Claim::Started { at, .. } | Claim::NotStarted { at, .. })) => *at,
            (None, None) => self.routed_at,
        }
    }

    fn rejection(&self) -> Option<Disposition> {
        match &self.finish {
            Some(Finish {
                result: AttemptResult::Rejected { disposition, .. },
                ..
            }) => Some(*disposition),
            _ => None,
        }
    }

    /// When the channel may be tried again for this message; `None` when it must not.
    #[must_use]
    pub fn retry_same_at(&self) -> Option<Timestamp> {
        const PAUSE_MS: i64 = 1_000;
        match (&self.claim, &self.finish) {
            (
                Some(Claim::NotStarted {
                    retry_after_ms, at, ..
                }),
                _,
            ) => Some(at.plus_millis(i64::from(*retry_after_ms))),
            (
                _,
                Some(Finish {
                    result: AttemptResult::NotCalled,
                    at,
                    ..
                }),
            ) => Some(*at),
            (
                _,
                Some(Finish {
                    result:
                        AttemptResult::Rejected {
                            disposition: Disposition::RetrySame,
                            retry_after_ms,
                            ..
                        },
                    at,
                    ..
                }),
            ) => Some(at.plus_millis(retry_after_ms.map_or(PAUSE_MS, i64::from))),
            _ => None,
        }
    }

    fn summary(&self, id: MessageId) -> AttemptSummary {
        let state = self.state();
        let code = match (&self.report, &self.finish) {
            (Some(r), _) => Some(r.code.clone()),
            (
                None,
                Some(Finish {
                    result: AttemptResult::Rejected { vendor_code, .. },
                    ..
                }),
            ) => Some(vendor_code.clone()),
            (
                None,
                Some(Finish {
                    result: AttemptResult::Unknown { detail },
                    ..
                }),
            ) => Some(detail.clone()),
            _ => None,
        };
        let taken = matches!(
            state,
            AttemptState::Accepted | AttemptState::Delivered | AttemptState::Undelivered
        );
        AttemptSummary {
            n: self.n,
            attempt_id: jixinda_schemas::AttemptId::new(id, self.n),
            channel: self.channel.clone(),
            vendor: self.vendor.clone(),
            state,
            code,
            call_id: self.call_id(),
            vendor_id: self.vendor_id().map(ToOwned::to_owned),
            segments: self.segments,
            cost_micros: if taken { self.price_micros } else { 0 },
            routed_at: self.routed_at,
            started_at: match self.claim {
                Some(Claim::Started { at, .. }) => Some(at),
                _ => None,
            },
            submitted_at: self.finish.as_ref().and_then(|f| f.submitted_at),
            finished_at: self.finish.as_ref().map(|f| f.at),
            receipt_at: self.report.as_ref().map(|r| r.at),
        }
    }
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
            Some(t) if now < t => Step::Wait(Some(t)),
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
            signature: self.request.signature.clone(),
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
