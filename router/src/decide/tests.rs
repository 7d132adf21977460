use std::{collections::BTreeMap, sync::Arc};

use jixinda_schemas::directory::Snapshot;

use super::*;
use crate::message::{Claim, Finish};
use jixinda_schemas::{
    CallId,
    event::AttemptResult,
    vendor::{Blame, Disposition},
};

const NOW: Timestamp = Timestamp(1_000_000);

/// Channels `(id, extra JSON fields)`, all mapped and approved for template `login`.
fn directory(channels: &[(&str, &str)]) -> Snapshot {
    let mut s = Snapshot::default();
    let on = |code: &str| {
        let each: Vec<String> = channels
            .iter()
            .map(|(id, _)| format!(r#""{id}":{{"approved":true{code}}}"#))
            .collect();
        each.join(",")
    };
    let mut records = vec![
        (
            "app/shop".to_owned(),
            r#"{"type":"app","id":"shop"}"#.to_owned(),
        ),
        (
            "signature/acme".to_owned(),
            format!(
                r#"{{"type":"signature","id":"acme","text":"ACME","channels":{{{}}}}}"#,
                on("")
            ),
        ),
        (
            "template/login".to_owned(),
            format!(
                r#"{{"type":"template","id":"login","app":"shop","lane":"otp","signature":"acme","body":"{{code}}",
                    "variables":[{{"name":"code"}}],"channels":{{{}}}}}"#,
                on(r#","code":"SMS_1","form":{"kind":"named"}"#)
            ),
        ),
    ];
    for (id, extra) in channels {
        let json = format!(
            r#"{{"type":"channel","id":"{id}","vendor":"aliyun","rate_per_second":10,"max_in_flight":10{extra}}}"#
        );
        records.push((format!("channel/{id}"), json));
    }
    for (i, (key, json)) in records.iter().enumerate() {
        s.apply(key, Some(json.as_bytes()), i as i64).unwrap();
    }
    s.apply(
        "revision",
        Some(br#"{"type":"revision","revision":1,"changed":1}"#),
        99,
    )
    .unwrap();
    s
}

fn accepted(s: &Snapshot) -> Accepted {
    Accepted {
        app: Arc::clone(&s.apps["shop"]),
        template: Arc::clone(&s.templates["login"]),
        signature: Arc::clone(&s.signatures["acme"]),
        lane: Lane::Otp,
        text: "【ACME】1".into(),
        not_after: NOW.plus_millis(60_000),
    }
}

fn run(
    s: &Snapshot,
    previous: &[Attempt],
    rate: Rate<'_>,
    local: LocalGate<'_>,
    seed: u64,
) -> Decision {
    let params = BTreeMap::from([("code".to_owned(), "1".to_owned())]);
    let (request, recipient) = (accepted(s), "+8613800138000".parse().unwrap());
    decide(&Inputs {
        directory: s,
        request: &request,
        params: &params,
        recipient: &recipient,
        previous,
        rate,
        local,
        seed,
        now: NOW,
    })
}

fn shares(s: &Snapshot, rate: Rate<'_>) -> BTreeMap<String, f64> {
    let mut counts = BTreeMap::new();
    for seed in 0..4000 {
        let choice = run(s, &[], rate, &|_| None, seed).choice.unwrap();
        *counts.entry(choice.channel.to_string()).or_insert(0.0) += 1.0 / 4000.0;
    }
    counts
}

fn rejected(channel: &str, disposition: Disposition) -> Attempt {
    Attempt {
        n: 1,
        channel: channel.parse().unwrap(),
        vendor: "aliyun".into(),
        signature: None,
        segments: 1,
        price_micros: 0,
        routed_at: NOW,
        claim: Some(Claim::Started {
            call_id: CallId(1),
            at: NOW,
        }),
        finish: Some(Finish {
            result: AttemptResult::Rejected {
                disposition,
                blame: Blame::Channel,
                vendor_code: "X".into(),
                message: String::new(),
                retry_after_ms: None,
            },
            submitted_at: None,
            at: NOW.plus_millis(-5_000),
        }),
        reports: Default::default(),
        overdue: false,
    }
}

/// Defect (b) of the system that this replaces: the lowest channel was never used, so a single one never sent.
#[test]
fn a_single_channel_is_used() {
    let s = directory(&[("a", "")]);
    let d = run(&s, &[], &|_, _| 0.0, &|_| None, 1);
    assert_eq!(d.choice.unwrap().channel.as_str(), "a");
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let s = directory(&[("a", ""), ("b", ""), ("c", "")]);
    let rate: Rate<'_> = &|id, _| if id.as_str() == "a" { 0.9 } else { 0.7 };
    for seed in 0..50 {
        let (x, y) = (
            run(&s, &[], rate, &|_| None, seed),
            run(&s, &[], rate, &|_| None, seed),
        );
        assert_eq!(
            serde_json::to_vec(&x.considered).unwrap(),
            serde_json::to_vec(&y.considered).unwrap()
        );
        assert_eq!(x, y);
    }
}

#[test]
fn equal_health_shares_by_weight() {
    let s = directory(&[("a", r#","weight":300"#), ("b", "")]);
    let shares = shares(&s, &|_, _| 0.95);
    assert!((0.70..0.80).contains(&shares["a"]), "{shares:?}");
}

/// Defects (c) and (e): a demoted channel's failures are its own, and it keeps a share by which it can come back.
#[test]
fn a_failing_channel_keeps_only_the_share_that_lets_its_recovery_show() {
    let s = directory(&[("a", ""), ("b", "")]);
    let shares = shares(&s, &|id, _| if id.as_str() == "a" { 0.05 } else { 0.95 });
    assert!(shares["a"] > 0.0 && shares["a"] < 0.02, "{shares:?}");
}

#[test]
fn priority_rules_while_healthy_and_yields_when_not() {
    let s = directory(&[("a", r#","priority":0"#), ("b", r#","priority":1"#)]);
    assert!(shares(&s, &|_, _| 0.9)["a"] > 0.98);
    let sick: Rate<'_> = &|id, _| if id.as_str() == "a" { 0.2 } else { 0.9 };
    assert!(shares(&s, sick)["b"] > 0.95);
    let d = run(&s, &[], &|_, _| 0.9, &|_| None, 3);
    assert_eq!(d.considered[1].gate, Some(Gate::Priority));
}

#[test]
fn each_gate_excludes_and_names_itself() {
    let s = directory(&[
        ("a", r#","mode":"disabled""#),
        ("b", r#","mode":"drained""#),
        ("c", r#","lanes":["marketing"]"#),
        ("d", r#","prefixes":["+1"]"#),
        ("e", ""),
        ("f", ""),
        ("g", ""),
    ]);
    let local: LocalGate<'_> = &|c| match c.id.as_str() {
        "e" => Some(Gate::Breaker),
        "f" => Some(Gate::Capacity),
        _ => None,
    };
    let d = run(
        &s,
        &[rejected("g", Disposition::RetryOther)],
        &|_, _| 0.9,
        local,
        1,
    );
    let gates: Vec<_> = d.considered.iter().map(|c| c.gate.unwrap()).collect();
    assert_eq!(
        gates,
        [
            Gate::Disabled,
            Gate::Drained,
            Gate::Unreachable,
            Gate::Unreachable,
            Gate::Breaker,
            Gate::Capacity,
            Gate::Tried
        ]
    );
    assert!(d.choice.is_none() && d.may_wait());
}

#[test]
fn a_pinned_channel_beats_automation() {
    let s = directory(&[("a", ""), ("b", r#","mode":"pinned""#)]);
    let d = run(
        &s,
        &[],
        &|id, _| if id.as_str() == "a" { 1.0 } else { 0.1 },
        &|_| None,
        1,
    );
    assert_eq!(d.choice.unwrap().channel.as_str(), "b");
    assert_eq!(d.considered[0].gate, Some(Gate::NotPinned));
}

#[test]
fn nothing_mapped_means_no_waiting() {
    let mut s = directory(&[("a", "")]);
    let signature = br#"{"type":"signature","id":"acme","text":"ACME"}"#;
    s.apply("signature/acme", Some(signature), 100).unwrap();
    s.apply(
        "revision",
        Some(br#"{"type":"revision","revision":2,"changed":1}"#),
        101,
    )
    .unwrap();
    let d = run(&s, &[], &|_, _| 0.9, &|_| None, 1);
    assert_eq!(d.considered[0].gate, Some(Gate::SignatureNotMapped));
    assert!(d.choice.is_none() && !d.may_wait());
}

#[test]
fn a_busy_answer_leaves_the_only_channel_open_after_its_pause() {
    let s = directory(&[("a", "")]);
    let d = run(
        &s,
        &[rejected("a", Disposition::RetrySame)],
        &|_, _| 0.9,
        &|_| None,
        1,
    );
    assert!(d.choice.is_some());
}
