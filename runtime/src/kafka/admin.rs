//! The topics on the broker: made once, checked ever after, never altered.
//!
//! [`apply`] creates what is missing and commits where each group begins; [`check`] compares the rest with what
//! [`settings`] says and names the command that mends each difference. librdkafka has only the call that resets every
//! setting that it is not given, so nothing here changes an existing topic.

mod offsets;
mod ready;
mod settings;

use std::{collections::BTreeMap, time::Duration};

use jixinda_schemas::Topic;
use rdkafka::{
    admin::{
        AdminClient, AdminOptions, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
        TopicReplication,
    },
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::RDKafkaErrorCode,
};

use super::{Error, Kafka};

pub use offsets::{Group, writers};
pub use ready::verify_ready;
use settings::wanted;

const CALL: Duration = Duration::from_secs(15);

/// A topic that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Topic or group, as the broker calls it.
    pub name: String,
    pub what: String,
    /// The command that mends it.
    pub mend: String,
    /// No role can work like this.
    pub blocks: bool,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; {}", self.name, self.what, self.mend)
    }
}

/// What [`apply`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    pub created: Vec<String>,
    /// Groups that were given first offsets, each with the number of partitions.
    pub positioned: Vec<(String, usize)>,
    /// Groups without first offsets that have members: those commit for themselves.
    pub busy: Vec<String>,
}

type Admin = AdminClient<DefaultClientContext>;

fn admin(kafka: &Kafka) -> Result<Admin, Error> {
    kafka
        .client("admin")
        .create()
        .map_err(Error::client("cannot make an admin client"))
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(CALL))
        .operation_timeout(Some(CALL))
}

/// Runs what blocks on librdkafka off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::Fatal(e.to_string()))?
}

/// Number of brokers, and (partitions, replicas) of each of our topics that is there.
#[derive(Clone, Debug)]
struct Cluster {
    brokers: usize,
    topics: BTreeMap<Topic, (i32, i32)>,
}

fn cluster(kafka: &Kafka) -> Result<Cluster, Error> {
    let consumer: BaseConsumer = kafka
        .client("admin")
        .create()
        .map_err(Error::client("cannot make a client"))?;
    let metadata = consumer
        .fetch_metadata(None, CALL)
        .map_err(Error::client(format!(
            "no answer from {}; is the broker up?",
            kafka.config().brokers
        )))?;
    let topics = metadata
        .topics()
        .iter()
        .filter(|t| t.error().is_none() && !t.partitions().is_empty())
        .filter_map(|t| {
            let replicas = t
                .partitions()
                .iter()
                .map(|p| p.replicas().len())
                .min()
                .unwrap_or(0);
            Some((
                kafka.logical(t.name())?,
                (t.partitions().len() as i32, replicas as i32),
            ))
        })
        .collect();
    Ok(Cluster {
        brokers: metadata.brokers().len(),
        topics,
    })
}

/// Creates the topics that are missing, waits until the broker shows them, and commits first offsets for `groups`
/// where nothing is committed and no member is there. Nothing that exists is altered.
///
/// # Errors
/// When the broker does not answer or refuses.
pub async fn apply(kafka: &Kafka, groups: &[Group]) -> Result<Applied, Error> {
    let k = kafka.clone();
    let have = blocking(move || cluster(&k)).await?;
    let missing: Vec<Topic> = Topic::ALL
        .into_iter()
        .filter(|t| !have.topics.contains_key(t))
        .collect();
    let mut applied = Applied::default();
    if !missing.is_empty() {
        create(kafka, &missing).await?;
        applied.created = missing.iter().map(|t| kafka.topic(*t)).collect();
        wait_for(kafka, &missing).await?;
    }
    for group in groups {
        let (k, g) = (kafka.clone(), group.clone());
        match blocking(move || offsets::position(&k, &g)).await? {
            offsets::Positioned::Done(0) => {}
            offsets::Positioned::Done(n) => applied.positioned.push((kafka.group(&group.role), n)),
            offsets::Positioned::Busy => applied.busy.push(kafka.group(&group.role)),
        }
    }
    Ok(applied)
}

async fn create(kafka: &Kafka, missing: &[Topic]) -> Result<(), Error> {
    let replication = kafka.config().replication;
    let specs: Vec<_> = missing
        .iter()
        .map(|t| {
            let settings = wanted(*t, replication)
                .into_iter()
                .map(|(name, want)| (name, want.value()));
            (
                kafka.topic(*t),
                kafka.partitions(*t),
                settings.collect::<Vec<_>>(),
            )
        })
        .collect();
    let topics: Vec<NewTopic<'_>> = specs
        .iter()
        .map(|(name, partitions, settings)| {
            let new = NewTopic::new(name, *partitions, TopicReplication::Fixed(replication));
            settings
                .iter()
                .fold(new, |new, (key, value)| new.set(key, value))
        })
        .collect();
    let results = admin(kafka)?
        .create_topics(&topics, &options())
        .await
        .map_err(Error::client("cannot create topics"))?;
    let refused: Vec<String> = results
        .into_iter()
        .filter_map(Result::err)
        // Another `apply` at the same time is no fault.
        .filter(|(_, code)| *code != RDKafkaErrorCode::TopicAlreadyExists)
        .map(|(name, code)| format!("{name}: {code}"))
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(Error::Setup(format!(
        "the broker refused to create topics: {}",
        refused.join(", ")
    )))
}

async fn wait_for(kafka: &Kafka, topics: &[Topic]) -> Result<(), Error> {
    for _ in 0..100 {
        let k = kafka.clone();
        let have = blocking(move || cluster(&k)).await?;
        if topics.iter().all(|t| have.topics.contains_key(t)) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(Error::Setup(
        "the broker took the new topics but does not show them; run the command again".to_owned(),
    ))
}

/// Compares the broker with what is wanted.
///
/// # Errors
/// When the broker does not answer.
pub async fn check(kafka: &Kafka, groups: &[Group]) -> Result<Vec<Difference>, Error> {
    let mut found = compare(kafka, &Topic::ALL).await?;
    let present = present(kafka, &Topic::ALL, &found);
    for group in groups {
        let (k, g, p) = (kafka.clone(), group.clone(), present.clone());
        found.extend(blocking(move || offsets::compare(&k, &g, &p)).await?);
    }
    Ok(found)
}

/// Those of `topics` in which nothing that blocks was found.
fn present(kafka: &Kafka, topics: &[Topic], found: &[Difference]) -> Vec<Topic> {
    let blocked = |topic: &Topic| {
        found
            .iter()
            .any(|d| d.blocks && d.name == kafka.topic(*topic))
    };
    topics
        .iter()
        .copied()
        .filter(|topic| !blocked(topic))
        .collect()
}

async fn compare(kafka: &Kafka, topics: &[Topic]) -> Result<Vec<Difference>, Error> {
    let k = kafka.clone();
    let have = blocking(move || cluster(&k)).await?;
    let names: Vec<(Topic, String)> = topics
        .iter()
        .filter(|t| have.topics.contains_key(t))
        .map(|t| (*t, kafka.topic(*t)))
        .collect();
    let mut settings = BTreeMap::new();
    if !names.is_empty() {
        let ask: Vec<ResourceSpecifier<'_>> = names
            .iter()
            .map(|(_, n)| ResourceSpecifier::Topic(n))
            .collect();
        let told = admin(kafka)?
            .describe_configs(&ask, &options())
            .await
            .map_err(Error::client("cannot read the settings of the topics"))?;
        for resource in told {
            let resource = resource
                .map_err(|code| Error::Setup(format!("topic settings cannot be read: {code}")))?;
            let OwnedResourceSpecifier::Topic(name) = resource.specifier else {
                continue;
            };
            let Some(topic) = kafka.logical(&name) else {
                continue;
            };
            let entries: BTreeMap<String, String> = resource
                .entries
                .into_iter()
                .filter_map(|e| Some((e.name, e.value?)))
                .collect();
            settings.insert(topic, entries);
        }
    }
    let empty = BTreeMap::new();
    Ok(topics
        .iter()
        .flat_map(|t| differences(kafka, *t, &have, settings.get(t).unwrap_or(&empty)))
        .collect())
}

/// Everything that is wrong with one topic.
fn differences(
    kafka: &Kafka,
    topic: Topic,
    have: &Cluster,
    settings: &BTreeMap<String, String>,
) -> Vec<Difference> {
    let name = kafka.topic(topic);
    let difference = |what: String, mend: String, blocks| Difference {
        name: name.clone(),
        what,
        mend,
        blocks,
    };
    let Some(&(partitions, replicas)) = have.topics.get(&topic) else {
        return vec![difference(
            "is missing".to_owned(),
            "run `jixinda topics apply`".to_owned(),
            true,
        )];
    };
    let mut out = Vec::new();
    let want = kafka.partitions(topic);
    if partitions != want {
        let mend = if topic.is_single_partition() {
            "it cannot be mended; use another kafka.prefix".to_owned()
        } else {
            format!(
                "set kafka.partitions = {partitions} if that is what all message topics have, or use another kafka.prefix: \
                 the count is fixed for the life of a prefix"
            )
        };
        out.push(difference(
            format!("has {partitions} partitions, not {want}"),
            mend,
            true,
        ));
    }
    let replication = kafka.config().replication;
    if replicas < replication {
        let mend =
            "reassign it with kafka-reassign-partitions.sh, or lower kafka.replication".to_owned();
        out.push(difference(
            format!("has {replicas} replicas, not {replication}"),
            mend,
            false,
        ));
    } else if have.brokers >= 3 && replicas < 3 {
        let mend = "set kafka.replication = 3 and reassign it with kafka-reassign-partitions.sh"
            .to_owned();
        out.push(difference(
            format!("has {replicas} replicas on {} brokers", have.brokers),
            mend,
            false,
        ));
    }
    for (key, want) in wanted(topic, replicas.max(replication)) {
        let found = settings.get(key).map_or("", String::as_str);
        if !want.fits(found) {
            let command = format!(
                "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {name} --add-config {key}={}",
                kafka.config().brokers,
                want.value()
            );
            // Broker time and retention are what the promise is built on; the rest costs only comfort.
            let blocks = matches!(
                key,
                "cleanup.policy" | "retention.ms" | "retention.bytes" | "message.timestamp.type"
            );
            out.push(difference(
                format!("{key} is {found}, not {}", want.text()),
                format!("run `{command}`"),
                blocks,
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::Config;

    fn kafka(replication: i32) -> Kafka {
        Kafka::new(Config {
            brokers: "k:9092".into(),
            prefix: "jixinda.".into(),
            partitions: 6,
            replication,
            instance: "0".into(),
            session_timeout: Duration::from_secs(10),
            properties: BTreeMap::new(),
        })
        .unwrap()
    }

    fn as_created(topic: Topic, replication: i32) -> BTreeMap<String, String> {
        wanted(topic, replication)
            .into_iter()
            .map(|(k, w)| (k.to_owned(), w.value()))
            .collect()
    }

    #[test]
    fn a_topic_as_it_is_created_has_no_difference() {
        for (replication, brokers) in [(1, 1), (3, 3)] {
            let kafka = kafka(replication);
            for topic in Topic::ALL {
                let have = Cluster {
                    brokers,
                    topics: [(topic, (kafka.partitions(topic), replication))].into(),
                };
                assert_eq!(
                    differences(&kafka, topic, &have, &as_created(topic, replication)),
                    []
                );
            }
        }
    }

    #[test]
    fn each_difference_names_the_command_that_mends_it() {
        let kafka = kafka(1);
        let have = Cluster {
            brokers: 1,
            topics: [(Topic::Outcomes, (6, 1))].into(),
        };
        let mut settings = as_created(Topic::Outcomes, 1);
        settings.insert("message.timestamp.type".into(), "CreateTime".into());
        settings.insert("retention.ms".into(), "1000".into());
        let found = differences(&kafka, Topic::Outcomes, &have, &settings);
        assert_eq!(found.len(), 2);
        assert!(found[0].mend.contains(
            "--entity-name jixinda.outcomes --add-config message.timestamp.type=LogAppendTime"
        ));
        assert!(found[1].blocks && found[1].mend.contains("retention.ms=604800000"));
        settings.insert("retention.ms".into(), "-1".into());
        assert_eq!(
            differences(&kafka, Topic::Outcomes, &have, &settings).len(),
            1
        );
    }

    #[test]
    fn a_cluster_wants_three_replicas_two_in_sync_and_no_unclean_election() {
        let kafka = kafka(3);
        let have = Cluster {
            brokers: 3,
            topics: [(Topic::Outcomes, (6, 3))].into(),
        };
        let mut settings = as_created(Topic::Outcomes, 3);
        settings.insert("min.insync.replicas".into(), "1".into());
        settings.insert("unclean.leader.election.enable".into(), "true".into());
        assert_eq!(
            differences(&kafka, Topic::Outcomes, &have, &settings).len(),
            2
        );
        let have = Cluster {
            brokers: 3,
            topics: [(Topic::Outcomes, (6, 1))].into(),
        };
        let one = super::tests::kafka(1);
        assert!(
            differences(
                &one,
                Topic::Outcomes,
                &have,
                &as_created(Topic::Outcomes, 1)
            )[0]
            .what
            .contains("3 brokers")
        );
    }

    #[test]
    fn another_partition_count_blocks_and_is_never_altered() {
        let have = Cluster {
            brokers: 1,
            topics: [(Topic::Attempts, (12, 1))].into(),
        };
        let found = differences(
            &kafka(1),
            Topic::Attempts,
            &have,
            &as_created(Topic::Attempts, 1),
        );
        assert!(found[0].blocks && found[0].mend.contains("kafka.partitions = 12"));
    }
}
