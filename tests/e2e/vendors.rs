//! Every vendor over its own wire protocol, from the request to the receipt: one pipeline run, all vendors side by side, each
//! case a magic number of the lab or a switch at it.

mod accounts;
mod table;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use jixinda_lab::journal::{Call, Outcome as CallOutcome};
use jixinda_schemas::{
    MessageId, Topic,
    directory::Entity,
    event::{
        Terminal,
        outcome::{AttemptState, Outcome},
    },
};
use serde_json::json;

use crate::harness::{ALL_IN_ONE, Platform, SOON, Settings, eventually, world::World};
use table::{VENDORS, Vendor};

/// Takes over where a vendor fails.
const SPARE: &str = "spare";
/// Messages while the vendor lets two calls a second through, at least and at most.
const BURST: usize = 8;
const MOST_BURST: usize = 40;

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
            all.push(self.called(suffix, &number, wanted).await);
        }
        all
    }

    /// As [`Part::send`]; returns once there was a call, so that the next message has another.
    async fn called(&self, case: &str, number: &str, wanted: Wanted) -> Sent {
        let sent = self.send(case, number, wanted).await;
        // The journal is read whole each time.
        let until = Instant::now() + SOON;
        while self.platform.calls_for(&sent.recipient).is_empty() {
            assert!(Instant::now() < until, "{}: no call", sent.case);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        sent
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

    /// The vendor lets two calls a second through: all arrive, by and by, and it goes on being used.
    async fn throttled(&self) -> Vec<Sent> {
        let kind = self.vendor.kind;
        let rate = |rate: u32| json!({ "rate_per_second": rate });
        self.platform.lab_patch(kind, &rate(2)).await;
        let mut sent = Vec::new();
        // Calls of their own, one after another, until some were too many for the second that they came in.
        while sent.len() < BURST || !self.refused_any(&sent) {
            assert!(
                sent.len() < MOST_BURST,
                "{kind} refuses no call for its rate"
            );
            let number = format!("{:04}7{:03}", 5_000 + self.place, sent.len());
            sent.push(self.called("throttled", &number, Wanted::Arrived).await);
        }
        self.settle(&sent).await;
        self.platform.lab_patch(kind, &rate(0)).await;
        let outcomes = newest(self.platform);
        let its = sent.iter().filter(|sent| {
            let attempts = &outcomes[&sent.id].attempts;
            attempts.last().is_some_and(|a| a.channel.as_str() == kind)
        });
        assert!(its.count() >= 2, "{kind} was given up for being slow");
        sent
    }

    /// Whether the vendor has refused a call for one of these, whose numbers are good.
    fn refused_any(&self, sent: &[Sent]) -> bool {
        let refused = |call: &Call| matches!(call.outcome, CallOutcome::Refused { .. });
        let mut calls = self.platform.calls().into_iter().filter(refused);
        calls.any(|call| sent.iter().any(|s| call.recipients.contains(&s.recipient)))
    }

    /// The platform has said on the directory that the channel's account cannot send.
    async fn is_taken_out(&self) {
        let kind = self.vendor.kind;
        eventually("the channel is taken out", SOON, async || {
            let records = self.platform.log.topic(Topic::Directory);
            let states =
                records
                    .iter()
                    .filter_map(|record| match serde_json::from_slice(&record.value) {
                        Ok(Entity::ChannelState(state)) => Some(state.channel),
                        _ => None,
                    });
            let mut out = states.filter(|channel| channel.as_str() == kind);
            out.next().map(drop).ok_or_else(|| format!("{kind} is in"))
        })
        .await;
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
            if i == 0 {
                self.is_taken_out().await;
            }
        }
        // Out at once: the first may have asked the vendor, the others have not.
        let outcomes = newest(self.platform);
        for later in &sent[1..] {
            let mut attempts = outcomes[&later.id].attempts.iter();
            assert!(attempts.all(|a| a.channel.as_str() == SPARE), "{kind}");
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
    use jixinda_schemas::codec::Event;
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
        let begun = Instant::now();
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
        println!(
            "{}: {:.1} s",
            part.vendor.kind,
            begun.elapsed().as_secs_f64()
        );
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
    use jixinda_schemas::codec::Event;
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

/// Of a vendor that tells reports only by the id of a call: what was taken before is read back from the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_before_a_kill_are_asked_about_after_it() {
    use jixinda_schemas::codec::Event;
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
