//! A run in Markdown.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use super::{driver::Event, settle::Settled};
use crate::harness::load::Counts;

/// One platform from its start to its end.
pub(crate) struct Run {
    pub(crate) seed: u64,
    /// Of the load, from its first message to its last.
    pub(crate) span: Duration,
    pub(crate) whole: Duration,
    pub(crate) events: Vec<Event>,
    /// What was counted, by name.
    counted: Vec<(String, u64)>,
    accepted: u64,
    faults: usize,
}

impl Run {
    pub(crate) fn new(
        seed: u64,
        spans: [Duration; 2],
        events: Vec<Event>,
        counts: &Counts,
        settled: &Settled,
        rejoined: usize,
    ) -> Self {
        let line = |(name, count): (&str, u64)| (name.to_owned(), count);
        let met = [
            ("503, each sent again", Counts::get(&counts.refused)),
            (
                "connections lost, each sent again",
                Counts::get(&counts.broken),
            ),
            (
                "direct records without an ack, each written again",
                Counts::get(&counts.unacknowledged),
            ),
        ];
        let mut counted: Vec<(String, u64)> = met.into_iter().map(line).collect();
        let tally = settled.tally.lines();
        counted.extend(tally.into_iter().map(|(name, n)| (name, n as u64)));
        let last = [
            (
                "members fenced off by a broker that was away, joined again",
                rejoined as u64,
            ),
            ("records read by the judge", settled.records),
            (
                "records of succeeded writers, ignored by all",
                settled.stale,
            ),
            ("faults", settled.faults.len() as u64),
        ];
        counted.extend(last.into_iter().map(line));
        Self {
            seed,
            span: spans[0],
            whole: spans[1],
            events,
            counted,
            accepted: Counts::get(&counts.accepted),
            faults: settled.faults.len(),
        }
    }

    /// Accepted messages a second while things were killed.
    pub(crate) fn rate(&self) -> f64 {
        self.accepted as f64 / self.span.as_secs_f64()
    }

    fn kills(&self) -> usize {
        self.events.iter().map(|event| event.kills).sum()
    }
}

/// Runs one by one, what they come to together, and how long recovery took.
pub(crate) fn markdown(runs: &[Run]) -> String {
    let mut text =
        "| seed | kills | load | whole run | accepted per second | faults |\n|---|---:|---:|---:|---:|---:|\n"
            .to_owned();
    for run in runs {
        let (load, whole) = (run.span.as_secs_f32(), run.whole.as_secs_f32());
        let (seed, kills, rate, faults) = (run.seed, run.kills(), run.rate(), run.faults);
        writeln!(
            text,
            "| {seed} | {kills} | {load:.0} s | {whole:.0} s | {rate:.0} | {faults} |"
        )
        .unwrap();
    }
    let mut sums: Vec<(&str, u64)> = Vec::new();
    for (name, count) in runs.iter().flat_map(|run| &run.counted) {
        match sums.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += count,
            None => sums.push((name, *count)),
        }
    }
    text.push_str("\n| all together | |\n|---|---:|\n");
    for (name, sum) in sums {
        writeln!(text, "| {name} | {sum} |").unwrap();
    }
    text.push('\n');
    text.push_str(&recovery(runs));
    text
}

/// Kinds of events: how often, and how long until all was ready again.
fn recovery(runs: &[Run]) -> String {
    let mut kinds: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for event in runs.iter().flat_map(|run| &run.events) {
        kinds.entry(&event.kind).or_default().push(event.recovered);
    }
    let mut text =
        "| what | times | ready again, median | longest |\n|---|---:|---:|---:|\n".to_owned();
    for (kind, mut times) in kinds {
        times.sort();
        let (middle, longest) = (times[times.len() / 2], times[times.len() - 1]);
        let seconds = |span: Duration| format!("{:.1} s", span.as_secs_f32());
        let (middle, longest, times) = (seconds(middle), seconds(longest), times.len());
        writeln!(text, "| {kind} | {times} | {middle} | {longest} |").unwrap();
    }
    text
}

impl Run {
    /// Every event, for who wants to see what came when.
    pub(crate) fn log(&self) -> String {
        let mut text = String::new();
        for event in &self.events {
            let (at, ready) = (event.at.as_secs_f32(), event.recovered.as_secs_f32());
            writeln!(
                text,
                "{at:8.1} s  {} (ready again after {ready:.1} s)",
                event.what
            )
            .unwrap();
        }
        text
    }
}
