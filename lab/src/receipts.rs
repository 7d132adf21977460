//! Receipts waiting to be pushed, and the task that pushes them.

mod push;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::aliyun::codes::ReceiptCode;
use crate::live::lock;

pub(crate) use push::{Client, client, run};

#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) biz_id: Arc<str>,
    pub(crate) out_id: Option<Arc<str>>,
    /// As the vendor writes it.
    pub(crate) phone_number: String,
    /// E.164, for the journal.
    pub(crate) recipient: String,
    pub(crate) sent_at_ms: u64,
    pub(crate) code: &'static ReceiptCode,
    pub(crate) sms_size: usize,
    pub(crate) duplicate: bool,
    /// Dropped after the first push, for a call that waits for it.
    pub(crate) pushed: Option<oneshot::Sender<()>>,
}

/// Ordered by the time at which they are due. Bounded by `outstanding`, which counts retried items as well.
#[derive(Debug)]
pub(crate) struct Queue {
    due: Mutex<BTreeMap<(Instant, u64), Item>>,
    sequence: AtomicUsize,
    outstanding: AtomicUsize,
    capacity: usize,
    wake: Notify,
    flush: Notify,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            due: Mutex::new(BTreeMap::new()),
            sequence: AtomicUsize::new(0),
            outstanding: AtomicUsize::new(0),
            capacity,
            wake: Notify::new(),
            flush: Notify::new(),
        }
    }

    /// Takes places for `count` receipts, or none.
    pub(crate) fn reserve(&self, count: usize) -> bool {
        self.outstanding
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                Some(held + count).filter(|sum| *sum <= self.capacity)
            })
            .is_ok()
    }

    pub(crate) fn release(&self, count: usize) {
        self.outstanding.fetch_sub(count, Ordering::Relaxed);
    }

    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// The items' places have been reserved.
    pub(crate) fn add(&self, items: Vec<(Instant, Item)>) {
        let now = Instant::now();
        let mut urgent = false;
        let mut due = lock(&self.due);
        for (at, item) in items {
            urgent |= item.pushed.is_some() && at <= now;
            let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) as u64;
            due.insert((at, sequence), item);
        }
        drop(due);
        if urgent {
            self.wake.notify_one();
        }
    }

    fn take_due(&self, most: usize) -> Vec<Item> {
        let now = Instant::now();
        let mut due = lock(&self.due);
        let mut items = Vec::new();
        while items.len() < most {
            match due.first_entry() {
                Some(first) if first.key().0 <= now => items.push(first.remove()),
                _ => break,
            }
        }
        items
    }

    /// Makes everything due now, retries included, and says how much that is.
    pub(crate) fn flush(&self) -> usize {
        let now = Instant::now();
        let mut due = lock(&self.due);
        let items = std::mem::take(&mut *due);
        due.extend(
            items
                .into_iter()
                .map(|((at, sequence), item)| ((at.min(now), sequence), item)),
        );
        drop(due);
        self.wake.notify_one();
        self.flush.notify_waiters();
        self.outstanding()
    }
}
