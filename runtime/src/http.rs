//! HTTP: the outgoing client's settings and the admin endpoints `/livez`, `/readyz`, `/metrics`.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;

use crate::lifecycle::{Handle, Lifecycle};

/// A client could not be made, or an address not bound.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// TLS or client settings.
    #[error("http client")]
    Client(#[source] reqwest::Error),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// What was to be bound.
        address: SocketAddr,
        /// The system's words.
        source: std::io::Error,
    },
}

/// A client that follows no redirects and has limits on everything.
///
/// # Errors
/// When TLS cannot be set up.
pub fn client(timeout: Duration) -> Result<reqwest::Client, Error> {
    install_crypto();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(timeout.min(Duration::from_secs(5)))
        .timeout(timeout)
        .no_proxy()
        .build()
        .map_err(Error::Client)
}

/// Makes ring the process's TLS provider. Safe to repeat.
pub fn install_crypto() {
    // An error means that a provider is installed already, which is all we want.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// Binds a listener; the error names the address.
///
/// # Errors
/// When the address cannot be bound.
pub async fn bind(address: SocketAddr) -> Result<tokio::net::TcpListener, Error> {
    tokio::net::TcpListener::bind(address)
        .await
        .map_err(|source| Error::Bind { address, source })
}

/// Serves `/livez`, `/readyz` (503 naming what is waited for) and `/metrics` until the stop.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve_admin(
    address: SocketAddr,
    lifecycle: Lifecycle,
    metrics: PrometheusHandle,
    handle: Handle,
) -> Result<(), Error> {
    let listener = bind(address).await?;
    handle.ready();
    let app = Router::new()
        .route(
            "/livez",
            get(
                |State((l, _)): State<(Lifecycle, PrometheusHandle)>| async move {
                    let failed = l.failures();
                    if failed.is_empty() {
                        (StatusCode::OK, "ok\n".to_owned())
                    } else {
                        (StatusCode::SERVICE_UNAVAILABLE, lines(&failed))
                    }
                },
            ),
        )
        .route(
            "/readyz",
            get(
                |State((l, _)): State<(Lifecycle, PrometheusHandle)>| async move {
                    let waiting = l.waiting();
                    if waiting.is_empty() {
                        (StatusCode::OK, "ok\n".to_owned())
                    } else {
                        (StatusCode::SERVICE_UNAVAILABLE, lines(&waiting))
                    }
                },
            ),
        )
        .route(
            "/metrics",
            get(
                |State((_, m)): State<(Lifecycle, PrometheusHandle)>| async move {
                    m.run_upkeep();
                    ([("content-type", "text/plain; version=0.0.4")], m.render()).into_response()
                },
            ),
        )
        .with_state((lifecycle, metrics));
    // serve ends with an error only on a listener fault, after which nothing can be told to anyone.
    if let Err(error) = axum::serve(listener, app)
        .with_graceful_shutdown(async move { handle.stopped().await })
        .await
    {
        tracing::error!(%address, error = &error as &dyn std::error::Error, "admin endpoint ended");
    }
    Ok(())
}

fn lines(items: &[(String, String)]) -> String {
    items
        .iter()
        .map(|(name, why)| format!("{name}: {why}\n"))
        .collect()
}
