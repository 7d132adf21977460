//! The senders of messages: single requests and batches over HTTP, and records written straight to Kafka.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use jixinda_runtime::{
    clock::{Clock as _, SystemClock},
    http,
    kafka::{
        OwnedRecord,
        producer::{Linger, Producer},
    },
};
use jixinda_schemas::{
    MessageId, Topic,
    auth::Signable,
    codec::{self, About},
    event::{Request, kind},
    headers::Headers,
    seal::sign_record,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::messages::{App, Kind, Messages, id};
use crate::config::Config;

/// Messages of one batch.
const BATCH: u32 = 20;
/// Requests of one door on their way at once.
const OPEN: usize = 256;
const TRIES: u32 = 6;

/// The ways in, and how many percent of the messages take each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Single,
    Batch,
    Direct,
}

impl Door {
    pub(super) const ALL: [Self; 3] = [Self::Single, Self::Batch, Self::Direct];

    const fn percent(self) -> u32 {
        match self {
            Self::Single | Self::Batch => 40,
            Self::Direct => 20,
        }
    }
}

/// What the platform has said yes to: the recipient of each id, and the count of each door.
#[derive(Clone, Debug, Default)]
pub(super) struct Accepted {
    pub(super) ids: HashMap<MessageId, String>,
    pub(super) doors: [usize; 3],
}

#[derive(Debug)]
struct Shared {
    client: reqwest::Client,
    host: String,
    producer: Producer,
    shop: App,
    bank: App,
    messages: Messages,
    accepted: Mutex<Accepted>,
}

/// Sends until it is stopped.
#[derive(Debug)]
pub(super) struct Load {
    shared: Arc<Shared>,
    stop: CancellationToken,
    doors: JoinSet<anyhow::Result<()>>,
}

fn app(id: &str, key: &'static str, variable: &str) -> anyhow::Result<App> {
    let secret = std::env::var(variable).with_context(|| {
        format!("{variable} is not set: source the file that secrets.sh prints")
    })?;
    Ok(App {
        id: id.parse()?,
        key,
        secret,
    })
}

impl Load {
    pub(super) fn start(config: &Config, run: String, rate: u32) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            client: http::client(Duration::from_secs(15))?,
            host: format!("http://{}", config.ingest.listen),
            producer: Producer::new(&config.kafka()?, "demo", Linger::Short)?,
            shop: app("shop", "shop-1", "JIXINDA_DEMO_SHOP_SECRET")?,
            bank: app("bank", "bank-1", "JIXINDA_DEMO_BANK_SECRET")?,
            messages: Messages::new(run),
            accepted: Mutex::default(),
        });
        let stop = CancellationToken::new();
        let mut doors = JoinSet::new();
        for door in Door::ALL {
            let messages = f64::from(rate * door.percent()) / 100.0;
            let calls = match door {
                Door::Batch => messages / f64::from(BATCH),
                Door::Single | Door::Direct => messages,
            };
            let every = Duration::from_secs_f64(1.0 / calls);
            doors.spawn(keep_sending(Arc::clone(&shared), door, every, stop.clone()));
        }
        Ok(Self {
            shared,
            stop,
            doors,
        })
    }

    /// How many have been accepted so far.
    pub(super) fn accepted(&self) -> usize {
        self.shared.accepted().ids.len()
    }

    /// Resolves when sending has failed; never while all is well.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        while let Some(done) = self.doors.join_next().await {
            match done {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.context("the demo cannot send"),
                Err(error) => return error.into(),
            }
        }
        std::future::pending().await
    }

    /// Stops, waits for what is under way, and tells what was accepted.
    pub(super) async fn stop(mut self) -> anyhow::Result<Accepted> {
        self.stop.cancel();
        while let Some(done) = self.doors.join_next().await {
            done?.context("the demo cannot send")?;
        }
        Ok(self.shared.accepted().clone())
    }
}

async fn keep_sending(
    shared: Arc<Shared>,
    door: Door,
    every: Duration,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut open: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let mut turn = 0_usize;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        while let Some(done) = open.try_join_next() {
            done??;
        }
        if open.len() >= OPEN
            && let Some(done) = open.join_next().await
        {
            done??;
        }
        let shared = Arc::clone(&shared);
        open.spawn(async move {
            match door {
                Door::Single => shared.single(turn).await,
                Door::Batch => shared.batch(turn).await,
                Door::Direct => shared.direct(turn).await,
            }
        });
        turn += 1;
    }
    while let Some(done) = open.join_next().await {
        done??;
    }
    Ok(())
}

impl Shared {
    fn accepted(&self) -> MutexGuard<'_, Accepted> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, door: Door, id: MessageId, request: &Request) {
        let mut accepted = self.accepted();
        accepted.doors[door as usize] += 1;
        let recipient = request.recipient.expose().to_owned();
        accepted.ids.insert(id, recipient);
    }

    async fn single(&self, turn: usize) -> anyhow::Result<()> {
        let (app, kind) = match turn % 4 {
            0 => (&self.bank, Kind::BankOtp),
            1 => (&self.shop, Kind::Notice),
            _ => (&self.shop, Kind::Otp),
        };
        let request = self.messages.make(kind)?;
        let body = serde_json::to_vec(&request)?;
        let answer = self.post(app, "/v1/messages", &body).await?;
        self.accept(Door::Single, message_id(&answer)?, &request);
        Ok(())
    }

    async fn batch(&self, turn: usize) -> anyhow::Result<()> {
        let kind = if turn.is_multiple_of(2) {
            Kind::Marketing
        } else {
            Kind::Notice
        };
        let requests = (0..BATCH)
            .map(|_| self.messages.make(kind))
            .collect::<anyhow::Result<Vec<Request>>>()?;
        let body = serde_json::to_vec(&json!({ "items": requests }))?;
        let answer = self.post(&self.shop, "/v1/messages/batch", &body).await?;
        let results = answer["results"]
            .as_array()
            .context("a batch without results")?;
        for (request, result) in requests.iter().zip(results) {
            self.accept(Door::Batch, message_id(result)?, request);
        }
        Ok(())
    }

    async fn direct(&self, turn: usize) -> anyhow::Result<()> {
        let kind = if turn.is_multiple_of(3) {
            Kind::Notice
        } else {
            Kind::Otp
        };
        let request = self.messages.make(kind)?;
        let id = id(&self.shop.id, &request)?;
        let about = About {
            app_id: Some(self.shop.id.clone()),
            ..About::default()
        };
        let value = codec::encode(&codec::envelope(
            kind::REQUEST,
            about,
            SystemClock.now(),
            request.clone(),
        ));
        let mut headers = Headers::of(kind::REQUEST);
        let hex = sign_record(&self.shop.secret, &value);
        headers.signature = Some(format!("{}:{hex}", self.shop.key));
        let topic = Topic::requests(kind.lane());
        let record = OwnedRecord::keyed(topic, &request.recipient, value, headers);
        // A record that was written after all is the same message.
        let mut tried = 0;
        loop {
            tried += 1;
            let written = match self.producer.write(&record) {
                Ok(written) => written.await,
                Err(error) => Err(error),
            };
            match written {
                Ok(_) => break,
                Err(error) if tried == TRIES => return Err(error.into()),
                Err(_) => sleep(pause(tried)).await,
            }
        }
        self.accept(Door::Direct, id, &request);
        Ok(())
    }

    /// Signed anew for each try, as docs/http-api.md advises; anything but 202 in the end is an error.
    async fn post(&self, app: &App, path: &str, body: &[u8]) -> anyhow::Result<Value> {
        let mut tried = 0;
        loop {
            tried += 1;
            let nonce = format!("{:032x}", rand::random::<u128>());
            let signable = Signable {
                method: "POST",
                path,
                query: "",
                body,
                key: app.key,
                ts: SystemClock.now().millis() / 1000,
                nonce: &nonce,
            };
            let call = self
                .client
                .post(format!("{}{path}", self.host))
                .header("content-type", "application/json")
                .header("authorization", signable.authorization(&app.secret))
                .body(body.to_vec());
            let failure = match call.send().await {
                Ok(response) if response.status() == StatusCode::ACCEPTED => {
                    return Ok(response.json().await?);
                }
                Ok(response) => {
                    let status = response.status();
                    let text = response.text().await.unwrap_or_default();
                    let again = [
                        StatusCode::TOO_MANY_REQUESTS,
                        StatusCode::SERVICE_UNAVAILABLE,
                    ];
                    if !again.contains(&status) {
                        bail!("{path} answered {status}: {text}");
                    }
                    format!("{status}: {text}")
                }
                Err(error) => format!("{:#}", anyhow::Error::new(error)),
            };
            if tried == TRIES {
                bail!("{path} answered, {TRIES} times: {failure}");
            }
            sleep(pause(tried)).await;
        }
    }
}

fn pause(tried: u32) -> Duration {
    Duration::from_millis(100 << tried)
}

fn message_id(answer: &Value) -> anyhow::Result<MessageId> {
    let id = answer["message_id"].as_str();
    id.with_context(|| format!("accepted without an id: {answer}"))?
        .parse()
        .context("the message_id of an answer")
}
