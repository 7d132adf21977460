//! An owner's seat at one partition: whose records count there, and whether the owner may act. Pure.
//!
//! Invariants: an owner acts only after its `opened` was acknowledged in every topic that it writes and everything up
//! to the ends seen after that was folded; kept state is folded before anything else; a foreign `opened` of its role
//! that comes after its own ends it. All topics of a partition are committed together.

use std::collections::{BTreeMap, BTreeSet};

use jixinda_schemas::{Topic, WriterId};
use serde::{Deserialize, Serialize};

use super::fence::{Fence, Standing, Writers};

/// How far a topic's floor may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floor {
    /// Lowest offset that is still needed; absent means that everything read so far is done with.
    pub offset: Option<i64>,
    /// A second offset for the role's own use, kept in the commit.
    pub mark: Option<i64>,
}

/// Commit metadata of one topic of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Where a takeover starts to read.
    #[serde(rename = "f")]
    pub floor: i64,
    /// See [`Floor::mark`].
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<i64>,
    /// Who counted just before the floor.
    #[serde(rename = "w", default, skip_serializing_if = "Writers::is_empty")]
    pub writers: Writers,
}

impl Metadata {
    /// Reads what a commit kept; without any, everything before the committed offset is done with.
    #[must_use]
    pub fn read(offset: i64, metadata: &str) -> Self {
        serde_json::from_str(metadata).unwrap_or_else(|_| Self {
            floor: offset,
            ..Self::default()
        })
    }

    /// As the commit keeps it.
    #[must_use]
    #[expect(clippy::expect_used, reason = "numbers and short names are JSON")]
    pub fn write(&self) -> String {
        serde_json::to_string(self).expect("metadata is JSON")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// So many topics have not acknowledged our `opened`.
    Opening {
        left: usize,
    },
    /// Folding up to these ends.
    Folding {
        ends: BTreeMap<Topic, i64>,
    },
    Acting,
    /// Another writer opened the partition, or a write failed.
    Lost,
}

/// What a record is to the owner that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// To be folded.
    Fold(Standing),
    /// An `opened`: nothing to fold.
    Opened,
    /// An `opened` of a successor, seen for the first time: the owner may not act any more.
    Succeeded,
    /// Kept state comes first, and what lies beyond the ends last: to be read again later.
    TooEarly,
}

/// One owner at one partition.
#[derive(Clone, Debug)]
pub struct Seat {
    writer: WriterId,
    /// Folded to its end before the others.
    kept: Option<Topic>,
    kept_read: bool,
    fences: BTreeMap<Topic, Fence>,
    /// Topics in which our own `opened` was read.
    own_opened: BTreeSet<Topic>,
    phase: Phase,
}

impl Seat {
    /// Takes the seat: `writes` topics are to get an `opened` by `writer`. `committed` is what the last commit kept;
    /// `kept` is the topic of kept state, for a role that has one.
    #[must_use]
    pub fn take(
        writer: WriterId,
        writes: usize,
        committed: BTreeMap<Topic, Metadata>,
        kept: Option<Topic>,
    ) -> Self {
        let fences = committed
            .into_iter()
            .map(|(topic, m)| (topic, Fence::from_base(m.writers)))
            .collect();
        Self {
            writer,
            kept,
            kept_read: kept.is_none(),
            fences,
            own_opened: BTreeSet::new(),
            phase: Phase::Opening { left: writes },
        }
    }

    /// Who sits here.
    #[must_use]
    pub const fn writer(&self) -> &WriterId {
        &self.writer
    }

    /// One topic acknowledged our `opened`.
    pub fn opened(&mut self) {
        if let Phase::Opening { left } = &mut self.phase {
            *left = left.saturating_sub(1);
        }
    }

    /// Whether the ends of all topics are to be asked now.
    #[must_use]
    pub fn wants_ends(&self) -> bool {
        self.phase == Phase::Opening { left: 0 }
    }

    /// The ends, asked after every `opened` was acknowledged: everything before them is to be folded first.
    pub fn fold_to(&mut self, ends: BTreeMap<Topic, i64>) {
        if self.wants_ends() {
            self.phase = Phase::Folding { ends };
        }
    }

    /// Whether records of the topic may be read now.
    #[must_use]
    pub fn may_read(&self, topic: Topic) -> bool {
        let over = matches!(&self.phase, Phase::Folding { ends } if !ends.contains_key(&topic));
        !over && (self.kept_read || self.kept == Some(topic))
    }

    /// Whether a takeover has to read other topics first: what is beyond the ends may be about records of another topic
    /// that are beyond its end too, and so not known yet.
    fn is_beyond(&self, topic: Topic, offset: i64) -> bool {
        let Phase::Folding { ends } = &self.phase else {
            return false;
        };
        ends.get(&topic).is_none_or(|end| offset >= *end)
    }

    /// Looks how far reading has come; `next` gives the next offset of a topic.
    pub fn advance(&mut self, next: impl Fn(Topic) -> Option<i64>) -> Advance {
        let Phase::Folding { ends } = &mut self.phase else {
            return Advance::None;
        };
        ends.retain(|topic, end| next(*topic).is_none_or(|next| next < *end));
        if ends.is_empty() {
            self.kept_read = true;
            self.phase = Phase::Acting;
            return Advance::Acting;
        }
        if !self.kept_read && self.kept.is_some_and(|kept| !ends.contains_key(&kept)) {
            self.kept_read = true;
            return Advance::KeptRead;
        }
        Advance::None
    }

    /// Judges a record by its headers.
    pub fn read(
        &mut self,
        topic: Topic,
        offset: i64,
        writer: Option<&WriterId>,
        is_opened: bool,
    ) -> Read {
        if !self.may_read(topic) || self.is_beyond(topic, offset) {
            return Read::TooEarly;
        }
        let fence = self.fences.entry(topic).or_default();
        if !is_opened {
            return Read::Fold(fence.standing(writer));
        }
        let Some(writer) = writer else {
            return Read::Opened;
        };
        fence.open(offset, writer.clone());
        if *writer == self.writer {
            self.own_opened.insert(topic);
        } else if writer.role == self.writer.role
            && self.own_opened.contains(&topic)
            && self.phase != Phase::Lost
        {
            self.phase = Phase::Lost;
            return Read::Succeeded;
        }
        Read::Opened
    }

    /// A write was not acknowledged: it may be in the log or not, so the seat is to be taken anew.
    pub fn lose(&mut self) {
        self.phase = Phase::Lost;
    }

    /// Whether the owner may write what counts only under it.
    #[must_use]
    pub fn may_act(&self) -> bool {
        self.phase == Phase::Acting
    }

    /// Whether it is to be taken anew.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.phase == Phase::Lost
    }

    /// What the commit of a topic keeps, when reading stands at `next` and the role needs what `floor` says.
    pub fn metadata(&mut self, topic: Topic, next: i64, floor: Floor) -> Metadata {
        let Floor { offset, mark } = floor;
        let floor = offset.unwrap_or(next).min(next);
        let writers = self.fences.entry(topic).or_default().raise(floor).clone();
        Metadata {
            floor,
            mark,
            writers,
        }
    }
}

/// How far a takeover has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// No further.
    None,
    /// Kept state was folded: the other topics may be read.
    KeptRead,
    /// Everything was folded: the owner acts from now on.
    Acting,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(number: u64) -> WriterId {
        WriterId {
            role: "router".into(),
            number,
        }
    }

    fn seat(kept: Option<Topic>) -> Seat {
        Seat::take(writer(2), 2, BTreeMap::new(), kept)
    }

    #[test]
    fn metadata_reads_back_and_its_absence_means_the_committed_offset() {
        let m = Metadata {
            floor: 7,
            mark: Some(9),
            writers: Writers::from([("router".into(), u64::MAX)]),
        };
        assert_eq!(Metadata::read(12, &m.write()), m);
        let absent = Metadata {
            floor: 12,
            ..Metadata::default()
        };
        assert_eq!(Metadata::read(12, ""), absent);
    }

    #[test]
    fn it_acts_only_after_every_opened_is_acknowledged_and_everything_before_was_folded() {
        let mut s = seat(None);
        s.opened();
        assert!(!s.wants_ends());
        s.opened();
        assert!(s.wants_ends() && !s.may_act());
        s.fold_to(BTreeMap::from([(Topic::Attempts, 5), (Topic::Outcomes, 0)]));
        assert_eq!(s.advance(|_| Some(4)), Advance::None);
        assert!(!s.may_act());
        assert_eq!(s.advance(|_| Some(5)), Advance::Acting);
        assert!(s.may_act());
    }

    #[test]
    fn kept_state_is_read_before_anything_else() {
        let mut s = seat(Some(Topic::State));
        assert!(s.may_read(Topic::State) && !s.may_read(Topic::Attempts));
        assert_eq!(s.read(Topic::Attempts, 0, None, false), Read::TooEarly);
        s.opened();
        s.opened();
        s.fold_to(BTreeMap::from([(Topic::State, 3), (Topic::Attempts, 3)]));
        let next = |state| move |t| Some(if t == Topic::State { state } else { 0 });
        assert_eq!(s.advance(next(2)), Advance::None);
        assert_eq!(s.advance(next(3)), Advance::KeptRead);
        assert_eq!(
            s.read(Topic::Attempts, 0, None, false),
            Read::Fold(Standing::Open)
        );
        assert_eq!(s.advance(|_| Some(3)), Advance::Acting);
    }

    #[test]
    fn nothing_beyond_the_ends_is_read_before_all_of_them_are_reached() {
        let mut s = seat(None);
        s.opened();
        s.opened();
        s.fold_to(BTreeMap::from([(Topic::Attempts, 2), (Topic::Outcomes, 1)]));
        assert_eq!(s.read(Topic::Attempts, 2, None, false), Read::TooEarly);
        assert_eq!(
            s.advance(|t| Some(if t == Topic::Attempts { 2 } else { 0 })),
            Advance::None
        );
        assert!(!s.may_read(Topic::Attempts) && s.may_read(Topic::Outcomes));
        assert_eq!(
            s.advance(|t| Some(if t == Topic::Attempts { 2 } else { 1 })),
            Advance::Acting
        );
        let read = s.read(Topic::Attempts, 2, None, false);
        assert_eq!(read, Read::Fold(Standing::Open));
    }

    #[test]
    fn a_successor_ends_it_and_one_before_its_own_opened_does_not() {
        let mut s = seat(None);
        let (own, other) = (writer(2), writer(3));
        assert_eq!(s.read(Topic::Attempts, 0, Some(&other), true), Read::Opened);
        assert_eq!(s.read(Topic::Attempts, 1, Some(&own), true), Read::Opened);
        assert_eq!(
            s.read(Topic::Attempts, 2, Some(&other), false),
            Read::Fold(Standing::Stale)
        );
        assert_eq!(s.read(Topic::Outcomes, 0, Some(&other), true), Read::Opened);
        assert!(!s.is_lost());
        assert_eq!(
            s.read(Topic::Attempts, 3, Some(&other), true),
            Read::Succeeded
        );
        assert!(s.is_lost());
        assert_eq!(
            s.read(Topic::Attempts, 4, Some(&writer(4)), true),
            Read::Opened
        );
    }
}
