//! A broker of one test's own, that can be killed and started again on its data.

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{SOON, eventually, process::free_port, tail};

/// A JVM that recovers its log, on a machine that does other things as well.
const START_LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(crate) struct Broker {
    dir: PathBuf,
    port: u16,
    controller_port: u16,
}

impl Broker {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            port: free_port(),
            controller_port: free_port(),
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it, on the data of its former life if it had one; returns when it answers, with the time that took.
    pub(crate) async fn start(&self) -> Duration {
        let began = Instant::now();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/local/kafka.sh");
        let mut command = tokio::process::Command::new(script);
        command
            .arg("start")
            .env("JIXINDA_DATA", &self.dir)
            .env("JIXINDA_KAFKA_PORT", self.port.to_string())
            .env(
                "JIXINDA_KAFKA_CONTROLLER_PORT",
                self.controller_port.to_string(),
            );
        let run = tokio::time::timeout(START_LIMIT, command.output());
        let done = run.await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        let log = tail(&self.dir.join("kafka/server.log"));
        assert!(done.status.success(), "the broker: {said}\n{log}");
        began.elapsed()
    }

    fn pid(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.dir.join("kafka/pid")).ok()?;
        let pid = text.trim().parse().ok()?;
        // Empty for one that has ended, and not ours if the number was given out again.
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let ours = format!("-Djixinda.kafka.data={}", self.dir.join("kafka").display());
        let mut arguments = line.split(|byte| *byte == 0);
        arguments
            .any(|argument| argument == ours.as_bytes())
            .then_some(())?;
        Pid::from_raw(pid)
    }

    /// As the kernel kills what takes too much memory. What it had acknowledged is in the page cache.
    pub(crate) async fn kill(&self) {
        kill_process(self.pid().unwrap(), Signal::KILL).unwrap();
        // Its name is gone at once; its ports only when its memory is.
        eventually("the broker is gone", SOON, async || {
            let listens = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
            let there = self.pid().is_some() || listens(self.port) || listens(self.controller_port);
            if there { Err("it still runs") } else { Ok(()) }
        })
        .await;
    }

    /// It answers nothing, and its connections stay open.
    pub(crate) fn pause(&self) {
        kill_process(self.pid().unwrap(), Signal::STOP).unwrap();
    }

    pub(crate) fn resume(&self) {
        kill_process(self.pid().unwrap(), Signal::CONT).unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            // It may end by itself just now.
            let _: Result<(), _> = kill_process(pid, Signal::KILL);
        }
    }
}
