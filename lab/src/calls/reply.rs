//! What the client gets to see, and how it gets there.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, request::Parts};
use axum::response::Response;
use futures_util::stream;
use tokio::sync::oneshot;

use crate::hub::Hub;
use crate::journal::Answered;
use crate::socket::Peer;
use crate::vendor::Answer;

/// Between two bytes of a slow answer.
const TRICKLE: Duration = Duration::from_millis(500);

/// What the client gets to see.
#[derive(Debug)]
pub(super) enum Reply {
    /// The vendor's own.
    Said(Answer),
    Status(u16),
    Garbage(&'static str),
    /// The right answer, byte by byte.
    Trickle(Answer),
    Hang,
    Reset,
}

impl Reply {
    pub(super) fn answered(&self) -> Answered {
        match self {
            Self::Said(answer) if (200..300).contains(&answer.status) => Answered::Ok,
            Self::Said(answer) => Answered::Status(answer.status),
            Self::Status(status) => Answered::Status(*status),
            Self::Garbage(_) => Answered::Garbage,
            Self::Hang | Self::Trickle(_) => Answered::Timeout,
            Self::Reset => Answered::Reset,
        }
    }
}

/// Answers, once the call is in the journal where that is wanted.
pub(super) async fn answer(
    hub: &Hub,
    peer: &Peer,
    parts: &Parts,
    reply: Reply,
    on_disk: Option<oneshot::Receiver<()>>,
) -> Response {
    tracing::trace!(path = parts.uri.path(), answered = %reply.answered(), "vendor call");
    if let Some(on_disk) = on_disk
        && on_disk.await.is_err()
    {
        return plain(500, "the lab's journal is closed");
    }
    match reply {
        Reply::Said(answer) => written(answer),
        Reply::Status(status) => plain(status, "<html><body>the lab's gateway</body></html>"),
        Reply::Garbage(garbage) => plain(200, garbage),
        Reply::Trickle(answer) => trickle(answer),
        Reply::Hang => {
            let mut stop = hub.stop.clone();
            tokio::select! {
                () = tokio::time::sleep(hub.config.hang_limit) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
            peer.cut();
            plain(504, "")
        }
        Reply::Reset => {
            peer.cut();
            plain(500, "")
        }
    }
}

fn headed(answer: &Answer) -> axum::http::response::Builder {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in &answer.headers {
        response = response.header(*name, value);
    }
    response
}

pub(super) fn written(answer: Answer) -> Response {
    headed(&answer)
        .body(Body::from(answer.body))
        .unwrap_or_default()
}

fn trickle(answer: Answer) -> Response {
    let response = headed(&answer);
    let bytes = stream::unfold((answer.body, 0), |(body, at)| async move {
        let byte = Bytes::copy_from_slice(&[*body.get(at)?]);
        tokio::time::sleep(TRICKLE).await;
        Some((Ok::<_, std::io::Error>(byte), (body, at + 1)))
    });
    response.body(Body::from_stream(bytes)).unwrap_or_default()
}

pub(super) fn plain(status: u16, body: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
