//! The password digest and its timestamp, and the derived message ids. Pure.
//!
//! Source: fact sheet, "Auth", "Matching receipts"; the shared vectors check all three.

use md5::{Digest, Md5};
use time::format_description::BorrowedFormatItem;
use time::macros::{format_description, offset};
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::wire::sha256_hex;

const MOMENT: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day][hour][minute][second]");
/// Between the ids of two parts of a message.
const PER_PART: i128 = 17_179_869_184;

/// How an account's password travels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pwd {
    Md5,
    Sha256,
    Clear,
}

impl Pwd {
    /// By the account's setting.
    #[must_use]
    pub fn of(setting: Option<&str>) -> Self {
        match setting {
            Some("sha256") => Self::Sha256,
            Some("clear") => Self::Clear,
            _ => Self::Md5,
        }
    }
}

/// What is hashed.
#[must_use]
pub fn string(userid: &str, password: &str, timestamp: &str) -> String {
    format!("{}00000000{password}{timestamp}", userid.to_uppercase())
}

/// The value of `pwd`: a hash in lower hex, or the password itself.
#[must_use]
pub fn pwd(method: Pwd, userid: &str, password: &str, timestamp: &str) -> String {
    let string = string(userid, password, timestamp);
    match method {
        Pwd::Md5 => hex::encode(Md5::digest(string.as_bytes())),
        Pwd::Sha256 => sha256_hex(string.as_bytes()),
        Pwd::Clear => password.to_owned(),
    }
}

/// `MMDDHHMMSS`, in Beijing.
#[must_use]
pub fn timestamp(unix_seconds: i64) -> String {
    let text = beijing(unix_seconds).and_then(|moment| moment.format(MOMENT).ok());
    text.and_then(|text| text.get(4..).map(str::to_owned))
        .unwrap_or_default()
}

/// How far a timestamp is from a moment. It has no year: the nearest is meant.
#[must_use]
pub fn seconds_off(timestamp: &str, unix_seconds: i64) -> Option<u64> {
    let year = beijing(unix_seconds)?.year();
    let years = [year - 1, year, year + 1].into_iter();
    let off = years.filter_map(|year| {
        let moment = PrimitiveDateTime::parse(&format!("{year:04}{timestamp}"), MOMENT).ok()?;
        let seconds = moment.assume_offset(offset!(+8)).unix_timestamp();
        Some(seconds.abs_diff(unix_seconds))
    });
    off.min()
}

fn beijing(unix_seconds: i64) -> Option<OffsetDateTime> {
    let moment = OffsetDateTime::from_unix_timestamp(unix_seconds).ok()?;
    Some(moment.to_offset(offset!(+8)))
}

/// The id of a part, both counted from 1, of the message at a position in a call with this id.
#[must_use]
pub fn part_id(msgid: i128, position: usize, part: usize) -> i128 {
    let after = |counted: usize| i128::try_from(counted.saturating_sub(1)).unwrap_or_default();
    msgid + after(position) + after(part) * PER_PART
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_year_is_meant() {
        // 2024-12-31T23:59:50 in Beijing.
        let eve = 1_735_660_790;
        assert_eq!(timestamp(eve), "1231235950");
        assert_eq!(seconds_off("1231235950", eve), Some(0));
        assert_eq!(seconds_off("0101000010", eve), Some(20));
        assert_eq!(seconds_off("1231235950", eve + 20), Some(20));
        for text in ["", "123123595", "1331235950", "2024123123"] {
            assert_eq!(seconds_off(text, eve), None, "{text}");
        }
    }
}
