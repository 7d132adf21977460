//! The threads that own the engine: one for writes, some for reads, each statement in a session of its own.
//!
//! A session is opened and closed in 0.3 ms, so nothing that a statement sets can reach the next one: a
//! deduplication token kept by a connection would swallow the next insert.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::Error;
use super::exception::{
    Exception, PROHIBITED, READONLY, SYNTAX_ERROR, TOO_MANY_SIMULTANEOUS_QUERIES,
};
use super::ffi::{Api, Class, Connection, Counts, STACK_BYTES};
use super::session::{Limits, Session};
use super::statement::{self, Statement};

/// A client that takes nothing of its result for so long has left.
const STALLED: Duration = Duration::from_secs(30);
/// How often an idle thread looks whether it should end.
const TICK: Duration = Duration::from_millis(100);
/// Up to here a result is sent as one piece, with its figures.
const SMALL: usize = 256 << 10;

pub(crate) struct Job {
    pub(crate) statement: Statement,
    pub(crate) session: Session,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) format: String,
    /// Whether blocks of the result may be sent as they come.
    pub(crate) streamed: bool,
    pub(crate) since: Instant,
    pub(crate) reply: oneshot::Sender<Result<Reply, Exception>>,
}

#[derive(Debug)]
pub(crate) enum Reply {
    Whole(Vec<u8>, Counts),
    Stream(Vec<u8>, mpsc::Receiver<Result<Bytes, Exception>>),
}

pub(crate) type Queue = mpsc::Sender<Job>;

/// What every thread knows.
struct Shared {
    api: Api,
    data_dir: PathBuf,
    limits: Limits,
    runtime: Handle,
    /// No reads any more.
    closing: AtomicBool,
    /// No work any more, once the queues are empty.
    stopped: AtomicBool,
}

pub(crate) struct Pool {
    pub(crate) reads: Queue,
    pub(crate) writes: Queue,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Ends the process when a thread of the engine panics: the engine's state is unknown then.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("an engine thread panicked, the process ends");
            std::process::abort();
        }
    }
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let body = move || {
        let _abort = AbortOnPanic;
        run();
    };
    std::thread::Builder::new()
        .name(name)
        .stack_size(STACK_BYTES)
        .spawn(body)
        .map_err(Error::Thread)
}

impl Pool {
    pub(crate) fn start(
        api: Api,
        data_dir: PathBuf,
        limits: Limits,
        readers: usize,
        queue: usize,
    ) -> Result<Self, Error> {
        let runtime = Handle::current();
        let shared = Arc::new(Shared {
            api,
            data_dir,
            limits,
            runtime,
            closing: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        });
        let (reads, read_jobs) = mpsc::channel(queue);
        let (writes, write_jobs) = mpsc::channel(queue);
        let read_jobs = Arc::new(Mutex::new(read_jobs));
        let write_jobs = Arc::new(Mutex::new(write_jobs));
        let names = std::iter::once("engine-write".to_owned())
            .chain((0..readers).map(|n| format!("engine-read-{n}")));
        let mut threads = Vec::new();
        for (n, name) in names.enumerate() {
            let (shared, jobs) = (
                Arc::clone(&shared),
                if n == 0 { &write_jobs } else { &read_jobs },
            );
            let jobs = Arc::clone(jobs);
            threads.push(spawn(name, move || shared.work(&jobs))?);
        }
        Ok(Self {
            reads,
            writes,
            shared,
            threads,
        })
    }

    /// Ends reads at once: those in progress are cancelled, those waiting refused.
    pub(crate) fn stop_reads(&mut self) -> Result<(), Error> {
        self.shared.closing.store(true, Ordering::Relaxed);
        let shared = Arc::clone(&self.shared);
        let kill = spawn("engine-kill".into(), move || {
            if let Some(connection) = shared.open() {
                let sql = "KILL QUERY WHERE query_kind = 'Select' AND query NOT ILIKE '%system.processes%' ASYNC";
                if let Err(error) = connection.query(sql, "TSV", &[]) {
                    tracing::debug!(error, "reads were not cancelled");
                }
            }
        })?;
        self.threads.push(kill);
        Ok(())
    }

    /// Waits for the statements in progress and ends the threads.
    pub(crate) async fn join(self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A panicked thread has ended the process.
                drop(thread.join());
            }
        });
        drop(joined.await);
    }
}

/// Opens the first session, which starts the engine, and holds it until told to end: the engine stops with its last.
pub(crate) fn anchor(
    api: Api,
    data_dir: PathBuf,
    options: Vec<String>,
    started: oneshot::Sender<Option<String>>,
    end: oneshot::Receiver<()>,
) -> Result<JoinHandle<()>, Error> {
    spawn("engine-anchor".into(), move || {
        let connection = Connection::open(api, &data_dir, &options);
        let query = |connection: Connection| {
            let answer = connection.query("SELECT timezone()", "TSV", &[]).ok();
            (connection, answer)
        };
        let (connection, answer) = connection.map(query).unzip();
        let zone = answer
            .flatten()
            .map(|(bytes, _)| String::from_utf8_lossy(&bytes).trim().to_owned());
        if started.send(zone).is_ok() {
            drop(end.blocking_recv());
        }
        drop(connection);
    })
}

impl Shared {
    fn open(&self) -> Option<Connection> {
        Connection::open(self.api, &self.data_dir, &[])
    }

    fn work(&self, jobs: &Mutex<mpsc::Receiver<Job>>) {
        while let Some(job) = self.next_job(jobs) {
            if !job.reply.is_closed() {
                self.run(job);
            }
        }
    }

    /// Waits for work; `None` once the pool is stopped and the queue is empty, whoever still holds a sender.
    fn next_job(&self, jobs: &Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
        loop {
            let stopped = self.stopped.load(Ordering::Relaxed);
            let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
            if stopped {
                return jobs.try_recv().ok();
            }
            let next = async { tokio::time::timeout(TICK, jobs.recv()).await };
            if let Ok(job) = self.runtime.block_on(next) {
                return job;
            }
        }
    }

    fn run(&self, job: Job) {
        let reads = matches!(job.statement, Statement::Read(_));
        let refused = if job.since.elapsed() > self.limits.query_time {
            Some("waited too long for its turn")
        } else if reads && self.closing.load(Ordering::Relaxed) {
            Some("the engine is closing")
        } else {
            None
        };
        if let Some(text) = refused {
            answer(
                job.reply,
                Err(Exception::new(TOO_MANY_SIMULTANEOUS_QUERIES, text)),
            );
            return;
        }
        let Some(connection) = self.open() else {
            answer(
                job.reply,
                Err(Exception::new(0, "the engine refused a session")),
            );
            return;
        };
        let Job {
            statement,
            session,
            params,
            format,
            streamed,
            reply,
            ..
        } = job;
        let prepared = session.prepare(&connection, &self.limits, streamed);
        let whole = match prepared.and_then(|()| admit(&connection, &statement)) {
            Err(exception) => Err(exception),
            Ok(()) => match &statement {
                Statement::Insert { head, format, rows } => {
                    insert(&connection, head, format, rows, &params)
                }
                Statement::Read(sql) if streamed => {
                    match self.stream(&connection, sql, &format, &params, reply) {
                        None => return,
                        Some((reply, whole)) => {
                            answer(reply, whole);
                            return;
                        }
                    }
                }
                Statement::Read(sql) | Statement::Write(sql) => {
                    query(&connection, sql, &format, &params)
                }
            },
        };
        // Closed before the answer, so that who hears of an insert finds the engine at rest.
        drop(connection);
        answer(reply, whole);
    }

    /// Sends a result block by block. Gives the reply back, with what to send, when it is not (yet) a stream.
    #[expect(clippy::type_complexity, reason = "the reply and what to put in it")]
    fn stream(
        &self,
        connection: &Connection,
        sql: &str,
        format: &str,
        params: &[(String, String)],
        reply: oneshot::Sender<Result<Reply, Exception>>,
    ) -> Option<(
        oneshot::Sender<Result<Reply, Exception>>,
        Result<Reply, Exception>,
    )> {
        let mut stream = match connection.stream(sql, format, params) {
            Ok(stream) => stream,
            Err(error) if error.contains("Streaming query is not supported") => {
                return Some((reply, query(connection, sql, format, params)));
            }
            Err(error) => return Some((reply, Err(Exception::from_engine(error)))),
        };
        let mut head = Vec::new();
        let mut counts = Counts::default();
        let mut next = || -> Result<Option<(Vec<u8>, Counts)>, Exception> {
            if self.closing.load(Ordering::Relaxed) {
                return Err(Exception::new(
                    TOO_MANY_SIMULTANEOUS_QUERIES,
                    "the engine is closing",
                ));
            }
            stream.next().map_err(Exception::from_engine)
        };
        let mut blocks = 0_usize;
        while head.len() < SMALL && blocks < 2 {
            match next() {
                Ok(Some((block, more))) => {
                    head.extend_from_slice(after_header(format, &block, blocks > 0));
                    counts.result_rows += more.result_rows;
                    blocks += 1;
                }
                Ok(None) => return Some((reply, Ok(Reply::Whole(head, counts)))),
                Err(exception) => return Some((reply, Err(exception))),
            }
        }
        let (sender, receiver) = mpsc::channel(2);
        if reply.send(Ok(Reply::Stream(head, receiver))).is_err() {
            return None;
        }
        loop {
            let item = match next() {
                Ok(None) => return None,
                Ok(Some((block, _))) => {
                    Ok(Bytes::copy_from_slice(after_header(format, &block, true)))
                }
                Err(exception) => Err(exception),
            };
            let last = item.is_err();
            let sent = self.runtime.block_on(sender.send_timeout(item, STALLED));
            if last || sent.is_err() {
                return None;
            }
        }
    }
}

/// A client that has left does not hear it.
fn answer(reply: oneshot::Sender<Result<Reply, Exception>>, whole: Result<Reply, Exception>) {
    drop(reply.send(whole));
}

/// Lets only statements pass whose kind, by the engine's own parser, fits the way they came.
fn admit(connection: &Connection, statement: &Statement) -> Result<(), Exception> {
    let (sql, reads) = match statement {
        Statement::Insert { .. } => return Ok(()),
        Statement::Read(sql) => (sql, true),
        Statement::Write(sql) => (sql, false),
    };
    let Some(analysis) = connection.classify(sql) else {
        return Err(Exception::new(
            PROHIBITED,
            "the engine cannot tell what the statement does",
        ));
    };
    if analysis.statements > 1 {
        return Err(Exception::new(
            SYNTAX_ERROR,
            "Multi-statements are not allowed",
        ));
    }
    // What does not parse is run for the sake of its message.
    if analysis.statements == 0 {
        return Ok(());
    }
    let control = || {
        Exception::new(
            PROHIBITED,
            "session, system and outside statements are not allowed here",
        )
    };
    match (analysis.class(), reads) {
        (Class::ReadOnly, _) | (Class::Mutating, false) => Ok(()),
        (Class::Mutating, true) => Err(Exception::new(
            READONLY,
            "Cannot execute query in readonly mode.",
        )),
        // A statement that only sets mutations_sync or the like is counted as control.
        (Class::Control, false) if is_plain_write(sql) => Ok(()),
        (Class::Control | Class::Unknown, _) => Err(control()),
    }
}

fn is_plain_write(sql: &str) -> bool {
    let word = statement::first_word(sql);
    let outside = |word: &str| ["FUNCTION", "INFILE", "OUTFILE"].contains(&word);
    matches!(word.as_str(), "ALTER" | "DELETE" | "UPDATE" | "INSERT")
        && !sql
            .to_ascii_uppercase()
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(outside)
}

fn query(
    connection: &Connection,
    sql: &str,
    format: &str,
    params: &[(String, String)],
) -> Result<Reply, Exception> {
    let (bytes, counts) = connection
        .query(sql, format, params)
        .map_err(Exception::from_engine)?;
    Ok(Reply::Whole(bytes, counts))
}

fn insert(
    connection: &Connection,
    head: &str,
    format: &str,
    rows: &[u8],
    params: &[(String, String)],
) -> Result<Reply, Exception> {
    let run = || -> Result<Counts, String> {
        let mut insert = connection.insert(head, format, params)?;
        if !rows.is_empty() {
            insert.append(rows)?;
        }
        insert.finish()
    };
    let counts = run().map_err(Exception::from_engine)?;
    Ok(Reply::Whole(Vec::new(), counts))
}

/// Cuts the columns off a block that does not start a result.
fn after_header<'a>(format: &str, block: &'a [u8], cut: bool) -> &'a [u8] {
    if !cut || !statement::has_binary_header(format) {
        return block;
    }
    let mut rest = block;
    let columns = leb128(&mut rest);
    let texts = if format.ends_with("Types") {
        columns * 2
    } else {
        columns
    };
    for _ in 0..texts {
        let length = leb128(&mut rest);
        rest = rest.get(length..).unwrap_or_default();
    }
    rest
}

fn leb128(bytes: &mut &[u8]) -> usize {
    let mut value = 0_usize;
    for shift in (0..usize::BITS).step_by(7) {
        let Some((byte, rest)) = bytes.split_first() else {
            break;
        };
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}
