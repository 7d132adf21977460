//! The role as a service: tables, sink, status reads.

use std::{sync::Arc, time::Duration};

use jixinda_runtime::{
    clock::SharedClock, directory::Directory, http, kafka::Kafka, lifecycle::Handle,
};
use jixinda_schemas::seal::PlatformKey;
use tracing::{error, warn};
use uuid::Uuid;

use crate::{Config, Error, ddl, metrics, sink, status};

/// What the role needs of the process.
#[derive(Clone, Debug)]
pub struct Deps {
    pub kafka: Kafka,
    pub clock: SharedClock,
    pub key: PlatformKey,
    /// For the identity of the log.
    pub directory: Directory,
}

/// The analytics role.
#[derive(Debug)]
pub struct Service {
    config: Config,
    deps: Deps,
}

const PAUSE: Duration = Duration::from_secs(2);

impl Service {
    /// Checks the settings; connects to nothing.
    ///
    /// # Errors
    /// Names the setting that cannot be used.
    pub fn new(config: Config, deps: Deps) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { config, deps })
    }

    /// Runs until the stop. While ClickHouse is down it waits, status reads answer 503, and nothing else is held up.
    ///
    /// # Errors
    /// When the address is taken, the log has no identity, the database is refused, or the log cannot be read.
    pub async fn run(self, handle: Handle) -> Result<(), Error> {
        let done = self.serve(&Arc::new(handle)).await;
        if let Err(e) = &done {
            error!(error = e as &dyn std::error::Error, "analytics ended");
        }
        done
    }

    async fn serve(self, handle: &Arc<Handle>) -> Result<(), Error> {
        metrics::describe();
        let listener = match http::bind(self.config.listen).await {
            Ok(listener) => listener,
            Err(e) => return failed(handle, e.into()),
        };
        let stopped = Arc::clone(handle);
        let reads = axum::serve(listener, status::router(&self.config))
            .with_graceful_shutdown(async move { stopped.stopped().await });
        let reads = tokio::spawn(reads.into_future());
        let Some(log_id) = self.deps.directory.view().snapshot.log_id else {
            let text = "the log has no identity yet: run `jixinda topics apply`".to_owned();
            return failed(handle, Error::Schema(text));
        };
        let server = match self.prepare(log_id, handle).await {
            Ok(Some(server)) => server,
            Ok(None) => return Ok(()),
            Err(e) => return failed(handle, e),
        };
        let parts = sink::Parts {
            config: self.config,
            kafka: self.deps.kafka,
            clock: self.deps.clock,
            key: self.deps.key,
            server,
            log_id,
            runtime: tokio::runtime::Handle::current(),
        };
        let done = read_log(parts, Arc::clone(handle)).await;
        if let Err(e) = done {
            return failed(handle, e);
        }
        // An error means that the listener failed; the role ends anyway.
        drop(reads.await);
        Ok(())
    }

    /// Creates the tables, however long ClickHouse is down; `None` when the stop comes first.
    async fn prepare(&self, log_id: Uuid, handle: &Handle) -> Result<Option<ddl::Server>, Error> {
        loop {
            let done = tokio::select! {
                () = handle.stopped() => return Ok(None),
                done = ddl::apply(&self.config, log_id) => done,
            };
            match done {
                Ok(server) => {
                    metrics::up(true);
                    return Ok(Some(server));
                }
                Err(e) if e.is_transient() => {
                    metrics::up(false);
                    warn!(
                        error = &e as &dyn std::error::Error,
                        "clickhouse does not answer, waiting"
                    );
                    // Messages are sent without it: it must not keep the process from taking them.
                    handle.ready();
                }
                Err(e) => return Err(e),
            }
            tokio::select! {
                () = handle.stopped() => return Ok(None),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}

async fn read_log(parts: sink::Parts, handle: Arc<Handle>) -> Result<(), Error> {
    let (done, ended) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("analytics-sink".to_owned())
        .spawn(move || {
            let result = sink::run(parts, &handle);
            drop(handle);
            // An error means that nobody waits any more.
            drop(done.send(result));
        })
        .map_err(|e| Error::Thread(e.to_string()))?;
    ended
        .await
        .map_err(|_| Error::Thread("the sink ended in a panic".to_owned()))?
}

/// Tells the process why, and stops it.
fn failed(handle: &Handle, error: Error) -> Result<(), Error> {
    handle.fail(jixinda_runtime::telemetry::with_causes(&error));
    Err(error)
}
