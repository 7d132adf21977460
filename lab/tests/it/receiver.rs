//! Takes receipt pushes and answers them as told.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;

pub(crate) const ACK: &str = r#"{"code":0,"msg":"接收成功"}"#;

#[derive(Clone, Default)]
pub(crate) struct Receiver {
    pushes: Arc<Mutex<Vec<Vec<Value>>>>,
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
            .route("/r", post(take))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (receiver, address)
    }

    pub(crate) fn pushes(&self) -> Vec<Vec<Value>> {
        self.pushes.lock().unwrap().clone()
    }

    pub(crate) fn items(&self) -> Vec<Value> {
        self.pushes().concat()
    }
}

async fn take(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, &'static str) {
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/json")
    );
    receiver
        .pushes
        .lock()
        .unwrap()
        .push(serde_json::from_str(&body).unwrap());
    let answer = receiver.answers.lock().unwrap().pop_front();
    let (status, text) = answer.unwrap_or((200, ACK));
    (StatusCode::from_u16(status).unwrap(), text)
}

pub(crate) fn url(address: SocketAddr) -> String {
    format!("receipt_url = \"http://{address}/r\"\n")
}
