//! What processes hand over, and what becomes of it: queues, acknowledgements, the log.

use std::rc::Rc;

use super::{
    check,
    explorer::Broken,
    log::{Kind, Rec, Role, T, Writer},
    owner::{Effects, Owner},
    router_owner::Router,
    sender_owner::Sender,
    tables::Unread,
    world::{Budget, Fate, Model, Process, State},
};

impl Model {
    pub(crate) fn records(&self, state: &State, topic: T) -> Vec<Rec> {
        let log = state.log[topic as usize].iter();
        log.map(|number| *self.tables.records.get(*number))
            .collect()
    }

    pub(crate) fn append(&mut self, state: &mut State, topic: T, rec: Rec) -> Result<(), Broken> {
        let number = self.tables.records.number(Rec {
            at: state.now,
            ..rec
        });
        Rc::make_mut(&mut state.log[topic as usize]).push(number);
        self.longest = self.longest.max(state.log.iter().map(|l| l.len()).sum());
        check::appended(self, state, &rec)
    }

    pub(crate) fn end(state: &State, topic: T) -> i64 {
        state.log[topic as usize].len() as i64
    }

    pub(crate) fn unread(&self, state: &State, owner: u32) -> Unread {
        let mut unread = Unread::default();
        for (topic, next) in &self.tables.owner(owner).seat().next {
            let log = &state.log[*topic as usize];
            unread[*topic as usize] =
                log[usize::try_from(*next).unwrap().min(log.len())..].to_vec();
        }
        unread
    }

    /// A new life: its owner begins at the commit, and its `opened` are on their way.
    pub(crate) fn begin(&mut self, state: &mut State, process: u8) {
        let role = self.role(process);
        let writer = Writer {
            role,
            number: state.next_writer[role as usize],
        };
        state.next_writer[role as usize] += 1;
        let commit = self.commits.get(state.commits[role as usize]).clone();
        let lane = self.setup().lane;
        let owner = self.tables.add(match role {
            Role::Router => Owner::Router(Router::new(lane, writer, &commit)),
            Role::Sender => Owner::Sender(Sender::new(lane, writer, &commit)),
        });
        let opened = self.tables.records.number(Rec {
            writer: Some(writer),
            written: 0,
            at: 0,
            kind: Kind::Opened,
        });
        let slot = &mut state.processes[usize::from(process)];
        let (mut queue, facts) = slot
            .take()
            .map_or((Vec::new(), Vec::new()), |p| (p.queue, p.facts));
        queue.extend(role.writes().iter().map(|topic| (*topic, opened)));
        *slot = Some(Process {
            owner,
            queue,
            facts,
        });
        state.latest[role as usize] = process;
    }

    /// An owner's effects, with the fate of what counts only under it.
    pub(crate) fn take_effect(
        &mut self,
        state: &mut State,
        process: u8,
        effects: &Effects,
        fate: Fate,
    ) -> Result<(), Broken> {
        let role = self.role(process);
        if let Some(call) = &effects.call {
            check::called(self, state, call)?;
            Rc::make_mut(&mut state.calls).push(*call);
            self.called += 1;
        }
        for fact in &effects.facts {
            let (topic, rec) = fact;
            let number = self.tables.records.number(*rec);
            if let Some(p) = &mut state.processes[usize::from(process)] {
                p.facts.push((*topic, number));
                p.facts.sort_unstable();
            }
        }
        if let Some(line) = &effects.commit {
            let mut commit = self.commits.get(state.commits[role as usize]).clone();
            commit.extend(line.clone());
            state.commits[role as usize] = self.commits.number(commit);
        }
        for (topic, rec) in &effects.owned {
            self.meet(state, process, (*topic, *rec), fate)?;
        }
        Ok(())
    }

    pub(crate) fn meet(
        &mut self,
        state: &mut State,
        process: u8,
        (topic, rec): (T, Rec),
        fate: Fate,
    ) -> Result<(), Broken> {
        let at = usize::from(process);
        if matches!(fate, Fate::Written | Fate::Unacknowledged) {
            self.append(state, topic, rec)?;
        }
        let Some(mut p) = state.processes[at].clone() else {
            return Ok(());
        };
        let mine = self.tables.owner(p.owner).seat().writer;
        match fate {
            Fate::Queued => {
                let number = self.tables.records.number(rec);
                p.queue.push((topic, number));
            }
            Fate::Written if rec.kind == Kind::Opened && rec.writer == Some(mine) => {
                let log = state.log.clone();
                let end = |topic: T| log[topic as usize].len() as i64;
                p.owner = self.tables.opened(p.owner, end);
            }
            // A write of a former life of the process says nothing about this one.
            Fate::Unacknowledged | Fate::Lost if rec.writer == Some(mine) => {
                p.owner = self.tables.lose(p.owner);
            }
            Fate::Written | Fate::Unacknowledged | Fate::Lost => {}
        }
        state.processes[at] = Some(p);
        Ok(())
    }

    /// A fact is written; one that was not acknowledged will be written again.
    pub(crate) fn write_fact(
        &mut self,
        state: &mut State,
        process: u8,
        (topic, number): (T, u16),
        acknowledged: bool,
    ) -> Result<(), Broken> {
        let rec = *self.tables.records.get(number);
        if !acknowledged {
            state.budget.faults -= 1;
        } else if let Some(p) = &mut state.processes[usize::from(process)] {
            let i = p.facts.iter().position(|f| *f == (topic, number));
            i.map(|i| p.facts.remove(i));
            let life = self.tables.owner(p.owner).seat().writer.number;
            if matches!(rec.kind, Kind::Tombstone { by, .. } if by == life) {
                p.owner = self.tables.acknowledged(p.owner, rec.kind);
            }
        }
        self.append(state, topic, rec)
    }

    /// Of each key only the last record is left. A tombstone goes as well, unless a reader has passed the copy and not
    /// the tombstone: Kafka keeps them for `delete.retention.ms`, which no takeover reaches.
    pub(crate) fn compact(&mut self, state: &mut State) {
        let records = self.records(state, T::State);
        let hole = self.tables.records.number(Rec {
            writer: None,
            written: 0,
            at: 0,
            kind: Kind::Hole,
        });
        let readers: Vec<usize> = state
            .processes
            .iter()
            .flatten()
            .filter_map(|p| self.tables.owner(p.owner).seat().next.get(&T::State))
            .map(|next| *next as usize)
            .collect();
        let log = Rc::make_mut(&mut state.log[T::State as usize]);
        for (i, rec) in records.iter().enumerate() {
            let Kind::Copy { work, sequence, .. } = rec.kind else {
                continue;
            };
            let by = rec.writer.map(|w| w.number);
            let buries = |kind: &Kind| {
                matches!(*kind, Kind::Tombstone { work: w, writer, sequence: s, .. }
                    if (w, Some(writer), s) == (work, by, sequence))
            };
            for (j, other) in records.iter().enumerate() {
                if !buries(&other.kind) {
                    continue;
                }
                log[i] = hole;
                if !readers.iter().any(|next| (i + 1..=j).contains(next)) {
                    log[j] = hole;
                }
            }
        }
    }

    pub(crate) fn request(&mut self, state: &mut State, message: u8) -> Result<(), Broken> {
        let rec = Rec {
            writer: None,
            written: 0,
            at: 0,
            kind: Kind::Request { message },
        };
        self.append(state, T::Requests, rec)
    }

    pub(crate) fn deliver(
        &mut self,
        state: &mut State,
        process: u8,
        topic: T,
        fate: Fate,
    ) -> Result<(), Broken> {
        Self::spend(&mut state.budget, fate);
        let Some(p) = &mut state.processes[usize::from(process)] else {
            return Ok(());
        };
        let Some(i) = p.queue.iter().position(|(t, _)| *t == topic) else {
            return Ok(());
        };
        let (_, number) = p.queue.remove(i);
        let rec = *self.tables.records.get(number);
        self.meet(state, process, (topic, rec), fate)
    }

    pub(crate) fn read_one(
        &mut self,
        state: &mut State,
        process: u8,
        topic: T,
    ) -> Result<bool, Broken> {
        let Some(p) = &mut state.processes[usize::from(process)] else {
            return Ok(false);
        };
        let seat = self.tables.owner(p.owner).seat();
        if !seat.may_read(topic) {
            return Ok(false);
        }
        let next = seat.next[&topic];
        let Some(record) = state.log[topic as usize].get(next as usize) else {
            return Ok(false);
        };
        p.owner = self.tables.read(p.owner, topic, *record, state.now);
        Ok(true)
    }

    pub(crate) fn read_all(&mut self, state: &mut State, process: u8) -> Result<(), Broken> {
        for topic in self.role(process).reads() {
            while self.read_one(state, process, *topic)? {}
        }
        check::same_winner(self, state, process)
    }

    pub(crate) fn spend(budget: &mut Budget, fate: Fate) {
        match fate {
            Fate::Written => {}
            Fate::Queued => budget.delays = budget.delays.saturating_sub(1),
            Fate::Unacknowledged | Fate::Lost => budget.faults -= 1,
        }
    }
}
