use std::process::ExitCode;

use jixinda_runtime::{directory::publish, kafka::admin};

use super::print;
use crate::{cli::TopicsCommand, config::Config, roles};

pub(super) async fn topics(config: &Config, command: &TopicsCommand) -> anyhow::Result<ExitCode> {
    let kafka = config.kafka()?;
    let groups = roles::groups(config);
    match command {
        TopicsCommand::Apply => {
            let applied = admin::apply(&kafka, &groups).await?;
            for topic in &applied.created {
                print(format_args!("+ topic {topic}"))?;
            }
            for (group, partitions) in &applied.positioned {
                print(format_args!(
                    "+ group {group}: first offset of {partitions} partitions"
                ))?;
            }
            for group in &applied.busy {
                print(format_args!(
                    "! group {group} has members: what it lacks, its members commit, or `topics apply` once they are gone"
                ))?;
            }
            let (log_id, new) = publish::ensure_log(&kafka).await?;
            if new {
                print(format_args!("+ log {log_id}"))?;
            }
            if applied == admin::Applied::default() && !new {
                print("nothing to do")?;
            }
        }
        TopicsCommand::Check => {
            let found = admin::check(&kafka, &groups).await?;
            for difference in &found {
                print(difference)?;
            }
            if !found.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
            print("all topics and groups are as they should be")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
