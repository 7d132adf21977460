//! Remembered message ids: a repeat within the window is the same message. Pure.
//!
//! Windows are measured between the broker times of the two requests, so that reading the log again gives the same
//! answer as reading it the first time.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jixinda_schemas::{Lane, MessageId, Timestamp, Topic};

#[derive(Clone, Copy, Debug)]
struct Known {
    at: Timestamp,
    fingerprint: u64,
}

/// Ids of one partition.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    known: HashMap<MessageId, Known>,
    /// In order of offset, by source topic.
    order: BTreeMap<Topic, VecDeque<(i64, MessageId, Timestamp)>>,
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
            Some(known) if at.since(known.at) <= window => {
                if known.fingerprint == fingerprint {
                    Sighting::Repeat
                } else {
                    Sighting::Conflict
                }
            }
            _ => {
                self.known.insert(id, Known { at, fingerprint });
                self.order
                    .entry(source)
                    .or_default()
                    .push_back((offset, id, at));
                Sighting::New
            }
        }
    }

    /// Forgets ids that no request at or after `oldest` can repeat any more. `oldest` is the broker time of the oldest
    /// request that may be read again, or now.
    pub fn forget(&mut self, oldest: Timestamp) {
        for (source, order) in &mut self.order {
            let window = source.lane().map_or(0, Lane::id_window_ms);
            while let Some((_, id, at)) = order.front().copied() {
                if oldest.since(at) <= window {
                    break;
                }
                order.pop_front();
                if self.known.get(&id).is_some_and(|known| known.at == at) {
                    self.known.remove(&id);
                }
            }
        }
    }

    /// Lowest offset of `source` whose id is remembered.
    #[must_use]
    pub fn floor(&self, source: Topic) -> Option<i64> {
        self.order.get(&source)?.front().map(|(offset, ..)| *offset)
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
}
