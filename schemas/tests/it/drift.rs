//! The committed JSON Schemas are those of the types.

use jixinda_schemas::{
    Envelope,
    directory::{Entity, Suppressions},
    event::{
        AttemptFinished, AttemptNotStarted, AttemptStarted, DeadLetter, Discarded, HealthReport,
        Inbound, Opened, Outcome, OutcomeCorrected, RawReceipt, Receipt, Redriven, Request, Routed,
        kind,
    },
};
use schemars::{JsonSchema, schema_for};
use serde_json::{Value, json};

use crate::{home, same_as_committed};

fn event<P: JsonSchema>(kind: &str) -> (String, Value) {
    let mut schema = serde_json::to_value(schema_for!(Envelope<P>)).unwrap();
    schema["title"] = json!(kind);
    schema["properties"]["type"]["const"] = json!(kind);
    schema["properties"]["version"]["const"] = json!(1);
    (kind.to_owned(), schema)
}

fn all() -> Vec<(String, Value)> {
    let mut request = event::<Request>(kind::REQUEST);
    // Optional in the envelope, but nobody can send for no app.
    request.1["properties"]["app_id"]["$ref"] = json!("#/$defs/AppId");
    let app_id = request.1["properties"]["app_id"].as_object_mut().unwrap();
    app_id.remove("anyOf").unwrap();
    let required = request.1["required"].as_array_mut().unwrap();
    required.push(json!("app_id"));
    vec![
        request,
        event::<Routed>(kind::ROUTED),
        event::<AttemptStarted>(kind::ATTEMPT_STARTED),
        event::<AttemptNotStarted>(kind::ATTEMPT_NOT_STARTED),
        event::<AttemptFinished>(kind::ATTEMPT_FINISHED),
        event::<RawReceipt>(kind::RAW_RECEIPT),
        event::<Inbound>(kind::INBOUND),
        event::<Receipt>(kind::RECEIPT),
        event::<Outcome>(kind::OUTCOME),
        event::<OutcomeCorrected>(kind::OUTCOME_CORRECTED),
        event::<Opened>(kind::OPENED),
        event::<HealthReport>(kind::HEALTH),
        event::<DeadLetter>(kind::DEAD_LETTER),
        event::<Redriven>(kind::REDRIVEN),
        event::<Discarded>(kind::DISCARDED),
        (
            "directory".to_owned(),
            serde_json::to_value(schema_for!(Entity)).unwrap(),
        ),
        (
            "suppressions".to_owned(),
            serde_json::to_value(schema_for!(Suppressions)).unwrap(),
        ),
    ]
}

#[test]
fn committed_schemas_equal_the_generated_ones() {
    for (name, schema) in all() {
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        let path = home().join(format!("json/{name}/v1.schema.json"));
        same_as_committed(&path, &text);
    }
}

#[test]
fn every_kind_has_a_schema() {
    let schemas = all();
    for kind in kind::ALL {
        assert!(schemas.iter().any(|(name, _)| name == kind), "{kind}");
    }
}
