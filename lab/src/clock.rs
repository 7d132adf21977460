//! The lab's only reading of the clocks.

use std::sync::OnceLock;
use std::time::Instant;

/// One moment on both clocks. `at_ns` counts from the first reading in this process, so it orders entries of
/// one run of the lab and says nothing across runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) at_ms: u64,
    pub(crate) at_ns: u64,
}

impl Stamp {
    pub(crate) fn unix_seconds(self) -> u64 {
        self.at_ms / 1000
    }
}

pub(crate) fn now() -> Stamp {
    static START: OnceLock<Instant> = OnceLock::new();
    let at_ns = START.get_or_init(Instant::now).elapsed().as_nanos();
    #[expect(
        clippy::disallowed_methods,
        reason = "the lab is a vendor: it has its own clock, and this is it"
    )]
    let at_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    Stamp {
        at_ms: u64::try_from(at_ms).unwrap_or(u64::MAX),
        at_ns: u64::try_from(at_ns).unwrap_or(u64::MAX),
    }
}
