//! Internal reads of one message: where it stands, and why it went the way it did.
//!
//! ingest passes them on to the app that owns the message; a message of another app does not exist.

mod fold;
mod read;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use jixinda_runtime::secret::Secret;
use jixinda_schemas::{AppId, MessageId, Reason};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tracing::warn;

use crate::{Config, Error, metrics};

pub use fold::{Decision, Decisions, Status, Step};

#[derive(Debug)]
struct Reads {
    client: clickhouse::Client,
    timeout: Duration,
    token: Secret,
}

pub(crate) fn router(config: &Config) -> Router {
    let reads = Arc::new(Reads {
        client: config.client(),
        timeout: config.read_timeout,
        token: config.token.clone(),
    });
    Router::new()
        .route("/internal/messages/{id}", get(status))
        .route("/internal/messages/{id}/decision", get(decision))
        .fallback(|| async { answer(StatusCode::NOT_FOUND, Reason::NotFound) })
        .layer(middleware::from_fn_with_state(
            Arc::clone(&reads),
            authorize,
        ))
        .with_state(reads)
}

#[derive(Serialize)]
struct Refusal {
    code: Reason,
    message: &'static str,
}

fn answer(status: StatusCode, reason: Reason) -> Response {
    (
        status,
        Json(Refusal {
            code: reason,
            message: reason.help(),
        }),
    )
        .into_response()
}

async fn authorize(State(reads): State<Arc<Reads>>, request: Request, next: Next) -> Response {
    if bearer(request.headers()).is_some_and(|token| same(token, reads.token.expose())) {
        return next.run(request).await;
    }
    answer(StatusCode::UNAUTHORIZED, Reason::Unauthorized)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// In a time that says nothing about either.
fn same(given: &str, wanted: &str) -> bool {
    let digest = |text: &str| Sha256::digest(text.as_bytes());
    digest(given).ct_eq(&digest(wanted)).into()
}

#[derive(Deserialize)]
struct Owner {
    app: Option<String>,
}

async fn status(
    State(reads): State<Arc<Reads>>,
    Path(id): Path<String>,
    Query(owner): Query<Owner>,
) -> Response {
    respond("status", &reads, &id, owner, fold::status).await
}

async fn decision(
    State(reads): State<Arc<Reads>>,
    Path(id): Path<String>,
    Query(owner): Query<Owner>,
) -> Response {
    respond("decision", &reads, &id, owner, fold::decisions).await
}

async fn respond<T: Serialize>(
    endpoint: &'static str,
    reads: &Reads,
    id: &str,
    owner: Owner,
    fold: fn(MessageId, &AppId, read::Lines) -> Option<T>,
) -> Response {
    let app = owner.app.and_then(|app| app.parse::<AppId>().ok());
    let response = match (id.parse::<MessageId>(), app) {
        (Ok(id), Some(app)) => match find(reads, id, &app).await {
            Ok(lines) => fold(id, &app, lines).map_or_else(
                || answer(StatusCode::NOT_FOUND, Reason::NotFound),
                |found| Json(found).into_response(),
            ),
            Err(e) => {
                warn!(message_id = %id, error = &e as &dyn std::error::Error, "status read failed");
                let retry = [(header::RETRY_AFTER, "2")];
                (
                    retry,
                    answer(StatusCode::SERVICE_UNAVAILABLE, Reason::Unavailable),
                )
                    .into_response()
            }
        },
        // No message has such an id.
        (Err(_), Some(_)) => answer(StatusCode::NOT_FOUND, Reason::NotFound),
        (_, None) => answer(StatusCode::BAD_REQUEST, Reason::MissingField),
    };
    metrics::read(endpoint, response.status().as_u16());
    response
}

async fn find(reads: &Reads, id: MessageId, app: &AppId) -> Result<read::Lines, Error> {
    tokio::time::timeout(reads.timeout, read::lines(&reads.client, id, app))
        .await
        .map_err(|_| Error::Slow("reading a message".to_owned()))?
}
