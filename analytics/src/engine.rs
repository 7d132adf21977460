//! The embedded ClickHouse: the real engine (`libchdb`), loaded at run time, behind ClickHouse's HTTP interface.
//!
//! A request is read ([`request`]), its statement sorted ([`statement`]), and run by a thread of the [`pool`] in a
//! [`session`] of its own. Clients cannot tell it from a server, except that HTTP sessions, compression, external
//! tables and statements that change the session are refused.
//!
//! It belongs in a process of its own: a fault in the engine ends that process and nothing else.

mod config;
mod exception;
mod ffi;
mod http;
mod pool;
mod request;
mod session;
mod statement;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

pub use config::Config;
pub use jixinda_runtime::secret::Secret;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("engine settings: {0}")]
    Config(String),
    #[error("no ClickHouse engine at {0}: run `deploy/local/libchdb.sh fetch`")]
    NoLibrary(PathBuf),
    #[error("the ClickHouse engine at {0} does not load")]
    Load(PathBuf, #[source] libloading::Error),
    #[error("data directory {0}")]
    DataDir(PathBuf, #[source] std::io::Error),
    #[error("data directory {0} is in use by another engine")]
    Locked(PathBuf),
    #[error("the ClickHouse engine refused to start on {0}, see its messages above")]
    Start(PathBuf),
    #[error("cannot start an engine thread")]
    Thread(#[source] std::io::Error),
    #[error("cannot listen")]
    Listen(#[source] std::io::Error),
}

/// How long open connections may take to end; work already queued is done in any case.
const GRACE: Duration = Duration::from_secs(3);

/// Runs the engine until `shutdown`, then ends reads, lets inserts finish, and closes it.
///
/// A process can do this once: the engine keeps one data directory for the life of a process.
pub async fn serve(config: Config, shutdown: impl Future<Output = ()> + Send) -> Result<(), Error> {
    config.check()?;
    let library = config.library_path();
    if !library.is_file() {
        return Err(Error::NoLibrary(library));
    }
    // Held to the end.
    let (data_dir, _lock) = lock(&config.data_dir)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(Error::Listen)?;
    let api = ffi::Api::load(&library).map_err(|error| Error::Load(library, error))?;
    let (anchor, zone, end) = start(api, &data_dir, &config).await?;

    let limits = session::Limits {
        memory: config.max_memory.as_u64() / 2,
        query_time: config.max_query_seconds,
        result: config.max_result_bytes.as_u64(),
    };
    let mut pool = pool::Pool::start(api, data_dir, limits, config.read_connections, config.queue)?;
    let budget = usize::try_from(config.max_body_bytes.as_u64()).unwrap_or(usize::MAX);
    let budget = (budget.saturating_mul(4) / request::PERMIT_BYTES).min(Semaphore::MAX_PERMITS);
    tracing::info!(listen = %config.listen, version = api.version(), "engine listening");
    let server = Arc::new(http::Server {
        config,
        reads: pool.reads.clone(),
        writes: pool.writes.clone(),
        budget: Arc::new(Semaphore::new(budget)),
        zone,
    });
    let router = Router::new().fallback(http::handle).with_state(server);
    serve_until(listener, router, shutdown, &mut pool).await?;
    pool.join().await;
    drop(end);
    drop(tokio::task::spawn_blocking(move || anchor.join()).await);
    tracing::info!("engine closed");
    Ok(())
}

async fn serve_until(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
    pool: &mut pool::Pool,
) -> Result<(), Error> {
    let (stop, stopped) = oneshot::channel::<()>();
    let graceful = async move {
        drop(stopped.await);
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(graceful);
    let mut serving = tokio::spawn(serving.into_future());
    tokio::select! {
        _ = &mut serving => return Ok(()),
        () = shutdown => {}
    }
    // Dropping the other end is the signal.
    drop(stop);
    pool.stop_reads()?;
    // A client that keeps a request half sent does not hold the engine up.
    if tokio::time::timeout(GRACE, &mut serving).await.is_err() {
        tracing::warn!("connections were still open at the end");
        serving.abort();
    }
    Ok(())
}

type Started = (std::thread::JoinHandle<()>, String, oneshot::Sender<()>);

async fn start(api: ffi::Api, data_dir: &Path, config: &Config) -> Result<Started, Error> {
    let options = vec![format!(
        "--max_server_memory_usage={}",
        config.max_memory.as_u64()
    )];
    let (started, zone) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let anchor = pool::anchor(api, data_dir.to_owned(), options, started, ended)?;
    match zone.await {
        Ok(Some(zone)) => Ok((anchor, zone, end)),
        Ok(None) | Err(_) => Err(Error::Start(data_dir.to_owned())),
    }
}

/// Creates the data directory and locks it for this process.
fn lock(data_dir: &Path) -> Result<(PathBuf, File), Error> {
    let failed = |error| Error::DataDir(data_dir.to_owned(), error);
    std::fs::create_dir_all(data_dir).map_err(failed)?;
    let data_dir = data_dir.canonicalize().map_err(failed)?;
    let lock = File::create(data_dir.join("jixinda.lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok((data_dir, lock)),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(data_dir)),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}
