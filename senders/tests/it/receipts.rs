//! The receipt endpoint over HTTP, with a sink in memory.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::connect_info::MockConnectInfo,
    http::Request,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jixinda_schemas::{
    Reason,
    event::{DeadLetter, Inbound, RawReceipt},
    vendor::ReceiptStatus,
};
use jixinda_senders::receipts::{
    MAX_BODY, MAX_PUSHES, ReceiptSink, Receipts, Taken, Unavailable, router,
};
use tokio::sync::watch;
use tower::ServiceExt;

use crate::support::{TOKEN, channel, now, registry};

const GOOD: &str = r#"{"phone_number":"13800138000","report_time":"2025-01-02 11:04:09","success":true,
    "err_code":"DELIVERED","sms_size":"1","biz_id":"900619746936498440^0","out_id":"100000000000001"}"#;

#[derive(Default)]
struct Memory {
    receipts: Mutex<Vec<RawReceipt>>,
    inbound: Mutex<Vec<Inbound>>,
    letters: Mutex<Vec<DeadLetter>>,
    down: AtomicBool,
    stuck: AtomicBool,
}

#[async_trait]
impl ReceiptSink for Memory {
    async fn store(&self, taken: Taken) -> Result<(), Unavailable> {
        if self.down.load(Ordering::Relaxed) {
            return Err(Unavailable("no broker".to_owned()));
        }
        if self.stuck.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.receipts.lock().unwrap().extend(taken.receipts);
        self.inbound.lock().unwrap().extend(taken.inbound);
        self.letters.lock().unwrap().extend(taken.unreadable);
        Ok(())
    }
}

struct Endpoint {
    sink: Arc<Memory>,
    router: Router,
}

impl Endpoint {
    fn new(peer: &str) -> Self {
        let mut channel = channel("https://dysmsapi.aliyuncs.com");
        channel.receipt_ip_allow = vec!["198.51.100.0/24".parse().unwrap()];
        let sink = Arc::new(Memory::default());
        // A closed sender keeps its last value.
        let (_, registry) = watch::channel(Arc::new(registry(channel)));
        let receipts = Receipts {
            registry,
            sink: sink.clone(),
            trusted_proxies: ["10.0.0.0/8".parse().unwrap()].into(),
            now: now(),
        };
        let peer: SocketAddr = format!("{peer}:4711").parse().unwrap();
        Self {
            sink,
            router: router(receipts).layer(MockConnectInfo(peer)),
        }
    }

    async fn push(&self, path: &str, body: impl Into<Body>) -> (u16, String) {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("x-forwarded-for", "198.51.100.7");
        let response = self
            .router
            .clone()
            .oneshot(request.body(body.into()).unwrap())
            .await
            .unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 4096).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn stored(&self) -> (usize, usize) {
        (
            self.sink.receipts.lock().unwrap().len(),
            self.sink.letters.lock().unwrap().len(),
        )
    }
}

fn path() -> String {
    format!("/receipts/aliyun-a/{TOKEN}")
}

#[tokio::test]
async fn a_stored_push_gets_the_exact_answer_of_the_vendor() {
    let endpoint = Endpoint::new("198.51.100.7");
    let answer = endpoint.push(&path(), format!("[{GOOD}]")).await;
    assert_eq!(answer, (200, r#"{"code":0,"msg":"接收成功"}"#.to_owned()));
    let receipts = endpoint.sink.receipts.lock().unwrap();
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].status, ReceiptStatus::Delivered);
    assert_eq!(receipts[0].channel.as_str(), "aliyun-a");
    assert_eq!(receipts[0].vendor, "aliyun");
    assert_eq!(
        receipts[0].received_at.to_string(),
        "2025-01-02T03:04:05.000Z"
    );
    assert_eq!(receipts[0].raw["sms_size"], "1");
}

#[tokio::test]
async fn a_message_from_a_handset_is_stored_as_one() {
    let endpoint = Endpoint::new("198.51.100.7");
    let body =
        r#"[{"phone_number":"13800138000","content":"R","dest_code":"1069","sequence_id":7}]"#;
    assert_eq!(endpoint.push(&path(), body).await.0, 200);
    let inbound = endpoint.sink.inbound.lock().unwrap();
    assert_eq!(inbound[0].sender.expose(), "+8613800138000");
    assert_eq!((&*inbound[0].text, &*inbound[0].destination), ("R", "1069"));
    assert_eq!(endpoint.stored(), (0, 0));
}

#[tokio::test]
async fn a_push_that_cannot_be_stored_is_not_acknowledged() {
    let endpoint = Endpoint::new("198.51.100.7");
    endpoint.sink.down.store(true, Ordering::Relaxed);
    let (status, body) = endpoint.push(&path(), format!("[{GOOD}]")).await;
    assert_eq!(status, 500);
    assert!(!body.contains("\"code\":0"));
}

#[tokio::test]
async fn an_unknown_channel_and_a_wrong_token_look_the_same() {
    let endpoint = Endpoint::new("203.0.113.1");
    let wrong = endpoint.push("/receipts/aliyun-a/nope", "[]").await;
    let unknown = endpoint
        .push(&format!("/receipts/aliyun-b/{TOKEN}"), "[]")
        .await;
    let garbage = endpoint.push("/receipts/%ff/%ff", "[]").await;
    assert_eq!(wrong, (404, String::new()));
    assert_eq!(wrong, unknown);
    assert_eq!(wrong, garbage);
}

#[tokio::test]
async fn an_address_that_is_not_allowed_is_refused_whatever_it_claims() {
    let (status, _) = Endpoint::new("203.0.113.1")
        .push(&path(), format!("[{GOOD}]"))
        .await;
    assert_eq!(status, 403);
    // The same claim is believed from a trusted proxy.
    let (status, _) = Endpoint::new("10.1.2.3")
        .push(&path(), format!("[{GOOD}]"))
        .await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn an_oversized_push_is_refused() {
    let endpoint = Endpoint::new("198.51.100.7");
    let (status, _) = endpoint.push(&path(), vec![b' '; MAX_BODY + 1]).await;
    assert_eq!(status, 413);
    assert_eq!(endpoint.stored(), (0, 0));
}

#[tokio::test]
async fn one_bad_item_goes_alone_to_the_dead_letters() {
    let endpoint = Endpoint::new("198.51.100.7");
    let body = format!(r#"[{GOOD},{{"phone_number":"12","success":true}},{GOOD}]"#);
    let (status, _) = endpoint.push(&path(), body).await;
    assert_eq!(status, 200);
    assert_eq!(endpoint.stored(), (2, 1));
    let letters = endpoint.sink.letters.lock().unwrap();
    assert_eq!(letters[0].reason, Reason::ReceiptUnreadable);
    assert_eq!(
        STANDARD.decode(&letters[0].value).unwrap(),
        br#"{"phone_number":"12","success":true}"#
    );
}

#[tokio::test]
async fn an_unreadable_body_is_kept_whole_and_acknowledged() {
    for body in ["not json", "{}"] {
        let endpoint = Endpoint::new("198.51.100.7");
        let (status, _) = endpoint.push(&path(), body).await;
        assert_eq!((status, endpoint.stored()), (200, (0, 1)));
        let letters = endpoint.sink.letters.lock().unwrap();
        assert_eq!(STANDARD.decode(&letters[0].value).unwrap(), body.as_bytes());
        assert_eq!(letters[0].headers[0].1, "application/json");
    }
}

#[tokio::test]
async fn an_empty_push_is_acknowledged_even_when_nothing_can_be_stored() {
    let endpoint = Endpoint::new("198.51.100.7");
    endpoint.sink.down.store(true, Ordering::Relaxed);
    assert_eq!(endpoint.push(&path(), "[]").await.0, 200);
}

#[tokio::test]
async fn a_push_with_more_items_than_a_real_one_can_have_is_one_dead_letter() {
    let endpoint = Endpoint::new("198.51.100.7");
    let (status, _) = endpoint
        .push(&path(), format!("[{}1]", "1,".repeat(5_000)))
        .await;
    assert_eq!((status, endpoint.stored()), (200, (0, 1)));
}

#[tokio::test]
async fn more_pushes_than_slots_are_asked_to_come_again() {
    let endpoint = Arc::new(Endpoint::new("198.51.100.7"));
    endpoint.sink.stuck.store(true, Ordering::Relaxed);
    let stuck: Vec<_> = (0..MAX_PUSHES)
        .map(|_| {
            let endpoint = Arc::clone(&endpoint);
            tokio::spawn(async move { endpoint.push(&path(), format!("[{GOOD}]")).await })
        })
        .collect();
    // The test runs on one thread: each task runs until it waits for the sink.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(endpoint.push(&path(), format!("[{GOOD}]")).await.0, 503);
    for task in &stuck {
        task.abort();
    }
    for task in stuck {
        assert!(task.await.unwrap_err().is_cancelled());
    }
    endpoint.sink.stuck.store(false, Ordering::Relaxed);
    assert_eq!(endpoint.push(&path(), format!("[{GOOD}]")).await.0, 200);
}
