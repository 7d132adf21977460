//! `POST /v1/messages/batch`: every item is judged, written and answered on its own.

use std::collections::HashMap;

use axum::{
    extract::Request,
    http::{StatusCode, header},
    response::Response,
};
use jixinda_runtime::kafka::producer::WriteError;
use jixinda_schemas::{Lane, MessageId, Reason, validate::Problem};
use serde::Serialize;

use super::{
    Admitted, Api, Call, is_dry_run,
    problem::{self, Head, Item, PROBLEM_JSON, Refusal},
    request_key, traceparent, unreadable,
};
use crate::{
    accept::{self, Candidate, Place},
    auth::Caller,
    body::{Batch, Fields, MAX_ITEMS, Slot},
};

/// Items judged between two chances for other requests to run.
const STRETCH: usize = 64;

/// What became of an item.
enum End {
    Accepted(Candidate),
    Refused(Vec<Problem>),
    /// Not acknowledged; it may be written all the same.
    Unavailable(Candidate, WriteError),
}

#[derive(Serialize)]
struct Line<'a> {
    index: usize,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lane: Option<Lane>,
    #[serde(skip_serializing_if = "Option::is_none")]
    characters: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    problem: Option<Head<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<uuid::fmt::Simple>,
    accepted: usize,
    refused: usize,
    unavailable: usize,
    results: Vec<Line<'a>>,
}

pub(super) async fn handle(api: &Api, call: &Call, request: Request) -> Result<Response, Refusal> {
    let Admitted {
        caller,
        parts,
        body,
    } = api.admit(call, request, api.config.max_batch_body).await?;
    let dry_run = is_dry_run(&parts)?;
    let Batch {
        mut defaults,
        items,
    } = serde_json::from_slice(&body).map_err(|e| unreadable(&e))?;
    let key = request_key(&parts.headers, &defaults.idempotency_key, &caller)?;
    let items = check_whole(&defaults, items)?;
    api.pace(&caller, u32::try_from(items.len()).unwrap_or(u32::MAX))?;
    let key = key.map(ToOwned::to_owned);
    defaults.idempotency_key = Slot::Absent;

    let trace = traceparent(&parts.headers).into_owned();
    let now = api.clock.now();
    let mut ends = Vec::with_capacity(items.len());
    let mut pending = Vec::new();
    let mut seen: HashMap<MessageId, usize> = HashMap::with_capacity(items.len());
    for (index, fields) in items.into_iter().enumerate() {
        if index % STRETCH == STRETCH - 1 {
            tokio::task::yield_now().await;
        }
        let place = Place {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            defaults: Some(&defaults),
            key: key.as_deref(),
        };
        let judged = accept::judge(fields, &place, &caller, now).and_then(|message| {
            // Only items with the same key of their own can meet here.
            if let Some(first) = seen.insert(message.id, index) {
                let detail = format!("item {first} of this batch has the same key and recipient");
                return Err(vec![Problem::new(
                    "idempotency_key",
                    Reason::BadField,
                    detail,
                )]);
            }
            Ok(message)
        });
        ends.push(match judged {
            Err(problems) => End::Refused(problems),
            Ok(message) if dry_run => End::Accepted(message),
            Ok(message) => match api
                .known(&message)
                .map(|known| accept::repeats(&message, &known))
            {
                Some(Ok(())) => {
                    api.metrics.repeated();
                    End::Accepted(message)
                }
                Some(Err(conflict)) => End::Refused(vec![conflict]),
                None => match api.writer.hand_over(&caller.key.app.id, &message, &trace) {
                    Ok(acknowledgement) => {
                        pending.push((index, acknowledgement));
                        End::Accepted(message)
                    }
                    Err(WriteError::TooLarge) => End::Refused(vec![Problem::new(
                        "params",
                        Reason::BodyTooLarge,
                        "the record of the message is too large",
                    )]),
                    Err(failure) => End::Unavailable(message, failure),
                },
            },
        });
    }
    // All are on their way; only now is there anything to wait for.
    for (index, acknowledgement) in pending {
        let result = api.writer.acknowledged(acknowledgement, &api.metrics).await;
        let end = std::mem::replace(&mut ends[index], End::Refused(Vec::new()));
        let End::Accepted(message) = end else {
            continue;
        };
        ends[index] = match result {
            Ok(()) => {
                api.accepted(&caller, &message);
                End::Accepted(message)
            }
            Err(failure) => End::Unavailable(message, failure),
        };
    }
    Ok(answer(api, call, &caller, &ends, dry_run))
}

/// What is wrong with the batch as a whole.
fn check_whole<'a>(
    defaults: &Fields<'_>,
    items: Option<crate::body::Items<'a>>,
) -> Result<Vec<Fields<'a>>, Refusal> {
    let mut problems: Vec<Problem> = defaults.problems.clone();
    match &defaults.idempotency_key {
        Slot::Text(_) | Slot::Absent => {}
        Slot::Seconds(_) | Slot::Wrong(_) => {
            problems.push(Problem::new(
                "idempotency_key",
                Reason::BadField,
                "must be a string",
            ));
        }
    }
    let Some(items) = items else {
        problems.push(Problem::new(
            "items",
            Reason::MissingField,
            "needed: an array of messages",
        ));
        return Err(Refusal::problems(problems));
    };
    if items.count == 0 || items.count > MAX_ITEMS {
        problems.push(Problem::new(
            "items",
            Reason::BatchTooLarge,
            format!("1 to {MAX_ITEMS} items, not {}", items.count),
        ));
    }
    if problems.is_empty() {
        Ok(items.list)
    } else {
        Err(Refusal::problems(problems))
    }
}

fn answer(api: &Api, call: &Call, caller: &Caller, ends: &[End], dry_run: bool) -> Response {
    let count = |wanted: fn(&End) -> bool| ends.iter().filter(|end| wanted(end)).count();
    let accepted = count(|end| matches!(end, End::Accepted(_)));
    let refused = count(|end| matches!(end, End::Refused(_)));
    let unavailable = ends.len() - accepted - refused;
    let mut first_refusal = None;
    let results = ends
        .iter()
        .enumerate()
        .map(|(index, end)| {
            let line = Line {
                index,
                status: "refused",
                message_id: None,
                lane: None,
                characters: None,
                segments: None,
                errors: Vec::new(),
            };
            match end {
                End::Accepted(m) => Line {
                    status: if dry_run { "dry_run" } else { "accepted" },
                    message_id: (m.repeatable || !dry_run).then_some(m.id),
                    lane: Some(m.lane),
                    characters: dry_run.then_some(m.characters),
                    segments: Some(m.segments),
                    ..line
                },
                End::Refused(problems) => {
                    let reason = problems.first().map_or(Reason::BadField, |p| p.reason);
                    api.metrics.refused(reason);
                    first_refusal.get_or_insert(reason);
                    Line {
                        errors: problems.iter().map(Item::from).collect(),
                        ..line
                    }
                }
                End::Unavailable(m, failure) => {
                    api.metrics.refused(Reason::Unavailable);
                    api.writer.complain(failure);
                    Line {
                        status: "unavailable",
                        message_id: Some(m.id),
                        ..line
                    }
                }
            }
        })
        .collect();
    let repeatable = ends
        .iter()
        .all(|end| !matches!(end, End::Unavailable(m, _) if !m.repeatable));
    let (status, problem) = if unavailable > 0 {
        let detail = if repeatable {
            "the log has not acknowledged the items with status unavailable; send the whole batch again as it is: each item keeps its message_id and is sent once"
        } else {
            "the log has not acknowledged the items with status unavailable, which may be written all the same; without an idempotency key a repeat makes other messages, so send only these again, and give them keys"
        };
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Some((Reason::Unavailable, detail)),
        )
    } else if accepted == 0 {
        let reason = first_refusal.unwrap_or(Reason::BadField);
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            Some((reason, "no item of the batch can be accepted, see results")),
        )
    } else if refused > 0 {
        (StatusCode::MULTI_STATUS, None)
    } else if dry_run {
        (StatusCode::OK, None)
    } else {
        (StatusCode::ACCEPTED, None)
    };
    if !dry_run && unavailable == 0 && accepted > 0 {
        api.auth.remember_nonce(caller);
    }
    let is_problem = problem.is_some();
    let document = Document {
        request_id: (!is_problem).then(|| call.request_id.simple()),
        problem: problem.map(|(code, detail)| Head::new(status, code, detail, call.request_id)),
        accepted,
        refused,
        unavailable,
        results,
    };
    let mut response = problem::json(status, &document);
    if is_problem {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, PROBLEM_JSON);
    }
    if unavailable > 0 {
        response.headers_mut().insert(
            header::RETRY_AFTER,
            problem::seconds(std::time::Duration::from_secs(1)),
        );
    }
    response
}
