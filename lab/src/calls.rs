//! One call from request to answer, whatever the vendor.
//!
//! A call is decided, journalled and its receipts scheduled in one step without a wait in between, before its
//! latency is spent: a client that gives up early changes nothing of what the vendor did.

mod reply;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::account::Account;
use crate::behaviour::{Down, FaultKind};
use crate::clock::{self, Stamp};
use crate::codes::{Condition, ReceiptCode};
use crate::dice::Dice;
use crate::hub::Hub;
use crate::journal::{Call, Entry, Outcome, Pushed, Slot};
use crate::live::Live;
use crate::plan::{self, Fate, ReceiptPlan};
use crate::receipts::Item;
use crate::socket::Peer;
use crate::vendor::{self, Action, Answer, Arrival, Gate, Held, Refusal, Submit, Vendor};
use crate::vendors;
use reply::{Reply, answer, plain, written};

const BODY_LIMIT: usize = 1024 * 1024;
/// How long an answer waits for a receipt that has to come first.
const EARLY_WAIT: Duration = Duration::from_secs(10);
/// A call's own line and the lines of its lost receipts; the most numbers that a vendor takes are 5,000.
const LINES: usize = 5_001;

/// A decided call.
#[derive(Debug)]
struct Decision {
    live: Option<Arc<Live>>,
    call: Option<u64>,
    held: Held,
    echoes: Vec<String>,
    ids: Vec<String>,
    refused: BTreeMap<String, String>,
    outcome: Outcome,
    reply: Reply,
    latency: Duration,
    receipts: Vec<(Instant, Item)>,
    lost: Vec<Item>,
    early: Vec<oneshot::Receiver<()>>,
}

impl Decision {
    fn new(live: Option<Arc<Live>>, held: Held, outcome: Outcome, reply: Reply) -> Self {
        Self {
            live,
            call: None,
            held,
            echoes: Vec::new(),
            ids: Vec::new(),
            refused: BTreeMap::new(),
            outcome,
            reply,
            latency: Duration::ZERO,
            receipts: Vec::new(),
            lost: Vec::new(),
            early: Vec::new(),
        }
    }
}

/// The call at hand.
struct Handled<'a> {
    hub: &'a Hub,
    vendor: &'static dyn Vendor,
    arrival: Arrival<'a>,
}

pub(crate) async fn handle(
    State(hub): State<Arc<Hub>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let at = clock::now();
    let (parts, body) = request.into_parts();
    let Some(vendor) = vendors::of(&parts) else {
        return plain(404, "not found");
    };
    let named = |body: &[u8]| {
        let arrival = Arrival {
            at,
            parts: &parts,
            body,
        };
        hub.by_key(vendor.kind(), &vendor.key(&arrival)?)
    };
    let down = |live: &Arc<Live>| live.account().behaviour.down;
    // Where the head names the account, a connection can be dropped before the body was read.
    let by_head = named(&[]);
    let body = if by_head
        .as_ref()
        .is_some_and(|live| down(live) == Down::Drop)
    {
        Ok(Bytes::new())
    } else {
        to_bytes(body, BODY_LIMIT).await
    };
    let Ok(body) = body else {
        return plain(413, "request body too large");
    };
    let named = by_head.or_else(|| named(&body));
    let Some(mut slot) = hub.journal.reserve(LINES).await else {
        return plain(500, "the lab's journal is closed");
    };
    let call = Handled {
        hub: &hub,
        vendor,
        arrival: Arrival {
            at,
            parts: &parts,
            body: &body,
        },
    };
    let mut decision = match named.as_ref().map(down) {
        None | Some(Down::No) => match call.decide(named, &mut slot) {
            Ok(decision) => decision,
            Err(answer) => return written(answer),
        },
        Some(down) => call.is_down(down, named),
    };
    let on_disk = record(&decision, at, &mut slot);
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
    answer(&hub, &peer, &parts, decision.reply, on_disk).await
}

impl Handled<'_> {
    fn is_down(&self, down: Down, named: Option<Arc<Live>>) -> Decision {
        let (code, reply) = match down {
            Down::Drop => ("down_drop", Reply::Reset),
            Down::Unavailable | Down::No => ("down_unavailable", Reply::Status(503)),
        };
        let outcome = Outcome::Refused { code: code.into() };
        Decision::new(named, self.vendor.held(&self.arrival), outcome, reply)
    }

    fn refused(&self, live: Arc<Live>, held: Held, refusal: &Refusal) -> Decision {
        let said = self
            .vendor
            .refused(&self.arrival, Some(&live.account()), refusal);
        let code = refusal.code.code.to_owned();
        Decision::new(
            Some(live),
            held,
            Outcome::Refused { code },
            Reply::Said(said),
        )
    }

    /// `Err` is the answer to what is not a submit.
    fn decide(&self, named: Option<Arc<Live>>, slot: &mut Slot<'_>) -> Result<Decision, Answer> {
        let (vendor, arrival) = (self.vendor, &self.arrival);
        let gate = Gate {
            hub: self.hub,
            kind: vendor.kind(),
        };
        let live = match vendor.admit(arrival, gate) {
            Ok(live) => live,
            Err(refusal) => {
                let account = named.as_ref().map(|live| live.account());
                let said = vendor.refused(arrival, account.as_deref(), &refusal);
                let code = refusal.code.code.to_owned();
                let outcome = Outcome::AuthRefused { code };
                let held = vendor.held(arrival);
                return Ok(Decision::new(named, held, outcome, Reply::Said(said)));
            }
        };
        let account = live.account();
        let action = vendor.judge(arrival, &account);
        let is_submit = matches!(action, Ok(Action::Submit(_)) | Err(_));
        if is_submit && !live.within_rate(account.rate_per_second, arrival.at) {
            let refusal = vendor.code(Condition::Throttled).into();
            return Ok(self.refused(live, vendor.held(arrival), &refusal));
        }
        match action {
            Err(refusal) => Ok(self.refused(live, vendor.held(arrival), &refusal)),
            Ok(Action::Submit(submit)) => Ok(self.submit(live, &account, submit)),
            Ok(Action::Fetch { most }) => {
                let items = live.receipts.take_due(most.min(LINES));
                live.receipts.release(items.len());
                self.told(&live, items.iter(), slot);
                Err(vendor.fetched(arrival, &items, arrival.at))
            }
            Ok(Action::Query(query)) => {
                let (items, news): (Vec<_>, Vec<_>) =
                    live.receipts.look_up(&query).into_iter().unzip();
                // Each is journalled the first time that it is told.
                let news = items.iter().zip(news).filter(|(_, new)| *new);
                self.told(&live, news.map(|(item, _)| item), slot);
                Err(vendor.fetched(arrival, &items, arrival.at))
            }
            Ok(Action::FetchInbound { most }) => {
                let mos = live.take_inbound(most);
                Err(vendor.fetched_inbound(arrival, &mos))
            }
            Ok(Action::QueryInbound) => {
                Err(vendor.fetched_inbound(arrival, &live.waiting_inbound()))
            }
        }
    }

    /// Counts and journals receipts that the customer asked for.
    fn told<'i>(&self, live: &Live, items: impl Iterator<Item = &'i Item>, slot: &mut Slot<'_>) {
        let account = live.account();
        for item in items {
            let pushed = Pushed::Fetched;
            live.stats().count_receipt(&pushed, 1, item.duplicate);
            let receipt = item.journalled(&account.id, self.arrival.at, pushed, 1);
            drop(slot.write(&Entry::Receipt(receipt)));
        }
    }

    fn submit(&self, live: Arc<Live>, account: &Account, mut submit: Submit) -> Decision {
        let (vendor, behaviour) = (self.vendor, &account.behaviour);
        let per_number = vendor.habits().per_number;
        let number = live.next_call();
        let dice = Dice::new(self.hub.config.seed, &account.id, number);
        let recipients = || submit.wanted.iter().map(|to| to.number.e164.as_str());
        let plan = plan::call(behaviour, dice, per_number, recipients());
        if per_number {
            let numbers = submit.wanted.len();
            for wanted in &mut submit.wanted {
                let Some(condition) = plan::number(behaviour, &wanted.number.e164) else {
                    continue;
                };
                match vendor.late(condition, numbers) {
                    late @ Some(_) => wanted.ends = wanted.ends.or(late),
                    None => wanted.refused = wanted.refused.or(Some(vendor.code(condition))),
                }
            }
        }
        let held = Held::of(&submit);
        let untaken = |live, held, kind: &FaultKind, reply| {
            let code = kind.to_string();
            Decision::new(Some(live), held, Outcome::Refused { code }, reply)
        };
        let mut decision = match &plan.fault {
            Some(FaultKind::Code(code)) => {
                let code = vendor::find_code(vendor, code);
                let code = code.unwrap_or_else(|| vendor.code(Condition::SystemError));
                self.refused(live, held, &code.into())
            }
            Some(FaultKind::When(condition)) => {
                self.refused(live, held, &vendor.code(*condition).into())
            }
            Some(kind @ FaultKind::Status(status)) => {
                untaken(live, held, kind, Reply::Status(*status))
            }
            Some(kind @ FaultKind::Garbage200) => {
                untaken(live, held, kind, Reply::Garbage(vendor.garbage()))
            }
            taken => self.accept(live, held, taken.as_ref(), &submit),
        };
        decision.call = Some(number);
        decision.echoes = submit.echoes();
        decision.latency = plan.latency;
        if matches!(decision.outcome, Outcome::Accepted { .. }) {
            self.schedule(&mut decision, account, dice, &submit);
        }
        decision
    }

    fn accept(
        &self,
        live: Arc<Live>,
        held: Held,
        taken: Option<&FaultKind>,
        submit: &Submit,
    ) -> Decision {
        let (vendor, account) = (self.vendor, live.account());
        let count = submit.wanted.len();
        let parts = submit.wanted.iter().map(|wanted| wanted.parts).sum();
        if !live.pay(account.behaviour.balance, count) {
            return self.refused(live, held, &vendor.code(Condition::OutOfBalance).into());
        }
        if !live.receipts.reserve(places(submit)) {
            let code = vendor.code(Condition::SystemError);
            let refusal = Refusal::with(code, "too many receipts are waiting");
            return self.refused(live, held, &refusal);
        }
        let ids = vendor.ids(self.hub.next_ids(parts), submit);
        let ids: Vec<String> = ids
            .into_iter()
            .zip(&submit.wanted)
            .map(|(id, wanted)| match wanted.refused {
                Some(_) => String::new(),
                None => id,
            })
            .collect();
        let said = vendor.taken(&self.arrival, &account, submit, &ids);
        let reply = match taken {
            Some(FaultKind::AcceptThenTimeout) => Reply::Hang,
            Some(FaultKind::AcceptThen502) => Reply::Status(502),
            Some(FaultKind::AcceptThenReset) => Reply::Reset,
            Some(FaultKind::AcceptThenGarbage) => Reply::Garbage(vendor.garbage()),
            Some(FaultKind::SlowLoris) => Reply::Trickle(said),
            _ => Reply::Said(said),
        };
        let first = ids.iter().find(|id| !id.is_empty());
        let outcome = match (first, submit.wanted.first().and_then(|w| w.refused)) {
            (None, Some(code)) => Outcome::Refused {
                code: code.code.to_owned(),
            },
            (first, _) => Outcome::Accepted {
                biz_id: first.cloned().unwrap_or_default(),
            },
        };
        let mut decision = Decision::new(Some(live), held, outcome, reply);
        let refused = submit.wanted.iter().filter_map(|wanted| {
            let code = wanted.refused?.code.to_owned();
            Some((wanted.number.e164.clone(), code))
        });
        decision.refused = refused.collect();
        decision.ids = ids;
        if let (Outcome::Refused { .. }, Some(live)) = (&decision.outcome, &decision.live) {
            live.receipts.release(places(submit));
        }
        decision
    }

    fn schedule(&self, decision: &mut Decision, account: &Account, dice: Dice, submit: &Submit) {
        let habits = self.vendor.habits();
        let url = submit
            .callback
            .clone()
            .or_else(|| account.receipt_url.as_deref().map(Arc::from));
        let reported = url.is_some() || habits.fetched;
        let ids = std::mem::take(&mut decision.ids);
        for (index, (wanted, id)) in submit.wanted.iter().zip(&ids).enumerate() {
            if wanted.refused.is_some() {
                continue;
            }
            let plan = plan::receipt(&account.behaviour, dice, index, &wanted.number.e164);
            let parts = if habits.per_part { wanted.parts } else { 1 };
            for part in 1..=parts {
                let item = Item {
                    id: Arc::from(id.as_str()),
                    echo: wanted.echo.clone().or_else(|| submit.echo.clone()),
                    notes: Arc::clone(&wanted.notes),
                    number: wanted.number.clone(),
                    sent_at_ms: self.arrival.at.at_ms,
                    code: wanted.ends.unwrap_or_else(|| self.end(&plan.fate)),
                    parts: wanted.parts,
                    part,
                    duplicate: false,
                    forged: false,
                    url: url.clone(),
                    called_back: submit.callback.is_some(),
                    pushed: None,
                };
                if plan.lost {
                    decision.lost.push(item);
                } else if reported {
                    self.plan_one(decision, &plan, item);
                }
            }
        }
        if let Some(live) = &decision.live {
            live.receipts
                .release(places(submit) - decision.receipts.len());
        }
        // The same id for all is said once.
        if ids.windows(2).any(|two| two[0] != two[1]) {
            decision.ids = ids;
        }
    }

    fn plan_one(&self, decision: &mut Decision, plan: &ReceiptPlan, mut item: Item) {
        let now = Instant::now();
        let mut due = now + decision.latency + plan.delay;
        if plan.early {
            due = now;
            // What is fetched is there at once; nobody can be waited for.
            if item.url.is_some() {
                let (pushed, wait) = oneshot::channel();
                item.pushed = Some(pushed);
                decision.early.push(wait);
            }
        }
        let copy = |duplicate, forged| Item {
            id: if forged {
                Arc::from(format!("9{}", item.id))
            } else {
                Arc::clone(&item.id)
            },
            echo: item.echo.clone().filter(|_| !forged),
            notes: Arc::clone(&item.notes),
            number: item.number.clone(),
            code: if forged {
                self.lie(item.code)
            } else {
                item.code
            },
            url: item.url.clone(),
            pushed: None,
            duplicate,
            forged,
            ..item
        };
        if let Some(after) = plan.duplicate {
            decision.receipts.push((due + after, copy(true, false)));
        }
        if plan.forged && item.url.is_some() {
            decision.receipts.push((due, copy(false, true)));
        }
        decision.receipts.push((due, item));
    }

    fn end(&self, fate: &Fate) -> &'static ReceiptCode {
        match fate {
            Fate::By(end) => self.vendor.end(*end),
            Fate::Code(code) => vendor::find_end(self.vendor, code)
                .unwrap_or_else(|| self.vendor.end(crate::codes::End::CarrierFailure)),
        }
    }

    /// The opposite.
    fn lie(&self, code: &ReceiptCode) -> &'static ReceiptCode {
        use crate::codes::End;
        self.vendor.end(if code.success {
            End::NotOnService
        } else {
            End::Delivered
        })
    }
}

/// Room for a duplicate and a forgery of each part; what is not used is given back.
fn places(submit: &Submit) -> usize {
    3 * submit
        .wanted
        .iter()
        .map(|wanted| wanted.parts)
        .sum::<usize>()
}

/// Counts and journals the call and its lost receipts.
fn record(decision: &Decision, at: Stamp, slot: &mut Slot<'_>) -> Option<oneshot::Receiver<()>> {
    let account = decision.live.as_ref().map(|live| live.account().id.clone());
    let held = &decision.held;
    let call = Call {
        at_ms: at.at_ms,
        at_ns: at.at_ns,
        account: account.clone(),
        call: decision.call,
        recipients: held.recipients.clone(),
        out_id: held.echo.clone(),
        out_ids: decision.echoes.clone(),
        template_code: held.template_code.clone(),
        sign_name: held.sign_name.clone(),
        params: held.params.clone(),
        ids: decision.ids.clone(),
        refused: decision.refused.clone(),
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
        let account = account.as_deref().unwrap_or_default();
        written = slot.write(&Entry::Receipt(item.journalled(
            account,
            at,
            Pushed::Lost,
            0,
        )));
    }
    written
}
