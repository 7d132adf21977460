//! A router's owner of the partition: what `jixinda_router::partition` and its service do around the pure rules, for
//! small records. The state table, the remembered ids, the ledger, the seat and the parking are the shipped ones.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jixinda_router::{
    ids::{Ids, Sighting},
    message::{Entry, Step},
};
use jixinda_runtime::kafka::{fence::Standing, ledger::Ledger, parking::Parking, seat::Floor};
use jixinda_schemas::Lane;

use super::{
    log::{self, Key, Kind, Rec, Seen, T, Work, Writer},
    owner::{Act, Effects},
    seat::{self, Commit, Floors, Seat},
    world::Setup,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Nothing,
    Routing,
    Withdrawal,
    Outcome,
}

#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) entry: Entry,
    pub(super) work: Work,
    written: Written,
    /// Receipts that have copies of their own until one of this message has them.
    pub(super) receipts: Vec<i64>,
    pub(super) receipts_in_copy: Vec<i64>,
}

/// What tells two states of a message apart: the rest of an entry follows from its request.
impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let e = &self.entry;
        let outcome = e.outcome.as_ref().map(|o| (o.seq, o.outcome, o.request));
        (self.written, self.work, e.position, e.no_route, outcome).fmt(f)?;
        (e.superseded, &self.receipts, &self.receipts_in_copy).fmt(f)?;
        e.attempts.fmt(f)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Router {
    pub(crate) seat: Seat,
    pub(super) lane: Lane,
    /// Offsets below which requests were done with, and receipts read, at the last commit.
    done: i64,
    pub(super) read_before: i64,
    pub(crate) held: BTreeMap<u8, Held>,
    pub(super) ids: Ids,
    pub(super) ledger: Ledger<Work>,
    pub(super) parking: Parking<Work>,
    /// Parked work with facts that its copy lacks.
    pub(super) changed: VecDeque<Work>,
    /// Requests whose ids belong to messages that are still held.
    successors: BTreeMap<u8, VecDeque<Entry>>,
    /// Facts read before their request.
    shells: BTreeMap<u8, Vec<(T, i64, Rec)>>,
    /// Receipts that no attempt fits yet, by offset, and whether they were read before the takeover.
    pub(super) unmatched: BTreeMap<i64, (Seen, bool)>,
    pub(super) reread_to: u16,
    pub(super) closed: BTreeSet<u16>,
}

impl Router {
    pub(crate) fn new(lane: Lane, writer: Writer, commit: &Commit) -> Self {
        let mark = |topic| seat::committed(commit, topic).mark.unwrap_or(0);
        Self {
            seat: Seat::new(lane, writer, commit),
            lane,
            done: mark(T::Requests),
            read_before: mark(T::Receipts),
            held: BTreeMap::new(),
            ids: Ids::default(),
            ledger: Ledger::default(),
            parking: Parking::new(u64::from(writer.number)),
            changed: VecDeque::new(),
            successors: BTreeMap::new(),
            shells: BTreeMap::new(),
            unmatched: BTreeMap::new(),
            reread_to: 0,
            closed: BTreeSet::new(),
        }
    }

    fn acting(&self) -> bool {
        self.seat.seat.may_act()
    }

    pub(crate) fn read(&mut self, topic: T, rec: &Rec, setup: &Setup) {
        let (offset, acting) = (self.seat.next[&topic], self.acting());
        if let Some(standing) = self.seat.read(topic, rec, setup.rules) {
            match topic {
                T::Requests => self.request(offset, rec, setup),
                T::Receipts => self.receipt(offset, rec, acting),
                T::State => self.fold_kept(rec, standing, acting, setup),
                T::Dispatch | T::Attempts | T::Outcomes => {
                    self.fact(topic, offset, rec, standing, acting);
                }
            }
        }
        if acting {
            self.tidy(setup);
        }
    }

    fn request(&mut self, offset: i64, rec: &Rec, setup: &Setup) {
        let Kind::Request { message } = rec.kind else {
            return;
        };
        let (id, topic) = (log::message_id(message), T::Requests.topic(self.lane));
        let sighting = self.ids.see(topic, offset, id, 0, log::time(rec.at));
        if offset < self.done || sighting != Sighting::New {
            return;
        }
        let entry = setup.entry(message, offset, rec.at);
        let Some(former) = self.held.get_mut(&message) else {
            let work = if self.ledger.knows(&Work::Message(message)) {
                Work::Again(message, offset)
            } else {
                Work::Message(message)
            };
            self.ledger.open(topic, offset, work);
            self.insert(message, entry, work);
            return;
        };
        if former.entry.position == entry.position {
            let work = former.work;
            self.ledger.open(topic, offset, work);
            return;
        }
        former.entry.superseded = true;
        self.ledger
            .open(topic, offset, Work::Again(message, offset));
        self.successors.entry(message).or_default().push_back(entry);
    }

    /// As a copy in `state` has it; what was read before it is in it.
    pub(super) fn restore_message(&mut self, message: u8, entry: Entry, work: Work) {
        let held = Held {
            entry,
            work,
            written: Written::Nothing,
            receipts: Vec::new(),
            receipts_in_copy: Vec::new(),
        };
        self.held.insert(message, held);
    }

    pub(super) fn insert(&mut self, message: u8, entry: Entry, work: Work) {
        self.restore_message(message, entry, work);
        let acting = self.acting();
        for (topic, offset, rec) in self.shells.remove(&message).unwrap_or_default() {
            self.take_fact(message, topic, offset, rec, acting);
        }
        self.match_waiting();
    }

    /// Notes a fact of a message's work.
    pub(super) fn note(&mut self, message: u8, topic: T, offset: i64) {
        let Some(work) = self.held.get(&message).map(|held| held.work) else {
            return;
        };
        if self.ledger.knows(&work) {
            let first = !self.ledger.holds_facts(&work);
            self.ledger.fact(&work, topic.topic(self.lane), offset);
            if first && self.parking.has(&work) {
                self.changed.push_back(work);
            }
        }
    }

    fn fact(&mut self, topic: T, offset: i64, rec: &Rec, standing: Standing, acting: bool) {
        let valid = standing == Standing::Valid;
        let message = match rec.kind {
            Kind::Routed { key, .. } | Kind::Started { key, .. } | Kind::NotStarted { key, .. }
                if valid =>
            {
                key.message
            }
            Kind::Finished { key, .. } => key.message,
            Kind::Outcome { message, .. } if valid => message,
            _ => return,
        };
        self.take_fact(message, topic, offset, *rec, acting);
    }

    fn take_fact(&mut self, message: u8, topic: T, offset: i64, rec: Rec, acting: bool) {
        if self.is_of_held(message, &rec) {
            self.note(message, topic, offset);
            self.apply(message, &rec);
        } else if !acting || self.successors.contains_key(&message) {
            let held = self.held.get(&message);
            let work = held.map_or(Work::Message(message), |held| held.work);
            self.ledger.fact(&work, topic.topic(self.lane), offset);
            let shells = self.shells.entry(message).or_default();
            shells.push((topic, offset, rec));
        }
    }

    /// The shipped rule compares ids of attempts, which follow from the same.
    fn is_of_held(&self, message: u8, rec: &Rec) -> bool {
        let request = match rec.kind {
            Kind::Routed { key, .. }
            | Kind::Started { key, .. }
            | Kind::NotStarted { key, .. }
            | Kind::Finished { key, .. } => key.request,
            Kind::Outcome { request, .. } => request,
            _ => return false,
        };
        let held = self.held.get(&message);
        held.is_some_and(|held| held.entry.position.offset == i64::from(request))
    }

    fn apply(&mut self, message: u8, rec: &Rec) {
        let lane = self.lane;
        let Some(held) = self.held.get_mut(&message) else {
            return;
        };
        let entry = &mut held.entry;
        match rec.kind {
            Kind::Routed { .. } => {
                if let Some(routed) = log::routed(lane, rec) {
                    entry.routed(&routed);
                }
                held.written = Written::Nothing;
            }
            Kind::Started { key, channel, call } => {
                entry.started(&log::started(lane, rec, key, channel, call));
            }
            Kind::NotStarted {
                key,
                channel,
                expired,
            } => {
                let event = log::not_started(lane, key, channel, expired);
                entry.not_started(&event, log::time(rec.at));
                if held.written == Written::Withdrawal {
                    held.written = Written::Nothing;
                }
            }
            Kind::Finished {
                key,
                channel,
                call,
                answer,
            } => {
                let event = log::finished(lane, key, channel, call, answer);
                entry.finished(&event, log::time(rec.at));
            }
            Kind::Outcome {
                request,
                seq,
                terminal,
                reason,
                ..
            } => {
                let outcome = log::outcome(lane, request, seq, terminal, reason);
                if entry.ended(outcome) {
                    held.written = Written::Nothing;
                }
            }
            _ => {}
        }
        self.match_waiting();
    }

    fn close(&mut self, message: u8, setup: &Setup) {
        let Some(held) = self.held.remove(&message) else {
            return;
        };
        let calls = held.entry.attempts.iter().filter_map(|a| a.call_id());
        self.closed.extend(calls.map(|call| call.0 as u16));
        self.end(held.work, setup);
        for offset in held.receipts.iter().chain(&held.receipts_in_copy) {
            self.end(Work::Receipt(*offset), setup);
        }
        let waiting = self.successors.get_mut(&message);
        let next = waiting.and_then(|w| Some((w.pop_front()?, w.is_empty())));
        if let Some((mut entry, last)) = next {
            entry.superseded = !last;
            if last {
                self.successors.remove(&message);
            }
            let work = Work::Again(message, entry.position.offset);
            self.insert(message, entry, work);
        }
    }

    pub(crate) fn caught_up(&mut self, setup: &Setup) {
        let successors = &self.successors;
        self.shells
            .retain(|message, _| successors.contains_key(message));
        self.ledger.forget_orphans();
        let past: Vec<i64> = self
            .unmatched
            .iter()
            .filter(|(_, (seen, reread))| self.is_past(*seen, *reread))
            .map(|(offset, _)| *offset)
            .collect();
        for offset in past {
            self.unmatched.remove(&offset);
            self.end(Work::Receipt(offset), setup);
        }
        self.tidy(setup);
    }

    /// Messages that need nothing any more leave.
    fn tidy(&mut self, setup: &Setup) {
        let over = |held: &Held| {
            held.entry.outcome.is_some()
                && held.written == Written::Nothing
                && matches!(Self::step(held, u16::MAX, setup), Step::Wait(_))
                && (held.entry.superseded || !held.entry.may_be_corrected())
        };
        let gone: Vec<u8> = self
            .held
            .iter()
            .filter(|(_, held)| over(held))
            .map(|(message, _)| *message)
            .collect();
        for message in gone {
            self.close(message, setup);
        }
    }

    /// The step of the state table. Without the rule of all attempts, only the last one is looked at.
    fn step(held: &Held, now: u16, setup: &Setup) -> Step {
        let now = log::time(now);
        if setup.rules.all_attempts {
            return held.entry.next(now, setup.deadlines);
        }
        let mut entry = held.entry.clone();
        let last = entry.attempts.pop();
        entry.attempts = last.into_iter().collect();
        entry.next(now, setup.deadlines)
    }

    /// The first channel that the message was not tried on.
    fn channel(entry: &Entry, setup: &Setup) -> Option<u8> {
        (0..setup.channels).find(|channel| {
            let id = log::channel_id(*channel);
            let mut there = entry.attempts.iter().filter(|a| a.channel == id);
            there.all(|a| a.retry_same_at().is_some())
        })
    }

    pub(crate) fn acts(&self, now: u16, setup: &Setup) -> Vec<Act> {
        let mut acts = Vec::new();
        for (message, held) in &self.held {
            if held.written != Written::Nothing {
                continue;
            }
            let key = |n| Key {
                message: *message,
                request: held.entry.position.offset as u8,
                n: n as u8,
            };
            match Self::step(held, now, setup) {
                Step::Wait(_) => {}
                Step::Decide(_) => acts.push(match Self::channel(&held.entry, setup) {
                    Some(channel) => Act::Route {
                        key: key(held.entry.next_n()),
                        channel,
                    },
                    // Ends as without a route.
                    None => Act::End(*message),
                }),
                Step::Withdraw(n) => acts.push(Act::Withdraw(key(n))),
                Step::End(..) | Step::Correct(..) => acts.push(Act::End(*message)),
            }
        }
        acts.extend(self.to_park().into_iter().map(Act::Park));
        if !self.parking.clone().take_due().is_empty() {
            acts.push(Act::Bury);
        }
        acts
    }

    pub(crate) fn act(&mut self, act: Act, now: u16, setup: &Setup) -> Effects {
        let writer = self.seat.writer;
        let rec = |kind| Rec {
            writer: Some(writer),
            written: now,
            at: 0,
            kind,
        };
        let mut effects = Effects::default();
        match act {
            Act::Route { key, channel } => {
                if let Some(held) = self.held.get_mut(&key.message) {
                    held.written = Written::Routing;
                    let kind = Kind::Routed {
                        key,
                        channel,
                        accepted: log::tick(held.entry.accepted_at),
                    };
                    effects.owned.push((T::Dispatch, rec(kind)));
                }
            }
            Act::Withdraw(key) => {
                if let Some(held) = self.held.get_mut(&key.message) {
                    held.written = Written::Withdrawal;
                    let attempt = held.entry.attempts.iter().find(|a| a.n == u16::from(key.n));
                    let channel = attempt.map_or(0, |a| log::channel_of(&a.channel));
                    let kind = Kind::NotStarted {
                        key,
                        channel,
                        expired: false,
                    };
                    effects.owned.push((T::Attempts, rec(kind)));
                }
            }
            Act::End(message) => {
                if let Some(held) = self.held.get_mut(&message)
                    && let Some(kind) = Self::ending(held, message, now, setup)
                {
                    effects.owned.push((T::Outcomes, rec(kind)));
                    held.written = Written::Outcome;
                }
            }
            Act::Park(work) => {
                if let Some(kind) = self.copy_of(work, setup) {
                    effects.owned.push((T::State, rec(kind)));
                }
            }
            Act::Bury => {
                let due = self.parking.take_due().into_iter();
                let tombstones = due.map(|key| (T::State, super::kept::tombstone(key, writer)));
                effects.facts.extend(tombstones);
            }
            _ => {}
        }
        effects
    }

    fn ending(held: &mut Held, message: u8, now: u16, setup: &Setup) -> Option<Kind> {
        if matches!(Self::step(held, now, setup), Step::Decide(_)) {
            held.entry.no_route = true;
        }
        let (Step::End(terminal, reason) | Step::Correct(terminal, reason)) =
            Self::step(held, now, setup)
        else {
            return None;
        };
        let event = held.entry.outcome_event(terminal, reason, log::time(now));
        Some(Kind::Outcome {
            message,
            request: event.request.offset as u8,
            seq: event.seq as u8,
            terminal: event.outcome,
            reason: log::reason_number(reason),
        })
    }

    /// Whether it has the message of a request, or one that waits for another of its id.
    pub(crate) fn holds(&self, message: u8, request: u8) -> bool {
        let held = self.held.get(&message).map(|held| &held.entry);
        let waiting = self.successors.get(&message).into_iter().flatten();
        let mut all = held.into_iter().chain(waiting);
        all.any(|entry| entry.position.offset == i64::from(request))
    }

    pub(crate) fn floors(&self) -> Floors {
        let open = self.ledger.floors();
        let floor = |offset| Floor {
            offset: Some(offset),
            mark: None,
        };
        let mut floors: Floors = T::ALL
            .into_iter()
            .filter_map(|t| Some((t, floor(*open.get(&t.topic(self.lane))?))))
            .collect();
        let topic = T::Requests.topic(self.lane);
        let next = self.seat.next[&T::Requests];
        let mark = open.get(&topic).copied().unwrap_or(next);
        let requests = self.ids.floor(topic).unwrap_or(mark).min(mark);
        floors.insert(
            T::Requests,
            Floor {
                offset: Some(requests),
                mark: Some(mark),
            },
        );
        let read = self.seat.next[&T::Receipts].max(self.read_before);
        floors.entry(T::Receipts).or_default().mark = Some(read);
        floors.insert(T::State, floor(0));
        floors
    }
}
