//! From any state, a fresh owner of each role, left alone, brings every message to its one outcome.

use jixinda_schemas::event::Terminal;

use super::{
    check,
    explorer::{Broken, Random},
    log::{Role, T},
    owner::{Act, Reply},
    tables::Move,
    world::{Fate, Model, State},
};

/// Steps of the clock after which everything must be over.
const PATIENCE: u16 = 12;
/// Acts of each role that are far more than enough.
const TURNS: usize = 1_000;

impl Model {
    /// All other processes are gone; what they had on its way is lost.
    pub(crate) fn complete(&mut self, state: &State, seed: u64) -> Result<(), Broken> {
        let called = self.called;
        let mut random = Random(seed);
        let mut state = state.clone();
        let processes = self.setup().processes;
        state.processes.fill(None);
        for role in Role::ALL {
            let process = role as u8 * processes;
            self.begin(&mut state, process);
            for topic in role.writes() {
                self.hand_over(&mut state, process, *topic)?;
            }
            self.read_all(&mut state, process)?;
        }
        let last = state.now + PATIENCE;
        let mut turns = 0;
        while state.now < last {
            turns += 1;
            if turns > TURNS {
                return Err(format!(
                    "I3: fresh owners go on for ever, {:?}",
                    self.last_act
                ));
            }
            let mut acted = false;
            for role in Role::ALL {
                acted |= self.act_fairly(&mut state, role as u8 * processes, &mut random)?;
            }
            if !acted {
                state.now += 1;
            }
        }
        self.called_after += self.called - called;
        self.all_over(&state)
    }

    fn hand_over(&mut self, state: &mut State, process: u8, topic: T) -> Result<(), Broken> {
        let action = super::world::Action::Deliver {
            process,
            topic,
            fate: Fate::Written,
        };
        *state = super::explorer::World::apply(self, state, &action)?;
        Ok(())
    }

    /// Reads everything and does the first thing that there is to do.
    fn act_fairly(
        &mut self,
        state: &mut State,
        process: u8,
        random: &mut Random,
    ) -> Result<bool, Broken> {
        self.read_all(state, process)?;
        let Some(owner) = state.processes[usize::from(process)]
            .as_ref()
            .map(|p| p.owner)
        else {
            return Ok(false);
        };
        let reply = Reply::ALL[random.below(Reply::ALL.len())];
        let acts = self.tables.acts(owner, state.now);
        let chosen = acts.iter().copied().find(|act| match act {
            Act::Call(r) | Act::ClaimAndCall(_, r) => *r == reply,
            Act::Idle | Act::Commit(_) | Act::Park(_) | Act::GiveBack { expired: false, .. } => {
                false
            }
            _ => true,
        });
        let Some(act) = chosen else {
            return Ok(false);
        };
        self.last_act = Some(act);
        let (after, effects) = self.tables.act(owner, act, state.now);
        if let Some(p) = &mut state.processes[usize::from(process)] {
            p.owner = after;
        }
        let step = Move {
            act,
            after,
            effects,
            read: [0; 6],
        };
        self.take_effect(state, process, &step.effects, Fate::Written)?;
        let facts = state.processes[usize::from(process)]
            .as_mut()
            .map(|p| p.facts.clone());
        for fact in facts.into_iter().flatten() {
            self.write_fact(state, process, fact, true)?;
        }
        Ok(true)
    }

    /// The first half of I3, and that evidence in the log was heard.
    fn all_over(&self, state: &State) -> Result<(), Broken> {
        let view = check::view(self, state, |_| usize::MAX);
        for (message, request) in &view.requests {
            let mut said = view.outcomes.iter().filter(|e| e.request == *request);
            let Some(first) = said.next() else {
                return Err(format!(
                    "I3: m{message}@{request} never gets an outcome: {view:?}"
                ));
            };
            let last = said.next_back().unwrap_or(first);
            let delivered = view.of(*request).any(|(_, seen)| seen.report == Some(true));
            if delivered && last.terminal != Terminal::Delivered && self.setup().hears_late {
                return Err(format!(
                    "I5: m{message}@{request} was delivered, and {last:?} stands"
                ));
            }
        }
        Ok(())
    }
}
