//! Owning partitions: the one shared mechanism by which a role folds the log into state and acts on it.
//!
//! For each partition that it is given, an owner appends `opened` with a new random writer number wherever it will
//! write, folds every topic from its floor to the end seen after that was acknowledged, and only then acts. What it
//! writes counts only until another `opened` of its role; when it meets one, or the broker does not acknowledge a
//! record, it drops the partition's work and takes over again. State changes only by reading records back.
//!
//! The committed offset is what was processed; the metadata keeps the floor, the role's mark and who could write
//! before the floor, all topics of a partition in one commit.

mod dead_letter;
mod driver;
mod outbox;

use std::collections::BTreeMap;

use jixinda_schemas::{Topic, WriterId};

pub use dead_letter::{DEAD_LETTER_BYTES, dead_letter};
pub use driver::run;
pub use outbox::{Outbox, Write};

pub use super::seat::Floor;
use super::{Record, fence::Standing};

/// What a role reads and writes.
#[derive(Clone, Debug)]
pub struct Spec {
    /// `router`, or `senders.<pool>`: names the group and the writer.
    pub role: String,
    /// Co-partitioned topics, all folded.
    pub reads: Vec<Topic>,
    /// Topics that get an `opened`. One that is not among `reads` holds no state: nothing is folded from it.
    pub writes: Vec<Topic>,
    /// The compacted one of `reads` with the role's own copies of open work: folded to its end before the others.
    pub kept: Option<Topic>,
}

/// The instance's part of the whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Partitions held for over a second.
    pub held: usize,
    pub total: usize,
}

impl Share {
    /// 0 to 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        self.held as f64 / self.total.max(1) as f64
    }

    /// This instance's part of so many places: whole ones, and one at least while it holds anything.
    #[must_use]
    pub fn places(self, of: u32) -> f64 {
        (f64::from(of) * self.fraction()).ceil()
    }
}

/// Marks of the last commit, by topic.
pub type Marks = BTreeMap<Topic, i64>;

/// A role's own part: pure folding and acting; the driver does the rest.
pub trait Role: Send + 'static {
    /// State of one partition.
    type Partition;

    /// A partition is about to be folded from its floors. `marks` are those of the last commit.
    fn open(&mut self, partition: i32, writer: &WriterId, marks: &Marks) -> Self::Partition;

    /// Takes one record into the state. Must not act. Called for `Stale` records too, since facts of a claim that
    /// counted still count.
    fn fold(&mut self, state: &mut Self::Partition, record: &Record<'_>, standing: Standing);

    /// Everything up to the takeover's end was folded; `act` follows.
    fn caught_up(&mut self, state: &mut Self::Partition);

    /// A record whose fold panicked was dead-lettered. The message, if there is one, must end as failed.
    fn poisoned(&mut self, state: &mut Self::Partition, record: &Record<'_>);

    /// Looks for what to do and writes it. Called often; must be cheap when nothing changed.
    fn act(&mut self, state: &mut Self::Partition, share: Share, out: &mut Outbox);

    /// A record that was written with this token was acknowledged.
    fn acknowledged(&mut self, state: &mut Self::Partition, token: u64);

    /// Everything in the kept topic was folded; the other topics follow.
    fn restored(&mut self, state: &mut Self::Partition);

    /// Whether the kept topic still has records of earlier owners; without any, their `opened` may go.
    fn inherits(&self, state: &Self::Partition) -> bool;

    /// What the partition still needs.
    fn floors(&self, state: &Self::Partition) -> BTreeMap<Topic, Floor>;

    /// The floors that were asked for last are committed.
    fn committed(&mut self, state: &mut Self::Partition);

    /// Topics of the partition to pause now; all others are resumed.
    fn paused(&self, state: &Self::Partition) -> Vec<Topic>;

    /// The partition is gone: work not written is dropped, its next owner does it. Only facts may be written.
    fn close(&mut self, partition: i32, state: Self::Partition, out: &mut Outbox);

    /// Once in a while, whatever is held; for results of calls and the like.
    fn tick(&mut self, share: Share, out: &mut Outbox);

    /// Stop taking new work; returns whether work is still in flight that is worth waiting for.
    fn drain(&mut self) -> bool;
}
