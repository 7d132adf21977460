//! What an instance remembers for a while: bounded in number and in time, and allowed to forget.
//!
//! Two generations: the young one takes what comes; when it is full or its time is over it becomes the old one, and
//! what was old is forgotten. So a lookup costs two map reads and nothing ever scans.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

const SHARDS: usize = 16;

pub(crate) struct Recent<V> {
    shards: Vec<Mutex<Generations<V>>>,
    window: Duration,
    per_generation: usize,
}

struct Generations<V> {
    young: HashMap<u128, (Duration, V)>,
    old: HashMap<u128, (Duration, V)>,
    turned: Duration,
}

impl<V: Clone> Recent<V> {
    /// Holds at most `capacity` entries (rounded up to a few dozen), none longer than `window`.
    pub(crate) fn new(capacity: usize, window: Duration) -> Self {
        let generations = || Generations {
            young: HashMap::new(),
            old: HashMap::new(),
            turned: Duration::ZERO,
        };
        Self {
            shards: (0..SHARDS).map(|_| Mutex::new(generations())).collect(),
            window,
            per_generation: capacity.div_ceil(2 * SHARDS).max(1),
        }
    }

    fn shard(&self, key: u128) -> std::sync::MutexGuard<'_, Generations<V>> {
        self.shards[(key % SHARDS as u128) as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// `now` is the clock's uptime.
    pub(crate) fn get(&self, key: u128, now: Duration) -> Option<V> {
        let shard = self.shard(key);
        let (at, value) = shard.young.get(&key).or_else(|| shard.old.get(&key))?;
        (now.saturating_sub(*at) < self.window).then(|| value.clone())
    }

    pub(crate) fn insert(&self, key: u128, value: V, now: Duration) {
        let mut shard = self.shard(key);
        if shard.young.len() >= self.per_generation
            || now.saturating_sub(shard.turned) >= self.window
        {
            let Generations { young, old, turned } = &mut *shard;
            std::mem::swap(young, old);
            young.clear();
            *turned = now;
        }
        shard.young.insert(key, (now, value));
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let count = |generations: &Generations<V>| generations.young.len() + generations.old.len();
        (0..SHARDS as u128).map(|i| count(&self.shard(i))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn an_entry_is_there_for_its_window_and_gone_after() {
        let recent = Recent::new(1000, s(60));
        recent.insert(7, "a", s(100));
        assert_eq!(recent.get(7, s(159)), Some("a"));
        assert_eq!(recent.get(7, s(160)), None);
        assert_eq!(recent.get(8, s(100)), None);
    }

    #[test]
    fn the_number_of_entries_is_bounded_and_the_newest_stay() {
        let recent = Recent::new(320, s(60));
        for key in 0..10_000_u128 {
            recent.insert(key, (), s(1));
        }
        assert!(recent.len() <= 320, "{}", recent.len());
        assert!(recent.get(9_999, s(2)).is_some());
        assert!(recent.get(0, s(2)).is_none());
    }
}
