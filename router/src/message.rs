//! The life of one message. Pure: facts in, next step out.
//!
//! Facts may come in any order across topics, so they are kept as they are and the state is derived from all of them.
//! Invariants: the first valid claim of an attempt wins; no attempt follows one that may have been taken, except as
//! the lane allows; `failed` and `expired` are said only when no attempt is open, taken or unknown; exactly one
//! outcome, and later evidence corrects it.

mod attempt;
mod join;
mod report;
mod state;

use jixinda_schemas::{
    AppId, AttemptId, ChannelId, Lane, MessageId, Phone, Position, Reason, SignatureId, Timestamp,
    event::{
        AttemptFinished, AttemptNotStarted, AttemptResult, AttemptStarted, Outcome, RawReceipt,
        Request, Routed, Terminal,
    },
};
use serde::{Deserialize, Serialize};

pub(crate) use join::canonical;
pub use {
    attempt::{Attempt, Claim, Finish, Report},
    join::{Window, join, same_vendor_id},
    report::{Reports, Verdict},
    state::{Deadlines, State, Step},
};

/// Most attempts that may be started for one message.
pub const MAX_STARTED: usize = 3;
/// So many more that a vendor refused for its rate alone: that is slow, not failed.
pub const MAX_THROTTLED: usize = 12;

/// One message with all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Its id was used again after its window: it waits for nothing any more, so that the new message can begin.
    #[serde(default)]
    pub superseded: bool,
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
        self.attempts.last().map_or(0, |a| a.n) + 1
    }

    /// The id of its decision `n`.
    #[must_use]
    pub fn attempt_id(&self, n: u16) -> AttemptId {
        AttemptId::new(self.id, &self.position, n)
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
                    reports: Reports::default(),
                    overdue: false,
                };
                // Most messages have one, and there may be many messages.
                self.attempts.reserve_exact(1);
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

    /// The result of a call counts when its claim does. What is certain wins over `unknown`: the vendor's answer, or the
    /// word of the claim's own writer that it never called, such as one that stood still while others gave it up for
    /// dead. Returns whether anything changed.
    pub fn finished(&mut self, finished: &AttemptFinished, at: Timestamp) -> bool {
        // Without a claim that counts there is nothing that it could be the result of.
        let claimed = |a: &&mut Attempt| a.n == finished.n && a.call_id() == Some(finished.call_id);
        let Some(a) = self.attempts.iter_mut().find(claimed) else {
            return false;
        };
        let better = match &a.finish {
            None => true,
            Some(known) => {
                matches!(known.result, AttemptResult::Unknown { .. })
                    && !matches!(finished.result, AttemptResult::Unknown { .. })
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

    /// A receipt for attempt `i`. Returns whether anything changed.
    pub fn reported(&mut self, i: usize, receipt: &RawReceipt, at: Timestamp) -> bool {
        self.attempts[i].reports.take(receipt, at)
    }

    /// A valid outcome or correction; the one with the highest `seq` counts. Returns whether it does.
    pub fn ended(&mut self, outcome: Outcome) -> bool {
        // An id may be used again after its window: that of an earlier request says nothing of this one.
        let ours = outcome.request == self.position;
        let newer = ours && self.outcome.as_ref().is_none_or(|o| o.seq < outcome.seq);
        if newer {
            self.outcome = Some(outcome);
        }
        newer
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
            region: phone.region(),
            recipient: Some(phone.clone()),
            template: Some(self.request.template.clone()),
            signature: self.signature(),
            campaign: self.request.campaign.clone(),
            redrive_of: self.request.redrive_of,
            attempts: self
                .attempts
                .iter()
                .map(|a| a.summary(self.attempt_id(a.n)))
                .collect(),
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
