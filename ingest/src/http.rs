//! The HTTP API: routes, and what all of them have in common.

mod batch;
mod listener;
pub(crate) mod problem;
mod send;
mod status;

use std::{borrow::Cow, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use bytesize::ByteSize;
use jixinda_runtime::{clock::SharedClock, kafka::producer::WriteError, telemetry};
use jixinda_schemas::{MessageId, Reason};
use uuid::Uuid;

use self::problem::Refusal;
pub(crate) use self::{
    listener::{certificate, serve},
    status::Reads,
};
use crate::{
    Config,
    accept::{Candidate, Taken},
    auth::{Auth, Caller},
    body::Slot,
    metrics::{Endpoint, Metrics},
    produce::Writer,
    recent::Recent,
};

/// How long accepted messages are remembered: as long as the router remembers ids that come from nonces, and less
/// than any other window of it, so that an answer from memory never hides a message that would be new.
pub(crate) const TAKEN_WINDOW: Duration = Duration::from_secs(600);

/// What every request needs.
pub(crate) struct Api {
    pub(crate) config: Config,
    pub(crate) clock: SharedClock,
    pub(crate) auth: Auth,
    pub(crate) writer: Writer,
    pub(crate) taken: Recent<Taken>,
    pub(crate) metrics: Metrics,
    pub(crate) reads: Reads,
}

/// One call.
struct Call {
    request_id: Uuid,
    peer: SocketAddr,
}

pub(crate) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/v1/messages", post(post_message))
        .route("/v1/messages/batch", post(post_batch))
        .route("/v1/messages/{id}", get(get_message))
        .route("/v1/messages/{id}/decision", get(get_decision))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(api)
}

type Shared = State<Arc<Api>>;
type Peer = ConnectInfo<SocketAddr>;

async fn post_message(State(api): Shared, ConnectInfo(peer): Peer, request: Request) -> Response {
    let call = Call::new(peer);
    api.finish(
        Endpoint::Send,
        &call,
        send::handle(&api, &call, request).await,
    )
}

async fn post_batch(State(api): Shared, ConnectInfo(peer): Peer, request: Request) -> Response {
    let call = Call::new(peer);
    api.finish(
        Endpoint::Batch,
        &call,
        batch::handle(&api, &call, request).await,
    )
}

async fn get_message(
    State(api): Shared,
    ConnectInfo(peer): Peer,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let call = Call::new(peer);
    api.finish(
        Endpoint::Status,
        &call,
        status::message(&api, &call, &id, request).await,
    )
}

async fn get_decision(
    State(api): Shared,
    ConnectInfo(peer): Peer,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let call = Call::new(peer);
    api.finish(
        Endpoint::Decision,
        &call,
        status::decision(&api, &call, &id, request).await,
    )
}

async fn no_route(State(api): Shared, ConnectInfo(peer): Peer) -> Response {
    let refusal = Refusal::new(
        StatusCode::NOT_FOUND,
        Reason::NotFound,
        "no such path; see docs/http-api.md",
    );
    api.finish(Endpoint::Other, &Call::new(peer), Err(refusal))
}

async fn no_method(State(api): Shared, ConnectInfo(peer): Peer) -> Response {
    let refusal = Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        Reason::MethodNotAllowed,
        "the Allow header names the methods of this path",
    );
    api.finish(Endpoint::Other, &Call::new(peer), Err(refusal))
}

impl Call {
    fn new(peer: SocketAddr) -> Self {
        Self {
            request_id: Uuid::now_v7(),
            peer,
        }
    }
}

/// A request whose caller is known.
struct Admitted {
    caller: Caller,
    parts: Parts,
    body: Bytes,
}

impl Api {
    fn finish(
        &self,
        endpoint: Endpoint,
        call: &Call,
        result: Result<Response, Refusal>,
    ) -> Response {
        let mut response = result.unwrap_or_else(|refusal| {
            self.metrics.refused(refusal.code);
            refusal.into_response(call.request_id)
        });
        self.metrics.request(endpoint, response.status());
        let mut buffer = Uuid::encode_buffer();
        let id = call.request_id.simple().encode_lower(&mut buffer);
        if let Ok(id) = HeaderValue::from_str(id) {
            response.headers_mut().insert("x-request-id", id);
        }
        response
    }

    /// Reads a request with a body, and finds out whose it is.
    async fn admit(
        &self,
        call: &Call,
        request: Request,
        limit: ByteSize,
    ) -> Result<Admitted, Refusal> {
        let (parts, body) = request.into_parts();
        let claim = self.auth.claim(&parts.headers)?;
        if !is_json(&parts.headers) {
            return Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Reason::BadJson,
                "the body must be JSON: Content-Type: application/json",
            ));
        }
        let body = self.read(&parts.headers, body, limit).await?;
        let caller = self.auth.prove(claim, &parts, &body, call.peer.ip())?;
        self.auth.refuse_replay(&caller)?;
        Ok(Admitted {
            caller,
            parts,
            body,
        })
    }

    async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        limit: ByteSize,
    ) -> Result<Bytes, Refusal> {
        let max = usize::try_from(limit.as_u64()).unwrap_or(usize::MAX);
        let too_large = || {
            Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                Reason::BodyTooLarge,
                format!("a body has at most {max} bytes here"),
            )
        };
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.parse::<u64>().ok());
        if announced.is_some_and(|n| n > limit.as_u64()) {
            return Err(too_large());
        }
        match tokio::time::timeout(self.config.body_timeout, to_bytes(body, max)).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) if is_length_limit(&error) => Err(too_large()),
            Ok(Err(_)) => Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                Reason::BadJson,
                "the body ended early",
            )),
            Err(_) => Err(Refusal::new(
                StatusCode::REQUEST_TIMEOUT,
                Reason::BadJson,
                "the body did not arrive in time",
            )),
        }
    }

    /// Charges the app's rate.
    fn pace(&self, caller: &Caller, messages: u32) -> Result<(), Refusal> {
        let Some(pace) = &caller.key.pace else {
            return Ok(());
        };
        pace.take(messages, self.clock.uptime()).map_err(|after| {
            self.metrics.rate_limited(messages);
            let detail = format!("the app may send {} messages per second", pace.per_second());
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, Reason::RateLimited, detail)
                .retry_after(after)
        })
    }

    /// What is known of an earlier request with the id of this one.
    fn known(&self, message: &Candidate) -> Option<Taken> {
        if !message.repeatable {
            return None;
        }
        self.taken.get(message.id.0.as_u128(), self.clock.uptime())
    }

    /// The log has the message.
    fn accepted(&self, caller: &Caller, message: &Candidate) {
        self.metrics.accepted(message.lane);
        let taken = Taken {
            app: caller.key.app.id.clone(),
            fingerprint: if message.repeatable {
                message.request.fingerprint()
            } else {
                0
            },
            at: self.clock.now(),
            lane: message.lane,
            segments: message.segments,
        };
        self.taken
            .insert(message.id.0.as_u128(), taken, self.clock.uptime());
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(e) = cause {
        if e.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = e.source();
    }
    false
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    kind.split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// JSON of the wrong shape or none; serde's words name place and cause, never a value of ours.
fn unreadable(error: &serde_json::Error) -> Refusal {
    Refusal::new(
        StatusCode::BAD_REQUEST,
        Reason::BadJson,
        format!("the body is not the JSON that this path takes: {error}"),
    )
}

/// The caller's trace context, or a new one.
fn traceparent(headers: &HeaderMap) -> Cow<'_, str> {
    let given = headers
        .get("traceparent")
        .and_then(|v| v.to_str().ok())
        .filter(|t| telemetry::is_traceparent(t));
    given.map_or_else(|| Cow::Owned(telemetry::new_traceparent()), Cow::Borrowed)
}

/// The only query parameter. A mistyped one must not send what was to be tried.
fn is_dry_run(parts: &Parts) -> Result<bool, Refusal> {
    let mut dry_run = false;
    for part in parts
        .uri
        .query()
        .unwrap_or("")
        .split('&')
        .filter(|part| !part.is_empty())
    {
        dry_run = match part.split_once('=').unwrap_or((part, "")) {
            ("dry_run", "true") => true,
            ("dry_run", "false") => false,
            ("dry_run", _) => return Err(query("dry_run", Reason::BadField, "true or false")),
            (name, _) => {
                return Err(query(
                    name,
                    Reason::UnknownField,
                    "the only query parameter is dry_run",
                ));
            }
        };
    }
    Ok(dry_run)
}

fn query(name: &str, reason: Reason, detail: &str) -> Refusal {
    let name: String = name.chars().take(40).collect();
    Refusal::problems(vec![jixinda_schemas::validate::Problem::new(
        format!("query.{name}"),
        reason,
        detail,
    )])
}

/// The idempotency key of the whole request: the body's, or for a bearer call the header's.
///
/// The header is not under the signature: whoever replays a signed request could give it another one and so make
/// another message of it. So with a signature it may only repeat what the body says.
fn request_key<'a>(
    headers: &'a HeaderMap,
    body: &'a Slot<'_>,
    caller: &Caller,
) -> Result<Option<&'a str>, Refusal> {
    let wrong = |detail: &str| {
        Err(Refusal::problems(vec![
            jixinda_schemas::validate::Problem::new("idempotency_key", Reason::BadField, detail),
        ]))
    };
    let own = match body {
        Slot::Text(text) => Some(&**text),
        // Of a wrong kind: named where the fields are judged.
        Slot::Absent | Slot::Seconds(_) | Slot::Wrong(_) => None,
    };
    let Some(header) = headers.get("idempotency-key") else {
        return Ok(own);
    };
    let Ok(header) = header.to_str() else {
        return wrong("the Idempotency-Key header must be ASCII");
    };
    let header = header
        .strip_prefix('"')
        .and_then(|h| h.strip_suffix('"'))
        .unwrap_or(header);
    match own {
        Some(own) if own == header => Ok(Some(own)),
        Some(_) => wrong("the Idempotency-Key header names another key than the body"),
        None if caller.nonce.is_some() => wrong(
            "put the key into the body: the Idempotency-Key header is not under the signature",
        ),
        None => Ok(Some(header)),
    }
}

/// What a caller is to do about a message that the log did not acknowledge.
fn unavailable(failure: &WriteError, id: MessageId, repeatable: bool) -> Refusal {
    let detail = match (failure, repeatable) {
        (WriteError::TooLarge, _) => {
            return Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                Reason::BodyTooLarge,
                "the record of the message is larger than the log takes",
            );
        }
        (_, true) => {
            "the log has not acknowledged the message, so it is not accepted; send the same request again: it is the same message, and is sent once"
        }
        (WriteError::QueueFull, false) => {
            "the log is slower than its callers and the message is not written; send it again"
        }
        (WriteError::NotAcknowledged(_), false) => {
            "the log has not acknowledged the message, which may be written all the same; without an idempotency key a repeat is another message"
        }
    };
    let mut refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Reason::Unavailable, detail)
        .retry_after(Duration::from_secs(1));
    refusal.message_id = Some(id);
    refusal
}
