//! Every committed example of every version decodes, for good, and comes back whole.

use std::{collections::BTreeMap, path::PathBuf};

use jixinda_schemas::{
    AttemptId, EventId, MessageId, Position,
    codec::{self, Event},
    directory::{Entity, Snapshot, Suppressions},
    event::kind,
};
use serde_json::{Map, Value, json};

use crate::{home, list, name, read, read_json};

/// Kind, version and path of each example under `json/<kind>/v<version>/`.
pub(crate) fn examples() -> Vec<(String, u32, PathBuf)> {
    let mut out = Vec::new();
    for kind in list(&home().join("json")) {
        for version in list(&kind).into_iter().filter(|path| path.is_dir()) {
            let number = name(&version).strip_prefix('v').unwrap().parse().unwrap();
            for example in list(&version) {
                out.push((name(&kind).to_owned(), number, example));
            }
        }
    }
    out
}

fn events() -> impl Iterator<Item = (String, u32, PathBuf)> {
    examples()
        .into_iter()
        .filter(|(kind, _, _)| kind::ALL.contains(&kind.as_str()))
}

fn encode(event: &Event) -> Value {
    let bytes = match event {
        Event::Request(e) => codec::encode(e),
        Event::Routed(e) => codec::encode(e),
        Event::AttemptStarted(e) => codec::encode(e),
        Event::AttemptNotStarted(e) => codec::encode(e),
        Event::AttemptFinished(e) => codec::encode(e),
        Event::RawReceipt(e) => codec::encode(e),
        Event::Inbound(e) => codec::encode(e),
        Event::Receipt(e) => codec::encode(e),
        Event::Outcome(e) => codec::encode(e),
        Event::OutcomeCorrected(e) => codec::encode(e),
        Event::Opened(e) => codec::encode(e),
        Event::Health(e) => codec::encode(e),
        Event::DeadLetter(e) => codec::encode(e),
        Event::Redriven(e) => codec::encode(e),
        Event::Discarded(e) => codec::encode(e),
    };
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn every_example_decodes_and_loses_no_field() {
    for (kind, version, path) in events() {
        let text = read(&path);
        let event = codec::decode(None, text.as_bytes())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let by_header = codec::decode(Some((&kind, version)), text.as_bytes()).unwrap();
        assert_eq!(event, by_header, "{}", path.display());
        let given = read_json(&path);
        assert_eq!(
            (&given["type"], &given["version"]),
            (&json!(kind), &json!(version))
        );
        // An older version is upcast; what comes back is then the newest.
        if version == 1 {
            assert_eq!(encode(&event), given, "{}", path.display());
        }
    }
}

#[test]
fn every_kind_has_an_example_and_every_folder_is_known() {
    for kind in kind::ALL {
        assert!(examples().iter().any(|(k, _, _)| k == kind), "{kind}");
    }
    for folder in list(&home().join("json")) {
        let name = name(&folder);
        assert!(
            kind::ALL.contains(&name) || ["auth", "directory", "suppressions"].contains(&name),
            "{name}"
        );
    }
}

/// Adds a field to each object that is not a map of free names.
fn extend(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if name != "params" && name != "raw" {
                    extend(value);
                }
            }
            fields.insert("from_a_newer_release".to_owned(), json!({"a": [1, null]}));
        }
        Value::Array(items) => items.iter_mut().for_each(extend),
        _ => {}
    }
}

#[test]
fn unknown_fields_in_events_are_ignored() {
    for (_, _, path) in events() {
        let mut extended = read_json(&path);
        extend(&mut extended);
        let bytes = serde_json::to_vec(&extended).unwrap();
        assert_eq!(
            codec::decode(None, &bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display())),
            codec::decode(None, read(&path).as_bytes()).unwrap(),
        );
    }
}

/// Walks every object of an event with the message that it is about.
fn objects(value: &Value, visit: &mut impl FnMut(&Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            visit(fields);
            fields.values().for_each(|v| objects(v, visit));
        }
        Value::Array(items) => items.iter().for_each(|v| objects(v, visit)),
        _ => {}
    }
}

/// Where the request of each message of the examples stands, by those that name it.
fn requests() -> BTreeMap<String, Position> {
    let mut found = BTreeMap::new();
    for (_, _, path) in events() {
        let event = read_json(&path);
        objects(&event, &mut |fields| {
            if let (Some(message), Some(request)) =
                (event["message_id"].as_str(), fields.get("request"))
            {
                let request = serde_json::from_value(request.clone()).unwrap();
                let known = found.insert(message.to_owned(), request);
                assert!(known.is_none_or(|known| known == request), "{message}");
            }
        });
    }
    found
}

#[test]
fn ids_in_the_examples_follow_the_rules() {
    let requests = requests();
    for (kind, _, path) in events() {
        let event = read_json(&path);
        if let Some(cause) = event.get("cause") {
            let cause: Position = serde_json::from_value(cause.clone()).unwrap();
            let id = EventId::caused(&kind, &cause, 0);
            assert_eq!(event["id"], json!(id), "{}", path.display());
        }
        let Some(message) = event.get("message_id") else {
            continue;
        };
        let message: MessageId = serde_json::from_value(message.clone()).unwrap();
        objects(&event, &mut |fields| {
            if let (Some(n), Some(id)) = (fields.get("n"), fields.get("attempt_id")) {
                let n = serde_json::from_value(n.clone()).unwrap();
                let request = &requests[&message.to_string()];
                let wanted = AttemptId::new(message, request, n);
                assert_eq!(*id, json!(wanted), "{}", path.display());
            }
        });
        if let Event::Request(e) = codec::decode(None, read(&path).as_bytes()).unwrap() {
            if let Some(of) = &e.payload.redrive_of {
                assert_eq!(message, MessageId::redrive(of), "{}", path.display());
                continue;
            }
            let key = e.payload.idempotency_key.unwrap();
            let app = e.app_id.unwrap();
            let recipient = &e.payload.recipient;
            assert_eq!(
                message,
                MessageId::from_idempotency_key(&app, &key, e.payload.index, recipient)
            );
        }
    }
}

/// What `given` says, `whole` says too.
fn holds(whole: &Value, given: &Value) -> bool {
    match (whole, given) {
        (Value::Object(whole), Value::Object(given)) => given
            .iter()
            .all(|(name, value)| whole.get(name).is_some_and(|w| holds(w, value))),
        _ => whole == given,
    }
}

#[test]
fn directory_examples_decode_and_apply_under_their_keys() {
    let mut snapshot = Snapshot::default();
    for (kind, _, path) in examples() {
        let given = read_json(&path);
        let whole = match kind.as_str() {
            "directory" => {
                let entity: Entity = serde_json::from_value(given.clone()).unwrap();
                let (key, text) = (entity.key(), read(&path));
                snapshot.apply(&key, Some(text.as_bytes()), 0).unwrap();
                serde_json::to_value(entity).unwrap()
            }
            "suppressions" => {
                let list: Suppressions = serde_json::from_value(given.clone()).unwrap();
                serde_json::to_value(list).unwrap()
            }
            _ => continue,
        };
        assert!(holds(&whole, &given), "{}", path.display());
    }
    assert!(snapshot.apps.contains_key("shop"));
}

#[test]
fn an_unknown_field_of_an_operator_entity_is_refused() {
    for (_, _, path) in examples().iter().filter(|(kind, _, _)| kind == "directory") {
        let mut given = read_json(path);
        let operators = ["app", "channel", "signature", "template"];
        if operators.contains(&given["type"].as_str().unwrap()) {
            given["mistyped"] = json!(1);
            assert!(serde_json::from_value::<Entity>(given).is_err());
        }
    }
}
