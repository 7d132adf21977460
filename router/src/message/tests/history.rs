//! Random histories of one message: a router that reads the topics in any interleaving, crashes and takes over from the
//! log or from a parked state; senders and vendors that act on the log; receipts early, late, doubled.

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

use super::{
    explore::{Fact, REAL, others_do},
    *,
};

const TOPICS: usize = 4;

/// Co-partitioned topics, each with an order of its own.
fn topic(fact: &Fact) -> usize {
    match fact {
        Fact::Routed(_) => 0,
        Fact::Started(_) | Fact::NotStarted(..) | Fact::Finished(..) => 1,
        Fact::Receipt(_) => 2,
        Fact::Outcome(_) => 3,
    }
}

type Topics = [Vec<(Fact, Timestamp)>; TOPICS];

/// What a router knows, and how far it has read.
#[derive(Clone)]
struct Reader {
    e: Entry,
    read: [usize; TOPICS],
    /// Receipts that join nothing yet.
    waiting: Vec<(Fact, Timestamp)>,
}

impl Reader {
    fn new(e: Entry) -> Self {
        Self {
            e,
            read: [0; TOPICS],
            waiting: Vec::new(),
        }
    }

    /// Reads the next record of the topic.
    fn next(&mut self, log: &Topics, topic: usize) -> bool {
        let Some((fact, at)) = log[topic].get(self.read[topic]) else {
            return false;
        };
        self.read[topic] += 1;
        if !fact.fold(&mut self.e, *at) {
            self.waiting.push((fact.clone(), *at));
        }
        let e = &mut self.e;
        self.waiting.retain(|(fact, at)| !fact.fold(e, *at));
        true
    }

    /// Reads everything, the topics interleaved by `order`.
    fn catch_up(&mut self, log: &Topics, order: &[u8]) {
        for pick in order.iter().map(|n| usize::from(*n) % TOPICS) {
            self.next(log, pick);
        }
        for topic in 0..TOPICS {
            while self.next(log, topic) {}
        }
    }

    fn state(&self) -> String {
        format!("{:#?} {:#?}", self.e.attempts, self.e.outcome)
    }
}

struct World {
    log: Topics,
    /// All that is in the log, read as it was written.
    truth: Reader,
    router: Reader,
    /// Sent, not in the log yet; a crash loses it, or a fence makes it void.
    in_flight: Option<Fact>,
    /// Its own record that the router has yet to read back.
    unread: Option<usize>,
    parked: Reader,
    now: Timestamp,
    takeovers: usize,
}

impl World {
    fn new(lane: Lane) -> Self {
        let reader = Reader::new(entry(lane));
        Self {
            log: Default::default(),
            truth: reader.clone(),
            router: reader.clone(),
            in_flight: None,
            unread: None,
            parked: reader,
            now: T0,
            takeovers: 0,
        }
    }

    fn append(&mut self, fact: Fact) {
        let topic = topic(&fact);
        self.log[topic].push((fact, self.now));
        self.truth.next(&self.log, topic);
    }

    fn act(&mut self) {
        let own_read = self
            .unread
            .is_none_or(|t| self.router.read[t] == self.log[t].len());
        if self.in_flight.is_some() || !own_read {
            return;
        }
        self.unread = None;
        let e = &self.router.e;
        self.in_flight = match e.next(self.now, REAL) {
            Step::Wait(_) => None,
            Step::Decide(_) => Some(Fact::Routed(e.next_n())),
            Step::Withdraw(n) => Some(Fact::NotStarted(n, NotStartedCause::Withdrawn)),
            Step::End(terminal, reason) | Step::Correct(terminal, reason) => {
                let outcome = e.outcome_event(terminal, reason, self.now);
                Some(Fact::Outcome(Box::new(outcome)))
            }
        };
    }

    fn land(&mut self) {
        if let Some(fact) = self.in_flight.take() {
            self.unread = Some(topic(&fact));
            self.append(fact);
        }
    }

    /// A sender, the vendor or the carrier does something about an attempt.
    fn others(&mut self, pick: u8) {
        let all = self.truth.e.attempts.iter().flat_map(others_do);
        // What leads on comes more often than what ends it.
        let often = |fact: &Fact| match fact {
            Fact::Started(_) => 8,
            Fact::Finished(_, AttemptResult::Unknown { .. } | AttemptResult::Accepted { .. }) => 3,
            _ => 1,
        };
        let options: Vec<Fact> = all
            .flat_map(|fact| std::iter::repeat_n(fact.clone(), often(&fact)))
            .collect();
        if let Some(fact) = options.get(usize::from(pick) % options.len().max(1)) {
            let fact = fact.clone();
            self.append(fact);
        }
    }

    /// One more receipt: a repeat, or one that names the vendor's id only, or a part.
    fn receipt(&mut self, pick: u8) {
        let known = &self.log[2];
        let repeat = known.get(usize::from(pick) % known.len().max(1)).cloned();
        let n = u16::from(pick % 3) + 1;
        let status = match pick / 3 % 6 {
            0 => ReceiptStatus::Delivered,
            1 | 2 => ReceiptStatus::Expired,
            _ => ReceiptStatus::Pending,
        };
        let fact = match (pick / 9 % 3, repeat) {
            (0, Some((fact, _))) => fact,
            (1, _) => Fact::Receipt(RawReceipt {
                echo: None,
                vendor_id: Some(" bIZ^0".into()),
                ..receipt(n, status)
            }),
            _ => Fact::Receipt(RawReceipt {
                part: Some(u16::from(pick / 27) % 2 + 1),
                parts: Some(2),
                ..receipt(n, status)
            }),
        };
        self.append(fact);
    }

    fn pass_time(&mut self, pick: u8) {
        let e = &self.truth.e;
        let ms = match pick % 64 {
            0 => REAL.claim_ms,
            1 => e.not_after().since(self.now).max(0) + 10_000,
            2 => REAL.receipt_ms,
            n => i64::from(n),
        };
        self.now = self.now.plus_millis(ms);
    }

    /// The router dies; the next one reads the whole log, or what was parked and the log from somewhere before that.
    fn crash(&mut self, pick: u8, order: &[u8]) {
        self.takeovers += 1;
        (self.in_flight, self.unread) = (None, None);
        self.router = if pick.is_multiple_of(2) {
            Reader::new(entry_of(&self.truth.e))
        } else {
            let mut reader = self.parked.clone();
            for (topic, read) in reader.read.iter_mut().enumerate() {
                *read = read.saturating_sub(usize::from(pick >> (2 * topic) & 3));
            }
            reader
        };
        self.router.catch_up(&self.log, order);
    }

    fn step(&mut self, (kind, pick): (u8, u8), order: &[u8]) {
        match kind % 24 {
            0..=4 => self.act(),
            5..=8 => self.land(),
            9..=11 => self.others(pick),
            12 if pick < 60 => self.receipt(pick),
            12 | 13 => self.pass_time(pick),
            14 => self.crash(pick, order),
            15 => self.parked = self.router.clone(),
            _ => drop(self.router.next(&self.log, usize::from(pick) % TOPICS)),
        }
    }
}

/// The message as its request alone makes it.
fn entry_of(e: &Entry) -> Entry {
    Entry {
        attempts: Vec::new(),
        outcome: None,
        ..e.clone()
    }
}

fn live(lane: Lane, steps: &[(u8, u8)], order: &[u8]) -> World {
    let mut world = World::new(lane);
    for step in steps {
        world.step(*step, order);
    }
    world.router.catch_up(&world.log, order);
    world
}

fn outcomes(world: &World) -> Vec<&Outcome> {
    let facts = world.log[3].iter();
    let outcomes = facts.filter_map(|(fact, _)| match fact {
        Fact::Outcome(outcome) => Some(&**outcome),
        _ => None,
    });
    outcomes.collect()
}

fn steps() -> impl Strategy<Value = Vec<(u8, u8)>> {
    prop::collection::vec(any::<(u8, u8)>(), 0..250)
}

fn order() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..60)
}

fn lane() -> impl Strategy<Value = Lane> {
    prop::sample::select(Lane::ALL.to_vec())
}

proptest! {
    #[test]
    fn crashes_and_takeovers_change_neither_the_state_nor_the_outcome(
        lane in lane(), steps in steps(), order in order(), other in order(),
    ) {
        let world = live(lane, &steps, &order);
        // Whatever the router went through, it knows what the log says, in whatever order it is read.
        prop_assert_eq!(world.router.state(), world.truth.state());
        let mut again = Reader::new(entry_of(&world.truth.e));
        again.catch_up(&world.log, &other);
        prop_assert_eq!(again.state(), world.truth.state());
        prop_assert_eq!(again.e.next(world.now, REAL), world.truth.e.next(world.now, REAL));
        // One outcome, then corrections, each the next; delivered is the last.
        let outcomes = outcomes(&world);
        for (i, outcome) in outcomes.iter().enumerate() {
            prop_assert_eq!(outcome.seq as usize, i);
            prop_assert!(i == 0 || outcomes[i - 1].outcome != Terminal::Delivered);
        }
        // Never more calls that may be taken than the lane allows, by the answers of the vendors.
        let may_be = |a: &&Attempt| a.call_id().is_some() && !matches!(
            a.finish.as_ref().map(|f| &f.result),
            Some(AttemptResult::Rejected { .. } | AttemptResult::NotCalled)
        );
        let taken = world.truth.e.attempts.iter().filter(may_be).count();
        prop_assert!(taken <= 1 + lane.unknown_allowed(), "{} calls", taken);
    }

    #[test]
    fn folding_a_fact_again_changes_nothing(
        lane in lane(), steps in steps(), order in order(), again in prop::collection::vec(any::<u16>(), 1..20),
    ) {
        let world = live(lane, &steps, &order);
        let facts: Vec<_> = world.log.iter().flatten().collect();
        let mut reader = world.router.clone();
        for pick in again {
            if let Some((fact, at)) = facts.get(usize::from(pick) % facts.len().max(1)) {
                fact.fold(&mut reader.e, *at);
            }
        }
        prop_assert_eq!(reader.state(), world.router.state());
    }
}

#[test]
fn the_histories_are_worth_their_name() {
    let mut runner = TestRunner::deterministic();
    let (mut ends, mut corrections, mut twice, mut crashed, mut waited) = (0, 0, 0, 0, 0);
    for _ in 0..Config::default().cases {
        let mut draw = |n: usize| prop::collection::vec(any::<(u8, u8)>(), n).new_tree(&mut runner);
        let steps = draw(250).unwrap().current();
        let world = live(Lane::Otp, &steps, &[]);
        let outcomes = outcomes(&world).len();
        ends += usize::from(outcomes > 0);
        corrections += usize::from(outcomes > 1);
        twice += usize::from(world.truth.e.started_count() > 1);
        crashed += usize::from(world.takeovers > 2);
        waited += usize::from(!world.router.waiting.is_empty());
    }
    let seen = [ends, corrections, twice, crashed, waited];
    assert!(seen.iter().all(|n| *n >= 10), "{seen:?}");
}
