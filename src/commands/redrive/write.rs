//! Doing what was decided, with a word about it before and after.

use anyhow::Context as _;
use jixinda_runtime::{
    clock::{Clock as _, SystemClock},
    crash,
    kafka::{
        OwnedRecord,
        producer::{Linger, Producer},
    },
};
use jixinda_schemas::{
    AppId, MessageId, Position, Timestamp, Topic,
    codec::{self, About},
    event::{Discarded, Operator, Redriven, kind},
    headers::Headers,
};

use super::{super::print, Desk, ends::End, letters::Letter, renew::Renewed};

/// So many are announced before they are written.
const GROUP: usize = 200;

/// Who does it, and why.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) by: Operator,
    pub(crate) because: Option<String>,
}

/// What is written again.
#[derive(Clone, Debug)]
struct Again {
    record: OwnedRecord,
    /// Absent for a receipt.
    new: Option<MessageId>,
    not_after: Option<Timestamp>,
    may_send_twice: bool,
}

/// One thing to be done.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    of: Position,
    dead_letter: Option<Position>,
    outcome: Option<Position>,
    old: Option<MessageId>,
    app: Option<AppId>,
    /// Key and partition of the word about it: those of the dead letter, or the recipient's.
    key: Option<Vec<u8>>,
    partition: Option<i32>,
    /// `None` discards.
    again: Option<Again>,
}

impl Act {
    /// Sends a message again.
    pub(crate) fn end(end: &End, renewed: Renewed, may_send_twice: bool) -> Self {
        Self {
            key: Some(renewed.recipient.expose().as_bytes().to_vec()),
            again: Some(Again::message(renewed, may_send_twice)),
            ..Self::discard_end(end)
        }
    }

    pub(crate) fn discard_end(end: &End) -> Self {
        let recipient = end.outcome.recipient.as_ref();
        Self {
            of: end.outcome.request,
            dead_letter: None,
            outcome: Some(end.position),
            old: Some(end.message),
            app: Some(end.app.clone()),
            key: recipient.map(|phone| phone.expose().as_bytes().to_vec()),
            partition: None,
            again: None,
        }
    }

    /// Makes a message of a dead letter.
    pub(crate) fn letter(letter: &Letter, renewed: Renewed, may_send_twice: bool) -> Self {
        Self {
            old: Some(renewed.old),
            app: Some(renewed.app.clone()),
            again: Some(Again::message(renewed, may_send_twice)),
            ..Self::discard_letter(letter)
        }
    }

    /// Writes a receipt once more.
    pub(crate) fn receipt(letter: &Letter, record: OwnedRecord) -> Self {
        let again = Again {
            record,
            new: None,
            not_after: None,
            may_send_twice: false,
        };
        Self {
            again: Some(again),
            ..Self::discard_letter(letter)
        }
    }

    pub(crate) fn discard_letter(letter: &Letter) -> Self {
        Self {
            of: letter.of(),
            dead_letter: Some(letter.position),
            outcome: None,
            old: None,
            app: letter.app(),
            key: letter.key(),
            partition: Some(letter.position.partition),
            again: None,
        }
    }

    /// The message that is sent again.
    pub(crate) fn old(&self) -> Option<MessageId> {
        self.old.filter(|_| self.again.is_some())
    }

    /// `redrive <name> as <id> on requests.otp until <time>`
    pub(crate) fn sentence(&self, name: &str) -> String {
        let Some(again) = &self.again else {
            return format!("discard {name}");
        };
        let new = again.new.map_or_else(String::new, |id| format!(" as {id}"));
        let until = again
            .not_after
            .map_or_else(String::new, |at| format!(" until {at}"));
        format!("redrive {name}{new} on {}{until}", again.record.topic)
    }

    /// The word about it: an announcement, or with the place of what was written.
    fn word(&self, signed: &Signed, written: Option<Position>, now: Timestamp) -> OwnedRecord {
        let (by, because) = (signed.by.clone(), signed.because.clone());
        let about = About {
            message_id: self.old,
            app_id: self.app.clone(),
            ..About::default()
        };
        let (name, value) = match &self.again {
            Some(again) => {
                let payload = Redriven {
                    of: self.of,
                    dead_letter: self.dead_letter,
                    outcome: self.outcome,
                    topic: again.record.topic,
                    new_message_id: again.new,
                    not_after: again.not_after,
                    may_send_twice: again.may_send_twice,
                    written,
                    by,
                    because,
                };
                let event = codec::envelope(kind::REDRIVEN, about, now, payload);
                (kind::REDRIVEN, codec::encode(&event))
            }
            None => {
                let payload = Discarded {
                    of: self.of,
                    dead_letter: self.dead_letter,
                    outcome: self.outcome,
                    by,
                    because: because.unwrap_or_default(),
                };
                let event = codec::envelope(kind::DISCARDED, about, now, payload);
                (kind::DISCARDED, codec::encode(&event))
            }
        };
        OwnedRecord {
            topic: Topic::DeadLetters,
            partition: self.partition,
            key: self.key.clone(),
            value: Some(value),
            headers: Headers::of(name),
        }
    }
}

impl Again {
    fn message(renewed: Renewed, may_send_twice: bool) -> Self {
        Self {
            record: renewed.record,
            new: Some(renewed.new),
            not_after: Some(renewed.not_after),
            may_send_twice,
        }
    }
}

/// Announces and writes, group by group, and says what is done.
pub(super) async fn all(
    desk: &Desk,
    acts: &[(String, Act)],
    signed: &Signed,
) -> anyhow::Result<()> {
    let producer = Producer::new(&desk.kafka, "redrive", Linger::Short)?;
    let words = |group: &[(String, Act)], written: &[Position]| {
        let (now, mut written) = (SystemClock.now(), written.iter().copied());
        let mut words = Vec::with_capacity(group.len());
        for (_, act) in group {
            let place = act.again.as_ref().and_then(|_| written.next());
            words.push(act.word(signed, place, now));
        }
        words
    };
    for group in acts.chunks(GROUP) {
        desk.fresh()?;
        producer
            .write_all(&words(group, &[]))
            .await
            .context("the log did not acknowledge the announcement, and nothing was sent of it")?;
        crash::point("redrive.announced");
        let again = group.iter().filter_map(|(_, act)| act.again.as_ref());
        let records: Vec<OwnedRecord> = again.map(|again| again.record.clone()).collect();
        if !records.is_empty() {
            // Asked again: the announcement may have taken its time.
            desk.fresh()?;
            let written = producer.write_all(&records).await.context(
                "the log did not acknowledge what is sent again; run the same command again, nothing is sent twice",
            )?;
            crash::point("redrive.written");
            producer.write_all(&words(group, &written)).await.context(
                "it is sent again, but the log did not acknowledge where; --all shows what becomes of it",
            )?;
        }
        for (name, act) in group {
            print(act.sentence(name))?;
        }
    }
    Ok(())
}
