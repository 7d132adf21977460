//! One task writes; everyone else hands it finished lines through a bounded channel.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::Entry;
use crate::error::Error;

const QUEUE: usize = 32_768;
const BATCH: usize = 4_096;
/// The pause between two writes: the most that a line waits, besides the write itself.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Clone, Debug)]
pub(crate) struct Writer {
    lines: mpsc::Sender<Line>,
    sync: bool,
}

#[derive(Debug)]
struct Line {
    bytes: Vec<u8>,
    written: Option<oneshot::Sender<()>>,
}

/// Room for the lines of one call, taken before the call is decided, so that deciding and recording it
/// cannot be torn apart by a client that leaves.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    permits: mpsc::PermitIterator<'a, Line>,
    sync: bool,
}

impl Writer {
    pub(crate) async fn reserve(&self, lines: usize) -> Option<Slot<'_>> {
        let permits = self.lines.reserve_many(lines).await.ok()?;
        Some(Slot {
            permits,
            sync: self.sync,
        })
    }

    pub(crate) async fn write(&self, entry: &Entry) {
        if let Some(mut slot) = self.reserve(1).await {
            drop(slot.write(entry));
        }
    }
}

impl Slot<'_> {
    /// With `journal_sync`, the receiver tells when the line is with the operating system.
    pub(crate) fn write(&mut self, entry: &Entry) -> Option<oneshot::Receiver<()>> {
        let mut bytes = Vec::with_capacity(512);
        if let Err(error) = serde_json::to_writer(&mut bytes, entry) {
            tracing::error!(%error, "journal entry not written");
            return None;
        }
        bytes.push(b'\n');
        let (written, wait) = if self.sync {
            let (written, wait) = oneshot::channel();
            (Some(written), Some(wait))
        } else {
            (None, None)
        };
        match self.permits.next() {
            Some(permit) => permit.send(Line { bytes, written }),
            None => tracing::error!("journal entry not written, no room was reserved"),
        }
        wait
    }
}

/// Opens the file for appending, cuts a torn last line, and starts the writer task. The task ends when every
/// `Writer` is dropped, or with the error of the first write that fails.
pub(crate) fn open(
    path: &Path,
    sync: bool,
) -> Result<(Writer, JoinHandle<Result<(), Error>>), Error> {
    let failed = |source| Error::Journal {
        path: path.to_owned(),
        source,
    };
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)
        .map_err(failed)?;
    cut_torn_line(&mut file).map_err(failed)?;
    let (lines, queue) = mpsc::channel(QUEUE);
    let pause = (!sync).then_some(PAUSE);
    let task = tokio::spawn(run(file.into(), queue, pause, path.to_owned()));
    Ok((Writer { lines, sync }, task))
}

fn cut_torn_line(file: &mut std::fs::File) -> std::io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(4096);
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::with_capacity(4096);
        file.by_ref().take(end - start).read_to_end(&mut block)?;
        match block.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => {
                end = start + at as u64 + 1;
                break;
            }
            None => end = start,
        }
    }
    if end < length {
        tracing::warn!(bytes = length - end, "torn last journal line cut");
        file.set_len(end)?;
    }
    Ok(())
}

async fn run(
    mut file: tokio::fs::File,
    mut queue: mpsc::Receiver<Line>,
    pause: Option<Duration>,
    path: PathBuf,
) -> Result<(), Error> {
    let mut lines = Vec::with_capacity(BATCH);
    let mut bytes = Vec::new();
    let mut waiting = Vec::new();
    loop {
        let count = queue.recv_many(&mut lines, BATCH).await;
        if count == 0 {
            return Ok(());
        }
        for line in lines.drain(..) {
            bytes.extend_from_slice(&line.bytes);
            waiting.extend(line.written);
        }
        let written = match file.write_all(&bytes).await {
            Ok(()) => file.flush().await,
            Err(error) => Err(error),
        };
        written.map_err(|source| Error::Journal {
            path: path.clone(),
            source,
        })?;
        bytes.clear();
        for waiter in waiting.drain(..) {
            // The call may have been given up meanwhile.
            let _: Result<(), ()> = waiter.send(());
        }
        // Lines gather meanwhile, so that a busy lab writes in few large pieces; a full batch is not let wait.
        if let Some(pause) = pause.filter(|_| count < BATCH && !queue.is_closed()) {
            tokio::time::sleep(pause).await;
        }
    }
}
