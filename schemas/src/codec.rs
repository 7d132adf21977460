//! Bytes to events and back, for every version that was ever written.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    AppId, Envelope, EventId, MessageId, Position, Reason, Timestamp,
    event::{
        AttemptFinished, AttemptNotStarted, AttemptStarted, DeadLetter, Discarded, HealthReport,
        Inbound, Opened, Outcome, OutcomeCorrected, RawReceipt, Receipt, Redriven, Request, Routed,
        kind,
    },
};

/// Any event, at its newest version.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An application wants a message sent.
    Request(Envelope<Request>),
    /// The router chose a channel.
    Routed(Envelope<Routed>),
    /// A sender claims a call.
    AttemptStarted(Envelope<AttemptStarted>),
    /// A message is given back unsent.
    AttemptNotStarted(Envelope<AttemptNotStarted>),
    /// What a call led to.
    AttemptFinished(Envelope<AttemptFinished>),
    /// A receipt as the vendor reported it.
    RawReceipt(Envelope<RawReceipt>),
    /// A message from a handset.
    Inbound(Envelope<Inbound>),
    /// A receipt joined with its attempt.
    Receipt(Envelope<Receipt>),
    /// How a message ended.
    Outcome(Envelope<Outcome>),
    /// Later evidence on an ended message.
    OutcomeCorrected(Box<Envelope<OutcomeCorrected>>),
    /// An owner takes a partition over.
    Opened(Envelope<Opened>),
    /// What a partition has seen of each channel.
    Health(Envelope<HealthReport>),
    /// A record that could not be handled.
    DeadLetter(Envelope<DeadLetter>),
    /// An operator has something sent again.
    Redriven(Envelope<Redriven>),
    /// An operator has decided that nothing more is to be done.
    Discarded(Envelope<Discarded>),
}

/// Why bytes are no event of ours.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON of the shape that the kind has.
    #[error("{source}")]
    Json {
        /// serde's words: names the field, line and column.
        source: serde_json::Error,
    },
    /// A kind or version from a newer release, or a slip.
    #[error("type `{kind}` version {version} is not known")]
    Unknown {
        /// What the record says.
        kind: String,
        /// What the record says.
        version: u32,
    },
}

impl DecodeError {
    /// The code to file it under.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Json { .. } => Reason::BadJson,
            Self::Unknown { .. } => Reason::UnknownVersion,
        }
    }
}

/// Decodes an event by the kind and version that its headers or, without them, its envelope name.
///
/// # Errors
/// When the bytes are not JSON of that shape, or the kind or version is unknown.
pub fn decode(header: Option<(&str, u32)>, bytes: &[u8]) -> Result<Event, DecodeError> {
    #[derive(serde::Deserialize)]
    struct Peek {
        #[serde(rename = "type")]
        kind: String,
        version: u32,
    }
    let peeked;
    let (name, version) = match header {
        Some(header) => header,
        None => {
            peeked = serde_json::from_slice::<Peek>(bytes)
                .map_err(|source| DecodeError::Json { source })?;
            (peeked.kind.as_str(), peeked.version)
        }
    };
    fn read<P: DeserializeOwned>(bytes: &[u8]) -> Result<Envelope<P>, DecodeError> {
        serde_json::from_slice(bytes).map_err(|source| DecodeError::Json { source })
    }
    Ok(match (name, version) {
        (kind::REQUEST, 1) => Event::Request(read(bytes)?),
        (kind::ROUTED, 1) => Event::Routed(read(bytes)?),
        (kind::ATTEMPT_STARTED, 1) => Event::AttemptStarted(read(bytes)?),
        (kind::ATTEMPT_NOT_STARTED, 1) => Event::AttemptNotStarted(read(bytes)?),
        (kind::ATTEMPT_FINISHED, 1) => Event::AttemptFinished(read(bytes)?),
        (kind::RAW_RECEIPT, 1) => Event::RawReceipt(read(bytes)?),
        (kind::INBOUND, 1) => Event::Inbound(read(bytes)?),
        (kind::RECEIPT, 1) => Event::Receipt(read(bytes)?),
        (kind::OUTCOME, 1) => Event::Outcome(read(bytes)?),
        (kind::OUTCOME_CORRECTED, 1) => Event::OutcomeCorrected(Box::new(read(bytes)?)),
        (kind::OPENED, 1) => Event::Opened(read(bytes)?),
        (kind::HEALTH, 1) => Event::Health(read(bytes)?),
        (kind::DEAD_LETTER, 1) => Event::DeadLetter(read(bytes)?),
        (kind::REDRIVEN, 1) => Event::Redriven(read(bytes)?),
        (kind::DISCARDED, 1) => Event::Discarded(read(bytes)?),
        (name, version) => {
            return Err(DecodeError::Unknown {
                kind: name.chars().take(64).collect(),
                version,
            });
        }
    })
}

/// What an event is about, beside its payload.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The message.
    pub message_id: Option<MessageId>,
    /// The app that the message belongs to.
    pub app_id: Option<AppId>,
    /// The record that led to it.
    pub cause: Option<Position>,
    /// Tells several events of one kind with one cause apart.
    pub discriminator: u32,
}

/// Wraps a payload at version 1. With a cause the id follows from it; without one it is random.
#[must_use]
pub fn envelope<P>(kind: &str, about: About, at: Timestamp, payload: P) -> Envelope<P> {
    let id = about.cause.map_or_else(EventId::random, |cause| {
        EventId::caused(kind, &cause, about.discriminator)
    });
    Envelope {
        id: Some(id),
        kind: kind.to_owned(),
        version: 1,
        at,
        message_id: about.message_id,
        app_id: about.app_id,
        cause: about.cause,
        payload,
    }
}

/// The bytes of an event.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "events hold only what JSON can express: string keys, finite numbers"
)]
pub fn encode<P: Serialize>(event: &Envelope<P>) -> Vec<u8> {
    serde_json::to_vec(event).expect("an event is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_comes_from_the_header_or_else_from_the_envelope() {
        let json = br#"{"type":"request","version":1,"at":"2025-01-02T03:04:05Z","app_id":"shop",
            "payload":{"recipient":"+8613800138000","template":"login","params":{"code":"1"}}}"#;
        let Event::Request(e) = decode(None, json).unwrap() else {
            panic!("no request")
        };
        assert_eq!(e.payload.recipient.expose(), "+8613800138000");
        assert_eq!(
            decode(Some(("request", 1)), json).unwrap(),
            Event::Request(e)
        );
    }

    #[test]
    fn an_unknown_kind_or_version_is_an_error_with_its_own_reason() {
        let e = decode(Some(("request", 9)), b"{}").unwrap_err();
        assert_eq!(e.reason(), Reason::UnknownVersion);
        assert_eq!(decode(None, b"\xff").unwrap_err().reason(), Reason::BadJson);
    }

    #[test]
    fn an_error_never_shows_the_number() {
        let json = br#"{"type":"request","version":1,"at":"2025-01-02T03:04:05Z","payload":{"recipient":"13911112222","template":"t"}}"#;
        assert!(
            !decode(None, json)
                .unwrap_err()
                .to_string()
                .contains("13911112222")
        );
    }
}
