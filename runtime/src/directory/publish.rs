//! Writing the directory: what changed, then one revision marker, by one producer.
//!
//! There is no lock. A second publisher at the same time is recognised by the offsets: between what was read and our
//! own records nothing foreign may stand but channel states. It is noticed before the marker is written, unless the
//! other one slips in between the check and the marker; then it is noticed after it. In both cases the error says to
//! run again, and the next run, which compares with what is there, sets everything right.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use jixinda_schemas::{
    Phone, Position, Topic,
    directory::{Entity, LogIdentity, Revision, Snapshot, Suppressions},
    headers::Headers,
};

use crate::{
    kafka::{
        Error, Kafka, OwnedRecord, Record, follow,
        producer::{Linger, Producer},
    },
    lifecycle::Lifecycle,
};

/// The directory as it stands in the log.
#[derive(Clone, Debug, Default)]
pub struct Current {
    pub snapshot: Snapshot,
    pub suppressions: HashMap<Phone, Suppressions>,
    /// Offset after the last record of `directory`.
    end: i64,
    /// Keys written after the last marker, by a publisher that did not get to its end.
    unfinished: BTreeSet<String>,
}

/// What is to change.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// By record key; `None` removes.
    pub entities: Vec<(String, Option<Entity>)>,
    /// By recipient; `None` removes.
    pub suppressions: Vec<(Phone, Option<Suppressions>)>,
}

impl Current {
    /// Reads both topics to their ends.
    ///
    /// # Errors
    /// When the topics are missing or cannot be read.
    pub async fn read(kafka: &Kafka) -> Result<Self, Error> {
        let lifecycle = Lifecycle::default();
        let current = Arc::new(Mutex::new(Self::default()));
        let fold = Arc::clone(&current);
        let topics = [Topic::Directory, Topic::Suppressions];
        let done = follow::start(
            kafka,
            &topics,
            lifecycle.component("directory"),
            move |event| {
                if let follow::Event::Record(record) = event {
                    fold.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take(record);
                }
            },
        )
        .await;
        lifecycle.stop();
        done?;
        let current = current.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(current.clone())
    }

    fn take(&mut self, record: &Record<'_>) {
        let key = String::from_utf8_lossy(record.key.unwrap_or_default());
        if record.topic == Topic::Directory {
            self.end = record.offset + 1;
            match key.as_ref() {
                "revision" => self.unfinished.clear(),
                key if settles_at_once(key) => {}
                key => {
                    self.unfinished.insert(key.to_owned());
                }
            }
            if let Err(error) = self.snapshot.apply(&key, record.value, record.offset) {
                tracing::error!(
                    offset = record.offset,
                    error = &error as &dyn std::error::Error,
                    "directory record ignored"
                );
            }
        } else if let Ok(phone) = key.parse::<Phone>() {
            let list = record
                .value
                .and_then(|v| serde_json::from_slice::<Suppressions>(v).ok());
            match list.filter(|list| !list.entries.is_empty()) {
                Some(list) => self.suppressions.insert(phone, list),
                None => self.suppressions.remove(&phone),
            };
        }
    }

    /// What an unfinished publication left is undone, unless it is written anew: the next marker would show it.
    fn complete(&self, changes: &Changes) -> Vec<(String, Option<Entity>)> {
        let mut all = changes.entities.clone();
        let mut known = self.snapshot.entities();
        for key in &self.unfinished {
            if !all.iter().any(|(k, _)| k == key) {
                all.push((key.clone(), known.remove(key)));
            }
        }
        all
    }
}

/// Records that apply without a marker.
fn settles_at_once(key: &str) -> bool {
    key == "log" || key.starts_with("channel-state/")
}

fn record(key: String, entity: Option<&Entity>) -> Result<OwnedRecord, Error> {
    let value = entity.map(serde_json::to_vec).transpose();
    Ok(OwnedRecord {
        topic: Topic::Directory,
        partition: Some(0),
        key: Some(key.into_bytes()),
        value: value
            .map_err(|e| Error::Fatal(format!("a directory entity cannot be written: {e}")))?,
        headers: Headers::default(),
    })
}

async fn write(producer: &Producer, records: &[OwnedRecord]) -> Result<Vec<Position>, Error> {
    producer.write_all(records).await.map_err(|e| {
        Error::Fatal(format!(
            "the directory was not written in full: {e}; run the command again"
        ))
    })
}

/// Writes `changes` over what `current` was read from, and then the marker. Returns the new revision, or the present
/// one when nothing changed for which a marker is needed.
///
/// # Errors
/// When the broker does not take the records, or somebody else published at the same time.
pub async fn publish(kafka: &Kafka, current: &Current, changes: &Changes) -> Result<u64, Error> {
    let producer = Producer::new(kafka, "directory", Linger::Short)?;
    let mut records = Vec::with_capacity(changes.suppressions.len());
    for (phone, list) in &changes.suppressions {
        let value = list.as_ref().map(serde_json::to_vec).transpose();
        records.push(OwnedRecord {
            topic: Topic::Suppressions,
            partition: None,
            key: Some(phone.expose().as_bytes().to_vec()),
            value: value
                .map_err(|e| Error::Fatal(format!("a suppression cannot be written: {e}")))?,
            headers: Headers::default(),
        });
    }
    // The local queue holds 100,000 records.
    for chunk in records.chunks(10_000) {
        write(&producer, chunk).await?;
    }
    let entities = current.complete(changes);
    if entities.is_empty() {
        return Ok(current.snapshot.revision);
    }
    let records: Vec<OwnedRecord> = entities
        .iter()
        .map(|(key, entity)| record(key.clone(), entity.as_ref()))
        .collect::<Result<_, _>>()?;
    let mut own: BTreeSet<i64> = write(&producer, &records)
        .await?
        .iter()
        .map(|p| p.offset)
        .collect();
    alone(kafka, current, &own).await?;
    let revision = current.snapshot.revision + 1;
    let changed = u32::try_from(entities.len()).unwrap_or(u32::MAX);
    let marker = Entity::Revision(Revision { revision, changed });
    own.extend(
        write(&producer, &[record(marker.key(), Some(&marker))?])
            .await?
            .iter()
            .map(|p| p.offset),
    );
    alone(kafka, current, &own).await?;
    Ok(revision)
}

/// Refuses when anything but channel states and the log's identity was written beside our own records.
async fn alone(kafka: &Kafka, current: &Current, own: &BTreeSet<i64>) -> Result<(), Error> {
    let expected = current.end..current.end + own.len() as i64;
    if own.iter().copied().eq(expected) {
        return Ok(());
    }
    let lifecycle = Lifecycle::default();
    let foreign = Arc::new(Mutex::new(None));
    let (found, from, own) = (Arc::clone(&foreign), current.end, own.clone());
    let done = follow::start(
        kafka,
        &[Topic::Directory],
        lifecycle.component("directory"),
        move |event| {
            let follow::Event::Record(record) = event else {
                return;
            };
            let key = String::from_utf8_lossy(record.key.unwrap_or_default());
            if record.offset >= from && !own.contains(&record.offset) && !settles_at_once(&key) {
                *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.into_owned());
            }
        },
    )
    .await;
    lifecycle.stop();
    done?;
    match foreign
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take()
    {
        None => Ok(()),
        Some(key) => Err(Error::Setup(format!(
            "somebody else wrote `{key}` to the directory at the same time; run the command again to set it right"
        ))),
    }
}

/// Writes the identity of the log unless there is one. Returns the identity and whether it is new.
///
/// # Errors
/// When the directory cannot be read or written.
pub async fn ensure_log(kafka: &Kafka) -> Result<(uuid::Uuid, bool), Error> {
    if let Some(id) = Current::read(kafka).await?.snapshot.log_id {
        return Ok((id, false));
    }
    let entity = Entity::Log(LogIdentity {
        log_id: uuid::Uuid::new_v4(),
    });
    let producer = Producer::new(kafka, "directory", Linger::Short)?;
    write(&producer, &[record(entity.key(), Some(&entity))?]).await?;
    // Of two that were written at once the later one counts, for everybody.
    let id = Current::read(kafka).await?.snapshot.log_id;
    id.map(|id| (id, true)).ok_or_else(|| {
        Error::Fatal("the identity of the log was written but cannot be read".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(current: &mut Current, offset: i64, key: &str, value: Option<&str>) {
        current.take(&Record {
            topic: Topic::Directory,
            partition: 0,
            offset,
            at: jixinda_schemas::Timestamp(0),
            key: Some(key.as_bytes()),
            value: value.map(str::as_bytes),
            headers: Headers::default(),
        });
    }

    #[test]
    fn what_an_unfinished_publication_left_is_undone_by_the_next() {
        let mut current = Current::default();
        take(
            &mut current,
            0,
            "signature/a",
            Some(r#"{"type":"signature","id":"a","text":"ONE"}"#),
        );
        take(
            &mut current,
            1,
            "revision",
            Some(r#"{"type":"revision","revision":1,"changed":1}"#),
        );
        take(
            &mut current,
            2,
            "signature/a",
            Some(r#"{"type":"signature","id":"a","text":"TWO"}"#),
        );
        take(
            &mut current,
            3,
            "signature/b",
            Some(r#"{"type":"signature","id":"b","text":"TWO"}"#),
        );
        assert_eq!(current.end, 4);
        let complete = current.complete(&Changes::default());
        assert_eq!(complete.len(), 2);
        assert!(
            matches!(&complete[0], (key, Some(Entity::Signature(s))) if key == "signature/a" && s.text == "ONE")
        );
        assert_eq!(complete[1], ("signature/b".to_owned(), None));
        take(&mut current, 4, "channel-state/c", None);
        take(
            &mut current,
            5,
            "revision",
            Some(r#"{"type":"revision","revision":2,"changed":2}"#),
        );
        assert!(current.complete(&Changes::default()).is_empty());
    }
}
