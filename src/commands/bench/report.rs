//! Figures for people: a name, a value, and notes.

use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{
    load::Seen,
    watch::{Cost, Lag},
};

/// Rows under headings.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<(String, String)>);

impl Table {
    pub(super) fn heading(&mut self, text: &str) {
        self.0.push((text.to_owned(), String::new()));
    }

    pub(super) fn row(&mut self, name: impl fmt::Display, value: impl fmt::Display) {
        self.0.push((format!("  {name}"), value.to_string()));
    }

    pub(super) fn costs(&mut self, costs: &[Cost]) {
        self.heading("processes");
        for cost in costs {
            let gone = if cost.gone { "  GONE" } else { "" };
            self.row(
                &cost.process,
                format_args!(
                    "{:5.2} cores  {:5.0} µs a message  {:5.0} MiB{gone}",
                    cost.cores, cost.micros_per_message, cost.rss_mib
                ),
            );
        }
    }

    pub(super) fn lags(&mut self, lags: &[Lag]) {
        self.heading("lag, records");
        for lag in lags {
            self.row(
                &lag.role,
                format_args!(
                    "mean {:.0}  most {:.0}  last {:.0}  slope {:+.1}/s",
                    lag.mean, lag.most, lag.last, lag.slope
                ),
            );
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|(name, _)| name.chars().count()).max();
        let width = width.unwrap_or(0);
        for (i, (name, value)) in self.0.iter().enumerate() {
            let end = if i == 0 { "" } else { "\n" };
            if value.is_empty() {
                write!(f, "{end}{name}")?;
            } else {
                write!(f, "{end}{name:width$}  {value}")?;
            }
        }
        Ok(())
    }
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Quantiles {
    pub(super) count: u64,
    pub(super) p50_ms: f64,
    pub(super) p90_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

impl Quantiles {
    /// `unit` of the histogram's values make a millisecond.
    pub(super) fn of(histogram: &Histogram<u64>, unit: f64) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / unit;
        Self {
            count: histogram.len(),
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            max_ms: histogram.max() as f64 / unit,
        }
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p50 {:.1}  p90 {:.1}  p99 {:.1}  max {:.1} ms",
            self.p50_ms, self.p90_ms, self.p99_ms, self.max_ms
        )
    }
}

/// What the senders of load saw.
#[derive(Debug, Serialize)]
pub(super) struct Accepted {
    pub(super) accepted: u64,
    pub(super) per_second: f64,
    /// From due to answer with a rate, else from sending to answer.
    pub(super) latency: Quantiles,
    /// HTTP statuses other than 202, and what broke without one.
    pub(super) not_accepted: std::collections::BTreeMap<String, u64>,
    /// Due, and never sent.
    pub(super) unsent: u64,
}

impl Accepted {
    pub(super) fn of(seen: Seen) -> Self {
        let statuses = seen.statuses.iter().filter(|(status, _)| **status != 202);
        let not_accepted = statuses
            .map(|(status, n)| (format!("HTTP {status}"), *n))
            .chain(seen.broken)
            .collect();
        Self {
            accepted: seen.accepted,
            per_second: seen.accepted as f64 / seen.took.as_secs_f64(),
            latency: Quantiles::of(&seen.latency, 1000.0),
            not_accepted,
            unsent: seen.unsent,
        }
    }

    pub(super) fn is_good(&self) -> bool {
        self.accepted > 0 && self.not_accepted.is_empty() && self.unsent == 0
    }

    pub(super) fn rows(&self, table: &mut Table) {
        table.row(
            "accepted",
            format_args!("{}  {:.0}/s", self.accepted, self.per_second),
        );
        table.row("answer after", self.latency);
        for (what, n) in &self.not_accepted {
            table.row(what, n);
        }
        if self.unsent > 0 {
            table.row("due, never sent", self.unsent);
        }
    }
}
