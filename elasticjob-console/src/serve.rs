//! Listens and serves connections, so that a slow browser holds up no other and little memory.

use std::net::SocketAddr;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::access::peer::{Local, Peer};

/// Connections at once.
const MOST: usize = 1_000;

/// How long a browser may take for the head of its request.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// Bytes that the system keeps for a browser that does not read. A stream to it stops soon, and goes on with what is news then.
const SEND_BUFFER: u32 = 32 * 1024;

/// Bytes that a connection keeps.
const BUFFER: usize = 16 * 1024;

/// Between attempts to accept a connection where that failed: mostly there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Listens on an address.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    // Connections take it over from the socket that accepts them.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// Serves connections until `stop` is cancelled, and then drops those that go on: streams have no end of their own.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: &CancellationToken) {
    let mut connections = JoinSet::new();
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(BUFFER);
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) if connections.len() < MOST => accepted,
            Ok(_) => continue,
            Err(error) => {
                warn!(port = "console", %error, "cannot accept a connection");
                let _ = stop.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await;
                continue;
            }
        };
        let Ok(local) = stream.local_addr() else {
            // It is gone already.
            continue;
        };
        let of_connection = router
            .clone()
            .layer(Extension(Peer(peer.ip())))
            .layer(Extension(Local(local.ip())));
        let service = TowerToHyperService::new(of_connection);
        let builder = builder.clone();
        connections.spawn(async move {
            if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
                debug!(%error, "connection to the console ended early");
            }
        });
    }
    connections.shutdown().await;
}
