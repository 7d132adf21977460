//! The judge on the evidence of a real run in which faults are planted: it must find each, and nothing else.

use std::collections::BTreeSet;

use jixinda_lab::journal;
use jixinda_schemas::{MessageId, Topic, codec::Event, event::Terminal, headers::Headers};

use super::settle::{look, read};
use crate::{
    audit::judge::Fault,
    harness::{
        Platform,
        load::{Accepted, Script, Sent},
        log::{Captured, Log},
    },
};

/// A loss, a duplicate send, a duplicate row and a wrong outcome.
pub(crate) async fn are_found(platform: &mut Platform, mut accepted: Accepted) {
    platform.stop_all().await;
    let lost = MessageId::random();
    let nowhere = Sent {
        script: Script::Delivered,
        ..Sent::new("+8613000000000".to_owned(), jixinda_schemas::Lane::Notice)
    };
    accepted.insert(lost, nowhere);
    let log = Log::follow(&platform.kafka, &platform.lifecycle).await;
    let mut plain = log.valid(Topic::Outcomes).into_iter().filter_map(|record| {
        let id = delivered(&record)?;
        let script = accepted.get(&id)?.script;
        (script == Script::Delivered).then_some((id, record))
    });
    let (doubled, _) = plain.next().unwrap();
    let (resent, _) = plain.next().unwrap();
    let (wrong, record) = plain.next().unwrap();
    platform
        .write(&format!(
            "INSERT INTO outcomes SELECT * FROM outcomes WHERE message_id = toUUID('{doubled}')"
        ))
        .await;
    send_again(platform, &accepted[&resent].recipient);
    say_failed(platform, &record).await;

    let facts = read(platform).await;
    let now = facts.lock().unwrap().clone();
    let found: BTreeSet<Fault> = look(platform, &accepted, &now)
        .await
        .faults
        .into_iter()
        .collect();
    let wanted = BTreeSet::from([
        Fault::Lost(lost),
        Fault::NotStored(lost),
        Fault::RowTooMany(doubled),
        Fault::SentTwice(resent),
        Fault::CalledTwice(resent),
        Fault::SeveralOutcomes(wrong),
        Fault::WrongOutcome(wrong, Terminal::Failed),
        Fault::NotAsScripted(wrong, Terminal::Failed),
        Fault::RowMissing(wrong),
    ]);
    assert_eq!(found, wanted);
}

/// The message of a delivered outcome.
fn delivered(record: &Captured) -> Option<MessageId> {
    match record.event() {
        Event::Outcome(e) if e.payload.outcome == Terminal::Delivered => e.message_id,
        _ => None,
    }
}

/// The vendor's journal has the call that was taken once more.
fn send_again(platform: &Platform, recipient: &str) {
    let calls = platform.calls_for(recipient);
    let taken = |call: &&journal::Call| matches!(call.outcome, journal::Outcome::Accepted { .. });
    let call = calls.iter().find(taken).unwrap();
    let line = serde_json::to_string(&journal::Entry::Call(call.clone())).unwrap();
    let path = platform.dir.join("journal.jsonl");
    let mut journal = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    std::io::Write::write_all(&mut journal, format!("{line}\n").as_bytes()).unwrap();
}

/// The writer that counts says `failed`, after it had said `delivered`.
async fn say_failed(platform: &Platform, record: &Captured) {
    let mut event: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
    event["payload"]["outcome"] = "failed".into();
    let key = event["payload"]["recipient"].as_str().unwrap().to_owned();
    let log = Log::follow(&platform.kafka, &platform.lifecycle).await;
    let mut opened = log.topic(Topic::Outcomes);
    opened
        .retain(|r| r.partition == record.partition && r.headers.kind.as_deref() == Some("opened"));
    let headers = Headers {
        writer: opened.pop().unwrap().headers.writer,
        ..Headers::of("outcome")
    };
    let value = event.to_string().into_bytes();
    platform
        .produce(
            Topic::Outcomes,
            Some(&key),
            &value,
            Some(record.partition),
            headers,
        )
        .await;
}
