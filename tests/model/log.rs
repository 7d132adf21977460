//! The records of the world: as small as the rules allow, and as the shipped code wants them.

use jixinda_schemas::{
    AttemptId, CallId, ChannelId, Lane, MessageId, Phone, Position, Reason, Timestamp, Topic,
    WriterId,
    event::{
        AttemptFinished, AttemptNotStarted, AttemptResult, AttemptStarted, NotStartedCause,
        Outcome, RawReceipt, Request, Routed, Terminal,
    },
    template::Content,
    vendor::{Blame, Disposition, ReceiptStatus},
};

/// One step of the clock: longer than `CLAIM_AGE`, `FOREIGN_GRACE` and the deadlines of the world, so that a step
/// makes everything due that waited, and the order in which it is done stays free.
pub(crate) const TICK_MS: i64 = 12_000;
pub(crate) const START_MS: i64 = 1_000_000;
/// Validity of a request: over at the second tick.
pub(crate) const VALID_MS: i64 = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum T {
    Requests,
    Dispatch,
    Attempts,
    Receipts,
    Outcomes,
    State,
}

impl T {
    pub(crate) const ALL: [Self; 6] = [
        Self::Requests,
        Self::Dispatch,
        Self::Attempts,
        Self::Receipts,
        Self::Outcomes,
        Self::State,
    ];

    pub(crate) fn topic(self, lane: Lane) -> Topic {
        match self {
            Self::Requests => Topic::requests(lane),
            Self::Dispatch => Topic::dispatch(lane),
            Self::Attempts => Topic::Attempts,
            Self::Receipts => Topic::ReceiptsRaw,
            Self::Outcomes => Topic::Outcomes,
            Self::State => Topic::State,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Role {
    Router,
    Sender,
}

impl Role {
    pub(crate) const ALL: [Self; 2] = [Self::Router, Self::Sender];

    pub(crate) fn reads(self) -> &'static [T] {
        match self {
            Self::Router => &[
                T::State,
                T::Requests,
                T::Dispatch,
                T::Attempts,
                T::Receipts,
                T::Outcomes,
            ],
            Self::Sender => &[T::Dispatch, T::Attempts],
        }
    }

    pub(crate) fn writes(self) -> &'static [T] {
        match self {
            Self::Router => &[T::Dispatch, T::Attempts, T::Outcomes, T::State],
            Self::Sender => &[T::Attempts],
        }
    }
}

/// Role and number of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Writer {
    pub(crate) role: Role,
    pub(crate) number: u8,
}

impl Writer {
    pub(crate) fn id(self) -> WriterId {
        let role = match self.role {
            Role::Router => "router",
            Role::Sender => "senders.default",
        };
        WriterId {
            role: role.into(),
            number: u64::from(self.number),
        }
    }
}

/// A decision of a message. The shipped code sees the message's id and the number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Stands for the id.
    pub(crate) message: u8,
    /// Offset of the request: an id may be used again.
    pub(crate) request: u8,
    pub(crate) n: u8,
}

impl Key {
    pub(crate) fn attempt_id(self, lane: Lane) -> AttemptId {
        let request = position(lane, i64::from(self.request));
        AttemptId::new(message_id(self.message), &request, u16::from(self.n))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "m{}@{}#{}", self.message, self.request, self.n)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Answer {
    Accepted,
    Rejected,
    Unknown,
    NotCalled,
}

/// A piece of the router's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Work {
    Message(u8),
    /// A message whose id another one had before it.
    Again(u8, i64),
    /// A receipt without an attempt.
    Receipt(i64),
}

/// What a copy in `state` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kept {
    /// Number of the entry among the snapshots of the world.
    Message(u32),
    Receipt(Seen),
}

/// A receipt, and when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    pub(crate) channel: u8,
    pub(crate) call: u16,
    pub(crate) delivered: bool,
    pub(crate) at: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Opened,
    /// Removed by compaction.
    Hole,
    /// A copy of work, in `state`.
    Copy {
        work: Work,
        sequence: u8,
        kept: Kept,
    },
    /// Its tombstone; the life that wrote it is told of the acknowledgement.
    Tombstone {
        work: Work,
        writer: u8,
        sequence: u8,
        by: u8,
    },
    Request {
        message: u8,
    },
    Routed {
        key: Key,
        channel: u8,
        /// Tick at which the request was accepted.
        accepted: u16,
    },
    Started {
        key: Key,
        channel: u8,
        call: u16,
    },
    NotStarted {
        key: Key,
        channel: u8,
        expired: bool,
    },
    Finished {
        key: Key,
        channel: u8,
        call: u16,
        answer: Answer,
    },
    Receipt {
        channel: u8,
        call: u16,
        delivered: bool,
    },
    Outcome {
        message: u8,
        request: u8,
        seq: u8,
        terminal: Terminal,
        reason: u8,
    },
}

/// A record; `written` is the writer's clock, `at` the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rec {
    pub(crate) writer: Option<Writer>,
    pub(crate) written: u16,
    pub(crate) at: u16,
    pub(crate) kind: Kind,
}

pub(crate) fn time(tick: u16) -> Timestamp {
    Timestamp(START_MS + i64::from(tick) * TICK_MS)
}

pub(crate) fn uptime(tick: u16) -> std::time::Duration {
    std::time::Duration::from_millis((i64::from(tick) * TICK_MS) as u64)
}

pub(crate) fn tick(at: Timestamp) -> u16 {
    ((at.millis() - START_MS) / TICK_MS) as u16
}

pub(crate) fn message_id(message: u8) -> MessageId {
    format!("00000000-0000-8000-8000-0000000000{message:02x}")
        .parse()
        .unwrap()
}

pub(crate) fn message_of(id: MessageId) -> u8 {
    id.0.as_bytes()[15]
}

pub(crate) fn channel_id(channel: u8) -> ChannelId {
    format!("c{channel}").parse().unwrap()
}

pub(crate) fn channel_of(id: &ChannelId) -> u8 {
    id.as_str()[1..].parse().unwrap_or(u8::MAX)
}

fn phone() -> Phone {
    "+8613800138000".parse().unwrap()
}

pub(crate) fn position(lane: Lane, offset: i64) -> Position {
    Position {
        topic: Topic::requests(lane),
        partition: 0,
        offset,
    }
}

pub(crate) fn request() -> Request {
    Request {
        recipient: phone(),
        template: "login".parse().unwrap(),
        signature: None,
        params: Default::default(),
        not_before: None,
        not_after: None,
        valid_for_ms: Some(VALID_MS),
        idempotency_key: None,
        index: 0,
        campaign: None,
        redrive_of: None,
    }
}

pub(crate) fn routed(lane: Lane, rec: &Rec) -> Option<Routed> {
    let Kind::Routed {
        key,
        channel,
        accepted,
    } = rec.kind
    else {
        return None;
    };
    Some(Routed {
        n: u16::from(key.n),
        attempt_id: key.attempt_id(lane),
        request: position(lane, i64::from(key.request)),
        lane,
        recipient: phone(),
        channel: channel_id(channel),
        vendor: "v".into(),
        pool: "default".into(),
        template: "login".parse().unwrap(),
        signature: "acme".parse().unwrap(),
        sign_name: "ACME".into(),
        content: Content::FullText { text: "x".into() },
        text: "x".into(),
        segments: 1,
        price_micros: 0,
        not_after: time(accepted).plus_millis(VALID_MS),
        directory_offset: 0,
        health_offset: 0,
        seed: 0,
        decided_at: time(rec.written),
        considered: Vec::new(),
    })
}

pub(crate) fn started(lane: Lane, rec: &Rec, key: Key, channel: u8, call: u16) -> AttemptStarted {
    AttemptStarted {
        n: u16::from(key.n),
        attempt_id: key.attempt_id(lane),
        lane,
        recipient: phone(),
        channel: channel_id(channel),
        vendor: "v".into(),
        call_id: CallId(u64::from(call)),
        started_at: time(rec.written),
    }
}

pub(crate) fn not_started(lane: Lane, key: Key, channel: u8, expired: bool) -> AttemptNotStarted {
    AttemptNotStarted {
        n: u16::from(key.n),
        attempt_id: key.attempt_id(lane),
        lane,
        channel: channel_id(channel),
        cause: if expired {
            NotStartedCause::Expired
        } else {
            NotStartedCause::Withdrawn
        },
        retry_after_ms: None,
    }
}

pub(crate) fn finished(
    lane: Lane,
    key: Key,
    channel: u8,
    call: u16,
    answer: Answer,
) -> AttemptFinished {
    let result = match answer {
        Answer::Accepted => AttemptResult::Accepted {
            vendor_id: format!("v{call}"),
        },
        Answer::Rejected => AttemptResult::Rejected {
            disposition: Disposition::RetryOther,
            blame: Blame::Channel,
            vendor_code: "no".into(),
            message: String::new(),
            retry_after_ms: None,
        },
        Answer::Unknown => AttemptResult::Unknown {
            detail: "unknown".into(),
        },
        Answer::NotCalled => AttemptResult::NotCalled,
    };
    AttemptFinished {
        n: u16::from(key.n),
        attempt_id: key.attempt_id(lane),
        lane,
        recipient: phone(),
        channel: channel_id(channel),
        call_id: CallId(u64::from(call)),
        result,
        submitted_at: None,
        elapsed_ms: None,
    }
}

pub(crate) fn receipt(channel: u8, call: u16, delivered: bool) -> RawReceipt {
    RawReceipt {
        channel: channel_id(channel),
        vendor: "v".into(),
        recipient: phone(),
        echo: Some(call.to_string()),
        vendor_id: None,
        part: None,
        parts: None,
        status: if delivered {
            ReceiptStatus::Delivered
        } else {
            ReceiptStatus::Undelivered
        },
        code: String::new(),
        blame: None,
        segments: None,
        vendor_at: None,
        received_at: Timestamp(0),
        raw: serde_json::Value::Null,
    }
}

/// An outcome as the log holds it; what no rule reads is left out.
pub(crate) fn outcome(lane: Lane, request: u8, seq: u8, terminal: Terminal, reason: u8) -> Outcome {
    let recipient = phone();
    Outcome {
        outcome: terminal,
        reason: Reason::ALL[usize::from(reason)],
        detail: None,
        seq: u32::from(seq),
        request: position(lane, i64::from(request)),
        accepted_at: Timestamp(START_MS),
        lane,
        carrier: recipient.carrier(),
        region: String::new(),
        recipient: None,
        template: None,
        signature: None,
        campaign: None,
        redrive_of: None,
        attempts: Vec::new(),
        ended_at: Timestamp(START_MS),
    }
}

pub(crate) fn reason_number(reason: Reason) -> u8 {
    Reason::ALL.iter().position(|r| *r == reason).unwrap_or(0) as u8
}
