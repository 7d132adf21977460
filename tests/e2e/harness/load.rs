//! Steady traffic: each message is offered until it is accepted, as an application would.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use jixinda_runtime::kafka::{OwnedRecord, producer::Producer};
use jixinda_schemas::{Lane, MessageId, Phone, Position, Topic, headers::Headers};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use super::{
    client::{Client, event, message},
    recipient,
};

/// How long an application goes on offering one message: longer than any outage of the suite.
const PATIENCE: Duration = Duration::from_secs(180);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the lab will do with a message, by the last digits of its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// As the account's mix says.
    Free,
    /// Taken, whatever the answer looks like, with a good receipt.
    Delivered,
    /// Taken, with a receipt that says otherwise.
    Undelivered,
    /// A definite no of the vendor.
    Refused,
    /// Taken, and no receipt ever.
    Silent,
    /// Not taken, by an answer that does not say so.
    Garbage,
}

/// Suffixes of `jixinda_lab::magic` that are played.
const SCRIPTS: [(&str, Script); 11] = [
    ("0001", Script::Refused),
    ("0003", Script::Undelivered),
    ("0004", Script::Silent),
    // No answer; two receipts; the receipt before the answer; 502; a cut connection; an answer that does not parse.
    ("0005", Script::Delivered),
    ("0006", Script::Delivered),
    ("0007", Script::Delivered),
    ("0008", Script::Delivered),
    ("0010", Script::Delivered),
    ("0011", Script::Garbage),
    ("0017", Script::Delivered),
    ("0018", Script::Undelivered),
];
/// One message of so many is played by a script.
const SCRIPTED: usize = 25;
/// Longer than any outage of the suite.
const OTP_VALID_SECONDS: u32 = 150;
/// One message of so many goes straight to Kafka.
const DIRECT: usize = 8;

/// An accepted message.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) recipient: String,
    pub(crate) lane: Lane,
    pub(crate) script: Script,
    /// Where Kafka acknowledged it to a direct producer.
    pub(crate) acked: Option<Position>,
}

impl Sent {
    pub(crate) fn new(recipient: String, lane: Lane) -> Self {
        Self {
            recipient,
            lane,
            script: Script::Free,
            acked: None,
        }
    }
}

pub(crate) type Accepted = BTreeMap<MessageId, Sent>;

/// What the callers saw.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) accepted: AtomicU64,
    /// 503, each answered by the same request again.
    pub(crate) refused: AtomicU64,
    /// Lost connections and answers that did not come.
    pub(crate) broken: AtomicU64,
    /// Direct records that were not acknowledged, and were written again.
    pub(crate) unacknowledged: AtomicU64,
}

impl Counts {
    pub(crate) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What to send.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    /// Each message begins at the next; a repeat goes to the one after.
    pub(crate) clients: Vec<Client>,
    /// With one, some of the messages go straight to Kafka.
    pub(crate) direct: Option<Producer>,
    /// Messages a second.
    pub(crate) rate: u32,
    pub(crate) lanes: &'static [&'static str],
    /// Some numbers have a script; the lab must know magic numbers.
    pub(crate) scripted: bool,
    /// Offered and not accepted yet, at most; more wait.
    pub(crate) open: usize,
}

#[derive(Debug)]
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    pub(crate) counts: Arc<Counts>,
    task: JoinHandle<Accepted>,
}

impl Load {
    /// `rate` messages a second over `clients` in turn, of the lanes in turn.
    pub(crate) fn start(clients: Vec<Client>, rate: u32, lanes: &'static [&'static str]) -> Self {
        Self::of(Traffic {
            clients,
            direct: None,
            rate,
            lanes,
            scripted: false,
            open: usize::MAX,
        })
    }

    pub(crate) fn of(traffic: Traffic) -> Self {
        let (stop, counts) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&counts));
        let task = tokio::spawn(send(Arc::new(traffic), stopped, count));
        Self { stop, counts, task }
    }

    /// No new messages; resolves when every one that was offered has been accepted.
    pub(crate) async fn stop(self) -> Accepted {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn send(traffic: Arc<Traffic>, stopped: Arc<AtomicBool>, counts: Arc<Counts>) -> Accepted {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / traffic.rate);
    let mut accepted = Accepted::new();
    let mut open = JoinSet::new();
    let mut number = 0;
    while !stopped.load(Ordering::Relaxed) {
        tick.tick().await;
        open.spawn(offer(Arc::clone(&traffic), number, Arc::clone(&counts)));
        number += 1;
        while let Some(done) = open.try_join_next() {
            accepted.extend([done.unwrap()]);
        }
        while open.len() >= traffic.open {
            accepted.extend(open.join_next().await.map(Result::unwrap));
        }
    }
    accepted.extend(open.join_all().await);
    accepted
}

/// The number, and what the lab does with it.
fn target(traffic: &Traffic, number: usize) -> (Phone, Script) {
    if !traffic.scripted {
        return (recipient(), Script::Free);
    }
    if number % SCRIPTED == SCRIPTED - 1 {
        let turn = number / SCRIPTED;
        let (suffix, script) = SCRIPTS[turn % SCRIPTS.len()];
        // Of other prefixes than `recipient`'s.
        let turn = turn / SCRIPTS.len();
        let (prefix, middle) = (
            [
                "135", "136", "137", "139", "150", "151", "152", "158", "186", "189",
            ][turn / 10_000],
            turn % 10_000,
        );
        return (
            format!("+86{prefix}{middle:04}{suffix}").parse().unwrap(),
            script,
        );
    }
    loop {
        let plain = recipient();
        if jixinda_lab::magic::find(plain.expose()).is_none() {
            return (plain, Script::Delivered);
        }
    }
}

async fn offer(traffic: Arc<Traffic>, number: usize, counts: Arc<Counts>) -> (MessageId, Sent) {
    let (phone, script) = target(&traffic, number);
    // Lanes and channels of turn must not go by the same beat as scripts and ways in.
    let lane = traffic.lanes[(number + number / 24) % traffic.lanes.len()];
    let mut sent = Sent {
        script,
        ..Sent::new(phone.expose().to_owned(), lane.parse().ok().unwrap())
    };
    let mut body = message(lane, phone.expose());
    body["idempotency_key"] = json!(format!("load-{}", phone.expose()));
    if traffic.scripted && sent.lane == Lane::Otp {
        // After an unknown attempt it waits for another channel for as long as it is valid: 5 minutes by default.
        body["valid_for"] = json!(OTP_VALID_SECONDS);
    }
    let direct = traffic.direct.as_ref().filter(|_| number % DIRECT == 3);
    if direct.is_some() && body["valid_for"].is_number() {
        // As the event calls it.
        body["valid_for_ms"] = json!(1_000 * OTP_VALID_SECONDS);
    }
    let offered = async {
        match direct {
            Some(producer) => {
                sent.acked = Some(write(producer, sent.lane, &body, &counts).await);
                let key = body["idempotency_key"].as_str().unwrap();
                MessageId::from_idempotency_key(&"shop".parse().unwrap(), key, 0, &phone)
            }
            None => post(&traffic.clients, number, &body, &counts).await,
        }
    };
    let id = tokio::time::timeout(PATIENCE, offered)
        .await
        .unwrap_or_else(|_| panic!("{} was not accepted within {PATIENCE:?}", phone.expose()));
    count(&counts.accepted);
    (id, sent)
}

/// As the manual of the API says: after a 503 or a lost connection the same request again.
async fn post(clients: &[Client], number: usize, body: &Value, counts: &Counts) -> MessageId {
    let mut pause = FIRST_PAUSE;
    for turn in number.. {
        match clients[turn % clients.len()].try_send(body).await {
            Ok(answer) if answer.status == 202 => return answer.accepted(),
            Ok(answer) if answer.status == 503 => {
                let id = answer.body["message_id"].as_str();
                assert!(id.is_some(), "a 503 names the message: {}", answer.body);
                count(&counts.refused);
            }
            Ok(answer) => panic!("{}: {}", answer.status, answer.body),
            Err(_) => count(&counts.broken),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    unreachable!("there is no last number")
}

/// As a direct producer: the same record again until Kafka has acknowledged it.
async fn write(producer: &Producer, lane: Lane, body: &Value, counts: &Counts) -> Position {
    let record = OwnedRecord {
        topic: Topic::requests(lane),
        partition: None,
        key: body["recipient"]
            .as_str()
            .map(|key| key.as_bytes().to_vec()),
        value: Some(event("shop", body).to_string().into_bytes()),
        headers: Headers::of("request"),
    };
    loop {
        if let Ok(written) = producer.write(&record)
            && let Ok(position) = written.await
        {
            return position;
        }
        count(&counts.unacknowledged);
        tokio::time::sleep(LONGEST_PAUSE).await;
    }
}

/// Lets the load run on.
pub(crate) async fn for_a_while(span: Duration) {
    tokio::time::sleep(span).await;
}
