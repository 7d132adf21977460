//! One HTTP exchange with a vendor, and what a failed one means.

use std::error::Error as _;

use bytes::{Bytes, BytesMut};
use jixinda_schemas::vendor::{Blame, Disposition};
use reqwest::header::HeaderMap;

use crate::vendor::{ItemResult, not_sent, unknown};

/// Largest answer that is read; vendors answer a call with a few hundred bytes.
pub const MAX_ANSWER: usize = 64 * 1024;

/// Largest answer to a fetch.
pub const MAX_FETCHED: usize = 4 * 1024 * 1024;

/// Largest answer about hundreds of numbers or reports: 500 of them with 2 KiB each.
pub const MAX_LONG_ANSWER: usize = 1024 * 1024;

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Sends `request` and reads the whole answer. The request carries its own timeout.
///
/// # Errors
/// The result for every item of the call: definite when no byte left, unknown otherwise.
pub async fn exchange(
    client: &reqwest::Client,
    request: Result<reqwest::Request, reqwest::Error>,
) -> Result<Answer, ItemResult> {
    exchange_within(client, request, MAX_ANSWER).await
}

/// As [`exchange`], with an answer of at most `largest` bytes.
///
/// # Errors
/// As [`exchange`].
pub async fn exchange_within(
    client: &reqwest::Client,
    request: Result<reqwest::Request, reqwest::Error>,
    largest: usize,
) -> Result<Answer, ItemResult> {
    let request = request.map_err(|_| {
        not_sent(
            Disposition::RetryOther,
            Blame::None,
            "request",
            "the request cannot be written in HTTP",
        )
    })?;
    let mut response = client.execute(request).await.map_err(|e| failure(&e))?;
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| failure(&e))? {
        if body.len() + chunk.len() > largest {
            return Err(unknown("answer_too_large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status: response.status().as_u16(),
        headers: std::mem::take(response.headers_mut()),
        body: body.freeze(),
    })
}

/// Only a connect error (name, TCP, TLS) is before the first byte of the request.
fn failure(error: &reqwest::Error) -> ItemResult {
    if error.is_connect() {
        let message = if error.is_dns() {
            "the vendor's name does not resolve"
        } else if error.is_timeout() {
            "no connection in time"
        } else {
            "no connection"
        };
        return not_sent(Disposition::RetryOther, Blame::Channel, "connect", message);
    }
    if error.is_timeout() {
        return unknown("timeout");
    }
    let mut source = error.source();
    while let Some(e) = source {
        if e.downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse)
        {
            return unknown("unparsable");
        }
        source = e.source();
    }
    unknown("reset")
}
