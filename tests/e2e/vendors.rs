//! Every vendor over its own wire protocol, from the request to the receipt: one pipeline run, all vendors side by side, each
//! case a magic number of the lab or a switch at it.

mod table;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use jixinda_lab::journal::Outcome as CallOutcome;
use jixinda_schemas::{
    MessageId,
    event::{
        Terminal,
        outcome::{AttemptState, Outcome},
    },
};
use serde_json::{Value, json};

use crate::harness::{ALL_IN_ONE, Platform, SOON, Settings, eventually, world::World};
use table::{VENDORS, Vendor};

/// Takes over where a vendor fails.
const SPARE: &str = "spare";
/// Messages while the vendor lets three calls a second through.
const BURST: usize = 8;

/// Messages of one text at once, besides one to a bad number.
const COMPANY: usize = 12;

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// By the vendor's own channel.
    Delivered,
    /// By whichever.
    Arrived,
    /// By the other one, after the vendor had refused, or without having been asked.
    ByTheSpare,
    /// One attempt, refused for the number: nobody else is asked.
    RefusedForTheNumber,
    /// Refused, not delivered, or, when it went on elsewhere, delivered.
    Ended,
    Undelivered,
    /// Taken without a good answer: only a receipt that carries our id can tell.
    DeliveredIfEchoed,
    /// As before, and never sent elsewhere.
    Unknown,
}

/// The last four digits, and what they lead to.
const CASES: [(&str, Wanted); 10] = [
    ("1234", Wanted::Delivered),
    ("0001", Wanted::RefusedForTheNumber),
    ("0003", Wanted::Undelivered),
    // Taken, and no answer; 502; a cut connection; an answer that is none.
    ("0005", Wanted::DeliveredIfEchoed),
    ("0008", Wanted::DeliveredIfEchoed),
    ("0010", Wanted::DeliveredIfEchoed),
    // Not taken, and the answer does not say so.
    ("0011", Wanted::Unknown),
    // Two receipts; one before the answer.
    ("0006", Wanted::Delivered),
    ("0007", Wanted::Delivered),
    ("0018", Wanted::Undelivered),
];

/// One message and what is to become of it.
struct Sent {
    id: MessageId,
    case: String,
    recipient: String,
    wanted: Wanted,
}

/// One vendor's part of the run.
struct Part<'a> {
    platform: &'a Platform,
    vendor: &'a Vendor,
    /// Distinguishes its numbers.
    place: usize,
}

impl Part<'_> {
    /// By a template that only this vendor has; what may go on elsewhere, by one that the spare has too.
    async fn send(&self, case: &str, number: &str, wanted: Wanted) -> Sent {
        let recipient = format!("+86138{number}");
        let kind = self.vendor.kind;
        let template = match wanted {
            Wanted::Arrived | Wanted::ByTheSpare | Wanted::Ended => format!("{kind}-or-spare"),
            _ => kind.to_owned(),
        };
        let body = json!({
            "recipient": recipient, "template": template, "params": { "code": "482913" },
        });
        let client = self.platform.client("all", "shop");
        Sent {
            id: client.send(&body).await.accepted(),
            case: format!("{} {case}", self.vendor.kind),
            recipient,
            wanted,
        }
    }

    /// One by one, so that none shares a call: a magic number decides for its whole call.
    async fn cases(&self) -> Vec<Sent> {
        let mut all = Vec::new();
        for (suffix, wanted) in CASES {
            let number = format!("{:04}{suffix}", 5_000 + self.place);
            let sent = self.send(suffix, &number, wanted).await;
            // The journal is read whole each time.
            let until = Instant::now() + SOON;
            while self.platform.calls_for(&sent.recipient).is_empty() {
                assert!(Instant::now() < until, "{}: no call", sent.case);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            all.push(sent);
        }
        all
    }

    /// Many of one text at once, one of them to a bad number, which costs the others nothing.
    async fn company(&self) -> Vec<Sent> {
        let good =
            (0..COMPANY).map(|i| (format!("{:04}6{i:03}", 5_000 + self.place), Wanted::Arrived));
        let bad = format!("{:04}0001", 6_000 + self.place);
        let numbers: Vec<(String, Wanted)> = good.chain([(bad, Wanted::Ended)]).collect();
        let sent = numbers
            .iter()
            .map(|(number, wanted)| self.send("in company", number, *wanted));
        join_all(sent).await
    }

    /// The vendor lets fewer calls through than come: all arrive, by and by, and it goes on being used.
    async fn throttled(&self) -> Vec<Sent> {
        let kind = self.vendor.kind;
        let rate = |rate: u32| json!({ "rate_per_second": rate });
        self.platform.lab_patch(kind, &rate(3)).await;
        let burst = (0..BURST).map(|i| {
            let number = format!("{:04}7{i:03}", 5_000 + self.place);
            async move { self.send("throttled", &number, Wanted::Arrived).await }
        });
        let sent = join_all(burst).await;
        self.settle(&sent).await;
        self.platform.lab_patch(kind, &rate(0)).await;
        let outcomes = newest(self.platform);
        let its = sent.iter().filter(|sent| {
            let attempts = &outcomes[&sent.id].attempts;
            attempts.last().is_some_and(|a| a.channel.as_str() == kind)
        });
        assert!(its.count() >= 3, "{kind} was given up for being slow");
        sent
    }

    /// The account is used up: the spare has all from then on.
    async fn out_of_balance(&self) -> Vec<Sent> {
        let kind = self.vendor.kind;
        let balance = json!({ "behaviour": { "balance": 0 } });
        self.platform.lab_patch(kind, &balance).await;
        let mut sent = Vec::new();
        for i in 0..3 {
            let number = format!("{:04}8{i:03}", 5_000 + self.place);
            let one = self
                .send("out of balance", &number, Wanted::ByTheSpare)
                .await;
            self.settle(std::slice::from_ref(&one)).await;
            sent.push(one);
        }
        sent
    }

    async fn settle(&self, sent: &[Sent]) {
        let what = format!("{} settles", self.vendor.kind);
        eventually(&what, SOON, async || {
            let faults = self.faults(sent);
            if faults.is_empty() {
                Ok(())
            } else {
                Err(faults.join("\n"))
            }
        })
        .await;
    }

    fn faults(&self, sent: &[Sent]) -> Vec<String> {
        let outcomes = newest(self.platform);
        sent.iter()
            .filter_map(|sent| {
                let fault = match outcomes.get(&sent.id) {
                    None => "no outcome".to_owned(),
                    Some(outcome) => self.fault(sent, outcome)?,
                };
                Some(format!("{}: {fault}", sent.case))
            })
            .collect()
    }

    fn fault(&self, sent: &Sent, outcome: &Outcome) -> Option<String> {
        let kind = self.vendor.kind;
        let of_vendor = outcome
            .attempts
            .iter()
            .filter(|a| a.channel.as_str() == kind);
        let of_vendor: Vec<_> = of_vendor.collect();
        let last = outcome.attempts.last()?;
        let by = last.channel.as_str();
        let end = outcome.outcome;
        let good = match sent.wanted {
            Wanted::Delivered => end == Terminal::Delivered && by == kind,
            Wanted::Arrived => end == Terminal::Delivered,
            Wanted::ByTheSpare => end == Terminal::Delivered && by == SPARE && of_vendor.len() <= 1,
            // Those in a company that was refused for one of them go once more, alone.
            Wanted::RefusedForTheNumber => {
                let refused = end == Terminal::Failed && last.state == AttemptState::Rejected;
                let reported = end == Terminal::Undelivered && self.vendor.reports_bad_numbers;
                (refused || reported) && by == kind && of_vendor.len() == outcome.attempts.len()
            }
            Wanted::Ended => matches!(
                end,
                Terminal::Failed | Terminal::Undelivered | Terminal::Delivered
            ),
            Wanted::Undelivered => {
                end == Terminal::Undelivered && by == kind && outcome.attempts.len() == 1
            }
            Wanted::DeliveredIfEchoed if self.vendor.echoes => {
                end == Terminal::Delivered && outcome.attempts.len() == 1
            }
            Wanted::DeliveredIfEchoed | Wanted::Unknown => {
                end == Terminal::Unknown && outcome.attempts.len() == 1
            }
        };
        (!good).then(|| format!("{:?} wanted, got {outcome:#?}", sent.wanted))
    }

    /// What the vendor's own journal says: nothing was taken twice, and our credentials stand nowhere.
    fn check_journal(&self, sent: &[Sent]) {
        for sent in sent {
            let calls = self.platform.calls_for(&sent.recipient).into_iter();
            let taken = calls.filter(|call| {
                matches!(call.outcome, CallOutcome::Accepted { .. })
                    && !call.refused.contains_key(&sent.recipient)
            });
            assert!(taken.count() <= 1, "{}: taken twice", sent.case);
        }
    }
}

/// The newest word on every message: corrections after the outcome.
fn newest(platform: &Platform) -> BTreeMap<MessageId, Outcome> {
    use jixinda_schemas::{Topic, codec::Event};
    let mut newest = BTreeMap::new();
    for record in platform.log.valid(Topic::Outcomes) {
        match record.event() {
            Event::Outcome(e) => drop(newest.insert(e.message_id.unwrap(), e.payload)),
            Event::OutcomeCorrected(e) => {
                drop(newest.insert(e.message_id.unwrap(), e.payload.current));
            }
            _ => {}
        }
    }
    newest
}

fn world() -> World {
    let mut world = World::new(&[SPARE]);
    world.channel(SPARE)["priority"] = json!(9);
    for vendor in VENDORS {
        world.add_vendor(vendor);
    }
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_vendor_delivers_refuses_slows_down_and_hands_over() {
    let world = world();
    let public_url = format!("http://127.0.0.1:{}", world.receipts_ports[0]);
    let settings = Settings::default()
        .with("SENDERS__PUBLIC_URL", public_url)
        .with("ROUTER__RECEIPT_DEADLINE", "12s")
        .alone();
    let platform = Platform::start_with(world, ALL_IN_ONE, settings).await;
    let parts: Vec<Part<'_>> = VENDORS
        .iter()
        .enumerate()
        .map(|(place, vendor)| Part {
            platform: &platform,
            vendor,
            place,
        })
        .collect();
    let of_vendors = join_all(parts.iter().map(async |part| {
        let mut sent = part.throttled().await;
        for together in [part.cases().await, part.company().await] {
            part.settle(&together).await;
            sent.extend(together);
        }
        // Refused numbers, words and unknown ends have not cost the channel its place: it goes first as before.
        let number = format!("{:04}9000", 5_000 + part.place);
        let after = part.send("after all", &number, Wanted::Delivered).await;
        part.settle(std::slice::from_ref(&after)).await;
        sent.push(after);
        sent.extend(part.out_of_balance().await);
        sent
    }))
    .await;
    for (part, sent) in parts.iter().zip(&of_vendors) {
        part.check_journal(sent);
        assert_eq!(part.faults(sent), Vec::<String>::new());
    }
    no_secret_gets_out(&platform).await;
    platform.run(&["verify"], &[]);
    platform.end().await;
}

/// Credentials are in no log, no metric, and not in the lab's own journal.
async fn no_secret_gets_out(platform: &Platform) {
    let mut places = platform.logs();
    places.insert("metrics".to_owned(), platform.metrics("all").await);
    let journal = std::fs::read_to_string(platform.dir.join("journal.jsonl")).unwrap();
    places.insert("journal".to_owned(), journal);
    for (name, secret) in &platform.world.secrets {
        for (place, text) in &places {
            assert!(!text.contains(secret.as_str()), "{name} stands in {place}");
        }
    }
    for record in jixinda_schemas::Topic::ALL
        .into_iter()
        .flat_map(|topic| platform.log.topic(topic))
    {
        let text = String::from_utf8_lossy(&record.value);
        for (name, secret) in &platform.world.secrets {
            assert!(
                !text.contains(secret.as_str()),
                "{name} stands on {}",
                record.topic
            );
        }
    }
}

/// Messages from handsets come to `inbound`, pushed or fetched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_from_handsets_arrive() {
    use jixinda_schemas::{Topic, codec::Event};
    let world = world();
    let settings = Settings::default().with(
        "SENDERS__PUBLIC_URL",
        format!("http://127.0.0.1:{}", world.receipts_ports[0]),
    );
    let platform = Platform::start_with(world, ALL_IN_ONE, settings).await;
    let with_inbound: Vec<&Vendor> = VENDORS.iter().filter(|v| v.inbound).collect();
    for (i, vendor) in with_inbound.iter().enumerate() {
        let mo = json!({
            "from": format!("+861390000{i:04}"), "to": "8820",
            "text": format!("R {}", vendor.kind),
        });
        platform.lab_inbound(vendor.kind, &mo).await;
    }
    eventually(
        "every message from a handset is on its topic",
        SOON,
        async || {
            let found: BTreeMap<String, String> = platform
                .log
                .topic(Topic::Inbound)
                .iter()
                .filter_map(|record| match record.event() {
                    Event::Inbound(e) => Some((e.payload.channel.to_string(), e.payload.text)),
                    _ => None,
                })
                .collect();
            let mut missing = with_inbound
                .iter()
                .filter(|v| found.get(v.kind) != Some(&format!("R {}", v.kind)));
            match missing.next() {
                None => Ok(()),
                Some(vendor) => Err(format!("{}: {found:?}", vendor.kind)),
            }
        },
    )
    .await;
    platform.end().await;
}

impl World {
    /// A channel of this kind, its account at the lab, and a template that only it and the spare have.
    fn add_vendor(&mut self, vendor: &Vendor) {
        let kind = vendor.kind;
        self.add_channel(kind);
        self.add_account(kind);
        let secret = self.secrets[&format!("{kind} vendor")].clone();
        let channel = self.channel(kind);
        channel["vendor"] = json!(kind);
        channel["call_timeout_ms"] = json!(1_500);
        channel["secrets"] = filled(vendor.secrets, &secret);
        channel["settings"] = filled(vendor.settings, &secret);
        if !vendor.path.is_empty() {
            let endpoint = channel["endpoint"].as_str().unwrap().to_owned();
            channel["endpoint"] = json!(format!("{endpoint}{}", vendor.path));
        }
        let account = self.lab_account(kind);
        account["vendor"] = json!(kind);
        account["access_key_id"] = json!(vendor.key);
        account["settings"] = filled(vendor.lab_settings, &secret);
        account["behaviour"]["magic_numbers"] = json!(true);
        account["templates"] = json!({ vendor.code: { "variables": vendor.variables } });
        if vendor.fetched {
            account.as_object_mut().unwrap().remove("receipt_url");
        }
        for name in vendor.sign_names.iter().chain(&vendor.sign_code) {
            account["sign_names"]
                .as_array_mut()
                .unwrap()
                .push(json!(name));
        }
        if let Some(code) = vendor.sign_code {
            self.directory["signatures"][0]["channels"][kind]["code"] = json!(code);
        }
        let form: Value = serde_json::from_str(vendor.form).unwrap();
        let template = |id: &str| {
            json!({
                "id": id, "app": "shop", "lane": "notice", "body": "您的验证码为{code}。", "signature": "jixinda",
                "variables": [{ "name": "code", "max_length": 32 }],
                "channels": { kind: { "code": vendor.code, "approved": true, "form": form } },
            })
        };
        let mut with_spare = template(&format!("{kind}-or-spare"));
        with_spare["channels"][SPARE] =
            json!({ "code": "SMS_LOGIN", "approved": true, "form": { "kind": "named" } });
        let templates = self.directory["templates"].as_array_mut().unwrap();
        // The other templates are none of its business.
        for other in templates.iter_mut() {
            other["channels"].as_object_mut().unwrap().remove(kind);
        }
        templates.extend([template(kind), with_spare]);
    }
}

/// `{secret}` stands for the account's secret.
fn filled(pairs: &[(&str, &str)], secret: &str) -> Value {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value.replace("{secret}", secret))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Of a vendor that tells reports only by the id of a call: what was taken before is read back from the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_before_a_kill_are_asked_about_after_it() {
    use jixinda_schemas::{Topic, codec::Event};
    let vendor = VENDORS.iter().find(|vendor| vendor.kind == "jdcloud");
    let vendor = vendor.unwrap();
    let mut world = World::new(&[SPARE]);
    world.add_vendor(vendor);
    let mut platform = Platform::start(world, ALL_IN_ONE).await;
    let part = Part {
        platform: &platform,
        vendor,
        place: 0,
    };
    let mut sent = Vec::new();
    for i in 0..COMPANY {
        let number = format!("50006{i:03}");
        sent.push(part.send("before a kill", &number, Wanted::Delivered).await);
    }
    eventually("the results are on the log", SOON, async || {
        let attempts = platform.log.topic(Topic::Attempts);
        let finished = |event: Event| matches!(event, Event::AttemptFinished(_));
        let count = attempts.iter().filter(|r| finished(r.event())).count();
        (count == COMPANY).then_some(()).ok_or(format!("{count}"))
    })
    .await;
    platform.kill("all");
    platform.restart("all");
    platform.process_ready("all").await;
    let part = Part {
        platform: &platform,
        vendor,
        place: 0,
    };
    part.settle(&sent).await;
    part.check_journal(&sent);
    platform.end().await;
}
