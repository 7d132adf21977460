//! The load: a schedule shared by many workers, each with one request under way.
//!
//! With a rate the schedule is fixed beforehand and latency counts from when a message was due, so that a server that
//! stalls cannot hide it by being asked less (coordinated omission).

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use jixinda_runtime::{
    clock::{Clock as _, SystemClock},
    kafka::{OwnedRecord, producer::Producer},
};
use jixinda_schemas::{
    AppId, Timestamp, Topic,
    codec::{self, About},
    headers::Headers,
};
use tokio::{task::JoinSet, time::Instant};

use super::{http::Connection, messages::Messages};

/// After the end of the schedule, what is overdue may still be sent for so long.
const GRACE: Duration = Duration::from_secs(5);
const MAX_MICROS: u64 = 120_000_000;

/// When each message is due. Message `i` of this schedule is number `first + i * every` of the run.
#[derive(Debug)]
pub(super) struct Schedule {
    began: Instant,
    ends: Instant,
    rate: Option<u64>,
    next: AtomicU64,
    first: u64,
    every: u64,
}

impl Schedule {
    pub(super) fn new(length: Duration, rate: Option<u64>, (first, every): (u64, u64)) -> Self {
        let began = Instant::now();
        Self {
            began,
            ends: began + length,
            rate,
            next: AtomicU64::new(0),
            first,
            every,
        }
    }

    /// The next message, when it is due; `None` at the end.
    async fn take(&self) -> Option<(u64, Instant)> {
        let i = self.next.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let due = match self.rate {
            None => now,
            Some(rate) => {
                let micros = u128::from(i) * 1_000_000 / u128::from(rate);
                self.began + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
            }
        };
        if due >= self.ends || now >= self.ends + GRACE {
            return None;
        }
        if due > now {
            tokio::time::sleep_until(due).await;
        }
        Some((self.first + i * self.every, due))
    }

    /// Messages that were due.
    fn planned(&self) -> Option<u64> {
        let length = self.ends.duration_since(self.began);
        Some(self.rate? * length.as_secs())
    }
}

/// When each message was acknowledged, by the wall clock: milliseconds after the start plus one; 0 is never.
#[derive(Debug)]
pub(super) struct Acknowledged {
    began: Timestamp,
    at: Vec<AtomicU32>,
}

impl Acknowledged {
    pub(super) fn new(messages: u64) -> Self {
        Self {
            began: SystemClock.now(),
            at: (0..messages).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    pub(super) const fn began(&self) -> Timestamp {
        self.began
    }

    fn set(&self, i: u64) {
        let millis = SystemClock.now().since(self.began);
        if let Some(at) = usize::try_from(i).ok().and_then(|i| self.at.get(i)) {
            at.store(
                u32::try_from(millis + 1).unwrap_or(u32::MAX),
                Ordering::Relaxed,
            );
        }
    }

    pub(super) fn get(&self, i: u64) -> Option<Timestamp> {
        match self
            .at
            .get(usize::try_from(i).ok()?)?
            .load(Ordering::Relaxed)
        {
            0 => None,
            millis => Some(self.began.plus_millis(i64::from(millis) - 1)),
        }
    }
}

/// What the senders of load saw.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) accepted: u64,
    /// By HTTP status; a record that Kafka acknowledged counts as 202.
    pub(super) statuses: BTreeMap<u16, u64>,
    /// Without an answer, by what happened.
    pub(super) broken: BTreeMap<String, u64>,
    /// Due, and never sent.
    pub(super) unsent: u64,
    /// From due to answer, in microseconds.
    pub(super) latency: Histogram<u64>,
    /// From the start to the last answer.
    pub(super) took: Duration,
}

impl Seen {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            accepted: 0,
            statuses: BTreeMap::new(),
            broken: BTreeMap::new(),
            unsent: 0,
            latency: Histogram::new_with_bounds(1, MAX_MICROS, 3)?,
            took: Duration::ZERO,
        })
    }

    fn count(&mut self, due: Instant, answer: Result<u16, String>) -> bool {
        match answer {
            Ok(status) => {
                let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(MAX_MICROS);
                self.latency.saturating_record(micros);
                *self.statuses.entry(status).or_default() += 1;
                self.accepted += u64::from(status == 202);
                status == 202
            }
            Err(what) => {
                *self.broken.entry(what).or_default() += 1;
                false
            }
        }
    }

    fn attempted(&self) -> u64 {
        self.statuses.values().chain(self.broken.values()).sum()
    }

    pub(super) fn merge(&mut self, other: Self) -> anyhow::Result<()> {
        self.accepted += other.accepted;
        for (status, n) in other.statuses {
            *self.statuses.entry(status).or_default() += n;
        }
        for (what, n) in other.broken {
            *self.broken.entry(what).or_default() += n;
        }
        self.unsent += other.unsent;
        self.latency.add(other.latency)?;
        self.took = self.took.max(other.took);
        Ok(())
    }
}

/// How a worker hands a message over.
#[derive(Clone, Debug)]
pub(super) enum Door {
    Http(SocketAddr),
    Kafka(Producer, AppId),
}

/// Sends all messages of the schedule with so many workers.
pub(super) async fn run(
    messages: &Arc<Messages>,
    schedule: Schedule,
    door: &Door,
    workers: u16,
    acknowledged: Option<&Arc<Acknowledged>>,
) -> anyhow::Result<Seen> {
    let schedule = Arc::new(schedule);
    let mut tasks = JoinSet::new();
    for _ in 0..workers {
        let (messages, schedule) = (Arc::clone(messages), Arc::clone(&schedule));
        let acknowledged = acknowledged.map(Arc::clone);
        match door.clone() {
            Door::Http(address) => {
                tasks.spawn(over_http(messages, schedule, address, acknowledged))
            }
            Door::Kafka(producer, app) => tasks.spawn(over_kafka(
                messages,
                schedule,
                (producer, app),
                acknowledged,
            )),
        };
    }
    let mut seen = Seen::new()?;
    while let Some(done) = tasks.join_next().await {
        seen.merge(done.context("a worker broke")??)?;
    }
    seen.took = schedule.began.elapsed();
    if let Some(planned) = schedule.planned() {
        seen.unsent = planned.saturating_sub(seen.attempted());
    }
    Ok(seen)
}

async fn over_http(
    messages: Arc<Messages>,
    schedule: Arc<Schedule>,
    address: SocketAddr,
    acknowledged: Option<Arc<Acknowledged>>,
) -> anyhow::Result<Seen> {
    let mut seen = Seen::new()?;
    let mut connection = Connection::new(address);
    connection
        .open()
        .await
        .with_context(|| format!("cannot connect to {address}"))?;
    let mut request = Vec::with_capacity(1024);
    while let Some((i, due)) = schedule.take().await {
        messages.request(i, SystemClock.now(), &mut request)?;
        let answer = connection.exchange(&request).await;
        if seen.count(due, answer.map_err(|e| e.kind().to_string()))
            && let Some(acknowledged) = &acknowledged
        {
            acknowledged.set(i);
        }
    }
    Ok(seen)
}

async fn over_kafka(
    messages: Arc<Messages>,
    schedule: Arc<Schedule>,
    (producer, app): (Producer, AppId),
    acknowledged: Option<Arc<Acknowledged>>,
) -> anyhow::Result<Seen> {
    let mut seen = Seen::new()?;
    while let Some((i, due)) = schedule.take().await {
        let (recipient, payload) = messages.payload(i)?;
        let about = About {
            app_id: Some(app.clone()),
            ..About::default()
        };
        let kind = Messages::KIND;
        let value = codec::encode(&codec::envelope(kind, about, SystemClock.now(), &payload));
        let headers = Headers {
            signature: Some(messages.record_signature(&value)),
            ..Headers::of(kind)
        };
        let topic = Topic::requests(Messages::lane(i));
        let record = OwnedRecord::keyed(topic, &recipient, value, headers);
        let written = match producer.write(&record) {
            Ok(written) => written.await,
            Err(error) => Err(error),
        };
        let answer = written.map(|_| 202).map_err(|e| e.to_string());
        if seen.count(due, answer)
            && let Some(acknowledged) = &acknowledged
        {
            acknowledged.set(i);
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_late_taker_is_told_when_its_message_was_due() {
        let mut schedule = Schedule::new(Duration::from_secs(1), Some(10), (1, 2));
        schedule.began -= Duration::from_millis(950);
        schedule.ends = schedule.began + Duration::from_secs(1);
        assert_eq!(schedule.take().await.unwrap().0, 1);
        let (number, due) = schedule.take().await.unwrap();
        assert_eq!(
            (number, due - schedule.began),
            (3, Duration::from_millis(100))
        );
        let mut left = 0;
        while schedule.take().await.is_some() {
            left += 1;
        }
        assert_eq!((left, schedule.planned()), (8, Some(10)));
    }

    #[tokio::test]
    async fn what_is_overdue_after_the_grace_is_never_sent() {
        let mut schedule = Schedule::new(Duration::from_secs(1), Some(10), (0, 1));
        schedule.ends -= GRACE + Duration::from_secs(1);
        schedule.began -= GRACE + Duration::from_secs(1);
        assert!(schedule.take().await.is_none());
    }
}
