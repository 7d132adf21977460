//! A process that dies at a named point.

use std::time::Duration;

use super::{Platform, eventually};

/// Load must bring a process to any point within this time.
const REACHED: Duration = Duration::from_secs(30);

impl Platform {
    /// Kills a process and lets its next life end by itself at that hit of the point, then starts it once more.
    pub(crate) async fn die_at(&mut self, name: &str, point: &str, hits: u32) {
        self.kill(name);
        let armed = ("JIXINDA_CRASH_AT".to_owned(), format!("{point}:{hits}"));
        self.process(name).restart_with(&[armed]);
        let process = self.process(name);
        let what = format!("{name} comes to {point}");
        let status = eventually(&what, REACHED, async || {
            process.ended().ok_or("it has not come there")
        })
        .await;
        assert!(status.to_string().contains("SIGABRT"), "{what}: {status}");
        self.process(name).forget();
        self.senders_deaths += usize::from(self.process(name).roles.contains("senders"));
        self.restart(name);
        self.process_ready(name).await;
    }
}
