//! Takes receipt pushes and answers them as told, or as their vendor wants it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;

pub(crate) const ACK: &str = r#"{"code":0,"msg":"接收成功"}"#;

#[derive(Clone, Default)]
pub(crate) struct Receiver {
    requests: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
}

impl Receiver {
    /// `answers` are used up first; then everything is acknowledged.
    pub(crate) async fn start(answers: &[(u16, &'static str)]) -> (Self, SocketAddr) {
        let receiver = Self::default();
        receiver.answers.lock().unwrap().extend(answers);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new()
            .route("/r", post(take).get(take))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (receiver, address)
    }

    /// Heads and bodies, as they came; a query where there is no body.
    pub(crate) fn requests(&self) -> Vec<(HeaderMap, String)> {
        self.requests.lock().unwrap().clone()
    }

    /// Those that are JSON arrays.
    pub(crate) fn pushes(&self) -> Vec<Vec<Value>> {
        let arrays = self.requests().into_iter().filter(|(headers, _)| {
            let kind = headers["content-type"].to_str().unwrap();
            kind.starts_with("application/json")
        });
        arrays
            .map(|(_, body)| serde_json::from_str(&body).unwrap())
            .collect()
    }

    pub(crate) fn items(&self) -> Vec<Value> {
        self.pushes().concat()
    }
}

async fn take(
    State(receiver): State<Receiver>,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let ack = ack(&body);
    let body = if body.is_empty() {
        uri.query().unwrap_or_default().to_owned()
    } else {
        body
    };
    receiver.requests.lock().unwrap().push((headers, body));
    let answer = receiver.answers.lock().unwrap().pop_front();
    let (status, text) = answer.map_or((200, ack), |(status, text)| (status, text.to_owned()));
    (StatusCode::from_u16(status).unwrap(), text)
}

/// Montnets wants its command and number back.
fn ack(body: &str) -> String {
    let form: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    let of = |name: &str| form.iter().find(|(known, _)| known == name);
    match (of("cmd"), of("seqid")) {
        (Some((_, command)), Some((_, number))) => {
            let command = command.replace("_REQ", "_RESP");
            format!(r#"{{"cmd":"{command}","seqid":{number},"result":0}}"#)
        }
        _ => ACK.to_owned(),
    }
}

pub(crate) fn url(address: SocketAddr) -> String {
    format!("receipt_url = \"http://{address}/r\"\n")
}
