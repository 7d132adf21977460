//! `docs/events.md` says what the types say, and its examples run.

use std::{collections::BTreeMap, io::ErrorKind, process::Command};

use jixinda_schemas::{
    Lane, MessageId, Position, Topic,
    codec::{self, Event},
    event::kind,
    headers, seal,
    topic::Cleanup,
    validate,
};

use crate::{docs, list, name, read};

fn events_md() -> String {
    read(&docs().join("events.md"))
}

/// The table row that begins with `first`.
fn row(text: &str, first: &str) -> String {
    let start = format!("| `{first}` |");
    text.lines()
        .find(|line| line.starts_with(&start))
        .unwrap_or_else(|| panic!("events.md has no row for `{first}`"))
        .to_owned()
}

#[test]
fn every_topic_has_a_row_with_its_retention() {
    for topic in Topic::ALL {
        let kept = match topic.cleanup() {
            Cleanup::Delete { days } => format!("| {days} d |"),
            Cleanup::Compact { .. } => "| compacted |".to_owned(),
        };
        let row = row(&events_md(), topic.as_str());
        assert!(row.contains(&kept), "{row}");
    }
}

#[test]
fn every_event_and_header_is_described() {
    let text = events_md();
    for kind in kind::ALL {
        let link = format!("[v1](../schemas/json/{kind}/v1.schema.json) |");
        let row = |line: &str| line.starts_with(&format!("| `{kind}` |")) && line.ends_with(&link);
        assert!(text.lines().any(row), "{kind}");
    }
    use headers::{
        ATTEMPT, CHANNEL, INGEST_SEAL, LANE, REHOMED_FROM, SIGNATURE, TRACEPARENT, TYPE, VERSION,
        WRITER,
    };
    for header in [
        TYPE,
        VERSION,
        LANE,
        CHANNEL,
        ATTEMPT,
        WRITER,
        TRACEPARENT,
        SIGNATURE,
        INGEST_SEAL,
        REHOMED_FROM,
    ] {
        assert!(text.contains(&format!("`{header}`")), "{header}");
    }
}

#[test]
fn every_field_of_a_request_has_a_row() {
    let schema = crate::read_json(&crate::home().join("json/request/v1.schema.json"));
    let fields = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let text = events_md();
    for field in fields(&schema["properties"]) {
        row(&text, &field);
    }
    for field in fields(&schema["$defs"]["Request"]["properties"]) {
        row(&text, &format!("payload.{field}"));
    }
}

#[test]
fn links_lead_somewhere() {
    let text = events_md();
    for link in text.split("](").skip(1) {
        let target = link.split([')', '#']).next().unwrap();
        assert!(docs().join(target).exists(), "{target}");
    }
}

#[test]
fn limits_are_those_of_the_rules() {
    let text = events_md();
    for limit in [
        format!("{} KiB", validate::MAX_REQUEST_BYTES / 1024),
        format!("{} characters", validate::MAX_TEXT_CHARS),
        format!("{} s ahead", validate::MAX_NOT_BEFORE_AHEAD_MS / 1000),
        format!("{} bytes", validate::MAX_KEY_BYTES),
    ] {
        assert!(text.contains(&limit), "{limit}");
    }
    for lane in Lane::ALL {
        let row = row(&text, lane.as_str());
        let minutes = |ms: i64| format!("| {} min ", ms / 60_000);
        assert!(row.contains(&minutes(lane.default_validity_ms())), "{row}");
        assert!(row.contains(&minutes(lane.id_window_ms())), "{row}");
    }
}

#[test]
fn worked_ids_are_right() {
    let text = events_md();
    let app = "shop".parse().unwrap();
    let recipient = "+8613800138000".parse().unwrap();
    let by_key = MessageId::from_idempotency_key(&app, "login-20260102-0001", 0, &recipient);
    let by_position = MessageId::from_position(&Position {
        topic: Topic::RequestsOtp,
        partition: 2,
        offset: 1043,
    });
    for id in [by_key, by_position] {
        assert!(text.contains(&id.to_string()), "{id}");
    }
}

/// Runs the fenced block tagged `tag` with a `kcat` that prints its arguments and then what it was given; `None`
/// where a command is not installed.
fn run(tag: &str) -> Option<(Vec<String>, String)> {
    let text = events_md();
    let start = format!("```sh {tag}\n");
    let block = text
        .split(&start)
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let script = format!("kcat() {{ printf '%s\\n' \"$@\"; cat; }}\n{block}");
    let mut shell = Command::new("sh");
    shell.args(["-euc", &script]).envs(BTreeMap::from([
        ("BROKERS", "127.0.0.1:9092"),
        ("PREFIX", "jixinda."),
        ("KEY_ID", "shop-2026-01"),
        ("SECRET", "example-secret-not-for-use"),
    ]));
    let output = match shell.output() {
        Err(e) if e.kind() == ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    if output.status.code() == Some(127) {
        return None;
    }
    assert!(output.status.success(), "{output:?}");
    let mut lines: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(ToOwned::to_owned)
        .collect();
    let value = lines.pop().unwrap();
    Some((lines, value))
}

#[test]
fn the_kcat_example_writes_a_request() {
    let Some((arguments, value)) = run("kcat-example") else {
        return;
    };
    let Event::Request(request) = codec::decode(None, value.as_bytes()).unwrap() else {
        panic!("another event")
    };
    let key = request.payload.recipient.expose().to_owned();
    assert!(arguments.contains(&key), "the record key is the recipient");
    assert!(arguments.contains(&"jixinda.requests.otp".to_owned()));
    assert!(request.app_id.is_some());
}

#[test]
fn the_signing_example_makes_a_signature_that_matches() {
    let Some((arguments, value)) = run("kcat-signed") else {
        return;
    };
    let given = arguments
        .iter()
        .find_map(|a| a.strip_prefix("signature="))
        .unwrap();
    let secrets = [(
        "shop-2026-01".to_owned(),
        "example-secret-not-for-use".to_owned(),
    )];
    assert!(seal::record_signature_matches(
        given,
        value.as_bytes(),
        &secrets
    ));
}

#[test]
fn schema_folders_and_kinds_are_the_same_list() {
    let folders = list(&crate::home().join("json"));
    let named = folders.iter().filter(|f| kind::ALL.contains(&name(f)));
    assert_eq!(named.count(), kind::ALL.len());
}
