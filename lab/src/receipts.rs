//! Receipts waiting to be pushed or fetched, and the task that pushes them.

mod push;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::clock::Stamp;
use crate::codes::ReceiptCode;
use crate::journal::{Pushed, Receipt};
use crate::live::lock;
use crate::number::Number;
use crate::vendor::{Notes, Query};

pub(crate) use push::{Client, client, run, send};

/// How long, and how many, receipts that were asked for by id can be asked for again.
const KEPT_FOR: Duration = Duration::from_secs(3_600);
const KEPT: usize = 200_000;

/// One receipt: of a message, or of a part of one.
#[derive(Debug)]
pub(crate) struct Item {
    /// The vendor's id of the message.
    pub(crate) id: Arc<str>,
    pub(crate) echo: Option<Arc<str>>,
    pub(crate) notes: Notes,
    pub(crate) number: Number,
    pub(crate) sent_at_ms: u64,
    pub(crate) code: &'static ReceiptCode,
    /// Billed parts of the message.
    pub(crate) parts: usize,
    /// Which part, from 1.
    pub(crate) part: usize,
    pub(crate) duplicate: bool,
    /// A lie about a message that there never was.
    pub(crate) forged: bool,
    /// Where it goes; absent for what is fetched.
    pub(crate) url: Option<Arc<str>>,
    /// The URL came with the call; a request to it has this receipt alone.
    pub(crate) called_back: bool,
    /// Dropped after the first push, for a call that waits for it.
    pub(crate) pushed: Option<oneshot::Sender<()>>,
}

impl Item {
    pub(crate) fn journalled(
        &self,
        account: &str,
        at: Stamp,
        pushed: Pushed,
        attempt: u32,
    ) -> Receipt {
        Receipt {
            at_ms: at.at_ms,
            at_ns: at.at_ns,
            account: account.to_owned(),
            biz_id: self.id.to_string(),
            out_id: self.echo.as_deref().map(str::to_owned),
            recipient: self.number.e164.clone(),
            success: self.code.success,
            err_code: self.code.code.to_owned(),
            pushed,
            attempt,
            duplicate: self.duplicate,
            forged: self.forged,
        }
    }

    /// The same again, for one that is asked for more than once.
    fn copy(&self) -> Self {
        Self {
            id: Arc::clone(&self.id),
            echo: self.echo.clone(),
            notes: Arc::clone(&self.notes),
            number: self.number.clone(),
            url: None,
            pushed: None,
            ..*self
        }
    }
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
    kept: Mutex<Kept>,
}

/// Receipts that are asked for by id, by the vendor's id, and whether nobody has asked yet.
#[derive(Debug, Default)]
struct Kept {
    of_id: HashMap<Arc<str>, Vec<(Item, bool)>>,
    order: VecDeque<(Instant, Arc<str>)>,
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
            kept: Mutex::default(),
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

    /// What was asked for by id or number, and whether for the first time. It stays, for a while.
    pub(crate) fn look_up(&self, query: &Query) -> Vec<(Item, bool)> {
        self.keep_due();
        let mut kept = lock(&self.kept);
        let of_id: Vec<&mut (Item, bool)> = match &query.id {
            Some(id) => kept
                .of_id
                .get_mut(id.as_str())
                .into_iter()
                .flatten()
                .collect(),
            None => kept.of_id.values_mut().flatten().collect(),
        };
        let asked = of_id.into_iter().filter(|(item, _)| {
            let recipient = query.recipient.as_ref();
            recipient.is_none_or(|wanted| *wanted == item.number.e164)
        });
        asked
            .map(|(item, new)| (item.copy(), std::mem::take(new)))
            .collect()
    }

    fn keep_due(&self) {
        let due = self.take_due(usize::MAX);
        let now = Instant::now();
        self.release(due.len());
        let mut kept = lock(&self.kept);
        for item in due {
            let id = Arc::clone(&item.id);
            kept.order.push_back((now, Arc::clone(&id)));
            kept.of_id.entry(id).or_default().push((item, true));
        }
        while kept
            .order
            .front()
            .is_some_and(|(at, _)| now.saturating_duration_since(*at) > KEPT_FOR)
            || kept.order.len() > KEPT
        {
            if let Some((_, id)) = kept.order.pop_front() {
                kept.of_id.remove(&id);
            }
        }
    }

    /// What is due, at most so many, oldest first.
    pub(crate) fn take_due(&self, most: usize) -> Vec<Item> {
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
