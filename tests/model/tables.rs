//! States of owners, each kept once and known by a number; what follows from one is computed once. So the shipped code
//! runs for each state of an owner that differs, not for each state of the world.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    rc::Rc,
};

use super::{
    fingerprint,
    log::{Kind, Rec, T},
    owner::{Act, Effects, Owner},
    world::Setup,
};

/// Values known by a number.
#[derive(Debug)]
pub(crate) struct Numbered<V> {
    values: Vec<V>,
    numbers: HashMap<V, u16>,
}

impl<V: Clone + Eq + Hash> Numbered<V> {
    pub(crate) fn new() -> Self {
        Self {
            values: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    pub(crate) fn number(&mut self, value: V) -> u16 {
        if let Some(number) = self.numbers.get(&value) {
            return *number;
        }
        let number = u16::try_from(self.values.len()).unwrap();
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }

    pub(crate) fn get(&self, number: u16) -> &V {
        &self.values[usize::from(number)]
    }
}

/// Reads, then one act: the smallest reads that lead to it.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    pub(crate) act: Act,
    pub(crate) after: u32,
    pub(crate) effects: Rc<Effects>,
    /// Records read of each topic.
    pub(crate) read: [u8; 6],
}

/// An owner, the time, and what it has not read.
type Reading = (u32, u16, Box<[u16]>);

/// Records of each topic that an owner has not read.
pub(crate) type Unread = [Vec<u16>; 6];

#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) setup: Setup,
    pub(crate) records: Numbered<Rec>,
    owners: Vec<Rc<Owner>>,
    numbers: HashMap<u128, u32>,
    /// Whether equal states get equal numbers; walks meet few states twice.
    pub(crate) remember: bool,
    reads: HashMap<(u32, T, u16, u16), u32>,
    acts: HashMap<(u32, u16), Rc<Vec<Act>>>,
    steps: HashMap<(u32, Act, u16), (u32, Rc<Effects>)>,
    moves: HashMap<Reading, Rc<Vec<Move>>>,
}

impl Tables {
    pub(crate) fn new(setup: Setup) -> Self {
        Self {
            setup,
            records: Numbered::new(),
            owners: Vec::new(),
            numbers: HashMap::new(),
            remember: true,
            reads: HashMap::new(),
            acts: HashMap::new(),
            steps: HashMap::new(),
            moves: HashMap::new(),
        }
    }

    pub(crate) fn owner(&self, number: u32) -> &Rc<Owner> {
        &self.owners[number as usize]
    }

    pub(crate) fn owners(&self) -> usize {
        self.owners.len()
    }

    pub(crate) fn add(&mut self, owner: Owner) -> u32 {
        let next = self.owners.len() as u32;
        if self.remember {
            match self.numbers.entry(fingerprint::of(&owner)) {
                Entry::Occupied(known) => return *known.get(),
                Entry::Vacant(new) => drop(new.insert(next)),
            }
        }
        self.owners.push(Rc::new(owner));
        next
    }

    fn changed(&mut self, number: u32, change: impl FnOnce(&mut Owner, &Setup)) -> u32 {
        let mut owner = (*self.owners[number as usize]).clone();
        change(&mut owner, &self.setup);
        self.add(owner)
    }

    pub(crate) fn read(&mut self, number: u32, topic: T, record: u16, now: u16) -> u32 {
        let key = (number, topic, record, now);
        if let Some(after) = self.reads.get(&key) {
            return *after;
        }
        let rec = *self.records.get(record);
        let after = self.changed(number, |owner, setup| owner.read(topic, &rec, now, setup));
        if self.remember {
            self.reads.insert(key, after);
        }
        after
    }

    pub(crate) fn acts(&mut self, number: u32, now: u16) -> Rc<Vec<Act>> {
        if let Some(acts) = self.acts.get(&(number, now)) {
            return Rc::clone(acts);
        }
        let acts = Rc::new(self.owners[number as usize].acts(now, &self.setup));
        if self.remember {
            self.acts.insert((number, now), Rc::clone(&acts));
        }
        acts
    }

    pub(crate) fn act(&mut self, number: u32, act: Act, now: u16) -> (u32, Rc<Effects>) {
        if let Some((after, effects)) = self.steps.get(&(number, act, now)) {
            return (*after, Rc::clone(effects));
        }
        let mut effects = Effects::default();
        let after = self.changed(number, |owner, setup| {
            effects = owner.act(act, now, setup);
        });
        let effects = Rc::new(effects);
        if self.remember {
            self.steps
                .insert((number, act, now), (after, Rc::clone(&effects)));
        }
        (after, effects)
    }

    pub(crate) fn lose(&mut self, number: u32) -> u32 {
        self.changed(number, |owner, _| owner.lose())
    }

    pub(crate) fn acknowledged(&mut self, number: u32, kind: Kind) -> u32 {
        self.changed(number, |owner, _| owner.acknowledged(kind))
    }

    pub(crate) fn opened(&mut self, number: u32, ends: impl Fn(T) -> i64) -> u32 {
        self.changed(number, |owner, setup| owner.opened(ends, setup))
    }

    /// Every act that some order of reading `unread` leads to.
    ///
    /// Reading is seen by no one else, so it is put off until it matters: an act is left out after a read when the
    /// same act was possible before it, does the same, and the read afterwards leads to the same state.
    pub(crate) fn moves(&mut self, number: u32, now: u16, unread: &Unread) -> Rc<Vec<Move>> {
        let mut key = Vec::new();
        for topic in unread {
            key.push(u16::MAX);
            key.extend(topic);
        }
        let key = (number, now, key.into_boxed_slice());
        if let Some(moves) = self.moves.get(&key) {
            return Rc::clone(moves);
        }
        let moves = Rc::new(self.find_moves(number, now, unread));
        self.moves.insert(key, Rc::clone(&moves));
        moves
    }

    fn find_moves(&mut self, number: u32, now: u16, unread: &Unread) -> Vec<Move> {
        struct Node {
            owner: u32,
            read: [u8; 6],
            /// Number of a node before it, and what was read since.
            before: Vec<(usize, T, u16)>,
        }
        let mut nodes = vec![Node {
            owner: number,
            read: [0; 6],
            before: Vec::new(),
        }];
        let mut known = HashMap::from([(number, 0_usize)]);
        let topics = self.owner(number).seat().role().reads();
        let mut i = 0;
        while i < nodes.len() {
            for topic in self.may_read(nodes[i].owner, topics) {
                let (owner, mut read) = (nodes[i].owner, nodes[i].read);
                let at = topic as usize;
                let Some(record) = unread[at].get(usize::from(read[at])).copied() else {
                    continue;
                };
                let after = self.read(owner, topic, record, now);
                read[at] += 1;
                let next = *known.entry(after).or_insert_with(|| {
                    nodes.push(Node {
                        owner: after,
                        read,
                        before: Vec::new(),
                    });
                    nodes.len() - 1
                });
                nodes[next].before.push((i, topic, record));
            }
            i += 1;
        }
        let foreign = self.owner(number).foreign();
        let mut moves = Vec::new();
        for node in &nodes {
            for act in self.acts(node.owner, now).iter() {
                if *act == Act::Idle && self.owner(node.owner).foreign() == foreign {
                    continue;
                }
                let (after, effects) = self.act(node.owner, *act, now);
                let put_off = node.before.iter().any(|(before, topic, record)| {
                    let before = nodes[*before].owner;
                    if !self.acts(before, now).contains(act)
                        || (*act == Act::Idle && self.owner(before).foreign() == foreign)
                    {
                        return false;
                    }
                    let (then, same) = self.act(before, *act, now);
                    same == effects && self.read(then, *topic, *record, now) == after
                });
                if !put_off {
                    moves.push(Move {
                        act: *act,
                        after,
                        effects,
                        read: node.read,
                    });
                }
            }
        }
        moves
    }

    /// Topics that an owner may read next. While it takes over it does nothing between its reads, so it reads one topic
    /// after another, each of them first once; the walks read in any order.
    fn may_read(&self, number: u32, topics: &[T]) -> Vec<T> {
        let seat = self.owner(number).seat();
        if seat.seat.may_act() || seat.seat.is_lost() {
            return topics.to_vec();
        }
        let Some(ends) = &seat.ends else {
            return Vec::new();
        };
        let may = |topic: &T| seat.may_read(*topic);
        match seat.reading {
            Some(topic) if ends.contains_key(&topic) => vec![topic],
            Some(topic) if topic != T::State => ends.keys().copied().take(1).collect(),
            _ => ends.keys().copied().filter(may).collect(),
        }
    }
}
