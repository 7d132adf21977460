//! The embedded ClickHouse engine as a child process: a fault in it ends neither us nor any other role. It is started
//! again when it ends, and ends itself when our end of its standard input closes, however that comes about.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::Context as _;
use jixinda_runtime::lifecycle::Handle;
use tokio::{
    process::{Child, Command},
    sync::oneshot,
    task::JoinHandle,
};
use tracing::{error, info, warn};

use crate::config::Config;

/// Between two starts of an engine that keeps ending.
const PAUSE: Duration = Duration::from_secs(2);
/// For open inserts, at the end.
const GRACE: Duration = Duration::from_secs(10);

/// The engine and who watches it.
#[derive(Debug)]
pub(super) struct Engine {
    stop: oneshot::Sender<()>,
    watcher: JoinHandle<()>,
}

pub(super) fn start(
    file: Option<&Path>,
    config: &Config,
    handle: Handle,
) -> anyhow::Result<Engine> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(program);
    if let Some(file) = file {
        command.arg("--config").arg(file);
    }
    command
        .args(["engine", "--child"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let child = command
        .spawn()
        .context("cannot start the ClickHouse engine")?;
    let (stop, stopped) = oneshot::channel();
    let listen = config.engine.listen;
    let watcher = tokio::spawn(async move {
        // Readiness is the analytics role's affair: it knows whether its database answers.
        handle.ready();
        info!(%listen, "engine started");
        watch(command, child, handle, stopped).await;
    });
    Ok(Engine { stop, watcher })
}

impl Engine {
    /// Closes the child's input and waits for its end.
    pub(super) async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.watcher.await {
            error!(
                error = &error as &dyn std::error::Error,
                "engine watcher ended badly"
            );
        }
    }
}

/// Keeps a child running until the other end of `stopped` goes.
async fn watch(
    mut command: Command,
    mut child: Child,
    handle: Handle,
    mut stopped: oneshot::Receiver<()>,
) {
    // The engine is told to stop after all others, so it must not keep them from draining.
    let release = tokio::spawn(async move { handle.stopped().await });
    // `wait` would close the child's input, which tells it to end.
    let mut input = child.stdin.take();
    loop {
        let ended = tokio::select! {
            ended = child.wait() => ended,
            _ = &mut stopped => break,
        };
        warn!(status = ?ended.map(|status| status.to_string()), "engine ended, starting it again");
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = &mut stopped => return,
        }
        match command.spawn() {
            Ok(again) => {
                child = again;
                input = child.stdin.take();
            }
            Err(error) => {
                error!(
                    error = &error as &dyn std::error::Error,
                    "engine cannot be started"
                );
                release.abort();
                return;
            }
        }
    }
    drop(input);
    match tokio::time::timeout(GRACE, child.wait()).await {
        Ok(Ok(status)) => info!(%status, "engine ended"),
        Ok(Err(error)) => error!(
            error = &error as &dyn std::error::Error,
            "engine cannot be waited for"
        ),
        Err(_) => {
            warn!("engine did not end in time, killing it");
            if let Err(error) = child.kill().await {
                error!(
                    error = &error as &dyn std::error::Error,
                    "engine cannot be killed"
                );
            }
        }
    }
}
