//! Remembered message ids: a repeat within the window is the same message. Pure.
//!
//! Windows are measured between the broker times of the two requests, so that reading the log again gives the same
//! answer as reading it the first time. Ids are kept in blocks, so that the requests need not be read again for them:
//! the floor of a source never passes an id that is in no block that was read back.

mod block;

use std::collections::{BTreeMap, HashMap, VecDeque};

use jixinda_schemas::{Lane, MessageId, Timestamp, Topic};

pub use block::{BadBlock, Block, Remembered};

/// Most ids of a block: at 26 to 40 bytes each it fits a record.
pub const BLOCK_IDS: usize = 25_000;

#[derive(Clone, Copy, Debug)]
struct Known {
    at: Timestamp,
    fingerprint: u64,
    source: Topic,
    offset: i64,
}

/// Ids of one source, in order of offset.
#[derive(Clone, Debug, Default)]
struct Order {
    ids: VecDeque<(i64, MessageId, Timestamp)>,
    /// So many of them, from the front, are in blocks that were read back.
    kept: usize,
    /// So many more are in a block that is on its way.
    on_their_way: usize,
    /// First and last offset of each block.
    blocks: Vec<(i64, i64)>,
}

/// Ids of one partition.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    known: HashMap<MessageId, Known>,
    order: BTreeMap<Topic, Order>,
}

/// What a request is to the ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    New,
    /// Same message, same content.
    Repeat,
    /// Same id, other content.
    Conflict,
}

impl Ids {
    /// Judges the request at `offset`, accepted at `at`; a new one is remembered.
    pub fn see(
        &mut self,
        source: Topic,
        offset: i64,
        id: MessageId,
        fingerprint: u64,
        at: Timestamp,
    ) -> Sighting {
        let window = source.lane().map_or(0, Lane::id_window_ms);
        match self.known.get(&id) {
            // The very record that made it known, read again.
            Some(known) if (known.source, known.offset) == (source, offset) => Sighting::New,
            Some(known) if at.since(known.at) <= window => {
                if known.fingerprint == fingerprint {
                    Sighting::Repeat
                } else {
                    Sighting::Conflict
                }
            }
            _ => {
                self.remember(
                    source,
                    Remembered {
                        offset,
                        id,
                        at,
                        fingerprint,
                    },
                );
                Sighting::New
            }
        }
    }

    fn remember(&mut self, source: Topic, remembered: Remembered) {
        let Remembered {
            offset,
            id,
            at,
            fingerprint,
        } = remembered;
        let known = Known {
            at,
            fingerprint,
            source,
            offset,
        };
        self.known.insert(id, known);
        let order = self.order.entry(source).or_default();
        order.ids.push_back((offset, id, at));
    }

    /// Forgets ids that no request at or after `oldest` can repeat any more, and returns the blocks that hold nothing
    /// else. `oldest` is the broker time of the oldest request that may be read again, or now.
    pub fn forget(&mut self, oldest: Timestamp) -> Vec<(Topic, i64, i64)> {
        let mut over = Vec::new();
        for (source, order) in &mut self.order {
            let window = source.lane().map_or(0, Lane::id_window_ms);
            // One that is on its way to a block goes when the block is there.
            while order.kept > 0 || order.on_their_way == 0 {
                let Some((_, id, at)) = order.ids.front().copied() else {
                    break;
                };
                if oldest.since(at) <= window {
                    break;
                }
                order.ids.pop_front();
                order.kept = order.kept.saturating_sub(1);
                if self.known.get(&id).is_some_and(|known| known.at == at) {
                    self.known.remove(&id);
                }
            }
            let front = order.ids.front().map_or(i64::MAX, |(offset, ..)| *offset);
            let is_over = |block: &(i64, i64)| block.1 < front;
            over.extend(
                order
                    .blocks
                    .extract_if(.., |b| is_over(b))
                    .map(|(a, b)| (*source, a, b)),
            );
        }
        over
    }

    /// The next ids of `source` that belong into a block, once there are [`BLOCK_IDS`], or the first is from `due` or
    /// before; one block at a time.
    pub fn next_block(&mut self, source: Topic, due: Timestamp) -> Option<Block> {
        let order = self.order.get_mut(&source)?;
        let (_, _, at) = order.ids.get(order.kept)?;
        let enough = order.ids.len() - order.kept >= BLOCK_IDS || *at <= due;
        if order.on_their_way > 0 || !enough {
            return None;
        }
        let known = &self.known;
        let ids: Vec<Remembered> = order
            .ids
            .range(order.kept..)
            .take(BLOCK_IDS)
            .map(|(offset, id, at)| Remembered {
                offset: *offset,
                id: *id,
                at: *at,
                // An id that came again since has its newer place there.
                fingerprint: known.get(id).map_or(0, |known| known.fingerprint),
            })
            .collect();
        order.on_their_way = ids.len();
        Some(Block { source, ids })
    }

    /// The block that was on its way was read back.
    pub fn block_kept(&mut self, source: Topic, first: i64, last: i64) {
        let order = self.order.entry(source).or_default();
        order.kept += std::mem::take(&mut order.on_their_way);
        order.blocks.push((first, last));
    }

    /// A block of an earlier owner.
    pub fn restore(&mut self, block: Block) {
        let (Some(first), Some(last)) = (block.ids.first(), block.ids.last()) else {
            return;
        };
        let span = (first.offset, last.offset);
        self.order
            .entry(block.source)
            .or_default()
            .blocks
            .push(span);
        for remembered in block.ids {
            let newest = self.known.get(&remembered.id).map(|known| known.at);
            if newest.is_none_or(|at| at < remembered.at) {
                self.remember(block.source, remembered);
            } else {
                let Remembered { offset, id, at, .. } = remembered;
                let order = self.order.entry(block.source).or_default();
                order.ids.push_back((offset, id, at));
            }
        }
    }

    /// Every block was restored.
    pub fn restored(&mut self) {
        for order in self.order.values_mut() {
            order
                .ids
                .make_contiguous()
                .sort_unstable_by_key(|(offset, ..)| *offset);
            order.kept = order.ids.len();
        }
    }

    /// Lowest offset of `source` whose id is remembered and in no block.
    #[must_use]
    pub fn floor(&self, source: Topic) -> Option<i64> {
        let order = self.order.get(&source)?;
        order.ids.get(order.kept).map(|(offset, ..)| *offset)
    }

    /// Ids remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_repeat_is_known_within_the_window_and_new_after_it() {
        let (mut ids, id) = (Ids::default(), MessageId::random());
        let mut see = |offset, fingerprint, at| {
            ids.see(Topic::RequestsOtp, offset, id, fingerprint, Timestamp(at))
        };
        assert_eq!(see(1, 7, 0), Sighting::New);
        assert_eq!(see(2, 7, HOUR), Sighting::Repeat);
        assert_eq!(see(3, 8, HOUR), Sighting::Conflict);
        assert_eq!(see(4, 7, HOUR + 1), Sighting::New);
    }

    #[test]
    fn the_floor_keeps_every_id_that_a_request_read_again_could_repeat() {
        let mut ids = Ids::default();
        for (offset, at) in [(5, 0), (6, HOUR / 2), (7, 2 * HOUR)] {
            ids.see(
                Topic::RequestsOtp,
                offset,
                MessageId::random(),
                1,
                Timestamp(at),
            );
        }
        ids.forget(Timestamp(HOUR));
        assert_eq!(ids.floor(Topic::RequestsOtp), Some(5));
        ids.forget(Timestamp(HOUR + 1));
        assert_eq!((ids.floor(Topic::RequestsOtp), ids.len()), (Some(6), 2));
        assert_eq!(ids.floor(Topic::RequestsNotice), None);
    }

    #[test]
    fn a_block_frees_the_floor_and_a_later_owner_knows_its_ids() {
        let (mut ids, source) = (Ids::default(), Topic::RequestsOtp);
        let known: Vec<MessageId> = (0..5).map(|_| MessageId::random()).collect();
        for (i, id) in (0..).zip(&known) {
            ids.see(source, i, *id, 7, Timestamp(i));
        }
        assert!(ids.next_block(source, Timestamp(-1)).is_none());
        let block = ids.next_block(source, Timestamp(0)).unwrap();
        assert!(
            ids.next_block(source, Timestamp(0)).is_none(),
            "one at a time"
        );
        assert_eq!(ids.floor(source), Some(0));
        ids.see(source, 9, MessageId::random(), 7, Timestamp(9));
        ids.block_kept(source, 0, 4);
        assert_eq!(ids.floor(source), Some(9));

        let mut later = Ids::default();
        later.restore(block);
        later.restored();
        assert_eq!(later.floor(source), None);
        // The record itself is new again, as it was; a repeat stays a repeat.
        assert_eq!(
            later.see(source, 3, known[3], 7, Timestamp(3)),
            Sighting::New
        );
        assert_eq!(
            later.see(source, 10, known[3], 7, Timestamp(10)),
            Sighting::Repeat
        );
        assert_eq!(later.forget(Timestamp(HOUR + 4)), []);
        assert_eq!(later.forget(Timestamp(HOUR + 5)), [(source, 0, 4)]);
        assert!(later.is_empty());
    }

    /// Bytes that this process has in memory.
    fn resident() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
        pages * 4096
    }

    /// Prints the table of docs/performance.md. Alone in its process, since it looks at the memory of all of it.
    #[test]
    #[ignore = "measures: cargo test --workspace --lib remembered_id_takes -- --ignored --nocapture"]
    fn a_remembered_id_takes_less_than_200_bytes() {
        let (mut ids, before) = (Ids::default(), resident());
        for offset in 0..4_000_000_i64 {
            ids.see(
                Topic::RequestsNotice,
                offset,
                MessageId::random(),
                offset as u64,
                Timestamp(offset),
            );
            let known = offset + 1;
            // Tables double: between the steps of the largest and the smallest share of empty places.
            if known % 500_000 == 0 {
                let each = (resident() - before) / ids.len();
                println!("{known} ids: {each} bytes each");
                assert!(each < 200, "{each}");
            }
        }
    }
}
