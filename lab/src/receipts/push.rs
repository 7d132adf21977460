//! Pushes an account's receipts: up to 100 an array, every 100 ms; an array that is not acknowledged is
//! pushed again after 1, 5 and 10 minutes (scaled by a setting), then given up.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Item;
use crate::aliyun::wire::{self, ReportItem};
use crate::clock;
use crate::hub::Hub;
use crate::journal::{Entry, Pushed, Receipt};
use crate::live::Live;

const BATCH: usize = 100;
const EVERY: Duration = Duration::from_millis(100);
/// Source: fact sheet, receipt push: after 1, 5, 10 min, three retries in all.
const RETRIES: [Duration; 3] = [
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(600),
];
/// Requests at once to one receiver.
const CONCURRENCY: usize = 8;
const ANSWER_LIMIT: usize = 64 * 1024;

pub(crate) type Client = hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>;

pub(crate) fn client() -> Client {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector)
}

/// Runs until `stop`; receipts that wait then are dropped, as their calls stand in the journal.
pub(crate) async fn run(hub: Arc<Hub>, live: Arc<Live>, mut stop: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(CONCURRENCY));
    let mut pushes = JoinSet::new();
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.changed() => return,
            _ = ticks.tick() => {}
            () = live.receipts.wake.notified() => {}
        }
        loop {
            let items = live.receipts.take_due(BATCH);
            if items.is_empty() {
                break;
            }
            let (hub, live, slots) = (Arc::clone(&hub), Arc::clone(&live), Arc::clone(&slots));
            pushes.spawn(deliver(hub, live, slots, items));
        }
        while pushes.try_join_next().is_some() {}
    }
}

async fn deliver(hub: Arc<Hub>, live: Arc<Live>, slots: Arc<Semaphore>, mut items: Vec<Item>) {
    for attempt in 1_u32.. {
        let pushed = {
            let Ok(_slot) = slots.acquire().await else {
                break;
            };
            push(&hub, &live, &items, attempt).await
        };
        for item in &mut items {
            drop(item.pushed.take());
        }
        let retry = RETRIES
            .get(attempt as usize - 1)
            .filter(|_| pushed != Pushed::Acked);
        let Some(delay) = retry else { break };
        tokio::select! {
            () = tokio::time::sleep(delay.mul_f64(hub.config.receipt_retry_scale)) => {}
            () = live.receipts.flush.notified() => {}
        }
    }
    live.receipts.release(items.len());
}

async fn push(hub: &Hub, live: &Live, items: &[Item], attempt: u32) -> Pushed {
    let account = live.account();
    let now = clock::now();
    let pushed = match &account.receipt_url {
        Some(url) => {
            let sending = send(&hub.client, url, body(items, now.at_ms));
            match tokio::time::timeout(hub.config.receipt_timeout, sending).await {
                Ok(pushed) => pushed,
                Err(_) => failed("no answer in time"),
            }
        }
        None => failed("the account has no receipt_url"),
    };
    for item in items {
        live.stats().count_receipt(&pushed, attempt, item.duplicate);
        hub.journal
            .write(&Entry::Receipt(Receipt {
                at_ms: now.at_ms,
                at_ns: now.at_ns,
                account: account.id.clone(),
                biz_id: item.biz_id.to_string(),
                out_id: item.out_id.as_deref().map(str::to_owned),
                recipient: item.recipient.clone(),
                success: item.code.success,
                err_code: item.code.code.to_owned(),
                pushed: pushed.clone(),
                attempt,
                duplicate: item.duplicate,
            }))
            .await;
    }
    pushed
}

fn body(items: &[Item], now_ms: u64) -> Vec<u8> {
    let reports: Vec<_> = items
        .iter()
        .map(|item| ReportItem {
            phone_number: &item.phone_number,
            send_time: wire::beijing_time(item.sent_at_ms),
            report_time: wire::beijing_time(now_ms),
            success: item.code.success,
            err_code: item.code.code,
            err_msg: item.code.message,
            sms_size: item.sms_size.to_string(),
            biz_id: &item.biz_id,
            out_id: item.out_id.as_deref().unwrap_or_default(),
        })
        .collect();
    serde_json::to_vec(&reports).unwrap_or_default()
}

async fn send(client: &Client, url: &str, body: Vec<u8>) -> Pushed {
    let request = Request::post(url)
        .header(CONTENT_TYPE, "application/json;charset=UTF-8")
        .body(Full::new(Bytes::from(body)));
    let request = match request {
        Ok(request) => request,
        Err(error) => return failed(error),
    };
    let response = match client.request(request).await {
        Ok(response) => response,
        Err(error) => return failed(error),
    };
    let status = response.status().as_u16();
    match Limited::new(response.into_body(), ANSWER_LIMIT)
        .collect()
        .await
    {
        Ok(answer) => match wire::is_ack(status, &answer.to_bytes()) {
            true => Pushed::Acked,
            false => Pushed::Rejected { status },
        },
        Err(error) => failed(error),
    }
}

fn failed(error: impl ToString) -> Pushed {
    Pushed::Failed {
        error: error.to_string(),
    }
}
