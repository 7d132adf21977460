//! Times as vendors write them. Pure.

use std::time::Duration;

use jixinda_schemas::Timestamp;
use time::{
    OffsetDateTime, PrimitiveDateTime, UtcOffset, format_description::BorrowedFormatItem, macros,
};

const SECONDS: &[BorrowedFormatItem<'_>] =
    macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
const COMPACT: &[BorrowedFormatItem<'_>] =
    macros::format_description!("[year][month][day][hour][minute][second]");
const BEIJING: UtcOffset = macros::offset!(+8);

/// `2025-01-02 11:04:09` of Beijing.
#[must_use]
pub fn beijing(text: &str) -> Option<Timestamp> {
    let local = PrimitiveDateTime::parse(text, SECONDS).ok()?;
    Some(Timestamp(
        local.assume_offset(BEIJING).unix_timestamp() * 1_000,
    ))
}

/// `20250102110409` of Beijing; the first eight digits are its day.
#[must_use]
pub fn beijing_compact(at: Timestamp) -> String {
    let at = OffsetDateTime::from_unix_timestamp(at.millis().div_euclid(1_000)).ok();
    at.and_then(|at| at.to_offset(BEIJING).format(COMPACT).ok())
        .unwrap_or_default()
}

/// Unix seconds as text.
#[must_use]
pub fn unix_seconds(text: &str) -> Option<Timestamp> {
    let seconds: i64 = text.trim().parse().ok()?;
    seconds.checked_mul(1_000).map(Timestamp)
}

/// `2025-01-02 03:04:09` of UTC.
#[must_use]
pub fn utc(text: &str) -> Option<Timestamp> {
    let local = PrimitiveDateTime::parse(text, SECONDS).ok()?;
    Some(Timestamp(local.assume_utc().unix_timestamp() * 1_000))
}

/// Whether a signed time is near enough to now, before or after: what is older may have been recorded and sent again.
#[must_use]
pub fn is_fresh(at: Timestamp, now: Timestamp, max_age: Duration) -> bool {
    u128::from(now.since(at).unsigned_abs()) <= max_age.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beijing_is_eight_hours_ahead() {
        let at = beijing("2025-01-02 11:04:09").unwrap();
        assert_eq!(at.to_string(), "2025-01-02T03:04:09.000Z");
        assert_eq!(beijing("2025-01-02T11:04:09Z"), None);
        assert_eq!(beijing(""), None);
        assert_eq!(beijing_compact(at), "20250102110409");
        let evening = Timestamp(1_735_750_800_000);
        assert!(beijing_compact(evening).starts_with("20250102"));
        assert_eq!(unix_seconds("1735787049"), Some(at));
        assert_eq!(unix_seconds("9223372036854775807"), None);
        assert_eq!(utc("2025-01-02 03:04:09"), Some(at));
    }

    #[test]
    fn what_is_too_old_or_too_far_ahead_is_not_fresh() {
        let (at, now) = (Timestamp(1_735_787_045_000), |ms: i64| {
            Timestamp(1_735_787_045_000 + ms)
        });
        let minute = Duration::from_secs(60);
        assert!(is_fresh(at, now(60_000), minute) && is_fresh(at, now(-60_000), minute));
        assert!(!is_fresh(at, now(60_001), minute) && !is_fresh(at, now(-60_001), minute));
        assert!(!is_fresh(Timestamp(i64::MIN), now(0), minute));
    }
}
