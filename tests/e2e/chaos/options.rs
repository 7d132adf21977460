//! The short run of `make test` and the long one of `make chaos`: the same code, other numbers.

use std::{str::FromStr, time::Duration};

use super::{
    plan::{Amounts, Spans},
    report::{Run, markdown},
};

/// Above the members' session timeout of 6 s, with the time that a group takes to settle.
const GIVEN_UP: Duration = Duration::from_secs(9);
/// A member stands still for so long.
const PAUSE: Duration = Duration::from_secs(30);
/// Well under the 30 s after which a producer gives a record up.
const BROKER_PAUSE: Duration = Duration::from_secs(12);

/// The judge keeps every message in memory: over a million at 550 a second.
const KILLS_OF_A_PLATFORM: usize = 250;

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    /// Messages offered a second.
    pub(crate) rate: u32,
    /// Accepted a second, over the whole load.
    pub(crate) least_rate: f64,
    pub(crate) amounts: Amounts,
    pub(crate) spans: Spans,
    /// Have a process abort at each point.
    pub(crate) aborts: bool,
    /// Have one stand still for so long at each point.
    pub(crate) stops: Option<Duration>,
    pub(crate) receipt_deadline: Duration,
    /// At the end plant faults for the judge to find.
    pub(crate) plant: bool,
}

impl Options {
    /// 20 kills, an abort at each point. The rate is one that two busy cores hold.
    pub(crate) fn short() -> Self {
        Self {
            seed: variable("SEED").unwrap_or_else(rand::random),
            rate: 150,
            least_rate: 75.0,
            amounts: Amounts {
                kills: 20,
                joins: 1,
                leaves: 2,
                pauses: 0,
                broker_pauses: 1,
            },
            spans: Spans {
                given_up: GIVEN_UP,
                pause: PAUSE,
                broker_pause: BROKER_PAUSE,
            },
            aborts: true,
            stops: None,
            receipt_deadline: Duration::from_secs(40),
            plant: true,
        }
    }

    /// By default 500 kills, an abort and a stop of 30 s at each point, and at least 500 accepted a second. So many
    /// kills have a platform of their own, with the next seed.
    pub(crate) fn long() -> Vec<Self> {
        let short = Self::short();
        let kills: usize = variable("KILLS").unwrap_or(500);
        let rate = variable("RATE").unwrap_or(550);
        let stop = variable("STOP").map_or(PAUSE, Duration::from_secs);
        let parts = kills.div_ceil(KILLS_OF_A_PLATFORM).max(1);
        let part = |i: usize| {
            let kills = kills * (i + 1) / parts - kills * i / parts;
            let first = i == 0;
            Self {
                seed: short.seed.wrapping_add(i as u64),
                rate,
                // Room for outages of the broker, in which nothing can be accepted.
                least_rate: f64::from(rate) / 1.1,
                amounts: Amounts {
                    kills,
                    joins: kills / 25,
                    leaves: kills / 10,
                    pauses: kills / 50 + 2,
                    broker_pauses: kills / 100 + 1,
                },
                spans: Spans {
                    pause: stop,
                    ..short.spans
                },
                aborts: first,
                stops: first.then_some(stop),
                receipt_deadline: Duration::from_secs(90),
                plant: false,
            }
        };
        (0..parts).map(part).collect()
    }
}

/// Prints the runs so far, and writes them to the file that `JIXINDA_CHAOS_REPORT` names.
pub(crate) fn publish(runs: &[Run]) {
    let text = markdown(runs);
    if let Some(run) = runs.last() {
        eprintln!("{}", run.log());
    }
    eprintln!("{text}");
    if let Some(path) = variable::<String>("REPORT") {
        std::fs::write(path, text).unwrap();
    }
}

/// `JIXINDA_CHAOS_<name>`; a bad value fails the run, as one that is silently another would be worse.
pub(crate) fn variable<T: FromStr>(name: &str) -> Option<T> {
    let name = format!("JIXINDA_CHAOS_{name}");
    let text = std::env::var(&name).ok().filter(|text| !text.is_empty())?;
    let value = text.parse().ok();
    Some(value.unwrap_or_else(|| panic!("{name}: `{text}` is no good value")))
}
