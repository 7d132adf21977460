//! When each process ran, when it stood still, and how each of its lives ended.

use std::time::Duration;

use jixinda_runtime::clock::{Clock as _, SystemClock};
use jixinda_schemas::Timestamp;

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// kill -9, or an abort at a crash point: no last word.
    Killed,
    /// SIGTERM: it had time to put everything right.
    Asked,
}

#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) name: String,
    pub(crate) began: Timestamp,
    pub(crate) ended: Option<(Timestamp, End)>,
    /// From SIGSTOP to SIGCONT.
    pub(crate) pauses: Vec<(Timestamp, Timestamp)>,
}

/// All lives of all processes, in the order in which they began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lives(Vec<Life>);

impl Lives {
    pub(crate) fn begin(&mut self, name: &str) {
        self.begin_at(name, SystemClock.now());
    }

    pub(crate) fn begin_at(&mut self, name: &str, now: Timestamp) {
        self.0.push(Life {
            name: name.to_owned(),
            began: now,
            ended: None,
            pauses: Vec::new(),
        });
    }

    fn last(&mut self, name: &str) -> &mut Life {
        let mut lives = self.0.iter_mut().rev();
        lives.find(|life| life.name == name).unwrap()
    }

    pub(crate) fn end(&mut self, name: &str, end: End) {
        self.end_at(name, end, SystemClock.now());
    }

    pub(crate) fn end_at(&mut self, name: &str, end: End, now: Timestamp) {
        let life = self.last(name);
        life.ended = Some((now, end));
        // It may have been killed while it stood still.
        if let Some((_, to)) = life.pauses.last_mut() {
            *to = (*to).min(now);
        }
    }

    /// It stands still from now on.
    pub(crate) fn pause(&mut self, name: &str) {
        self.paused_before(name, Duration::ZERO);
    }

    /// It has stood still since at most so long ago.
    pub(crate) fn paused_before(&mut self, name: &str, ago: Duration) {
        let since = Timestamp(SystemClock.now().millis() - ago.as_millis() as i64);
        let pauses = &mut self.last(name).pauses;
        pauses.push((since, Timestamp(i64::MAX)));
    }

    pub(crate) fn resume(&mut self, name: &str) {
        self.last(name).pauses.last_mut().unwrap().1 = SystemClock.now();
    }

    /// Whether the process that took a partition over as `writer` was killed before it could say how a claim of
    /// `started` ended, or stood still between claim and result.
    pub(crate) fn interrupted(
        &self,
        writer: &Writer,
        started: Timestamp,
        finished: Option<Timestamp>,
    ) -> bool {
        let lived_then = |life: &&Life| {
            let ended = life.ended.map_or(Timestamp(i64::MAX), |(at, _)| at);
            writer.is(&life.name) && life.began <= writer.at && writer.at <= ended
        };
        let Some(life) = self.0.iter().find(lived_then) else {
            return false;
        };
        let killed = matches!(life.ended, Some((_, End::Killed))) && finished.is_none();
        let mut pauses = life.pauses.iter();
        let paused = |(from, to): &(Timestamp, Timestamp)| {
            started <= *to && finished.is_none_or(|finished| finished >= *from)
        };
        killed || pauses.any(paused)
    }
}

/// What an `opened` record says of its writer; its times are of this machine's clock, as those of the lives are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    /// Host and instance.
    pub(crate) instance: String,
    pub(crate) at: Timestamp,
}

impl Writer {
    fn is(&self, name: &str) -> bool {
        let host = self.instance.strip_suffix(name);
        host.is_some_and(|host| host.ends_with('-'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp(ms)
    }

    /// `senders-a`: killed at 200; a second life from 300, still from 400 to 500, asked to end at 600.
    fn lives() -> Lives {
        let mut lives = Lives::default();
        lives.begin_at("senders-a", at(100));
        lives.begin_at("senders-b", at(100));
        lives.end_at("senders-a", End::Killed, at(200));
        lives.begin_at("senders-a", at(300));
        lives.last("senders-a").pauses.push((at(400), at(i64::MAX)));
        lives.last("senders-a").pauses[0].1 = at(500);
        lives.end_at("senders-a", End::Asked, at(600));
        lives
    }

    fn writer(instance: &str, opened: i64) -> Writer {
        Writer {
            instance: instance.to_owned(),
            at: at(opened),
        }
    }

    #[test]
    fn only_the_life_that_was_killed_leaves_claims_open() {
        let lives = lives();
        let a = |opened, started, finished: Option<i64>| {
            lives.interrupted(
                &writer("host-senders-a", opened),
                at(started),
                finished.map(at),
            )
        };
        assert!(a(150, 160, None));
        assert!(!a(150, 160, Some(170)));
        // The second life ended in good order.
        assert!(!a(350, 550, None));
        // Nobody lived then.
        assert!(!a(250, 260, None));
        let b = writer("host-senders-b", 150);
        assert!(!lives.interrupted(&b, at(160), None));
        assert!(!lives.interrupted(&writer("host-other-senders-ab", 150), at(160), None));
    }

    #[test]
    fn standing_still_explains_what_was_open_meanwhile_and_nothing_else() {
        let lives = lives();
        let a = |started, finished: Option<i64>| {
            lives.interrupted(
                &writer("host-senders-a", 350),
                at(started),
                finished.map(at),
            )
        };
        assert!(a(390, Some(510)));
        assert!(a(390, None));
        assert!(!a(360, Some(390)));
        assert!(!a(510, Some(520)));
    }
}
