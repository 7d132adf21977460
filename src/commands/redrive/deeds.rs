//! What operators have done so far, folded from `dead-letters`. Pure.

use std::collections::{BTreeSet, HashMap, HashSet};

use jixinda_runtime::kafka::Record;
use jixinda_schemas::{
    MessageId, Position, Timestamp, Topic,
    codec::{self, DecodeError, Event},
    event::{Operator, kind},
};

/// Requests are kept for seven days. Of what was announced before that it cannot be told any more whether it was
/// written, so it counts as written.
const REQUESTS_KEPT_MS: i64 = 6 * 86_400_000;

/// The first time that it was redriven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Redrive {
    /// Broker time.
    pub(crate) at: Timestamp,
    pub(crate) by: Operator,
    pub(crate) because: Option<String>,
    pub(crate) topic: Topic,
    /// Absent for a receipt.
    pub(crate) message: Option<MessageId>,
    /// Where the new record stands, as far as that is known.
    pub(crate) written: Option<Position>,
    /// It is known, or has to be assumed, that it was written.
    pub(crate) done: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Discard {
    /// Broker time.
    pub(crate) at: Timestamp,
    pub(crate) by: Operator,
    pub(crate) because: String,
}

/// What was done about one record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deed {
    pub(crate) redrive: Option<Redrive>,
    /// The last one.
    pub(crate) discard: Option<Discard>,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing was done.
    Open,
    /// A redrive was announced, and what it announced was never written.
    Unfinished,
    Redriven,
    Discarded,
}

impl Standing {
    /// Still to be seen to.
    pub(crate) const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Unfinished)
    }
}

/// By the record that it was done about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deeds {
    of: HashMap<Position, Deed>,
    /// Messages that were redriven, and the records by which they were.
    messages: HashMap<MessageId, BTreeSet<Position>>,
    /// Deeds of a newer release.
    pub(crate) newer: Vec<Position>,
    /// Records that only pretend to be deeds.
    pub(crate) unreadable: Vec<Position>,
}

impl Deeds {
    /// Takes a record of `dead-letters` into account.
    pub(crate) fn take(&mut self, record: &Record<'_>) {
        let name = record.headers.kind.as_deref();
        if !matches!(name, Some(kind::REDRIVEN | kind::DISCARDED)) {
            return;
        }
        match codec::decode(record.kind(), record.value.unwrap_or_default()) {
            Ok(Event::Redriven(event)) => {
                let redriven = event.payload;
                if let Some(message) = event.message_id {
                    let records = self.messages.entry(message).or_default();
                    records.insert(redriven.of);
                }
                let deed = self.of.entry(redriven.of).or_default();
                let first = deed.redrive.get_or_insert(Redrive {
                    at: record.at,
                    by: redriven.by,
                    because: redriven.because,
                    topic: redriven.topic,
                    message: redriven.new_message_id,
                    written: None,
                    done: false,
                });
                first.written = first.written.or(redriven.written);
                first.done = first.written.is_some();
            }
            Ok(Event::Discarded(event)) => {
                let deed = self.of.entry(event.payload.of).or_default();
                deed.discard = Some(Discard {
                    at: record.at,
                    by: event.payload.by,
                    because: event.payload.because,
                });
            }
            Err(DecodeError::Unknown { .. }) => self.newer.push(record.position()),
            Ok(_) | Err(DecodeError::Json { .. }) => self.unreadable.push(record.position()),
        }
    }

    /// Messages that were announced and are not known to be written, and since when they must be looked for.
    pub(crate) fn announced(&self, now: Timestamp) -> Option<(HashSet<MessageId>, Timestamp)> {
        let open: Vec<_> = self
            .of
            .values()
            .filter_map(|deed| deed.redrive.as_ref())
            .filter(|redrive| !redrive.done && now.since(redrive.at) < REQUESTS_KEPT_MS)
            .collect();
        let since = open.iter().map(|redrive| redrive.at).min()?;
        let messages = open.iter().filter_map(|redrive| redrive.message).collect();
        Some((messages, since))
    }

    /// Takes in which of the announced messages stand in the log.
    pub(crate) fn found(&mut self, written: &HashMap<MessageId, Position>, now: Timestamp) {
        for redrive in self
            .of
            .values_mut()
            .filter_map(|deed| deed.redrive.as_mut())
        {
            let place = redrive.message.and_then(|id| written.get(&id)).copied();
            redrive.written = redrive.written.or(place);
            redrive.done = redrive.written.is_some() || now.since(redrive.at) >= REQUESTS_KEPT_MS;
        }
    }

    pub(crate) fn get(&self, of: &Position) -> Option<&Deed> {
        self.of.get(of)
    }

    pub(crate) fn standing(&self, of: &Position) -> Standing {
        match self.of.get(of) {
            None => Standing::Open,
            Some(Deed {
                redrive: Some(redrive),
                ..
            }) if redrive.done => Standing::Redriven,
            Some(Deed {
                discard: Some(_), ..
            }) => Standing::Discarded,
            Some(Deed {
                redrive: Some(_), ..
            }) => Standing::Unfinished,
            Some(_) => Standing::Open,
        }
    }

    /// Whether the message was redriven by another record than `of`: its producer wrote it twice.
    pub(crate) fn redriven_otherwise(&self, message: MessageId, of: &Position) -> Option<Position> {
        let records = self.messages.get(&message)?;
        records.iter().find(|record| *record != of).copied()
    }
}

#[cfg(test)]
mod tests {
    use jixinda_schemas::{
        codec::About,
        event::{Discarded, Redriven},
        headers::Headers,
    };

    use super::*;

    const DAY: i64 = 86_400_000;

    fn at(offset: i64) -> Position {
        Position {
            topic: Topic::RequestsOtp,
            partition: 1,
            offset,
        }
    }

    fn operator(name: &str) -> Operator {
        Operator {
            name: name.into(),
            host: "h".into(),
        }
    }

    #[derive(Default)]
    struct Reader {
        deeds: Deeds,
        offset: i64,
    }

    impl Reader {
        fn read(&mut self, kind: &str, value: &[u8]) {
            self.offset += 1;
            self.deeds.take(&Record {
                topic: Topic::DeadLetters,
                partition: 1,
                offset: self.offset,
                at: Timestamp(self.offset),
                key: None,
                value: Some(value),
                headers: Headers::of(kind),
            });
        }

        fn redriven(&mut self, of: i64, written: Option<Position>, name: &str) -> MessageId {
            let (old, new) = (
                MessageId::from_position(&at(of)),
                MessageId::from_position(&at(-of)),
            );
            let payload = Redriven {
                of: at(of),
                dead_letter: None,
                outcome: None,
                topic: Topic::RequestsOtp,
                new_message_id: Some(new),
                not_after: None,
                may_send_twice: false,
                written,
                by: operator(name),
                because: None,
            };
            let about = About {
                message_id: Some(old),
                ..About::default()
            };
            let event = codec::envelope(kind::REDRIVEN, about, Timestamp(0), payload);
            self.read(kind::REDRIVEN, &codec::encode(&event));
            new
        }

        fn discarded(&mut self, of: i64) {
            let payload = Discarded {
                of: at(of),
                dead_letter: None,
                outcome: None,
                by: operator("a"),
                because: "test data".into(),
            };
            let event = codec::envelope(kind::DISCARDED, About::default(), Timestamp(0), payload);
            self.read(kind::DISCARDED, &codec::encode(&event));
        }
    }

    #[test]
    fn what_was_announced_and_never_written_is_still_open() {
        let mut reader = Reader::default();
        let new = reader.redriven(5, None, "a");
        let deeds = &mut reader.deeds;
        assert_eq!(deeds.standing(&at(5)), Standing::Unfinished);
        let (wanted, since) = deeds.announced(Timestamp(10)).unwrap();
        assert_eq!((wanted, since), (HashSet::from([new]), Timestamp(1)));

        let mut lost = deeds.clone();
        lost.found(&HashMap::new(), Timestamp(10));
        assert!(lost.standing(&at(5)).is_open());
        deeds.found(&HashMap::from([(new, at(77))]), Timestamp(10));
        assert_eq!(deeds.standing(&at(5)), Standing::Redriven);
    }

    #[test]
    fn what_was_announced_too_long_ago_to_be_looked_for_is_not_done_again() {
        let mut reader = Reader::default();
        reader.redriven(5, None, "a");
        let now = Timestamp(7 * DAY);
        assert!(reader.deeds.announced(now).is_none());
        reader.deeds.found(&HashMap::new(), now);
        assert_eq!(reader.deeds.standing(&at(5)), Standing::Redriven);
    }

    #[test]
    fn the_first_of_two_operators_stands_in_the_list_and_the_place_is_kept() {
        let mut reader = Reader::default();
        reader.redriven(5, None, "first");
        reader.redriven(5, None, "second");
        reader.redriven(5, Some(at(77)), "second");
        assert!(reader.deeds.announced(Timestamp(9)).is_none());
        let redrive = reader.deeds.get(&at(5)).unwrap().redrive.clone().unwrap();
        assert_eq!(
            (redrive.by.name.as_str(), redrive.written),
            ("first", Some(at(77)))
        );
        assert_eq!(reader.deeds.standing(&at(5)), Standing::Redriven);
    }

    #[test]
    fn a_discarded_one_may_be_redriven_and_then_stays_so() {
        let mut reader = Reader::default();
        reader.discarded(5);
        assert_eq!(reader.deeds.standing(&at(5)), Standing::Discarded);
        assert_eq!(reader.deeds.standing(&at(6)), Standing::Open);
        reader.redriven(5, Some(at(77)), "a");
        reader.discarded(5);
        assert_eq!(reader.deeds.standing(&at(5)), Standing::Redriven);
    }

    #[test]
    fn another_record_of_a_redriven_message_is_recognised() {
        let mut reader = Reader::default();
        reader.redriven(5, Some(at(77)), "a");
        let message = MessageId::from_position(&at(5));
        assert_eq!(reader.deeds.redriven_otherwise(message, &at(5)), None);
        assert_eq!(
            reader.deeds.redriven_otherwise(message, &at(6)),
            Some(at(5))
        );
    }

    #[test]
    fn what_is_no_deed_is_told_from_a_deed_of_a_newer_release() {
        let mut reader = Reader::default();
        reader.read(kind::REDRIVEN, b"{}");
        reader.read(kind::DEAD_LETTER, b"{}");
        reader.offset += 1;
        reader.deeds.take(&Record {
            topic: Topic::DeadLetters,
            partition: 1,
            offset: reader.offset,
            at: Timestamp(1),
            key: None,
            value: Some(b"{}"),
            headers: Headers {
                version: Some(2),
                ..Headers::of(kind::REDRIVEN)
            },
        });
        let deeds = &reader.deeds;
        assert_eq!((deeds.unreadable.len(), deeds.newer.len()), (1, 1));
    }
}
