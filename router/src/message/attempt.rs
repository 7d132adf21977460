//! One decision of a message and what became of it.

use jixinda_schemas::{
    AttemptId, CallId, ChannelId, SignatureId, Timestamp,
    event::{AttemptResult, AttemptState, AttemptSummary, NotStartedCause},
    vendor::{Blame, Disposition, ReceiptStatus},
};
use serde::{Deserialize, Serialize};

use super::report::{Reports, Verdict};

/// Who claimed an attempt first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finish {
    pub result: AttemptResult,
    pub submitted_at: Option<Timestamp>,
    /// Broker time.
    pub at: Timestamp,
}

/// What one receipt says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub status: ReceiptStatus,
    pub code: String,
    pub blame: Option<Blame>,
    /// Broker time.
    pub at: Timestamp,
}

/// What is known of one decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub n: u16,
    pub channel: ChannelId,
    pub vendor: String,
    /// The signature that was used; absent until the routing is read.
    pub signature: Option<SignatureId>,
    pub segments: u32,
    pub price_micros: u64,
    pub routed_at: Timestamp,
    pub claim: Option<Claim>,
    pub finish: Option<Finish>,
    /// What receipts have said.
    #[serde(default)]
    pub reports: Reports,
    /// No receipt within the usual time: counted against the channel.
    pub overdue: bool,
}

impl Attempt {
    /// Where it stands by all that is known. A delivered receipt wins over any answer; one that says that it did not
    /// arrive adds nothing to an answer that it was not taken.
    #[must_use]
    pub fn state(&self) -> AttemptState {
        let status = self.report().map(|v| v.status);
        if status == Some(ReceiptStatus::Delivered) {
            return AttemptState::Delivered;
        }
        let failed = status.is_some_and(ReceiptStatus::is_final);
        match (&self.claim, self.finish.as_ref().map(|f| &f.result)) {
            (_, Some(AttemptResult::Rejected { .. })) => AttemptState::Rejected,
            (_, Some(AttemptResult::NotCalled)) => AttemptState::NotCalled,
            _ if failed => AttemptState::Undelivered,
            (None, _) => AttemptState::Routed,
            (Some(Claim::NotStarted { .. }), _) => AttemptState::NotStarted,
            (Some(Claim::Started { .. }), None) => AttemptState::Started,
            (_, Some(AttemptResult::Accepted { .. })) => AttemptState::Accepted,
            (_, Some(AttemptResult::Unknown { .. })) => AttemptState::Unknown,
        }
    }

    /// Whether the decision itself is known, not only what followed from it.
    #[must_use]
    pub fn is_routed(&self) -> bool {
        self.routed_at != Timestamp(0)
    }

    /// What its receipts come to.
    #[must_use]
    pub fn report(&self) -> Option<Verdict<'_>> {
        self.reports.verdict(self.segments)
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

    /// When its call began, as well as is known: by its result, its claim, its decision.
    #[must_use]
    pub fn begun_at(&self) -> Option<Timestamp> {
        let claimed = match self.claim {
            Some(Claim::Started { at, .. }) => Some(at),
            _ => None,
        };
        let called = self.finish.as_ref().and_then(|f| f.submitted_at);
        let decided = self.is_routed().then_some(self.routed_at);
        called.or(claimed).or(decided)
    }

    /// From when the wait for a receipt counts.
    pub(super) fn since(&self) -> Timestamp {
        match (&self.finish, &self.claim) {
            (Some(f), _) => f.at,
            (None, Some(Claim::Started { at, .. } | Claim::NotStarted { at, .. })) => *at,
            (None, None) => self.routed_at,
        }
    }

    /// Whether the vendor took too many at the time, and nothing else was wrong.
    pub(super) fn was_throttled(&self) -> bool {
        matches!(
            &self.finish,
            Some(Finish {
                result: AttemptResult::Rejected {
                    disposition: Disposition::RetrySame,
                    blame: Blame::Capacity,
                    ..
                },
                ..
            })
        )
    }

    pub(super) fn rejection(&self) -> Option<Disposition> {
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

    pub(super) fn summary(&self, attempt_id: AttemptId) -> AttemptSummary {
        let state = self.state();
        let report = self.report();
        let code = match (report, &self.finish) {
            (Some(v), _) => Some(v.by.code.clone()),
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
            attempt_id,
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
            receipt_at: report.map(|v| v.by.at),
        }
    }
}
