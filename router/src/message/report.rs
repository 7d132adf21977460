//! What receipts say of one attempt. Pure.
//!
//! Of the message and of each of its parts the best report is kept: delivered before any other final status, that before
//! one that is not final, then the earliest by broker time, then status and code. So the same receipts in any order, any
//! number of times, come to the same, and what is delivered stays delivered.

use std::cmp::Reverse;

use jixinda_schemas::{Timestamp, event::RawReceipt, vendor::ReceiptStatus};
use serde::{Deserialize, Serialize};

use super::attempt::Report;

/// The header that joins parts has one byte for their number.
const MAX_PARTS: u16 = 255;

/// All that receipts have said of an attempt; at most one report for the message and one for each part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reports {
    whole: Option<Report>,
    /// By number.
    parts: Vec<(u8, Report)>,
    /// The smallest number of parts that a receipt named. The smallest, so that what was delivered stays so.
    counted: Option<u8>,
    /// A part was reported without how many there are: then there are as many as we counted segments.
    uncounted: bool,
}

/// What the reports come to for the whole message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict<'a> {
    pub status: ReceiptStatus,
    /// The report that decides: for a message in parts, the last delivered or the first failed one.
    pub by: &'a Report,
}

/// What a receipt speaks of.
#[derive(Debug, PartialEq)]
enum Place {
    Whole,
    Part {
        number: u8,
        of: Option<u8>,
    },
    /// A part that cannot be: bad news of it counts for the message, good news does not.
    Nowhere,
}

impl Place {
    /// No number, or number 0 of a message that is not said to have several parts, speaks for the whole message.
    fn of(receipt: &RawReceipt) -> Self {
        let byte = |n: u16| u8::try_from(n).ok().filter(|n| *n > 0);
        match (receipt.part, receipt.parts) {
            (None, _) | (Some(0), None | Some(0 | 1)) => Self::Whole,
            (Some(part), None | Some(0)) => match byte(part) {
                Some(number) => Self::Part { number, of: None },
                None => Self::Nowhere,
            },
            (Some(part), Some(parts)) => match (byte(part), byte(parts)) {
                (Some(number), Some(of)) if number <= of => Self::Part {
                    number,
                    of: Some(of),
                },
                _ => Self::Nowhere,
            },
        }
    }
}

fn rank(status: ReceiptStatus) -> u8 {
    match status {
        ReceiptStatus::Delivered => 2,
        ReceiptStatus::Undelivered | ReceiptStatus::Expired | ReceiptStatus::Rejected => 1,
        ReceiptStatus::Pending | ReceiptStatus::Unknown => 0,
    }
}

/// The better report is the lesser.
fn order(r: &Report) -> (Reverse<u8>, Timestamp, u8, &str, Option<u8>) {
    (
        Reverse(rank(r.status)),
        r.at,
        r.status as u8,
        &r.code,
        r.blame.map(|b| b as u8),
    )
}

fn failed(r: &Report) -> bool {
    rank(r.status) == 1
}

fn delivered(r: &Report) -> bool {
    r.status == ReceiptStatus::Delivered
}

impl Reports {
    /// Takes a receipt that came at `at` by the broker's clock. Returns whether anything changed.
    pub(super) fn take(&mut self, receipt: &RawReceipt, at: Timestamp) -> bool {
        let mut report = Report {
            status: receipt.status,
            code: receipt.code.clone(),
            blame: receipt.blame,
            at,
        };
        match Place::of(receipt) {
            Place::Whole => self.take_whole(report),
            Place::Nowhere => {
                if delivered(&report) {
                    report.status = ReceiptStatus::Pending;
                }
                self.take_whole(report)
            }
            Place::Part { number, of } => self.take_part(number, of, report),
        }
    }

    fn take_whole(&mut self, report: Report) -> bool {
        let better = self
            .whole
            .as_ref()
            .is_none_or(|known| order(&report) < order(known));
        if better {
            self.whole = Some(report);
        }
        better
    }

    fn take_part(&mut self, number: u8, of: Option<u8>, report: Report) -> bool {
        let before = (self.counted, self.uncounted);
        match of {
            Some(of) => self.counted = Some(self.counted.map_or(of, |known| known.min(of))),
            None => self.uncounted = true,
        }
        let counted = before != (self.counted, self.uncounted);
        let better = match self.parts.binary_search_by_key(&number, |(n, _)| *n) {
            Ok(i) => {
                let known = &mut self.parts[i].1;
                let better = order(&report) < order(known);
                if better {
                    *known = report;
                }
                better
            }
            Err(i) => {
                self.parts.insert(i, (number, report));
                true
            }
        };
        better || counted
    }

    /// How many parts there are, if that can be said; `segments` is our own count, 0 while it is not known.
    fn count(&self, segments: u32) -> Option<usize> {
        let ours = usize::try_from(segments)
            .ok()
            .filter(|n| self.uncounted && (1..=usize::from(MAX_PARTS)).contains(n));
        let theirs = self.counted.map(usize::from);
        ours.into_iter().chain(theirs).min()
    }

    /// The last report of a message all of whose parts are delivered.
    fn all_parts(&self, segments: u32) -> Option<&Report> {
        let count = self.count(segments)?;
        let parts = self.parts.get(..count)?;
        // Numbers differ and begin at 1, so the first `count` of them are 1 to `count` when the last one is.
        let complete = usize::from(parts.last()?.0) == count;
        if !complete || !parts.iter().all(|(_, r)| delivered(r)) {
            return None;
        }
        parts.iter().map(|(_, r)| r).max_by_key(|r| r.at)
    }

    /// What it comes to; `None` before the first receipt. Delivered when the message or all of its parts are, else
    /// failed as soon as it or one part is, else on its way.
    #[must_use]
    pub fn verdict(&self, segments: u32) -> Option<Verdict<'_>> {
        fn as_it_is(by: &Report) -> Verdict<'_> {
            Verdict {
                status: by.status,
                by,
            }
        }
        if let Some(whole) = self.whole.as_ref().filter(|r| delivered(r)) {
            return Some(as_it_is(whole));
        }
        if let Some(last) = self.all_parts(segments) {
            return Some(as_it_is(last));
        }
        let all = || self.whole.iter().chain(self.parts.iter().map(|(_, r)| r));
        if let Some(first) = all().filter(|r| failed(r)).min_by_key(|r| order(r)) {
            return Some(as_it_is(first));
        }
        let first = all().min_by_key(|r| (r.at, order(r)))?;
        let status = if delivered(first) {
            ReceiptStatus::Pending
        } else {
            first.status
        };
        Some(Verdict { status, by: first })
    }
}

#[cfg(test)]
mod tests;
