//! Identifiers. Names (app, channel, template, signature) are chosen by people; the others are derived or random.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Phone, Position, event::RedriveOf};

/// The text is not a name: 1 to 64 of `a-z 0-9 _ - .`, first one alphanumeric.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` is not a valid id: use 1 to 64 of a-z, 0-9, '_', '-', '.', starting with a letter or digit"
)]
pub struct ParseNameError(String);

fn check_name(s: &str) -> Result<(), ParseNameError> {
    let ok = (1..=64).contains(&s.len())
        && s.as_bytes()[0].is_ascii_alphanumeric()
        && s.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.')
        });
    if ok {
        Ok(())
    } else {
        Err(ParseNameError(s.chars().take(80).collect()))
    }
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = ParseNameError;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                check_name(s)?;
                Ok(Self(s.into()))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let s = std::borrow::Cow::<'de, str>::deserialize(d)?;
                s.parse().map_err(de::Error::custom)
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,63}$"})
            }
        }
    };
}

name_id!(
    /// An application that sends through Jixinda.
    AppId
);
name_id!(
    /// One account at one vendor.
    ChannelId
);
name_id!(
    /// A message template of an app.
    TemplateId
);
name_id!(
    /// A sender signature, shown in brackets before the text.
    SignatureId
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(s).map(Self)
            }
        }
    };
}

uuid_id!(
    /// Identifies one message to one recipient. Deterministic where the caller gave anything to derive it from.
    MessageId
);
uuid_id!(
    /// Identifies one attempt, derived from the message, its request and the number of the decision.
    AttemptId
);
uuid_id!(
    /// Identifies one event. A derived event's id follows from its cause, so a second copy is recognised as one.
    EventId
);

/// UUIDv8 over the first 16 bytes of SHA-256 of the length-prefixed parts.
fn derive(domain: &str, parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    hash.update((domain.len() as u32).to_be_bytes());
    hash.update(domain.as_bytes());
    for part in parts {
        hash.update((part.len() as u32).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

impl MessageId {
    /// From the caller's idempotency key: the same request is the same message, on any instance, at any time.
    #[must_use]
    pub fn from_idempotency_key(app: &AppId, key: &str, index: u32, recipient: &Phone) -> Self {
        Self(derive(
            "message/key",
            &[
                app.as_str().as_bytes(),
                key.as_bytes(),
                &index.to_be_bytes(),
                recipient.expose().as_bytes(),
            ],
        ))
    }

    /// From the nonce of a signed request: a replay of the same signed bytes is the same message.
    #[must_use]
    pub fn from_nonce(key_id: &str, nonce: &str, index: u32, recipient: &Phone) -> Self {
        Self(derive(
            "message/nonce",
            &[
                key_id.as_bytes(),
                nonce.as_bytes(),
                &index.to_be_bytes(),
                recipient.expose().as_bytes(),
            ],
        ))
    }

    /// Time-ordered and random: for a bearer call that gives nothing to derive an id from.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// From the place of a direct record that names no id.
    #[must_use]
    pub fn from_position(position: &Position) -> Self {
        Self(derive(
            "message/position",
            &[position.to_string().as_bytes()],
        ))
    }

    /// Of the message that is sent again for `of`: whoever does it, and however often, it is the same one.
    #[must_use]
    pub fn redrive(of: &RedriveOf) -> Self {
        Self(derive(
            "message/redrive",
            &[
                of.message_id.0.as_bytes(),
                of.request.to_string().as_bytes(),
            ],
        ))
    }
}

impl AttemptId {
    /// The attempt of decision `n` of the message that the record at `request` made: an id may be used again after its
    /// window, and what is known of an attempt must not pass for another message's.
    #[must_use]
    pub fn new(message: MessageId, request: &Position, n: u16) -> Self {
        Self(derive(
            "attempt",
            &[
                message.0.as_bytes(),
                request.to_string().as_bytes(),
                &n.to_be_bytes(),
            ],
        ))
    }
}

impl EventId {
    /// A new random id, time-ordered: for events that no other event caused.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id of the `kind` event that the record at `cause` leads to.
    #[must_use]
    pub fn caused(kind: &str, cause: &Position, discriminator: u32) -> Self {
        Self(derive(
            "event",
            &[
                kind.as_bytes(),
                cause.to_string().as_bytes(),
                &discriminator.to_be_bytes(),
            ],
        ))
    }
}

/// Identifies one vendor call and travels in the vendor's echo field. At most 15 decimal digits, since one vendor
/// (Lexin) takes no more; random, so joins also compare the channel and the recipient.
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
#[serde(transparent)]
pub struct CallId(pub u64);

impl CallId {
    /// One more than the largest id.
    pub const END: u64 = 1_000_000_000_000_000;

    /// From 64 random bits; always 15 digits.
    #[must_use]
    pub const fn from_random(bits: u64) -> Self {
        const FIRST: u64 = CallId::END / 10;
        Self(FIRST + bits % (Self::END - FIRST))
    }

    /// From the text that a vendor echoed; `None` when it is not one of ours.
    #[must_use]
    pub fn from_echo(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > 15 || text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        text.parse().ok().map(Self)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who wrote a record: a role and the random number that this owner took when it opened the partition.
///
/// Header form `router:0123456789abcdef` or `senders.default:…`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WriterId {
    /// `router`, or `senders.<pool>`.
    pub role: Arc<str>,
    /// Random for each assignment, never the instance.
    pub number: u64,
}

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:016x}", self.role, self.number)
    }
}

impl fmt::Debug for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for WriterId {
    type Err = ParseNameError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let bad = || ParseNameError(s.chars().take(80).collect());
        let (role, number) = s.rsplit_once(':').ok_or_else(bad)?;
        check_name(role)?;
        let number = u64::from_str_radix(number, 16).map_err(|_| bad())?;
        Ok(Self {
            role: role.into(),
            number,
        })
    }
}

impl Serialize for WriterId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WriterId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let s = std::borrow::Cow::<'de, str>::deserialize(d)?;
        s.parse().map_err(de::Error::custom)
    }
}

impl schemars::JsonSchema for WriterId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "WriterId".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[a-z0-9_.-]+:[0-9a-f]{16}$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(s: &str) -> Phone {
        s.parse().unwrap()
    }

    #[test]
    fn the_same_key_and_recipient_is_the_same_message() {
        let app: AppId = "shop".parse().unwrap();
        let a = MessageId::from_idempotency_key(&app, "order-1", 0, &phone("+8613800138000"));
        let b = MessageId::from_idempotency_key(&app, "order-1", 0, &phone("+8613800138000"));
        let c = MessageId::from_idempotency_key(&app, "order-1", 1, &phone("+8613800138000"));
        assert_eq!(a, b);
        assert_ne!(a, c);
    }

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        let (a, b): (AppId, AppId) = ("a".parse().unwrap(), "ab".parse().unwrap());
        let p = phone("+8613800138000");
        assert_ne!(
            MessageId::from_idempotency_key(&a, "bc", 0, &p),
            MessageId::from_idempotency_key(&b, "c", 0, &p)
        );
    }

    #[test]
    fn call_ids_have_fifteen_digits_and_survive_the_echo() {
        for bits in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let id = CallId::from_random(bits);
            assert_eq!(id.to_string().len(), 15);
            assert_eq!(CallId::from_echo(&id.to_string()), Some(id));
        }
        assert_eq!(CallId::from_echo("msg-0001"), None);
    }

    #[test]
    fn writer_id_text_form_round_trips() {
        let w: WriterId = "senders.default:00000000000000ff".parse().unwrap();
        assert_eq!((&*w.role, w.number), ("senders.default", 255));
        assert_eq!(w.to_string().parse::<WriterId>().unwrap(), w);
    }

    #[test]
    fn names_with_capitals_or_spaces_are_refused() {
        assert!("Shop".parse::<AppId>().is_err());
        assert!("a b".parse::<AppId>().is_err());
        assert!("".parse::<AppId>().is_err());
    }
}
