//! How Montnets knows an account, and we know Montnets: a password hashed with the time. Pure.
//!
//! Source: the manual V5.7.2, rules of authentication. The string is the user in capitals, eight zeros, the password and the
//! time; its MD5 unless the account was opened for SHA256 or the bare password. The time has no year and is Beijing's.

use jixinda_schemas::Timestamp;
use md5::Md5;
use sha2::{Digest, Sha256};
use time::{
    OffsetDateTime, PrimitiveDateTime, UtcOffset, format_description::BorrowedFormatItem, macros,
};

const MOMENT: &[BorrowedFormatItem<'_>] =
    macros::format_description!("[month][day][hour][minute][second]");
const WITH_YEAR: &[BorrowedFormatItem<'_>] =
    macros::format_description!("[year][month][day][hour][minute][second]");
const BEIJING: UtcOffset = macros::offset!(+8);

/// What stands in `pwd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    Md5,
    Sha256,
    /// The password itself.
    Clear,
}

/// The text that is hashed.
#[must_use]
pub fn string_to_hash(userid: &str, password: &str, timestamp: &str) -> String {
    format!("{}00000000{password}{timestamp}", userid.to_uppercase())
}

/// `pwd`.
#[must_use]
pub fn pwd(hash: Hash, userid: &str, password: &str, timestamp: &str) -> String {
    let text = string_to_hash(userid, password, timestamp);
    match hash {
        Hash::Md5 => hex::encode(Md5::digest(text)),
        Hash::Sha256 => hex::encode(Sha256::digest(text)),
        Hash::Clear => password.to_owned(),
    }
}

/// `timestamp` of a moment: `MMDDHHMMSS` of Beijing.
#[must_use]
pub fn timestamp(now: Timestamp) -> String {
    beijing(now)
        .and_then(|t| t.format(MOMENT).ok())
        .unwrap_or_default()
}

fn beijing(at: Timestamp) -> Option<OffsetDateTime> {
    let utc = OffsetDateTime::from_unix_timestamp(at.millis().div_euclid(1_000)).ok()?;
    utc.checked_to_offset(BEIJING)
}

/// The moment of a `timestamp`, in the year that brings it nearest to `now`.
#[must_use]
pub fn instant(timestamp: &str, now: Timestamp) -> Option<Timestamp> {
    let year = beijing(now)?.year();
    let moments = (year - 1..=year + 1).filter_map(|year| {
        let local = PrimitiveDateTime::parse(&format!("{year:04}{timestamp}"), WITH_YEAR).ok()?;
        Some(Timestamp(
            local.assume_offset(BEIJING).unix_timestamp() * 1_000,
        ))
    });
    moments.min_by_key(|at| now.since(*at).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_hash_is_the_one_that_the_manual_prints() {
        assert_eq!(
            pwd(Hash::Md5, "j10003", "111111", "0803192020"),
            "26dad7f364507df18f3841cc9c4ff94d"
        );
        assert_eq!(pwd(Hash::Clear, "J10003", "111111", ""), "111111");
    }

    #[test]
    fn a_time_is_beijings_and_its_year_the_nearest() {
        let now = at("2025-01-02T03:04:05.678Z");
        assert_eq!(timestamp(now), "0102110405");
        assert_eq!(instant("0102110405", now), Some(at("2025-01-02T03:04:05Z")));
        let eve = at("2024-12-31T15:59:59Z");
        assert_eq!(instant("0101000001", eve), Some(at("2024-12-31T16:00:01Z")));
        assert_eq!(instant("1231235959", eve), Some(eve));
        // 2025 has no such day, the year before has.
        assert_eq!(instant("0229000000", now), Some(at("2024-02-28T16:00:00Z")));
        assert_eq!(instant("1340000000", now), None);
        assert_eq!(instant("x", now), None);
    }
}
