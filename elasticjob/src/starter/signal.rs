//! The wish of the operating system that we end.

use tracing::warn;

/// Waits for SIGTERM or ctrl-c: the moment to call [`ElasticJob::shutdown`](super::ElasticJob::shutdown) in an
/// application that does more than run jobs. [`ElasticJob::run`](super::ElasticJob::run) does both.
///
/// From the first call on neither signal ends the process by itself.
///
/// # Cancel safety
/// Safe.
pub async fn stop_signal() {
    tokio::select! {
        () = terminate() => {}
        result = tokio::signal::ctrl_c() => {
            if let Err(error) = result {
                warn!(%error, "cannot listen for ctrl-c");
                std::future::pending().await
            }
        }
    }
}

#[cfg(unix)]
async fn terminate() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            terminate.recv().await;
        }
        Err(error) => {
            warn!(%error, "cannot listen for SIGTERM");
            std::future::pending().await
        }
    }
}

#[cfg(not(unix))]
async fn terminate() {
    std::future::pending().await
}
