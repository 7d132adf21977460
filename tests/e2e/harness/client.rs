//! An application that sends over HTTP.

use jixinda_schemas::{MessageId, auth::Signable};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) key: String,
    pub(crate) secret: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Answer {
    /// The id in a 202.
    #[track_caller]
    pub(crate) fn accepted(&self) -> MessageId {
        assert_eq!(self.status, StatusCode::ACCEPTED, "{}", self.body);
        self.body["message_id"].as_str().unwrap().parse().unwrap()
    }

    /// The status and the stable code of a refusal.
    pub(crate) fn code(&self) -> (u16, &str) {
        let code = self.body["code"].as_str().unwrap_or_default();
        (self.status.as_u16(), code)
    }
}

pub(crate) fn now_seconds() -> i64 {
    use jixinda_runtime::clock::{Clock as _, SystemClock};
    SystemClock.now().millis() / 1000
}

impl Client {
    pub(crate) fn new(http: reqwest::Client, base: String, key: String, secret: String) -> Self {
        Self {
            http,
            base,
            key,
            secret,
        }
    }

    /// The value of the `Authorization` header.
    pub(crate) fn authorization(
        &self,
        method: &Method,
        path: &str,
        body: &[u8],
        ts: i64,
        nonce: &str,
    ) -> String {
        let signable = Signable {
            method: method.as_str(),
            path,
            query: "",
            body,
            key: &self.key,
            ts,
            nonce,
        };
        signable.authorization(&self.secret)
    }

    /// Sends exactly this.
    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        authorization: &str,
        body: Vec<u8>,
    ) -> Result<Answer, reqwest::Error> {
        let sent = self
            .http
            .request(method, format!("{}{path}", self.base))
            .header("Authorization", authorization)
            .header("Content-Type", "application/json")
            .body(body)
            .send()
            .await?;
        let status = sent.status();
        let text = sent.text().await?;
        let body = serde_json::from_str(&text).unwrap_or_else(|_| json!({ "text": text }));
        Ok(Answer { status, body })
    }

    async fn signed(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Answer, reqwest::Error> {
        let nonce = format!("{:032x}", rand::random::<u128>());
        let authorization = self.authorization(&method, path, &body, now_seconds(), &nonce);
        self.raw(method, path, &authorization, body).await
    }

    /// One signed request for one message; an error is a lost connection.
    pub(crate) async fn try_send(&self, message: &Value) -> Result<Answer, reqwest::Error> {
        self.signed(
            Method::POST,
            "/v1/messages",
            message.to_string().into_bytes(),
        )
        .await
    }

    pub(crate) async fn send(&self, message: &Value) -> Answer {
        self.try_send(message).await.unwrap()
    }

    pub(crate) async fn batch(&self, batch: &Value) -> Answer {
        self.signed(
            Method::POST,
            "/v1/messages/batch",
            batch.to_string().into_bytes(),
        )
        .await
        .unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.signed(Method::GET, path, Vec::new()).await.unwrap()
    }
}

/// A message of `shop` in a lane.
pub(crate) fn message(lane: &str, recipient: &str) -> Value {
    let (template, params) = match lane {
        "otp" => ("login", json!({ "code": "482913" })),
        "notice" => ("order", json!({ "name": "王女士", "order": "A1024" })),
        "marketing" => ("sale", json!({ "name": "李先生" })),
        other => panic!("no lane {other}"),
    };
    json!({ "recipient": recipient, "template": template, "params": params })
}

/// The same as an event for a direct producer of `app`.
pub(crate) fn event(app: &str, payload: &Value) -> Value {
    use jixinda_runtime::clock::{Clock as _, SystemClock};
    json!({
        "type": "request", "version": 1, "at": SystemClock.now().to_string(), "app_id": app, "payload": payload,
    })
}
