//! The listening side: limits on connections and on slow callers, TLS, drain.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::Router;
use axum_server::{
    accept::Accept,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use jixinda_runtime::{http::install_crypto, lifecycle};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::Api;
use crate::{Config, Error, config::Tls};

/// More than any caller of this API needs.
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// Serves until the stop; then open requests finish, at most for the drain time.
pub(crate) async fn serve(
    api: Arc<Api>,
    listener: std::net::TcpListener,
    handle: &lifecycle::Handle,
) -> Result<(), Error> {
    let config = &api.config;
    let door = Door {
        free: Arc::new(Semaphore::new(config.max_connections)),
        api: Arc::clone(&api),
    };
    let server = axum_server::from_tcp(listener).map_err(Error::Serve)?;
    match &config.tls {
        None => run(server.acceptor(door), &api, handle).await,
        Some(tls) => {
            let acceptor = RustlsAcceptor::new(certificate(tls).await?)
                .handshake_timeout(config.header_timeout)
                .acceptor(door);
            run(server.acceptor(acceptor), &api, handle).await
        }
    }
}

/// Reads the certificate: at the start too, so that a bad one is an error then.
pub(crate) async fn certificate(tls: &Tls) -> Result<RustlsConfig, Error> {
    install_crypto();
    let read = RustlsConfig::from_pem_file(&tls.certificate, &tls.key).await;
    let read = read.map_err(|source| Error::Tls {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        source,
    })?;
    let mut settings = (*read.get_inner()).clone();
    settings.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(settings)))
}

async fn run<A>(
    server: axum_server::Server<SocketAddr, A>,
    api: &Arc<Api>,
    handle: &lifecycle::Handle,
) -> Result<(), Error>
where
    A: Accept<TcpStream, Served> + Clone + Send + Sync + 'static,
    A::Stream: AsyncRead + AsyncWrite + Unpin + Send,
    A::Service:
        axum_server::service::SendService<axum::http::Request<hyper::body::Incoming>> + Send,
    A::Future: Send,
{
    let Config {
        header_timeout,
        drain_timeout,
        ..
    } = api.config;
    let stop = axum_server::Handle::new();
    let mut server = server.http1_only().handle(stop.clone());
    server
        .http_builder()
        .http1()
        .header_read_timeout(header_timeout)
        .max_buf_size(MAX_HEADER_BYTES);
    let app: Router = super::router(Arc::clone(api));
    let serving = server.serve(app.into_make_service_with_connect_info::<SocketAddr>());
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => ended,
        () = handle.stopped() => {
            handle.not_ready("draining");
            stop.graceful_shutdown(Some(drain_timeout));
            serving.await
        }
    }
    .map_err(Error::Serve)
}

type Served = axum::middleware::AddExtension<Router, axum::extract::ConnectInfo<SocketAddr>>;

/// Lets in as many connections as are allowed, and closes the others at once: a queue of them would only hide it.
#[derive(Clone)]
struct Door {
    free: Arc<Semaphore>,
    api: Arc<Api>,
}

impl<S> Accept<TcpStream, S> for Door {
    type Stream = Inside;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Inside, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else {
            self.api.metrics.turned_away();
            return std::future::ready(Err(io::Error::other("too many connections")));
        };
        // An answer is one small write: waiting for more to send would only delay it.
        std::future::ready(stream.set_nodelay(true).map(|()| {
            (
                Inside {
                    stream,
                    _permit: permit,
                },
                service,
            )
        }))
    }
}

/// A connection that counts until it is closed.
struct Inside {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Inside {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Inside {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
