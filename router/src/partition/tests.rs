//! Reading the log again from the floors gives the same open work as reading all of it, in whatever order the topics
//! come.

mod log;
mod receipts;

use std::collections::BTreeSet;

use jixinda_runtime::kafka::owner::Floor;
use jixinda_schemas::{
    Lane,
    event::{AttemptState, Terminal},
    vendor::ReceiptStatus,
};
use proptest::prelude::*;

use super::*;
use crate::message::Step;
use log::{Log, NOW, Stored, commit, settle};

/// What is open, with all that is known of it.
fn open(partition: &Partition) -> BTreeSet<String> {
    let open = partition
        .entries
        .values()
        .filter(|h| h.entry.outcome.is_none());
    open.map(|h| format!("{} {:?}", h.entry.id, h.entry.attempts))
        .collect()
}

/// Steps that concern no single message.
const COPY: u8 = 8;
const COMMIT: u8 = 9;
const BURY: u8 = 10;
const LAND: u8 = 11;
const CRASH: u8 = 12;

/// An owner with what it has written that the log does not have yet.
struct Life {
    partition: Partition,
    copies: VecDeque<OwnedRecord>,
    tombstones: VecDeque<(OwnedRecord, u64)>,
    committed: BTreeMap<Topic, Floor>,
}

impl Life {
    fn begin(log: &mut Log) -> Self {
        let mut partition = log.partition(Marks::new());
        partition.restored();
        partition.caught_up();
        Self {
            committed: commit(&mut partition, log),
            partition,
            copies: VecDeque::new(),
            tombstones: VecDeque::new(),
        }
    }

    fn write_copies(&mut self, now: Timestamp) {
        self.partition.parked_at = Timestamp(0);
        self.copies.extend(self.partition.park(now));
    }

    /// The log takes the next copy and the next tombstone, and the owner reads the one and hears of the other.
    fn land(&mut self, log: &mut Log) {
        if let Some(record) = self.copies.pop_front() {
            let stored = log.append(record);
            log.fold(&mut self.partition, &stored);
        }
        if let Some((record, token)) = self.tombstones.pop_front() {
            log.append(record);
            self.partition.acknowledged(token);
        }
    }

    /// Some of what was on its way came to the log, unread; the rest never will.
    fn crash(&mut self, log: &mut Log, landed: usize) {
        let copies = self.copies.drain(..).take(landed);
        let tombstones = self.tombstones.drain(..).map(|(record, _)| record);
        let left: Vec<OwnedRecord> = copies.chain(tombstones.take(landed)).collect();
        for record in left {
            log.append(record);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    /// Whatever was parked, committed, tombstoned and compacted, and wherever it broke off.
    #[test]
    fn a_takeover_from_the_last_commit_finds_the_same_open_work(
        steps in prop::collection::vec((0_usize..6, 0_u8..13), 1..90),
        order in prop::collection::vec(0_usize..5, 0..200),
        compacted in any::<bool>(),
    ) {
        let mut log = Log::new();
        let mut life = Life::begin(&mut log);
        let mut progress = [0_u8; 6];
        let mut ids = BTreeMap::new();
        for (i, step) in steps.into_iter().chain([(0, CRASH)]) {
            let before = log.records.len();
            match (progress[i], step) {
                (_, COPY) => life.write_copies(Timestamp(log.at + 1_000_000_000)),
                (_, COMMIT) => life.committed = commit(&mut life.partition, &log),
                (_, BURY) => life.tombstones.extend(life.partition.tombstones()),
                (_, LAND) => life.land(&mut log),
                (_, CRASH) => {
                    life.crash(&mut log, i);
                    let again = log.take_over(&life.committed, &order, compacted);
                    prop_assert_eq!(open(&life.partition), open(&again));
                    life.partition = again;
                }
                (0, _) => { ids.insert(i, log.request(i)); }
                (_, 7) => log.receipt(i, ReceiptStatus::Delivered),
                (_, 6) => drop(log.request(i)),
                (1, _) => log.routed(i, ids[&i]),
                (2, s) => log.claim(i, ids[&i], s == 5),
                (3, _) => log.finished(i, ids[&i]),
                (4, 5) => log.receipt(i, ReceiptStatus::Undelivered),
                (4, _) => log.receipt(i, ReceiptStatus::Delivered),
                (5, _) => log.outcome(i, ids[&i], &life.partition),
                // Late enough to be forgotten.
                (6, 0) => life.partition.close(ids[&i]),
                _ => {}
            }
            if step < 6 || (step < COPY && progress[i] == 0) {
                progress[i] = (progress[i] + 1).min(6);
            }
            if step < COPY {
                let new: Vec<Stored> = log.records[before..].to_vec();
                for stored in &new {
                    log.fold(&mut life.partition, stored);
                }
            }
            settle(&mut life.partition);
        }
    }
}

#[test]
fn work_that_stays_open_lets_the_floors_pass_and_its_copies_go_when_it_ends() {
    let mut log = Log::new();
    let mut p = log.partition(Marks::new());
    p.restored();
    p.caught_up();
    let id = log.request(0);
    log.routed(0, id);
    log.claim(0, id, false);
    log.finished(0, id);
    let fold_new = |log: &Log, p: &mut Partition, from: usize| {
        for stored in &log.records[from..] {
            log.fold(p, stored);
        }
        settle(p);
    };
    fold_new(&log, &mut p, 0);
    let held = commit(&mut p, &log);
    assert_eq!(held[&Topic::RequestsOtp].offset, Some(0));
    assert_eq!(held[&Topic::Attempts].offset, Some(0));

    let from = log.records.len();
    for copy in p.park(Timestamp(NOW)) {
        log.append(copy);
    }
    // The message and the block of its id; not read back, they free nothing.
    assert_eq!(log.records.len() - from, 2);
    assert_eq!(commit(&mut p, &log), held);
    fold_new(&log, &mut p, from);
    let free = commit(&mut p, &log);
    assert_eq!(free[&Topic::RequestsOtp].offset, Some(1));
    assert_eq!(free[&Topic::Attempts].offset, Some(2));
    assert!(p.tombstones().is_empty());

    // Its end holds the floor until the copy has its tombstone, and that waits for a commit.
    let from = log.records.len();
    log.receipt(0, ReceiptStatus::Delivered);
    fold_new(&log, &mut p, from);
    log.outcome(0, id, &p);
    fold_new(&log, &mut p, from + 1);
    assert!(p.entries.is_empty() && p.tombstones().is_empty());
    assert_eq!(commit(&mut p, &log)[&Topic::Outcomes].offset, Some(0));
    let (_, token) = p.tombstones().pop().unwrap();
    assert_eq!(commit(&mut p, &log)[&Topic::Outcomes].offset, Some(0));
    p.acknowledged(token);
    assert_eq!(commit(&mut p, &log)[&Topic::Outcomes].offset, Some(1));
}

/// A message in state Accepted waits for its receipt when its id comes again.
#[test]
fn an_id_used_again_ends_its_first_message_and_begins_the_second_with_decisions_of_its_own() {
    for taken_over in [false, true] {
        let mut log = Log::new();
        let mut p = log.partition(Marks::new());
        p.restored();
        p.caught_up();
        let mut committed = commit(&mut p, &log);
        let id = log.request(0);
        log.routed(0, id);
        log.claim(0, id, false);
        log.finished(0, id);
        log.at += Lane::Otp.id_window_ms() + 1;
        let again = log.ends[&Topic::RequestsOtp];
        log.request(0);
        for stored in &log.records {
            log.fold(&mut p, stored);
        }
        let before = log.records.len();
        // The first one ends at once, though its receipt might still come.
        let first = &p.entries[&id].entry;
        let now = Timestamp(log.at);
        let deadlines = log.shared.config.deadlines();
        let unknown = (Terminal::Unknown, Reason::NoReceipt);
        assert_eq!(first.next(now, deadlines), Step::End(unknown.0, unknown.1));
        log.ended(0, first, unknown);
        log.fold(&mut p, &log.records[before]);
        if taken_over {
            p = log.take_over(&committed, &[], false);
        }
        p.close(id);
        let second = &p.entries[&id].entry;
        assert_eq!(second.position.offset, again);
        assert_eq!((second.next_n(), second.attempts.len()), (1, 0));
        assert!(matches!(second.next(now, deadlines), Step::Decide(_)));

        // A claim of the first that comes very late, then the second is decided and claimed; whoever reads all of it
        // anew finds the same.
        let position = second.position;
        log.claim(0, id, true);
        log.requests.insert(id, position);
        log.routed(0, id);
        log.claim(0, id, false);
        for stored in &log.records[before + 1..] {
            log.fold(&mut p, stored);
        }
        let states = |p: &Partition| {
            let attempts = p.entries[&id].entry.attempts.iter();
            let attempts = attempts.map(|a| (a.n, a.is_routed(), a.state()));
            attempts.collect::<Vec<_>>()
        };
        assert_eq!(states(&p), [(1, true, AttemptState::Started)]);
        let mut next = log.take_over(&committed, &[], false);
        next.close(id);
        let second = &next.entries[&id].entry;
        assert_eq!(second.position.offset, again);
        assert_eq!(states(&next), [(1, true, AttemptState::Started)]);
        committed = commit(&mut next, &log);
        assert_eq!(
            committed[&Topic::RequestsOtp].offset,
            Some(0),
            "ids are in no block"
        );
    }
}

/// The tombstone of the first message's copy is still on its way when its id comes again.
#[test]
fn a_tombstone_of_the_message_before_does_not_end_the_one_that_has_its_id_now() {
    let mut log = Log::new();
    let mut p = log.partition(Marks::new());
    p.restored();
    p.caught_up();
    let id = log.request(0);
    log.routed(0, id);
    log.claim(0, id, false);
    log.finished(0, id);
    let fold_new = |log: &Log, p: &mut Partition, from: usize| {
        for stored in &log.records[from..] {
            log.fold(p, stored);
        }
        settle(p);
    };
    fold_new(&log, &mut p, 0);
    let mut from = log.records.len();
    for copy in p.park(Timestamp(NOW)) {
        log.append(copy);
    }
    log.receipt(0, ReceiptStatus::Delivered);
    fold_new(&log, &mut p, from);
    from = log.records.len();
    log.outcome(0, id, &p);
    fold_new(&log, &mut p, from);
    assert!(p.entries.is_empty());
    commit(&mut p, &log);
    let (_, token) = p.tombstones().pop().unwrap();

    from = log.records.len();
    log.at += Lane::Otp.id_window_ms() + 1;
    let again = log.ends[&Topic::RequestsOtp];
    log.request(0);
    fold_new(&log, &mut p, from);
    p.acknowledged(token);
    let mark = commit(&mut p, &log)[&Topic::RequestsOtp].mark;
    assert_eq!(mark, Some(again), "the second one is open");
}
