//! Copies of the router's open work in `state`: what `jixinda_router::partition::kept` does around the shipped parking.

use jixinda_runtime::kafka::{
    fence::Standing,
    parking::{Copy, Found, Gone, Key},
};
use jixinda_schemas::Topic;

use super::{
    log::{Kept, Kind, Rec, T, Work, Writer},
    router_owner::Router,
    switches::Parked,
    world::Setup,
};

/// A tombstone names no writer; `by` is for the world, which tells the owner of the acknowledgement.
pub(super) fn tombstone(key: Key<Work>, by: Writer) -> Rec {
    Rec {
        writer: None,
        written: 0,
        at: 0,
        kind: Kind::Tombstone {
            work: key.work,
            writer: key.copy.writer as u8,
            sequence: key.copy.sequence as u8,
            by: by.number,
        },
    }
}

fn key(work: Work, writer: u8, sequence: u8) -> Key<Work> {
    Key {
        work,
        copy: Copy {
            writer: u64::from(writer),
            sequence: u64::from(sequence),
        },
    }
}

impl Router {
    pub(super) fn fold_kept(&mut self, rec: &Rec, standing: Standing, acting: bool, setup: &Setup) {
        match rec.kind {
            Kind::Tombstone {
                work,
                writer,
                sequence,
                ..
            } => match self.parking.gone(&key(work, writer, sequence)) {
                Gone::Ended => self.ledger.end(&work),
                Gone::Unparked if !acting => self.unrestore(work),
                Gone::Unparked | Gone::More => {}
            },
            Kind::Copy {
                work,
                sequence,
                kept,
            } => {
                let writer = rec.writer.map_or(0, |w| w.number);
                match self.parking.read(&key(work, writer, sequence), standing) {
                    Found::Own => {
                        self.ledger.parked(&work);
                        self.receipts_are_kept(work, setup);
                    }
                    Found::Inherited => self.restore(work, kept, setup),
                    Found::Stale => {}
                }
            }
            _ => {}
        }
    }

    fn restore(&mut self, work: Work, kept: Kept, setup: &Setup) {
        match (work, kept) {
            (Work::Message(message) | Work::Again(message, _), Kept::Message(number)) => {
                let former = self.held.remove(&message).map(|held| held.work);
                if let Some(former) = former.filter(|former| *former != work) {
                    self.end(former, setup);
                }
                self.ledger.restore(work);
                let entry = setup.snapshots.borrow().entry(number);
                self.restore_message(message, entry, work);
            }
            (Work::Receipt(offset), Kept::Receipt(seen)) => {
                self.ledger.restore(work);
                self.unmatched.insert(offset, (seen, false));
            }
            _ => {}
        }
    }

    /// An earlier owner had ended it.
    fn unrestore(&mut self, work: Work) {
        self.ledger.end(&work);
        match work {
            Work::Message(message) | Work::Again(message, _) => {
                if self
                    .held
                    .get(&message)
                    .is_some_and(|held| held.work == work)
                {
                    self.held.remove(&message);
                }
            }
            Work::Receipt(offset) => drop(self.unmatched.remove(&offset)),
        }
    }

    pub(crate) fn restored(&mut self) {
        self.ids.restored();
        self.match_waiting();
    }

    /// Work that may be copied now. The shipped router waits for its age, which a slow one may reach at any step.
    pub(super) fn to_park(&self) -> Vec<Work> {
        let (requests, receipts) = (T::Requests.topic(self.lane), Topic::ReceiptsRaw);
        let mut works: Vec<Work> = self.ledger.unparked(requests).copied().collect();
        works.extend(self.ledger.unparked(receipts));
        let mut ledger = self.ledger.clone();
        let changed = self.changed.iter().copied();
        works.extend(changed.filter(|work| ledger.holds_facts(work)));
        works.retain(|work| {
            let there = match *work {
                Work::Message(message) | Work::Again(message, _) => {
                    self.held.get(&message).is_some_and(|h| h.work == *work)
                }
                Work::Receipt(offset) => self.unmatched.contains_key(&offset),
            };
            there && self.parking.clone().write(*work).is_some()
        });
        works.sort_unstable();
        works.dedup();
        works
    }

    pub(super) fn copy_of(&mut self, work: Work, setup: &Setup) -> Option<Kind> {
        self.changed.retain(|changed| *changed != work);
        let kept = match work {
            Work::Message(message) | Work::Again(message, _) => {
                let held = self.held.get_mut(&message).filter(|h| h.work == work)?;
                held.receipts_in_copy.append(&mut held.receipts);
                Kept::Message(setup.snapshots.borrow_mut().take(&held.entry))
            }
            Work::Receipt(offset) => Kept::Receipt(self.unmatched.get(&offset)?.0),
        };
        let key = self.parking.write(work)?;
        self.ledger.copy_taken(&work);
        if setup.rules.parking == Parked::FloorsBeforeReadBack {
            self.ledger.parked(&work);
        }
        Some(Kind::Copy {
            work,
            sequence: key.copy.sequence as u8,
            kept,
        })
    }

    /// The work needs nothing any more; the floors pass it when its copies are gone.
    pub(super) fn end(&mut self, work: Work, setup: &Setup) {
        if self.parking.end(&work) || setup.rules.parking == Parked::FloorsBeforeTombstones {
            self.ledger.end(&work);
        }
        if setup.rules.parking == Parked::TombstonesBeforeCommit {
            self.parking.committed(|_| true);
        }
    }

    fn receipts_are_kept(&mut self, work: Work, setup: &Setup) {
        let (Work::Message(message) | Work::Again(message, _)) = work else {
            return;
        };
        let held = self.held.get_mut(&message);
        let kept = held.map(|held| std::mem::take(&mut held.receipts_in_copy));
        for offset in kept.unwrap_or_default() {
            self.end(Work::Receipt(offset), setup);
        }
    }

    /// A commit was made.
    pub(crate) fn committed(&mut self) {
        let ledger = &self.ledger;
        self.parking.committed(|work| ledger.is_past(work));
    }

    pub(crate) fn acknowledged(&mut self, kind: Kind) {
        if let Kind::Tombstone {
            work,
            writer,
            sequence,
            ..
        } = kind
            && self.parking.gone(&key(work, writer, sequence)) == Gone::Ended
        {
            self.ledger.end(&work);
        }
    }
}
