//! Which attempt a receipt is about. Pure.
//!
//! By our echo; without one that can be read, by the vendor's id; with neither, by (channel, recipient, time) when
//! exactly one attempt can be meant. What names something that is not known waits: it is never joined by a weaker key,
//! since the same account may send for others too.

use jixinda_schemas::{
    CallId, MessageId, Timestamp,
    event::{AttemptState, RawReceipt},
};

use super::{Attempt, Claim, Entry};

/// Clocks of senders may be so far ahead of the broker's (more is warned of).
const SKEW_MS: i64 = 2_000;

/// When a receipt came in, for the join by time.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Broker time of the receipt.
    pub at: Timestamp,
    /// So long a receipt may take.
    pub receipt_ms: i64,
}

/// Finds the attempt among `entries`, all messages of the receipt's recipient: the message and the index in its
/// attempts. Without a `window` nothing is joined by time. Several that fit are none.
pub fn join<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    receipt: &RawReceipt,
    window: Option<Window>,
) -> Option<(MessageId, usize)> {
    let echo = named(receipt.echo.as_deref());
    let vendor_id = named(receipt.vendor_id.as_deref());
    let nameless = echo.is_none() && vendor_id.is_none();
    let echo = echo.and_then(CallId::from_echo);
    let fits = |a: &Attempt| {
        if let Some(call) = echo {
            return a.call_id() == Some(call);
        }
        if let Some(theirs) = vendor_id {
            let ours = a.vendor_id();
            return ours.is_some_and(|ours| same_vendor_id(ours, theirs));
        }
        nameless && window.is_some_and(|w| may_be_meant(a, w))
    };
    let mut found = entries.flat_map(|e| {
        let of_channel = e.attempts.iter().enumerate();
        let of_channel = of_channel.filter(|(_, a)| a.channel == receipt.channel);
        of_channel.map(move |(i, a)| (e.id, i, a))
    });
    let (id, i, attempt) = found.find(|(_, _, a)| fits(a))?;
    // One that no sender is known to have claimed can only be the reason to wait.
    let alone = !found.any(|(_, _, a)| fits(a));
    (alone && attempt.call_id().is_some()).then_some((id, i))
}

/// A blank text names nothing.
fn named(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

/// Whether two vendor ids are the same: letter case, surrounding white space and leading zeros of a number do not
/// matter, as vendors report ids re-cased, padded or stripped. An empty id is none.
#[must_use]
pub fn same_vendor_id(ours: &str, theirs: &str) -> bool {
    let (ours, theirs) = (canonical(ours), canonical(theirs));
    !ours.is_empty() && ours.eq_ignore_ascii_case(theirs)
}

/// The part of an id that counts, but for letter case.
pub(crate) fn canonical(id: &str) -> &str {
    let id = id.trim();
    if !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()) {
        let stripped = id.trim_start_matches('0');
        // A number of zeros only is still a number.
        if stripped.is_empty() { "0" } else { stripped }
    } else {
        id
    }
}

/// Whether a receipt that names nothing may be about this attempt. A routing counts: its claim may not be read yet.
fn may_be_meant(attempt: &Attempt, window: Window) -> bool {
    let since = match (attempt.state(), &attempt.claim) {
        (AttemptState::Routed, _) => attempt.routed_at,
        (
            AttemptState::Started | AttemptState::Accepted | AttemptState::Unknown,
            Some(Claim::Started { at, .. }),
        ) => *at,
        _ => return false,
    };
    let age = window.at.since(since);
    (-SKEW_MS..=window.receipt_ms).contains(&age)
}

#[cfg(test)]
mod tests;
