//! One topic of one partition: who counts, what was read, what goes out next.

use std::{sync::Arc, time::Duration};

use jixinda_runtime::kafka::{Record, fence::Fence, member::Committed};
use jixinda_schemas::{Topic, seal::PlatformKey};
use tokio::task::AbortHandle;

use super::{
    insert::Batch,
    judge::{Skip, judge},
    range::{Mark, Note, Range},
};
use crate::rows::{Rows, Table};

/// A task that ends with its holder.
#[derive(Debug)]
pub(super) struct Sending(pub(super) AbortHandle);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Debug)]
pub(super) struct Lane {
    /// Tells it from an earlier one of the same partition.
    pub(super) id: u64,
    table: Table,
    fence: Fence,
    range: Range,
    open: Rows,
    /// When the first record of the open part was read, and its broker time.
    since: Option<(Duration, i64)>,
    /// Closed; shared with the insert that is under way.
    frozen: Option<Arc<Rows>>,
    /// The closed part is with the inserter.
    sent: bool,
    /// Its last insert. When the lane is gone, whoever announces its rows next counts them.
    pub(super) sending: Option<Sending>,
    frozen_since: Option<i64>,
    /// What the broker last acknowledged.
    committed: Mark,
    pub(super) paused: bool,
}

/// The topic is none of the sink's, or the metadata is not ours.
#[derive(Debug)]
pub(super) struct Foreign;

impl Lane {
    pub(super) fn new(id: u64, committed: &Committed) -> Result<Self, Foreign> {
        let table = Table::of(committed.topic).ok_or(Foreign)?;
        let mark = read_mark(committed).ok_or(Foreign)?;
        Ok(Self {
            id,
            table,
            fence: Fence::from_base(mark.note.writers.clone()),
            range: Range::start(mark.clone()),
            open: Rows::new(table),
            since: None,
            frozen: None,
            sent: false,
            sending: None,
            frozen_since: None,
            committed: mark,
            paused: false,
        })
    }

    /// Takes a record. `Ok(false)`: it was read before.
    pub(super) fn take(
        &mut self,
        record: &Record<'_>,
        now: Duration,
        key: &PlatformKey,
    ) -> Result<bool, Skip> {
        // An announced part ends exactly where it was announced to.
        if self.range.ends_before(record.offset) {
            self.range.complete();
            self.close();
        }
        if !self.range.take(record.offset) {
            return Ok(false);
        }
        self.since.get_or_insert((now, record.at.millis()));
        let judged = judge(record, &mut self.fence, &mut self.open, key);
        if self.range.closable().1 {
            self.close();
        }
        judged.map(|()| true)
    }

    /// Whether the open part may be closed: the one before it is done, and it was not announced to a later offset.
    pub(super) fn is_closable(&self) -> bool {
        self.range.closable().0
    }

    /// How long the open part has waited; `None` when nothing was read.
    pub(super) fn waits(&self, now: Duration) -> Option<Duration> {
        self.since.map(|(since, _)| now.saturating_sub(since))
    }

    pub(super) fn is_full(&self, rows: usize) -> bool {
        self.open.len() >= rows
    }

    /// What was read so far goes out. Returns whether there were rows.
    pub(super) fn close(&mut self) -> bool {
        let rows = std::mem::replace(&mut self.open, Rows::new(self.table));
        let writers = self.fence.raise(self.range.next()).clone();
        let since = self.since.take();
        let frozen = self.range.freeze(writers, !rows.is_empty()).is_some();
        if frozen {
            self.frozen = Some(Arc::new(rows));
            self.frozen_since = since.map(|(_, at)| at);
        }
        frozen
    }

    /// What has to be committed, when that differs from what is.
    pub(super) fn due(&self) -> Option<Mark> {
        let mark = self.range.mark();
        (mark != self.committed).then_some(mark)
    }

    /// Offset to be read next.
    pub(super) const fn next(&self) -> i64 {
        self.range.next()
    }

    pub(super) fn mark(&self) -> Mark {
        self.range.mark()
    }

    /// Whether an insert waits for a commit.
    pub(super) fn wants_commit(&self) -> bool {
        self.range.is_unannounced()
    }

    /// The broker has [`Lane::due`].
    pub(super) fn committed(&mut self) {
        self.committed = self.range.mark();
        self.range.announced();
    }

    /// The batch that may go out now, once.
    pub(super) fn batch(&mut self, topic: Topic, partition: i32) -> Option<Batch> {
        let (span, again) = self.range.sendable().filter(|_| !self.sent)?;
        let rows = Arc::clone(self.frozen.as_ref()?);
        self.sent = true;
        Some(Batch {
            topic,
            partition,
            span,
            rows,
            again,
        })
    }

    pub(super) fn inserted(&mut self) {
        self.range.inserted();
        self.sent = false;
        self.frozen = None;
        self.frozen_since = None;
    }

    /// Whether the broker's word is what this lane last heard or was about to say.
    pub(super) fn agrees(&self, committed: &Committed) -> bool {
        read_mark(committed).is_some_and(|mark| mark == self.committed || mark == self.range.mark())
    }

    pub(super) fn held(&self) -> usize {
        self.open.len() + self.frozen.as_ref().map_or(0, |rows| rows.len())
    }

    /// Broker time of the oldest record that is not in ClickHouse.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.frozen_since.or(self.since.map(|(_, at)| at))
    }

    /// Whether reading should rest: a full open part cannot be closed yet, or memory is short. A part that was
    /// announced must be read to its end in any case.
    pub(super) fn should_rest(&self, batch_rows: usize, short: bool) -> bool {
        !self.range.is_again()
            && (short || (self.range.is_frozen() && self.open.len() >= batch_rows))
    }

    pub(super) const fn is_busy(&self) -> bool {
        self.range.is_frozen()
    }
}

fn read_mark(committed: &Committed) -> Option<Mark> {
    let note = match committed.metadata.as_str() {
        "" => Note::default(),
        text => serde_json::from_str(text).ok()?,
    };
    Some(Mark {
        offset: committed.offset,
        note,
    })
}
