//! Starts and stops the lab.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::error::Error;
use crate::hub::Hub;
use crate::socket::{Peer, Sockets};
use crate::{admin, calls, journal};

/// How long open connections may take to end.
const GRACE: Duration = Duration::from_secs(3);

/// A running lab.
#[derive(Debug)]
pub struct Lab {
    local_addr: SocketAddr,
    hub: Arc<Hub>,
    stop: watch::Sender<bool>,
    server: JoinHandle<std::io::Result<()>>,
    writer: JoinHandle<Result<(), Error>>,
}

/// Binds, serves until `shutdown`, and closes the journal.
pub async fn serve(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let mut lab = Lab::start(config).await?;
    tokio::select! {
        () = shutdown => lab.stop().await,
        error = lab.failed() => Err(error),
    }
}

impl Lab {
    /// Binds `config.listen` (port 0 for any) and serves in the background.
    pub async fn start(config: Config) -> Result<Self, Error> {
        config.check()?;
        let address = config.listen;
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let (journal, writer) = journal::open(&config.journal, config.journal_sync)?;
        let (stop, stopped) = watch::channel(false);
        let hub = Hub::new(config, journal, stopped.clone());
        let router = Router::new()
            .nest("/lab", admin::router(Arc::clone(&hub)))
            .fallback(calls::handle)
            .with_state(Arc::clone(&hub));
        let service = router.into_make_service_with_connect_info::<Peer>();
        let mut stopping = stopped;
        let server = tokio::spawn(async move {
            axum::serve(Sockets(listener), service)
                .with_graceful_shutdown(async move {
                    // An error means that the lab handle is gone, which is a stop as well.
                    let _: Result<_, _> = stopping.wait_for(|stop| *stop).await.map(drop);
                })
                .await
        });
        tracing::info!(%local_addr, "vendor lab listening");
        Ok(Self {
            local_addr,
            hub,
            stop,
            server,
            writer,
        })
    }

    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Ends only if the lab cannot go on, for instance when the journal cannot be written.
    pub async fn failed(&mut self) -> Error {
        tokio::select! {
            _ = &mut self.server => Error::Task("server"),
            ended = &mut self.writer => match ended {
                Ok(Err(error)) => error,
                Ok(Ok(())) | Err(_) => Error::Task("journal writer"),
            },
        }
    }

    /// Stops listening, lets calls in progress end, drops waiting receipts, and closes the journal.
    pub async fn stop(self) -> Result<(), Error> {
        self.stop.send_replace(true);
        let mut server = self.server;
        if tokio::time::timeout(GRACE, &mut server).await.is_err() {
            server.abort();
        }
        let mut pushers = self.hub.take_pushers();
        while pushers.join_next().await.is_some() {}
        drop(self.hub);
        let mut writer = self.writer;
        match tokio::time::timeout(GRACE, &mut writer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::Task("journal writer")),
            // A call that outlives the grace still holds the journal open; what it wrote is long on disk.
            Err(_) => {
                tracing::warn!("calls still open, lab stopped without them");
                writer.abort();
                Ok(())
            }
        }
    }
}
