//! Opened credentials of one directory revision, by key id.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use jixinda_schemas::{
    AppId,
    directory::{App, Snapshot, credential_place},
    seal::PlatformKey,
};
use tracing::error;

use crate::limit::Pace;

/// A credential that may be used, and whose it is.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) app: Arc<App>,
    pub(super) secret: String,
    pub(super) bearer: bool,
    /// Shared by all keys of the app; `None` is no limit.
    pub(crate) pace: Option<Arc<Pace>>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("app", &self.app.id)
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
pub(super) struct Index {
    /// Revision and offset of the snapshot it was made from.
    pub(super) stamp: (u64, i64),
    keys: HashMap<String, Arc<Key>>,
    paces: HashMap<AppId, Arc<Pace>>,
    /// Credentials already logged as unusable: each is said once, not at every revision.
    reported: HashSet<String>,
}

impl Index {
    pub(super) fn build(snapshot: &Snapshot, platform: &PlatformKey, previous: &Self) -> Self {
        let mut index = Self {
            stamp: (snapshot.revision, snapshot.offset),
            ..Self::default()
        };
        let mut doubled = HashSet::new();
        // In id order, so that the log reads alike on every instance.
        for app in snapshot
            .apps
            .values()
            .map(|app| (&app.id, app))
            .collect::<BTreeMap<_, _>>()
            .into_values()
        {
            let pace = app.rate_per_second.map(|rate| {
                let kept = previous
                    .paces
                    .get(&app.id)
                    .filter(|pace| pace.per_second() == rate);
                kept.map_or_else(|| Arc::new(Pace::new(rate)), Arc::clone)
            });
            if let Some(pace) = &pace {
                index.paces.insert(app.id.clone(), Arc::clone(pace));
            }
            for credential in app.credentials.iter().filter(|c| c.enabled) {
                let place = credential_place(&app.id, &credential.key_id);
                let secret = match platform.open(&place, &credential.secret) {
                    Ok(secret) => secret,
                    Err(e) => {
                        let report = format!("{place} {}", credential.secret.0);
                        if !previous.reported.contains(&report) {
                            error!(app_id = %app.id, key_id = credential.key_id, error = &e as &dyn std::error::Error, "credential does not open and cannot be used");
                        }
                        index.reported.insert(report);
                        continue;
                    }
                };
                let key = Key {
                    id: credential.key_id.clone(),
                    app: Arc::clone(app),
                    secret,
                    bearer: credential.bearer,
                    pace: pace.clone(),
                };
                if index.keys.insert(key.id.clone(), Arc::new(key)).is_some() {
                    doubled.insert(credential.key_id.clone());
                }
            }
        }
        // It cannot be told whose it is, so it proves nothing.
        for key_id in doubled {
            if !previous.reported.contains(&key_id) {
                error!(
                    key_id,
                    "key id is used twice in the directory and cannot be used"
                );
            }
            index.keys.remove(&key_id);
            index.reported.insert(key_id);
        }
        index
    }

    pub(super) fn get(&self, key_id: &str) -> Option<&Arc<Key>> {
        self.keys.get(key_id)
    }
}
