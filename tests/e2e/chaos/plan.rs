//! What is done to the platform, and in which order: a function of the seed and of how much is asked for. Pure.

use std::{fmt, time::Duration};

use rand::{RngExt as _, SeedableRng as _, seq::SliceRandom as _};
use rand_chacha::ChaCha8Rng;

/// Two of each role, by the name of its process.
pub(crate) const MEMBERS: [(&str, &str); 8] = [
    ("ingest-a", "ingest"),
    ("ingest-b", "ingest"),
    ("router-a", "router"),
    ("router-b", "router"),
    ("senders-a", "senders"),
    ("senders-b", "senders"),
    ("analytics-a", "analytics"),
    ("analytics-b", "analytics"),
];
/// Roles whose members share partitions.
const SHARING: [&str; 3] = ["router", "senders", "analytics"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    Member(&'static str),
    Broker,
    Engine,
}

impl Victim {
    pub(crate) fn all() -> Vec<Self> {
        let members = MEMBERS.iter().map(|(name, _)| Self::Member(name));
        members.chain([Self::Broker, Self::Engine]).collect()
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(name) => f.write_str(name),
            Self::Broker => f.write_str("broker"),
            Self::Engine => f.write_str("engine"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// kill -9 of all at once, started again after `down`.
    Kill {
        victims: Vec<Victim>,
        down: Duration,
    },
    /// SIGSTOP, SIGCONT after `span`.
    Pause { victim: Victim, span: Duration },
    /// A third member of a role comes, and goes by SIGTERM after `stay`.
    Join { role: &'static str, stay: Duration },
    /// SIGTERM, started again after `away`.
    Leave {
        member: &'static str,
        away: Duration,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { victims, down } => {
                let names: Vec<_> = victims.iter().map(ToString::to_string).collect();
                write!(f, "kill -9 {}, down for {down:?}", names.join(" and "))
            }
            Self::Pause { victim, span } => write!(f, "stop {victim} for {span:?}"),
            Self::Join { role, stay } => write!(f, "one more {role} for {stay:?}"),
            Self::Leave { member, away } => write!(f, "{member} leaves for {away:?}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Quiet time before it.
    pub(crate) rest: Duration,
    pub(crate) action: Action,
}

/// How much of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amounts {
    /// Processes killed; two at once are two.
    pub(crate) kills: usize,
    pub(crate) joins: usize,
    pub(crate) leaves: usize,
    /// Members that stand still for longer than the session timeout.
    pub(crate) pauses: usize,
    /// The broker stands still, for less than a producer's patience.
    pub(crate) broker_pauses: usize,
}

/// Long enough to be given up for dead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spans {
    pub(crate) given_up: Duration,
    pub(crate) pause: Duration,
    pub(crate) broker_pause: Duration,
}

pub(crate) fn plan(seed: u64, amounts: Amounts, spans: Spans) -> Vec<Step> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut actions = kills(&mut dice, amounts.kills, spans);
    let mut members = Deck::new(MEMBERS.map(|(name, _)| name).to_vec());
    let mut roles = Deck::new(SHARING.to_vec());
    actions.extend((0..amounts.joins).map(|_| Action::Join {
        role: roles.deal(&mut dice),
        stay: millis(&mut dice, 2_000, 5_000),
    }));
    actions.extend((0..amounts.leaves).map(|_| Action::Leave {
        member: members.deal(&mut dice),
        away: millis(&mut dice, 0, 3_000),
    }));
    // Senders first: theirs are the calls that a zombie could make.
    let mut zombies = Deck::new(vec!["senders-a", "router-b", "analytics-a", "ingest-b"]);
    zombies.left = vec!["senders-b"];
    actions.extend((0..amounts.pauses).map(|_| Action::Pause {
        victim: Victim::Member(zombies.deal(&mut dice)),
        span: spans.pause,
    }));
    actions.extend((0..amounts.broker_pauses).map(|_| Action::Pause {
        victim: Victim::Broker,
        span: spans.broker_pause,
    }));
    actions.shuffle(&mut dice);
    let rested = actions.into_iter().map(|action| Step {
        rest: millis(&mut dice, 200, 1_500),
        action,
    });
    rested.collect()
}

/// Every victim in its turn; one time in three two at once.
fn kills(dice: &mut ChaCha8Rng, kills: usize, spans: Spans) -> Vec<Action> {
    let mut deck = Deck::new(Victim::all());
    let mut left = kills;
    let mut actions = Vec::new();
    while left > 0 {
        let mut victims = vec![deck.deal(dice)];
        if left > 1 && dice.random_ratio(1, 3) {
            let other = deck.deal(dice);
            // The last card of one deck may be the first of the next.
            if !victims.contains(&other) {
                victims.push(other);
            } else {
                deck.left.push(other);
            }
        }
        left -= victims.len();
        let down = match dice.random_range(0..10) {
            0..5 => Duration::ZERO,
            5..8 => millis(dice, 0, 2_000),
            _ => spans.given_up,
        };
        actions.push(Action::Kill { victims, down });
    }
    actions
}

fn millis(dice: &mut impl rand::Rng, from: u64, to: u64) -> Duration {
    Duration::from_millis(dice.random_range(from..to))
}

/// Deals every card once before any comes again.
struct Deck<T> {
    cards: Vec<T>,
    left: Vec<T>,
}

impl<T: Clone> Deck<T> {
    fn new(cards: Vec<T>) -> Self {
        let left = Vec::new();
        Self { cards, left }
    }

    fn deal(&mut self, dice: &mut ChaCha8Rng) -> T {
        if self.left.is_empty() {
            self.left = self.cards.clone();
            self.left.shuffle(dice);
        }
        self.left.pop().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const AMOUNTS: Amounts = Amounts {
        kills: 20,
        joins: 3,
        leaves: 8,
        pauses: 5,
        broker_pauses: 1,
    };
    const SPANS: Spans = Spans {
        given_up: Duration::from_secs(9),
        pause: Duration::from_secs(30),
        broker_pause: Duration::from_secs(10),
    };

    fn victims(seed: u64, amounts: Amounts) -> BTreeMap<Victim, usize> {
        let mut victims = BTreeMap::new();
        for step in plan(seed, amounts, SPANS) {
            if let Action::Kill { victims: dead, .. } = step.action {
                for victim in dead {
                    *victims.entry(victim).or_default() += 1;
                }
            }
        }
        victims
    }

    #[test]
    fn the_same_seed_makes_the_same_plan_and_another_seed_another() {
        assert_eq!(plan(7, AMOUNTS, SPANS), plan(7, AMOUNTS, SPANS));
        assert_ne!(plan(7, AMOUNTS, SPANS), plan(8, AMOUNTS, SPANS));
    }

    #[test]
    fn whatever_the_seed_every_victim_is_killed_and_as_many_as_were_asked_for() {
        for seed in 0..200 {
            let victims = victims(seed, AMOUNTS);
            assert_eq!(
                victims.len(),
                Victim::all().len(),
                "seed {seed}: {victims:?}"
            );
            assert_eq!(victims.values().sum::<usize>(), 20, "seed {seed}");
        }
        let many = victims(
            1,
            Amounts {
                kills: 500,
                ..AMOUNTS
            },
        );
        assert!(
            many.values().all(|count| (45..=55).contains(count)),
            "{many:?}"
        );
    }

    #[test]
    fn every_kind_of_action_and_every_way_of_dying_occurs() {
        let steps = plan(3, AMOUNTS, SPANS);
        let count = |which: fn(&Action) -> bool| steps.iter().filter(|s| which(&s.action)).count();
        assert_eq!(count(|a| matches!(a, Action::Join { .. })), 3);
        assert_eq!(count(|a| matches!(a, Action::Leave { .. })), 8);
        assert_eq!(count(|a| matches!(a, Action::Pause { .. })), 6);
        let long = plan(
            3,
            Amounts {
                kills: 100,
                ..AMOUNTS
            },
            SPANS,
        );
        let downs = |wanted: fn(&Duration) -> bool| {
            let kills = long.iter().filter_map(|step| match &step.action {
                Action::Kill { down, .. } => Some(down),
                _ => None,
            });
            kills.filter(|down| wanted(down)).count()
        };
        assert!(downs(Duration::is_zero) > 0);
        assert!(downs(|down| *down == SPANS.given_up) > 0);
        let two = |step: &Step| matches!(&step.action, Action::Kill { victims, .. } if victims.len() == 2);
        assert!(long.iter().any(two));
    }

    #[test]
    fn the_senders_are_among_those_that_stand_still() {
        let steps = plan(3, AMOUNTS, SPANS);
        for member in ["senders-a", "senders-b"] {
            let stands_still = |step: &Step| matches!(&step.action, Action::Pause { victim, .. } if *victim == Victim::Member(member));
            assert!(steps.iter().any(stands_still), "{member}");
        }
    }
}
