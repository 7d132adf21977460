//! Whether a record counts, and what it gives. It follows section "The log is the state" of the design: a record of a
//! role counts only when its writer is that of the last `opened` before it.
//!
//! Results of calls (`attempt_finished`) are facts: whoever made the call writes what it knows, succeeded or not. They
//! become rows whoever wrote them, and count when the claim with their call id does; who reads `attempts` joins them
//! with it. A sender calls only on a claim that it has read back as the winning one, so in practice each one counts.

use jixinda_runtime::kafka::{
    Record,
    fence::{Fence, Standing},
};
use jixinda_schemas::{
    Topic,
    codec::{self, Event},
    event::kind,
    seal::PlatformKey,
};

use crate::rows::{Place, Rows};

/// Why a record gave no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    /// It marks a take-over.
    Opened,
    /// An operator's deed about a dead letter or a failed message: it is read from Kafka, and has no table.
    Deed,
    /// Its writer has been succeeded, or never took over.
    Stale,
    /// It names no writer where one is needed.
    NoWriter,
    /// It has no value.
    Empty,
    /// It cannot be decoded.
    Unreadable,
    /// It belongs on another topic, or names no message.
    Misfit,
}

impl Skip {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Deed => "deed",
            Self::Stale => "stale",
            Self::NoWriter => "no_writer",
            Self::Empty => "empty",
            Self::Unreadable => "unreadable",
            Self::Misfit => "misfit",
        }
    }

    /// Whether someone wrote what nobody should.
    pub(crate) const fn is_odd(self) -> bool {
        matches!(
            self,
            Self::NoWriter | Self::Empty | Self::Unreadable | Self::Misfit
        )
    }
}

/// Adds the rows of `record` to `rows` when it counts, and lets the fence follow.
pub(crate) fn judge(
    record: &Record<'_>,
    fence: &mut Fence,
    rows: &mut Rows,
    key: &PlatformKey,
) -> Result<(), Skip> {
    let value = record.value.ok_or(Skip::Empty)?;
    let read = |header| codec::decode(header, value).map_err(|_| Skip::Unreadable);
    let (event, free) = match record.kind() {
        // Judged before it is decoded: stale records cost little.
        Some((name, version)) => {
            let free = is_free(record.topic, name);
            if !free && name != kind::OPENED {
                stand(record, fence)?;
            }
            (read(Some((name, version)))?, true)
        }
        None => {
            let event = read(None)?;
            let free =
                record.topic == Topic::DeadLetters || matches!(event, Event::AttemptFinished(_));
            (event, free)
        }
    };
    if let Event::Opened(opened) = event {
        fence.open(record.offset, opened.payload.writer);
        return Err(Skip::Opened);
    }
    if record.topic == Topic::DeadLetters
        && matches!(event, Event::Redriven(_) | Event::Discarded(_))
    {
        return Err(Skip::Deed);
    }
    if !free {
        stand(record, fence)?;
    }
    let place = Place {
        topic: record.topic,
        partition: record.partition,
        offset: record.offset,
        at: record.at,
    };
    rows.add(&event, place, key).map_err(|_| Skip::Misfit)
}

/// What counts whoever wrote it.
fn is_free(topic: Topic, name: &str) -> bool {
    topic == Topic::DeadLetters || name == kind::ATTEMPT_FINISHED
}

fn stand(record: &Record<'_>, fence: &Fence) -> Result<(), Skip> {
    match fence.standing(record.headers.writer.as_ref()) {
        Standing::Valid => Ok(()),
        Standing::Stale => Err(Skip::Stale),
        Standing::Open => Err(Skip::NoWriter),
    }
}

#[cfg(test)]
mod tests {
    use jixinda_schemas::{
        AttemptId, CallId, Lane, MessageId, Timestamp, WriterId,
        codec::About,
        event::{AttemptFinished, AttemptResult, AttemptStarted, Discarded, Opened, Operator},
        headers::Headers,
    };

    use super::*;
    use crate::rows::Table;

    struct Reader {
        fence: Fence,
        rows: Rows,
        offset: i64,
    }

    impl Reader {
        fn read(
            &mut self,
            kind: &str,
            writer: Option<&WriterId>,
            value: Option<&[u8]>,
        ) -> Result<(), Skip> {
            let key =
                PlatformKey::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
            let record = Record {
                topic: Topic::Attempts,
                partition: 0,
                offset: self.offset,
                at: Timestamp(1),
                key: None,
                value,
                headers: Headers {
                    writer: writer.cloned(),
                    ..Headers::of(kind)
                },
            };
            self.offset += 1;
            judge(&record, &mut self.fence, &mut self.rows, &key)
        }

        fn opened(&mut self, writer: &WriterId) {
            let payload = Opened {
                writer: writer.clone(),
                instance: "a".into(),
                at: Timestamp(1),
            };
            let value = codec::encode(&codec::envelope(
                kind::OPENED,
                About::default(),
                Timestamp(1),
                payload,
            ));
            assert_eq!(
                self.read(kind::OPENED, Some(writer), Some(&value)),
                Err(Skip::Opened)
            );
        }
    }

    fn writer(number: u64) -> WriterId {
        WriterId {
            role: "senders.default".into(),
            number,
        }
    }

    fn about() -> About {
        About {
            message_id: Some(MessageId::random()),
            ..About::default()
        }
    }

    fn started() -> Vec<u8> {
        let payload = AttemptStarted {
            n: 1,
            attempt_id: AttemptId(uuid::Uuid::from_u128(1)),
            lane: Lane::Otp,
            recipient: "+8613800138000".parse().unwrap(),
            channel: "a".parse().unwrap(),
            vendor: "aliyun".into(),
            call_id: CallId(1),
            started_at: Timestamp(1),
        };
        codec::encode(&codec::envelope(
            kind::ATTEMPT_STARTED,
            about(),
            Timestamp(1),
            payload,
        ))
    }

    fn finished() -> Vec<u8> {
        let payload = AttemptFinished {
            n: 1,
            attempt_id: AttemptId(uuid::Uuid::from_u128(1)),
            lane: Lane::Otp,
            recipient: "+8613800138000".parse().unwrap(),
            channel: "a".parse().unwrap(),
            call_id: CallId(1),
            result: AttemptResult::NotCalled,
            submitted_at: None,
            elapsed_ms: None,
        };
        codec::encode(&codec::envelope(
            kind::ATTEMPT_FINISHED,
            about(),
            Timestamp(1),
            payload,
        ))
    }

    #[test]
    fn a_claim_counts_only_from_the_owner_but_a_result_from_anyone() {
        let mut reader = Reader {
            fence: Fence::default(),
            rows: Rows::new(Table::Attempts),
            offset: 0,
        };
        let (old, new) = (writer(1), writer(2));
        assert_eq!(
            reader.read(kind::ATTEMPT_STARTED, Some(&old), Some(&started())),
            Err(Skip::Stale)
        );
        reader.opened(&old);
        assert_eq!(
            reader.read(kind::ATTEMPT_STARTED, Some(&old), Some(&started())),
            Ok(())
        );
        reader.opened(&new);
        assert_eq!(
            reader.read(kind::ATTEMPT_STARTED, Some(&old), Some(&started())),
            Err(Skip::Stale)
        );
        assert_eq!(
            reader.read(kind::ATTEMPT_FINISHED, Some(&old), Some(&finished())),
            Ok(())
        );
        assert_eq!(
            reader.read(kind::ATTEMPT_STARTED, None, Some(&started())),
            Err(Skip::NoWriter)
        );
        assert_eq!(reader.rows.len(), 2);
    }

    #[test]
    fn what_operators_did_has_no_row_and_is_nothing_odd() {
        let key = PlatformKey::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        let mut rows = Rows::new(Table::DeadLetters);
        let payload = Discarded {
            of: "dead-letters/0/3".parse().unwrap(),
            dead_letter: None,
            outcome: None,
            by: Operator {
                name: "a".into(),
                host: "h".into(),
            },
            because: "test data".into(),
        };
        let event = codec::envelope(kind::DISCARDED, About::default(), Timestamp(1), payload);
        let value = codec::encode(&event);
        let mut record = Record {
            topic: Topic::DeadLetters,
            partition: 0,
            offset: 4,
            at: Timestamp(1),
            key: None,
            value: Some(&value),
            headers: Headers::of(kind::DISCARDED),
        };
        let mut fence = Fence::default();
        let skip = judge(&record, &mut fence, &mut rows, &key).unwrap_err();
        assert_eq!((skip, skip.is_odd()), (Skip::Deed, false));
        record.headers = Headers::default();
        assert_eq!(judge(&record, &mut fence, &mut rows, &key), Err(Skip::Deed));
        assert!(rows.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_passed() {
        let mut reader = Reader {
            fence: Fence::default(),
            rows: Rows::new(Table::Attempts),
            offset: 0,
        };
        reader.opened(&writer(1));
        assert_eq!(
            reader.read(kind::ATTEMPT_STARTED, Some(&writer(1)), Some(b"{")),
            Err(Skip::Unreadable)
        );
        assert_eq!(
            reader.read(kind::ATTEMPT_FINISHED, None, None),
            Err(Skip::Empty)
        );
        assert_eq!(
            reader.read("from_the_future", Some(&writer(1)), Some(b"{}")),
            Err(Skip::Unreadable)
        );
        assert!(reader.rows.is_empty());
    }
}
