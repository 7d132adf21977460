//! Receipts and inbound messages, pushed or fetched. Nothing is acknowledged before it is stored; nothing that came is thrown away.

mod history;
mod pull;
mod push;
mod taken;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use ipnet::IpNet;
use jixinda_schemas::event::{DeadLetter, Inbound, RawReceipt};
use tokio::sync::watch;

pub(crate) use history::Log;
pub use history::{History, Unread};
pub use pull::{Held, pull_all};
pub use push::{MAX_BODY, MAX_PUSHES, router};
pub use taken::MAX_ITEMS;

use crate::{registry::Registry, vendor::Now};

/// Where receipts go.
#[async_trait]
pub trait ReceiptSink: Send + Sync {
    /// Returns once everything is durable. On an error the vendor is asked to push again, so what was written before
    /// the error comes a second time; receipts are folded, repeats do no harm.
    async fn store(&self, taken: Taken) -> Result<(), Unavailable>;
}

/// What came in, as it is stored.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    pub receipts: Vec<RawReceipt>,
    pub inbound: Vec<Inbound>,
    pub unreadable: Vec<DeadLetter>,
}

impl Taken {
    /// Whether there is nothing to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.receipts.is_empty() && self.inbound.is_empty() && self.unreadable.is_empty()
    }
}

/// The log cannot take the receipts now.
#[derive(Debug, thiserror::Error)]
#[error("receipts cannot be stored now: {0}")]
pub struct Unavailable(pub String);

/// What the receipt endpoint needs.
#[derive(Clone)]
pub struct Receipts {
    /// Changes with the directory.
    pub registry: watch::Receiver<Arc<Registry>>,
    pub sink: Arc<dyn ReceiptSink>,
    /// Networks whose `x-forwarded-for` is believed.
    pub trusted_proxies: Arc<[IpNet]>,
    pub now: Now,
}

impl fmt::Debug for Receipts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipts")
            .field("trusted_proxies", &self.trusted_proxies)
            .finish_non_exhaustive()
    }
}
