//! One writer per partition, fenced in the log itself. Pure.
//!
//! Invariant: a record of a role counts only when its writer is the one of the last `opened` of that role before it
//! in the same partition. So each record that counts was written in knowledge of all that counted before it, and
//! every reader finds the same ones, whatever delays, crashes and clocks do.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jixinda_schemas::WriterId;

/// Role → number of the writer that counts.
pub type Writers = BTreeMap<Arc<str>, u64>;

/// Who counts, in one partition of one topic, from the floor on.
#[derive(Clone, Debug, Default)]
pub struct Fence {
    /// As it was just before the floor.
    base: Writers,
    /// Every `opened` since, in order.
    opened: VecDeque<(i64, WriterId)>,
    current: Writers,
}

/// Whether a record counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It names no writer: requests, raw receipts, what others write.
    Open,
    /// Its writer is the one that counts.
    Valid,
    /// Its writer has been succeeded, or never opened.
    Stale,
}

impl Fence {
    /// Starts from what the commit metadata kept.
    #[must_use]
    pub fn from_base(base: Writers) -> Self {
        Self {
            current: base.clone(),
            base,
            opened: VecDeque::new(),
        }
    }

    /// Takes an `opened` record into account.
    pub fn open(&mut self, offset: i64, writer: WriterId) {
        self.current.insert(Arc::clone(&writer.role), writer.number);
        self.opened.push_back((offset, writer));
    }

    /// Judges a record by the writer that it names.
    #[must_use]
    pub fn standing(&self, writer: Option<&WriterId>) -> Standing {
        match writer {
            None => Standing::Open,
            Some(w) if self.current.get(&*w.role) == Some(&w.number) => Standing::Valid,
            Some(_) => Standing::Stale,
        }
    }

    /// Moves the floor; returns who counted just before it, for the commit metadata.
    pub fn raise(&mut self, floor: i64) -> &Writers {
        while self
            .opened
            .front()
            .is_some_and(|(offset, _)| *offset < floor)
        {
            if let Some((_, writer)) = self.opened.pop_front() {
                self.base.insert(writer.role, writer.number);
            }
        }
        &self.base
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(role: &str, number: u64) -> WriterId {
        WriterId {
            role: role.into(),
            number,
        }
    }

    #[test]
    fn only_the_last_opened_of_a_role_counts() {
        let mut f = Fence::default();
        let (a, b, s) = (
            writer("router", 1),
            writer("router", 2),
            writer("senders.default", 9),
        );
        assert_eq!(f.standing(Some(&a)), Standing::Stale);
        f.open(10, a.clone());
        f.open(11, s.clone());
        assert_eq!(f.standing(Some(&a)), Standing::Valid);
        f.open(12, b.clone());
        assert_eq!(f.standing(Some(&a)), Standing::Stale);
        assert_eq!(f.standing(Some(&b)), Standing::Valid);
        assert_eq!(f.standing(Some(&s)), Standing::Valid);
        assert_eq!(f.standing(None), Standing::Open);
    }

    #[test]
    fn a_reader_that_starts_at_the_floor_judges_like_one_that_read_everything() {
        let mut f = Fence::default();
        f.open(1, writer("router", 1));
        f.open(5, writer("router", 2));
        f.open(9, writer("router", 3));
        let base = f.raise(6).clone();
        let mut late = Fence::from_base(base);
        assert_eq!(late.standing(Some(&writer("router", 2))), Standing::Valid);
        late.open(9, writer("router", 3));
        assert_eq!(
            late.standing(Some(&writer("router", 3))),
            f.standing(Some(&writer("router", 3)))
        );
        assert_eq!(late.standing(Some(&writer("router", 2))), Standing::Stale);
    }
}
