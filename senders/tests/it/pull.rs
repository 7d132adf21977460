//! Fetching over HTTP, with a sink in memory.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jixinda_runtime::lifecycle::Lifecycle;
use jixinda_schemas::{ChannelId, event::RawReceipt};
use jixinda_senders::{
    receipts::{Held, History, ReceiptSink, Receipts, Taken, Unavailable, Unread, pull_all},
    vendors::waiting::Earlier,
};
use serde_json::json;
use tokio::sync::watch;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use crate::support::{channel_of, now, registry};

const PARTITIONS: i32 = 6;
/// Longer than the scheduler's look, and than its pause between tries to store.
const A_WHILE: Duration = Duration::from_millis(1_300);

#[derive(Default)]
struct Memory {
    stored: Mutex<Vec<RawReceipt>>,
    down: AtomicBool,
}

#[async_trait]
impl ReceiptSink for Memory {
    async fn store(&self, taken: Taken) -> Result<(), Unavailable> {
        if self.down.load(Ordering::Relaxed) {
            return Err(Unavailable("no broker".to_owned()));
        }
        self.stored.lock().unwrap().extend(taken.receipts);
        Ok(())
    }
}

/// Nothing was sent before.
struct Blank;

#[async_trait]
impl History for Blank {
    async fn open(&self, _channel: &ChannelId, _partition: i32) -> Result<Vec<Earlier>, Unread> {
        Ok(Vec::new())
    }
}

/// One report, which is gone with the answer; none after it.
async fn vendor() -> MockServer {
    let server = MockServer::start().await;
    let set = |reports| {
        ResponseTemplate::new(200)
            .set_body_json(json!({"Response": {"PullSmsSendStatusSet": reports}}))
    };
    let report = json!([{"SubscriberNumber": "13800138000", "CountryCode": "86", "PhoneNumber": "+8613800138000",
        "SerialNo": "5000:1", "ReportStatus": "SUCCESS", "Description": "DELIVRD"}]);
    let first = Mock::given(any()).respond_with(set(report));
    first.up_to_n_times(1).mount(&server).await;
    let others = Mock::given(any()).respond_with(set(json!([])));
    others.mount(&server).await;
    server
}

async fn fetches(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

#[tokio::test]
async fn the_holder_fetches_and_not_again_before_what_came_is_stored() {
    let server = vendor().await;
    let sink = Arc::new(Memory::default());
    sink.down.store(true, Ordering::Relaxed);
    // A closed sender keeps its last value.
    let (_, registry) = watch::channel(Arc::new(registry(channel_of("tencent", &server.uri()))));
    let receipts = Receipts {
        registry,
        sink: sink.clone(),
        trusted_proxies: [].into(),
        now: now(),
    };
    let (lifecycle, held) = (Lifecycle::default(), Held::default());
    let place = (held.clone(), PARTITIONS);
    let handle = lifecycle.component("fetching");
    let pool = "default".to_owned();
    let running = tokio::spawn(pull_all(receipts, pool, place, Arc::new(Blank), handle));

    tokio::time::sleep(A_WHILE).await;
    assert_eq!(
        fetches(&server).await,
        0,
        "another process holds the channel's partition"
    );
    (0..PARTITIONS).for_each(|partition| held.take(partition));
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(fetches(&server).await, 1, "what came is not stored yet");

    sink.down.store(false, Ordering::Relaxed);
    tokio::time::sleep(A_WHILE).await;
    let stored = sink.stored.lock().unwrap().clone();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].vendor_id.as_deref(), Some("5000:1"));
    lifecycle.stop();
    running.await.unwrap();
}
