//! The running state of one account.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::account::Account;
use crate::clock::Stamp;
use crate::config::Config;
use crate::receipts::Queue;
use crate::stats::Stats;
use crate::vendor::Mo;

/// Messages from handsets that may wait to be fetched.
const MAILBOX: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Live {
    account: RwLock<Arc<Account>>,
    nonces: Mutex<Nonces>,
    /// The clock second and the calls let through in it.
    window: Mutex<(u64, u32)>,
    decided: AtomicU64,
    /// Messages paid for.
    spent: AtomicU64,
    stats: Mutex<Stats>,
    mailbox: Mutex<VecDeque<Mo>>,
    pub(crate) receipts: Queue,
}

impl Live {
    pub(crate) fn new(account: Account, config: &Config) -> Self {
        Self {
            account: RwLock::new(Arc::new(account)),
            nonces: Mutex::new(Nonces::new(config)),
            window: Mutex::new((0, 0)),
            decided: AtomicU64::new(0),
            spent: AtomicU64::new(0),
            stats: Mutex::new(Stats::default()),
            mailbox: Mutex::default(),
            receipts: Queue::new(config.receipt_capacity),
        }
    }

    pub(crate) fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn replace(&self, account: Account) {
        *self.account.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(account);
    }

    pub(crate) fn stats(&self) -> MutexGuard<'_, Stats> {
        lock(&self.stats)
    }

    /// Whether the nonce is new; remembers it.
    pub(crate) fn take_nonce(&self, nonce: &str, now: Stamp) -> bool {
        lock(&self.nonces).take(nonce, now.unix_seconds())
    }

    /// Counts the call against the limit of its clock second.
    pub(crate) fn within_rate(&self, limit: Option<u32>, now: Stamp) -> bool {
        let Some(limit) = limit else { return true };
        let mut window = lock(&self.window);
        // A late reading of the clock counts in the newest second.
        if now.unix_seconds() > window.0 {
            *window = (now.unix_seconds(), 0);
        }
        if window.1 >= limit {
            return false;
        }
        window.1 += 1;
        true
    }

    /// Takes the price of `count` messages out of `balance`, or nothing.
    pub(crate) fn pay(&self, balance: Option<u64>, count: usize) -> bool {
        let Some(balance) = balance else { return true };
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let pay = |spent: u64| spent.checked_add(count).filter(|sum| *sum <= balance);
        self.spent
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay)
            .is_ok()
    }

    /// Keeps a message from a handset until it is fetched; `false` when too many wait.
    pub(crate) fn keep_inbound(&self, mo: Mo) -> bool {
        let mut mailbox = lock(&self.mailbox);
        let room = mailbox.len() < MAILBOX;
        if room {
            mailbox.push_back(mo);
        }
        room
    }

    pub(crate) fn take_inbound(&self, most: usize) -> Vec<Mo> {
        let mut mailbox = lock(&self.mailbox);
        let count = most.min(mailbox.len());
        mailbox.drain(..count).collect()
    }

    /// Messages from handsets, for those who ask by day.
    pub(crate) fn waiting_inbound(&self) -> Vec<Mo> {
        lock(&self.mailbox).iter().cloned().collect()
    }

    /// The number of the next call to be decided.
    pub(crate) fn next_call(&self) -> u64 {
        self.decided.fetch_add(1, Ordering::Relaxed)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nonces as 64-bit hashes in two generations. A generation lasts for twice the allowed clock skew, the
/// longest time for which a request stays valid, and is forgotten one generation later.
#[derive(Debug)]
struct Nonces {
    hasher: RandomState,
    current: HashSet<u64>,
    previous: HashSet<u64>,
    began: u64,
    lasts: u64,
    most: usize,
}

impl Nonces {
    fn new(config: &Config) -> Self {
        Self {
            hasher: RandomState::new(),
            current: HashSet::new(),
            previous: HashSet::new(),
            began: 0,
            lasts: 2 * config.clock_skew.as_secs() + 1,
            most: config.nonce_capacity / 2,
        }
    }

    fn take(&mut self, nonce: &str, now: u64) -> bool {
        if now.saturating_sub(self.began) >= self.lasts || self.current.len() >= self.most {
            self.previous = mem::take(&mut self.current);
            self.began = now;
        }
        let hash = self.hasher.hash_one(nonce);
        !self.previous.contains(&hash) && self.current.insert(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_are_kept_for_their_window_and_memory_is_bounded() {
        let mut config = Config::new("unused");
        config.nonce_capacity = 100;
        let mut nonces = Nonces::new(&config);
        assert!(nonces.take("a", 10_000));
        assert!(!nonces.take("a", 10_000 + 1801));
        assert!(nonces.take("a", 10_000 + 2 * 1801 + 1801));
        for number in 0..1_000 {
            assert!(nonces.take(&number.to_string(), 20_000));
            assert!(nonces.current.len() + nonces.previous.len() <= 100);
        }
    }
}
