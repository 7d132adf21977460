//! What is wrong, by id: the caller's own list against the log, ClickHouse, and the vendor's journal. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jixinda_schemas::{Lane, MessageId, event::Terminal};

use crate::harness::load::Accepted;

/// What the vendor did for a recipient, in its own words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vendor {
    pub(crate) taken: usize,
    pub(crate) delivered: bool,
    pub(crate) undelivered: bool,
    /// A call whose answer leaves open whether the message was taken.
    pub(crate) ambiguous: bool,
}

/// How a claim for a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// With an answer, or without a call.
    Settled,
    /// The call was made; its result cannot be known.
    Ambiguous,
    /// Its sender did not live to tell.
    Orphaned,
}

/// What each side says of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// What the caller has a 202 for.
    pub(crate) accepted: Accepted,
    /// Outcomes that count.
    pub(crate) outcomes: Vec<(MessageId, Terminal)>,
    /// Corrections that count, in their order: from, to.
    pub(crate) corrections: Vec<(MessageId, Terminal, Terminal)>,
    /// ClickHouse: message, outcome, delta.
    pub(crate) rows: Vec<(MessageId, Terminal, i64)>,
    pub(crate) vendor: BTreeMap<String, Vendor>,
    pub(crate) claims: BTreeMap<MessageId, Vec<Claim>>,
    /// A sender was killed on the way.
    pub(crate) senders_died: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Accepted, and no outcome.
    Lost(MessageId),
    SeveralOutcomes(MessageId),
    /// An outcome of what nobody sent.
    Unasked(MessageId),
    RowMissing(MessageId),
    /// A row too many, or one that no record stands for.
    RowTooMany(MessageId),
    SentTwice(MessageId),
    /// The vendor took a message for a number that nobody wrote to.
    SentToNobody(String),
    /// The outcome is not what the vendor says.
    WrongOutcome(MessageId, Terminal),
    /// Nothing happened that could have left it open.
    UnexplainedUnknown(MessageId),
}

/// All faults, in order.
pub(crate) fn judge(evidence: &Evidence) -> Vec<Fault> {
    let mut faults = Vec::new();
    let finals = outcomes(evidence, &mut faults);
    rows(evidence, &mut faults);
    let mut vendor = evidence.vendor.clone();
    for (id, sent) in &evidence.accepted {
        let word = vendor.remove(&sent.recipient).unwrap_or_default();
        let claims = evidence.claims.get(id).map_or(&[][..], Vec::as_slice);
        let open = claims.iter().filter(|c| **c != Claim::Settled).count();
        let allowed = if sent.lane == Lane::Otp && open > 0 {
            2
        } else {
            1
        };
        if word.taken > allowed {
            faults.push(Fault::SentTwice(*id));
        }
        let Some(last) = finals.get(id) else { continue };
        let right = match last {
            Terminal::Delivered => word.delivered,
            Terminal::Undelivered => word.undelivered && !word.delivered,
            Terminal::Failed | Terminal::Rejected | Terminal::Expired => word.taken == 0,
            Terminal::Unknown => !word.delivered && !word.undelivered,
        };
        if !right {
            faults.push(Fault::WrongOutcome(*id, *last));
        }
        let explained = claims.iter().any(|claim| match claim {
            Claim::Settled => false,
            Claim::Ambiguous => word.ambiguous || evidence.senders_died,
            Claim::Orphaned => evidence.senders_died,
        });
        let overdue = word.taken > 0 && !word.delivered && !word.undelivered;
        if *last == Terminal::Unknown && !explained && !overdue {
            faults.push(Fault::UnexplainedUnknown(*id));
        }
    }
    let nobody = vendor.into_iter().filter(|(_, word)| word.taken > 0);
    faults.extend(nobody.map(|(recipient, _)| Fault::SentToNobody(recipient)));
    faults.sort();
    faults
}

/// How each message ended at last.
fn outcomes(evidence: &Evidence, faults: &mut Vec<Fault>) -> BTreeMap<MessageId, Terminal> {
    let mut finals = BTreeMap::new();
    for (id, outcome) in &evidence.outcomes {
        if finals.insert(*id, *outcome).is_some() {
            faults.push(Fault::SeveralOutcomes(*id));
        }
        if !evidence.accepted.contains_key(id) {
            faults.push(Fault::Unasked(*id));
        }
    }
    for (id, from, to) in &evidence.corrections {
        if finals.insert(*id, *to) != Some(*from) {
            faults.push(Fault::WrongOutcome(*id, *to));
        }
    }
    let lost = evidence
        .accepted
        .keys()
        .filter(|id| !finals.contains_key(*id));
    faults.extend(lost.map(|id| Fault::Lost(*id)));
    finals
}

/// One row for each outcome, two for each correction, none else.
fn rows(evidence: &Evidence, faults: &mut Vec<Fault>) {
    let mut left: BTreeMap<(MessageId, &str, i64), i64> = BTreeMap::new();
    let mut wanted = |id: &MessageId, outcome: Terminal, delta| {
        *left.entry((*id, outcome.as_str(), delta)).or_default() += 1;
    };
    for (id, outcome) in &evidence.outcomes {
        wanted(id, *outcome, 1);
    }
    for (id, from, to) in &evidence.corrections {
        wanted(id, *from, -1);
        wanted(id, *to, 1);
    }
    for (id, outcome, delta) in &evidence.rows {
        *left.entry((*id, outcome.as_str(), *delta)).or_default() -= 1;
    }
    let (mut missing, mut foreign) = (BTreeSet::new(), BTreeSet::new());
    for ((id, _, _), count) in left {
        if count > 0 {
            missing.insert(id);
        } else if count < 0 {
            foreign.insert(id);
        }
    }
    faults.extend(missing.into_iter().map(Fault::RowMissing));
    faults.extend(foreign.into_iter().map(Fault::RowTooMany));
}

#[cfg(test)]
mod tests {
    use jixinda_schemas::{Position, Topic};

    use super::*;
    use crate::harness::load::Sent;

    fn id(n: i64) -> MessageId {
        MessageId::from_position(&Position {
            topic: Topic::RequestsOtp,
            partition: 0,
            offset: n,
        })
    }

    fn number(n: i64) -> String {
        format!("+86138000000{n:02}")
    }

    /// Ten messages, sent once, delivered, and told so everywhere.
    fn good(lane: Lane) -> Evidence {
        let mut evidence = Evidence::default();
        for n in 0..10 {
            let recipient = number(n);
            let sent = Sent {
                recipient: recipient.clone(),
                lane,
            };
            evidence.accepted.insert(id(n), sent);
            evidence.outcomes.push((id(n), Terminal::Delivered));
            evidence.rows.push((id(n), Terminal::Delivered, 1));
            let word = Vendor {
                taken: 1,
                delivered: true,
                ..Vendor::default()
            };
            evidence.vendor.insert(recipient, word);
            evidence.claims.insert(id(n), vec![Claim::Settled]);
        }
        evidence
    }

    fn planted(lane: Lane, plant: impl FnOnce(&mut Evidence)) -> Vec<Fault> {
        let mut evidence = good(lane);
        plant(&mut evidence);
        judge(&evidence)
    }

    #[test]
    fn good_evidence_has_no_fault() {
        assert_eq!(planted(Lane::Notice, |_| {}), []);
    }

    #[test]
    fn a_lost_message_is_found() {
        let lose = |e: &mut Evidence| {
            e.outcomes.remove(3);
            e.rows.remove(3);
        };
        assert_eq!(planted(Lane::Notice, lose), [Fault::Lost(id(3))]);
    }

    #[test]
    fn a_second_send_is_found_unless_the_lane_allows_it() {
        let twice = |e: &mut Evidence| e.vendor.get_mut(&number(4)).unwrap().taken = 2;
        assert_eq!(planted(Lane::Otp, twice), [Fault::SentTwice(id(4))]);
        let open = |e: &mut Evidence| {
            twice(e);
            e.claims
                .insert(id(4), vec![Claim::Orphaned, Claim::Settled]);
        };
        assert_eq!(planted(Lane::Otp, open), []);
        assert_eq!(planted(Lane::Notice, open), [Fault::SentTwice(id(4))]);
        let thrice = |e: &mut Evidence| {
            open(e);
            e.vendor.get_mut(&number(4)).unwrap().taken = 3;
        };
        assert_eq!(planted(Lane::Otp, thrice), [Fault::SentTwice(id(4))]);
    }

    #[test]
    fn a_duplicate_a_missing_and_a_wrong_row_are_found() {
        let twice = |e: &mut Evidence| e.rows.push((id(5), Terminal::Delivered, 1));
        assert_eq!(planted(Lane::Notice, twice), [Fault::RowTooMany(id(5))]);
        let missing = |e: &mut Evidence| e.rows.truncate(9);
        assert_eq!(planted(Lane::Notice, missing), [Fault::RowMissing(id(9))]);
        let wrong = |e: &mut Evidence| e.rows[5].1 = Terminal::Failed;
        assert_eq!(
            planted(Lane::Notice, wrong),
            [Fault::RowMissing(id(5)), Fault::RowTooMany(id(5))]
        );
    }

    #[test]
    fn an_outcome_that_the_vendor_contradicts_is_found() {
        for wrong in [
            Terminal::Undelivered,
            Terminal::Failed,
            Terminal::Rejected,
            Terminal::Expired,
        ] {
            let plant = |e: &mut Evidence| {
                e.outcomes[6].1 = wrong;
                e.rows[6].1 = wrong;
            };
            assert_eq!(
                planted(Lane::Notice, plant),
                [Fault::WrongOutcome(id(6), wrong)]
            );
        }
        let unsent = |e: &mut Evidence| e.vendor.retain(|number, _| !number.ends_with("06"));
        assert_eq!(
            planted(Lane::Notice, unsent),
            [Fault::WrongOutcome(id(6), Terminal::Delivered)]
        );
    }

    #[test]
    fn an_unknown_needs_a_death_or_a_call_that_leaves_it_open() {
        let unknown = |claim, died, word: Vendor| {
            planted(Lane::Notice, |e| {
                e.outcomes[7].1 = Terminal::Unknown;
                e.rows[7].1 = Terminal::Unknown;
                e.claims.insert(id(7), vec![claim]);
                e.vendor.insert(number(7), word);
                e.senders_died = died;
            })
        };
        let none = Vendor::default();
        let ambiguous = Vendor {
            ambiguous: true,
            ..none
        };
        let bad = [Fault::UnexplainedUnknown(id(7))];
        assert_eq!(unknown(Claim::Orphaned, true, none), []);
        assert_eq!(unknown(Claim::Orphaned, false, none), bad);
        assert_eq!(unknown(Claim::Ambiguous, false, ambiguous), []);
        assert_eq!(unknown(Claim::Ambiguous, false, none), bad);
        assert_eq!(unknown(Claim::Settled, true, none), bad);
    }

    #[test]
    fn a_second_outcome_and_what_nobody_asked_for_are_found() {
        let second = |e: &mut Evidence| {
            e.outcomes.push((id(8), Terminal::Delivered));
            e.rows.push((id(8), Terminal::Delivered, 1));
        };
        assert_eq!(
            planted(Lane::Notice, second),
            [Fault::SeveralOutcomes(id(8))]
        );
        let unasked = |e: &mut Evidence| e.accepted.retain(|of, _| *of != id(8));
        assert_eq!(
            planted(Lane::Notice, unasked),
            [Fault::Unasked(id(8)), Fault::SentToNobody(number(8))]
        );
    }

    #[test]
    fn a_correction_leads_to_the_last_word() {
        let corrected = |e: &mut Evidence| {
            e.outcomes[9].1 = Terminal::Unknown;
            e.corrections
                .push((id(9), Terminal::Unknown, Terminal::Delivered));
            e.rows[9].1 = Terminal::Unknown;
            e.rows.push((id(9), Terminal::Unknown, -1));
            e.rows.push((id(9), Terminal::Delivered, 1));
        };
        assert_eq!(planted(Lane::Notice, corrected), []);
        let of_something_else = |e: &mut Evidence| {
            e.corrections
                .push((id(9), Terminal::Failed, Terminal::Delivered));
        };
        let faults = planted(Lane::Notice, of_something_else);
        assert!(faults.contains(&Fault::WrongOutcome(id(9), Terminal::Delivered)));
    }
}
