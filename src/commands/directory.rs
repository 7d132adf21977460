use std::{process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use jixinda_runtime::{
    directory::publish::{Changes, Current, publish},
    http,
};
use jixinda_schemas::directory::{
    Snapshot,
    wanted::{Allowed, Plan, check, plan, redacted},
};
use serde_json::{Map, Value, json};

use super::print;
use crate::{
    cli::{Apply, DirectoryCommand},
    config::Config,
    directory_file,
};

/// How long `--wait` waits.
const WAIT: Duration = Duration::from_secs(30);
/// Gauge of a process's directory.
const REVISION: &str = "jixinda_runtime_directory_revision";

pub(super) async fn directory(
    config: &Config,
    command: DirectoryCommand,
) -> anyhow::Result<ExitCode> {
    match command {
        DirectoryCommand::Apply(options) => apply(config, &options).await,
        DirectoryCommand::Show { json } => show(config, json).await,
    }
}

async fn apply(config: &Config, options: &Apply) -> anyhow::Result<ExitCode> {
    let kafka = config.kafka()?;
    let key = config.platform_key()?;
    let (wanted, mut problems) = directory_file::read(&options.file)?;
    let (wanted, unresolved) = directory_file::resolve(wanted);
    let form_is_good = problems.is_empty();
    problems.extend(unresolved);
    let current = Current::read(&kafka).await?;
    // With an entry missing, references to it would be reported as well.
    if form_is_good {
        let allowed = Allowed {
            current: &current.snapshot,
            prune: options.prune,
            vendors: &jixinda_senders::vendors::KINDS,
            pools: &config.topics.pools,
        };
        for problem in check(&wanted, &allowed) {
            if !problems.iter().any(|known| known.path == problem.path) {
                problems.push(problem);
            }
        }
    }
    if !problems.is_empty() {
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| format!("\n  {problem}"))
            .collect();
        bail!(
            "{} was not applied:{}",
            options.file.display(),
            lines.concat()
        );
    }
    let plan = plan(
        wanted,
        &current.snapshot,
        &current.suppressions,
        &key,
        options.prune,
    );
    for line in plan.lines() {
        print(line)?;
    }
    if options.dry_run {
        print(format_args!(
            "{} changes, nothing was written",
            plan.entities.len() + plan.suppressions.len()
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    let empty = plan.is_empty();
    let revision = publish(&kafka, &current, &changes(plan)).await?;
    if empty && revision == current.snapshot.revision {
        print(format_args!("nothing to do; revision {revision}"))?;
    } else {
        print(format_args!("revision {revision}"))?;
    }
    if options.wait {
        wait(config, revision).await?;
    }
    Ok(ExitCode::SUCCESS)
}

fn changes(plan: Plan) -> Changes {
    Changes {
        entities: plan
            .entities
            .into_iter()
            .map(|change| (change.key, change.after))
            .collect(),
        suppressions: plan
            .suppressions
            .into_iter()
            .map(|(phone, change)| (phone, change.after))
            .collect(),
    }
}

/// Returns when every peer works with `revision` or a later one.
async fn wait(config: &Config, revision: u64) -> anyhow::Result<()> {
    let mut peers = config.admin.peers.clone();
    if peers.is_empty() {
        peers.push(config.admin.listen.to_string());
    }
    let client = http::client(Duration::from_secs(2))?;
    let deadline = tokio::time::Instant::now() + WAIT;
    while let Some(peer) = peers.last().cloned() {
        let shown = revision_of(&client, &peer).await;
        if matches!(shown, Ok(Some(shown)) if shown >= revision) {
            peers.pop();
            continue;
        }
        if tokio::time::Instant::now() >= deadline {
            let state = match shown {
                Ok(Some(shown)) => format!("still works with revision {shown}"),
                Ok(None) => "shows no directory".to_owned(),
                Err(error) => format!("does not answer: {error:#}"),
            };
            bail!(
                "revision {revision} is written, but after {} s {peer} {state}",
                WAIT.as_secs()
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    print("in force everywhere")?;
    Ok(())
}

async fn revision_of(client: &reqwest::Client, peer: &str) -> anyhow::Result<Option<u64>> {
    let response = client
        .get(format!("http://{peer}/metrics"))
        .send()
        .await?
        .error_for_status()?;
    Ok(read_gauge(&response.text().await?))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a revision is a small whole number"
)]
fn read_gauge(text: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.strip_prefix(REVISION)?.strip_prefix(' '))
        .find_map(|value| value.trim().parse::<f64>().ok())
        .map(|value| value as u64)
}

async fn show(config: &Config, json: bool) -> anyhow::Result<ExitCode> {
    let current = Current::read(&config.kafka()?).await?;
    let mut value = whole(&current.snapshot);
    let mut recipients: Vec<_> = current.suppressions.iter().collect();
    recipients.sort_by(|a, b| a.0.cmp(b.0));
    let entries = recipients.iter().flat_map(|(phone, list)| {
        list.entries.iter().map(move |entry| {
            let mut entry = serde_json::to_value(entry).unwrap_or_default();
            entry["recipient"] = json!(phone.masked());
            entry
        })
    });
    value["suppressions"] = entries.collect();
    if json {
        print(serde_json::to_string_pretty(&value)?)?;
    } else {
        strip_nulls(&mut value);
        let text = toml::to_string_pretty(&value)
            .context("the directory cannot be shown as TOML; try --json")?;
        print(text.trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// In the form of a directory file.
fn whole(snapshot: &Snapshot) -> Value {
    let mut lists: Map<String, Value> = Map::new();
    lists.insert("revision".to_owned(), json!(snapshot.revision));
    lists.insert("log_id".to_owned(), json!(snapshot.log_id));
    for entity in snapshot.entities().values() {
        let mut value = redacted(entity);
        let kind = value
            .as_object_mut()
            .and_then(|object| object.remove("type"));
        let Some(kind) = kind.as_ref().and_then(Value::as_str) else {
            continue;
        };
        let list = lists.entry(format!("{kind}s")).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(value);
        }
    }
    let mut states: Vec<_> = snapshot.channel_states().collect();
    states.sort_by(|a, b| a.channel.cmp(&b.channel));
    lists.insert("taken_out".to_owned(), json!(states));
    Value::Object(lists)
}

/// TOML has no null.
pub(super) fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(strip_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(strip_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_is_read_from_the_metrics() {
        let text = format!("# HELP {REVISION} x\n{REVISION}_other 9\n{REVISION} 7\n");
        assert_eq!(read_gauge(&text), Some(7));
        assert_eq!(read_gauge(""), None);
    }
}
