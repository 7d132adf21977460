//! Random steps, one record at a time: for worlds too large to visit every state.

use super::{
    explorer::Random,
    log::Role,
    owner::Act,
    tables::Move,
    world::{Action, Model, State},
};

/// Chooses a step; `None` when none was possible in many tries.
pub(crate) fn pick(model: &mut Model, state: &State, random: &mut Random) -> Option<Action> {
    for _ in 0..64 {
        let options = match random.below(60) {
            0 => ambient(model, state, random),
            1..=25 => read(model, state, random),
            _ => act(model, state, random),
        };
        if !options.is_empty() {
            let i = random.below(options.len());
            return options.into_iter().nth(i);
        }
    }
    None
}

/// Mostly one that was begun last: others are zombies, which do little.
fn some_process(state: &State, random: &mut Random) -> u8 {
    if random.one_in(3) {
        random.below(state.processes.len()) as u8
    } else {
        state.latest[random.below(2)]
    }
}

fn read(model: &Model, state: &State, random: &mut Random) -> Vec<Action> {
    let process = some_process(state, random);
    let Some(p) = &state.processes[usize::from(process)] else {
        return Vec::new();
    };
    let next = &model.tables.owner(p.owner).seat().next;
    next.iter()
        .filter(|(topic, next)| **next < Model::end(state, **topic))
        .filter(|(topic, _)| model.tables.owner(p.owner).seat().may_read(**topic))
        .map(|(topic, _)| Action::Read {
            process,
            topic: *topic,
        })
        .collect()
}

fn act(model: &mut Model, state: &State, random: &mut Random) -> Vec<Action> {
    let process = some_process(state, random);
    let Some(p) = state.processes[usize::from(process)].clone() else {
        return Vec::new();
    };
    let mut options = Vec::new();
    let mut acts = (*model.tables.acts(p.owner, state.now)).clone();
    // Reads are steps of their own here.
    acts.retain(|act| *act != Act::Idle);
    if !random.one_in(6) {
        acts.retain(|act| !matches!(act, Act::Commit(_) | Act::Park(_)));
    }
    if !acts.is_empty() {
        let act = acts[random.below(acts.len())];
        let (after, effects) = model.tables.act(p.owner, act, state.now);
        let step = Move {
            act,
            after,
            effects,
            read: [0; 6],
        };
        model.with_fates(state, process, &step, &mut options);
        // Most writes are written.
        if !random.one_in(8) {
            options.truncate(1);
        }
    }
    if options.is_empty() || random.one_in(3) {
        let mut waiting = model.on_its_way(state, process);
        if !waiting.is_empty() && !random.one_in(8) {
            waiting.retain(|action| {
                matches!(
                    action,
                    Action::Deliver {
                        fate: super::world::Fate::Written,
                        ..
                    } | Action::Fact {
                        acknowledged: true,
                        ..
                    }
                )
            });
        }
        options.extend(waiting);
    }
    options
}

fn ambient(model: &Model, state: &State, random: &mut Random) -> Vec<Action> {
    let mut options = Vec::new();
    for role in Role::ALL {
        if let Some(process) = model.free(state, role) {
            options.push(Action::Start { role, process });
        }
    }
    if state.budget.ticks > 0 && random.one_in(2) {
        options.push(Action::Tick);
    }
    if state.budget.compactions > 0 && random.one_in(4) {
        options.push(Action::Compact);
    }
    if state.budget.jumps > 0 && random.one_in(4) {
        options.push(Action::Jump);
    }
    if state.budget.requests > 0 {
        let message = random.below(usize::from(model.setup().messages) + 1) as u8;
        options.push(Action::Request { message });
    }
    let process = some_process(state, random);
    if random.one_in(4) && state.processes[usize::from(process)].is_some() {
        options.push(Action::Crash { process });
    }
    options.extend(Model::receipts(state));
    options
}
