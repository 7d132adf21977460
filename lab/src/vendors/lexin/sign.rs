//! Digests of the password, from the verifier's side. Pure.
//!
//! Source: fact sheet, "Auth"; the shared vector checks accPwd.

use md5::{Digest, Md5};
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::{format_description, offset};

const SEED: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day][hour][minute][second]");

fn md5_upper(text: &str) -> String {
    hex::encode_upper(Md5::digest(text.as_bytes()))
}

/// `accPwd`: MD5 of the password in upper-case hex.
#[must_use]
pub fn acc_pwd(password: &str) -> String {
    md5_upper(password)
}

/// `accPwd` of the seeded methods: MD5 of `digest`, itself an `accPwd`, and the seed, in upper-case hex.
#[must_use]
pub fn seeded(digest: &str, seed: &str) -> String {
    md5_upper(&format!("{digest}{seed}"))
}

/// Whether a seeded `accPwd` is right. The case of either hex is UNCONFIRMED, so any will do.
#[must_use]
pub fn is_seeded(digest: &str, seed: &str, claimed: &str) -> bool {
    let claimed = claimed.to_ascii_uppercase();
    let upper = seeded(&digest.to_ascii_uppercase(), seed);
    let lower = seeded(&digest.to_ascii_lowercase(), seed);
    crate::wire::same(&upper, &claimed) | crate::wire::same(&lower, &claimed)
}

/// The time of a seed, `yyyyMMddHHmmss` in Beijing (UNCONFIRMED), in seconds since 1970.
#[must_use]
pub fn seed_time(seed: &str) -> Option<i64> {
    let at = PrimitiveDateTime::parse(seed, SEED).ok()?;
    Some(at.assume_offset(offset!(+8)).unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_times_and_digests_take_either_case() {
        assert_eq!(seed_time("20250102110405"), Some(1_735_787_045));
        for wrong in ["", "2025-01-02 11:04:05", "202501021104", "2025010211040x"] {
            assert_eq!(seed_time(wrong), None, "{wrong}");
        }
        let (seed, digest) = ("20250102110405", acc_pwd("123456"));
        let right = seeded(&digest, seed);
        assert!(is_seeded(&digest, seed, &right));
        assert!(is_seeded(&digest, seed, &right.to_ascii_lowercase()));
        let lower = seeded(&digest.to_ascii_lowercase(), seed);
        assert!(is_seeded(&digest, seed, &lower));
        assert!(!is_seeded(&digest, "20250102110406", &right));
    }
}
