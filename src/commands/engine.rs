use std::process::ExitCode;

use anyhow::Context as _;
use jixinda_analytics::engine;

use super::{asked_to_stop, input_closed};
use crate::config::Config;

/// Serves until a signal, or, as a child, until standard input closes: then the parent has ended, in whatever way.
pub(super) async fn serve(config: Config, child: bool) -> anyhow::Result<ExitCode> {
    let orphaned = if child { Some(input_closed()?) } else { None };
    let stop = async {
        match orphaned {
            // A terminal's ^C goes to the whole group: the parent decides when the engine ends.
            Some(orphaned) => tokio::select! {
                _ = orphaned => {}
                () = ignore_signals() => {}
            },
            None => {
                if let Err(error) = asked_to_stop().await {
                    tracing::error!(%error, "signals cannot be awaited");
                }
            }
        }
    };
    engine::serve(config.engine, stop)
        .await
        .context("the engine ended")?;
    Ok(ExitCode::SUCCESS)
}

async fn ignore_signals() {
    while asked_to_stop().await.is_ok() {}
    std::future::pending::<()>().await;
}
