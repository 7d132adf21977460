//! From what a vendor reported to what is stored.

use base64::{Engine, engine::general_purpose::STANDARD};
use jixinda_runtime::kafka::owner::DEAD_LETTER_BYTES;
use jixinda_schemas::{
    Reason, Timestamp,
    event::{DeadLetter, Inbound, RawReceipt},
    vendor::ReceiptStatus,
};
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
        echo: item.echo,
        vendor_id: item.vendor_id,
        part: item.part,
        parts: item.parts,
        status: item.status,
        blame: Some(item.blame),
        code: item.code,
        segments: item.segments,
        vendor_at: item.vendor_at,
        received_at: now,
        raw: item.raw,
    }
}

fn inbound(ready: &Ready, item: InboundItem, now: Timestamp) -> Inbound {
    Inbound {
        channel: ready.channel.id.clone(),
        vendor: ready.vendor.kind().to_owned(),
        sender: item.sender,
        destination: item.destination,
        text: item.text,
        sign_name: item.sign_name,
        vendor_id: item.vendor_id,
        vendor_at: item.vendor_at,
        received_at: now,
        raw: item.raw,
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
