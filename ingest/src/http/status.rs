//! `GET /v1/messages/{id}` and `…/decision`: the analytics role knows what became of a message and why. What this
//! instance accepted a moment ago it knows by itself, before the record has got there.

use std::time::Duration;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::BytesMut;
use jixinda_runtime::secret::Secret;
use jixinda_schemas::{AppId, Lane, MessageId, Reason, Timestamp};
use serde::Serialize;

use super::{
    Api, Call,
    problem::{self, Refusal},
};
use crate::Config;

/// The analytics tables have a message after a second or two; later than this an unknown id stays unknown.
const NEW_FOR: Duration = Duration::from_secs(60);
/// Far more than the history of one message takes.
const MAX_ANSWER: usize = 1024 * 1024;

/// The way to the analytics role's internal reads.
pub(crate) struct Reads {
    client: reqwest::Client,
    base: Option<String>,
    token: Secret,
}

#[derive(Serialize)]
struct JustAccepted {
    message_id: MessageId,
    status: &'static str,
    lane: Lane,
    segments: u32,
    accepted_at: Timestamp,
}

/// What the analytics role says.
enum Read {
    Found(BytesMut),
    Unknown,
    Unreachable,
}

impl Reads {
    pub(crate) fn new(config: &Config) -> Result<Self, jixinda_runtime::http::Error> {
        let base = config.status_url.trim_end_matches('/');
        Ok(Self {
            client: jixinda_runtime::http::client(config.status_timeout)?,
            base: (!base.is_empty()).then(|| base.to_owned()),
            token: config.status_token.clone(),
        })
    }

    /// Only the owner's messages: the analytics role filters by app.
    async fn get(&self, id: MessageId, what: &str, app: &AppId) -> Read {
        let Some(base) = &self.base else {
            return Read::Unreachable;
        };
        let url = format!("{base}/internal/messages/{id}{what}?app={app}");
        match self.fetch(&url).await {
            Ok(read) => read,
            Err(error) => {
                tracing::debug!(message_id = %id, error = &error as &dyn std::error::Error, "status read failed");
                Read::Unreachable
            }
        }
    }

    async fn fetch(&self, url: &str) -> Result<Read, reqwest::Error> {
        let mut response = self
            .client
            .get(url)
            .bearer_auth(self.token.expose())
            .send()
            .await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(Read::Unknown),
            status => {
                tracing::debug!(status = status.as_u16(), "status read refused");
                return Ok(Read::Unreachable);
            }
        }
        let mut answer = BytesMut::new();
        while let Some(chunk) = response.chunk().await? {
            if answer.len() + chunk.len() > MAX_ANSWER {
                return Ok(Read::Unreachable);
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(Read::Found(answer))
    }
}

pub(super) async fn message(
    api: &Api,
    call: &Call,
    id: &str,
    request: Request,
) -> Result<Response, Refusal> {
    let (id, app) = owner(api, call, id, request)?;
    let read = api.reads.get(id, "", &app).await;
    if let Read::Found(answer) = read {
        return Ok(passed_on(answer));
    }
    let now = api.clock.now();
    let taken = api.taken.get(id.0.as_u128(), api.clock.uptime());
    if let Some(taken) =
        taken.filter(|t| t.app == app && now.since(t.at) < NEW_FOR.as_millis() as i64)
    {
        let answer = JustAccepted {
            message_id: id,
            status: "accepted",
            lane: taken.lane,
            segments: taken.segments,
            accepted_at: taken.at,
        };
        return Ok(problem::json(StatusCode::OK, &answer));
    }
    Err(unanswered(&read, id, now))
}

pub(super) async fn decision(
    api: &Api,
    call: &Call,
    id: &str,
    request: Request,
) -> Result<Response, Refusal> {
    let (id, app) = owner(api, call, id, request)?;
    match api.reads.get(id, "/decision", &app).await {
        Read::Found(answer) => Ok(passed_on(answer)),
        read => Err(unanswered(&read, id, api.clock.now())),
    }
}

fn owner(
    api: &Api,
    call: &Call,
    id: &str,
    request: Request,
) -> Result<(MessageId, AppId), Refusal> {
    let (parts, _) = request.into_parts();
    let claim = api.auth.claim(&parts.headers)?;
    let caller = api.auth.prove(claim, &parts, b"", call.peer.ip())?;
    let id = id.parse().map_err(|_| {
        Refusal::new(
            StatusCode::NOT_FOUND,
            Reason::NotFound,
            "this is no message id",
        )
    })?;
    Ok((id, caller.key.app.id.clone()))
}

fn passed_on(answer: BytesMut) -> Response {
    let mut response = Response::new(Body::from(answer.freeze()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

fn unanswered(read: &Read, id: MessageId, now: Timestamp) -> Refusal {
    if matches!(read, Read::Unreachable) {
        return Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Reason::Unavailable,
            "status reads are not available now; sending is",
        )
        .retry_after(Duration::from_secs(2));
    }
    let refusal = Refusal::new(
        StatusCode::NOT_FOUND,
        Reason::NotFound,
        "nothing is known of this message, or not yet",
    );
    if could_be_new(id, now) {
        refusal.retry_after(Duration::from_secs(2))
    } else {
        refusal
    }
}

/// A random id tells its age; a derived one does not.
fn could_be_new(id: MessageId, now: Timestamp) -> bool {
    match id.0.get_version_num() {
        7 => id.0.get_timestamp().is_some_and(|t| {
            let (seconds, nanos) = t.to_unix();
            let made = Timestamp(
                i64::try_from(seconds)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(1000)
                    + i64::from(nanos / 1_000_000),
            );
            now.since(made) < NEW_FOR.as_millis() as i64
        }),
        8 => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_that_could_be_new_is_worth_asking_for_again() {
        let id = MessageId::random();
        let (seconds, _) = id.0.get_timestamp().unwrap().to_unix();
        let made = Timestamp(seconds as i64 * 1000);
        assert!(could_be_new(id, made.plus_millis(5_000)));
        assert!(!could_be_new(id, made.plus_millis(120_000)));
        let derived = MessageId::from_nonce("k", "nonce-01", 0, &"+8613800138000".parse().unwrap());
        assert!(could_be_new(derived, made.plus_millis(120_000)));
        assert!(!could_be_new(MessageId(uuid::Uuid::nil()), made));
    }
}
