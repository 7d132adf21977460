//! The lab and the platform as child processes, each with a log of its own. They end when their standard input closes:
//! so they go with this process, however it ends.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use futures_util::future::select_all;
use tokio::process::{Child, ChildStdin, Command};

/// For what is open, at the end; the platform itself takes up to 20 s, then its engine up to 10 s.
const GRACE: Duration = Duration::from_secs(35);
/// Lines of a log that are shown when its process fails.
const TAIL: usize = 15;

#[derive(Debug)]
struct Running {
    name: &'static str,
    log: PathBuf,
    process: Child,
    input: ChildStdin,
}

/// In the order in which they were started.
#[derive(Debug, Default)]
pub(super) struct Children(Vec<Running>);

impl Children {
    /// Starts this program once more.
    pub(super) fn start(
        &mut self,
        name: &'static str,
        config: &Path,
        args: &[&str],
        log: PathBuf,
    ) -> anyhow::Result<()> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut process = Command::new(program)
            .arg("--config")
            .arg(config)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file)
            // A terminal's ^C is for us alone: we stop them one after the other.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let input = process.stdin.take().context("a child without input")?;
        self.0.push(Running {
            name,
            log,
            process,
            input,
        });
        Ok(())
    }

    /// Resolves when one of them has ended, with what it said last.
    pub(super) async fn died(&mut self) -> anyhow::Error {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let ends = self
            .0
            .iter_mut()
            .map(|child| Box::pin(child.process.wait()));
        let (status, i, _) = select_all(ends).await;
        let Running { name, log, .. } = &self.0[i];
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        anyhow!(
            "{name} ended ({status}); the end of {}:\n{}",
            log.display(),
            tail(log)
        )
    }

    /// Stops them, the last one first.
    pub(super) async fn stop(self) {
        for child in self.0.into_iter().rev() {
            let Running {
                name,
                log,
                mut process,
                input,
            } = child;
            drop(input);
            match tokio::time::timeout(GRACE, process.wait()).await {
                Ok(Ok(status)) if status.success() => {}
                Ok(Ok(status)) => eprintln!("{name} ended badly ({status}); see {}", log.display()),
                Ok(Err(error)) => eprintln!("{name} cannot be waited for: {error}"),
                Err(_) => {
                    eprintln!("{name} does not end, killing it; see {}", log.display());
                    if let Err(error) = process.kill().await {
                        eprintln!("{name} cannot be killed: {error}");
                    }
                }
            }
        }
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).map_or_else(
        |error| error.to_string(),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    );
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(TAIL);
    lines[from..]
        .iter()
        .map(|line| format!("  {line}\n"))
        .collect()
}
