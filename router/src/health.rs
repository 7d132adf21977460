//! How well each channel does, from receipts, and from submit errors whose blame is the channel.
//!
//! The owner of a partition counts for it and publishes its counts; the health of a channel in a lane is the sum over
//! partitions. Counts halve every half-life, so that old news fades. A receipt that does not come within the
//! channel's usual time counts against it until it comes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arc_swap::ArcSwap;
use jixinda_schemas::{
    ChannelId, Lane, Timestamp,
    event::{HealthCell, HealthReport},
};

/// Weight and rate of what is assumed of a channel that nothing is known of.
const PRIOR_WEIGHT: f64 = 4.0;
const PRIOR_RATE: f64 = 0.9;
/// A receipt is overdue after so many times the mean delay, between these bounds.
const OVERDUE_FACTOR: f64 = 4.0;
const OVERDUE_MS: (i64, i64) = (5_000, 60_000);

/// Decayed counts of one channel in one lane.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    delivered: f64,
    failed: f64,
    overdue: f64,
    latency_seconds: f64,
    at: Timestamp,
}

/// What happened to an attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum News {
    /// Delivered after so many seconds.
    Delivered(f64),
    /// The channel's fault.
    Failed,
    /// Overdue.
    Overdue,
    /// It was overdue and has come after all.
    CameAfterAll,
}

impl Cell {
    /// Counts decayed to `now`.
    #[must_use]
    pub fn at(&self, now: Timestamp, half_life_ms: i64) -> Self {
        let age = now.since(self.at).max(0) as f64;
        let keep = libm::exp2(-age / half_life_ms.max(1) as f64);
        Self {
            delivered: self.delivered * keep,
            failed: self.failed * keep,
            overdue: self.overdue * keep,
            latency_seconds: self.latency_seconds * keep,
            at: now.max(self.at),
        }
    }

    fn book(&mut self, news: News, at: Timestamp, half_life_ms: i64) {
        // News older than the cell counts as much as is left of it.
        let weight = if at < self.at {
            libm::exp2(-self.at.since(at) as f64 / half_life_ms.max(1) as f64)
        } else {
            1.0
        };
        if at > self.at {
            *self = self.at(at, half_life_ms);
        }
        match news {
            News::Delivered(seconds) => {
                self.delivered += weight;
                self.latency_seconds += weight * seconds.max(0.0);
            }
            News::Failed => self.failed += weight,
            News::Overdue => self.overdue += weight,
            News::CameAfterAll => self.overdue = (self.overdue - weight).max(0.0),
        }
    }

    fn add(&mut self, other: &Self) {
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.overdue += other.overdue;
        self.latency_seconds += other.latency_seconds;
        self.at = self.at.max(other.at);
    }

    /// Delivered rate, drawn to the prior while little is known.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let all = self.delivered + self.failed + self.overdue;
        (self.delivered + PRIOR_WEIGHT * PRIOR_RATE) / (all + PRIOR_WEIGHT)
    }

    /// After how many milliseconds a receipt counts as overdue.
    #[must_use]
    pub fn overdue_after_ms(&self) -> i64 {
        if self.delivered < 1.0 {
            return OVERDUE_MS.1;
        }
        let mean_ms = 1000.0 * self.latency_seconds / self.delivered;
        ((OVERDUE_FACTOR * mean_ms) as i64).clamp(OVERDUE_MS.0, OVERDUE_MS.1)
    }
}

type Cells = HashMap<(ChannelId, Lane), Cell>;

/// Counts of one partition.
#[derive(Clone, Debug, Default)]
pub struct Book {
    cells: Cells,
    changed: std::collections::BTreeSet<(ChannelId, Lane)>,
}

impl Book {
    /// Books what happened at `at`, broker time.
    pub fn book(
        &mut self,
        channel: &ChannelId,
        lane: Lane,
        news: News,
        at: Timestamp,
        half_life_ms: i64,
    ) {
        let key = (channel.clone(), lane);
        self.cells
            .entry(key.clone())
            .or_default()
            .book(news, at, half_life_ms);
        self.changed.insert(key);
    }

    /// Cells that changed since the last call, or all, decayed to `now`.
    pub fn report(&mut self, all: bool, now: Timestamp, half_life_ms: i64) -> Vec<HealthCell> {
        let changed = std::mem::take(&mut self.changed);
        let keys: Vec<_> = if all {
            self.cells.keys().cloned().collect()
        } else {
            changed.into_iter().collect()
        };
        keys.into_iter()
            .filter_map(|key| {
                let cell = self.cells.get(&key)?.at(now, half_life_ms);
                Some(HealthCell {
                    channel: key.0,
                    lane: key.1,
                    delivered: cell.delivered,
                    failed: cell.failed,
                    overdue: cell.overdue,
                    latency_seconds: cell.latency_seconds,
                })
            })
            .collect()
    }
}

/// The newest report of every partition.
#[derive(Clone, Debug, Default)]
pub struct Reports {
    partitions: BTreeMap<i32, (Timestamp, Cells)>,
    offset: i64,
}

/// Health of all channels at one offset of `health`.
#[derive(Clone, Debug)]
pub struct Health {
    cells: Cells,
    /// Last offset that was read; -1 before the first.
    pub offset: i64,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            cells: Cells::new(),
            offset: -1,
        }
    }
}

impl Reports {
    /// Takes a report; an older one than what is known of a cell changes nothing.
    pub fn take(&mut self, report: &HealthReport, offset: i64) {
        self.offset = offset;
        let (at, cells) = self.partitions.entry(report.partition).or_default();
        if report.at < *at {
            return;
        }
        *at = report.at;
        for c in &report.cells {
            let cell = Cell {
                delivered: c.delivered,
                failed: c.failed,
                overdue: c.overdue,
                latency_seconds: c.latency_seconds,
                at: report.at,
            };
            cells.insert((c.channel.clone(), c.lane), cell);
        }
    }

    /// The sum over partitions, decayed to the newest report.
    #[must_use]
    pub fn health(&self, half_life_ms: i64) -> Health {
        let now = self
            .partitions
            .values()
            .map(|(at, _)| *at)
            .max()
            .unwrap_or_default();
        let mut cells = Cells::new();
        for (_, partition) in self.partitions.values() {
            for (key, cell) in partition {
                cells
                    .entry(key.clone())
                    .or_default()
                    .add(&cell.at(now, half_life_ms));
            }
        }
        Health {
            cells,
            offset: self.offset,
        }
    }
}

impl Health {
    /// Delivered rate of a channel in a lane, 0 to 1.
    #[must_use]
    pub fn rate(&self, channel: &ChannelId, lane: Lane) -> f64 {
        self.cells
            .get(&(channel.clone(), lane))
            .map_or(PRIOR_RATE, Cell::rate)
    }

    /// After how many milliseconds a receipt of the channel counts as overdue.
    #[must_use]
    pub fn overdue_after_ms(&self, channel: &ChannelId, lane: Lane) -> i64 {
        self.cells
            .get(&(channel.clone(), lane))
            .map_or(OVERDUE_MS.1, Cell::overdue_after_ms)
    }
}

/// Cheap to clone; always the newest.
pub type SharedHealth = Arc<ArcSwap<Health>>;

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: i64 = 10_000;

    fn channel() -> ChannelId {
        "a".parse().unwrap()
    }

    fn health(books: &mut [Book], now: Timestamp) -> Health {
        let mut reports = Reports::default();
        for (i, book) in books.iter_mut().enumerate() {
            let cells = book.report(true, now, HALF);
            let writer = "router:0000000000000001".parse().unwrap();
            reports.take(
                &HealthReport {
                    partition: i as i32,
                    writer,
                    at: now,
                    cells,
                },
                i as i64,
            );
        }
        reports.health(HALF)
    }

    fn booked(news: News, times: usize) -> Book {
        let mut b = Book::default();
        for _ in 0..times {
            b.book(&channel(), Lane::Otp, news, Timestamp(1_000), HALF);
        }
        b
    }

    #[test]
    fn health_is_the_sum_over_partitions() {
        let h = health(
            &mut [booked(News::Delivered(1.0), 60), booked(News::Failed, 20)],
            Timestamp(1_000),
        );
        let want = (60.0 + 3.6) / 84.0;
        assert!((h.rate(&channel(), Lane::Otp) - want).abs() < 1e-9);
        assert!((h.rate(&channel(), Lane::Notice) - PRIOR_RATE).abs() < 1e-9);
    }

    /// Defects (d) and (e): the rate counts success, and old failures fade.
    #[test]
    fn failures_fade_by_half_each_half_life() {
        let sick =
            health(&mut [booked(News::Failed, 100)], Timestamp(1_000)).rate(&channel(), Lane::Otp);
        let well = health(&mut [booked(News::Failed, 100)], Timestamp(101_000))
            .rate(&channel(), Lane::Otp);
        assert!(sick < 0.05 && well > 0.87, "{sick} {well}");
    }

    #[test]
    fn an_overdue_receipt_counts_against_the_channel_until_it_comes() {
        let mut b = booked(News::Overdue, 50);
        assert!(health(&mut [b.clone()], Timestamp(1_000)).rate(&channel(), Lane::Otp) < 0.1);
        for _ in 0..50 {
            b.book(
                &channel(),
                Lane::Otp,
                News::CameAfterAll,
                Timestamp(1_000),
                HALF,
            );
            b.book(
                &channel(),
                Lane::Otp,
                News::Delivered(9.0),
                Timestamp(1_000),
                HALF,
            );
        }
        let h = health(&mut [b], Timestamp(1_000));
        assert!(h.rate(&channel(), Lane::Otp) > 0.95);
        assert_eq!(h.overdue_after_ms(&channel(), Lane::Otp), 36_000);
    }

    #[test]
    fn only_changed_cells_are_reported_between_full_reports() {
        let mut b = booked(News::Failed, 1);
        assert_eq!(b.report(false, Timestamp(1_000), HALF).len(), 1);
        assert_eq!(b.report(false, Timestamp(1_000), HALF).len(), 0);
        assert_eq!(b.report(true, Timestamp(1_000), HALF).len(), 1);
    }
}
