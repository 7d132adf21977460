//! What is still open, and so how far the floors may go. Pure.
//!
//! Work is opened by a record of an ordered source (`requests.*` for the router, `dispatch.*` for senders) and has
//! facts in other topics. Invariant: from the floors on, every record of every piece of work that was opened at or
//! after its source's floor can be read again. So the oldest open work of a source holds that source, and all work
//! opened after it, ended or not, holds the facts.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::Hash,
};

use jixinda_schemas::Topic;

#[derive(Clone, Debug)]
struct Slot<K> {
    offset: i64,
    key: K,
    ended: bool,
    /// First fact in each topic that has one.
    first: Vec<(Topic, i64)>,
}

/// Open work of one partition.
#[derive(Clone, Debug)]
pub struct Ledger<K> {
    sources: BTreeMap<Topic, VecDeque<Slot<K>>>,
    /// Where the work of a key stands: its source and the offset that opened it.
    index: HashMap<K, (Topic, i64)>,
    /// Facts whose work was not opened yet: read from another topic earlier.
    orphans: HashMap<K, Vec<(Topic, i64)>>,
}

impl<K> Default for Ledger<K> {
    fn default() -> Self {
        Self {
            sources: BTreeMap::new(),
            index: HashMap::new(),
            orphans: HashMap::new(),
        }
    }
}

fn note(first: &mut Vec<(Topic, i64)>, topic: Topic, offset: i64) {
    match first.iter_mut().find(|(t, _)| *t == topic) {
        Some((_, o)) => *o = (*o).min(offset),
        None => first.push((topic, offset)),
    }
}

impl<K: Clone + Eq + Hash> Ledger<K> {
    /// Work opened by the record at `offset` of `source`; offsets of a source come in order. A key whose work is open
    /// is not opened again; one whose work has ended is, as new work.
    pub fn open(&mut self, source: Topic, offset: i64, key: K) -> bool {
        if self.slot(&key).is_some_and(|slot| !slot.ended) {
            return false;
        }
        let first = self.orphans.remove(&key).unwrap_or_default();
        self.index.insert(key.clone(), (source, offset));
        self.sources.entry(source).or_default().push_back(Slot {
            offset,
            key,
            ended: false,
            first,
        });
        true
    }

    /// A fact about `key`. A fact of unknown work holds its topic until the work is opened or [`Ledger::forget_orphans`].
    pub fn fact(&mut self, key: &K, topic: Topic, offset: i64) {
        match self.slot(key) {
            Some(slot) => note(&mut slot.first, topic, offset),
            None => note(self.orphans.entry(key.clone()).or_default(), topic, offset),
        }
    }

    /// The work of `key` needs nothing any more.
    pub fn end(&mut self, key: &K) {
        let Some((source, _)) = self.index.get(key).copied() else {
            return;
        };
        if let Some(slot) = self.slot(key) {
            slot.ended = true;
        }
        let Some(slots) = self.sources.get_mut(&source) else {
            return;
        };
        while slots.front().is_some_and(|slot| slot.ended) {
            if let Some(slot) = slots.pop_front()
                && self.index.get(&slot.key) == Some(&(source, slot.offset))
            {
                self.index.remove(&slot.key);
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

    /// Whether the key's work is opened and still in the ledger, ended or not.
    #[must_use]
    pub fn knows(&self, key: &K) -> bool {
        self.index.contains_key(key)
    }

    /// The oldest open work of each source.
    pub fn oldest(&self) -> impl Iterator<Item = &K> {
        self.sources
            .values()
            .filter_map(|slots| slots.front().map(|slot| &slot.key))
    }

    /// Work in the ledger, ended or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
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
            for (topic, offset) in slots.iter().flat_map(|slot| &slot.first) {
                need(*topic, *offset);
            }
        }
        for (topic, offset) in self.orphans.values().flatten() {
            need(*topic, *offset);
        }
        floors
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOURCE: Topic = Topic::RequestsOtp;

    #[test]
    fn the_oldest_open_work_holds_its_source_and_later_work_holds_its_facts() {
        let mut l = Ledger::default();
        for (offset, key) in [(3, 'a'), (4, 'b'), (5, 'c')] {
            assert!(l.open(SOURCE, offset, key));
        }
        l.fact(&'c', Topic::Attempts, 7);
        l.fact(&'b', Topic::Attempts, 9);
        l.fact(&'c', Topic::Attempts, 12);
        l.end(&'c');
        assert_eq!(
            l.floors(),
            BTreeMap::from([(SOURCE, 3), (Topic::Attempts, 7)])
        );
        l.end(&'a');
        assert_eq!(
            l.floors(),
            BTreeMap::from([(SOURCE, 4), (Topic::Attempts, 7)])
        );
        l.end(&'b');
        assert!(l.floors().is_empty() && l.is_empty());
    }

    #[test]
    fn a_fact_read_before_its_work_holds_its_topic() {
        let mut l = Ledger::default();
        l.fact(&'a', Topic::Attempts, 7);
        assert_eq!(l.floors(), BTreeMap::from([(Topic::Attempts, 7)]));
        l.open(SOURCE, 3, 'a');
        l.end(&'a');
        assert!(l.floors().is_empty());
    }

    #[test]
    fn a_key_used_again_is_new_work_though_older_work_still_keeps_its_first() {
        let mut l = Ledger::default();
        l.open(SOURCE, 1, 'a');
        l.open(SOURCE, 2, 'b');
        assert!(!l.open(SOURCE, 3, 'b'));
        l.end(&'b');
        assert!(l.open(SOURCE, 4, 'b'));
        l.end(&'a');
        assert_eq!(l.floors(), BTreeMap::from([(SOURCE, 4)]));
        l.end(&'b');
        assert!(l.is_empty());
    }

    proptest! {
        /// The invariant of the module, against a plain list of everything that happened.
        #[test]
        fn floors_never_pass_what_work_at_or_after_the_source_floor_needs(
            steps in prop::collection::vec((0_u8..3, 0_usize..12), 1..80)
        ) {
            let mut l = Ledger::default();
            let mut opened: Vec<usize> = Vec::new();
            let mut ended = std::collections::HashSet::new();
            let mut facts: Vec<(usize, i64)> = Vec::new();
            for (i, (step, key)) in steps.iter().enumerate() {
                let at = i as i64;
                match step {
                    0 => if !opened.contains(key) && l.open(SOURCE, at, *key) { opened.push(*key); },
                    1 => { l.fact(key, Topic::Attempts, at); facts.push((*key, at)); }
                    _ => if opened.contains(key) { l.end(key); ended.insert(*key); },
                }
                let floors = l.floors();
                // Work from the first open one on, in order of opening, and work not opened yet.
                let first_open = opened.iter().position(|k| !ended.contains(k)).unwrap_or(opened.len());
                let needed = |k: &usize| match opened.iter().position(|o| o == k) {
                    Some(p) => p >= first_open,
                    None => true,
                };
                for (key, offset) in facts.iter().filter(|(k, _)| needed(k)) {
                    let floor = floors.get(&Topic::Attempts).copied();
                    prop_assert!(floor.is_some_and(|f| f <= *offset), "fact of {key} at {offset}, floor {floor:?}");
                }
            }
        }
    }
}
