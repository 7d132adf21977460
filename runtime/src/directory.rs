//! The live directory: a snapshot that follows the compacted `directory` and `suppressions` topics.

pub mod publish;

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use jixinda_schemas::{
    Phone, Timestamp, Topic,
    directory::{Snapshot, Suppressions},
};
use tracing::{error, info};

use crate::{
    kafka::{self, Kafka, follow},
    lifecycle::Handle,
};

/// What a role sees of the directory at one instant.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub snapshot: Arc<Snapshot>,
    pub suppressions: Arc<HashMap<Phone, Suppressions>>,
}

/// Cheap to clone; always the newest view.
#[derive(Clone, Debug, Default)]
pub struct Directory(Arc<ArcSwap<View>>);

impl Directory {
    /// The newest view.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.0.load_full()
    }

    /// A directory that stands still, for tests and tools.
    #[must_use]
    pub fn fixed(view: View) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(view)))
    }

    /// Reads both topics from the start and follows them until the stop. Returns once it has caught up, so that no
    /// role acts on half a directory.
    ///
    /// # Errors
    /// When the topics cannot be read.
    pub async fn follow(kafka: &Kafka, handle: Handle) -> Result<Self, kafka::Error> {
        let directory = Self::default();
        let mut fold = Fold {
            snapshot: Snapshot::default(),
            suppressions: HashMap::new(),
            directory: directory.clone(),
            dirty: false,
        };
        follow::start(
            kafka,
            &[Topic::Directory, Topic::Suppressions],
            handle,
            move |event| fold.take(event),
        )
        .await?;
        Ok(directory)
    }
}

struct Fold {
    snapshot: Snapshot,
    suppressions: HashMap<Phone, Suppressions>,
    directory: Directory,
    dirty: bool,
}

impl Fold {
    fn take(&mut self, event: &follow::Event<'_>) {
        match event {
            follow::Event::Record(record) if record.topic == Topic::Directory => {
                self.dirty |= self.directory_record(record);
            }
            follow::Event::Record(record) => self.dirty |= self.suppression_record(record),
            // A bulk import is shown in a few steps, not once for each record.
            follow::Event::Settled if self.dirty => {
                self.dirty = false;
                let view = View {
                    snapshot: Arc::new(self.snapshot.clone()),
                    suppressions: Arc::new(self.suppressions.clone()),
                };
                info!(
                    revision = view.snapshot.revision,
                    offset = view.snapshot.offset,
                    "directory view changed"
                );
                crate::metrics::directory_revision(view.snapshot.revision);
                self.directory.0.store(Arc::new(view));
            }
            follow::Event::Settled => {}
        }
    }

    fn directory_record(&mut self, record: &kafka::Record<'_>) -> bool {
        let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
        match self.snapshot.apply(&key, record.value, record.offset) {
            Ok(changed) => changed,
            Err(e) => {
                error!(
                    offset = record.offset,
                    error = &e as &dyn std::error::Error,
                    "directory record ignored"
                );
                false
            }
        }
    }

    fn suppression_record(&mut self, record: &kafka::Record<'_>) -> bool {
        let Some(phone) = record
            .key
            .and_then(|k| std::str::from_utf8(k).ok())
            .and_then(|k| k.parse::<Phone>().ok())
        else {
            error!(
                partition = record.partition,
                offset = record.offset,
                "suppression key is no E.164 number, ignored"
            );
            return false;
        };
        match record
            .value
            .filter(|v| !v.is_empty())
            .map(serde_json::from_slice::<Suppressions>)
        {
            Some(Ok(list)) if !list.entries.is_empty() => {
                self.suppressions.insert(phone, list);
            }
            Some(Err(e)) => {
                error!(
                    offset = record.offset,
                    error = &e as &dyn std::error::Error,
                    "suppression ignored"
                );
                return false;
            }
            _ => {
                self.suppressions.remove(&phone);
            }
        }
        true
    }
}

/// Broker time is in milliseconds; a record without one counts as the epoch.
pub(crate) fn broker_time(millis: Option<i64>) -> Timestamp {
    Timestamp(millis.unwrap_or(0))
}
