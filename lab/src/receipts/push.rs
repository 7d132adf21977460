//! Pushes an account's receipts every 100 ms, as many in a request as the vendor does; what is not acknowledged is pushed
//! again after the vendor's delays (scaled by a setting), then given up.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Item;
use crate::account::{Account, Secret};
use crate::clock;
use crate::hub::Hub;
use crate::journal::{Entry, Pushed};
use crate::live::Live;
use crate::vendor::{Habits, Outgoing, Vendor};

/// Receipts taken from the queue at once.
const TAKEN: usize = 500;
const EVERY: Duration = Duration::from_millis(100);
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
    let Ok(vendor) = live.account().speaks() else {
        return;
    };
    let habits = vendor.habits();
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
        // Without a URL of the account's they wait to be fetched.
        while live.account().receipt_url.is_some() || !habits.fetched {
            let items = live.receipts.take_due(TAKEN);
            if items.is_empty() {
                break;
            }
            for items in requests(items, habits.batch) {
                let (hub, live, slots) = (Arc::clone(&hub), Arc::clone(&live), Arc::clone(&slots));
                pushes.spawn(deliver(hub, live, slots, habits, items));
            }
        }
        while pushes.try_join_next().is_some() {}
    }
}

/// What goes in one request: the forged apart, and each URL apart.
fn requests(items: Vec<Item>, batch: usize) -> Vec<Vec<Item>> {
    let mut requests: Vec<Vec<Item>> = Vec::new();
    for item in items {
        match requests.last_mut() {
            Some(last)
                if last.len() < batch
                    && !item.called_back
                    && last[0].forged == item.forged
                    && last[0].url == item.url =>
            {
                last.push(item);
            }
            _ => requests.push(vec![item]),
        }
    }
    requests
}

async fn deliver(
    hub: Arc<Hub>,
    live: Arc<Live>,
    slots: Arc<Semaphore>,
    habits: Habits,
    mut items: Vec<Item>,
) {
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
        let again = pushed != Pushed::Acked && items.first().is_some_and(|item| !item.forged);
        let retry = habits.retries.get(attempt as usize - 1).filter(|_| again);
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
    let pushed = match (account.speaks(), items.first()) {
        (Ok(vendor), Some(first)) => {
            let account = if first.forged {
                Arc::new(forger(&account))
            } else {
                Arc::clone(&account)
            };
            let url = first.url.as_deref().unwrap_or_default();
            send(hub, vendor, vendor.push(&account, url, items, now)).await
        }
        (Err(error), _) => failed(error),
        (Ok(_), None) => return Pushed::Acked,
    };
    for item in items {
        live.stats().count_receipt(&pushed, attempt, item.duplicate);
        let receipt = item.journalled(&account.id, now, pushed.clone(), attempt);
        hub.journal.write(&Entry::Receipt(receipt)).await;
    }
    pushed
}

/// Someone who knows the URL and none of the secrets.
fn forger(account: &Account) -> Account {
    let mut forger = Account {
        secrets: vec![Secret::new("not the secret")],
        ..account.clone()
    };
    forger.settings.retain(|name, _| !Account::is_secret(name));
    forger
}

/// One request to the customer.
pub(crate) async fn send(hub: &Hub, vendor: &dyn Vendor, outgoing: Outgoing) -> Pushed {
    let exchange = exchange(&hub.client, vendor, outgoing);
    tokio::time::timeout(hub.config.receipt_timeout, exchange)
        .await
        .unwrap_or_else(|_| failed("no answer in time"))
}

async fn exchange(client: &Client, vendor: &dyn Vendor, outgoing: Outgoing) -> Pushed {
    let mut request = Request::builder()
        .method(outgoing.method)
        .uri(&outgoing.url);
    for (name, value) in &outgoing.headers {
        request = request.header(*name, value);
    }
    let sent = Bytes::from(outgoing.body);
    let request = match request.body(Full::new(sent.clone())) {
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
        Ok(answer) => match vendor.acks(&sent, status, &answer.to_bytes()) {
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
