//! The ingest role: put together, run, drained.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use jixinda_runtime::{
    clock::SharedClock,
    directory::Directory,
    http::bind,
    kafka::{
        Kafka,
        producer::{Linger, Producer},
    },
    lifecycle::Handle,
};
use jixinda_schemas::seal::PlatformKey;
use tracing::info;

use crate::{
    Config, Error,
    auth::Auth,
    http::{self, Api, Reads, TAKEN_WINDOW},
    metrics::Metrics,
    produce::Writer,
    recent::Recent,
};

/// What the last records get at a stop, after the open requests are answered.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// What ingest needs from the process.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Names and settings; ingest makes its own producer.
    pub kafka: Kafka,
    /// Caught up, so that no caller is refused for what was not read yet.
    pub directory: Directory,
    /// Opens the credentials and seals the records.
    pub platform_key: PlatformKey,
    /// The process's clock.
    pub clock: SharedClock,
}

/// The ingest role, listening but not answering yet.
pub struct Service {
    api: Arc<Api>,
    producer: Producer,
    listener: std::net::TcpListener,
    address: SocketAddr,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// Checks the configuration and binds the address. Install the metrics recorder first.
    ///
    /// # Errors
    /// Names what is wrong with the configuration, the certificate or the address.
    pub async fn new(config: Config, deps: Deps) -> Result<Self, Error> {
        config.check()?;
        if let Some(tls) = &config.tls {
            http::certificate(tls).await?;
        }
        let Deps {
            kafka,
            directory,
            platform_key,
            clock,
        } = deps;
        let producer = Producer::new(&kafka, "ingest", Linger::Short)?;
        let listener = bind(config.listen)
            .await?
            .into_std()
            .map_err(Error::Serve)?;
        let address = listener.local_addr().map_err(Error::Serve)?;
        let api = Api {
            auth: Auth::new(directory, platform_key.clone(), Arc::clone(&clock), &config),
            writer: Writer {
                producer: producer.clone(),
                platform: platform_key,
                clock: Arc::clone(&clock),
                limit: config.write_timeout,
                complained: AtomicU64::new(0),
            },
            taken: Recent::new(config.remembered_messages, TAKEN_WINDOW),
            metrics: Metrics::new(),
            reads: Reads::new(&config)?,
            clock,
            config,
        };
        Ok(Self {
            api: Arc::new(api),
            producer,
            listener,
            address,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the stop, then answers what is open and flushes the producer.
    ///
    /// # Errors
    /// When the listener breaks, or records are left that the log did not take.
    pub async fn run(self, handle: Handle) -> Result<(), Error> {
        let Self {
            api,
            producer,
            listener,
            address,
        } = self;
        handle.ready();
        info!(%address, tls = api.config.tls.is_some(), "ingest listens");
        let served = http::serve(api, listener, &handle).await;
        let flushed = producer.flush(FLUSH_LIMIT).await.map_err(Error::from);
        let result = served.and(flushed);
        if let Err(e) = &result {
            handle.fail(e.to_string());
        }
        info!(%address, "ingest stopped");
        result
    }
}
