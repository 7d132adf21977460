//! A sender's owner of the partition: what `jixinda_senders::sender` does around the shipped claims.

use std::{collections::BTreeMap, time::Duration};

use jixinda_runtime::kafka::{fence::Standing, seat::Floor};
use jixinda_schemas::{CallId, Lane, Position, Timestamp, event::AttemptStarted};
use jixinda_senders::claims::{Claims, Order};

use super::{
    log::{self, Answer, Key, Kind, Rec, T, Writer},
    owner::{Act, Call, Effects, Reply},
    seat::{Commit, Floors, Seat},
    world::Setup,
};

/// Longest call.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) seat: Seat,
    lane: Lane,
    pub(crate) claims: Claims,
    /// Claims of others that were read.
    pub(crate) foreign: usize,
    /// Claims of ours, for the switches.
    mine: BTreeMap<Key, u16>,
}

fn key_of(order: &Order) -> Key {
    Key {
        message: log::message_of(order.message_id),
        request: order.routed.request.offset as u8,
        n: order.routed.n as u8,
    }
}

impl Sender {
    pub(crate) fn new(lane: Lane, writer: Writer, commit: &Commit) -> Self {
        Self {
            seat: Seat::new(lane, writer, commit),
            lane,
            claims: Claims::default(),
            foreign: 0,
            mine: BTreeMap::new(),
        }
    }

    pub(crate) fn read(&mut self, topic: T, rec: &Rec, now: u16, setup: &Setup) {
        let offset = self.seat.next[&topic];
        let standing = self.seat.read(topic, rec, setup.rules);
        if topic == T::Dispatch {
            self.claims.read_to(self.lane, log::time(rec.at));
        }
        if let Some(standing) = standing {
            self.fold(offset, rec, standing, now, setup);
        }
        self.claims.lost.clear();
        if self.seat.seat.may_act() {
            self.claims.sweep();
        }
    }

    fn fold(&mut self, offset: i64, rec: &Rec, standing: Standing, now: u16, setup: &Setup) {
        let (valid, place) = (standing == Standing::Valid, (offset, log::time(rec.at)));
        let uptime = log::uptime(now);
        match rec.kind {
            Kind::Routed { key, .. } if valid => {
                let Some(routed) = log::routed(self.lane, rec) else {
                    return;
                };
                let order = Order {
                    routed,
                    message_id: log::message_id(key.message),
                    app_id: None,
                    traceparent: None,
                    position: Position {
                        topic: T::Dispatch.topic(self.lane),
                        partition: 0,
                        offset,
                    },
                };
                let source = order.position.topic;
                self.claims.routed(source, offset, order, Duration::ZERO);
            }
            Kind::Started { key, channel, call } if valid => {
                let ours = self.mine.get(&key).copied();
                if !setup.rules.claim_order && ours.is_some_and(|mine| mine != call) {
                    return;
                }
                self.foreign += usize::from(ours != Some(call));
                let started = log::started(self.lane, rec, key, channel, call);
                let id = log::message_id(key.message);
                self.claims.started(place, id, None, started, uptime);
            }
            Kind::NotStarted {
                key,
                channel,
                expired,
            } if valid => {
                if !setup.rules.claim_order && self.mine.contains_key(&key) {
                    return;
                }
                let event = log::not_started(self.lane, key, channel, expired);
                self.claims.not_started(place, &event);
            }
            Kind::Finished {
                key,
                channel,
                call,
                answer,
            } => {
                let event = log::finished(self.lane, key, channel, call, answer);
                self.claims.finished(offset, &event);
            }
            _ => {}
        }
    }

    pub(crate) fn caught_up(&mut self) {
        self.claims.caught_up();
    }

    fn not_after_passed(order: &Order, now: Timestamp) -> bool {
        now >= order.routed.not_after
    }

    pub(crate) fn acts(&self, now: u16, setup: &Setup) -> Vec<Act> {
        let (mut acts, mut claims) = (Vec::new(), self.claims.clone());
        let (at, uptime) = (log::time(now), log::uptime(now));
        if setup.rules.read_back {
            match claims.next_won(uptime) {
                Some(won) if won.young && !Self::not_after_passed(&won.orders[0], at) => {
                    acts.extend(Reply::ALL.map(Act::Call));
                }
                Some(_) => acts.push(Act::NotCalled),
                None => {}
            }
        }
        if !claims.abandoned(uptime, TIMEOUT).is_empty() {
            acts.push(Act::Abandon);
        }
        for (order, _) in self.claims.ready.iter().flatten() {
            let key = key_of(order);
            if !self.claims.is_free(&order.key()) {
                continue;
            }
            if Self::not_after_passed(order, at) {
                acts.push(Act::GiveBack { key, expired: true });
                continue;
            }
            if setup.rules.read_back {
                acts.push(Act::Claim(key));
            } else {
                acts.extend(Reply::ALL.map(|reply| Act::ClaimAndCall(key, reply)));
            }
            acts.push(Act::GiveBack {
                key,
                expired: false,
            });
        }
        acts.push(Act::Idle);
        acts
    }

    /// Takes a routing out of those to look at.
    fn take(&mut self, key: Key) -> Option<std::sync::Arc<Order>> {
        let ready = &mut self.claims.ready[self.lane.index()];
        let i = ready.iter().position(|(order, _)| key_of(order) == key)?;
        ready.remove(i).map(|(order, _)| order)
    }

    fn claim(&mut self, key: Key, now: u16) -> Option<(Kind, Call)> {
        let order = self.take(key)?;
        // Of its own for every decision: an offset belongs to one message.
        let call = u16::from(self.seat.writer.number) * 1_000
            + u16::from(key.request) * 20
            + u16::from(key.n);
        let channel = log::channel_of(&order.routed.channel);
        self.claims
            .claimed(order.key(), CallId(u64::from(call)), log::uptime(now));
        self.mine.insert(key, call);
        let made = Call {
            key,
            channel,
            call,
            reply: Reply::Accepts,
        };
        Some((Kind::Started { key, channel, call }, made))
    }

    /// A claim does not name its request, but its attempt follows from it.
    fn key_of_claim(&self, started: &AttemptStarted, message: u8) -> Key {
        let n = started.n as u8;
        let keys = (0..u8::MAX).map(|request| Key {
            message,
            request,
            n,
        });
        let mut keys = keys.filter(|key| key.attempt_id(self.lane) == started.attempt_id);
        keys.next().unwrap()
    }

    fn finished(call: &Call, answer: Answer) -> Kind {
        Kind::Finished {
            key: call.key,
            channel: call.channel,
            call: call.call,
            answer,
        }
    }

    pub(crate) fn act(&mut self, act: Act, now: u16, _setup: &Setup) -> Effects {
        let writer = self.seat.writer;
        let rec = |kind| Rec {
            writer: Some(writer),
            written: now,
            at: 0,
            kind,
        };
        let mut effects = Effects::default();
        match act {
            Act::Claim(key) => {
                let claim = self.claim(key, now);
                let started = claim.map(|(kind, _)| (T::Attempts, rec(kind)));
                effects.owned.extend(started);
            }
            Act::ClaimAndCall(key, reply) => {
                if let Some((kind, made)) = self.claim(key, now) {
                    effects.owned.push((T::Attempts, rec(kind)));
                    effects
                        .facts
                        .push((T::Attempts, rec(Self::finished(&made, reply.answer()))));
                    effects.call = Some(Call { reply, ..made });
                }
            }
            Act::GiveBack { key, expired } => {
                if let Some(order) = self.take(key) {
                    self.claims.settling(order.key());
                    let kind = Kind::NotStarted {
                        key,
                        channel: log::channel_of(&order.routed.channel),
                        expired,
                    };
                    effects.owned.push((T::Attempts, rec(kind)));
                }
            }
            Act::Call(_) | Act::NotCalled => {
                if let Some(won) = self.claims.next_won(log::uptime(now)) {
                    let (order, id) = (&won.orders[0], won.call_id);
                    let call = Call {
                        key: key_of(order),
                        channel: log::channel_of(&order.routed.channel),
                        call: id.0 as u16,
                        reply: Reply::Accepts,
                    };
                    let answer = match act {
                        Act::Call(reply) => {
                            effects.call = Some(Call { reply, ..call });
                            reply.answer()
                        }
                        _ => Answer::NotCalled,
                    };
                    effects
                        .facts
                        .push((T::Attempts, rec(Self::finished(&call, answer))));
                }
            }
            Act::Abandon => {
                for abandoned in self.claims.abandoned(log::uptime(now), TIMEOUT) {
                    let started = &abandoned.started;
                    let kind = Kind::Finished {
                        key: self.key_of_claim(started, log::message_of(abandoned.message_id)),
                        channel: log::channel_of(&started.channel),
                        call: started.call_id.0 as u16,
                        answer: Answer::Unknown,
                    };
                    effects.facts.push((T::Attempts, rec(kind)));
                }
            }
            Act::Retake => {
                for (order, id) in self.claims.mine_uncalled() {
                    let call = Call {
                        key: key_of(order),
                        channel: log::channel_of(&order.routed.channel),
                        call: id.0 as u16,
                        reply: Reply::Accepts,
                    };
                    effects
                        .facts
                        .push((T::Attempts, rec(Self::finished(&call, Answer::NotCalled))));
                }
            }
            _ => {}
        }
        effects
    }

    pub(crate) fn floors(&self) -> Floors {
        let open = self.claims.floors();
        let reads = self.seat.role().reads().iter();
        reads
            .filter_map(|t| {
                let offset = Some(*open.get(&t.topic(self.lane))?);
                Some((*t, Floor { offset, mark: None }))
            })
            .collect()
    }
}
