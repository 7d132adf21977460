//! From what a vendor reported to what is stored.

use base64::{Engine, engine::general_purpose::STANDARD};
use jixinda_runtime::kafka::owner::DEAD_LETTER_BYTES;
use jixinda_schemas::{
    Reason, Timestamp,
    event::{DeadLetter, Inbound, RawReceipt},
    vendor::ReceiptStatus,
};
use serde_json::Value;
use tracing::debug;

use super::Taken;
use crate::{
    metrics,
    registry::Ready,
    vendor::{Batch, InboundItem, Push, ReceiptItem},
};

/// Most items of one push or fetch that become records of their own. Real items have over 200 bytes, so a real push
/// stays under it; what is over goes to the dead letters, item by item.
pub const MAX_ITEMS: usize = 5_000;

const STEP: &str = "senders.receipts";
/// Bytes of an item that are kept as they came, and of a handset's text. Real items have some hundred.
const MAX_RAW: usize = 64 * 1024;
/// Characters of a vendor's code. What is longer is none.
const MAX_CODE: usize = 256;

/// A push that cannot be read is kept as it came.
pub(super) fn whole(ready: &Ready, push: &Push<'_>, detail: String) -> Taken {
    let content_type = push.header("content-type");
    let headers = content_type.map(|value| ("content-type".to_owned(), value.to_owned()));
    let letter = DeadLetter {
        headers: headers.into_iter().collect(),
        ..dead_letter(ready, detail, push.body, push.now)
    };
    Taken {
        unreadable: vec![letter],
        ..Taken::default()
    }
}

/// Items as events.
pub(super) fn sort(ready: &Ready, batch: Batch, now: Timestamp) -> Taken {
    let unreadable = batch.unreadable.into_iter();
    Taken {
        receipts: batch
            .receipts
            .into_iter()
            .map(|item| raw_receipt(ready, item, now))
            .collect(),
        inbound: batch
            .inbound
            .into_iter()
            .map(|item| inbound(ready, item, now))
            .collect(),
        unreadable: unreadable
            .map(|item| dead_letter(ready, item.detail, item.raw.to_string().as_bytes(), now))
            .collect(),
    }
}

fn raw_receipt(ready: &Ready, item: ReceiptItem, now: Timestamp) -> RawReceipt {
    RawReceipt {
        channel: ready.channel.id.clone(),
        vendor: ready.vendor.kind().to_owned(),
        recipient: item.recipient,
        echo: item.echo.filter(|id| is_an_id(id)),
        vendor_id: item.vendor_id.filter(|id| is_an_id(id)),
        part: item.part,
        parts: item.parts,
        status: item.status,
        blame: Some(item.blame),
        code: item.code.chars().take(MAX_CODE).collect(),
        segments: item.segments,
        vendor_at: item.vendor_at,
        received_at: now,
        raw: within(item.raw),
    }
}

/// What an item is called is stored and joined by; nothing that a vendor gives out is as long.
fn is_an_id(text: &str) -> bool {
    text.len() <= MAX_CODE
}

/// An item that is too large for a record, and for what is written about it, is kept as the beginning of its text.
fn within(raw: Value) -> Value {
    let text = raw.to_string();
    if text.len() <= MAX_RAW {
        return raw;
    }
    cut(text).into()
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_RAW));
    text
}

fn inbound(ready: &Ready, item: InboundItem, now: Timestamp) -> Inbound {
    Inbound {
        channel: ready.channel.id.clone(),
        vendor: ready.vendor.kind().to_owned(),
        sender: item.sender,
        destination: item.destination.chars().take(MAX_CODE).collect(),
        text: cut(item.text),
        sign_name: item.sign_name.filter(|id| is_an_id(id)),
        vendor_id: item.vendor_id.filter(|id| is_an_id(id)),
        vendor_at: item.vendor_at,
        received_at: now,
        raw: within(item.raw),
    }
}

fn dead_letter(ready: &Ready, detail: String, value: &[u8], now: Timestamp) -> DeadLetter {
    debug!(channel = %ready.channel.id, detail, "receipt cannot be read");
    DeadLetter {
        source: None,
        reason: Reason::ReceiptUnreadable,
        detail,
        step: STEP.to_owned(),
        at: now,
        channel: Some(ready.channel.id.clone()),
        key: None,
        value: STANDARD.encode(&value[..value.len().min(DEAD_LETTER_BYTES)]),
        headers: Vec::new(),
    }
}

pub(super) fn count(channel: &str, taken: &Taken) {
    for (status, name) in [
        (ReceiptStatus::Delivered, "delivered"),
        (ReceiptStatus::Undelivered, "undelivered"),
        (ReceiptStatus::Expired, "expired"),
        (ReceiptStatus::Rejected, "rejected"),
        (ReceiptStatus::Pending, "pending"),
        (ReceiptStatus::Unknown, "unknown"),
    ] {
        let n = taken
            .receipts
            .iter()
            .filter(|item| item.status == status)
            .count();
        if n > 0 {
            metrics::receipt_items(channel, name, n as u64);
        }
    }
    for (name, n) in [
        ("inbound", taken.inbound.len()),
        ("unreadable", taken.unreadable.len()),
    ] {
        if n > 0 {
            metrics::receipt_items(channel, name, n as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_stored_of_an_item_has_a_size() {
        let small = json!({"a": "字"});
        assert_eq!(within(small.clone()), small);
        let large = within(json!({"a": "字".repeat(MAX_RAW)}));
        let kept = large.as_str().unwrap();
        assert!(kept.len() <= MAX_RAW && kept.len() > MAX_RAW - 4);
        assert!(kept.starts_with("{\"a\":\"字"));
        assert!(is_an_id(&"1".repeat(MAX_CODE)) && !is_an_id(&"1".repeat(MAX_CODE + 1)));
    }
}
