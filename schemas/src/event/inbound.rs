//! Messages from handsets.

use serde::{Deserialize, Serialize};

use crate::{ChannelId, Phone, Timestamp};

/// Payload of `inbound`, on `inbound`: a message from a handset (MO), as a vendor passed it on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Inbound {
    /// The channel by which it came.
    pub channel: ChannelId,
    /// Vendor kind, such as `aliyun`.
    pub vendor: String,
    /// The handset, in E.164; also the record key.
    pub sender: Phone,
    /// The number that it was sent to, or the extension, as the vendor has it.
    pub destination: String,
    /// What it says.
    pub text: String,
    /// The signature under which the handset had been written to, where the vendor says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_name: Option<String>,
    /// The vendor's id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// When it was sent by the vendor's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_at: Option<Timestamp>,
    /// When it came in, by the clock of the role that took it.
    pub received_at: Timestamp,
    /// The item as it came.
    pub raw: serde_json::Value,
}
