//! Places at which a test lets a process die or stand still: `JIXINDA_CRASH_AT=<point>:<hits>[:abort|:stop]` aborts the
//! process, or stops it as SIGSTOP does, at that hit of the point; SIGCONT lets a stopped one go on from there.
//! Built with debug assertions only; in a release these are empty.

/// Every point of the roles, in the order in which a message comes by.
pub const POINTS: [&str; 11] = [
    "ingest.stored",
    "acked.routed",
    "acked.attempt_started",
    "senders.read_back",
    "senders.answered",
    "acked.attempt_finished",
    "receipts.stored",
    "receipts.answered",
    "acked.outcome",
    "sink.announced",
    "sink.inserted",
];

/// Every point of the commands.
pub const COMMAND_POINTS: [&str; 2] = ["redrive.announced", "redrive.written"];

/// A named place.
#[inline]
pub fn point(name: &str) {
    #[cfg(debug_assertions)]
    armed::hit(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// A record of this kind was acknowledged to the owner that wrote it: point `acked.<kind>`.
#[inline]
pub(crate) fn acked(kind: Option<&str>) {
    #[cfg(debug_assertions)]
    if armed::is_armed() {
        point(&format!("acked.{}", kind.unwrap_or_default()));
    }
    #[cfg(not(debug_assertions))]
    let _ = kind;
}

/// A point a moment from now, when what was begun has been done.
#[inline]
pub fn soon(name: &'static str) {
    #[cfg(debug_assertions)]
    if armed::is_armed() {
        drop(tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            point(name);
        }));
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    };

    use rustix::process::{Signal, getpid, kill_process};
    use tracing::error;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Then {
        Abort,
        Stop,
    }

    #[derive(Debug)]
    pub(super) struct At {
        pub(super) point: String,
        pub(super) left: AtomicU32,
        pub(super) then: Then,
    }

    /// `<point>:<hits>[:abort|:stop]`
    pub(super) fn parse(text: &str) -> Option<At> {
        let mut parts = text.split(':');
        let mut all = super::POINTS.iter().chain(&super::COMMAND_POINTS);
        let point = parts.next().filter(|p| all.any(|point| point == p))?;
        let hits = parts.next()?.parse().ok().filter(|hits| *hits > 0)?;
        let then = match (parts.next(), parts.next()) {
            (None | Some("abort"), None) => Then::Abort,
            (Some("stop"), None) => Then::Stop,
            _ => return None,
        };
        Some(At {
            point: point.to_owned(),
            left: AtomicU32::new(hits),
            then,
        })
    }

    fn at() -> Option<&'static At> {
        static AT: OnceLock<Option<At>> = OnceLock::new();
        let get = || {
            let text = std::env::var("JIXINDA_CRASH_AT").ok()?;
            let at = parse(&text);
            if at.is_none() {
                // A test that means to crash must not pass because of a slip of the pen.
                error!(text, "JIXINDA_CRASH_AT names no crash");
                std::process::abort();
            }
            at
        };
        AT.get_or_init(get).as_ref()
    }

    pub(super) fn is_armed() -> bool {
        at().is_some()
    }

    pub(super) fn hit(name: &str) {
        let Some(at) = at().filter(|at| at.point == name) else {
            return;
        };
        if at.left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        match at.then {
            Then::Abort => std::process::abort(),
            Then::Stop => {
                if let Err(e) = kill_process(getpid(), Signal::STOP) {
                    error!(error = &e as &dyn std::error::Error, "cannot stop myself");
                }
            }
        }
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use std::sync::atomic::Ordering;

    use super::armed::{Then, parse};

    #[test]
    fn a_crash_names_a_point_its_hit_and_what_then() {
        for (text, then) in [
            ("acked.routed:7", Then::Abort),
            ("acked.routed:7:abort", Then::Abort),
            ("acked.routed:7:stop", Then::Stop),
        ] {
            let at = parse(text).unwrap();
            assert_eq!((at.point.as_str(), at.then), ("acked.routed", then));
            assert_eq!(at.left.load(Ordering::Relaxed), 7);
        }
        for text in [
            "",
            "acked.routed",
            "acked.routed:0",
            "acked.routed:x",
            "acked.routed:7:halt",
            "acked.routed:7:stop:1",
            "nowhere:7",
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
