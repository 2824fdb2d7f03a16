//! Accepts connections, as many as may be open at once, and serves HTTP/1 on each.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch},
    task::JoinSet,
};

use super::http::{self, AppState};

/// The maximum number of open connections; more wait to be accepted.
const MAX_CONNECTIONS: usize = 256;
/// The pause after a connection could not be accepted, for example because too many files are open.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves until `stop` is sent to or dropped, and then finishes the current requests.
pub(crate) async fn serve(listener: TcpListener, state: AppState, mut stop: oneshot::Receiver<()>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Dropping the sender stops the connections.
    let (running, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stop => break,
            (permit, stream, peer) = accept(&listener, &permits) => {
                let (state, stopping) = (state.clone(), stopping.clone());
                connections.spawn(async move {
                    let _permit = permit;
                    serve_connection(stream, peer, state, stopping).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop((listener, running));
    while connections.join_next().await.is_some() {}
}

/// The next connection, once fewer than the maximum are open.
async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (Option<OwnedSemaphorePermit>, TcpStream, SocketAddr) {
    // The semaphore is never closed.
    let permit = permits.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (permit, stream, peer),
            // The client has gone.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionRefused
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::error!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    state: AppState,
    mut stopping: watch::Receiver<()>,
) {
    // Responses are written at once: Nagle's algorithm would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let state = state.clone();
        async move { http::serve(state, peer.ip(), request).await }
    });
    let mut connection =
        pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::trace!(%error, "a connection ended early");
    }
}
