//! Where reading goes on.

use std::collections::{BTreeSet, HashMap};

use jixinda_schemas::Topic;

/// Next offset of all that was held at the last assignment. Between a revoke and the next assignment it stays: what is
/// assigned again goes on from here.
#[derive(Clone, Debug, Default)]
pub(super) struct Next(HashMap<(Topic, i32), i64>);

impl Next {
    /// Forgets what is not among the partitions of an assignment: when it comes back, others may have held it. Here, and
    /// not when the role follows the assignment: by then the offsets of a newer one may stand here.
    pub(super) fn hold(&mut self, partitions: &BTreeSet<i32>) {
        self.0.retain(|(_, p), _| partitions.contains(p));
    }

    pub(super) fn set(&mut self, topic: Topic, partition: i32, offset: i64) {
        self.0.insert((topic, partition), offset);
    }

    pub(super) fn of(&self, topic: Topic, partition: i32) -> Option<i64> {
        self.0.get(&(topic, partition)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_assigned_in_between_is_forgotten() {
        let topic = Topic::Outcomes;
        let mut next = Next::default();
        for p in 0..3 {
            next.set(topic, p, 10);
        }
        next.hold(&BTreeSet::from([0, 1]));
        assert_eq!(next.of(topic, 1), Some(10));
        assert_eq!(next.of(topic, 2), None);
        next.hold(&BTreeSet::from([0, 1, 2]));
        assert_eq!(next.of(topic, 1), Some(10));
        assert_eq!(next.of(topic, 2), None);
    }
}
