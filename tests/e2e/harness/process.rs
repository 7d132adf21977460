//! The program as a process.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use super::{eventually, tail};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jixinda");
/// A little more than the program allows itself.
const STOP_LIMIT: Duration = Duration::from_secs(25);

/// Where a process listens; the same after a restart.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ports {
    pub(crate) admin: u16,
    pub(crate) ingest: u16,
    pub(crate) receipts: u16,
    pub(crate) analytics: u16,
}

#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    pub(crate) log: PathBuf,
    child: Option<Child>,
    pub(crate) roles: String,
    pub(crate) ports: Ports,
}

/// A port below those that the system gives out by itself; no two callers get the same.
pub(crate) fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new(10_000 + rand::random::<u16>() % 9_000));
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn command(arguments: &[impl AsRef<str>], variables: &[(String, String)]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments.iter().map(AsRef::as_ref))
        .env_clear()
        .env("RUST_BACKTRACE", "1")
        .envs(variables.iter().map(|(k, v)| (k, v)))
        .stdin(Stdio::null());
    command
}

/// Runs the program to its end: what it printed, or with what it failed.
pub(crate) fn run(arguments: &[&str], variables: &[(String, String)]) -> Result<String, Failed> {
    let done = command(arguments, variables).output().unwrap();
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        return Ok(printed);
    }
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let what = format!("{arguments:?}: {}", done.status);
    Err(Failed {
        what,
        printed,
        said,
    })
}

/// A command that ended with another code than 0.
#[derive(Debug)]
pub(crate) struct Failed {
    what: String,
    pub(crate) printed: String,
    said: String,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}{}", self.what, self.printed, self.said)
    }
}

impl Process {
    pub(crate) fn start(
        name: &str,
        dir: &Path,
        arguments: &[&str],
        variables: &[(String, String)],
    ) -> Self {
        let mut process = Self {
            name: name.to_owned(),
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
            variables: variables.to_vec(),
            log: dir.join(format!("{name}.log")),
            child: None,
            roles: String::new(),
            ports: Ports::default(),
        };
        process.restart();
        process
    }

    pub(crate) fn restart(&mut self) {
        self.restart_with(&[]);
    }

    /// With further variables, this once.
    pub(crate) fn restart_with(&mut self, more: &[(String, String)]) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let variables = [&self.variables, more].concat();
        let child = command(&self.arguments, &variables)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    pub(crate) fn was_started(&self) -> bool {
        self.child.is_some()
    }

    pub(crate) fn is_running(&self) -> bool {
        let pid = self.child.as_ref().map(Child::id);
        pid.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists())
    }

    /// Fails the test when the process has ended.
    pub(crate) fn must_run(&mut self) {
        if let Some(status) = self.ended() {
            panic!(
                "{} ended with {status}: {}\n{}",
                self.name,
                self.log.display(),
                tail(&self.log)
            );
        }
    }

    /// It has ended by itself, and may be started again.
    pub(crate) fn forget(&mut self) {
        self.child = None;
    }

    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().unwrap().try_wait().unwrap()
    }

    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    /// It stands still, as after SIGSTOP.
    pub(crate) fn is_paused(&self) -> bool {
        let pid = self.child.as_ref().unwrap().id();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The state follows the name, which stands in parentheses and may hold anything.
        let state = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.chars().next());
        state == Some('T')
    }

    /// Asks it to end; it must do so, and with success.
    pub(crate) async fn stop(&mut self) {
        self.signal(Signal::TERM);
        let (name, log) = (self.name.clone(), self.log.clone());
        let status = eventually(&format!("{name} ends"), STOP_LIMIT, async || {
            self.ended().ok_or("it still runs")
        })
        .await;
        assert!(status.success(), "{name}: {status}\n{}", tail(&log));
        self.child = None;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), tail(&self.log));
        }
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
    }
}
