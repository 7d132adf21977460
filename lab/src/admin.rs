//! The admin API under `/lab/`, loopback only: look at accounts and change them while calls are running.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use crate::account::{Account, AccountPatch};
use crate::clock;
use crate::hub::Hub;
use crate::live::Live;
use crate::receipts;
use crate::socket::Peer;
use crate::stats::SECONDS_KEPT;
use crate::vendor::Mo;

/// How long a flush waits for the receiver.
const FLUSH_WAIT: Duration = Duration::from_secs(10);

pub(crate) fn router(hub: Arc<Hub>) -> Router<Arc<Hub>> {
    Router::new()
        .route("/accounts", get(accounts))
        .route("/accounts/{id}", get(account).put(put).patch(patch))
        .route("/accounts/{id}/inbound", post(inbound))
        .route("/stats", get(stats))
        .route("/receipts/flush", post(flush))
        .fallback(|| async { refuse(StatusCode::NOT_FOUND, "no such lab endpoint") })
        .layer(middleware::from_fn_with_state(hub, guard))
}

fn refuse(status: StatusCode, error: impl Into<String>) -> Response {
    (status, Json(json!({ "error": error.into() }))).into_response()
}

async fn guard(
    State(hub): State<Arc<Hub>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if !peer.address.ip().to_canonical().is_loopback() {
        return refuse(
            StatusCode::FORBIDDEN,
            "the lab's admin API answers loopback only",
        );
    }
    if let Some(token) = &hub.config.admin_token {
        let given = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default();
        if !bool::from(given.as_bytes().ct_eq(token.expose().as_bytes())) {
            return refuse(StatusCode::UNAUTHORIZED, "wrong or missing bearer token");
        }
    }
    next.run(request).await
}

fn view(live: &Live) -> Response {
    Json(live.account().view()).into_response()
}

fn unknown(id: &str) -> Response {
    refuse(StatusCode::NOT_FOUND, format!("no account `{id}`"))
}

async fn accounts(State(hub): State<Arc<Hub>>) -> Response {
    let accounts: Vec<_> = hub.all().iter().map(|live| live.account()).collect();
    let views: Vec<_> = accounts.iter().map(|account| account.view()).collect();
    Json(views).into_response()
}

async fn account(State(hub): State<Arc<Hub>>, Path(id): Path<String>) -> Response {
    hub.by_id(&id)
        .map_or_else(|| unknown(&id), |live| view(&live))
}

async fn put(State(hub): State<Arc<Hub>>, Path(id): Path<String>, body: Bytes) -> Response {
    let account: Account = match serde_json::from_slice(&body) {
        Ok(account) => account,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error.to_string()),
    };
    if account.id != id {
        return refuse(StatusCode::BAD_REQUEST, "`id` differs from the path");
    }
    settle(&hub, account)
}

async fn patch(State(hub): State<Arc<Hub>>, Path(id): Path<String>, body: Bytes) -> Response {
    let Some(live) = hub.by_id(&id) else {
        return unknown(&id);
    };
    let change: AccountPatch = match serde_json::from_slice(&body) {
        Ok(change) => change,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error.to_string()),
    };
    match change.apply(&live.account()) {
        Ok(account) => settle(&hub, account),
        Err(problem) => refuse(StatusCode::BAD_REQUEST, problem),
    }
}

fn settle(hub: &Arc<Hub>, account: Account) -> Response {
    let id = account.id.clone();
    match hub.put(account) {
        Ok(()) => hub
            .by_id(&id)
            .map_or_else(|| unknown(&id), |live| view(&live)),
        Err(problem) => refuse(StatusCode::BAD_REQUEST, problem),
    }
}

/// A message from a handset to the account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inbound {
    /// E.164.
    from: String,
    #[serde(default)]
    to: String,
    text: String,
}

/// Pushes it, once, and tells how that ended; or keeps it until it is fetched.
async fn inbound(State(hub): State<Arc<Hub>>, Path(id): Path<String>, body: Bytes) -> Response {
    let Some(live) = hub.by_id(&id) else {
        return unknown(&id);
    };
    let Inbound { from, to, text } = match serde_json::from_slice(&body) {
        Ok(inbound) => inbound,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error.to_string()),
    };
    let account = live.account();
    let mo = Mo {
        from,
        to,
        text,
        at_ms: clock::now().at_ms,
        id: hub.next_ids(1),
    };
    let url = account.receipt_url.as_deref();
    let vendor = match account.speaks() {
        Ok(vendor) => vendor,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, error),
    };
    let pushed = match url.and_then(|url| vendor.inbound(&account, url, &mo)) {
        Some(outgoing) => receipts::send(&hub, vendor, outgoing).await,
        None if live.keep_inbound(mo) => return Json(json!({ "result": "kept" })).into_response(),
        None => return refuse(StatusCode::INSUFFICIENT_STORAGE, "too many wait"),
    };
    Json(json!(pushed)).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Span {
    #[serde(default = "ten")]
    minutes: u64,
}

fn ten() -> u64 {
    10
}

async fn stats(State(hub): State<Arc<Hub>>, Query(span): Query<Span>) -> Response {
    let seconds = span.minutes.saturating_mul(60).min(SECONDS_KEPT);
    let since = clock::now().unix_seconds().saturating_sub(seconds);
    let stats: BTreeMap<String, _> = hub
        .all()
        .iter()
        .map(|live| {
            let waiting = live.receipts.outstanding();
            (live.account().id.clone(), live.stats().view(since, waiting))
        })
        .collect();
    Json(json!({ "accounts": stats })).into_response()
}

/// Pushes everything that waits, retries included, and answers when it is done or after ten seconds.
async fn flush(State(hub): State<Arc<Hub>>) -> Json<Value> {
    let accounts = hub.all();
    let flushed: usize = accounts.iter().map(|live| live.receipts.flush()).sum();
    let waiting = || {
        accounts
            .iter()
            .map(|live| live.receipts.outstanding())
            .sum::<usize>()
    };
    let deadline = tokio::time::Instant::now() + FLUSH_WAIT;
    while waiting() > 0 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Json(json!({ "flushed": flushed, "waiting": waiting() }))
}
