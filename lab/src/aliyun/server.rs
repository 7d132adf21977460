//! One call from request to answer.
//!
//! A call is decided, journalled and its receipts scheduled in one step without a wait in between, before its
//! latency is spent: a client that gives up early changes nothing of what the vendor did.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, request::Parts};
use axum::response::Response;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::codes::{self, Code};
use super::gate::{self, Arrival};
use super::submit::{self, Fields, Refusal, Submit};
use super::wire;
use crate::account::Account;
use crate::behaviour::{Down, FaultKind};
use crate::clock::{self, Stamp};
use crate::dice::Dice;
use crate::hub::Hub;
use crate::journal::{Answered, Call, Entry, Outcome, Pushed, Receipt, Slot};
use crate::live::Live;
use crate::plan;
use crate::receipts::Item;
use crate::socket::Peer;

const BODY_LIMIT: usize = 1024 * 1024;
/// How long an answer waits for a receipt that has to come first.
const EARLY_WAIT: Duration = Duration::from_secs(10);
/// A call's own line and the lines of its lost receipts.
const LINES: usize = 1001;

/// What the client gets to see.
#[derive(Debug)]
enum Reply {
    Success(String),
    Failure(Refusal, u64),
    Status(u16),
    Garbage,
    Hang,
    Reset,
}

impl Reply {
    fn answered(&self) -> Answered {
        match self {
            Self::Success(_) => Answered::Ok,
            Self::Failure(refusal, _) if refusal.code.status == 200 => Answered::Ok,
            Self::Failure(refusal, _) => Answered::Status(refusal.code.status),
            Self::Status(status) => Answered::Status(*status),
            Self::Garbage => Answered::Garbage,
            Self::Hang => Answered::Timeout,
            Self::Reset => Answered::Reset,
        }
    }
}

/// A decided call.
#[derive(Debug)]
struct Decision {
    live: Option<Arc<Live>>,
    call: Option<u64>,
    outcome: Outcome,
    reply: Reply,
    latency: Duration,
    receipts: Vec<(Instant, Item)>,
    lost: Vec<Item>,
    early: Vec<oneshot::Receiver<()>>,
}

impl Decision {
    fn new(live: Option<Arc<Live>>, outcome: Outcome, reply: Reply) -> Self {
        Self {
            live,
            call: None,
            outcome,
            reply,
            latency: Duration::ZERO,
            receipts: Vec::new(),
            lost: Vec::new(),
            early: Vec::new(),
        }
    }

    fn refused(live: Arc<Live>, refusal: Refusal, account: &Account) -> Self {
        let code = refusal.code.code.to_owned();
        let reply = Reply::Failure(refusal, account.throttle_retry_after);
        Self::new(Some(live), Outcome::Refused { code }, reply)
    }
}

pub(crate) async fn handle(
    State(hub): State<Arc<Hub>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let at = clock::now();
    let (parts, body) = request.into_parts();
    let named = gate::named_account(&hub, &parts.headers);
    let down = named
        .as_ref()
        .map_or(Down::No, |live| live.account().behaviour.down);
    let body = if down == Down::Drop {
        Ok(bytes::Bytes::new())
    } else {
        to_bytes(body, BODY_LIMIT).await
    };
    let Ok(body) = body else {
        return plain(413, "request body too large");
    };
    if parts.uri.path() != "/" {
        return plain(404, "not found");
    }
    let Some(mut slot) = hub.journal.reserve(LINES).await else {
        return plain(500, "the lab's journal is closed");
    };
    let pairs = wire::decode_query(parts.uri.query().unwrap_or_default()).unwrap_or_default();
    let arrival = Arrival {
        at,
        parts: &parts,
        body: &body,
        pairs: &pairs,
    };
    let admitted = (down == Down::No).then(|| gate::admit(&hub, &arrival));
    let fields = Fields::collect(pairs);
    let mut decision = match admitted {
        None => is_down(down, named),
        Some(Ok(live)) => decide(&hub, live, &fields, at),
        Some(Err(refusal)) => {
            let code = refusal.code.code.to_owned();
            Decision::new(
                named,
                Outcome::AuthRefused { code },
                Reply::Failure(refusal, 1),
            )
        }
    };
    let written = record(&decision, at, &fields, &mut slot);
    drop(slot);
    if let Some(live) = &decision.live {
        live.receipts.add(std::mem::take(&mut decision.receipts));
    }
    if !decision.latency.is_zero() {
        tokio::time::sleep(decision.latency).await;
    }
    for pushed in decision.early {
        // Both ends of the wait, the sender dropped and the time over, mean: answer now.
        let _: Result<_, _> = tokio::time::timeout(EARLY_WAIT, pushed).await.map(drop);
    }
    answer(&hub, &peer, &parts, decision.reply, written).await
}

fn is_down(down: Down, named: Option<Arc<Live>>) -> Decision {
    let (code, reply) = match down {
        Down::Drop => ("down_drop", Reply::Reset),
        Down::Unavailable | Down::No => ("down_unavailable", Reply::Status(503)),
    };
    Decision::new(named, Outcome::Refused { code: code.into() }, reply)
}

fn decide(hub: &Hub, live: Arc<Live>, fields: &Fields, at: Stamp) -> Decision {
    let account = live.account();
    if !live.within_rate(account.rate_per_second, at) {
        return Decision::refused(live, codes::THROTTLING_USER.into(), &account);
    }
    let submit = match submit::judge(fields, &account) {
        Ok(submit) => submit,
        Err(refusal) => return Decision::refused(live, refusal, &account),
    };
    let number = live.next_call();
    let dice = Dice::new(hub.config.seed, &account.id, number);
    let recipients = submit.numbers.iter().map(submit::Number::as_sent);
    let plan = plan::call(&account.behaviour, dice, recipients);
    let mut decision = match plan.fault {
        Some(FaultKind::Code(code)) => Decision::refused(live, code.into(), &account),
        Some(kind @ FaultKind::Status(status)) => untaken(live, kind, Reply::Status(status)),
        Some(kind @ FaultKind::Garbage200) => untaken(live, kind, Reply::Garbage),
        taken => accept(hub, live, taken, &submit),
    };
    decision.call = Some(number);
    decision.latency = plan.latency;
    if let Outcome::Accepted { biz_id } = &decision.outcome {
        let biz_id = Arc::from(biz_id.as_str());
        schedule(
            &mut decision,
            &account,
            dice,
            Taken {
                biz_id,
                fields,
                submit,
                at,
            },
        );
    }
    decision
}

fn untaken(live: Arc<Live>, kind: FaultKind, reply: Reply) -> Decision {
    let code = kind.to_string();
    Decision::new(Some(live), Outcome::Refused { code }, reply)
}

fn accept(hub: &Hub, live: Arc<Live>, taken: Option<FaultKind>, submit: &Submit) -> Decision {
    // Room for a duplicate of each; what is not used is given back.
    if !live.receipts.reserve(2 * submit.numbers.len()) {
        let refusal = Refusal::with(codes::SYSTEM_ERROR, "too many receipts are waiting");
        let account = live.account();
        return Decision::refused(live, refusal, &account);
    }
    let biz_id = hub.next_biz_id();
    let reply = match taken {
        Some(FaultKind::AcceptThenTimeout) => Reply::Hang,
        Some(FaultKind::AcceptThen502) => Reply::Status(502),
        Some(FaultKind::AcceptThenReset) => Reply::Reset,
        Some(FaultKind::AcceptThenGarbage) => Reply::Garbage,
        _ => Reply::Success(biz_id.clone()),
    };
    Decision::new(Some(live), Outcome::Accepted { biz_id }, reply)
}

struct Taken<'a> {
    biz_id: Arc<str>,
    fields: &'a Fields,
    submit: Submit,
    at: Stamp,
}

fn schedule(decision: &mut Decision, account: &Account, dice: Dice, taken: Taken<'_>) {
    let now = Instant::now();
    let out_id: Option<Arc<str>> = taken.fields.out_id.as_deref().map(Arc::from);
    let places = 2 * taken.submit.numbers.len();
    for (index, number) in taken.submit.numbers.iter().enumerate() {
        let plan = plan::receipt(&account.behaviour, dice, index, number.as_sent());
        let item = |duplicate| Item {
            biz_id: Arc::clone(&taken.biz_id),
            out_id: out_id.clone(),
            phone_number: number.as_sent().to_owned(),
            recipient: number.e164(),
            sent_at_ms: taken.at.at_ms,
            code: plan.code,
            sms_size: taken.submit.sms_size,
            duplicate,
            pushed: None,
        };
        if plan.lost || account.receipt_url.is_none() {
            if plan.lost {
                decision.lost.push(item(false));
            }
            continue;
        }
        let mut first = item(false);
        let mut due = now + decision.latency + plan.delay;
        if plan.early {
            let (pushed, wait) = oneshot::channel();
            first.pushed = Some(pushed);
            decision.early.push(wait);
            due = now;
        }
        if let Some(after) = plan.duplicate {
            decision.receipts.push((due + after, item(true)));
        }
        decision.receipts.push((due, first));
    }
    if let Some(live) = &decision.live {
        live.receipts.release(places - decision.receipts.len());
    }
}

/// Counts and journals the call and its lost receipts.
fn record(
    decision: &Decision,
    at: Stamp,
    fields: &Fields,
    slot: &mut Slot<'_>,
) -> Option<oneshot::Receiver<()>> {
    let account = decision.live.as_ref().map(|live| live.account().id.clone());
    let call = Call {
        at_ms: at.at_ms,
        at_ns: at.at_ns,
        account: account.clone(),
        call: decision.call,
        recipients: fields.recipients(),
        out_id: fields.out_id.clone(),
        template_code: fields.template_code.clone(),
        sign_name: fields.sign_name.clone(),
        params: fields.params(),
        outcome: decision.outcome.clone(),
        answered: decision.reply.answered(),
    };
    if let Some(live) = &decision.live {
        live.stats().count_call(&call);
    }
    let mut written = slot.write(&Entry::Call(call));
    for item in &decision.lost {
        if let Some(live) = &decision.live {
            live.stats().count_receipt(&Pushed::Lost, 0, false);
        }
        written = slot.write(&Entry::Receipt(Receipt {
            at_ms: at.at_ms,
            at_ns: at.at_ns,
            account: account.clone().unwrap_or_default(),
            biz_id: item.biz_id.to_string(),
            out_id: item.out_id.as_deref().map(str::to_owned),
            recipient: item.recipient.clone(),
            success: item.code.success,
            err_code: item.code.code.to_owned(),
            pushed: Pushed::Lost,
            attempt: 0,
            duplicate: false,
        }));
    }
    written
}

async fn answer(
    hub: &Hub,
    peer: &Peer,
    parts: &Parts,
    reply: Reply,
    written: Option<oneshot::Receiver<()>>,
) -> Response {
    tracing::trace!(uri = %parts.uri, answered = %reply.answered(), "vendor call");
    if let Some(written) = written
        && written.await.is_err()
    {
        return plain(500, "the lab's journal is closed");
    }
    match reply {
        Reply::Success(biz_id) => {
            let id = request_id();
            json(200, &id, wire::success(&id, &biz_id), None)
        }
        Reply::Failure(refusal, retry_after) => {
            let id = request_id();
            let code: &Code = refusal.code;
            let body = wire::failure(&id, code, refusal.detail.as_deref());
            json(
                code.status,
                &id,
                body,
                (code.status == 429).then_some(retry_after),
            )
        }
        Reply::Status(status) => plain(status, "<html><body>the lab's gateway</body></html>"),
        Reply::Garbage => plain(200, "{\"Code\":\"OK\",\"Mess"),
        Reply::Hang => {
            let mut stop = hub.stop.clone();
            tokio::select! {
                () = tokio::time::sleep(hub.config.hang_limit) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
            peer.cut();
            plain(504, "")
        }
        Reply::Reset => {
            peer.cut();
            plain(500, "")
        }
    }
}

fn request_id() -> String {
    let mut buffer = uuid::Uuid::encode_buffer();
    uuid::Uuid::new_v4()
        .hyphenated()
        .encode_upper(&mut buffer)
        .to_owned()
}

fn json(status: u16, request_id: &str, body: String, retry_after: Option<u64>) -> Response {
    let mut response = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json;charset=utf-8")
        .header("x-acs-request-id", request_id);
    if let Some(retry_after) = retry_after {
        response = response.header("x-acs-retry-after", retry_after);
    }
    response.body(Body::from(body)).unwrap_or_default()
}

fn plain(status: u16, body: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
