//! Calls that wait for their reports, for vendors that tell them only when asked by the id of a call. Pure.
//!
//! The list is this process's own and bounded: what is over pushes the oldest out, and a restart empties it. What is
//! forgotten is not lost but ends as unknown at the deadline for receipts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jixinda_schemas::{Phone, Timestamp};

/// Milliseconds from the call to the first question, and the shortest pause between two.
const SHORTEST: i64 = 5_000;
const LONGEST: i64 = 60 * 60 * 1_000;
/// The pause is this part of the age: few questions about what is old.
const PART_OF_AGE: i64 = 3;
/// As long as carriers may report: 72 h.
const KEPT: i64 = 72 * 60 * 60 * 1_000;

/// A number that has no final report yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Number {
    pub recipient: Phone,
    /// Segments that its text was counted to have.
    pub parts: u32,
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.recipient, self.parts)
    }
}

/// A call to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its place in the list.
    pub place: u64,
    /// The vendor's id.
    pub id: String,
    /// When it was added.
    pub since: Timestamp,
    pub numbers: Vec<Number>,
}

/// The list.
pub struct Waiting {
    /// Numbers in all.
    most: usize,
    numbers: usize,
    next_place: u64,
    /// By place, which is the order of age, with the time when it is due.
    calls: BTreeMap<u64, (Timestamp, Asked)>,
    /// The same times with their places.
    due: BTreeSet<(Timestamp, u64)>,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Waiting({} calls, {} numbers)",
            self.calls.len(),
            self.numbers
        )
    }
}

impl Waiting {
    /// An empty list for at most so many numbers.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            numbers: 0,
            next_place: 0,
            calls: BTreeMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// Numbers that wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.numbers
    }

    /// Whether none waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.numbers == 0
    }

    /// A call that the vendor took.
    pub fn add(&mut self, id: &str, numbers: Vec<Number>, now: Timestamp) {
        if numbers.is_empty() || numbers.len() > self.most {
            return;
        }
        while self.numbers + numbers.len() > self.most {
            let Some(oldest) = self.calls.keys().next().copied() else {
                break;
            };
            self.forget(oldest);
        }
        let (place, at) = (self.next_place, now.plus_millis(SHORTEST));
        self.next_place += 1;
        self.numbers += numbers.len();
        let call = Asked {
            place,
            id: id.to_owned(),
            since: now,
            numbers,
        };
        self.due.insert((at, place));
        self.calls.insert(place, (at, call));
    }

    /// The call that has been due for the longest. It is due again after a pause that grows with its age, unless
    /// [`Waiting::settle`] takes its last number off.
    pub fn next(&mut self, now: Timestamp) -> Option<Asked> {
        loop {
            let first = self.due.first().copied().filter(|(at, _)| *at <= now)?;
            let (at, call) = self.calls.get_mut(&first.1)?;
            let age = now.since(call.since);
            if age >= KEPT {
                self.forget(first.1);
                continue;
            }
            *at = now.plus_millis((age / PART_OF_AGE).clamp(SHORTEST, LONGEST));
            self.due.remove(&first);
            self.due.insert((*at, first.1));
            return Some(call.clone());
        }
    }

    /// Whether [`Waiting::next`] has one.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due.first().is_some_and(|(at, _)| *at <= now)
    }

    /// Takes the numbers off that need not be asked about again.
    pub fn settle(&mut self, place: u64, done: impl Fn(&Number) -> bool) {
        let Some((_, call)) = self.calls.get_mut(&place) else {
            return;
        };
        let before = call.numbers.len();
        call.numbers.retain(|number| !done(number));
        let left = call.numbers.len();
        self.numbers -= before - left;
        if left == 0 {
            self.forget(place);
        }
    }

    fn forget(&mut self, place: u64) {
        if let Some((at, call)) = self.calls.remove(&place) {
            self.numbers -= call.numbers.len();
            self.due.remove(&(at, place));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const T0: Timestamp = Timestamp(1_735_787_045_000);

    fn numbers(count: u64) -> Vec<Number> {
        let number = |i| Number {
            recipient: format!("+861380013{:04}", 8_000 + i).parse().unwrap(),
            parts: 1,
        };
        (0..count).map(number).collect()
    }

    fn after(seconds: i64) -> Timestamp {
        T0.plus_millis(seconds * 1_000)
    }

    #[test]
    fn the_oldest_is_asked_about_first_and_later_less_often() {
        let mut list = Waiting::new(10);
        list.add("a", numbers(1), T0);
        list.add("b", numbers(1), after(1));
        assert_eq!(list.next(after(4)), None);
        assert_eq!(list.next(after(6)).unwrap().id, "a");
        assert!(list.is_due(after(6)));
        assert_eq!(list.next(after(6)).unwrap().id, "b");
        assert_eq!(list.next(after(6)), None);

        let mut asked = 0;
        for second in 7..72 * 3_600 {
            while let Some(call) = list.next(after(second)) {
                asked += usize::from(call.id == "a");
            }
        }
        assert!((50..150).contains(&asked), "{asked}");
        assert_eq!(list.next(after(73 * 3_600)), None);
        assert!(list.is_empty(), "{list:?}");
    }

    #[test]
    fn what_is_over_pushes_the_oldest_out() {
        let mut list = Waiting::new(3);
        list.add("a", numbers(2), T0);
        list.add("b", numbers(2), after(1));
        assert_eq!(list.len(), 2);
        assert_eq!(list.next(after(60)).unwrap().id, "b");
        assert_eq!(list.next(after(60)), None);
        list.add("too many", numbers(4), after(2));
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn a_call_is_forgotten_with_its_last_number() {
        let mut list = Waiting::new(10);
        list.add("a", numbers(2), T0);
        let call = list.next(after(5)).unwrap();
        let first = call.numbers[0].clone();
        list.settle(call.place, |number| *number == first);
        let left = list.next(after(60)).unwrap().numbers;
        assert_eq!(left, call.numbers[1..]);
        list.settle(call.place, |_| true);
        assert!(list.is_empty() && list.next(after(3_600)).is_none());
        list.settle(call.place, |_| true);
        assert!(!format!("{call:?}").contains("13800138000"));
    }

    proptest! {
        #[test]
        fn the_list_keeps_its_bound_and_its_count(steps in proptest::collection::vec((0_u8..4, 1_u64..5), 0..60)) {
            let (mut list, mut now) = (Waiting::new(7), T0);
            for (what, n) in steps {
                now = now.plus_millis(n as i64 * 4_000);
                match what {
                    0 | 1 => list.add("x", numbers(n), now),
                    2 => drop(list.next(now)),
                    _ => if let Some(call) = list.next(now) {
                        let some = call.numbers[0].clone();
                        list.settle(call.place, |number| *number == some);
                    },
                }
                let counted: usize = list.calls.values().map(|(_, c)| c.numbers.len()).sum();
                prop_assert!(list.len() <= 7 && list.len() == counted);
                prop_assert_eq!(list.due.len(), list.calls.len());
            }
        }
    }
}
