//! An owner's place in a partition: the shipped seat, and how far each topic was read.

use std::collections::BTreeMap;

use jixinda_runtime::kafka::{
    fence::Standing,
    seat::{self, Advance, Floor, Metadata, Read},
};
use jixinda_schemas::Lane;

use super::{
    log::{Kind, Rec, Role, T, Writer},
    switches::Rules,
};

/// What a role has committed of the partition: the metadata of each topic, as Kafka keeps it.
pub(crate) type Commit = BTreeMap<T, String>;

/// How far a topic's floor may go, and the role's mark.
pub(crate) type Floors = BTreeMap<T, Floor>;

pub(crate) fn committed(commit: &Commit, topic: T) -> Metadata {
    commit
        .get(&topic)
        .map_or_else(Metadata::default, |text| Metadata::read(0, text))
}

#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) writer: Writer,
    pub(crate) seat: seat::Seat,
    lane: Lane,
    /// Next offset of each topic.
    pub(crate) next: BTreeMap<T, i64>,
    /// Up to where a takeover has still to read.
    pub(crate) ends: Option<BTreeMap<T, i64>>,
    /// Topic that a takeover has read last.
    pub(crate) reading: Option<T>,
}

impl Seat {
    pub(crate) fn new(lane: Lane, writer: Writer, commit: &Commit) -> Self {
        let (role, reads) = (writer.role, writer.role.reads());
        let kept = (role == Role::Router).then(|| T::State.topic(lane));
        let metadata = reads.iter().map(|t| (t.topic(lane), committed(commit, *t)));
        Self {
            writer,
            seat: seat::Seat::take(writer.id(), role.writes().len(), metadata.collect(), kept),
            lane,
            next: reads
                .iter()
                .map(|t| (*t, committed(commit, *t).floor))
                .collect(),
            ends: None,
            reading: None,
        }
    }

    /// Takes the next record of a topic; returns how it stands, or `None` when there is nothing to fold.
    pub(crate) fn read(&mut self, topic: T, rec: &Rec, rules: Rules) -> Option<Standing> {
        let offset = self.next[&topic];
        let (writer, is_opened) = (rec.writer.map(Writer::id), rec.kind == Kind::Opened);
        let name = topic.topic(self.lane);
        let read = self.seat.read(name, offset, writer.as_ref(), is_opened);
        if read == Read::TooEarly {
            return None;
        }
        self.next.insert(topic, offset + 1);
        self.reading = Some(topic);
        match read {
            _ if rec.kind == Kind::Hole => None,
            Read::Fold(Standing::Stale) if !rules.fence => Some(Standing::Valid),
            Read::Fold(standing) => Some(standing),
            Read::Opened | Read::Succeeded | Read::TooEarly => None,
        }
    }

    pub(crate) fn may_read(&self, topic: T) -> bool {
        self.seat.may_read(topic.topic(self.lane))
    }

    /// One of our `opened` was acknowledged; `ends` are those of the topics now.
    pub(crate) fn opened(&mut self, ends: impl Fn(T) -> i64) {
        self.seat.opened();
        if self.seat.wants_ends() {
            let reads = self.writer.role.reads();
            let ends: BTreeMap<T, i64> = reads.iter().map(|t| (*t, ends(*t))).collect();
            let named = ends.iter().map(|(t, end)| (t.topic(self.lane), *end));
            self.seat.fold_to(named.collect());
            self.ends = Some(ends);
        }
    }

    /// Looks how far a takeover has come.
    pub(crate) fn advance(&mut self) -> Advance {
        let next = &self.next;
        let of = |name| next.iter().find(|(t, _)| t.topic(self.lane) == name);
        let advance = self.seat.advance(|name| of(name).map(|(_, next)| *next));
        if let Some(ends) = &mut self.ends {
            ends.retain(|topic, end| next[topic] < *end);
        }
        if advance == Advance::Acting {
            self.ends = None;
        }
        if self.ends.is_none() {
            self.reading = None;
        }
        advance
    }

    pub(crate) fn commit(&mut self, floors: &Floors) -> Commit {
        let mut line = Commit::new();
        for (topic, next) in &self.next {
            let floor = floors.get(topic).copied().unwrap_or_default();
            let metadata = self.seat.metadata(topic.topic(self.lane), *next, floor);
            line.insert(*topic, metadata.write());
        }
        line
    }

    pub(crate) fn role(&self) -> Role {
        self.writer.role
    }
}
