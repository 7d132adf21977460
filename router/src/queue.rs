//! Messages of one lane of a partition that wait for a channel, oldest first.

use std::collections::VecDeque;

use jixinda_schemas::{MessageId, Timestamp};

/// Messages that may be found blocked in one look, and how long the lane then rests.
const BLOCKED: usize = 16;
const REST_MS: i64 = 10;
/// How many of those are looked at from the front; the others are where the last look stopped, so that what can go is
/// found behind any number that cannot.
const IN_FRONT: usize = 4;
/// As [`BLOCKED`], while no channel takes anything: what is to be refused, or has no route at all, does not wait for
/// room.
const NO_ROOM: usize = 2;

/// What became of a message that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It needs no place in the queue any more.
    Taken,
    /// It has to wait; `room` tells whether any channel takes a message of the lane now.
    Blocked { room: bool },
    /// Nothing more can be taken for now; it was not looked at.
    Stop,
}

/// Keeps its order, whatever is found blocked.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<MessageId>,
    /// How far the last look at blocked messages came.
    looked_to: usize,
    rests_until: Timestamp,
}

impl Queue {
    pub(crate) fn push(&mut self, id: MessageId) {
        self.waiting.push_back(id);
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn oldest(&self) -> Option<MessageId> {
        self.waiting.front().copied()
    }

    /// Whether there is something to look at now.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        !self.waiting.is_empty() && now >= self.rests_until
    }

    /// Offers messages, oldest first; those that are taken leave the queue.
    pub(crate) fn look(&mut self, now: Timestamp, mut offer: impl FnMut(MessageId) -> Offer) {
        let (mut at, mut blocked, mut limit) = (0, 0, BLOCKED);
        while blocked < limit {
            if blocked == IN_FRONT.min(limit - 1) {
                at = at.max(self.looked_to);
            }
            let Some(id) = self.waiting.get(at).copied() else {
                break;
            };
            match offer(id) {
                Offer::Stop => break,
                Offer::Taken => {
                    self.waiting.remove(at);
                }
                Offer::Blocked { room } => {
                    at += 1;
                    blocked += 1;
                    if !room {
                        limit = NO_ROOM;
                    }
                }
            }
        }
        if blocked > 0 {
            let ended = at >= self.waiting.len();
            self.looked_to = if ended { 0 } else { at };
            self.rests_until = now.plus_millis(REST_MS);
        }
    }
}

#[cfg(test)]
mod tests {
    use jixinda_schemas::{Position, Topic};

    use super::*;

    fn id(n: usize) -> MessageId {
        MessageId::from_position(&Position {
            topic: Topic::RequestsNotice,
            partition: 0,
            offset: n as i64,
        })
    }

    fn queue(ids: std::ops::Range<usize>) -> Queue {
        let mut queue = Queue::default();
        ids.for_each(|n| queue.push(id(n)));
        queue
    }

    fn look(queue: &mut Queue, now: i64, goes: impl Fn(MessageId) -> bool) -> Vec<MessageId> {
        let mut gone = Vec::new();
        queue.look(Timestamp(now), |id| {
            if !goes(id) {
                return Offer::Blocked { room: true };
            }
            gone.push(id);
            Offer::Taken
        });
        gone
    }

    #[test]
    fn the_oldest_go_first_however_often_they_were_blocked() {
        let mut queue = queue(0..1_000);
        for now in 0..100 {
            assert!(look(&mut queue, now, |_| false).is_empty());
        }
        let gone = look(&mut queue, 100, |_| true);
        assert_eq!(gone, (0..1_000).map(id).collect::<Vec<_>>());
        assert_eq!((queue.len(), queue.oldest()), (0, None));
    }

    #[test]
    fn one_that_can_go_is_found_behind_any_number_that_cannot() {
        let mut queue = queue(0..4_000);
        let looks = (0..1_000).find(|now| !look(&mut queue, *now, |i| i == id(3_999)).is_empty());
        assert!(looks.is_some_and(|n| n <= 4_000 / 12 + 1), "{looks:?}");
        assert_eq!(queue.oldest(), Some(id(0)));
    }

    #[test]
    fn a_blocked_lane_rests_and_without_room_costs_little() {
        let mut queue = queue(0..100);
        let mut offered = 0;
        queue.look(Timestamp(0), |_| {
            offered += 1;
            Offer::Blocked { room: false }
        });
        assert_eq!(offered, NO_ROOM);
        assert!(!queue.is_due(Timestamp(9)));
        assert!(queue.is_due(Timestamp(10)));
    }

    #[test]
    fn it_stops_when_nothing_more_can_be_taken() {
        let mut queue = queue(0..10);
        let mut left = 3;
        queue.look(Timestamp(0), |_| {
            left -= 1;
            if left >= 0 { Offer::Taken } else { Offer::Stop }
        });
        assert_eq!((queue.len(), queue.oldest()), (7, Some(id(3))));
        assert!(queue.is_due(Timestamp(0)));
    }
}
