//! The contract of Jixinda: events, ids, topics, directory entities and the request rules.
//!
//! No I/O and no clock. Everything that crosses a process boundary is defined here once, so that ingest, router,
//! senders and analytics can be replayed, scaled and tested alone. `schemas/json/` holds the JSON Schemas and
//! worked examples generated from these types: they are the public contract for direct Kafka producers.

#![warn(missing_docs)]

pub mod auth;
pub mod codec;
pub mod directory;
pub mod envelope;
pub mod event;
pub mod headers;
pub mod id;
pub mod lane;
pub mod phone;
pub mod position;
pub mod reason;
pub mod seal;
pub mod segments;
pub mod template;
pub mod time;
pub mod topic;
pub mod validate;
pub mod vendor;

pub use envelope::Envelope;
pub use id::{
    AppId, AttemptId, CallId, ChannelId, EventId, MessageId, SignatureId, TemplateId, WriterId,
};
pub use lane::Lane;
pub use phone::Phone;
pub use position::Position;
pub use reason::Reason;
pub use time::Timestamp;
pub use topic::Topic;
