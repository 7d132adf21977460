//! Calls that are put together of the routings claimed in one act.

use std::sync::Arc;

use jixinda_schemas::{CallId, Phone};

use crate::{claims::Order, registry::Ready, vendor::Item};

/// Calls that are put together at once, of one partition and lane.
const OPEN_CALLS: usize = 16;

/// A call that is being put together while routings are claimed.
pub(crate) struct Together {
    call_id: CallId,
    ready: Arc<Ready>,
    first: Item,
    /// One call has each number once.
    recipients: Vec<Phone>,
}

impl Together {
    fn takes(&self, item: &Item) -> bool {
        let vendor = &self.ready.vendor;
        let places = self.ready.channel.max_in_flight as usize;
        self.recipients.len() < vendor.limits().max_items.min(places)
            && vendor.fits(&self.first, item)
            && !self.recipients.contains(&item.recipient)
    }
}

/// A message as the vendor's client wants it.
pub(crate) fn item(order: &Order) -> Item {
    let routed = &order.routed;
    Item {
        recipient: routed.recipient.clone(),
        sign_name: routed.sign_name.clone(),
        content: routed.content.clone(),
        text: routed.text.clone(),
    }
}

/// The call that a routing goes in: one that is being put together, or a new one. What was tried before goes alone, so
/// that a number that makes a vendor refuse a whole call cannot do so again and again.
pub(crate) fn call_for(calls: &mut Vec<Together>, ready: &Arc<Ready>, order: &Order) -> CallId {
    let new = || CallId::from_random(rand::random());
    if order.routed.n > 1 || ready.vendor.limits().max_items < 2 {
        return new();
    }
    let item = item(order);
    let mut open = calls
        .iter_mut()
        .filter(|call| Arc::ptr_eq(&call.ready, ready));
    if let Some(call) = open.find(|call| call.takes(&item)) {
        call.recipients.push(item.recipient);
        return call.call_id;
    }
    let call_id = new();
    // Calls of many texts are looked through for each routing.
    if calls.len() < OPEN_CALLS {
        calls.push(Together {
            call_id,
            ready: Arc::clone(ready),
            recipients: vec![item.recipient.clone()],
            first: item,
        });
    }
    call_id
}
