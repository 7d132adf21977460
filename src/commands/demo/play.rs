//! The run itself: warm up, break a channel, mend it, wait until all is settled, judge.

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use jixinda_runtime::clock::{Clock as _, SystemClock};
use jixinda_schemas::{MessageId, Timestamp};
use tokio::time::sleep;

use super::{
    lab::{self, Lab},
    load::{Accepted, Load},
    progress::Progress,
    share::{Course, Timeline, Times},
    store::Store,
    verdict::{Ended, Evidence, Verdict},
};
use crate::config::Config;

/// The good line: most of the traffic is its.
pub(super) const BROKEN: &str = "aliyun-a";
const WARM_UP: Duration = Duration::from_secs(25);
const BREAK: Duration = Duration::from_secs(30);
const RECOVERY: Duration = Duration::from_secs(70);
/// After the receipt deadline all is decided; this is for the way to ClickHouse.
const SETTLING: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_secs(1);
/// Decisions this new may not be in ClickHouse yet.
const FRESH_MS: i64 = 3_000;

/// Everything that a run works with.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) config: &'a Config,
    pub(super) lab: &'a Lab,
    pub(super) store: &'a Store,
    pub(super) journal: PathBuf,
    pub(super) rate: u32,
}

/// What a run has shown.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) run: String,
    pub(super) accepted: Accepted,
    pub(super) counts: Vec<(String, usize)>,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) chart: Vec<String>,
}

impl Played {
    pub(super) fn passed(&self) -> bool {
        self.verdicts.iter().all(|verdict| verdict.pass)
    }
}

struct Run<'a> {
    stage: &'a Stage<'a>,
    name: String,
    began: Timestamp,
    progress: Progress,
}

impl Stage<'_> {
    pub(super) async fn play(&self) -> anyhow::Result<Played> {
        let began = SystemClock.now();
        let name = format!("demo-{}", began.millis() / 1000);
        let deadline = self.config.router.receipt_deadline;
        let mut load = Load::start(self.config, name.clone(), self.rate)?;
        // The return usually shows within 20 s.
        let total = WARM_UP + BREAK + RECOVERY / 3 + deadline;
        let mut run = Run {
            stage: self,
            name,
            began,
            progress: Progress::start(total)?,
        };
        run.progress.say(&format!(
            "sending {} messages a second: 40 % one by one, 40 % in batches, 20 % straight to Kafka",
            self.rate
        ));
        run.watch(&mut load, "all well", WARM_UP, |_| false).await?;

        let before = self.lab.break_account(BROKEN).await?;
        let broken = SystemClock.now();
        run.progress.say(&format!(
            "{BROKEN} is broken now: it refuses 85 % of the calls and delivers nothing"
        ));
        let watched = run.watch(&mut load, "broken", BREAK, |_| false).await;
        // Even when that went wrong: whoever tries on finds the lab as it was.
        self.lab.behave(BROKEN, &before).await?;
        watched?;
        let times = Times::new(broken, SystemClock.now());
        run.progress.say(&format!("{BROKEN} is mended"));
        let is_back = |line: &Timeline| line.course(times).back.is_some();
        run.watch(&mut load, "waiting", RECOVERY, is_back).await?;

        let accepted = load.stop().await?;
        let (timeline, ended) = run.settle(&accepted, deadline).await?;
        run.progress.end();
        let receipts = lab::delivered(&self.journal, began)?;
        let course: Course = timeline.course(times);
        let evidence = Evidence {
            accepted: &accepted,
            ended: &ended,
            receipts: &receipts,
            course,
        };
        let counts = evidence.counts().into_iter();
        Ok(Played {
            run: run.name,
            counts: counts.map(|(name, n)| (name.to_owned(), n)).collect(),
            verdicts: evidence.verdicts(),
            chart: timeline.chart(times),
            accepted,
        })
    }
}

impl Run<'_> {
    /// Lets the load go on until `enough` says so, at most for `limit`.
    async fn watch(
        &mut self,
        load: &mut Load,
        phase: &str,
        limit: Duration,
        enough: impl Fn(&Timeline) -> bool,
    ) -> anyhow::Result<()> {
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            tokio::select! {
                error = load.failed() => return Err(error),
                () = sleep(left.min(LOOK)) => {}
            }
            let line = self.timeline().await?;
            let now = SystemClock.now().plus_millis(-FRESH_MS).millis() / 1000;
            let share = line.share(now - 5, now);
            let share = share.map_or_else(|| "?".to_owned(), |s| format!("{:.0} %", 100.0 * s));
            let (ended, delivered) = self.counts().await?;
            self.progress.tell(format!(
                "{phase}: {BROKEN} {share}, {} accepted, {delivered} of {ended} delivered",
                load.accepted()
            ));
            if left.is_zero() || enough(&line) {
                return Ok(());
            }
        }
    }

    /// Waits until every message has ended and every receipt is in; then reads all decisions and all ends.
    async fn settle(
        &mut self,
        accepted: &Accepted,
        deadline: Duration,
    ) -> anyhow::Result<(Timeline, HashMap<MessageId, Ended>)> {
        let until = Instant::now() + deadline + SETTLING;
        loop {
            let waiting = self.stage.lab.receipts_waiting().await?;
            let ended = self.ended().await?;
            let open = accepted
                .ids
                .keys()
                .filter(|id| !ended.contains_key(id))
                .count();
            // Late receipts correct an outcome: the lab's word and ours are to agree before we judge.
            let receipts = lab::delivered(&self.stage.journal, self.began)?;
            let known = accepted.ids.iter().filter(|(id, _)| {
                ended
                    .get(id)
                    .is_some_and(|ended| ended.outcome == "delivered")
            });
            let missing = accepted
                .ids
                .values()
                .filter(|r| receipts.contains(*r))
                .count()
                .abs_diff(known.count());
            self.progress.tell(format!(
                "settling: {open} of {} open, {waiting} receipts to come, {missing} to be stored",
                accepted.ids.len()
            ));
            if (waiting == 0 && open == 0 && missing == 0) || Instant::now() >= until {
                return Ok((self.timeline().await?, ended));
            }
            sleep(LOOK).await;
        }
    }

    async fn timeline(&self) -> anyhow::Result<Timeline> {
        let sql = format!(
            "SELECT toUnixTimestamp(decided_at) AS second, toUInt32(countIf(channel = '{BROKEN}')), toUInt32(count())
            FROM routings WHERE decided_at >= fromUnixTimestamp64Milli({}) GROUP BY second ORDER BY second",
            self.began.millis()
        );
        Ok(Timeline(self.stage.store.ask(&sql).await?))
    }

    /// How many messages of this run have ended, and how many of them were delivered.
    async fn counts(&self) -> anyhow::Result<(i64, i64)> {
        let sql = format!(
            "SELECT toInt32(sum(delta)), toInt32(sumIf(delta, outcome = 'delivered')) FROM outcomes WHERE {}",
            mine(&self.name, self.began)
        );
        let rows = self.stage.store.ask(&sql).await?;
        rows.into_iter().next().context("a sum without a row")
    }

    /// Every message of this run that has ended.
    async fn ended(&self) -> anyhow::Result<HashMap<MessageId, Ended>> {
        let sql = format!(
            "SELECT message_id, argMaxIf(outcome, seq, delta = 1), toInt32(sum(delta)) FROM outcomes WHERE {}
            GROUP BY message_id",
            mine(&self.name, self.began)
        );
        let rows: Vec<(MessageId, String, i64)> = self.stage.store.ask(&sql).await?;
        let ended = rows
            .into_iter()
            .map(|(id, outcome, outcomes)| (id, Ended { outcome, outcomes }));
        Ok(ended.collect())
    }
}

/// Outcomes of the run. The time spares ClickHouse the parts of earlier days.
fn mine(run: &str, began: Timestamp) -> String {
    let from = began.plus_millis(-60_000).millis();
    format!("campaign = '{run}' AND accepted_at >= fromUnixTimestamp64Milli({from})")
}
