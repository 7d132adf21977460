//! Places at which a test lets a process die: `JIXINDA_CRASH_AT=<point>:<hits>` aborts at that hit of the point.
//! Built with debug assertions only; in a release these are empty.

/// Every point, in the order in which a message comes by.
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

    type At = Option<(String, AtomicU32)>;

    fn at() -> &'static At {
        static AT: OnceLock<At> = OnceLock::new();
        AT.get_or_init(|| {
            let text = std::env::var("JIXINDA_CRASH_AT").ok()?;
            let (name, hits) = text.split_once(':')?;
            Some((name.to_owned(), AtomicU32::new(hits.parse().ok()?)))
        })
    }

    pub(super) fn is_armed() -> bool {
        at().is_some()
    }

    pub(super) fn hit(name: &str) {
        if let Some((wanted, left)) = at()
            && wanted == name
            && left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::process::abort();
        }
    }
}
