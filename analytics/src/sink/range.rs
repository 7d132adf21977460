//! Which offsets of one topic of one partition go into one insert. Pure.
//!
//! Invariant: rows of offsets a to b are inserted only while the group's commit says "a, pending a-b", and with a
//! token made of exactly a and b; the commit moves on only after the insert was acknowledged. So whoever starts again
//! from the commit sends the same rows under the same token, which ClickHouse takes once.

use jixinda_runtime::kafka::fence::Writers;
use serde::{Deserialize, Serialize};

/// Offsets from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(i64, i64)", from = "(i64, i64)")]
pub(crate) struct Span {
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl From<Span> for (i64, i64) {
    fn from(span: Span) -> Self {
        (span.first, span.last)
    }
}

impl From<(i64, i64)> for Span {
    fn from((first, last): (i64, i64)) -> Self {
        Self { first, last }
    }
}

/// The commit's metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// May have been inserted, whole or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pending: Option<Span>,
    /// Who counted just before the committed offset.
    #[serde(default)]
    pub(crate) writers: Writers,
}

/// What a commit says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) offset: i64,
    pub(crate) note: Note,
}

#[derive(Clone, Debug)]
struct Frozen {
    span: Span,
    writers: Writers,
    /// The commit names it: it may be inserted.
    announced: bool,
    /// An earlier owner may have inserted it.
    again: bool,
}

/// Progress in one topic of one partition.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    /// First offset of the open part.
    start: i64,
    /// Offset to be read next.
    next: i64,
    /// The open part has to end exactly here.
    until: Option<i64>,
    /// Who counted just before `start`.
    writers: Writers,
    frozen: Option<Frozen>,
}

impl Range {
    /// Starts from what was committed.
    pub(crate) fn start(mark: Mark) -> Self {
        Self {
            start: mark.offset,
            next: mark.offset,
            until: mark.note.pending.map(|span| span.last),
            writers: mark.note.writers,
            frozen: None,
        }
    }

    /// Takes the record at `offset` into the open part; false when it has been read before.
    pub(crate) fn take(&mut self, offset: i64) -> bool {
        let fresh = offset >= self.next;
        if fresh {
            self.next = offset + 1;
        }
        fresh
    }

    /// Whether a part that was announced before a restart is still being read.
    pub(crate) fn is_again(&self) -> bool {
        self.until.is_some()
    }

    /// Whether the open part may be closed now, and whether it must be.
    pub(crate) fn closable(&self) -> (bool, bool) {
        let complete = self.until.is_none_or(|last| self.next > last);
        let any = self.frozen.is_none() && self.next > self.start && complete;
        (any, any && self.until.is_some())
    }

    /// Whether the part that was announced before a restart ends before `offset`, its last record being gone.
    pub(crate) fn ends_before(&self, offset: i64) -> bool {
        self.until.is_some_and(|last| offset > last)
    }

    /// Nothing more can come for the announced part.
    pub(crate) fn complete(&mut self) {
        if let Some(last) = self.until {
            self.next = self.next.max(last + 1);
        }
    }

    /// First offset after the open part.
    pub(crate) const fn next(&self) -> i64 {
        self.next
    }

    /// Closes the open part. `writers` are those who count just before the next one. A part without rows needs no
    /// insert: it is passed at once, and `None` comes back.
    pub(crate) fn freeze(&mut self, writers: Writers, has_rows: bool) -> Option<Span> {
        if !self.closable().0 {
            return None;
        }
        let last = self.until.take();
        let span = Span {
            first: self.start,
            last: last.unwrap_or(self.next - 1),
        };
        let before = std::mem::replace(&mut self.writers, writers);
        self.start = span.last + 1;
        if !has_rows {
            return None;
        }
        let again = last.is_some();
        self.frozen = Some(Frozen {
            span,
            writers: before,
            announced: again,
            again,
        });
        Some(span)
    }

    /// What the commit has to say now.
    pub(crate) fn mark(&self) -> Mark {
        if let Some(frozen) = &self.frozen {
            let note = Note {
                pending: Some(frozen.span),
                writers: frozen.writers.clone(),
            };
            return Mark {
                offset: frozen.span.first,
                note,
            };
        }
        let pending = self.until.map(|last| Span {
            first: self.start,
            last,
        });
        Mark {
            offset: self.start,
            note: Note {
                pending,
                writers: self.writers.clone(),
            },
        }
    }

    /// The commit of [`Range::mark`] was acknowledged.
    pub(crate) fn announced(&mut self) {
        if let Some(frozen) = &mut self.frozen {
            frozen.announced = true;
        }
    }

    /// What may be inserted, and whether an earlier owner may have done so.
    pub(crate) fn sendable(&self) -> Option<(Span, bool)> {
        self.frozen
            .as_ref()
            .filter(|f| f.announced)
            .map(|f| (f.span, f.again))
    }

    /// Whether a closed part waits for its commit.
    pub(crate) fn is_unannounced(&self) -> bool {
        self.frozen.as_ref().is_some_and(|f| !f.announced)
    }

    /// Whether a closed part waits for its commit or its insert.
    pub(crate) const fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// The closed part was inserted.
    pub(crate) fn inserted(&mut self) {
        self.frozen = None;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_note_reads_back_and_an_empty_one_says_nothing() {
        let mut note = Note {
            pending: Some(Span { first: 3, last: 9 }),
            writers: Writers::default(),
        };
        note.writers.insert("router".into(), u64::MAX);
        let text = serde_json::to_string(&note).unwrap();
        assert_eq!(
            text,
            r#"{"pending":[3,9],"writers":{"router":18446744073709551615}}"#
        );
        assert_eq!(serde_json::from_str::<Note>(&text).unwrap(), note);
        assert_eq!(serde_json::from_str::<Note>("{}").unwrap(), Note::default());
    }

    #[test]
    fn a_part_without_rows_is_passed_without_an_insert() {
        let mut range = Range::start(Mark {
            offset: 5,
            note: Note::default(),
        });
        assert!(range.take(5) && range.take(6) && !range.take(6));
        assert_eq!(range.freeze(Writers::default(), false), None);
        assert_eq!((range.mark().offset, range.mark().note.pending), (7, None));
    }

    /// ClickHouse as the sink sees it: a token is taken once, and its rows may be lost when the server dies in between.
    #[derive(Default)]
    struct Store {
        tokens: BTreeSet<(i64, i64, u32)>,
        rows: BTreeMap<i64, u32>,
    }

    impl Store {
        fn insert(&mut self, span: Span, round: u32, torn: bool, missing_only: bool) {
            if !self.tokens.insert((span.first, span.last, round)) || torn {
                return;
            }
            for offset in span.first..=span.last {
                if !missing_only || !self.rows.contains_key(&offset) {
                    *self.rows.entry(offset).or_default() += 1;
                }
            }
        }

        /// What follows an insert whose fate was in doubt.
        fn repair(&mut self, span: Span) {
            for round in 1..10 {
                if (span.first..=span.last).all(|offset| self.rows.contains_key(&offset)) {
                    return;
                }
                self.insert(span, round, false, true);
            }
        }
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Read(u8),
        Freeze,
        /// Whether the broker took the commit, whether the sink died then.
        Commit(bool, bool),
        /// Whether it reached ClickHouse, whether ClickHouse died between token and rows.
        Insert(bool, bool),
        Crash,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (1_u8..6).prop_map(Step::Read),
            4 => Just(Step::Freeze),
            4 => (any::<bool>(), any::<bool>()).prop_map(|(a, b)| Step::Commit(a, b)),
            4 => (any::<bool>(), any::<bool>()).prop_map(|(a, b)| Step::Insert(a, b)),
            1 => Just(Step::Crash),
        ];
        proptest::collection::vec(step, 0..80)
    }

    struct World {
        committed: Mark,
        range: Range,
        store: Store,
        /// Tried, and its fate is in doubt.
        flight: Option<(Span, bool)>,
        end: i64,
    }

    impl World {
        fn crash(&mut self) {
            self.range = Range::start(self.committed.clone());
            self.flight = None;
        }

        fn step(&mut self, step: Step) {
            match step {
                Step::Read(n) => {
                    for _ in 0..n {
                        let next = self.range.next();
                        // As the sink does: an announced part is closed as soon as it is complete.
                        if next < self.end && !self.range.closable().1 {
                            assert!(self.range.take(next));
                        }
                    }
                }
                Step::Freeze => {
                    self.range.freeze(Writers::default(), true);
                }
                Step::Commit(taken, died) => {
                    if taken {
                        self.committed = self.range.mark();
                    }
                    if died {
                        self.crash();
                    } else if taken {
                        self.range.announced();
                    }
                }
                Step::Insert(arrived, torn) => {
                    let Some((span, doubt)) = self.flight.or_else(|| self.range.sendable()) else {
                        return;
                    };
                    if arrived {
                        self.store.insert(span, 0, torn, false);
                    }
                    if !arrived || torn {
                        self.flight = Some((span, true));
                        return;
                    }
                    if doubt {
                        self.store.repair(span);
                    }
                    self.range.inserted();
                    self.flight = None;
                }
                Step::Crash => self.crash(),
            }
        }
    }

    proptest! {
        #[test]
        fn each_offset_is_stored_exactly_once_whatever_dies_when(steps in steps(), end in 1_i64..40) {
            let start = Mark { offset: 0, note: Note::default() };
            let mut world = World {
                committed: start.clone(),
                range: Range::start(start),
                store: Store::default(),
                flight: None,
                end,
            };
            for step in steps {
                world.step(step);
            }
            for _ in 0..200 {
                for step in [Step::Read(5), Step::Freeze, Step::Commit(true, false), Step::Insert(true, false)] {
                    world.step(step);
                }
            }
            prop_assert_eq!(world.committed.offset, end);
            let rows: Vec<(i64, u32)> = world.store.rows.into_iter().collect();
            prop_assert_eq!(rows, (0..end).map(|offset| (offset, 1)).collect::<Vec<_>>());
        }
    }
}
