//! Copies of open work in the compacted topic `state`, and when they may go. Pure.
//!
//! Each copy is a record with a key of its own, made of the work, the writer and a number, since compaction keeps the
//! last record of a key and one that does not count must never take the place of one that does. Of several copies that
//! count, the last one in the log was folded furthest.
//!
//! Invariant: at any moment, what a takeover finds (the copies, and every topic from its committed floor on) has all
//! that is known of each piece of work. Hence the order: a copy is read back before the floors pass what is in it
//! ([`Ledger::parked`](super::ledger::Ledger::parked)) and before older copies get their tombstones. When the work has
//! ended, the copies get theirs only after a commit by which the record that opened it is not read again, and the
//! floors pass its end only after all tombstones are acknowledged.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::{self, Display},
    hash::Hash,
    str::FromStr,
};

use super::fence::Standing;

/// Tells the copies of all works and writers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Copy {
    /// Number of the writer.
    pub writer: u64,
    /// Counts the copies that it wrote.
    pub sequence: u64,
}

/// Key of a record in `state`: `<work>/<writer, 16 hex digits>/<sequence>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key<K> {
    pub work: K,
    pub copy: Copy,
}

impl<K: Display> Display for Key<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Copy { writer, sequence } = self.copy;
        write!(f, "{}/{writer:016x}/{sequence}", self.work)
    }
}

/// The bytes are no key of a copy.
#[derive(Debug, thiserror::Error)]
#[error("not a key of the state topic: write <work>/<writer>/<sequence>")]
pub struct BadKey;

impl<K: FromStr> Key<K> {
    /// Reads a record key.
    ///
    /// # Errors
    /// When the bytes have another form.
    pub fn read(bytes: &[u8]) -> Result<Self, BadKey> {
        let text = std::str::from_utf8(bytes).map_err(|_| BadKey)?;
        let mut parts = text.rsplitn(3, '/');
        let (sequence, writer, work) = (parts.next(), parts.next(), parts.next());
        let copy = Copy {
            writer: u64::from_str_radix(writer.ok_or(BadKey)?, 16).map_err(|_| BadKey)?,
            sequence: sequence.ok_or(BadKey)?.parse().map_err(|_| BadKey)?,
        };
        let work = work.ok_or(BadKey)?.parse().map_err(|_| BadKey)?;
        Ok(Self { work, copy })
    }
}

#[derive(Clone, Debug, Default)]
struct Copies {
    /// Written by this owner, not read back yet.
    on_its_way: Option<Copy>,
    /// The one that counts.
    standing: Option<Copy>,
    /// To get a tombstone, or with one that is not acknowledged.
    leaving: BTreeSet<Copy>,
    ended: bool,
    /// The copy that counted got a tombstone of an earlier owner, who so knew that the work has ended.
    unparked: bool,
}

impl Copies {
    fn is_gone(&self) -> bool {
        self.on_its_way.is_none() && self.standing.is_none() && self.leaving.is_empty()
    }
}

/// What a copy that was read is to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// This owner's own, now safe: the floors may pass what is in it.
    Own,
    /// Of an earlier owner: the work stands as the copy says, whatever earlier copies said.
    Inherited,
    /// It does not count.
    Stale,
}

/// The copies of one partition.
#[derive(Clone, Debug)]
pub struct Parking<K> {
    writer: u64,
    written: u64,
    on_their_way: usize,
    /// Copies of other writers that have no acknowledged tombstone.
    foreign: usize,
    works: HashMap<K, Copies>,
    /// Copies that are to get their tombstone now.
    due: Vec<Key<K>>,
    /// Works that have ended, until a commit lets their copies go.
    ending: Vec<K>,
}

impl<K: Clone + Eq + Hash> Parking<K> {
    /// As an owner with this writer number finds it: nothing was read yet.
    #[must_use]
    pub fn new(writer: u64) -> Self {
        Self {
            writer,
            written: 0,
            on_their_way: 0,
            foreign: 0,
            works: HashMap::new(),
            due: Vec::new(),
            ending: Vec::new(),
        }
    }

    /// A copy of the work is about to be written: its key, or `None` while another one is on its way or the work ended.
    pub fn write(&mut self, work: K) -> Option<Key<K>> {
        let copies = self.works.entry(work.clone()).or_default();
        if copies.on_its_way.is_some() || copies.ended {
            return None;
        }
        self.written += 1;
        let copy = Copy {
            writer: self.writer,
            sequence: self.written,
        };
        copies.on_its_way = Some(copy);
        self.on_their_way += 1;
        Some(Key { work, copy })
    }

    /// A copy was read.
    pub fn read(&mut self, key: &Key<K>, standing: Standing) -> Found {
        let copies = self.works.entry(key.work.clone()).or_default();
        self.foreign += usize::from(key.copy.writer != self.writer);
        if standing != Standing::Valid {
            copies.leaving.insert(key.copy);
            self.due.push(key.clone());
            return Found::Stale;
        }
        let own = copies.on_its_way == Some(key.copy);
        if own {
            copies.on_its_way = None;
            self.on_their_way -= 1;
        }
        copies.unparked = false;
        if let Some(older) = copies.standing.replace(key.copy) {
            copies.leaving.insert(older);
            self.due.push(Key {
                work: key.work.clone(),
                copy: older,
            });
        }
        if own { Found::Own } else { Found::Inherited }
    }

    /// A tombstone was read, or one of this owner's was acknowledged. Returns the work when it has ended and was its
    /// last copy: the floors may pass its end now. `Inherited` work whose copy that counts is gone is over as well; the
    /// tombstone of one that does not count says nothing.
    pub fn gone(&mut self, key: &Key<K>) -> Gone {
        let Some(copies) = self.works.get_mut(&key.work) else {
            return Gone::More;
        };
        let left = copies.leaving.remove(&key.copy);
        let stood = copies.standing == Some(key.copy);
        if stood {
            copies.standing = None;
            copies.unparked = true;
        }
        self.foreign -= usize::from((left || stood) && key.copy.writer != self.writer);
        self.due.retain(|due| due.copy != key.copy);
        if !copies.is_gone() {
            return Gone::More;
        }
        let (ended, unparked) = (copies.ended, copies.unparked);
        self.works.remove(&key.work);
        match (ended, unparked) {
            (true, _) => Gone::Ended,
            (false, true) => Gone::Unparked,
            // Only copies that never counted: they say nothing of the work.
            (false, false) => Gone::More,
        }
    }

    /// The work has ended, by what was read. True when it has no copy: the floors may pass its end at once.
    pub fn end(&mut self, work: &K) -> bool {
        let Some(copies) = self.works.get_mut(work) else {
            return true;
        };
        if !copies.ended {
            copies.ended = true;
            self.ending.push(work.clone());
        }
        false
    }

    /// A commit was made; `past` tells whether by it the record that opened a work is not read again.
    pub fn committed(&mut self, past: impl Fn(&K) -> bool) {
        let (works, due) = (&mut self.works, &mut self.due);
        self.ending.retain(|work| {
            let Some(copies) = works.get_mut(work) else {
                return false;
            };
            if copies.on_its_way.is_some() || !past(work) {
                return true;
            }
            if let Some(copy) = copies.standing.take() {
                copies.leaving.insert(copy);
                due.push(Key {
                    work: work.clone(),
                    copy,
                });
            }
            false
        });
    }

    /// Copies that are to get their tombstones now; each is given once.
    pub fn take_due(&mut self) -> Vec<Key<K>> {
        std::mem::take(&mut self.due)
    }

    /// Whether the work has a copy, or one is on its way.
    #[must_use]
    pub fn has(&self, work: &K) -> bool {
        self.works.contains_key(work)
    }

    /// Whether a copy of the work was written and not read back.
    #[must_use]
    pub fn is_on_its_way(&self, work: &K) -> bool {
        let copies = self.works.get(work);
        copies.is_some_and(|copies| copies.on_its_way.is_some())
    }

    /// Copies written and not read back.
    #[must_use]
    pub const fn on_their_way(&self) -> usize {
        self.on_their_way
    }

    /// Whether copies of earlier owners are left.
    #[must_use]
    pub const fn inherits(&self) -> bool {
        self.foreign > 0
    }

    /// Works that have a copy.
    #[must_use]
    pub fn len(&self) -> usize {
        self.works.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.works.is_empty()
    }
}

/// What is left of a work's copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// Others are left, or it never counted.
    More,
    /// None, and the work has ended.
    Ended,
    /// None, though nothing told this owner that the work has ended: an earlier owner knew.
    Unparked,
}

#[cfg(test)]
mod tests;
