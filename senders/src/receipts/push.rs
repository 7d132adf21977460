//! `POST /receipts/{channel}/{token}`.
//!
//! Order of checks: token (404, the same for an unknown channel), address (403), size (413). Only then is the body
//! looked at: a vendor that passed them is always answered in its own words.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{
        ConnectInfo, DefaultBodyLimit, FromRequest, Path, Request, State, rejection::PathRejection,
    },
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    response::Response,
    routing::post,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use ipnet::IpNet;
use jixinda_runtime::crash;
use jixinda_schemas::{
    Reason, Timestamp,
    event::{DeadLetter, RawReceipt},
    vendor::ReceiptStatus,
};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::Receipts;
use crate::{
    metrics,
    registry::Ready,
    vendor::{Ack, RawBody, ReceiptItem, UnreadableItem},
};

/// Largest push that is read.
pub const MAX_BODY: usize = 1024 * 1024;

/// Most items of one push that become records of their own. Real items have over 200 bytes, so a real push stays
/// under it; a larger number goes whole to the dead letters.
pub const MAX_ITEMS: usize = 5_000;

/// A vendor that takes longer to send its body is cut off.
const BODY_TIME: Duration = Duration::from_secs(15);

/// Pushes handled at once. More are asked to come again: that bounds the memory that bodies take.
pub const MAX_PUSHES: usize = 64;

const STEP: &str = "senders.receipts";

/// The receipt endpoint. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`.
pub fn router(receipts: Receipts) -> Router {
    Router::new()
        .route("/receipts/{channel}/{token}", post(accept))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(Endpoint {
            receipts,
            slots: Arc::new(Semaphore::new(MAX_PUSHES)),
        })
}

#[derive(Clone)]
struct Endpoint {
    receipts: Receipts,
    slots: Arc<Semaphore>,
}

async fn accept(
    State(Endpoint { receipts, slots }): State<Endpoint>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Response {
    let found = path
        .ok()
        .and_then(|Path((channel, token))| authenticate(&receipts, &channel, &token));
    let Some(ready) = found else {
        metrics::receipt_push("unknown", "not_found");
        return plain(StatusCode::NOT_FOUND);
    };
    let channel = ready.channel.id.as_str();
    let allowed = &ready.channel.receipt_ip_allow;
    let client = client_address(peer.ip(), request.headers(), &receipts.trusted_proxies);
    if !allowed.is_empty() && !allowed.iter().any(|net| net.contains(&client)) {
        metrics::receipt_push(channel, "ip_refused");
        warn!(%channel, %client, "receipt push from an address that is not allowed");
        return plain(StatusCode::FORBIDDEN);
    }
    let Ok(_slot) = slots.try_acquire() else {
        metrics::receipt_push(channel, "busy");
        return answer(ready.vendor.acknowledge(false));
    };
    let content_type = header(request.headers(), CONTENT_TYPE.as_str()).map(ToOwned::to_owned);
    let query = request.uri().query().map(ToOwned::to_owned);
    let body = match tokio::time::timeout(BODY_TIME, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) => {
            metrics::receipt_push(channel, "body_refused");
            return plain(rejection.status());
        }
        Err(_) => {
            metrics::receipt_push(channel, "body_timeout");
            return plain(StatusCode::REQUEST_TIMEOUT);
        }
    };
    let raw = RawBody {
        content_type: content_type.as_deref(),
        query: query.as_deref(),
        body: &body,
    };
    let (items, unreadable) = sort(&ready, &raw, (receipts.now)());
    count(channel, &items, unreadable.len());
    let stored = if items.is_empty() && unreadable.is_empty() {
        Ok(())
    } else {
        receipts.sink.store(items, unreadable).await
    };
    match &stored {
        Ok(()) => {
            crash::point("receipts.stored");
            crash::soon("receipts.answered");
            metrics::receipt_push(channel, "stored");
        }
        Err(error) => {
            metrics::receipt_push(channel, "unavailable");
            warn!(%channel, error = error as &dyn std::error::Error, "receipts not stored");
        }
    }
    answer(ready.vendor.acknowledge(stored.is_ok()))
}

/// The channel whose token this is. Comparing takes the same time wherever the tokens differ.
fn authenticate(receipts: &Receipts, channel: &str, token: &str) -> Option<Arc<Ready>> {
    let registry = Arc::clone(&receipts.registry.borrow());
    let ready = registry.get(channel)?;
    let right = ready.receipt_token.as_ref()?.matches(token);
    right.then(|| Arc::clone(ready))
}

/// The address behind trusted proxies: the last one in `x-forwarded-for` that is not itself a trusted proxy. An entry
/// that is no address ends the search, and the proxy that passed it on counts as the client.
fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|net| net.contains(ip));
    let mut client = peer.to_canonical();
    let forwarded: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .collect();
    for entry in forwarded.into_iter().rev() {
        if !is_trusted(&client) {
            break;
        }
        match entry.trim().parse::<IpAddr>() {
            Ok(ip) => client = ip.to_canonical(),
            Err(_) => break,
        }
    }
    client
}

/// Reads the push into what is stored: receipts, and what could not be read.
fn sort(ready: &Ready, raw: &RawBody<'_>, now: Timestamp) -> (Vec<RawReceipt>, Vec<DeadLetter>) {
    let whole = |detail: String| {
        let headers = raw
            .content_type
            .map(|value| (CONTENT_TYPE.as_str().to_owned(), value.to_owned()));
        let letter = dead_letter(ready, detail, raw.body, now);
        let headers = headers.into_iter().collect();
        (Vec::new(), vec![DeadLetter { headers, ..letter }])
    };
    let parsed = match ready.vendor.parse_receipts(raw) {
        Ok(parsed) => parsed,
        Err(error) => return whole(error.to_string()),
    };
    if parsed.len() > MAX_ITEMS {
        return whole(format!("more than {MAX_ITEMS} items"));
    }
    let mut receipts = Vec::with_capacity(parsed.len());
    let mut unreadable = Vec::new();
    for item in parsed {
        match item {
            Ok(item) => receipts.push(raw_receipt(ready, item, now)),
            Err(UnreadableItem { detail, raw }) => {
                unreadable.push(dead_letter(ready, detail, raw.to_string().as_bytes(), now));
            }
        }
    }
    (receipts, unreadable)
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
        value: STANDARD.encode(value),
        headers: Vec::new(),
    }
}

fn count(channel: &str, items: &[RawReceipt], unreadable: usize) {
    for (status, name) in [
        (ReceiptStatus::Delivered, "delivered"),
        (ReceiptStatus::Undelivered, "undelivered"),
        (ReceiptStatus::Expired, "expired"),
        (ReceiptStatus::Rejected, "rejected"),
        (ReceiptStatus::Pending, "pending"),
        (ReceiptStatus::Unknown, "unknown"),
    ] {
        let n = items.iter().filter(|item| item.status == status).count();
        if n > 0 {
            metrics::receipt_items(channel, name, n as u64);
        }
    }
    if unreadable > 0 {
        metrics::receipt_items(channel, "unreadable", unreadable as u64);
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn answer(ack: Ack) -> Response {
    let mut response = Response::new(Body::from(ack.body.into_owned()));
    *response.status_mut() =
        StatusCode::from_u16(ack.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(value) = ack.content_type.parse() {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed_about_the_client() {
        assert_eq!(client("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        // What stands before the last foreign address was written by that foreigner.
        assert_eq!(
            client("10.0.0.1", &["198.51.100.1, 203.0.113.9", "10.0.0.2"]),
            "203.0.113.9"
        );
        assert_eq!(client("10.0.0.1", &["198.51.100.1, junk"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }
}
