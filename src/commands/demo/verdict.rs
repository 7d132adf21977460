//! Whether the run went as it should: every message by its id, in ClickHouse and in the lab's journal. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use jixinda_schemas::MessageId;

use super::{
    load::Accepted,
    share::{BACK_LIMIT, Course, FALL_LIMIT},
};

/// Least share of the accepted that is to be delivered.
const DELIVERED: f64 = 0.90;
/// Ids that a verdict names.
const NAMED: usize = 3;
const DELIVERED_WORD: &str = "delivered";
const OUTCOMES: [&str; 6] = [
    DELIVERED_WORD,
    "undelivered",
    "failed",
    "rejected",
    "expired",
    "unknown",
];

/// A message of the run as ClickHouse has it: its newest outcome, and how many it has (one, if all is well).
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) outcome: String,
    pub(super) outcomes: i64,
}

/// Everything that is judged.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub(super) accepted: &'a Accepted,
    pub(super) ended: &'a HashMap<MessageId, Ended>,
    /// Recipients for whom the lab pushed a delivered receipt.
    pub(super) receipts: &'a HashSet<String>,
    pub(super) course: Course,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) pass: bool,
    pub(super) text: String,
}

impl Evidence<'_> {
    /// Messages by outcome, only accepted ones.
    pub(super) fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts: BTreeMap<&str, usize> = OUTCOMES.iter().map(|name| (*name, 0)).collect();
        for id in self.accepted.ids.keys() {
            if let Some(ended) = self.ended.get(id) {
                *counts.entry(&ended.outcome).or_default() += 1;
            }
        }
        counts
    }

    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        vec![self.balance(), self.receipts(), self.rate(), self.share()]
    }

    fn balance(&self) -> Verdict {
        let accepted = &self.accepted.ids;
        let open = named(accepted.keys().filter(|id| !self.ended.contains_key(id)));
        let alien = named(self.ended.keys().filter(|id| !accepted.contains_key(id)));
        let odd = self.ended.iter().filter(|(_, ended)| {
            ended.outcomes != 1 || !OUTCOMES.contains(&ended.outcome.as_str())
        });
        let odd = named(odd.map(|(id, _)| id));
        let counts = self.counts();
        let sum: Vec<String> = counts
            .iter()
            .map(|(name, n)| format!("{n} {name}"))
            .collect();
        let faults = [
            ("open", open),
            ("never accepted", alien),
            ("with none or several outcomes", odd),
        ];
        let faults = faults
            .iter()
            .filter(|(_, ids)| !ids.is_empty())
            .map(|(what, ids)| format!("; {what}: {ids}"));
        let faults: String = faults.collect();
        Verdict {
            pass: faults.is_empty() && !accepted.is_empty(),
            text: format!("{} accepted = {}{faults}", accepted.len(), sum.join(" + ")),
        }
    }

    fn receipts(&self) -> Verdict {
        let ours: HashSet<&MessageId> = self
            .ended
            .iter()
            .filter(|(_, ended)| ended.outcome == DELIVERED_WORD)
            .map(|(id, _)| id)
            .collect();
        let accepted = self.accepted.ids.iter();
        let labs: HashSet<&MessageId> = accepted
            .filter(|(_, recipient)| self.receipts.contains(*recipient))
            .map(|(id, _)| id)
            .collect();
        let mut text = format!(
            "{} ids delivered in ClickHouse, {} by the lab's journal",
            ours.len(),
            labs.len()
        );
        for (only, what) in [
            (named(ours.difference(&labs).copied()), "only in ClickHouse"),
            (
                named(labs.difference(&ours).copied()),
                "only in the journal",
            ),
        ] {
            if !only.is_empty() {
                text += &format!("; {what}: {only}");
            }
        }
        Verdict {
            pass: ours == labs && !ours.is_empty(),
            text,
        }
    }

    fn rate(&self) -> Verdict {
        let delivered = self.counts().get(DELIVERED_WORD).copied().unwrap_or(0);
        let share = delivered as f64 / self.accepted.ids.len().max(1) as f64;
        Verdict {
            pass: share >= DELIVERED,
            text: format!(
                "{:.1} % of the accepted delivered (at least {:.0} %)",
                100.0 * share,
                100.0 * DELIVERED
            ),
        }
    }

    fn share(&self) -> Verdict {
        let course = self.course;
        let percent = |share: Option<f64>| {
            share.map_or_else(|| "?".to_owned(), |share| format!("{:.1} %", 100.0 * share))
        };
        let after = |seconds: Option<i64>| {
            seconds.map_or_else(
                || "never".to_owned(),
                |seconds| format!("after {seconds} s"),
            )
        };
        Verdict {
            pass: course.fell_in_time() && course.back_in_time(),
            text: format!(
                "the broken channel had {} of the decisions, fell below 10 % {} (limit {FALL_LIMIT} s), had {} until \
                 its repair, and was back above half {} (limit {BACK_LIMIT} s)",
                percent(course.former),
                after(course.fell),
                percent(course.while_broken),
                after(course.back),
            ),
        }
    }
}

/// How many, and the first few; empty for none.
fn named<'a>(ids: impl Iterator<Item = &'a MessageId>) -> String {
    let mut ids: Vec<String> = ids.map(ToString::to_string).collect();
    if ids.is_empty() {
        return String::new();
    }
    ids.sort_unstable();
    let more = if ids.len() > NAMED { ", …" } else { "" };
    let first = &ids[..ids.len().min(NAMED)];
    format!("{} ({}{more})", ids.len(), first.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Course = Course {
        former: Some(0.4),
        fell: Some(3),
        while_broken: Some(0.01),
        back: Some(12),
    };

    fn passes(accepted: usize, ended: &[(usize, &str, i64)], receipts: &[usize]) -> Vec<bool> {
        let ids: Vec<MessageId> = (0..20).map(|_| MessageId::random()).collect();
        let ended = ended.iter().map(|(i, outcome, outcomes)| {
            let outcome = (*outcome).to_owned();
            let ended = Ended {
                outcome,
                outcomes: *outcomes,
            };
            (ids[*i], ended)
        });
        let accepted = (0..accepted).map(|i| (ids[i], i.to_string()));
        let evidence = Evidence {
            accepted: &Accepted {
                ids: accepted.collect(),
                doors: [0; 3],
            },
            ended: &ended.collect(),
            receipts: &receipts.iter().map(ToString::to_string).collect(),
            course: GOOD,
        };
        evidence.verdicts().iter().map(|v| v.pass).collect()
    }

    #[test]
    fn each_fault_fails_its_own_condition() {
        let both = [(0, "delivered", 1), (1, "delivered", 1)];
        assert_eq!(passes(2, &both, &[0, 1]), [true; 4]);
        let one_open = passes(3, &both, &[0, 1]);
        assert_eq!(one_open, [false, true, false, true]);
        let one_never_accepted = passes(1, &both, &[0, 1]);
        assert!(!one_never_accepted[0]);
        let one_without_a_receipt = passes(2, &both, &[0]);
        assert_eq!(one_without_a_receipt, [true, false, true, true]);
        let one_receipt_unnoticed = passes(2, &[(0, "delivered", 1), (1, "unknown", 1)], &[0, 1]);
        assert_eq!(one_receipt_unnoticed, [true, false, false, true]);
        let two_outcomes = passes(2, &[(0, "delivered", 2), (1, "delivered", 1)], &[0, 1]);
        assert!(!two_outcomes[0]);
        let nothing = passes(0, &[], &[]);
        assert!(!nothing[0] && !nothing[1]);
    }
}
