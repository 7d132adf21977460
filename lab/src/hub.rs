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
    ids: AtomicU64,
}

#[derive(Debug, Default)]
struct Accounts {
    by_id: BTreeMap<String, Arc<Live>>,
    /// By kind of vendor and key.
    by_key: HashMap<(String, String), Arc<Live>>,
}

impl Hub {
    pub(crate) fn new(config: Config, journal: Writer, stop: watch::Receiver<bool>) -> Arc<Self> {
        // 18 digits as in the vendor's; unique over restarts while fewer than 100,000 messages fall in a ms.
        let first = clock::now().at_ms * 100_000;
        let accounts = config.accounts.clone();
        let hub = Arc::new(Self {
            config,
            journal,
            client: receipts::client(),
            stop,
            accounts: RwLock::default(),
            pushers: Mutex::default(),
            ids: AtomicU64::new(first),
        });
        for account in accounts {
            hub.insert(account);
        }
        hub
    }

    pub(crate) fn by_key(&self, kind: &str, key: &str) -> Option<Arc<Live>> {
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        let key = (kind.to_owned(), key.to_owned());
        accounts.by_key.get(&key).cloned()
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
        if let Some(other) = self.by_key(&account.vendor, &account.access_key_id)
            && other.account().id != account.id
        {
            return Err("another account of this vendor has the same access_key_id".into());
        }
        if let Some(live) = self.by_id(&account.id)
            && live.account().vendor != account.vendor
        {
            return Err("`vendor` of an account cannot change".into());
        }
        self.insert(account);
        Ok(())
    }

    fn insert(self: &Arc<Self>, account: Account) {
        let id = account.id.clone();
        let key = |account: &Account| (account.vendor.clone(), account.access_key_id.clone());
        let new = key(&account);
        let mut accounts = self
            .accounts
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let live = if let Some(live) = accounts.by_id.get(&id) {
            let live = Arc::clone(live);
            accounts.by_key.remove(&key(&live.account()));
            live.replace(account);
            live
        } else {
            let live = Arc::new(Live::new(account, &self.config));
            let pusher = receipts::run(Arc::clone(self), Arc::clone(&live), self.stop.clone());
            lock(&self.pushers).spawn(pusher);
            live
        };
        accounts.by_key.insert(new, Arc::clone(&live));
        accounts.by_id.insert(id, live);
    }

    /// The first of `count` numbers that nobody else gets.
    pub(crate) fn next_ids(&self, count: usize) -> u64 {
        let count = u64::try_from(count).unwrap_or(1);
        self.ids.fetch_add(count, Ordering::Relaxed)
    }

    /// The pusher tasks, to be awaited after `stop`.
    pub(crate) fn take_pushers(&self) -> JoinSet<()> {
        std::mem::take(&mut lock(&self.pushers))
    }
}
