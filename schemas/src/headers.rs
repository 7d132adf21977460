//! Kafka headers: enough to skip or judge a record without parsing it.

use std::str::FromStr;

use crate::{ChannelId, Lane, MessageId, WriterId};

/// Event kind.
pub const TYPE: &str = "type";
/// Payload version, decimal.
pub const VERSION: &str = "version";
/// `otp`, `notice` or `marketing`.
pub const LANE: &str = "lane";
/// Channel that the record is about.
pub const CHANNEL: &str = "channel";
/// `<message_id>:<n>`.
pub const ATTEMPT: &str = "attempt";
/// `<role>:<16 hex digits>`, see [`WriterId`].
pub const WRITER: &str = "writer";
/// W3C trace context.
pub const TRACEPARENT: &str = "traceparent";
/// Lower-case hex HMAC-SHA256 of the record value under one of the app's secrets, as `<key id>:<hex>`: a direct
/// producer proves who it is.
pub const SIGNATURE: &str = "signature";
/// Lower-case hex of the first 16 bytes of HMAC-SHA256 of the value under the platform key: written by ingest only.
pub const INGEST_SEAL: &str = "ingest-seal";
/// Original position of a record that was moved to the partition of its key.
pub const REHOMED_FROM: &str = "rehomed-from";

/// The longest header that is read, in bytes.
pub const MAX_HEADER_BYTES: usize = 1024;

/// Headers of a record, decoded leniently: what does not parse counts as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// Event kind.
    pub kind: Option<String>,
    /// Payload version.
    pub version: Option<u32>,
    /// Lane.
    pub lane: Option<Lane>,
    /// Channel.
    pub channel: Option<ChannelId>,
    /// Message and number of the decision.
    pub attempt: Option<(MessageId, u16)>,
    /// Who wrote the record.
    pub writer: Option<WriterId>,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// Proof of a direct producer.
    pub signature: Option<String>,
    /// Proof of ingest.
    pub ingest_seal: Option<String>,
    /// Original position, `topic/partition/offset`.
    pub rehomed_from: Option<String>,
}

impl Headers {
    /// Headers of an event of `kind` at version 1.
    #[must_use]
    pub fn of(kind: &str) -> Self {
        Self {
            kind: Some(kind.to_owned()),
            version: Some(1),
            ..Self::default()
        }
    }

    /// Takes one header into account. One that is longer than any of ours is as good as absent: what a role writes about
    /// a record carries its headers, and must fit a record itself.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        if value.len() > MAX_HEADER_BYTES {
            return;
        }
        let Ok(value) = std::str::from_utf8(value) else {
            return;
        };
        fn parse<T: FromStr>(v: &str) -> Option<T> {
            v.parse().ok()
        }
        match name {
            TYPE => self.kind = Some(value.to_owned()),
            VERSION => self.version = parse(value),
            LANE => self.lane = parse(value),
            CHANNEL => self.channel = parse(value),
            ATTEMPT => self.attempt = parse_attempt(value),
            WRITER => self.writer = parse(value),
            TRACEPARENT => self.traceparent = Some(value.to_owned()),
            SIGNATURE => self.signature = Some(value.to_owned()),
            INGEST_SEAL => self.ingest_seal = Some(value.to_owned()),
            REHOMED_FROM => self.rehomed_from = Some(value.to_owned()),
            _ => {}
        }
    }

    /// Name and value of each header that is present.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::with_capacity(6);
        let mut push = |name, value: Option<String>| {
            if let Some(value) = value {
                out.push((name, value));
            }
        };
        push(TYPE, self.kind.clone());
        push(VERSION, self.version.map(|v| v.to_string()));
        push(LANE, self.lane.map(|v| v.to_string()));
        push(CHANNEL, self.channel.as_ref().map(ToString::to_string));
        push(ATTEMPT, self.attempt.map(|(id, n)| format!("{id}:{n}")));
        push(WRITER, self.writer.as_ref().map(ToString::to_string));
        push(TRACEPARENT, self.traceparent.clone());
        push(SIGNATURE, self.signature.clone());
        push(INGEST_SEAL, self.ingest_seal.clone());
        push(REHOMED_FROM, self.rehomed_from.clone());
        out
    }
}

fn parse_attempt(value: &str) -> Option<(MessageId, u16)> {
    let (id, n) = value.rsplit_once(':')?;
    Some((id.parse().ok()?, n.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_is_too_long_is_absent() {
        let mut headers = Headers::default();
        headers.set(SIGNATURE, &[b'x'; MAX_HEADER_BYTES]);
        assert_eq!(headers.signature.unwrap().len(), MAX_HEADER_BYTES);
        let mut headers = Headers::default();
        headers.set(TRACEPARENT, &[b'x'; MAX_HEADER_BYTES + 1]);
        assert_eq!(headers, Headers::default());
    }

    #[test]
    fn every_header_reads_back() {
        let headers = Headers {
            kind: Some("routed".into()),
            version: Some(1),
            lane: Some(Lane::Otp),
            channel: Some("aliyun-a".parse().unwrap()),
            attempt: Some((MessageId::random(), 3)),
            writer: Some("router:00000000000000ff".parse().unwrap()),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            signature: Some("k1:abcd".into()),
            ingest_seal: Some("00ff".into()),
            rehomed_from: Some("requests.otp/1/2".into()),
        };
        let mut back = Headers::default();
        for (name, value) in headers.pairs() {
            back.set(name, value.as_bytes());
        }
        assert_eq!(back, headers);
    }
}
