//! Does what the plan says to a platform under load, and notes how it came back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::plan::{Action, Step, Victim};
use crate::harness::{
    Platform, eventually,
    load::{Counts, for_a_while},
    process::Process,
};

/// What recovers at all does so well within this time on a machine that does other things as well.
const RECOVERY: Duration = Duration::from_secs(120);

/// One thing that was done.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Since the beginning.
    pub(crate) at: Duration,
    pub(crate) what: String,
    /// Of what kind, for the table.
    pub(crate) kind: String,
    /// Processes killed by it.
    pub(crate) kills: usize,
    /// From the restart until all were ready again.
    pub(crate) recovered: Duration,
}

pub(crate) struct Driver {
    pub(crate) platform: Platform,
    pub(crate) counts: Arc<Counts>,
    pub(crate) began: Instant,
    pub(crate) events: Vec<Event>,
    /// Processes that joined so far: each is an instance of its own.
    joined: usize,
}

impl Driver {
    pub(crate) fn new(platform: Platform, counts: Arc<Counts>) -> Self {
        Self {
            platform,
            counts,
            began: Instant::now(),
            events: Vec::new(),
            joined: 0,
        }
    }

    pub(crate) async fn follow(&mut self, plan: &[Step]) {
        for step in plan {
            for_a_while(step.rest).await;
            self.platform.all_must_run();
            let at = self.began.elapsed();
            let (kind, kills, recovered) = self.act(&step.action).await;
            self.note(at, (kind, step.action.to_string()), kills, recovered);
        }
    }

    pub(crate) fn note(
        &mut self,
        at: Duration,
        (kind, what): (String, String),
        kills: usize,
        recovered: Duration,
    ) {
        eprintln!(
            "chaos: {:6.1} s {what}: ready again after {recovered:.1?}",
            at.as_secs_f32()
        );
        self.events.push(Event {
            at,
            what,
            kind,
            kills,
            recovered,
        });
    }

    async fn act(&mut self, action: &Action) -> (String, usize, Duration) {
        match action {
            Action::Kill { victims, down } => {
                for victim in victims {
                    self.kill(*victim).await;
                }
                for_a_while(*down).await;
                let began = Instant::now();
                // Nothing can be ready before the broker is.
                let mut order = victims.clone();
                order.sort_by_key(|victim| *victim != Victim::Broker);
                for victim in order {
                    self.start(victim).await;
                }
                self.all_ready().await;
                let names: Vec<_> = victims.iter().map(kind_of).collect();
                (
                    format!("kill -9: {}", names.join(" and ")),
                    victims.len(),
                    began.elapsed(),
                )
            }
            Action::Pause { victim, span } => {
                self.pause(*victim, *span).await;
                let began = Instant::now();
                self.all_ready().await;
                (format!("SIGSTOP: {}", kind_of(victim)), 0, began.elapsed())
            }
            Action::Join { role, stay } => {
                self.joined += 1;
                let name = format!("{role}-joined-{}", self.joined);
                let began = Instant::now();
                self.platform.add(&name, role);
                self.platform.process_ready(&name).await;
                let ready = began.elapsed();
                for_a_while(*stay).await;
                self.platform.process_ready_within(&name, RECOVERY).await;
                self.platform.remove(&name).await;
                self.all_ready().await;
                ("a third member comes and goes".to_owned(), 0, ready)
            }
            Action::Leave { member, away } => {
                // One that has just been started again does not know the signal yet.
                self.platform.process_ready_within(member, RECOVERY).await;
                self.platform.stop(member).await;
                for_a_while(*away).await;
                let began = Instant::now();
                self.platform.restart(member);
                self.all_ready().await;
                ("SIGTERM and start".to_owned(), 0, began.elapsed())
            }
        }
    }

    async fn kill(&mut self, victim: Victim) {
        match victim {
            Victim::Member(name) => self.platform.kill(name),
            Victim::Broker => self.platform.broker.as_ref().unwrap().kill().await,
            Victim::Engine => self.engine().kill(),
        }
    }

    fn engine(&mut self) -> &mut Process {
        self.platform.helpers.get_mut("engine").unwrap()
    }

    async fn start(&mut self, victim: Victim) {
        match victim {
            Victim::Member(name) => self.platform.restart(name),
            Victim::Broker => drop(self.platform.broker.as_ref().unwrap().start().await),
            Victim::Engine => self.engine().restart(),
        }
    }

    /// Stands still for `span`, and no longer.
    pub(crate) async fn pause(&mut self, victim: Victim, span: Duration) {
        match victim {
            Victim::Member(name) => {
                self.platform.pause(name);
                for_a_while(span).await;
                self.platform.resume(name);
            }
            Victim::Broker => {
                self.platform.broker.as_ref().unwrap().pause();
                for_a_while(span).await;
                self.platform.broker.as_ref().unwrap().resume();
            }
            Victim::Engine => panic!("the engine is killed, not stopped"),
        }
    }

    /// Every process is ready, the engine answers, and messages are accepted.
    pub(crate) async fn all_ready(&mut self) {
        self.platform.ready_within(RECOVERY).await;
        let platform = &self.platform;
        eventually("the engine answers", RECOVERY, async || {
            platform.clickhouse("SELECT 1 AS one").await.map(drop)
        })
        .await;
        let before = Counts::get(&self.counts.accepted);
        eventually("messages are accepted", RECOVERY, async || {
            let more = Counts::get(&self.counts.accepted) > before;
            more.then_some(()).ok_or("none is")
        })
        .await;
    }
}

fn kind_of(victim: &Victim) -> String {
    let name = victim.to_string();
    let role = name.split('-').next().unwrap_or_default();
    role.to_owned()
}
