//! `opened`: an owner takes over a partition. From here on only its records count for its role.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, WriterId};

/// Payload of `opened`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Opened {
    /// The new owner; random for each take-over.
    pub writer: WriterId,
    /// Host and instance of the owner, for people.
    pub instance: String,
    /// The owner's clock.
    pub at: Timestamp,
}
