//! Rules for apps and their credentials.

use std::collections::BTreeMap;

use super::{
    Clear,
    check::{Allowed, Problems},
};
use crate::directory::{App, Direct};

/// A secret that signs must not be guessed.
pub(super) const MIN_SECRET: usize = 16;

/// 1 to 64 of `A-Z a-z 0-9 _ - .`.
fn is_key_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

pub(super) fn check(apps: &[App<Clear>], allowed: &Allowed<'_>, problems: &mut Problems) {
    // Key ids of apps that stay as they are.
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    if !allowed.prune {
        for app in allowed
            .current
            .apps
            .values()
            .filter(|old| apps.iter().all(|app| app.id != old.id))
        {
            let keys = app.credentials.iter().map(|c| c.key_id.clone());
            owners.extend(keys.map(|key| (key, format!("app `{}`, which is there,", app.id))));
        }
    }
    for (i, app) in apps.iter().enumerate() {
        let path = format!("apps[{i}]");
        let enabled = app.credentials.iter().filter(|c| c.enabled).count();
        problems.require(
            enabled <= 2,
            &format!("{path}.credentials"),
            format!("{enabled} are enabled; two are enough to rotate a secret"),
        );
        problems.require(
            app.rate_per_second != Some(0),
            &format!("{path}.rate_per_second"),
            "must be at least 1; leave it out for no limit, or disable the app",
        );
        problems.require(
            app.direct != Direct::Signed || enabled > 0,
            &format!("{path}.direct"),
            "`signed` needs an enabled credential",
        );
        for (n, credential) in app.credentials.iter().enumerate() {
            let path = format!("{path}.credentials[{n}]");
            problems.require(
                is_key_id(&credential.key_id),
                &format!("{path}.key_id"),
                "1 to 64 of A-Z a-z 0-9 _ - .",
            );
            if let Some(owner) = owners.insert(credential.key_id.clone(), format!("apps[{i}]")) {
                problems.add(
                    format!("{path}.key_id"),
                    format!("{owner} has `{}` too", credential.key_id),
                );
            }
            let secret = credential.secret.expose();
            problems.require(
                secret.len() >= MIN_SECRET && secret.bytes().all(|b| b.is_ascii_graphic()),
                &format!("{path}.secret"),
                format!("at least {MIN_SECRET} printable ASCII characters without spaces"),
            );
        }
    }
}
