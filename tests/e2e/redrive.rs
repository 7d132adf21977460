//! Dead letters and failed messages have readers who can act: each is listed, shown, sent again once, or discarded, and
//! who did it stands in the log.

use jixinda_runtime::{
    clock::{Clock as _, SystemClock},
    crash,
    kafka::partitioner,
};
use jixinda_schemas::{
    MessageId, Phone, Position, Reason, Topic,
    codec::{self, About, Event},
    event::{DeadLetter, Outcome, Redriven, Terminal, kind},
    headers::Headers,
};
use serde_json::{Value, json};

use crate::harness::{
    ALL_IN_ONE, Platform, SOON,
    client::{event, message},
    eventually, recipient,
    world::{World, code_of},
};

/// What the commands have shown so far must not show these.
struct Desk<'a> {
    platform: &'a Platform,
    numbers: Vec<Phone>,
}

impl Desk<'_> {
    /// What a command printed, and whether it ended well. Nothing that it says shows a number.
    fn run(&self, line: &str, crash_at: &[(String, String)]) -> (String, bool) {
        let arguments: Vec<&str> = line.split(' ').collect();
        let done = tokio::task::block_in_place(|| self.platform.try_run(&arguments, crash_at));
        let (said, good) = match done {
            Ok(said) => (said, true),
            Err(failed) => (failed.to_string(), false),
        };
        for number in &self.numbers {
            let national = number.china_national().unwrap();
            assert!(!said.contains(national), "{line} shows a number: {said}");
        }
        (said, good)
    }

    #[track_caller]
    fn good(&self, line: &str) -> String {
        let (said, good) = self.run(line, &[]);
        assert!(good, "{line}: {said}");
        said
    }

    #[track_caller]
    fn refused(&self, line: &str, because: &str) {
        let (said, good) = self.run(line, &[]);
        assert!(!good && said.contains(because), "{line}: {said}");
    }

    fn rows(&self, line: &str) -> Vec<Value> {
        serde_json::from_str(&self.good(&format!("{line} --json"))).unwrap()
    }

    async fn ended(&self, id: MessageId) -> Outcome {
        let mut outcomes = eventually("the message has its outcome", SOON, async || {
            let found = self.platform.log.outcomes().remove(&id);
            found.ok_or("none")
        })
        .await;
        assert_eq!(outcomes.len(), 1, "{outcomes:#?}");
        outcomes.remove(0)
    }

    fn redriven(&self, of: Position) -> Vec<Redriven> {
        let records = self.platform.log.topic(Topic::DeadLetters);
        let deeds = records.iter().filter_map(|record| match record.event() {
            Event::Redriven(e) if e.payload.of == of => Some(e.payload),
            _ => None,
        });
        deeds.collect()
    }
}

/// The log as its own judge sees it, once ClickHouse has everything.
async fn verified(platform: &Platform) {
    eventually("everything agrees", SOON, async || {
        let done = tokio::task::block_in_place(|| {
            platform.try_run(&["verify", "--settled", "--json"], &[])
        });
        done.map(drop).map_err(|failed| failed.to_string())
    })
    .await;
}

/// Defect (j) of the system that this replaces: what it gave up on went to a table that nobody could read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_message_is_found_and_sent_again_exactly_once_under_a_new_id() {
    let mut world = World::new(&["good"]);
    world.template("order")["channels"]["good"]["code"] = json!("SMS_NOT_THERE");
    let mut platform = Platform::start(world, ALL_IN_ONE).await;
    let client = platform.client("all", "shop");
    let number = recipient();
    let mut desk = Desk {
        platform: &platform,
        numbers: vec![number.clone()],
    };
    let old = client
        .send(&message("notice", number.expose()))
        .await
        .accepted();
    let brief = recipient();
    let mut short = message("notice", brief.expose());
    short["valid_for"] = json!(5);
    let expired = client.send(&short).await.accepted();
    desk.numbers.push(brief.clone());
    let end = desk.ended(old).await;
    assert_eq!(
        (end.outcome, end.reason),
        (Terminal::Failed, Reason::Exhausted)
    );
    let gone = desk.ended(expired).await;

    let listed = desk.good("failed list");
    assert!(
        listed.contains(&old.to_string()) && listed.contains(&number.masked()),
        "{listed}"
    );
    assert_eq!(desk.rows("failed list").len(), 2);
    assert_eq!(desk.rows("failed list --outcome expired").len(), 0);
    let shown = desk.good(&format!("failed show {old}"));
    for text in ["exhausted", "isv.", "(3 characters)", &number.masked()] {
        assert!(shown.contains(text), "no `{text}` in {shown}");
    }

    // Nobody is asked in vain, nothing is done by a slip.
    let line = format!("failed redrive {old}");
    desk.refused(&line, "--by NAME");
    desk.refused("failed redrive --by li", "choose several by a filter");
    desk.refused(&format!("{line} --since 1h --by li"), "not both");
    desk.refused(
        "failed redrive --since 1h --valid-for 10m --by li",
        "add --yes for these 2",
    );
    desk.refused(
        &format!("failed redrive {} --by li", MessageId::random()),
        "no outcome of it",
    );
    let dry = desk.good("failed redrive --since 1h --valid-for 10m --by li --dry-run");
    assert!(
        dry.contains("0 done, 0 refused") && dry.contains("would redrive"),
        "{dry}"
    );
    assert_eq!(platform.log.topic(Topic::DeadLetters).len(), 0);

    let mut fixed = platform.world.directory.clone();
    for template in fixed["templates"].as_array_mut().unwrap() {
        if template["id"] == "order" {
            template["channels"]["good"]["code"] = json!(code_of("order"));
        }
    }
    platform.apply_directory(&fixed).await;

    // Announced, and dead before it is written: still to be done. Written, and dead before that is said: done.
    let line = format!("failed redrive {old} --by li");
    let crashes = crash::COMMAND_POINTS;
    let (said, good) = desk.run(
        &line,
        &[("JIXINDA_CRASH_AT".to_owned(), format!("{}:1", crashes[0]))],
    );
    assert!(!good, "{said}");
    let rows = desk.rows("failed list --since 1h");
    let row = rows.iter().find(|row| row["message"] == old.to_string());
    let row = row.unwrap();
    assert!(
        row["done"].as_str().unwrap().contains("not finished"),
        "{row}"
    );
    assert_eq!(platform.calls_for(number.expose()).len(), 1);
    let (said, good) = desk.run(
        &line,
        &[("JIXINDA_CRASH_AT".to_owned(), format!("{}:1", crashes[1]))],
    );
    assert!(!good, "{said}");

    let deeds = eventually("both announcements are read", SOON, async || {
        let deeds = desk.redriven(end.request);
        if deeds.len() == 2 {
            Ok(deeds)
        } else {
            Err(format!("{deeds:?}"))
        }
    })
    .await;
    assert!(
        deeds
            .iter()
            .all(|deed| deed.written.is_none() && deed.by.name == "li")
    );
    let new = deeds[0].new_message_id.unwrap();
    assert_ne!(new, old);
    let again = desk.ended(new).await;
    assert_eq!(again.outcome, Terminal::Delivered, "{again:#?}");
    let of = again.redrive_of.unwrap();
    assert_eq!((of.message_id, of.request), (old, end.request));
    desk.refused(&line, "was redriven by li");
    desk.refused(
        &format!("failed discard {old} --by li --because late"),
        "was redriven by li",
    );

    // What a second operator would write at the same moment is a repeat.
    let requests = platform.log.topic(Topic::RequestsNotice);
    let copy = requests
        .iter()
        .find(|record| matches!(record.event(), Event::Request(e) if e.message_id == Some(new)));
    let copy = copy.unwrap();
    platform
        .produce(
            Topic::RequestsNotice,
            Some(number.expose()),
            &copy.value,
            None,
            copy.headers.clone(),
        )
        .await;

    // The other one's validity ends meanwhile.
    let line = format!("failed redrive {expired} --by li");
    eventually("the validity has ended", SOON, async || {
        let (said, good) = desk.run(&format!("{line} --dry-run"), &[]);
        if !good && said.contains("give a new one with --valid-for 10m") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    desk.refused(&format!("{line} --valid-for 2d"), "at most 1440 minutes");
    let said = desk
        .good("failed redrive --reason exhausted --valid-for 10m --because fixed --by li --yes");
    assert!(said.contains("1 done, 0 refused"), "{said}");
    let deeds = eventually("its place is told", SOON, async || {
        let deeds = desk.redriven(gone.request);
        if deeds.len() == 2 {
            Ok(deeds)
        } else {
            Err(format!("{deeds:?}"))
        }
    })
    .await;
    assert!(deeds[0].written.is_none() && deeds[1].written.is_some());
    assert_eq!(deeds[1].because.as_deref(), Some("fixed"));
    let second = desk.ended(deeds[0].new_message_id.unwrap()).await;
    assert_eq!(second.outcome, Terminal::Delivered);

    assert_eq!(desk.rows("failed list").len(), 0);
    let all = desk.rows("failed list --all");
    let done = |id: MessageId| {
        let row = all
            .iter()
            .find(|row| row["message"] == id.to_string())
            .unwrap();
        row["done"].as_str().unwrap().to_owned()
    };
    assert_eq!(done(old), format!("redriven as {new}: delivered"));
    let shown = desk.good(&format!("failed show {old} --json"));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        shown["done"]["redriven"]["outcome"], "delivered",
        "{shown:#}"
    );
    for number in [&number, &brief] {
        assert_eq!(
            platform.calls_for(number.expose()).len(),
            2,
            "one refused, one taken"
        );
    }
    let sql = format!("SELECT toString(redrive_of) AS of FROM outcomes WHERE message_id = '{new}'");
    eventually("ClickHouse has the link", SOON, async || {
        let rows = platform.clickhouse(&sql).await?;
        if rows == [json!({ "of": old.to_string() })] {
            Ok(())
        } else {
            Err(format!("{rows:?}"))
        }
    })
    .await;
    platform.stop("all").await;
    verified(&platform).await;
    platform.end().await;
}

fn letter(source: Position, reason: Reason, key: &Phone, value: &[u8], kind: &str) -> DeadLetter {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    DeadLetter {
        source: Some(source),
        reason,
        detail: "as another release left it".to_owned(),
        step: "router.intake".to_owned(),
        at: SystemClock.now(),
        channel: None,
        key: Some(STANDARD.encode(key.expose())),
        value: STANDARD.encode(value),
        headers: vec![
            ("type".to_owned(), kind.to_owned()),
            ("version".to_owned(), "1".to_owned()),
        ],
    }
}

impl Desk<'_> {
    /// Writes a dead letter as a role does.
    async fn bury(&self, letter: DeadLetter, key: &Phone) -> Position {
        let about = About {
            cause: letter.source,
            ..About::default()
        };
        let at = SystemClock.now();
        let event = codec::envelope(kind::DEAD_LETTER, about, at, letter);
        let (topic, headers) = (Topic::DeadLetters, Headers::of(kind::DEAD_LETTER));
        let value = codec::encode(&event);
        self.platform
            .produce(topic, Some(key.expose()), &value, None, headers)
            .await
    }

    /// The one dead letter of this reason.
    async fn found(&self, reason: &str) -> String {
        eventually(reason, SOON, async || {
            let rows = self.rows(&format!("dead-letters list --reason {reason}"));
            let [row] = rows.as_slice() else {
                return Err(format!("{rows:?}"));
            };
            Ok(row["position"].as_str().unwrap().to_owned())
        })
        .await
    }
}

/// Defect (j) of the system that this replaces, for what could not even be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_found_and_written_again_or_discarded() {
    let mut platform = Platform::start(World::new(&["good"]), ALL_IN_ONE).await;
    // The database of an older release, which lacks the column of the link.
    platform.stop("all").await;
    platform
        .write("ALTER TABLE outcomes DROP COLUMN redrive_of")
        .await;
    platform.restart("all");
    platform.process_ready("all").await;
    let number = recipient();
    let desk = Desk {
        platform: &platform,
        numbers: vec![number.clone()],
    };
    // Unreadable, in two ways.
    let text = format!("{{\"phone\":\"{}\",", number.china_national().unwrap());
    let (topic, plain) = (Topic::RequestsOtp, Headers::of("request"));
    platform
        .produce(topic, Some(number.expose()), text.as_bytes(), None, plain)
        .await;
    let mut newer = event("shop", &message("otp", number.expose()));
    newer["version"] = json!(9);
    let value = newer.to_string().into_bytes();
    platform
        .produce(
            topic,
            Some(number.expose()),
            &value,
            None,
            Headers::default(),
        )
        .await;
    let (broken, unknown) = (
        desk.found("bad_json").await,
        desk.found("unknown_version").await,
    );
    let shown = desk.good(&format!("dead-letters show {broken}"));
    assert!(
        shown.contains(&number.masked()) && shown.contains("router.intake"),
        "{shown}"
    );
    let shown = desk.good(&format!("dead-letters show {unknown} --json"));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        shown["body"]["payload"]["recipient"],
        number.masked(),
        "{shown:#}"
    );
    assert_eq!(shown["body"]["payload"]["params"]["code"], "(6 characters)");
    assert_eq!(shown["app"], "shop");
    desk.refused(
        &format!("dead-letters redrive {unknown} --by li"),
        "this release cannot read the request",
    );
    desk.refused("dead-letters show outcomes/0/1", "is no dead letter");
    desk.refused(
        "dead-letters show dead-letters/0/9999",
        "there is no dead letter",
    );

    let discard = "dead-letters discard --reason bad_json --by li --because scanner";
    desk.refused(discard, "add --yes for these 1");
    desk.good(&format!("{discard} --yes"));
    assert_eq!(desk.rows("dead-letters list --reason bad_json").len(), 0);
    let row = &desk.rows("dead-letters list --reason bad_json --all")[0];
    assert_eq!(row["done"], "discarded");
    let shown = desk.good(&format!("dead-letters show {broken}"));
    assert!(shown.contains("scanner") && shown.contains("li"), "{shown}");
    desk.refused(
        &format!("dead-letters discard {broken} --by li --because x"),
        "was discarded by li",
    );

    // As a release that did not know the version left it, and this one does.
    let readable = event("shop", &message("otp", number.expose()));
    let partitions = platform.kafka.config().partitions;
    let source = Position {
        topic: Topic::RequestsOtp,
        partition: partitioner::partition(number.expose().as_bytes(), partitions),
        offset: 1_000_000,
    };
    let value = readable.to_string().into_bytes();
    let buried = letter(source, Reason::UnknownVersion, &number, &value, "request");
    let at = desk.bury(buried, &number).await;
    let line = format!("dead-letters redrive {at} --by li");
    let said = desk.good(&line);
    assert!(said.contains("1 done, 0 refused"), "{said}");
    let new = desk.redriven_id(source).await;
    let outcome = desk.ended(new).await;
    assert_eq!(outcome.outcome, Terminal::Delivered);
    assert_eq!(
        outcome.redrive_of.unwrap().message_id,
        MessageId::from_position(&source)
    );
    desk.refused(&line, "was redriven by li");
    assert_eq!(platform.calls_for(number.expose()).len(), 1);

    // A receipt goes back as it was.
    let receipts = platform.log.topic(Topic::ReceiptsRaw);
    let receipt = receipts.last().unwrap();
    let source = Position {
        topic: receipt.topic,
        partition: receipt.partition,
        offset: receipt.offset,
    };
    let buried = letter(
        source,
        Reason::ReceiptUnmatched,
        &number,
        &receipt.value,
        "raw_receipt",
    );
    let at = desk.bury(buried, &number).await;
    desk.good(&format!("dead-letters redrive {at} --by li"));
    eventually("the receipt is there again", SOON, async || {
        let again = platform.log.topic(Topic::ReceiptsRaw);
        let same = again.iter().filter(|record| record.value == receipt.value);
        if same.count() == 2 {
            Ok(())
        } else {
            Err("it is not")
        }
    })
    .await;

    let linked = "SELECT toString(message_id) AS id FROM outcomes WHERE redrive_of IS NOT NULL";
    eventually("ClickHouse has the link", SOON, async || {
        let rows = platform.clickhouse(linked).await?;
        if rows == [json!({ "id": new.to_string() })] {
            Ok(())
        } else {
            Err(format!("{rows:?}"))
        }
    })
    .await;

    let left = desk.rows("dead-letters list");
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0]["position"], unknown);
    platform.stop("all").await;
    verified(&platform).await;
    platform.end().await;
}

impl Desk<'_> {
    async fn redriven_id(&self, of: Position) -> MessageId {
        eventually("the redrive is announced", SOON, async || {
            self.redriven(of)
                .first()
                .and_then(|deed| deed.new_message_id)
                .ok_or("it is not")
        })
        .await
    }
}
