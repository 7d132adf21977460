//! The judge's counts, for people.

use std::collections::BTreeMap;

use jixinda_schemas::event::Terminal;

use super::Cause;
use crate::harness::load::Sent;

#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    by_http: usize,
    direct: usize,
    by_outcome: BTreeMap<&'static str, usize>,
    interrupted: usize,
    ambiguous: usize,
    silent: usize,
    /// Messages that a vendor took twice, as their lane allows.
    pub(super) second_sends: usize,
    pub(super) corrections: usize,
    pub(super) rows: usize,
}

impl Tally {
    pub(super) fn accepted(&mut self, sent: &Sent) {
        match sent.acked {
            Some(_) => self.direct += 1,
            None => self.by_http += 1,
        }
    }

    pub(super) fn ended(&mut self, outcome: Terminal, cause: Option<Cause>) {
        *self.by_outcome.entry(outcome.as_str()).or_default() += 1;
        match cause {
            Some(Cause::Interrupted) => self.interrupted += 1,
            Some(Cause::Ambiguous) => self.ambiguous += 1,
            Some(Cause::Silent) => self.silent += 1,
            None => {}
        }
    }

    /// What was counted, and how much of it.
    pub(crate) fn lines(&self) -> Vec<(String, usize)> {
        let line = |name: &str, count| (name.to_owned(), count);
        let mut lines = vec![
            line("accepted with a 202", self.by_http),
            line("accepted by Kafka's acknowledgement", self.direct),
        ];
        let outcomes = self.by_outcome.iter();
        lines.extend(outcomes.map(|(name, count)| (format!("ended {name}"), *count)));
        lines.extend([
            line(
                "unknown: sender killed or stopped at the call",
                self.interrupted,
            ),
            line("unknown: an answer that leaves it open", self.ambiguous),
            line(
                "unknown: taken, no receipt by the lab's script",
                self.silent,
            ),
            line(
                "taken by vendors twice, as the lane allows",
                self.second_sends,
            ),
            line("corrections", self.corrections),
            line("ClickHouse rows of outcomes", self.rows),
        ]);
        lines
    }
}
