//! Receipts that come in by push. Nothing is acknowledged before it is stored; nothing that came is thrown away.

mod push;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use ipnet::IpNet;
use jixinda_schemas::event::{DeadLetter, RawReceipt};
use tokio::sync::watch;

pub use push::{MAX_BODY, MAX_ITEMS, MAX_PUSHES, router};

use crate::{registry::Registry, vendor::Now};

/// Where receipts go.
#[async_trait]
pub trait ReceiptSink: Send + Sync {
    /// Returns once everything is durable. On an error the vendor is asked to push again, so what was written before
    /// the error comes a second time; receipts are folded, repeats do no harm.
    async fn store(
        &self,
        receipts: Vec<RawReceipt>,
        unreadable: Vec<DeadLetter>,
    ) -> Result<(), Unavailable>;
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
