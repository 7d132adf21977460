//! An owner of the partition, of either role: what it may do, and what comes of it.

use jixinda_runtime::kafka::seat::Advance;

use super::{
    log::{Answer, Key, Kind, Rec, T, Work},
    router_owner::Router,
    seat::{Commit, Seat},
    sender_owner::Sender,
    world::Setup,
};

/// What a vendor does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    Accepts,
    Rejects,
    /// It takes the message, and the sender cannot know.
    TakesSilently,
    /// It does not take the message, and the sender cannot know.
    LosesSilently,
}

impl Reply {
    pub(crate) const ALL: [Self; 4] = [
        Self::Accepts,
        Self::Rejects,
        Self::TakesSilently,
        Self::LosesSilently,
    ];

    pub(crate) fn answer(self) -> Answer {
        match self {
            Self::Accepts => Answer::Accepted,
            Self::Rejects => Answer::Rejected,
            Self::TakesSilently | Self::LosesSilently => Answer::Unknown,
        }
    }

    pub(crate) fn taken(self) -> bool {
        matches!(self, Self::Accepts | Self::TakesSilently)
    }
}

/// Something that an owner does by what it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    Route {
        key: Key,
        channel: u8,
    },
    Withdraw(Key),
    /// Outcome or correction.
    End(u8),
    Claim(Key),
    GiveBack {
        key: Key,
        expired: bool,
    },
    /// The vendor call on a claim that won.
    Call(Reply),
    /// Without the rule of read-back: claim and call at once.
    ClaimAndCall(Key, Reply),
    /// The claim that won is too old, or the message is.
    NotCalled,
    /// Foreign claims without a result end as unknown.
    Abandon,
    /// Reads only: what waits from its first read begins to wait.
    Idle,
    /// A copy of open work for `state`.
    Park(Work),
    /// The tombstones that are due.
    Bury,
    /// All floors, or without the rule only one.
    Commit(Option<T>),
    /// Takes over again.
    Retake,
}

/// A call as it reaches the vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    pub(crate) key: Key,
    pub(crate) channel: u8,
    pub(crate) call: u16,
    pub(crate) reply: Reply,
}

/// What an act does outside its owner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// Counts only under this owner.
    pub(crate) owned: Vec<(T, Rec)>,
    /// Written until it is acknowledged, whoever owns the partition.
    pub(crate) facts: Vec<(T, Rec)>,
    pub(crate) call: Option<Call>,
    pub(crate) commit: Option<Commit>,
}

#[derive(Clone, Debug)]
pub(crate) enum Owner {
    Router(Router),
    Sender(Sender),
}

impl Owner {
    pub(crate) fn seat(&self) -> &Seat {
        match self {
            Self::Router(o) => &o.seat,
            Self::Sender(o) => &o.seat,
        }
    }

    fn seat_mut(&mut self) -> &mut Seat {
        match self {
            Self::Router(o) => &mut o.seat,
            Self::Sender(o) => &mut o.seat,
        }
    }

    fn advance(&mut self, setup: &Setup) {
        loop {
            match (self.seat_mut().advance(), &mut *self) {
                (Advance::KeptRead, Self::Router(o)) => o.restored(),
                (Advance::Acting, Self::Router(o)) => return o.caught_up(setup),
                (Advance::Acting, Self::Sender(o)) => return o.caught_up(),
                (Advance::KeptRead | Advance::None, _) => return,
            }
        }
    }

    pub(crate) fn read(&mut self, topic: T, rec: &Rec, now: u16, setup: &Setup) {
        match self {
            Self::Router(o) => o.read(topic, rec, setup),
            Self::Sender(o) => o.read(topic, rec, now, setup),
        }
        self.advance(setup);
    }

    pub(crate) fn opened(&mut self, ends: impl Fn(T) -> i64, setup: &Setup) {
        self.seat_mut().opened(ends);
        self.advance(setup);
    }

    /// A write was not acknowledged.
    pub(crate) fn lose(&mut self) {
        self.seat_mut().seat.lose();
    }

    /// What it may do now.
    pub(crate) fn acts(&self, now: u16, setup: &Setup) -> Vec<Act> {
        let seat = &self.seat().seat;
        if seat.is_lost() {
            return vec![Act::Retake];
        }
        if !seat.may_act() {
            return Vec::new();
        }
        let mut acts = match self {
            Self::Router(o) => o.acts(now, setup),
            Self::Sender(o) => o.acts(now, setup),
        };
        if setup.rules.one_commit {
            acts.push(Act::Commit(None));
        } else {
            let reads = self.seat().role().reads();
            acts.extend(reads.iter().map(|topic| Act::Commit(Some(*topic))));
        }
        acts
    }

    pub(crate) fn act(&mut self, act: Act, now: u16, setup: &Setup) -> Effects {
        if let Act::Commit(only) = act {
            let mut line = match self {
                Self::Router(o) => {
                    let floors = o.floors();
                    o.seat.commit(&floors)
                }
                Self::Sender(o) => {
                    let floors = o.floors();
                    o.seat.commit(&floors)
                }
            };
            if let Self::Router(o) = self {
                o.committed();
            }
            line.retain(|topic, _| only.is_none_or(|t| t == *topic));
            return Effects {
                commit: Some(line),
                ..Effects::default()
            };
        }
        match self {
            Self::Router(o) => o.act(act, now, setup),
            Self::Sender(o) => o.act(act, now, setup),
        }
    }

    /// A fact of this owner was acknowledged.
    pub(crate) fn acknowledged(&mut self, kind: Kind) {
        if let Self::Router(o) = self {
            o.acknowledged(kind);
        }
    }

    /// Claims of others, as far as they have been read: they wait from their first read.
    pub(crate) fn foreign(&self) -> usize {
        match self {
            Self::Router(_) => 0,
            Self::Sender(o) => o.foreign,
        }
    }
}
