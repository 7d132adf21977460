//! What all handlers share.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::account::Account;
use crate::clock;
use crate::config::Config;
use crate::journal::Writer;
use crate::live::{Live, lock};
use crate::receipts::{self, Client};

#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) config: Config,
    pub(crate) journal: Writer,
    pub(crate) client: Client,
    pub(crate) stop: watch::Receiver<bool>,
    accounts: RwLock<Accounts>,
    pushers: Mutex<JoinSet<()>>,
    biz_ids: AtomicU64,
}

#[derive(Debug, Default)]
struct Accounts {
    by_id: BTreeMap<String, Arc<Live>>,
    by_key: HashMap<String, Arc<Live>>,
}

impl Hub {
    pub(crate) fn new(config: Config, journal: Writer, stop: watch::Receiver<bool>) -> Arc<Self> {
        // 18 digits as in the vendor's; unique over restarts while fewer than 100,000 calls fall in a ms.
        let first = clock::now().at_ms * 100_000;
        let accounts = config.accounts.clone();
        let hub = Arc::new(Self {
            config,
            journal,
            client: receipts::client(),
            stop,
            accounts: RwLock::default(),
            pushers: Mutex::default(),
            biz_ids: AtomicU64::new(first),
        });
        for account in accounts {
            hub.insert(account);
        }
        hub
    }

    pub(crate) fn by_key(&self, access_key_id: &str) -> Option<Arc<Live>> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        accounts.by_key.get(access_key_id).cloned()
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<Arc<Live>> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        accounts.by_id.get(id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Live>> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        accounts.by_id.values().cloned().collect()
    }

    /// Adds an account, or replaces its settings and keeps its state. `Err` names what stands against it.
    pub(crate) fn put(self: &Arc<Self>, account: Account) -> Result<(), String> {
        account.check()?;
        if let Some(other) = self.by_key(&account.access_key_id)
            && other.account().id != account.id
        {
            return Err("another account has the same access_key_id".into());
        }
        self.insert(account);
        Ok(())
    }

    fn insert(self: &Arc<Self>, account: Account) {
        let (id, key) = (account.id.clone(), account.access_key_id.clone());
        let mut accounts = self
            .accounts
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let live = if let Some(live) = accounts.by_id.get(&id) {
            let live = Arc::clone(live);
            accounts.by_key.remove(&live.account().access_key_id);
            live.replace(account);
            live
        } else {
            let live = Arc::new(Live::new(account, &self.config));
            let pusher = receipts::run(Arc::clone(self), Arc::clone(&live), self.stop.clone());
            lock(&self.pushers).spawn(pusher);
            live
        };
        accounts.by_key.insert(key, Arc::clone(&live));
        accounts.by_id.insert(id, live);
    }

    pub(crate) fn next_biz_id(&self) -> String {
        format!("{}^0", self.biz_ids.fetch_add(1, Ordering::Relaxed))
    }

    /// The pusher tasks, to be awaited after `stop`.
    pub(crate) fn take_pushers(&self) -> JoinSet<()> {
        std::mem::take(&mut lock(&self.pushers))
    }
}
