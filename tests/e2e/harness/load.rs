//! Steady traffic over HTTP: each message is offered until it is accepted, as an application would.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jixinda_schemas::{Lane, MessageId};
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};

use super::{
    client::{Client, message},
    recipient,
};

/// How long an application goes on offering one message.
const PATIENCE: Duration = Duration::from_secs(40);

/// An accepted message.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) recipient: String,
    pub(crate) lane: Lane,
}

pub(crate) type Accepted = BTreeMap<MessageId, Sent>;

#[derive(Debug)]
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Accepted>,
}

impl Load {
    /// `rate` messages a second over `clients` in turn, of the lanes in turn.
    pub(crate) fn start(clients: Vec<Client>, rate: u32, lanes: &'static [&'static str]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_secs(1) / rate);
            let mut open = JoinSet::new();
            let mut number = 0_usize;
            while !stopped.load(Ordering::Relaxed) {
                tick.tick().await;
                let client = clients[number % clients.len()].clone();
                open.spawn(offer(client, lanes[number % lanes.len()]));
                number += 1;
            }
            open.join_all().await.into_iter().collect()
        });
        Self { stop, task }
    }

    /// No new messages; resolves when every one that was offered has been accepted.
    pub(crate) async fn stop(self) -> Accepted {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn offer(client: Client, lane: &str) -> (MessageId, Sent) {
    let recipient = recipient().expose().to_owned();
    let mut body = message(lane, &recipient);
    body["idempotency_key"] = json!(format!("load-{recipient}"));
    let offer = async {
        loop {
            match client.try_send(&body).await {
                Ok(answer) if answer.status == 202 => return answer.accepted(),
                Ok(answer) if answer.status != 503 => panic!("{}: {}", answer.status, answer.body),
                // As the manual of the API says: the same request again.
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    let id = tokio::time::timeout(PATIENCE, offer)
        .await
        .unwrap_or_else(|_| panic!("{recipient} was not accepted within {PATIENCE:?}"));
    let lane = lane.parse().ok().unwrap();
    (id, Sent { recipient, lane })
}

/// Lets the load run on.
pub(crate) async fn for_a_while(span: Duration) {
    tokio::time::sleep(span).await;
}
