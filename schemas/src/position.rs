//! The place of a record in the log.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Topic;

/// Logical topic, partition and offset.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
pub struct Position {
    /// Logical topic, without the prefix of the installation.
    pub topic: Topic,
    /// Partition number.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

/// The text is not `topic/partition/offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a position is topic/partition/offset")]
pub struct ParsePositionError;

impl FromStr for Position {
    type Err = ParsePositionError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let read = || {
            let mut parts = s.rsplitn(3, '/');
            let offset = parts.next()?.parse().ok()?;
            let partition = parts.next()?.parse().ok()?;
            let topic = parts.next()?.parse().ok()?;
            Some(Self {
                topic,
                partition,
                offset,
            })
        };
        read().ok_or(ParsePositionError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_and_nothing_else_does() {
        let at = Position {
            topic: Topic::RequestsOtp,
            partition: 2,
            offset: 1_043,
        };
        assert_eq!(at.to_string().parse(), Ok(at));
        for bad in ["", "requests.otp/2", "requests.otp/2/x", "nothing/2/3"] {
            assert_eq!(bad.parse::<Position>(), Err(ParsePositionError), "{bad}");
        }
    }
}
