//! Joining a group, and joining it again.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use jixinda_schemas::Topic;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use tracing::warn;

use super::{Change, Context, Member, StartAt, Terms, offsets::committer};
use crate::{
    kafka::{Error, Kafka, renewals::Renewals},
    metrics,
};

/// Twins that take turns leave each other this long.
const REJOIN_PAUSE: Duration = Duration::from_secs(1);

/// When the broker answers a fetch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetch {
    wait_ms: u32,
    min_bytes: u32,
}

impl Terms {
    fn client(&self) -> ClientConfig {
        let session = self.kafka.config().session_timeout.as_millis();
        let mut client = self.kafka.client(&self.role);
        client
            .set("group.id", self.kafka.group(&self.role))
            .set(
                "group.instance.id",
                format!("{}-{}", self.role, self.kafka.instance()),
            )
            .set("partition.assignment.strategy", "range")
            .set("session.timeout.ms", session.to_string())
            .set("heartbeat.interval.ms", (session / 10).max(200).to_string())
            .set("max.poll.interval.ms", "60000")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", self.fetch.wait_ms.to_string())
            .set("fetch.min.bytes", self.fetch.min_bytes.to_string())
            .set("fetch.queue.backoff.ms", "10")
            .set("fetch.message.max.bytes", "262144")
            .set("queued.max.messages.kbytes", "16384")
            .set("statistics.interval.ms", "5000");
        client
    }
}

impl Member {
    /// Joins the group of `role` over `topics`; of a newly held partition all but `kept`, if there is one, start
    /// paused. The broker gathers records for up to 5 ms: a fetch names every
    /// partition, and one for each record would cost the broker more than everything else.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn join(
        kafka: &Kafka,
        role: &str,
        topics: &[Topic],
        kept: Option<Topic>,
        start_at: StartAt,
    ) -> Result<Self, Error> {
        let fetch = Fetch {
            wait_ms: 5,
            min_bytes: 32 * 1024,
        };
        Self::first(fetch, kafka, role, (topics, kept), start_at)
    }

    /// As [`Member::join`], for a role that is in no hurry: the broker gathers records for up to 100 ms, and has far
    /// fewer fetches to answer.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn join_in_bulk(
        kafka: &Kafka,
        role: &str,
        topics: &[Topic],
        start_at: StartAt,
    ) -> Result<Self, Error> {
        let fetch = Fetch {
            wait_ms: 100,
            min_bytes: 64 * 1024,
        };
        Self::first(fetch, kafka, role, (topics, None), start_at)
    }

    fn first(
        fetch: Fetch,
        kafka: &Kafka,
        role: &str,
        (topics, kept): (&[Topic], Option<Topic>),
        start_at: StartAt,
    ) -> Result<Self, Error> {
        let terms = Terms {
            kafka: kafka.clone(),
            role: role.to_owned(),
            topics: topics.to_vec(),
            kept,
            start_at,
            fetch,
        };
        Self::on(terms, Renewals::default(), VecDeque::new())
    }

    fn on(terms: Terms, rejoins: Renewals, changes: VecDeque<Change>) -> Result<Self, Error> {
        let client = terms.client();
        let names: Vec<String> = terms.topics.iter().map(|t| terms.kafka.topic(*t)).collect();
        let (kafka, role) = (terms.kafka.clone(), terms.role.clone());
        let context = Context {
            terms,
            fenced: AtomicBool::new(false),
            changes: Mutex::new(changes),
            next: Mutex::default(),
            line: Mutex::default(),
        };
        let consumer: BaseConsumer<Context> = client
            .create_with_context(context)
            .map_err(Error::client(format!("cannot make the consumer of {role}")))?;
        consumer
            .subscribe(&names.iter().map(String::as_str).collect::<Vec<_>>())
            .map_err(Error::client("cannot subscribe"))?;
        let consumer = Arc::new(consumer);
        let committer = committer(&consumer, &kafka)?;
        Ok(Self {
            committer,
            consumer,
            rejoins,
        })
    }

    /// Joins again under the same name after [`Error::Fenced`]. The new member holds nothing, and says so as its first
    /// changes: others may have acted in between, so that whatever is assigned next is taken over from what is
    /// committed. Waits a second; [`Member::retire`] the old one.
    ///
    /// # Errors
    /// [`Error::Fatal`] after five times in ten minutes: then there is another process of the same instance.
    pub fn rejoin(&self) -> Result<Self, Error> {
        let terms = self.context().terms.clone();
        let instance = terms.kafka.instance();
        // A twin with the same instance would make it happen without an end.
        let Some(rejoins) = self.rejoins.clone().once_more(Instant::now()) else {
            return Err(Error::Fatal(format!(
                "{}: fenced off by the broker {} times within {} s: another process runs as instance \
                 `{instance}`; give each its own kafka.instance",
                terms.role,
                Renewals::TIMES,
                Renewals::WINDOW.as_secs(),
            )));
        };
        warn!(
            role = terms.role,
            instance,
            "fenced off by the broker, joining again; it was away for long, or another process has the same \
             kafka.instance"
        );
        metrics::rejoined(&terms.role);
        std::thread::park_timeout(REJOIN_PAUSE);
        let nothing = VecDeque::from([Change::Revoked, Change::Kept(Vec::new())]);
        Self::on(terms, rejoins, nothing)
    }

    /// Lets go of a member that is replaced. It ends on a thread of its own, since librdkafka waits for a broker.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn retire(self: Arc<Self>) -> Result<(), Error> {
        // It has nothing to say any more.
        self.set_line(Vec::new());
        std::thread::Builder::new()
            .name("retired".to_owned())
            .spawn(move || drop(self))
            .map(drop)
            .map_err(|e| Error::Fatal(format!("cannot start a thread: {e}")))
    }

    /// As the broker says, for the caller of [`Member::poll`].
    pub(super) fn fenced(&self, why: &str) -> Error {
        let context = self.context();
        context.fenced.store(true, Ordering::Relaxed);
        Error::Fenced(format!(
            "{}: fenced off as instance `{}`: {why}",
            context.terms.role,
            context.terms.kafka.instance()
        ))
    }
}
