//! Refusals as RFC 9457 problem details.

use std::{borrow::Cow, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use jixinda_schemas::{MessageId, Reason, auth, validate::Problem};
use serde::Serialize;
use uuid::Uuid;

pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Why a call is not done as asked.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: Reason,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) errors: Vec<Problem>,
    pub(crate) message_id: Option<MessageId>,
    pub(crate) retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(
        status: StatusCode,
        code: Reason,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            message_id: None,
            retry_after: None,
        }
    }

    pub(crate) fn unauthorized(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, Reason::Unauthorized, detail)
    }

    /// A request with problems; they must not be none.
    pub(crate) fn problems(errors: Vec<Problem>) -> Self {
        let code = errors.first().map_or(Reason::BadField, |p| p.reason);
        let status = if code == Reason::IdempotencyConflict {
            StatusCode::CONFLICT
        } else {
            StatusCode::UNPROCESSABLE_ENTITY
        };
        let detail = match errors.as_slice() {
            [one] => format!("`{}`: {}", one.field, one.detail),
            more => format!("{} problems, see errors", more.len()),
        };
        Self {
            errors,
            ..Self::new(status, code, detail)
        }
    }

    pub(crate) const fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    pub(crate) fn into_response(self, request_id: Uuid) -> Response {
        let errors: Vec<_> = self.errors.iter().map(Item::from).collect();
        let head = Head::new(self.status, self.code, &self.detail, request_id);
        let mut response = json(
            self.status,
            &Document {
                head,
                message_id: self.message_id,
                errors,
            },
        );
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds(after));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(auth::SCHEME),
            );
        }
        if self.status == StatusCode::PAYLOAD_TOO_LARGE
            || self.status == StatusCode::REQUEST_TIMEOUT
        {
            // The rest of the body was not read, so the connection cannot be used again.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// `Retry-After` in whole seconds, at least one.
pub(crate) fn seconds(after: Duration) -> HeaderValue {
    HeaderValue::from(after.as_millis().div_ceil(1000).clamp(1, 3600) as u32)
}

/// The members that every problem has.
#[derive(Debug, Serialize)]
pub(crate) struct Head<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: Reason,
    request_id: uuid::fmt::Simple,
}

impl<'a> Head<'a> {
    pub(crate) fn new(status: StatusCode, code: Reason, detail: &'a str, request_id: Uuid) -> Self {
        Self {
            kind: format!("urn:jixinda:problem:{code}"),
            title: code.help(),
            status: status.as_u16(),
            detail,
            code,
            request_id: request_id.simple(),
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Item<'a>>,
}

/// One thing that is wrong, as callers see it.
#[derive(Debug, Serialize)]
pub(crate) struct Item<'a> {
    field: &'a str,
    code: Reason,
    detail: &'a str,
}

impl<'a> From<&'a Problem> for Item<'a> {
    fn from(problem: &'a Problem) -> Self {
        Self {
            field: &problem.field,
            code: problem.reason,
            detail: &problem.detail,
        }
    }
}

/// A JSON answer.
#[expect(
    clippy::expect_used,
    reason = "answers hold only what JSON can express: string keys, finite numbers"
)]
pub(crate) fn json(status: StatusCode, answer: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(answer).expect("an answer is JSON");
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}
