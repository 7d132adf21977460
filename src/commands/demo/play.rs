//! The run itself: load, the scenario's steps, wait until all is settled, judge.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use jixinda_runtime::clock::{Clock as _, SystemClock};
use jixinda_schemas::{MessageId, Timestamp};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    lab::{self, Lab},
    load::{Accepted, Load},
    progress::Progress,
    scenario::{Mark, Scenario, Step},
    share::{Course, Timeline, Times},
    store::Store,
    verdict::{Ended, Evidence, Verdict},
};
use crate::config::Config;

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
    pub(super) scenario: &'a Scenario,
    pub(super) rate: u32,
}

/// What a run has shown.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) run: String,
    pub(super) accepted: Accepted,
    pub(super) counts: Vec<(String, usize)>,
    pub(super) verdicts: Vec<Verdict>,
    /// The watched channel and its share over time.
    pub(super) chart: Option<(String, Vec<String>)>,
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
    /// Accounts that were changed, as they were before.
    former: BTreeMap<String, Value>,
    broken: Option<Timestamp>,
    mended: Option<Timestamp>,
}

impl Stage<'_> {
    pub(super) async fn play(&self) -> anyhow::Result<Played> {
        let began = SystemClock.now();
        let name = format!("demo-{}", began.millis() / 1000);
        let deadline = self.config.router.receipt_deadline;
        let mut load = Load::start(self.config, name.clone(), self.rate)?;
        // A channel that is watched usually comes back long before the end.
        let total = self.scenario.length.mul_f64(0.7) + deadline;
        let mut run = Run {
            stage: self,
            name,
            began,
            progress: Progress::start(total)?,
            former: BTreeMap::new(),
            broken: None,
            mended: None,
        };
        run.progress.say(&self.scenario.title);
        run.progress.say(&format!(
            "sending {} messages a second: 40 % one by one, 40 % in batches, 20 % straight to Kafka",
            self.rate
        ));
        let played = run.steps(&mut load).await;
        // Even when that went wrong: whoever tries on finds the lab as it was.
        for (account, former) in &run.former {
            self.lab.patch(account, former).await?;
        }
        played?;
        let times = run.times();
        let accepted = load.stop().await?;
        let (timeline, ended) = run.settle(&accepted, deadline).await?;
        run.progress.end();
        let known = lab::known(&self.journal, began)?;
        let course: Option<Course> = times.map(|times| timeline.course(times));
        let evidence = Evidence {
            accepted: &accepted,
            ended: &ended,
            known: &known,
            course,
            limits: self.scenario.limits,
        };
        let counts = evidence.counts().into_iter();
        let watched = self.scenario.watch.clone().zip(times);
        Ok(Played {
            run: run.name,
            counts: counts.map(|(name, n)| (name.to_owned(), n)).collect(),
            verdicts: evidence.verdicts(),
            chart: watched.map(|(channel, times)| (channel, timeline.chart(times))),
            accepted,
        })
    }
}

impl Run<'_> {
    /// The load goes on, the steps happen at their times, until the end or until a watched channel has come back.
    async fn steps(&mut self, load: &mut Load) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut left = self.stage.scenario.steps.iter().peekable();
        loop {
            let next = left
                .peek()
                .map_or(self.stage.scenario.length, |step| step.at);
            let wait = next.saturating_sub(begun.elapsed());
            tokio::select! {
                error = load.failed() => return Err(error),
                () = sleep(wait.min(LOOK)) => {}
            }
            while let Some(step) = left.next_if(|step| step.at <= begun.elapsed()) {
                self.step(step).await?;
            }
            let line = self.tell(load).await?;
            let back = self
                .times()
                .is_some_and(|times| line.course(times).back.is_some());
            if left.peek().is_none() && (back || begun.elapsed() >= self.stage.scenario.length) {
                return Ok(());
            }
        }
    }

    async fn step(&mut self, step: &Step) -> anyhow::Result<()> {
        let (lab, account) = (self.stage.lab, &step.account);
        let patch = match &step.patch {
            Some(patch) => {
                if !self.former.contains_key(account) {
                    let former = lab::former(&lab.account(account).await?);
                    self.former.insert(account.clone(), former);
                }
                json!(patch)
            }
            None => self
                .former
                .get(account)
                .cloned()
                .with_context(|| format!("nothing was changed at `{account}` before"))?,
        };
        lab.patch(account, &patch).await?;
        match step.mark {
            Some(Mark::Broken) => self.broken = Some(SystemClock.now()),
            Some(Mark::Mended) => self.mended = Some(SystemClock.now()),
            None => {}
        }
        self.progress.say(&step.say);
        Ok(())
    }

    fn times(&self) -> Option<Times> {
        Some(Times::new(self.broken?, self.mended?))
    }

    async fn tell(&mut self, load: &Load) -> anyhow::Result<Timeline> {
        let line = self.timeline().await?;
        let (ended, delivered) = self.counts().await?;
        let watched = self.stage.scenario.watch.as_ref().map(|channel| {
            let now = SystemClock.now().plus_millis(-FRESH_MS).millis() / 1000;
            let share = line.share(now - 5, now);
            let share = share.map_or_else(|| "?".to_owned(), |s| format!("{:.0} %", 100.0 * s));
            format!("{channel} {share}, ")
        });
        self.progress.tell(format!(
            "{}{} accepted, {delivered} of {ended} delivered",
            watched.unwrap_or_default(),
            load.accepted()
        ));
        Ok(line)
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
            let receipts = lab::known(&self.stage.journal, self.began)?.delivered;
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
        let Some(watched) = &self.stage.scenario.watch else {
            return Ok(Timeline::default());
        };
        let watched = watched.replace('\'', "");
        let sql = format!(
            "SELECT toUnixTimestamp(decided_at) AS second, toUInt32(countIf(channel = '{watched}')), toUInt32(count())
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
