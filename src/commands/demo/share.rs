//! The broken channel's share of the decisions over time: before, while it is broken, after its repair. Pure.

use jixinda_schemas::Timestamp;

/// Its share counts as fallen below this, and as back above half of what it was.
const FALLEN: f64 = 0.10;
const BACK: f64 = 0.5;
/// Seconds that are looked at together, for the fall and for the return; the return must last for twice its window.
const FALL_WINDOW: i64 = 2;
const BACK_WINDOW: i64 = 5;
/// Seconds before the break that tell the former share.
const BEFORE: i64 = 10;
/// With fewer decisions there is no share.
const FEWEST: u64 = 10;
/// Of the chart.
const STEP: i64 = 5;
const WIDTH: f64 = 40.0;

/// Decisions by second: (Unix second, those for the channel, all).
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline(pub(super) Vec<(i64, u64, u64)>);

/// When the channel was broken and mended, in Unix seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) broken: i64,
    pub(super) mended: i64,
}

impl Times {
    /// Whole seconds, so that none counts that lies in part before the change.
    pub(super) const fn new(broken: Timestamp, mended: Timestamp) -> Self {
        Self {
            broken: second_after(broken),
            mended: second_after(mended),
        }
    }
}

const fn second_after(at: Timestamp) -> i64 {
    (at.millis() + 999).div_euclid(1000)
}

/// What became of the share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Course {
    pub(super) former: Option<f64>,
    /// Seconds from the break to the end of the first window below the threshold.
    pub(super) fell: Option<i64>,
    /// From then to the repair.
    pub(super) while_broken: Option<f64>,
    /// Seconds from the repair to the end of the first window above half the former share, if it lasts.
    pub(super) back: Option<i64>,
}

impl Timeline {
    /// Share in the seconds from `from` until before `to`.
    pub(super) fn share(&self, from: i64, to: i64) -> Option<f64> {
        let within = self.0.iter().filter(|(at, ..)| (from..to).contains(at));
        let (channel, all) =
            within.fold((0, 0), |(c, a), (_, channel, all)| (c + channel, a + all));
        (all >= FEWEST).then(|| channel as f64 / all as f64)
    }

    pub(super) fn course(&self, times: Times) -> Course {
        let Times { broken, mended } = times;
        let former = self.share(broken - BEFORE, broken);
        let fell = (broken..mended)
            .map(|from| (from, from + FALL_WINDOW))
            .find(|(from, to)| self.share(*from, *to).is_some_and(|share| share < FALLEN))
            .map(|(_, to)| to - broken);
        let while_broken = fell.and_then(|seconds| self.share(broken + seconds, mended));
        let is_back = |from| {
            let share = self.share(from, from + BACK_WINDOW);
            share
                .zip(former)
                .is_some_and(|(share, former)| share > BACK * former)
        };
        let last = self.0.last().map_or(mended, |(at, ..)| *at);
        let back = (mended..last)
            .find(|from| is_back(*from) && is_back(from + BACK_WINDOW))
            .map(|from| from + BACK_WINDOW - mended);
        Course {
            former,
            fell,
            while_broken,
            back,
        }
    }

    /// One line for each step: seconds since the first, share, bar, and what was done.
    pub(super) fn chart(&self, times: Times) -> Vec<String> {
        let (Some((first, ..)), Some((last, ..))) = (self.0.first(), self.0.last()) else {
            return Vec::new();
        };
        let steps = (*first..=*last).step_by(STEP as usize);
        steps
            .map(|from| {
                let within = |at: i64| (from..from + STEP).contains(&at);
                let mark = match (within(times.broken), within(times.mended)) {
                    (true, _) => "  <- broken",
                    (_, true) => "  <- mended",
                    _ => "",
                };
                let share = self.share(from, from + STEP);
                let text =
                    share.map_or_else(|| "  - ".to_owned(), |s| format!("{:3.0}%", 100.0 * s));
                let bar = "#".repeat((WIDTH * share.unwrap_or_default()).round() as usize);
                format!("{:4} s {text} {bar}{mark}", from - first)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times {
        broken: 20,
        mended: 50,
    };

    fn timeline(share: impl Fn(i64) -> u64) -> Timeline {
        Timeline((0..100).map(|at| (at, share(at), 100)).collect())
    }

    #[test]
    fn fall_and_return_are_measured_from_the_change_to_the_end_of_their_window() {
        let line = timeline(|at| match at {
            24..58 => 2,
            _ => 40,
        });
        let course = line.course(TIMES);
        assert_eq!(course.former, Some(0.4));
        assert_eq!(course.fell, Some(6));
        assert_eq!(course.while_broken, Some(0.02));
        assert!(
            course
                .back
                .is_some_and(|seconds| (11..=13).contains(&seconds)),
            "{course:?}"
        );
    }

    #[test]
    fn a_share_that_does_not_fall_or_return_has_no_time_of_it() {
        let steady = timeline(|_| 40).course(TIMES);
        assert_eq!(steady.fell, None);
        // A short return does not count.
        let gone = timeline(|at| {
            if at < 20 || (60..65).contains(&at) {
                40
            } else {
                1
            }
        });
        assert_eq!(gone.course(TIMES).back, None);
        assert_eq!(Timeline::default().course(TIMES).fell, None);
    }

    #[test]
    fn the_chart_marks_what_was_done() {
        let chart = timeline(|_| 50).chart(TIMES);
        assert_eq!(chart.len(), 20);
        assert!(chart[4].ends_with("####  <- broken"), "{chart:?}");
        assert!(chart[10].ends_with("<- mended"), "{chart:?}");
    }
}
