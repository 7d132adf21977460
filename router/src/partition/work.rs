//! Pieces of work, and their names in the keys of `state`.

use std::{
    fmt::{self, Display},
    str::FromStr,
};

use jixinda_schemas::{MessageId, Topic};

/// A piece of open work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    Message(MessageId),
    /// A message whose id another message had before it, opened by the request at this place.
    Again(Topic, i64, MessageId),
    /// A record that no message could be made of, or an unmatched receipt.
    Record(Topic, i64),
    /// A block of remembered ids: source, first and last offset.
    Ids(Topic, i64, i64),
}

impl Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(id) => write!(f, "message/{id}"),
            Self::Again(topic, offset, id) => write!(f, "again/{topic}/{offset}/{id}"),
            Self::Record(topic, offset) => write!(f, "record/{topic}/{offset}"),
            Self::Ids(topic, first, last) => write!(f, "ids/{topic}/{first}/{last}"),
        }
    }
}

/// The text names no work.
#[derive(Debug)]
pub(crate) struct BadWork;

impl FromStr for Work {
    type Err = BadWork;
    fn from_str(s: &str) -> Result<Self, BadWork> {
        fn read<T: FromStr>(text: &str) -> Result<T, BadWork> {
            text.parse().map_err(|_| BadWork)
        }
        let parts: Vec<&str> = s.split('/').collect();
        match parts[..] {
            ["message", id] => Ok(Self::Message(read(id)?)),
            ["again", topic, offset, id] => Ok(Self::Again(read(topic)?, read(offset)?, read(id)?)),
            ["record", topic, offset] => Ok(Self::Record(read(topic)?, read(offset)?)),
            ["ids", topic, first, last] => Ok(Self::Ids(read(topic)?, read(first)?, read(last)?)),
            _ => Err(BadWork),
        }
    }
}

#[cfg(test)]
mod tests {
    use jixinda_runtime::kafka::parking::{Copy, Key};

    use super::*;

    #[test]
    fn keys_of_every_kind_of_work_read_back() {
        let id = MessageId::random();
        for work in [
            Work::Message(id),
            Work::Again(Topic::RequestsOtp, 7, id),
            Work::Record(Topic::ReceiptsRaw, 0),
            Work::Ids(Topic::RequestsMarketing, 5, 900),
        ] {
            let copy = Copy {
                writer: 0xff,
                sequence: 3,
            };
            let key = Key { work, copy };
            assert_eq!(Key::read(key.to_string().as_bytes()).unwrap(), key);
        }
        for bad in [
            "",
            "message",
            "message/x/0/0",
            "opened/router:00000000000000ff",
            "ids/otp/1/2/0/0",
        ] {
            assert!(Key::<Work>::read(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
