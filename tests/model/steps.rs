//! What may happen next, and the moves of owners.

use super::{
    check,
    explorer::Broken,
    log::{Kind, Role, T},
    owner::Act,
    tables::Move,
    world::{Action, Fate, Model, Process, State},
};

impl Model {
    /// Everything that is possible from what a process may do by its next reads.
    pub(crate) fn moves(&mut self, state: &State, process: u8, options: &mut Vec<Action>) {
        let Some(p) = state.processes[usize::from(process)].clone() else {
            return;
        };
        let unread = self.unread(state, p.owner);
        for step in self.tables.moves(p.owner, state.now, &unread).iter() {
            self.with_fates(state, process, step, options);
        }
        options.extend(self.on_its_way(state, process));
    }

    /// What may become of what a process has handed to its producer.
    pub(crate) fn on_its_way(&self, state: &State, process: u8) -> Vec<Action> {
        let mut options = Vec::new();
        let Some(p) = &state.processes[usize::from(process)] else {
            return options;
        };
        let mut topics: Vec<T> = p.queue.iter().map(|(topic, _)| *topic).collect();
        topics.sort_unstable();
        topics.dedup();
        for topic in topics {
            for fate in Self::fates(state, false) {
                options.push(Action::Deliver {
                    process,
                    topic,
                    fate,
                });
            }
        }
        let mut facts = p.facts.clone();
        facts.dedup();
        facts.retain(|(_, fact)| !self.is_behind(p, *fact));
        for (topic, fact) in facts {
            for acknowledged in [true, false] {
                if acknowledged || state.budget.faults > 0 {
                    options.push(Action::Fact {
                        process,
                        topic,
                        fact,
                        acknowledged,
                    });
                }
            }
        }
        options
    }

    /// A producer keeps the order of a message's records: no result is written before its claim.
    fn is_behind(&self, p: &Process, fact: u16) -> bool {
        let Kind::Finished { call: of, .. } = self.tables.records.get(fact).kind else {
            return false;
        };
        let mut queued = p
            .queue
            .iter()
            .map(|(_, n)| self.tables.records.get(*n).kind);
        queued.any(|kind| matches!(kind, Kind::Started { call, .. } if call == of))
    }

    pub(crate) fn fates(state: &State, may_wait: bool) -> Vec<Fate> {
        let mut fates = vec![Fate::Written];
        if may_wait && state.budget.delays > 0 {
            fates.push(Fate::Queued);
        }
        if state.budget.faults > 0 {
            fates.extend([Fate::Unacknowledged, Fate::Lost]);
        }
        fates
    }

    /// Whether the world has room for a move, and the ways that its writes may go.
    pub(crate) fn with_fates(
        &self,
        state: &State,
        process: u8,
        step: &Move,
        options: &mut Vec<Action>,
    ) {
        let role = self.role(process) as usize;
        let room = match step.act {
            Act::Commit(_) => {
                let mut commit = self.commits.get(state.commits[role]).clone();
                commit.extend(step.effects.commit.clone().unwrap_or_default());
                state.budget.commits[role] > 0
                    && state.latest[role] == process
                    && commit != *self.commits.get(state.commits[role])
            }
            Act::Retake => state.budget.lives[role] > 0,
            Act::Park(_) => state.budget.parks > 0,
            Act::Idle => state.budget.ticks > 0,
            Act::GiveBack { expired: false, .. } => state.budget.give_backs > 0,
            _ => true,
        };
        if !room {
            return;
        }
        let push = |fate| Action::Move {
            process,
            step: step.clone(),
            fate,
        };
        let Some((topic, _)) = step.effects.owned.first() else {
            options.push(push(Fate::Written));
            return;
        };
        let p = state.processes[usize::from(process)].as_ref();
        if p.is_some_and(|p| p.queue.iter().any(|(t, _)| t == topic)) {
            // Behind what waits: a producer keeps the order of a partition.
            options.push(push(Fate::Queued));
            return;
        }
        options.extend(Self::fates(state, true).into_iter().map(push));
    }

    pub(crate) fn moved(
        &mut self,
        state: &mut State,
        process: u8,
        step: &Move,
        fate: Fate,
    ) -> Result<(), Broken> {
        let role = self.role(process) as usize;
        if let Some(p) = &mut state.processes[usize::from(process)] {
            p.owner = step.after;
        }
        match step.act {
            Act::Commit(_) => state.budget.commits[role] -= 1,
            Act::GiveBack { expired: false, .. } => state.budget.give_backs -= 1,
            Act::Park(_) => state.budget.parks -= 1,
            Act::Retake => {
                state.budget.lives[role] -= 1;
                self.take_effect(state, process, &step.effects, fate)?;
                self.begin(state, process);
                return Ok(());
            }
            _ => {}
        }
        Self::spend(&mut state.budget, fate);
        self.take_effect(state, process, &step.effects, fate)?;
        if step.read == [0; 6] {
            return Ok(());
        }
        check::same_winner(self, state, process)
    }

    /// Receipts that the vendor may send.
    pub(crate) fn receipts(state: &State) -> Vec<Action> {
        if state.budget.receipts == 0 {
            return Vec::new();
        }
        let taken = state.calls.iter().filter(|call| call.reply.taken());
        taken
            .flat_map(|call| {
                [true, false].map(|delivered| Action::Receipt {
                    channel: call.channel,
                    call: call.call,
                    delivered,
                })
            })
            .collect()
    }

    /// A place for a new process of the role.
    pub(crate) fn free(&self, state: &State, role: Role) -> Option<u8> {
        let all = 0..state.processes.len() as u8;
        let mut mine = all.filter(|process| self.role(*process) == role);
        let free = mine.find(|process| state.processes[usize::from(*process)].is_none());
        free.filter(|_| state.budget.lives[role as usize] > 0)
    }
}
