use std::process::ExitCode;

use anyhow::Context as _;
use jixinda_analytics::engine;
use tokio::sync::oneshot;

use super::asked_to_stop;
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

fn input_closed() -> anyhow::Result<oneshot::Receiver<()>> {
    let (closed, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name("parent".to_owned())
        .spawn(move || {
            // Whatever comes is thrown away; an error is an end too.
            drop(std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
            // Nobody listens any more when the engine has ended already.
            let _ = closed.send(());
        })
        .context("cannot start a thread")?;
    Ok(receiver)
}
