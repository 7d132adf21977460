//! `request`: an application wants one message sent to one recipient.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::RedriveOf;
use crate::{Phone, SignatureId, TemplateId, Timestamp};

/// Payload of `request`, on `requests.{otp,notice,marketing}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Request {
    /// E.164; also the record key.
    pub recipient: Phone,
    /// A template of the app; it decides the lane.
    pub template: TemplateId,
    /// Absent means the template's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureId>,
    /// Values of the template's variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Not to be sent earlier; at most 60 s ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Not to be sent later. Absent, with no `valid_for_ms` either, means the lane's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// Validity from acceptance, in milliseconds; `not_after` wins over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_for_ms: Option<i64>,
    /// Identifies the request at its app: sent again, it is the same message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Place in the batch that it came in.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub index: u32,
    /// For analytics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// The message that this one is sent again for; only the platform's operators may say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redrive_of: Option<RedriveOf>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Request {
    /// Two requests under one id with the same fingerprint are repeats; with another they are in conflict.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u32).to_be_bytes());
            hash.update(bytes);
        };
        part(self.recipient.expose().as_bytes());
        part(self.template.as_str().as_bytes());
        part(
            self.signature
                .as_ref()
                .map_or("", |s| s.as_str())
                .as_bytes(),
        );
        part(self.campaign.as_deref().unwrap_or("").as_bytes());
        for (name, value) in &self.params {
            part(name.as_bytes());
            part(value.as_bytes());
        }
        let digest = hash.finalize();
        let mut first = [0_u8; 8];
        first.copy_from_slice(&digest[..8]);
        u64::from_be_bytes(first)
    }

    /// The end of validity for a request of `lane` that the log accepted at `accepted_at`.
    #[must_use]
    pub fn deadline(&self, lane: crate::Lane, accepted_at: Timestamp) -> Timestamp {
        self.not_after.unwrap_or_else(|| {
            accepted_at.plus_millis(
                self.valid_for_ms
                    .unwrap_or_else(|| lane.default_validity_ms()),
            )
        })
    }
}
