//! Small worlds, every state of them.
//!
//! One message, two channels, two lives of each role at once. A world that had everything at once would have too many
//! states, so each world has some of it, together with all that can meet it.

use jixinda_schemas::Lane;

use super::{
    explorer::{Found, search},
    switches::{Parked, Rule, Rules},
    world::{Budget, Model, Setup},
};

const NOTHING: Budget = Budget {
    lives: [0, 0],
    commits: [0, 0],
    ticks: 0,
    faults: 0,
    delays: 0,
    receipts: 0,
    give_backs: 0,
    parks: 0,
    compactions: 0,
    requests: 0,
    jumps: 0,
};

/// Most states that a test visits before it says that the world is too large.
const LIMIT: usize = 20_000_000;

fn depth() -> u8 {
    let depth = std::env::var("JIXINDA_MODEL_DEPTH");
    depth.ok().and_then(|d| d.parse().ok()).unwrap_or(1)
}

/// Both lanes that treat an unknown attempt differently.
const LANES: &[Lane] = &[Lane::Otp, Lane::Notice];

/// The lane with fewer states, unless there is time.
fn lanes() -> &'static [Lane] {
    if depth() > 1 { LANES } else { &[Lane::Notice] }
}

/// All rules hold: every state of the world is visited, and none is bad.
fn holds(name: &str, lanes: &[Lane], budget: Budget) {
    holds_with(name, lanes, 2, budget);
}

fn holds_with(name: &str, lanes: &[Lane], channels: u8, budget: Budget) {
    for lane in lanes {
        let mut setup = Setup::new(*lane, budget);
        setup.channels = channels;
        let mut model = Model::new(setup);
        let done = search(&mut model, LIMIT);
        println!(
            "{name}, {lane}: {} states, {} steps, {} deep, {} completed, {} states of owners, {:.1?}",
            done.states,
            done.steps,
            done.depth,
            model.completed,
            model.tables.owners(),
            done.took,
        );
        if let Some(found) = done.found {
            panic!("{name}, {lane}:\n{found}");
        }
        assert!(done.complete, "{name}, {lane}: over {LIMIT} states");
    }
}

/// Without the rule, a violation of one of these invariants is found.
fn breaks(rule: Rule, lane: Lane, budget: Budget, invariants: &[&str]) {
    let mut setup = Setup::new(lane, budget);
    setup.rules = Rules::without(rule);
    setup.sample = 4;
    let found = search(&mut Model::new(setup), LIMIT).found;
    let Some(Found { broken, .. }) = &found else {
        panic!("without {rule:?} nothing breaks: the rule or the world is superfluous");
    };
    println!("without {rule:?}, {lane}:\n{}", found.as_ref().unwrap());
    assert!(
        invariants.iter().any(|i| broken.starts_with(i)),
        "without {rule:?}: {broken}"
    );
}

#[test]
fn two_lives_of_each_role_agree() {
    let budget = Budget {
        lives: [1, 1],
        ..NOTHING
    };
    holds("two of each", LANES, budget);
}

#[test]
fn one_life_of_each_role_keeps_the_promise_as_time_passes() {
    let budget = Budget {
        ticks: 1 + depth(),
        receipts: 1,
        give_backs: 1,
        ..NOTHING
    };
    holds("time", lanes(), budget);
}

#[test]
fn receipts_may_come_early_late_and_twice() {
    let budget = Budget {
        ticks: 1,
        receipts: 1 + depth(),
        ..NOTHING
    };
    holds("receipts", LANES, budget);
}

#[test]
fn two_senders_agree_whenever_claims_grow_old() {
    let budget = Budget {
        lives: [0, 1],
        ticks: depth(),
        ..NOTHING
    };
    holds("old claims", lanes(), budget);
}

#[test]
fn a_sender_that_begins_at_any_commit_of_another_agrees() {
    let budget = Budget {
        lives: [0, 1],
        commits: [0, depth()],
        ..NOTHING
    };
    holds("senders' floors", LANES, budget);
}

#[test]
fn two_routers_agree_whenever_they_run_late() {
    let budget = Budget {
        lives: [1, 0],
        ticks: depth(),
        ..NOTHING
    };
    holds_with("late routers", lanes(), depth().min(2), budget);
}

#[test]
fn a_router_that_begins_at_any_commit_of_another_agrees() {
    let budget = Budget {
        lives: [1, 0],
        commits: [depth(), 0],
        receipts: 1,
        ..NOTHING
    };
    holds("routers' floors", lanes(), budget);
}

#[test]
fn a_lost_write_or_acknowledgement_is_made_good_by_taking_over_again() {
    for lives in [[1, 0], [0, 1]] {
        let budget = Budget {
            lives,
            faults: depth(),
            delays: 1,
            ..NOTHING
        };
        holds("lost writes", LANES, budget);
    }
}

#[test]
fn an_id_used_again_is_a_message_of_its_own() {
    let budget = Budget {
        requests: 1,
        jumps: 1,
        ..NOTHING
    };
    holds("id used again", LANES, budget);
}

#[test]
fn without_the_fence_an_outcome_is_said_twice() {
    let lives = [1, 0];
    let budget = Budget {
        lives,
        ticks: 1,
        ..NOTHING
    };
    breaks(Rule::Fence, Lane::Notice, budget, &["I5", "I6"]);
}

#[test]
fn without_reading_back_a_vendor_is_called_twice() {
    let budget = Budget {
        lives: [0, 1],
        ..NOTHING
    };
    breaks(Rule::ReadBack, Lane::Notice, budget, &["I1"]);
}

#[test]
fn without_the_order_of_claims_a_withdrawn_routing_is_called() {
    let budget = Budget {
        ticks: 1,
        ..NOTHING
    };
    breaks(Rule::ClaimOrder, Lane::Notice, budget, &["I1", "I2"]);
}

#[test]
fn with_floors_in_several_commits_a_settled_routing_is_called_again() {
    let budget = Budget {
        lives: [0, 1],
        commits: [0, 1],
        ..NOTHING
    };
    breaks(Rule::OneCommitFloors, Lane::Notice, budget, &["I1", "I4"]);
}

#[test]
fn looking_only_at_the_last_attempt_sends_after_an_unknown_one() {
    breaks(Rule::LookAtAllAttempts, Lane::Otp, NOTHING, &["I2", "I6"]);
}

#[test]
fn open_work_that_is_kept_outlives_its_owner() {
    let budget = Budget {
        lives: [1, 0],
        commits: [1, 0],
        parks: 1,
        ..NOTHING
    };
    holds_with("parking", lanes(), depth().min(2), budget);
}

#[test]
fn floors_that_pass_a_copy_before_it_is_read_back_lose_the_message() {
    let rule = Rule::Parking(Parked::FloorsBeforeReadBack);
    let budget = Budget {
        lives: [1, 0],
        commits: [1, 0],
        parks: 1,
        delays: 1,
        ..NOTHING
    };
    breaks(rule, Lane::Notice, budget, &["I3"]);
}

#[test]
fn floors_that_pass_the_end_before_the_tombstones_end_a_message_twice() {
    let rule = Rule::Parking(Parked::FloorsBeforeTombstones);
    let budget = Budget {
        lives: [1, 0],
        commits: [1, 0],
        parks: 1,
        ..NOTHING
    };
    breaks(rule, Lane::Notice, budget, &["I4"]);
}
