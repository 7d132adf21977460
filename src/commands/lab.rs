use std::{path::Path, process::ExitCode};

use anyhow::Context as _;
use jixinda_runtime::telemetry;

use super::{asked_to_stop_or_orphaned, demo};
use crate::{cli::LabCommand, config::Invalid};

/// Only variables with this prefix are put in: `${code}` in a body belongs to the vendor's text.
const OPEN: &str = "${JIXINDA_";

pub(super) async fn lab(file: Option<&Path>, command: &LabCommand) -> anyhow::Result<ExitCode> {
    match command {
        LabCommand::Serve { child } => {
            let file =
                file.context("say where the lab's settings are: --config deploy/demo/lab.toml")?;
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            let config = settings(&text, |name| std::env::var(name).ok())
                .map_err(|cause| Invalid(vec![format!("{}: {cause}", file.display())]))?;
            telemetry::init(&telemetry::Config {
                format: telemetry::Form::Text,
                filter: std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned()),
            })?;
            let stop = async {
                if let Err(error) = asked_to_stop_or_orphaned(*child).await {
                    tracing::error!(%error, "signals cannot be awaited");
                }
            };
            jixinda_lab::serve(config, stop)
                .await
                .context("the lab ended")?;
        }
        LabCommand::Run(options) => return demo::play(file, options).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts the variables in and reads the result.
fn settings(
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<jixinda_lab::Config, String> {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(OPEN) {
        let (before, placeholder) = rest.split_at(at);
        let (name, after) = placeholder["${".len()..]
            .split_once('}')
            .ok_or("a `${JIXINDA_` has no `}`")?;
        let value =
            variable(name).ok_or_else(|| format!("environment variable {name} is not set"))?;
        if value.contains(['"', '\\']) || value.chars().any(char::is_control) {
            return Err(format!(
                "environment variable {name} holds a quote, a backslash or a control character"
            ));
        }
        whole.push_str(before);
        whole.push_str(&value);
        rest = after;
    }
    whole.push_str(rest);
    jixinda_lab::Config::parse(&whole).map_err(|error| format!("{:#}", anyhow::Error::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_settings_take_their_secrets_from_the_environment() {
        let text = include_str!("../../deploy/demo/lab.toml");
        let config = settings(text, |name| Some(format!("value-of-{name}"))).unwrap();
        assert_eq!(config.accounts.len(), 3);
        let url = config.accounts[0].receipt_url.as_deref().unwrap();
        assert_eq!(
            url,
            "http://127.0.0.1:8772/receipts/aliyun-a/value-of-JIXINDA_DEMO_RECEIPT_A"
        );
        assert!(
            settings(text, |_| None)
                .unwrap_err()
                .contains("JIXINDA_DEMO_")
        );
        assert!(
            settings(text, |_| Some("\"".to_owned()))
                .unwrap_err()
                .contains("quote")
        );
    }
}
