//! What has to be written so that the directory becomes what is wanted.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
};

use serde_json::Value;

use super::{Clear, Wanted, map_app, map_channel};
use crate::{
    Phone,
    directory::{App, Channel, Entity, Snapshot, Suppressions, channel_place, credential_place},
    seal::{PlatformKey, Sealed},
};

/// Before and after; at least one is there, and they differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// Absent: it is new.
    pub before: Option<T>,
    /// Absent: it goes.
    pub after: Option<T>,
}

/// A change of one record of `directory`.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityChange {
    /// Record key.
    pub key: String,
    /// Absent: it is new.
    pub before: Option<Entity>,
    /// Absent: it goes.
    pub after: Option<Entity>,
}

/// Everything to write.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// By key.
    pub entities: Vec<EntityChange>,
    /// By recipient.
    pub suppressions: Vec<(Phone, Change<Suppressions>)>,
}

impl Plan {
    /// Nothing is to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty() && self.suppressions.is_empty()
    }

    /// For people: one line for each record with `+`, `~` or `-`. Shows no secret and no full number.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let entities = self.entities.iter().map(EntityChange::line);
        let suppressions = self.suppressions.iter().map(|(phone, change)| {
            let count = |side: &Option<Suppressions>| side.as_ref().map_or(0, |s| s.entries.len());
            match (count(&change.before), count(&change.after)) {
                (0, _) => format!("+ suppression {phone}"),
                (_, 0) => format!("- suppression {phone}"),
                _ => format!("~ suppression {phone}"),
            }
        });
        entities.chain(suppressions).collect()
    }
}

impl EntityChange {
    fn line(&self) -> String {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => format!("~ {}: {}", self.key, fields(before, after)),
            (None, _) => format!("+ {}", self.key),
            (_, None) => format!("- {}", self.key),
        }
    }
}

/// Compares and seals. A secret that is sealed already, for the same place and under the same key, stays as it is, so
/// that an unchanged file changes nothing. `wanted` has passed [`super::check`].
#[must_use]
pub fn plan(
    wanted: Wanted<Clear>,
    current: &Snapshot,
    suppressions: &HashMap<Phone, Suppressions>,
    key: &PlatformKey,
    prune: bool,
) -> Plan {
    let mut after: BTreeMap<String, Entity> = BTreeMap::new();
    let apps = wanted.apps.into_iter().map(|app| {
        let old = current.apps.get(&app.id).map(|old| &**old);
        Entity::App(seal_app(app, old, key))
    });
    let channels = wanted.channels.into_iter().map(|channel| {
        let old = current.channels.get(&channel.id).map(|old| &**old);
        Entity::Channel(seal_channel(channel, old, key))
    });
    let signatures = wanted.signatures.into_iter().map(Entity::Signature);
    let templates = wanted.templates.into_iter().map(Entity::Template);
    after.extend(
        apps.chain(channels)
            .chain(signatures)
            .chain(templates)
            .map(|e| (e.key(), e)),
    );

    let mut before = current.entities();
    let mut plan = Plan::default();
    for (key, entity) in after {
        let old = before.remove(&key);
        if old.as_ref() != Some(&entity) {
            plan.entities.push(EntityChange {
                key,
                before: old,
                after: Some(entity),
            });
        }
    }
    if prune {
        let gone = before.into_iter().map(|(key, old)| EntityChange {
            key,
            before: Some(old),
            after: None,
        });
        plan.entities.extend(gone);
    }

    let mut lists: BTreeMap<Phone, Suppressions> = BTreeMap::new();
    for entry in &wanted.suppressions {
        let list = lists.entry(entry.recipient.clone()).or_default();
        let suppression = entry.suppression();
        if !list.entries.contains(&suppression) {
            list.entries.push(suppression);
        }
    }
    if prune {
        let gone = suppressions
            .keys()
            .filter(|phone| !lists.contains_key(phone))
            .cloned()
            .collect::<Vec<_>>();
        lists.extend(
            gone.into_iter()
                .map(|phone| (phone, Suppressions::default())),
        );
    }
    for (phone, list) in lists {
        let old = suppressions.get(&phone);
        let list = Some(list).filter(|list| !list.entries.is_empty());
        if old != list.as_ref() {
            plan.suppressions.push((
                phone,
                Change {
                    before: old.cloned(),
                    after: list,
                },
            ));
        }
    }
    plan
}

fn keep_or_seal(key: &PlatformKey, place: &str, secret: &Clear, old: Option<&Sealed>) -> Sealed {
    match old {
        Some(old)
            if key
                .open(place, old)
                .is_ok_and(|open| open == secret.expose()) =>
        {
            old.clone()
        }
        _ => key.seal(place, secret.expose()),
    }
}

fn seal_app(app: App<Clear>, old: Option<&App>, key: &PlatformKey) -> App {
    let id = app.id.clone();
    let key_ids: Vec<String> = app.credentials.iter().map(|c| c.key_id.clone()).collect();
    let mut next = key_ids.iter();
    map_app(app, "", &mut |_, secret| {
        // The secrets come in the order of the credentials.
        let key_id = next.next().map_or("", String::as_str);
        let old = old.and_then(|app| app.credentials.iter().find(|c| c.key_id == key_id));
        keep_or_seal(
            key,
            &credential_place(&id, key_id),
            &secret,
            old.map(|c| &c.secret),
        )
    })
}

fn seal_channel(channel: Channel<Clear>, old: Option<&Channel>, key: &PlatformKey) -> Channel {
    let id = channel.id.clone();
    map_channel(channel, "", &mut |path, secret| {
        let name = path.trim_start_matches('.').trim_start_matches("secrets.");
        let old = old.and_then(|channel| match name {
            "receipt_token" => channel.receipt_token.as_ref(),
            name => channel.secrets.get(name),
        });
        keep_or_seal(key, &channel_place(&id, name), &secret, old)
    })
}

/// The entity as people may see it: every secret is replaced by `(sealed)`.
#[must_use]
pub fn redacted(entity: &Entity) -> Value {
    let mut value = serde_json::to_value(entity).unwrap_or_default();
    let hidden = || Value::from("(sealed)");
    if let Some(credentials) = value.get_mut("credentials").and_then(Value::as_array_mut) {
        for credential in credentials {
            credential["secret"] = hidden();
        }
    }
    if let Some(secrets) = value.get_mut("secrets").and_then(Value::as_object_mut) {
        secrets.values_mut().for_each(|secret| *secret = hidden());
    }
    if let Some(token) = value
        .get_mut("receipt_token")
        .filter(|token| !token.is_null())
    {
        *token = hidden();
    }
    value
}

/// Names the fields that differ, with their values where those are short.
fn fields(before: &Entity, after: &Entity) -> String {
    let whole = |entity| serde_json::to_value(entity).unwrap_or_default();
    let (raw_before, raw_after) = (whole(before), whole(after));
    let (before, after) = (redacted(before), redacted(after));
    let mut out = String::new();
    for (name, new) in raw_after.as_object().into_iter().flatten() {
        if raw_before.get(name) == Some(new) {
            continue;
        }
        let sep = if out.is_empty() { "" } else { ", " };
        let (old, new) = (&before[name], &after[name]);
        let short =
            |v: &Value| !v.is_array() && !v.is_object() && v.to_string().chars().count() <= 40;
        // Writing to a text cannot fail.
        let _ = if old == new {
            write!(out, "{sep}{name} (secret)")
        } else if short(old) && short(new) {
            write!(out, "{sep}{name} {old} → {new}")
        } else {
            write!(out, "{sep}{name}")
        };
    }
    out
}
