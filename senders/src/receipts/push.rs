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
use ipnet::IpNet;
use jixinda_runtime::crash;
use tokio::sync::Semaphore;
use tracing::warn;

use super::{MAX_ITEMS, Receipts, taken};
use crate::{
    metrics,
    registry::Ready,
    vendor::{Ack, Push, PushError},
};

/// Largest push that is read.
pub const MAX_BODY: usize = 1024 * 1024;

/// A vendor that takes longer to send its body is cut off.
const BODY_TIME: Duration = Duration::from_secs(15);

/// Pushes handled at once. More are asked to come again: that bounds the memory that bodies take.
pub const MAX_PUSHES: usize = 64;

/// The receipt endpoint. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`.
pub fn router(receipts: Receipts) -> Router {
    Router::new()
        // Some vendors push with GET.
        .route("/receipts/{channel}/{token}", post(accept).get(accept))
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
        // Before the body is read, there is nothing of the push to name in the answer.
        return plain(StatusCode::SERVICE_UNAVAILABLE);
    };
    let (parts, body) = request.into_parts();
    let body = Request::from_parts(parts.clone(), body);
    let body = match tokio::time::timeout(BODY_TIME, Bytes::from_request(body, &())).await {
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
    let push = Push {
        method: parts.method.as_str(),
        target: parts.uri.path_and_query().map_or("", |t| t.as_str()),
        query: parts.uri.query(),
        headers: &parts.headers,
        body: &body,
        now: (receipts.now)(),
    };
    let taken = match ready.vendor.read_push(&push) {
        Ok(batch) if batch.len() > MAX_ITEMS => {
            taken::whole(&ready, &push, format!("more than {MAX_ITEMS} items"))
        }
        Ok(batch) => taken::sort(&ready, batch, push.now),
        Err(PushError::NotAuthentic(why)) => {
            metrics::receipt_push(channel, "not_authentic");
            warn!(%channel, %client, why, "push refused: it does not prove that it comes from the vendor");
            return plain(StatusCode::UNAUTHORIZED);
        }
        Err(error) => taken::whole(&ready, &push, error.to_string()),
    };
    taken::count(channel, &taken);
    let stored = if taken.is_empty() {
        Ok(())
    } else {
        receipts.sink.store(taken).await
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
    answer(ready.vendor.acknowledge(&push, stored.is_ok()))
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
