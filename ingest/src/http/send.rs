//! `POST /v1/messages`.

use axum::{extract::Request, http::StatusCode, response::Response};
use jixinda_schemas::{Lane, MessageId, Timestamp};
use serde::Serialize;

use super::{
    Admitted, Api, Call, is_dry_run,
    problem::{self, Refusal},
    request_key, traceparent, unavailable, unreadable,
};
use crate::{
    accept::{self, Place},
    body::Fields,
};

#[derive(Serialize)]
struct Accepted {
    message_id: MessageId,
    status: &'static str,
    lane: Lane,
    segments: u32,
    request_id: uuid::fmt::Simple,
}

#[derive(Serialize)]
struct Tried {
    /// Absent when it would be random.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<MessageId>,
    status: &'static str,
    lane: Lane,
    characters: usize,
    segments: u32,
    not_after: Timestamp,
    request_id: uuid::fmt::Simple,
}

pub(super) async fn handle(api: &Api, call: &Call, request: Request) -> Result<Response, Refusal> {
    let Admitted {
        caller,
        parts,
        body,
    } = api.admit(call, request, api.config.max_body).await?;
    let dry_run = is_dry_run(&parts)?;
    let mut fields: Fields<'_> = serde_json::from_slice(&body).map_err(|e| unreadable(&e))?;
    api.pace(&caller, 1)?;
    // The key of a single message is that of its request; what is left in the field is of a wrong kind.
    let slot = std::mem::take(&mut fields.idempotency_key);
    let key = request_key(&parts.headers, &slot, &caller)?.map(ToOwned::to_owned);
    if key.is_none() {
        fields.idempotency_key = slot;
    }
    let place = Place {
        index: 0,
        defaults: None,
        key: key.as_deref(),
    };
    let message =
        accept::judge(fields, &place, &caller, api.clock.now()).map_err(Refusal::problems)?;
    let request_id = call.request_id.simple();
    let known = api.known(&message);
    if let Some(known) = &known {
        accept::repeats(&message, known).map_err(|conflict| {
            let mut refusal = Refusal::problems(vec![conflict]);
            refusal.message_id = Some(message.id);
            refusal
        })?;
    }
    if dry_run {
        return Ok(problem::json(
            StatusCode::OK,
            &Tried {
                message_id: message.repeatable.then_some(message.id),
                status: "dry_run",
                lane: message.lane,
                characters: message.characters,
                segments: message.segments,
                not_after: message.not_after,
                request_id,
            },
        ));
    }
    let (lane, segments) = match known {
        Some(known) => {
            api.metrics.repeated();
            (known.lane, known.segments)
        }
        None => {
            let app = &caller.key.app.id;
            let written = match api
                .writer
                .hand_over(app, &message, &traceparent(&parts.headers))
            {
                Ok(pending) => api.writer.acknowledged(pending, &api.metrics).await,
                Err(failure) => Err(failure),
            };
            written.map_err(|failure| {
                api.writer.complain(&failure);
                unavailable(&failure, message.id, message.repeatable)
            })?;
            api.accepted(&caller, &message);
            (message.lane, message.segments)
        }
    };
    api.auth.remember_nonce(&caller);
    let answer = Accepted {
        message_id: message.id,
        status: "accepted",
        lane,
        segments,
        request_id,
    };
    Ok(problem::json(StatusCode::ACCEPTED, &answer))
}
