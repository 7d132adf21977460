//! The senders' process: the role's thread, the registry that follows the directory, the receipt endpoint.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use jixinda_runtime::{
    clock::SharedClock,
    directory::Directory,
    http,
    kafka::{
        Kafka,
        owner::{self, Spec},
        producer::{Linger, Producer},
    },
    lifecycle::Handle,
};
use jixinda_schemas::{Topic, seal::PlatformKey};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::{
    Config, Error, metrics,
    receipts::{self, Receipts},
    registry::{Means, Registry},
    sender::Sender,
    sink::KafkaSink,
    vendor::Now,
    vendors,
};

/// Topics that a sender reads, co-partitioned.
pub const READS: [Topic; 4] = [
    Topic::DispatchOtp,
    Topic::DispatchNotice,
    Topic::DispatchMarketing,
    Topic::Attempts,
];

/// Name of the role of a pool, its group and its writers.
#[must_use]
pub fn role(pool: &str) -> String {
    format!("senders.{pool}")
}

/// What the senders need of their process.
#[derive(Clone, Debug)]
pub struct Deps {
    pub kafka: Kafka,
    pub directory: Directory,
    pub key: PlatformKey,
    pub clock: SharedClock,
}

/// The senders.
#[derive(Debug)]
pub struct Service {
    config: Config,
    deps: Deps,
}

impl Service {
    /// Makes the service; connects to nothing.
    #[must_use]
    pub fn new(config: Config, deps: Deps) -> Self {
        metrics::describe();
        Self { config, deps }
    }

    /// Sends and takes receipts until the stop. `receipts` is the component of the receipt endpoint, `fetching` that of
    /// the fetches.
    ///
    /// # Errors
    /// When Kafka is not usable as set up, this process was fenced, or the endpoint cannot listen.
    pub async fn run(
        self,
        handle: Handle,
        receipts: Handle,
        fetching: Handle,
    ) -> Result<(), Error> {
        let Self { config, deps } = self;
        let listener = http::bind(config.listen).await?;
        let client = vendors::client(config.connect_timeout)?;
        let clock = Arc::clone(&deps.clock);
        let now: Now = Arc::new(move || clock.now());
        let means = Means {
            key: deps.key.clone(),
            client,
            now: Arc::clone(&now),
            public_url: config.public_url().map_err(Error::Config)?,
        };
        let registry = watch_registry(&deps, means, &handle);
        let taking = take_receipts(&config, &deps, registry.1, now)?;
        let held = receipts::Held::default();
        let fetching = tokio::spawn(receipts::pull_all(
            taking.clone(),
            config.pool.clone(),
            (held.clone(), deps.kafka.config().partitions),
            Arc::new(receipts::Log::new(&deps.kafka, &deps.clock)),
            fetching,
        ));
        let endpoint = receipts_endpoint(taking, config.listen, listener, receipts);

        let spec = Spec {
            role: role(&config.pool),
            reads: READS.to_vec(),
            writes: vec![Topic::Attempts],
            kept: None,
        };
        let sender = Sender::new(config.pool, registry.0, Arc::clone(&deps.clock), held);
        let ended = owner::run(deps.kafka, spec, deps.clock, sender, handle).await;
        if let Err(e) = endpoint.await {
            warn!(
                error = &e as &dyn std::error::Error,
                "receipt endpoint ended"
            );
        }
        if let Err(e) = fetching.await {
            warn!(
                error = &e as &dyn std::error::Error,
                "fetching of receipts ended"
            );
        }
        Ok(ended?)
    }
}

pub(crate) type SharedRegistry = Arc<ArcSwap<Registry>>;

/// Rebuilds the registry whenever the directory changes.
fn watch_registry(
    deps: &Deps,
    means: Means,
    handle: &Handle,
) -> (SharedRegistry, watch::Receiver<Arc<Registry>>) {
    let directory = deps.directory.clone();
    let mut view = directory.view();
    let first = Arc::new(Registry::build(None, &view.snapshot, &means));
    report_unusable(&first);
    let shared: SharedRegistry = Arc::new(ArcSwap::new(Arc::clone(&first)));
    let (tell, told) = watch::channel(first);
    let (show, stopping) = (Arc::clone(&shared), handle.stopping());
    tokio::spawn(async move {
        while !stopping.is_stopping() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let newest = directory.view();
            if Arc::ptr_eq(&newest.snapshot, &view.snapshot) {
                continue;
            }
            view = newest;
            let registry = Arc::new(Registry::build(
                Some(&tell.borrow()),
                &view.snapshot,
                &means,
            ));
            report_unusable(&registry);
            show.store(Arc::clone(&registry));
            tell.send_replace(registry);
        }
    });
    (shared, told)
}

fn report_unusable(registry: &Registry) {
    for (channel, why) in registry.unusable() {
        warn!(%channel, error = why as &dyn std::error::Error, "channel cannot be used");
    }
}

/// Where receipts go, however they come.
fn take_receipts(
    config: &Config,
    deps: &Deps,
    registry: watch::Receiver<Arc<Registry>>,
    now: Now,
) -> Result<Receipts, Error> {
    let producer = Producer::new(&deps.kafka, "receipts", Linger::Long)?;
    Ok(Receipts {
        registry,
        sink: Arc::new(KafkaSink::new(producer, Arc::clone(&deps.clock))),
        trusted_proxies: config.trusted_proxies.clone().into(),
        now,
    })
}

fn receipts_endpoint(
    receipts: Receipts,
    address: SocketAddr,
    listener: tokio::net::TcpListener,
    handle: Handle,
) -> tokio::task::JoinHandle<()> {
    let app = receipts::router(receipts);
    tokio::spawn(async move {
        handle.ready();
        info!(%address, "taking receipts");
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(listener, service)
            .with_graceful_shutdown(async move { handle.stopped().await })
            .await;
        if let Err(e) = served {
            warn!(%address, error = &e as &dyn std::error::Error, "receipt endpoint failed");
        }
    })
}
