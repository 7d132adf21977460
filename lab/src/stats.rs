//! Counts per account, for the admin API.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::journal::{Call, Outcome, Pushed};

/// Seconds kept, the most that a caller can ask for.
pub(crate) const SECONDS_KEPT: u64 = 3600;

#[derive(Debug, Default)]
pub(crate) struct Stats {
    calls: u64,
    accepted: u64,
    recipients_accepted: u64,
    refused: BTreeMap<String, u64>,
    receipts: ReceiptCounts,
    seconds: VecDeque<(u64, u64)>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct ReceiptCounts {
    acked: u64,
    fetched: u64,
    rejected: u64,
    failed: u64,
    lost: u64,
    duplicates: u64,
    retries: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct StatsView {
    calls: u64,
    accepted: u64,
    recipients_accepted: u64,
    refused: BTreeMap<String, u64>,
    /// Items pushed, by how the push ended; a retried item counts once per attempt.
    receipts: ReceiptCounts,
    receipts_waiting: usize,
    /// (unix second, calls that arrived in it), seconds without calls left out.
    per_second: Vec<(u64, u64)>,
}

impl Stats {
    pub(crate) fn count_call(&mut self, call: &Call) {
        self.calls += 1;
        match &call.outcome {
            Outcome::Accepted { .. } => {
                self.accepted += 1;
                self.recipients_accepted +=
                    (call.recipients.len() - call.refused.len().min(call.recipients.len())) as u64;
            }
            Outcome::Refused { code } | Outcome::AuthRefused { code } => {
                if let Some(count) = self.refused.get_mut(code) {
                    *count += 1;
                } else {
                    self.refused.insert(code.clone(), 1);
                }
            }
        }
        let second = call.at_ms / 1000;
        // Calls are counted a little out of order; the second is one of the last few.
        match self.seconds.iter_mut().rev().find(|(at, _)| *at <= second) {
            Some((at, count)) if *at == second => *count += 1,
            _ => {
                let place = self.seconds.partition_point(|(at, _)| *at < second);
                self.seconds.insert(place, (second, 1));
                while self
                    .seconds
                    .front()
                    .is_some_and(|(at, _)| at + SECONDS_KEPT < second)
                {
                    self.seconds.pop_front();
                }
            }
        }
    }

    pub(crate) fn count_receipt(&mut self, pushed: &Pushed, attempt: u32, duplicate: bool) {
        *match pushed {
            Pushed::Acked => &mut self.receipts.acked,
            Pushed::Fetched => &mut self.receipts.fetched,
            Pushed::Rejected { .. } => &mut self.receipts.rejected,
            Pushed::Failed { .. } => &mut self.receipts.failed,
            Pushed::Lost => &mut self.receipts.lost,
        } += 1;
        self.receipts.duplicates += u64::from(duplicate && attempt == 1);
        self.receipts.retries += u64::from(attempt > 1);
    }

    pub(crate) fn view(&self, since: u64, receipts_waiting: usize) -> StatsView {
        StatsView {
            calls: self.calls,
            accepted: self.accepted,
            recipients_accepted: self.recipients_accepted,
            refused: self.refused.clone(),
            receipts: self.receipts,
            receipts_waiting,
            per_second: self
                .seconds
                .iter()
                .filter(|(at, _)| *at >= since)
                .copied()
                .collect(),
        }
    }
}
