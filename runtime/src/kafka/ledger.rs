//! What is still open, and so how far the floors may go. Pure.
//!
//! Work is opened by a record of an ordered source (`requests.*` for the router, `dispatch.*` for senders) and has
//! facts in other topics. Invariant: from the floors on, every record of every piece of work that was opened at or
//! after its source's floor can be read again, or a copy of the work that is kept elsewhere ([`super::parking`]) has
//! it. So the oldest open work of a source holds that source, and all work opened after it, ended or not, holds the
//! facts; parked work holds only the facts that came after its copy was taken.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::Hash,
};

use jixinda_schemas::Topic;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// A copy is kept elsewhere; only later facts are needed.
    Parked,
    Ended,
}

/// The first fact in each topic that has one.
type Facts = Vec<(Topic, i64)>;

#[derive(Clone, Debug, Default)]
struct Needs {
    first: Facts,
    /// Since a copy was taken that is on its way.
    since_copy: Option<Facts>,
}

impl Needs {
    fn note(&mut self, topic: Topic, offset: i64) {
        for facts in [Some(&mut self.first), self.since_copy.as_mut()]
            .into_iter()
            .flatten()
        {
            note(facts, topic, offset);
        }
    }

    /// The copy is safe: what came before it is not needed any more. False when none was taken.
    fn copied(&mut self) -> bool {
        let copied = self.since_copy.take();
        let was = copied.is_some();
        if let Some(since) = copied {
            self.first = since;
        }
        was
    }
}

#[derive(Clone, Debug)]
struct Slot<K> {
    offset: i64,
    key: K,
    state: State,
    needs: Needs,
}

/// Open work of one partition.
#[derive(Clone, Debug)]
pub struct Ledger<K> {
    sources: BTreeMap<Topic, VecDeque<Slot<K>>>,
    /// Where the work of a key stands: its source and the offset that opened it.
    index: HashMap<K, (Topic, i64)>,
    /// Parked work whose source need not be read again.
    away: HashMap<K, Needs>,
    /// Facts whose work was not opened yet: read from another topic earlier.
    orphans: HashMap<K, Facts>,
}

impl<K> Default for Ledger<K> {
    fn default() -> Self {
        Self {
            sources: BTreeMap::new(),
            index: HashMap::new(),
            away: HashMap::new(),
            orphans: HashMap::new(),
        }
    }
}

fn note(first: &mut Facts, topic: Topic, offset: i64) {
    match first.iter_mut().find(|(t, _)| *t == topic) {
        Some((_, o)) => *o = (*o).min(offset),
        None => first.push((topic, offset)),
    }
}

impl<K: Clone + Eq + Hash> Ledger<K> {
    /// Work opened by the record at `offset` of `source`; offsets of a source come in order. A key whose work is open
    /// or parked is not opened again: a parked one is known to stand at that record. One whose work has ended is, as
    /// new work.
    pub fn open(&mut self, source: Topic, offset: i64, key: K) -> bool {
        if self
            .slot(&key)
            .is_some_and(|slot| slot.state != State::Ended)
        {
            return false;
        }
        let parked = self.away.remove(&key);
        let state = if parked.is_some() {
            State::Parked
        } else {
            State::Open
        };
        let mut needs = parked.unwrap_or_default();
        for (topic, offset) in self.orphans.remove(&key).unwrap_or_default() {
            needs.note(topic, offset);
        }
        self.index.insert(key.clone(), (source, offset));
        self.sources.entry(source).or_default().push_back(Slot {
            offset,
            key,
            state,
            needs,
        });
        self.pass(source);
        state == State::Open
    }

    /// Work that was parked before this owner came.
    pub fn restore(&mut self, key: K) {
        if !self.index.contains_key(&key) {
            self.away.entry(key).or_default();
        }
    }

    /// A fact about `key`. A fact of unknown work holds its topic until the work is opened or [`Ledger::forget_orphans`].
    pub fn fact(&mut self, key: &K, topic: Topic, offset: i64) {
        match self.needs(key) {
            Some(needs) => needs.note(topic, offset),
            None => note(self.orphans.entry(key.clone()).or_default(), topic, offset),
        }
    }

    /// A copy of the work as it is now is on its way to where it is kept.
    pub fn copy_taken(&mut self, key: &K) {
        if let Some(needs) = self.needs(key) {
            needs.since_copy = Some(Facts::new());
        }
    }

    /// The copy that was taken last is safe.
    pub fn parked(&mut self, key: &K) {
        if let Some(needs) = self.away.get_mut(key) {
            needs.copied();
            return;
        }
        let Some((source, _)) = self.index.get(key).copied() else {
            return;
        };
        if let Some(slot) = self.slot(key)
            && slot.needs.copied()
            && slot.state == State::Open
        {
            slot.state = State::Parked;
        }
        self.pass(source);
    }

    /// The work of `key` needs nothing any more, and no copy of it is left.
    pub fn end(&mut self, key: &K) {
        if self.away.remove(key).is_some() {
            return;
        }
        let Some((source, _)) = self.index.get(key).copied() else {
            return;
        };
        if let Some(slot) = self.slot(key) {
            slot.state = State::Ended;
        }
        self.pass(source);
    }

    /// Lets go of what no open work holds.
    fn pass(&mut self, source: Topic) {
        let Some(slots) = self.sources.get_mut(&source) else {
            return;
        };
        while slots.front().is_some_and(|slot| slot.state != State::Open) {
            let Some(slot) = slots.pop_front() else { break };
            if self.index.get(&slot.key) == Some(&(source, slot.offset)) {
                self.index.remove(&slot.key);
                if slot.state == State::Parked {
                    self.away.insert(slot.key, slot.needs);
                }
            }
        }
    }

    /// Drops facts whose work lies before the floors, and so never comes: called when a takeover has read everything.
    /// Returns the keys.
    pub fn forget_orphans(&mut self) -> Vec<K> {
        self.orphans.drain().map(|(key, _)| key).collect()
    }

    /// Drops the facts of one key whose work never comes.
    pub fn forget_orphan(&mut self, key: &K) {
        self.orphans.remove(key);
    }

    /// Whether the key's work is still in the ledger, ended or not.
    #[must_use]
    pub fn knows(&self, key: &K) -> bool {
        self.index.contains_key(key) || self.away.contains_key(key)
    }

    /// Whether the record that opened the work need not be read again: true once a commit was made after that.
    #[must_use]
    pub fn is_past(&self, key: &K) -> bool {
        !self.index.contains_key(key)
    }

    /// Whether the work holds facts that no copy of it has, and none is on its way.
    #[must_use]
    pub fn holds_facts(&mut self, key: &K) -> bool {
        self.needs(key)
            .is_some_and(|needs| needs.since_copy.is_none() && !needs.first.is_empty())
    }

    /// The oldest open work of each source.
    pub fn oldest(&self) -> impl Iterator<Item = &K> {
        self.sources
            .values()
            .filter_map(|slots| slots.front().map(|slot| &slot.key))
    }

    /// Open work of a source of which no copy was taken, oldest first.
    pub fn unparked(&self, source: Topic) -> impl Iterator<Item = &K> {
        let slots = self.sources.get(&source).into_iter().flatten();
        slots
            .filter(|slot| slot.state == State::Open && slot.needs.since_copy.is_none())
            .map(|slot| &slot.key)
    }

    /// Work in the ledger, ended or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len() + self.away.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty() && self.away.is_empty()
    }

    /// The lowest offset that is still needed, for each topic that has any; topics not named need nothing.
    #[must_use]
    pub fn floors(&self) -> BTreeMap<Topic, i64> {
        let mut floors = BTreeMap::new();
        let mut need = |topic: Topic, offset: i64| {
            floors
                .entry(topic)
                .and_modify(|o: &mut i64| *o = (*o).min(offset))
                .or_insert(offset);
        };
        for (source, slots) in &self.sources {
            if let Some(front) = slots.front() {
                need(*source, front.offset);
            }
            for (topic, offset) in slots.iter().flat_map(|slot| &slot.needs.first) {
                need(*topic, *offset);
            }
        }
        let away = self.away.values().flat_map(|needs| &needs.first);
        for (topic, offset) in away.chain(self.orphans.values().flatten()) {
            need(*topic, *offset);
        }
        floors
    }

    fn needs(&mut self, key: &K) -> Option<&mut Needs> {
        if self.index.contains_key(key) {
            return self.slot(key).map(|slot| &mut slot.needs);
        }
        self.away.get_mut(key)
    }

    fn slot(&mut self, key: &K) -> Option<&mut Slot<K>> {
        let (source, offset) = self.index.get(key)?;
        let slots = self.sources.get_mut(source)?;
        // One record may open several pieces of work.
        let first = slots.partition_point(|slot| slot.offset < *offset);
        slots
            .range_mut(first..)
            .take_while(|slot| slot.offset == *offset)
            .find(|slot| slot.key == *key)
    }
}

#[cfg(test)]
mod tests;
