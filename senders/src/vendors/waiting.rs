//! Calls that wait for their reports, for vendors that tell them only when asked by the id of a call. Pure.
//!
//! The list is about the partitions that this process holds, and bounded: what is over pushes the oldest out, which is not
//! lost but ends as unknown at the deadline for receipts. What the holder before had taken is read back from the log
//! ([`crate::receipts::History`]).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jixinda_schemas::{
    Phone, Timestamp,
    event::{AttemptFinished, AttemptResult},
};

/// Milliseconds from the call to the first question, and the shortest pause between two.
const SHORTEST: i64 = 5_000;
const LONGEST: i64 = 60 * 60 * 1_000;
/// The pause is this part of the age: few questions about what is old.
const PART_OF_AGE: i64 = 3;
/// As long as carriers may report: 72 h.
const KEPT: i64 = 72 * 60 * 60 * 1_000;

/// Until a call of this age is asked about again.
fn pause(age: i64) -> i64 {
    (age / PART_OF_AGE).clamp(SHORTEST, LONGEST)
}

/// A number that has no final report yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Number {
    pub recipient: Phone,
    /// Segments that its text was counted to have, where that is known.
    pub parts: Option<u32>,
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.recipient, self.parts.unwrap_or_default())
    }
}

/// A message of a call that another made, without an end so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    pub vendor_id: String,
    pub recipient: Phone,
    /// When the call began.
    pub since: Timestamp,
}

impl Earlier {
    /// Of a result that was written at `at`; nothing unless the vendor took the message.
    #[must_use]
    pub fn of(finished: AttemptFinished, at: Timestamp) -> Option<Self> {
        let AttemptResult::Accepted { vendor_id } = finished.result else {
            return None;
        };
        Some(Self {
            vendor_id,
            recipient: finished.recipient,
            since: finished.submitted_at.unwrap_or(at),
        })
    }
}

/// A call to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its place on the list.
    pub place: u64,
    /// The vendor's id.
    pub id: String,
    /// When it was added.
    pub since: Timestamp,
    pub numbers: Vec<Number>,
}

/// The list.
pub struct Waiting {
    /// Whether a question is about one number of a call instead of all.
    one_by_one: bool,
    /// Numbers in all.
    most: usize,
    numbers: usize,
    next_place: u64,
    /// By place, with the time when it is due.
    calls: BTreeMap<u64, (Timestamp, Asked)>,
    /// The same times with their places.
    due: BTreeSet<(Timestamp, u64)>,
    /// Places by age.
    ages: BTreeSet<(Timestamp, u64)>,
    /// Every number with the id of its call.
    listed: BTreeSet<(String, Phone)>,
    /// Partitions of which the calls of before were read, and at which of the times that they were taken.
    read: BTreeMap<i32, u64>,
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
    /// An empty list for at most so many numbers; a question is about all numbers of a call.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            one_by_one: false,
            most,
            numbers: 0,
            next_place: 0,
            calls: BTreeMap::new(),
            due: BTreeSet::new(),
            ages: BTreeSet::new(),
            listed: BTreeSet::new(),
            read: BTreeMap::new(),
        }
    }

    /// As [`Waiting::new`], for questions about one number.
    #[must_use]
    pub fn one_by_one(most: usize) -> Self {
        Self {
            one_by_one: true,
            ..Self::new(most)
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
        let new = |n: &Number| !self.listed.contains(&(id.to_owned(), n.recipient.clone()));
        let numbers: Vec<Number> = numbers.into_iter().filter(new).collect();
        if numbers.is_empty() || numbers.len() > self.most {
            return;
        }
        while self.numbers + numbers.len() > self.most {
            let Some((_, oldest)) = self.ages.first().copied() else {
                break;
            };
            self.forget(oldest);
        }
        self.insert(id, numbers, now, now.plus_millis(SHORTEST));
    }

    /// What another has left, unless it is on the list. It pushes nothing out: the newest take what room there is.
    pub fn resume(&mut self, mut earlier: Vec<Earlier>, now: Timestamp) {
        earlier.sort_by_key(|one| std::cmp::Reverse(one.since));
        let mut new = BTreeSet::new();
        earlier.retain(|one| {
            let key = (one.vendor_id.clone(), one.recipient.clone());
            now.since(one.since) < KEPT && !self.listed.contains(&key) && new.insert(key)
        });
        earlier.truncate(self.most.saturating_sub(self.numbers));
        let mut calls: BTreeMap<String, (Timestamp, Vec<Number>)> = BTreeMap::new();
        for one in earlier {
            let call = calls.entry(one.vendor_id);
            let (_, numbers) = call.or_insert_with(|| (one.since, Vec::new()));
            numbers.push(Number {
                recipient: one.recipient,
                parts: None,
            });
        }
        for (id, (since, numbers)) in calls {
            let at = now.plus_millis(pause(now.since(since)));
            self.insert(&id, numbers, since, at);
        }
    }

    /// Keeps to the partitions that are held, each with how often it was taken, and tells one of which the calls of
    /// before are to be read. It counts as read from now on.
    pub fn follow(
        &mut self,
        held: &BTreeMap<i32, u64>,
        partition: impl Fn(&Phone) -> i32,
    ) -> Option<i32> {
        if self.read.keys().any(|number| !held.contains_key(number)) {
            let places: Vec<u64> = self.calls.keys().copied().collect();
            for place in places {
                self.settle(place, |n| !held.contains_key(&partition(&n.recipient)));
            }
            self.read.retain(|number, _| held.contains_key(number));
        }
        let mut held = held.iter();
        let (number, times) =
            held.find(|(number, times)| self.read.get(*number) != Some(*times))?;
        self.read.insert(*number, *times);
        Some(*number)
    }

    /// The calls of before could not be read.
    pub fn unread(&mut self, partition: i32) {
        self.read.remove(&partition);
    }

    fn insert(&mut self, id: &str, numbers: Vec<Number>, since: Timestamp, at: Timestamp) {
        let listed = &mut self.listed;
        let new = |n: &Number| listed.insert((id.to_owned(), n.recipient.clone()));
        let numbers: Vec<Number> = numbers.into_iter().filter(new).collect();
        let size = if self.one_by_one { 1 } else { numbers.len() };
        for numbers in numbers.chunks(size.max(1)) {
            let place = self.next_place;
            self.next_place += 1;
            self.numbers += numbers.len();
            let call = Asked {
                place,
                id: id.to_owned(),
                since,
                numbers: numbers.to_vec(),
            };
            self.due.insert((at, place));
            self.ages.insert((since, place));
            self.calls.insert(place, (at, call));
        }
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
            *at = now.plus_millis(pause(age));
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
        let (id, listed) = (&call.id, &mut self.listed);
        let before = call.numbers.len();
        call.numbers.retain(|number| {
            let done = done(number);
            if done {
                listed.remove(&(id.clone(), number.recipient.clone()));
            }
            !done
        });
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
            self.ages.remove(&(call.since, place));
            for number in call.numbers {
                self.listed.remove(&(call.id.clone(), number.recipient));
            }
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
            parts: Some(1),
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

    fn earlier(id: &str, n: usize, since: Timestamp) -> Earlier {
        Earlier {
            vendor_id: id.to_owned(),
            recipient: numbers(9)[n].recipient.clone(),
            since,
        }
    }

    #[test]
    fn what_a_holder_before_has_left_is_asked_about_once_the_newest_first_in_line() {
        let mut list = Waiting::new(5);
        list.add("a", numbers(2), after(100));
        let left = vec![
            earlier("too old", 0, after(-72 * 3_600)),
            earlier("b", 0, after(50)),
            earlier("c", 0, after(90)),
            earlier("c", 1, after(90)),
            earlier("a", 0, after(100)),
            earlier("c", 1, after(90)),
            earlier("no room", 0, after(49)),
        ];
        list.resume(left, after(101));
        let mut asked: Vec<_> = std::iter::from_fn(|| list.next(after(120)))
            .map(|call| (call.id, call.since, call.numbers.len()))
            .collect();
        asked.sort();
        let wanted = [
            ("a".to_owned(), after(100), 2),
            ("b".to_owned(), after(50), 1),
            ("c".to_owned(), after(90), 2),
        ];
        assert_eq!(asked, wanted);

        let mut list = Waiting::one_by_one(5);
        list.add("a", numbers(2), T0);
        list.resume(vec![earlier("c", 0, T0), earlier("c", 1, T0)], T0);
        assert_eq!(std::iter::from_fn(|| list.next(after(5))).count(), 4);
    }

    #[test]
    fn what_another_holds_is_not_asked_about() {
        let mut list = Waiting::new(9);
        list.add("a", numbers(2), T0);
        list.add("b", numbers(1), T0);
        let second = numbers(2)[1].recipient.clone();
        let partition = |phone: &Phone| i32::from(*phone == second);
        let both = BTreeMap::from([(0, 1), (1, 1)]);
        assert_eq!(list.follow(&both, partition), Some(0));
        assert_eq!(list.follow(&both, partition), Some(1));
        list.unread(1);
        assert_eq!(list.follow(&both, partition), Some(1));
        assert_eq!(list.follow(&both, partition), None);
        // It was away in between.
        assert_eq!(
            list.follow(&BTreeMap::from([(0, 1), (1, 2)]), partition),
            Some(1)
        );
        assert_eq!(list.len(), 3);

        assert_eq!(list.follow(&BTreeMap::from([(1, 2)]), partition), None);
        assert_eq!(list.next(after(5)).unwrap().numbers, numbers(2)[1..]);
        assert!(list.len() == 1 && list.next(after(5)).is_none());
        assert_eq!(list.follow(&both, partition), Some(0));
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
                prop_assert_eq!(list.ages.len(), list.calls.len());
                prop_assert_eq!(list.listed.len(), counted);
            }
        }
    }
}
