//! What the processes cost while the load runs, and how far each role is behind.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use serde::Serialize;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(1);
/// Roles learn their lag from librdkafka at this interval.
const LAG_EVERY: Duration = Duration::from_secs(5);
const LAG: &str = "jixinda_runtime_consumer_lag_records{";
/// `USER_HZ`: 100 on every Linux architecture that matters.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process took.
#[derive(Debug, Serialize)]
pub(super) struct Cost {
    pub(super) process: String,
    /// Processor seconds per second, the mean over the load.
    pub(super) cores: f64,
    /// Processor time for each accepted message: says what a message costs whatever else the machine does.
    pub(super) micros_per_message: f64,
    /// Resident memory at most, in MiB.
    pub(super) rss_mib: f64,
    /// It ended before the load did.
    pub(super) gone: bool,
}

/// How far a role was behind, in records.
#[derive(Debug, Serialize)]
pub(super) struct Lag {
    pub(super) role: String,
    pub(super) mean: f64,
    pub(super) most: f64,
    pub(super) last: f64,
    /// Records per second over the second half of the load: near 0 is flat.
    pub(super) slope: f64,
}

struct Process {
    name: String,
    pid: u32,
    at_first: Option<u64>,
    ticks: Option<u64>,
    rss_kib: u64,
    gone: bool,
}

impl Process {
    fn sample(&mut self) {
        let (ticks, rss) = (ticks(self.pid), rss_kib(self.pid));
        self.gone = ticks.is_none();
        if ticks.is_some() {
            self.at_first = self.at_first.or(ticks);
            self.ticks = ticks;
        }
        self.rss_kib = self.rss_kib.max(rss.unwrap_or(0));
    }
}

/// User and system time of a process.
fn ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, a closing bracket too.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

fn rss_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// A watch under way.
pub(super) struct Watch {
    stop: CancellationToken,
    task: JoinHandle<Watched>,
}

/// What was seen, and for how long.
struct Watched {
    processes: Vec<Process>,
    length: Duration,
    lags: BTreeMap<String, Vec<(f64, f64)>>,
}

/// Begins to watch: the processes, this one, and the admin endpoints of the roles.
pub(super) fn start(processes: &[(String, u32)], admins: Vec<String>) -> anyhow::Result<Watch> {
    let client = jixinda_runtime::http::client(Duration::from_secs(2)).context("http client")?;
    let own = ("bench".to_owned(), std::process::id());
    let processes: Vec<Process> = processes
        .iter()
        .chain([&own])
        .map(|(name, pid)| Process {
            name: name.clone(),
            pid: *pid,
            at_first: None,
            ticks: None,
            rss_kib: 0,
            gone: false,
        })
        .collect();
    let stop = CancellationToken::new();
    let task = tokio::spawn(watch(processes, admins, client, stop.clone()));
    Ok(Watch { stop, task })
}

async fn watch(
    mut processes: Vec<Process>,
    admins: Vec<String>,
    client: reqwest::Client,
    stop: CancellationToken,
) -> Watched {
    let began = Instant::now();
    let mut lags: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    let mut asked = began;
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        for process in &mut processes {
            process.sample();
        }
        if asked.elapsed() >= LAG_EVERY {
            asked = Instant::now();
            for admin in &admins {
                for (role, lag) in lag(&client, admin).await {
                    let series = lags.entry(role).or_default();
                    series.push((began.elapsed().as_secs_f64(), lag));
                }
            }
        }
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => break,
        }
    }
    for process in &mut processes {
        process.sample();
    }
    Watched {
        processes,
        length: began.elapsed(),
        lags,
    }
}

/// Role → records behind, over all its topics.
async fn lag(client: &reqwest::Client, admin: &str) -> BTreeMap<String, f64> {
    let answer = async {
        let answer = client.get(format!("http://{admin}/metrics")).send().await?;
        answer.error_for_status()?.text().await
    };
    answer
        .await
        .map_or_else(|_| BTreeMap::new(), |text| lags(&text))
}

fn lags(text: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in text.lines().filter_map(|line| line.strip_prefix(LAG)) {
        let role = line
            .split_once("role=\"")
            .and_then(|(_, rest)| rest.split_once('"'));
        let value = line
            .rsplit_once(' ')
            .and_then(|(_, value)| value.parse::<f64>().ok());
        if let (Some((role, _)), Some(value)) = (role, value) {
            *sums.entry(role.to_owned()).or_default() += value;
        }
    }
    sums
}

impl Watch {
    /// After so many accepted messages.
    pub(super) async fn end(self, messages: u64) -> anyhow::Result<(Vec<Cost>, Vec<Lag>)> {
        self.stop.cancel();
        let watched = self.task.await.context("the watch broke")?;
        let seconds = watched.length.as_secs_f64();
        let costs = watched.processes.into_iter().map(|process| {
            let ticks = process.ticks.unwrap_or(0) - process.at_first.unwrap_or(0);
            let used = ticks as f64 / TICKS_PER_SECOND;
            Cost {
                process: process.name,
                cores: used / seconds,
                micros_per_message: used * 1e6 / messages.max(1) as f64,
                rss_mib: process.rss_kib as f64 / 1024.0,
                gone: process.gone,
            }
        });
        let lags = watched.lags.into_iter().map(|(role, series)| Lag {
            role,
            mean: series.iter().map(|(_, lag)| lag).sum::<f64>() / series.len() as f64,
            most: series.iter().map(|(_, lag)| *lag).fold(0.0, f64::max),
            last: series.last().map_or(0.0, |(_, lag)| *lag),
            slope: slope(&series[series.len() / 2..]),
        });
        Ok((costs.collect(), lags.collect()))
    }
}

/// By least squares.
fn slope(series: &[(f64, f64)]) -> f64 {
    let n = series.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| series.iter().map(pick).sum::<f64>() / n;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let (above, below) = series.iter().fold((0.0, 0.0), |(above, below), p| {
        (above + (p.0 - x) * (p.1 - y), below + (p.0 - x).powi(2))
    });
    if below > 0.0 { above / below } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_summed_by_role() {
        let text = "# HELP x\njixinda_runtime_consumer_lag_records{role=\"router\",topic=\"a\"} 3\n\
                    jixinda_runtime_consumer_lag_records{role=\"router\",topic=\"b\"} 4\nother 1\n";
        assert_eq!(lags(text), BTreeMap::from([("router".to_owned(), 7.0)]));
    }

    #[test]
    fn a_growing_lag_has_its_growth_as_slope() {
        assert!((slope(&[(0.0, 10.0), (5.0, 60.0), (10.0, 110.0)]) - 10.0).abs() < 1e-9);
        assert!(slope(&[(0.0, 5.0), (5.0, 5.0)]).abs() < 1e-9);
        assert!(slope(&[(3.0, 5.0)]).abs() < 1e-9);
    }

    #[test]
    fn this_process_can_be_watched() {
        assert!(ticks(std::process::id()).is_some());
        assert!(rss_kib(std::process::id()).unwrap() > 0);
    }
}
