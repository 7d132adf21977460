use std::collections::HashMap;

use super::*;
use crate::{
    directory::{Entity, Snapshot},
    seal::PlatformKey,
};

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const VENDORS: [&str; 1] = ["aliyun"];

fn app(json: serde_json::Value) -> App<Clear> {
    let app: App<FileSecret> = serde_json::from_value(json).unwrap();
    let wanted = Wanted {
        apps: vec![app],
        ..Wanted::default()
    };
    clear(wanted).apps.remove(0)
}

fn channel(json: serde_json::Value) -> Channel<Clear> {
    let channel: Channel<FileSecret> = serde_json::from_value(json).unwrap();
    let wanted = Wanted {
        channels: vec![channel],
        ..Wanted::default()
    };
    clear(wanted).channels.remove(0)
}

fn clear(wanted: Wanted<FileSecret>) -> Wanted<Clear> {
    wanted.map_secrets(|_, secret| match secret {
        FileSecret::Text(text) => Clear::new(text),
        FileSecret::Env { env: name } | FileSecret::File { file: name } => Clear::new(name),
    })
}

fn good() -> Wanted<Clear> {
    Wanted {
        apps: vec![app(serde_json::json!({"id": "shop", "direct": "signed",
            "credentials": [{"key_id": "shop-1", "secret": "0123456789abcdef"}]}))],
        channels: vec![channel(serde_json::json!({"id": "ali", "vendor": "aliyun", "rate_per_second": 100,
            "max_in_flight": 50, "prefixes": ["+86"], "endpoint": "http://127.0.0.1:8790",
            "secrets": {"access_key_id": "ak", "access_key_secret": "hunter2"},
            "receipt_token": "abcdefghijklmnop", "prices": [{"micros": 45000}]}))],
        signatures: vec![
            serde_json::from_str(r#"{"id":"acme","text":"集信达","channels":{"ali":{"approved":true}}}"#).unwrap(),
        ],
        templates: vec![serde_json::from_value(serde_json::json!({"id": "otp", "app": "shop", "lane": "otp",
            "body": "code {code}", "signature": "acme", "variables": [{"name": "code", "kind": "digits"}],
            "channels": {"ali": {"code": "SMS_1", "approved": true, "form": {"kind": "named"}}}}))
        .unwrap()],
        suppressions: vec![serde_json::from_str(r#"{"recipient":"+8613800138000","note":"complaint"}"#).unwrap()],
    }
}

fn problems(wanted: &Wanted<Clear>) -> Vec<String> {
    let current = Snapshot::default();
    check(
        wanted,
        &Allowed {
            current: &current,
            prune: false,
            vendors: &VENDORS,
            pools: &["default".to_owned()],
        },
    )
    .iter()
    .map(ToString::to_string)
    .collect()
}

fn applied(plan: &Plan) -> (Snapshot, HashMap<Phone, crate::directory::Suppressions>) {
    let mut snapshot = Snapshot::default();
    for change in &plan.entities {
        let value = serde_json::to_vec(change.after.as_ref().unwrap()).unwrap();
        snapshot.apply(&change.key, Some(&value), 0).unwrap();
    }
    snapshot
        .apply(
            "revision",
            Some(br#"{"type":"revision","revision":1,"changed":1}"#),
            1,
        )
        .unwrap();
    let lists = plan
        .suppressions
        .iter()
        .map(|(p, c)| (p.clone(), c.after.clone().unwrap()))
        .collect();
    (snapshot, lists)
}

#[test]
fn a_good_file_has_no_problem_and_applied_again_changes_nothing() {
    assert_eq!(problems(&good()), [""; 0]);
    let key = PlatformKey::from_base64(KEY).unwrap();
    let first = plan(good(), &Snapshot::default(), &HashMap::new(), &key, false);
    assert_eq!(first.lines().len(), 5);
    let (snapshot, lists) = applied(&first);
    let text = format!(
        "{:?}",
        serde_json::to_string(&first.entities.iter().map(|c| &c.after).collect::<Vec<_>>())
    );
    assert!(!text.contains("hunter2") && !text.contains("abcdefghijklmnop"));
    assert!(plan(good(), &snapshot, &lists, &key, true).is_empty());
}

#[test]
fn a_changed_secret_is_sealed_anew_and_not_shown() {
    let key = PlatformKey::from_base64(KEY).unwrap();
    let (snapshot, lists) = applied(&plan(
        good(),
        &Snapshot::default(),
        &HashMap::new(),
        &key,
        false,
    ));
    let mut wanted = good();
    wanted.channels[0]
        .secrets
        .insert("access_key_secret".into(), Clear::new("hunter3"));
    wanted.channels[0].rate_per_second = 7;
    let plan = plan(wanted, &snapshot, &lists, &key, false);
    assert_eq!(
        plan.lines(),
        ["~ channel/ali: rate_per_second 100 → 7, secrets (secret)"]
    );
    let Some(Entity::Channel(after)) = &plan.entities[0].after else {
        panic!()
    };
    let place = crate::directory::channel_place(&after.id, "access_key_secret");
    assert_eq!(
        key.open(&place, &after.secrets["access_key_secret"])
            .unwrap(),
        "hunter3"
    );
    assert_eq!(
        after.secrets["access_key_id"],
        snapshot.channels["ali"].secrets["access_key_id"]
    );
}

#[test]
fn only_prune_removes_what_the_file_does_not_name() {
    let key = PlatformKey::from_base64(KEY).unwrap();
    let (snapshot, lists) = applied(&plan(
        good(),
        &Snapshot::default(),
        &HashMap::new(),
        &key,
        false,
    ));
    assert!(plan(Wanted::default(), &snapshot, &lists, &key, false).is_empty());
    let gone = plan(Wanted::default(), &snapshot, &lists, &key, true);
    assert_eq!(
        gone.lines(),
        [
            "- app/shop",
            "- channel/ali",
            "- signature/acme",
            "- template/otp",
            "- suppression 138****8000"
        ]
    );
}

#[test]
fn every_fault_is_named_with_its_path() {
    type Spoil = fn(&mut Wanted<Clear>);
    let cases: [(&str, Spoil); 22] = [
        ("apps[1].id: `shop` stands at apps[0] already", |w| {
            w.apps.push(w.apps[0].clone())
        }),
        ("apps[0].credentials: 3 are enabled", |w| {
            let c = w.apps[0].credentials[0].clone();
            w.apps[0].credentials = ["a", "b", "c"]
                .map(|k| Credential {
                    key_id: k.into(),
                    ..c.clone()
                })
                .into();
        }),
        (
            "apps[0].credentials[1].key_id: apps[0] has `shop-1` too",
            |w| {
                let c = w.apps[0].credentials[0].clone();
                w.apps[0].credentials.push(c);
            },
        ),
        ("apps[0].credentials[0].secret: at least 16", |w| {
            w.apps[0].credentials[0].secret = Clear::new("short")
        }),
        ("apps[0].direct: `signed` needs", |w| {
            w.apps[0].credentials.clear()
        }),
        (
            "channels[0].vendor: `x` is not known; there are aliyun",
            |w| w.channels[0].vendor = "x".into(),
        ),
        ("channels[0].rate_per_second: must", |w| {
            w.channels[0].rate_per_second = 0
        }),
        ("channels[0].max_in_flight: must", |w| {
            w.channels[0].max_in_flight = 0
        }),
        ("channels[0].prefixes[0]: write", |w| {
            w.channels[0].prefixes = vec!["86".into()]
        }),
        ("channels[0].endpoint: plain http", |w| {
            w.channels[0].endpoint = Some("http://10.0.0.1".into())
        }),
        ("channels[0].endpoint: write https", |w| {
            w.channels[0].endpoint = Some("example.com".into())
        }),
        (
            "channels[0].pool: no sender pool `a b`; there are default",
            |w| w.channels[0].pool = "a b".into(),
        ),
        ("channels[0].receipt_token: 16 to 200", |w| {
            w.channels[0].receipt_token = Some(Clear::new("short"))
        }),
        ("channels[0].prices[1]: another line", |w| {
            let price = w.channels[0].prices[0].clone();
            w.channels[0].prices.push(price);
        }),
        ("signatures[0].channels.ali: no channel `ali`", |w| {
            w.channels.clear()
        }),
        ("signatures[0].text: 1 to 30", |w| {
            w.signatures[0].text = "【x】".into()
        }),
        ("templates[0].app: no app `shop`", |w| w.apps.clear()),
        ("templates[0].signature: no signature `acme`", |w| {
            w.signatures.clear()
        }),
        ("templates[0].body: uses `{x}`, which is not", |w| {
            w.templates[0].body = "{code}{x}".into()
        }),
        (
            "templates[0].body: does not use the declared variable `code`",
            |w| w.templates[0].body = "hi".into(),
        ),
        ("templates[0].channels.ali.form.order: `y` is not", |w| {
            let on = w.templates[0].channels.values_mut().next().unwrap();
            on.form = crate::template::Form::Positional {
                order: vec!["y".into()],
            };
        }),
        ("suppressions[0].app: no app `nobody`", |w| {
            w.suppressions[0].app = Some("nobody".parse().unwrap())
        }),
    ];
    let mut whole = String::new();
    for (want, spoil) in cases {
        let mut wanted = good();
        spoil(&mut wanted);
        let found = problems(&wanted);
        assert!(
            found.iter().any(|p| p.starts_with(want)),
            "{want}: {found:?}"
        );
        whole.push_str(&found.concat());
    }
    assert!(!whole.contains("hunter2") && !whole.contains("0123456789abcdef"));
    let mut two = good();
    two.channels[0].rate_per_second = 0;
    two.apps[0].rate_per_second = Some(0);
    assert_eq!(problems(&two).len(), 2);
}

#[test]
fn a_key_id_of_an_app_that_is_there_and_a_signature_in_use_are_protected() {
    let key = PlatformKey::from_base64(KEY).unwrap();
    let (current, _) = applied(&plan(
        good(),
        &Snapshot::default(),
        &HashMap::new(),
        &key,
        false,
    ));
    let mut wanted = Wanted {
        apps: vec![app(serde_json::json!({"id": "bank",
            "credentials": [{"key_id": "shop-1", "secret": "0123456789abcdef"}]}))],
        signatures: good().signatures,
        ..Wanted::default()
    };
    wanted.signatures[0].app = Some("bank".parse().unwrap());
    let found = check(
        &wanted,
        &Allowed {
            current: &current,
            prune: false,
            vendors: &VENDORS,
            pools: &[],
        },
    );
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0]
            .what
            .contains("app `shop`, which is there, has `shop-1` too")
    );
    assert!(found[1].path.contains("template `otp`"));
}
