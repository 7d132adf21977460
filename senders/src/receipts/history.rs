//! What was taken by a vendor and has no end so far, as the log has it.

use std::collections::HashMap;

use async_trait::async_trait;
use jixinda_runtime::{
    clock::SharedClock,
    kafka::{Kafka, Record, fetch},
};
use jixinda_schemas::{
    ChannelId, MessageId, Timestamp, Topic,
    codec::{self, Event},
    event::Terminal,
};

use crate::vendors::waiting::Earlier;

/// Receipts are waited for no longer than this: 72 h.
const AGE_MS: i64 = 72 * 60 * 60 * 1_000;
/// Records read of each topic of a partition: some seconds, and 100,000 messages.
const MOST: i64 = 300_000;

/// Calls of the holders before.
#[async_trait]
pub trait History: Send + Sync {
    /// The messages of a partition that the channel's vendor took, and that have no end, or only that it is unknown.
    ///
    /// # Errors
    /// When the log cannot be read now.
    async fn open(&self, channel: &ChannelId, partition: i32) -> Result<Vec<Earlier>, Unread>;
}

/// The log cannot be read now.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot be read now: {0}")]
pub struct Unread(pub String);

/// The log itself, its newest part: at most 72 h, and 300,000 records. What is older is not asked about.
pub(crate) struct Log {
    kafka: Kafka,
    clock: SharedClock,
}

impl Log {
    pub(crate) fn new(kafka: &Kafka, clock: &SharedClock) -> Self {
        Self {
            kafka: kafka.clone(),
            clock: clock.clone(),
        }
    }
}

#[async_trait]
impl History for Log {
    async fn open(&self, channel: &ChannelId, partition: i32) -> Result<Vec<Earlier>, Unread> {
        let newest = (self.clock.now().plus_millis(-AGE_MS), MOST);
        let mut calls = Calls::of(channel);
        // In this order: an end that is written meanwhile is seen.
        for topic in [Topic::Attempts, Topic::Outcomes] {
            let place = (topic, partition);
            calls = fetch::newest(&self.kafka, place, newest, calls, Calls::read)
                .await
                .map_err(|e| Unread(e.to_string()))?;
        }
        Ok(calls.open())
    }
}

/// The fold. Pure but for reading records.
struct Calls {
    channel: ChannelId,
    /// By broker time.
    taken: Vec<(Timestamp, MessageId, Earlier)>,
    ended: HashMap<MessageId, Timestamp>,
}

impl Calls {
    fn of(channel: &ChannelId) -> Self {
        Self {
            channel: channel.clone(),
            taken: Vec::new(),
            ended: HashMap::new(),
        }
    }

    fn read(&mut self, record: &Record<'_>) {
        // What cannot be read has its dead letter by the router.
        if let Some(value) = record.value
            && let Ok(event) = codec::decode(record.kind(), value)
        {
            self.fold(event, record.at);
        }
    }

    /// Who wrote a result does not matter: it tells what a vendor said.
    fn fold(&mut self, event: Event, at: Timestamp) {
        match event {
            Event::AttemptFinished(e) if e.payload.channel == self.channel => {
                let (Some(id), finished) = (e.message_id, e.payload) else {
                    return;
                };
                if let Some(earlier) = Earlier::of(finished, at) {
                    self.taken.push((at, id, earlier));
                }
            }
            Event::Outcome(e) => self.ends(e.message_id, e.payload.outcome, at),
            Event::OutcomeCorrected(e) => {
                self.ends(e.message_id, e.payload.current.outcome, at);
            }
            _ => {}
        }
    }

    fn ends(&mut self, id: Option<MessageId>, outcome: Terminal, at: Timestamp) {
        if let Some(id) = id.filter(|_| outcome != Terminal::Unknown) {
            self.ended.insert(id, at);
        }
    }

    /// An id that was used again has an end of before.
    fn open(self) -> Vec<Earlier> {
        let Self { taken, ended, .. } = self;
        let is_open = |at: Timestamp, id: &MessageId| ended.get(id).is_none_or(|end| *end < at);
        let open = taken.into_iter().filter(|(at, id, _)| is_open(*at, id));
        open.map(|(_, _, earlier)| earlier).collect()
    }
}

#[cfg(test)]
mod tests {
    use jixinda_schemas::{
        CallId, Lane,
        event::{AttemptFinished, AttemptResult},
    };

    use super::*;

    fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(n: u8) -> T {
        format!("{n:032x}").parse().unwrap()
    }

    fn finished(n: u8, channel: &str, result: AttemptResult) -> Event {
        Event::AttemptFinished(jixinda_schemas::Envelope {
            message_id: Some(id(n)),
            ..codec::envelope(
                "attempt_finished",
                codec::About::default(),
                Timestamp(0),
                AttemptFinished {
                    n: 1,
                    attempt_id: id(n),
                    lane: Lane::Notice,
                    recipient: "+8613800138000".parse().unwrap(),
                    channel: channel.parse().unwrap(),
                    call_id: CallId(u64::from(n)),
                    result,
                    submitted_at: Some(Timestamp(5)),
                    elapsed_ms: None,
                },
            )
        })
    }

    #[test]
    fn what_a_vendor_took_is_open_until_it_is_known_how_it_ended() {
        let taken = |n: u8| AttemptResult::Accepted {
            vendor_id: format!("v{n}"),
        };
        let mut calls = Calls::of(&"ours".parse().unwrap());
        for n in 1..=5 {
            calls.fold(finished(n, "ours", taken(n)), Timestamp(10));
        }
        calls.fold(finished(6, "theirs", taken(6)), Timestamp(10));
        let unknown = AttemptResult::Unknown {
            detail: "timeout".to_owned(),
        };
        calls.fold(finished(7, "ours", unknown), Timestamp(10));
        calls.ends(Some(id(2)), Terminal::Delivered, Timestamp(10));
        calls.ends(Some(id(3)), Terminal::Unknown, Timestamp(20));
        // Of an earlier message with this id.
        calls.ends(Some(id(4)), Terminal::Undelivered, Timestamp(9));
        let open = calls.open();
        assert!(open.iter().all(|call| call.since == Timestamp(5)));
        let ids: Vec<_> = open.into_iter().map(|call| call.vendor_id).collect();
        assert_eq!(ids, ["v1", "v3", "v4", "v5"]);
    }
}
