//! Serves the connections of a TCP listener, so that none holds up another.
//!
//! A connection is accepted at once, and not when another one ends: a caller that is silent would keep the others out. If
//! there are more than [`MOST`], the oldest one that still waits for its caller to finish the request is cut, and if
//! there is none the oldest one of all. So a caller that sends its request at once is answered, however many others
//! are connected and silent.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::tasks::Tasks;

/// Connections at once. So many new ones have to come before the answer to a request for it to be cut.
const MOST: usize = 256;

/// Connections that the system keeps until we accept them.
const BACKLOG: u32 = 1024;

/// Between attempts to accept a connection where that failed: mostly there are too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Listens on an address. Nothing is answered before [`serve`].
///
/// # Errors
/// When the address cannot be listened on: the port is in use, or the address is not ours.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Else an application that is started again has to wait for the connections of the one before it.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Signals that the request of a connection has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestSignal(Arc<AtomicBool>);

impl RequestSignal {
    /// Signals that the request has come and is being answered.
    pub(crate) fn answering(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_answering(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection that is served.
struct Caller {
    progress: RequestSignal,
    cut: CancellationToken,
}

/// Answers each connection by `answer` until `tasks` are cancelled. `name` is that of the tasks, and of the port in the log.
pub(crate) async fn serve<F>(
    name: &'static str,
    listener: TcpListener,
    tasks: &Tasks,
    answer: impl Fn(TcpStream, SocketAddr, RequestSignal) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let token = tasks.token();
    let mut callers = VecDeque::new();
    while let Some(accepted) = token.run_until_cancelled(listener.accept()).await {
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(port = name, %error, "cannot accept a connection");
                // What holds the files may be a silent connection of ours.
                cut_one(&mut callers);
                let _ = token.run_until_cancelled(tokio::time::sleep(ACCEPT_PAUSE)).await;
                continue;
            }
        };
        callers.retain(|caller: &Caller| !caller.cut.is_cancelled());
        if callers.len() >= MOST {
            cut_one(&mut callers);
        }
        let (progress, cut) = (RequestSignal::default(), token.child_token());
        let answering = answer(stream, address, progress.clone());
        callers.push_back(Caller {
            progress,
            cut: cut.clone(),
        });
        tasks.spawn(name, async move {
            // Dropped with the connection: who is counted is connected.
            let _ended = cut.clone().drop_guard();
            if cut.run_until_cancelled(answering).await.is_none() {
                debug!(port = name, %address, "connection cut");
            }
        });
    }
}

/// Cuts the oldest connection that waits for its request, else the oldest.
fn cut_one(callers: &mut VecDeque<Caller>) {
    let waiting = callers.iter().position(|caller| !caller.progress.is_answering());
    if let Some(caller) = callers.remove(waiting.unwrap_or(0)) {
        caller.cut.cancel();
    }
}
