//! Parts that cannot be read: an insert that met a full disk may leave one behind, active and empty (seen with 26.7.3:
//! `CORRUPTED_DATA`, an empty marks file). Every query that meets it fails, the sink's own count included, so that the
//! table would take nothing more until someone sets the part aside.

use crate::Error;

/// ClickHouse's number of `CORRUPTED_DATA`.
const CORRUPTED: &str = "Code: 246.";
const NAMED: &str = "While reading part ";

/// The part that the error names, if it is of one insert that was never merged: then it holds the rows of that insert
/// only, and the sink sends them again unless ClickHouse had said that they were there.
pub(super) fn unmerged_part(error: &Error) -> Option<String> {
    let Error::ClickHouse { source, .. } = error else {
        return None;
    };
    let text = source.to_string();
    if !text.contains(CORRUPTED) {
        return None;
    }
    let (_, rest) = text.split_once(NAMED)?;
    let name = rest.split(':').next()?;
    // PARTITION_MIN_MAX_LEVEL, and a fifth one after a mutation.
    let [partition, min, max, level] = name.split('_').collect::<Vec<_>>()[..] else {
        return None;
    };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let plain = [partition, min, max].into_iter().all(number);
    (plain && min == max && level == "0").then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Error {
        let source = clickhouse::error::Error::BadResponse(text.to_owned());
        Error::clickhouse("counting routings")(source)
    }

    fn said(part: &str) -> String {
        format!(
            "Code: 246. DB::Exception: Empty marks file '/data/store/bea/x/{part}/data.cmrk4': 0, must be: 1744: (while \
             reading from part /data/store/bea/x/{part}/ in table db.routings (x) located on disk default of type local, \
             from mark 0 with max_rows_to_read = 68, offset = 0): While reading part {part}: While executing \
             MergeTreeSelect(pool: ReadPool, algorithm: Thread). (CORRUPTED_DATA)"
        )
    }

    #[test]
    fn only_a_part_of_one_insert_is_named() {
        let named = unmerged_part(&error(&said("20261127_57_57_0")));
        assert_eq!(named.as_deref(), Some("20261127_57_57_0"));
        for other in [
            "20261127_1_57_3",
            "20261127_57_57_0_60",
            "20261127_57_57_1",
            "'_1_1_0",
        ] {
            assert_eq!(unmerged_part(&error(&said(other))), None, "{other}");
        }
        let full = "Code: 243. DB::Exception: Cannot reserve 1.00 MiB. (NOT_ENOUGH_SPACE)";
        assert_eq!(unmerged_part(&error(full)), None);
        assert_eq!(unmerged_part(&Error::Slow("counting".to_owned())), None);
    }
}
