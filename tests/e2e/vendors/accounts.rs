//! Each vendor's channel and its account at the lab.

use serde_json::{Value, json};

use super::{SPARE, Vendor};
use crate::harness::world::World;

impl World {
    /// A channel of this kind, its account at the lab, and a template that only it and the spare have.
    pub(super) fn add_vendor(&mut self, vendor: &Vendor) {
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
