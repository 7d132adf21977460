//! The operator's and the vendor's side of a test: directory, and lab accounts that fit it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::process::free_port;

/// App → whether it may produce to Kafka directly.
const APPS: [(&str, &str); 3] = [("shop", "allowed"), ("bank", "signed"), ("mute", "denied")];

/// Template → app, lane, body, variables.
const TEMPLATES: [(&str, &str, &str, &str, &[&str]); 5] = [
    ("login", "shop", "otp", "您的验证码为{code}。", &["code"]),
    (
        "order",
        "shop",
        "notice",
        "{name}，订单{order}已发货。",
        &["name", "order"],
    ),
    (
        "sale",
        "shop",
        "marketing",
        "{name}，全场八折，拒收请回复R。",
        &["name"],
    ),
    ("bank-login", "bank", "otp", "登录验证码{code}。", &["code"]),
    ("mute-login", "mute", "otp", "验证码{code}。", &["code"]),
];

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) directory: Value,
    pub(crate) lab: Value,
    pub(crate) lab_port: u16,
    /// Where the first senders, the second … take receipts; channels are dealt to them in turn.
    pub(crate) receipts_ports: Vec<u16>,
    pub(crate) analytics_port: u16,
    /// Every secret that was made, by what it is for.
    pub(crate) secrets: BTreeMap<String, String>,
}

fn secret(word: &str) -> String {
    format!("{word}-{:032x}", rand::random::<u128>())
}

impl World {
    /// Equal channels with these names, quick and without faults.
    pub(crate) fn new(channels: &[&str]) -> Self {
        Self::with_senders(1, channels)
    }

    /// As `new`; the vendors push receipts to so many processes, the first channel's to the first.
    pub(crate) fn with_senders(senders: usize, channels: &[&str]) -> Self {
        let receipts_ports = (0..senders).map(|_| free_port()).collect();
        let (lab_port, analytics_port) = (free_port(), free_port());
        let mut world = Self {
            directory: json!({ "channels": [], "suppressions": [] }),
            lab: json!({
                "listen": format!("127.0.0.1:{lab_port}"),
                "seed": 1,
                "receipt_retry_scale": 0.02,
                "accounts": [],
            }),
            lab_port,
            receipts_ports,
            analytics_port,
            secrets: BTreeMap::new(),
        };
        let apps = APPS.map(|(app, direct)| {
            let secret = secret("app");
            world.secrets.insert(app.to_owned(), secret.clone());
            json!({
                "id": app, "direct": direct,
                "credentials": [{ "key_id": format!("{app}-1"), "secret": secret, "bearer": app == "shop" }],
            })
        });
        world.directory["apps"] = json!(apps);
        world.directory["signatures"] =
            json!([{ "id": "jixinda", "text": "集信达", "channels": {} }]);
        world.directory["templates"] = TEMPLATES
            .iter()
            .map(|(id, app, lane, body, variables)| {
                let variables: Vec<Value> = variables
                    .iter()
                    .map(|name| json!({ "name": name, "max_length": 32 }))
                    .collect();
                json!({
                    "id": id, "app": app, "lane": lane, "body": body, "signature": "jixinda",
                    "variables": variables, "channels": {},
                })
            })
            .collect();
        for channel in channels {
            world.add_channel(channel);
            world.add_account(channel);
        }
        world
    }

    /// A channel of the directory, mapped for every template.
    pub(crate) fn add_channel(&mut self, id: &str) {
        let (vendor, token) = (secret("vendor"), secret("receipts"));
        self.secrets.insert(format!("{id} vendor"), vendor.clone());
        self.secrets.insert(format!("{id} receipts"), token.clone());
        let channel = json!({
            "id": id, "vendor": "aliyun",
            "rate_per_second": 2000, "max_in_flight": 500, "call_timeout_ms": 5000,
            "prices": [{ "prefix": "+86", "micros": 40000 }],
            "endpoint": format!("http://127.0.0.1:{}", self.lab_port),
            "secrets": { "access_key_id": format!("key-{id}"), "access_key_secret": vendor },
            "receipt_token": token,
        });
        list(&mut self.directory, "channels").push(channel);
        for signature in list(&mut self.directory, "signatures") {
            signature["channels"][id] = json!({ "approved": true });
        }
        for template in list(&mut self.directory, "templates") {
            let code = code_of(template["id"].as_str().unwrap());
            template["channels"][id] =
                json!({ "code": code, "approved": true, "form": { "kind": "named" } });
        }
    }

    /// The lab's account for a channel of the directory.
    pub(crate) fn add_account(&mut self, id: &str) {
        let account = self.account(id);
        list(&mut self.lab, "accounts").push(account);
    }

    pub(crate) fn account(&self, id: &str) -> Value {
        let templates: serde_json::Map<String, Value> = TEMPLATES
            .iter()
            .flat_map(|(template, _, _, _, variables)| {
                let settings = json!({ "variables": variables });
                [code_of(template), format!("{}_NEW", code_of(template))]
                    .map(|c| (c, settings.clone()))
            })
            .collect();
        let channels = self.directory["channels"].as_array().unwrap();
        let place = channels.iter().position(|channel| channel["id"] == id);
        let receipts_port = self.receipts_ports[place.unwrap_or(0) % self.receipts_ports.len()];
        let (secret, token) = (
            &self.secrets[&format!("{id} vendor")],
            &self.secrets[&format!("{id} receipts")],
        );
        json!({
            "id": id,
            "access_key_id": format!("key-{id}"),
            "secrets": [secret],
            "sign_names": ["集信达"],
            "receipt_url": format!("http://127.0.0.1:{receipts_port}/receipts/{id}/{token}"),
            "templates": templates,
            "behaviour": {
                "latency": { "mean": "5ms", "jitter": "0ms" },
                "receipt_delay": { "mean": "100ms", "jitter": "50ms" },
                "magic_numbers": false,
            },
        })
    }

    pub(crate) fn channel(&mut self, id: &str) -> &mut Value {
        find(list(&mut self.directory, "channels"), id)
    }

    pub(crate) fn template(&mut self, id: &str) -> &mut Value {
        find(list(&mut self.directory, "templates"), id)
    }

    pub(crate) fn lab_account(&mut self, id: &str) -> &mut Value {
        find(list(&mut self.lab, "accounts"), id)
    }

    /// Key id and secret of an app.
    pub(crate) fn credential(&self, app: &str) -> (String, String) {
        (format!("{app}-1"), self.secrets[app].clone())
    }
}

/// The vendor's code of a template.
pub(crate) fn code_of(template: &str) -> String {
    format!("SMS_{}", template.to_ascii_uppercase().replace('-', "_"))
}

fn list<'a>(value: &'a mut Value, name: &str) -> &'a mut Vec<Value> {
    value[name].as_array_mut().unwrap()
}

fn find<'a>(list: &'a mut [Value], id: &str) -> &'a mut Value {
    list.iter_mut().find(|entry| entry["id"] == id).unwrap()
}
