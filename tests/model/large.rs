//! Large worlds, by random walks: several messages, many lives, everything that can go wrong.

use jixinda_schemas::Lane;

use super::{
    explorer::{Found, Random, walk},
    switches::{Parked, Rule, Rules},
    world::{Budget, Model, Setup},
};

const BUDGET: Budget = Budget {
    lives: [6, 6],
    commits: [8, 8],
    ticks: 10,
    faults: 4,
    delays: 8,
    receipts: 8,
    give_backs: 3,
    parks: 6,
    compactions: 2,
    requests: 3,
    jumps: 0,
};
/// Steps of a walk.
const LENGTH: usize = 300;

fn number(name: &str, otherwise: u64) -> u64 {
    let value = std::env::var(name);
    value.ok().and_then(|v| v.parse().ok()).unwrap_or(otherwise)
}

fn walks(name: &str, budget: Budget, count: u64) {
    let first = number("JIXINDA_MODEL_SEED", 1);
    let count = number("JIXINDA_MODEL_WALKS", count);
    let begun = std::time::Instant::now();
    let walked = look(Rules::ALL, budget, first..first.wrapping_add(count));
    if let Some((lane, seed, found)) = walked.found {
        panic!("{name}, {lane}, JIXINDA_MODEL_SEED={seed} JIXINDA_MODEL_WALKS=1:\n{found}");
    }
    println!(
        "{name}: {count} walks from seed {first}, {} steps, {} calls in the walks and {} in completions, longest log {}, {:.1?}",
        walked.steps,
        walked.called,
        walked.completed,
        walked.longest,
        begun.elapsed()
    );
}

#[derive(Default)]
struct Walked {
    steps: usize,
    longest: usize,
    /// Vendor calls in the walks, and in the completions after them.
    called: usize,
    completed: usize,
    found: Option<(Lane, u64, Found)>,
}

/// Walks until something breaks.
fn look(rules: Rules, budget: Budget, seeds: std::ops::Range<u64>) -> Walked {
    let mut walked = Walked::default();
    for seed in seeds {
        let lane = Lane::ALL[Random(seed).below(3)];
        let mut setup = Setup::new(lane, budget);
        // Few lives go far, many meet each other.
        let most = 1 + Random(!seed).below(6) as u8;
        setup.budget.lives = budget.lives.map(|lives| lives.min(most));
        setup.rules = rules;
        setup.messages = 2;
        setup.processes = 3;
        setup.sample = 1;
        let mut model = Model::new(setup);
        model.tables.remember = false;
        let (steps, found) = walk(&mut model, seed, LENGTH);
        walked.called += model.called - model.called_after;
        walked.completed += model.called_after;
        walked.steps += steps;
        walked.longest = walked.longest.max(model.longest);
        if let Some(found) = found {
            walked.found = Some((lane, seed, found));
            break;
        }
    }
    walked
}

#[test]
fn random_walks_of_many_lives_break_nothing() {
    walks("many lives", BUDGET, 6_000);
}

#[test]
fn ids_used_again_after_their_window_are_messages_of_their_own() {
    let budget = Budget {
        requests: 4,
        jumps: 3,
        ..BUDGET
    };
    walks("ids used again", budget, 1_500);
}

#[test]
fn tombstones_before_the_commit_bring_a_message_back() {
    let rules = Rules::without(Rule::Parking(Parked::TombstonesBeforeCommit));
    let budget = Budget {
        lives: [3, 1],
        parks: 20,
        faults: 0,
        delays: 0,
        ..BUDGET
    };
    let walked = look(rules, budget, 1..20_000);
    let Some((lane, seed, found)) = walked.found else {
        panic!("nothing breaks in {} steps", walked.steps);
    };
    println!("without the commit before the tombstones, {lane}, seed {seed}:\n{found}");
    let broken = &found.broken;
    assert!(
        broken.starts_with("I4") || broken.starts_with("I5"),
        "{broken}"
    );
}
