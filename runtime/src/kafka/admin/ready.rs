//! What a role wants of Kafka before it starts.

use std::time::{Duration, Instant};

use jixinda_schemas::Topic;
use tracing::warn;

use super::{Group, blocking, compare, offsets};
use crate::kafka::{Error, Kafka};

/// A role waits at its start for a broker that is away or on its way up.
const PATIENCE: Duration = Duration::from_secs(60);
const RETRY: Duration = Duration::from_secs(1);

/// For a role at its start: everything that would keep it from working, in one error that says what to run. A broker
/// that does not answer is asked again for a minute.
///
/// # Errors
/// A missing topic, a wrong partition count, a cleanup that loses what is needed, a missing or out-of-range offset; or
/// the broker's last word.
pub async fn verify_ready(
    kafka: &Kafka,
    topics: &[Topic],
    group: Option<&Group>,
) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        match verify(kafka, topics, group).await {
            Err(e @ Error::Client { .. }) if began.elapsed() < PATIENCE => {
                warn!(
                    brokers = kafka.config().brokers,
                    error = &e as &dyn std::error::Error,
                    "Kafka does not answer, trying again"
                );
            }
            verified => return verified,
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn verify(kafka: &Kafka, topics: &[Topic], group: Option<&Group>) -> Result<(), Error> {
    let mut found = compare(kafka, topics).await?;
    found.retain(|d| d.blocks);
    if found.is_empty()
        && let Some(group) = group
    {
        let (k, g) = (kafka.clone(), group.clone());
        found = blocking(move || offsets::compare(&k, &g, &g.topics)).await?;
    }
    if found.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = found.iter().map(|d| format!("\n  {d}")).collect();
    Err(Error::Setup(format!(
        "Kafka is not ready:{}",
        lines.concat()
    )))
}
