//! Whether the run went as it should: every message by its id, in ClickHouse and in the lab's journal. Pure.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use jixinda_schemas::MessageId;

use super::{lab::Known, load::Accepted, scenario::Limits, share::Course};

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
    pub(super) known: &'a Known,
    /// Of the watched channel.
    pub(super) course: Option<Course>,
    pub(super) limits: Limits,
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
        let mut verdicts = vec![
            self.balance(),
            self.receipts(),
            self.rate(),
            self.unknown(),
            self.duplicates(),
        ];
        verdicts.extend(self.course.map(|course| self.share(course)));
        verdicts
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
            .filter(|(_, recipient)| self.known.delivered.contains(*recipient))
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

    fn part(&self, outcome: &str) -> f64 {
        let count = self.counts().get(outcome).copied().unwrap_or(0);
        count as f64 / self.accepted.ids.len().max(1) as f64
    }

    fn rate(&self) -> Verdict {
        let (share, least) = (self.part(DELIVERED_WORD), self.limits.delivered);
        Verdict {
            pass: share >= least,
            text: format!(
                "{:.1} % of the accepted delivered (at least {:.0} %)",
                100.0 * share,
                100.0 * least
            ),
        }
    }

    fn unknown(&self) -> Verdict {
        let (share, most) = (self.part("unknown"), self.limits.unknown);
        Verdict {
            pass: share <= most,
            text: format!(
                "{:.1} % of the accepted ended as unknown (at most {:.0} %)",
                100.0 * share,
                100.0 * most
            ),
        }
    }

    /// By the lab's journal; every message of a run has a number of its own.
    fn duplicates(&self) -> Verdict {
        let recipients = self.accepted.ids.values();
        let taken = recipients.filter_map(|recipient| self.known.taken.get(recipient));
        let twice = taken.filter(|count| **count > 1).count();
        let most = self.limits.duplicates;
        Verdict {
            pass: twice <= most,
            text: format!("{twice} messages were taken by vendors twice (at most {most})"),
        }
    }

    fn share(&self, course: Course) -> Verdict {
        let percent = |share: Option<f64>| {
            share.map_or_else(|| "?".to_owned(), |share| format!("{:.1} %", 100.0 * share))
        };
        let after = |seconds: Option<i64>| {
            seconds.map_or_else(
                || "never".to_owned(),
                |seconds| format!("after {seconds} s"),
            )
        };
        let limit = |limit: Option<Duration>| {
            limit.map_or_else(
                || "no limit".to_owned(),
                |limit| format!("limit {} s", limit.as_secs()),
            )
        };
        let in_time = |seconds: Option<i64>, limit: Option<Duration>| {
            limit.is_none_or(|limit| {
                seconds.is_some_and(|s| u64::try_from(s).is_ok_and(|s| s <= limit.as_secs()))
            })
        };
        let Limits {
            detect, recover, ..
        } = self.limits;
        Verdict {
            pass: in_time(course.fell, detect) && in_time(course.back, recover),
            text: format!(
                "the broken channel had {} of the decisions, fell below 10 % {} ({}), had {} until its repair, and \
                 was back above half {} ({})",
                percent(course.former),
                after(course.fell),
                limit(detect),
                percent(course.while_broken),
                after(course.back),
                limit(recover),
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

    const LIMITS: Limits = Limits {
        delivered: 0.9,
        unknown: 0.4,
        duplicates: 0,
        detect: Some(Duration::from_secs(10)),
        recover: Some(Duration::from_secs(12)),
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
            known: &Known {
                delivered: receipts.iter().map(ToString::to_string).collect(),
                taken: receipts.iter().map(|i| (i.to_string(), 1)).collect(),
            },
            course: Some(GOOD),
            limits: LIMITS,
        };
        evidence.verdicts().iter().map(|v| v.pass).collect()
    }

    #[test]
    fn each_fault_fails_its_own_condition() {
        let both = [(0, "delivered", 1), (1, "delivered", 1)];
        assert_eq!(passes(2, &both, &[0, 1]), [true; 6]);
        let one_open = passes(3, &both, &[0, 1]);
        assert_eq!(one_open, [false, true, false, true, true, true]);
        let one_never_accepted = passes(1, &both, &[0, 1]);
        assert!(!one_never_accepted[0]);
        let one_without_a_receipt = passes(2, &both, &[0]);
        assert_eq!(one_without_a_receipt, [true, false, true, true, true, true]);
        let one_receipt_unnoticed = passes(2, &[(0, "delivered", 1), (1, "unknown", 1)], &[0, 1]);
        assert_eq!(
            one_receipt_unnoticed,
            [true, false, false, false, true, true]
        );
        let two_outcomes = passes(2, &[(0, "delivered", 2), (1, "delivered", 1)], &[0, 1]);
        assert!(!two_outcomes[0]);
        let nothing = passes(0, &[], &[]);
        assert!(!nothing[0] && !nothing[1]);
    }
    #[test]
    fn what_was_taken_twice_and_what_took_too_long_fails() {
        let id = MessageId::random();
        let ended = Ended {
            outcome: "delivered".to_owned(),
            outcomes: 1,
        };
        let late = Course {
            back: Some(13),
            ..GOOD
        };
        let evidence = Evidence {
            accepted: &Accepted {
                ids: [(id, "1".to_owned())].into(),
                doors: [0; 3],
            },
            ended: &[(id, ended)].into(),
            known: &Known {
                delivered: ["1".to_owned()].into(),
                taken: [("1".to_owned(), 2)].into(),
            },
            course: Some(late),
            limits: LIMITS,
        };
        let passes: Vec<bool> = evidence.verdicts().iter().map(|v| v.pass).collect();
        assert_eq!(passes, [true, true, true, true, false, false]);
    }
}
