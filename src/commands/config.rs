use std::{path::Path, process::ExitCode};

use jixinda_runtime::kafka::admin;

use super::print;
use crate::{
    cli::ConfigCommand,
    config::{DEFAULTS, Layers},
    roles,
};

pub(super) async fn config(
    file: Option<&Path>,
    command: &ConfigCommand,
) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::Default => print(DEFAULTS.trim_end())?,
        ConfigCommand::Show => {
            let layers = Layers::read(file)?;
            // What cannot be read cannot be hidden either.
            layers.config()?;
            print(layers.show().trim_end())?;
        }
        ConfigCommand::Check { connect } => {
            let config = Layers::read(file)?.config()?;
            config.check(&config.run.roles)?;
            if *connect {
                let found = admin::check(&config.kafka()?, &roles::groups(&config)).await?;
                for difference in &found {
                    print(difference)?;
                }
                if !found.is_empty() {
                    return Ok(ExitCode::FAILURE);
                }
            }
            print("the configuration is good")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
