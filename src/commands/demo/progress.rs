//! A bar on a terminal, a line every few seconds elsewhere.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

const EVERY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    began: Instant,
    shown: Option<Instant>,
    total: Duration,
}

impl Progress {
    /// `total` is how long it will take, about.
    pub(super) fn start(total: Duration) -> anyhow::Result<Self> {
        let bar = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(total.as_secs());
            bar.set_style(
                ProgressStyle::with_template("{elapsed} [{bar:16}] {percent:>2} % {wide_msg}")?
                    .progress_chars("=> "),
            );
            Some(bar)
        } else {
            None
        };
        Ok(Self {
            bar,
            began: Instant::now(),
            shown: None,
            total,
        })
    }

    /// What is going on now.
    pub(super) fn tell(&mut self, message: String) {
        let elapsed = self.began.elapsed();
        if let Some(bar) = &self.bar {
            // It is an estimate: the last percent waits for the end.
            bar.set_position(elapsed.min(self.total.mul_f64(0.99)).as_secs());
            bar.set_message(message);
            bar.tick();
        } else if self.shown.is_none_or(|at| at.elapsed() >= EVERY) {
            self.shown = Some(Instant::now());
            eprintln!("{:4} s  {message}", elapsed.as_secs());
        }
    }

    /// A line that stays.
    pub(super) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    pub(super) fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
