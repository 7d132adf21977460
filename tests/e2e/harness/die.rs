//! A process that dies, or stands still, at a named point.

use std::time::{Duration, Instant};

use super::{Platform, eventually, lives::End, load::for_a_while};

/// Load must bring a process to any point within this time.
const REACHED: Duration = Duration::from_secs(90);

/// What a look at a process may be late by.
const SEEN: Duration = Duration::from_secs(1);

fn armed(point: &str, hits: u32, then: &str) -> (String, String) {
    let at = format!("{point}:{hits}:{then}");
    ("JIXINDA_CRASH_AT".to_owned(), at)
}

impl Platform {
    /// Kills a process and lets its next life end by itself at that hit of the point, then starts it once more.
    /// Returns how long it took until it was ready again.
    pub(crate) async fn die_at(&mut self, name: &str, point: &str, hits: u32) -> Duration {
        self.kill(name);
        self.restart_with(name, &[armed(point, hits, "abort")]);
        let process = self.process(name);
        let what = format!("{name} comes to {point}");
        let status = eventually(&what, REACHED, async || {
            process.ended().ok_or("it has not come there")
        })
        .await;
        assert!(status.to_string().contains("SIGABRT"), "{what}: {status}");
        self.process(name).forget();
        self.lives.end(name, End::Killed);
        let began = Instant::now();
        self.restart(name);
        self.process_ready(name).await;
        began.elapsed()
    }

    /// Kills a process and lets its next life stand still at that hit of the point for `span`, longer than it takes to
    /// be given up for dead. It must go on afterwards, and do no harm. Returns how long it took to be ready again.
    pub(crate) async fn stand_still_at(
        &mut self,
        name: &str,
        (point, hits): (&str, u32),
        span: Duration,
    ) -> Duration {
        self.kill(name);
        self.restart_with(name, &[armed(point, hits, "stop")]);
        let process = self.process(name);
        eventually(&format!("{name} stops at {point}"), REACHED, async || {
            process.must_run();
            process.is_paused().then_some(()).ok_or("it goes on")
        })
        .await;
        // Seen a moment after it happened.
        self.lives.paused_before(name, SEEN);
        for_a_while(span).await;
        self.resume(name);
        let began = Instant::now();
        self.process_ready(name).await;
        began.elapsed()
    }
}
