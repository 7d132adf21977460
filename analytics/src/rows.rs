//! Events to rows. Pure: the same record gives the same rows, whenever it is read.
//!
//! No row holds a number, a variable or a text: a recipient is a keyed hash, a mask, a carrier and a region.

mod attempt;
mod dead_letter;
mod outcome;
mod receipt;
mod routing;
mod words;

use jixinda_schemas::{Phone, Timestamp, Topic, codec::Event, seal::PlatformKey};

pub use attempt::Attempt;
pub use dead_letter::DeadLetter;
pub use outcome::Outcome;
pub use receipt::Receipt;
pub use routing::Routing;

/// A table of facts; each topic belongs to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    Routings,
    Attempts,
    Receipts,
    Outcomes,
    DeadLetters,
}

impl Table {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::Routings,
        Self::Attempts,
        Self::Receipts,
        Self::Outcomes,
        Self::DeadLetters,
    ];

    /// Its name in ClickHouse.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Routings => "routings",
            Self::Attempts => "attempts",
            Self::Receipts => "receipts",
            Self::Outcomes => "outcomes",
            Self::DeadLetters => "dead_letters",
        }
    }

    /// The column that its partitions are days of.
    #[must_use]
    pub const fn day_column(self) -> &'static str {
        match self {
            Self::Routings => "decided_at",
            Self::Outcomes => "accepted_at",
            Self::Attempts | Self::Receipts | Self::DeadLetters => "logged_at",
        }
    }

    /// Where the events of `topic` go.
    #[must_use]
    pub const fn of(topic: Topic) -> Option<Self> {
        match topic {
            Topic::DispatchOtp | Topic::DispatchNotice | Topic::DispatchMarketing => {
                Some(Self::Routings)
            }
            Topic::Attempts => Some(Self::Attempts),
            Topic::Receipts => Some(Self::Receipts),
            Topic::Outcomes => Some(Self::Outcomes),
            Topic::DeadLetters => Some(Self::DeadLetters),
            Topic::RequestsOtp
            | Topic::RequestsNotice
            | Topic::RequestsMarketing
            | Topic::ReceiptsRaw
            | Topic::Inbound
            | Topic::State
            | Topic::Suppressions
            | Topic::Directory
            | Topic::Health => None,
        }
    }
}

/// Where and when a record was written.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub topic: Topic,
    pub partition: i32,
    pub offset: i64,
    /// Broker time.
    pub at: Timestamp,
}

/// The event belongs on another topic, or does not name its message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event does not fit its topic")]
pub struct Misfit;

/// Rows of one table, in the order of the log.
#[derive(Debug)]
pub enum Rows {
    Routings(Vec<Routing>),
    Attempts(Vec<Attempt>),
    Receipts(Vec<Receipt>),
    Outcomes(Vec<Outcome>),
    DeadLetters(Vec<DeadLetter>),
}

macro_rules! each {
    ($rows:expr, $list:ident => $body:expr) => {
        match $rows {
            $crate::rows::Rows::Routings($list) => $body,
            $crate::rows::Rows::Attempts($list) => $body,
            $crate::rows::Rows::Receipts($list) => $body,
            $crate::rows::Rows::Outcomes($list) => $body,
            $crate::rows::Rows::DeadLetters($list) => $body,
        }
    };
}
pub(crate) use each;

impl Rows {
    /// None yet.
    #[must_use]
    pub const fn new(table: Table) -> Self {
        match table {
            Table::Routings => Self::Routings(Vec::new()),
            Table::Attempts => Self::Attempts(Vec::new()),
            Table::Receipts => Self::Receipts(Vec::new()),
            Table::Outcomes => Self::Outcomes(Vec::new()),
            Table::DeadLetters => Self::DeadLetters(Vec::new()),
        }
    }

    /// Where they go.
    #[must_use]
    pub const fn table(&self) -> Table {
        match self {
            Self::Routings(_) => Table::Routings,
            Self::Attempts(_) => Table::Attempts,
            Self::Receipts(_) => Table::Receipts,
            Self::Outcomes(_) => Table::Outcomes,
            Self::DeadLetters(_) => Table::DeadLetters,
        }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        each!(self, list => list.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Keeps the rows of the records for which `keep` says so.
    pub fn retain(&mut self, keep: impl Fn(i64) -> bool) {
        each!(self, list => list.retain(|row| keep(row.offset)));
    }

    /// First and last instant of the column that partitions the table, in milliseconds.
    #[must_use]
    pub fn days(&self) -> Option<(i64, i64)> {
        fn ends(times: impl Iterator<Item = i64>) -> Option<(i64, i64)> {
            times.fold(None, |ends, at| {
                Some(ends.map_or((at, at), |(first, last): (i64, i64)| {
                    (first.min(at), last.max(at))
                }))
            })
        }
        match self {
            Self::Routings(list) => ends(list.iter().map(|r| r.decided_at)),
            Self::Attempts(list) => ends(list.iter().map(|r| r.logged_at)),
            Self::Receipts(list) => ends(list.iter().map(|r| r.logged_at)),
            Self::Outcomes(list) => ends(list.iter().map(|r| r.accepted_at)),
            Self::DeadLetters(list) => ends(list.iter().map(|r| r.logged_at)),
        }
    }

    /// Adds the rows of an event that counts.
    ///
    /// # Errors
    /// When the event is none of this table.
    pub fn add(&mut self, event: &Event, place: Place, key: &PlatformKey) -> Result<(), Misfit> {
        match (self, event) {
            (Self::Routings(list), Event::Routed(e)) => list.push(Routing::new(e, place, key)?),
            (Self::Attempts(list), event) => list.push(Attempt::new(event, place)?),
            (Self::Receipts(list), Event::Receipt(e)) => list.push(Receipt::new(e, place)?),
            (Self::Outcomes(list), Event::Outcome(e)) => {
                list.push(Outcome::new(e, &e.payload, 1, (place, key))?);
            }
            (Self::Outcomes(list), Event::OutcomeCorrected(e)) => {
                let old = Outcome::new(e, &e.payload.previous, -1, (place, key))?;
                list.push(old);
                list.push(Outcome::new(e, &e.payload.current, 1, (place, key))?);
            }
            (Self::DeadLetters(list), Event::DeadLetter(e)) => list.push(DeadLetter::new(e, place)),
            _ => return Err(Misfit),
        }
        Ok(())
    }
}

/// What stands for a recipient.
struct Recipient {
    hash: String,
    masked: String,
}

impl Recipient {
    fn new(phone: Option<&Phone>, key: &PlatformKey) -> Self {
        phone.map_or(
            Self {
                hash: String::new(),
                masked: String::new(),
            },
            |phone| Self {
                hash: key.phone_hash(phone),
                masked: phone.masked(),
            },
        )
    }
}

/// What `DateTime64(3)` holds: the years 1900 to 2299. Anything else is a defect of a clock, and is cut.
fn instant(at: Timestamp) -> i64 {
    at.millis().clamp(-2_208_988_800_000, 10_413_791_999_000)
}

/// A latency; clocks of two machines may make it negative, which counts as none.
fn elapsed(from: Timestamp, to: Timestamp) -> u32 {
    u32::try_from(to.since(from).max(0)).unwrap_or(u32::MAX)
}

fn text(id: Option<&impl ToString>) -> String {
    id.map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests;
