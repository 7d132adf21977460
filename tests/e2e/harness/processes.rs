//! Starting, killing, pausing and ending the platform's processes.

use std::time::Duration;

use rustix::process::Signal;

use super::{
    Platform, SOON, eventually,
    lives::End,
    process::{self, Process},
};

impl Platform {
    /// Starts one more process; `ready` waits for it.
    pub(crate) fn add(&mut self, name: &str, roles: &str) {
        let others = |role: &str| {
            let with_role = self.processes.values().filter(|p| p.roles.contains(role));
            with_role.count()
        };
        let known = |role: &str, ports: &[u16]| {
            let known = roles.contains(role).then(|| ports.get(others(role)));
            known.flatten().copied().unwrap_or_else(process::free_port)
        };
        let receipts = known("senders", &self.world.receipts_ports);
        let analytics = known("analytics", &[self.world.analytics_port]);
        let ports = process::Ports {
            admin: process::free_port(),
            ingest: process::free_port(),
            receipts,
            analytics,
        };
        let local = |port: u16| format!("127.0.0.1:{port}");
        let mut variables = vec![
            ("JIXINDA__KAFKA__INSTANCE".to_owned(), name.to_owned()),
            ("JIXINDA__ADMIN__LISTEN".to_owned(), local(ports.admin)),
            ("JIXINDA__INGEST__LISTEN".to_owned(), local(ports.ingest)),
            ("JIXINDA__SENDERS__LISTEN".to_owned(), local(ports.receipts)),
            (
                "JIXINDA__ANALYTICS__LISTEN".to_owned(),
                local(ports.analytics),
            ),
            (
                "JIXINDA__INGEST__STATUS_URL".to_owned(),
                format!("http://{}", local(self.world.analytics_port)),
            ),
        ];
        variables.extend(self.settings.variables.clone());
        if roles.contains("ingest") {
            variables.extend(self.settings.of_ingest.clone());
        }
        let config = self.config();
        let arguments = ["--config", &config, "run", "--roles", roles];
        self.lives.begin(name);
        let mut process = Process::start(name, &self.dir, &arguments, &variables);
        process.roles = roles.to_owned();
        process.ports = ports;
        self.processes.insert(name.to_owned(), process);
    }

    /// Waits until every process that runs says that it is ready.
    pub(crate) async fn ready(&mut self) {
        self.ready_within(SOON).await;
    }

    pub(crate) async fn ready_within(&mut self, limit: Duration) {
        let running = self.processes.iter().filter(|(_, p)| p.was_started());
        let names: Vec<String> = running.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.process_ready_within(&name, limit).await;
        }
    }

    pub(crate) async fn process_ready(&mut self, name: &str) {
        self.process_ready_within(name, SOON).await;
    }

    pub(crate) async fn process_ready_within(&mut self, name: &str, limit: Duration) {
        let http = self.http.clone();
        let url = format!("http://127.0.0.1:{}/readyz", self.process(name).ports.admin);
        eventually(&format!("{name} is ready"), limit, async || {
            self.must_run(name);
            let answer = http.get(&url).send().await.map_err(|e| e.to_string())?;
            if answer.status().is_success() {
                return Ok(());
            }
            Err(answer.text().await.unwrap_or_default())
        })
        .await;
    }

    /// Fails the test when the process has ended.
    fn must_run(&mut self, name: &str) {
        self.process(name).must_run();
    }

    pub(crate) fn process(&mut self, name: &str) -> &mut Process {
        self.processes.get_mut(name).unwrap()
    }

    /// As power loss would: no drain.
    pub(crate) fn kill(&mut self, name: &str) {
        self.process(name).kill();
        self.lives.end(name, End::Killed);
    }

    /// SIGTERM, and the end that a service manager wants to see.
    pub(crate) async fn stop(&mut self, name: &str) {
        self.process(name).stop().await;
        self.lives.end(name, End::Asked);
    }

    pub(crate) fn restart(&mut self, name: &str) {
        self.restart_with(name, &[]);
    }

    /// With further variables, this once.
    pub(crate) fn restart_with(&mut self, name: &str, more: &[(String, String)]) {
        self.lives.begin(name);
        self.process(name).restart_with(more);
    }

    /// SIGSTOP: it holds what it holds, and does not know that time goes by.
    pub(crate) fn pause(&mut self, name: &str) {
        self.lives.pause(name);
        self.process(name).signal(Signal::STOP);
    }

    pub(crate) fn resume(&mut self, name: &str) {
        self.process(name).signal(Signal::CONT);
        self.lives.resume(name);
    }

    /// SIGTERM to all that run.
    pub(crate) async fn stop_all(&mut self) {
        let running = self.processes.iter().filter(|(_, p)| p.was_started());
        let names: Vec<String> = running.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.process(&name).must_run();
            self.stop(&name).await;
        }
    }

    /// Ends a process for good, as when a service is scaled down.
    pub(crate) async fn remove(&mut self, name: &str) {
        self.stop(name).await;
        self.processes.remove(name);
    }

    /// Fails the test when a process that should run has ended.
    pub(crate) fn all_must_run(&mut self) {
        let started = self.processes.iter().filter(|(_, p)| p.was_started());
        let names: Vec<String> = started.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.must_run(&name);
        }
    }
}
